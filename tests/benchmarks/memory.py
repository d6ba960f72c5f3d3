"""Peak memory of a fit, each in a process of its own. Linux only: the peak is read, and reset, in /proc."""

from __future__ import annotations

import ctypes
import gc
import json
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.data import Spend, spend
from tests.benchmarks.fits import PAIRS, VARIANTS, plain_lightgbm
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


@dataclass(frozen=True)
class Buckets:
    """A bucket model of `rank` trees a round on LightGBM, and what its outputs cost by themselves.

    "least" is LightGBM with an objective that fills one gradient and one Hessian, made once; "native" its multiclass with
    as many classes as the model has outputs.
    """

    rank: int
    n_buckets: int = 100

    @property
    def name(self) -> str:
        return f"buckets-{self.rank}"

    def fit(self, variant: str, data: Spend, rounds: int) -> Any:
        if variant == "native":
            labels = np.searchsorted(np.quantile(data.positive, np.arange(1, self.rank) / self.rank), data.positive)
            objective = {"objective": "multiclass", "num_class": self.rank}
            return plain_lightgbm(objective, replace(data, y=labels.astype(np.float32)), rounds)
        if variant == "least":
            return plain_lightgbm({"objective": _Least(), "num_class": self.rank}, data, rounds)
        from gbreg import GBRegressor
        from gbreg.losses import SoftmaxBuckets

        loss = SoftmaxBuckets(n_buckets=self.n_buckets, rank=self.rank)
        return GBRegressor(loss, n_estimators=rounds).fit(data.X, data.y).booster_


class _Least:
    """Squared error of every output, in two arrays made once."""

    def __init__(self) -> None:
        self.arrays: Any = None

    def __call__(self, preds: Any, train_data: Any) -> Any:
        if self.arrays is None:
            self.arrays = np.empty_like(preds, np.float32), np.ones_like(preds, np.float32)
        labels = train_data.get_label()
        for k in range(preds.shape[1]):
            np.subtract(preds[:, k], labels, out=self.arrays[0][:, k], casting="same_kind")
        return self.arrays


BUCKETS = (Buckets(2), Buckets(4))


def of_buckets(plan: Plan) -> list[Table]:
    n = plan.rows(200_000)
    table = Table(
        "Peak memory of a bucket fit on LightGBM, K = 100",
        f"As above, MB, {ROUNDS} rounds. `least` is LightGBM itself with as many outputs and an objective that fills one "
        "gradient and one Hessian in float32, made once, which is held against the goal; `native` is multiclass with as "
        "many classes. `one array` is (n, rank) in float32, for scale.",
        ("rank", "rows", "ours MB", "least MB", "native MB", "one array MB", "ours / least", "goal", "met"),
    )
    if not Path("/proc/self/clear_refs").exists():
        table.note = "Not measured: it needs Linux."
        return [table]
    for each in BUCKETS[:1] if plan.quick else BUCKETS:
        found: dict[str, list[float]] = {variant: [] for variant in ("ours", "least", "native")}
        for _ in range(1 if plan.quick else 2):
            for variant in found:
                found[variant].append(in_fresh_process(__name__, each.name, variant, n)["peak"])
        ratio = Spread.of_ratios(found["ours"], found["least"])
        table.rows.append(
            (
                str(each.rank),
                f"{n:,}",
                *(Spread.of(peaks).text(digits=0) for peaks in found.values()),
                f"{4 * n * each.rank / 2**20:.1f}",
                ratio.text(),
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
    pair: Any = next(pair for pair in (*PAIRS, *BUCKETS) if pair.name == pair_name)
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
