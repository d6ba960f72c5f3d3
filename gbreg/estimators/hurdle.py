"""HurdleRegressor: whether at all, times how much."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone, is_classifier
from sklearn.utils import check_consistent_length, get_tags

from gbreg._checks import Floats, check_fitted, check_inside, check_sample_weight
from gbreg._columns import Table, check_features, n_rows
from gbreg._compat import HasMethods, StrOptions
from gbreg.distribution import Distribution, LogNormalDistribution, ZeroInflated
from gbreg.estimators.model import Model, check_distributional
from gbreg.estimators.parts import as_sets, check_both_ways, fit_part, rows_where
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.rows import as_labels, asked_of, carried_of, check_groups, read_with
from gbreg.links import NON_NEGATIVE
from gbreg.losses import Bernoulli, SoftmaxBuckets, get_loss


class HurdleRegressor(Model):
    """P(y > 0) times E[y | y > 0]: one model says whether, trained on all rows, one how much, on the positive ones.

    Parameters
    ----------
    classifier : estimator
        Any scikit-learn classifier with ``predict_proba``, or a regressor that predicts a probability, such as
        ``GBRegressor("bernoulli")``.
    regressor : estimator
        Any regressor; ``GBRegressor`` with any loss, those that need y > 0 included.
    exposure_on : {"frequency", "severity"}, default "frequency"
        What an exposure given to `fit` belongs to. "frequency": whether there is anything; events come at a rate, and
        P(y > 0) is ``1 - exp(-rate * exposure)``. The classifier must take exposures: ``GBRegressor("cloglog")``, which
        stands in for a ``GBRegressor("bernoulli")``. How much is expected of a positive row stays as it is, which holds
        where events are rare. "severity": how much, of a regressor that takes exposures, on the log link; whether stays.

    Attributes
    ----------
    classifier_ : estimator or None
        None if the training labels are all positive or all zero: then `probability_` holds for every row.
    regressor_ : estimator or None
        None if no training label is positive: then 0 is predicted.
    probability_ : float
        Weighted share of positive training labels.
    carried_ : tuple of str
        ("exposure",) where `fit` was given one: `predict` then needs one.
    n_features_in_, feature_names_in_

    Notes
    -----
    Predictions keep to a monotone constraint where both parts have it: `monotone` of one alone is refused.
    Domain: y >= 0. Unbiased as far as its parts are: regress a loss whose functional is the mean.
    Parts that are not gbreg's, such as scikit-learn's pipelines, can be pickled, not saved: `gbreg.check_savable` says so
    before training.
    With an exposure on "frequency", whether y > 0 is a complementary log-log regression with an offset of its logarithm: see
    `gbreg.losses.Cloglog`.
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

    _parameter_constraints = {
        "classifier": [HasMethods(["fit"])],
        "regressor": [HasMethods(["fit", "predict"])],
        "exposure_on": [StrOptions({"frequency", "severity"})],
    }

    def __init__(self, classifier: Any, regressor: Any, exposure_on: str = "frequency"):
        self.classifier = classifier
        self.regressor = regressor
        self.exposure_on = exposure_on

    word = "hurdle"
    family = "hurdle"
    y_domain = NON_NEGATIVE

    @classmethod
    def own_parameters(cls) -> list[str]:
        return ["loss", "exposure_on"]

    @classmethod
    def of_word(cls, given: dict[str, Any], read_loss: Callable[[str], Any]) -> Self:
        loss = read_loss(str(given.pop("loss", "gamma")))
        model = cls(GBRegressor("bernoulli"), GBRegressor(loss), **given)
        model._validate_params()
        return model

    def label(self) -> str:
        more = "" if self.exposure_on == "frequency" else f",exposure_on={self.exposure_on}"
        return f"{self.word}:loss={self.regressor.label()}{more}"

    def labels_of(self, part: str, y: Floats) -> Floats:
        return (y > 0).astype(np.float64) if part == "classifier" else y[y > 0]

    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        censored: ArrayLike | None = None,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        eval_offset: Any = None,
        eval_exposure: Any = None,
        eval_censored: Any = None,
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
        offset, eval_offset
            Refused: the two parts have no raw score in common.
        exposure : array-like of shape (n_samples,), optional
            Given to the part that `exposure_on` names.
        censored : array-like of bool of shape (n_samples,), optional
            Rows whose label is at least y, given to a regressor that takes them, see `GBRegressor.fit`. One that is at
            least 0 says nothing, and the classifier goes without it.
        eval_set : (X, y) or list of them, optional
            Each part gets its own form of it, and stops early by itself; sets without positive labels are no use to the
            regressor, which goes without them.
        eval_sample_weight, eval_exposure, eval_censored : array or list of arrays, optional
            Of the rows of `eval_set`.
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
            For negative labels, for weights, exposures, evaluation sets or groups that a part cannot take, and where one
            part has another `monotone` than the other.
        """
        self._validate_params()
        X = check_features(self, X, reset=True)
        labels = y if isinstance(X, Table) else self._labels(y)  # whoever read the table has checked them
        X = read_with(X, {"offset": offset, "exposure": exposure, "censored": censored})
        self.check_carried(carried_of(X))
        check_consistent_length(X, labels)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        check_both_ways({"classifier": self.classifier, "regressor": self.regressor}, X)
        kept_together = check_groups(groups, labels.size)
        beside = {"offset": eval_offset, "exposure": eval_exposure, "censored": eval_censored}
        sets = as_sets(self, eval_set, eval_sample_weight, self._labels, beside, carried_of(X))
        rows = self._whether((X, labels, weight))
        if not _counts(rows):
            raise ValueError(
                f"censored: all {labels.size:,} rows are, at 0, so that no row says whether there is anything: add rows "
                "that were seen to the end"
            )
        probability = float(np.average(rows[1], weights=rows[2]))
        classifier = regressor = None
        if 0.0 < probability < 1.0:
            whether = [known for known in map(self._whether, sets) if _counts(known)]
            known = None if kept_together is None else kept_together[_is_known(X, labels)]
            classifier = fit_part(self._frequency(carried_of(X)), *rows, whether, callbacks, known)
        if probability > 0.0:
            how_much = [_positive((self._of_severity(X_), y_, w)) for X_, y_, w in sets if _is_positive(y_, w).any()]
            if kept_together is not None:
                kept_together = kept_together[_is_positive(labels, weight)]
            rows = _positive((self._of_severity(X), labels, weight))
            try:
                regressor = fit_part(self.regressor, *rows, how_much, callbacks, kept_together)
            except ValueError as error:
                n = f"{rows[1].size:,} of {labels.size:,} rows"
                raise ValueError(f"regressor, which trains on the {n} with y > 0: {error}") from error
        self.probability_, self.classifier_, self.regressor_ = probability, classifier, regressor
        self.carried_ = asked_of(carried_of(X))
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
            loss.meet(shares, part.predict_raw(self._of_severity(X)), weight * self.predict_probability(X))

    def check_carried(self, names: Collection[str]) -> None:
        if "offset" in names:
            raise ValueError(
                "offset: a HurdleRegressor has two raw scores, of whether and of how much: fit the two parts apart, or give "
                "exposure="
            )
        if "censored" in names:
            if not isinstance(self.regressor, Model):
                who = type(self.regressor).__name__
                raise ValueError(f"censored: regressor={who} takes none: use a GBRegressor of LogNormal, or of buckets")
            try:
                self.regressor.check_carried(["censored"])
            except ValueError as error:
                raise ValueError(f"regressor: {error}") from error
        if "exposure" not in names:
            return
        parts = {"classifier": self._frequency(names), "regressor": self.regressor}
        for which, part in parts.items():
            if not isinstance(part, Model):
                raise ValueError(
                    f"exposure: {which}={type(part).__name__} cannot be given rows that bring one: use a GBRegressor, of "
                    "'cloglog' for whether, and of a loss on the log link for how much"
                )
        which = "classifier" if self.exposure_on == "frequency" else "regressor"
        try:
            parts[which].check_carried(["exposure"])
        except ValueError as error:
            raise ValueError(f"{which}: {error}") from error

    def _frequency(self, names: Collection[str]) -> Any:
        """The classifier: of odds, which have no place for an exposure, its counterpart that has."""
        exposed = "exposure" in names and self.exposure_on == "frequency"
        if exposed and isinstance(self.classifier, GBRegressor) and isinstance(get_loss(self.classifier.loss), Bernoulli):
            if self.classifier.native is True:
                raise ValueError(
                    "classifier: with an exposure 'cloglog' stands in for 'bernoulli', and no engine has it built in: use "
                    "native='auto' in place of native=True"
                )
            return clone(self.classifier).set_params(loss="cloglog")
        return self.classifier

    def _of_frequency(self, X: Any) -> Any:
        return _with_only(X, {"exposure"} if self.exposure_on == "frequency" else set())

    def _of_severity(self, X: Any) -> Any:
        return _with_only(X, {"censored", "exposure"} if self.exposure_on == "severity" else {"censored"})

    def _whether(self, rows: tuple[Any, Floats, Floats | None]) -> tuple[Any, Floats, Floats | None]:
        """The rows (X, whether y is positive, weight) of which that is known."""
        X, y, weight = rows_where(_is_known(rows[0], rows[1]), *rows)
        return self._of_frequency(X), (y > 0).astype(np.float64), weight

    def _labels(self, y: ArrayLike) -> Floats:
        labels = as_labels(self, y)
        check_inside(labels, NON_NEGATIVE, type(self).__name__, "predict losses and refunds with a loss on all reals")
        return labels

    def predict_probability(self, X: Any, *, exposure: ArrayLike | None = None) -> Floats:
        """P(y > 0) of every row, shape (n_samples,)."""
        check_fitted(self, "probability_")
        X = self._of_frequency(check_features(self, self._carrying(X, None, exposure), reset=False))
        if self.classifier_ is None:
            return np.full(n_rows(X), self.probability_)
        if not isinstance(self.classifier_, Model) and is_classifier(self.classifier_):
            return np.asarray(self.classifier_.predict_proba(X)[:, 1], dtype=np.float64)
        return np.clip(np.asarray(self.classifier_.predict(X), dtype=np.float64), 0.0, 1.0)

    def _predicted(self, X: Any) -> Floats:
        probability = self.predict_probability(X)
        if self.regressor_ is None:
            return probability
        return probability * np.asarray(self.regressor_.predict(self._of_severity(X)), dtype=np.float64)

    def _predicted_distribution(self, X: Any) -> Distribution:
        """A mass at 0, and the regressor's distribution above."""
        probability = self.predict_probability(X)
        if self.regressor_ is None:  # no positive label was seen: all mass at 0, whatever lies above
            return ZeroInflated(probability, LogNormalDistribution(np.zeros(probability.size), np.ones(probability.size)))
        return ZeroInflated(probability, self.regressor_.predict_distribution(self._of_severity(X)))

    def check_distributional(self) -> None:
        check_distributional(self.regressor)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        parts = [get_tags(part) for part in (self.classifier, self.regressor)]
        tags.input_tags.allow_nan = all(part.input_tags.allow_nan for part in parts)
        tags.input_tags.sparse = all(part.input_tags.sparse for part in parts)
        tags.target_tags.positive_only = True
        return tags


def _with_only(X: Any, names: Collection[str]) -> Any:
    """X with no more than that of what its rows bring beside their features."""
    if not carried_of(X):
        return X
    return replace(X, carried={name: values for name, values in X.carried.items() if name in names})


def _counts(rows: tuple[Any, Floats, Floats | None]) -> bool:
    """Whether there is any row (X, y, weight), of positive weight."""
    _, y, weight = rows
    return y.size > 0 and (weight is None or bool((weight > 0).any()))


def _is_known(X: Any, y: Floats) -> Any:
    """Whether it is known of a row if its label is positive: not where that is censored at 0."""
    censored = carried_of(X).get("censored")
    return np.ones(y.size, dtype=bool) if censored is None else (censored == 0) | (y > 0)


def _positive(rows: tuple[Any, Floats, Floats | None]) -> tuple[Any, Floats, Floats | None]:
    """The rows (X, y, weight) that say how much."""
    X, y, weight = rows
    return rows_where(_is_positive(y, weight), X, y, weight)


def _is_positive(y: Floats, weight: Floats | None) -> Any:
    return (y > 0) if weight is None else (y > 0) & (weight > 0)
