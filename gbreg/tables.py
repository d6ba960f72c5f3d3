"""Tables on disk: reading and writing Parquet, CSV and Arrow, naming columns, features, and the train/test split.

Everything here is a pyarrow table. What a user got wrong ends in an `InputError`, whose text is one line that names the
argument, the value, what would be allowed, and the way out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbreg._checks import Floats, check_sample_weight, nearest
from gbreg._errors import InputError

Mask = NDArray[np.bool_]

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
ARROW = (".arrow", ".feather", ".ipc")

# Above this share of distinct values a whole-number or text column is taken for a key.
KEY_SHARE = 0.9


def _listed(names: Sequence[str], most: int = 12) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, ... ({len(names)} in all)"


def _suffix(path: Path) -> str:
    name = path.name.lower()
    found = [s for s in (*PARQUET, *TEXT, *ARROW) if name.endswith(s)]
    if not found:
        raise InputError(
            f"{str(path)!r} ends in {path.suffix or 'no suffix'!r}: use one of {_listed((*PARQUET, *TEXT, *ARROW))}"
        )
    return max(found, key=len)


def check_suffix(path: str | Path) -> None:
    """`InputError` if no table can be read from, or written to, a file of that name."""
    _suffix(Path(path))


def read_table(path: str | Path) -> Any:
    """The pyarrow table in a Parquet, CSV (or TSV, also gzipped) or Arrow file.

    Empty cells of a CSV file, and NA, NaN, null and the like, are missing values, in text columns too.
    """
    path = Path(path)
    suffix = _suffix(path)
    if not path.is_file():
        others = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{str(path)!r}: no such file; {nearest(path.name, others)}give the path of a table")
    import pyarrow as pa

    try:
        table = _reader(suffix)(path)
    except (pa.ArrowException, OSError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{str(path)!r} cannot be read as {suffix}: {reason}") from error
    names = table.column_names
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise InputError(f"{str(path)!r} has two columns named {twice[0]!r}: rename one")
    if table.num_rows == 0:
        raise InputError(f"{str(path)!r} has no rows")
    return table


def _reader(suffix: str) -> Callable[[Path], Any]:
    if suffix in PARQUET:
        return _read_parquet
    return _read_csv if suffix in TEXT else _read_arrow


def _read_parquet(path: Path) -> Any:
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(path).read()


def _read_csv(path: Path) -> Any:
    import pyarrow.csv

    delimiter = "\t" if ".tsv" in path.name.lower() else ","
    return pyarrow.csv.read_csv(
        path,
        parse_options=pyarrow.csv.ParseOptions(delimiter=delimiter),
        convert_options=pyarrow.csv.ConvertOptions(strings_can_be_null=True),
    )


def _read_arrow(path: Path) -> Any:
    import pyarrow as pa

    with pa.OSFile(str(path)) as file:
        try:
            return pa.ipc.open_file(file).read_all()
        except pa.ArrowInvalid:  # the streaming format has the same suffix and no closing magic
            file.seek(0)
            return pa.ipc.open_stream(file).read_all()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed over it if the block succeeds: nobody ever reads half a file."""
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_table(table: Any, path: str | Path) -> None:
    """Write a pyarrow table atomically, in the format that the suffix of `path` says."""
    suffix = _suffix(Path(path))
    with replacing(path) as temporary:
        if suffix in PARQUET:
            import pyarrow.parquet

            pyarrow.parquet.write_table(table, temporary, compression="zstd")
        elif suffix in TEXT:
            _write_csv(table, temporary, "\t" if ".tsv" in suffix else ",", gzipped=suffix.endswith(".gz"))
        else:
            import pyarrow.feather

            pyarrow.feather.write_feather(table, str(temporary), compression="uncompressed")


def _write_csv(table: Any, path: Path, delimiter: str, gzipped: bool) -> None:
    import pyarrow as pa
    import pyarrow.csv

    with pa.output_stream(str(path), compression="gzip" if gzipped else None) as out:
        pyarrow.csv.write_csv(table, out, pyarrow.csv.WriteOptions(delimiter=delimiter))


def check_writable(path: str | Path, what: str) -> None:
    """`InputError` if no file can be put into the folder of `path`; nothing is left behind."""
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{what} {str(path)!r} is a folder: name a file in it")
    if not path.parent.is_dir():
        raise InputError(f"{what} {str(path)!r}: folder {str(path.parent)!r} does not exist: create it first")
    _try_writing(path.parent, what)


def make_folder(path: str | Path, what: str) -> Path:
    """Create a folder for results where there is none; `InputError` if that, or writing into it, is impossible."""
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = "a file has that name" if isinstance(error, FileExistsError | NotADirectoryError) else error.strerror
        raise InputError(f"{what} {str(path)!r} cannot be made a folder ({reason}): name another") from error
    _try_writing(path, what)
    return path


def _try_writing(folder: Path, what: str) -> None:
    probe = folder / f".gbreg-{os.getpid()}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{what}: cannot write into {str(folder)!r} ({error.strerror}): name another folder") from error


# -- columns ----------------------------------------------------------------------------------------------------------


def check_column(table: Any, name: str, argument: str) -> str:
    """The name, if the table has it; else `InputError` with the nearest one."""
    names = table.column_names
    if name not in names:
        raise InputError(f"{argument} {name!r} is not a column: {nearest(name, names)}Columns are {_listed(names)}")
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
    if not _is_number(kind):
        raise InputError(f"{argument} {name!r} holds {kind}, not numbers: name a numeric column, or convert it")
    values: Floats = column.cast(pa.float64()).to_numpy().astype(np.float64)
    return values


def labels(table: Any, name: str) -> Floats:
    """The target column: finite numbers, or `InputError` with the count of those that are not."""
    y = numbers(table, check_column(table, name, "--target"), "--target")
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


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    t = pa.types
    return bool(t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_boolean(kind))


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    t = pa.types
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))


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
    notices = [f"Left out: {_listed(left)} ({why})." for why, left in left_out.items()]
    if not columns:
        raise InputError(f"no column is left to learn from: {' '.join(notices) or 'keep at least one besides the target'}")
    result = pa.table(columns)
    _check_finite(result)
    keys = [name for name in columns if _looks_like_a_key(name, result[name])]
    if keys:
        notices.append(
            f"Looks like a key, not a feature: {_listed(keys)}. What is learnt of keys does not carry over to new ones: "
            f"consider --drop {','.join(keys)}."
        )
    return FeatureTable(result, tuple(notices))


def _as_feature(column: Any) -> Any:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_dictionary(kind):
        # Chunks may carry dictionaries of their own; one shared dictionary is what engines and slices need.
        return column.unify_dictionaries().combine_chunks()
    if _is_text(kind):
        return column.combine_chunks().dictionary_encode()
    if not _is_number(kind):
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
    dropped = {*column_list(table, drop, "--drop"), target, *(n for n in never if n is not None)}
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
            f"{source} lacks {len(missing)} of the {len(names)} columns that the model was trained on: {_listed(missing)}. "
            f"{hint}Add them (empty cells are allowed)"
        )
    columns = {}
    for name in names:
        column, wants_text = table[name], name in categorical
        if pa.types.is_null(column.type):
            column = column.cast(pa.string() if wants_text else pa.float64())
        if wants_text and _is_number(column.type):
            column = column.cast(pa.string())
        feature = _as_feature(column)
        if feature is None or pa.types.is_dictionary(feature.type) != wants_text:
            wanted = "text (a category)" if wants_text else "numbers"
            raise InputError(f"{source}: column {name!r} holds {table[name].type}; the model was trained on {wanted} there")
        columns[name] = feature
    result = pa.table(columns)
    _check_finite(result)
    return result


# -- split ------------------------------------------------------------------------------------------------------------


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
    """Features, labels and weights of the train and of the test rows, and what the user should know of them."""

    train_X: Any
    train_y: Floats
    train_weight: Floats | None
    test_X: Any
    test_y: Floats
    test_weight: Floats | None
    notices: tuple[str, ...] = ()


def prepare(table: Any, target: str, names: Sequence[str], split: Split, weight: str | None = None) -> SplitRows:
    """The train and test rows of a table, with the columns `names` as features.

    Labels and weights are checked on the rows that are used; rows that are left out may lack them.
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
            found = _listed([repr(v) for v in sorted(set(values.tolist()))], 6)
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

    if _is_text(kind):
        return cutoff
    try:
        if pa.types.is_timestamp(kind):
            return datetime.fromisoformat(cutoff)
        if pa.types.is_integer(kind) and not float(cutoff).is_integer():
            raise ValueError
        if _is_number(kind) and np.isfinite(float(cutoff)):
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
