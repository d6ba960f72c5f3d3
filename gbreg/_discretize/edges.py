"""Where buckets begin and end, and which one a label falls into."""

from __future__ import annotations

import math
from itertools import pairwise
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gbreg._checks import Floats, check_one_dimensional

EDGES = ("quantile", "mixed", "uniform", "exp", "peaks")


def used_labels(y: ArrayLike, sample_weight: ArrayLike | None) -> tuple[Floats, Floats]:
    """Labels and weights of the rows that count."""
    y = np.asarray(y, dtype=np.float64)
    w = np.ones(y.shape) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    check_one_dimensional(y, "y")
    check_one_dimensional(w, "sample_weight", y.size)
    if not (np.isfinite(y).all() and np.isfinite(w).all()):
        raise ValueError("y and sample_weight must be finite: drop rows with NaN or inf first")
    if (w < 0).any() or not w.any():
        raise ValueError("sample_weight must be >= 0, with at least one positive weight")
    return y[w > 0], w[w > 0]


def bucket_of(y: ArrayLike, edges: ArrayLike) -> NDArray[np.intp]:
    """The bucket of each label, 0 to K - 1, in the shape of y.

    >>> bucket_of([0.0, 1.0, 9.0], [1.0, 5.0])
    array([0, 1, 2])
    """
    return np.searchsorted(np.asarray(edges, dtype=np.float64), np.asarray(y, dtype=np.float64), side="right")


def _equal_cuts(mass: Floats, n: int) -> list[int]:
    """Where to cut values into n groups of equal mass, each as near as can be to its share of the mass still left."""
    upto, n, cuts, start = np.cumsum(mass), min(n, mass.size), [], 0
    for left in range(n, 1, -1):
        done = upto[start - 1] if start else 0.0
        target = done + (upto[-1] - done) / left
        cut = int(np.searchsorted(upto, target))
        if cut == 0 or target - upto[cut - 1] >= upto[cut] - target:
            cut += 1
        start = min(max(cut, start + 1), mass.size - left + 1)
        cuts.append(start)
    return cuts


def _cuts_around(apart: NDArray[np.intp], weight: Floats, n: int) -> list[int]:
    """Cut values into n groups of equal weight, those at `apart` (the most important first) alone as far as n allows."""
    n, forced = min(n, weight.size), {0, weight.size}
    for j in apart:
        if len(forced | {j, j + 1}) <= n + 1:
            forced |= {int(j), int(j) + 1}
    ends = sorted(forced)
    pieces = list(pairwise(ends))
    size = np.array([stop - start for start, stop in pieces])
    mass, count = np.array([weight[start:stop].sum() for start, stop in pieces]), np.ones(len(pieces))
    for _ in range(n - len(pieces)):
        count[np.argmax(np.where(count < size, mass / count, -1.0))] += 1
    inner = (
        start + c for (start, stop), k in zip(pieces, count, strict=True) for c in _equal_cuts(weight[start:stop], int(k))
    )
    return sorted({*ends[1:-1], *inner})


def _heaviest_first(weight: Floats, above: float) -> NDArray[np.intp]:
    order = np.argsort(-weight, kind="stable")
    return order[weight[order] > above]


def _mixed_cuts(values: Floats, weight: Floats, n: int) -> list[int]:
    size, count = np.abs(values), np.where(values == 0.0, 0.0, weight)
    if not size.any():
        return []
    size = size / size.max()
    mass = 0.5 * count / count.sum() + 0.5 * size * count / (size * count).sum()
    return _cuts_around(np.flatnonzero(values == 0.0), mass, n)


def _segments(segments: Floats, given: Any) -> Floats:
    start, stop, step = segments.T
    if not ((step > 0) & (stop > start)).all():
        raise ValueError(f"edges={given!r}: every segment (start, stop, step) needs start < stop and step > 0")
    counts = np.ceil((stop - start) / step - 1e-9).astype(int)
    return np.unique(np.concatenate([a + d * np.arange(n) for a, d, n in zip(start, step, counts, strict=True)]))


def make_edges(
    y: ArrayLike, sample_weight: ArrayLike | None = None, n_buckets: int = 64, edges: str | ArrayLike = "quantile"
) -> Floats:
    """Interior edges of at most `n_buckets` buckets, none of them empty on these labels.

    Parameters
    ----------
    y : array of shape (n_samples,)
        Labels, in the unit of the target.
    sample_weight : array of shape (n_samples,), optional
    n_buckets : int >= 2, default 64
        The most buckets to make; explicit edges and segments ignore it.
    edges : str, array of shape (K - 1,) or list of (start, stop, step), default "quantile"
        ``"quantile"``: equal weight in each; every value with more than 1 / n_buckets of the weight, such as 0, alone.
        ``"mixed"``: equal steps of half weight, half weighted size of the labels other than 0; zeros alone.
        ``"uniform"``: equal widths between the least and the greatest label.
        ``"exp"``: ``exp(k / a) - 1``, a such that k = n_buckets is the greatest label; labels >= 0, in a unit in which 1 is
        small (seconds).
        ``"peaks"``: the most frequent values (prices) alone, up to half of the buckets and only values with more than twice
        the mean weight of a value; the rest as "quantile" between them.
        An array: these edges. A list of triples: ``start, start + step, ...`` below stop, of all segments together.

    Returns
    -------
    ndarray of shape (K - 1,)
        Strictly increasing. K is less than asked for where labels have fewer distinct values, or where grid buckets
        hold no label (they join the one below). Edges that follow labels lie halfway between two of them, so that
        labels rounded to float32 stay in their bucket.

    Raises
    ------
    ValueError
        For labels or weights that are not finite, negative labels where they are not allowed, and edges out of order.

    Examples
    --------
    >>> make_edges([0, 0, 0, 0, 1, 2, 3, 4], n_buckets=3)
    array([0.5, 2.5])
    >>> make_edges([1, 5, 70, 90], edges=[(0, 10, 5), (10, 100, 30)])
    array([ 5., 70.])
    """
    y, w = used_labels(y, sample_weight)
    if not isinstance(n_buckets, Integral) or n_buckets < 2:
        raise ValueError(f"n_buckets={n_buckets!r} must be an integer >= 2: with one bucket there is nothing to classify")
    n = int(n_buckets)
    values, group = np.unique(y, return_inverse=True)
    weight = np.bincount(group, weights=w)
    low, high = float(values[0]), float(values[-1])
    if isinstance(edges, str):
        if edges not in EDGES:
            raise ValueError(
                f"edges={edges!r} is not known: use one of {', '.join(EDGES)}, an array, or (start, stop, step)s"
            )
        if edges == "exp" and low < 0:
            raise ValueError(f"edges='exp' needs labels >= 0, the least is {low:g}: use 'mixed'")
        if edges in ("uniform", "exp"):
            grid = np.linspace(low, high, n + 1) if edges == "uniform" else np.expm1(np.linspace(0, math.log1p(high), n + 1))
            return _occupied(grid[1:-1], values)
        if edges == "mixed":
            cuts = _mixed_cuts(values, weight, n)
        elif edges == "quantile":
            cuts = _cuts_around(_heaviest_first(weight, weight.sum() / n), weight, n)
        else:
            cuts = _cuts_around(_heaviest_first(weight, 2.0 * weight.mean())[: n // 2], weight, n)
        before, after = values[np.array(cuts, dtype=int) - 1], values[np.array(cuts, dtype=int)]
        middle = before + 0.5 * (after - before)
        return np.where(middle > before, middle, after)
    grid = np.asarray(edges, dtype=np.float64)
    if grid.ndim == 2 and grid.shape[1] == 3:
        return _occupied(_segments(grid, edges), values)
    check_one_dimensional(grid, "edges")
    if not np.isfinite(grid).all() or not (np.diff(grid) > 0).all():
        raise ValueError(f"edges must be finite and strictly increasing, got {edges!r}: np.unique(edges) sorts")
    return _occupied(grid, values)


def _occupied(edges: Floats, values: Floats) -> Floats:
    """The edges without those below an empty bucket or below all labels."""
    held = np.unique(bucket_of(values, np.unique(edges)))
    return np.unique(edges)[held[1:] - 1]
