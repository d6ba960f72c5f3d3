"""Metrics of predictions at several horizons: one value a horizon, of the rows that are known at it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, as_numbers, check_finite, check_sample_weight
from gbreg.metrics.registry import Metric, get_metric


def by_horizon(
    metric: str | Metric | Callable[..., float],
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
) -> Floats:
    """A metric at each horizon, of shape (n_horizons,), of the rows that are known at it; NaN where none is.

    Parameters
    ----------
    metric : str, Metric or callable of (y_true, y_pred, sample_weight)
        Of `METRICS`, or a function.
    y_true : array-like of shape (n_samples, n_horizons)
        NaN where a window is not complete.
    y_pred : array-like of shape (n_samples, n_horizons)
    sample_weight : array-like of shape (n_samples,), optional

    Examples
    --------
    >>> by_horizon("pcoc", [[1.0, 4.0], [3.0, float("nan")]], [[2.0, 5.0], [2.0, 8.0]]).tolist()
    [1.0, 1.25]
    """
    measure = get_metric(metric)
    y, p = as_numbers(y_true, "y_true"), _two_dimensional(y_pred, "y_pred")
    if y.shape != p.shape:
        raise ValueError(
            f"y_true has shape {y.shape} and y_pred {p.shape}: they must have the same, a column for each horizon"
        )
    weight = check_sample_weight(sample_weight, len(y))
    known = ~np.isnan(y) & (weight > 0)[:, None]
    each = [measure(y[k, j], p[k, j], weight[k]) if k.any() else np.nan for j, k in enumerate(known.T)]
    return np.array(each, dtype=np.float64)


def crossing_share(y_pred: ArrayLike) -> float:
    """Share of rows whose predictions fall from one horizon to the next; best at 0.

    >>> crossing_share([[1.0, 2.0, 2.0], [3.0, 2.0, 5.0]])
    0.5
    """
    return float((np.diff(_two_dimensional(y_pred, "y_pred"), axis=1) < 0).any(axis=1).mean())


def _two_dimensional(y_pred: ArrayLike, name: str) -> Floats:
    predicted = as_numbers(y_pred, name)
    if predicted.ndim != 2 or not len(predicted):
        raise ValueError(f"{name} has shape {predicted.shape}, not (n_samples, n_horizons) with at least one row")
    check_finite(predicted.ravel(), name)
    return predicted
