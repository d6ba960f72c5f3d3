"""HurdleRegressor: whether at all, times how much."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import is_classifier
from sklearn.utils import check_consistent_length, get_tags

from gbreg._checks import Floats, check_fitted, check_inside, check_sample_weight
from gbreg._columns import Table, check_features, n_rows
from gbreg.distribution import Distribution, LogNormalDistribution, ZeroInflated
from gbreg.estimators.model import Model, check_distributional, distributional
from gbreg.estimators.parts import as_sets, fit_part, rows_where
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.rows import as_labels, check_groups
from gbreg.links import NON_NEGATIVE
from gbreg.losses import SoftmaxBuckets


class HurdleRegressor(Model):
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
    Monotone constraints hold for the mean where both parts have them.
    Domain: y >= 0. Unbiased as far as its parts are: regress a loss whose functional is the mean.
    Parts that are not gbreg's, such as scikit-learn's pipelines, can be pickled, not saved: `gbreg.check_savable` says so
    before training.
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

    word = "hurdle"
    family = "hurdle"
    y_domain = NON_NEGATIVE

    @classmethod
    def own_parameters(cls) -> list[str]:
        return ["loss"]

    @classmethod
    def of_word(cls, given: dict[str, Any], read_loss: Callable[[str], Any]) -> Self:
        return cls(GBRegressor("bernoulli"), GBRegressor(read_loss(str(given.get("loss", "gamma")))))

    def label(self) -> str:
        return f"{self.word}:loss={self.regressor.label()}"

    def labels_of(self, part: str, y: Floats) -> Floats:
        return (y > 0).astype(np.float64) if part == "classifier" else y[y > 0]

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        groups: ArrayLike | None = None,
        callbacks: Sequence[Any] | None = None,
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
            Each part gets its own form of it, and stops early by itself; sets without positive labels are no use to the
            regressor, which goes without them.
        eval_sample_weight : array or list of arrays, optional
        groups : array-like of shape (n_samples,), optional
            Given to both parts: what they must not tear apart where they hold rows out.
        callbacks : list, optional
            Given to both parts.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For negative labels, and for weights, evaluation sets or groups that a part cannot take.
        """
        X = check_features(self, X, reset=True)
        labels = y if isinstance(X, Table) else self._labels(y)  # whoever read the table has checked them
        check_consistent_length(X, labels)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        kept_together = check_groups(groups, labels.size)
        sets = as_sets(self, eval_set, eval_sample_weight, self._labels)
        positive = (labels > 0).astype(np.float64)
        probability = float(np.average(positive, weights=weight))
        classifier = regressor = None
        if 0.0 < probability < 1.0:
            whether = [(X_, (y_ > 0).astype(np.float64), w) for X_, y_, w in sets]
            classifier = fit_part(self.classifier, X, positive, weight, whether, callbacks, kept_together)
        if probability > 0.0:
            how_much = [s for s in map(_positive, sets) if s[1].size]
            if kept_together is not None:
                kept_together = kept_together[_is_positive(labels, weight)]
            rows = _positive((X, labels, weight))
            try:
                regressor = fit_part(self.regressor, *rows, how_much, callbacks, kept_together)
            except ValueError as error:
                n = f"{rows[1].size:,} of {labels.size:,} rows"
                raise ValueError(f"regressor, which trains on the {n} with y > 0: {error}") from error
        self.probability_, self.classifier_, self.regressor_ = probability, classifier, regressor
        self._meet_shares(X, labels, np.ones(labels.size) if weight is None else weight)
        return self

    def _meet_shares(self, X: Any, labels: Floats, weight: Floats) -> None:
        """Let all rows, each times its chance of being positive, expect of the buckets what the positive labels hold.

        The positive rows do so by themselves. But what trees make of single large labels, zeros among the same features do
        not have, and the sum over all rows would be low.
        """
        part: Any = self.regressor_
        loss = getattr(part, "loss_", None)
        if self.classifier_ is None or not isinstance(loss, SoftmaxBuckets) or not loss.refines:
            return
        if loss.constant_ is None and part.calibrator_ is None:
            shares = loss.shares(labels[labels > 0], weight[labels > 0])
            loss.meet(shares, part.predict_raw(X), weight * self.predict_probability(X))

    def _labels(self, y: ArrayLike) -> Floats:
        labels = as_labels(self, y)
        check_inside(labels, NON_NEGATIVE, type(self).__name__, "predict losses and refunds with a loss on all reals")
        return labels

    def predict_probability(self, X: Any) -> Floats:
        """P(y > 0) of every row, shape (n_samples,)."""
        check_fitted(self, "probability_")
        X = check_features(self, X, reset=False)
        if self.classifier_ is None:
            return np.full(n_rows(X), self.probability_)
        if not isinstance(self.classifier_, Model) and is_classifier(self.classifier_):
            return np.asarray(self.classifier_.predict_proba(X)[:, 1], dtype=np.float64)
        return np.clip(np.asarray(self.classifier_.predict(X), dtype=np.float64), 0.0, 1.0)

    def _predicted(self, X: Any) -> Floats:
        probability = self.predict_probability(X)
        return probability if self.regressor_ is None else probability * np.asarray(self.regressor_.predict(X))

    @distributional
    def predict_distribution(self, X: Any) -> Distribution:
        """The distribution of every row's label: a mass at 0, and the regressor's distribution above."""
        probability = self.predict_probability(X)
        if self.regressor_ is None:  # no positive label was seen: all mass at 0, whatever lies above
            return ZeroInflated(probability, LogNormalDistribution(np.zeros(probability.size), np.ones(probability.size)))
        return ZeroInflated(probability, self.regressor_.predict_distribution(X))

    def check_distributional(self) -> None:
        check_distributional(self.regressor)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        parts = [get_tags(part) for part in (self.classifier, self.regressor)]
        tags.input_tags.allow_nan = all(part.input_tags.allow_nan for part in parts)
        tags.input_tags.sparse = all(part.input_tags.sparse for part in parts)
        tags.target_tags.positive_only = True
        return tags


def _positive(rows: tuple[Any, Floats, Floats | None]) -> tuple[Any, Floats, Floats | None]:
    """The rows (X, y, weight) that say how much."""
    X, y, weight = rows
    return rows_where(_is_positive(y, weight), X, y, weight)


def _is_positive(y: Floats, weight: Floats | None) -> Any:
    return (y > 0) if weight is None else (y > 0) & (weight > 0)
