"""Probabilities of buckets as a full predictive distribution, with exact means, quantiles and scores."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gbreg._checks import Floats
from gbreg._discretize import bucket_of
from gbreg.distribution.base import Distribution, by_blocks, check_scale, column, mapped, safe_log
from gbreg.distribution.inside import Excess, Inside


class Bucketed(Distribution):
    r"""Probabilities of K buckets, and how the mass of a bucket lies inside it.

    Within a bucket [a, b) with representative r the cdf is linear on [a, r] and on [r, b], with masses in the ratio
    (b - r) : (r - a). Of all masses on these two pieces it is the one whose mean is r (uniform if r is the middle), so
    that the mean is ``sum_k p_k r_k`` as softmax decoding has it. A bucket that held a single training value is an atom
    there. Inner buckets reach from edge to edge, the first begins at its lowest label, the last ends at its highest, or
    never, with a tail: last edge plus a generalised Pareto excess whose mean is the representative less the edge.

    Parameters
    ----------
    edges : array of shape (K - 1,)
        Strictly increasing; bucket k holds ``edges[k - 1] <= y < edges[k]``.
    low, high : arrays of shape (K,)
        Least and greatest training label of each bucket (`gbreg._discretize.spans`).
    representatives : array of shape (K,)
        Mean of each bucket, ``low <= representatives <= high``.
    probabilities : array of shape (n, K)
        Each row sums to 1; exact zeros are fine.
    tail_shape : float in [0, 1) or None, default None
        None ends the support at the greatest training label. 0 is an exponential tail, more a Pareto tail of index
        1 / tail_shape.

    Raises
    ------
    ValueError
        For shapes that differ, values out of order, and probabilities that are negative or do not sum to 1.

    Notes
    -----
    CRPS: the exact integral of the piecewise quadratic ``(cdf - 1[x >= y])**2``. Log score: in a bucket that is an atom,
    ``-ln p_k`` for every label that the edges count as this value, so that rounding of labels does not matter; densities
    elsewhere: compare it between models with the same edges only. Mode: the value of the likeliest bucket if that is an
    atom, else the representative of the non-atom bucket with the greatest mean density.

    Examples
    --------
    >>> d = Bucketed([0.5, 10.0], [0.0, 1.0, 10.0], [0.0, 9.0, 50.0], [0.0, 4.0, 20.0], [[0.5, 0.3, 0.2]])
    >>> d.mean(), d.cdf(4.0).round(3), d.quantile([0.25, 0.9]).round(2)
    (array([5.2]), array([0.689]), array([[ 0.  , 16.67]]))
    """

    def __init__(
        self,
        edges: ArrayLike,
        low: ArrayLike,
        high: ArrayLike,
        representatives: ArrayLike,
        probabilities: ArrayLike,
        tail_shape: float | None = None,
    ):
        self.edges, self.low, self.high, self.representatives, self._rows = (
            np.asarray(values, dtype=np.float64) for values in (edges, low, high, representatives, probabilities)
        )
        self._decode: Callable[[Floats], Floats] | None = None
        self.tail_shape = tail_shape
        n_buckets = self.edges.size + 1
        for name in ("low", "high", "representatives"):
            if getattr(self, name).shape != (n_buckets,):
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, {n_buckets - 1} edges need ({n_buckets},)")
        start, end = np.append(self.low[0], self.edges), np.append(self.edges, self.high[-1])
        ordered = (start <= self.low) & (self.low <= self.representatives)
        ordered &= (self.representatives <= self.high) & (self.high <= end)
        ordered[1:-1] &= np.diff(self.edges) > 0  # the last bucket may be a single value at its edge
        if not ordered.all():
            k = np.flatnonzero(~ordered)[0]
            raise ValueError(
                f"bucket {k} is out of order: edges [{start[k]:g}, {end[k]:g}), low={self.low[k]:g}, "
                f"representatives={self.representatives[k]:g}, high={self.high[k]:g} must not decrease in the order edge, "
                "low, representative, high, edge: compute them from the labels that gave the edges"
            )
        self._check_probabilities(n_buckets)
        excess = None
        if tail_shape is not None:
            if not 0 <= tail_shape < 1:
                raise ValueError(f"tail_shape={tail_shape!r} must lie in [0, 1) (a mean needs < 1), or be None for no tail")
            if self.representatives[-1] > start[-1]:  # else the last bucket is a single value: nothing to exceed
                excess, end[-1] = Excess(float(self.representatives[-1] - start[-1]), tail_shape), inf
        self._inside = Inside(start, end, self.representatives, self.low == self.high, excess)

    def _check_probabilities(self, n_buckets: int) -> None:
        p = self._rows
        if p.ndim != 2 or p.shape[1] != n_buckets:
            raise ValueError(f"probabilities has shape {p.shape}, {n_buckets - 1} edges need (n, {n_buckets})")
        wrong = np.flatnonzero(~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) < 1e-6)))
        if wrong.size:
            raise ValueError(
                f"probabilities must be >= 0 and sum to 1 in every row; {wrong.size:,} of {len(p):,} rows do not (first: "
                f"row {wrong[0]}, sum {p[wrong[0]].sum():g}): divide each row by its sum"
            )

    @classmethod
    def decoded(
        cls,
        edges: Floats,
        low: Floats,
        high: Floats,
        representatives: Floats,
        raw: Floats,
        decode: Callable[[Floats], Floats],
        tail_shape: float | None = None,
    ) -> Bucketed:
        """Of raw scores, one row each, which are decoded into probabilities wherever these are read, and not kept."""
        new = cls(edges, low, high, representatives, np.empty((0, edges.size + 1)), tail_shape)
        new._rows, new._decode = raw, decode
        return new

    @property
    def _width(self) -> int:
        return self.representatives.size

    @property
    def probabilities(self) -> Floats:
        return self._rows if self._decode is None else self._decoded()

    @by_blocks
    def _decoded(self) -> Floats:
        return self._decode(self._rows)  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, rows: Any) -> Bucketed:
        part = copy(self)
        part._rows = np.atleast_2d(self._rows[rows])
        for name in _OF_ROWS:
            vars(part).pop(name, None)
        return part

    @cached_property
    def _mass(self) -> Floats:
        p = self.probabilities
        # What a model decodes sums to 1: divided once more, the mean would not be the model's prediction to the bit.
        return p / p.sum(axis=1, keepdims=True) if self._decode is None else p

    @cached_property
    def _bounds(self) -> Floats:
        """The cdf at the K + 1 ends of the buckets, from exactly 0 to exactly 1."""
        bounds = np.zeros((len(self), self.representatives.size + 1))
        np.cumsum(self._mass, axis=1, out=bounds[:, 1:])
        bounds /= bounds[:, -1:].copy()
        return bounds

    @cached_property
    def _above(self) -> Floats:
        """Mass beyond each bucket, summed from the far end so that little mass is not rounded away."""
        above = np.zeros_like(self._mass)
        np.cumsum(self._mass[:, :0:-1], axis=1, out=above[:, -2::-1])
        return above

    @by_blocks
    def mean(self) -> Floats:
        return np.einsum("nk,k->n", self._mass, self.representatives)  # type: ignore[no-any-return]

    @by_blocks
    def _likeliest(self, levels: Floats, slopes: Floats) -> Floats:
        inside, mass = self._inside, np.diff(mapped(self._bounds, levels, slopes), axis=1)
        # Where a tail begins its density is 1 / scale.
        width = inside.width if inside.tail is None else np.where(inside.is_tail, inside.tail.scale, inside.width)
        likeliest = mass.argmax(axis=1)
        density = np.where(inside.atom, 0.0, mass / np.where(inside.atom, 1.0, width))
        return self.representatives[np.where(inside.atom[likeliest], likeliest, density.argmax(axis=1))]  # type: ignore[no-any-return]

    @by_blocks
    def log_mean(self, scale: float = 1.0) -> Floats:
        return np.einsum("nk,k->n", self._mass, self._log_means(scale))  # type: ignore[no-any-return]

    def _log_means(self, scale: float) -> Floats:
        check_scale(scale)
        least = self._inside.start[0]
        if least <= -scale:
            raise ValueError(f"log_mean needs values above -scale = {-scale:g}, the first bucket begins at {least:g}")
        return self._inside.log_mean(scale)

    @by_blocks
    def _log_below(self, levels: Floats, scale: float) -> Floats:
        upto = np.zeros_like(self._bounds)
        np.cumsum(self._mass * self._log_means(scale), axis=1, out=upto[:, 1:])
        row, k, share = self._shares(levels)
        return upto[row, k] + self._mass[row, k] * self._inside.log_below(k, share, scale)

    def _located(self, t: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.arange(len(self)), bucket_of(t, self.edges)

    def cdf(self, t: ArrayLike) -> Floats:
        t = column(t, len(self), "t", finite=False)
        return np.zeros(t.size) if (t < self._inside.start[0]).all() else self._cdf(t)

    @by_blocks
    def _cdf(self, t: Floats) -> Floats:
        row, k = self._located(t)
        below = self._bounds[row, k]
        return below + (self._bounds[row, k + 1] - below) * self._inside.cdf(k, t)

    def sf(self, t: ArrayLike) -> Floats:
        return self._sf(column(t, len(self), "t", finite=False))

    @by_blocks
    def _sf(self, t: Floats) -> Floats:
        row, k = self._located(t)
        return self._above[row, k] + self._mass[row, k] * self._inside.sf(k, t)

    def pit(self, y: ArrayLike) -> Floats:
        return self._pit(column(y, len(self), "y"))

    @by_blocks
    def _pit(self, y: Floats) -> Floats:
        row, k = self._located(y)
        bounds = np.column_stack([self._bounds[row, k], self._bounds[row, k + 1]])
        return np.where(self._inside.atom[k][:, None], bounds, self._cdf(y)[:, None])

    @by_blocks
    def _inverse(self, levels: Floats) -> Floats:
        _, k, share = self._shares(levels)
        return self._inside.inverse(k, share)

    def _shares(self, levels: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        """Row and bucket in which each level is reached, and the share of the bucket's mass that this takes."""
        k, row = self._reaching(levels), np.arange(len(self))[:, None]
        below, upto = self._bounds[row, k], self._bounds[row, k + 1]
        return row, k, np.clip((levels - below) / (upto - below), 0.0, 1.0)

    def _reaching(self, levels: Floats) -> NDArray[np.intp]:
        """The first bucket, with some mass in it (which matters at 0), at whose end the cdf reaches each level."""
        upto, k = self._bounds[:, 1:], np.empty(levels.shape, dtype=np.intp)
        if levels.shape[1] > len(self):  # a loop over what is fewer
            for i in range(len(self)):
                k[i] = np.searchsorted(upto[i], levels[i])
        else:
            for j in range(levels.shape[1]):
                k[:, j] = (upto < levels[:, j, None]).sum(axis=1)
        least: NDArray[np.intp] = np.maximum(k, (upto == 0).sum(axis=1)[:, None])
        return least

    @cached_property
    def _outside(self) -> tuple[Floats, ...]:
        """Integrals of cdf and cdf**2 over all buckets below each, then of sf and sf**2 over all above, of shape (n, K)."""
        inside, mass, below, above = self._inside, self._mass, self._bounds[:, :-1], self._above
        # In bucket j the cdf is below + mass * share, and likewise from above: squared, and integrated over the bucket.
        once, squared, once_above, squared_above = inside.whole
        lower = inside.width * below + mass * once, inside.width * below**2 + 2 * below * mass * once + mass**2 * squared
        upper = (
            inside.width * above + mass * once_above,
            inside.width * above**2 + 2 * above * mass * once_above + mass**2 * squared_above,
        )
        nothing = np.zeros((len(self), 1))
        return (
            *(np.hstack([nothing, np.cumsum(area[:, :-1], axis=1)]) for area in lower),
            *(np.hstack([np.cumsum(area[:, :0:-1], axis=1)[:, ::-1], nothing]) for area in upper),
        )

    @by_blocks
    def _areas(self, t: Floats) -> tuple[Floats, ...]:
        given, (row, k) = t, self._located(t)
        t = np.clip(given, self._inside.start[k], self._inside.limit[k])
        beyond, before = np.maximum(given - t, 0.0), np.maximum(t - given, 0.0)  # where the cdf is 1, and 0
        inside, (lower, lower_squared, upper, upper_squared) = self._inside, (area[row, k] for area in self._outside)
        p, c, d = self._mass[row, k], self._bounds[row, k], self._above[row, k]
        once, squared, once_above, squared_above = inside.integrals(k, t)
        passed, rest = t - inside.start[k], np.where(inside.is_tail[k], 0.0, inside.end[k] - t)
        return (
            beyond + lower + passed * c + p * once,
            beyond + lower_squared + passed * c**2 + 2 * c * p * once + p**2 * squared,
            before + upper + rest * d + p * once_above,
            before + upper_squared + rest * d**2 + 2 * d * p * once_above + p**2 * squared_above,
        )

    def _beyond(self, t: Floats) -> Floats:
        return self._areas(t)[2]

    def crps(self, y: ArrayLike) -> Floats:
        return self._crps(column(y, len(self), "y"))

    @by_blocks
    def _crps(self, y: Floats) -> Floats:
        """The squared ones of `_areas`, both in one sum over buckets."""
        inside, mass, (row, k) = self._inside, self._mass, self._located(y)
        t = np.clip(y, inside.start[k], inside.limit[k])
        p, c, d = mass[row, k], self._bounds[row, k], self._above[row, k]
        once, squared, once_above, squared_above = inside.integrals(k, t)
        passed, rest = t - inside.start[k], np.where(inside.is_tail[k], 0.0, inside.end[k] - t)
        own = passed * c**2 + 2 * c * p * once + p**2 * squared
        own += rest * d**2 + 2 * d * p * once_above + p**2 * squared_above

        share, once, squared = self._above, *inside.whole[2:]
        if k.any():
            below = np.arange(mass.shape[1]) < k[:, None]
            share = np.where(below, self._bounds[:, :-1], share)
            once, squared = (np.where(below, *pair) for pair in (inside.whole[::2], inside.whole[1::2]))
        area = inside.width * share
        area += 2 * (mass * once)
        area *= share
        area += mass * mass * squared
        area[row, k] = own
        return np.abs(y - t) + area.sum(axis=1)  # type: ignore[no-any-return]

    def log_score(self, y: ArrayLike) -> Floats:
        return self._log_score(column(y, len(self), "y"))

    @by_blocks
    def _log_score(self, y: Floats) -> Floats:
        row, k = self._located(y)
        return -safe_log(self._mass[row, k]) - self._inside.log_density(k, y)


# What is computed of a distribution's rows, and kept.
_OF_ROWS = ("_mass", "_bounds", "_above", "_outside")
