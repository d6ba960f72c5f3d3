"""Tables on disk: Parquet, CSV and Arrow."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gbreg._checks import nearest
from gbreg._errors import InputError
from gbreg._files import replacing

PARQUET = (".parquet", ".pq")
TEXT = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
ARROW = (".arrow", ".feather", ".ipc")


def _suffix(path: Path) -> str:
    name = path.name.lower()
    found = [s for s in (*PARQUET, *TEXT, *ARROW) if name.endswith(s)]
    if not found:
        raise InputError(
            f"{str(path)!r} ends in {path.suffix or 'no suffix'!r}: use one of {', '.join((*PARQUET, *TEXT, *ARROW))}"
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
