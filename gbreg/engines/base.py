"""What the three engines share: the task they are given, the objective they call, the monitor that watches them."""

from __future__ import annotations

import importlib
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any, ClassVar, Protocol

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from gbreg import kernels
from gbreg.engines.constraints import interaction_lists, monotone_list, signs
from gbreg.engines.parameters import own_parameters
from gbreg.engines.threads import thread_count
from gbreg.links import get_link
from gbreg.losses.base import Floats, Loss, NativeForm, PointwiseLoss, fitted
from gbreg.losses.vector import VectorLoss

Singles = NDArray[np.float32]
TrainableLoss = PointwiseLoss | VectorLoss

# hessian="exact" is floored here (on Hessians scaled to mean 1), or negative ones would leave one-leaf trees.
EXACT_FLOOR = 1e-6


@dataclass(frozen=True)
class Features:
    """A numeric matrix with what the engines must know of its columns.

    Parameters
    ----------
    values : ndarray or scipy.sparse CSR of shape (n_samples, n_features)
        float32 or float64, NaN where missing; categorical columns hold their codes.
    categorical : tuple of int
        Which columns are categorical.
    names : tuple of str or None
    categories : tuple of tuple
        Of training rows: what the codes of each categorical column stand for, as the table holds them, where these are
        plain values.
    ranked : tuple of int
        Which columns hold ranks in place of their values.
    """

    values: Any
    categorical: tuple[int, ...] = ()
    names: tuple[str, ...] | None = None
    categories: tuple[tuple[Any, ...], ...] = ()
    ranked: tuple[int, ...] = ()

    @property
    def n_rows(self) -> int:
        return int(self.values.shape[0])

    def vary(self) -> bool:
        """Whether any column holds two values: LightGBM and CatBoost die of tables in which none does."""
        for j in range(self.values.shape[1]):
            column = self.values[:, j]
            column = column.toarray().ravel() if scipy.sparse.issparse(column) else column
            first = column[0]
            if not (np.isnan(column).all() if np.isnan(first) else (column == first).all()):
                return True
        return False


@dataclass(frozen=True)
class Rows:
    """Features with their labels and weights (float64, shape (n_samples,)); `weight` None counts every row once."""

    X: Features
    y: Floats
    weight: Floats | None = None


@dataclass(frozen=True)
class TreeParameters:
    """The parameters that mean the same on every engine; each maps them once to its own names."""

    n_estimators: int = 100
    learning_rate: float = 0.1
    max_leaves: int = 31
    max_depth: int | None = None
    min_child_samples: int = 20
    subsample: float = 1.0
    colsample: float = 1.0
    reg_lambda: float = 0.0
    max_bins: int = 255
    hessian: str = "safe"
    random_state: int | None = None
    n_threads: int = 1
    engine_params: Mapping[str, Any] = field(default_factory=dict)


class MetricLike(Protocol):
    """A number from labels and predictions in the unit of the target."""

    @property
    def name(self) -> str: ...

    @property
    def greater_is_better(self) -> bool: ...

    def __call__(self, y_true: Floats, y_pred: Floats, sample_weight: Floats | None = None) -> float: ...


OnRound = Callable[[int, float | None], bool | None]


@dataclass(frozen=True)
class EachRound:
    """A callback for every engine: `function` is called as `Monitor`'s `on_round`, part after part in models of several."""

    function: OnRound


class Objective:
    """A fitted loss as engines call it: float32 gradient and Hessian, weighted, shifted by the intercept, scaled.

    Parameters
    ----------
    loss : fitted PointwiseLoss or VectorLoss
    hessian : {"safe", "exact", "expected"}
    learning_rate : float
        Above 0.3 the safe curvature asks for shorter steps.
    n_threads : int
    complete : bool
        Whether the engine's raw scores hold the intercept already.

    Attributes
    ----------
    refines : bool
        Whether a loss that learns from the training scores does so.
    offset : ndarray of shape (n_outputs,)
        What the engine's raw scores lack.
    """

    refines: ClassVar[bool] = True

    def __init__(
        self,
        loss: TrainableLoss,
        hessian: str = "safe",
        learning_rate: float = 0.1,
        n_threads: int = 1,
        complete: bool = False,
    ):
        fitted(loss)
        self.loss = loss
        self.hessian = hessian
        self.learning_rate = learning_rate
        self.n_threads = n_threads
        self.complete = complete
        self.offset = np.zeros_like(loss.intercept_) if complete else loss.intercept_
        self.scale_by(1.0)
        self.round = 0
        self.row_name = "row"
        self._buffers: tuple[Singles, Singles] = (np.empty(0, np.float32), np.empty(0, np.float32))
        self._ones: Singles = np.empty(0, np.float32)

    def scale_by(self, factor: float) -> None:
        """Multiply every gradient and Hessian by a factor."""
        self.factor = factor
        loss = self.loss
        self.run: kernels.Pass | kernels.RowPass
        if isinstance(loss, VectorLoss):
            loss.check_hessian(self.hessian)
            self.run = kernels.RowPass(loss.spec(), loss.arguments(), offset=self.offset, scale=factor / loss.hessian_scale_)
        else:
            self.run = kernels.Pass(
                loss.spec(),
                loss.arguments(),
                hessian=self.hessian,
                offset=float(self.offset[0]),
                scale=factor / loss.hessian_scale_,
                step=loss.step_bounds(self.learning_rate),
                floor=EXACT_FLOOR * factor if self.hessian == "exact" else -math.inf,
            )

    def __getstate__(self) -> dict[str, Any]:
        # Passes hold compiled functions of the loss's class; they are made again where the objective is unpickled.
        names = ("loss", "hessian", "learning_rate", "n_threads", "complete", "factor")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        factor = state.pop("factor")
        self.__init__(**state)  # type: ignore[misc]
        self.scale_by(factor)

    def __deepcopy__(self, memo: Any) -> Objective:
        # LightGBM copies its parameters: what the loss learns from scores is to reach the monitor's loss, the same one.
        return self

    def weights(self, sample_weight: Any, n: int) -> Singles:
        if sample_weight is None:
            if self._ones.size != n:
                self._ones = np.ones(n, dtype=np.float32)
            return self._ones
        return np.ascontiguousarray(sample_weight, dtype=np.float32)

    def gradient_hessian(self, y: Any, raw: Any, sample_weight: Any = None) -> tuple[Singles, Singles]:
        """Both shaped like `raw`, in buffers that the next call overwrites; `FloatingPointError` if not finite."""
        y = np.ascontiguousarray(y)
        raw = np.ascontiguousarray(raw) if np.ndim(raw) == 1 else np.asarray(raw)
        check_shapes(self.loss, y, raw)
        if self._buffers[0].shape != raw.shape or self._buffers[0].strides[0] * raw.itemsize != raw.strides[0] * 4:
            self._buffers = np.empty_like(raw, dtype=np.float32), np.empty_like(raw, dtype=np.float32)
        weight = self.weights(sample_weight, y.size)
        learns = self.refines and self.loss.refines
        if learns and self.loss.refine(y, raw + self.offset, weight, self.round):
            self.scale_by(self.factor)
        self.fill(y, raw, weight, self._buffers, self.n_threads)
        self.round += 1
        return self._buffers

    def typical_gain(self, rows: Rows, dtype: type[np.floating[Any]]) -> float:
        """A power of four near the mean squared gradient of the first round; 1 where that is 0.

        XGBoost and CatBoost drop splits whose gain is below an absolute 1e-6 and 1e-9: left as they are, labels around
        1e-9 would predict a constant. `dtype` is that of the engine's scores, so that one kernel does for both.
        """
        labels = as_single(rows.y, "labels")
        assert labels is not None
        shape = scores_shape(self.loss, labels.size)
        weight = np.ones(labels.size, dtype) if rows.weight is None else rows.weight.astype(dtype)
        gradient, hess = np.empty(shape, dtype), np.empty(shape, dtype)
        self.fill(labels, np.zeros(shape, dtype), weight, (gradient, hess), self.n_threads)
        return power_of_four(gradient)

    def fill(self, y: Any, raw: Any, weight: Any, out: tuple[Any, Any], n_threads: int) -> None:
        """One pass of the kernel into `out`."""
        if isinstance(self.loss, VectorLoss):
            raw, *both = (a if a.ndim == 2 else a[:, None] for a in (raw, *out))
            out = both[0], both[1]
        bad = self.run(y, raw, weight, out, n_threads)
        if bad:
            row = int(np.argwhere(~(np.isfinite(out[0]) & np.isfinite(out[1])))[0, 0])
            score = np.squeeze(raw[row] + self.offset)
            raise FloatingPointError(
                f"{self.loss!r}: gradient or Hessian of {bad:,} rows is not finite in round {self.round}, first at "
                f"{self.row_name} {row} (y={y[row]:g}, raw score {score}): lower learning_rate, or use another link or loss"
            )


class Monitor:
    """Evaluates the loss and the named metrics on decoded predictions, and says when to stop.

    Parameters
    ----------
    loss : fitted Loss
    sets : sequence of Rows
    metrics : sequence of MetricLike
        Evaluated after the loss itself.
    early_stopping_rounds : int or None
        Stop after this many rounds without a better last metric (the loss, if there are no metrics) on the first set than
        before, or than the loss's best constant had.
    on_round : callable or None
        Called with (rounds done, latest value or None) after every round; training stops where it returns True.
    """

    def __init__(
        self,
        loss: Loss,
        sets: Sequence[Rows] = (),
        metrics: Sequence[MetricLike] = (),
        early_stopping_rounds: int | None = None,
        on_round: OnRound | None = None,
    ):
        self.loss = loss
        self.sets = list(sets)
        self.metrics = list(metrics)
        self.early_stopping_rounds = early_stopping_rounds
        self.on_round = on_round
        self.history: dict[str, dict[str, list[float]]] = {f"validation_{i}": {} for i in range(len(self.sets))}
        self.rounds = 0
        self.best_round = 0
        self._best = math.inf
        if self.keep is not None:
            rows = self.sets[0]
            constant = self._measured(rows, np.resize(loss.intercept_, scores_shape(loss, rows.y.size)))
            score = self._signed(constant[self._watched])
            self._best = math.inf if math.isnan(score) else score

    @property
    def active(self) -> bool:
        return bool(self.sets) or self.on_round is not None

    def record(self, index: int, raw_prediction: Any) -> None:
        """Evaluate set `index` at these complete raw scores."""
        rows = self.sets[index]
        raw = np.asarray(raw_prediction, dtype=np.float64).reshape(scores_shape(self.loss, rows.y.size))
        for name, value in self._measured(rows, raw).items():
            self.history[f"validation_{index}"].setdefault(name, []).append(value)

    def _measured(self, rows: Rows, raw: Floats) -> dict[str, float]:
        measured = {self.loss.name: float(np.average(self.loss.value(rows.y, raw), weights=rows.weight))}
        if self.metrics:
            predicted = self.loss.predict(raw)
            measured |= {metric.name: float(metric(rows.y, predicted, rows.weight)) for metric in self.metrics}
        return measured

    @property
    def _watched(self) -> str:
        return self.metrics[-1].name if self.metrics else self.loss.name

    def _signed(self, value: float) -> float:
        return -value if self.metrics and self.metrics[-1].greater_is_better else value

    def latest(self) -> float:
        """The watched metric on the first set."""
        return self.history["validation_0"][self._watched][-1]

    def score(self) -> float:
        """The watched metric with its sign turned so that less is better."""
        return self._signed(self.latest())

    def end_round(self) -> bool:
        """Count a round; True when training should stop."""
        self.rounds += 1
        if self.sets and self.score() < self._best:
            self._best, self.best_round = self.score(), self.rounds
        asked = self.on_round is not None and self.on_round(self.rounds, self.latest() if self.sets else None)
        patience = self.early_stopping_rounds
        return bool(asked) or (patience is not None and bool(self.sets) and self.rounds - self.best_round >= patience)

    @property
    def keep(self) -> int | None:
        """How many rounds the finished model keeps, 0 if none beat the best constant; None for all of them."""
        return self.best_round if self.early_stopping_rounds is not None and self.sets else None


@dataclass(frozen=True)
class Task:
    """One training: rows, a loss fitted to their labels, parameters, and the monitor."""

    rows: Rows
    loss: TrainableLoss
    parameters: TreeParameters
    monitor: Monitor
    native: NativeForm | None = None
    callbacks: Sequence[Any] = ()

    def objective(self, shares_threads: bool) -> Objective:
        """The objective, in parallel where the engine's threads are the kernel's own, or rows cost enough to pay.

        Two OpenMP pools spin against each other. Measured on 100,000 x 30 rows, Poisson, XGBoost, 2 cores, against its
        native form: parallel kernel 1.7, serial 1.1.
        """
        p = self.parameters
        n_threads = p.n_threads if shares_threads or isinstance(self.loss, VectorLoss) else 1
        return Objective(self.loss, p.hessian, p.learning_rate, n_threads)

    @property
    def n_outputs(self) -> int:
        return self.loss.n_outputs

    def complete(self, watched: Any, links: Mapping[str, str]) -> Floats:
        """Complete raw scores from what an engine hands to a metric.

        `links` names the link of every native objective that hands over predictions instead of raw scores.
        """
        scores: Floats = np.asarray(watched, dtype=np.float64)
        if self.native is None:  # a native objective starts from the intercept
            return scores + self.loss.intercept_
        if self.native.name not in links:
            return scores
        link = get_link(links[self.native.name])
        # A prediction rounded to an end of its range comes from a finite score all the same.
        inside = np.clip(scores, np.nextafter(link.range.low, np.inf), np.nextafter(link.range.high, -np.inf))
        return kernels.map_scalar(link.link, inside.ravel(), link.parameters).reshape(scores.shape)

    def as_trained(self, rows: Rows) -> Rows:
        """Rows with the labels and weights that the engine trains on: a native objective takes its own.

        Its weights also divide by the mean of its Hessian, as the kernel does by its own.
        """
        if self.native is None:
            return rows
        labels, factor = self.native.labels(rows.y)
        scale = float(np.mean(self.loss.hessian_scale_))
        if self.native.curvature is not None:
            scale = self.native.curvature * (1.0 if rows.weight is None else float(rows.weight[rows.weight > 0].mean()))
        if factor is None and rows.weight is None and scale == 1.0:
            return Rows(rows.X, labels)
        weight = np.ones(rows.y.size) if rows.weight is None else rows.weight
        return Rows(rows.X, labels, (weight if factor is None else weight * factor) / scale)


class Engine(ABC):
    """The one place that knows a booster's call, shapes, dtypes, sign conventions, native objectives and files."""

    name: ClassVar[str]
    module: ClassVar[str]
    model_file: ClassVar[str]
    # By the engine's first names: what gbreg sets itself, with what to use instead, and what its own code reads as a
    # parameter of trees.
    reserved: ClassVar[Mapping[str, str]]
    shared: ClassVar[Mapping[str, str]]

    @classmethod
    def package(cls) -> ModuleType:
        """The booster's own Python package, imported now; `ImportError` names the extra that brings it."""
        try:
            return importlib.import_module(cls.module)
        except ImportError as error:
            raise ImportError(
                f'engine="{cls.name}" needs the {cls.module} package: pip install "gbreg[{cls.name}]"'
            ) from error

    @abstractmethod
    def names(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        """Every name of a parameter that the engine takes, those of the same parameter with the same first name."""

    @abstractmethod
    def check_own(self, own: Mapping[str, Any]) -> None:
        """`ValueError` for values, under first names, with which the engine cannot train what gbreg asks for."""

    def own(self, engine_params: Mapping[str, Any] | None) -> dict[str, Any]:
        """`engine_params` under the engine's first names.

        Raises
        ------
        ValueError
            For names that the engine does not know, two names of one parameter, and what gbreg sets itself or the engine
            cannot do for it.
        """
        own = own_parameters(self.name, engine_params, self.names(engine_params or {}), self.reserved)
        self.check_own(own)
        return own

    def settled(self, parameters: TreeParameters) -> TreeParameters:
        """Parameters whose `engine_params` are `own`, and tell in the common ones what gbreg reads there."""
        own = self.own(parameters.engine_params)
        told = {field: own[name] for name, field in self.shared.items() if name in own}
        if told.get("n_threads", 1) <= 0:  # the engines' word for all cores
            told["n_threads"] = thread_count(-1)
        return replace(parameters, **told, engine_params=own)

    @abstractmethod
    def native_parameters(self, form: NativeForm) -> dict[str, Any] | None:
        """This engine's objective parameters for that form, or None if it lacks it."""

    def stored(self, values: Floats) -> Floats | Singles:
        """What this engine makes of a feature's numbers."""
        with np.errstate(over="ignore"):
            return values.astype(np.float32)

    def keeps_constraints(self, form: NativeForm) -> bool:
        """Whether the engine's own form of a loss takes monotone constraints, and keeps to them."""
        return True

    @abstractmethod
    def admits(self, form: NativeForm, own: Mapping[str, Any], weight: Floats | None) -> bool:
        """Whether that built-in form keeps the promises: no round raises the training loss, and no unit matters.

        `own` is `engine_params` under the engine's first names, with the learning rate; `weight` is that of the rows.
        """

    @abstractmethod
    def train(self, task: Task) -> Any:
        """A booster whose own raw prediction is complete, cut to the rounds the monitor keeps."""

    @abstractmethod
    def predict_raw(self, booster: Any, X: Features, n_threads: int = 1) -> Floats:
        """Complete raw scores, shape (n_samples,)."""

    @abstractmethod
    def own_matrix(self, X: Features) -> Any:
        """The features as the booster's own ``predict`` and explanations take them."""

    @abstractmethod
    def rounds(self, booster: Any) -> int:
        """Boosting rounds in the model."""

    @abstractmethod
    def feature_importances(self, booster: Any) -> Floats:
        """Total gain of every feature, summing to 1 (all 0 if nothing was split)."""

    @abstractmethod
    def to_bytes(self, booster: Any) -> bytes:
        """The engine's own model file."""

    @abstractmethod
    def from_bytes(self, data: bytes) -> Any:
        """The booster of a model file."""

    def monotone(self, engine_params: Mapping[str, Any] | None) -> bool:
        """Whether `engine_params`, under any of its names, constrains predictions to rise or to fall along a feature."""
        return bool(engine_params) and any(signs(self.own(engine_params).get("monotone_constraints")).values())


def place_constraints(params: dict[str, Any], X: Features) -> None:
    """Turn constraints that are given, in any form, into one sign a column and lists of indices; drop those without any."""
    n = X.values.shape[1]
    given = params.pop("monotone_constraints", None)
    if given is not None and any(placed := monotone_list(given, n, X.names, X.categorical)):
        params["monotone_constraints"] = placed
    given = params.pop("interaction_constraints", None)
    if given is not None:
        params["interaction_constraints"] = interaction_lists(given, n, X.names)


def scores_shape(loss: TrainableLoss, n: int) -> tuple[int, ...]:
    """The shape of n rows' raw scores: (n,), or (n, n_outputs) for losses of several outputs."""
    return (n, loss.n_outputs) if loss.n_outputs > 1 else (n,)


def power_of_four(gradient: NDArray[np.floating[Any]]) -> float:
    """The one at or below the mean square, by which numbers can be divided without rounding; 1 where that is 0."""
    mean_square = float(np.mean(np.square(gradient, dtype=np.float64)))
    return 4.0 ** math.floor(math.log2(mean_square) / 2) if mean_square > 0 else 1.0


def check_shapes(loss: TrainableLoss, y: Any, raw: Any) -> None:
    """Raise `ValueError` unless y is (n,) and raw as `scores_shape` says."""
    if y.ndim != 1 or raw.shape != scores_shape(loss, y.size):
        k = loss.n_outputs
        outputs = "one output" if k == 1 else f"{k} outputs"
        wanted = ", ".join(map(str, scores_shape(loss, y.size)))
        way_out = f": set num_class={k} on LightGBM, num_target={k} on XGBoost" if k > 1 else ""
        raise ValueError(
            f"{type(loss).__name__} has {outputs}: for {y.size:,} labels the raw scores must have shape ({wanted}), "
            f"got {y.shape} and {raw.shape}{way_out}"
        )


def normalised(gains: Any) -> Floats:
    gains = np.asarray(gains, dtype=np.float64)
    total = gains.sum()
    return gains / total if total > 0 else np.zeros_like(gains)


def as_single(x: Floats | None, what: str) -> Singles | None:
    """float32, as every engine stores labels and weights; `ValueError` where that overflows."""
    if x is None:
        return None
    largest = float(np.abs(x).max()) if x.size else 0.0
    if largest > np.finfo(np.float32).max:
        raise ValueError(f"{what} up to {largest:g} do not fit into float32, in which the engines keep them: rescale them")
    return x.astype(np.float32)


def safe_names(X: Features) -> list[str] | None:
    """Feature names that no engine refuses, one for each: the user's own, with `_` for all but letters and digits.

    LightGBM makes one of "a b" and "a_b", and its files break at control characters, quotes and empty names; XGBoost
    refuses brackets. Where such a name is taken already it ends in its column's number. Columns of which the engine sees
    codes or ranks say so: XGBoost and CatBoost then refuse a table of the user's, which they would misread.
    """
    if X.names is None and not X.ranked:
        return None
    given = [f"f{j}" for j in range(X.values.shape[1])] if X.names is None else X.names
    kinds = {**dict.fromkeys(X.categorical, "_code"), **dict.fromkeys(X.ranked, "_rank")}
    kept = {j for j, name in enumerate(given) if j not in kinds and re.fullmatch(r"\w+", name)}
    taken = {given[j] for j in kept}
    safe = []
    for j, name in enumerate(given):
        if j not in kept:
            name = re.sub(r"\W", "_", name + kinds.get(j, ""))
            while not name or name in taken:
                name = f"{name}_{j}"
            taken.add(name)
        safe.append(name)
    return safe
