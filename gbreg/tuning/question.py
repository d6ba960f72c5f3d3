"""What a study is asked: which models, by which metrics, on which rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gbreg.estimators.model import boosters_in
from gbreg.metrics import METRICS, Metric
from gbreg.metrics.chance import chance_level
from gbreg.tuning.folds import Fold
from gbreg.tuning.recipes import Search

Direction = Literal["minimize", "maximize"]


@dataclass(frozen=True)
class Question:
    """The models and their ranges, the metrics (None for the loss trained), the rows of a trial, and how it stops early."""

    search: Search
    metrics: Sequence[Metric | None]
    folds: Sequence[Fold]
    early_stopping_rounds: int | None

    @property
    def metric_names(self) -> list[str]:
        return ["loss" if metric is None else metric.name for metric in self.metrics]

    @property
    def directions(self) -> list[Direction]:
        return ["maximize" if metric is not None and metric.greater_is_better else "minimize" for metric in self.metrics]

    def chance_levels(self) -> list[float]:
        """Of each metric that ranks, what a random order hardly reaches on the rows measured; NaN of the others."""
        measured = [(fold.test[1], fold.test[2]) for fold in self.folds]
        known = [metric if metric is not None and metric == METRICS.get(metric.name) else None for metric in self.metrics]
        return [math.nan if metric is None else chance_level(metric.name, *measured) for metric in known]

    @property
    def rounds(self) -> int:
        """Of boosting, at most, on one fold."""
        models = [model for model, _ in self.search.models.values()]
        return max((int(np.max(part.n_estimators)) for model in models for part in boosters_in(model)), default=1)
