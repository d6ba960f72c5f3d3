"""HurdleRegressor: whether at all, times how much."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.utils import _safe_indexing, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from gbreg.distribution import Distribution, LogNormalDistribution, ZeroInflated
from gbreg.estimators.readout import Functional, read
from gbreg.estimators.regressor import as_labels, as_pairs
from gbreg.links import NON_NEGATIVE
from gbreg.losses.base import Floats, check_inside, check_sample_weight


class HurdleRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """P(y > 0) times E[y | y > 0]: one model says whether, trained on all rows, one how much, on the positive ones.

    Parameters
    ----------
    classifier : estimator
        Any scikit-learn classifier with ``predict_proba``, or a regressor that predicts a probability, such as
        ``GBRegressor("bernoulli")``.
    regressor : estimator
        Any regressor; ``GBRegressor`` with any loss, those that need y > 0 included.

    Attributes
    ----------
    classifier_ : estimator or None
        None if the training labels are all positive or all zero: then `probability_` holds for every row.
    regressor_ : estimator or None
        None if no training label is positive: then 0 is predicted.
    probability_ : float
        Weighted share of positive training labels.
    n_features_in_, feature_names_in_

    Notes
    -----
    Domain: y >= 0. Unbiased as far as its parts are: regress a loss whose functional is the mean.
    Cragg (1971), "Some Statistical Models for Limited Dependent Variables".

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import GBRegressor, HurdleRegressor
    >>> X = np.arange(400.0).reshape(-1, 1)
    >>> y = np.where(np.arange(400) % 2, X[:, 0], 0.0)
    >>> model = HurdleRegressor(GBRegressor("bernoulli"), GBRegressor("gamma", n_estimators=50)).fit(X, y)
    >>> bool(0.9 < model.predict(X).sum() / y.sum() < 1.1)
    True
    """

    def __init__(self, classifier: Any, regressor: Any):
        self.classifier = classifier
        self.regressor = regressor

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
    ) -> Self:
        """Fit the classifier to ``y > 0`` on all rows, the regressor to y on the rows where it is positive.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            At least 0.
        sample_weight : array-like of shape (n_samples,), optional
            Passed to the parts that take it; an error where one does not.
        eval_set : (X, y) or list of them, optional
            Each part gets its own form of it, and stops early by itself.
        eval_sample_weight : array or list of arrays, optional

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For negative labels, and for weights or evaluation sets that a part cannot take.
        """
        validate_data(self, X, skip_check_array=True, reset=True)
        labels = as_labels(self, y)
        check_inside(labels, NON_NEGATIVE, type(self).__name__, "predict losses and refunds with a loss on all reals")
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        used = np.ones(labels.size, dtype=bool) if weight is None else weight > 0
        positive = labels > 0
        self.probability_ = float(np.average(positive, weights=weight))
        self.classifier_ = self.regressor_ = None
        sets = [(*pair, w) for pair, w in as_pairs(eval_set, eval_sample_weight)]
        if 0.0 < self.probability_ < 1.0:
            whether = [(X_, (np.asarray(y_) > 0).astype(np.float64), w) for X_, y_, w in sets]
            self.classifier_ = _fitted(self.classifier, X, positive.astype(np.float64), weight, whether)
        if self.probability_ > 0.0:
            how_much = [_rows_where(np.asarray(y_) > 0, X_, np.asarray(y_), w) for X_, y_, w in sets]
            X_positive, y_positive, weight_positive = _rows_where(positive & used, X, labels, weight)
            self.regressor_ = _fitted(
                self.regressor, X_positive, y_positive, weight_positive, [s for s in how_much if s[1].size]
            )
        return self

    def predict_probability(self, X: Any) -> Floats:
        """P(y > 0) of every row, shape (n_samples,)."""
        check_is_fitted(self, "probability_")
        validate_data(self, X, skip_check_array=True, reset=False)
        if self.classifier_ is None:
            return np.full(_n_rows(X), self.probability_)
        if is_classifier(self.classifier_):
            return np.asarray(self.classifier_.predict_proba(X)[:, 1], dtype=np.float64)
        return np.clip(np.asarray(self.classifier_.predict(X), dtype=np.float64), 0.0, 1.0)

    def predict(self, X: Any, functional: Functional = None) -> Floats:
        """Predictions of shape (n_samples,): the mean or, with a regressor that predicts distributions, any readout.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        functional : {"mean", "median", "mode", "log_mean"}, float or None
            None multiplies the probability with the regressor's own prediction; a float in (0, 1) is a quantile.
        """
        if functional is not None:
            return read(self.predict_distribution(X), functional)
        probability = self.predict_probability(X)
        return probability if self.regressor_ is None else probability * np.asarray(self.regressor_.predict(X))

    def predict_distribution(self, X: Any) -> Distribution:
        """The distribution of every row's label: a mass at 0, and the regressor's distribution above."""
        probability = self.predict_probability(X)
        if self.regressor_ is None:  # no positive label was seen: all mass at 0, whatever lies above
            return ZeroInflated(probability, LogNormalDistribution(np.zeros(probability.size), np.ones(probability.size)))
        if not hasattr(self.regressor_, "predict_distribution"):
            raise TypeError(
                f"{type(self.regressor).__name__} predicts no distribution: use a GBRegressor with a distributional loss, "
                "such as GBRegressor('log_normal')"
            )
        return ZeroInflated(probability, self.regressor_.predict_distribution(X))

    def predict_quantile(self, X: Any, q: float | ArrayLike) -> Floats:
        """The quantile q of every row's label: (n_samples,), or (n_samples, len(q)) for a list of them."""
        return self.predict_distribution(X).quantile(q)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        parts = [get_tags(part) for part in (self.classifier, self.regressor)]
        tags.input_tags.allow_nan = all(part.input_tags.allow_nan for part in parts)
        tags.input_tags.sparse = all(part.input_tags.sparse for part in parts)
        tags.target_tags.positive_only = True
        return tags


def _fitted(estimator: Any, X: Any, y: Floats, weight: Floats | None, sets: list[Any]) -> Any:
    estimator = clone(estimator)
    arguments: dict[str, Any] = {}
    if weight is not None:
        if not has_fit_parameter(estimator, "sample_weight"):
            raise ValueError(f"sample_weight: {type(estimator).__name__} takes none; leave it out, or use another part")
        arguments["sample_weight"] = weight
    if sets:
        if not has_fit_parameter(estimator, "eval_set"):
            raise ValueError(f"eval_set: {type(estimator).__name__} takes none; leave it out, or use another part")
        arguments["eval_set"] = [(X_, y_) for X_, y_, _ in sets]
        if any(w is not None for *_, w in sets):
            arguments["eval_sample_weight"] = [w for *_, w in sets]
    return estimator.fit(X, y, **arguments)


def _rows_where(mask: Any, X: Any, y: Floats, weight: Any) -> tuple[Any, Floats, Any]:
    index = np.flatnonzero(mask)
    return _safe_indexing(X, index), y[index], None if weight is None else np.asarray(weight)[index]


def _n_rows(X: Any) -> int:
    return int(X.shape[0]) if hasattr(X, "shape") else len(X)
