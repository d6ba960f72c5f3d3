"""Labels of which it is known only that they are at least so large: their weights, their sign, their likelihood."""

from __future__ import annotations

from math import copysign, erfc, exp, log, log1p, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbreg._checks import Floats

Mask = NDArray[np.bool_]

_ROOT_2PI = sqrt(2.0 * pi)
_ROOT_HALF = sqrt(0.5)


def signed(y: Floats, censored: Mask) -> Floats:
    """Labels at least 0, the sign of the censored ones turned: engines hand labels on as they are, -0.0 included."""
    return np.where(censored, -y, y)


def is_censored(y):  # type: ignore[no-untyped-def]
    """Whether a signed label is."""
    return copysign(1.0, y) < 0.0


def kaplan_meier(y: Floats, sample_weight: Floats, censored: Mask) -> Floats:
    """What each label counts in the distribution of the uncensored ones; the sum is that of the weights.

    A censored row's weight goes to the labels at or beyond it that are seen; beyond the last of these it stays with the
    largest label. Without censored rows the weights are as they were.
    Kaplan & Meier (1958), doi:10.1080/01621459.1958.10501452; Efron (1967), the redistribution to the right.
    """
    if not (censored & (sample_weight > 0)).any():
        return sample_weight
    values, place = np.unique(y, return_inverse=True)
    seen = np.bincount(place, np.where(censored, 0.0, sample_weight), values.size)
    left = np.bincount(place, sample_weight, values.size)[::-1].cumsum()[::-1]
    hazard = np.divide(seen, left, out=np.zeros(values.size), where=left > 0)
    still = np.concatenate([[1.0], np.cumprod(1.0 - hazard)])
    mass = still[:-1] * hazard
    each = np.divide(mass, seen, out=np.zeros(values.size), where=seen > 0)
    out = np.where(censored, 0.0, sample_weight * each[place])
    last = (y == y[sample_weight > 0].max()) & censored
    if last.any() and still[-1] > 0:
        out[last] = still[-1] * sample_weight[last] / sample_weight[last].sum()
    return np.asarray(out * sample_weight.sum())


def log_survival(z):  # type: ignore[no-untyped-def]
    """``-ln P(Z >= z)`` of a standard normal."""
    x = 1.0 / (z * z) if z > 25.0 else 0.0
    far = 0.5 * z * z + log(max(z, 1.0) * _ROOT_2PI) - log(1.0 - x * (1.0 - x * (3.0 - x * (15.0 - 105.0 * x))))
    near = -log1p(-0.5 * erfc(-z * _ROOT_HALF)) if z < 0.0 else -log(0.5 * erfc(min(z, 25.0) * _ROOT_HALF))
    return far if z > 25.0 else near


def hazard(z):  # type: ignore[no-untyped-def]
    """The derivative of `log_survival`, density over survival, and at most z + 1 / z for z > 0."""
    x = 1.0 / (z * z) if z > 25.0 else 0.0
    far = z / (1.0 - x * (1.0 - x * (3.0 - x * (15.0 - 105.0 * x))))
    near = min(z, 25.0)
    return far if z > 25.0 else exp(-0.5 * near * near) / (_ROOT_2PI * 0.5 * erfc(near * _ROOT_HALF))


def check_seen(y: Floats, sample_weight: Floats, censored: Mask, who: Any) -> None:
    """`ValueError` where a censored label has no sign to turn, or none is fully seen."""
    negative = censored & (y < 0)
    if negative.any():
        raise ValueError(
            f"censored: {who} needs y >= 0 of censored rows; {negative.sum():,} are below (first at row "
            f"{np.flatnonzero(negative)[0]}: y={y[negative][0]:g}): drop them, or shift the target"
        )
    if not (~censored & (sample_weight > 0)).any():
        raise ValueError(
            f"censored: all {y.size:,} rows are, so that no label says how large they become: add rows that were seen to "
            "the end"
        )
