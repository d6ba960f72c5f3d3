"""Many threads that predict with one fitted model at once, each held bit for bit to what one thread alone predicts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from typing import Any

import numpy as np

from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    D2QRegressor,
    GBRegressor,
    HurdleRegressor,
    OrdinalRegressor,
    WCERegressor,
    ZILNRegressor,
)

THREADS = 8


def models(engine: str, n_estimators: int = 15) -> dict[str, Any]:
    """One unfitted model of every estimator, those of several boosters or outputs among them."""
    few: dict[str, Any] = {"engine": engine, "n_estimators": n_estimators, "max_leaves": 6, "random_state": 0, "n_jobs": 1}
    return {
        "GBRegressor, native": GBRegressor("squared_error", native=True, **few),
        "GBRegressor, kernel": GBRegressor("expectile", native=False, **few),
        "GBRegressor, early stopping": GBRegressor("tweedie", early_stopping_rounds=3, calibration="spline", **few),
        "HurdleRegressor": HurdleRegressor(GBRegressor("bernoulli", **few), GBRegressor("gamma", **few)),
        "D2QRegressor": D2QRegressor(GBRegressor(**few), group=0, n_groups=4),
        "CalibratedRegressor": CalibratedRegressor(GBRegressor(**few), cv=2),
        "ZILNRegressor": ZILNRegressor(**few),
        "WCERegressor": WCERegressor(**few),
        "OrdinalRegressor": OrdinalRegressor(n_buckets=6, **few),
        "BucketRegressor": BucketRegressor(n_buckets=8, calibration="pit", **few),
    }


def rows(n: int, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, np.where(rng.random(n) < 0.4, 0.0, np.exp(1 + X[:, 0] + 0.5 * rng.normal(size=n)))


def at_once(tasks: list[Callable[[], Any]]) -> list[Any]:
    """What they return, or the errors they raise; each runs in a thread of its own, and all start together."""
    gate = threading.Barrier(len(tasks))

    def run(task: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return task()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def predict_at_once(model: Any, X: Any, calls: int, jobs: tuple[int, ...] = (1,)) -> Iterator[str]:
    """The errors, and the predictions that differ in a bit from those of one thread, of `THREADS` threads x `calls`.

    Thread k predicts with ``jobs[k % len(jobs)]`` threads of the engine where the model itself has an `n_jobs`.
    """
    expected = model.predict(X)

    def call(n_jobs: int) -> list[str]:
        mine = copy(model)
        if hasattr(mine, "n_jobs"):
            mine.n_jobs = n_jobs
        wrong = []
        for _ in range(calls):
            try:
                got = mine.predict(X)
            except Exception as error:
                wrong.append(f"{type(error).__name__}: {error}")
                continue
            if got.tobytes() != expected.tobytes():
                wrong.append(f"{(got != expected).sum()} predictions differ")
        return wrong

    for found in at_once([lambda k=k: call(jobs[k % len(jobs)]) for k in range(THREADS)]):
        yield from found if isinstance(found, list) else [repr(found)]
