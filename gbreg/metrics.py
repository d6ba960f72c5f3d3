"""Numbers a business reads, from labels, predictions and weights. All are called alike.

Every metric takes ``(y_true, y_pred, sample_weight=None)``, arrays of shape (n_samples,), and returns a float; rows of
weight 0 do not count. Where a metric has no value (a ranking of constant labels, a ratio to a sum of 0) it is NaN, and
its docstring says when.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def _checked(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    y, p = np.asarray(y_true, dtype=np.float64), np.asarray(y_pred, dtype=np.float64)
    w = np.ones(y.shape) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    if y.ndim != 1 or p.shape != y.shape or w.shape != y.shape:
        raise ValueError(
            "y_true, y_pred and sample_weight must be one-dimensional and of one length, "
            f"got {y.shape}, {p.shape}, {w.shape}"
        )
    if not (np.isfinite(y).all() and np.isfinite(p).all() and np.isfinite(w).all()):
        raise ValueError("y_true, y_pred and sample_weight must be finite: drop rows with NaN or inf first")
    if (w < 0).any() or not w.any():
        raise ValueError("sample_weight must be >= 0, with at least one positive weight")
    used = w > 0
    return y[used], p[used], w[used]


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of abs(y - prediction), in the unit of the target; lower is better.

    >>> mean_absolute_error([1, 2, 3], [1, 2, 6])
    1.0
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    return float(np.average(np.abs(y - p), weights=w))


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Root of the mean squared error, in the unit of the target; lower is better.

    >>> root_mean_squared_error([0, 0], [3, 3])
    3.0
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    return float(np.sqrt(np.average((y - p) ** 2, weights=w)))


def mid_ranks(x: Floats, w: Floats) -> Floats:
    """Weight below each value plus half the weight at it: an integer weight equals repetition."""
    values, group = np.unique(x, return_inverse=True)
    at = np.bincount(group, weights=w, minlength=values.size)
    return (np.cumsum(at) - 0.5 * at)[group]


def spearman(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Spearman's rank correlation with mid-ranks for ties, in [-1, 1]; higher is better; NaN if either side is constant.

    >>> round(spearman([1, 2, 3, 4], [10, 30, 20, 40]), 3)
    0.8
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    a, b = mid_ranks(y, w), mid_ranks(p, w)
    a, b = a - np.average(a, weights=w), b - np.average(b, weights=w)
    spread = np.sqrt(np.sum(w * a * a) * np.sum(w * b * b))
    return float(np.sum(w * a * b) / spread) if spread > 0 else float("nan")


def _gini(y: Floats, order_by: Floats, w: Floats) -> float:
    values, group = np.unique(-order_by, return_inverse=True)
    weight = np.bincount(group, weights=w, minlength=values.size)
    total = np.bincount(group, weights=w * y, minlength=values.size)
    # Area under the gain curve by trapezes: tied predictions share their labels evenly.
    gain = np.cumsum(total)
    area = np.sum(weight * (gain - 0.5 * total))
    return float(area / (w.sum() * gain[-1]) - 0.5)


def normalized_gini(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Area between the gain curve and the diagonal, over that of a perfect ranking; higher is better.

    1 for a perfect ranking, 0 for a random or constant one; ties share their labels evenly. NaN if the labels are
    constant, sum to 0, or are negative somewhere. Source: Wang, Liu & Miao (2019), arXiv 1912.07753.

    >>> normalized_gini([0, 0, 1, 5], [1, 2, 3, 4])
    1.0
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    if y.min() < 0 or y.sum() <= 0 or y.min() == y.max():
        return float("nan")
    return _gini(y, p, w) / _gini(y, y, w)


def _weight_in_order(rank: NDArray[np.intp], w: Floats) -> float:
    """Sum of w_i w_j over rows i before j with rank_i < rank_j, for a permutation of 0 to n - 1.

    A radix sort by rank from the highest bit down: two rows are parted once, at the highest bit in which they differ.
    """
    n = 1 << max(rank.size - 1, 1).bit_length()
    rank = np.append(rank, np.arange(rank.size, n)).astype(np.int32 if n < 2**31 else np.int64)
    w = np.append(w, np.zeros(n - w.size))
    total = 0.0
    for bit in reversed(range(n.bit_length() - 1)):
        upper = (rank & (1 << bit)) != 0
        before = np.cumsum(np.where(upper, 0.0, w).reshape(-1, 2 << bit), axis=1).ravel()
        low, high = np.flatnonzero(~upper), np.flatnonzero(upper)
        total += float(w[high] @ before[high])
        order = np.stack([low.reshape(-1, 1 << bit), high.reshape(-1, 1 << bit)], axis=1).ravel()
        rank, w = rank[order], w[order]
    return total


def _squared_blocks(w: Floats, *keys: Floats) -> float:
    """Sum of the squared weights of runs of rows that agree in all keys."""
    starts = np.flatnonzero(np.any([key[1:] != key[:-1] for key in keys], axis=0)) + 1
    return float(np.sum(np.add.reduceat(w, np.append(0, starts)) ** 2))


def xauc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Share of the pairs with different labels that the predictions order rightly, in [0, 1]; higher is better.

    A pair weighs the product of its rows' weights, and counts half where its predictions are tied. 0.5 for a random or
    constant ranking; of 0/1 labels it is the AUC. NaN if the labels are constant. Source: Zhan et al. (2022),
    "Deconfounding Duration Bias in Watch-time Prediction for Video Recommendation", doi:10.1145/3534678.3539092.

    >>> xauc([0, 1, 2, 2], [1, 1, 3, 2])
    0.9
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    if y.min() == y.max():
        return float("nan")
    # The larger label first among tied predictions, and the later row first among tied labels: no tie is in order.
    order = np.lexsort((-y, p))
    y, p, w = y[order], p[order], w[order]
    by_label = y.size - 1 - np.argsort(y[::-1], kind="stable")
    rank = np.empty(y.size, dtype=np.intp)
    rank[by_label] = np.arange(y.size)
    right = _weight_in_order(rank, w)
    tied = 0.5 * (_squared_blocks(w, p) - _squared_blocks(w, p, y))
    pairs = 0.5 * (w.sum() ** 2 - _squared_blocks(w[by_label], y[by_label]))
    return float((right + 0.5 * tied) / pairs)


def pcoc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Predicted over observed: the sum of predictions divided by the sum of labels; best at 1; NaN if that sum is 0.

    >>> pcoc([1, 1, 2], [1, 1, 1])
    0.75
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    observed = float(np.sum(w * y))
    return float(np.sum(w * p)) / observed if observed != 0 else float("nan")


def overestimated_share(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, factor: float = 2.0
) -> float:
    """Share of rows predicted above `factor` times their label (any positive prediction, at a label of 0).

    >>> overestimated_share([1, 1, 0], [1.5, 3.0, 0.1])
    0.6666666666666666
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    return float(np.average(p > factor * y, weights=w))


def underestimated_share(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, factor: float = 2.0
) -> float:
    """Share of rows predicted below their label divided by `factor`.

    >>> underestimated_share([1, 1, 4], [1.5, 0.4, 1.0])
    0.6666666666666666
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    return float(np.average(p < y / factor, weights=w))


def decile_calibration_error(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, n_bins: int = 10
) -> float:
    """Sum over prediction deciles of abs(predicted - observed sum), over the observed total; lower is better.

    Rows are cut into `n_bins` groups of equal weight by prediction, tied predictions staying together. 0 means the sum
    is right at every level of prediction. NaN if the labels sum to 0.

    >>> decile_calibration_error([1, 3], [2, 2])
    0.0
    """
    y, p, w = _checked(y_true, y_pred, sample_weight)
    observed = float(np.sum(w * y))
    if observed == 0:
        return float("nan")
    rank = mid_ranks(p, w) / w.sum()
    bins = np.minimum((rank * n_bins).astype(int), n_bins - 1)
    return float(np.abs(np.bincount(bins, weights=w * (p - y))).sum() / abs(observed))


@dataclass(frozen=True)
class Metric:
    """A named metric with its direction.

    Parameters
    ----------
    name : str
    function : callable of (y_true, y_pred, sample_weight)
    greater_is_better : bool
    target : float or None
        The best value, where that is neither the least nor the greatest (1 for PCOC).
    """

    name: str
    function: Callable[..., float]
    greater_is_better: bool = False
    target: float | None = None

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return self.function(y_true, y_pred, sample_weight)


def _log_pcoc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    ratio = pcoc(y_true, y_pred, sample_weight)
    return abs(float(np.log(ratio))) if ratio > 0 else float("inf")


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("mae", mean_absolute_error),
        Metric("rmse", root_mean_squared_error),
        Metric("spearman", spearman, greater_is_better=True),
        Metric("normalized_gini", normalized_gini, greater_is_better=True),
        Metric("xauc", xauc, greater_is_better=True),
        Metric("pcoc", pcoc, target=1.0),
        Metric("abs_log_pcoc", _log_pcoc),
        Metric("over_2x", overestimated_share),
        Metric("under_2x", underestimated_share),
        Metric("decile_error", decile_calibration_error),
    )
}


def directed(metric: str | Metric | Callable[..., float]) -> Metric:
    """`get_metric`, refusing those best at a value between, which nothing can minimise or maximise."""
    named = get_metric(metric)
    if named.target is not None:
        way_out = ": use 'abs_log_pcoc'" if named.name == "pcoc" else ""
        raise ValueError(f"metric {named.name!r} is best at {named.target:g}, training only minimises or maximises{way_out}")
    return named


def get_metric(metric: str | Metric | Callable[..., float]) -> Metric:
    """The metric of that name; a function of (y_true, y_pred, sample_weight) becomes one to minimise.

    >>> get_metric("mae").greater_is_better
    False
    """
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        return Metric(getattr(metric, "__name__", type(metric).__name__), metric)
    if metric not in METRICS:
        near = difflib.get_close_matches(str(metric), METRICS, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"metric {metric!r} is not known{hint} Use one of {', '.join(METRICS)}, or a function")
    return METRICS[metric]
