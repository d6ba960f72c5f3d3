"""Rows as they are given to `fit`: labels, weights, groups, evaluation sets, and those that are held out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils.validation import column_or_1d

from gbreg._checks import Floats, check_carried, check_one_dimensional, check_sample_weight, refuse_times
from gbreg._columns import Columns, Table, check_columns


@dataclass(frozen=True)
class Sample:
    """Rows of a table, with their labels and weights (float64, of shape (n_samples,)); `weight` None counts each once."""

    table: Table
    y: Floats
    weight: Floats | None = None

    @classmethod
    def of(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        weight: ArrayLike | None,
        columns: Columns | None = None,
        carried: Mapping[str, Any] = MappingProxyType({}),
    ) -> Sample:
        """Rows as an estimator is given them, each column of the table read by those of the training rows, or by its own."""
        table = carrying(Table.of(X, columns), carried)
        labels = y if isinstance(X, Table) else as_labels(estimator, y)  # whoever read the table has checked them
        if labels.size != table.shape[0]:
            raise ValueError(f"X has {table.shape[0]:,} rows and y has {labels.size:,}: they must have the same number")
        return cls(table, labels, None if weight is None else check_sample_weight(weight, labels.size))

    @property
    def censored(self) -> Any:
        """Whether each label is only known to be at least so large; None where `fit` was not told."""
        mask = self.table.carried.get("censored")
        return None if mask is None else mask > 0

    @property
    def counting(self) -> Any:
        """The numbers of the rows of positive weight: engines would find bins and count leaves by the others too."""
        return np.arange(self.y.size) if self.weight is None else np.flatnonzero(self.weight)

    def take(self, index: Any) -> Sample:
        """The rows of an increasing index."""
        if index.size == self.y.size:
            return self
        weight = None if self.weight is None else self.weight[index]
        return Sample(self.table.take(index), self.y[index], weight)

    def named(self, names: Any) -> Sample:
        """Of a table that scikit-learn knows by those names of columns."""
        return replace(self, table=replace(self.table, named=names))


_HUGE = float(np.finfo(np.float32).max)


def carrying(table: Table, carried: Mapping[str, Any]) -> Table:
    """A table whose rows also bring the given columns, by name; those that are None are left out.

    Raises
    ------
    ValueError
        For another length, what is missing or infinite, and an exposure that is not positive.
    """
    columns = {name: values for name, values in carried.items() if values is not None}
    if not columns:
        return table
    return replace(table, carried={name: check_carried(values, name, table.shape[0]) for name, values in columns.items()})


def read_with(X: Any, carried: Mapping[str, Any]) -> Any:
    """X as it is or, where something is given, as a table whose rows bring that."""
    if all(values is None for values in carried.values()):
        return X
    known = BaseEstimator()
    check_columns(known, X, reset=True)
    return carrying(replace(Table.of(X), named=getattr(known, "feature_names_in_", None)), carried)


def carried_of(X: Any) -> dict[str, Floats]:
    """What the rows of X bring beside their features."""
    return X.carried if isinstance(X, Table) else {}


def asked_of(carried: Iterable[str]) -> tuple[str, ...]:
    """What of that rows must bring to `predict` too."""
    return tuple(name for name in carried if name != "censored")


def given_to(model: Any, brought: Mapping[str, Any]) -> dict[str, Any]:
    """What of that rows bring a fitted model is to be given at `predict`: it asks by name for what is missing."""
    fitted = getattr(getattr(model, "best_estimator_", model), "carried_", ())
    return {name: values for name, values in brought.items() if values is not None and name in fitted}


def check_same(given: set[str], fitted: set[str], prefix: str = "") -> None:
    """`ValueError` where rows bring something else than those of the training did."""
    for name in sorted(fitted - given):
        raise ValueError(f"{prefix}{name} is missing: fit was given {name}=, and every row needs its own")
    for name in sorted(given - fitted):
        raise ValueError(f"{prefix}{name}: fit was given none: leave it out, or fit with {name}=")


def check_groups(groups: Any, n: int) -> Any:
    """Groups as an array of shape (n,), None where None is given; `ValueError` for another length or missing groups."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    check_one_dimensional(groups, "groups", n)
    missing = groups != groups if groups.dtype.kind in "fcmM" else np.asarray([g is None or g != g for g in groups.ravel()])
    if missing.any():
        raise ValueError(f"groups: {missing.sum():,} of {n:,} are missing: give rows that belong to none a group each")
    return groups


def hold_out(n: int, fraction: float, random_state: Any, groups: Any = None) -> tuple[Any, Any]:
    """Which of n rows train, and which random share is held out: two increasing arrays of indices.

    With groups the share is one of groups, each of which lies on one side.
    """
    if groups is not None:
        if np.unique(groups).size < 2:
            raise ValueError(f"groups: all {n:,} rows are of one group, none can be held out: pass eval_set=")
        split = GroupShuffleSplit(1, test_size=fraction, random_state=random_state)
        return tuple(np.sort(part) for part in next(split.split(np.empty((n, 0)), groups=groups)))  # type: ignore[return-value]
    held = int(np.ceil(fraction * n))
    if held >= n:
        raise ValueError(
            f"validation_fraction={fraction} with n_samples={n} leaves no row for training: pass eval_set=, or set "
            "early_stopping_rounds=None and calibration=None"
        )
    order = check_random_state(random_state).permutation(n)
    return np.sort(order[held:]), np.sort(order[:held])


def as_pairs(eval_set: Any, eval_sample_weight: Any) -> list[tuple[Any, Any]]:
    """``eval_set`` as a list of ((X, y), weight); `ValueError` where it is neither a pair nor a list of pairs."""
    if eval_set is None:
        of_sets(eval_sample_weight, 0, "eval_sample_weight")
        return []
    pairs = eval_set if isinstance(eval_set, list) else [eval_set]
    weights = of_sets(eval_sample_weight, len(pairs), "eval_sample_weight")
    for i, pair in enumerate(pairs):
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise ValueError(f"eval_set[{i}] must be a pair (X, y), got {type(pair).__name__}")
    return list(zip(pairs, weights, strict=True))


def of_sets(values: Any, n: int, name: str) -> list[Any]:
    """One array for each of n evaluation sets: those of a list, or the same for all."""
    if n == 0 and values is not None:
        raise ValueError(f"{name}= belongs to the rows of eval_set=, which is not given: give that too")
    each = values if isinstance(values, list) else [values] * n
    if len(each) != n:
        raise ValueError(f"{name} lists {len(each)} arrays for {n} evaluation sets: a list holds one array for each set")
    return each


def as_labels(estimator: Any, y: ArrayLike | None) -> Floats:
    """Labels as float64 of shape (n_samples,); `ValueError` for what is missing, NaN, infinite or no number."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    given = column_or_1d(y, warn=True)
    refuse_times(given, "y")
    try:
        labels: Floats = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must be numbers, got {given.dtype} values such as {given[0]!r}") from error
    if np.isnan(labels).any():
        wrong = np.flatnonzero(np.isnan(labels))
        raise ValueError(
            f"Input y contains NaN: {wrong.size:,} of {labels.size:,} labels (first at row {wrong[0]}): drop them"
        )
    refuse_huge(labels)
    return labels


def refuse_huge(labels: Floats) -> None:
    """Raise `ValueError` for labels, of one column or several, that float32 cannot hold; NaN is none of them."""
    wrong = np.flatnonzero((np.abs(labels) > _HUGE).reshape(len(labels), -1).any(axis=1))
    if wrong.size:
        raise ValueError(
            f"Input y contains infinity or a value too large for dtype('float32'), in which engines keep labels: "
            f"{wrong.size:,} of {len(labels):,} (first at row {wrong[0]}): drop or rescale them"
        )
