"""Eight threads that predict with one model at once: errors, and predictions that differ in a bit."""

from __future__ import annotations

from gbreg.engines import ENGINES
from tests.benchmarks.measure import Plan, Table
from tests.race import THREADS, models, predict_at_once, rows


def at_once(plan: Plan) -> list[Table]:
    calls = 20 if plan.quick else 1000
    X, y = rows(400)
    table = Table(
        "Threads",
        f"{THREADS} threads, each {calls:,} predictions of 64 rows with one and the same fitted model; against what "
        "one thread alone predicts.",
        ("estimator", "engine", "predictions", "errors", "differing bits"),
    )
    for engine in ENGINES:
        for name, model in models(engine).items():
            wrong = list(predict_at_once(model.fit(X, y), X[:64], calls))
            differ = sum(found.endswith("predictions differ") for found in wrong)
            counts = THREADS * calls, len(wrong) - differ, differ
            table.rows.append((name, engine, *(f"{count:,}" for count in counts)))
    return [table]
