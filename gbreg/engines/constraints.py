"""Monotone and interaction constraints: one meaning of what users write, for every engine."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

from gbreg._checks import nearest
from gbreg.engines.rows import Features

Which = int | str
_FORM = "{column: sign} with names or indices, signs -1, 0 or 1"
_OWN = "engine_params: monotone_constraints"


@dataclass(frozen=True)
class Monotone:
    """Monotone constraints as a user gave them, in one of the forms of `signs`, and by which argument; false for none."""

    given: Any = None
    argument: str = _OWN

    def __bool__(self) -> bool:
        return any(signs(self.given, self.argument).values())

    def placed(self, n_features: int, names: Sequence[str] | None, categorical: Iterable[int] = ()) -> list[int]:
        """One sign a column, see `monotone_list`."""
        return monotone_list(self.given, n_features, names, categorical, self.argument)


def signs(value: Any, argument: str = _OWN) -> dict[Which, int]:
    """The sign of every column that monotone constraints name, by index or name, zeros included.

    Takes a list, tuple or array, a mapping, and the engines' own text: ``"1,0,-1"``, ``"(1,0,-1)"``, ``"price:1,age:-1"``.
    Errors name the argument that they came by.

    Raises
    ------
    ValueError
        For anything else, signs but -1, 0 and 1, and a column named twice.
    """
    if value is None:
        return {}
    if isinstance(value, str):
        value = _read(value, argument)
    if isinstance(value, Mapping):
        given = [(_which(k), v) for k, v in value.items()]
    elif isinstance(value, Sequence) or (isinstance(value, np.ndarray) and value.ndim == 1):
        given = list(enumerate(value))
    else:
        raise ValueError(f"{argument}={value!r} must be {_forms(argument)}")
    found: dict[Which, int] = {}
    for column, sign in given:
        if isinstance(sign, bool) or not isinstance(sign, Real) or sign not in (-1, 0, 1):
            raise ValueError(f"{argument} has {sign!r} for column {column!r}: it must be {_forms(argument)}")
        if column in found:
            raise ValueError(f"{argument} names column {column!r} twice")
        found[column] = int(float(sign))
    return found


def _forms(argument: str) -> str:
    return f"a list with one sign a column, or {_FORM}" if argument == _OWN else _FORM


def _read(text: str, argument: str) -> Any:
    """A list or a mapping from the engines' text."""
    inside = text.strip().removeprefix("(").removesuffix(")").removeprefix("[").removesuffix("]").strip()
    parts = [part.strip() for part in inside.split(",")] if inside else []
    try:
        if parts and all(":" in part for part in parts):
            pairs = [part.rsplit(":", 1) for part in parts]
            names = [name.strip() for name, _ in pairs]
            if len(set(names)) < len(names):
                raise ValueError
            return {int(name) if name.isdecimal() else name: int(sign) for name, (_, sign) in zip(names, pairs, strict=True)}
        return [int(part) for part in parts]
    except ValueError:
        raise ValueError(f"{argument}={text!r} must be {_forms(argument)}") from None


def _which(column: Any) -> Which:
    return int(column) if isinstance(column, Integral) else str(column)


def monotone_list(
    value: Any, n_features: int, names: Sequence[str] | None, categorical: Iterable[int] = (), argument: str = _OWN
) -> list[int]:
    """One sign a column, as every engine takes it; `ValueError` for columns that are not there or are categorical."""
    value = _read(value, argument) if isinstance(value, str) else value
    given = signs(value, argument)
    if given and not isinstance(value, Mapping) and len(given) != n_features:
        raise ValueError(
            f"{argument}={value!r} has {len(given)} signs, and X {n_features} columns: give one a column, or "
            "{column: sign}"
        )
    out = [0] * n_features
    placed = {column: place(column, n_features, names, argument) for column in given}
    for column, j in placed.items():
        if list(placed.values()).count(j) > 1:
            raise ValueError(f"{argument} names column {column!r} twice, by name and by index: give it one sign")
        out[j] = given[column]
    for j in categorical:
        if out[j]:
            name = repr(names[j]) if names else str(j)
            raise ValueError(
                f"{argument} constrains column {name}, which is categorical: categories have no order, give it 0, or turn "
                "it into numbers"
            )
    return out


def interaction_lists(value: Any, n_features: int, names: Sequence[str] | None) -> list[list[int]]:
    """Groups of columns that may share a branch, as indices; from nested lists of names or indices, or engines' text."""
    groups = _read_groups(value) if isinstance(value, str) else value
    if not isinstance(groups, Iterable) or isinstance(groups, str | Mapping):
        raise ValueError(f"engine_params: interaction_constraints={value!r} must be a list of lists of columns")
    out = []
    for group in groups:
        if not isinstance(group, Iterable) or isinstance(group, str | Mapping):
            raise ValueError(
                f"engine_params: interaction_constraints={value!r} must be a list of lists of columns, such as "
                '[["price", "age"], ["country"]]'
            )
        out.append([place(_which(c), n_features, names, "engine_params: interaction_constraints") for c in group])
    return out


def _read_groups(text: str) -> Any:
    """Nested lists from ``"[[0,1],[2]]"`` or, as LightGBM writes it, ``"[0,1],[2]"``."""
    for candidate in (text, f"[{text}]"):
        try:
            read = json.loads(candidate)
        except json.JSONDecodeError:
            continue
        if isinstance(read, list) and all(isinstance(group, list) for group in read):
            return read
    raise ValueError(f"engine_params: interaction_constraints={text!r} must be a list of lists of columns")


def place(column: Which, n_features: int, names: Sequence[str] | None, argument: str) -> int:
    """The index of a column given by index or name."""
    if isinstance(column, int):
        if not 0 <= column < n_features:
            raise ValueError(f"{argument} names column {column}: X has {n_features} columns, 0 to {n_features - 1}")
        return column
    if names is None:
        raise ValueError(
            f"{argument} names column {column!r}, and the columns of X have no names: give its index, or a table"
        )
    if column not in names:
        hint = nearest(column, names)
        raise ValueError(f"{argument} names column {column!r}: {hint}Columns are {', '.join(names)}")
    return list(names).index(column)


def place_constraints(params: dict[str, Any], X: Features, monotone: Monotone) -> None:
    """Turn constraints that are given, in any form, into one sign a column and lists of indices; drop those without any."""
    n = X.values.shape[1]
    params.pop("monotone_constraints", None)
    if monotone:
        params["monotone_constraints"] = monotone.placed(n, X.names, X.categorical)
    given = params.pop("interaction_constraints", None)
    if given is not None:
        params["interaction_constraints"] = interaction_lists(given, n, X.names)
