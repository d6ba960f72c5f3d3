"""Tables of any kind -> the numeric matrix that engines train on, the same at fit and at predict."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse
from sklearn.utils import get_tags
from sklearn.utils.validation import check_array, validate_data

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
        for j, column in enumerate(frame.iter_columns()):
            if isinstance(column.dtype, nw.Categorical | nw.Enum):
                seen = column.drop_nulls().cast(nw.String).unique().to_list()
                categories[j] = tuple(sorted(seen))
            elif not _is_numeric(column):
                raise TypeError(
                    f"column {column.name!r} holds {column.dtype}: cast text to a categorical dtype (in pandas "
                    ".astype('category')), turn times into numbers (age in days, hour, weekday), or drop the column"
                )
        return cls(tuple(str(c) for c in frame.columns), categories)

    def matrix(self, X: Any) -> Features:
        """The features of a table with these columns; `ValueError` for infinite values and misshapen input."""
        frame = _as_frame(X)
        if frame is None:
            values = check_array(
                X, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite="allow-nan", input_name="X"
            )
            if scipy.sparse.issparse(values):  # no engine takes sparse arrays, nor CatBoost long indices
                values = scipy.sparse.csr_matrix((values.data, values.indices, values.indptr), shape=values.shape)
            return Features(values, tuple(self.categories), self.names)
        whole = frame.to_numpy() if set(frame.schema.values()) == {nw.Float64} else None
        if whole is not None and whole.dtype == np.float64:  # objects, where pandas holds its own missing value
            values = whole
        else:
            values = np.empty((len(frame), len(frame.columns)), dtype=np.float64)
            for j, column in enumerate(frame.iter_columns()):
                values[:, j] = self._codes(column, j) if j in self.categories else _numbers(column)
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
    if column.dtype != nw.Object:
        return column.dtype.is_numeric() or column.dtype == nw.Boolean  # type: ignore[no-any-return]
    try:  # objects that numpy turns into numbers
        np.asarray(column.to_numpy(), dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def _numbers(column: Any) -> Any:
    if column.dtype != nw.Object:
        column = column.cast(nw.Float64)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def check_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X for an estimator made of others, its columns learnt or compared: tables as they are, all else as arrays.

    What a table may hold is up to the parts; arrays are refused where the estimator's tags say so (sparse, NaN).
    """
    if _as_frame(X) is not None:
        validate_data(estimator, X, skip_check_array=True, reset=reset)
        return X
    tags = get_tags(estimator).input_tags
    finite = "allow-nan" if tags.allow_nan else True
    sparse = ("csr", "csc") if tags.sparse else False
    return validate_data(estimator, X, accept_sparse=sparse, dtype=None, ensure_all_finite=finite, reset=reset)


def take_rows(X: Any, index: Any) -> Any:
    """Those rows of a table, in its own kind, an array, a CSR or a CSC matrix."""
    frame = _as_frame(X)
    return X[index] if frame is None else frame[index].to_native()


def numeric_column(X: Any, which: str | int, argument: str) -> tuple[int, Any]:
    """Place and float64 values of one column of a table, array, CSR or CSC matrix, NaN where missing.

    Errors name the argument that said which: `ValueError` for a column that is not there, `TypeError` for one that does
    not hold numbers.
    """
    frame = _as_frame(X)
    j = _place(which, None if frame is None else frame.columns, X.shape[1], argument)
    wrong = f"{argument}={which!r}: that column holds {{}} values, turn them into numbers"
    if frame is not None:
        column = next(islice(frame.iter_columns(), j, None))
        if not _is_numeric(column):
            raise TypeError(wrong.format(column.dtype))
        return j, _numbers(column)
    values = X[:, [j]].toarray().ravel() if scipy.sparse.issparse(X) else X[:, j]
    try:
        return j, np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{wrong.format(values.dtype)} ({error})") from error


def segment_column(X: Any, which: str | int, argument: str) -> tuple[int, Any]:
    """Place and values of one column: float64, NaN where missing, or text, None where missing, if it holds no numbers."""
    frame = _as_frame(X)
    j = _place(which, None if frame is None else frame.columns, X.shape[1], argument)
    if frame is not None:
        column = next(islice(frame.iter_columns(), j, None))
        if not _is_numeric(column):
            return j, np.array(column.cast(nw.String).to_list(), dtype=object)
    elif X.dtype == object:
        return j, X[:, j]
    return numeric_column(X, j, argument)


def _place(which: str | int, names: list[Any] | None, n_columns: int, argument: str) -> int:
    if not isinstance(which, str):
        if not 0 <= which < n_columns:
            raise ValueError(f"{argument}={which} is not the index of a column: X has {n_columns}, 0 to {n_columns - 1}")
        return int(which)
    if names is None:
        raise ValueError(
            f"{argument}={which!r} is a name, and the columns of X have none: give the column's index, or a table"
        )
    if which not in names:
        near = difflib.get_close_matches(which, [str(name) for name in names], n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(f"{argument}={which!r} is not a column of X: {hint}Columns are {', '.join(map(str, names))}")
    return names.index(which)
