"""What the rows look like, and whether those to judge by look like those trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import narwhals as nw
import numpy as np

from gbreg._checks import Floats

# Of the population stability index: what the field reads as "some" and as "much".
SOME, MUCH = 0.1, 0.25


@dataclass(frozen=True)
class Labels:
    """One side's labels in a few numbers."""

    side: str
    rows: int
    zeros: float
    mean: float
    median: float
    p99: float
    largest: float

    @classmethod
    def of(cls, side: str, y: Floats) -> Labels:
        positive = y[y > 0]
        median, p99 = np.quantile(positive, [0.5, 0.99]) if positive.size else (np.nan, np.nan)
        return cls(side, y.size, float(np.mean(y == 0)), float(y.mean()), float(median), float(p99), float(y.max()))


def label_shift(train_y: Floats, y: Floats) -> float:
    """The Kolmogorov-Smirnov distance of both sides' labels, in [0, 1]."""
    before, after = np.sort(train_y), np.sort(y)
    at = np.concatenate([before, after])
    upto = [np.searchsorted(labels, at, side="right") / labels.size for labels in (before, after)]
    return float(np.abs(upto[0] - upto[1]).max())


def stability_index(before: Any, after: Any, n_bins: int = 10) -> float:
    """Population stability index of a column, from train to test: sum of (q - p) ln(q / p) over its bins.

    Numbers are cut at the deciles of train, missing ones are a bin of their own; of anything else each value is a bin, rare
    ones (below 1%) together. Empty bins count as half a row. Below 0.1 it is usually called stable, above 0.25 shifted.
    """
    if before.dtype.kind in "biuf" and after.dtype.kind in "biuf":
        before, after = before.astype(np.float64), after.astype(np.float64)
        known = before[~np.isnan(before)]
        edges = np.unique(np.quantile(known, np.linspace(0, 1, n_bins + 1)[1:-1])) if known.size else np.empty(0)
        codes = [np.where(np.isnan(x), edges.size + 1, np.searchsorted(edges, x, side="right")) for x in (before, after)]
        n = edges.size + 2
    else:
        first, second = before.astype(str), after.astype(str)
        values, count = np.unique(first, return_counts=True)
        values = values[count >= 0.01 * first.size]
        codes = []
        for x in (first, second):
            place = np.minimum(np.searchsorted(values, x), max(values.size - 1, 0))
            known = values[place] == x if values.size else np.zeros(x.size, dtype=bool)
            codes.append(np.where(known, place, values.size))
        n = values.size + 1
    p, q = (np.bincount(code.astype(int), minlength=n) for code in codes)
    some = (p + q) > 0
    p, q = (np.maximum(x[some], 0.5) / x.sum() for x in (p, q))
    return float(np.sum((q - p) * np.log(q / p)))


def columns(X: Any) -> dict[str, Any]:
    """Name and values of each column of a table or dense array."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return {name: _values(frame[name]) for name in frame.columns}
    values = np.asarray(X)
    return {f"column {j}": values[:, j] for j in range(values.shape[1])} if values.ndim == 2 else {}


def _values(series: Any) -> Any:
    if series.dtype.is_numeric() or series.dtype == nw.Boolean:
        return series.cast(nw.Float64).to_numpy()
    return np.asarray([str(v) for v in series.to_list()])


def shifted(train_X: Any, X: Any) -> list[tuple[str, float]]:
    """Columns by stability index, the most shifted first."""
    before, after = columns(train_X), columns(X)
    found = [(name, stability_index(values, after[name])) for name, values in before.items() if name in after]
    return sorted(found, key=lambda pair: -pair[1])
