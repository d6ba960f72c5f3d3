"""What every estimator has: the parameters of boosting, and saving."""

from __future__ import annotations

from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.utils._param_validation import Interval, StrOptions

from gbreg._checks import Floats
from gbreg.calibration import CALIBRATORS, AnyCalibrator, Calibrator, PITCalibrator, SegmentedCalibrator, get_calibrator
from gbreg.estimators.readout import Functional, check_distributional

if TYPE_CHECKING:
    from gbreg.distribution import Distribution

METHODS = [StrOptions({*CALIBRATORS, "pit"}), *get_args(AnyCalibrator)]


class Savable:
    """What can be written to a file, see `gbreg.persistence`."""

    def save(self, path: str | Path) -> None:
        """Write the model to one file, atomically: the engines' own models and JSON in a zip, no pickle."""
        from gbreg.persistence import save

        save(self, path)


class BoostedRegressor(Savable, RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Base of the estimators that train boosters: engine, trees, early stopping, curvature. `GBRegressor` explains them."""

    _parameter_constraints: dict[str, Any] = {
        "engine": [str],
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_leaves": [Interval(Integral, 2, None, closed="left")],
        "max_depth": [Interval(Integral, 1, None, closed="left"), None],
        "min_child_samples": [Interval(Integral, 1, None, closed="left")],
        "subsample": [Interval(Real, 0, 1, closed="right")],
        "colsample": [Interval(Real, 0, 1, closed="right")],
        "reg_lambda": [Interval(Real, 0, None, closed="left")],
        "max_bins": [Interval(Integral, 2, 65535, closed="both")],
        "early_stopping_rounds": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "eval_metric": [str, callable],
        "hessian": [StrOptions({"safe", "exact", "expected"})],
        "native": [StrOptions({"auto"}), "boolean"],
        "calibration": [*METHODS, None],
        "engine_params": [dict, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    calibrator_: AnyCalibrator | None

    def __init__(
        self,
        *,
        engine: str = "lightgbm",
        n_estimators: Any = 100,
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
        self.engine = engine
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.max_leaves = max_leaves
        self.max_depth = max_depth
        self.min_child_samples = min_child_samples
        self.subsample = subsample
        self.colsample = colsample
        self.reg_lambda = reg_lambda
        self.max_bins = max_bins
        self.early_stopping_rounds = early_stopping_rounds
        self.validation_fraction = validation_fraction
        self.eval_metric = eval_metric
        self.hessian = hessian
        self.native = native
        self.calibration = calibration
        self.engine_params = engine_params
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    def _new_calibrator(self) -> AnyCalibrator | None:
        if isinstance(self.calibration, SegmentedCalibrator):
            raise ValueError(f"calibration={self.calibration!r}: use CalibratedRegressor, whose segment= names the column")
        return None if self.calibration is None else new_calibrator(self.calibration, self, "calibration")

    def _to_read(self, functional: Functional) -> Functional:
        """What to read from the predicted distribution; None for the prediction that needs none."""
        return "mean" if functional is None and isinstance(self.calibrator_, PITCalibrator) else functional

    def _calibrated(self, prediction: Floats) -> Floats:
        return self.calibrator_.predict(prediction) if isinstance(self.calibrator_, Calibrator) else prediction

    def _recalibrated(self, distribution: Distribution) -> Distribution:
        return self.calibrator_.predict(distribution) if isinstance(self.calibrator_, PITCalibrator) else distribution


def new_calibrator(method: str | AnyCalibrator, estimator: Any, argument: str) -> AnyCalibrator:
    """Of that method, unfitted; `TypeError` where it maps distributions and the estimator predicts none."""
    if method != "pit" and not isinstance(method, PITCalibrator):
        return clone(get_calibrator(method))  # type: ignore[no-any-return]
    try:
        check_distributional(estimator)
    except TypeError as error:
        raise TypeError(f"{argument}={method!r}: {error}, or {argument}='isotonic'") from None
    return PITCalibrator() if method == "pit" else clone(method)


BOOSTING_PARAMETERS = tuple(BoostedRegressor._get_param_names())
