"""Cold users: boosters of their own against the global model, on worlds of known truth and on watch times.

``python -m tests.benchmarks.cold_start FOLDER [--seeds N] [--split validation|test]``

FOLDER holds kuairand_watch.parquet. With ``--split validation`` rows of "test" are not read: the latest three tenths of
"train" stand in for them.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gbreg import ColdStartRegressor, GBRegressor
from gbreg.datasets import make_gmv, make_watch_time
from tests.benchmarks.measure import Table

Floats = NDArray[np.float64]

KEYS = ["user_id", "video_id", "author_id", "timestamp", "play_time_s", "split"]
WORLDS = {"make_watch_time": make_watch_time, "make_gmv": make_gmv}
# Other seeds drew the worlds that the defaults were chosen on.
FIRST = 100
# Training rows, share of new users, and what x1 does to them: the opposite, twice or once, or the same as to others.
CASES = ((10_000, 0.1, -2.0), (10_000, 0.1, -1.0), (20_000, 0.04, -2.0), (10_000, 0.1, 1.0))


def _estimator(loss: str, seed: int) -> GBRegressor:
    return GBRegressor(loss, n_estimators=300, early_stopping_rounds=20, n_jobs=1, random_state=seed)


def _fitted(model: ColdStartRegressor, *rows: Any, **more: Any) -> ColdStartRegressor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the global model predicts all rows is in the table
        return model.fit(*rows, **more)


def _away(each: Any) -> str:
    """A mean over seeds with twice its standard error."""
    each = np.asarray(each)
    return f"{each.mean():+.1%} ± {2 * each.std(ddof=1) / np.sqrt(each.size):.1%}"


def on_worlds(seeds: int) -> Table:
    """What of the loss above that of the true means is gained, of new users and of the others."""
    note = (
        "Tweedie loss above that of the true means: by what share of it the global model's is lowered on 40,000 later rows, "
        "half of them of new users, whose x1 has cold_slope times the others' effect. "
        f"Means over {seeds} seeds with twice their standard error. Kept: in how many seeds there is a local booster. "
        "Apart: a model of the new users alone."
    )
    columns = ("world", "rows", "new users", "cold_slope", "kept", "new users gain", "others gain", "new users gain, apart")
    table = Table("New users of known worlds", note, columns)
    for name, make in WORLDS.items():
        for n, share, slope in CASES:
            cold_gain, warm_gain, apart_gain, kept = [], [], [], 0
            for seed in range(seeds):
                given: dict[str, Any] = {"cold_share": share, "cold_slope": slope}
                train = make(n, random_state=FIRST + seed, **given)
                later = make(40_000, random_state=20 * FIRST + seed, **given | {"cold_share": 0.5})
                X, X_later = (np.column_stack([world.data, world.activity]) for world in (train, later))
                model = _fitted(ColdStartRegressor(_estimator("tweedie", seed), gate=X.shape[1] - 1), X, train.target)
                loss = model.estimator_.loss_

                def above(raw: Floats, world: Any = later, loss: Any = loss) -> Floats:
                    return loss.value(world.target, raw) - loss.value(world.target, np.log(world.mean))  # type: ignore[no-any-return]

                alone, both = above(model.estimator_.predict_raw(X_later)), above(model.predict_raw(X_later))
                few = _estimator("tweedie", seed).fit(X[train.cold], train.target[train.cold])
                apart = above(few.predict_raw(X_later))
                kept += len(model.locals_)
                cold_gain.append(1 - both[later.cold].mean() / alone[later.cold].mean())
                warm_gain.append(1 - both[~later.cold].mean() / alone[~later.cold].mean())
                apart_gain.append(1 - apart[later.cold].mean() / alone[later.cold].mean())
            found = (_away(cold_gain), _away(warm_gain), _away(apart_gain))
            table.rows.append((name, f"{n:,}", f"{share:.0%}", f"{slope:g}", f"{kept} of {seeds}", *found))
    return table


def _rows(folder: Path, split: str) -> tuple[Any, Any]:
    """The rows that train, and later ones."""
    rows = pd.read_parquet(folder / "kuairand_watch.parquet")
    if split == "test":
        return rows[rows["split"] == "train"], rows[rows["split"] == "test"]
    rows = rows[rows["split"] == "train"].sort_values("timestamp")
    cut = len(rows) * 7 // 10
    return rows.iloc[:cut], rows.iloc[cut:]


GATES: dict[str, dict[str, Any]] = {
    "gate=user_prev_n": {"gate": "user_prev_n"},
    "gate=video_prev_n": {"gate": "video_prev_n"},
    "segment=tab": {"segment": "tab"},
}
ACTIVITY = {"0": (0, 0), "1 to 2": (1, 2), "3 or more": (3, np.inf)}


def on_watch_times(folder: Path, split: str, seeds: int) -> Table:
    """What later rows gain, by how often the user was seen before."""
    train, later = _rows(folder, split)
    note = (
        f"kuairand_watch, {split}: by what share the global model's mean Tweedie loss is lowered on {len(later):,} later "
        "rows, by how often the user, with a gate of videos the video, was seen before. "
        f"Means over {seeds} seeds, each leaving out another tenth of the training users, with twice their standard error "
        "over users. Kept: local boosters, of those tried, in all seeds."
    )
    table = Table("Watch times", note, ("by", "kept", *(f"seen {seen} times" for seen in ACTIVITY)))
    y, who = (later[name].to_numpy() for name in ("play_time_s", "user_id"))
    for name, given in GATES.items():
        seen = later[given.get("gate", "user_prev_n")].to_numpy()
        gained, lost, kept, tried = np.zeros(len(later)), np.zeros(len(later)), 0, 0
        for seed in range(seeds):
            users = train["user_id"].unique()
            out = np.random.default_rng(seed).choice(users, users.size // 10, replace=False)
            rows = train[~train["user_id"].isin(out)]
            model = ColdStartRegressor(_estimator("tweedie", seed), cv=3, **given)
            X, groups = rows.drop(columns=KEYS), rows["user_id"].to_numpy()
            _fitted(model, X, rows["play_time_s"].to_numpy(dtype=float), groups=groups)
            X = later.drop(columns=KEYS)
            alone = model.estimator_.loss_.value(y, model.estimator_.predict_raw(X))
            gained += (alone - model.estimator_.loss_.value(y, model.predict_raw(X))) / seeds
            lost += alone / seeds
            kept, tried = kept + len(model.locals_), tried + len(model.trials_)
        cells = []
        for least, most in ACTIVITY.values():
            of = (seen >= least) & (seen <= most)
            by_user = np.bincount(np.unique(who[of], return_inverse=True)[1], gained[of])
            error = 2 * by_user.std(ddof=1) * np.sqrt(by_user.size) / lost[of].sum()
            cells.append(f"{gained[of].sum() / lost[of].sum():+.2%} ± {error:.2%}")
        table.rows.append((name, f"{kept} of {tried}", *cells))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cold_start")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    arguments = parser.parse_args()
    print(on_worlds(arguments.seeds).markdown())
    print(on_watch_times(arguments.folder, arguments.split, max(2, arguments.seeds // 5)).markdown())


if __name__ == "__main__":
    main()
