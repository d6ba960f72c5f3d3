"""OrdinalRegressor: whether the label reaches each edge, with the order of the buckets built in."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from gbreg.calibration import AnyCalibrator
from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.preset import DistributionalPreset
from gbreg.estimators.regressor import GBRegressor
from gbreg.links import REALS
from gbreg.losses import OrdinalBuckets


class OrdinalRegressor(DistributionalPreset):
    """Cumulative logit over buckets of the labels: a whole distribution from one tree a round.

    Parameters
    ----------
    n_buckets, edges, representative, thresholds, spread
        As in `gbreg.losses.OrdinalBuckets`.
    functional : {"mean", "median", "mode", "log_mean"} or float, default "mean"
        What `predict` reads from the distribution, so that scikit-learn's scorers and searches judge that; as in `predict`.
    engine, n_estimators, ..., verbose
        As in `GBRegressor`.

    Attributes
    ----------
    model_ : GBRegressor
        What was fitted.
    booster_, loss_, native_, best_iteration_, evals_result_, feature_importances_, n_features_in_, feature_names_in_
        Those of `model_`.

    Notes
    -----
    McCullagh (1980), "Regression Models for Ordinal Data", doi:10.1111/j.2517-6161.1980.tb01109.x.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import OrdinalRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> y = np.where(rng.random(2000) < 0.4, 0.0, np.exp(1 + X[:, 0] + rng.normal(size=2000)))
    >>> model = OrdinalRegressor(n_estimators=50).fit(X, y)
    >>> model.predict(X, functional="median").shape, model.predict_distribution(X).interval(0.2).shape
    ((2000,), (2000, 2))
    """

    y_domain = REALS

    def __init__(
        self,
        n_buckets: int = 64,
        edges: str | ArrayLike = "mixed",
        representative: str = "mean",
        thresholds: str = "shared",
        spread: bool = False,
        functional: str | float = "mean",
        *,
        engine: str = "lightgbm",
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        max_leaves: int = 31,
        max_depth: int | None = None,
        min_child_samples: int = 20,
        subsample: float = 1.0,
        colsample: float = 1.0,
        reg_lambda: float = 0.0,
        max_bins: int = 255,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        eval_metric: Any = "loss",
        hessian: str = "safe",
        native: str | bool = "auto",
        calibration: str | AnyCalibrator | None = None,
        engine_params: dict[str, Any] | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        super().__init__(
            engine=engine,
            n_estimators=n_estimators,
            learning_rate=learning_rate,
            max_leaves=max_leaves,
            max_depth=max_depth,
            min_child_samples=min_child_samples,
            subsample=subsample,
            colsample=colsample,
            reg_lambda=reg_lambda,
            max_bins=max_bins,
            early_stopping_rounds=early_stopping_rounds,
            validation_fraction=validation_fraction,
            eval_metric=eval_metric,
            hessian=hessian,
            native=native,
            calibration=calibration,
            engine_params=engine_params,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.n_buckets = n_buckets
        self.edges = edges
        self.representative = representative
        self.thresholds = thresholds
        self.spread = spread
        self.functional = functional

    def _model(self) -> GBRegressor | HurdleRegressor:
        loss = OrdinalBuckets(**{name: getattr(self, name) for name in OrdinalBuckets._get_param_names()})
        loss.check_parameters()
        return self._boosted(loss)
