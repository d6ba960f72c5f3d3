"""Predictions measured: a leaderboard of them, and what the page says beyond it."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, as_numbers, check_one_dimensional, check_sample_weight
from gbreg.compare import Leaderboard, Profile, Row
from gbreg.compare.results import measured
from gbreg.metrics.base import quietly, sorted_once


def checked_labels(y: ArrayLike, name: str) -> Floats:
    """Labels as float64, one-dimensional, not empty and finite; `ValueError` names the argument."""
    labels = as_numbers(y, name)
    check_one_dimensional(labels, name, empty=False)
    wrong = ~np.isfinite(labels)
    if wrong.any():
        raise ValueError(f"{name}: {wrong.sum():,} of {labels.size:,} labels are NaN or infinite: drop those rows first")
    return labels


@sorted_once()
@quietly()
def scored(
    predictions: Mapping[str, ArrayLike],
    y: ArrayLike,
    sample_weight: ArrayLike | None = None,
    train_y: ArrayLike | None = None,
    train_weight: ArrayLike | None = None,
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
    train_weight : array-like, optional
        Of those.
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
    if train_y is None:
        trained, trained_weight, mean = labels[:0], None, np.average(labels, weights=weight)
    else:
        trained = checked_labels(train_y, "labels of train")
        trained_weight = (
            None if train_weight is None else check_sample_weight(train_weight, trained.size, "sample_weight of train")
        )
        mean = np.average(trained, weights=trained_weight)
    profile = Profile.of(trained, labels, trained_weight, weight, n_features)
    return Leaderboard(rows, _row("mean", labels, np.full(labels.size, mean), weight), [], profile)


def _row(name: str, y: Floats, predicted: Floats, weight: Floats | None) -> Row:
    return Row(name, "", 0, False, **measured(y, predicted, weight), fit_seconds=math.nan, compile_seconds=0.0)
