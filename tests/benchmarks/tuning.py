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
from gbreg.tuning import Progress, Tuned, tune
from tests.benchmarks.data import spend
from tests.benchmarks.measure import Plan, Spread, Table, judged

TRIALS, ROUNDS = 50, 100
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

    def tuned(self, n_trials: int, pruner: str | None, storage: Any, progress: Any = None) -> Tuned:
        """The study up to so many trials."""
        more: dict[str, Any] = {"pruner": pruner, "storage": storage, "refit": False, "progress": progress}
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
    n, trials = plan.rows(200_000), 5 if plan.quick else TRIALS
    studies = Studies(n, 20 if plan.quick else ROUNDS)
    studies.plain([{}])  # compiles
    table = Table(
        f"Tuning: {trials} trials, Huberpp on LightGBM, {n:,} x 30",
        "Seconds of a study over those of a loop that tries the same, makes its data set anew for every trial and prunes "
        f"none: in all and, of single trials, the middle and the extremes. At most {studies.model.n_estimators} rounds; "
        "every trial of the loop runs right after the same one of the study.",
        ("study", "time over loop", "by trial", "goal", "met", "best MAE", "of the loop", "pruned"),
    )
    for pruner, goal in GOALS.items():
        spent, looped, scores, found = side_by_side(studies, trials, pruner)
        ratio = sum(spent) / sum(looped)
        table.rows.append(
            (
                f"{pruner} pruning" if pruner else "no pruning",
                f"{ratio:.2f}",
                Spread.of_ratios(spent, looped).text(),
                *judged(ratio, goal),
                f"{found.best_score_:.4f}",
                f"{min(scores):.4f}",
                str(sum(t.state == "pruned" for t in found.trials_)),
            )
        )
    return table


def side_by_side(studies: Studies, trials: int, pruner: str | None) -> tuple[list[float], list[float], list[float], Tuned]:
    """Seconds of every trial of a study and of the same one of the loop, the loop's scores, and the study."""
    storage = optuna.storages.InMemoryStorage()
    spent: list[float] = []
    looped: list[float] = []
    scores: list[float] = []
    began = time.perf_counter()

    def after(state: Progress) -> None:
        nonlocal began
        spent.append(time.perf_counter() - began)
        (study,) = optuna.get_all_study_names(storage)
        drawn = optuna.load_study(study_name=study, storage=storage).trials[-1].params
        took, score = seconds(lambda: studies.plain([drawn]))
        looped.append(took)
        scores.extend(score)
        began = time.perf_counter()

    return spent, looped, scores, studies.tuned(trials, pruner, storage, after)


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
