"""Machine code on disk, so that a second process does not compile what the first one did."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import warnings
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gbreg._files import replacing

# A kernel takes 4 to 100 kB. Above the first, the longest unused go until the second is left.
MOST_BYTES = 256 * 2**20
_LEFT_BYTES = 192 * 2**20
_SUFFIX = ".kernel"
_DIGEST = 32
_VARIABLE = "GBREG_CACHE_DIR"


@dataclass(frozen=True)
class Code:
    """One compiled kernel: its object file, the name of its function, and the outside symbols that it calls."""

    entry: str
    symbols: Sequence[str]
    machine: bytes

    def to_bytes(self) -> bytes:
        body = json.dumps({"entry": self.entry, "symbols": list(self.symbols)}).encode() + b"\n" + self.machine
        return hashlib.sha256(body).digest() + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Code | None:
        """None where the file is cut short or damaged."""
        digest, body = data[:_DIGEST], data[_DIGEST:]
        if hashlib.sha256(body).digest() != digest:
            return None
        head, _, machine = body.partition(b"\n")
        return cls(machine=machine, **json.loads(head))


def directory() -> Path | None:
    """Where kernels are kept: GBREG_CACHE_DIR, which may be empty for nowhere; else the user's own cache directory."""
    chosen = os.environ.get(_VARIABLE)
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    from platformdirs import user_cache_path

    try:
        place = user_cache_path("gbreg", appauthor=False) / "kernels"
    except RuntimeError:  # a user without a home; earlier versions of platformdirs leave "~" as it is
        return None
    return place if place.is_absolute() else None


def load(key: str) -> Code | None:
    """The kernel of a digest, or None. Only files of the user's own are read, that nobody else may write."""
    place = usable_directory()
    if place is None:
        return None
    file = place / (key + _SUFFIX)
    try:
        with file.open("rb") as opened:
            if not _private(os.fstat(opened.fileno())):
                return None
            code = Code.from_bytes(opened.read())
        os.utime(file)  # the longest unused go first
    except OSError:
        return None
    return code


def save(key: str, code: Code) -> None:
    """Keep a kernel, whole or not at all. Nothing is said where the directory cannot be written."""
    place = usable_directory(make=True)
    if place is None:
        return
    with suppress(OSError):
        with replacing(place / (key + _SUFFIX)) as temporary:
            temporary.write_bytes(code.to_bytes())
            temporary.chmod(0o600)
        _shrink(place)


def clear() -> tuple[int, int]:
    """Remove every kernel that is kept; how many, and their bytes."""
    place = usable_directory()
    files = [] if place is None else _files(place)
    return sum(_remove(file) for file, _ in files), sum(seen.st_size for _, seen in files)


def size() -> tuple[int, int]:
    """How many kernels are kept, and their bytes."""
    place = usable_directory()
    files = [] if place is None else _files(place)
    return len(files), sum(seen.st_size for _, seen in files)


def usable_directory(make: bool = False) -> Path | None:
    """The directory, where it is there and only the user can write to it."""
    place = directory()
    if place is None:
        return None
    try:
        if make:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
        private = _private(os.stat(place))
    except OSError:
        return None
    if not private and _VARIABLE in os.environ:
        warnings.warn(
            f"{_VARIABLE}={str(place)!r} belongs to another user, or others may write to it: compiled kernels are neither "
            "read from it nor kept in it. Choose a directory of your own that only you can write (chmod go-w)",
            stacklevel=2,
        )
    return place if private else None


def _private(seen: os.stat_result) -> bool:
    """Whether it is the user's own, and nobody else may write it. Windows keeps a user's cache directory to the user."""
    if not hasattr(os, "geteuid"):
        return True
    return seen.st_uid == os.geteuid() and not seen.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _files(place: Path) -> list[tuple[Path, os.stat_result]]:
    """Kernels, the longest unused first."""
    files = []
    for file in place.glob("*" + _SUFFIX):
        with suppress(OSError):  # another process may have removed it
            files.append((file, file.stat()))
    return sorted(files, key=lambda one: one[1].st_mtime)


def _shrink(place: Path) -> None:
    files = _files(place)
    total = sum(seen.st_size for _, seen in files)
    if total > MOST_BYTES:
        for file, seen in files:
            _remove(file)
            total -= seen.st_size
            if total <= _LEFT_BYTES:
                break


def _remove(file: Path) -> bool:
    try:
        file.unlink()
    except OSError:
        return False
    return True
