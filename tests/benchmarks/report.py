"""The report of ten models."""

from __future__ import annotations

import tempfile
import time

import numpy as np
import pandas as pd

import gbreg
from tests.benchmarks.measure import Plan, Spread, Table, judged

MODELS = 10


def of_ten_models(plan: Plan) -> list[Table]:
    n = 20_000 if plan.quick else plan.rows(100_000)
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(n, 10)), columns=[f"feature {j}" for j in range(10)])
    mean = np.exp(1.0 + X["feature 0"].to_numpy())
    y = np.where(rng.random(n) < 0.4, 0.0, mean * rng.lognormal(size=n))
    models = {f"model {i}": mean * rng.lognormal(0.1 * i - 0.5, 0.1 * i + 0.1, n) for i in range(MODELS)}
    segment = rng.choice([f"country {i}" for i in range(40)], n)
    seconds, cpu = [], []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(1 + plan.repeats(3)):
            start, spent = time.perf_counter(), time.process_time()
            path = gbreg.report(models, X, y, segment=segment, train=(X + 0.3, 1.1 * y), path=f"{folder}/report.html")
            seconds.append(time.perf_counter() - start)
            cpu.append(time.process_time() - spent)
        megabytes = path.stat().st_size / 1e6
    table = Table(
        f"Report of {MODELS} models",
        f"{n:,} rows, 10 features, 40 segments, with train; the first, which compiles XAUC, left out: median (min to max).",
        ("", "measured", "goal", "met"),
    )
    wall = Spread.of(seconds[1:])
    table.rows.append(("seconds", wall.text(), *judged(wall.middle, 3.0)))
    table.rows.append(("of them on the processor", Spread.of(cpu[1:]).text(), "", ""))
    table.rows.append(("megabytes", f"{megabytes:.2f}", *judged(megabytes, 3.0)))
    return [table]
