"""Greedy selection with replacement: weights of predictions, by a metric on rows that trained none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gbreg._checks import Floats
from gbreg.metrics import Metric
from gbreg.metrics.base import quietly

# A pick must be better by this share of the score, else the fewer picks are kept: what rounding decides is no gain.
_LEAST = 1e-9


@dataclass(frozen=True)
class Rows:
    """Labels and weights of held-out rows, and how predictions of them are scored."""

    y: Floats
    weight: Floats | None
    metric: Metric

    def loss(self, predicted: Floats) -> float:
        """The metric, turned so that less is better; infinite where it has no value."""
        value = self.score(predicted)
        turned = -value if self.metric.greater_is_better else value
        return turned if np.isfinite(turned) else np.inf

    def score(self, predicted: Floats) -> float:
        with quietly():
            return float(self.metric(self.y, predicted, self.weight))


@dataclass(frozen=True)
class Scale:
    """What predictions are averaged on: amounts, or ``asinh(amount / unit)``, logs that know 0 and both signs."""

    unit: float | None

    def of(self, amounts: Floats) -> Floats:
        return amounts if self.unit is None else np.arcsinh(amounts / self.unit)

    def amounts(self, averaged: Floats) -> Floats:
        return averaged if self.unit is None else self.unit * np.sinh(averaged)


def greedy_weights(
    rows: Rows, scale: Scale, predicted: Floats, picks: int, bags: int, most: int | None, owner: Sequence[int], seed: Any
) -> Floats:
    """Weights of the columns of `predicted`, of shape (n_columns,), not negative, that sum to 1.

    Every bag draws half of the columns, starts with as many of the best of them as are best together, and adds the
    column that helps most until nothing does. Weights are the mean over bags. A single bag draws all columns.

    Parameters
    ----------
    rows : Rows
    scale : Scale
    predicted : ndarray of shape (n_samples, n_columns)
        On the scale on which they are averaged, each with a finite score.
    picks : int
        How many a bag picks at most.
    bags : int
    most : int or None
        How many different owners may have weight.
    owner : sequence of int, of length n_columns
        To which model each column belongs.
    seed : numpy.random.RandomState
    """
    of = np.asarray(owner)
    alone = np.array([rows.loss(scale.amounts(column)) for column in predicted.T])
    weights = _bagged(rows, scale, predicted, alone, picks, bags, seed)
    if most is not None and np.unique(of[weights > 0]).size > most:
        each = np.bincount(of, weights=weights)
        kept = np.flatnonzero(np.isin(of, np.argsort(-each, kind="stable")[:most]))
        weights = np.zeros_like(weights)
        weights[kept] = _bagged(rows, scale, predicted[:, kept], alone[kept], picks, bags, seed)
    return weights


def _bagged(rows: Rows, scale: Scale, predicted: Floats, alone: Floats, picks: int, bags: int, seed: Any) -> Floats:
    k = alone.size
    weights = np.zeros(k)
    for _ in range(bags):
        drawn = np.arange(k) if bags == 1 or k < 3 else np.sort(seed.permutation(k)[: (k + 1) // 2])
        weights[drawn] += _climb(rows, scale, predicted[:, drawn], alone[drawn], picks)
    shares: Floats = weights / weights.sum()
    return shares


def _climb(rows: Rows, scale: Scale, predicted: Floats, alone: Floats, picks: int) -> Floats:
    """Weights of one selection: the counts of the best number of picks, over their sum."""
    order = np.argsort(alone, kind="stable")[:picks]
    together = np.cumsum(predicted[:, order], axis=1)
    start = _best([rows.loss(scale.amounts(together[:, m] / (m + 1))) for m in range(order.size)])
    counts = np.zeros(alone.size)
    counts[order[: start + 1]] = 1.0
    total = together[:, start].copy()
    best, kept = rows.loss(scale.amounts(total / (start + 1))), counts.copy()
    for size in range(start + 2, picks + 1):
        tried = [rows.loss(scale.amounts((total + column) / size)) for column in predicted.T]
        pick = int(np.argmin(tried))
        counts[pick] += 1.0
        total += predicted[:, pick]
        if tried[pick] < best - _LEAST * abs(best):
            best, kept = tried[pick], counts.copy()
    shares: Floats = kept / kept.sum()
    return shares


def _best(losses: list[float]) -> int:
    """The first that no later one betters by more than rounding."""
    best = 0
    for i, loss in enumerate(losses):
        if loss < losses[best] - _LEAST * abs(losses[best]):
            best = i
    return best
