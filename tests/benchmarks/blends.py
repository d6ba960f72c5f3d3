"""A blend of default models against the one of them that the same held-out rows choose.

``python -m tests.benchmarks.blends FOLDER [--seeds N] [--split validation|test] [--rows N]``

FOLDER and splits are those of `tests.benchmarks.quality`. Every seed draws other rows to fit; three tenths of them choose
(whole customers on retail2_ltv), all of them then train. Later rows judge.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from gbreg import BlendRegressor, BucketRegressor, GBRegressor, HurdleRegressor, OrdinalRegressor, ZILNRegressor
from gbreg.metrics import get_metric
from tests.benchmarks.measure import Table
from tests.benchmarks.quality import SETS, _parts

METRICS = ("mae", "xauc", "normalized_gini", "rmse")
BOOSTING = {"n_estimators": 100, "learning_rate": 0.1, "n_jobs": 1, "random_state": 0}


def _models() -> list[tuple[str, object]]:
    boosted = [(loss, GBRegressor(loss, **BOOSTING)) for loss in ("squared_error", "absolute_error", "poisson", "tweedie")]
    hurdle = HurdleRegressor(GBRegressor("bernoulli", **BOOSTING), GBRegressor("gamma", **BOOSTING))
    presets = {"ziln": ZILNRegressor, "bucket": BucketRegressor, "ordinal": OrdinalRegressor}
    return [*boosted, ("hurdle", hurdle), *((name, preset(**BOOSTING)) for name, preset in presets.items())]


def on_public_sets(folder: Path, split: str, seeds: int, rows: int) -> Table:
    table = Table(
        "Blends",
        f"{split}; {rows:,} rows to fit, {seeds} seeds; what the blend has over the single model: lower errors in percent, "
        "more XAUC and Gini in points, mean and twice its standard error; in brackets the seeds in which it is ahead.",
        ("set", *METRICS),
    )
    for name, data in SETS.items():
        sooner, later = _parts(folder, data, split)
        later = later[np.sort(np.random.default_rng(0).permutation(later.y.size)[:20_000])]
        gains = {metric: [] for metric in METRICS}
        for seed in range(seeds):
            part = sooner[np.sort(np.random.default_rng(seed).permutation(sooner.y.size)[:rows])]
            for of in METRICS:
                metric = get_metric(of)
                scores = []
                for more in ({"picks": 1, "bags": 1}, {}):
                    blend = BlendRegressor(_models(), metric=of, validation_fraction=0.3, random_state=seed, **more)
                    blend.fit(part.X, part.y, part.weight, groups=part.group)
                    scores.append(metric(later.y, blend.predict(later.X), later.weight))
                single, mixed = scores
                gains[of].append(100 * (mixed - single if metric.greater_is_better else 1 - mixed / single))
        cells = []
        for values in gains.values():
            error = 2.0 * np.std(values, ddof=1) / np.sqrt(seeds)
            cells.append(f"{np.mean(values):+.2f} ± {error:.2f} ({sum(v > 0 for v in values)} of {seeds})")
        table.rows.append((name, *cells))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.blends")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=14_000)
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    arguments = parser.parse_args()
    print(on_public_sets(arguments.folder, arguments.split, arguments.seeds, arguments.rows).text())


if __name__ == "__main__":
    main()
