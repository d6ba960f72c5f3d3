"""What the estimators that train boosters share: the parameters of boosting, and one `fit`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, ClassVar, Self, get_args

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from gbreg._checks import Floats, check_fitted
from gbreg._columns import Table, check_columns
from gbreg._compat import Interval, StrOptions
from gbreg.calibration import CALIBRATORS, AnyCalibrator, PITCalibrator, SegmentedCalibrator, get_calibrator
from gbreg.engines import Trees, get_engine
from gbreg.engines.constraints import Monotone
from gbreg.estimators.model import Model, check_distributional
from gbreg.estimators.monotone import check_kept
from gbreg.estimators.readout import Functional
from gbreg.estimators.rows import Sample, as_pairs, asked_of, check_groups, check_same, hold_out, of_sets
from gbreg.losses.base import Loss

if TYPE_CHECKING:
    from gbreg.distribution import Distribution

METHODS = [StrOptions({*CALIBRATORS, "pit"}), *get_args(AnyCalibrator)]


@dataclass(eq=False, repr=False, kw_only=True)
class BoostedRegressor(Model, Trees, ABC):
    """Base of the estimators that train boosters: engine, trees, early stopping, curvature. `GBRegressor` explains them.

    Parameters are fields: those of trees stand in `Trees`, here the others for all estimators, and those of a subclass's own
    in it alone.
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **Trees.allowed,
        "engine": [str],
        "early_stopping_rounds": [Interval(Integral, 1, None, closed="left"), None],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "eval_metric": [str, callable],
        "native": [StrOptions({"auto"}), "boolean"],
        "calibration": [*METHODS, None],
        "engine_params": [dict, None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "verbose": ["verbose"],
    }

    engine: str = "lightgbm"
    early_stopping_rounds: int | None = None
    validation_fraction: float = 0.1
    eval_metric: Any = "loss"
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
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        censored: ArrayLike | None = None,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        eval_offset: Any = None,
        eval_exposure: Any = None,
        eval_censored: Any = None,
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
        offset : array-like of shape (n_samples,), optional
            Added to every row's raw score, at `predict` too. Of `GBRegressor` with losses of one output.
        exposure : array-like of shape (n_samples,), optional
            How long or how often each row was seen, above 0: the years a policy ran, the days a customer was seen; needed at
            `predict` too. An offset of its logarithm: on the log link it multiplies what is predicted. In models of two
            parts it says whether there is anything (see `HurdleRegressor`). Losses of one output, and hurdles, take it.
        censored : array-like of bool of shape (n_samples,), optional
            Rows whose label is at least y: a video that was over, a customer whose days are not. What is predicted is then
            the label that would have been. Of `LogNormal`, `ZILN`, `SoftmaxBuckets` of hard labels, `OrdinalBuckets` and
            the presets made of them, without calibration.
        eval_set : (X, y) or list of them, optional
        eval_sample_weight, eval_offset, eval_exposure, eval_censored : array or list of arrays, optional
            Of the rows of `eval_set`.
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
            Before training, for parameters, labels, weights, offsets or exposures that are not allowed.
        TypeError
            Before training, for calibration "pit" and a model that predicts no distribution.
        FloatingPointError
            If training diverges.
        RuntimeError
            If the fitted model's predictions break `monotone` at one of a few rows and values that are looked at.
        """
        self._validate_params()
        engine = get_engine(self.engine)
        engine.package()
        engine.own(self.engine_params)  # its errors come before all work
        monotone = self.constraints()
        calibrator = self._new_calibrator()
        self._begin()
        carried = {"offset": offset, "exposure": exposure, "censored": censored}
        rows = Sample.of(self, X, y, sample_weight, carried=carried)
        self.check_carried(rows.table.carried)
        _check_uncalibrated(calibrator, rows.table.carried)
        signs = self._placed(monotone, rows.table)
        check_columns(self, X, reset=True)
        rows = rows.named(getattr(self, "feature_names_in_", None))
        together = check_groups(groups, rows.y.size)
        self._learn(rows)
        beside = {"offset": eval_offset, "exposure": eval_exposure, "censored": eval_censored}
        watched = self._eval_sets(eval_set, eval_sample_weight, beside, rows.table)
        unseen, train = watched[:1], rows
        used = rows.counting
        # One label is predicted, in no round, unless rows bring something beside it.
        stops = self.early_stopping_rounds is not None and (np.ptp(rows.y[used]) > 0 or bool(rows.table.carried))
        if not watched and (stops or calibrator is not None):
            of_used = None if together is None else together[used]
            inside, outside = hold_out(used.size, self.validation_fraction, self.random_state, of_used)
            train, unseen = rows.take(used[inside]), [rows.take(used[outside])]
            watched = unseen if stops else []
        self.carried_ = asked_of(rows.table.carried)
        self._train(train, watched, callbacks)
        self.calibrator_ = None
        if calibrator is not None:
            held = unseen[0]
            self.calibrator_ = calibrator.learn(calibrator.seen(self, held.table, held.y), held.y, held.weight)
        if self.monotone and not isinstance(X, Table):  # else the estimator that read the table looks at the whole
            check_kept(self, rows.table, signs)
        return self

    def constraints(self) -> Monotone:
        """The monotone constraints, by `monotone` or `engine_params`; `ValueError` where both give them."""
        return get_engine(self.engine).monotone(self.monotone, self.engine_params)

    def _placed(self, monotone: Monotone, table: Table) -> list[int]:
        """One sign a column; `ValueError` for columns that are not there or are categorical."""
        return monotone.placed(table.shape[1], table.columns.names, table.columns.categories)

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

    def _eval_sets(self, eval_set: Any, eval_sample_weight: Any, carried: dict[str, Any], train: Table) -> list[Sample]:
        pairs = as_pairs(eval_set, eval_sample_weight)
        each = {name: of_sets(values, len(pairs), f"eval_{name}") for name, values in carried.items()}
        sets = []
        for i, ((X, y), weight) in enumerate(pairs):
            check_columns(self, X, reset=False)
            try:
                own = {name: values[i] for name, values in each.items()}
                rows = Sample.of(self, X, y, weight, train.columns, own)
                check_same(set(rows.table.carried), set(train.carried), "eval_")
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
        check_fitted(self, "calibrator_")
        recalibrated = self.calibrator_ is not None and self.calibrator_.maps_distributions
        return "mean" if functional is None and recalibrated else functional

    def _predicted(self, X: Any) -> Floats:
        decoded = self._decoded(X)
        return decoded if self.calibrator_ is None else self.calibrator_.of_points(decoded)

    def _predicted_distribution(self, X: Any) -> Distribution:
        check_fitted(self, "calibrator_")
        distribution = self._distribution(X)
        return distribution if self.calibrator_ is None else self.calibrator_.of_distributions(distribution)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        return tags


def _check_uncalibrated(calibrator: AnyCalibrator | None, carried: Collection[str]) -> None:
    if calibrator is not None and "censored" in carried:
        raise ValueError(
            f"censored: {calibrator!r} learns from whole labels, and those of censored rows are too low: leave calibration "
            "out, or calibrate a fitted model on rows that were seen to the end (CalibratedRegressor(model, cv='prefit'))"
        )


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
