"""Monotone maps of predictions that make their sum right, fitted on rows that the model did not see.

Every calibrator is fitted to (prediction, y, sample_weight) and preserves the sum on those rows. Order is preserved too:
predictions that differ stay different (up to rounding, and unless all labels are 0, when 0 is predicted). To let old rows
count less, weigh them: ``sample_weight = 0.5 ** (age / half_life)``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator
from scipy.optimize import isotonic_regression
from sklearn.base import BaseEstimator, clone
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from gbreg.discretize import bucket_of, make_edges
from gbreg.losses.base import Floats, check_sample_weight

Indices = NDArray[np.intp]


class Calibrator(BaseEstimator, ABC):  # type: ignore[misc]
    """Base of all calibrators: curves through the calibration rows, then one factor that makes their sum that of the labels.

    Attributes
    ----------
    scale_, shift_ : float
        A calibrated prediction is ``scale_ * curve(prediction) + shift_``. The shift is 0 and the scale the ratio of the
        sums, except where a ratio makes no sense: where labels or predictions are of both signs and much of them cancels,
        or the two sums have unlike signs, predictions are shifted to the labels' mean.
    """

    _parameter_constraints: dict[str, Any] = {}

    @abstractmethod
    def fit(
        self, prediction: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, segment: ArrayLike | None = None
    ) -> Self: ...

    @abstractmethod
    def predict(self, prediction: ArrayLike, segment: ArrayLike | None = None) -> Floats: ...


class _OneCurve(Calibrator):
    """One curve for all rows."""

    def fit(
        self, prediction: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, segment: ArrayLike | None = None
    ) -> Self:
        """Learn the map from predictions of rows that the model did not see.

        Parameters
        ----------
        prediction, y : arrays of shape (n_samples,)
            In the unit of the target.
        sample_weight : array of shape (n_samples,), optional
            An integer weight equals repetition.
        segment : None
            For `SegmentedCalibrator` only.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For values or weights that are not finite, negative weights, arrays of different lengths, and a segment
            where there is one curve for all.
        """
        self._validate_params()
        _refuse(self, segment)
        p, y, w, _ = _used_rows(prediction, y, sample_weight)
        order = np.lexsort((w, y, p))  # sums are then the same in whatever order the rows came
        p, y, w = p[order], y[order], w[order]
        self._learn(p, y, w)
        self.scale_, self.shift_ = _level(self._curve(p), y, w)
        return self

    def predict(self, prediction: ArrayLike, segment: ArrayLike | None = None) -> Floats:
        """Calibrated predictions, shape (n_samples,)."""
        check_is_fitted(self, "scale_")
        _refuse(self, segment)
        return self.scale_ * self._curve(_finite(prediction, "prediction")) + self.shift_

    @abstractmethod
    def _learn(self, p: Floats, y: Floats, w: Floats) -> None: ...

    @abstractmethod
    def _curve(self, p: Floats) -> Floats: ...


def _refuse(calibrator: _OneCurve, segment: ArrayLike | None) -> None:
    if segment is not None:
        name = type(calibrator).__name__
        raise ValueError(f"segment: {name} has one curve for all rows; use SegmentedCalibrator({name}())")


def _finite(x: ArrayLike, name: str) -> Floats:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"{name} must be one-dimensional, got shape {values.shape}")
    if not np.isfinite(values).all():
        wrong = np.flatnonzero(~np.isfinite(values))
        raise ValueError(
            f"{name} must be finite; {wrong.size:,} of {values.size:,} values are not (first at row {wrong[0]}): "
            "drop those rows"
        )
    return values


def _used_rows(
    prediction: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Predictions, labels and weights of the rows that count, and which these are."""
    p, y = _finite(prediction, "prediction"), _finite(y, "y")
    if p.shape != y.shape or not p.size:
        raise ValueError(f"prediction has {p.size:,} rows and y {y.size:,}: give as many, at least one")
    w = check_sample_weight(sample_weight, y.size)
    used = w > 0
    return p[used], y[used], w[used], used


def _level(values: Floats, y: Floats, w: Floats) -> tuple[float, float]:
    """Factor and shift that give the values the labels' sum: positive values of labels >= 0 stay >= 0."""
    if not y.any():
        return 0.0, 0.0
    have, want = float(np.sum(w * values)), float(np.sum(w * y))
    ratio = want / have if have != 0 else np.inf
    if 0 < ratio < np.inf and _of_one_sign(y, w) and (ratio <= 1 or _of_one_sign(values, w)):
        return ratio, 0.0
    return 1.0, (want - have) / float(w.sum())


def _of_one_sign(x: Floats, w: Floats) -> bool:
    """Whether less than a third of the amount cancels the rest."""
    return bool(abs(np.sum(w * x)) > 0.5 * np.sum(w * np.abs(x)))


class RatioCalibrator(_OneCurve):
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


class _Knots(_OneCurve):
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


class SegmentedCalibrator(Calibrator):
    """A calibrator for each segment, drawn toward that of all rows the more, the smaller the segment.

    A segment of weight n is given ``a = n / (n + strength)`` of its own curve and 1 - a of the curve of all rows; the sum of
    all rows is then made right. Missing and unseen segments have the curve of all rows. Order is preserved within each
    segment, not between them.

    Parameters
    ----------
    calibrator : Calibrator
        What is fitted to all rows and to each segment.
    strength : float >= 0 or "auto", default "auto"
        The weight at which a segment's own curve counts half. "auto" estimates it by moments: with errors (label minus
        calibrated prediction) in units of the segment's mean prediction, their variance within segments over the variance
        of the segments' true means. Infinite (all rows' curve everywhere) where segments differ no more than by chance.
        Weights are read as numbers of rows: scale those that are not to a mean of 1.

    Attributes
    ----------
    calibrator_ : Calibrator
        Of all rows.
    segments_ : ndarray
        Segments seen, sorted.
    calibrators_ : list of Calibrator
        One a segment; empty if `strength_` is infinite.
    shares_ : ndarray
        What each segment is given of its own curve.
    strength_ : float

    Notes
    -----
    Buehlmann & Straub (1970), "Glaubwuerdigkeit fuer Schadensaetze", with a known overall mean.

    Examples
    --------
    >>> segment = np.repeat(["a", "b"], 500)
    >>> y = np.where(segment == "a", 1.0, 3.0)
    >>> model = SegmentedCalibrator(RatioCalibrator()).fit(np.ones(1000), y, segment=segment)
    >>> model.predict(np.ones(3), ["a", "b", "c"])
    array([1., 3., 2.])
    """

    _parameter_constraints = {
        "calibrator": [Calibrator],
        "strength": [StrOptions({"auto"}), Interval(Real, 0, None, closed="left")],
    }

    def __init__(self, calibrator: Calibrator, strength: float | str = "auto"):
        self.calibrator = calibrator
        self.strength = strength

    def fit(
        self, prediction: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, segment: ArrayLike | None = None
    ) -> Self:
        """Learn the curve of all rows and that of each segment.

        Parameters
        ----------
        prediction, y : arrays of shape (n_samples,)
        sample_weight : array of shape (n_samples,), optional
        segment : array of shape (n_samples,)
            Numbers or text; NaN and None are missing.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For values or weights that are not finite, negative weights, arrays of different lengths, and no segment.
        """
        self._validate_params()
        p, labels, w, used = _used_rows(prediction, y, sample_weight)
        values = _segments(segment, used.size)[used]
        order = np.lexsort((w, labels, p))
        p, labels, w, values = p[order], labels[order], w[order], values[order]
        self.calibrator_ = clone(self.calibrator).fit(p, labels, w)
        self.segments_ = np.unique(values[_known(values)])
        rows = self._rows(values)
        self.strength_ = (
            _credibility(self.calibrator_.predict(p), labels, w, rows) if self.strength == "auto" else float(self.strength)
        )
        size = np.array([w[r].sum() for r in rows])
        self.shares_ = size / (size + self.strength_)
        self.calibrators_ = [clone(self.calibrator).fit(p[r], labels[r], w[r]) for r in rows if self.strength_ < np.inf]
        self.scale_, self.shift_ = _level(self._blend(p, values), labels, w)
        return self

    def predict(self, prediction: ArrayLike, segment: ArrayLike | None = None) -> Floats:
        """Calibrated predictions of rows in these segments, shape (n_samples,)."""
        check_is_fitted(self, "scale_")
        p = _finite(prediction, "prediction")
        values = _segments(segment, p.size)
        if self.segments_.size and values.dtype != self.segments_.dtype:
            raise ValueError("segment: numbers at fit and text at predict, or the reverse: give the same kind")
        return self.scale_ * self._blend(p, values) + self.shift_

    def _rows(self, values: Any) -> list[Indices]:
        """Which rows each segment has."""
        known = np.flatnonzero(_known(values))
        known = known[np.isin(values[known], self.segments_)]
        code = np.searchsorted(self.segments_, values[known])
        order = np.argsort(code, kind="stable")
        starts = np.searchsorted(code[order], np.arange(self.segments_.size))
        return np.split(known[order], starts[1:]) if starts.size else []

    def _blend(self, p: Floats, values: Any) -> Floats:
        blended: Floats = self.calibrator_.predict(p)
        if self.calibrators_:
            for rows, share, own in zip(self._rows(values), self.shares_, self.calibrators_, strict=True):
                blended[rows] = (1.0 - share) * blended[rows] + share * own.predict(p[rows])
        return blended


def _segments(segment: ArrayLike | None, n: int) -> Any:
    """Segments as float64 with NaN, or text with None, where missing."""
    if segment is None:
        raise ValueError("segment=None: SegmentedCalibrator needs the segment of every row, at fit and at predict")
    values = np.asarray(segment)
    if values.shape != (n,):
        raise ValueError(f"segment has shape {values.shape}, prediction has {n:,} rows: give one segment per row")
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    return np.array([None if s is None or s != s else str(s) for s in values.tolist()], dtype=object)


def _known(values: Any) -> NDArray[np.bool_]:
    return np.array([s is not None for s in values], dtype=bool) if values.dtype == object else ~np.isnan(values)


def _credibility(prediction: Floats, y: Floats, w: Floats, rows: list[Indices]) -> float:
    """Variance within segments over that of their true mean errors, each in units of its mean prediction."""
    within = between = 0.0
    for r in rows:
        unit = (
            float(np.average(np.abs(prediction[r]), weights=w[r])) or float(np.average(np.abs(prediction), weights=w)) or 1.0
        )
        error = (y[r] - prediction[r]) / unit
        mean = float(np.average(error, weights=w[r]))
        within += float(np.sum(w[r] * (error - mean) ** 2))
        between += float(w[r].sum()) * mean**2
    weight = float(sum(w[r].sum() for r in rows))
    if weight <= len(rows):  # no segment has two rows
        return np.inf
    noise = within / (weight - len(rows))
    signal = (between - len(rows) * noise) / weight
    return noise / signal if signal > 0 else np.inf


CALIBRATORS: dict[str, type[Calibrator]] = {
    "ratio": RatioCalibrator,
    "isotonic": IsotonicCalibrator,
    "spline": SplineCalibrator,
}


def get_calibrator(method: str | Calibrator) -> Calibrator:
    """A calibrator by name; an instance as it is.

    >>> get_calibrator("isotonic")
    IsotonicCalibrator()
    """
    if isinstance(method, Calibrator):
        return method
    if method not in CALIBRATORS:
        raise ValueError(f"method={method!r} is not known: use one of {', '.join(CALIBRATORS)}, or a Calibrator")
    return CALIBRATORS[method]()
