"""The rows of a table file that one model trains on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gbreg._checks import Floats
from gbreg._tables.columns import Target, carried, labels, of_rows_alone, values, weights
from gbreg._tables.feature_table import feature_names, features
from gbreg._tables.files import read_table
from gbreg._tables.split import rows_of, split_rows


@dataclass(frozen=True)
class TrainingRows:
    """Features, labels and weights of rows, when each was, what is held out together, what the user should know, what else
    each brings by name, and the horizons of labels that have several columns."""

    X: Any
    y: Floats
    weight: Floats | None
    time: Any
    groups: Any
    notices: Sequence[str]
    carried: Mapping[str, Any]
    horizons: tuple[float, ...] | None


def training_rows(
    path: Path,
    target: str,
    *,
    weight: str | None = None,
    split: str | None = None,
    time: str | None = None,
    group: str | None = None,
    beside: Mapping[str, str | None] = MappingProxyType({}),
    drop: Sequence[str] = (),
    keep: Sequence[str] = (),
) -> TrainingRows:
    """All rows of a file or, with a column `split`, those of its value "train"; `InputError` for what cannot be used.

    `beside` names the columns of exposure and offset, which are features only where `keep` names them.
    """
    data = read_table(path)
    horizons = Target.of(data, target).horizons
    if split is not None:
        data = rows_of(data, split_rows(data, column=split).train)
    y, weight_of_rows = labels(data, target), weights(data, weight)
    when, who = (
        None if name is None else values(data, name, argument) for name, argument in ((time, "--time"), (group, "--group"))
    )
    never = (split, weight, time, group, *of_rows_alone(data, beside, keep))
    names = feature_names(data, target, drop=drop, keep=keep, never=never)
    found = features(data, names)
    return TrainingRows(found.table, y, weight_of_rows, when, who, found.notices, carried(data, beside), horizons)
