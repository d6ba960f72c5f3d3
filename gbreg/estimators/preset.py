"""What estimators share that stand for a model built of other estimators."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from copy import copy
from numbers import Real
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gbreg._checks import Floats, check_fitted
from gbreg._compat import Interval as RealInterval
from gbreg._compat import StrOptions
from gbreg.calibration import AnyCalibrator
from gbreg.estimators.base import BOOSTING_PARAMETERS, BoostedRegressor
from gbreg.estimators.hurdle import HurdleRegressor
from gbreg.estimators.readout import READOUTS, Functional
from gbreg.estimators.regressor import GBRegressor
from gbreg.estimators.rows import Sample, asked_of
from gbreg.links import NON_NEGATIVE, Interval
from gbreg.losses import get_loss
from gbreg.losses.base import Loss

if TYPE_CHECKING:
    from gbreg.distribution import Distribution


# Of `n_estimators`, where a model may be a hurdle: rounds of both boosters, or of the binary one and of the other.
ROUNDS = [*BoostedRegressor._parameter_constraints["n_estimators"], tuple, list]
# Labels other than 0, of which none should have more than half of the sum.
_MANY = 20


class Preset(BoostedRegressor, ABC):
    """Fits the model that its parameters describe, `model_`, and answers with it.

    A model is a `GBRegressor`, or a `HurdleRegressor` of two of them: then `booster_`, `loss_`, `native_` and
    `best_iteration_` are pairs, of the binary part and of that on the positives (None for a part that had nothing to learn).
    `calibrator_` is None, or what is applied to the predictions of the whole model or, with "pit", to its distributions.
    """

    as_hurdle: ClassVar[str] = ""  # the parameter by which its model is one, where it can be

    model_: GBRegressor | HurdleRegressor

    @abstractmethod
    def _model(self) -> GBRegressor | HurdleRegressor:
        """The unfitted model; `ValueError` for parameters that are not allowed."""

    @property
    def y_domain(self) -> Interval:
        return NON_NEGATIVE

    @property
    def booster_predicts(self) -> bool:
        return self.n_boosters == 1

    @property
    def n_boosters(self) -> int:
        return 2 if isinstance(self._model(), HurdleRegressor) else 1

    def check_carried(self, names: Collection[str]) -> None:
        model = self._model()
        if isinstance(model, HurdleRegressor):
            model.check_carried(names)
            return
        if "exposure" in names and self.as_hurdle:
            raise ValueError(
                f"exposure: {type(self).__name__} takes it as a hurdle of two boosters: set {self.as_hurdle}, or leave it "
                "out"
            )
        super().check_carried(asked_of(names))
        model.check_carried(names)

    def searched_loss(self, y: Floats | None) -> tuple[str, Loss, Floats | None]:
        model = self._model()
        if isinstance(model, GBRegressor):
            return "", get_loss(model.loss), y
        return "", get_loss(model.regressor.loss), None if y is None else model.labels_of("regressor", y)

    def fitted_boosters(self) -> Iterator[Any]:
        return self.model_.fitted_boosters()

    def _boosted(self, loss: str | Loss, **replaced: Any) -> GBRegressor:
        given = {name: getattr(self, name) for name in BOOSTING_PARAMETERS}
        # What is calibrated is the whole model.
        return GBRegressor(loss, **given | {"calibration": None} | replaced)

    def _hurdle(self, loss: Loss) -> HurdleRegressor:
        """A native binary model on all rows, and the loss on the positive ones; `eval_metric` is for the second."""
        rounds = self.n_estimators
        if isinstance(rounds, tuple | list) and len(rounds) != 2:
            raise ValueError(
                f"n_estimators={rounds!r} must be rounds, or a pair of them: of the binary part, and of the other"
            )
        first, second = rounds if isinstance(rounds, tuple | list) else (rounds, rounds)
        whether = {"eval_metric": "loss", "hessian": "safe", "native": "auto", "n_estimators": first}
        return HurdleRegressor(self._boosted("bernoulli", **whether), self._boosted(loss, n_estimators=second))

    def _begin(self) -> None:
        self._model()

    def _learn(self, rows: Sample) -> None:
        self.check_labels(rows.y)
        _warn_of_one_label(type(self).__name__, rows.y, rows.weight)

    def _train(self, rows: Sample, watched: list[Sample], callbacks: Sequence[Any] | None) -> None:
        self.model_ = self._model()
        fit_rows(self.model_, rows, watched, callbacks)

    def _fitted(self) -> GBRegressor | HurdleRegressor:
        """`model_`, or a copy that predicts with `n_jobs` threads: other threads may be predicting with it."""
        check_fitted(self, "model_")
        if all(part is None or part.n_jobs == self.n_jobs for part in self._parts()):
            return self.model_
        if isinstance(self.model_, GBRegressor):
            return self._with_threads(self.model_)
        model = copy(self.model_)
        model.classifier_, model.regressor_ = (None if part is None else self._with_threads(part) for part in self._parts())
        return model

    def _with_threads(self, part: GBRegressor) -> GBRegressor:
        part = copy(part)
        part.n_jobs = self.n_jobs
        return part

    def _parts(self) -> tuple[GBRegressor | None, ...]:
        model = self.model_
        return (model,) if isinstance(model, GBRegressor) else (model.classifier_, model.regressor_)

    def _decoded(self, X: Any) -> Floats:
        return self._fitted().predict(X)

    def _distribution(self, X: Any) -> Distribution:
        return self._fitted().predict_distribution(X)

    def _of_parts(self, name: str) -> Any:
        check_fitted(self, "model_")
        each = tuple(None if part is None else getattr(part, name) for part in self._parts())
        return each[0] if len(each) == 1 else each

    def to_engine_matrix(self, X: Any) -> Any:
        """X as `booster_` takes it, see `GBRegressor.to_engine_matrix`; of two boosters a pair, for each has its own."""
        check_fitted(self, "model_")
        each = tuple(None if part is None else part.to_engine_matrix(X) for part in self._parts())
        return each[0] if len(each) == 1 else each

    @property
    def booster_(self) -> Any:
        return self._of_parts("booster_")

    @property
    def loss_(self) -> Any:
        return self._of_parts("loss_")

    @property
    def native_(self) -> Any:
        return self._of_parts("native_")

    @property
    def best_iteration_(self) -> Any:
        return self._of_parts("best_iteration_")

    @property
    def evals_result_(self) -> dict[str, dict[str, list[float]]]:
        """{set name: {metric name: one value a round}}; those of two parts lie side by side under their losses' names."""
        check_fitted(self, "model_")
        merged: dict[str, dict[str, list[float]]] = {}
        for part in self._parts():
            for name, history in ({} if part is None else part.evals_result_).items():
                merged.setdefault(name, {}).update(history)
        return merged

    @property
    def feature_importances_(self) -> Floats:
        """Share of the total gain, of shape (n_features,); of two boosters, the mean of their shares."""
        check_fitted(self, "model_")
        shares = [part.feature_importances_ for part in self._parts() if part is not None]
        return np.mean(shares, axis=0) if shares else np.zeros(self.n_features_in_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.y_domain.low >= 0
        return tags


def fit_rows(
    model: GBRegressor | HurdleRegressor, rows: Sample, watched: list[Sample], callbacks: Sequence[Any] | None
) -> None:
    """Fit a model made of our own boosters to rows read before."""
    model.fit(
        rows.table,
        rows.y,
        rows.weight,
        eval_set=[(held.table, held.y) for held in watched] or None,
        eval_sample_weight=[held.weight for held in watched] or None,
        callbacks=callbacks,
    )


def _warn_of_one_label(who: str, y: Floats, weight: Floats | None) -> None:
    """Warn where one of many rows has more than half of the labels' sum."""
    size = np.abs(y) * (1.0 if weight is None else weight)
    if np.count_nonzero(size) < _MANY or not size.max() > 0.5 * size.sum():
        return
    row, share = int(size.argmax()), size.max() / size.sum()
    warnings.warn(
        f"{who}: row {row} alone, with y={y[row]:g}, has {share:.1%} of the sum of {y.size:,} labels: what is predicted of "
        "that sum and of other rows' means says little. If it is a mistake, drop it or clip y; a log-normal mean cannot "
        "bear it out, and means of the others are raised by it",
        stacklevel=4,
    )


class DistributionalPreset(Preset):
    """A preset whose model predicts distributions."""

    _parameter_constraints = {
        **BoostedRegressor._parameter_constraints,
        "functional": [StrOptions(set(READOUTS)), RealInterval(Real, 0, 1, closed="neither")],
    }

    functional: str | float

    def _begin(self) -> None:
        super()._begin()
        if self.functional == "mode" and self.constraints():
            raise ValueError(
                "functional='mode': a mode can jump back where the whole distribution moves up, so monotone constraints do "
                "not hold for it: use 'mean', 'log_mean', 'median' or a level such as 0.9"
            )

    @property
    def booster_predicts(self) -> bool:
        return self.functional == "mean" and super().booster_predicts

    def check_distributional(self) -> None:
        """Nothing to say: it predicts distributions."""

    def _new_calibrator(self) -> AnyCalibrator | None:
        calibrator = super()._new_calibrator()
        if calibrator is not None and not calibrator.maps_distributions and self.functional != "mean":
            raise ValueError(
                f"calibration={self.calibration!r} corrects the mean, and functional={self.functional!r} is read instead: "
                "use calibration='pit', which corrects the whole distribution, or functional='mean'"
            )
        return calibrator

    def _to_read(self, functional: Functional) -> Functional:
        own = None if self.functional == "mean" else self.functional
        return super()._to_read(own if functional is None else functional)
