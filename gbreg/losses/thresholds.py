"""The shared thresholds of an ordinal loss, estimated again between rounds from the training rows' scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, solveh_banded

from gbreg._checks import Floats

# Thresholds nearer than this are too near for doubles.
LEAST_GAP = 1e-12
# Arrays of so many rows stay in the cache, and in memory that is not asked for anew: twice as fast at 200,000 rows.
BLOCK = 2**13
# An update closes at most this part of a gap between thresholds, and is halved this often before it is given up.
_CLOSED = 0.9
_HALVINGS = 5
# Log-odds beyond are as good as certain, and softplus is a straight line.
_CERTAIN = 600.0


@dataclass(frozen=True)
class Scored:
    """Training rows as the thresholds see them: bucket, location, one over the spread, weight, and whether the label may
    lie in any bucket from its own on, each of shape (n,).

    Without a spread `unit` is None, and gaps between thresholds are those of buckets instead of rows.
    """

    bucket: NDArray[np.intp]
    location: Floats
    unit: Floats | None
    weight: Floats
    beyond: NDArray[np.bool_] | None = None

    @property
    def _within(self) -> Floats:
        """The weights of the rows whose label lies in its own bucket."""
        return self.weight if self.beyond is None else np.where(self.beyond, 0.0, self.weight)

    def _odds(self, thresholds: Floats) -> tuple[Floats, Floats, Floats]:
        """Of falling below the lower and the upper threshold of the label's bucket; and what they leave out of the loss."""
        ends = np.concatenate([[-np.inf], thresholds, [np.inf]])
        upper = self.bucket + 1 if self.beyond is None else np.where(self.beyond, thresholds.size + 1, self.bucket + 1)
        low, high = ends[self.bucket] - self.location, ends[upper] - self.location
        if self.unit is not None:
            low, high = low * self.unit, high * self.unit
        beyond = np.maximum(np.maximum(low, -high) - _CERTAIN, 0.0)
        return np.exp(np.clip(low, -_CERTAIN, _CERTAIN)), np.exp(np.clip(high, -_CERTAIN, _CERTAIN)), beyond

    def _gaps(self, thresholds: Floats) -> tuple[Floats, NDArray[np.intp], Floats | float, Floats]:
        """Distances between the two thresholds of a bucket, and each one's bucket, unit and weight."""
        gaps = np.diff(thresholds, prepend=-np.inf, append=np.inf)
        if self.unit is None:
            return gaps, np.arange(gaps.size), 1.0, _by_bucket(self.bucket, self._within, gaps.size)
        return gaps[self.bucket] * self.unit, self.bucket, self.unit, self._within

    def _total(self, odds: tuple[Floats, Floats, Floats], gap: Floats, mass: Floats) -> float:
        low, high, beyond = odds
        # expit(high) - expit(low) = expit(high) expit(-low) (1 - exp(low - high))
        each = np.log((1.0 + low) * (1.0 + 1.0 / high)) + beyond
        return float(each @ self.weight - np.log(-np.expm1(-gap)) @ mass)

    def total(self, thresholds: Floats) -> float:
        """The weighted sum of ``-ln`` of the probability of the label's bucket, convex in the thresholds."""
        gap, _, _, mass = self._gaps(thresholds)
        return self._total(self._odds(thresholds), gap, mass)

    def expansion(self, thresholds: Floats) -> tuple[float, Floats]:
        """`total`, and its derivatives of shape (3, K - 1): gradient, then the Hessian as `solveh_banded` takes it."""
        odds, (gap, bucket, unit, mass) = self._odds(thresholds), self._gaps(thresholds)
        below, above, n_buckets = odds[0] / (1.0 + odds[0]), 1.0 / (1.0 + odds[1]), thresholds.size + 1
        slope = self.weight if self.unit is None else self.weight * self.unit
        curvature = slope if self.unit is None else slope * self.unit
        with np.errstate(over="ignore"):
            between = 1.0 / np.expm1(gap)
        pull = mass * unit * between
        stiffness = pull * unit * (1.0 + between)

        def summed(rows: Floats, gaps: Floats) -> Floats:
            return _by_bucket(self.bucket, rows, n_buckets) + _by_bucket(bucket, gaps, n_buckets)

        gradient = summed(slope * below, pull)[1:] - summed(slope * above, pull)[:-1]
        lower = summed(curvature * below * (1.0 - below), stiffness)[1:]
        upper = summed(curvature * above * (1.0 - above), stiffness)[:-1]
        off_diagonal = -_by_bucket(bucket, stiffness, n_buckets)[:-1]
        return self._total(odds, gap, mass), np.array([gradient, off_diagonal, lower + upper])


def _by_bucket(bucket: NDArray[np.intp], values: Floats, n_buckets: int) -> Floats:
    return np.bincount(bucket, values, n_buckets).astype(np.float64, copy=False)


def _newton(derivatives: Floats, thresholds: Floats) -> Floats:
    """The Newton step, shortened where thresholds would meet; 0 where there is none."""
    try:
        step: Floats = -solveh_banded(derivatives[1:], derivatives[0])
    except (LinAlgError, ValueError):  # not positive definite, or not finite
        return np.zeros_like(thresholds)
    closing = (-np.diff(step) / np.diff(thresholds)).max(initial=_CLOSED)
    return step * float(_CLOSED / closing)


def improved(blocks: Sequence[Scored], thresholds: Floats) -> Floats | None:
    """Thresholds of a lower total, strictly increasing: a Newton step, halved until it gives them; None if it does not."""
    totals, derivatives = zip(*(block.expansion(thresholds) for block in blocks), strict=True)
    step = _newton(np.sum(derivatives, axis=0), thresholds)
    for _ in range(_HALVINGS):
        there = thresholds + step
        if (np.diff(there) >= LEAST_GAP).all() and sum(block.total(there) for block in blocks) < sum(totals):
            return there
        step = 0.5 * step
    return None
