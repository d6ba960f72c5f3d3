"""One training, as every engine is given it, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gbreg import _kernels as kernels
from gbreg._checks import Floats
from gbreg.engines.monitor import Monitor
from gbreg.engines.native import own_curvature
from gbreg.engines.objective import Objective
from gbreg.engines.rows import Rows
from gbreg.engines.scores import TrainableLoss
from gbreg.engines.trees import TreeParameters
from gbreg.links import get_link
from gbreg.losses.native import NativeForm
from gbreg.losses.vector import VectorLoss


@dataclass(frozen=True)
class Task:
    """One training: rows, a loss fitted to their labels, parameters, and the monitor."""

    rows: Rows
    loss: TrainableLoss
    parameters: TreeParameters
    monitor: Monitor
    native: NativeForm | None = None
    callbacks: Sequence[Any] = ()

    def apart(self) -> Task:
        """The same with a loss of its own, which may learn from the training scores, and a monitor of that."""
        loss = deepcopy(self.loss) if self.loss.refines else self.loss
        return replace(self, loss=loss, monitor=self.monitor.of(loss))

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
        curvature = own_curvature(self.native)
        if curvature is not None:
            scale = curvature * (1.0 if rows.weight is None else float(rows.weight[rows.weight > 0].mean()))
        if factor is None and rows.weight is None and scale == 1.0:
            return Rows(rows.X, labels)
        weight = np.ones(rows.y.size) if rows.weight is None else rows.weight
        return Rows(rows.X, labels, (weight if factor is None else weight * factor) / scale)


@dataclass(frozen=True)
class Trained:
    """What a training gave.

    Parameters
    ----------
    booster : lightgbm.Booster, xgboost.Booster or catboost.CatBoost, or None
        Its own raw prediction is complete, and cut to the rounds that are kept; None where none is.
    rounds : int
        In the booster.
    done : int
        Rounds trained.
    history : dict of {set name: {metric name: list of float}}
        One value a round; the first metric is the loss.
    loss : fitted PointwiseLoss or VectorLoss
        With what it learnt from the training scores by the booster's last round.
    """

    booster: Any
    rounds: int
    done: int
    history: dict[str, dict[str, list[float]]]
    loss: TrainableLoss
