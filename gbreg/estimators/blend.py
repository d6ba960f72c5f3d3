"""BlendRegressor: a weighted mean of several models, its weights found by a metric on rows that trained none of them."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_consistent_length, check_random_state, get_tags

from gbreg._checks import Floats, check_fitted, check_sample_weight
from gbreg._columns import check_features, take_rows
from gbreg._compat import Interval, StrOptions
from gbreg.estimators.base import BoostedRegressor
from gbreg.estimators.gain import Part
from gbreg.estimators.members import READOUTS, Seen, fit_rows, label_of, pairs_of, read_all, readouts_of, with_rounds
from gbreg.estimators.model import Model, boosters_in, fitted_boosters_in
from gbreg.estimators.parts import check_constraints, splits, takes_none
from gbreg.estimators.rows import as_labels, check_groups, hold_out
from gbreg.estimators.selection import Rows, Scale, greedy_weights
from gbreg.links import REALS
from gbreg.links import Interval as Domain
from gbreg.metrics import directed

# The unit of logs, as a share of the mean absolute label.
_UNIT = 0.01


class BlendRegressor(Model):
    r"""Several models, averaged with the weights that do best on rows that trained none of them.

    .. math:: \hat y(x) = \sum_k w_k \hat y_k(x), \quad w_k \ge 0, \quad \sum_k w_k = 1

    Weights come from greedy selection with replacement: a selection starts with as many of the best predictions as are best
    together, then adds the one that helps the metric most, 25 in all, and the best number of them is kept. Weights are the
    shares of the picks, averaged over ten selections among half of the predictions each, drawn at random. The models of
    positive weight are then fitted to all rows.

    A model that predicts distributions takes part three times for one training: with its own prediction, with the median,
    and with ``exp(E[ln(1 + y)]) - 1``, its log mean in the unit of the target.

    Parameters
    ----------
    estimators : list of (str, regressor)
        Names, each used once, and regressors.
    metric : str, callable or Metric, default "mae"
        One of `gbreg.metrics.METRICS` of one prediction a row, or a function of (y_true, y_pred, sample_weight) to minimise.
    cv : int, splitter or iterable of (train, test), default 5
        Every model is fitted once a fold and predicts the rows held out. An int is a number of folds, of rows (of groups, if
        `fit` is given any) drawn at random, the same at each fit.
    validation_fraction : float in (0, 1) or None
        Instead of folds this share of the rows (or groups) is held out, once, and every model is fitted to the others.
    picks : int >= 1, default 25
        How many picks a selection makes at most.
    bags : int >= 1, default 10
        How many selections are averaged, against overfitting; 1 is one among all predictions.
    average : {"auto", "amount", "log"}, default "auto"
        What is averaged: amounts, or ``asinh(amount / unit)``, logs that know 0 and both signs. The unit is a hundredth of
        the mean absolute label. "auto" takes logs for XAUC, Spearman and Kendall, and amounts for all others, the Ginis
        among them, which count large labels as amounts do. Either way amounts are predicted.
    max_models : int >= 1 or None
        How many models are kept: those of most weight, among which weights are then found anew.
    random_state : int, RandomState or None, default 0
        Of the rows held out and the bags.

    Attributes
    ----------
    estimators_ : dict of str to estimator
        Those of positive weight, fitted to all rows. A model that stops early keeps the rounds it found (the median over
        folds) where each of its boosters is one of ours with rounds of its own; else it holds rows out again.
    weights_ : dict of str to float
        The weights that are not 0: of a model's name, or of its name and what is read from it, such as "bucket read as
        median".
    scores_ : dict of str to float
        The metric of every prediction alone on the rows held out.
    blend_score_ : float
        That of the blend, on the rows that chose its weights: optimistic.
    unit_ : float or None
        That of the logs averaged, in the unit of the target; None where amounts are.
    skipped_ : dict of str to str
        Models and readouts left out, with the reason: labels that a model does not take, a metric without a value.
    n_features_in_, feature_names_in_

    Notes
    -----
    Caruana, Niculescu-Mizil, Crew & Ksikes (2004), "Ensemble selection from libraries of models", ICML,
    doi:10.1145/1015330.1015432.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import BlendRegressor, GBRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 2))
    >>> y = np.exp(X[:, 0] + rng.normal(size=600))
    >>> models = [(loss, GBRegressor(loss, n_estimators=20)) for loss in ("poisson", "gamma")]
    >>> blend = BlendRegressor(models, metric="xauc", cv=2).fit(X, y)
    >>> round(sum(blend.weights_.values()), 9)
    1.0
    """

    _parameter_constraints = {
        "estimators": [list],
        "cv": ["cv_object"],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither"), None],
        "picks": [Interval(Integral, 1, None, closed="left")],
        "bags": [Interval(Integral, 1, None, closed="left")],
        "average": [StrOptions({"auto", "amount", "log"})],
        "max_models": [Interval(Integral, 1, None, closed="left"), None],
        "random_state": ["random_state"],
    }

    family = "blend"

    def __init__(
        self,
        estimators: list[tuple[str, Any]],
        metric: Any = "mae",
        cv: Any = 5,
        validation_fraction: float | None = None,
        picks: int = 25,
        bags: int = 10,
        average: str = "auto",
        max_models: int | None = None,
        random_state: Any = 0,
    ):
        self.estimators = estimators
        self.metric = metric
        self.cv = cv
        self.validation_fraction = validation_fraction
        self.picks = picks
        self.bags = bags
        self.average = average
        self.max_models = max_models
        self.random_state = random_state

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters by name; with `deep` the estimators by their names too, and theirs as ``name__parameter``."""
        found: dict[str, Any] = super().get_params(deep=False)
        for name, estimator in pairs_of(self.estimators) if deep else ():
            found[name] = estimator
            found |= {f"{name}__{own}": value for own, value in estimator.get_params().items()}
        return found

    def set_params(self, **params: Any) -> Self:
        """The reverse of `get_params`; an estimator's name replaces it."""
        if "estimators" in params:
            self.estimators = params.pop("estimators")
        names = [name for name, _ in pairs_of(self.estimators)]
        replaced = {name: params.pop(name) for name in names if name in params}
        if replaced:
            self.estimators = [(name, replaced.get(name, estimator)) for name, estimator in self.estimators]
        super().set_params(**params)
        return self

    @property
    def y_domain(self) -> Domain:
        """That of the first estimator if it is the only one; else all reals, as others may take what one does not."""
        return getattr(self.estimators[0][1], "y_domain", REALS) if len(pairs_of(self.estimators)) == 1 else REALS

    def boosters(self) -> Iterator[Any]:
        for _, estimator in self.estimators:
            yield from boosters_in(estimator)

    def fitted_boosters(self) -> Iterator[Any]:
        for estimator in self.estimators_.values():
            yield from fitted_boosters_in(estimator)

    def fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None, *, groups: ArrayLike | None = None) -> Self:
        """Predict held-out rows by every model, find the weights, and fit the models that have any to all rows.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            In the unit of the target. A model that does not take these labels is skipped.
        sample_weight : array-like of shape (n_samples,), optional
            For training, and for the metric.
        groups : array-like of shape (n_samples,), optional
            What is held out together, such as customers; passed on to estimators that take it.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            For `estimators` that are no pairs of a name and a regressor.
        ValueError
            Before training, for parameters, labels, weights or groups that are not allowed; and where no model can be
            fitted and measured.

        Warns
        -----
        UserWarning
            Where a model is skipped.
        """
        self._validate_params()
        metric = directed(self.metric)
        self._check_estimators(sample_weight is not None)
        X = check_features(self, X, reset=True)
        labels = as_labels(self, y)
        check_consistent_length(X, labels)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        rows = Part(X, labels, weight, check_groups(groups, labels.size))
        for _, estimator in self.estimators:
            check_constraints(estimator, X)
        seed = check_random_state(self.random_state)
        folds = self._folds(rows, seed)
        self.skipped_: dict[str, str] = {}
        found = [seen for name, estimator in self.estimators for seen in self._held_out(name, estimator, rows, folds)]
        held = np.concatenate([np.arange(labels.size)[test] for _, test in folds])
        judged = Rows(labels[held], None if weight is None else weight[held], metric)
        found = [seen for seen in found if self._measured(seen, judged)]
        if not found:
            reasons = "; ".join(f"{name}: {why}" for name, why in self.skipped_.items())
            raise ValueError(f"estimators: none can be blended. {reasons}")
        self._select(found, judged, seed)
        self.estimators_ = {}
        for name, estimator in self.estimators:
            rounds = next((seen.rounds for seen in found if seen.name == name and seen.label in self.weights_), None)
            if rounds is not None:
                self.estimators_[name] = fit_rows(with_rounds(estimator, rounds), rows)
        for name, why in self.skipped_.items():
            warnings.warn(f"BlendRegressor skipped {name}: {why}", stacklevel=2)
        return self

    def _check_estimators(self, weighted: bool) -> None:
        """Raise for what is no list of named regressors, and for parameters that they refuse."""
        if len(pairs_of(self.estimators)) != len(self.estimators) or not self.estimators:
            raise TypeError(
                f"estimators={self.estimators!r} must be a list of pairs (name, regressor), at least one, as in "
                "[('tweedie', GBRegressor('tweedie')), ('bucket', BucketRegressor())]"
            )
        names = [name for name, _ in self.estimators]
        for name, estimator in self.estimators:
            if names.count(name) > 1 or not name or "__" in name or name in self._get_param_names():
                raise ValueError(
                    f"estimators: the name {name!r} must be used once, not be empty, hold no '__', and be none of "
                    f"{', '.join(self._get_param_names())}: rename it"
                )
            if weighted and (lacking := takes_none(estimator, "sample_weight")) is not None:
                raise ValueError(
                    f"sample_weight: {name}={type(lacking).__name__} takes none; leave it out, or use another estimator"
                )
            for part in (estimator, *boosters_in(estimator)):
                if isinstance(part, BoostedRegressor):
                    part._validate_params()
                    part._begin()

    def _folds(self, rows: Part, seed: Any) -> list[tuple[Any, Any]]:
        if self.validation_fraction is not None:
            return [hold_out(rows.y.size, self.validation_fraction, seed, rows.groups)]
        return splits(self.cv, rows.y.size, rows.y, rows.groups)

    def _held_out(self, name: str, estimator: Any, rows: Part, folds: list[tuple[Any, Any]]) -> list[Seen]:
        """What an estimator and its readouts predict of the rows held out; nothing if it refuses these labels."""
        readouts = readouts_of(estimator, rows.y)
        predicted: list[list[Floats]] = [[] for _ in readouts]
        rounds = []
        try:
            if isinstance(estimator, Model):
                estimator.check_labels(rows.y)
            for train, test in folds:
                part = fit_rows(estimator, rows.take(np.arange(rows.y.size)[train]))
                rounds.append([getattr(booster, "best_iteration_", 0) for booster in fitted_boosters_in(part)])
                each = read_all(part, take_rows(rows.X, test), readouts)
                for of, values in zip(predicted, each, strict=True):
                    of.append(values)
        except (ValueError, FloatingPointError) as error:
            self.skipped_[name] = " ".join(str(error).split())
            return []
        return [Seen(name, r, np.concatenate(of), rounds) for r, of in zip(readouts, predicted, strict=True)]

    def _measured(self, seen: Seen, rows: Rows) -> bool:
        """Whether the metric has a value there; if not, it is skipped."""
        try:
            seen.score = rows.score(seen.predicted)
        except ValueError as error:
            self.skipped_[seen.label] = " ".join(str(error).split())
            return False
        if not np.isfinite(seen.score):
            self.skipped_[seen.label] = f"{rows.metric.name} of its predictions is {seen.score}"
        return bool(np.isfinite(seen.score))

    def _select(self, found: list[Seen], rows: Rows, seed: Any) -> None:
        self.unit_ = self._unit(rows)
        scale = Scale(self.unit_)
        predicted = np.column_stack([scale.of(seen.predicted) for seen in found])
        names = [seen.name for seen in found]
        owner = [names.index(name) for name in names]
        weights = greedy_weights(rows, scale, predicted, self.picks, self.bags, self.max_models, owner, seed)
        self.weights_ = {seen.label: float(w) for seen, w in zip(found, weights, strict=True) if w > 0}
        self.scores_ = {seen.label: seen.score for seen in found}
        self.blend_score_ = rows.score(scale.amounts(predicted @ weights))

    def _unit(self, rows: Rows) -> float | None:
        """That of the logs averaged; None where amounts are."""
        logs = self.average == "log" or (self.average == "auto" and rows.metric.functional == "log_mean")
        mean = float(np.average(np.abs(rows.y), weights=rows.weight))
        return _UNIT * mean if logs and mean > 0 else None

    def _predicted(self, X: Any) -> Floats:
        check_fitted(self, "estimators_")
        X = check_features(self, X, reset=False)
        parts, weights = [], []
        for name, estimator in self.estimators_.items():
            readouts = [r for r in (None, *READOUTS) if label_of(name, r) in self.weights_]
            parts += read_all(estimator, X, readouts)
            weights += [self.weights_[label_of(name, r)] for r in readouts]
        if len(parts) == 1:  # to the last bit
            return parts[0]
        scale = Scale(self.unit_)
        total: Floats = sum(w * scale.of(part) for w, part in zip(weights, parts, strict=True))  # type: ignore[assignment]
        return scale.amounts(total)

    def cost(self, X: Any, repeats: int = 3) -> dict[str, float]:
        """What predicting costs, beside the model kept that is best alone.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            Rows to be timed.
        repeats : int >= 1, default 3
            The least of so many times counts.

        Returns
        -------
        dict
            "rounds" of all boosters and "rounds_of_best", "ms_per_row" and "ms_per_row_of_best" (milliseconds).
        """
        check_fitted(self, "estimators_")
        X = check_features(self, X, reset=False)
        sign = -1.0 if directed(self.metric).greater_is_better else 1.0
        label = min(self.weights_, key=lambda kept: sign * self.scores_[kept])
        name, readout = next((n, r) for n in self.estimators_ for r in (None, *READOUTS) if label_of(n, r) == label)
        best = self.estimators_[name]
        return {
            "rounds": float(sum(booster.best_iteration_ for booster in self.fitted_boosters())),
            "rounds_of_best": float(sum(booster.best_iteration_ for booster in fitted_boosters_in(best))),
            "ms_per_row": _milliseconds(lambda: self.predict(X), repeats) / X.shape[0],
            "ms_per_row_of_best": _milliseconds(lambda: read_all(best, X, [readout]), repeats) / X.shape[0],
        }

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        parts = [get_tags(estimator) for _, estimator in pairs_of(self.estimators)]
        tags.input_tags.allow_nan = all(part.input_tags.allow_nan for part in parts)
        tags.input_tags.sparse = all(part.input_tags.sparse for part in parts)
        tags.target_tags.positive_only = any(part.target_tags.positive_only for part in parts)
        return tags


def _milliseconds(predict: Callable[[], Any], repeats: int) -> float:
    took = []
    for _ in range(repeats):
        start = time.perf_counter()
        predict()
        took.append(time.perf_counter() - start)
    return 1000.0 * min(took)
