"""How many buckets, which edges, and mean or median of each?

The seed notes list uniform, hand-made segments, exp and, for prices, peaks, and take a bucket's mean or median. All are
tried on money with price peaks, judged by the error against the true mean (in % of its average) and by the sum.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import Run, draw_intervals, over_seeds, start
from matplotlib.figure import Figure

from gbreg import BucketRegressor
from gbreg.datasets import make_gmv
from gbreg.metrics import root_mean_squared_error

SEGMENTS = [(0, 10, 2), (10, 200, 10), (200, 1000, 100), (1000, 10_000, 1000)]
EDGES = {
    "uniform": "uniform",
    "segments": SEGMENTS,
    "exp": "exp",
    "quantile": "quantile",
    "peaks": "peaks",
    "mixed": "mixed",
}
TRIED = {f"{name}, 48": (edges, 48, "mean") for name, edges in EDGES.items()}
TRIED |= {f"quantile, {k}": ("quantile", k, "mean") for k in (12, 96)}
TRIED |= {f"{name}, 48, median": (name, 48, "median") for name in ("uniform", "quantile")}


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(5_000, 1_000)
    settings = {"n_estimators": run.size(40, 8), "random_state": 0, "n_jobs": 1}
    errors, sums = {name: [] for name in TRIED}, {name: [] for name in TRIED}
    for seed in run.seeds:
        world = make_gmv(2 * n, random_state=seed)
        truth = world.mean[n:]
        for name, (edges, k, how) in TRIED.items():
            model = BucketRegressor(n_buckets=k, edges=edges, representative=how, **settings)
            predicted = model.fit(world.data[:n], world.target[:n]).predict(world.data[n:])
            errors[name].append(root_mean_squared_error(truth, predicted) / truth.mean())
            sums[name].append(predicted.sum() / truth.sum())
    for name in TRIED:
        print(f"{name:22} error {over_seeds(errors[name]):.1%}, sum {over_seeds(sums[name]):.1%}")
    picture(run, errors, sums)
    said = ", ".join(f"{name} {over_seeds(of):.0%} (sum {np.mean(sums[name]):.0%})" for name, of in errors.items())
    print(f"Answer: error against the true mean by edges and number: {said}")


def picture(run: Run, errors: dict, sums: dict) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    draw_intervals(left, {name: 100 * np.array(of) for name, of in errors.items()}, reference=0)
    draw_intervals(right, {name: 100 * np.array(of) for name, of in sums.items()}, reference=100)
    right.invert_yaxis()
    left.set(xlabel="error against the true mean, % of its average")
    right.set(xlabel="sum, % of the true means'")
    run.save(figure, "bucket_edges")


if __name__ == "__main__":
    main()
