"""ZILNRegressor: zero-inflated log-normal."""

from __future__ import annotations

from dataclasses import dataclass, field

from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.monotone import check_order
from gbreg.estimators.preset import ROUNDS, DistributionalPreset
from gbreg.estimators.regressor import GBRegressor
from gbreg.losses import ZILN, LogNormal


@dataclass(eq=False, repr=False)
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

    factorized: bool = True
    sigma_bounds: tuple[float, float] = (0.01, 3.0)
    functional: str | float = "mean"
    n_estimators: int | tuple[int, int] = field(default=100, kw_only=True)  # type: ignore[assignment]

    word = "ziln"
    family = "log-normal"
    as_hurdle = "factorized=True"

    def _model(self) -> GBRegressor | HurdleRegressor:
        loss = LogNormal(self.sigma_bounds) if self.factorized else ZILN(self.sigma_bounds)
        loss.check_parameters()
        if self.constraints():
            check_order(loss, self._new_calibrator())
            if self.functional not in ("mean", "log_mean"):
                raise ValueError(
                    f"functional={self.functional!r}: monotone constraints hold for the means of {loss!r} alone: use "
                    "'mean', 'log_mean', or OrdinalRegressor"
                )
        return self._hurdle(loss) if self.factorized else self._boosted(loss)
