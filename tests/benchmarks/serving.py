"""Predictions against the boosters' own calls: one row, and a million; and PIT calibration."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from gbreg import BucketRegressor, GBRegressor
from gbreg.calibration import PITCalibrator
from gbreg.distribution import LogNormalDistribution, ZeroInflated
from tests.benchmarks.data import spend
from tests.benchmarks.measure import Plan, Spread, Table, judged

Call = Callable[[], object]
# What makes the model, and the most that its prediction may cost.
MODELS: dict[str, tuple[Callable[..., Any], float]] = {
    "GBRegressor": (GBRegressor, 2.0),
    "BucketRegressor": (BucketRegressor, 2.5),
}
ENGINES = ("lightgbm", "xgboost", "catboost")
CALLS = 200


def _fitted(plan: Plan, model: Callable[..., Any], engine: str) -> Any:
    data = spend(5_000 if plan.quick else 20_000)
    rounds = 10 if plan.quick else 100
    return model(engine=engine, n_estimators=rounds, n_jobs=1, random_state=0).fit(data.X, data.y)


def _own(model: Any, X: Any) -> Call:
    """The call of each booster of the model by itself, on one thread."""
    boosters = model.booster_ if isinstance(model.booster_, tuple) else (model.booster_,)
    how: Mapping[str, Callable[[Any], Any]] = {
        "lightgbm": lambda booster: booster.predict(X, raw_score=True, num_threads=1),
        "xgboost": lambda booster: booster.inplace_predict(X, predict_type="margin"),
        "catboost": lambda booster: booster.predict(X, prediction_type="RawFormulaVal", thread_count=1),
    }
    return lambda: [how[model.engine](booster) for booster in boosters]


def _seconds(calls: list[Call], times: int, repeats: int) -> list[list[float]]:
    """Processor seconds of each call, made so many times, in turn."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(repeats):
        for call, own in zip(calls, seconds, strict=True):
            start = time.process_time()
            for _ in range(times):
                call()
            own.append((time.process_time() - start) / times)
    return seconds


def one_row(plan: Plan) -> list[Table]:
    """`predict` of a numpy row, with all its checks."""
    table = Table(
        "One row",
        "Processor time of predict over that of the boosters' own calls on the same row (a BucketRegressor has two): models "
        "of 100 rounds on 30 features, one thread; medians of interleaved repetitions (min to max).",
        ("model", "engine", "own, microseconds", "predict, microseconds", "predict / own", "goal", "met"),
    )
    row = spend(2, 1).X[:1]
    for name, (make, goal) in MODELS.items():
        for engine in ENGINES:
            model = _fitted(plan, make, engine)
            calls = [_own(model, row), partial(model.predict, row)]
            _seconds(calls, 1, 1)
            own, ours = _seconds(calls, CALLS, plan.repeats(15))
            ratio = Spread.of_ratios(ours, own)
            middle = (Spread.of(own).text(1e6, 0), Spread.of(ours).text(1e6, 0), ratio.text())
            table.rows.append((name, engine, *middle, *judged(ratio.middle, goal)))
    return [table]


def many_rows(plan: Plan) -> list[Table]:
    """What can be read of a `BucketRegressor`, for many rows at once."""
    n = 20_000 if plan.quick else plan.rows(1_000_000)
    data = spend(n, 1)
    table = Table(
        f"{n:,} rows of a BucketRegressor",
        "Processor time over that of its two boosters' own calls on the same rows: models of 100 rounds on 30 features, one "
        "thread; medians of interleaved repetitions (min to max).",
        ("engine", "read", "own s", "ours s", "ours / own", "goal", "met"),
    )
    for engine in ENGINES:
        model = _fitted(plan, BucketRegressor, engine)
        for call in _reads(model, data.X[:100], data.y[:100]).values():
            call()
        reads = _reads(model, data.X, data.y)
        own, *ours = _seconds([_own(model, data.X), *reads.values()], 1, plan.repeats(3))
        for name, seconds in zip(reads, ours, strict=True):
            ratio, goal = Spread.of_ratios(seconds, own), {"predict": 1.15, "crps": 2.0}.get(name, 1.5)
            middle = (Spread.of(own).text(), Spread.of(seconds).text(), ratio.text())
            table.rows.append((engine, name, *middle, *judged(ratio.middle, goal)))
    return [table]


def _reads(model: Any, X: Any, y: Any) -> dict[str, Call]:
    return {
        "predict": partial(model.predict, X),
        "predict_quantile": partial(model.predict_quantile, X, 0.9),
        **{name: partial(model.predict, X, name) for name in ("median", "mode", "log_mean")},
        "interval": lambda: model.predict_distribution(X).interval(),
        "sf": lambda: model.predict_distribution(X).sf(y),
        "crps": lambda: model.predict_distribution(X).crps(y),
    }


def pit_calibration(plan: Plan) -> list[Table]:
    """The map of levels, learnt from labels of which 80% are an atom."""
    n = 20_000 if plan.quick else plan.rows(200_000)
    rng = np.random.default_rng(0)
    chance, level = rng.beta(2.0, 8.0, n), rng.normal(size=n)
    predicted = ZeroInflated(chance, LogNormalDistribution(level, 1.0))
    y = np.where(rng.random(n) < 0.9 * chance, np.exp(level + 1.3 * rng.normal(size=n)), 0.0)
    (seconds,) = _seconds([lambda: PITCalibrator().fit(predicted, y)], 1, plan.repeats(5))
    found = Spread.of(seconds)
    table = Table(
        "PIT calibration",
        f"Processor seconds of PITCalibrator.fit on {n:,} rows, {np.mean(y == 0):.0%} of them 0: median (min to max).",
        ("seconds", "goal", "met"),
    )
    table.rows.append((found.text(), *judged(found.middle, 1.0)))
    return [table]
