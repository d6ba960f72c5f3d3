"""Can one model of the whole distribution replace the specialist for every measure?

Ranking, sums, typical values and safe levels are usually trained apart, each with a loss of its own, and then quarrel. One
`BucketRegressor` is read as mean, median, log mean and 0.9 quantile, and each reading is compared with the model trained for
it, on the same rows, with early stopping.

Found: yes. Its log mean, median and mean are as good as the specialists' or a little better; only the squared error of its
mean depends on the seed, that is on a few rows of the tail.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import Run, draw_intervals, over_seeds, start
from matplotlib.figure import Figure

from gbreg import BucketRegressor, GBRegressor
from gbreg.datasets import make_gmv
from gbreg.losses import AbsoluteError, Quantile, SquaredError, TransformedSquaredError, Tweedie
from gbreg.metrics import mean_absolute_error, normalized_gini, pinball, root_mean_squared_error, xauc

READINGS = {
    "mean, by RMSE": ("mean", SquaredError(), root_mean_squared_error),
    "mean, by Gini": ("mean", Tweedie(), normalized_gini),
    "log mean, by XAUC": ("log_mean", TransformedSquaredError(smearing=False), lambda y, p: xauc(y, p) - 0.5),
    "median, by MAE": ("median", AbsoluteError(), mean_absolute_error),
    "0.9 quantile, by pinball": (0.9, Quantile(level=0.9), lambda y, p: pinball(y, p, level=0.9)),
}
LOWER_IS_BETTER = ("RMSE", "MAE", "pinball")


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(15_000, 2_000)
    settings = {"n_estimators": run.size(500, 30), "early_stopping_rounds": 20, "random_state": 0, "n_jobs": 1}
    quality = {name: [] for name in READINGS}
    for seed in run.seeds:
        world = make_gmv(2 * n, random_state=seed)
        train, test = (world.data[:n], world.target[:n]), (world.data[n:], world.target[n:])
        one = BucketRegressor(**settings).fit(*train)
        for name, (functional, loss, metric) in READINGS.items():
            special = metric(test[1], GBRegressor(loss, **settings).fit(*train).predict(test[0]))
            ours = metric(test[1], one.predict(test[0], functional=functional))
            quality[name].append(special / ours if name.endswith(LOWER_IS_BETTER) else ours / special)
    for name, shares in quality.items():
        print(f"{name:25} {over_seeds(shares):.1%} of the specialist's, a {READINGS[name][1].name} model")
    picture(run, quality)
    worst, *_, best = sorted(quality, key=lambda name: np.mean(quality[name]))
    print(
        f"Answer: yes: of the specialist's quality it reaches {over_seeds(quality[best]):.1%} at best ({best}), "
        f"{over_seeds(quality[worst]):.1%} at worst ({worst}), and between these by the other three"
    )


def picture(run: Run, quality: dict) -> None:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    ax = figure.subplots()
    named = {f"{name}\nagainst {READINGS[name][1].name}": 100 * np.array(shares) for name, shares in quality.items()}
    draw_intervals(ax, named, reference=100)
    ax.set(xlabel="quality of the one model's reading, % of the specialist's")
    run.save(figure, "readouts")


if __name__ == "__main__":
    main()
