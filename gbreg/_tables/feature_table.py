"""The columns that a model learns from, as every engine takes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbreg._checks import nearest
from gbreg._errors import InputError
from gbreg._tables.columns import Target, column_list, is_number, is_text, listed

# Above this share of distinct values a whole-number or text column is taken for a key.
KEY_SHARE = 0.9


@dataclass(frozen=True)
class FeatureTable:
    """Columns that every engine takes, and what was done to get them.

    Parameters
    ----------
    table : pyarrow.Table
        Numbers as they came, booleans as 0 and 1, text as dictionaries (categoricals).
    notices : tuple of str
        One line for every column left out, and for what the user should know.
    """

    table: Any
    notices: tuple[str, ...] = ()


def features(table: Any, names: Sequence[str]) -> FeatureTable:
    """Those columns as features; dates, times and nested columns are left out, with a notice."""
    import pyarrow as pa

    columns: dict[str, Any] = {}
    left_out: dict[str, list[str]] = {}
    for name in names:
        column = _as_feature(table[name])
        if column is None:
            left_out.setdefault(_why_not(table.schema.field(name).type), []).append(name)
        else:
            columns[name] = column
    notices = [f"Left out: {listed(left)} ({why})." for why, left in left_out.items()]
    if not columns:
        raise InputError(f"no column is left to learn from: {' '.join(notices) or 'keep at least one besides the target'}")
    result = pa.table(columns)
    _check_finite(result)
    keys = [name for name in columns if _looks_like_a_key(name, result[name])]
    if keys:
        notices.append(
            f"Looks like a key, not a feature: {listed(keys)}. What is learnt of keys does not carry over to new ones: "
            f"consider --drop {','.join(keys)}."
        )
    return FeatureTable(result, tuple(notices))


def _as_feature(column: Any) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        # Chunks may carry dictionaries of their own; one shared dictionary is what engines and slices need.
        return column.unify_dictionaries().combine_chunks()
    if is_text(kind):
        return column.combine_chunks().dictionary_encode()
    if not is_number(kind):
        return None
    odd = pa.types.is_boolean(kind) or pa.types.is_decimal(kind) or pa.types.is_float16(kind)
    return column.cast(pa.float64()) if odd else column


def _why_not(kind: Any) -> str:
    import pyarrow as pa

    if pa.types.is_temporal(kind):
        return "dates and times: turn them into numbers such as age in days, hour or weekday to learn from them"
    return "no value in any row" if pa.types.is_null(kind) else f"{kind} is neither number nor text"


def _check_finite(table: Any) -> None:
    import pyarrow as pa

    for name in table.column_names:
        if pa.types.is_floating(table[name].type):
            infinite = np.isinf(table[name].to_numpy())
            if infinite.any():
                raise InputError(
                    f"column {name!r} holds {infinite.sum():,} infinite values, first in row {np.flatnonzero(infinite)[0]}: "
                    f"replace them (missing values are fine), or --drop {name}"
                )


def _looks_like_a_key(name: str, column: Any) -> bool:
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pa.types.is_integer(column.type) or pa.types.is_dictionary(column.type)
    if not whole or len(column) < 100:
        return False
    distinct = len(pc.unique(column))
    named = re.search(r"(^|_)(id|uuid|key|sku)$", name.lower()) is not None
    return bool(distinct > KEY_SHARE * len(column) or (named and distinct > 100))


def feature_names(
    table: Any, target: str, *, drop: Sequence[str] = (), keep: Sequence[str] = (), never: Sequence[str | None] = ()
) -> list[str]:
    """The columns to learn from: all or those kept, less those dropped, the target, and `never` (split, weight, time)."""
    kept = column_list(table, keep, "--keep") or table.column_names
    dropped = {*column_list(table, drop, "--drop"), *Target.of(table, target).columns, *(n for n in never if n is not None)}
    return [name for name in kept if name not in dropped]


def matching(table: Any, names: Sequence[str], categorical: Sequence[str], source: str) -> Any:
    """The columns that a model was trained on, by name, with the types it was trained on.

    Parameters
    ----------
    table : pyarrow.Table
    names : sequence of str
        The features, in the model's order; further columns of the table are ignored.
    categorical : sequence of str
        Which of them are categorical.
    source : str
        Where the table comes from, for messages.
    """
    import pyarrow as pa

    missing = [name for name in names if name not in table.column_names]
    if missing:
        hint = nearest(missing[0], table.column_names).capitalize() if len(missing) == 1 else ""
        raise InputError(
            f"{source} lacks {len(missing)} of the {len(names)} columns that the model was trained on: {listed(missing)}. "
            f"{hint}Add them (empty cells are allowed)"
        )
    columns = {}
    for name in names:
        column, wants_text = table[name], name in categorical
        if pa.types.is_null(column.type):
            column = column.cast(pa.string() if wants_text else pa.float64())
        if wants_text and is_number(column.type):
            column = column.cast(pa.string())
        feature = _as_feature(column)
        if feature is None or pa.types.is_dictionary(feature.type) != wants_text:
            wanted = "text (a category)" if wants_text else "numbers"
            raise InputError(f"{source}: column {name!r} holds {table[name].type}; the model was trained on {wanted} there")
        columns[name] = feature
    result = pa.table(columns)
    _check_finite(result)
    return result
