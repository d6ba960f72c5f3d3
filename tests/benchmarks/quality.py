"""One bucket model, read twice, against models trained for one number each.

``python -m tests.benchmarks.quality FOLDER [--sets ...] [--seeds ...] [--split validation|test] [--candidate a=1,b=2 ...]``

FOLDER holds one Parquet table a set, with a column `split`: "train", "test", or "gap" (left out, as its labels' windows
overlap both). With ``--split validation`` rows of "test" are not read: the last fifth of "train" by time stands in for
them. All models have the same learning rate, leaves and held-out rows for early stopping.
"""

from __future__ import annotations

import argparse
import ast
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gbreg import BucketRegressor, GBRegressor, HurdleRegressor
from gbreg.estimators.rows import hold_out
from gbreg.losses import TransformedSquaredError, Tweedie
from gbreg.metrics import normalized_gini, pcoc, root_mean_squared_error, xauc
from tests.benchmarks.measure import Table

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class DataSet:
    """Where the labels of a table are, and what in it is no feature.

    Parameters
    ----------
    name : str
        Of the file, without ".parquet".
    target : str
    time : str
        What "the last fifth" is by; a random fifth where it has one value.
    keys : tuple of str
    weight : str or None
    window : int
        Days that a label looks ahead: rows for training end this long before those for testing.
    group : str or None
        Whose rows are held out together, because their windows overlap.
    """

    name: str
    target: str
    time: str
    keys: tuple[str, ...]
    weight: str | None = None
    window: int = 0
    group: str | None = None


SETS = {
    s.name: s
    for s in (
        DataSet("kuairand_watch", "play_time_s", "timestamp", ("user_id", "video_id", "author_id")),
        DataSet("retail2_ltv", "ltv_90d", "snapshot", ("customer_id",), window=90, group="customer_id"),
        DataSet("retail2_gmv", "gmv_1w", "week_start", ("sku",), window=7),
        DataSet("pg15_claims", "claim_cost", "calyear", ("polnum", "cost_material", "cost_bodily"), "exposure"),
    )
}


def _specialists(options: dict[str, Any]) -> dict[str, tuple[Any, tuple[str | None, ...]]]:
    """Each with the functionals to read from it; None is its own."""

    def hurdle(loss: str) -> HurdleRegressor:
        return HurdleRegressor(GBRegressor("bernoulli", **options), GBRegressor(loss, **options))

    return {
        "squared error": (GBRegressor("squared_error", **options), (None,)),
        "Tweedie 1.5": (GBRegressor(Tweedie(power=1.5), **options), (None,)),
        "Tweedie 1.8": (GBRegressor(Tweedie(power=1.8), **options), (None,)),
        "Poisson": (GBRegressor("poisson", **options), (None,)),
        "MAE": (GBRegressor("absolute_error", **options), (None,)),
        "squared error of log1p": (GBRegressor(TransformedSquaredError(smearing=False), **options), (None,)),
        "binary x gamma": (hurdle("gamma"), (None,)),
        "binary x log-normal": (hurdle("log_normal"), (None, "log_mean")),
    }


@dataclass(frozen=True)
class Part:
    """Rows of a table: features, labels, weights or None, times, whose rows they are, groups or None."""

    X: Any
    y: Floats
    weight: Floats | None
    when: Any
    keys: Any
    group: Any = None

    def __getitem__(self, rows: Any) -> Part:
        weight, group = (None if column is None else column[rows] for column in (self.weight, self.group))
        return Part(self.X.iloc[rows], self.y[rows], weight, self.when[rows], self.keys[rows], group)

    def with_labels(self, y: Floats) -> Part:
        return replace(self, y=y)

    def split(self, seed: int) -> tuple[Part, Part]:
        """Nine tenths to train on, one tenth to stop by."""
        if self.group is None:
            order = np.random.default_rng(seed).permutation(self.y.size)
            held, used = order[: self.y.size // 10], order[self.y.size // 10 :]
            return self[np.sort(used)], self[np.sort(held)]
        used, held = hold_out(self.y.size, 0.1, seed, self.group)
        return self[used], self[held]


def _parts(folder: Path, data: DataSet, split: str) -> tuple[Part, Part]:
    """Rows to train on and rows to judge by."""
    wanted = ["train"] if split == "validation" else ["train", "test"]
    table = pd.read_parquet(folder / f"{data.name}.parquet", filters=[("split", "in", wanted)]).reset_index(drop=True)
    when = table[data.time]
    if split == "test":
        later = (table["split"] == "test").to_numpy()
        sooner = ~later
    elif when.nunique() == 1:
        later = np.random.default_rng(0).random(len(table)) < 0.2
        sooner = ~later
    else:
        start = when.quantile(0.8, interpolation="higher")
        later = (when >= start).to_numpy()
        sooner = (when <= start - pd.Timedelta(days=data.window)).to_numpy() & ~later
    X = table.drop(columns=[*data.keys, data.time, data.target, "split", *([data.weight] if data.weight else [])])
    weight = table[data.weight].to_numpy(dtype=float) if data.weight else None
    group = table[data.group].to_numpy() if data.group else None
    keys = table[data.keys[0]].to_numpy()
    rows = Part(X, table[data.target].to_numpy(dtype=float), weight, when.to_numpy(), keys, group)
    return rows[np.flatnonzero(sooner)], rows[np.flatnonzero(later)]


@dataclass
class Result:
    """What one fitted model says about the rows to judge by."""

    name: str
    judged: Part
    ranks: list[Floats]
    mean: Floats
    rounds: Any
    seconds: float
    scores: dict[str, float] = field(init=False)

    def __post_init__(self) -> None:
        y, w = self.judged.y, self.judged.weight
        self.scores = {
            "xauc": max(xauc(y, rank, w) for rank in self.ranks) - 0.5,
            "gini": normalized_gini(y, self.mean, w),
            "rmse": root_mean_squared_error(y, self.mean, w),
            "pcoc": pcoc(y, self.mean, w),
        }

    def squares(self) -> Floats:
        weight = 1.0 if self.judged.weight is None else self.judged.weight
        return np.asarray(weight * (self.judged.y - self.mean) ** 2)


def _fit(name: str, model: Any, readouts: tuple[str | None, ...], train: Part, held: Part, judged: Part) -> Result:
    start = time.perf_counter()
    weights = {} if train.weight is None else {"sample_weight": train.weight, "eval_sample_weight": held.weight}
    model.fit(train.X, train.y, eval_set=(held.X, held.y), **weights)
    seconds = time.perf_counter() - start
    # Where no distribution is asked for, the ranking is that of the prediction.
    ranks = [model.predict(judged.X, functional=functional) for functional in readouts]
    parts = [getattr(model, part, None) for part in ("classifier_", "regressor_")]
    rounds = tuple(part.best_iteration_ for part in parts if part is not None) or model.best_iteration_
    return Result(name, judged, ranks, model.predict(judged.X), rounds, seconds)


def _interval(best: Result, other: Result, n: int = 1000) -> tuple[float, float]:
    """95% of the ratio of RMSE, best over other, over bootstrap samples of the rows, the same for both."""
    rng = np.random.default_rng(0)
    a, b = best.squares(), other.squares()
    counts = (rng.multinomial(a.size, np.full(a.size, 1.0 / a.size)) for _ in range(n))
    low, high = np.quantile([np.sqrt((c @ a) / (c @ b)) for c in counts], (0.025, 0.975))
    return float(low), float(high)


def compare(train: Part, judged: Part, candidates: dict[str, dict[str, Any]], seed: int, options: dict[str, Any]) -> Table:
    """Every model's scores in % of the best specialist's, over 100 where it is better."""
    used, held = train.split(seed)
    options = options | {"random_state": seed}
    models = _specialists(options)
    n_specialists = len(models)
    for name, parameters in candidates.items():
        models[name] = (BucketRegressor(**(options | parameters)), ("log_mean",))
    results = [_fit(name, *model, used, held, judged) for name, model in models.items()]
    specialists = results[:n_specialists]
    best = {s: max(specialists, key=lambda r: r.scores[s]) for s in ("xauc", "gini")}
    best["rmse"] = min(specialists, key=lambda r: r.scores["rmse"])
    note = ", ".join(f"{s} {r.scores[s]:.4g} of {r.name}" for s, r in best.items())
    table = Table(
        f"seed {seed}, {used.y.size:,} rows to train on, {held.y.size:,} to stop by, {judged.y.size:,} to judge by",
        f"In % of the best specialist's: {note}. XAUC less 0.5, of bucket models read as log mean; the rest of the mean. "
        "RMSE: best over model, with the paired bootstrap's 95% interval.",
        ("model", "XAUC", "nGini", "RMSE", "95%", "PCOC", "rounds", "s"),
    )
    for r in results:
        low, high = _interval(best["rmse"], r)
        ratios = r.scores["xauc"] / best["xauc"].scores["xauc"], r.scores["gini"] / best["gini"].scores["gini"]
        ratios = *ratios, best["rmse"].scores["rmse"] / r.scores["rmse"]
        cells = [f"{100 * ratio:.1f}" for ratio in ratios]
        interval = f"{100 * low:.1f} to {100 * high:.1f}"
        table.rows.append((r.name, *cells, interval, f"{r.scores['pcoc']:.2f}", str(r.rounds), f"{r.seconds:.0f}"))
    return table


def _candidate(text: str) -> tuple[str, dict[str, Any]]:
    """``rank=3,edges=quantile`` as parameters of BucketRegressor: Python literals, else strings; ";" parts them too."""
    parameters = {}
    for item in filter(None, text.split(";" if ";" in text else ",")):
        name, _, value = item.partition("=")
        try:
            parameters[name.strip()] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            parameters[name.strip()] = value.strip()
    return f"buckets {text}".strip(), parameters


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.quality", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--candidate", action="append", default=[], help="parameters of a further BucketRegressor")
    parser.add_argument("--rows", type=int, help="at most so many rows to train on, drawn at random")
    parser.add_argument("--rounds", type=int, default=3000, help="at most")
    parser.add_argument("--learning-rate", type=float, default=0.05)
    parser.add_argument("--patience", type=int, default=50)
    given = parser.parse_args()
    options = {
        "n_estimators": given.rounds,
        "learning_rate": given.learning_rate,
        "early_stopping_rounds": given.patience,
    }
    candidates = dict(map(_candidate, ["", *given.candidate]))
    for name in given.sets:
        train, judged = _parts(given.folder, SETS[name], given.split)
        if given.rows and train.y.size > given.rows:
            train = train[np.sort(np.random.default_rng(0).choice(train.y.size, given.rows, replace=False))]
        for seed in given.seeds:
            table = compare(train, judged, candidates, seed, options)
            table.title = f"{name}, {given.split}: {table.title}"
            print(table.markdown(), flush=True)


if __name__ == "__main__":
    main()
