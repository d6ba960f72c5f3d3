"""Objectives and metrics for code that keeps its own training calls: what every booster's have in common."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np

from gbreg._checks import Floats, check_sample_weight
from gbreg.engines.monitor import MetricLike
from gbreg.engines.objective import Objective
from gbreg.engines.rows import Singles
from gbreg.engines.scores import scores_shape
from gbreg.losses.base import Loss


class CheckedObjective(Objective):
    """An objective called by code that is not ours: checks what it is given, and returns arrays that stay as they are."""

    # LightGBM trains with a copy: the loss that decodes would not learn with it.
    refines = False

    def __deepcopy__(self, memo: Any) -> CheckedObjective:
        copied = type(self).__new__(type(self))
        copied.__setstate__(deepcopy(self.__getstate__(), memo))
        return copied

    def gradient_hessian(self, y: Any, raw: Any, sample_weight: Any = None) -> tuple[Singles, Singles]:
        y, raw = np.asarray(y), np.asarray(raw)
        raw = raw if raw.dtype in (np.float32, np.float64) else raw.astype(np.float64)
        if y.ndim == 1 and raw.shape == scores_shape(self.loss, y.size):
            if sample_weight is not None and np.shape(sample_weight) != y.shape:
                check_sample_weight(sample_weight, y.size)
            # Scores that are all equal are those before the first tree. The callable may have trained before.
            if self.round == 0 or bool((raw == raw[:1]).all()):
                self.round = 0
                self.loss.check_labels(y)
                check_sample_weight(sample_weight, y.size)
        self._buffers = np.empty(0, np.float32), np.empty(0, np.float32)
        return super().gradient_hessian(y, raw, sample_weight)


class Evaluation:
    """A number from labels, the engine's scores and weights: a loss at the complete raw score, or a metric.

    Parameters
    ----------
    metric : fitted Loss, or MetricLike
    loss : fitted Loss or None
        How the scores of a metric are decoded; None if they are predictions already.
    complete : bool
        Whether the engine's scores hold the intercept already.
    """

    def __init__(self, metric: Loss | MetricLike, loss: Loss | None, complete: bool = False):
        self.metric, self.loss, self.complete = metric, loss, complete
        self.name = metric.name
        self.greater_is_better = bool(getattr(metric, "greater_is_better", False))

    @property
    def n_outputs(self) -> int:
        """Scores a row: those of the loss that decodes them, one if they are predictions."""
        decoder = self.metric if isinstance(self.metric, Loss) else self.loss
        return 1 if decoder is None else decoder.n_outputs

    def value(self, y_true: Any, scores: Any, weight: Any) -> float:
        y, raw = np.asarray(y_true, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        k = self.n_outputs
        if y.ndim != 1 or raw.shape != (y.shape if k == 1 else (y.size, k)):
            wanted = "one score" if k == 1 else f"{k} scores"
            raise ValueError(f"metric {self.name!r} needs {wanted} per label, got shapes {raw.shape} and {y.shape}")
        weight = check_sample_weight(weight, y.size)
        if isinstance(self.metric, Loss):
            y = self.metric.check_labels(y)
            return float(np.average(self.metric.value(y, self._completed(raw, self.metric)), weights=weight))
        prediction = raw if self.loss is None else self.loss.predict(self._completed(raw, self.loss))
        return float(self.metric(y, prediction, weight))

    def _completed(self, raw: Floats, loss: Loss) -> Floats:
        return raw if self.complete else raw + loss.intercept_
