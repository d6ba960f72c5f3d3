"""One monotone curve for all rows: a factor, isotonic regression, a spline."""

from __future__ import annotations

from numbers import Integral, Real

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression

from gbreg._checks import Floats
from gbreg._compat import Interval
from gbreg._discretize import bucket_of, make_edges
from gbreg.calibration.base import Indices, OneCurve


class RatioCalibrator(OneCurve):
    """One factor for all rows: the sum of labels over the sum of predictions.

    Examples
    --------
    >>> RatioCalibrator().fit([1.0, 3.0], [2.0, 6.0]).predict([1.0, 5.0])
    array([ 2., 10.])
    """

    def _learn(self, p: Floats, y: Floats, w: Floats) -> None:
        pass

    def _curve(self, p: Floats) -> Floats:
        return p


class _Knots(OneCurve):
    """A curve through points (mean prediction, mean label) of blocks of rows, straight between them and beyond.

    Below the first point it goes to the origin, if that point is positive, and has slope 1 elsewhere; above the last it
    keeps that block's ratio, or has slope 1 where there are negative predictions in it.

    Attributes
    ----------
    knots_, heights_ : ndarray
        The curve's points; the first and last only say how it goes on beyond the others.
    """

    knots_: Floats
    heights_: Floats

    def _through_blocks(self, block: Indices, p: Floats, y: Floats, w: Floats) -> None:
        weight = np.bincount(block, weights=w)
        first = np.searchsorted(block, np.arange(weight.size))
        last = np.append(first[1:], block.size) - 1
        # Rounding of the sums must not leave the blocks, nor turn the order of their means round.
        center = np.clip(np.bincount(block, weights=w * p) / weight, p[first], p[last])
        height = np.maximum.accumulate(np.bincount(block, weights=w * y) / weight)
        if center[0] > 0 and height[0] > 0:
            center, height = np.append(0.0, center), np.append(0.0, height)
        start, end = _step(center[0], height[0]), _step(center[-1], height[-1])
        by_ratio = height[-1] > 0 and p[first[-1]] >= 0 and center[-1] > 0
        beyond = (2 * center[-1], 2 * height[-1]) if by_ratio else (center[-1] + end, height[-1] + end)
        self.knots_ = np.concatenate([[center[0] - start], center, [beyond[0]]])
        self.heights_ = np.concatenate([[height[0] - start], height, [beyond[1]]])

    def _curve(self, p: Floats) -> Floats:
        knots, heights = self.knots_, self.heights_
        after = np.clip(np.searchsorted(knots, p, side="right"), 1, knots.size - 1)
        share = (p - knots[after - 1]) / (knots[after] - knots[after - 1])
        value = heights[after - 1] + share * (heights[after] - heights[after - 1])
        return np.where(p < knots[after], np.minimum(value, heights[after]), value)


def _step(center: float, height: float) -> float:
    """A step that neither coordinate loses to rounding."""
    return max(abs(center), abs(height)) or 1.0


def _rising_blocks(cell: Indices, y: Floats, w: Floats, least: float) -> Indices:
    """The block of every row: neighbouring cells pooled until their mean labels rise.

    Blocks weigh at least `least` (all together, if they cannot), and none has a mean of 0 unless every one has: the curve
    could not tell its rows apart.
    """
    weight, total = np.bincount(cell, weights=w), np.bincount(cell, weights=w * y)
    ends = isotonic_regression(total / weight, weights=weight).blocks[:-1]
    weights, totals = np.add.reduceat(weight, ends), np.add.reduceat(total, ends)
    block, upto, sum_upto, current = np.empty(ends.size, dtype=np.intp), 0.0, 0.0, 0
    for k in range(ends.size):
        margin = totals[k] * upto - sum_upto * weights[k]
        # Means that differ by the rounding of their sums are equal.
        if upto >= least and sum_upto != 0 and margin > 1e-12 * abs(sum_upto * weights[k]):
            current, upto, sum_upto = current + 1, 0.0, 0.0
        upto, sum_upto, block[k] = upto + weights[k], sum_upto + totals[k], current
    if upto < least or sum_upto == 0:
        block = np.minimum(block, max(current - 1, 0))
    return block[np.searchsorted(ends, cell, side="right") - 1]


class IsotonicCalibrator(_Knots):
    """Isotonic regression of labels on predictions, with lines between the means of its blocks instead of steps.

    Steps would tie the predictions of a block and lose their order; the lines keep it.

    Parameters
    ----------
    min_share : float in [0, 1), default 0.005
        Least share of the weight in a block: the last would else be a few rows with the largest labels.

    Examples
    --------
    >>> calibrator = IsotonicCalibrator(min_share=0).fit([1.0, 2.0, 3.0, 4.0], [1.0, 5.0, 3.0, 7.0])
    >>> calibrator.predict([1.0, 2.5, 4.0, 8.0])
    array([ 1.,  4.,  7., 14.])
    """

    _parameter_constraints = {"min_share": [Interval(Real, 0, 1, closed="left")]}

    def __init__(self, min_share: float = 0.005):
        self.min_share = min_share

    def _learn(self, p: Floats, y: Floats, w: Floats) -> None:
        cell = np.unique(p, return_inverse=True)[1]
        self._through_blocks(_rising_blocks(cell, y, w, self.min_share * float(w.sum())), p, y, w)


class SplineCalibrator(_Knots):
    """A smooth monotone curve through the mean predictions and labels of bins of equal weight.

    Bins whose mean labels fall are pooled. Between them runs scipy's PCHIP, on logarithms where all means are positive.

    Parameters
    ----------
    n_bins : int >= 2, default 32

    Examples
    --------
    >>> p = np.linspace(1, 100, 1000)
    >>> calibrated = SplineCalibrator().fit(p, p**1.5).predict(p)
    >>> bool(np.abs(calibrated[100:] / p[100:] ** 1.5 - 1).max() < 0.01)
    True
    """

    _parameter_constraints = {"n_bins": [Interval(Integral, 2, None, closed="left")]}

    def __init__(self, n_bins: int = 32):
        self.n_bins = n_bins

    def _learn(self, p: Floats, y: Floats, w: Floats) -> None:
        cell = bucket_of(p, make_edges(p, w, self.n_bins))
        self._through_blocks(_rising_blocks(cell, y, w, 0.0), p, y, w)

    def _curve(self, p: Floats) -> Floats:
        value = super()._curve(p)
        positive = self.knots_[1] == 0 and self.heights_[1] == 0
        knots, heights = (a[2 if positive else 1 : -1] for a in (self.knots_, self.heights_))
        if knots.size > 1:
            inside = (knots[0] < p) & (p < knots[-1])
            smooth = _log_pchip if positive else _pchip
            after = np.searchsorted(knots, p[inside], side="right")
            value[inside] = np.clip(smooth(knots, heights, p[inside]), heights[after - 1], heights[after])
        return value


def _pchip(x: Floats, y: Floats, at: Floats) -> Floats:
    return PchipInterpolator(x, y)(at)  # type: ignore[no-any-return]


def _log_pchip(x: Floats, y: Floats, at: Floats) -> Floats:
    return np.exp(_pchip(np.log(x), np.log(y), np.log(at)))
