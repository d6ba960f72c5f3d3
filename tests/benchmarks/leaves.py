"""Losses of several outputs on XGBoost: one tree an output, or one tree for all."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from typing import Any
from unittest.mock import patch

import numpy as np
from xgboost.objective import TreeObjective

from gbreg import GBRegressor
from gbreg.engines import xgboost
from gbreg.losses import ZILN, Loss, OrdinalBuckets, SoftmaxBuckets
from tests.benchmarks.data import spend
from tests.benchmarks.measure import Plan, Spread, Table, interleave

LOSSES: dict[str, Loss] = {
    "buckets, rank 2": SoftmaxBuckets(n_buckets=100, rank=2),
    "buckets, rank 4": SoftmaxBuckets(n_buckets=100, rank=4),
    "full softmax, K = 20": SoftmaxBuckets(n_buckets=20, rank=None),
    "shared thresholds, spread": OrdinalBuckets(n_buckets=100, spread=True),
    "ZILN": ZILN(),
}
VARIANTS = ("trees", "vector", "split_grad")


class Sketched(TreeObjective):  # type: ignore[misc]
    """Structure from random projections of the gradients, an eighth as many as outputs, new every round."""

    def __init__(self, objective: Any, whole: Any = xgboost.NativeObjective):
        self.whole = whole(objective)

    def __call__(self, iteration: int, y_pred: Any, dtrain: Any) -> Any:
        return self.whole(y_pred, dtrain)

    def split_grad(self, iteration: int, grad: Any, hess: Any) -> Any:
        n_outputs = grad.shape[1]
        n = max(1, n_outputs // 8)
        directions = np.random.default_rng(iteration).standard_normal((n_outputs, n)).astype(np.float32)
        return grad @ directions / np.sqrt(n), np.repeat(hess.mean(axis=1, keepdims=True), n, axis=1)


def vector_leaves(plan: Plan) -> list[Table]:
    n, rounds = plan.rows(100_000), 4 if plan.quick else 40
    table = Table(
        "Losses of several outputs on XGBoost: trees, vector leaves, split_grad",
        f"Fits of {rounds} rounds by the kernel: one tree an output (the default), one tree with vector leaves "
        "(multi_strategy='multi_output_tree'), and that with splits found on sketched gradients (XGBoost's split_grad, "
        "which its authors mark as under development). Held-out loss of 50,000 other rows. Medians of interleaved "
        "repetitions (min to max).",
        ("loss", "rows", "trees s", "vector / trees", "split_grad / trees", "loss: trees", "vector", "split_grad"),
    )
    data, test, warm = spend(n), spend(50_000, seed=1), spend(5_000)
    models: dict[str, GBRegressor] = {}

    def fit(name: str, variant: str, rows: Any, rounds: int) -> None:
        params = {} if variant == "trees" else {"multi_strategy": "multi_output_tree"}
        model = GBRegressor(LOSSES[name], engine="xgboost", n_estimators=rounds, native=False, engine_params=params)
        with patch.object(xgboost, "NativeObjective", Sketched) if variant == "split_grad" else nullcontext():
            models[variant] = model.fit(rows.X, rows.y)

    for name in LOSSES:
        fit(name, "trees", warm, 2)
        trees, vector, sketched = interleave([partial(fit, name, v, data, rounds) for v in VARIANTS], plan.repeats(2))
        held_out = [models[v].loss_.value(test.y, models[v].predict_raw(test.X)).mean() for v in VARIANTS]
        table.rows.append(
            (
                name,
                f"{n:,}",
                Spread.of(trees).text(),
                Spread.of_ratios(vector, trees).text(),
                Spread.of_ratios(sketched, trees).text(),
                *(f"{value:.4f}" for value in held_out),
            )
        )
    return [table]
