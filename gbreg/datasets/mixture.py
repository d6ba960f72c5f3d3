"""Laws of a label at or above 0, one a row, exactly: mass at zero and a mixture beyond."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from gbreg._checks import Floats

Seed = int | np.random.Generator | None


def generator(random_state: Seed) -> np.random.Generator:
    """PCG64 by name: `default_rng` may change to another one some day, and the seeds with it."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.Generator(np.random.PCG64(random_state))


class Part(Protocol):
    """One law a row on (0, inf); t and share have shape (n_samples,)."""

    def mean(self) -> Floats: ...

    def cdf(self, t: Floats) -> Floats: ...

    def inverse(self, share: Floats) -> Floats:
        """The smallest value at which the cdf reaches share, which lies in [0, 1)."""
        ...


@dataclass(frozen=True)
class LogNormal:
    """exp(N(m, s^2)); beyond the cap, where there is one, the cap itself."""

    m: Floats
    s: Floats
    cap: Floats | None = None

    def mean(self) -> Floats:
        whole: Floats = np.exp(self.m + self.s**2 / 2)
        if self.cap is None:
            return whole
        z = (np.log(self.cap) - self.m) / self.s
        mean: Floats = whole * ndtr(z - self.s) + self.cap * ndtr(-z)
        return mean

    def cdf(self, t: Floats) -> Floats:
        below: Floats = ndtr((np.log(t) - self.m) / self.s)
        return below if self.cap is None else np.where(t < self.cap, below, 1.0)

    def inverse(self, share: Floats) -> Floats:
        t: Floats = np.exp(self.m + self.s * ndtri(share))
        return t if self.cap is None else np.minimum(t, self.cap)


@dataclass(frozen=True)
class Pareto:
    """P(Y > t) = (low / t)^index beyond low; the mean needs index > 1."""

    low: Floats
    index: float

    def mean(self) -> Floats:
        return self.index / (self.index - 1) * self.low

    def cdf(self, t: Floats) -> Floats:
        return 1 - (self.low / np.maximum(t, self.low)) ** self.index

    def inverse(self, share: Floats) -> Floats:
        return self.low * (1 - share) ** (-1 / self.index)


@dataclass(frozen=True)
class Price:
    """Always the same value."""

    value: float

    def mean(self) -> Floats:
        return np.array([self.value])

    def cdf(self, t: Floats) -> Floats:
        return (t >= self.value).astype(np.float64)

    def inverse(self, share: Floats) -> Floats:
        return np.full_like(share, self.value)


class Mixture:
    """Zero with probability 1 - sum(weights), part k with probability weights[k].

    Parameters
    ----------
    weights : list of ndarray of shape (n_samples,)
    parts : list of Part
    """

    def __init__(self, weights: Sequence[Floats], parts: Sequence[Part]):
        self.weights = np.column_stack(list(weights))
        self.parts = list(parts)

    def probability(self) -> Floats:
        """P(y > 0), shape (n_samples,)."""
        found: Floats = self.weights.sum(axis=1)
        return found

    def mean(self) -> Floats:
        """E[y], shape (n_samples,)."""
        found: Floats = sum((w * part.mean() for w, part in zip(self.weights.T, self.parts, strict=True)), np.zeros(1))
        return found

    def _cdf(self, t: Floats) -> Floats:
        """P(y <= t) for t > 0."""
        above: Floats = sum((w * (1 - p.cdf(t)) for w, p in zip(self.weights.T, self.parts, strict=True)), np.zeros(1))
        return 1 - above

    def quantile(self, q: ArrayLike) -> Floats:
        """The smallest value at which the cdf reaches q: true quantiles of every row.

        Parameters
        ----------
        q : float or array of shape (j,)
            Levels in [0, 1).

        Returns
        -------
        ndarray of shape (n_samples,) for a scalar q, else (n_samples, j)
        """
        levels = np.asarray(q, dtype=np.float64)
        if levels.ndim > 1 or not ((levels >= 0) & (levels < 1)).all():
            raise ValueError(f"q={q!r} must be a number in [0, 1), or a one-dimensional array of such: 90% is 0.9")
        found = [self._reaching(level) for level in levels.ravel()]
        return found[0] if levels.ndim == 0 else np.column_stack(found) if found else np.empty((len(self.weights), 0))

    def _reaching(self, level: float) -> Floats:
        # Positive doubles are ordered as their bits are: halving those finds the very double, prices included.
        n = len(self.weights)
        low = np.zeros(n, dtype=np.int64)
        high = np.full(n, np.finfo(np.float64).max).view(np.int64)
        while (high - low > 1).any():
            middle = np.maximum(low + (high - low) // 2, 1)  # not 0, whose log is infinite
            reached = self._cdf(middle.view(np.float64)) >= level
            low, high = np.where(reached, low, middle), np.where(reached, middle, high)
        return np.where(level <= 1 - self.probability(), 0.0, high.view(np.float64))

    def resample(self, random_state: Seed = None) -> Floats:
        """Labels drawn anew for the same rows, independent of those given, shape (n_samples,)."""
        rng = generator(random_state)
        n = len(self.weights)
        chosen = (rng.random(n)[:, None] >= np.cumsum(self.weights, axis=1)).sum(axis=1)
        share = rng.random(n)
        labels: Floats = np.choose(chosen, [*(part.inverse(share) for part in self.parts), np.zeros(n)])
        return labels


class Sums:
    """Growing sums of independent labels, each of a law of its own; arrays have shape (n_samples, n_sums)."""

    def __init__(self, added: Sequence[Mixture]):
        self.added = list(added)

    def probability(self) -> Floats:
        """P(y > 0)."""
        each = np.column_stack([law.probability() for law in self.added])
        return 1 - np.cumprod(1 - each, axis=1, dtype=np.float64)

    def mean(self) -> Floats:
        """E[y]."""
        return np.cumsum(np.column_stack([law.mean() for law in self.added]), axis=1)

    def resample(self, random_state: Seed = None) -> Floats:
        """Labels drawn anew for the same rows, independent of those given."""
        rng = generator(random_state)
        return np.cumsum(np.column_stack([law.resample(rng) for law in self.added]), axis=1)
