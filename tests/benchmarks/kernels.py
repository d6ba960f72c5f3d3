"""Kernels against a memory copy, and against the LightGBM round that they are part of."""

from __future__ import annotations

import time
from typing import Any
from unittest.mock import patch

import numpy as np

from gbreg import GBRegressor
from gbreg.engines import Objective, lightgbm, thread_count
from gbreg.losses import Huberpp, PointwiseLoss, SquaredError
from tests.benchmarks.data import Spend, spend
from tests.benchmarks.measure import Plan, Spread, Table, interleave, judged
from tests.cases import CASES

# Quadratic or piecewise linear in the raw score, if the link is the identity.
POLYNOMIAL = {"squared_error", "absolute_error", "quantile", "expectile", "huber", "huberpp"}
# Bytes a row: label, raw score and weight are read, gradient and Hessian written.
RAW_DTYPES = {"lightgbm": np.float64, "xgboost": np.float32}


def _case(loss: PointwiseLoss, data: Spend) -> tuple[PointwiseLoss, Any, Any]:
    """The loss fitted to labels of its domain, those labels, and scores such as a good model has."""
    # The median of mostly zeros is 0, which a log link cannot give.
    zeros = loss.y_domain.contains(0.0) and loss.functional not in ("median", "quantile")
    y = data.y if zeros else data.positive
    loss = loss.fit(y)
    return loss, y.astype(np.float32), loss.to_raw(data.mean) - loss.intercept_[0]


def against_copy(plan: Plan) -> list[Table]:
    threads = thread_count(None)
    table = Table(
        "Kernel against memory copy",
        "Gradient and Hessian of all rows as the engine asks for them (labels, weights and outputs float32; raw scores "
        "float64 for LightGBM, float32 for XGBoost) over np.copyto moving, reads and writes together, the same number of "
        f"bytes. Like with like is one thread over one thread, held against the goal. `all cores` (LightGBM) is {threads} "
        "threads over the same one-threaded copy. Medians of interleaved repetitions (min to max).",
        ("loss", "link", "engine", "rows", "ns a row", "1 thread / copy", "all cores / copy", "goal", "met"),
    )
    # Amounts are no probabilities: Bernoulli is the kernel of WCE without its weights.
    amounts = [case for case in CASES if case.y_domain.contains(1e6)]
    cases = amounts[::7] if plan.quick else amounts
    for n in plan.sizes:
        data = spend(n)
        for case in cases:
            loss, y, scores = _case(case, data)
            for engine, dtype in RAW_DTYPES.items():
                raw = scores.astype(dtype)
                source = np.ones(n * (4 + raw.itemsize + 4 + 8) // 2, dtype=np.uint8)
                target = np.ones_like(source)
                calls = max(1, 500_000 // n)

                def copy(source: Any = source, target: Any = target, calls: int = calls) -> None:
                    for _ in range(calls):
                        np.copyto(target, source)

                ratios = []
                for n_threads in (1, threads) if engine == "lightgbm" else (1,):
                    objective = Objective(loss, n_threads=n_threads)

                    def kernel(objective: Any = objective, y: Any = y, raw: Any = raw, calls: int = calls) -> None:
                        for _ in range(calls):
                            objective.gradient_hessian(y, raw)

                    interleave([kernel, copy], 1)
                    seconds, base = interleave([kernel, copy], plan.repeats(15 if n <= 100_000 else 7))
                    ratios.append(Spread.of_ratios(seconds, base))
                    if n_threads == 1:
                        each = Spread.of(seconds).middle / (n * calls) * 1e9
                polynomial = loss.name in POLYNOMIAL and loss.link_.name == "identity"
                table.rows.append(
                    (
                        loss.name,
                        loss.link_.name,
                        engine,
                        f"{n:,}",
                        f"{each:.2f}",
                        ratios[0].text(),
                        ratios[1].text() if len(ratios) > 1 else "",
                        *judged(ratios[0].middle, 4.0 if polynomial else 8.0),
                    )
                )
    return [table]


def of_round(plan: Plan) -> list[Table]:
    table = Table(
        "Share of the kernel in a LightGBM round",
        "Time inside the objective within a real fit (fetching the labels included), over the time of the rounds alone, "
        "which is held against the goal, and over the whole fit. Medians of repeated fits (min to max).",
        ("loss", "link", "rows", "kernel ms", "round ms", "% of rounds", "% of fit", "goal", "met"),
    )
    losses = [SquaredError(), Huberpp(label_floor=1.0), Huberpp(label_floor=1.0, link="log")]
    warm = spend(20_000)
    for loss in losses:
        GBRegressor(loss, n_estimators=2, native=False).fit(warm.X, warm.y)
    for n in plan.sizes:
        data = spend(n)
        for loss in losses:
            model = GBRegressor(loss, n_estimators=plan.rounds(n), native=False)
            kernel, rounds, of_rounds, of_fit = zip(*(_shares(model, data) for _ in range(plan.repeats(3))), strict=True)
            share = Spread.of(of_rounds)
            table.rows.append(
                (
                    loss.name,
                    loss.link_.name,
                    f"{n:,}",
                    Spread.of(kernel).text(1e3),
                    Spread.of(rounds).text(1e3, 1),
                    share.text(100),
                    Spread.of(of_fit).text(100),
                    *judged(share.middle, 0.05, "%", 100),
                )
            )
    return [table]


def _shares(model: GBRegressor, data: Spend) -> tuple[float, float, float, float]:
    """Seconds of one kernel call and of one round, and the kernel's shares of all rounds and of the fit."""
    original = lightgbm.NativeObjective.__call__
    starts, inside = [], []

    def timed(self: Any, preds: Any, train_data: Any) -> Any:
        starts.append(time.perf_counter())
        result = original(self, preds, train_data)
        inside.append(time.perf_counter() - starts[-1])
        return result

    with patch.object(lightgbm.NativeObjective, "__call__", timed):
        begin = time.perf_counter()
        model.fit(data.X, data.y)
        fit = time.perf_counter() - begin
    # From the first call to the last there are len - 1 whole rounds.
    rounds = (starts[-1] - starts[0]) / (len(starts) - 1)
    kernel = sum(inside[:-1]) / (len(starts) - 1)
    return kernel, rounds, kernel / rounds, sum(inside) / fit
