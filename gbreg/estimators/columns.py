"""Tables of any kind -> the numeric matrix that engines train on, the same at fit and at predict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse
from sklearn.utils.validation import check_array

from gbreg.engines import Features


@dataclass(frozen=True)
class Columns:
    """What was learnt of a table's columns: their names, and the categories of the categorical ones.

    Parameters
    ----------
    names : tuple of str or None
        None for arrays.
    categories : dict of int to tuple of str
        The categories of each categorical column; a category's place is its code, an unseen one is missing.
    """

    names: tuple[str, ...] | None = None
    categories: dict[int, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, X: Any) -> Columns:
        """Learn from a pandas, polars or pyarrow table, an array, or a sparse matrix."""
        frame = _as_frame(X)
        if frame is None:
            return cls()
        categories = {}
        for j, name in enumerate(frame.columns):
            column = frame[name]
            if isinstance(column.dtype, nw.Categorical | nw.Enum):
                seen = column.drop_nulls().cast(nw.String).unique().to_list()
                categories[j] = tuple(sorted(seen))
            elif not (column.dtype.is_numeric() or column.dtype == nw.Boolean):
                # Object columns of numbers are left to numpy's conversion.
                if column.dtype == nw.Object and _is_numeric(column):
                    continue
                raise TypeError(
                    f"column {name!r} holds {column.dtype}: cast text to a categorical dtype, turn times into numbers "
                    "(age in days, hour, weekday), or drop the column"
                )
        return cls(tuple(str(c) for c in frame.columns), categories)

    def matrix(self, X: Any) -> Features:
        """The features of a table with these columns; `ValueError` for infinite values and misshapen input."""
        frame = _as_frame(X)
        if frame is None:
            values = check_array(
                X, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", input_name="X"
            )
            return Features(values, tuple(self.categories), self.names)
        whole = frame.to_numpy() if set(frame.schema.values()) == {nw.Float64} else None
        if whole is not None and whole.dtype == np.float64:  # objects, where pandas holds its own missing value
            values = whole
        else:
            values = np.empty((len(frame), len(frame.columns)), dtype=np.float64)
            for j, name in enumerate(frame.columns):
                values[:, j] = self._codes(frame[name], j) if j in self.categories else _numbers(frame[name])
        values = check_array(values, dtype=np.float64, ensure_all_finite="allow-nan", input_name="X")
        return Features(values, tuple(self.categories), self.names)

    def _codes(self, column: Any, j: int) -> Any:
        seen = column.drop_nulls().cast(nw.String).unique().to_list()
        codes = {category: float(code) for code, category in enumerate(self.categories[j])}
        return (
            column.cast(nw.String)
            .replace_strict([*seen, None], [codes.get(value, np.nan) for value in seen] + [np.nan], return_dtype=nw.Float64)
            .to_numpy()
        )

    def to_json(self) -> dict[str, Any]:
        return {"names": self.names, "categories": {str(j): list(c) for j, c in self.categories.items()}}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Columns:
        names = None if data["names"] is None else tuple(data["names"])
        return cls(names, {int(j): tuple(c) for j, c in data["categories"].items()})


def _as_frame(X: Any) -> Any:
    """A narwhals frame for anything tabular, None for arrays and sparse matrices."""
    if isinstance(X, np.ndarray | list | tuple) or scipy.sparse.issparse(X):
        return None
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    return frame if isinstance(frame, nw.DataFrame) else None


def _is_numeric(column: Any) -> bool:
    try:
        np.asarray(column.to_numpy(), dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _numbers(column: Any) -> Any:
    if column.dtype != nw.Object:
        column = column.cast(nw.Float64)
    return np.asarray(column.to_numpy(), dtype=np.float64)
