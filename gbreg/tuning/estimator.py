"""TunedRegressor: `tune` as an estimator."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TypeVar

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from gbreg._checks import Floats
from gbreg._columns import check_features
from gbreg.estimators.model import check_carried, check_distributional
from gbreg.estimators.readout import Functional
from gbreg.tuning.result import Choose, TrialRecord, Tuned
from gbreg.tuning.search import tune
from gbreg.tuning.space import Range

if TYPE_CHECKING:
    import optuna

    from gbreg.distribution import Distribution


Method = TypeVar("Method", bound=Callable[..., Any])


def _best_has(name: str) -> Callable[[Method], Method]:
    """Offers a method where the best model, or before `fit` the estimator, has one of that name."""
    has: Callable[[Method], Method] = available_if(
        lambda self: hasattr(getattr(self, "best_estimator_", self.estimator), name)
    )
    return has


def _given(offset: Any, exposure: Any) -> dict[str, Any]:
    """What rows bring, for a model that need not know of any."""
    return {name: values for name, values in {"offset": offset, "exposure": exposure}.items() if values is not None}


class TunedRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """An estimator that tunes itself: `fit` searches its parameters, then fits the best to all rows.

    Parameters
    ----------
    estimator : estimator
        A `GBRegressor`, a preset, or an estimator made of them.
    metric, n_trials, timeout, cv, validation_fraction, losses, space, early_stopping_rounds, sampler, pruner, choose, \
storage, study_name, n_jobs
        As in `tune`.
    random_state : int, RandomState or None
        Seeds sampler and splits.

    Attributes
    ----------
    best_estimator_ : estimator
        Fitted to all rows with the rounds found.
    best_params_, best_score_, study_, trials_, pareto_
        As in `Tuned`.
    found_ : Tuned
        All that `tune` found, as `write_study` takes it.
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> import numpy as np
    >>> import optuna
    >>> from gbreg import GBRegressor
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = np.exp(X[:, 0] + rng.normal(size=500))
    >>> model = TunedRegressor(GBRegressor("huberpp", n_estimators=20), metric="xauc", n_trials=3, random_state=0).fit(X, y)
    >>> model.predict(X).shape, len(model.trials_)
    ((500,), 3)
    """

    best_estimator_: Any
    best_params_: dict[str, Any]
    best_score_: float | dict[str, float]
    study_: optuna.Study
    trials_: list[TrialRecord]
    pareto_: list[TrialRecord]
    found_: Tuned

    def __init__(
        self,
        estimator: Any,
        *,
        metric: Any = "mae",
        n_trials: int = 50,
        timeout: float | None = None,
        cv: Any = None,
        validation_fraction: float = 0.2,
        losses: str | Sequence[Any] | None = None,
        space: Mapping[str, Range | None] | None = None,
        early_stopping_rounds: int | None = 50,
        sampler: Any = "tpe",
        pruner: Any = "median",
        choose: str | Choose = "balanced",
        storage: Any = None,
        study_name: str | None = None,
        n_jobs: int = 1,
        random_state: Any = None,
    ):
        self.estimator = estimator
        self.metric = metric
        self.n_trials = n_trials
        self.timeout = timeout
        self.cv = cv
        self.validation_fraction = validation_fraction
        self.losses = losses
        self.space = space
        self.early_stopping_rounds = early_stopping_rounds
        self.sampler = sampler
        self.pruner = pruner
        self.choose = choose
        self.storage = storage
        self.study_name = study_name
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        groups: ArrayLike | None = None,
        time: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
    ) -> Self:
        """Search, then fit the best model to all rows.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sample_weight, groups, time, offset, exposure : array-like of shape (n_samples,), optional
            As in `tune`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For arguments that are not allowed.
        NoBestError
            If no trial is complete.
        """
        X = check_features(self, X, reset=True)
        seed = self.random_state
        if not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(2**31 - 1)
        found = tune(
            self.estimator,
            X,
            y,
            metric=self.metric,
            n_trials=self.n_trials,
            timeout=self.timeout,
            sample_weight=sample_weight,
            cv=self.cv,
            groups=groups,
            time=time,
            offset=offset,
            exposure=exposure,
            validation_fraction=self.validation_fraction,
            losses=self.losses,
            space=self.space,
            early_stopping_rounds=self.early_stopping_rounds,
            sampler=self.sampler,
            pruner=self.pruner,
            choose=self.choose,
            storage=self.storage,
            study_name=self.study_name,
            n_jobs=self.n_jobs,
            seed=int(seed),
        )
        self.best_estimator_, self.best_params_, self.best_score_ = (
            found.best_estimator_,
            found.best_params_,
            found.best_score_,
        )
        self.found_ = found
        self.study_, self.trials_, self.pareto_ = found.study_, found.trials_, found.pareto_
        return self

    def _checked(self, X: Any) -> Any:
        check_is_fitted(self, "best_estimator_")
        return check_features(self, X, reset=False)

    def predict(
        self, X: Any, functional: Functional = None, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Floats:
        """Predictions of the best model, shape (n_samples,); `functional` for those that predict distributions."""
        X = self._checked(X)
        given = _given(offset, exposure) | ({} if functional is None else {"functional": functional})
        return self.best_estimator_.predict(X, **given)  # type: ignore[no-any-return]

    @_best_has("predict_distribution")
    def predict_distribution(
        self, X: Any, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Distribution:
        """The distribution of every row's label."""
        X = self._checked(X)
        return self.best_estimator_.predict_distribution(X, **_given(offset, exposure))  # type: ignore[no-any-return]

    def check_carried(self, names: Collection[str]) -> None:
        """`ValueError` for what the estimator does not take of rows; losses that do not are not searched."""
        if self.losses is None:
            check_carried(self.estimator, names)

    def check_distributional(self) -> None:
        if self.losses is None:
            check_distributional(self.estimator)

    @_best_has("predict_quantile")
    def predict_quantile(
        self, X: Any, q: float | ArrayLike, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None
    ) -> Floats:
        """The quantile q of every row's label: (n_samples,), or (n_samples, len(q)) for a list of them."""
        X = self._checked(X)
        return self.best_estimator_.predict_quantile(X, q, **_given(offset, exposure))  # type: ignore[no-any-return]

    @_best_has("save")
    def save(self, path: str | Path) -> None:
        """Write the best model, see `gbreg.persistence`; the study stays where its storage is."""
        check_is_fitted(self, "best_estimator_")
        self.best_estimator_.save(path)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        part = get_tags(self.estimator)
        tags.input_tags.allow_nan, tags.input_tags.sparse = part.input_tags.allow_nan, part.input_tags.sparse
        tags.target_tags.positive_only = part.target_tags.positive_only
        return tags
