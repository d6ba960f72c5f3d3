"""What a fresh process waits for: the import, and the compilation of a loss."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import tempfile
import time
from functools import partial
from typing import Any

from tests.benchmarks.data import spend
from tests.benchmarks.measure import Plan, Spread, Table, in_fresh_process, interleave, judged

COMPILED: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("bucket", {}, "lightgbm"),
    ("squared_error", {}, "lightgbm"),
    ("squared_error", {"link": "softplus"}, "lightgbm"),
    ("huberpp", {"label_floor": 1.0, "link": "log"}, "lightgbm"),
    ("huberpp", {"label_floor": 1.0, "link": "log"}, "xgboost"),
    ("huberpp", {"label_floor": 1.0, "link": "log"}, "catboost"),
    ("tweedie", {}, "lightgbm"),
)


def imports(plan: Plan) -> list[Table]:
    table = Table(
        "Import",
        '`python -c "import gbreg"` minus `python -c pass`, each a fresh process, interleaved, ms: median (min to max).',
        ("import gbreg ms", "pass ms", "difference ms", "goal", "met"),
    )
    run = partial(subprocess.run, check=True)
    commands = [partial(run, [sys.executable, "-c", code]) for code in ("import gbreg", "pass")]
    interleave(commands, 1)
    ours, bare = interleave(commands, plan.repeats(25))
    difference = Spread.of([a - b for a, b in zip(ours, bare, strict=True)])
    table.rows.append(
        (
            Spread.of(ours).text(1e3, 1),
            Spread.of(bare).text(1e3, 1),
            difference.text(1e3, 1),
            *judged(difference.middle, 0.1, " ms", 1e3),
        )
    )
    return [table]


def compilation(plan: Plan) -> list[Table]:
    table = Table(
        "Compilation",
        "Processor seconds of the first fit in a fresh process minus those of an identical second (20,000 rows, 2 rounds): "
        "with an empty cache of kernels, and in the next process. Medians of repeated processes (min to max).",
        ("model", "engine", "imports s", "second fit s", "empty cache s", "next process s", "goal", "met"),
    )
    for loss, parameters, engine in COMPILED[:2] if plan.quick else COMPILED:
        empty, filled = [], []
        for _ in range(plan.repeats(3)):
            with tempfile.TemporaryDirectory() as place:
                for runs in (empty, filled):
                    runs.append(in_fresh_process(__name__, loss, json.dumps(parameters), engine, GBREG_CACHE_DIR=place))
        waits = [Spread.of([run["first"] - run["second"] for run in runs]) for runs in (empty, filled)]
        settings = ", ".join(f"{name} {value}" for name, value in parameters.items())
        table.rows.append(
            (
                f"{loss} {settings}".strip(),
                engine,
                *(Spread.of([run[key] for run in filled]).text() for key in ("imports", "second")),
                *(wait.text() for wait in waits),
                *judged(waits[1].middle, 0.3, " s"),
            )
        )
    return [table]


def _measure(loss_name: str, parameters: dict[str, Any], engine: str) -> dict[str, Any]:
    start = time.process_time()
    from gbreg import BucketRegressor, GBRegressor
    from gbreg.losses import get_loss

    importlib.import_module(engine)
    imported = time.process_time() - start
    data = spend(20_000)  # enough rows for several threads
    rounds: dict[str, Any] = {"engine": engine, "n_estimators": 2}
    if loss_name == "bucket":
        model: Any = BucketRegressor(**rounds, **parameters)
    else:
        model = GBRegressor(get_loss(loss_name, **parameters), native=False, **rounds)
    seconds = []
    for _ in range(2):
        start = time.process_time()
        model.fit(data.X, data.y)
        seconds.append(time.process_time() - start)
    return {"imports": imported, "first": seconds[0], "second": seconds[1]}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])))
