"""Whether anything happened, by the rate at which things do: complementary log-log regression."""

from __future__ import annotations

from math import exp, expm1, inf, log, log1p

import numpy as np

from gbreg._checks import Floats
from gbreg._kernels import StepBounds
from gbreg.links import UNIT, Interval, log_step_limit
from gbreg.losses.odds import entropy
from gbreg.losses.pointwise import PointwiseLoss


def _log_chance(expected: float, raw: float) -> float:
    """Logarithm of the chance of any event, where `expected` = exp(raw) are; exact where they are few."""
    return log(-expm1(-expected)) if raw > -40.0 else raw


def _over_chance(expected: float) -> float:
    """How many events are expected for each chance of any: ``expected / (1 - exp(-expected))``."""
    return expected / -expm1(-expected) if expected > 1e-300 else 1.0


def _bend(expected: float) -> float:
    """``_over_chance(expected) - 1``, exact where few are expected."""
    x = 0.25 * expected * expected
    series = x / 3.0 - x * x / 45.0 + 2.0 * x * x * x / 945.0 - x * x * x * x / 4725.0
    return 0.5 * expected + series if expected < 0.1 else _over_chance(expected) - 1.0


def _rise(target: float, raw: float) -> float:
    """exp(raw) - exp(target), exact where they are close."""
    way = raw - target
    return exp(target) * expm1(way) if abs(way) < 1.0 else exp(raw) - exp(target)


class Cloglog(PointwiseLoss):
    r"""Cross-entropy of the chance that anything happens, less its minimum, where raw is the logarithm of a rate.

    .. math:: \ell = y \ln\frac{y}{p} + (1 - y) \ln\frac{1 - y}{1 - p}, \quad p = 1 - e^{-\lambda}, \quad
              \lambda = e^{raw}, \quad \partial\ell / \partial raw = (p - y) \lambda / p

    Events that come at a rate leave none with the chance ``exp(-rate * exposure)``: an exposure is an offset of its
    logarithm, as under `Poisson`, and the rate is the same however long a row was watched.

    Notes
    -----
    Complementary log-log link: `predict` gives the probability. Domain: y in [0, 1], where a label between 0 and 1 is a
    share or a probability. Functional: mean. Without a unit.
    McCullagh & Nelder (1989), "Generalized Linear Models", section 4.3.
    """

    family = "likelihood"
    functional = "mean"
    y_domain = Interval(0, 1, "both")
    mu_domain = UNIT
    way_out = "give y > 0 to predict whether, and predict how much with another loss"
    coordinate = "raw"
    link = "cloglog"

    @staticmethod
    def row_value(target: float, raw: float) -> float:
        expected, at = exp(raw), exp(target)
        chance = _log_chance(expected, raw)
        if target == -inf:
            return expected
        if target == inf:
            return -log1p(-exp(-expected)) if expected > 0.7 else -chance
        more, had = _rise(target, raw), _log_chance(at, target)
        likelier = log1p(-expm1(-more) * exp(-at) / -expm1(-at)) if abs(raw - target) < 1.0 else chance - had
        return entropy(at + had, expected + chance, more + likelier)  # of log odds, and the way between them

    @staticmethod
    def row_derivatives(target: float, raw: float) -> tuple[float, float]:
        expected, at = exp(raw), exp(target)
        none, some = exp(-at), min(expected, 800.0)  # beyond, the chance of none is 0
        more = _rise(target, raw) if target < inf else -inf
        steep = exp(-some) * _over_chance(some)
        gradient = none * -expm1(-more) * _over_chance(expected) if more > 0 else steep * expm1(more)
        return gradient, -expm1(-at) * steep * _bend(some) + (none * expected if none > 0 else 0.0)

    @staticmethod
    def row_information(y: float, raw: float) -> float:
        expected = exp(raw)
        return exp(-expected) * expected * _over_chance(expected)

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        return float(np.average(y, weights=sample_weight))

    def step_bounds(self, learning_rate: float = 0.1) -> StepBounds:
        return super().step_bounds(learning_rate)._replace(limit=log_step_limit(learning_rate))
