"""What a trial trains on, and what it is measured on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from types import MappingProxyType
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import GroupKFold, KFold, TimeSeriesSplit
from sklearn.utils import check_consistent_length

from gbreg._checks import Floats, check_one_dimensional, check_sample_weight
from gbreg._columns import Table, check_features, n_rows, take_rows
from gbreg.estimators.base import BoostedRegressor
from gbreg.estimators.rows import (
    as_labels,
    as_pairs,
    carried_of,
    check_groups,
    check_same,
    hold_out,
    of_sets,
    read_with,
)

Part = tuple[Any, Floats, Floats | None]


@dataclass(frozen=True)
class Fold:
    """Rows (X, y, weight) to train on, to measure on, and to stop early and calibrate by: these, if not those measured.

    `rows` are the numbers of those that train or are watched and of those measured; None where these were given apart. `how`
    says in words which are measured.
    """

    train: Part
    test: Part
    watched: Part
    rows: tuple[Any, Any] | None = None
    how: str = ""


def make_folds(
    estimator: Any,
    X: Any,
    y: Any,
    sample_weight: ArrayLike | None = None,
    *,
    cv: Any = None,
    eval_set: Any = None,
    eval_sample_weight: Any = None,
    eval_carried: Mapping[str, Any] = MappingProxyType({}),
    groups: Any = None,
    time: ArrayLike | None = None,
    validation_fraction: float = 0.2,
    calibrated: bool = False,
    seed: int = 0,
) -> list[Fold]:
    """The folds that `tune` describes; `calibrated` models watch rows of their own, held out of those that train."""
    if not (isinstance(validation_fraction, Real) and 0 < validation_fraction < 1):
        raise ValueError(f"validation_fraction={validation_fraction!r} must lie in (0, 1): a fifth of the rows is 0.2")
    if eval_set is None and eval_sample_weight is not None:
        raise ValueError("eval_sample_weight= weighs the rows of eval_set=: give that too, or weigh all by sample_weight=")
    for name, values in eval_carried.items():
        if eval_set is None and values is not None:
            raise ValueError(f"eval_{name}= belongs to the rows of eval_set=: give that too, or {name}= for all rows")
    labels = as_labels(estimator, y)
    n = labels.size
    weight = None if sample_weight is None else check_sample_weight(sample_weight, n)
    groups = check_groups(groups, n)
    rows = (as_table(X), labels, weight)
    if isinstance(estimator, BoostedRegressor):
        Table.of(rows[0])  # what no trial could take is refused before the first
    check_consistent_length(*rows[:2])
    if eval_set is not None:
        if not (cv is None and time is None):
            raise ValueError("eval_set= says what trials are measured on: leave out cv= and time=")
        test = _given(estimator, rows[0], eval_set, eval_sample_weight, eval_carried)
        return [_fold(rows, test, groups, calibrated, seed, None, "given as eval_set")]
    splits = not (cv is None or isinstance(cv, Integral))
    how = "the latest" if time is not None else "as cv= splits them" if splits else "drawn at random"
    how += "" if groups is None else ", whole groups together"
    folds = []
    for inside, outside in _splits(n, cv, groups, time, validation_fraction, seed):
        held = None if groups is None else groups[inside]
        folds.append(_fold(_take(rows, inside), _take(rows, outside), held, calibrated, seed, (inside, outside), how))
    return folds


def held_out_words(folds: Sequence[Fold]) -> str:
    """Which rows trials are measured on, in a sentence.

    >>> held_out_words([Fold((None, np.zeros(8000), None), *[(None, np.zeros(2000), None)] * 2, how="the latest")])
    'Every trial trains on 8,000 rows and is measured on 2,000 others, the latest.'
    """
    first = folds[0]
    words = (
        f"Every trial trains on {first.train[1].size:,} rows and is measured on {first.test[1].size:,} others, {first.how}"
    )
    if len(folds) > 1:
        words += f"; this {len(folds)} times, on other rows each time (here the first), and its score is the mean"
    if first.watched is not first.test:
        words += f"; it stops early and calibrates by {first.watched[1].size:,} rows that neither train nor measure"
    return words + "."


def as_table(X: Any) -> Any:
    """X with rows that can be taken: lists become arrays, sparse matrices CSR."""
    if scipy.sparse.issparse(X):
        return X.tocsr()
    return np.asarray(X) if isinstance(X, list | tuple) else X


def _given(estimator: Any, X_train: Any, eval_set: Any, eval_sample_weight: Any, carried: Mapping[str, Any]) -> Part:
    pairs = as_pairs(eval_set, eval_sample_weight)
    if len(pairs) != 1:
        raise ValueError(f"eval_set lists {len(pairs)} pairs: trials are measured on one, give one (X, y), or cv=")
    (X, y), weight = pairs[0]
    labels = as_labels(estimator, y)
    check_consistent_length(X, labels)
    X, estimator = as_table(X), clone(estimator)
    try:
        check_features(estimator, X_train, reset=True)
        check_features(estimator, X, reset=False)
        X = read_with(X, {name: of_sets(values, 1, f"eval_{name}")[0] for name, values in carried.items()})
        check_same(set(carried_of(X)), set(carried_of(X_train)), "eval_")
    except ValueError as error:
        raise ValueError(f"eval_set: {error}") from error
    return X, labels, None if weight is None else check_sample_weight(weight, labels.size, "eval_sample_weight")


def _splits(n: int, cv: Any, groups: Any, time: Any, fraction: float, seed: int) -> Iterable[tuple[Any, Any]]:
    if isinstance(cv, Integral):
        most, what = (n, "rows") if groups is None else (np.unique(groups).size, "groups")
        if not 2 <= int(cv) <= most - (time is not None):
            raise ValueError(
                f"cv={cv} must be at least 2 folds, and no more than {most:,} {what} allow: or a splitter, or None for one "
                "held-out share of the rows"
            )
    if time is not None:
        return _by_time(n, cv, groups, time, fraction)
    if cv is None:
        return [hold_out(n, fraction, seed, groups)]
    if isinstance(cv, Integral):
        cv = KFold(cv, shuffle=True, random_state=seed) if groups is None else GroupKFold(cv)
    if hasattr(cv, "split") and not isinstance(cv, str):
        return cv.split(np.empty((n, 0)), groups=groups)  # type: ignore[no-any-return]
    splits = list(cv) if isinstance(cv, Iterable) else []
    if not splits or not all(isinstance(split, tuple | list) and len(split) == 2 for split in splits):
        raise ValueError(f"cv={cv!r:.60} must be a number of folds, a splitter, a list of (train, test), or None")
    return splits


def _by_time(n: int, cv: Any, groups: Any, time: Any, fraction: float) -> list[tuple[Any, Any]]:
    """The latest share of the rows, or `cv` stretches, each after all that trains for it; equal times are not parted."""
    if groups is not None:
        raise ValueError("time= and groups= exclude each other, for customers come again: pass the splits you want as cv=")
    if not (cv is None or isinstance(cv, Integral)):
        raise ValueError(f"time= cuts the rows itself: cv must be a number of folds or None, got {type(cv).__name__}")
    when = np.asarray(time)
    check_one_dimensional(when, "time", n)
    missing = np.array([t is None or t != t for t in when]) if when.dtype == object else when != when
    if missing.any():
        raise ValueError(f"time: {missing.sum():,} of {n:,} are missing: drop those rows, or say when they were")
    moments, place = np.unique(when, return_inverse=True)
    if moments.size < 2:
        raise ValueError(f"time: all {n:,} rows have the time {moments[0]}: nothing comes after, leave it out")
    order = np.argsort(place, kind="stable")
    if cv is None:
        starts = [order[n - max(1, round(fraction * n))]]
        ends = [None]
    else:
        parts = [test for _, test in TimeSeriesSplit(cv).split(order)]
        starts, ends = [order[test[0]] for test in parts], [*(order[test[0]] for test in parts[1:]), None]
    splits = []
    for start, end in zip(starts, ends, strict=True):
        first = max(int(place[start]), 1)
        last = moments.size if end is None else int(place[end])
        splits.append((np.flatnonzero(place < first), np.flatnonzero((place >= first) & (place < last))))
    return [split for split in splits if split[1].size]


def _fold(train: Part, test: Part, groups: Any, calibrated: bool, seed: int, rows: tuple[Any, Any] | None, how: str) -> Fold:
    if not calibrated:
        return Fold(train, test, test, rows, how)
    inside, outside = hold_out(n_rows(train[0]), 0.1, seed, groups)
    return Fold(_take(train, inside), test, _take(train, outside), rows, how)


def _take(rows: Part, index: Any) -> Part:
    X, y, weight = rows
    return take_rows(X, index), y[index], None if weight is None else weight[index]
