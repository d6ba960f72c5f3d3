"""Standard errors of metrics over independent rows, in one pass where a bootstrap takes hundreds.

Each is the infinitesimal jackknife, ``sqrt(sum (w_i dM/dw_i)^2)`` of the metric M and the rows' weights: Efron (1982), "The
Jackknife, the Bootstrap and Other Resampling Plans", chapter 6. NaN where the metric has no value.
"""

from __future__ import annotations

import math

import numpy as np

from gbreg._checks import Floats
from gbreg.metrics import mean_absolute_error, mid_ranks, normalized_gini, pcoc, spearman
from gbreg.metrics.base import levels

# Rows whose pairs are looked at one by one.
_COMPARED = 700


def length(w: Floats, slope: Floats) -> float:
    """The standard error of what has these slopes; a difference of two metrics has the difference of theirs."""
    return float(np.sqrt(np.sum((w * slope) ** 2)))


def mae_error(y: Floats, p: Floats, w: Floats) -> float:
    return length(w, np.abs(y - p) - mean_absolute_error(y, p, w)) / float(w.sum())


def pcoc_error(y: Floats, p: Floats, w: Floats) -> float:
    """That of a ratio of two sums: Cochran (1977), "Sampling Techniques", section 6.3."""
    ratio = pcoc(y, p, w)
    return math.nan if math.isnan(ratio) else length(w, p - ratio * y) / abs(float(np.sum(w * y)))


def gini_slope(y: Floats, p: Floats, w: Floats) -> Floats:
    """Derivatives of the normalised Gini by the weights; NaN where it has no value."""
    ratio = normalized_gini(y, p, w)
    if math.isnan(ratio):
        return np.full(y.size, np.nan)
    (_, own), (best, perfect) = _gini_slope(y, p, w), _gini_slope(y, y, w)
    return (own - ratio * perfect) / best


def _gini_slope(y: Floats, p: Floats, w: Floats) -> tuple[float, Floats]:
    """The Gini and its derivatives by the weights.

    It is ``2 A / (W T) - 1`` with W the weight, T the label total and ``A = sum_ij w_i w_j y_j [p_j > p_i]``, ties a half.
    """
    total, weight = float(np.sum(w * y)), float(w.sum())
    above = total - mid_ranks(p, w * y)
    area = float(np.sum(w * above))
    ratio = 2.0 * area / (weight * total)
    return ratio - 1.0, ratio * ((above + y * mid_ranks(p, w)) / area - 1.0 / weight - y / total)


def spearman_slope(y: Floats, p: Floats, w: Floats) -> Floats:
    """Derivatives of Spearman's rank correlation by the weights; NaN where it has no value."""
    rho = spearman(y, p, w)
    if math.isnan(rho):
        return np.full(y.size, np.nan)
    a, b = (ranks - np.average(ranks, weights=w) for ranks in (mid_ranks(y, w), mid_ranks(p, w)))
    # A row moves the ranks of those above it, besides its own part in each sum of products.
    both = a * b - mid_ranks(y, w * b) - mid_ranks(p, w * a)
    first, second = a * a - 2.0 * mid_ranks(y, w * a), b * b - 2.0 * mid_ranks(p, w * b)
    spread_a, spread_b = float(np.sum(w * a * a)), float(np.sum(w * b * b))
    return both / math.sqrt(spread_a * spread_b) - 0.5 * rho * (first / spread_a + second / spread_b)


def xauc_error(y: Floats, p: Floats, w: Floats) -> float:
    """From the pairs of some rows, evenly taken from the order of the labels, and scaled to all: right within a tenth."""
    n = y.size
    rows = levels(y).order[np.linspace(0, n - 1, min(n, _COMPARED)).astype(int)]
    y, p, w = y[rows], p[rows], w[rows]
    label, order = (np.sign(np.subtract.outer(x, x)) for x in (y, p))
    comparable = (label != 0) @ w
    concordant = np.where(label == 0, 0.0, 0.5 * (1.0 + label * order)) @ w
    pairs = float(w @ comparable)
    if pairs == 0:
        return math.nan
    slope = 2.0 * (concordant - float(w @ concordant) / pairs * comparable) / pairs
    return length(w, slope) * math.sqrt(rows.size / n)


class Judge:
    """Standard errors of what a choice is made by.

    Parameters
    ----------
    ranking : {"normalized_gini", "spearman"}
    y, weight : ndarray of shape (n_samples,)
    best : ndarray of shape (n_samples,)
        Predictions that rank best, to compare others with.
    """

    def __init__(self, ranking: str, y: Floats, weight: Floats, best: Floats) -> None:
        self._ranking, self._y, self._weight = ranking, y, weight
        self._slope = {"normalized_gini": gini_slope, "spearman": spearman_slope}[ranking]
        self._best = self._slope(y, best, weight)

    def __call__(self, p: Floats) -> dict[str, float]:
        """By metric; "behind" is that of what the predictions rank behind the best."""
        y, w = self._y, self._weight
        slope = self._slope(y, p, w)
        return {
            "xauc": xauc_error(y, p, w),
            "mae": mae_error(y, p, w),
            "pcoc": pcoc_error(y, p, w),
            self._ranking: length(w, slope),
            "behind": length(w, self._best - slope),
        }
