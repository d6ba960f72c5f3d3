"""One target at several horizons: increments, against a model for each horizon, and against dropping young customers.

``python -m tests.benchmarks.horizons FOLDER [--seeds N] [--loss poisson] [--overfit] [--split validation|test]``

FOLDER holds retail2_ltv.parquet: customers on the first of each month, with all they have spent so far. What they spend in
the next one, two and three months is the difference of two such totals, of about 30, 60 and 90 days. On a day of training
the windows of the last three months are not complete. Every way is judged on the customers of those months (the youngest
cohorts, whose truth came later), of a fifth of the customers, of whom no row trains, another fifth for every seed; and on
all customers of the day itself. With ``--split validation`` the day is one of those from 2010-11 to 2011-03, all of whose
windows end before the test rows begin; with ``test`` it is 2011-06. Models stop early, on a tenth of the customers; with
``--overfit`` they have 100 rounds. The learning rate is 0.05.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from gbreg import GBRegressor, HorizonRegressor
from gbreg.datasets import make_ltv
from gbreg.metrics import by_horizon, crossing_share
from tests.benchmarks.measure import Table

Floats = NDArray[np.float64]

HORIZONS = (30, 60, 90)
KEYS = ["customer_id", "snapshot", "split", "ltv_90d"]
VALIDATION_DAYS = ("2010-11-01", "2010-12-01", "2011-01-01", "2011-02-01", "2011-03-01")
TEST_DAY = "2011-06-01"


@dataclass(frozen=True)
class Cohorts:
    """Train rows, whose labels are NaN where a window is not complete, and rows to judge by, of two kinds."""

    X: Any
    y: Floats
    customer: Any
    judged: dict[str, tuple[Any, Floats]]

    def fit(self, model: Any, rows: Any = slice(None), column: Any = slice(None)) -> Any:
        """The model, fitted to those rows, customers held out whole."""
        return model.fit(self.X[rows], self.y[rows, column], groups=self.customer[rows])


def _separate(model: Any, data: Cohorts) -> Any:
    known = ~np.isnan(data.y)
    each = [data.fit(clone(model), known[:, j], j) for j in range(len(HORIZONS))]
    return lambda X: np.column_stack([one.predict(X) for one in each])


def _drop(model: Any, data: Cohorts) -> Any:
    return data.fit(HorizonRegressor(model, HORIZONS), ~np.isnan(data.y).any(axis=1)).predict


WAYS: dict[str, Callable[[Any, Cohorts], Any]] = {
    "increments": lambda model, data: data.fit(HorizonRegressor(model, HORIZONS)).predict,
    "increments, chained": lambda model, data: data.fit(HorizonRegressor(model, HORIZONS, chain=True)).predict,
    "a model each": _separate,
    "increments, young dropped": _drop,
}


def retail(folder: Path, day: str, seed: int) -> Cohorts:
    """Customers until a day, but for a fifth: the youngest cohorts are judged by these."""
    table = pd.read_parquet(folder / "retail2_ltv.parquet").sort_values(["snapshot", "customer_id"], ignore_index=True)
    spent = table.set_index(["customer_id", "snapshot"])["gross_total"].astype(float)
    sums = []
    for months in (1, 2, 3):
        later = table["snapshot"] + pd.DateOffset(months=months)
        at = pd.MultiIndex.from_arrays([table["customer_id"], later])
        sums.append(spent.reindex(at).to_numpy() - spent.to_numpy())
    # Totals are float32: a penny of a great one is lost, and differences of nothing are not quite 0.
    y = np.maximum.accumulate(np.maximum(np.round(np.column_stack(sums), 2), 0.0), axis=1)
    today = pd.Timestamp(day)
    customers = np.random.default_rng(0).permutation(table["customer_id"].unique())
    held = table["customer_id"].isin(customers[seed % 5 :: 5]).to_numpy()
    before = (table["snapshot"] < today).to_numpy()
    ends = np.column_stack([table["snapshot"] + pd.DateOffset(months=months) for months in (1, 2, 3)])
    known = np.where(ends <= np.datetime64(today), y, np.nan)
    X = table.drop(columns=KEYS).assign(country=table["country"].cat.codes).to_numpy(dtype=float)
    judged = {"youngest": before & held & np.isnan(known[:, 2]), "new": (table["snapshot"] == today).to_numpy()}
    train = before & ~held
    customer = table["customer_id"].to_numpy()
    return Cohorts(X[train], known[train], customer[train], {name: (X[rows], y[rows]) for name, rows in judged.items()})


def drawn(n: int, drift: float, seed: int) -> Cohorts:
    """Customers of `make_ltv`; of three quarters, a third is too young for its 90 days, and every fifth is held out."""
    # With the default tail a few whales decide PCOC.
    world = make_ltv(n, horizons=HORIZONS, drift=drift, sigma=1.0, tail_index=4.0, random_state=seed)
    before, held = world.split == "train", np.arange(n) % 5 == 0
    train = before & ~held
    features = np.column_stack([world.data, world.time])
    judged = {"youngest": before & held & np.isnan(world.target[:, 2]), "new": ~before}
    truth = {name: (features[rows], world.mean[rows]) for name, rows in judged.items()}
    return Cohorts(features[train], world.target[train], np.flatnonzero(train), truth)


def measured(data: Cohorts, seed: int, **boosting: Any) -> dict[str, dict[str, Floats]]:
    """Of every way, on each kind of rows: the share of rows that cross, then Gini and PCOC at 30 and at 90 days."""
    model = GBRegressor(**boosting, learning_rate=0.05, n_jobs=1, random_state=seed)
    found = {}
    for way, fitted in WAYS.items():
        predict = fitted(model, data)
        found[way] = {}
        for name, (X, y) in data.judged.items():
            p = predict(X)
            gini, pcoc = (by_horizon(metric, y, p) for metric in ("normalized_gini", "pcoc"))
            found[way][name] = np.array([100 * crossing_share(p), gini[0], gini[2], pcoc[0], pcoc[2]])
    return found


def _averaged(found: list[dict[str, dict[str, Floats]]]) -> dict[str, dict[str, Floats]]:
    return {
        way: {name: np.mean([one[way][name] for one in found], axis=0) for name in of_way}
        for way, of_way in found[0].items()
    }


def _table(title: str, note: str, worlds: Iterator[list[tuple[Cohorts, int]]], **boosting: Any) -> Table:
    """A standard error is one over groups of worlds, of which each group counts by its mean."""
    columns = ("rows", "way", "rows that cross, %", "Gini at 30", "Gini at 90", "PCOC at 30", "PCOC at 90")
    table = Table(title, note, columns)
    found = [_averaged([measured(data, seed, **boosting) for data, seed in group]) for group in worlds]
    for name in found[0]["increments"]:
        base = np.array([one["increments"][name] for one in found])
        for way in WAYS:
            values = np.array([one[way][name] for one in found])
            away = values - base
            error = 2.0 * away.std(axis=0, ddof=1) / np.sqrt(len(found))
            cells = [f"{values[:, 0].mean():.1f}"]
            for mean, by, e in zip(values.mean(axis=0)[1:], away.mean(axis=0)[1:], error[1:], strict=True):
                cells.append(f"{mean:.3f}" + ("" if way == "increments" else f" ({by:+.3f} ± {e:.3f})"))
            table.rows.append((name, way, *cells))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.horizons")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--loss", default="poisson")
    parser.add_argument("--overfit", action="store_true", help="100 rounds instead of early stopping")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    given = parser.parse_args()
    brackets = "In brackets the difference to increments, with twice its standard error over"
    seeds = range(given.seeds)
    stops = {"n_estimators": 100} if given.overfit else {"n_estimators": 300, "early_stopping_rounds": 20}
    boosting = {"loss": given.loss, **stops}
    if given.split == "validation":
        worlds = ([(retail(given.folder, day, seed), seed) for seed in seeds] for day in VALIDATION_DAYS)
        note = f"Mean of {given.seeds} seeds on each of {', '.join(VALIDATION_DAYS)}. {brackets} days."
    else:
        worlds = ([(retail(given.folder, TEST_DAY, seed), seed)] for seed in seeds)
        note = f"Mean of {given.seeds} seeds on {TEST_DAY}. {brackets} seeds, which share most rows."
    print(_table("retail2_ltv", note, worlds, **boosting).markdown(), flush=True)
    for drift in (0.0, 1.0) if given.split == "validation" else ():
        worlds = ([(drawn(given.rows, drift, seed), seed)] for seed in seeds)
        note = f"{given.rows:,} rows, {given.seeds} seeds; Gini and PCOC against the true means. {brackets} seeds."
        print(_table(f"make_ltv, drift {drift:g}", note, worlds, **boosting).markdown(), flush=True)


if __name__ == "__main__":
    main()
