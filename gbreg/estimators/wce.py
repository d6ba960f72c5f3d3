"""WCERegressor: watch time as odds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, check_fitted
from gbreg._compat import StrOptions
from gbreg.estimators.base import BoostedRegressor
from gbreg.estimators.preset import Preset, fit_rows
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.rows import Sample, as_labels
from gbreg.losses import WCE
from gbreg.losses.base import Loss
from gbreg.losses.odds import GeometricFit, as_classification, geometric_fit


@dataclass(eq=False, repr=False)
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

    scheme: str = "identity"
    cap: float | None = None
    smearing: bool = True
    implementation: str = "loss"

    decoder_: WCE = field(init=False)

    word = "wce"
    family = "odds"

    @property
    def booster_predicts(self) -> bool:
        return self.implementation == "loss"

    def searched_loss(self, y: Floats | None) -> tuple[str, Loss, Floats | None]:
        return "", self._loss(), y  # its booster may be a classifier, for which it weighs the rows

    def _loss(self) -> WCE:
        loss = WCE(self.scheme, self.cap, self.smearing)
        loss.check_parameters()
        return loss

    def _model(self) -> GBRegressor:
        return self._boosted(self._loss() if self.implementation == "loss" else "bernoulli")

    def _train(self, rows: Sample, watched: list[Sample], callbacks: Sequence[Any] | None) -> None:
        if self.implementation == "loss":
            super()._train(rows, watched, callbacks)
            self.decoder_ = self.model_.loss_
            return
        loss = self._loss()
        loss.fit(rows.y, rows.weight)
        if self.implementation == "youtube" and not (rows.y == 0).any():
            raise ValueError(
                "WCERegressor: implementation='youtube' divides by the share of labels of 0 (not clicked), and there are "
                "none: use implementation='loss'"
            )
        self.model_ = self._model()
        fit_rows(self.model_, self._as_classification(rows), [self._as_classification(held) for held in watched], callbacks)
        if loss.decodes_with_residuals and loss.constant_ is None:
            weight = np.ones(rows.y.size) if rows.weight is None else rows.weight
            loss.fit_decoder(rows.y, self.model_.predict_raw(rows.table), weight)
        self.decoder_ = loss

    def _as_classification(self, rows: Sample) -> Sample:
        row, clicked, count = as_classification(rows.y, self.implementation, self.scheme, self.cap)
        count = count if rows.weight is None else count * rows.weight[row]
        return Sample(rows.table.take(row), clicked, count)

    @property
    def loss_(self) -> WCE:
        check_fitted(self, "decoder_")
        return self.decoder_

    def _decoded(self, X: Any) -> Floats:
        raw = self._fitted().predict_raw(X)
        if self.loss_.constant_ is not None:
            return np.full(raw.shape, self.loss_.constant_)
        return self.loss_.predict(raw)

    def geometric_fit(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> GeometricFit:
        """Whether w(y) scatters around the predicted odds as weighted cross-entropy supposes, on rows it did not see."""
        odds = np.exp(self._fitted().predict_raw(X))
        return geometric_fit(self.loss_.weights(as_labels(self, y)), odds, sample_weight)
