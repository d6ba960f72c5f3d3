"""Tables of any kind -> the numeric matrix that engines train on, the same at fit and at predict."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse
from sklearn.utils import get_tags
from sklearn.utils.validation import check_array, validate_data

from gbreg._checks import Floats, refuse_times
from gbreg.engines import Engine, Features
from gbreg.estimators.ranks import HUGE, learn_knots, ranks_of


@dataclass(frozen=True)
class Columns:
    """What was learnt of a table's columns: names, categories, and the values of those that become ranks.

    Parameters
    ----------
    names : tuple of str or None
        None for arrays.
    categories : dict of int to tuple of str
        The categories of each categorical column; a category's place is its code, an unseen one is missing.
    ranked : dict of int to ndarray
        The distinct values of each column that the engine cannot hold in its own type of number, such as Unix seconds in
        float32: it is given their ranks instead, linear in between, so that trees split where they would have.
    """

    names: tuple[str, ...] | None = None
    categories: dict[int, tuple[str, ...]] = field(default_factory=dict)
    ranked: dict[int, Floats] = field(default_factory=dict, compare=False)

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

    def fit_matrix(self, X: Any, engine: Engine, max_bins: int) -> tuple[Columns, Features]:
        """These columns with the ranks that the engine needs to tell the values of X apart, and the features of X."""
        values = self._values(X)
        ranked = {}
        for j, column in _each_column(values):
            knots = None if j in self.categories else learn_knots(column, engine.stored, max_bins)
            if knots is not None:
                ranked[j] = knots
        learnt = replace(self, ranked=ranked)
        return learnt, replace(learnt._features(values), categories=learnt._as_held(X))

    def matrix(self, X: Any) -> Features:
        """The features of a table with these columns; `ValueError` for infinite values and misshapen input."""
        return self._features(self._values(X))

    def _features(self, values: Any) -> Features:
        values = self._within(self._as_ranks(values))
        return Features(values, tuple(self.categories), self.names, ranked=tuple(self.ranked))

    def _as_held(self, X: Any) -> tuple[tuple[Any, ...], ...]:
        """The categories of every categorical column as the table holds them; none, where a model file could not."""
        if not self.categories:
            return ()
        every = []
        columns = list(_as_frame(X).iter_columns())
        for j, categories in self.categories.items():
            seen = columns[j].drop_nulls().unique()
            own = dict(zip(seen.cast(nw.String).to_list(), seen.to_list(), strict=True))
            every.append(tuple(own[text] for text in categories))
        plain = all(isinstance(value, str | int | float) for values in every for value in values)
        return tuple(every) if plain else ()

    def _values(self, X: Any) -> Any:
        """X as an array or CSR matrix, categories as codes."""
        frame = _as_frame(X)
        if frame is None:
            refuse_times(X if isinstance(X, np.ndarray) else np.empty(0), "X")
            values = check_array(
                X, accept_sparse="csr", dtype=[np.float64, np.float32], ensure_all_finite=False, input_name="X"
            )
            if scipy.sparse.issparse(values):  # no engine takes sparse arrays, nor CatBoost long indices
                values = scipy.sparse.csr_matrix((values.data, values.indices, values.indptr), shape=values.shape)
        else:
            whole = frame.to_numpy() if set(frame.schema.values()) == {nw.Float64} else None
            if whole is not None and whole.dtype == np.float64:  # objects, where pandas holds its own missing value
                values = whole
            else:
                values = np.empty((len(frame), len(frame.columns)), dtype=np.float64)
                for j, column in enumerate(frame.iter_columns()):
                    values[:, j] = self._codes(column, j) if j in self.categories else _numbers(column)
            values = check_array(values, dtype=np.float64, ensure_all_finite=False, input_name="X")
        check_not_infinite(values, self.names)
        return values

    def _as_ranks(self, values: Any) -> Any:
        if not self.ranked:
            return values
        values = values.copy()
        for j, knots in self.ranked.items():
            if scipy.sparse.issparse(values):
                inside = values.indices == j
                values.data[inside] = ranks_of(values.data[inside], knots)
            else:
                values[:, j] = ranks_of(values[:, j], knots)
        return values

    def _within(self, values: Any) -> Any:
        """Numbers beyond float32, none of which trained, are as great as its greatest: beyond every split all the same."""
        held = values.data if scipy.sparse.issparse(values) else values
        if held.dtype == np.float32 or not held.size or _largest(held) <= HUGE:
            return values
        values = values.copy()
        held = values.data if scipy.sparse.issparse(values) else values
        np.clip(held, -HUGE, HUGE, out=held)
        return values

    def _codes(self, column: Any, j: int) -> Any:
        codes = {category: float(code) for code, category in enumerate(self.categories[j])}
        out = np.full(len(column), np.nan)
        held = column.drop_nulls().cast(nw.String)
        if len(held):
            seen = held.unique().to_list()
            # early narwhals takes what is replaced by NaN for what was left out
            code = held.replace_strict(seen, [codes.get(value, -1.0) for value in seen], return_dtype=nw.Float64).to_numpy()
            out[~column.is_null().to_numpy()] = np.where(code < 0, np.nan, code)
        return out

    def to_json(self) -> dict[str, Any]:
        return {
            "names": self.names,
            "categories": {str(j): list(c) for j, c in self.categories.items()},
            "ranked": {str(j): knots.tolist() for j, knots in self.ranked.items()},
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Columns:
        names = None if data["names"] is None else tuple(data["names"])
        categories = {int(j): tuple(c) for j, c in data["categories"].items()}
        ranked = data.get("ranked", {})  # not in files of format 1
        return cls(names, categories, {int(j): np.array(knots, dtype=np.float64) for j, knots in ranked.items()})


def _largest(values: Any) -> float:
    """The greatest size of any of them, NaN aside, without a copy."""
    return float(max(np.fmax.reduce(values, axis=None), -np.fmin.reduce(values, axis=None)))


def check_not_infinite(values: Any, names: Sequence[Any] | None) -> None:
    """Raise `ValueError` for an infinite number in an array or sparse matrix; it names column and row."""
    held = values.data if scipy.sparse.issparse(values) else values
    if not held.size or not np.isinf(_largest(held)):
        return
    row, j = (int(at) for at in np.argwhere(np.isinf(values.toarray() if scipy.sparse.issparse(values) else values))[0])
    column = f"column {j}" if names is None else f"column {names[j]!r}"
    raise ValueError(
        f"Input X contains infinity: {column}, first at row {row}: replace it (NaN is a missing value, any finite "
        "number is taken), or drop the column"
    )


def _each_column(values: Any) -> Iterator[tuple[int, Floats]]:
    """Numbers and values of the columns; of a sparse matrix what they hold, and one 0 for all it leaves out."""
    if not scipy.sparse.issparse(values):
        yield from enumerate(values.T)
        return
    by_column = values.tocsc()
    for j in np.flatnonzero(np.diff(by_column.indptr)):
        held = by_column.data[by_column.indptr[j] : by_column.indptr[j + 1]]
        yield int(j), held if held.size == values.shape[0] else np.append(held, held.dtype.type(0))


def _as_frame(X: Any) -> Any:
    """A narwhals frame for anything tabular, None for arrays and sparse matrices; `TypeError` for a table not yet made."""
    if isinstance(X, np.ndarray | list | tuple) or scipy.sparse.issparse(X):
        return None
    frame = nw.from_native(X, pass_through=True)
    if isinstance(frame, nw.LazyFrame):
        of = f"{type(X).__module__.split('.')[0]} {type(X).__name__}"
        raise TypeError(f"X is a lazy table ({of}), which holds no rows yet: collect it first, X.collect() in polars")
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


def check_columns(estimator: Any, X: Any, *, reset: bool) -> None:
    """Let scikit-learn learn the number and names of X's columns, or compare them, once X is known to hold rows."""
    _as_frame(X)
    validate_data(estimator, X, skip_check_array=True, reset=reset)


def check_features(estimator: Any, X: Any, *, reset: bool) -> Any:
    """X for an estimator made of others, its columns learnt or compared: tables as they are, all else as arrays.

    What a table may hold is up to the parts, but for infinite numbers: they see other rows, and would count those. Arrays
    are refused where the estimator's tags say so (sparse, NaN).
    """
    frame = _as_frame(X)
    if frame is not None:
        check_columns(estimator, X, reset=reset)
        for column in frame.iter_columns():
            if column.dtype.is_float():
                check_not_infinite(_numbers(column)[:, None], [column.name])
        return X
    tags = get_tags(estimator).input_tags
    sparse = ("csr", "csc") if tags.sparse else False
    X = validate_data(estimator, X, accept_sparse=sparse, dtype=None, ensure_all_finite=not tags.allow_nan, reset=reset)
    if X.dtype.kind == "f":
        check_not_infinite(X, None)
    return X


def column_names(X: Any) -> list[str] | None:
    """The names of a table's columns; None for arrays."""
    frame = _as_frame(X)
    return None if frame is None else [str(name) for name in frame.columns]


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
            values = np.array(column.cast(nw.String).to_list(), dtype=object)
            values[column.is_null().to_numpy()] = None  # the text "nan" under pandas 2
            return j, values
    elif X.dtype == object:
        return j, X[:, j]
    return numeric_column(X, j, argument)


def named_columns(X: Any) -> Iterator[tuple[str | int, Any]]:
    """Name and values of every column of a table, of arrays its number: float64, or objects, None where missing."""
    frame = _as_frame(X)
    if frame is None:
        yield from enumerate(np.asarray(X).T)
        return
    for column in frame.iter_columns():
        if _is_numeric(column):
            yield str(column.name), _numbers(column)
            continue
        values = np.empty(len(column), dtype=object)
        values[:] = [None if null else v for v, null in zip(column.to_list(), column.is_null().to_list(), strict=True)]
        yield str(column.name), values


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
