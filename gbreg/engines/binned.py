"""Binned features kept from one training to the next: tuning trains on the same rows many times."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse

_BLOCK = 1 << 16


@dataclass(frozen=True, eq=False)
class _Kept:
    key: Hashable
    arrays: Sequence[Any]
    data: Any


class SharedBins:
    """An engine's own data sets, by the rows and the parameters of binning they were made from.

    While `in_use`, trainings of this thread take theirs from here. A data set serves one training at a time, for labels
    and weights are part of it: of parallel threads each makes its own, once.

    Parameters
    ----------
    most : int
        Data sets kept; the one not used for longest goes first.
    """

    def __init__(self, most: int = 8):
        self.most = most
        self.made = 0
        self._idle: list[_Kept] = []
        self._lock = threading.Lock()

    @contextmanager
    def in_use(self) -> Iterator[None]:
        before = _active.set(self)
        try:
            yield
        finally:
            _active.reset(before)

    def take(self, key: Hashable, arrays: Sequence[Any]) -> Any:
        """A data set made from that, None if there is none idle."""
        with self._lock:
            candidates = [kept for kept in self._idle if kept.key == key]
        for kept in candidates:  # compared without the lock, for that reads all values
            if _same_arrays(kept.arrays, arrays):
                with self._lock:
                    if kept in self._idle:
                        self._idle.remove(kept)
                        return kept.data
        return None

    def give_back(self, key: Hashable, arrays: Sequence[Any], data: Any) -> None:
        with self._lock:
            self._idle.append(_Kept(key, arrays, data))
            del self._idle[: -self.most]


_active: ContextVar[SharedBins | None] = ContextVar("bins", default=None)


def sharing() -> bool:
    """Whether data sets made now are kept for later trainings."""
    return _active.get() is not None


@contextmanager
def binned(key: Hashable, arrays: Sequence[Any], make: Callable[[], Any], renew: Callable[[Any], None]) -> Iterator[Any]:
    """A data set for one training: `make()`, or one made before from the same, after `renew(data)`.

    Parameters
    ----------
    key, arrays
        All that the bins depend on: parameters, and the values of features (and of weights, where bins follow them).
        The arrays are kept and compared value by value.
    make, renew : callables
        What `renew` sets anew is what `arrays` leave out: labels, weights, starting scores.
    """
    shared = _active.get()
    if shared is None:
        yield make()
        return
    data = shared.take(key, arrays)
    if data is None:
        data = make()
        shared.made += 1
    else:
        renew(data)
    yield data
    shared.give_back(key, arrays, data)  # not after an error, which may have left it half renewed


def _same_arrays(kept: Sequence[Any], given: Sequence[Any]) -> bool:
    return len(kept) == len(given) and all(_same(a, b) for a, b in zip(kept, given, strict=True))


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if a is None or b is None or type(a) is not type(b) or a.shape != b.shape or a.dtype != b.dtype:
        return False
    if scipy.sparse.issparse(a):
        return all(_same(getattr(a, part), getattr(b, part)) for part in ("data", "indices", "indptr"))
    return a.strides == b.strides and _same_bits(a, b)


def _same_bits(a: Any, b: Any) -> bool:
    """NaN is equal to itself, in one pass that ends at the first block that differs."""
    a, b = (x.ravel(order="K").view(f"u{x.itemsize}") for x in (a, b))
    blocks = range(0, a.size, _BLOCK)
    return all(np.array_equal(a[i : i + _BLOCK], b[i : i + _BLOCK]) for i in blocks)
