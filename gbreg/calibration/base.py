"""What every calibrator of predictions does: fitted to (prediction, y, weight), right in sum on those rows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from gbreg._checks import Floats, as_numbers, check_finite, check_one_dimensional, check_sample_weight
from gbreg._compat import validate_parameters

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
    # What calibrators of points and of distributions answer alike.
    maps_distributions: ClassVar[bool] = False

    def seen(self, model: Any, X: Any, y: Floats) -> Floats:
        """What the map is learnt from, on rows that the model did not see."""
        return np.asarray(model.predict(X), dtype=np.float64)

    def learn(self, seen: Floats, y: Floats, sample_weight: Floats | None, segment: Any = None) -> Self:
        """Learn the map from what is `seen`, of one model or of several."""
        return self.fit(seen, y, sample_weight, segment)

    def of_points(self, prediction: Floats, segment: Any = None) -> Floats:
        """The predictions, mapped."""
        return self.predict(prediction, segment)

    def of_distributions(self, distribution: Any) -> Any:
        """The distributions as they are."""
        return distribution

    @abstractmethod
    def fit(
        self, prediction: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None, segment: ArrayLike | None = None
    ) -> Self: ...

    @abstractmethod
    def predict(self, prediction: ArrayLike, segment: ArrayLike | None = None) -> Floats: ...


class OneCurve(Calibrator):
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
        validate_parameters(self)
        _refuse(self, segment)
        p, y, w, _ = used_rows(prediction, y, sample_weight)
        order = np.lexsort((w, y, p))  # sums are then the same in whatever order the rows came
        p, y, w = p[order], y[order], w[order]
        self._learn(p, y, w)
        self.scale_, self.shift_ = level(self._curve(p), y, w)
        return self

    def predict(self, prediction: ArrayLike, segment: ArrayLike | None = None) -> Floats:
        """Calibrated predictions, shape (n_samples,)."""
        check_is_fitted(self, "scale_")
        _refuse(self, segment)
        return self.scale_ * self._curve(finite(prediction, "prediction")) + self.shift_

    @abstractmethod
    def _learn(self, p: Floats, y: Floats, w: Floats) -> None: ...

    @abstractmethod
    def _curve(self, p: Floats) -> Floats: ...


def _refuse(calibrator: OneCurve, segment: ArrayLike | None) -> None:
    if segment is not None:
        name = type(calibrator).__name__
        raise ValueError(f"segment: {name} has one curve for all rows; use SegmentedCalibrator({name}())")


def finite(x: ArrayLike, name: str) -> Floats:
    values = as_numbers(x, name)
    check_one_dimensional(values, name)
    check_finite(values, name)
    return values


def used_rows(
    prediction: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None
) -> tuple[Floats, Floats, Floats, NDArray[np.bool_]]:
    """Predictions, labels and weights of the rows that count, and which these are."""
    p, y = finite(prediction, "prediction"), finite(y, "y")
    if p.shape != y.shape or not p.size:
        raise ValueError(f"prediction has {p.size:,} rows and y {y.size:,}: give as many, at least one")
    w = check_sample_weight(sample_weight, y.size)
    used = w > 0
    return p[used], y[used], w[used], used


def level(values: Floats, y: Floats, w: Floats) -> tuple[float, float]:
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


def time_decay(time: ArrayLike, half_life: Any) -> Floats:
    """Weights that halve with every half-life of age; the newest row weighs 1.

    Give them to a calibrator as its `sample_weight`, times other weights, so that its map follows the latest rows.

    Parameters
    ----------
    time : array of shape (n_samples,)
        Numbers, or datetimes.
    half_life : float or timedelta > 0
        In the unit of `time`; a timedelta for datetimes.

    Raises
    ------
    ValueError
        For missing times, and a half-life that is not positive.

    Examples
    --------
    >>> time_decay([10.0, 5.0, 0.0], half_life=5.0)
    array([1.  , 0.5 , 0.25])
    >>> time_decay(np.array(["2026-03-01", "2026-01-30"], dtype="datetime64[D]"), np.timedelta64(30, "D"))
    array([1. , 0.5])
    """
    times = np.asarray(time)
    check_one_dimensional(times, "time", empty=False)
    dates = times.dtype.kind == "M"
    times = times if dates else times.astype(np.float64)
    unit = np.timedelta64(half_life) if dates else np.float64(half_life)
    if not unit > unit * 0:
        raise ValueError(f"half_life={half_life!r} must be positive, in the unit of time")
    missing = np.isnat(times) if dates else ~np.isfinite(times)
    if missing.any():
        raise ValueError(f"time: {missing.sum():,} of {times.size:,} are missing or infinite: drop those rows")
    return np.exp2(-((times.max() - times) / unit))  # type: ignore[no-any-return]
