"""How many threads run here, and how engines are told: by OpenMP's own number, which belongs to the calling thread.

LightGBM's `num_threads` is one number for the whole process, and memory is laid out by it: two threads that predict with
different numbers crash. XGBoost's `nthread` is part of the booster: set while another thread predicts, it raises and
returns wrong values. Left at 0, both ask OpenMP how many threads the calling thread may use.

OpenMP does not survive a fork: a child that enters it with more than one thread waits for threads that only the parent has.
With one thread there is nobody to wait for, and all goes on.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import joblib
from threadpoolctl import ThreadpoolController

_PROCESS = os.getpid()


def forked() -> bool:
    """Whether this process was forked from one that had imported gbreg."""
    return os.getpid() != _PROCESS


def thread_count(n_jobs: int | None) -> int:
    """Threads for engine and kernel: None is OMP_NUM_THREADS if set (joblib's workers do), else every core.

    1 in a forked process.
    """
    return allowed(_asked(n_jobs))


def allowed(n: int) -> int:
    """n threads, 1 in a forked process."""
    return 1 if forked() else n


def training_threads(n_jobs: int | None) -> int:
    """`thread_count`, with a warning where that is less than was asked for."""
    if forked() and _asked(n_jobs) > 1:
        warnings.warn(
            f"n_jobs={n_jobs}: this process was forked from one that had imported gbreg. OpenMP does not survive a fork, so "
            "training runs on one thread. Start processes by multiprocessing's 'spawn' or 'forkserver', or by joblib's "
            "'loky', or set n_jobs=1",
            UserWarning,
            stacklevel=3,
        )
    return thread_count(n_jobs)


def _asked(n_jobs: int | None) -> int:
    if n_jobs is None:
        n_jobs = int(os.environ.get("OMP_NUM_THREADS") or -1)
    return max(1, joblib.cpu_count() + 1 + n_jobs if n_jobs < 0 else n_jobs)


@contextmanager
def openmp_threads(n: int, package: str) -> Iterator[None]:
    """What the calling thread runs in OpenMP, of that imported package, runs on n threads; on 1 in a forked process.

    For n < 1, which is all there are to engines, on as many as `thread_count` says.
    """
    if package not in _OPENMP:
        _OPENMP[package] = ThreadpoolController().select(user_api="openmp")
    wanted = allowed(int(n) if int(n) > 0 else thread_count(None))
    before = [(library, library.num_threads) for library in _OPENMP[package].lib_controllers]
    for library, number in before:
        if number != wanted:
            library.set_num_threads(wanted)
    try:
        yield
    finally:
        for library, number in before:
            library.set_num_threads(number)


# The OpenMP libraries that were loaded when a package was first used: each may bring its own.
_OPENMP: dict[str, Any] = {}


def _after_fork() -> None:
    """Let all that the forked thread runs in OpenMP run on one thread: engines enter it to save and pickle models too."""
    for libraries in _OPENMP.values():
        libraries.limit(limits=1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
