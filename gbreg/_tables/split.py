"""Which rows of a table train and which test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbreg._checks import Floats
from gbreg._errors import InputError
from gbreg._tables.columns import Target, carried, check_column, is_number, is_text, labels, listed, weights
from gbreg._tables.feature_table import features

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Split:
    """Which rows train and which test; rows in neither are left out.

    Parameters
    ----------
    train, test : bool ndarray of shape (n_rows,)
    description : str
        For the report, such as "column 'split'".
    """

    train: Mask
    test: Mask
    description: str

    @property
    def left_out(self) -> int:
        return int((~(self.train | self.test)).sum())


def split_rows(
    table: Any,
    *,
    column: str | None = None,
    time: str | None = None,
    cutoff: str | None = None,
    test_fraction: float | None = None,
    seed: int = 0,
) -> Split:
    """Split by a column of "train" and "test", by time, or at random (the default, 20% test).

    Raises
    ------
    InputError
        If the ways are mixed, a column or the cutoff is not usable, or one side is empty.
    """
    ways = [
        w for w, given in (("--split", column), ("--time", time), ("--test-fraction", test_fraction)) if given is not None
    ]
    if len(ways) > 1:
        raise InputError(f"{' and '.join(ways)} are different ways to split: give one")
    if (time is None) != (cutoff is None):
        missing = "--cutoff, the first value of the test rows" if cutoff is None else "--time, the column it is a value of"
        raise InputError(f"{'--time' if cutoff is None else '--cutoff'} needs {missing}")
    if column is not None:
        return _by_column(table, check_column(table, column, "--split"))
    if time is not None and cutoff is not None:
        return _by_time(table, check_column(table, time, "--time"), cutoff)
    return _at_random(table.num_rows, 0.2 if test_fraction is None else test_fraction, seed)


@dataclass(frozen=True)
class SplitRows:
    """Features, labels, weights and exposures of train and test rows, and what the user should know of them."""

    train_X: Any
    train_y: Floats
    train_weight: Floats | None
    test_X: Any
    test_y: Floats
    test_weight: Floats | None
    notices: tuple[str, ...] = ()
    train_carried: Mapping[str, Floats] = field(default_factory=dict)
    test_carried: Mapping[str, Floats] = field(default_factory=dict)
    horizons: tuple[float, ...] | None = None


def prepare(
    table: Any,
    target: str,
    names: Sequence[str],
    split: Split,
    weight: str | None = None,
    beside: Mapping[str, str | None] = MappingProxyType({}),
) -> SplitRows:
    """The train and test rows of a table, with the columns `names` as features.

    `beside` names the columns of exposure and offset. Labels and weights are checked on the rows that are used; rows that
    are left out may lack them.
    """
    found = features(table, names)
    train, test = rows_of(table, split.train), rows_of(table, split.test)
    notices = [f"Split: {split.description}; {split.train.sum():,} rows to train, {split.test.sum():,} to test."]
    if split.left_out:
        notices[0] += f" Left out: {split.left_out:,}."
    return SplitRows(
        train_X=rows_of(found.table, split.train),
        train_y=labels(train, target),
        train_weight=weights(train, weight),
        test_X=rows_of(found.table, split.test),
        test_y=labels(test, target),
        test_weight=weights(test, weight),
        notices=(*notices, *found.notices),
        train_carried=carried(train, beside),
        test_carried=carried(test, beside),
        horizons=Target.of(table, target).horizons,
    )


def rows_of(table: Any, mask: Mask) -> Any:
    """The rows where the mask is true."""
    import pyarrow as pa

    return table.filter(pa.array(mask))


def _by_column(table: Any, name: str) -> Split:
    values = np.array([str(v) for v in table[name].to_pylist()])
    split = Split(values == "train", values == "test", f"column {name!r}")
    for side, mask in (("train", split.train), ("test", split.test)):
        if not mask.any():
            found = listed([repr(v) for v in sorted(set(values.tolist()))], 6)
            raise InputError(
                f"--split {name!r} has no row with the value '{side}'; its values are {found}: "
                "mark rows 'train' and 'test' (others are left out)"
            )
    return split


def _by_time(table: Any, name: str, cutoff: str) -> Split:
    import pyarrow as pa
    import pyarrow.compute as pc

    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("us"))
    ends = pc.min_max(column)
    low, high = ends["min"].as_py(), ends["max"].as_py()
    scalar = pa.scalar(_parse_cutoff(name, column.type, cutoff, low, high), type=column.type)
    train = pc.fill_null(pc.less(column, scalar), False).to_numpy()
    test = pc.fill_null(pc.greater_equal(column, scalar), False).to_numpy()
    for side, mask, way_out in (("train", train, "a later one"), ("test", test, "an earlier one")):
        if not mask.any():
            raise InputError(
                f"--cutoff {cutoff!r} leaves no row to {side}: {name!r} runs from {low} to {high}: give {way_out}"
            )
    return Split(train, test, f"{name!r} before {cutoff} trains, the rest tests")


def _parse_cutoff(name: str, kind: Any, cutoff: str, low: Any, high: Any) -> Any:
    import pyarrow as pa

    if is_text(kind):
        return cutoff
    try:
        if pa.types.is_timestamp(kind):
            return datetime.fromisoformat(cutoff)
        if pa.types.is_integer(kind) and not float(cutoff).is_integer():
            raise ValueError
        if is_number(kind) and np.isfinite(float(cutoff)):
            return int(float(cutoff)) if pa.types.is_integer(kind) else float(cutoff)
    except ValueError:
        pass
    wanted = "a date such as 2024-03-31" if pa.types.is_timestamp(kind) else f"a value of type {kind}"
    raise InputError(f"--cutoff {cutoff!r} is not {wanted}; --time {name!r} runs from {low} to {high}")


def _at_random(n: int, fraction: float, seed: int) -> Split:
    if not 0 < fraction < 1:
        raise InputError(f"--test-fraction {fraction} must lie between 0 and 1, such as 0.2")
    n_test = round(fraction * n)
    if not 0 < n_test < n:
        side = "test" if n_test == 0 else "train"
        raise InputError(
            f"--test-fraction {fraction} of {n} rows leaves no row to {side}: give another fraction, or more rows"
        )
    test = np.zeros(n, dtype=np.bool_)
    test[np.random.default_rng(seed).permutation(n)[:n_test]] = True
    return Split(~test, test, f"{fraction:.0%} of rows at random (seed {seed})")
