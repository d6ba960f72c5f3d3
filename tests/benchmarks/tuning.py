"""A study of Huberpp and the boosters' parameters against the same trials in a plain loop."""

from __future__ import annotations

import tempfile
import time
import warnings
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from sklearn.base import clone

from gbreg import GBRegressor
from gbreg.losses import Huberpp
from gbreg.metrics import get_metric
from gbreg.tuning import Tuned, tune
from tests.benchmarks.data import spend
from tests.benchmarks.measure import Plan, Spread, Table, judged

TRIALS, BLOCK, ROUNDS = 50, 10, 100
GOALS = {"median": 0.5, None: 0.7}
OVERHEAD = 0.05  # seconds a trial


class Studies:
    """The same table, split once, for every way to try parameters."""

    def __init__(self, n: int, rounds: int):
        data = spend(n)
        first = n - n // 5
        self.train = (data.X[:first], data.positive[:first])
        self.test = (data.X[first:], data.positive[first:])
        self.model = GBRegressor(Huberpp(link="log"), n_estimators=rounds)
        self.storage: dict[Any, Any] = {pruner: optuna.storages.InMemoryStorage() for pruner in GOALS}

    def tuned(self, n_trials: int, pruner: str | None, storage: Any = None) -> Tuned:
        """The study up to so many trials."""
        storage = storage or self.storage[pruner]
        more: dict[str, Any] = {"pruner": pruner, "storage": storage, "refit": False}
        return tune(self.model, *self.train, eval_set=self.test, metric="mae", n_trials=n_trials, **more)

    def plain(self, parameters: list[dict[str, Any]]) -> list[float]:
        """Scores of a loop that fits and measures a model at a time."""
        scores = []
        for drawn in parameters:
            model = clone(self.model).set_params(early_stopping_rounds=50, eval_metric="mae", **drawn)
            model.fit(*self.train, eval_set=self.test)
            scores.append(get_metric("mae")(self.test[1], model.predict(self.test[0])))
        return scores


def seconds(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def tuning(plan: Plan) -> list[Table]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", ".*a constant is predicted")
    return [against_loop(plan), overhead(plan)]


def against_loop(plan: Plan) -> Table:
    n, block = plan.rows(200_000), 2 if plan.quick else BLOCK
    trials = 3 * block if plan.quick else TRIALS
    studies = Studies(n, 20 if plan.quick else ROUNDS)
    studies.plain([{}])  # compiles
    took: dict[Any, list[float]] = {pruner: [] for pruner in GOALS}
    looped, scores = [], []
    for done in range(block, trials + 1, block):
        for pruner in GOALS:
            spent, found = seconds(lambda pruner=pruner, done=done: studies.tuned(done, pruner))  # type: ignore[misc]
            took[pruner].append(spent)
        drawn = [dict(t.parameters) for t in found.trials_[-block:]]  # of the study that does not prune
        spent, of_loop = seconds(lambda drawn=drawn: studies.plain(drawn))  # type: ignore[misc]
        looped.append(spent)
        scores += of_loop
    table = Table(
        f"Tuning: {trials} trials, Huberpp on LightGBM, {n:,} x 30",
        "Seconds of a study over those of a loop that makes its data set anew for every trial and prunes none, in blocks of "
        f"{block} trials in turn (a study bins once a block), at most {studies.model.n_estimators} rounds; the loop tries "
        "what the study without pruning tries.",
        ("study", "time over loop, in all", "by block", "goal", "met", "best MAE", "of the loop", "pruned"),
    )
    for pruner, goal in GOALS.items():
        ratio = sum(took[pruner]) / sum(looped)
        found = studies.tuned(trials, pruner)
        pruned = sum(t.state == "pruned" for t in found.trials_)
        table.rows.append(
            (
                f"{pruner} pruning" if pruner else "no pruning",
                f"{ratio:.2f}",
                Spread.of_ratios(took[pruner], looped).text(),
                *judged(ratio, goal),
                f"{found.best_score_:.4f}",
                f"{min(scores):.4f}",
                str(pruned),
            )
        )
    return table


def overhead(plan: Plan) -> Table:
    """What the tuner itself takes, on a table whose models take next to nothing."""
    repeats, trials = plan.repeats(5), 10 if plan.quick else TRIALS
    studies = Studies(1000, 10)
    studies.plain([{}])
    table = Table(
        "Tuning: overhead",
        f"Milliseconds a trial beyond the same trials in a plain loop: {trials} trials, 1,000 rows, 10 rounds.",
        ("storage", "ms a trial", "goal", "met"),
    )
    for kind, pruner in product(("memory", "SQLite", "journal"), GOALS):
        each = []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as folder:
                files = {"SQLite": Path(folder) / "study.db", "journal": Path(folder) / "study.log"}
                storage = files.get(kind) or optuna.storages.InMemoryStorage()
                spent, found = seconds(lambda storage=storage, pruner=pruner: studies.tuned(trials, pruner, storage))  # type: ignore[misc]
            parameters = [dict(t.parameters) for t in found.trials_]  # the loop trains pruned ones to the end: at most
            each.append((spent - seconds(lambda p=parameters: studies.plain(p))[0]) / trials)  # type: ignore[misc]
        table.rows.append(
            (
                f"{kind}, {pruner} pruning" if pruner else kind,
                Spread.of(each).text(1e3, 1),
                *judged(float(np.median(each)), OVERHEAD, " ms", 1e3),
            )
        )
    return table
