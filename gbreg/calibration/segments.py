"""A calibrator for each segment, drawn toward that of all rows."""

from __future__ import annotations

from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from gbreg._checks import Floats
from gbreg._compat import Interval, StrOptions, validate_parameters
from gbreg.calibration.base import Calibrator, Indices, finite, level, used_rows


class SegmentedCalibrator(Calibrator):
    """A calibrator for each segment, drawn toward that of all rows the more, the smaller the segment.

    A segment of n rows is given ``a = n / (n + strength)`` of its own curve and 1 - a of the curve of all rows; the sum of
    all rows is then made right. Of weighted rows n is ``sum(w)**2 / sum(w**2)``, the equally weighted rows whose mean is as
    certain: only ratios of weights matter, and a weight of 2 is no second row. Missing and unseen segments have the curve of
    all rows. Order is preserved within each segment, not between them.

    Parameters
    ----------
    calibrator : Calibrator
        What is fitted to all rows and to each segment.
    strength : float >= 0 or "auto", default "auto"
        The rows at which a segment's own curve counts half. "auto" estimates it by moments: with errors (label minus
        calibrated prediction) in units of the segment's mean prediction, their variance within segments over the variance
        of the segments' true means. Infinite (all rows' curve everywhere) where segments differ no more than by chance.

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
    Buehlmann & Straub (1970), "Glaubwuerdigkeit fuer Schadensaetze", with a known overall mean. Size of weighted rows: Kish
    (1965), "Survey Sampling".

    Examples
    --------
    >>> from gbreg.calibration import RatioCalibrator
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
        validate_parameters(self)
        p, labels, w, used = used_rows(prediction, y, sample_weight)
        values = _segments(segment, used.size)[used]
        self.segments_ = np.unique(values[_known(values)])
        order = np.lexsort((self._codes(values), w, labels, p))  # sums are then the same in whatever order the rows came
        p, labels, w, values = p[order], labels[order], w[order], values[order]
        self.calibrator_ = clone(self.calibrator).fit(p, labels, w)
        rows = self._rows(values)
        self.strength_ = (
            _credibility(self.calibrator_.predict(p), labels, w, rows) if self.strength == "auto" else float(self.strength)
        )
        size = np.array([_size(w[r]) for r in rows])
        self.shares_ = size / (size + self.strength_)
        self.calibrators_ = [clone(self.calibrator).fit(p[r], labels[r], w[r]) for r in rows if self.strength_ < np.inf]
        self.scale_, self.shift_ = level(self._blend(p, values), labels, w)
        return self

    def predict(self, prediction: ArrayLike, segment: ArrayLike | None = None) -> Floats:
        """Calibrated predictions of rows in these segments, shape (n_samples,)."""
        check_is_fitted(self, "scale_")
        p = finite(prediction, "prediction")
        values = _segments(segment, p.size)
        if self.segments_.size and values.dtype != self.segments_.dtype:
            raise ValueError("segment: numbers at fit and text at predict, or the reverse: give the same kind")
        return self.scale_ * self._blend(p, values) + self.shift_

    def _codes(self, values: Any) -> Indices:
        """The place of each row's segment among `segments_`, -1 for those missing or unseen."""
        codes = np.full(values.size, -1, dtype=np.intp)
        known = np.flatnonzero(_known(values))
        known = known[np.isin(values[known], self.segments_)]
        codes[known] = np.searchsorted(self.segments_, values[known])
        return codes

    def _rows(self, values: Any) -> list[Indices]:
        """Which rows each segment has."""
        codes = self._codes(values)
        order = np.argsort(codes, kind="stable")
        return np.split(order, np.searchsorted(codes[order], np.arange(self.segments_.size)))[1:]

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


def _size(w: Floats) -> float:
    """How many equally weighted rows have as certain a mean."""
    return float(w.sum() ** 2 / np.sum(w**2))


def _credibility(prediction: Floats, y: Floats, w: Floats, rows: list[Indices]) -> float:
    """Variance within segments over that of their true mean errors, each in units of its mean prediction."""
    within = between = 0.0
    for r in rows:
        unit = (
            float(np.average(np.abs(prediction[r]), weights=w[r])) or float(np.average(np.abs(prediction), weights=w)) or 1.0
        )
        error = (y[r] - prediction[r]) / unit
        mean, size = float(np.average(error, weights=w[r])), _size(w[r])
        within += size * float(np.average((error - mean) ** 2, weights=w[r]))
        between += size * mean**2
    n = sum(_size(w[r]) for r in rows)
    if n < len(rows) + 0.5:  # no segment has two rows
        return np.inf
    noise = within / (n - len(rows))
    signal = (between - len(rows) * noise) / n
    return noise / signal if signal > 0 else np.inf
