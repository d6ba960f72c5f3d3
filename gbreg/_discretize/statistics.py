"""What the training labels say about each bucket: spans, representatives, sufficient statistics."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gbreg._checks import Floats
from gbreg._discretize.edges import bucket_of, used_labels

# Statistics that the largest labels make.
_HEAVY = ("mean", "root")


def _by_bucket(
    y: ArrayLike, sample_weight: ArrayLike | None, edges: ArrayLike
) -> tuple[Floats, Floats, NDArray[np.intp], int]:
    """Labels in increasing order with their weights and buckets, and K."""
    y, w = used_labels(y, sample_weight)
    order = np.argsort(y, kind="stable")
    k, n_buckets = bucket_of(y[order], edges), np.size(edges) + 1
    empty = np.setdiff1d(np.arange(n_buckets), k)
    if empty.size:
        raise ValueError(f"bucket {empty[0]} of {n_buckets} holds no label: make edges and tables from the same labels")
    return y[order], w[order], k, n_buckets


def spans(y: ArrayLike, sample_weight: ArrayLike | None, edges: ArrayLike) -> tuple[Floats, Floats]:
    """Least and greatest label of each bucket, two arrays of shape (K,).

    >>> spans([0, 0, 1, 3], None, [0.5])
    (array([0., 1.]), array([0., 3.]))
    """
    y, _, k, n_buckets = _by_bucket(y, sample_weight, edges)
    every = np.arange(n_buckets)
    return y[np.searchsorted(k, every)], y[np.searchsorted(k, every, side="right") - 1]


def _bucket_means(x: Floats, w: Floats, k: NDArray[np.intp]) -> Floats:
    return np.bincount(k, weights=w * x) / np.bincount(k, weights=w)


def representatives(y: ArrayLike, sample_weight: ArrayLike | None, edges: ArrayLike, how: str = "mean") -> Floats:
    """Weighted mean or median of the labels in each bucket.

    Parameters
    ----------
    y, sample_weight : arrays of shape (n_samples,)
        The labels that `edges` were made from; sample_weight may be None.
    edges : array of shape (K - 1,)
    how : {"mean", "median"}, default "mean"
        The median is the smallest label at which half of the bucket's weight is reached.

    Returns
    -------
    ndarray of shape (K,), strictly increasing

    Raises
    ------
    ValueError
        If a bucket holds no label.

    Examples
    --------
    >>> representatives([0, 1, 2, 9], None, [0.5]), representatives([0, 1, 2, 9], None, [0.5], how="median")
    (array([0., 4.]), array([0., 2.]))
    """
    if how not in ("mean", "median"):
        raise ValueError(f"how={how!r} must be 'mean' or 'median'")
    y, w, k, n_buckets = _by_bucket(y, sample_weight, edges)
    every = np.arange(n_buckets)
    first, last = np.searchsorted(k, every), np.searchsorted(k, every, side="right") - 1
    if how == "mean":  # kept inside the bucket, which rounding of the sums can leave
        return np.clip(_bucket_means(y, w, k), y[first], y[last])
    upto = np.cumsum(w)
    before = upto[first] - w[first]
    return y[np.clip(np.searchsorted(upto, before + 0.5 * (upto[last] - before)), first, last)]


def basis(
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    edges: ArrayLike,
    names: Sequence[str] = ("log", "log2"),
    log_shift: float = 0.0,
) -> Floats:
    r"""Sufficient statistics of the low-rank softmax, ``logits = log prior + sum_r raw_r B[r]``.

    At a leaf's optimum the model's mean of every B[r] is the labels' own, so that the statistics are the functionals
    which will be read.

    Parameters
    ----------
    y, sample_weight : arrays of shape (n_samples,)
        The labels that `edges` were made from; sample_weight may be None.
    edges : array of shape (K - 1,)
    names : sequence of str, default ("log", "log2")
        ``"log"``: the bucket's mean of ``ln(log_shift + y)``. ``"log2"``: its mean of the square of that. ``"mean"``: its
        mean of y. ``"root"``: its mean of the square root of y, which single large labels move less. ``"zero"``: the
        indicator of the bucket that holds 0. ``"position1"``, ``"position2"``, ...: powers of k.
    log_shift : float, default 0.0
        0 for positive labels; 1 where there are zeros.

    Returns
    -------
    ndarray of shape (R, K)
        In the order of `names`, each less its regression on a constant and on those before it (Gram-Schmidt; "mean" and
        "root" come before all others), with mean 0 and mean square 1 under the prior, the weighted shares of the buckets.

    Raises
    ------
    ValueError
        For an unknown name, labels at or below ``-log_shift``, negative ones for "root", "zero" without zeros, and a
        statistic that is constant or a linear combination of those before it (there are at most K - 1 others).

    Examples
    --------
    >>> basis([1, 2, 3, 4], None, [1.5, 2.5, 3.5], ["position1"]).round(3)
    array([[-1.342, -0.447,  0.447,  1.342]])
    """
    y, w, k, n_buckets = _by_bucket(y, sample_weight, edges)
    prior = np.bincount(k, weights=w) / w.sum()
    rows: list[Floats] = []
    # Less its regression on ln y, the root of y would fall among small labels: rows that have only those would learn to
    # raise it, and the share of the largest labels with it.
    order = sorted(range(len(names)), key=lambda r: names[r] not in _HEAVY)
    for name in (names[r] for r in order):
        row = _statistic(name, y, w, k, n_buckets, log_shift)
        row = row / (np.abs(row).max() or 1.0)
        row -= prior @ row
        size = np.sqrt(prior @ row**2)
        for other in rows * 2:  # twice: once leaves what rounding has put back
            row = row - (prior @ (row * other)) * other
        row -= prior @ row
        left = np.sqrt(prior @ row**2)
        if not left > 1e-7 * size or size < 1e-12:
            known = ", ".join(repr(names[r]) for r in order[: len(rows)]) or "a constant"
            raise ValueError(
                f"basis statistic {name!r} follows from {known} on these {n_buckets} buckets: leave it out, or "
                "make more buckets"
            )
        rows.append(row / left)
    return np.array(rows).reshape(-1, n_buckets)[np.argsort(order)]


def _statistic(name: str, y: Floats, w: Floats, k: NDArray[np.intp], n_buckets: int, log_shift: float) -> Floats:
    """One number per bucket, not yet normalised."""
    if name in ("log", "log2"):
        if y[0] + log_shift <= 0:
            raise ValueError(f"basis {name!r} needs labels above {-log_shift:g}, the least is {y[0]:g}: give log_shift=1.0")
        logarithm = np.log(log_shift + y)
        return _bucket_means(logarithm if name == "log" else logarithm**2, w, k)
    if name == "mean":
        return _bucket_means(y, w, k)
    if name == "root":
        if y[0] < 0:
            raise ValueError(f"basis 'root' needs labels >= 0, the least is {y[0]:g}: use 'mean'")
        return _bucket_means(np.sqrt(y), w, k)
    if name == "zero":
        if not (y == 0).any():
            raise ValueError("basis 'zero' needs labels of 0, there are none: leave it out")
        return np.where(np.arange(n_buckets) == k[np.searchsorted(y, 0.0)], 1.0, 0.0)
    if degree := re.fullmatch(r"position([1-9]\d?)", name):
        position: Floats = np.linspace(-1.0, 1.0, n_buckets) ** int(degree[1])
        return position
    raise ValueError(
        f"basis {name!r} is not known: use 'log', 'log2', 'mean', 'root', 'zero', 'position1', 'position2', ..."
    )
