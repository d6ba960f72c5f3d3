"""HorizonRegressor: one target at several horizons, whose predictions never cross."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import r2_score
from sklearn.utils import check_consistent_length, get_tags
from sklearn.utils.validation import has_fit_parameter

from gbreg._checks import Floats, check_fitted, check_horizons, check_sample_weight
from gbreg._columns import check_features, column_names, take_rows, with_column
from gbreg._compat import HasMethods
from gbreg.estimators.cumulative import as_cumulative, check_known, increments
from gbreg.estimators.model import Model, boosters_in, check_distributional, fitted_boosters_in
from gbreg.estimators.parts import as_sets, fit_part, splits
from gbreg.estimators.readout import Functional
from gbreg.estimators.rows import check_groups
from gbreg.links import NON_NEGATIVE


class HorizonRegressor(Model):
    """One target at several horizons, such as what customers will have paid after 30, 60 and 90 days.

    What each horizon adds to the one before, its increment, has a model of its own. Predictions are sums of increments,
    none below 0: those of a longer horizon are never below those of a shorter one.

    Parameters
    ----------
    estimator : regressor
        A clone of it is fitted to the increments of each horizon. Increments are at least 0, many of them 0.
    horizons : sequence of float, default (30, 60, 90)
        Of the columns of y, in any unit of time: positive and rising.
    chain : bool, default False
        Whether the model of a horizon is given the predictions of all earlier horizons among its features, as columns named
        "horizon_30" and so on. In training they are those of models that did not see the row.
    cv : int, splitter or iterable of (train, test), default 5
        Folds that `chain` makes its training predictions by; each row is to be tested once. An int is a number of folds, of
        rows (of groups, if `fit` is given any) drawn at random, the same at each fit.

    Attributes
    ----------
    estimators_ : list of estimator
        Of the increments, one for each horizon.
    n_features_in_, feature_names_in_

    Notes
    -----
    Rows are not lost to windows that are not complete. A row with y known after 30 days alone trains the first model; the
    others train on older rows. An increment takes both of its ends: a row that is known after 30 and 90 days, but not 60,
    trains the first model alone.

    Increments below 0, which an estimator such as ``GBRegressor("squared_error")`` predicts for some rows, are raised to 0,
    and the sum of predictions with them. Losses on the log link, hurdles and buckets predict none.

    Monotone constraints of the estimator hold at every horizon, for they hold for all increments; not with `chain`, which
    refuses them.

    Means add up, so with an unbiased estimator predictions are unbiased at every horizon. Medians and quantiles do not add
    up: they are refused.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import GBRegressor, HorizonRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 2))
    >>> y = np.cumsum(rng.exponential(np.exp(X[:, [0]]), (600, 3)), axis=1)
    >>> y[400:, 2] = np.nan  # the youngest customers
    >>> model = HorizonRegressor(GBRegressor("poisson", n_estimators=20), horizons=(30, 60, 90)).fit(X, y)
    >>> predicted = model.predict(X)
    >>> predicted.shape, bool((np.diff(predicted, axis=1) >= 0).all())
    ((600, 3), True)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "chain": ["boolean"],
        "cv": ["cv_object"],
    }

    estimators_: list[Any]

    def __init__(self, estimator: Any, horizons: Sequence[float] = (30, 60, 90), chain: bool = False, cv: Any = 5):
        self.estimator = estimator
        self.horizons = horizons
        self.chain = chain
        self.cv = cv

    family = "horizons"
    y_domain = NON_NEGATIVE

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        groups: ArrayLike | None = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Self:
        """Fit one model to the increments of each horizon, on the rows where they are known.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : table or array of shape (n_samples, n_horizons)
            Sums up to each horizon, in the unit of the target: at least 0, not falling from one horizon to the next
            (differences of rounding count as 0), NaN where the window is not complete.
        sample_weight : array-like of shape (n_samples,), optional
            Passed on: an error where the estimator takes none.
        eval_set : (X, y) or list of them, optional
            Passed on, y of shape (n_samples, n_horizons) as above: each model stops early by its own increments, and goes
            without sets in which none of them is known.
        eval_sample_weight : array or list of arrays, optional
        groups : array-like of shape (n_samples,), optional
            What must not be torn apart where rows are held out, such as customers. Passed on to an estimator that takes
            groups, and used by the folds of `chain`.
        callbacks : list, optional
            Given to every model.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Before training, for horizons that do not rise, sums that fall from one horizon to the next (by refunds, for
            example), and a horizon at which no row is known. For what the estimator does not take.
        """
        self._validate_params()
        horizons = check_horizons(self.horizons)
        _check_additive(self.estimator)
        X = check_features(self, X, reset=True)
        names = self._names(X, horizons)
        who = type(self).__name__
        labels = as_cumulative(y, who, horizons)
        check_consistent_length(X, labels)
        check_known(labels, horizons)
        weight = None if sample_weight is None else check_sample_weight(sample_weight, len(labels))
        kept_together = check_groups(groups, len(labels))
        sets = as_sets(self, eval_set, eval_sample_weight, partial(as_cumulative, who=who, horizons=horizons))
        rows = _Rows(X, increments(labels), weight, kept_together)
        watched = [_Rows(X_, increments(y_), w) for X_, y_, w in sets]
        folds = self._folds(labels, kept_together)
        parts = []
        for j, horizon in enumerate(horizons):
            try:
                part, unseen = self._fit_increment(j, rows, watched, callbacks, folds)
            except ValueError as error:
                known = f"{rows.known(j).size:,} of {len(labels):,} rows"
                raise ValueError(f"horizon {horizon:.15g}, whose increment is known of {known}: {error}") from error
            parts.append(part)
            if unseen is not None:
                rows = rows.beside(names[j], unseen)
                watched = [held.beside(names[j], _increment(part, held.X)) for held in watched]
        self.estimators_ = parts
        return self

    def _fit_increment(self, j: int, rows: _Rows, watched: list[_Rows], callbacks: Sequence[Any] | None, folds: Any) -> Any:
        """The model of a horizon and, where later ones learn from it, predictions of all rows by models that saw others."""
        sets = [held.of(j, held.known(j)) for held in watched if held.known(j).size]
        known = rows.known(j)
        pass_on = not self.chain or has_fit_parameter(self.estimator, "groups")

        def fitted(index: Any) -> Any:
            groups = None if rows.groups is None or not pass_on else rows.groups[index]
            return fit_part(self.estimator, *rows.of(j, index), sets, callbacks, groups)

        part = fitted(known)
        if not folds or j == len(self.horizons) - 1:
            return part, None
        unseen = np.empty(len(rows.added))
        for train, test in folds:
            unseen[test] = _increment(fitted(np.intersect1d(train, known)), take_rows(rows.X, test))
        return part, unseen

    def _folds(self, y: Floats, groups: Any) -> list[tuple[Any, Any]]:
        """Pairs of indices (rows that train, rows held out) that hold each row out once; none without a need for them."""
        if not self.chain or len(self.horizons) == 1:
            return []
        if any(booster.constraints() for booster in boosters_in(self.estimator)):
            raise ValueError(
                "chain=True: predictions of earlier horizons, which depend on all columns, lead around the estimator's "
                "monotone constraints: leave those out, or set chain=False, with which they hold at every horizon"
            )
        index = np.arange(len(y))
        folds = [(index[train], index[test]) for train, test in splits(self.cv, len(y), y, groups)]
        held = np.bincount(np.concatenate([test for _, test in folds]), minlength=len(y))
        if (held != 1).any():
            raise ValueError(
                f"cv={self.cv!r}: chain=True takes folds that test each row once, and {(held != 1).sum():,} of {len(y):,} "
                "rows are not: use a number of folds, KFold or GroupKFold"
            )
        return folds

    def _names(self, X: Any, horizons: tuple[float, ...]) -> list[str]:
        """Of the columns that `chain` adds; `ValueError` where a table has them already, or no text for names."""
        added = [f"horizon_{h:.15g}" for h in horizons]
        present = column_names(X)
        if not self.chain or len(added) == 1 or present is None:
            return added
        taken = [name for name in added if name in present]
        if taken:
            raise ValueError(f"chain=True adds a column {taken[0]!r}, which X has already: rename it, or set chain=False")
        if not hasattr(self, "feature_names_in_"):
            raise ValueError("chain=True adds columns with names, and those of X are no text: rename them, or give an array")
        return added

    def predict(
        self, X: Any, functional: Functional = None, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Floats:
        """Predictions of shape (n_samples, n_horizons), in the unit of the target, never falling along a row.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        functional : {"mean"} or None
            "mean" reads the means of predicted distributions, of estimators that predict them; None is the estimator's own
            prediction.
        offset, exposure
            Refused.

        Raises
        ------
        ValueError
            For any other functional: increments' medians and quantiles do not add up to those of the sums.
        """
        given = {"offset": offset, "exposure": exposure}
        self.check_carried([name for name, values in given.items() if values is not None])
        return np.cumsum(self.predict_increments(X, functional), axis=1)

    def predict_increments(self, X: Any, functional: Functional = None) -> Floats:
        """What each horizon adds to the one before, of shape (n_samples, n_horizons), at least 0; see `predict`."""
        check_fitted(self, "estimators_")
        if functional not in (None, "mean"):
            raise ValueError(
                f"functional={functional!r}: predictions are sums of increments, and only means add up: use 'mean', "
                "or read it of a model that is fitted to one horizon's column of y alone"
            )
        X = check_features(self, X, reset=False)
        found = np.empty((X.shape[0], len(self.estimators_)))
        total = np.zeros(X.shape[0])
        for j, part in enumerate(self.estimators_):
            found[:, j] = _increment(part, X, functional)
            total = total + found[:, j]
            if self.chain and j < len(self.estimators_) - 1:
                X = with_column(X, f"horizon_{self.horizons[j]:.15g}", total)
        return found

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> float:
        """The mean of the horizons' R squared, each of the rows known at it; see `predict`."""
        predicted = self.predict(X, offset=offset, exposure=exposure)
        labels = as_cumulative(y, type(self).__name__, check_horizons(self.horizons))
        check_consistent_length(predicted, labels)
        weight = check_sample_weight(sample_weight, len(labels))
        each = []
        for truth, of_horizon in zip(labels.T, predicted.T, strict=True):
            known = ~np.isnan(truth)
            if known.any():
                each.append(r2_score(truth[known], of_horizon[known], sample_weight=weight[known]))
        if not each:
            raise ValueError(f"y: all {len(labels):,} rows are NaN at every horizon: there is nothing to score by")
        return float(np.mean(each))

    def fitted_boosters(self) -> Iterator[Any]:
        for part in self.estimators_:
            yield from fitted_boosters_in(part)

    def check_distributional(self) -> None:
        raise TypeError(
            f"{type(self).__name__} predicts no distribution: those of increments do not add up to one of their sum. Fit "
            "the estimator to one horizon's column of y alone"
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        part = get_tags(self.estimator).input_tags
        tags.input_tags.allow_nan, tags.input_tags.sparse = part.allow_nan, part.sparse
        tags.target_tags.single_output, tags.target_tags.multi_output = False, True
        tags.target_tags.positive_only = True
        return tags


@dataclass(frozen=True)
class _Rows:
    """Features, increments and weights of rows, what must not be torn apart, and what `chain` predicts of them so far."""

    X: Any
    added: Floats
    weight: Floats | None
    groups: Any = None
    total: Any = 0.0

    def known(self, j: int) -> Any:
        return np.flatnonzero(~np.isnan(self.added[:, j]))

    def of(self, j: int, index: Any) -> tuple[Any, Floats, Floats | None]:
        """Those rows with their increments of horizon j, and weights."""
        X = self.X if index.size == len(self.added) else take_rows(self.X, index)
        return X, self.added[index, j], None if self.weight is None else self.weight[index]

    def beside(self, name: str, increment: Floats) -> _Rows:
        total = self.total + increment
        return replace(self, X=with_column(self.X, name, total), total=total)


def _increment(part: Any, X: Any, functional: Functional = None) -> Floats:
    if functional is not None:
        check_distributional(part)
        return np.maximum(np.asarray(part.predict(X, functional), dtype=np.float64), 0.0)
    return np.maximum(np.asarray(part.predict(X), dtype=np.float64), 0.0)


def _check_additive(estimator: Any) -> None:
    functional = getattr(estimator, "functional", "mean")
    if functional != "mean":
        raise ValueError(
            f"estimator: its functional={functional!r} does not add up from one horizon to the next: use functional='mean'"
        )
