"""BucketRegressor: regression as classification into buckets, read as a whole distribution."""

from __future__ import annotations

from dataclasses import dataclass, field

from numpy.typing import ArrayLike

from gbreg._compat import StrOptions
from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.preset import ROUNDS, DistributionalPreset
from gbreg.estimators.regressor import GBRegressor
from gbreg.losses import SoftmaxBuckets


@dataclass(eq=False, repr=False)
class BucketRegressor(DistributionalPreset):
    """Which bucket a label falls into, by softmax: one fitted model, read as mean, median, quantile or log mean.

    With the defaults it is a hurdle: a binary model says whether y > 0; two trees a round tilt the positive labels' own
    distribution by ln y, which ranks, and by the square root of y, which holds the mean.

    Parameters
    ----------
    n_buckets, edges, representative, rank, basis, soft, sigma, space, unbiased, at, tail_shape
        As in `gbreg.losses.SoftmaxBuckets`.
    zeros : {"hurdle", "bucket"}, default "hurdle"
        Whether labels of 0 are left to a binary model of their own, with the buckets on the positive ones, or are one of
        the buckets. Without zeros both are the same.
    functional : {"mean", "median", "mode", "log_mean"} or float, default "mean"
        What `predict` reads from the distribution, so that scikit-learn's scorers and searches judge that; as in `predict`.
    reg_lambda : float >= 0, default 100.0
        More than elsewhere, and measured: the binary part ranks better for it, and both parts overfit less.
    n_estimators : int or (int, int), default 100
        Rounds, at most, of both boosters; or of the binary part, and of the other.
    engine, learning_rate, ..., verbose
        As in `GBRegressor`.

    Attributes
    ----------
    model_ : HurdleRegressor or GBRegressor
        What was fitted.
    booster_, loss_, native_, best_iteration_
        Those of `model_`; of a hurdle a pair, of the binary part and of the buckets.
    evals_result_, feature_importances_, n_features_in_, feature_names_in_

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import BucketRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> y = np.where(rng.random(2000) < 0.4, 0.0, np.exp(1 + X[:, 0] + rng.normal(size=2000)))
    >>> model = BucketRegressor(n_estimators=200).fit(X, y)
    >>> bool(0.9 < model.predict(X).sum() / y.sum() < 1.1)
    True
    >>> model.predict(X, functional=0.9).shape, model.predict_distribution(X).interval(0.2).shape
    ((2000,), (2000, 2))
    """

    _parameter_constraints = {
        **DistributionalPreset._parameter_constraints,
        "n_estimators": ROUNDS,
        "zeros": [StrOptions({"hurdle", "bucket"})],
    }

    n_buckets: int = 96
    edges: str | ArrayLike = "mixed"
    representative: str = "mean"
    rank: int | None = 2
    basis: str | tuple[str, ...] = "functionals"
    soft: str | None = None
    sigma: float | tuple[float, float] | None = None
    space: str = "raw"
    unbiased: bool = False
    zeros: str = "hurdle"
    at: str = "representative"
    tail_shape: float | None = None
    functional: str | float = "mean"
    n_estimators: int | tuple[int, int] = field(default=100, kw_only=True)  # type: ignore[assignment]
    reg_lambda: float = field(default=100.0, kw_only=True)

    word = "bucket"
    family = "buckets"
    as_hurdle = "zeros='hurdle'"

    def _model(self) -> GBRegressor | HurdleRegressor:
        loss = SoftmaxBuckets(**{name: getattr(self, name) for name in SoftmaxBuckets._get_param_names()})
        loss.check_parameters()
        return self._hurdle(loss) if self.zeros == "hurdle" else self._boosted(loss)
