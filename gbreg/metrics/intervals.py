"""How sure a metric is: bootstrap intervals, of rows or of whole users."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats
from gbreg.metrics.base import checked, codes, is_distribution, quietly, undefined
from gbreg.metrics.registry import Metric, get_metric

AnyMetric = str | Metric | Callable[..., float]


@dataclass(frozen=True)
class Interval:
    """A metric's value, and the bounds between which resamples of the rows put it.

    Parameters
    ----------
    value, low, high : float
    level : float
        Share of the resamples between the bounds.
    """

    value: float
    low: float
    high: float
    level: float

    def __str__(self) -> str:
        return f"{self.value:.4g} ({self.low:.4g} to {self.high:.4g})"


def interval(
    metric: AnyMetric,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    by: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 500,
    random_state: Any = 0,
) -> Interval:
    """Percentile bootstrap interval of a metric.

    Parameters
    ----------
    metric : str, Metric or function of (y_true, y_pred, sample_weight)
        Resampling weighs rows by how often they were drawn: the metric must take weights.
    y_true, y_pred : array-like of shape (n_samples,)
        A predicted distribution in the place of `y_pred`, for a metric that takes it: "crps", or a function of yours.
    sample_weight : array-like of shape (n_samples,), optional
    by : array-like of shape (n_samples,), optional
        Draw these whole, users for example: rows of one user are not independent, and an interval by row is too narrow.
    level : float in (0, 1), default 0.95
    n_resamples : int, default 500
    random_state : int, Generator or None, default 0

    Returns
    -------
    Interval
        Bounds of NaN where the metric has no value on more than half of the resamples; those without are left out.

    Notes
    -----
    Efron & Tibshirani (1993), "An Introduction to the Bootstrap", chapter 13. It says what other rows like these would give,
    not what another month would.

    Examples
    --------
    >>> y = np.tile([0.0, 2.0], 200)
    >>> print(interval("pcoc", y, np.ones(400)))
    1 (0.9152 to 1.111)
    """
    score = _of_weights(get_metric(metric), y_true, y_pred, sample_weight)
    w = _weights(y_true, sample_weight)
    with quietly():
        drawn = [score(weight) for weight in _resampled(w, by, level, n_resamples, random_state)]
    return _interval(score(w), np.array(drawn), level)


def difference(
    metric: AnyMetric,
    y_true: ArrayLike,
    y_pred: ArrayLike,
    other_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    by: ArrayLike | None = None,
    level: float = 0.95,
    n_resamples: int = 500,
    random_state: Any = 0,
) -> Interval:
    """Interval of a metric of `y_pred` less that of `other_pred`, both on the same resamples.

    Two models err on the same rows: the difference is known far better than the intervals of the two suggest. Bounds on
    both sides of 0 mean that these rows do not tell them apart. Parameters as in `interval`.

    Examples
    --------
    >>> y = np.arange(200.0)
    >>> print(difference("mae", y, y + 1, y + 2))
    -1 (-1 to -1)
    """
    named = get_metric(metric)
    one, other = (_of_weights(named, y_true, predicted, sample_weight) for predicted in (y_pred, other_pred))
    w = _weights(y_true, sample_weight)
    with quietly():
        drawn = [one(weight) - other(weight) for weight in _resampled(w, by, level, n_resamples, random_state)]
        first, second = one(w), other(w)
    value = first - second
    if np.isnan(value):
        value = undefined("difference", f"{named.name} is {first:g} of the one and {second:g} of the other")
    return _interval(value, np.array(drawn), level)


def _of_weights(metric: Metric, y_true: Any, y_pred: Any, sample_weight: Any) -> Callable[[Floats], float]:
    """The metric of these rows as a function of their weights alone; `ValueError` for rows that no metric takes."""
    if metric.by_row is not None:
        each = metric.by_row(y_true, y_pred)
        checked(y_true, each, sample_weight)
        return lambda weight: float(np.average(each, weights=weight))
    checked(y_true, np.zeros(len(y_pred)) if is_distribution(y_pred) else y_pred, sample_weight)
    return lambda weight: metric(y_true, y_pred, weight)


def _weights(y_true: ArrayLike, sample_weight: ArrayLike | None) -> Floats:
    return np.ones(np.shape(y_true)) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)


def _resampled(w: Floats, by: Any, level: float, n_resamples: int, random_state: Any) -> Iterator[Floats]:
    """Weights of the rows, each times how often it, or its cluster, was drawn; rows of weight 0 are not."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must lie in (0, 1)")
    if n_resamples < 1:
        raise ValueError(f"n_resamples={n_resamples!r} must be at least 1")
    used = np.flatnonzero(w)
    cluster = np.arange(used.size) if by is None else codes(by, w, w, "by")[1]
    n = int(cluster.max()) + 1
    if by is not None and n < 2:
        raise ValueError("by: all rows are of one cluster, which cannot be resampled: leave it out, or name another column")
    rng = np.random.default_rng(random_state)
    for _ in range(n_resamples):
        drawn = np.zeros(w.size)
        drawn[used] = w[used] * np.bincount(rng.integers(n, size=n), minlength=n)[cluster]
        yield drawn


def _interval(value: float, drawn: Floats, level: float) -> Interval:
    known = drawn[~np.isnan(drawn)]
    if 2 * known.size < drawn.size:
        nothing = undefined("interval", f"{drawn.size - known.size:,} of {drawn.size:,} resamples have no value")
        return Interval(value, nothing, nothing, level)
    bounds = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    # Between a number and infinity, the logarithm of a ratio of 0, there is nothing to interpolate.
    low, high = np.quantile(known, bounds) if np.isfinite(known).all() else np.quantile(known, bounds, method="nearest")
    return Interval(value, float(low), float(high), level)
