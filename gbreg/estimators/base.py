"""What the estimators that train boosters share: the parameters of boosting, and one `fit`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from gbreg._checks import Floats
from gbreg._columns import Columns, check_columns
from gbreg._compat import Interval, StrOptions
from gbreg.calibration import CALIBRATORS, AnyCalibrator, PITCalibrator, SegmentedCalibrator, get_calibrator
from gbreg.engines import get_engine
from gbreg.estimators.model import Model, check_distributional
from gbreg.estimators.readout import Functional
from gbreg.estimators.rows import Sample, as_pairs, check_groups, hold_out
from gbreg.losses.base import Loss

if TYPE_CHECKING:
    from gbreg.distribution import Distribution

METHODS = [StrOptions({*CALIBRATORS, "pit"}), *get_args(AnyCalibrator)]


@dataclass(eq=False, repr=False, kw_only=True)
class BoostedRegressor(Model, ABC):
    """Base of the estimators that train boosters: engine, trees, early stopping, curvature. `GBRegressor` explains them.

    Parameters are fields, here for all estimators; those of a subclass's own stand in it alone.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
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

    engine: str = "lightgbm"
    n_estimators: int = 100
    learning_rate: float = 0.1
    max_leaves: int = 31
    max_depth: int | None = None
    min_child_samples: int = 20
    subsample: float = 1.0
    colsample: float = 1.0
    reg_lambda: float = 0.0
    max_bins: int = 255
    early_stopping_rounds: int | None = None
    validation_fraction: float = 0.1
    eval_metric: Any = "loss"
    hessian: str = "safe"
    native: str | bool = "auto"
    calibration: str | AnyCalibrator | None = None
    engine_params: dict[str, Any] | None = None
    random_state: Any = None
    n_jobs: int | None = None
    verbose: int = 0

    calibrator_: AnyCalibrator | None = field(init=False)

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        groups: ArrayLike | None = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Self:
        """Fit losses to the labels, trees to the losses, and the calibration to rows held out from both.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            numpy, pandas, polars, pyarrow or scipy.sparse; NaN is missing; categorical columns keep their categories. What a
            sparse matrix leaves out is 0 on every engine. XGBoost trains on it dense, a byte a cell with up to 256 bins: for
            wide one-hot columns LightGBM is the engine.
        y : array-like of shape (n_samples,)
            In the unit of the target, inside the domain of the loss.
        sample_weight : array-like of shape (n_samples,), optional
        eval_set : (X, y) or list of them, optional
        eval_sample_weight : array or list of arrays, optional
        groups : array-like of shape (n_samples,), optional
            What must not be torn apart where rows are held out, such as customers: rows of one group share their future.
        callbacks : list, optional
            The engine's own callbacks, and `gbreg.engines.EachRound`, which every engine takes; a model of two boosters
            hands them to both.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Before training, for parameters, labels or weights that are not allowed.
        TypeError
            Before training, for calibration "pit" and a model that predicts no distribution.
        FloatingPointError
            If training diverges.
        """
        self._validate_params()
        engine = get_engine(self.engine)
        engine.package()
        engine.own(self.engine_params)  # its errors come before all work
        calibrator = self._new_calibrator()
        self._begin()
        rows = Sample.of(self, X, y, sample_weight)
        check_columns(self, X, reset=True)
        rows = rows.named(getattr(self, "feature_names_in_", None))
        together = check_groups(groups, rows.y.size)
        self._learn(rows)
        watched = self._eval_sets(eval_set, eval_sample_weight, rows.table.columns)
        unseen, train = watched[:1], rows
        used = rows.counting
        stops = self.early_stopping_rounds is not None and np.ptp(rows.y[used]) > 0  # one label is predicted, in no round
        if not watched and (stops or calibrator is not None):
            of_used = None if together is None else together[used]
            inside, outside = hold_out(used.size, self.validation_fraction, self.random_state, of_used)
            train, unseen = rows.take(used[inside]), [rows.take(used[outside])]
            watched = unseen if stops else []
        self._train(train, watched, callbacks)
        self.calibrator_ = None
        if calibrator is not None:
            held = unseen[0]
            self.calibrator_ = calibrator.learn(calibrator.seen(self, held.table, held.y), held.y, held.weight)
        return self

    @abstractmethod
    def _begin(self) -> None:
        """Raise for parameters that are not allowed, before any row is read."""

    @abstractmethod
    def _learn(self, rows: Sample) -> None:
        """Learn the columns of all rows, or refuse their labels, before some are held out."""

    @abstractmethod
    def _train(self, rows: Sample, watched: list[Sample], callbacks: Sequence[Any] | None) -> None:
        """Train the boosters on those rows, while watching others."""

    @abstractmethod
    def _decoded(self, X: Any) -> Floats:
        """Predictions before calibration."""

    @abstractmethod
    def _distribution(self, X: Any) -> Distribution:
        """Distributions before calibration; `TypeError` where there are none."""

    def _eval_sets(self, eval_set: Any, eval_sample_weight: Any, columns: Columns) -> list[Sample]:
        sets = []
        for i, ((X, y), weight) in enumerate(as_pairs(eval_set, eval_sample_weight)):
            check_columns(self, X, reset=False)
            try:
                rows = Sample.of(self, X, y, weight, columns)
                self.check_labels(rows.y)
            except ValueError as error:
                raise ValueError(f"eval_set[{i}]: {error}") from error
            sets.append(rows)
        return sets

    @classmethod
    def own_parameters(cls) -> list[str]:
        return [name for name in cls._get_param_names() if name not in BOOSTING_PARAMETERS]

    @classmethod
    def of_word(cls, given: dict[str, Any], read_loss: Callable[[str], Any]) -> Self:
        model = super().of_word(given, read_loss)
        model._begin()
        return model

    @abstractmethod
    def searched_loss(self, y: Floats | None) -> tuple[str, Loss, Floats | None]:
        """The loss whose parameters are searched: what stands before their names, itself, and the labels it trains on."""

    @property
    @abstractmethod
    def n_boosters(self) -> int:
        """How many boosters it trains."""

    def boosters(self) -> Iterator[Any]:
        yield self

    def _new_calibrator(self) -> AnyCalibrator | None:
        if isinstance(self.calibration, SegmentedCalibrator):
            raise ValueError(f"calibration={self.calibration!r}: use CalibratedRegressor, whose segment= names the column")
        return None if self.calibration is None else new_calibrator(self.calibration, self, "calibration")

    def _to_read(self, functional: Functional) -> Functional:
        """What to read from the predicted distribution; None for the prediction that needs none."""
        recalibrated = self.calibrator_ is not None and self.calibrator_.maps_distributions
        return "mean" if functional is None and recalibrated else functional

    def _calibrated(self, prediction: Floats) -> Floats:
        return prediction if self.calibrator_ is None else self.calibrator_.of_points(prediction)

    def _recalibrated(self, distribution: Distribution) -> Distribution:
        return distribution if self.calibrator_ is None else self.calibrator_.of_distributions(distribution)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags


def new_calibrator(method: str | AnyCalibrator, estimator: Any, argument: str) -> AnyCalibrator:
    """Of that method, unfitted; `TypeError` where it maps distributions and the estimator predicts none."""
    given = PITCalibrator() if method == "pit" else get_calibrator(method) if isinstance(method, str) else method
    calibrator: AnyCalibrator = clone(given)
    if calibrator.maps_distributions:
        try:
            check_distributional(estimator)
        except TypeError as error:
            raise TypeError(f"{argument}={method!r}: {error}, or {argument}='isotonic'") from None
    return calibrator


BOOSTING_PARAMETERS = tuple(BoostedRegressor._get_param_names())
