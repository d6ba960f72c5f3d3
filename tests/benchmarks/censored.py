"""Watch time that ends with the video: what would be watched of an endless one, by every way to treat the ends.

``python -m tests.benchmarks.censored [FOLDER] [--seeds N] [--split validation|test]``

On `make_watch_time`, whose law is known: error of the mean, and how predictions order the liking. With FOLDER also on its
kuairand_watch.parquet, where rows played to the end are censored: XAUC of the play time within groups of equal duration, and
of later rows the log score and the concordance that know of censoring.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, logit
from sklearn.base import clone

from gbreg import BucketRegressor, D2QRegressor, GBRegressor, OrdinalRegressor, ZILNRegressor
from gbreg.datasets import make_watch_time
from gbreg.engines import Objective
from gbreg.engines.scores import scores_shape
from gbreg.losses import ZILN, LogNormal, OrdinalBuckets, SoftmaxBuckets
from gbreg.losses.censoring import signed
from gbreg.metrics import concordance, grouped_xauc, xauc
from tests.benchmarks.measure import Plan, Spread, Table, judged

Floats = NDArray[np.float64]
Way = Callable[[Any, Floats, Any, Any], Floats]

BOOSTING = {"n_estimators": 200, "early_stopping_rounds": 20, "learning_rate": 0.1, "n_jobs": 1, "random_state": 0}


def _ignored(model: Any) -> Way:
    return lambda X, y, censored, later: clone(model).fit(X, y).predict(later)


def _dropped(model: Any) -> Way:
    return lambda X, y, censored, later: clone(model).fit(X[~censored], y[~censored]).predict(later)


def _told(model: Any) -> Way:
    return lambda X, y, censored, later: clone(model).fit(X, y, censored=censored).predict(later)


def _d2q(X: Any, y: Floats, censored: Any, later: Any) -> Floats:
    """Its ranks within durations: what orders, not seconds."""
    return D2QRegressor(GBRegressor(**BOOSTING), group=0).fit(X, y).predict_rank(later)


def _aft(X: Any, y: Floats, censored: Any, later: Any) -> Floats:
    """XGBoost's accelerated failure time with a normal error, on positive labels, times the chance of one by a hurdle."""
    import xgboost

    scale = 0.8  # which it takes as known: the world's own
    inside = y > 0
    held = np.random.default_rng(0).random(inside.sum()) < 0.1
    parts = []
    for rows in (~held, held):
        data = xgboost.DMatrix(X[inside][rows])
        data.set_float_info("label_lower_bound", y[inside][rows])
        data.set_float_info("label_upper_bound", np.where(censored[inside], np.inf, y[inside])[rows])
        parts.append(data)
    given = {"objective": "survival:aft", "aft_loss_distribution": "normal", "aft_loss_distribution_scale": scale}
    given |= {"learning_rate": 0.1, "max_leaves": 31, "max_depth": 0, "grow_policy": "lossguide", "nthread": 1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        booster = xgboost.train(
            given, parts[0], 200, evals=[(parts[1], "held")], early_stopping_rounds=20, verbose_eval=False
        )
    chance = GBRegressor("bernoulli", **BOOSTING).fit(X, inside.astype(float)).predict(later)
    return np.asarray(chance * booster.predict(xgboost.DMatrix(later)) * np.exp(scale**2 / 2))


ZILN_MODEL = ZILNRegressor(**BOOSTING)
WAYS: dict[str, Way] = {
    "ZILN, ignored": _ignored(ZILN_MODEL),
    "ZILN, dropped": _dropped(ZILN_MODEL),
    "D2Q (ranks)": _d2q,
    "survival:aft, true scale": _aft,
    "ZILN, censored=": _told(ZILN_MODEL),
    "ordinal, ignored": _ignored(OrdinalRegressor(**BOOSTING)),
    "ordinal, censored=": _told(OrdinalRegressor(**BOOSTING)),
    "buckets, ignored": _ignored(BucketRegressor(**BOOSTING)),
    "buckets, censored=": _told(BucketRegressor(**BOOSTING)),
}


def _true_mean(world: Any) -> Floats:
    m = np.log(25) + 0.7 * np.log(world.duration / 60) + 0.8 * world.interest
    return np.asarray(expit(logit(0.9) + world.interest) * np.exp(m + 0.8**2 / 2))


def on_a_known_world(seeds: int, n: int = 20_000) -> Table:
    note = f"make_watch_time, {n:,} rows to fit and 10,000 to judge, {seeds} seeds; mean and twice its standard error."
    table = Table("What would be watched", note, ("way", "sum / true sum", "mean |ln(mean / true)|", "XAUC of the liking"))
    for way, predicted in WAYS.items():
        found = []
        for seed in range(seeds):
            world, later = make_watch_time(n, random_state=seed), make_watch_time(10_000, random_state=1000 + seed)
            p, true = predicted(world.data, world.target, world.censored, later.data), _true_mean(later)
            ranks_alone = way.startswith("D2Q")
            error = np.nan if ranks_alone else float(np.abs(np.log(p / true)).mean())
            found.append((np.nan if ranks_alone else p.sum() / true.sum(), error, xauc(later.interest, p)))
        table.rows.append((way, *_spread(found)))
    return table


def on_kuairand(folder: Path, split: str, seeds: int) -> Table:
    table = pd.read_parquet(folder / "kuairand_watch.parquet")
    if split == "validation":
        table = table[table["split"] == "train"].reset_index(drop=True)
        order = np.arange(len(table)) / len(table)
        later = order >= 0.8
    else:
        later = (table["split"] == "test").to_numpy()
    y = table["play_time_s"].to_numpy(dtype=float)
    duration = table["duration_s"].to_numpy(dtype=float)
    censored = y >= duration
    y = np.minimum(y, duration)
    X = table.drop(columns=["play_time_s", "split"]).select_dtypes("number").to_numpy(dtype=float)
    groups = pd.qcut(duration, 50, labels=False, duplicates="drop")
    note = f"{split}; rows played to the end are censored; {seeds} seeds, each with another nine tenths of the rows to fit."
    found = Table("kuairand_watch", note, ("way", "concordance", "XAUC within durations"))
    for way in ("ZILN, ignored", "ZILN, dropped", "ZILN, censored=", "ordinal, ignored", "ordinal, censored="):
        values = []
        for seed in range(seeds):
            rows = np.flatnonzero(~later & (np.random.default_rng(seed).random(y.size) < 0.9))
            p = WAYS[way](X[rows], y[rows], censored[rows], X[later])
            values.append((concordance(y[later], p, censored[later]), grouped_xauc(y[later], p, groups=groups[later])))
        found.rows.append((way, *_spread(values)))
    return found


def _spread(found: list[tuple[float, ...]]) -> list[str]:
    each = np.array(found)
    errors = 2.0 * each.std(axis=0, ddof=1) / np.sqrt(len(found))
    return ["" if np.isnan(m) else f"{m:.4f} ± {e:.4f}" for m, e in zip(each.mean(axis=0), errors, strict=True)]


def kernel_time(plan: Plan) -> list[Table]:
    """A pass of the gradients with a quarter of the rows censored against the same pass without."""
    n = plan.rows(100_000)
    rng = np.random.default_rng(0)
    y = np.where(rng.random(n) < 0.3, 0.0, rng.lognormal(2.0, 1.0, n))
    censored = rng.random(n) < 0.25
    table = Table(
        "Gradients with censored rows",
        f"Time of a pass over {n:,} rows, a quarter of them censored, over that of one in which none is; one thread.",
        ("loss", "ratio", "goal", "met"),
    )
    for loss in (LogNormal(), ZILN(), SoftmaxBuckets(64), SoftmaxBuckets(32, rank=None), OrdinalBuckets(64)):
        labels = y if loss.y_domain.contains(0.0) else y + 0.5
        raw = np.zeros((n, 1))
        passes = []
        for mask in (None, censored):
            fitted = clone(loss).fit(labels, censored=mask)
            raw = np.asarray(rng.normal(scale=0.3, size=scores_shape(fitted, n)), dtype=np.float32)
            signs = labels if mask is None else signed(labels, mask)
            passes.append((Objective(fitted), signs.astype(np.float32), raw))
        for objective, of, at in passes:
            objective.gradient_hessian(of, at)  # compiles
            objective.round = 10**6 + 1  # no carrier is learnt
        ratios = []
        for _ in range(plan.repeats(15)):
            seconds = []
            for objective, of, at in passes:
                start = time.perf_counter()
                objective.fill(of, at, objective.weights(None, n), objective._buffers, 1)
                seconds.append(time.perf_counter() - start)
            ratios.append(seconds[1] / seconds[0])
        spread = Spread.of(ratios)
        table.rows.append((repr(loss), spread.text(), *judged(spread.middle, 1.5)))
    return [table]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.censored")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    arguments = parser.parse_args()
    print(on_a_known_world(arguments.seeds).text())
    if arguments.folder is not None:
        print(on_kuairand(arguments.folder, arguments.split, arguments.seeds).text())


if __name__ == "__main__":
    main()
