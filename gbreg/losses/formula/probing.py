"""What a few labels and predictions show of a compiled formula: whether it is a loss at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from gbreg.links import Interval
from gbreg.losses.formula.compiling import Compiled
from gbreg.losses.formula.functions import Function

_AWAY = (1e-6, 0.3, 0.9, 3.0)


@dataclass(frozen=True)
class Probe:
    """What a few labels and predictions show of a loss: where it is real, whether it has a unit, how steep it is."""

    positive_only: bool
    unit_free: bool
    strength: bool  # whether the loss is proportional to its parameter C
    above: float
    below: float


def _sample_labels(domain: Interval) -> list[float]:
    steps = (0.03, 0.4, 1.0, 2.5, 20.0)
    low, high = domain.low, domain.high
    if math.isinf(low) and math.isinf(high):
        labels = [-20.0, -1.5, -0.4, 0.0, 0.4, 1.5, 20.0]
    elif math.isinf(high):
        labels = [low + step for step in steps]
    elif math.isinf(low):
        labels = [high - step for step in steps]
    else:
        labels = [low + share * (high - low) for share in (0.02, 0.25, 0.5, 0.75, 0.98)]
    return labels + [low] * domain.low_closed + [high] * domain.high_closed


def _evaluate(function: Function, *arguments: float) -> tuple[float, ...]:
    """The row function in Python, NaN where Python raises."""
    try:
        result = function(*arguments)
    except (ArithmeticError, ValueError):
        return (math.nan,)
    results = result if isinstance(result, tuple) else (result,)
    return tuple(math.nan if isinstance(x, complex) else float(x) for x in results)


@lru_cache(maxsize=256)
def probe(compiled: Compiled, parameters: tuple[tuple[str, float], ...], domain: Interval, who: str) -> Probe:
    """Check that every row's loss is real, falls up to its minimizer and rises beyond it; `ValueError` if not."""

    values = [value for _, value in parameters]
    doubled = [2.0 * value if name == "C" else value for name, value in parameters]

    def at(y: float, mu: float) -> tuple[float, float, float]:
        numbers = _evaluate(compiled.value, y, mu, *values) + _evaluate(compiled.derivatives, y, mu, *values)
        return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else (math.nan, math.nan, math.nan)

    def real(y: float, mu: float) -> bool:
        return all(map(math.isfinite, at(y, mu)))

    labels = _sample_labels(domain)
    targets = [_evaluate(compiled.minimizer, y, *values)[0] if compiled.minimizer else y for y in labels]
    positive_only = not all(real(y, mu) for y in labels for mu in (-2.3, -0.7, -0.1))
    slopes = {1.0: 0.0, -1.0: 0.0}
    ratios: list[float] = []
    strength = doubled != values
    for y, target in zip(labels, targets, strict=True):
        if not math.isfinite(target):
            raise ValueError(f"{who}: minimizer is {target:g} at y={y:g}, it must be a finite real number")
        unit = max(abs(target), 0.1)
        reach = [(side, target + side * unit * away) for away in _AWAY for side in (1.0, -1.0)]
        points = [(0.0, target), *reach]
        points = [(side, mu) for side, mu in points if mu > 0 or not positive_only]
        for _, mu in points:
            if not real(y, mu):
                raise ValueError(
                    f"{who}: the loss or a derivative is not a finite real number at y={y:g}, mu={mu:g}: narrow "
                    f"y_domain={str(domain)!r}, or give that case its own branch with Piecewise"
                )
        largest = max(abs(at(y, mu)[1]) for _, mu in points)
        for side, mu in points:
            gradient = at(y, mu)[1]
            if gradient * side < -1e-9 * largest:
                raise ValueError(
                    f"{who}: at y={y:g} the derivative at mu={mu:g} is {gradient:g}, so the loss "
                    f"{'falls above' if side > 0 else 'rises below'} its minimum at mu={target:g}. If the minimum is "
                    "elsewhere, give minimizer='...', a formula in y and the parameters"
                )
            if side and abs(abs(mu - target) - 0.3 * unit) < 1e-9 * unit:
                slopes[side] = max(slopes[side], abs(gradient))
            twice = _evaluate(compiled.derivatives, y, mu, *doubled)[0]
            strength = strength and abs(twice - 2.0 * gradient) <= 1e-9 * abs(gradient)
            scaled = at(3.7 * y, 3.7 * mu)[1]
            if gradient and scaled and math.isfinite(scaled):
                ratios.append(scaled / gradient)
    if not any(slopes.values()):
        raise ValueError(f"{who}: the loss is the same for every prediction mu")
    homogeneous = bool(ratios) and max(ratios) - min(ratios) <= 1e-9 * abs(max(ratios))
    bounded = all(math.isinf(end) or end == 0 for end in (domain.low, domain.high))
    return Probe(positive_only, homogeneous and bounded, strength, slopes[1.0] or 1.0, slopes[-1.0] or 1.0)
