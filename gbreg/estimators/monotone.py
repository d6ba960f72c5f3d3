"""Monotone constraints: which models keep to them, and whether a fitted one does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse

from gbreg._checks import Floats
from gbreg._columns import Table
from gbreg.calibration import AnyCalibrator
from gbreg.losses.base import Loss

# Rows from all over the table, and steps along a column, at which a fitted model is looked at.
_ROWS = 50
_STEPS = 8
# Of the largest prediction: what rounding in single precision may take off.
_ROUNDING = 1e-6


def check_order(loss: Loss, calibrator: AnyCalibrator | None) -> None:
    """`ValueError` for monotone constraints, which bind each raw score, where predictions need not keep to them."""
    if loss.ordered is None:
        raise ValueError(
            f"monotone constraints bind every raw score, and where all of them rise, what {loss!r} predicts can fall: use "
            "SoftmaxBuckets(rank=1), OrdinalBuckets() without a spread, or a loss of one output"
        )
    if loss.ordered == "mean" and calibrator is not None and calibrator.maps_distributions:
        raise ValueError(
            f"monotone constraints hold for the mean of {loss!r}, not for its quantiles, which {calibrator!r} maps: use "
            "'isotonic', or OrdinalBuckets()"
        )


def check_kept(model: Any, table: Table, signs: list[int]) -> None:
    """`RuntimeError` where a fitted model's own prediction goes against a sign along a column, all others as they are.

    It is read at `_ROWS` rows of the training table and up to `_STEPS` values of the column among them.
    """
    rows = table.take(np.unique(np.linspace(0, table.shape[0] - 1, _ROWS).astype(np.intp)))
    for j in np.flatnonzero(signs).tolist():
        grid = _grid(table, j)
        if grid.size < 2:  # along nothing
            continue
        lines = _with_column(rows.take(np.repeat(np.arange(rows.shape[0]), grid.size)), j, np.tile(grid, rows.shape[0]))
        predicted = model.predict(lines).reshape(rows.shape[0], grid.size)
        steps = signs[j] * np.diff(predicted, axis=1)
        if (steps < -_ROUNDING * np.abs(predicted).max()).any():
            names = table.columns.names
            column = repr(names[j]) if names else str(j)
            raise RuntimeError(
                f"monotone: along column {column} the fitted model's predictions go the wrong way by up to "
                f"{-steps.min():.3g}, of {np.abs(predicted).max():.3g}: its loss or its engine does not keep to the "
                "constraint; use another loss, or engine_params' monotone_constraints, which nobody checks"
            )


def _grid(table: Table, j: int) -> Floats:
    """Values of a column in increasing order, from all over its range."""
    column = table.values[:, [j]].toarray().ravel() if scipy.sparse.issparse(table.values) else table.values[:, j]
    seen = np.unique(column[~np.isnan(column)])
    return seen[np.unique(np.linspace(0, seen.size - 1, _STEPS).astype(np.intp))] if seen.size else seen


def _with_column(table: Table, j: int, column: Floats) -> Table:
    values = table.values.tolil() if scipy.sparse.issparse(table.values) else table.values
    values[:, j] = column[:, None] if scipy.sparse.issparse(values) else column
    return replace(table, values=values.tocsr() if scipy.sparse.issparse(values) else values)
