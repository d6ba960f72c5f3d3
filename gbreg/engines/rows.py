"""Rows and their features, as the engines are given them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from gbreg._checks import Floats

Singles = NDArray[np.float32]


@dataclass(frozen=True)
class Features:
    """A numeric matrix with what the engines must know of its columns.

    Parameters
    ----------
    values : ndarray or scipy.sparse CSR of shape (n_samples, n_features)
        float32 or float64, NaN where missing; categorical columns hold their codes.
    categorical : tuple of int
        Which columns are categorical.
    names : tuple of str or None
    categories : tuple of tuple
        Of training rows: what the codes of each categorical column stand for, as the table holds them, where these are
        plain values.
    ranked : tuple of int
        Which columns hold ranks in place of their values.
    offset : ndarray of shape (n_samples,) or None
        What is added to the raw scores that the features give.
    """

    values: Any
    categorical: tuple[int, ...] = ()
    names: tuple[str, ...] | None = None
    categories: tuple[tuple[Any, ...], ...] = ()
    ranked: tuple[int, ...] = ()
    offset: Floats | None = None

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    def from_start(self, scores: Floats) -> Floats:
        """Raw scores of these rows, shape (n_samples,), with their offset."""
        return scores if self.offset is None else scores + self.offset

    def vary(self) -> bool:
        """Whether any column holds two values: LightGBM and CatBoost die of tables in which none does."""
        for j in range(self.values.shape[1]):
            column = self.values[:, j]
            column = column.toarray().ravel() if scipy.sparse.issparse(column) else column
            first = column[0]
            if not (np.isnan(column).all() if np.isnan(first) else (column == first).all()):
                return True
        return False


@dataclass(frozen=True)
class Rows:
    """Features with their labels and weights (float64, shape (n_samples,)); `weight` None counts every row once."""

    X: Features
    y: Floats
    weight: Floats | None = None


def as_single(x: Floats | None, what: str) -> Singles | None:
    """float32, as every engine stores labels and weights; `ValueError` where that overflows."""
    if x is None:
        return None
    largest = float(np.abs(x).max()) if x.size else 0.0
    if largest > np.finfo(np.float32).max:
        raise ValueError(f"{what} up to {largest:g} do not fit into float32, in which the engines keep them: rescale them")
    return x.astype(np.float32)


def safe_names(X: Features) -> list[str] | None:
    """Feature names that no engine refuses, one for each: the user's own, with `_` for all but letters and digits.

    LightGBM makes one of "a b" and "a_b", and its files break at control characters, quotes and empty names; XGBoost
    refuses brackets. Where such a name is taken already it ends in its column's number. Columns of which the engine sees
    codes or ranks say so: XGBoost and CatBoost then refuse a table of the user's, which they would misread.
    """
    if X.names is None and not X.ranked:
        return None
    given = [f"f{j}" for j in range(X.values.shape[1])] if X.names is None else X.names
    kinds = {**dict.fromkeys(X.categorical, "_code"), **dict.fromkeys(X.ranked, "_rank")}
    kept = {j for j, name in enumerate(given) if j not in kinds and re.fullmatch(r"\w+", name)}
    taken = {given[j] for j in kept}
    safe = []
    for j, name in enumerate(given):
        if j not in kept:
            name = re.sub(r"\W", "_", name + kinds.get(j, ""))
            while not name or name in taken:
                name = f"{name}_{j}"
            taken.add(name)
        safe.append(name)
    return safe
