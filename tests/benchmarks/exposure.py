"""Claims of policies that ran for different times: exposure as an offset, as a weight of rates, and left out.

``python -m tests.benchmarks.exposure FOLDER [--seeds N] [--split validation|test]``

FOLDER holds pg15_claims.parquet. The label is how many kinds of damage (material, bodily) a policy claimed or, with
``--label amount``, what its claims cost. With ``--split validation`` rows of "test" are not read: a random fifth of the
policies of "train" stands in for them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gbreg import GBRegressor, HurdleRegressor
from gbreg.engines import ENGINES
from gbreg.metrics import normalized_gini, pcoc, poisson_deviance, tweedie_deviance
from tests.benchmarks.data import spend
from tests.benchmarks.measure import Plan, Spread, Table, judged

Floats = NDArray[np.float64]
Rows = tuple[Any, Floats, Floats]

KEYS = ["polnum", "calyear", "cost_material", "cost_bodily", "claim_cost", "exposure", "split"]


def _as_offset(model: Any, train: Rows, judged_by: Rows) -> Floats:
    (X, y, exposure), (later, _, own) = train, judged_by
    return model.fit(X, y, exposure=exposure).predict(later, exposure=own)


def _as_weight(model: Any, train: Rows, judged_by: Rows) -> Floats:
    (X, y, exposure), (later, _, own) = train, judged_by
    return model.fit(X, y / exposure, exposure).predict(later) * own


def _left_out(model: Any, train: Rows, judged_by: Rows) -> Floats:
    return model.fit(train[0], train[1]).predict(judged_by[0])


WAYS: dict[str, Callable[[Any, Rows, Rows], Floats]] = {
    "exposure=": _as_offset,
    "rate, weighted": _as_weight,
    "left out": _left_out,
}
RANKS: dict[str, Callable[[Floats, Floats], float]] = {"normalised Gini": normalized_gini, "PCOC": pcoc}


@dataclass(frozen=True)
class Label:
    """What is predicted of a policy, by which model, and what that is measured by."""

    words: str
    of: Callable[[Any], Any]
    model: Callable[..., Any]
    metrics: dict[str, Callable[[Floats, Floats], float]]


def _hurdle(**boosting: Any) -> HurdleRegressor:
    return HurdleRegressor(GBRegressor("bernoulli", **boosting), GBRegressor("gamma", **boosting))


LABELS = {
    "count": Label(
        "Counts of kinds of damage",
        lambda table: (table[["cost_material", "cost_bodily"]] > 0).sum(axis=1),
        partial(GBRegressor, "poisson"),
        {"Poisson deviance": poisson_deviance, **RANKS},
    ),
    "amount": Label(
        "Costs of claims, by a hurdle of gamma",
        lambda table: table["claim_cost"],
        _hurdle,
        {"Tweedie deviance": partial(tweedie_deviance, power=1.5), **RANKS},
    ),
}


def _rows(folder: Path, label: Label, split: str, seed: int) -> tuple[Rows, Rows]:
    table = pd.read_parquet(folder / "pg15_claims.parquet").reset_index(drop=True)
    rng = np.random.default_rng(seed)
    if split == "validation":
        table = table[table["split"] == "train"].reset_index(drop=True)
        policies = table["polnum"].unique()
        later = table["polnum"].isin(rng.choice(policies, policies.size // 5, replace=False)).to_numpy()
    else:
        later = (table["split"] == "test").to_numpy()
    sooner = np.flatnonzero(~later)
    sooner = np.sort(rng.choice(sooner, sooner.size * 9 // 10, replace=False))  # another tenth left out for every seed
    X = table.drop(columns=KEYS)
    y = label.of(table).to_numpy(dtype=float)
    exposure = table["exposure"].to_numpy(dtype=float)
    return tuple((X.iloc[rows], y[rows], exposure[rows]) for rows in (sooner, np.flatnonzero(later)))  # type: ignore[return-value]


def on_claims(folder: Path, label: Label, split: str, seeds: int) -> Table:
    """Mean over seeds of every way, and of its difference to ``exposure=`` with a 95% interval."""
    note = (
        f"{label.words}, pg15_claims, {split}; 100 rounds, learning rate 0.05; {seeds} seeds, each leaving "
        "out another tenth of the training rows. In brackets the difference to exposure=, with twice its standard error."
    )
    table = Table("Exposure on claims", note, ("engine", "way", *label.metrics))
    for engine in ENGINES:
        found: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for seed in range(seeds):
            train, later = _rows(folder, label, split, seed)
            for way, fitted in WAYS.items():
                model = label.model(engine=engine, learning_rate=0.05, n_jobs=1, random_state=seed)
                predicted = fitted(model, train, later)
                found[way].append([float(metric(later[1], predicted)) for metric in label.metrics.values()])
        base = np.array(found["exposure="])
        for way, values in found.items():
            away = np.array(values) - base
            error = 2.0 * away.std(axis=0, ddof=1) / np.sqrt(seeds)
            means = np.mean(values, axis=0)
            cells = [
                f"{mean:.4f}" + (f" ({diff:+.4f} ± {e:.4f})" if way != "exposure=" else "")
                for mean, diff, e in zip(means, away.mean(axis=0), error, strict=True)
            ]
            table.rows.append((engine, way, *cells))
    return table


def fit_time(plan: Plan) -> list[Table]:
    """A fit with an exposure against the same without."""
    n = plan.rows(100_000)
    data = spend(n)
    exposure = np.random.default_rng(0).uniform(0.1, 2.0, n)
    table = Table(
        "Fits with an exposure",
        f"Processor seconds of a Poisson fit of {n:,} x 30 rows with an exposure over those of one without, in turn.",
        ("engine", "form", "ratio", "goal", "met"),
    )
    for engine in ENGINES:
        for native in (False,) if engine == "catboost" else (True, False):  # whose own Poisson diverges on such labels
            ratios = []
            for _ in range(plan.repeats(5)):
                seconds = []
                for given in ({}, {"exposure": exposure}):
                    model = GBRegressor("poisson", engine=engine, native=native, n_estimators=plan.rounds(n), n_jobs=1)
                    start = time.process_time()
                    model.fit(data.X, data.y, **given)
                    seconds.append(time.process_time() - start)
                ratios.append(seconds[1] / seconds[0])
            spread = Spread.of(ratios)
            table.rows.append((engine, "native" if native else "kernel", spread.text(), *judged(spread.middle, 1.05)))
    return [table]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.exposure")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--label", choices=LABELS, default="count")
    arguments = parser.parse_args()
    print(on_claims(arguments.folder, LABELS[arguments.label], arguments.split, arguments.seeds).text())


if __name__ == "__main__":
    main()
