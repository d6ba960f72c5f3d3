"""What a fresh process waits for: the import, and the compilation of a loss."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import time
from functools import partial
from typing import Any

from tests.benchmarks.data import spend
from tests.benchmarks.measure import Plan, Spread, Table, in_fresh_process, interleave, judged

COMPILED: tuple[tuple[str, dict[str, Any], str], ...] = (
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
        "Time of the first fit in a fresh process minus that of an identical second one (20,000 rows, 2 rounds), s. The "
        "imports before them are a column of their own. Medians of repeated processes (min to max).",
        ("loss", "link", "engine", "imports s", "first fit s", "second fit s", "compilation s", "goal", "met"),
    )
    for loss, parameters, engine in COMPILED[:2] if plan.quick else COMPILED:
        runs = [in_fresh_process(__name__, loss, json.dumps(parameters), engine) for _ in range(2)]
        difference = Spread.of([run["first"] - run["second"] for run in runs])
        table.rows.append(
            (
                loss,
                runs[0]["link"],
                engine,
                *(Spread.of([run[key] for run in runs]).text() for key in ("imports", "first", "second")),
                difference.text(),
                *judged(difference.middle, 2.0, " s"),
            )
        )
    return [table]


def _measure(loss_name: str, parameters: dict[str, Any], engine: str) -> dict[str, Any]:
    start = time.perf_counter()
    from gbreg import GBRegressor
    from gbreg.losses import PointwiseLoss, get_loss

    importlib.import_module(engine)
    imported = time.perf_counter() - start
    data = spend(20_000)  # enough rows for the parallel loop to be compiled too
    loss = get_loss(loss_name, **parameters)
    assert isinstance(loss, PointwiseLoss)
    model = GBRegressor(loss, engine=engine, n_estimators=2, native=False)
    ((first, second),) = interleave([lambda: model.fit(data.X, data.y)], 2)
    return {"imports": imported, "first": first, "second": second, "link": loss.link_.name}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], json.loads(sys.argv[2]), sys.argv[3])))
