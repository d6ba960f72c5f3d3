"""XAUC against one argsort of as many rows."""

from __future__ import annotations

import numpy as np

from gbreg.metrics import xauc
from tests.benchmarks.measure import Plan, Spread, Table, interleave, judged


def against_argsort(plan: Plan) -> list[Table]:
    n = 100_000 if plan.quick else plan.rows(10_000_000)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(n) < 0.4, 0.0, rng.exponential(size=n))
    predictions = {"all different": rng.exponential(size=n) + 0.2 * y}
    predictions["a thousand different"] = np.round(predictions["all different"] * 100) / 100
    weight = rng.random(n)
    xauc(y[:10], predictions["all different"][:10])  # compiles
    table = Table(
        "XAUC",
        f"{n:,} rows, 40% of the labels 0, one thread; ratio to numpy's argsort of the predictions, interleaved: median "
        "(min to max).",
        ("predictions", "weights", "argsort s", "XAUC s", "ratio", "goal", "met"),
    )
    for name, p in predictions.items():
        for w in (None, weight):
            ours, sort = interleave([lambda p=p, w=w: xauc(y, p, w), lambda p=p: np.argsort(p)], plan.repeats(3))
            ratio = Spread.of_ratios(ours, sort)
            times = (Spread.of(sort).text(), Spread.of(ours).text(), ratio.text())
            table.rows.append((name, "no" if w is None else "yes", *times, *judged(ratio.middle, 3.0)))
    return [table]
