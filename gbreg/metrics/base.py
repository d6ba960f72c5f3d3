"""What every metric starts with: its arrays checked, and ranks that know weights and ties."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import UndefinedMetricWarning

from gbreg._checks import Floats, as_numbers, check_finite, check_one_dimensional


def is_distribution(predicted: Any) -> bool:
    """Whether it is what ``predict_distribution(X)`` gives, not one prediction a row."""
    return hasattr(predicted, "crps")


def checked(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Labels, predictions and weights of the rows that count, as float64; `ValueError` for what they may not be."""
    if is_distribution(y_pred):
        raise TypeError(
            f"y_pred is a {type(y_pred).__name__}, and this metric takes no distribution: give one prediction a row, such "
            "as its mean(), or score it by 'crps'"
        )
    y, p = as_numbers(y_true, "y_true"), as_numbers(y_pred, "y_pred")
    w = np.ones(y.shape) if sample_weight is None else as_numbers(sample_weight, "sample_weight")
    check_one_dimensional(y, "y_true")
    check_one_dimensional(p, "y_pred", y.size)
    check_one_dimensional(w, "sample_weight", y.size)
    if not y.size:
        raise ValueError("y_true has no rows: a metric needs at least one")
    for name, values in (("y_true", y), ("y_pred", p), ("sample_weight", w)):
        check_finite(values, name)
    if (w < 0).any() or not w.any():
        raise ValueError("sample_weight must be >= 0, with at least one positive weight")
    if w.all():
        return y, p, w
    used = w > 0
    return y[used], p[used], w[used]


_quiet: ContextVar[bool] = ContextVar("_quiet", default=False)


@contextmanager
def quietly() -> Iterator[None]:
    """Within, a metric that has no value is NaN without a warning: where it is shown as missing."""
    token = _quiet.set(True)
    try:
        yield
    finally:
        _quiet.reset(token)


def undefined(metric: str, reason: str) -> float:
    """NaN, and an `UndefinedMetricWarning` that says why."""
    if not _quiet.get():
        warnings.warn(f"{metric} is NaN: {reason}", UndefinedMetricWarning, stacklevel=3)
    return float("nan")


def codes(values: ArrayLike, y_true: ArrayLike, sample_weight: ArrayLike | None, argument: str) -> tuple[Any, Any]:
    """Distinct groups or segments of the rows that count, and the place of each row's among them.

    Missing ones (NaN, None) are a group of their own, written as "missing".
    """
    given = np.asarray(values)
    n = np.shape(y_true)[0]
    check_one_dimensional(given, argument, n)
    if sample_weight is not None:
        given = given[np.asarray(sample_weight, dtype=np.float64) > 0]
    if given.dtype.kind in "fOmM":
        missing = np.array([v is None or v != v for v in given.tolist()], dtype=bool)
        if missing.any():
            given = np.where(missing, "missing", given.astype(str))
        elif given.dtype == object:
            given = given.astype(str)
    return np.unique(given, return_inverse=True)


class Levels:
    """The distinct values of an array, and which rows have them."""

    def __init__(self, x: Floats) -> None:
        self.order = np.argsort(x)
        self.ordered = x[self.order]

    @cached_property
    def _first(self) -> NDArray[np.bool_]:
        return np.append(True, self.ordered[1:] != self.ordered[:-1])[: self.order.size]

    @cached_property
    def values(self) -> Floats:
        """Rising."""
        return self.ordered[self._first]

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """Of each row's value among them."""
        place = np.empty(self.order.size, dtype=np.int64)
        place[self.order] = np.cumsum(self._first) - 1
        return place

    def sums(self, w: Floats) -> Floats:
        """Of each level's rows."""
        return np.bincount(self.place, weights=w).astype(np.float64, copy=False)


# Arrays sorted last and their levels, where `sorted_once` is on: labels, predictions, and what is asked for between.
_KEPT = 4
_kept: ContextVar[list[tuple[Floats, Levels]] | None] = ContextVar("_kept", default=None)


@contextmanager
def sorted_once() -> Iterator[None]:
    """Within, an array is sorted once, however many metrics ask for its levels; it must not change meanwhile."""
    if _kept.get() is not None:
        yield
        return
    token = _kept.set([])
    try:
        yield
    finally:
        _kept.reset(token)


def levels(x: Floats) -> Levels:
    """The levels of an array, by sorting it or, within `sorted_once`, as they were found before."""
    kept = _kept.get()
    if kept is None:
        return Levels(x)
    i = next((i for i, (array, _) in enumerate(kept) if array is x), None)
    found = (x, Levels(x)) if i is None else kept.pop(i)
    kept[:] = [found, *kept[: _KEPT - 1]]
    return found[1]


def mid_ranks(x: Floats, w: Floats) -> Floats:
    """Weight below each value plus half the weight at it: an integer weight equals repetition."""
    check_finite(x, "x")
    of = levels(x)
    at = of.sums(w)
    return (np.cumsum(at) - 0.5 * at)[of.place]
