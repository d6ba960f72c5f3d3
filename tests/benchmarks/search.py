"""A search over losses against the boosters' own objectives, each tuned with as many trials, on rows not seen.

``python -m tests.benchmarks.search FOLDER [--sets ...] [--metrics ...] [--trials 50] [--folds 3] ...``

FOLDER and splits are those of `tests.benchmarks.quality`: trials are judged on the last fifth of "train", the best of each
study is trained on all of it and judged once on "test". A native study tries LightGBM's own objective as teams do today, in
a loop around `LGBMRegressor` that stops early by that objective, over the same ranges of boosting; it records all metrics
of every trial and is read once for each. Of the five native studies the one that does best *on the test rows* is the rival.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
from joblib import Memory
from lightgbm import LGBMClassifier, LGBMRegressor, early_stopping

from gbreg import GBRegressor
from gbreg.metrics import difference, directed
from gbreg.tuning import tune
from gbreg.tuning.space import BOOSTING, Space
from tests.benchmarks.measure import Table
from tests.benchmarks.quality import SETS, DataSet, Floats, Part, _parts

METRICS = ("mae", "xauc", "normalized_gini", "rmse")
NATIVE_NAMES = {
    "max_leaves": "num_leaves",
    "colsample": "colsample_bytree",
}
PATIENCE = 50
Parameters = Mapping[str, Any]
Predict = Callable[[Any], Floats]
# Fits with parameters of LightGBM, and rounds to take or rows to stop by; says what predicts, and the rounds taken.
Fit = Callable[[Parameters, Part, "Part | list[int]"], tuple[Predict, list[int]]]


def boosted(cls: Any, parameters: Parameters, rows: Part, stop: Part | int) -> Any:
    """One booster, stopped early by rows of its own or after so many rounds."""
    if isinstance(stop, int):
        return cls(**parameters | {"n_estimators": max(1, stop)}).fit(rows.X, rows.y, sample_weight=rows.weight)
    watched = {"eval_X": stop.X, "eval_y": stop.y, "eval_sample_weight": None if stop.weight is None else [stop.weight]}
    callbacks = [early_stopping(PATIENCE, verbose=False)]
    return cls(**parameters).fit(rows.X, rows.y, sample_weight=rows.weight, callbacks=callbacks, **watched)


def plain(objective: str) -> Fit:
    def fit(parameters: Parameters, rows: Part, stop: Part | list[int]) -> tuple[Predict, list[int]]:
        model = boosted(
            LGBMRegressor, {**parameters, "objective": objective}, rows, stop if isinstance(stop, Part) else stop[0]
        )
        return model.predict, [model.best_iteration_ or model.n_estimators]

    return fit


def log1p(parameters: Parameters, rows: Part, stop: Part | list[int]) -> tuple[Predict, list[int]]:
    logs = stop.with_labels(np.log1p(stop.y)) if isinstance(stop, Part) else stop
    predict, rounds = plain("regression")(parameters, rows.with_labels(np.log1p(rows.y)), logs)
    return lambda X: np.expm1(predict(X)), rounds


def gamma_hurdle(parameters: Parameters, rows: Part, stop: Part | list[int]) -> tuple[Predict, list[int]]:
    def part(of: Part, positive: bool) -> Part:
        return of[np.flatnonzero(of.y > 0)] if positive else of.with_labels((of.y > 0).astype(float))

    stops = [part(stop, k == 1) for k in (0, 1)] if isinstance(stop, Part) else stop
    some = boosted(LGBMClassifier, parameters, part(rows, False), stops[0])
    how = boosted(LGBMRegressor, {**parameters, "objective": "gamma"}, part(rows, True), stops[1])
    rounds = [model.best_iteration_ or model.n_estimators for model in (some, how)]
    return lambda X: some.predict_proba(X)[:, 1] * how.predict(X), rounds


NATIVE: dict[str, Fit] = {
    "squared error": plain("regression"),
    "Tweedie": plain("tweedie"),
    "Poisson": plain("poisson"),
    "binary x gamma": gamma_hurdle,
    "squared error of log1p": log1p,
}


@dataclass(frozen=True)
class Setting:
    """A set's rows, and how much is spent on each study."""

    data: DataSet
    train: Part
    sooner: Part
    later: Part
    test: Part
    trials: int
    rounds: int

    @classmethod
    def of(cls, folder: Path, data: DataSet, rows: int, trials: int, rounds: int) -> Setting:
        def some(part: Part) -> Part:
            if part.y.size <= rows:
                return part
            return part[np.sort(np.random.default_rng(0).choice(part.y.size, rows, replace=False))]

        train, test = _parts(folder, data, "test")
        sooner, later = _parts(folder, data, "validation")
        return cls(data, some(train), some(sooner), some(later), test, trials, rounds)

    def score(self, metric: str, rows: Part, predicted: Floats) -> float:
        return float(directed(metric)(rows.y, predicted, rows.weight))


def native(setting: Setting, objective: str) -> dict[str, tuple[Floats, str]]:
    """For every metric the test predictions of the study's best trial by it, and what that was."""
    fit = NATIVE[objective]
    fixed = {"n_estimators": setting.rounds, "subsample_freq": 1, "random_state": 0, "verbose": -1, "n_jobs": 1}
    found: list[list[int]] = []

    def drawn(trial: Any) -> dict[str, Any]:
        own = {NATIVE_NAMES.get(name, name): value for name, value in Space(BOOSTING, frozenset()).draw(trial).items()}
        power = {"tweedie_variance_power": trial.suggest_float("power", 1.05, 1.95)} if objective == "Tweedie" else {}
        return fixed | own | power

    def objectives(trial: optuna.Trial) -> list[float]:
        predict, rounds = fit(drawn(trial), setting.sooner, setting.later)
        found.append(rounds)
        predicted = predict(setting.later.X)
        return [setting.score(metric, setting.later, predicted) for metric in METRICS]

    ways = ["maximize" if directed(metric).greater_is_better else "minimize" for metric in METRICS]
    study = optuna.create_study(directions=ways, sampler=optuna.samplers.TPESampler(seed=0))
    study.optimize(objectives, setting.trials)
    signs = [-1.0 if way == "maximize" else 1.0 for way in ways]
    bests = [min(study.trials, key=lambda t, k=k: signs[k] * t.values[k]) for k in range(len(METRICS))]  # type: ignore[misc]
    predicted = {}
    for best in bests:
        if best.number not in predicted:  # often best by several metrics
            predict, _ = fit(drawn(optuna.trial.FixedTrial(best.params)), setting.train, found[best.number])
            predicted[best.number] = np.asarray(predict(setting.test.X))
    return {metric: (predicted[best.number], objective) for metric, best in zip(METRICS, bests, strict=True)}


def searched(setting: Setting, metric: str, folds: int | None) -> tuple[Floats, str]:
    """Test predictions of the best model of a search over all losses, and its label."""
    if folds is None:
        parts, groups = (setting.sooner, setting.later), None
        first, n = setting.sooner.y.size, sum(part.y.size for part in parts)
        cv: Any = [(np.arange(first), np.arange(first, n))]
    else:
        parts, groups, cv = (setting.train,), setting.train.keys, folds
    weight = None if setting.train.weight is None else np.concatenate([part.weight for part in parts])
    found = tune(
        GBRegressor(n_estimators=setting.rounds, n_jobs=1),
        pd.concat([part.X for part in parts]),
        np.concatenate([part.y for part in parts]),
        cv=cv,
        groups=groups,
        sample_weight=weight,
        metric=metric,
        losses="all",
        n_trials=setting.trials,
        early_stopping_rounds=PATIENCE,
        refit=False,
    )
    model = found.best_estimator_
    model.fit(setting.train.X, setting.train.y, sample_weight=setting.train.weight)
    return model.predict(setting.test.X), found.best_params_["recipe"]


def compared(setting: Setting, metrics: list[str], folds: int | None, memory: Memory) -> Table:
    """A row for every metric: the search's best against the best of the native studies, on the test rows."""
    natives = []
    for objective in NATIVE:
        start = time.perf_counter()
        natives.append(memory.cache(native)(setting, objective))
        print(f"{setting.data.name}: {objective}, {time.perf_counter() - start:.0f} s", flush=True)
    test, users = setting.test, setting.test.keys
    table = Table(
        f"{setting.data.name}: {setting.trials} trials" + (f", those of the search on {folds} folds" if folds else ""),
        f"{setting.train.y.size:,} rows to train on, {test.y.size:,} to judge by. Difference: ours less theirs, with the "
        f"95% interval of a paired bootstrap over {setting.data.keys[0]}; won and lost where it leaves out 0.",
        ("metric", "best native", "score", "search found", "score", "difference", "verdict", "s"),
    )
    for metric in metrics:
        directed_metric = directed(metric)
        sign = 1.0 if directed_metric.greater_is_better else -1.0
        rival, name = max((of[metric] for of in natives), key=lambda found: sign * setting.score(metric, test, found[0]))
        start = time.perf_counter()
        ours, label = memory.cache(searched)(setting, metric, folds)
        seconds = time.perf_counter() - start
        gap = difference(directed_metric, test.y, ours, rival, test.weight, by=users, n_resamples=300)
        verdict = "won" if sign * gap.low > 0 and sign * gap.high > 0 else "open"
        verdict = "lost" if sign * gap.low < 0 and sign * gap.high < 0 else verdict
        cells = (f"{setting.score(metric, test, predicted):.4g}" for predicted in (rival, ours))
        theirs, own = cells
        table.rows.append((metric, name, theirs, label, own, str(gap), verdict, f"{seconds:.0f}"))
        print(" | ".join(table.rows[-1]), flush=True)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.search", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--metrics", nargs="*", choices=METRICS, default=list(METRICS), help="none: the native studies only")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--rows", type=int, default=20_000, help="at most so many rows to train on, drawn at random")
    parser.add_argument("--rounds", type=int, default=300, help="at most")
    parser.add_argument("--folds", type=int, help="judge trials of the search on so many folds of the training rows instead")
    parser.add_argument("--cache", type=Path, help="a folder that keeps what studies found")
    given = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", ".*a constant is predicted")
    for name in given.sets:
        setting = Setting.of(given.folder, SETS[name], given.rows, given.trials, given.rounds)
        print(compared(setting, given.metrics, given.folds, Memory(given.cache, verbose=0)).markdown(), flush=True)


if __name__ == "__main__":
    main()
