"""What users give, checked: an error names the argument, what it was, what is allowed, and the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from gbreg.links import Interval

Floats = NDArray[np.float64]


def nearest(name: object, known: Iterable[object]) -> str:
    """``"did you mean 'price'? "`` for the nearest known name, or nothing.

    >>> nearest("prise", ["price", "weight"])
    "did you mean 'price'? "
    """
    by_lower = {str(k).lower(): str(k) for k in known}
    near = difflib.get_close_matches(str(name).lower(), by_lower, n=1, cutoff=0.5)
    return f"did you mean {by_lower[near[0]]!r}? " if near else ""


def as_numbers(values: ArrayLike, name: str) -> Floats:
    """Values as float64; `ValueError` for what is no number, times and durations included."""
    given = np.asarray(values)
    refuse_times(given, name)
    try:
        return given.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers: {error}") from error


def check_fitted(estimator: Any, attribute: str) -> None:
    """`NotFittedError` unless `fit` has set the attribute.

    scikit-learn's own check, which reads the estimator's tags, takes longer than a booster does for a row.
    """
    if attribute not in vars(estimator):
        check_is_fitted(estimator, attribute)


def refuse_times(values: NDArray[Any], name: str) -> None:
    """Raise `ValueError` for datetime64 and timedelta64, which numpy would turn into counts of their unit without a word."""
    if values.dtype.kind == "m":
        raise ValueError(
            f"{name} holds durations ({values.dtype}), which have no unit of their own: divide them by one, such as "
            f"np.timedelta64(1, 's')"
        )
    if values.dtype.kind == "M":
        raise ValueError(f"{name} holds dates ({values.dtype}): turn them into numbers, such as days since the first")


def check_one_dimensional(values: NDArray[Any], name: str, rows: int | None = None, *, empty: bool = True) -> None:
    """Raise `ValueError` for an array of another shape, of another length than `rows`, or empty where it may not be."""
    if values.ndim == 1 and rows in (None, values.size) and (empty or values.size):
        return
    wanted = f" with one entry a row, {rows:,}" if rows is not None else "" if empty else " and not empty"
    raise ValueError(f"{name} must be one-dimensional{wanted}, got shape {values.shape}")


def check_finite(values: Floats, name: str, way_out: str = "drop those rows") -> None:
    """Raise `ValueError` for NaN and inf, with their count and the first of them."""
    require(np.isfinite(values), name, "finite", way_out)


def require(holds: NDArray[np.bool_], name: str, wanted: str, way_out: str) -> None:
    """Raise `ValueError` where it does not hold of every value, with their count and the first of them."""
    if not holds.all():
        wrong = np.flatnonzero(~holds)
        raise ValueError(
            f"{name} must be {wanted}; {wrong.size:,} of {holds.size:,} values are not (first at row {wrong[0]}): {way_out}"
        )


def check_sample_weight(sample_weight: ArrayLike | None, n: int, name: str = "sample_weight") -> Floats:
    """Weights as float64 of shape (n,), ones for None; `ValueError` if NaN, inf, negative, all zero or misshapen."""
    if sample_weight is None:
        return np.ones(n)
    weight = as_numbers(sample_weight, name)
    if weight.ndim == 0:
        weight = np.full(n, float(weight))
    if weight.shape != (n,):
        raise ValueError(f"{name} has shape {weight.shape}, y has {n:,} rows: give one weight per row")
    check_finite(weight, name, "drop those rows or give them weight 0")
    require(weight >= 0, name, ">= 0", "a row that should not count has weight 0")
    if n and not weight.any():
        raise ValueError(f"{name} is all zero: at least one row needs a positive weight")
    return weight


def check_carried(values: ArrayLike, name: str, n: int, called: str | None = None) -> Floats:
    """Offsets, exposures, which are positive, or a mask, as float64 of shape (n,); `called` is what errors call them.

    Raises
    ------
    ValueError
        For another length, what is no number, missing or infinite, and an exposure that is not positive.
    """
    who = called or name
    if name == "censored":
        return check_mask(values, who, n).astype(np.float64)
    column = as_numbers(values, who)
    check_one_dimensional(column, who, n)
    check_finite(column, who, "drop or fill those rows")
    if name == "exposure":
        require(column > 0, who, "positive", "drop rows that were not exposed: their label says nothing")
    return column


def check_mask(values: ArrayLike, who: str, n: int) -> NDArray[np.bool_]:
    """A mask of shape (n,) from booleans, or numbers 0 and 1; `ValueError` for all else."""
    given = np.asarray(values)
    column = given if given.dtype == bool else as_numbers(given, who)
    check_one_dimensional(column, who, n)
    wrong = np.flatnonzero((column != 0) & (column != 1))
    if wrong.size:
        raise ValueError(
            f"{who} must be true or false, or 1 or 0; {wrong.size:,} of {n:,} values are not (first at row {wrong[0]}: "
            f"{column[wrong[0]]:g})"
        )
    return column.astype(bool)


def check_inside(y: Floats, domain: Interval, who: str, way_out: str) -> None:
    """Raise `ValueError` for labels outside the domain, with their count, the first of them and the way out."""
    inside = domain.contains(y)
    if not inside.all():
        wrong = np.flatnonzero(~inside)
        raise ValueError(
            f"{who} needs y in {domain}; {wrong.size:,} of {y.size:,} labels are not "
            f"(first at row {wrong[0]}: {y[wrong[0]]:g}): {way_out}"
        )


def check_horizons(horizons: Any) -> tuple[float, ...]:
    """The horizons as a tuple; `ValueError` unless they are positive numbers that rise."""
    listed = isinstance(horizons, Sequence | np.ndarray) and not isinstance(horizons, str)
    found = tuple(horizons) if listed else ()
    numbers = all(isinstance(h, Real) and 0 < float(h) < np.inf for h in found)
    if not found or not numbers or any(later <= sooner for sooner, later in pairwise(found)):
        raise ValueError(
            f"horizons={horizons!r} must be numbers above 0, each greater than the one before: days, such as (30, 60, 90)"
        )
    return found
