"""Columns of a table by name: checked to be there, and read as arrays."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from gbreg._checks import Floats, check_carried, check_sample_weight, nearest
from gbreg._errors import InputError


def listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"


def check_column(table: Any, name: str, argument: str) -> str:
    """The name, if the table has it; else `InputError` with the nearest one."""
    names = table.column_names
    if name not in names:
        raise InputError(f"{argument} {name!r} is not a column: {nearest(name, names)}Columns are {listed(names)}")
    return name


def column_list(table: Any, given: Sequence[str], argument: str) -> list[str]:
    """Columns given one by one or comma separated, each checked to exist."""
    names: list[str] = []
    for item in given:
        parts = [item] if item in table.column_names else [p.strip() for p in item.split(",") if p.strip()]
        names += [check_column(table, part, argument) for part in parts]
    return list(dict.fromkeys(names))


def values(table: Any, name: str, argument: str) -> Any:
    """A column as an array: numbers, or objects where it holds text; NaN or None where missing."""
    import pyarrow as pa

    column = table[check_column(table, name, argument)]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.to_numpy()


def numbers(table: Any, name: str, argument: str) -> Floats:
    """A column as float64, NaN where missing; `InputError` if it holds no numbers."""
    import pyarrow as pa

    column, kind = table[name], table.schema.field(name).type
    if not is_number(kind):
        raise InputError(f"{argument} {name!r} holds {kind}, not numbers: name a numeric column, or convert it")
    values: Floats = column.cast(pa.float64()).to_numpy().astype(np.float64)
    return values


@dataclass(frozen=True)
class Target:
    """What is predicted: one column or, of one that is summed up to several horizons, as many.

    Parameters
    ----------
    columns : tuple of str
    horizons : tuple of float, optional
        Where the columns are several.
    """

    columns: tuple[str, ...]
    horizons: tuple[float, ...] | None = None

    @classmethod
    def of(cls, table: Any, text: str) -> Target:
        """The columns that ``--target`` names, and the horizons that several names end in: ltv_30,ltv_60,ltv_90."""
        if text in table.column_names or "," not in text:
            return cls((check_column(table, text, "--target"),))
        columns = column_list(table, [text], "--target")
        ends = [re.search(r"(\d+(?:\.\d+)?)[A-Za-z]*$", name) for name in columns]
        horizons = tuple(float(end[1]) if "." in end[1] else int(end[1]) for end in ends if end is not None)
        if len(horizons) < len(ends) or any(later <= sooner for sooner, later in pairwise(horizons)):
            raise InputError(
                f"--target {text!r}: several columns are one target at several horizons; their names end in rising numbers, "
                "such as ltv_30,ltv_60,ltv_90: rename or reorder them"
            )
        return cls(tuple(columns), horizons)


def labels(table: Any, name: str) -> Floats:
    """The target column: finite numbers, or `InputError` with the count of those that are not.

    Several columns, see `Target`, have the shape (n_rows, n_horizons); their empty cells are windows not complete.
    """
    target = Target.of(table, name)
    if target.horizons is not None:
        return np.column_stack([numbers(table, column, "--target") for column in target.columns])
    y = numbers(table, name, "--target")
    for bad, what in ((np.isnan(y), "missing (NaN)"), (np.isinf(y), "infinite")):
        if bad.any():
            raise InputError(
                f"--target {name!r}: {bad.sum():,} of {y.size:,} labels are {what}: drop or fill those rows first"
            )
    return y


def weights(table: Any, name: str | None) -> Floats | None:
    """The weight column: finite, not negative, not all zero."""
    if name is None:
        return None
    values = numbers(table, check_column(table, name, "--weight"), "--weight")
    try:
        return check_sample_weight(values, values.size, f"--weight {name!r}")
    except ValueError as error:
        raise InputError(str(error)) from error


def carried(table: Any, columns: Mapping[str, str | None]) -> dict[str, Floats]:
    """What rows bring beside their features: of {"exposure": its column} the numbers, where a column is named."""
    found = {}
    for name, column in columns.items():
        if column is not None:
            values = numbers(table, check_column(table, column, f"--{name}"), f"--{name}")
            try:
                found[name] = check_carried(values, name, values.size, f"--{name} {column!r}")
            except ValueError as error:
                raise InputError(str(error)) from error
    return found


def of_rows_alone(table: Any, columns: Mapping[str, str | None], keep: Sequence[str]) -> list[str]:
    """Of the columns that rows bring beside their features those that are no features too, for they are not kept by name."""
    kept = column_list(table, keep, "--keep")
    return [column for column in columns.values() if column is not None and column not in kept]


def is_number(kind: Any) -> bool:
    import pyarrow as pa

    t = pa.types
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_boolean(kind))


def is_text(kind: Any) -> bool:
    import pyarrow as pa

    t = pa.types
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))
