"""What is measured after every round, and when training stops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gbreg._checks import Floats
from gbreg.engines.rows import Rows
from gbreg.engines.scores import scores_shape
from gbreg.losses.base import Loss

OnRound = Callable[[int, float | None], bool | None]


@dataclass(frozen=True)
class EachRound:
    """A callback for every engine: `function` is called as `Monitor`'s `on_round`, part after part in models of several."""

    function: OnRound


class MetricLike(Protocol):
    """A number from labels and predictions in the unit of the target."""

    @property
    def name(self) -> str: ...

    @property
    def greater_is_better(self) -> bool: ...

    def __call__(self, y_true: Floats, y_pred: Floats, sample_weight: Floats | None = None) -> float: ...


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
            start = rows.X.from_start(np.resize(loss.intercept_, scores_shape(loss, rows.y.size)))
            constant = self._measured(rows, start)
            score = self._signed(constant[self._watched])
            self._best = math.inf if math.isnan(score) else score

    def of(self, loss: Loss) -> Monitor:
        """One that has seen no round yet, of a training of this loss, which starts as the own one does."""
        fresh = copy(self)
        fresh.loss = loss
        fresh.history = {name: {} for name in self.history}
        return fresh

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
