"""Pairs of rows of which one is known to last longer, in and out of order, counted by a tree of sums."""

from __future__ import annotations

from functools import cache

import numpy as np
from numba import carray, njit
from numpy.typing import NDArray

from gbreg._checks import Floats
from gbreg._kernels.machine import LOOP, Kernel, address_of, doubles, integers, make_kernel


@njit(**LOOP)
def _below(tree: Floats, place: int) -> float:
    """The sum of what was added at places before this one."""
    total = 0.0
    while place > 0:
        total += tree[place]
        place -= place & -place
    return total


@cache
def _counts_kernel() -> Kernel:
    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        n, m = frame[0], frame[1]
        rank, starts = carray(integers(frame[2]), n), integers(frame[3])
        w, seen = carray(doubles(frame[4]), n), carray(doubles(frame[5]), n)
        tree, counts = carray(doubles(frame[6]), m + 1), doubles(frame[7])
        in_order = tied = comparable = longer = 0.0
        for g in range(frame[8]):
            for i in range(starts[g], starts[g + 1]):
                if seen[i] > 0:  # all rows so far last longer, and the censored ones of the same label
                    less = _below(tree, rank[i])
                    equal = _below(tree, rank[i] + 1) - less
                    in_order += w[i] * (longer - less - equal)
                    tied += w[i] * equal
                    comparable += w[i] * longer
            for i in range(starts[g], starts[g + 1]):
                longer += w[i]
                place = rank[i] + 1
                while place <= m:
                    tree[place] += w[i]
                    place += place & -place
        counts[0], counts[1], counts[2] = in_order, tied, comparable

    return make_kernel(body)


def censored_pair_counts(p: Floats, y: Floats, w: Floats, censored: NDArray[np.bool_]) -> Floats:
    """Weights w_i w_j of pairs of which one label is seen and the other larger, or censored and no less; shape (3,).

    Those in order, those of one prediction, and all.
    """
    order = np.lexsort((~censored, -y))
    values, rank = np.unique(p[order], return_inverse=True)
    label, hidden = y[order], censored[order]
    # Rows of one label, the censored ones before the others.
    new = np.flatnonzero((np.diff(label) != 0) | (np.diff(hidden.astype(np.int8)) != 0)) + 1
    starts = np.concatenate([[0], new, [y.size]]).astype(np.int64)
    counts, tree = np.zeros(3), np.zeros(values.size + 1)
    weight, seen, place = w[order].astype(np.float64), (~hidden).astype(np.float64), rank.astype(np.int64)
    arrays = [address_of(a) for a in (place, starts, weight, seen, tree, counts)]
    _counts_kernel()([y.size, values.size, *arrays, starts.size - 1])
    return counts
