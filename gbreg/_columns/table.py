"""Tables of any kind -> the numeric matrix that engines train on, the same at fit and at predict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import scipy.sparse
from sklearn.utils.validation import check_array

from gbreg._checks import Floats, refuse_times
from gbreg._columns.frames import (
    PLAIN,
    as_frame,
    check_not_infinite,
    is_numeric,
    is_plain,
    largest,
    numbers,
    numeric_column,
    place_of,
)
from gbreg._columns.ranks import HUGE, learn_knots, ranks_of
from gbreg.engines import Engine, Features


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
        frame = as_frame(X)
        if frame is None:
            return cls()
        categories = {}
        for j, column in enumerate(frame.iter_columns()):
            if isinstance(column.dtype, nw.Categorical | nw.Enum):
                seen = column.drop_nulls().cast(nw.String).unique().to_list()
                categories[j] = tuple(sorted(seen))
            elif not is_numeric(column):
                raise TypeError(
                    f"column {column.name!r} holds {column.dtype}: cast text to a categorical dtype (in pandas "
                    ".astype('category')), turn times into numbers (age in days, hour, weekday), or drop the column"
                )
        return cls(tuple(str(c) for c in frame.columns), categories)

    @classmethod
    def union(cls, parts: Sequence[Columns]) -> Columns | None:
        """The columns of a table that several were learnt from, each of some of its rows; None of none."""
        if not parts:
            return None
        seen = {j: sorted({text for part in parts for text in part.categories[j]}) for j in parts[0].categories}
        return cls(parts[0].names, {j: tuple(texts) for j, texts in seen.items()})

    def matrix(self, X: Any) -> Features:
        """The features of a table with these columns; `ValueError` for infinite values and misshapen input."""
        if is_plain(X) and not (self.categories or self.ranked) and largest(X) <= HUGE:
            return Features(X, names=self.names)
        table = Table.of(X, self)
        values = _recoded(table.values, table.columns.categories, self.categories)
        values = self._within(self._as_ranks(values))
        return Features(values, tuple(self.categories), self.names, self._held(table), tuple(self.ranked))

    def _held(self, table: Table) -> tuple[tuple[Any, ...], ...]:
        """The categories as a table of training rows holds them."""
        if not table.held:
            return ()
        of = zip(self.categories.items(), table.columns.categories.values(), table.held, strict=True)
        return tuple(tuple(held[every.index(text)] for text in own) for (_, own), every, held in of)

    def _as_held(self, X: Any) -> tuple[tuple[Any, ...], ...]:
        """The categories of every categorical column as the table holds them; none, where a model file could not."""
        if not self.categories:
            return ()
        every = []
        columns = list(as_frame(X).iter_columns())
        for j, categories in self.categories.items():
            seen = columns[j].drop_nulls().unique()
            own = dict(zip(seen.cast(nw.String).to_list(), seen.to_list(), strict=True))
            every.append(tuple(own[text] for text in categories))
        plain = all(isinstance(value, str | int | float) for values in every for value in values)
        return tuple(every) if plain else ()

    def _values(self, X: Any) -> Any:
        """X as an array or CSR matrix, categories as codes."""
        frame = as_frame(X)
        if frame is None:
            refuse_times(X if isinstance(X, np.ndarray) else np.empty(0), "X")
            values = check_array(X, accept_sparse="csr", dtype=PLAIN, ensure_all_finite=False, input_name="X")
            if scipy.sparse.issparse(values):  # no engine takes sparse arrays, nor CatBoost long indices
                values = scipy.sparse.csr_matrix((values.data, values.indices, values.indptr), shape=values.shape)
        else:
            whole = frame.to_numpy() if set(frame.schema.values()) == {nw.Float64} else None
            if whole is not None and whole.dtype == np.float64:  # objects, where pandas holds its own missing value
                values = whole
            else:
                values = np.empty((len(frame), len(frame.columns)), dtype=np.float64)
                for j, column in enumerate(frame.iter_columns()):
                    values[:, j] = self._codes(column, j) if j in self.categories else numbers(column)
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
        if held.dtype == np.float32 or not held.size or largest(held) <= HUGE:
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


@dataclass(frozen=True)
class Table:
    """A table read once, which our estimators hand to each other in the place of X.

    Parameters
    ----------
    values : ndarray or scipy.sparse CSR of shape (n_samples, n_features)
        Categories as codes, NaN where missing.
    columns : Columns
        What the codes stand for.
    held : tuple of tuple
        The categories as the table holds them; none, where a model file could not.
    named : ndarray of str, optional
        The names that scikit-learn knows its columns by.
    carried : dict of str to ndarray of shape (n_samples,)
        What a row brings beside its features: "offset", "exposure".
    """

    values: Any
    columns: Columns
    held: tuple[tuple[Any, ...], ...] = ()
    named: Any = None
    carried: dict[str, Floats] = field(default_factory=dict)

    @classmethod
    def of(cls, X: Any, columns: Columns | None = None) -> Table:
        """Read X by these columns; without them, by its own."""
        if isinstance(X, Table):
            return X
        if columns is not None:
            return cls(columns._values(X), columns)
        columns = Columns.of(X)
        return cls(columns._values(X), columns, columns._as_held(X))

    @property
    def shape(self) -> tuple[int, int]:
        return self.values.shape  # type: ignore[no-any-return]

    def name(self, estimator: Any) -> None:
        """Let an estimator know its columns by what scikit-learn would of the table."""
        estimator.n_features_in_ = self.shape[1]
        if self.named is not None:
            estimator.feature_names_in_ = self.named

    def take(self, index: Any) -> Table:
        """Those rows."""
        carried = {name: values[index] for name, values in self.carried.items()}
        return replace(self, values=self.values[index], carried=carried)

    def segments(self, j: int) -> tuple[int, Any]:
        """Column j as `segment_column` has it."""
        column = self.values[:, [j]].toarray().ravel() if scipy.sparse.issparse(self.values) else self.values[:, j]
        if j not in self.columns.categories:
            return j, column
        texts = [*self.columns.categories[j], None]
        return j, np.array(texts, dtype=object)[np.where(np.isnan(column), len(texts) - 1, column).astype(np.intp)]

    def learn(self, engine: Engine, max_bins: int) -> Columns:
        """The columns with the categories of these rows, and the ranks that the engine needs to tell their values apart."""
        categories, ranked = {}, {}
        for j, column in _each_column(self.values):
            if j in self.columns.categories:
                seen = np.unique(column[~np.isnan(column)]).astype(np.intp)
                categories[j] = tuple(self.columns.categories[j][code] for code in seen)
            elif (knots := learn_knots(column, engine.stored, max_bins)) is not None:
                ranked[j] = knots
        return replace(self.columns, categories=categories, ranked=ranked)


def _each_column(values: Any) -> Iterator[tuple[int, Floats]]:
    """Numbers and values of the columns; of a sparse matrix what they hold, and one 0 for all it leaves out."""
    if not scipy.sparse.issparse(values):
        yield from enumerate(values.T)
        return
    by_column = values.tocsc()
    for j in np.flatnonzero(np.diff(by_column.indptr)):
        held = by_column.data[by_column.indptr[j] : by_column.indptr[j + 1]]
        yield int(j), held if held.size == values.shape[0] else np.append(held, held.dtype.type(0))


def _recoded(values: Any, had: dict[int, tuple[str, ...]], wanted: dict[int, tuple[str, ...]]) -> Any:
    """Values whose codes of categories `had` become those of `wanted`, NaN where that lacks one; a copy, if any differ."""
    changed = [j for j in had if had[j] != wanted[j]]
    values = values.copy() if changed else values
    for j in changed:
        place = {category: float(code) for code, category in enumerate(wanted[j])}
        code = np.array([place.get(category, np.nan) for category in had[j]])
        known = ~np.isnan(values[:, j])
        values[known, j] = code[values[known, j].astype(np.intp)]
    return values


def segment_column(X: Any, which: str | int, argument: str) -> tuple[int, Any]:
    """Place and values of one column: float64, NaN where missing, or text, None where missing, if it holds no numbers."""
    if isinstance(X, Table):
        return X.segments(place_of(which, X.columns.names, X.shape[1], argument))
    frame = as_frame(X)
    j = place_of(which, None if frame is None else frame.columns, X.shape[1], argument)
    if frame is not None:
        column = next(islice(frame.iter_columns(), j, None))
        if not is_numeric(column):
            values = np.array(column.cast(nw.String).to_list(), dtype=object)
            values[column.is_null().to_numpy()] = None  # the text "nan" under pandas 2
            return j, values
    elif X.dtype == object:
        return j, X[:, j]
    return numeric_column(X, j, argument)


def take_rows(X: Any, index: Any) -> Any:
    """Those rows of a table, in its own kind, an array, a CSR or a CSC matrix."""
    if isinstance(X, Table):
        return X.take(index)
    frame = as_frame(X)
    return X[index] if frame is None else frame[index].to_native()


def n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)


def with_column(X: Any, name: str, values: Floats) -> Any:
    """X with one more column, the last: a table in its own kind, an array, or a sparse matrix in its own format."""
    frame = as_frame(X)
    if frame is not None:
        return frame.with_columns(nw.new_series(name, values, nw.Float64, backend=frame.implementation)).to_native()
    if scipy.sparse.issparse(X):
        return scipy.sparse.hstack([X, values[:, None]], format=X.format)
    return np.column_stack([X, values.astype(X.dtype) if X.dtype in PLAIN else values])
