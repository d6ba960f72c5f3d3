"""What a random order scores: below it no ranking is better than chance."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats
from gbreg.metrics.base import checked, levels, mid_ranks


def chance_level(metric: str, *rows: tuple[ArrayLike, ArrayLike | None]) -> float:
    """The value of a ranking metric that one of 40 random orders exceeds; NaN for other metrics, and where it has no value.

    Only labels and weights decide it. Of several pairs of these, as folds have them, it is of the mean of their values.

    Notes
    -----
    A ranking metric is ``sum_k w_k a_k r_k`` beside what it has on average, with r the rows' places in the order, uniform on
    [-1, 1]: their variance is a third. Hájek & Šidák (1967), "Theory of Rank Tests", chapter III.

    Examples
    --------
    >>> from gbreg.metrics import normalized_gini
    >>> rng = np.random.default_rng(0)
    >>> y = rng.exponential(size=500)
    >>> drawn = [normalized_gini(y, rng.random(500)) for _ in range(1000)]
    >>> bool(0.015 < np.mean(np.array(drawn) > chance_level("normalized_gini", (y, None))) < 0.035)
    True
    """
    variance = sum(_variance(metric, y, weight) for y, weight in rows)
    return (0.5 if metric == "xauc" else 0.0) + 1.96 * math.sqrt(variance) / len(rows)


def _variance(metric: str, y_true: ArrayLike, sample_weight: ArrayLike | None) -> float:
    y, _, w = checked(y_true, np.zeros(np.shape(y_true)), sample_weight)
    if metric not in _SLOPES or y.min() == y.max() or (metric.endswith("gini") and y.min() < 0):
        return math.nan
    return float(np.sum((w * _SLOPES[metric](y, w)) ** 2)) / 3.0


def _gini(y: Floats, w: Floats) -> Floats:
    return (y - np.average(y, weights=w)) / float(np.sum(w * y))


def _normalized_gini(y: Floats, w: Floats) -> Floats:
    return _gini(y, w) / float(np.sum(w * _gini(y, w) * _places(y, w)))


def _spearman(y: Floats, w: Floats) -> Floats:
    places = _places(y, w)
    return places * math.sqrt(3.0 / (float(np.sum(w * places**2)) * float(w.sum())))


def _xauc(y: Floats, w: Floats) -> Floats:
    return _places(y, w) / (float(w.sum()) * _comparable(y, w))


def _kendall(y: Floats, w: Floats) -> Floats:
    return 2.0 * _places(y, w) / (float(w.sum()) * math.sqrt(_comparable(y, w)))


def _comparable(y: Floats, w: Floats) -> float:
    """Share of the pairs that have two labels."""
    return 1.0 - float(np.sum(levels(y).sums(w) ** 2)) / float(w.sum()) ** 2


def _places(y: Floats, w: Floats) -> Floats:
    """From -1, before all other rows, to 1, after them."""
    return 2.0 * mid_ranks(y, w) / float(w.sum()) - 1.0


_SLOPES = {"gini": _gini, "normalized_gini": _normalized_gini, "spearman": _spearman, "xauc": _xauc, "kendall": _kendall}
