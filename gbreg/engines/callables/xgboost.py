"""What XGBoost calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from gbreg.engines.callables.bare import Evaluation
from gbreg.engines.monitor import MetricLike, Monitor
from gbreg.engines.objective import Objective
from gbreg.engines.task import Task
from gbreg.losses.base import Loss

# A metric whose name starts with one of these is maximised.
_MAXIMISED = ("auc", "pre", "map", "ndcg")


class NativeObjective:
    """What ``xgb.train(obj=...)`` calls."""

    def __init__(self, objective: Objective):
        self.objective = objective

    def __call__(self, preds: Any, dtrain: Any) -> tuple[Any, Any]:
        weight = dtrain.get_weight()
        return self.objective.gradient_hessian(dtrain.get_label(), preds, weight if weight.size else None)


class SklearnObjective:
    """What ``XGBRegressor(objective=...)`` calls."""

    def __init__(self, objective: Objective):
        self.objective = objective

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> tuple[Any, Any]:
        return self.objective.gradient_hessian(np.asarray(y_true, dtype=np.float32), y_pred, sample_weight)


class _Minimised(Evaluation):
    """XGBoost minimises whatever has a harmless name: better-if-greater metrics are turned round."""

    def __init__(self, metric: Loss | MetricLike, loss: Loss | None, complete: bool = False):
        super().__init__(metric, loss, complete)
        if self.greater_is_better:
            self.name = f"neg_{self.name}"
        elif self.name.startswith(_MAXIMISED):
            self.name = f"value_{self.name}"
        self.__name__ = self.name  # where XGBRegressor looks for it

    def value(self, y_true: Any, scores: Any, weight: Any) -> float:
        value = super().value(y_true, scores, weight)
        return -value if self.greater_is_better else value


class CustomMetric(_Minimised):
    """What ``xgb.train(custom_metric=...)`` calls."""

    def __call__(self, preds: Any, data: Any) -> tuple[str, float]:
        weight = data.get_weight()
        return self.name, self.value(data.get_label(), preds, weight if weight.size else None)


class EvalMetric(_Minimised):
    """What ``XGBRegressor(eval_metric=...)`` calls."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return self.value(y_true, y_pred, sample_weight)


class Watch:
    """XGBoost's custom_metric: hands the scores of every evaluation set to the monitor.

    Native objectives hand over predictions, which float32 rounds to 0 or 1 beyond a raw score of 17: `model` has the scores.
    """

    model: Any = None

    def __init__(self, task: Task, sets: list[Any]):
        self.task, self.sets = task, sets

    def __call__(self, preds: Any, data: Any) -> tuple[str, float]:
        index = next(i for i, known in enumerate(self.sets) if known is data)
        monitor = self.task.monitor
        scores = preds if self.task.native is None else self.model.predict(data, output_margin=True)
        monitor.record(index, self.task.complete(scores, {}))
        return "loss", monitor.history[f"validation_{index}"][monitor.loss.name][-1]


def listener(monitor: Monitor, watch: Watch, xgb: Any, keeps: bool) -> Any:
    """A callback that gives `watch` the model and ends rounds for the monitor; `keeps` as in LightGBM's."""

    class Listener(xgb.callback.TrainingCallback):  # type: ignore[misc]
        best: bytes | None = None

        def before_training(self, model: Any) -> Any:
            watch.model = model
            return model

        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            asked = monitor.end_round()
            if keeps and monitor.keep is not None and monitor.best_round == monitor.rounds:
                self.best = bytes(model.save_raw("ubj"))
            return asked

    return Listener()
