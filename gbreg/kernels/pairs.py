"""Pairs of rows in and out of order, counted by a merge sort."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Runs this short are sorted by insertion: merging them would cost more.
_SHORT = 16


@numba.njit(nogil=True)
def _insert(y: Floats, w: Floats, start: int, stop: int) -> float:
    """Sort one short run, and count its pairs as `pairs_in_order` does."""
    right = 0.0
    for j in range(start, stop):
        label, weight = y[j], w[j]
        smaller = 0.0
        i = j - 1
        while i >= start and y[i] >= label:
            y[i + 1], w[i + 1] = y[i], w[i]
            i -= 1
        for k in range(start, i + 1):
            smaller += w[k]
        right += weight * smaller
        y[i + 1], w[i + 1] = label, weight
    return right


@numba.njit(nogil=True)
def _merge(y: Floats, w: Floats, out_y: Floats, out_w: Floats, start: int, middle: int, stop: int) -> float:
    """Merge two sorted runs into `out_y` and `out_w`; the pairs between them with the smaller label on the left."""
    right = smaller = 0.0
    i, j = start, middle
    for k in range(start, stop):
        if j == stop or (i < middle and y[i] < y[j]):
            smaller += w[i]
            out_y[k], out_w[k] = y[i], w[i]
            i += 1
        else:
            right += w[j] * smaller
            out_y[k], out_w[k] = y[j], w[j]
            j += 1
    return right


@numba.njit(nogil=True)
def pairs_in_order(y: Floats, w: Floats) -> float:
    """Sum of w_i w_j over rows i before j with y_i < y_j; sorts both arrays by y, in place."""
    n = y.size
    right = 0.0
    for start in range(0, n, _SHORT):
        right += _insert(y, w, start, min(start + _SHORT, n))
    a_y, a_w, b_y, b_w = y, w, np.empty_like(y), np.empty_like(w)
    width = _SHORT
    while width < n:
        for start in range(0, n, 2 * width):
            right += _merge(a_y, a_w, b_y, b_w, start, min(start + width, n), min(start + 2 * width, n))
        a_y, a_w, b_y, b_w = b_y, b_w, a_y, a_w
        width *= 2
    if a_y is not y:
        y[:], w[:] = a_y, a_w
    return right


@numba.njit(nogil=True)
def squared_runs(key: Floats, w: Floats) -> float:
    """Sum of the squared weights of runs of equal keys."""
    total = run = 0.0
    for i in range(key.size):
        if i > 0 and key[i] != key[i - 1]:
            total += run * run
            run = 0.0
        run += w[i]
    return total + run * run


@numba.njit(nogil=True)
def sort_ties(p: Floats, y: Floats, w: Floats) -> float:
    """Sort by falling label within runs of equal p, in place; sum of the squared weights of rows equal in both."""
    total = 0.0
    start = 0
    for i in range(1, p.size + 1):
        if i < p.size and p[i] == p[start]:
            continue
        if i - start > 1:
            order = np.argsort(-y[start:i])
            y[start:i], w[start:i] = y[start:i][order], w[start:i][order]
        total += squared_runs(y[start:i], w[start:i])
        start = i
    return total


@numba.njit(nogil=True)
def pair_counts(p: Floats, y: Floats, w: Floats, starts: NDArray[np.int64]) -> Floats:
    """What `gbreg.metrics` needs to know of the pairs of each group of rows, shape (n_groups, 5).

    Rows of a group lie between two of `starts`, by rising p; labels and weights are sorted in place. Columns: the weight
    w_i w_j of pairs in order in both, of pairs of one label, of pairs of one prediction, of pairs of one of each, of all.
    """
    counts = np.empty((starts.size - 1, 5))
    for g in range(starts.size - 1):
        rows = slice(starts[g], starts[g + 1])
        own = np.sum(w[rows] ** 2)
        by_prediction = squared_runs(p[rows], w[rows])
        by_both = sort_ties(p[rows], y[rows], w[rows])
        counts[g, 0] = pairs_in_order(y[rows], w[rows])
        counts[g, 1] = 0.5 * (squared_runs(y[rows], w[rows]) - own)
        counts[g, 2] = 0.5 * (by_prediction - own)
        counts[g, 3] = 0.5 * (by_both - own)
        counts[g, 4] = 0.5 * (np.sum(w[rows]) ** 2 - own)
    return counts
