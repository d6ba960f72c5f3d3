"""The table every benchmark runs on: zero-inflated, heavy-tailed spend, from a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Spend:
    """Features of shape (n, 30) in float64, spend (two thirds zeros), spend had everyone bought, and E[spend | features]."""

    X: NDArray[Any]
    y: NDArray[Any]
    positive: NDArray[Any]
    mean: NDArray[Any]
    weight: NDArray[Any] | None = None


def spend(n: int, seed: int = 0) -> Spend:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 30))
    level = 3.0 + 0.6 * X[:, 0] + 0.4 * np.sin(2.0 * X[:, 1]) + 0.3 * X[:, 2] * X[:, 3]
    chance = 1.0 / (1.0 + np.exp(0.8 - 0.8 * X[:, 4] - 0.5 * X[:, 0]))
    amount = np.maximum(np.round(np.exp(level + 1.2 * rng.standard_normal(n)), 2), 0.01)
    buys = rng.random(n) < chance
    return Spend(X, np.where(buys, amount, 0.0), amount, chance * np.exp(level + 0.72))


def rare(n: int, seed: int = 0) -> Spend:
    """The same with nine tenths zeros."""
    data = spend(n, seed)
    stays = np.random.default_rng([seed, 1]).random(n) < 0.3
    return Spend(data.X, np.where(stays, data.y, 0.0), data.positive, 0.3 * data.mean)
