"""What every metric starts with: its arrays checked, and ranks that know weights and ties."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def checked(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Labels, predictions and weights of the rows that count, as float64; `ValueError` for what they may not be."""
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
    if w.all():
        return y, p, w
    used = w > 0
    return y[used], p[used], w[used]


def codes(values: ArrayLike, y_true: ArrayLike, sample_weight: ArrayLike | None, argument: str) -> tuple[Any, Any]:
    """Distinct groups or segments of the rows that count, and the place of each row's among them.

    Missing ones (NaN, None) are a group of their own, written as "missing".
    """
    given = np.asarray(values)
    n = np.shape(y_true)[0]
    if given.shape != (n,):
        raise ValueError(f"{argument} must be one-dimensional with one entry a row, {n:,}, got shape {given.shape}")
    if sample_weight is not None:
        given = given[np.asarray(sample_weight, dtype=np.float64) > 0]
    if given.dtype.kind in "fOmM":
        missing = np.array([v is None or v != v for v in given.tolist()], dtype=bool)
        if missing.any():
            given = np.where(missing, "missing", given.astype(str))
        elif given.dtype == object:
            given = given.astype(str)
    return np.unique(given, return_inverse=True)


def mid_ranks(x: Floats, w: Floats) -> Floats:
    """Weight below each value plus half the weight at it: an integer weight equals repetition."""
    values, group = np.unique(x, return_inverse=True)
    at = np.bincount(group, weights=w, minlength=values.size)
    return (np.cumsum(at) - 0.5 * at)[group]
