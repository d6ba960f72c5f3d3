"""What every predictive distribution answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import wraps
from math import inf
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats

# Numbers that are held at once for rows and buckets: what a core's own cache holds.
_AT_ONCE = 2**15

Read = TypeVar("Read", bound=Callable[..., Any])


def row_blocks(n: int, width: int) -> list[slice]:
    """Which of n rows to read at once, if each needs that many numbers."""
    step = max(1, _AT_ONCE // width)
    return [slice(start, start + step) for start in range(0, max(n, 1), step)]


def by_blocks(method: Read) -> Read:
    """Runs a method of a distribution that returns something a row block after block of rows.

    Arrays that it takes by position hold something a row too; all else is handed on.
    """

    @wraps(method)
    def blocked(self: Distribution, *given: Any, **named: Any) -> Any:
        blocks = row_blocks(len(self), self._width)
        if len(blocks) == 1:
            return method(self, *given, **named)
        parts = [method(self[b], *(a[b] if isinstance(a, np.ndarray) else a for a in given), **named) for b in blocks]
        return tuple(map(np.concatenate, zip(*parts, strict=True))) if type(parts[0]) is tuple else np.concatenate(parts)

    return blocked  # type: ignore[return-value]


def column(values: ArrayLike, n: int, name: str, finite: bool = True) -> Floats:
    """A scalar or one number a row, as float64 of shape (n,)."""
    x = np.asarray(values, dtype=np.float64)
    if x.shape not in ((), (n,)):
        raise ValueError(f"{name} has shape {x.shape}, the distribution has {n:,} rows: give a scalar, or one value per row")
    wrong = ~np.isfinite(x) if finite else np.isnan(x)
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise ValueError(
            f"{name} must be {'finite' if finite else 'a number'}, got {x.flat[row]} at row {row}: drop such rows"
        )
    return np.broadcast_to(x, (n,))


def safe_log(x: Floats) -> Floats:
    """ln(x), -inf at 0 and below without a warning."""
    with np.errstate(divide="ignore"):
        return np.log(np.maximum(x, 0.0))


class Distribution(ABC):
    """The predictive distributions of n rows.

    Every method returns one number a row, shape (n,), unless it says otherwise; ``distribution[rows]`` is the
    distribution of a subset (a slice, a boolean mask, indices, or one index).
    """

    @abstractmethod
    def __len__(self) -> int:
        """Number of rows."""

    @abstractmethod
    def __getitem__(self, rows: Any) -> Self:
        """The rows chosen as an array of shape (n,) would choose them; one index gives one row."""

    @abstractmethod
    def mean(self) -> Floats:
        """E[Y]."""

    @property
    def _width(self) -> int:
        """How many numbers a row needs while it is read: methods that need many go by blocks of rows."""
        return 1

    def mode(self) -> Floats:
        """The likeliest value; each class says how it weighs single values against densities."""
        return self._likeliest(np.broadcast_to([0.0, 1.0], (len(self), 2)), np.ones((len(self), 1)))

    @abstractmethod
    def log_mean(self, scale: float = 1.0) -> Floats:
        """``E[ln(1 + Y / scale)]``, in log units: ranks by ratios, where the mean ranks by differences.

        Raises
        ------
        ValueError
            For a scale that is not positive, or for mass at or below ``-scale``.
        """

    @abstractmethod
    def cdf(self, t: ArrayLike) -> Floats:
        """P(Y <= t)."""

    @abstractmethod
    def sf(self, t: ArrayLike) -> Floats:
        """P(Y > t), precise where it is small."""

    @abstractmethod
    def pit(self, y: ArrayLike) -> Floats:
        """Probability integral transform: P(Y < y) and P(Y <= y), shape (n, 2); they differ at atoms alone.

        If the distributions are right, uniform draws between the two are uniform on [0, 1] over the rows.
        Czado, Gneiting & Held (2009), doi:10.1111/j.1541-0420.2009.01191.x.
        """

    @abstractmethod
    def crps(self, y: ArrayLike) -> Floats:
        """Continuous ranked probability score, the integral of ``(cdf(x) - 1[x >= y])**2``: in the target's unit, lower
        is better, abs(y - value) for a certain value. Gneiting & Raftery (2007), doi:10.1198/016214506000001437."""

    @abstractmethod
    def log_score(self, y: ArrayLike) -> Floats:
        """``-ln`` of the density at y, or of the probability where y is an atom; inf where that is 0. Lower is better."""

    @abstractmethod
    def _inverse(self, levels: Floats) -> Floats:
        """The smallest value at which the cdf reaches the row's own levels, both of shape (n, j)."""

    # What `Recalibrated` needs of the distribution whose cdf it maps.

    @abstractmethod
    def _areas(self, t: Floats) -> tuple[Floats, ...]:
        """Integrals of cdf and cdf**2 up to t, then of sf and sf**2 from t on; t of shape (n,), finite."""

    @abstractmethod
    def _beyond(self, t: Floats) -> Floats:
        """The third of `_areas` alone: E[max(Y - t, 0)]."""

    @abstractmethod
    def _log_below(self, levels: Floats, scale: float) -> Floats:
        """Integral of ``ln(1 + quantile / scale)`` from 0 to each level; levels of shape (n, j), not falling along a row."""

    @abstractmethod
    def _likeliest(self, levels: Floats, slopes: Floats) -> Floats:
        """The mode once the cdf is mapped by straight pieces from level to level, of shape (n, j + 1) and (n, j)."""

    def quantile(self, q: ArrayLike) -> Floats:
        """The smallest value at which the cdf reaches q.

        Parameters
        ----------
        q : float or array of shape (j,)
            Levels in [0, 1]; 0 and 1 give the ends of the support.

        Returns
        -------
        ndarray of shape (n,) for a scalar q, else (n, j)
        """
        levels = np.asarray(q, dtype=np.float64)
        if levels.ndim > 1 or not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(f"q={q!r} must be a number in [0, 1], or a one-dimensional array of such: 90% is 0.9")
        out = self._inverse(np.broadcast_to(levels.reshape(1, -1), (len(self), levels.size)))
        return out[:, 0] if levels.ndim == 0 else out

    def median(self) -> Floats:
        """The smallest value that half of the mass does not exceed."""
        return self.quantile(0.5)

    def interval(self, alpha: float = 0.1) -> Floats:
        """The central interval that misses with probability alpha, as an array of shape (n, 2): low and high ends."""
        if not 0 < alpha < 1:
            raise ValueError(f"alpha={alpha!r} must lie in (0, 1): an interval of 90% coverage is alpha=0.1")
        return self.quantile([alpha / 2, 1 - alpha / 2])

    def clip(self, upper: ArrayLike) -> Distribution:
        """The distributions of the lesser of a draw and `upper`, finite: what will be seen of it.

        Parameters
        ----------
        upper : float or array of shape (n,)
        """
        return Clipped(self, upper)

    def sample(self, size: int = 1, random_state: int | np.random.Generator | None = None) -> Floats:
        """Independent draws, shape (n, size)."""
        uniform = np.random.default_rng(random_state).random((len(self), size))
        return self._inverse(uniform)


def mapped(x: Floats, levels: Floats, slopes: Floats) -> Floats:
    """What straight pieces from level to level make of x, of shape (n, k)."""
    pieces = (
        slopes[:, j, None] * np.clip(x - levels[:, j, None], 0.0, (levels[:, j + 1] - levels[:, j])[:, None])
        for j in range(slopes.shape[1])
    )
    return sum(pieces, np.zeros(x.shape))


def check_scale(scale: float) -> None:
    if not 0 < scale < inf:
        raise ValueError(f"scale={scale!r} must be positive and finite: 1.0 gives E[ln(1 + Y)]")


class Clipped(Distribution):
    """The lesser of a draw from another distribution and an end: seconds watched of a video that lasts so long.

    Parameters
    ----------
    base : Distribution of n rows
    upper : float or array of shape (n,)
        The ends, finite, in the unit of the target.

    Raises
    ------
    ValueError
        For ends that are missing or infinite, or of another shape.

    Notes
    -----
    All mass at or beyond the end is an atom there. The mean is that of `base` less ``E[max(Y - upper, 0)]``, exact. The mode
    is the end where at least half of the mass is there, else as `base` has it.

    Examples
    --------
    >>> from gbreg.distribution import LogNormalDistribution
    >>> d = LogNormalDistribution([0.0, 2.0], 1.0).clip(5.0)
    >>> d.mean().round(3), d.quantile(0.9).round(3), d.cdf(5.0)
    (array([1.471, 4.261]), array([3.602, 5.   ]), array([1., 1.]))
    """

    def __init__(self, base: Distribution, upper: ArrayLike):
        self.base = base
        self.upper = column(upper, len(base), "upper")

    def __len__(self) -> int:
        return len(self.base)

    @property
    def _width(self) -> int:
        return self.base._width

    def __getitem__(self, rows: Any) -> Clipped:
        return Clipped(self.base[rows], self.upper[rows])

    def _before(self) -> Floats:
        """P(Y < upper) of the base."""
        return self.base.pit(self.upper)[:, 0]

    def mean(self) -> Floats:
        # Whichever is the less of a difference: of what lies beyond the end, or of what lies before it.
        beyond = self.base.mean() - self.base._beyond(self.upper)
        return np.where(self._far(), self.upper - self.base._areas(self.upper)[0], beyond)

    def _far(self) -> Any:
        """Whether most of the base's mean is of values beyond the end."""
        return ~(self.base.mean() < self.upper)

    def log_mean(self, scale: float = 1.0) -> Floats:
        check_scale(scale)
        return self._log_below(np.ones((len(self), 1)), scale)[:, 0]

    def cdf(self, t: ArrayLike) -> Floats:
        t = column(t, len(self), "t", finite=False)
        return np.where(t < self.upper, self.base.cdf(np.minimum(t, self.upper)), 1.0)

    def sf(self, t: ArrayLike) -> Floats:
        t = column(t, len(self), "t", finite=False)
        return np.where(t < self.upper, self.base.sf(np.minimum(t, self.upper)), 0.0)

    def pit(self, y: ArrayLike) -> Floats:
        y = column(y, len(self), "y")
        low, high = self.base.pit(np.minimum(y, self.upper)).T
        return np.column_stack([np.where(y > self.upper, 1.0, low), np.where(y < self.upper, high, 1.0)])

    def _inverse(self, levels: Floats) -> Floats:
        return np.minimum(self.base._inverse(levels), self.upper[:, None])

    def _areas(self, t: Floats) -> tuple[Floats, ...]:
        inside, over, far = np.minimum(t, self.upper), np.maximum(t - self.upper, 0.0), self._far()
        here, end = self.base._areas(inside), self.base._areas(self.upper)
        width, (once, squared) = self.upper - inside, (end[k] - here[k] for k in (0, 1))
        above = np.where(far, [width - once, width - 2.0 * once + squared], [here[2] - end[2], here[3] - end[3]])
        return here[0] + over, here[1] + over, *np.maximum(above, 0.0)

    def _beyond(self, t: Floats) -> Floats:
        beyond: Floats = self._areas(t)[2]
        return beyond

    def _log_below(self, levels: Floats, scale: float) -> Floats:
        before = self._before()[:, None]
        at_end: Floats = np.log1p(self.upper / scale)[:, None] * np.maximum(levels - before, 0.0)
        return self.base._log_below(np.minimum(levels, before), scale) + at_end

    def _likeliest(self, levels: Floats, slopes: Floats) -> Floats:
        inside = mapped(self._before()[:, None], levels, slopes)[:, 0]
        return np.where(inside > 0.5, np.minimum(self.base._likeliest(levels, slopes), self.upper), self.upper)

    def crps(self, y: ArrayLike) -> Floats:
        y = column(y, len(self), "y")
        areas = self._areas(y)
        return areas[1] + areas[3]

    def log_score(self, y: ArrayLike) -> Floats:
        y = column(y, len(self), "y")
        at_end = -safe_log(self.base.sf(self.upper) + np.diff(self.base.pit(self.upper), axis=1)[:, 0])
        inside = self.base.log_score(np.minimum(y, self.upper))
        return np.where(y < self.upper, inside, np.where(y == self.upper, at_end, inf))
