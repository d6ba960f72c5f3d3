"""Closed forms: the log-normal, and any distribution of the positives with a mass at 0."""

from __future__ import annotations

from math import exp, inf, log, pi, sqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri, owens_t

from gbreg._checks import Floats
from gbreg.distribution.base import Distribution, by_blocks, check_scale, column, mapped, safe_log


class LogNormalDistribution(Distribution):
    r"""ln Y is normal with mean m and standard deviation sigma.

    Parameters
    ----------
    m : array of shape (n,)
        Mean of ln Y: the median of Y is exp(m).
    sigma : float or array of shape (n,)
        Standard deviation of ln Y, positive.

    Raises
    ------
    ValueError
        For m or sigma that is not finite, a sigma that is not positive, or shapes that differ.

    Notes
    -----
    Mean ``exp(m + sigma**2 / 2)``, mode ``exp(m - sigma**2)``. CRPS, with ``w = (ln y - m) / sigma``:
    ``y (2 Phi(w) - 1) - 2 mean (Phi(w - sigma) + Phi(sigma / sqrt 2) - 1)``;
    Baran & Lerch (2015), doi:10.1002/qj.2521.

    Examples
    --------
    >>> d = LogNormalDistribution([0.0, 2.0], 1.0)
    >>> d.mean().round(3), d.median().round(3)
    (array([ 1.649, 12.182]), array([1.   , 7.389]))
    """

    def __init__(self, m: ArrayLike, sigma: ArrayLike):
        self.m = np.atleast_1d(np.asarray(m, dtype=np.float64))
        if self.m.ndim != 1:
            raise ValueError(f"m has shape {self.m.shape}: give one value per row")
        self.m = column(self.m, self.m.size, "m")
        self.sigma = column(sigma, self.m.size, "sigma")
        if not (self.sigma > 0).all():
            raise ValueError(f"sigma must be positive, got {self.sigma.min():g}: 1e-6 is as good as certain")

    def __len__(self) -> int:
        return self.m.size

    def __getitem__(self, rows: Any) -> LogNormalDistribution:
        return LogNormalDistribution(self.m[rows], self.sigma[rows])

    def mean(self) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(self.m + 0.5 * self.sigma**2)

    def _likeliest(self, levels: Floats, slopes: Floats) -> Floats:
        # In units of z = (ln y - m) / sigma the log density falls off as -(z + sigma)**2 / 2 from the mode.
        z, sigma = ndtri(levels), self.sigma[:, None]
        empty = levels[:, 1:] <= levels[:, :-1]
        peak = np.where(empty, 0.0, np.clip(-sigma, z[:, :-1], z[:, 1:]))
        best = np.where(empty, -inf, safe_log(slopes) - 0.5 * (peak + sigma) ** 2).argmax(axis=1)
        with np.errstate(over="ignore"):
            return np.exp(self.m + self.sigma * peak[np.arange(len(self)), best])  # type: ignore[no-any-return]

    def log_mean(self, scale: float = 1.0) -> Floats:
        """``E[ln(1 + Y / scale)]`` by the trapezoidal rule, whose error falls as ``exp(-2 pi**2 / (sigma step))``."""
        check_scale(scale)
        step = min(0.2, 0.6 / float(self.sigma.max(initial=1e-300)))
        total = np.zeros(len(self))
        for z in np.arange(-8.6, 8.6 + step, step):
            total += exp(-0.5 * z * z) * np.logaddexp(0.0, self.m - log(scale) + self.sigma * z)
        return total * step / sqrt(2 * pi)

    def _standard(self, t: ArrayLike, name: str) -> Floats:
        return (safe_log(column(t, len(self), name, finite=False)) - self.m) / self.sigma

    def cdf(self, t: ArrayLike) -> Floats:
        return ndtr(self._standard(t, "t"))  # type: ignore[no-any-return]

    def sf(self, t: ArrayLike) -> Floats:
        return ndtr(-self._standard(t, "t"))  # type: ignore[no-any-return]

    def _inverse(self, levels: Floats) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(self.m[:, None] + self.sigma[:, None] * ndtri(levels))  # type: ignore[no-any-return]

    def pit(self, y: ArrayLike) -> Floats:
        return np.repeat(self.cdf(column(y, len(self), "y"))[:, None], 2, axis=1)

    def _areas(self, t: Floats) -> tuple[Floats, ...]:
        # By parts; what is left of the squares is the mean times P(Z < w - s, Z' < Z'' ...), a bivariate normal probability.
        w, s, mean = np.clip(self._standard(t, "t"), -40.0, 40.0), self.sigma, self.mean()
        below = t * ndtr(w) ** 2 - 2.0 * mean * _both_below(w - s, s / sqrt(2))
        above = 2.0 * mean * _both_below(s - w, -s / sqrt(2)) - t * ndtr(-w) ** 2
        return t * ndtr(w) - mean * ndtr(w - s), below, self._beyond(t), above

    def _beyond(self, t: Floats) -> Floats:
        w = np.clip(self._standard(t, "t"), -40.0, 40.0)
        return self.mean() * ndtr(self.sigma - w) - t * ndtr(-w)  # type: ignore[no-any-return]

    def _log_below(self, levels: Floats, scale: float) -> Floats:
        check_scale(scale)
        z, done, total = np.clip(ndtri(levels), -8.6, 8.6), np.full(len(self), -8.6), np.zeros(len(self))
        out = np.empty(levels.shape)
        for j in range(levels.shape[1]):
            parts = int(np.ceil(2.0 * float((z[:, j] - done).max(initial=0.5))))
            step = (z[:, j] - done) / parts
            for i in range(parts):
                for node, weight in zip(*_NODES, strict=True):
                    at = done + step * (i + node)
                    density = weight * step * np.exp(-0.5 * at**2) / sqrt(2 * pi)
                    total += density * np.logaddexp(0.0, self.m - log(scale) + self.sigma * at)
            out[:, j], done = total, z[:, j]
        return out

    def crps(self, y: ArrayLike) -> Floats:
        y = column(y, len(self), "y")
        w = self._standard(y, "y")
        # Phi(sigma / sqrt 2) - 1, without the cancellation
        spread = ndtr(w - self.sigma) - ndtr(-self.sigma / sqrt(2))
        return y * (ndtr(w) - ndtr(-w)) - 2.0 * self.mean() * spread  # type: ignore[no-any-return]

    def log_score(self, y: ArrayLike) -> Floats:
        y = column(y, len(self), "y")
        inside = y > 0
        logarithm = np.log(np.where(inside, y, 1.0))
        z = (logarithm - self.m) / self.sigma
        return np.where(inside, logarithm + np.log(self.sigma) + 0.5 * log(2 * pi) + 0.5 * z * z, inf)


_NODES = tuple(0.5 * a for a in (np.polynomial.legendre.leggauss(6)[0] + 1.0, np.polynomial.legendre.leggauss(6)[1]))


def _both_below(h: Floats, k: Floats) -> Floats:
    """P(X < h, Y < k) of standard normals of correlation -1 / sqrt 2, k not 0; Owen (1956), doi:10.1214/aoms/1177728074."""
    h = np.where(h == 0, 1e-300, h)
    with np.errstate(over="ignore"):
        parts = owens_t(h, sqrt(2) * k / h + 1.0) + owens_t(k, sqrt(2) * h / k + 1.0)
    return 0.5 * (ndtr(h) + ndtr(k)) - parts - np.where(h * k < 0, 0.5, 0.0)  # type: ignore[no-any-return]


class ZeroInflated(Distribution):
    r"""0 with probability 1 - p, else a draw from the distribution of the positives: the prediction of a hurdle.

    Parameters
    ----------
    probability_positive : float or array of shape (n,)
        p = P(Y > 0), in [0, 1].
    positive : Distribution of n rows
        That of Y given Y > 0: all its mass above 0.

    Raises
    ------
    ValueError
        For probabilities outside [0, 1], shapes that differ, or mass of `positive` at or below 0.

    Notes
    -----
    The mode is 0 unless p > 1/2. CRPS, from ``E|X - y| - E|X - X'| / 2`` and ``E|X - 0| = E X``:
    ``(1 - p) abs(y) + p crps_positive(y) - p (1 - p) crps_positive(0)``, exact.

    Examples
    --------
    >>> d = ZeroInflated([0.1, 0.9], LogNormalDistribution([0.0, 0.0], 1.0))
    >>> d.mean().round(3), d.median().round(3), d.sf(0.0)
    (array([0.165, 1.484]), array([0.  , 0.87]), array([0.1, 0.9]))
    """

    def __init__(self, probability_positive: ArrayLike, positive: Distribution):
        self.probability_positive = column(probability_positive, len(positive), "probability_positive")
        self.positive = positive
        outside = (self.probability_positive < 0) | (self.probability_positive > 1)
        if outside.any():
            raise ValueError(
                f"probability_positive must lie in [0, 1], got {self.probability_positive[outside][0]:g} at row "
                f"{np.flatnonzero(outside)[0]}: decode raw scores with expit first"
            )
        if (positive.cdf(0.0) > 0).any():
            raise ValueError("positive has mass at or below 0: fit it on the rows with y > 0 only")

    def __len__(self) -> int:
        return len(self.positive)

    @property
    def _width(self) -> int:
        return self.positive._width

    def __getitem__(self, rows: Any) -> ZeroInflated:
        return ZeroInflated(self.probability_positive[rows], self.positive[rows])

    def clip(self, upper: ArrayLike) -> Distribution:
        end = column(upper, len(self), "upper")
        if (end <= 0).any():
            return super().clip(end)
        return ZeroInflated(self.probability_positive, self.positive.clip(end))  # exact for rare positives too

    def mean(self) -> Floats:
        # Not 0 times infinity, for a row certain to be 0 whose positive part is beyond the range of doubles.
        return self.probability_positive * np.where(self.probability_positive > 0, self.positive.mean(), 0.0)

    def _positive_levels(self, levels: Floats) -> Floats:
        """Levels of the positive part, 0 below it."""
        p = self.probability_positive[:, None]
        return np.clip(1.0 - (1.0 - levels) / np.where(p > 0, p, 1.0), 0.0, 1.0)

    def _likeliest(self, levels: Floats, slopes: Floats) -> Floats:
        zeros = mapped(1.0 - self.probability_positive[:, None], levels, slopes)[:, 0]
        return np.where(zeros < 0.5, self.positive._likeliest(self._positive_levels(levels), slopes), 0.0)

    def log_mean(self, scale: float = 1.0) -> Floats:
        return self.probability_positive * self.positive.log_mean(scale)

    def cdf(self, t: ArrayLike) -> Floats:
        t = column(t, len(self), "t", finite=False)
        p = self.probability_positive
        return np.where(t >= 0, (1.0 - p) + p * self.positive.cdf(t), 0.0)

    def sf(self, t: ArrayLike) -> Floats:
        t = column(t, len(self), "t", finite=False)
        return np.where(t >= 0, self.probability_positive * self.positive.sf(t), 1.0)

    def pit(self, y: ArrayLike) -> Floats:
        y = column(y, len(self), "y")
        p = self.probability_positive[:, None]
        zero = np.hstack([np.zeros_like(p), 1.0 - p])
        return np.where(y[:, None] > 0, (1.0 - p) + p * self.positive.pit(y), np.where(y[:, None] == 0, zero, 0.0))

    def _inverse(self, levels: Floats) -> Floats:
        above = levels > 1.0 - self.probability_positive[:, None]
        return np.where(above, self.positive._inverse(self._positive_levels(levels)), 0.0)

    def _areas(self, t: Floats) -> tuple[Floats, ...]:
        t, before = np.maximum(t, 0.0), np.maximum(-t, 0.0)
        p, (once, squared, *above) = self.probability_positive, self.positive._areas(t)
        q = 1.0 - p
        below = q * t + p * once, q**2 * t + 2.0 * q * p * once + p**2 * squared
        return *below, before + p * above[0], before + p**2 * above[1]

    def _beyond(self, t: Floats) -> Floats:
        return np.maximum(-t, 0.0) + self.probability_positive * self.positive._beyond(np.maximum(t, 0.0))

    def _log_below(self, levels: Floats, scale: float) -> Floats:
        p = self.probability_positive[:, None]
        return p * self.positive._log_below(self._positive_levels(levels), scale)

    def crps(self, y: ArrayLike) -> Floats:
        return self._crps(column(y, len(self), "y"))

    @by_blocks
    def _crps(self, y: Floats) -> Floats:
        p = self.probability_positive
        return (1.0 - p) * np.abs(y) + p * (self.positive.crps(y) - (1.0 - p) * self.positive.crps(0.0))

    def log_score(self, y: ArrayLike) -> Floats:
        y = column(y, len(self), "y")
        p = self.probability_positive
        return np.where(y == 0, -safe_log(1.0 - p), self.positive.log_score(y) - safe_log(p))
