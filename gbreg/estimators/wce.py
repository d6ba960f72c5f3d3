"""WCERegressor: watch time as odds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.validation import check_is_fitted

from gbreg._checks import Floats, check_inside, check_sample_weight
from gbreg.calibration import AnyCalibrator
from gbreg.estimators.base import BoostedRegressor
from gbreg.estimators.columns import check_features, take_rows
from gbreg.estimators.preset import Preset
from gbreg.estimators.regressor import GBRegressor, as_labels, as_pairs
from gbreg.links import NON_NEGATIVE
from gbreg.losses import WCE
from gbreg.losses.odds import GeometricFit, as_classification, geometric_fit


class WCERegressor(Preset):
    """Weighted cross-entropy: the odds of a logistic model, its positives weighted by the label, predict the label.

    Parameters
    ----------
    scheme, cap, smearing
        As in `gbreg.losses.WCE`.
    implementation : {"loss", "duplicate", "youtube"}, default "loss"
        "loss": each row once, with that loss. "duplicate": each row as a positive of weight w(y) and once more as a
        negative of weight 1; the same sums of gradients and of exact Hessians, but twice the rows for
        `min_child_samples`, bins and `subsample`, and a larger safe curvature. "youtube": rows with y > 0 as positives of
        weight w(y), those with y = 0 as negatives of weight 1; its odds are E[w] / P(y = 0), too high by 1 / P(y = 0),
        which is little only where few rows are positive.
    engine, n_estimators, ..., verbose
        As in `GBRegressor`.

    Attributes
    ----------
    model_ : GBRegressor
        What was fitted.
    loss_ : WCE
        The fitted loss, which decodes its raw scores.
    booster_, native_, best_iteration_, evals_result_, feature_importances_, n_features_in_, feature_names_in_
        Those of `model_`.

    Notes
    -----
    Covington, Adams & Sargin (2016), "Deep Neural Networks for YouTube Recommendations"; the seed notes.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import WCERegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(2000, 2))
    >>> y = rng.exponential(np.exp(1 + X[:, 0]))
    >>> model = WCERegressor(n_estimators=50).fit(X, y)
    >>> model.native_, bool(0.9 < model.predict(X).sum() / y.sum() < 1.1)
    (True, True)
    """

    _parameter_constraints = {
        **BoostedRegressor._parameter_constraints,
        "implementation": [StrOptions({"loss", "duplicate", "youtube"})],
    }

    decoder_: WCE

    def __init__(
        self,
        scheme: str = "identity",
        cap: float | None = None,
        smearing: bool = True,
        implementation: str = "loss",
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
        self.scheme = scheme
        self.cap = cap
        self.smearing = smearing
        self.implementation = implementation

    def _loss(self) -> WCE:
        loss = WCE(self.scheme, self.cap, self.smearing)
        loss.check_parameters()
        return loss

    def _model(self) -> GBRegressor:
        return self._boosted(self._loss() if self.implementation == "loss" else "bernoulli")

    def _fit_model(
        self, X: Any, y: Any, sample_weight: Any, eval_set: Any, eval_sample_weight: Any, callbacks: Sequence[Any] | None
    ) -> None:
        if self.implementation == "loss":
            super()._fit_model(X, y, sample_weight, eval_set, eval_sample_weight, callbacks)
            self.decoder_ = self.model_.loss_
            return
        loss = self._loss()
        labels = as_labels(self, y)
        weight = check_sample_weight(sample_weight, labels.size)
        sets = [((check_features(self, X_, reset=False), y_), w) for (X_, y_), w in as_pairs(eval_set, eval_sample_weight)]
        loss.fit(labels, weight)
        if self.implementation == "youtube" and not (labels == 0).any():
            raise ValueError(
                "WCERegressor: implementation='youtube' divides by the share of labels of 0 (not clicked), and there are "
                "none: use implementation='loss'"
            )
        as_rows = [self._as_classification(*pair, w, f"eval_set[{i}]: ") for i, (pair, w) in enumerate(sets)]
        rows, clicked, count = self._as_classification(X, labels, weight)
        self.model_ = self._model()
        self.model_.fit(
            rows,
            clicked,
            count,
            eval_set=[(X_, y_) for X_, y_, _ in as_rows] or None,
            eval_sample_weight=[w for *_, w in as_rows] or None,
            callbacks=callbacks,
        )
        if loss.decodes_with_residuals and loss.constant_ is None:
            loss.fit_decoder(labels, self.model_.predict_raw(X), weight)
        self.decoder_ = loss

    def _as_classification(self, X: Any, y: Any, weight: Any, where: str = "") -> tuple[Any, Floats, Floats]:
        labels = as_labels(self, y)
        check_inside(labels, NON_NEGATIVE, f"{where}{type(self).__name__}", WCE.way_out)
        row, clicked, count = as_classification(labels, self.implementation, self.scheme, self.cap)
        return take_rows(X, row), clicked, count * check_sample_weight(weight, labels.size)[row]

    @property
    def loss_(self) -> WCE:
        check_is_fitted(self, "decoder_")
        return self.decoder_

    def _uncalibrated(self, X: Any) -> Floats:
        raw = self._fitted().predict_raw(X)
        if self.loss_.constant_ is not None:
            return np.full(raw.shape, self.loss_.constant_)
        return self.loss_.predict(raw)

    def geometric_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> GeometricFit:
        """Whether w(y) scatters around the predicted odds as weighted cross-entropy supposes, on rows it did not see."""
        odds = np.exp(self._fitted().predict_raw(X))
        return geometric_fit(self.loss_.weights(as_labels(self, y)), odds, sample_weight)
