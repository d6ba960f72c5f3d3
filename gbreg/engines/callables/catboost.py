"""What CatBoost calls."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np

from gbreg._checks import check_sample_weight
from gbreg._kernels import RowPass
from gbreg.engines.callables.bare import CheckedObjective, Evaluation
from gbreg.engines.monitor import MetricLike, Monitor
from gbreg.engines.objective import Objective
from gbreg.engines.packages import package
from gbreg.engines.scores import check_shapes
from gbreg.engines.task import Task
from gbreg.losses.base import Loss


class NativeObjective:
    """What ``CatBoost({"loss_function": ...})`` and ``CatBoostRegressor(loss_function=...)`` call, block by block.

    CatBoost compiles Python objectives itself unless told not to. The first error is kept in `error`, to be raised as
    what it is.

    Parameters
    ----------
    objective : Objective
    raised : float
        What gradients are multiplied by, and raw scores divided by. Hessians stay: CatBoost holds `l2_leaf_reg` against
        them in leaves, and against numbers of rows when it chooses splits.
    """

    no_jit = True

    def __init__(self, objective: Objective, raised: float = 1.0):
        self.objective = objective
        self.objective.row_name = "block row"  # blocks come in any order and number
        self.raised = raised
        self.error: Exception | None = None
        self._signs = np.array([[-raised], [-1.0]])
        self._ones = np.ones(0)

    def __deepcopy__(self, memo: Any) -> NativeObjective:
        # CatBoostRegressor clones its parameters and then insists on finding the same object.
        return self

    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> Any:
        # Copies: the address of a read-only array costs more than a block's labels.
        y, raw, out = np.array(targets), np.asarray(approxes) / self.raised, np.empty((2, len(targets)))
        weight = self._no_weight(y.size) if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
        try:
            self.objective.fill(y, raw, weight, (out[0], out[1]), n_threads=1)
        except FloatingPointError as error:
            self.error = self.error or error
            out[:] = 0.0
        out *= self._signs
        return out.T

    def _no_weight(self, n: int) -> Any:
        ones = self._ones  # other threads may be at work
        if ones.size != n:
            ones = self._ones = np.ones(n)
        return ones


class _Row:
    """One row's arrays, filled anew by every call of a thread, and the kernel's call for them."""

    def __init__(self, run: RowPass, numbers: Any, n_outputs: int):
        self.run = run
        self.label, self.weight = np.array(numbers, dtype=np.float64), np.ones(1)
        self.raw, self.gradient, self.hess = np.empty((3, 1, n_outputs))
        self.call = run.prepared(self.label, self.raw, self.weight, (self.gradient, self.hess))


class RowObjective(NativeObjective):
    """For losses of several outputs CatBoost calls Python once a row and twice a round: no more is done than needed."""

    def __init__(self, objective: Objective, raised: float = 1.0):
        super().__init__(objective, raised)
        self._numbers: dict[float, Any] = {}  # of every label, which comes again in every round
        self._of_thread = threading.local()

    def _row(self, y: float, n_outputs: int) -> _Row:
        """This thread's row with this label in it."""
        numbers = self._numbers.get(y)
        if numbers is None:
            numbers = self._numbers[y] = self.objective.loss.label_numbers(np.array([y], dtype=np.float64))
        row: _Row | None = getattr(self._of_thread, "row", None)
        run = self.objective.run
        if row is None or row.run is not run:
            assert isinstance(run, RowPass)
            row = self._of_thread.row = _Row(run, numbers, n_outputs)
        row.label[:] = numbers
        return row

    def calc_ders_multi(self, approxes: Any, targets: Any, weight: Any) -> Any:
        outputs, y = len(approxes), targets[0]
        row = self._row(y, outputs)
        np.divide(approxes, self.raised, out=row.raw[0])
        row.weight[0] = weight
        if row.call():
            try:  # says what is wrong
                self.objective.fill(np.array([y]), row.raw, row.weight, (row.gradient, row.hess), n_threads=1)
            except FloatingPointError as error:
                self.error = self.error or error
            row.gradient[:] = row.hess[:] = 0.0
        diagonal = np.zeros(outputs * outputs)
        diagonal[:: outputs + 1] = -row.hess[0]
        return row.gradient[0] * -self.raised, diagonal.reshape(outputs, outputs)


def for_rows(ours: type, base: type) -> Any:
    """Our class on CatBoost's own base, by which it knows objectives and metrics of several targets."""
    return type(ours.__name__, (ours, base), {})


class BareObjective(NativeObjective):
    """CatBoost's objective for bare use: what goes wrong is raised, and reaches the user inside a `CatBoostError`."""

    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> Any:
        y, raw = np.asarray(targets), np.asarray(approxes)
        check_shapes(self.objective.loss, y, raw)
        if weights is not None and np.shape(weights) != y.shape:
            check_sample_weight(weights, y.size)
        if self.objective.complete or not raw.any():
            self.objective.loss.check_labels(y)
        derivatives = super().calc_ders_range(raw, y, weights)
        _raise_kept(self)
        return derivatives


class BareRowObjective(RowObjective):
    """`BareObjective` for losses of several outputs; CatBoost's own base class is added by `bare_objective`."""

    def __reduce__(self) -> Any:
        return bare_objective, (self.objective,)

    def calc_ders_multi(self, approxes: Any, targets: Any, weight: Any) -> Any:
        y, raw, loss = np.asarray(targets), np.asarray(approxes), self.objective.loss
        if raw.shape != loss.intercept_.shape:  # n_outputs asks whether the loss is fitted, too slow for every row
            k = loss.n_outputs
            raise ValueError(
                f"{type(loss).__name__} has {k} outputs, and CatBoost one for each of {raw.size} target(s): give it labels "
                f"of shape (n_samples, {k}), np.tile(y[:, None], {k})"
            )
        if self.objective.complete or not raw.any():
            if (y != y[0]).any():
                raise ValueError(f"{type(loss).__name__} has one label a row, for all its outputs, got {y}: tile the labels")
            loss.check_labels(y[:1])
        derivatives = super().calc_ders_multi(raw, y, weight)
        _raise_kept(self)
        return derivatives


def _raise_kept(objective: NativeObjective) -> None:
    if objective.error is not None:
        error, objective.error = objective.error, None
        told = str(error).replace(f" in round {objective.objective.round}", "")  # which is not known here
        raise FloatingPointError(told) from None


def bare_objective(checked: CheckedObjective) -> NativeObjective:
    """What CatBoost takes for this objective: it calls losses of one output by blocks of rows, others row by row."""
    if checked.loss.n_outputs == 1:
        return BareObjective(checked)
    base = package("catboost").MultiTargetCustomObjective
    return for_rows(BareRowObjective, base)(checked)  # type: ignore[no-any-return]


class CatBoostEvalMetric(Evaluation):
    """What ``CatBoost({"eval_metric": ...})`` and ``CatBoostRegressor(eval_metric=...)`` call, once a set and round."""

    no_jit = True  # CatBoost would compile the methods otherwise

    def __deepcopy__(self, memo: Any) -> CatBoostEvalMetric:
        # CatBoostRegressor clones its parameters and then insists on finding the same object.
        return self

    def __reduce__(self) -> Any:
        return bare_metric, (self.metric, self.loss, self.complete)

    def is_max_optimal(self) -> bool:
        return self.greater_is_better

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        if self.n_outputs == 1:
            return self.value(target, approxes[0], weight), 1.0
        return self.value(target[0], np.transpose(approxes), weight), 1.0  # labels are tiled: a copy an output

    def get_final_error(self, error: float, weight: float) -> float:
        return error


def bare_metric(metric: Loss | MetricLike, loss: Loss | None, complete: bool = False) -> CatBoostEvalMetric:
    """What CatBoost takes for this metric: on its own base class where scores are several a row."""
    made = CatBoostEvalMetric(metric, loss, complete)
    if made.n_outputs == 1:
        return made
    base = package("catboost").MultiTargetCustomMetric
    return for_rows(CatBoostEvalMetric, base)(metric, loss, complete)  # type: ignore[no-any-return]


class Watch:
    """CatBoost's eval_metric: called once per set and round, the training set first, then the evaluation sets."""

    no_jit = True

    def __init__(self, task: Task, raised: float):
        self.task, self.raised = task, raised
        self.calls = 0
        self.exponent: int | None = None
        self.error: Exception | None = None

    def __deepcopy__(self, memo: Any) -> Watch:
        return self

    def is_max_optimal(self) -> bool:
        return False

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        index = self.calls - 1
        self.calls += 1
        if index < 0:  # the training set
            return 0.0, 1.0
        try:
            self.task.monitor.record(index, self.task.complete(np.transpose(approxes) / self.raised, {}))
        except Exception as error:
            self.error = self.error or error
            return 0.0, 1.0
        score = self.task.monitor.score()  # the best model is chosen by the last set's value: give each the first's
        # Model files keep these, and CatBoost cannot read one with a whole number beyond 2^53: only their order counts.
        self.exponent = math.frexp(score)[1] if self.exponent is None else self.exponent
        return math.ldexp(score, -self.exponent), 1.0

    def get_final_error(self, error: float, weight: float) -> float:
        return error


class StopWhenAsked:
    """CatBoost callback: one end of round for the monitor, and the end of training after an error."""

    def __init__(self, monitor: Monitor, watch: Watch, objective: NativeObjective | None):
        self.monitor, self.watch, self.objective = monitor, watch, objective

    def after_iteration(self, info: Any) -> bool:
        failed = (self.objective is not None and self.objective.error) or self.watch.error
        if failed:
            return False
        self.watch.calls = 0
        if self.objective is not None:
            self.objective.objective.round += 1
        return not self.monitor.end_round()
