"""Sums of predictions before and after calibration, for many losses, and what the ranking loses.

``python -m tests.benchmarks.calibration FOLDER [--sets ...] [--split validation|test] [--held-out ...] [--methods ...]``

FOLDER and splits are those of `tests.benchmarks.quality`. The model that predicts is trained on all rows; the map is learnt
from predictions of rows that other such models did not see: a random fifth, the last fifth by time, five random folds, five
blocks of time (each predicted by a model of all other rows), or forward in time (blocks 2 to 5, each predicted by a model of
the earlier ones). In a table of one time, random rows stand in for those by time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import kstest
from sklearn.model_selection import KFold

from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    GBRegressor,
    HurdleRegressor,
    OrdinalRegressor,
    WCERegressor,
    ZILNRegressor,
)
from gbreg.calibration import CALIBRATORS, get_calibrator
from gbreg.losses import AM, Huberpp, TransformedSquaredError, Tweedie
from gbreg.metrics import pcoc, xauc
from tests.benchmarks.measure import Table
from tests.benchmarks.quality import SETS, DataSet, Floats, Part, _parts


def models(y: Floats, options: dict[str, Any]) -> dict[str, Any]:
    """One of every family; the floor of relative errors is a tenth of the median positive label."""
    floor = float(np.median(y[y > 0])) / 10

    def boosted(loss: Any) -> GBRegressor:
        return GBRegressor(loss, **options)

    return {
        "squared error": boosted("squared_error"),
        "absolute error": boosted("absolute_error"),
        "huber": boosted("huber"),
        "huberpp": boosted(Huberpp(link="log", label_floor=floor)),
        "am": boosted(AM(link="log", label_floor=floor)),
        "poisson": boosted("poisson"),
        "tweedie 1.5": boosted(Tweedie(power=1.5)),
        "binary x gamma": HurdleRegressor(boosted("bernoulli"), boosted("gamma")),
        "squared error of log1p": boosted(TransformedSquaredError(smearing=False)),
        "wce log2": WCERegressor("log2", smearing=False, **options),
        "wce identity": WCERegressor("identity", **options),
        "buckets": BucketRegressor(**options),
        "ordinal": OrdinalRegressor(**options),
        "ziln": ZILNRegressor(**options),
    }


@dataclass(frozen=True)
class Recipe:
    """Where the map comes from.

    Parameters
    ----------
    rows : str
        One of `ROWS`.
    method : str
        Of `gbreg.calibration`.
    """

    rows: str
    method: str

    @property
    def name(self) -> str:
        return f"{self.rows}, {self.method}"


DRIFTING = ("retail2_ltv", "pg15_claims")
Splits = list[tuple[Any, Any]]


def _at_random(train: Part, window: int) -> Splits:
    held = np.random.default_rng(0).random(train.y.size) < 0.2
    return [(np.flatnonzero(~held), np.flatnonzero(held))]


def _recent(train: Part, window: int) -> Splits:
    return _by_time(train, window, [0.8, 1.0], later=False)


def _folds(train: Part, window: int) -> Splits:
    return list(KFold(5, shuffle=True, random_state=0).split(train.y))


def _blocks(train: Part, window: int) -> Splits:
    return _by_time(train, window, np.linspace(0, 1, 6), later=True)


def _forward(train: Part, window: int) -> Splits:
    return _by_time(train, window, np.linspace(0, 1, 6)[1:], later=False)


def _by_time(train: Part, window: int, cuts: Any, later: bool) -> Splits:
    """Blocks of rows between consecutive cuts (shares of the rows); labels of the rows that train do not look into them."""
    when = pd.Series(train.when)
    if when.nunique() == 1:
        return _at_random(train, window)
    times = [when.quantile(cut, interpolation="higher") for cut in cuts]
    gap = pd.Timedelta(days=window)
    splits = []
    for start, end in pairwise(times):
        block = (when >= start) & ((when < end) | (end == times[-1]))
        used = (when <= start - gap) & ~block
        if later:
            used |= (when >= end + gap) & ~block
        if used.any():
            splits.append((np.flatnonzero(used), np.flatnonzero(block)))
    return splits


ROWS: dict[str, Callable[[Part, int], Splits]] = {
    "random fifth": _at_random,
    "last fifth": _recent,
    "folds": _folds,
    "blocks": _blocks,
    "forward": _forward,
}


@dataclass(frozen=True)
class Outcome:
    """Predicted over observed sum, and XAUC, on the rows to judge by."""

    pcoc: float
    xauc: float

    @classmethod
    def of(cls, judged: Part, predicted: Floats) -> Outcome:
        return cls(pcoc(judged.y, predicted, judged.weight), xauc(judged.y, predicted, judged.weight))


def _trained(model: Any, rows: Part) -> Callable[[Any], Floats]:
    weights = {} if rows.weight is None else {"sample_weight": rows.weight}
    return model.fit(rows.X, rows.y, **weights).predict  # type: ignore[no-any-return]


def judge(make: Callable[[], Any], train: Part, judged: Part, tried: list[Recipe], window: int) -> list[Outcome]:
    """What a model of all rows says of the rows to judge by: without a map, then by each recipe."""
    plain = _trained(make(), train)(judged.X)
    found = [Outcome.of(judged, plain)]
    for rows in dict.fromkeys(r.rows for r in tried):
        splits = ROWS[rows](train, window)
        seen = np.concatenate([_trained(make(), train[used])(train.X.iloc[held]) for used, held in splits])
        known = train[np.concatenate([held for _, held in splits])]
        for r in tried:
            if r.rows == rows:
                calibrator = get_calibrator(r.method).fit(seen, known.y, known.weight)
                found.append(Outcome.of(judged, calibrator.predict(plain)))
    return found


def _met(name: str, before: Outcome, after: Outcome) -> bool:
    """Within 3% of the sum, or half as far from it as without a map on sets that drift, and no ranking lost."""
    allowed = abs(before.pcoc - 1) / 2 if name in DRIFTING else 0.03
    return abs(after.pcoc - 1) <= allowed and after.xauc - before.xauc >= -0.0005


def table(data: DataSet, train: Part, judged: Part, tried: list[Recipe], options: dict[str, Any]) -> Table:
    columns = ("model", "before", *(r.name for r in tried), "met", "XAUC, most lost", "s")
    rows = []
    for name in models(train.y, options):
        start = time.perf_counter()
        before, *after = judge(lambda name=name: models(train.y, options)[name], train, judged, tried, data.window)
        lost = min(a.xauc - before.xauc for a in after)
        seconds = f"{time.perf_counter() - start:.0f}"
        met = "yes" if _met(data.name, before, after[0]) else "no"
        rows.append((name, *(f"{o.pcoc:.3f}" for o in (before, *after)), met, f"{lost:+.5f}", seconds))
        print(*rows[-1], sep="  ", flush=True)
    note = "Predicted over observed sum; what XAUC loses by a map, at most. Met: by the first recipe."
    title = f"{data.name}: {train.y.size:,} rows to train and calibrate on, {judged.y.size:,} to judge by"
    return Table(title, note, columns, rows)


def distributions(data: DataSet, train: Part, judged: Part, options: dict[str, Any]) -> Table:
    """Whole distributions before and after `method="pit"`, cross-fitted on five folds."""
    columns = ("model", "CRPS", "after, %", "PIT", "after", "95% below", "after", "PCOC", "after", "XAUC, gained")
    rows = []
    for name in ("buckets", "ordinal", "ziln"):
        weights = {} if train.weight is None else {"sample_weight": train.weight}
        model = CalibratedRegressor(models(train.y, options)[name], "pit").fit(train.X, train.y, **weights)
        each = model.estimator_.predict_distribution(judged.X), model.predict_distribution(judged.X)
        uniform = np.random.default_rng(0).random(judged.y.size)
        ends = [d.pit(judged.y).T for d in each]
        distances = [kstest(low + (high - low) * uniform, "uniform").statistic for low, high in ends]
        before, after = (Outcome.of(judged, d.mean()) for d in each)
        crps = [np.average(d.crps(judged.y), weights=judged.weight) for d in each]
        below = [np.mean(judged.y <= d.quantile(0.95)) for d in each]
        rows.append(
            (
                name,
                f"{crps[0]:.2f}",
                f"{100 * crps[1] / crps[0]:.1f}",
                *(f"{distance:.3f}" for distance in distances),
                *(f"{100 * share:.1f}" for share in below),
                *(f"{o.pcoc:.3f}" for o in (before, after)),
                f"{after.xauc - before.xauc:+.5f}",
            )
        )
        print(*rows[-1], sep="  ", flush=True)
    note = "PIT: greatest distance of randomised PITs from uniform. 95% below: labels, in %, up to the quantile 0.95."
    title = f"{data.name}, distributions: {train.y.size:,} rows to train and calibrate on, {judged.y.size:,} to judge by"
    return Table(title, note, columns, rows)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.calibration", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--rows", type=int, default=50_000, help="at most so many rows to train on, drawn at random")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument(
        "--held-out", nargs="+", choices=ROWS, default=["folds", "last fifth"], help="rows that the map is learnt from"
    )
    parser.add_argument("--methods", nargs="+", choices=CALIBRATORS, default=["isotonic", "ratio"])
    parser.add_argument("--distributions", action="store_true", help="recalibrate whole distributions instead")
    given = parser.parse_args()
    options = {"n_estimators": given.rounds, "random_state": 0, "n_jobs": 1}
    for name in given.sets:
        train, judged = _parts(given.folder, SETS[name], given.split)
        if train.y.size > given.rows:
            train = train[np.sort(np.random.default_rng(0).choice(train.y.size, given.rows, replace=False))]
        if given.distributions:
            result = distributions(SETS[name], train, judged, options)
        else:
            result = table(SETS[name], train, judged, [Recipe(*r) for r in product(given.held_out, given.methods)], options)
        result.title = f"{result.title} ({given.split})"
        print(result.markdown(), flush=True)


if __name__ == "__main__":
    main()
