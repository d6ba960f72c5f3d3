"""Pairs of rows in and out of order, counted by a merge sort."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import carray, njit
from numpy.typing import NDArray

from gbreg._checks import Floats
from gbreg._kernels.machine import LOOP, Kernel, address_of, doubles, integers, make_kernel

Places = NDArray[np.int64]

# Runs this short are sorted by insertion: merging them would cost more.
_SHORT = 16

# Where rows move, indices have no sign: numba would ask of each whether it counts from the end, a fifth of the time. Loops
# stand for array expressions, which take twice as long to compile.


@njit(**LOOP)
def _insert(y: Floats, w: Floats, start: int, stop: int) -> float:
    """Sort one short run, and count its pairs as `_in_order` does."""
    right = 0.0
    one, first = np.uint64(1), np.uint64(start)
    for j in range(start, stop):
        label, weight = y[j], w[j]
        smaller = 0.0
        i = np.uint64(j)
        while i > first and y[i - one] >= label:
            y[i], w[i] = y[i - one], w[i - one]
            i -= one
        k = first
        while k < i:
            smaller += w[k]
            k += one
        right += weight * smaller
        y[i], w[i] = label, weight
    return right


@njit(**LOOP)
def _merge(y: Floats, w: Floats, out_y: Floats, out_w: Floats, start: int, middle: int, stop: int) -> float:
    """Merge two sorted runs into `out_y` and `out_w`; the pairs between them with the smaller label on the left."""
    one, i, j, k = np.uint64(1), np.uint64(start), np.uint64(middle), np.uint64(start)
    end, last = np.uint64(middle), np.uint64(stop)
    right = smaller = 0.0
    while i < end and j < last:
        if y[i] < y[j]:
            smaller += w[i]
            out_y[k], out_w[k] = y[i], w[i]
            i += one
        else:
            right += w[j] * smaller
            out_y[k], out_w[k] = y[j], w[j]
            j += one
        k += one
    while i < end:
        out_y[k], out_w[k] = y[i], w[i]
        i += one
        k += one
    while j < last:
        right += w[j] * smaller
        out_y[k], out_w[k] = y[j], w[j]
        j += one
        k += one
    return right


@njit(**LOOP)
def _merge_runs(y: Floats, w: Floats, starts: Places) -> float:
    """Merge sorted runs, each from one of `starts` to the next, in place; the pairs in order between them."""
    right, last, width = 0.0, starts.size - 1, 1
    a_y, a_w, b_y, b_w = y, w, np.empty_like(y), np.empty_like(w)
    while width < last:
        for k in range(0, last, 2 * width):
            middle, stop = starts[min(k + width, last)], starts[min(k + 2 * width, last)]
            right += _merge(a_y, a_w, b_y, b_w, starts[k], middle, stop)
        a_y, a_w, b_y, b_w = b_y, b_w, a_y, a_w
        width *= 2
    if a_y is not y:
        for i in range(y.size):
            y[i], w[i] = a_y[i], a_w[i]
    return right


@njit(**LOOP)
def _sort(y: Floats, w: Floats) -> None:
    """Sort both by y, in place."""
    starts = np.empty((y.size - 1) // _SHORT + 2, dtype=np.int64)
    for k in range(starts.size):
        starts[k] = min(k * _SHORT, y.size)
    for k in range(starts.size - 1):
        _insert(y, w, starts[k], starts[k + 1])
    _merge_runs(y, w, starts)


@njit(**LOOP)
def _reverse(y: Floats, w: Floats, start: int, stop: int) -> None:
    for i in range((stop - start) // 2):
        a, b = start + i, stop - 1 - i
        y[a], y[b], w[a], w[b] = y[b], y[a], w[b], w[a]


@njit(**LOOP)
def _apart(key: Floats, w: Floats) -> float:
    """Sum of w_i w_j over pairs of different keys, which are sorted."""
    pairs = before = run = 0.0
    for i in range(key.size):
        if i > 0 and key[i] != key[i - 1]:
            before += run
            run = 0.0
        pairs += w[i] * before
        run += w[i]
    return pairs


@njit(**LOOP)
def _in_order(p: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    """Sum of w_i w_j over rows with p_i < p_j and y_i < y_j, and over those of one p and two labels; p does not fall.

    Sorts y and w by y, in place. Many rows of one p are sorted among themselves, and no pair of theirs counted; what they
    leave is cut into short runs, of which no two neighbours fit into one.
    """
    n, runs = p.size, 0
    starts = np.zeros(2 * n // _SHORT + 3, dtype=np.int64)
    right = tied = 0.0
    start = 0
    while start < n:
        stop = start + 1
        while stop < n and p[stop] == p[start]:
            stop += 1
        if starts[runs] < start and stop - starts[runs] > _SHORT:
            right += _insert(y, w, starts[runs], start)
            runs += 1
            starts[runs] = start
        if stop - start > _SHORT:
            _sort(y[start:stop], w[start:stop])
            runs += 1
            starts[runs] = stop
        elif stop - start > 1:
            _insert(y, w, start, stop)
            _reverse(y, w, start, stop)  # falling labels of one p are no pairs in order
        tied += _apart(y[start:stop], w[start:stop])
        start = stop
    if starts[runs] < n:
        right += _insert(y, w, starts[runs], n)
        runs += 1
        starts[runs] = n
    return right + _merge_runs(y, w, starts[: runs + 1]), tied


@cache
def _counts_kernel() -> Kernel:
    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        n, starts, counts = frame[0], integers(frame[4]), doubles(frame[6])
        p, y, w = carray(doubles(frame[1]), n), carray(doubles(frame[2]), n), carray(doubles(frame[3]), n)
        for g in range(frame[5]):
            rows = slice(starts[g], starts[g + 1])
            counts[5 * g + 3] = _apart(p[rows], w[rows])
            counts[5 * g], counts[5 * g + 1] = _in_order(p[rows], y[rows], w[rows])
            counts[5 * g + 2] = _apart(y[rows], w[rows])
            every = before = 0.0
            for i in range(starts[g], starts[g + 1]):
                every += w[i] * before
                before += w[i]
            counts[5 * g + 4] = every

    return make_kernel(body)


def pair_counts(p: Floats, y: Floats, w: Floats, starts: Places) -> Floats:
    """What `gbreg.metrics` needs to know of the pairs of each group of rows, shape (n_groups, 5).

    Rows of a group lie between two of `starts`, by rising p; labels and weights are sorted in place. Columns: the weight
    w_i w_j of pairs in order in both, of two labels and one prediction, of two labels, of two predictions, of all.
    """
    counts = np.empty((starts.size - 1, 5))
    arrays = [address_of(a) for a in (p, y, w, starts)]
    _counts_kernel()([p.size, *arrays, starts.size - 1, address_of(counts)])
    return counts
