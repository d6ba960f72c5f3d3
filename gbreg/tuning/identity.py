"""What a study was asked: columns, rows, split, models and fixed parameters. Trials of another question do not count."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from gbreg._checks import Floats, check_sample_weight
from gbreg._columns import Table, named_columns
from gbreg.estimators.rows import carried_of
from gbreg.metrics import Metric
from gbreg.tuning.folds import Fold, as_table
from gbreg.tuning.question import Question
from gbreg.tuning.recipes import Search

# What changes no score.
_NO_MATTER = ("n_jobs", "verbose")
# Of tables with more columns one hash is stored of all: MySQL keeps 64 kB of what a study is stored with.
_MANY = 500
# Rows of an array hashed at a time, so that its columns come out of the processor's cache.
_BLOCK = 4096


def identity(question: Question, X: Any, y: Floats, sample_weight: Any, seed: int) -> dict[str, Any]:
    """The question as JSON keeps it: the same in every process and version, and for the same table in every format."""
    search, folds = question.search, question.folds
    weight = None if sample_weight is None else check_sample_weight(sample_weight, y.size)
    given = [fold.test for fold in folds if fold.rows is None]
    asked = {
        "metric": question.metric_names,
        "columns": _columns(X),
        "rows": _rows(y, weight) | _carried(X),
        "eval_set": [[_columns(X_), _rows(y_, w_) | _carried(X_)] for X_, y_, w_ in given],
        "split": _split(folds),
        "models": [label or type(model).__name__ for label, (model, _) in search.models.items()],
        "parameters": {label: _fixed(search, label, question.early_stopping_rounds) for label in search.models},
        "space": search.kinds(),
        "seed": int(seed),
    }
    return json.loads(json.dumps(asked))  # type: ignore[no-any-return]


def differences(had: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In which words the question asked now differs from the one that a study had; none if it does not."""
    same_rows = had["rows"]["n"] == now["rows"]["n"]
    found = [*_then_and_now("metric", had, now)]
    found += [*_of_columns(had["columns"], now["columns"], same_rows), *_of_rows(had["rows"], now["rows"])]
    if had["eval_set"] != now["eval_set"]:
        found.append("other rows in eval_set")
    elif had["split"] != now["split"] and same_rows:
        found.append("rows split otherwise, by seed=, cv=, groups=, time=, validation_fraction= or calibration")
    found += [*_then_and_now("seed", had, now), *_then_and_now("models", had, now)]
    return found if had["models"] != now["models"] else [*found, *_of_parameters(had, now)]


# -- the models -----------------------------------------------------------------------------------------------------------


def _fixed(search: Search, label: str, early_stopping_rounds: int | None) -> dict[str, Any]:
    """Every parameter of a model that no trial changes, under the name that `set_params` takes."""
    model, space = search.models[label]
    moving = {*search.shared.ranges, *_NO_MATTER}
    given = model.get_params()
    given |= {k: early_stopping_rounds for k, v in given.items() if _leaf(k) == "early_stopping_rounds" and v is None}
    return {k: _described(v) for k, v in given.items() if k not in space.ranges and _leaf(k) not in moving}


def _leaf(name: str) -> str:
    return re.split(r"__|\.", name)[-1]


def _described(value: Any) -> Any:
    """A parameter as JSON: of an estimator or loss its type, for its own parameters are beside it."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if np.isfinite(value) else repr(value)
    if isinstance(value, list | tuple):
        return [_described(v) for v in value]
    if isinstance(value, dict):
        return {str(k): _described(v) for k, v in value.items()}
    if isinstance(value, np.ndarray):
        return f"array of shape {value.shape}, {_digest(value)}"
    if isinstance(value, np.random.RandomState):
        _, key, place, *_ = value.get_state(legacy=True)
        return f"RandomState {_digest(np.append(key, place))}"
    if isinstance(value, Metric):
        return value.name
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "get_params"):
        return type(value).__name__
    return re.sub(r" at 0x\w+", "", repr(value))  # an address is another in every process


# -- the rows -------------------------------------------------------------------------------------------------------------


def _columns(X: Any) -> Any:
    """Names with a hash of the values each; of sparse matrices and many columns their number and one hash."""
    X = as_table(X)
    if isinstance(X, Table):
        names = range(X.shape[1]) if X.columns.names is None else X.columns.names
        dense = not scipy.sparse.issparse(X.values)
        return [[name, _digest(X.segments(j)[1])] for j, name in enumerate(names)] if dense else _columns(X.values)
    if scipy.sparse.issparse(X):
        X = X.copy()
        X.sum_duplicates()
        X.eliminate_zeros()
        return {"n": X.shape[1], "hash": _digest(X.data.astype(np.float64), X.indices.astype(np.int64), X.indptr)}
    columns = _of_array(X) if isinstance(X, np.ndarray) else [[name, _digest(values)] for name, values in named_columns(X)]
    if len(columns) <= _MANY:
        return columns
    return {"n": len(columns), "hash": blake2b(json.dumps(columns).encode(), digest_size=8).hexdigest()}


def _of_array(X: NDArray[Any]) -> list[list[Any]]:
    """The same of an array, whose columns have numbers, in blocks of rows."""
    if X.ndim != 2 or X.dtype.kind not in "fiub":
        return [[j, _digest(column)] for j, column in enumerate(X.T)]
    hashes = [blake2b(digest_size=8) for _ in range(X.shape[1])]
    for start in range(0, X.shape[0], _BLOCK):
        block = _bytes(np.asarray(X[start : start + _BLOCK].T, order="C"))
        for one, column in zip(hashes, block, strict=True):
            one.update(column)
    return [[j, one.hexdigest()] for j, one in enumerate(hashes)]


def _rows(y: Floats, weight: Floats | None) -> dict[str, Any]:
    return {"n": int(y.size), "labels": _digest(y), "weights": None if weight is None else _digest(weight)}


def _carried(X: Any) -> dict[str, str]:
    return {name: _digest(values) for name, values in carried_of(X).items()}


def _split(folds: Sequence[Fold]) -> str:
    """A hash of the rows that train, are measured, and are watched where those are others."""
    parts: list[Any] = []
    for fold in folds:
        parts += () if fold.rows is None else (np.asarray(part) for part in fold.rows)
        parts += () if fold.watched is fold.test else (fold.watched[1],)
    return _digest(*parts, *[np.asarray([np.size(part) for part in parts])])


def _digest(*arrays: Any) -> str:
    """A hash of values: the same for equal numbers, whatever their type."""
    found = blake2b(digest_size=8)
    for values in arrays:
        if values.dtype.kind in "fiub":
            found.update(_bytes(np.ascontiguousarray(values)))
        else:
            found.update(json.dumps([None if v is None or v != v else str(v) for v in values.ravel()]).encode())
    return found.hexdigest()


def _bytes(values: NDArray[Any]) -> Any:
    """As little-endian float64 of one zero and one NaN."""
    numbers = np.asarray(values, dtype="<f8") + 0.0
    numbers[np.isnan(numbers)] = np.nan
    return numbers


# -- words ----------------------------------------------------------------------------------------------------------------


def _then_and_now(what: str, had: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if had[what] != now[what]:
        yield f"{what} {had[what]!r} then, {now[what]!r} now"


def _of_parameters(had: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    before, after = _said(had), _said(now)
    names: list[str] = []
    for name in sorted({**before, **after}, key=lambda name: name.count("__")):
        of_another = any(name.startswith(f"{other}__") for other in names)  # where the loss is another, its parameters are
        if before.get(name) != after.get(name) and not of_another:
            names.append(name)
    changed: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        changed.setdefault((_leaf(name), before.get(name, "absent"), after.get(name, "absent")), []).append(name)
    said = [
        f"{leaf if len(places) > 1 else places[0]} {then} then, {at_last} now"
        for (leaf, then, at_last), places in changed.items()
    ]
    return said[:5] + ([f"{len(said) - 5} parameters more"] if len(said) > 5 else [])


def _said(asked: Mapping[str, Any]) -> dict[str, str]:
    """Of every parameter its value, or how it is searched."""
    several = len(asked["models"]) > 1
    fixed = ((f"{label}." if several else "", k, v) for label, own in asked["parameters"].items() for k, v in own.items())
    said = {f"{prefix}{k}": repr(value) for prefix, k, value in fixed}
    return said | {k: f"searched ({kind})" for k, kind in asked["space"].items()}


def _of_columns(had: Any, now: Any, same_rows: bool) -> Iterator[str]:
    if had == now:
        return
    if isinstance(had, dict) or isinstance(now, dict):
        counts = [f"{of['n'] if isinstance(of, dict) else len(of):,}" for of in (had, now)]
        yield "other values in the columns" if counts[0] == counts[1] else f"{counts[0]} columns then, {counts[1]} now"
        return
    before, after = dict(had), dict(now)
    gone, new = ([name for name in a if name not in b] for a, b in ((before, after), (after, before)))
    if gone:
        yield f"{_names(gone)} missing now"
    if new:
        yield f"{_names(new)} new"
    if not (gone or new) and list(before) != list(after):
        yield "columns in another order"
    changed = [name for name in before if name in after and before[name] != after[name]]
    if changed and same_rows:
        yield f"other values in {_names(changed)}"


def _of_rows(had: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if had["n"] != now["n"]:
        yield f"{had['n']:,} rows then, {now['n']:,} now"
        return
    if had["labels"] != now["labels"]:
        yield "other labels"
    if had["weights"] != now["weights"]:
        given = [of["weights"] is not None for of in (had, now)]
        yield "other weights" if all(given) else "weights then, none now" if given[0] else "weights now, none then"
    for name in ("offset", "exposure"):
        if had.get(name) != now.get(name):
            yield f"other {name}" if name in had and name in now else f"{name} {'then' if name in had else 'now'} alone"


def _names(columns: Sequence[Any]) -> str:
    shown = ", ".join(map(repr, columns[:5])) + (f" and {len(columns) - 5:,} more" if len(columns) > 5 else "")
    return f"column {shown}" if len(columns) == 1 else f"columns {shown}"
