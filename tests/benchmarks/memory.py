"""Peak memory of a fit, each in a process of its own. Linux only: the peak is read, and reset, in /proc."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from pathlib import Path

from tests.benchmarks.data import spend
from tests.benchmarks.fits import PAIRS, VARIANTS
from tests.benchmarks.measure import Plan, Spread, Table, in_fresh_process, judged

# Peaks do not grow with rounds, apart from the trees.
ROUNDS = 10


def peaks(plan: Plan) -> list[Table]:
    table = Table(
        "Peak memory of a fit",
        f"Peak resident memory above that after the data was made, MB, {ROUNDS} rounds; GBRegressor(native=False) over the "
        "plain engine API with its native objective, which is held against the goal, and over GBRegressor(native=True). "
        "Every fit has its own process, in which a small one ran before, so that packages and compiled code are not in "
        "these numbers: `fixed` is what they hold, kernel / plain, MB. Medians of repeated processes (min to max).",
        ("loss", "engine", "rows", "kernel MB", "plain MB", "kernel / plain", "kernel / native", "fixed MB", "goal", "met"),
    )
    pairs = PAIRS[:1] if plan.quick else PAIRS
    if not Path("/proc/self/clear_refs").exists():
        table.note = "Not measured: it needs Linux."
        return [table]
    for n in plan.sizes:
        for pair in pairs:
            found: dict[str, list[dict[str, float]]] = {variant: [] for variant in VARIANTS}
            for _ in range(1 if plan.quick or n > 100_000 else 2):
                for variant in VARIANTS:
                    found[variant].append(in_fresh_process(__name__, pair.name, variant, n))
            kernel, native, plain = ([run["peak"] for run in found[variant]] for variant in VARIANTS)
            fixed = (Spread.of([run["fixed"] for run in found[variant]]).middle for variant in ("kernel", "plain"))
            ratio = Spread.of_ratios(kernel, plain)
            table.rows.append(
                (
                    pair.loss,
                    pair.engine,
                    f"{n:,}",
                    Spread.of(kernel).text(digits=0),
                    Spread.of(plain).text(digits=0),
                    ratio.text(),
                    Spread.of_ratios(kernel, native).text(),
                    " / ".join(f"{x:.0f}" for x in fixed),
                    *judged(ratio.middle, 1.1),
                )
            )
    return [table]


def _resident(which: str) -> float:
    """MB of "VmRSS", now, or "VmHWM", at most since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(which)) / 1024


def _give_back() -> None:
    """Return freed memory to the system, or what the small fit left behind would serve the measured one."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)


def _measure(pair_name: str, variant: str, n: int) -> dict[str, float]:
    pair = next(pair for pair in PAIRS if pair.name == pair_name)
    bare = _resident("VmRSS")
    pair.fit(variant, spend(20_000), 2)
    _give_back()
    fixed = _resident("VmRSS") - bare
    data = spend(n)
    _give_back()
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    pair.fit(variant, data, ROUNDS)
    return {"fixed": fixed, "peak": _resident("VmHWM") - before}


if __name__ == "__main__":
    print(json.dumps(_measure(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
