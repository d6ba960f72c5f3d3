"""Files that are written whole or not at all, and folders that can be written into."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gbreg._errors import InputError


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
