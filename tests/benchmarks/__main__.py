"""Run the benchmarks: ``python -m tests.benchmarks [--only NAME] [--size ROWS] [--quick] [--lss PYTHON] [--out FILE]``."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable
from datetime import date
from importlib.metadata import version
from pathlib import Path

import joblib

from tests.benchmarks import (
    arrived,
    censored,
    exposure,
    families,
    fits,
    kernels,
    leaves,
    memory,
    report,
    serving,
    startup,
    threads,
    tuning,
    xauc,
)
from tests.benchmarks.measure import Plan, Table

BENCHMARKS: dict[str, Callable[[Plan], list[Table]]] = {
    "import": startup.imports,
    "compile": startup.compilation,
    "kernel": kernels.against_copy,
    "share": kernels.of_round,
    "fit": fits.against_native,
    "memory": memory.peaks,
    "bucket memory": memory.of_buckets,
    "families": families.families,
    "leaves": leaves.vector_leaves,
    "tuning": tuning.tuning,
    "xauc": xauc.against_argsort,
    "report": report.of_ten_models,
    "sums": arrived.at_defaults,
    "threads": threads.at_once,
    "one row": serving.one_row,
    "many rows": serving.many_rows,
    "pit": serving.pit_calibration,
    "exposure": exposure.fit_time,
    "censored": censored.kernel_time,
}
PACKAGES = ("gbreg", "numpy", "numba", "lightgbm", "xgboost", "catboost")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description="Ratios, measured in one run.")
    parser.add_argument("--only", choices=BENCHMARKS, help="run this one")
    parser.add_argument("--size", type=int, help="rows; default: 100,000 and 1,000,000 in turn, 200,000 for families")
    parser.add_argument("--quick", action="store_true", help="few rows, rounds and repeats: does it run at all?")
    parser.add_argument("--lss", metavar="PYTHON", help="of an environment with lightgbmlss==0.6.1, to compare with")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the tables there too, as Markdown")
    arguments = parser.parse_args()
    sizes = (20_000,) if arguments.quick else (100_000, 1_000_000)
    plan = Plan((arguments.size,) if arguments.size else sizes, arguments.quick, arguments.lss)

    head = _head()
    print(head)
    written = [f"# Benchmarks\n\n{head}"]
    for name in [arguments.only] if arguments.only else BENCHMARKS:
        for table in BENCHMARKS[name](plan):
            print(table.text(), flush=True)
            written.append(table.markdown())
        if arguments.out:
            arguments.out.write_text("\n".join(written))


def _head() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    threads = {name: value for name, value in os.environ.items() if name.startswith(("OMP_", "NUMBA_", "GOMP_"))}
    return (
        f"{date.today()}, {joblib.cpu_count()} CPUs, {platform.machine()}, load before the run {os.getloadavg()[0]:.2f}, "
        f"thread settings {threads or 'default'}, Python {platform.python_version()}, {versions}\n"
    )


if __name__ == "__main__":
    main()
