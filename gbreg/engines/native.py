"""Engines' own objectives: their curvature and accuracy, and which of their steps cannot raise the training loss.

Boosting moves the scores of a leaf by s = -rate * G / H, with the Hessian of the engine's form. Where f is the leaf's loss,
f(s) <= f(0) is a matter of how far f'' can grow above H on the way:

- Squared error, and Huber with a Hessian of 1: H is never below f'', and every rate up to 2 descends.
- Absolute error and quantiles, whose leaves engines renew: part of the way to the minimum of a convex f descends, which is
  every rate up to 1, as long as what they renew by is the minimum, and no monotone constraint forbids it.
- Expectile: f'' jumps by at most the ratio of the two slopes, and f descends while rate * ratio <= 2.
- Poisson, gamma, Tweedie, cross-entropy: |f'''| <= f'', so that f(s) <= f(0) + G s + H (exp|s| - 1 - |s|). With |G| of at
  least |s| H / rate, also where an engine cuts s short, f descends while (exp|s| - 1 - |s|) / s^2 <= 1 / rate. With steps of
  9 that is 1.5 against 3.3 at a rate of 0.3. (Under monotone constraints a leaf may move against its own gradient, and all
  leaves together have half of it: 1.5 against 1.7.) Without a limit a leaf moves as far as its labels are from its scores.
- Softmax, whose classes move together: the range of a row's steps stands for |s|, and the curvature of a class is up to
  2 p (1 - p), of which LightGBM's Hessian may be a half. With steps of 1.2 / rate the range is 2.4: 2 * 1.3 against 3.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gbreg._checks import Floats
from gbreg.losses.native import NativeForm

# Their Hessians where these are one number for all rows; others follow the loss's.
_CURVATURES = {"absolute_error": 1.0, "quantile": 1.0, "huber": 1.0}
# Engines keep labels in float32, a soft one of w / (1 + w) too: at a w of 1e4 the one it implies is 0.03% off, at 1e6 1.3%.
_LARGEST_FACTOR = 1.0 + 1e4
_RENEWED = frozenset({"absolute_error", "quantile"})
_LOG_SCORES = frozenset({"poisson", "gamma", "tweedie", "cross_entropy", "cross_entropies"})


def own_curvature(form: NativeForm) -> float | None:
    """The Hessian of every row, where the form does not follow the loss's."""
    return _CURVATURES.get(form.name)


def keeps_digits(form: NativeForm) -> bool:
    """Whether labels say in float32 what they stand for."""
    return form.largest_factor <= _LARGEST_FACTOR


def step_limit(form: NativeForm, rate: float) -> float | None:
    """How far a leaf may ask to move its score, before the rate shortens it; None where steps need no limit."""
    if form.name == "softmax":
        return 1.2 / rate
    return 9.0 if form.name in _LOG_SCORES else None


def within_limit(form: NativeForm, own: Mapping[str, Any]) -> bool:
    """Whether all steps are short enough, under `max_delta_step` where the user has set it and else under ours."""
    rate = float(own["learning_rate"])
    limit = step_limit(form, rate)
    if limit is None:
        return rate <= 2.0
    return rate <= 0.3 and 0.0 < float(own.get("max_delta_step", limit)) <= limit


def has_close_slopes(form: NativeForm, rate: float) -> bool:
    """Whether the steps of an expectile descend."""
    level = form.parameters["level"]
    return rate * max(level, 1.0 - level) <= 2.0 * min(level, 1.0 - level)


def is_renewed(form: NativeForm) -> bool:
    """Whether engines put quantiles of the residuals into leaves."""
    return form.name in _RENEWED


def is_median(form: NativeForm) -> bool:
    return form.name == "absolute_error" or form.parameters.get("level") == 0.5


def goes_part_of_the_way(own: Mapping[str, Any]) -> bool:
    """Whether renewed leaves stop short of their minimum, or at it."""
    return float(own["learning_rate"]) <= 1.0


def all_equal(weight: Floats | None) -> bool:
    return weight is None or bool((weight == weight[0]).all())
