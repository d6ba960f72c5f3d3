"""The families of losses against what one would train without them: time, and what held-out rows say."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from gbreg import GBRegressor, ZILNRegressor
from gbreg.losses import WCE, OrdinalBuckets, SoftmaxBuckets
from tests.benchmarks.data import Spend, rare, spend
from tests.benchmarks.fits import PLAIN, grown_leaves, plain_lightgbm
from tests.benchmarks.measure import Plan, Spread, Table, interleave, judged
from tests.benchmarks.zaln import HELD_OUT

Floats = NDArray[np.float64]

K = 100
# LightGBM's own default for the binary fits. Of 100 classes, steps diverge with it: held-out log-loss 2.5 to 43 at the
# best round where 1.0 gives 2.1.
LEAST_HESSIAN = {"min_sum_hessian_in_leaf": 1e-3}
MULTICLASS = {"objective": "multiclass", "min_sum_hessian_in_leaf": 1.0}


def _timed(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> tuple[list[Any], list[list[float]]]:
    """The last result of each, and the seconds of both in turn."""
    results: list[Any] = [None, None]

    def keep(index: int, function: Callable[[], Any]) -> None:
        results[index] = function()

    seconds = interleave([partial(keep, 0, ours), partial(keep, 1, theirs)], repeats)
    return results, seconds


# -- buckets -----------------------------------------------------------------------------------------------------------
def low_rank(plan: Plan) -> list[Table]:
    """K = 100 buckets by four trees a round, against LightGBM's native multiclass."""
    n = plan.rows(200_000)
    timed, later = ((2,), 4) if plan.quick else ((20, 100), 60)
    loss = SoftmaxBuckets(n_buckets=K, rank=4)
    table = Table(
        f"Buckets of rank 4 against native multiclass, K = {K}",
        "Whole fits on LightGBM, binning included; medians of interleaved repetitions (min to max), one of the longest. "
        f"Log-loss of the bucket of {HELD_OUT:,} other rows, of models of {later} rounds on a quarter of the rows; the "
        "goal is native's at its own best round.",
        (
            "rows",
            "rounds",
            "ours s",
            "native s",
            "ours / native",
            "goal",
            "met",
            "log-loss ours",
            "native",
            "native's best (round)",
            "goal",
            "met",
        ),
    )

    def fits(data: Spend, rounds: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
        fitted = loss.fit(data.y)
        classes = replace(data, y=_buckets(data.y, fitted.edges_).astype(np.float64))
        objective = {**MULTICLASS, "num_class": fitted.prior_.size}
        model = GBRegressor(SoftmaxBuckets(n_buckets=K, rank=4), n_estimators=rounds)
        return partial(model.fit, data.X, data.y), partial(plain_lightgbm, objective, classes, rounds)

    for function in fits(spend(5_000), 2):
        function()
    ours, theirs = (function() for function in fits(spend(n // 4), later))
    test = spend(HELD_OUT, seed=1)
    bucket = _buckets(test.y, ours.loss_.edges_)
    score = float(-np.log(_of_label(ours.loss_.probabilities(ours.predict_raw(test.X)), bucket)).mean())
    course = _course(theirs, test, bucket, later)
    best = min(course, key=lambda k: course[k])
    for rounds in timed:
        _, seconds = _timed(*fits(spend(n), rounds), plan.repeats(2) if rounds < 100 else 1)
        ratio = Spread.of_ratios(*seconds)
        line = (
            f"{n:,}",
            str(rounds),
            *(Spread.of(s).text() for s in seconds),
            ratio.text(digits=3),
            *judged(ratio.middle, 0.1),
            f"{score:.4f}",
            f"{course[later]:.4f}",
            f"{course[best]:.4f} ({best})",
            *judged(score, course[best]),
        )
        table.rows.append(line)
    return [table]


def _course(booster: Any, test: Spend, bucket: NDArray[np.intp], rounds: int, every: int = 5) -> dict[int, float]:
    """Log-loss of a native multiclass model after every fifth round, in the time of one prediction."""
    raw, course = 0.0, {}
    for done in range(0, rounds, every):
        raw += booster.predict(test.X, raw_score=True, start_iteration=done, num_iteration=every)
        course[min(done + every, rounds)] = float(-_of_label(log_softmax(raw, axis=1), bucket).mean())
    return course


def _buckets(y: Floats, edges: Floats) -> NDArray[np.intp]:
    # Edges are float32 numbers, and meet labels as the engines keep them.
    return np.searchsorted(edges, y.astype(np.float32), side="right")


def _of_label(probabilities: Floats, bucket: NDArray[np.intp]) -> Floats:
    return probabilities[np.arange(bucket.size), bucket]


def shared_thresholds(plan: Plan) -> list[Table]:
    """One cumulative logit against a native binary fit for every edge between K = 100 buckets."""
    n, rounds = plan.rows(200_000), 5 if plan.quick else 30
    shared = OrdinalBuckets(n_buckets=K)
    apart = OrdinalBuckets(n_buckets=K, thresholds="independent")
    table = Table(
        f"Shared thresholds against K - 1 native binary fits, K = {K}",
        f"Fits of {rounds} rounds on LightGBM. The binary ones are all made, on one set binned once and given other labels; "
        "decoded like thresholds='independent'. Medians of interleaved repetitions (min to max). CRPS of "
        f"{HELD_OUT:,} other rows.",
        (
            "outputs",
            "rows",
            "ours s",
            "binary fits s",
            "ours / theirs",
            "goal",
            "met",
            "CRPS ours",
            "theirs",
            "ours / theirs",
            "goal",
            "met",
        ),
    )
    warm = spend(5_000)
    data, test = spend(n), spend(HELD_OUT, seed=1)
    apart.fit(data.y)
    _binaries(warm, apart.edges_[:2], 2)
    ours: dict[str, Any] = {}

    def fit(name: str, loss: OrdinalBuckets) -> None:
        ours[name] = GBRegressor(loss, n_estimators=rounds).fit(data.X, data.y)

    def fit_binaries() -> None:
        ours["binary"] = _binaries(data, apart.edges_, rounds)

    losses = {"location": shared, "location, spread": OrdinalBuckets(n_buckets=K, spread=True)}
    for loss in losses.values():
        GBRegressor(loss, n_estimators=2).fit(warm.X, warm.y)
    seconds = interleave([*(partial(fit, *item) for item in losses.items()), fit_binaries], 1 if plan.quick else 2)
    raw = np.column_stack([booster.predict(test.X, raw_score=True) for booster in ours["binary"]])
    theirs = _crps(apart, raw, test.y)
    for name, each in zip(losses, seconds, strict=False):
        ratio = Spread.of_ratios(each, seconds[-1])
        score = _crps(ours[name].loss_, ours[name].predict_raw(test.X), test.y)
        table.rows.append(
            (
                name,
                f"{n:,}",
                Spread.of(each).text(),
                Spread.of(seconds[-1]).text(),
                ratio.text(digits=3),
                *judged(ratio.middle, 0.05),
                f"{score:.4f}",
                f"{theirs:.4f}",
                f"{score / theirs:.4f}",
                *judged(score / theirs, 1.02),
            )
        )
    return [table]


def _binaries(data: Spend, edges: Floats, rounds: int) -> list[Any]:
    params = {
        "objective": "binary",
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "max_bin": 255,
        "feature_pre_filter": False,
        "seed": 0,
        "verbosity": -1,
    }
    bucket = _buckets(data.y, edges)
    rows = lgb.Dataset(data.X, label=(bucket > 0).astype(np.float32), params=params)
    boosters = []
    for k in range(edges.size):
        rows.construct().set_label((bucket > k).astype(np.float32))
        boosters.append(lgb.train(params, rows, num_boost_round=rounds))
    return boosters


def _crps(loss: OrdinalBuckets, raw: Floats, y: Floats) -> float:
    parts = np.array_split(np.arange(y.size), max(1, y.size // 5_000))
    return float(np.concatenate([loss.distribution(raw[part]).crps(y[part]) for part in parts]).mean())


# -- zeros -------------------------------------------------------------------------------------------------------------
def zero_inflated(plan: Plan) -> list[Table]:
    """ZILN, factorised, against native objectives and against LightGBMLSS."""
    n, rounds = plan.rows(200_000), 5 if plan.quick else 50
    table = Table(
        "ZILN against two native fits",
        f"ZILNRegressor's {rounds} rounds on LightGBM over a native binary fit on all rows and a native squared error of "
        "ln y on the positive ones. Medians of interleaved repetitions (min to max). Negative log-likelihood of "
        f"{HELD_OUT:,} other rows.",
        ("zeros", "rows", "ours s", "native s", "ours / native", "goal", "met", "held-out nll", "finite rows"),
    )
    model = ZILNRegressor(n_estimators=rounds)
    made = {"two thirds": spend, "nine tenths": rare}
    warm = spend(5_000)
    model.fit(warm.X, warm.y)
    _two_natives(warm, 2)
    for name, draw in made.items():
        data, test = draw(n, 0), draw(HELD_OUT, 1)
        _, seconds = _timed(partial(model.fit, data.X, data.y), partial(_two_natives, data, rounds), plan.repeats(5))
        ratio = Spread.of_ratios(*seconds)
        nll, finite = _likelihood(model, test)
        table.rows.append(
            (
                name,
                f"{n:,}",
                *(Spread.of(s).text() for s in seconds),
                ratio.text(),
                *judged(ratio.middle, 1.5),
                f"{nll:.4f}",
                f"{finite:.2%}",
            )
        )
    return [table, _against_lightgbmlss(plan, model, n, rounds)]


def _two_natives(data: Spend, rounds: int) -> tuple[Any, Any]:
    bought = data.y > 0
    whether = plain_lightgbm({"objective": "binary", **LEAST_HESSIAN}, replace(data, y=bought.astype(float)), rounds)
    amounts = replace(data, X=data.X[bought], y=np.log(data.y[bought]))
    return whether, plain_lightgbm({"objective": "regression"}, amounts, rounds)


def _likelihood(model: ZILNRegressor, test: Spend) -> tuple[float, float]:
    """Mean held-out negative log-likelihood, and the share of rows where it and the predicted mean are finite."""
    distribution = model.predict_distribution(test.X)
    values = distribution.log_score(test.y)
    return float(values.mean()), float((np.isfinite(values) & np.isfinite(distribution.mean())).mean())


def _against_lightgbmlss(plan: Plan, model: ZILNRegressor, n: int, rounds: int) -> Table:
    table = Table(
        "ZILN against LightGBMLSS's ZALN",
        f"The same likelihood, {rounds} rounds. Of {HELD_OUT:,} other rows: negative log-likelihood, where it and the "
        "predicted mean are finite, and the largest sigma of ZALN. `leaves` is what ZALN grew a tree, of 31. Medians of "
        "interleaved repetitions (min to max).",
        (
            "zeros",
            "rows",
            "ours s",
            "ZALN s",
            "ours / ZALN",
            "goal",
            "met",
            "nll ours",
            "ZALN",
            "goal",
            "met",
            "finite ours",
            "ZALN",
            "sigma",
            "leaves",
        ),
    )
    if plan.lss is None:
        table.note = (
            "Not measured: python -m venv lss; lss/bin/pip install lightgbmlss==0.6.1; then give --lss lss/bin/python."
        )
        return table
    for zeros, draw in {"two thirds": spend, "nine tenths": rare}.items():
        data, found, seconds = draw(n), [], []
        command = [plan.lss, "-m", "tests.benchmarks.zaln", draw.__name__, str(n), str(rounds)]
        for _ in range(plan.repeats(3)):
            ((each,),) = interleave([partial(model.fit, data.X, data.y)], 1)
            seconds.append(each)
            found.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
        theirs, last = [run["seconds"] for run in found], found[-1]
        ratio = Spread.of_ratios(seconds, theirs)
        nll, finite = _likelihood(model, draw(HELD_OUT, 1))
        table.rows.append(
            (
                zeros,
                f"{n:,}",
                Spread.of(seconds).text(),
                Spread.of(theirs).text(),
                ratio.text(digits=3),
                *judged(ratio.middle, 0.1),
                f"{nll:.4f}",
                f"{last['nll']:.5g}",
                "lower",
                "yes" if nll < last["nll"] or not np.isfinite(last["nll"]) else "no",
                f"{finite:.1%}",
                f"{last['finite']:.1%}",
                f"{last['scale']:.3g}",
                f"{last['leaves']:.1f}",
            )
        )
    return table


# -- odds --------------------------------------------------------------------------------------------------------------
CROSS_ENTROPY: dict[str, dict[str, Any]] = {
    "lightgbm": {"objective": "cross_entropy"},
    "xgboost": {"objective": "binary:logistic", "min_child_weight": 20.0},
    "catboost": {"loss_function": "CrossEntropy"},
}


def odds(plan: Plan) -> list[Table]:
    """WCE against the engines' own objective on the labels and weights that it stands for."""
    n, rounds = plan.rows(200_000), 5 if plan.quick else 50
    table = Table(
        "WCE against the engine's own cross-entropy",
        f"Whole fits of {rounds} rounds on spend in units of its mean: GBRegressor(WCE()), natively and by the kernel, over "
        "the plain engine API with soft labels w / (1 + w) and weights 1 + w made beforehand. The goal is "
        "for the native form. `leaves` is grown leaves, native over plain. Medians of interleaved repetitions (min "
        "to max).",
        ("engine", "rows", "native s", "plain s", "native / plain", "kernel / plain", "leaves", "goal", "met"),
    )
    for engine, objective in CROSS_ENTROPY.items():
        for data, times in ((_in_means(spend(5_000)), 1), (_in_means(spend(n)), plan.repeats(3))):
            soft = _soft(data)
            boosters: dict[str, Any] = {}

            def fit(native: bool, data: Spend = data, engine: str = engine, boosters: dict[str, Any] = boosters) -> None:
                model = GBRegressor(WCE(), engine=engine, n_estimators=rounds, native=native)
                boosters["native" if native else "kernel"] = model.fit(data.X, data.y).booster_

            def plain(
                soft: Spend = soft, engine: str = engine, objective: Any = objective, boosters: Any = boosters
            ) -> None:
                boosters["plain"] = PLAIN[engine](objective, soft, rounds)

            native, kernel, bare = interleave([partial(fit, True), partial(fit, False), plain], times)
        ratio = Spread.of_ratios(native, bare)
        leaves = grown_leaves(engine, boosters["native"]) / grown_leaves(engine, boosters["plain"])
        table.rows.append(
            (
                engine,
                f"{n:,}",
                Spread.of(native).text(),
                Spread.of(bare).text(),
                ratio.text(),
                Spread.of_ratios(kernel, bare).text(),
                f"{leaves:.2f}",
                *judged(ratio.middle, 1.0),
            )
        )
    return [table]


def _in_means(data: Spend) -> Spend:
    return replace(data, y=data.y / data.y.mean())


def _soft(data: Spend) -> Spend:
    """Labels and weights of the cross-entropy that is WCE, its Hessians with a mean of 1 at odds of 1."""
    return replace(data, y=data.y / (1.0 + data.y), weight=2.0 * (1.0 + data.y))


def families(plan: Plan) -> list[Table]:
    return [table for part in (low_rank, shared_thresholds, zero_inflated, odds) for table in part(plan)]
