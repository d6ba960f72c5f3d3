"""Whole distributions recalibrated: their levels mapped so that labels fall below a level as often as it says."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from gbreg._checks import Floats, check_sample_weight
from gbreg._compat import Interval, validate_parameters
from gbreg.distribution import Distribution, Recalibrated


class PITCalibrator(BaseEstimator):  # type: ignore[misc]
    """One monotone map of levels, from predicted probabilities P(Y <= y) of labels that the model did not see.

    Straight between the quantiles of these probabilities (PIT), on the diagonal if the model is right. At an atom, such as
    0, a label is known to lie among the levels that the atom covers: the map is the likeliest one, under which randomised
    PITs are uniform.

    Parameters
    ----------
    n_bins : int >= 1, default 32
        Pieces of the map, at most, with labels of equal weight in each. As many rows more, spread over all levels, keep the
        map near the identity where labels are few.

    Attributes
    ----------
    levels_, heights_ : ndarray of shape (n_pieces + 1,)
        What the model says, and how often labels fell below.

    Notes
    -----
    The quantiles of a row keep their order; means of two rows may not, where the shapes of their distributions differ. Sums
    are right as far as the distributions then are: nothing scales them. Kuleshov, Fenner & Ermon (2018), arXiv 1807.00263;
    atoms as interval-censored levels: Turnbull (1976), doi:10.1111/j.2517-6161.1976.tb01597.x.

    Examples
    --------
    >>> from gbreg.distribution import LogNormalDistribution
    >>> y = np.exp(2 * np.random.default_rng(0).normal(size=10_000))
    >>> narrow = LogNormalDistribution(np.zeros(y.size), 1.0)
    >>> right = PITCalibrator().fit(narrow, y).predict(narrow)
    >>> float(narrow.sf(np.e**2)[0].round(3)), float(right.sf(np.e**2)[0].round(3)), float((y > np.e**2).mean().round(3))
    (0.023, 0.159, 0.161)
    """

    _parameter_constraints = {"n_bins": [Interval(Integral, 1, None, closed="left")]}

    maps_distributions: ClassVar[bool] = True

    def seen(self, model: Any, X: Any, y: Floats) -> Floats:
        """What the map is learnt from, on rows that the model did not see: where labels lie in its distributions."""
        return model.predict_distribution(X).pit(y)  # type: ignore[no-any-return]

    def learn(self, seen: Floats, y: Floats, sample_weight: Floats | None, segment: Any = None) -> Self:
        """Learn the map from what is `seen`, of one model or of several."""
        return self.fit_pit(seen, sample_weight)

    def of_points(self, prediction: Floats, segment: Any = None) -> Floats:
        """The predictions as they are."""
        return prediction

    def of_distributions(self, distribution: Distribution) -> Recalibrated:
        """The distributions, mapped."""
        return self.predict(distribution)

    def __init__(self, n_bins: int = 32):
        self.n_bins = n_bins

    def fit(self, distribution: Distribution, y: ArrayLike, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the map.

        Parameters
        ----------
        distribution : Distribution of n rows
            Predicted for rows that the model did not see.
        y : array of shape (n,)
        sample_weight : array of shape (n,), optional
            Only ratios matter.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For labels or weights that are not finite, negative weights, and arrays of another length.
        """
        return self.fit_pit(distribution.pit(y), sample_weight)

    def fit_pit(self, pit: Any, sample_weight: ArrayLike | None = None) -> Self:
        """The same, from ``distribution.pit(y)`` of shape (n, 2): for rows of several models."""
        validate_parameters(self)
        low, high = np.asarray(pit, dtype=np.float64).T
        weight = check_sample_weight(sample_weight, low.size)
        order = np.lexsort((weight, high, low))  # sums are then the same in whatever order the rows came
        low, high, weight = low[order], high[order], weight[order]
        inner = np.unique(_quantiles(low, high, weight, self.n_bins).round(9))  # closer ones would not differ in height
        self.levels_ = np.concatenate([[0.0], inner[(inner > 0) & (inner < 1)], [1.0]])
        self.heights_ = _heights(self.levels_, low, high, weight)
        return self

    def predict(self, distribution: Distribution) -> Recalibrated:
        """The distributions with their levels mapped."""
        check_is_fitted(self, "levels_")
        return Recalibrated(distribution, self.levels_, self.heights_)


def _heights(levels: Floats, low: Floats, high: Floats, weight: Floats) -> Floats:
    """How much of the labels lies below each level, by expectation and maximisation over intervals of levels."""
    pieces, width = levels.size - 1, np.diff(levels)
    size = float(weight.sum() ** 2 / np.sum(weight**2))
    weight = weight / weight.sum() * size
    first, last = (np.minimum(np.searchsorted(levels, end) - 1, pieces - 1) for end in (low, high))  # -1 at level 0
    inside = first >= last
    # A row more for each piece, spread over all levels.
    known = np.bincount(np.maximum(last[inside], 0), weight[inside], pieces) + pieces * width
    apart = np.flatnonzero(~inside)
    apart = apart[np.lexsort((last[apart], first[apart]))]
    low, high, weight = low[apart], high[apart], weight[apart]
    covered = _Covered(levels, low, high, first[apart], last[apart])
    share = known + width * covered.summed(weight / (high - low))
    for _ in range(1000):
        before, share = share, known + share * covered.summed(weight / covered.held(share))
        if np.abs(share - before).max() <= 1e-9 * size:
            break
    below = np.cumsum(share)
    return np.append(0.0, below / below[-1])


class _Covered:
    """What part of each piece each interval covers, a matrix of shape (n_intervals, n_pieces), by its two products.

    All is 1 between an interval's first piece and its last, so that what those of the same two share is added once.
    """

    def __init__(self, levels: Floats, low: Floats, high: Floats, first: Any, last: Any):
        self.pieces, width = levels.size - 1, np.diff(levels)
        self.starts = np.flatnonzero(np.diff(first * self.pieces + last, prepend=-self.pieces - 1))
        self.counts = np.diff(self.starts, append=low.size)
        self.first, self.last, piece = first[self.starts], last[self.starts], np.arange(self.pieces)
        self.whole = ((piece > self.first[:, None]) & (piece < self.last[:, None])).astype(np.float64)
        self.tail = (high - levels[last]) / width[last]
        # Intervals from level 0, which come first, have no head: where zeros are the one atom, none has.
        self.headless, self.pairs = int(np.sum(first < 0)), int(np.sum(self.first < 0))
        first = first[self.headless :]
        self.head = (levels[first + 1] - low[self.headless :]) / width[first]

    def held(self, share: Floats) -> Floats:
        """The matrix times what each piece holds."""
        out = np.repeat(share[self.last], self.counts)
        out *= self.tail
        out += np.repeat(self.whole @ share, self.counts)
        out[self.headless :] += self.head * np.repeat(share[self.first[self.pairs :]], self.counts[self.pairs :])
        return out

    def summed(self, weight: Floats) -> Floats:
        """The weights of the intervals times the matrix."""
        whole, tail = (np.add.reduceat(part, self.starts) for part in (weight, weight * self.tail))
        head = np.add.reduceat(weight[self.headless :] * self.head, self.starts[self.pairs :] - self.headless)
        ends = np.bincount(self.first[self.pairs :], head, self.pieces) + np.bincount(self.last, tail, self.pieces)
        return whole @ self.whole + ends  # type: ignore[no-any-return]


def _quantiles(low: Floats, high: Floats, weight: Floats, n: int) -> Floats:
    """Where intervals of levels, each as eight points, are cut into n parts of equal weight."""
    points = (low[:, None] + (high - low)[:, None] * (np.arange(8) + 0.5) / 8).ravel()
    order = np.argsort(points, kind="stable")
    upto = np.cumsum(np.repeat(weight, 8)[order])
    return points[order][np.searchsorted(upto, upto[-1] * np.arange(1, n) / n)]  # type: ignore[no-any-return]
