"""Predictions measured: a leaderboard of them, and what the page says beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg.compare import Leaderboard, Profile, Row
from gbreg.compare.leaderboard import SHOWN
from gbreg.losses.base import check_sample_weight
from gbreg.metrics import METRICS
from gbreg.metrics.base import Floats


def checked_labels(y: ArrayLike, name: str) -> Floats:
    """Labels as float64, one-dimensional, not empty and finite; `ValueError` names the argument."""
    labels = np.asarray(y, dtype=np.float64)
    if labels.ndim != 1 or labels.size == 0:
        raise ValueError(f"{name} must be one-dimensional and not empty, got shape {labels.shape}")
    wrong = ~np.isfinite(labels)
    if wrong.any():
        raise ValueError(f"{name}: {wrong.sum():,} of {labels.size:,} labels are NaN or infinite: drop those rows first")
    return labels


def scored(
    predictions: Mapping[str, ArrayLike],
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    train_y: ArrayLike | None = None,
    n_features: int = 0,
) -> Leaderboard:
    """A leaderboard of predictions made by anything.

    Parameters
    ----------
    predictions : mapping of str to array-like of shape (n_samples,)
        In the unit of the target, by the name to show.
    y : array-like of shape (n_samples,)
    sample_weight : array-like of shape (n_samples,), optional
    train_y : array-like, optional
        Labels that the models were trained on: their mean is the constant to beat. Default: that of y.
    n_features : int, default 0

    Raises
    ------
    ValueError
        For no predictions, and for those whose shape is not that of y or that are not finite.

    Examples
    --------
    >>> board = scored({"low": [1.0, 2.0, 3.0], "right": [2.0, 4.0, 6.0]}, [2.0, 5.0, 5.0])
    >>> [(row.loss, row.pcoc) for row in board.rows]
    [('low', 0.5), ('right', 1.0)]
    """
    labels = checked_labels(y, "y")
    weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
    if not predictions:
        raise ValueError("models must hold at least one model or array of predictions")
    rows = []
    for name, given in predictions.items():
        predicted = np.asarray(given, dtype=np.float64)
        if predicted.shape != labels.shape:
            raise ValueError(f"predictions of {name!r} have shape {predicted.shape}, y has {labels.size:,} rows")
        if not np.isfinite(predicted).all():
            wrong = (~np.isfinite(predicted)).sum()
            raise ValueError(f"predictions of {name!r}: {wrong:,} of {labels.size:,} are NaN or infinite")
        rows.append(_row(name, labels, predicted, weight))
    trained = labels if train_y is None else checked_labels(train_y, "labels of train")
    mean = np.full(labels.size, np.average(labels, weights=weight) if train_y is None else trained.mean())
    profile = Profile.of(trained[:0] if train_y is None else trained, labels, None, weight, n_features)
    return Leaderboard(rows, _row("mean", labels, mean, weight), [], profile)


def _row(name: str, y: Floats, predicted: Floats, weight: Floats | None) -> Row:
    numbers: dict[str, Any] = {metric: METRICS[metric](y, predicted, weight) for metric in SHOWN}
    return Row(name, "", 0, False, **numbers, fit_seconds=math.nan, compile_seconds=0.0)


def pcoc_error(y: Floats, predicted: Floats, weight: Floats | None) -> float:
    """Standard error of the PCOC, a ratio of two sums over independent rows; NaN if the labels sum to 0.

    ``sqrt(sum w^2 (p - PCOC y)^2) / sum w y``: Cochran (1977), "Sampling Techniques", section 6.3.
    """
    w = np.ones(y.size) if weight is None else weight
    total = float(np.sum(w * y))
    if total == 0:
        return math.nan
    ratio = float(np.sum(w * predicted)) / total
    return float(np.sqrt(np.sum((w * (predicted - ratio * y)) ** 2))) / abs(total)
