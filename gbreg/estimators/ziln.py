"""ZILNRegressor: zero-inflated log-normal."""

from __future__ import annotations

from typing import Any

from gbreg.calibration import AnyCalibrator
from gbreg.engines import get_engine
from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.preset import ROUNDS, DistributionalPreset
from gbreg.estimators.regressor import GBRegressor, check_order
from gbreg.losses import ZILN, LogNormal


class ZILNRegressor(DistributionalPreset):
    """Zero-inflated log-normal: P(y > 0), and the median and spread of the positive labels.

    Parameters
    ----------
    factorized : bool, default True
        Train a native binary model on all rows and a `LogNormal` on the positive ones: the same likelihood as the joint
        `ZILN` of three outputs, in less time. False trains that one.
    sigma_bounds : (float, float), default (0.01, 3.0)
        Least and greatest sigma of ln y; they keep the mean ``exp(m + sigma**2 / 2)`` finite.
    functional : {"mean", "median", "mode", "log_mean"} or float, default "mean"
        What `predict` reads from the distribution, so that scikit-learn's scorers and searches judge that; as in `predict`.
    n_estimators : int or (int, int), default 100
        Rounds, at most, of both boosters; or of the binary part, and of the other.
    engine, learning_rate, ..., verbose
        As in `GBRegressor`.

    Attributes
    ----------
    model_ : HurdleRegressor or GBRegressor
        What was fitted.
    booster_, loss_, native_, best_iteration_
        Those of `model_`; if factorised a pair, of the binary part and of the log-normal.
    evals_result_, feature_importances_, n_features_in_, feature_names_in_

    Notes
    -----
    Wang, Liu & Miao (2019), "A Deep Probabilistic Model for Customer Lifetime Value Prediction", arXiv 1912.07753.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import ZILNRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> y = np.where(rng.random(2000) < 0.4, 0.0, np.exp(1 + X[:, 0] + rng.normal(size=2000)))
    >>> model = ZILNRegressor(n_estimators=50).fit(X, y)
    >>> distribution = model.predict_distribution(X)
    >>> bool(0.9 < distribution.mean().sum() / y.sum() < 1.1)
    True
    """

    _parameter_constraints = {
        **DistributionalPreset._parameter_constraints,
        "n_estimators": ROUNDS,
        "factorized": ["boolean"],
    }

    def __init__(
        self,
        factorized: bool = True,
        sigma_bounds: tuple[float, float] = (0.01, 3.0),
        functional: str | float = "mean",
        *,
        engine: str = "lightgbm",
        n_estimators: int | tuple[int, int] = 100,
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
        self.factorized = factorized
        self.sigma_bounds = sigma_bounds
        self.functional = functional

    def _model(self) -> GBRegressor | HurdleRegressor:
        loss = LogNormal(self.sigma_bounds) if self.factorized else ZILN(self.sigma_bounds)
        loss.check_parameters()
        if get_engine(self.engine).monotone(self.engine_params):
            check_order(loss, self._new_calibrator())
            if self.functional not in ("mean", "log_mean"):
                raise ValueError(
                    f"functional={self.functional!r}: monotone_constraints hold for the means of {loss!r} alone: use "
                    "'mean', 'log_mean', or OrdinalRegressor"
                )
        return self._hurdle(loss) if self.factorized else self._boosted(loss)
