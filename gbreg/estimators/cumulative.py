"""Labels at several horizons: sums that grow with the time they look ahead, NaN where a window is not complete."""

from __future__ import annotations

from typing import Any

import numpy as np

from gbreg._checks import Floats, refuse_times
from gbreg._columns import column_names, named_columns
from gbreg.estimators.rows import refuse_huge

# Sums of the same amounts, added in another order, differ by less than this share.
_ROUNDING = 1e-9


def as_cumulative(y: Any, who: str, horizons: tuple[float, ...]) -> Floats:
    """Labels as float64 of shape (n_samples, n_horizons), NaN where they are not known.

    Raises
    ------
    ValueError
        For another shape, what is no number or too large, and sums that are negative or fall from one horizon to a later.
    """
    if y is None:
        raise ValueError(f"{who} requires y to be passed, but the target y is None")
    given = np.asarray(y) if column_names(y) is None else np.column_stack([values for _, values in named_columns(y)])
    if given.ndim != 2 or given.shape[1] != len(horizons):
        way_out = ": y.reshape(-1, 1) makes it one column" if given.ndim == 1 and len(horizons) == 1 else ""
        raise ValueError(
            f"y has shape {given.shape}, and {who} with horizons={horizons} needs (n_samples, {len(horizons)}), one column "
            f"each{way_out}"
        )
    refuse_times(given, "y")
    try:
        labels: Floats = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must be numbers, NaN where a window is not complete: {error}") from error
    refuse_huge(labels)
    _check_rising(labels, who, horizons)
    return labels


def increments(y: Floats) -> Floats:
    """What each horizon adds to the one before, at least 0, NaN where either is not known; shape (n_samples, n_horizons)."""
    added = np.diff(y, axis=1, prepend=0.0)
    return np.maximum(added, 0.0)  # below it only by rounding


def check_known(y: Floats, horizons: tuple[float, ...]) -> None:
    """`ValueError` for a horizon whose increment is known of no row."""
    unknown = np.isnan(increments(y))
    for j in range(len(horizons)):
        if unknown[:, j].all():
            before = f" and at horizon {horizons[j - 1]:.15g}" if j and not np.isnan(y[:, j]).all() else ""
            raise ValueError(
                f"y: of {len(y):,} rows none is known at horizon {horizons[j]:.15g}{before}, the others are NaN: leave that "
                "horizon and its column out, or wait until a window is complete"
            )


def _check_rising(y: Floats, who: str, horizons: tuple[float, ...]) -> None:
    highest = np.fmax.accumulate(np.column_stack([np.zeros(len(y)), y]), axis=1)[:, :-1]
    falls = y < highest * (1 - _ROUNDING)
    if falls.any():
        row, j = (int(at) for at in np.argwhere(falls)[0])
        sooner = [f"{y[row, i]:g} at horizon {horizons[i]:.15g}" for i in range(j) if y[row, i] == highest[row, j]]
        raise ValueError(
            f"{who} needs sums that never fall from one horizon to the next, and are not negative: "
            f"{falls.any(axis=1).sum():,} of {len(y):,} rows have negative increments, such as refunds (first at row {row}: "
            f"{sooner[-1] if sooner else '0 at the start'}, {y[row, j]:g} at horizon {horizons[j]:.15g}). To count a refund "
            "as nothing, y = np.maximum.accumulate(np.maximum(y, 0), axis=1); where refunds matter, fit one estimator for "
            "each horizon, with a loss on all reals"
        )
