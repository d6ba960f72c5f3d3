"""Held-out log-loss of the bucket: low rank against native multiclass.

``python -m tests.benchmarks.ranks FOLDER [--sets ...]``

FOLDER as in `tests.benchmarks.quality`; rows of "test" are not read.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from gbreg import GBRegressor
from gbreg.losses import SoftmaxBuckets
from tests.benchmarks.measure import Table
from tests.benchmarks.quality import SETS, _parts

# Multiclass passes its best round early, and takes a minute for 25 of them.
ROUNDS = {4: 60, 2: 60, None: 25}


def log_losses(folder: Path, name: str) -> dict[int | None, tuple[float, int]]:
    """The least held-out log-loss of each rank, and its round; None is LightGBM's own multiclass."""
    rng = np.random.default_rng(0)
    train, judged = (
        part[np.sort(rng.choice(part.y.size, min(most, part.y.size), replace=False))]
        for part, most in zip(_parts(folder, SETS[name], "validation"), (20_000, 10_000), strict=True)
    )
    found = {}
    for rank, rounds in ROUNDS.items():
        # With LightGBM's default least Hessian its multiclass diverges on so many classes.
        native = {"min_sum_hessian_in_leaf": 1.0} if rank is None else None
        model = GBRegressor(SoftmaxBuckets(n_buckets=100, rank=rank), n_estimators=rounds, engine_params=native)
        weights = {} if train.weight is None else {"sample_weight": train.weight, "eval_sample_weight": judged.weight}
        model.fit(train.X, train.y, eval_set=(judged.X, judged.y), **weights)
        history = model.evals_result_["validation_0"]["softmax_buckets"]
        found[rank] = min(history), int(np.argmin(history)) + 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.ranks", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    given = parser.parse_args()
    table = Table(
        "Held-out log-loss of the bucket",
        "100 mixed buckets, at the best round (in brackets).",
        ("set", "rank 4", "rank 2", "native multiclass"),
    )
    for name in given.sets:
        table.rows.append((name, *(f"{loss:.4f} ({best})" for loss, best in log_losses(given.folder, name).values())))
    print(table.markdown())


if __name__ == "__main__":
    main()
