"""Probabilities of buckets as a full predictive distribution, with exact means, quantiles and scores."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import exp, expm1, inf, log
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad

from gbreg._checks import Floats
from gbreg._discretize import bucket_of
from gbreg.distribution.base import Distribution, check_scale, column, mapped, safe_log


@dataclass(frozen=True)
class _Excess:
    """What the tail adds to the last edge: generalised Pareto with this mean (> 0); exponential at shape 0."""

    mean: float
    shape: float

    @property
    def scale(self) -> float:
        return self.mean * (1.0 - self.shape)

    def hazard(self, x: Floats) -> Floats:
        """``-ln sf(x)``."""
        return np.log1p(self.shape / self.scale * x) / self.shape if self.shape else x / self.scale

    def value(self, hazard: Floats) -> Floats:
        """The excess with this ``-ln sf``."""
        with np.errstate(over="ignore"):
            return self.scale * np.expm1(self.shape * hazard) / self.shape if self.shape else self.scale * hazard

    def log_mean(self, start: float, scale: float) -> float:
        """``E[ln(1 + (start + X) / scale)]``; beyond a hazard of 60 lies 1e-26 of the mass."""
        unit = self.scale / (start + scale)

        def integrand(h: float) -> float:
            return exp(-h) * float(np.log1p(unit * (expm1(self.shape * h) / self.shape if self.shape else h)))

        # Pieces in ratio: where the excess dwarfs the last edge, all that bends lies near a hazard of 0.
        ends = [0.0, *np.geomspace(1e-12, 60.0, 24)]
        pieces = (quad(integrand, a, b, epsabs=0.0, epsrel=1e-10)[0] for a, b in pairwise(ends))
        return float(np.log1p(start / scale)) + float(sum(pieces))

    def log_below(self, share: Floats, start: float, scale: float) -> Floats:
        """Integral of ``ln(1 + (start + x) / scale)`` over the least share of the mass."""
        hazard = np.minimum(-safe_log(1.0 - share), 60.0)
        nodes, weights = np.polynomial.legendre.leggauss(8)
        total = share * np.log1p(start / scale)
        for a, b in pairwise([0.0, *np.geomspace(1e-12, 1.0, 24)]):  # near 0 for the same reason
            for node, weight in zip(nodes, weights, strict=True):
                h = hazard * (a + (b - a) * (node + 1.0) / 2)
                total = total + hazard * (b - a) / 2 * weight * np.exp(-h) * np.log1p(self.value(h) / (start + scale))
        return total  # type: ignore[no-any-return]


def _mean_log(low: Floats, high: Floats) -> Floats:
    """Mean of ln(1 + u) over u uniform on [low, high], -1 < low <= high."""
    d = (high - low) / (1.0 + low)
    near = d * (1 / 2 - d * (1 / 6 - d * (1 / 12 - d * (1 / 20 - d * (1 / 30 - d / 42)))))
    safe = np.where(d > 1e-2, d, 1.0)
    far = (1.0 + safe) * np.log1p(safe) / safe - 1.0
    return np.log1p(low) + np.where(d > 1e-2, far, near)


def _part(distance: Floats, width: Floats) -> Floats:
    """The part of a width that a distance covers, in [0, 1]."""
    return np.clip(distance / np.where(width > 0, width, 1.0), 0.0, 1.0)


def _passed(pieces: tuple[Floats, ...], distance: Floats) -> tuple[Floats, Floats]:
    """Integrals of (share of mass passed) and of its square, travelling this far into a bucket from one end."""
    first, first_mass, jump, second_mass, second = pieces
    a, b, met = _part(distance, first), _part(distance - first, second), first_mass + jump
    once = first * first_mass * a**2 / 2 + second * b * (met + second_mass * b / 2)
    squared = first * first_mass**2 * a**3 / 3 + second * b * (met**2 + met * second_mass * b + second_mass**2 * b**2 / 3)
    return once, squared


class _Inside:
    """How a unit of mass lies within each bucket: tables of shape (K,), and functions of buckets k and values t in them."""

    def __init__(self, start: Floats, end: Floats, at: Floats, atom: NDArray[np.bool_], tail: _Excess | None):
        self.start, self.at, self.tail, self.limit = start, at, tail, end
        self.is_tail = np.zeros(at.size, dtype=bool)
        self.is_tail[-1] = tail is not None
        self.end = np.where(self.is_tail, at, end)  # finite; the tail's own functions stand in
        self.left, self.right = at - start, np.where(self.is_tail, 1.0, self.end - at)
        self.width = np.where(self.is_tail, 0.0, self.end - start)
        # A representative at the end of its bucket leaves no room for mass elsewhere.
        self.atom = (atom | (self.left <= 0) | (self.right <= 0)) & ~self.is_tail
        self.low = np.where(self.atom, 0.0, self.right / np.where(self.atom, 1.0, self.left + self.right))
        self.high = np.where(self.atom, 0.0, 1.0 - self.low)
        self.jump = np.where(self.atom, 1.0, 0.0)

    def hazard(self, k: Any, t: Floats) -> Floats:
        """-ln of the tail's own survival function; 0 in other buckets."""
        x = np.where(self.is_tail[k], t - self.start[k], 0.0)
        return np.zeros_like(x) if self.tail is None else self.tail.hazard(np.maximum(x, 0.0))

    def cdf(self, k: Any, t: Floats) -> Floats:
        from_start = self.low[k] * _part(t - self.start[k], self.left[k])
        share = from_start + self.jump[k] * (t >= self.at[k]) + self.high[k] * _part(t - self.at[k], self.right[k])
        return np.where(self.is_tail[k], -np.expm1(-self.hazard(k, t)), share)

    def sf(self, k: Any, t: Floats) -> Floats:
        to_end = self.high[k] * _part(self.end[k] - t, self.right[k])
        share = to_end + self.jump[k] * (t < self.at[k]) + self.low[k] * _part(self.at[k] - t, self.left[k])
        return np.where(self.is_tail[k], np.exp(-self.hazard(k, t)), share)

    def inverse(self, k: Any, share: Floats) -> Floats:
        low, high = self.low[k], self.high[k]
        below = self.start[k] + self.left[k] * _part(share, low)
        above = self.at[k] + self.right[k] * _part(share - low, high)
        value = np.where(self.atom[k], self.at[k], np.where(share <= low, below, above))
        if self.tail is None:
            return value  # type: ignore[no-any-return]
        return np.where(self.is_tail[k], self.start[k] + self.tail.value(-safe_log(1.0 - share)), value)  # type: ignore[no-any-return]

    def log_density(self, k: Any, t: Floats) -> Floats:
        """ln of the density at t, 0 for an atom, -inf outside."""
        safe = np.where(self.atom, 1.0, self.left)[k], np.where(self.atom, 1.0, self.right)[k]
        out = safe_log(np.where(t < self.at[k], self.low[k] / safe[0], self.high[k] / safe[1]) + self.jump[k])
        if self.tail is not None:
            tail = -(1.0 + self.tail.shape) * self.hazard(k, t) - log(self.tail.scale)
            out = np.where(self.is_tail[k], tail, out)
        return np.where((t >= self.start[k]) & (t <= self.limit[k]) | self.atom[k], out, -inf)

    def integrals(self, k: Any, t: Floats) -> tuple[Floats, ...]:
        """Integrals of cdf and cdf**2 from the bucket's start to t, then of sf and sf**2 from t to its end."""
        up = (self.left[k], self.low[k], self.jump[k], self.high[k], self.right[k])
        below = _passed(up, t - self.start[k])
        above = _passed(up[::-1], self.end[k] - t)
        if self.tail is None:
            return *below, *above
        x, hazard, shape = t - self.start[k], self.hazard(k, t), self.tail.shape
        mean, square = self.tail.mean, self.tail.scale / (2.0 - shape)  # of sf, and of sf**2, from 0 to infinity
        once, twice = mean * np.exp(-(1.0 - shape) * hazard), square * np.exp(-(2.0 - shape) * hazard)
        tail = (x - (mean - once), x - 2.0 * (mean - once) + (square - twice), once, twice)
        return tuple(np.where(self.is_tail[k], *pair) for pair in zip(tail, (*below, *above), strict=True))

    def log_below(self, k: Any, share: Floats, scale: float) -> Floats:
        """Integral of ``ln(1 + value / scale)`` over the least share of a bucket's mass."""
        start, at = self.start[k] / scale, self.at[k] / scale
        low, high = np.minimum(share, self.low[k]), np.clip(share - self.low[k], 0.0, self.high[k])
        rising = low * _mean_log(start, start + self.left[k] / scale * _part(low, self.low[k]))
        rising += high * _mean_log(at, at + self.right[k] / scale * _part(high, self.high[k]))
        out = np.where(self.atom[k], share * np.log1p(at), rising)
        if self.tail is not None:
            beyond = self.is_tail[k]
            out[beyond] = self.tail.log_below(share[beyond], self.start[-1], scale)
        return out  # type: ignore[no-any-return]

    def log_mean(self, scale: float) -> Floats:
        start, at, end = self.start / scale, self.at / scale, self.end / scale
        out = self.low * _mean_log(start, at) + self.jump * np.log1p(at) + self.high * _mean_log(at, end)
        return out if self.tail is None else np.where(self.is_tail, self.tail.log_mean(self.start[-1], scale), out)


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
        self.edges, self.low, self.high, self.representatives, self.probabilities = (
            np.asarray(values, dtype=np.float64) for values in (edges, low, high, representatives, probabilities)
        )
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
                excess, end[-1] = _Excess(float(self.representatives[-1] - start[-1]), tail_shape), inf
        self._inside = _Inside(start, end, self.representatives, self.low == self.high, excess)

    def _check_probabilities(self, n_buckets: int) -> None:
        p = self.probabilities
        if p.ndim != 2 or p.shape[1] != n_buckets:
            raise ValueError(f"probabilities has shape {p.shape}, {n_buckets - 1} edges need (n, {n_buckets})")
        wrong = np.flatnonzero(~((p >= 0).all(axis=1) & (np.abs(p.sum(axis=1) - 1.0) < 1e-6)))
        if wrong.size:
            raise ValueError(
                f"probabilities must be >= 0 and sum to 1 in every row; {wrong.size:,} of {len(p):,} rows do not (first: "
                f"row {wrong[0]}, sum {p[wrong[0]].sum():g}): divide each row by its sum"
            )

    def __len__(self) -> int:
        return len(self.probabilities)

    def __getitem__(self, rows: Any) -> Bucketed:
        chosen = np.atleast_2d(self.probabilities[rows])
        return Bucketed(self.edges, self.low, self.high, self.representatives, chosen, self.tail_shape)

    @cached_property
    def _mass(self) -> Floats:
        return self.probabilities / self.probabilities.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]

    @cached_property
    def _bounds(self) -> Floats:
        """The cdf at the K + 1 ends of the buckets, from exactly 0 to exactly 1."""
        bounds = np.zeros((len(self), self.representatives.size + 1))
        np.cumsum(self._mass, axis=1, out=bounds[:, 1:])
        return bounds / bounds[:, -1:]

    @cached_property
    def _above(self) -> Floats:
        """Mass beyond each bucket, summed from the far end so that little mass is not rounded away."""
        above = np.zeros_like(self._mass)
        above[:, :-1] = np.cumsum(self._mass[:, :0:-1], axis=1)[:, ::-1]
        return above

    def mean(self) -> Floats:
        return self._mass @ self.representatives

    def _likeliest(self, levels: Floats, slopes: Floats) -> Floats:
        inside, mass = self._inside, np.diff(mapped(self._bounds, levels, slopes), axis=1)
        # Where a tail begins its density is 1 / scale.
        width = inside.width if inside.tail is None else np.where(inside.is_tail, inside.tail.scale, inside.width)
        likeliest = mass.argmax(axis=1)
        density = np.where(inside.atom, 0.0, mass / np.where(inside.atom, 1.0, width))
        return self.representatives[np.where(inside.atom[likeliest], likeliest, density.argmax(axis=1))]  # type: ignore[no-any-return]

    def log_mean(self, scale: float = 1.0) -> Floats:
        return self._mass @ self._log_means(scale)

    def _log_means(self, scale: float) -> Floats:
        check_scale(scale)
        least = self._inside.start[0]
        if least <= -scale:
            raise ValueError(f"log_mean needs values above -scale = {-scale:g}, the first bucket begins at {least:g}")
        return self._inside.log_mean(scale)

    def _log_below(self, levels: Floats, scale: float) -> Floats:
        upto = np.zeros_like(self._bounds)
        np.cumsum(self._mass * self._log_means(scale), axis=1, out=upto[:, 1:])
        row, k, share = self._shares(levels)
        return upto[row, k] + self._mass[row, k] * self._inside.log_below(k, share, scale)

    def _located(self, t: ArrayLike, name: str, finite: bool) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
        t = column(t, len(self), name, finite)
        return t, np.arange(len(self)), bucket_of(t, self.edges)

    def cdf(self, t: ArrayLike) -> Floats:
        t, row, k = self._located(t, "t", finite=False)
        below = self._bounds[row, k]
        return below + (self._bounds[row, k + 1] - below) * self._inside.cdf(k, t)

    def sf(self, t: ArrayLike) -> Floats:
        t, row, k = self._located(t, "t", finite=False)
        return self._above[row, k] + self._mass[row, k] * self._inside.sf(k, t)

    def pit(self, y: ArrayLike) -> Floats:
        y, row, k = self._located(y, "y", finite=True)
        bounds = np.column_stack([self._bounds[row, k], self._bounds[row, k + 1]])
        return np.where(self._inside.atom[k][:, None], bounds, self.cdf(y)[:, None])

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
        inside, every, mass, below, above = (
            self._inside,
            np.arange(self.low.size),
            self._mass,
            self._bounds[:, :-1],
            self._above,
        )
        # In bucket j the cdf is below + mass * share, and likewise from above: squared, and integrated over the bucket.
        once, squared, _, _ = inside.integrals(every, inside.end)
        _, _, once_above, squared_above = inside.integrals(every, inside.start)
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

    def _areas(self, t: Floats) -> tuple[Floats, ...]:
        given, row, k = self._located(t, "t", finite=True)
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
        _, below, _, above = self._areas(column(y, len(self), "y"))
        return below + above

    def log_score(self, y: ArrayLike) -> Floats:
        y, row, k = self._located(y, "y", finite=True)
        return -safe_log(self._mass[row, k]) - self._inside.log_density(k, y)
