"""Columns and rows of a user's table, whatever made it: pandas, polars, pyarrow, an array, a sparse matrix."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse

from gbreg._checks import nearest

# The types of number that engines take as they are.
PLAIN = (np.dtype(np.float64), np.dtype(np.float32))


def is_plain(X: Any) -> bool:
    """Whether X is a matrix of numbers that engines take as it is."""
    return type(X) is np.ndarray and X.dtype in PLAIN and X.ndim == 2 and X.size > 0


def largest(values: Any) -> float:
    """The greatest size of any of them, NaN aside, without a copy."""
    return float(max(np.fmax.reduce(values, axis=None), -np.fmin.reduce(values, axis=None)))


def check_not_infinite(values: Any, names: Sequence[Any] | None) -> None:
    """Raise `ValueError` for an infinite number in an array or sparse matrix; it names column and row."""
    held = values.data if scipy.sparse.issparse(values) else values
    if not held.size or not np.isinf(largest(held)):
        return
    row, j = (int(at) for at in np.argwhere(np.isinf(values.toarray() if scipy.sparse.issparse(values) else values))[0])
    column = f"column {j}" if names is None else f"column {names[j]!r}"
    raise ValueError(
        f"Input X contains infinity: {column}, first at row {row}: replace it (NaN is a missing value, any finite "
        "number is taken), or drop the column"
    )


def as_frame(X: Any) -> Any:
    """A narwhals frame for anything tabular, None for arrays and sparse matrices; `TypeError` for a table not yet made."""
    if isinstance(X, np.ndarray | list | tuple) or scipy.sparse.issparse(X):
        return None
    frame = nw.from_native(X, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        of = f"{type(X).__module__.split('.')[0]} {type(X).__name__}"
        raise TypeError(f"X is a lazy table ({of}), which holds no rows yet: collect it first, X.collect() in polars")
    return frame if isinstance(frame, nw.DataFrame) else None


def is_numeric(column: Any) -> bool:
    if column.dtype != nw.Object:
        return column.dtype.is_numeric() or column.dtype == nw.Boolean  # type: ignore[no-any-return]
    try:  # objects that numpy turns into numbers
        np.asarray(column.to_numpy(), dtype=np.float64)
    except (TypeError, ValueError):
        return False
    return True


def numbers(column: Any) -> Any:
    if column.dtype != nw.Object:
        column = column.cast(nw.Float64)
    return np.asarray(column.to_numpy(), dtype=np.float64)


def column_names(X: Any) -> list[str] | None:
    """The names of a table's columns; None for arrays."""
    frame = as_frame(X)
    return None if frame is None else [str(name) for name in frame.columns]


def numeric_column(X: Any, which: str | int, argument: str) -> tuple[int, Any]:
    """Place and float64 values of one column of a table, array, CSR or CSC matrix, NaN where missing.

    Errors name the argument that said which: `ValueError` for a column that is not there, `TypeError` for one that does
    not hold numbers.
    """
    frame = as_frame(X)
    j = place_of(which, None if frame is None else frame.columns, X.shape[1], argument)
    wrong = f"{argument}={which!r}: that column holds {{}} values, turn them into numbers"
    if frame is not None:
        column = next(islice(frame.iter_columns(), j, None))
        if not is_numeric(column):
            raise TypeError(wrong.format(column.dtype))
        return j, numbers(column)
    values = X[:, [j]].toarray().ravel() if scipy.sparse.issparse(X) else X[:, j]
    try:
        return j, np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{wrong.format(values.dtype)} ({error})") from error


def named_columns(X: Any) -> Iterator[tuple[str | int, Any]]:
    """Name and values of every column of a table, of arrays its number: float64, or objects, None where missing."""
    frame = as_frame(X)
    if frame is None:
        yield from enumerate(np.asarray(X).T)
        return
    for column in frame.iter_columns():
        if is_numeric(column):
            yield str(column.name), numbers(column)
            continue
        values = np.empty(len(column), dtype=object)
        values[:] = [None if null else v for v, null in zip(column.to_list(), column.is_null().to_list(), strict=True)]
        yield str(column.name), values


def place_of(which: str | int, names: Sequence[Any] | None, n_columns: int, argument: str) -> int:
    if not isinstance(which, str):
        if not 0 <= which < n_columns:
            raise ValueError(f"{argument}={which} is not the index of a column: X has {n_columns}, 0 to {n_columns - 1}")
        return int(which)
    if names is None:
        raise ValueError(
            f"{argument}={which!r} is a name, and the columns of X have none: give the column's index, or a table"
        )
    if which not in names:
        raise ValueError(
            f"{argument}={which!r} is not a column of X: {nearest(which, names)}Columns are {', '.join(map(str, names))}"
        )
    return names.index(which)
