"""How the mass of a bucket lies inside it, the same for all rows: along straight pieces, in an atom, in a tail."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from math import exp, expm1, inf, log
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

from gbreg._checks import Floats
from gbreg.distribution.base import safe_log


@dataclass(frozen=True)
class Excess:
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


@lru_cache(maxsize=64)
def _log_mean(excess: Excess, start: float, scale: float) -> float:
    """``E[ln(1 + (start + X) / scale)]`` of the excess; beyond a hazard of 60 lies 1e-26 of the mass."""
    unit, shape = excess.scale / (start + scale), excess.shape

    def integrand(h: float) -> float:
        return exp(-h) * float(np.log1p(unit * (expm1(shape * h) / shape if shape else h)))

    # Pieces in ratio: where the excess dwarfs the last edge, all that bends lies near a hazard of 0.
    ends = [0.0, *np.geomspace(1e-12, 60.0, 24)]
    pieces = (quad(integrand, a, b, epsabs=0.0, epsrel=1e-10)[0] for a, b in pairwise(ends))
    return float(np.log1p(start / scale)) + float(sum(pieces))


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


class Inside:
    """How a unit of mass lies within each bucket: tables of shape (K,), and functions of buckets k and values t in them."""

    def __init__(self, start: Floats, end: Floats, at: Floats, atom: NDArray[np.bool_], tail: Excess | None):
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

    @cached_property
    def whole(self) -> tuple[Floats, ...]:
        """`integrals` over whole buckets, of shape (K,)."""
        every = np.arange(self.at.size)
        return self.integrals(every, self.end)[:2] + self.integrals(every, self.start)[2:]

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
        return out if self.tail is None else np.where(self.is_tail, _log_mean(self.tail, self.start[-1], scale), out)
