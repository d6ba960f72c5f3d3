"""What LightGBM calls."""

from __future__ import annotations

from typing import Any

import numpy as np

from gbreg.engines.callables.bare import Evaluation
from gbreg.engines.monitor import Monitor
from gbreg.engines.objective import Objective
from gbreg.engines.task import Task

# Native objectives that hand predictions to a metric, not raw scores. (Logarithms of probabilities are scores of a softmax.)
_LINKS = {"poisson": "log", "gamma": "log", "tweedie": "log", "cross_entropy": "logit", "softmax": "log"}


class NativeObjective:
    """What ``lgb.train(params={"objective": ...})`` calls."""

    def __init__(self, objective: Objective):
        self.objective = objective

    def __call__(self, preds: Any, train_data: Any) -> tuple[Any, Any]:
        return self.objective.gradient_hessian(train_data.get_label(), preds, train_data.get_weight())


class SklearnObjective:
    """What ``LGBMRegressor(objective=...)`` calls."""

    def __init__(self, objective: Objective):
        self.objective = objective

    def __call__(self, y_true: Any, y_pred: Any, weight: Any) -> tuple[Any, Any]:
        return self.objective.gradient_hessian(np.asarray(y_true, dtype=np.float32), y_pred, weight)


class Feval(Evaluation):
    """What ``lgb.train(feval=...)`` calls."""

    def __call__(self, preds: Any, eval_data: Any) -> tuple[str, float, bool]:
        value = self.value(eval_data.get_label(), preds, eval_data.get_weight())
        return self.name, value, self.greater_is_better


class EvalMetric(Evaluation):
    """What ``LGBMRegressor.fit(eval_metric=...)`` calls."""

    def __call__(self, y_true: Any, y_pred: Any, weight: Any) -> tuple[str, float, bool]:
        return self.name, self.value(y_true, y_pred, weight), self.greater_is_better


class Watch:
    """LightGBM's feval: hands the scores of every evaluation set to the monitor."""

    def __init__(self, task: Task, sets: list[Any]):
        self.task, self.sets = task, sets

    def __call__(self, preds: Any, data: Any) -> tuple[str, float, bool]:
        index = next(i for i, known in enumerate(self.sets) if known is data)
        monitor, name = self.task.monitor, self.task.loss.name
        monitor.record(index, self.task.complete(preds, _LINKS))
        return name, monitor.history[f"validation_{index}"][name][-1], False


class StopWhenAsked:
    """LightGBM callback: one end of round for the monitor.

    `keeps` says that later rounds change the trees of earlier ones, as those of DART do: then `best` is the model of the
    round that early stopping keeps, as it was measured.
    """

    order = 100
    before_iteration = False

    def __init__(self, monitor: Monitor, lgb: Any, keeps: bool):
        self.monitor, self.lgb = monitor, lgb
        self.keeps = keeps and monitor.keep is not None
        self.best: str | None = None

    def __call__(self, env: Any) -> None:
        asked = self.monitor.end_round()
        if self.keeps and self.monitor.best_round == self.monitor.rounds:
            self.best = env.model.model_to_string(num_iteration=-1)
        if asked:
            raise self.lgb.callback.EarlyStopException(env.iteration, env.evaluation_result_list or [])
