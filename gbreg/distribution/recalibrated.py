"""Another distribution's levels, moved by a monotone map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats
from gbreg.distribution.base import Distribution, by_blocks, check_scale, column


class Recalibrated(Distribution):
    r"""The cdf is ``G(F)``: that of another distribution through one monotone map of [0, 1] for all rows.

    Parameters
    ----------
    base : Distribution
        F.
    levels, heights : arrays of shape (n_knots,)
        G goes straight through these points; both rise strictly from 0 to 1.

    Raises
    ------
    ValueError
        For points that do not rise from 0 to 1.

    Notes
    -----
    Between two knots the density is the base's times the slope of G, and an atom keeps what G rises across it. Mean and CRPS
    are exact: sums over the pieces of G of the areas under F, ``1 - F`` and their squares. Mode: by the base's own rule, of
    the masses and densities that G leaves. Knots make the density jump: log scores see it.

    Examples
    --------
    >>> from gbreg.distribution import LogNormalDistribution
    >>> narrow = LogNormalDistribution([0.0, 2.0], 1.0)
    >>> wide = Recalibrated(narrow, [0.0, 0.1, 0.9, 1.0], [0.0, 0.2, 0.8, 1.0])
    >>> wide.cdf(narrow.quantile(0.9)), wide.median().round(3)
    (array([0.8, 0.8]), array([1.   , 7.389]))
    """

    def __init__(self, base: Distribution, levels: ArrayLike, heights: ArrayLike):
        self.base = base
        self.levels, self.heights = (np.asarray(a, dtype=np.float64) for a in (levels, heights))
        for name in ("levels", "heights"):
            points = getattr(self, name)
            if points.ndim != 1 or points.size < 2 or points[0] != 0 or points[-1] != 1 or not (np.diff(points) > 0).all():
                raise ValueError(f"{name} must rise strictly from 0 to 1, got {points}")
        if self.levels.size != self.heights.size:
            raise ValueError(f"levels has {self.levels.size} points and heights {self.heights.size}: give as many")
        self._slopes = np.diff(self.heights) / np.diff(self.levels)

    def __len__(self) -> int:
        return len(self.base)

    @property
    def _width(self) -> int:
        return self.base._width

    def __getitem__(self, rows: Any) -> Recalibrated:
        return Recalibrated(self.base[rows], self.levels, self.heights)

    def _map(self, level: Floats) -> Floats:
        return np.interp(level, self.levels, self.heights)

    def cdf(self, t: ArrayLike) -> Floats:
        return self._map(self.base.cdf(t))

    def sf(self, t: ArrayLike) -> Floats:
        return np.interp(self.base.sf(t), 1.0 - self.levels[::-1], 1.0 - self.heights[::-1])

    def pit(self, y: ArrayLike) -> Floats:
        return self._map(self.base.pit(y))

    def _inverse(self, levels: Floats) -> Floats:
        return self.base._inverse(np.interp(levels, self.heights, self.levels))

    @by_blocks
    def _areas(self, t: Floats) -> tuple[Floats, ...]:
        # In each piece G(F) is a + slope * F and 1 - G(F) is b + slope * (1 - F): a is 0 in the first, b in the last.
        here = np.array([t, *self.base._areas(t)])
        below, above = np.zeros((2, len(self))), np.zeros((2, len(self)))
        upto, since = np.zeros((3, len(self))), here[[0, 3, 4]]
        for k, slope in enumerate(self._slopes):
            a = self.heights[k] - slope * self.levels[k]
            b = self._offset(k)
            if k < self._slopes.size - 1:
                x = self.base.quantile(self.levels[k + 1])
                knot = np.array([x, *self.base._areas(x)])
                next_upto = np.where(x < t, knot[:3], here[:3])
                next_since = np.where(x < t, here[[0, 3, 4]], knot[[0, 3, 4]])
            else:
                next_upto, next_since = here[:3], np.zeros((3, len(self)))
            width, once, squared = next_upto - upto
            below += a * width + slope * once, a**2 * width + 2.0 * a * slope * once + slope**2 * squared
            width, once, squared = next_since - since
            above += b * width - slope * once, b**2 * width - 2.0 * b * slope * once - slope**2 * squared
            upto, since = next_upto, next_since
        return *below, *above

    def _offset(self, k: int) -> float:
        return float((1.0 - self.heights[k + 1]) - self._slopes[k] * (1.0 - self.levels[k + 1]))

    @by_blocks
    def _beyond(self, t: Floats) -> Floats:
        here = np.array([t, self.base._beyond(t)])
        total, since = np.zeros(len(self)), here
        for k, slope in enumerate(self._slopes):
            following = np.zeros((2, len(self)))
            if k < self._slopes.size - 1:
                x = self.base.quantile(self.levels[k + 1])
                following = np.where(x < t, here, [x, self.base._beyond(x)])
            width, once = following - since
            total += self._offset(k) * width - slope * once
            since = following
        return total

    @by_blocks
    def mean(self) -> Floats:
        least = self.base.quantile(0.0)
        return least + self._beyond(least)

    def crps(self, y: ArrayLike) -> Floats:
        _, below, _, above = self._areas(column(y, len(self), "y"))
        return below + above

    def log_score(self, y: ArrayLike) -> Floats:
        low, high = self.base.pit(y).T
        piece = np.clip(np.searchsorted(self.levels, low, side="right") - 1, 0, self._slopes.size - 1)
        atom = high > low
        rise = (self._map(high) - self._map(low)) / np.where(atom, high - low, 1.0)
        return self.base.log_score(y) - np.log(np.where(atom, rise, self._slopes[piece]))

    def log_mean(self, scale: float = 1.0) -> Floats:
        check_scale(scale)
        return self._log_below(np.ones((len(self), 1)), scale)[:, 0]

    @by_blocks
    def _log_below(self, levels: Floats, scale: float) -> Floats:
        at = np.interp(levels, self.heights, self.levels)
        knots = self.base._log_below(np.broadcast_to(self.levels, (len(self), self.levels.size)), scale)
        whole = np.zeros_like(knots)
        np.cumsum(np.diff(knots, axis=1) * self._slopes, axis=1, out=whole[:, 1:])
        k, row = np.clip(np.searchsorted(self.levels, at, side="right") - 1, 0, self._slopes.size - 1), np.arange(len(self))
        return whole[row[:, None], k] + self._slopes[k] * (self.base._log_below(at, scale) - knots[row[:, None], k])

    @by_blocks
    def _likeliest(self, levels: Floats, slopes: Floats) -> Floats:
        theirs = np.interp(levels, self.heights, self.levels)
        ends = np.sort(np.hstack([theirs, np.broadcast_to(self.levels, (len(self), self.levels.size))]), axis=1)
        middle = (ends[:, 1:] + ends[:, :-1]) / 2
        k = np.zeros(middle.shape, dtype=np.intp)
        for j in range(1, theirs.shape[1] - 1):
            k += theirs[:, j, None] <= middle
        own = self._slopes[np.clip(np.searchsorted(self.levels, middle, side="right") - 1, 0, self._slopes.size - 1)]
        return self.base._likeliest(ends, own * np.take_along_axis(slopes, k, axis=1))
