"""What else the bucket models' defaults could be, each parameter by itself, on real data.

``python -m tests.benchmarks.defaults FOLDER [--studies ...] [--sets ...] [--seeds ...] [--rows ...] [--log FILE]``

FOLDER as in `tests.benchmarks.quality`; rows of "test" are not read. With ``--log`` fits are appended to FILE as they end,
and those that it holds are not made again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import mean_pinball_loss

from gbreg import BucketRegressor, OrdinalRegressor
from tests.benchmarks.measure import Table
from tests.benchmarks.quality import SETS, Part, _fit, _parts

# The default once more: by how much any two models differ.
AGAIN = {"other rows held out": {"random_state": 1000}}
FAR = 0.999
COLUMNS = {"xauc": "XAUC", "gini": "nGini", "rmse": "RMSE", "crps": "CRPS", "far": "99.9%"}
LESS_IS_BETTER = ("rmse", "crps", "far")

Fit = dict[str, Any]


@dataclass(frozen=True)
class Study:
    """An estimator whose parameters are `base`, and what is measured against it: parameters in place of those."""

    estimator: Any
    base: dict[str, Any]
    others: dict[str, dict[str, Any]]

    @property
    def candidates(self) -> dict[str, dict[str, Any]]:
        return {"base": self.base} | {name: self.base | other for name, other in self.others.items()}


def _one_at_a_time(**values: tuple[Any, ...]) -> dict[str, dict[str, Any]]:
    return {f"{name}={value}": {name: value} for name, several in values.items() for value in several}


def _thresholds(n_buckets: int) -> Study:
    shared = {"shared": {"thresholds": "shared"}, "shared, spread": {"thresholds": "shared", "spread": True}}
    return Study(OrdinalRegressor, {"n_buckets": n_buckets, "thresholds": "independent"}, shared)


STUDIES = {
    "buckets": Study(
        BucketRegressor,
        {},
        AGAIN
        | _one_at_a_time(
            n_buckets=(24, 48, 192),
            edges=("quantile", "uniform", "exp", "peaks"),
            representative=("median",),
            soft=("normal", "laplace", "hl_gauss", "two_hot"),
            tail_shape=(0.0, 0.25, 0.5),
        ),
    ),
    "ordinal": Study(
        OrdinalRegressor,
        {"edges": "quantile"},
        AGAIN
        | _one_at_a_time(
            n_buckets=(24, 48, 96, 192),
            edges=("mixed", "uniform", "exp", "peaks"),
            representative=("median",),
            spread=(True,),
        )
        | {"edges=mixed, n_buckets=96": {"edges": "mixed", "n_buckets": 96}}
        | {
            f"edges={edges}, n_buckets={n}, spread=True": {"edges": edges, "n_buckets": n, "spread": True}
            for edges, n in (("quantile", 96), ("mixed", 64), ("mixed", 96), ("exp", 64), ("exp", 96))
        },
    ),
    "thresholds24": _thresholds(24),
    "thresholds100": _thresholds(100),
}


def _drawn(part: Part, most: int, seed: int) -> Part:
    if part.y.size <= most:
        return part
    return part[np.sort(np.random.default_rng(seed).choice(part.y.size, most, replace=False))]


def _distribution_scores(model: Any, judged: Part) -> dict[str, float]:
    """CRPS, and the pinball loss of the quantile of 99.9%, which is beyond most buckets."""
    blocks = []
    # A distribution holds a number a bucket for every row.
    for rows in np.array_split(np.arange(judged.y.size), max(1, judged.y.size // 5_000)):
        distribution = model.predict_distribution(judged.X.iloc[rows])
        blocks.append((distribution.crps(judged.y[rows]), distribution.quantile(FAR)))
    crps, far = map(np.concatenate, zip(*blocks, strict=True))
    pinball = mean_pinball_loss(judged.y, far, sample_weight=judged.weight, alpha=FAR)
    return {"crps": float(np.average(crps, weights=judged.weight)), "far": float(pinball)}


def _measure(study: Study, name: str, train: Part, judged: Part, options: dict[str, Any]) -> Fit:
    options = options | study.candidates[name]
    model = study.estimator(**options)
    result = _fit(name, model, ("log_mean",), *train.split(options["random_state"]), judged)
    return {**result.scores, **_distribution_scores(model, judged), "rounds": result.rounds, "seconds": result.seconds}


def fits(given: argparse.Namespace) -> Iterator[Fit]:
    """Every candidate of the studies on every set and seed, from the log where it has it."""
    known = [json.loads(line) for line in given.log.read_text().splitlines()] if given.log and given.log.exists() else []
    most = [given.rows, given.judged, given.rounds]
    options = {"n_estimators": given.rounds, "learning_rate": 0.1, "early_stopping_rounds": 30}
    for name, seed in product(given.sets, given.seeds):
        train, judged = map(_drawn, _parts(given.folder, SETS[name], "validation"), most, (seed, seed))
        for study, candidate in ((s, c) for s in given.studies for c in STUDIES[s].candidates):
            key = {"study": study, "candidate": candidate, "set": name, "seed": seed, "most": most}
            fit = next((old for old in known if key.items() <= old.items()), None)
            if fit is None:
                fit = key | _measure(STUDIES[study], candidate, train, judged, options | {"random_state": seed})
                if given.log:
                    with given.log.open("a") as log:
                        log.write(json.dumps(fit) + "\n")
            yield fit


def _ratio(fit: Fit, base: Fit, score: str) -> float:
    """In %, over 100 where the fit is better than the base."""
    return 100 * (base[score] / fit[score] if score in LESS_IS_BETTER else fit[score] / base[score])


def table(study: str, found: list[Fit]) -> Table:
    """A candidate a row: in % of the base on the same rows, the mean over sets and seeds, and each set's mean over seeds."""
    rows = [fit for fit in found if fit["study"] == study]
    base = {(fit["set"], fit["seed"]): fit for fit in rows if fit["candidate"] == "base"}
    sets = list(dict.fromkeys(fit["set"] for fit in rows))
    result = Table(
        f"{study}: {len(base) // len(sets)} seeds, {', '.join(sets)}",
        "In % of the base on the same rows, over 100 where better: mean over sets and seeds ± its standard error, in "
        "brackets each set's mean over seeds. XAUC less 0.5, read as log mean; 99.9% is that quantile's pinball loss. Mean "
        "|PCOC - 1| and median seconds of a fit are in their own unit.",
        ("candidate", *COLUMNS.values(), "PCOC off", "s"),
    )
    for candidate in STUDIES[study].candidates:
        own = [fit for fit in rows if fit["candidate"] == candidate]
        cells = []
        for score in COLUMNS:
            of = {(fit["set"], fit["seed"]): _ratio(fit, base[fit["set"], fit["seed"]], score) for fit in own}
            values = np.array(list(of.values()))
            each = " ".join(f"{np.mean([v for (name, _), v in of.items() if name == s]):.1f}" for s in sets)
            error = values.std(ddof=1) / np.sqrt(values.size) if values.size > 1 else np.nan
            cells.append("100" if candidate == "base" else f"{values.mean():.2f} ± {error:.2f} ({each})")
        off = np.mean([abs(fit["pcoc"] - 1) for fit in own])
        result.rows.append((candidate, *cells, f"{off:.3f}", f"{np.median([fit['seconds'] for fit in own]):.1f}"))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.defaults", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--studies", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--rows", type=int, default=30_000, help="to train on and stop by, at most")
    parser.add_argument("--judged", type=int, default=40_000, help="rows to judge by, at most")
    parser.add_argument("--rounds", type=int, default=400, help="at most")
    parser.add_argument("--log", type=Path, help="JSON lines, a fit each")
    given = parser.parse_args()
    found = list(fits(given))
    for study in given.studies:
        print(table(study, found).markdown(), flush=True)


if __name__ == "__main__":
    main()
