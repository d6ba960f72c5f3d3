"""What estimators made of others share: their parts' data, and fitting them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral
from types import MappingProxyType
from typing import Any

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.model_selection import GroupKFold, KFold, check_cv
from sklearn.utils import check_consistent_length
from sklearn.utils.validation import has_fit_parameter

from gbreg._checks import Floats, check_sample_weight
from gbreg._columns import Columns, Table, check_features, column_names, take_rows
from gbreg.estimators.base import BoostedRegressor
from gbreg.estimators.model import Model, boosters_in
from gbreg.estimators.rows import as_pairs, carried_of, check_same, of_sets, read_with


def fit_part(
    estimator: Any,
    X: Any,
    y: Floats,
    weight: Floats | None,
    sets: list[Any],
    callbacks: Sequence[Any] | None = None,
    groups: Any = None,
) -> Any:
    """A fitted clone; `ValueError` for weights, evaluation sets (X, y, weight), callbacks or groups where it takes none."""
    estimator = clone(estimator)
    arguments: dict[str, Any] = {}
    if weight is not None:
        arguments["sample_weight"] = weight
    if sets:
        arguments["eval_set"] = [(X_, y_) for X_, y_, _ in sets]
        if any(w is not None for *_, w in sets):
            arguments["eval_sample_weight"] = [w for *_, w in sets]
    if callbacks is not None:
        arguments["callbacks"] = callbacks
    if groups is not None:
        arguments["groups"] = groups
    for name in arguments:
        if not has_fit_parameter(estimator, name):
            raise ValueError(f"{name}: {type(estimator).__name__} takes none; leave it out, or use another part")
    return estimator.fit(X, y, **arguments)


def takes_none(estimator: Any, argument: str) -> Any:
    """The estimator, or the part that it hands its own arguments of `fit`, that lacks one; None if all have it."""
    if not has_fit_parameter(estimator, argument):
        return estimator
    values = estimator.get_params(deep=False).values() if isinstance(estimator, Model) else ()
    parts = (value for value in values if hasattr(value, "fit") and (is_regressor(value) or is_classifier(value)))
    return next((lacking for part in parts if (lacking := takes_none(part, argument)) is not None), None)


def check_unconstrained(estimator: Any, X: Any, column: int, why: str) -> None:
    """`ValueError` where a booster inside the estimator keeps a monotone constraint along a column, which `why` breaks."""
    for part in (estimator, *estimator.get_params().values()):
        monotone = part.constraints() if isinstance(part, BoostedRegressor) else None
        if monotone and monotone.placed(X.shape[1], _names(X))[column]:
            raise ValueError(f"{why}: in its {monotone.argument} give that column 0")


def check_constraints(estimator: Any, X: Any) -> None:
    """`ValueError` where a booster inside has a monotone constraint along a column that X lacks or that is categorical."""
    for booster in boosters_in(estimator):
        if monotone := booster.constraints():
            columns = X.columns if isinstance(X, Table) else Columns.of(X)
            monotone.placed(np.shape(X)[1], columns.names, columns.categories)


def check_both_ways(parts: Mapping[str, Any], X: Any) -> None:
    """`ValueError` where a part of a product has `monotone` along a column, and another not the same sign there."""
    boosters = {who: list(boosters_in(part)) for who, part in parts.items()}
    if not any(booster.monotone for each in boosters.values() for booster in each):
        return
    signs = {who: _common([b.constraints().placed(X.shape[1], _names(X)) for b in each]) for who, each in boosters.items()}
    for j in range(X.shape[1]):
        found = {who: of[j] if of else 0 for who, of in signs.items()}
        if len(set(found.values())) > 1:
            column = repr(names[j]) if (names := _names(X)) else str(j)
            said = ", ".join(f"{who} has {sign:+d}" if sign else f"{who} none" for who, sign in found.items())
            raise ValueError(
                f"monotone: predictions are a product, which keeps to a sign along column {column} only where all parts "
                f"have it: {said}. Give the parts one monotone=, or a part alone engine_params' monotone_constraints"
            )


def _common(each: list[list[int]]) -> list[int]:
    """The sign of every column that all lists have, else 0."""
    return [signs[0] if len(set(signs)) == 1 else 0 for signs in zip(*each, strict=True)]


def _names(X: Any) -> Sequence[str] | None:
    return X.columns.names if isinstance(X, Table) else column_names(X)


def as_sets(
    estimator: Any,
    eval_set: Any,
    eval_sample_weight: Any,
    check_labels: Callable[[Any], Floats],
    carried: Mapping[str, Any] = MappingProxyType({}),
    fitted: Collection[str] = (),
) -> list[tuple[Any, Floats, Floats | None]]:
    """Evaluation sets as (X, y, weight), held to what the training data were; errors name the set.

    `carried` is what the rows of the sets bring beside their features, `fitted` what those of the training do.
    """
    pairs = as_pairs(eval_set, eval_sample_weight)
    each = {name: of_sets(values, len(pairs), f"eval_{name}") for name, values in carried.items()}
    sets = []
    for i, ((X, y), weight) in enumerate(pairs):
        try:
            X = check_features(estimator, X, reset=False)
            labels = y if isinstance(X, Table) else check_labels(y)  # whoever read the table has checked them
            X = read_with(X, {name: values[i] for name, values in each.items()})
            check_same(set(carried_of(X)), set(fitted), "eval_")
            check_consistent_length(X, labels)
            sets.append((X, labels, None if weight is None else check_sample_weight(weight, len(labels))))
        except ValueError as error:
            raise ValueError(f"eval_set[{i}]: {error}") from error
    return sets


def rows_where(mask: Any, X: Any, y: Floats, weight: Floats | None) -> tuple[Any, Floats, Floats | None]:
    """The rows of a table or array, and of its labels and weights (or None), where the mask holds."""
    index = np.flatnonzero(mask)
    if index.size == y.size:
        return X, y, weight
    return take_rows(X, index), y[index], None if weight is None else weight[index]


def splits(cv: Any, n: int, y: Floats, groups: Any) -> list[tuple[Any, Any]]:
    """Pairs of indices of n rows (those that train, those held out); an int is folds at random, the same at each fit."""
    folds = check_cv(cv)
    if isinstance(cv, Integral):
        # Tables are often sorted by time or by label: the folds must not be.
        kind = KFold if groups is None else GroupKFold
        folds = kind(cv, shuffle=True, random_state=0)
    return list(folds.split(np.empty((n, 0)), y, groups))
