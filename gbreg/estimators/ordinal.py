"""OrdinalRegressor: whether the label reaches each edge, with the order of the buckets built in."""

from __future__ import annotations

from dataclasses import dataclass

from numpy.typing import ArrayLike

from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.preset import DistributionalPreset
from gbreg.estimators.regressor import GBRegressor
from gbreg.links import REALS
from gbreg.losses import OrdinalBuckets


@dataclass(eq=False, repr=False)
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

    n_buckets: int = 64
    edges: str | ArrayLike = "mixed"
    representative: str = "mean"
    thresholds: str = "shared"
    spread: bool = False
    functional: str | float = "mean"

    word = "ordinal"
    family = "buckets"
    y_domain = REALS

    def _model(self) -> GBRegressor | HurdleRegressor:
        loss = OrdinalBuckets(**{name: getattr(self, name) for name in OrdinalBuckets._get_param_names()})
        loss.check_parameters()
        return self._boosted(loss)
