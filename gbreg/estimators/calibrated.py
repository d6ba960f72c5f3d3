"""CalibratedRegressor: any regressor, with the sum of its predictions, or all of their distribution, made right."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

from gbreg._checks import Floats, check_fitted, check_sample_weight
from gbreg._columns import check_features, segment_column, take_rows
from gbreg._compat import HasMethods, Interval, StrOptions
from gbreg.calibration import AnyCalibrator, SegmentedCalibrator
from gbreg.estimators.base import METHODS, new_calibrator
from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.model import Model, check_carried, check_distributional
from gbreg.estimators.monotone import check_order
from gbreg.estimators.parts import as_sets, check_unconstrained, fit_part, splits
from gbreg.estimators.preset import Preset
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.rows import as_labels, carried_of, check_groups, check_same, read_with
from gbreg.links import REALS
from gbreg.losses import get_loss

if TYPE_CHECKING:
    from gbreg.distribution import Distribution


class CalibratedRegressor(Model):
    """A regressor followed by a monotone map that makes the sum of its predictions that of the labels.

    The map is learnt from predictions of rows that the model did not see: each fold is predicted by a model of the others.
    The model that predicts is then fitted to all rows.

    Parameters
    ----------
    estimator : regressor
        Any; one with ``predict_distribution`` for "pit".
    method : {"ratio", "isotonic", "spline", "pit"}, Calibrator or PITCalibrator, default "isotonic"
        See `gbreg.calibration`. "pit" maps the predicted distributions, from which everything is then read.
    cv : int, splitter, iterable of (train, test) or "prefit", default 5
        An int is a number of folds, of rows (of groups, if `fit` is given any) drawn at random, the same at each fit. Rows
        that no split tests (the first of a `TimeSeriesSplit`) have no part in the map. "prefit": the estimator is already
        fitted, and `fit` is given rows that it did not see, for the map alone; scikit-learn's ``clone`` makes it unfitted
        again.
    segment : str, int or None
        A column, by name or index (integers are always indices), of numbers or categories: each of its values has a map of
        its own, drawn toward that of all rows the more, the fewer its rows; see `SegmentedCalibrator`.

    Attributes
    ----------
    estimator_ : estimator
        Fitted to all rows.
    calibrator_ : Calibrator or PITCalibrator
    segment_index_ : int or None
    carried_ : tuple of str
        What `fit` was given of "offset" and "exposure", and `predict` needs.
    n_features_in_, feature_names_in_

    Notes
    -----
    Predictions keep their order (with `segment`, within each segment; with "pit", for most rows), unless all labels are 0.
    The sum is right on rows like the training rows, whatever the estimator's functional (with "pit", as far as the
    distributions then are). `estimator_` and ``calibrator_.predict`` give the two steps.
    Estimators that are not gbreg's, such as scikit-learn's pipelines, can be pickled, not saved: `gbreg.check_savable` says
    so before training.

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
        "method": METHODS,
        "cv": ["cv_object", StrOptions({"prefit"})],
        "segment": [str, Interval(Integral, 0, None, closed="left"), None],
    }

    calibrator_: AnyCalibrator

    def __init__(
        self,
        estimator: Any,
        method: str | AnyCalibrator = "isotonic",
        cv: Any = 5,
        segment: str | int | None = None,
    ):
        self.estimator = estimator
        self.method = method
        self.cv = cv
        self.segment = segment

    @property
    def y_domain(self) -> Any:
        return getattr(self.estimator, "y_domain", REALS)

    def labels_of(self, part: str, y: Floats) -> Floats:
        return y

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        calibration_weight: ArrayLike | None = None,
        groups: ArrayLike | None = None,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        eval_offset: Any = None,
        eval_exposure: Any = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Self:
        """Learn the map from cross-fitted predictions, then fit the estimator to all rows.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
            Passed on, and used by the map; an error where the estimator takes none (with "prefit" it need not).
        calibration_weight : array-like of shape (n_samples,), optional
            What rows count in the map alone, times `sample_weight`: ``time_decay(time, half_life)`` of `gbreg.calibration`
            lets it follow the latest rows.
        groups : array-like of shape (n_samples,), optional
            Passed to the splitter, and on to an estimator that takes groups: rows of one customer, say, whose labels
            overlap, are then on one side.
        eval_set : (X, y) or list of them, optional
            Passed on as it is, to the model of each fold too; so are its weights, offsets and exposures, and the callbacks.
        eval_sample_weight : array or list of arrays, optional
        offset, exposure : array-like of shape (n_samples,), optional
            Passed on, to an estimator of gbreg that takes them. The map is one of amounts: of what rows of that exposure
            are predicted.
        eval_offset, eval_exposure : array or list of arrays, optional
        callbacks : list, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For a column that is not there, splits that test no row, and weights or evaluation sets that the estimator does
            not take.
        TypeError
            Before training, for method "pit" and an estimator that predicts no distribution.
        """
        self._validate_params()
        calibrator = self._new_calibrator()
        self._check_order(calibrator)
        X = check_features(self, X, reset=True)
        X = read_with(X, {"offset": offset, "exposure": exposure})
        self.check_carried(carried_of(X))
        labels = as_labels(self, y)
        check_consistent_length(X, labels)
        self.segment_index_ = None if self.segment is None else segment_column(X, self.segment, "segment")[0]
        if self.segment_index_ is not None:
            check_unconstrained(
                self.estimator,
                X,
                self.segment_index_,
                f"segment={self.segment!r}: the estimator keeps to a monotone constraint along it, but every segment has a "
                "map of its own",
            )
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        beside = {"offset": eval_offset, "exposure": eval_exposure}
        sets = as_sets(self, eval_set, eval_sample_weight, partial(as_labels, self), beside, carried_of(X))
        counts = weight
        if calibration_weight is not None:
            counts = check_sample_weight(calibration_weight, labels.size) * (1.0 if weight is None else weight)
        grouped = None if groups is None else check_groups(groups, labels.size)
        passed = grouped if has_fit_parameter(self.estimator, "groups") else None
        if self.cv == "prefit":
            check_is_fitted(self.estimator)
            check_same(set(carried_of(X)), set(getattr(self.estimator, "carried_", ())))
            held, seen = np.arange(labels.size), calibrator.seen(self.estimator, X, labels)
            self.estimator_ = self.estimator
        else:

            def fitted(rows: Any) -> Any:
                return fit_part(
                    self.estimator,
                    take_rows(X, rows),
                    labels[rows],
                    None if weight is None else weight[rows],
                    sets,
                    callbacks,
                    None if passed is None else passed[rows],
                )

            folds = splits(self.cv, labels.size, labels, grouped)
            held = np.concatenate([np.arange(labels.size)[test] for _, test in folds])
            seen = np.concatenate(
                [calibrator.seen(fitted(train), take_rows(X, test), labels[test]) for train, test in folds]
            )
            self.estimator_ = fitted(np.arange(labels.size))
        self.carried_ = tuple(carried_of(X))
        counted = None if counts is None else counts[held]
        self.calibrator_ = calibrator.learn(seen, labels[held], counted, self._segments(take_rows(X, held)))
        return self

    def _new_calibrator(self) -> AnyCalibrator:
        calibrator = new_calibrator(self.method, self.estimator, "method")
        if self.segment is None or isinstance(calibrator, SegmentedCalibrator):
            return calibrator
        if calibrator.maps_distributions:
            raise ValueError(f"segment={self.segment!r}: method={self.method!r} has one map for all rows; leave it out")
        return SegmentedCalibrator(calibrator)

    def check_carried(self, names: Collection[str]) -> None:
        check_carried(self.estimator, names)

    def _check_order(self, calibrator: AnyCalibrator) -> None:
        """`ValueError` where the estimator keeps monotone constraints for means alone, and the map is of quantiles."""
        model = self.estimator._model() if isinstance(self.estimator, Preset) else self.estimator
        model = model.regressor if isinstance(model, HurdleRegressor) else model
        if isinstance(model, GBRegressor) and model.constraints():
            loss = get_loss(model.loss)
            if getattr(loss, "ordered", None) == "mean":  # of buckets it is known after fit only
                check_order(loss, calibrator)

    def check_distributional(self) -> None:
        check_distributional(self.estimator)

    def _segments(self, X: Any) -> Any:
        return None if self.segment_index_ is None else segment_column(X, self.segment_index_, "segment")[1]

    def _predicted(self, X: Any) -> Floats:
        check_fitted(self, "calibrator_")
        X = check_features(self, X, reset=False)
        if self.calibrator_.maps_distributions:
            return self._predicted_distribution(X).mean()
        return self.calibrator_.of_points(self.estimator_.predict(X), self._segments(X))

    def _predicted_distribution(self, X: Any) -> Distribution:
        check_fitted(self, "calibrator_")
        distribution: Distribution = self.estimator_.predict_distribution(check_features(self, X, reset=False))
        return self.calibrator_.of_distributions(distribution)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        part = get_tags(self.estimator)
        tags.input_tags.allow_nan, tags.input_tags.sparse = part.input_tags.allow_nan, part.input_tags.sparse
        tags.target_tags.positive_only = part.target_tags.positive_only
        return tags
