"""CalibratedRegressor: any regressor, with the sum of its predictions made right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.model_selection import KFold, check_cv
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from gbreg.calibration import CALIBRATORS, Calibrator, SegmentedCalibrator, get_calibrator
from gbreg.estimators.base import Savable
from gbreg.estimators.columns import check_features, segment_column, take_rows
from gbreg.estimators.parts import as_sets, fit_part, n_rows
from gbreg.estimators.regressor import as_labels
from gbreg.losses.base import Floats, check_sample_weight


class CalibratedRegressor(Savable, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """A regressor followed by a monotone map that makes the sum of its predictions that of the labels.

    The map is learnt from predictions of rows that the model did not see: each fold is predicted by a model of the others.
    The model that predicts is then fitted to all rows.

    Parameters
    ----------
    estimator : regressor
        Any.
    method : {"ratio", "isotonic", "spline"} or Calibrator, default "isotonic"
        See `gbreg.calibration`.
    cv : int, splitter, iterable of (train, test) or "prefit", default 5
        An int is a number of folds, of rows drawn at random, the same at each fit. Rows that no split tests (the first of a
        `TimeSeriesSplit`) have no part in the map. "prefit": the estimator is already fitted, and `fit` is given rows that
        it did not see, for the map alone; scikit-learn's ``clone`` makes it unfitted again.
    segment : str, int or None
        A column, by name or index (integers are always indices), of numbers or categories: each of its values has a map of
        its own, drawn toward that of all rows the more, the fewer its rows; see `SegmentedCalibrator`.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows.
    calibrator_ : Calibrator
    segment_index_ : int or None
    n_features_in_, feature_names_in_

    Notes
    -----
    Predictions keep their order (with `segment`, within each segment), unless all labels are 0. The sum is right on rows
    like the training rows, whatever the estimator's functional. `estimator_` and ``calibrator_.predict`` give the two steps.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import CalibratedRegressor, GBRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> y = np.exp(X[:, 0] + rng.normal(size=2000))
    >>> model = GBRegressor("transformed_squared_error", n_estimators=50)
    >>> calibrated = CalibratedRegressor(model).fit(X, y)
    >>> bool(0.95 < calibrated.predict(X).sum() / y.sum() < 1.05)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "method": [StrOptions(set(CALIBRATORS)), Calibrator],
        "cv": ["cv_object", StrOptions({"prefit"})],
        "segment": [str, Interval(Integral, 0, None, closed="left"), None],
    }

    def __init__(self, estimator: Any, method: str | Calibrator = "isotonic", cv: Any = 5, segment: str | int | None = None):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.segment = segment

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Self:
        """Learn the map from cross-fitted predictions, then fit the estimator to all rows.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Passed on, and used by the map; an error where the estimator takes none (with "prefit" it need not).
        eval_set : (X, y) or list of them, optional
            Passed on as it is, to the model of each fold too; so are the next two.
        eval_sample_weight : array or list of arrays, optional
        callbacks : list, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a column that is not there, splits that test no row, and weights or evaluation sets that the estimator does
            not take.
        """
        self._validate_params()
        calibrator = clone(get_calibrator(self.method))
        X = check_features(self, X, reset=True)
        labels = as_labels(self, y)
        check_consistent_length(X, labels)
        self.segment_index_ = None if self.segment is None else segment_column(X, self.segment, "segment")[0]
        if self.segment is not None and not isinstance(calibrator, SegmentedCalibrator):
            calibrator = SegmentedCalibrator(calibrator)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        sets = as_sets(self, eval_set, eval_sample_weight, partial(as_labels, self))
        if self.cv == "prefit":
            check_is_fitted(self.estimator)
            held, predicted = np.arange(labels.size), np.asarray(self.estimator.predict(X), dtype=np.float64)
            self.estimator_ = self.estimator
        else:
            held, predicted = self._cross_fitted(X, labels, weight, sets, callbacks)
            self.estimator_ = fit_part(self.estimator, X, labels, weight, sets, callbacks)
        self.calibrator_ = calibrator.fit(
            predicted, labels[held], None if weight is None else weight[held], self._segments(take_rows(X, held))
        )
        return self

    def _cross_fitted(
        self, X: Any, y: Floats, weight: Floats | None, sets: list[Any], callbacks: Sequence[Any] | None
    ) -> tuple[Any, Floats]:
        """Rows that were held out, and what the models of the others predict for them."""
        # Tables are often sorted by time or by label: the folds must not be.
        folds = KFold(self.cv, shuffle=True, random_state=0) if isinstance(self.cv, Integral) else check_cv(self.cv)
        held, predicted = [], []
        for train, test in folds.split(np.empty((n_rows(X), 0)), y):
            model = fit_part(
                self.estimator, take_rows(X, train), y[train], None if weight is None else weight[train], sets, callbacks
            )
            held.append(np.arange(y.size)[test])
            predicted.append(np.asarray(model.predict(take_rows(X, test)), dtype=np.float64))
        return np.concatenate(held), np.concatenate(predicted)

    def _segments(self, X: Any) -> Any:
        return None if self.segment_index_ is None else segment_column(X, self.segment_index_, "segment")[1]

    def predict(self, X: Any) -> Floats:
        """Calibrated predictions of shape (n_samples,), in the unit of the target."""
        check_is_fitted(self, "calibrator_")
        X = check_features(self, X, reset=False)
        return self.calibrator_.predict(self.estimator_.predict(X), self._segments(X))  # type: ignore[no-any-return]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        part = get_tags(self.estimator)
        tags.input_tags.allow_nan, tags.input_tags.sparse = part.input_tags.allow_nan, part.input_tags.sparse
        tags.target_tags.positive_only = part.target_tags.positive_only
        return tags
