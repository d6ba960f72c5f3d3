"""Why does log-MSE underestimate, and which repair is best?

The mean of a log is not the log of a mean: squared error on ln(1 + y) learns E[ln(1 + y)], and decoding it by the inverse
gives about the geometric mean. Three repairs: Duan's smearing, calibration (isotonic), and a loss whose minimiser is the
mean (Tweedie). The truth is known, so that the error against the true mean is seen too, in % of its average.
The surprise: smearing and Tweedie, which should repair the sum, leave much of the shortfall; why has not been measured.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import Run, draw_intervals, over_seeds, start
from matplotlib.figure import Figure

from gbreg import GBRegressor
from gbreg.datasets import make_ltv
from gbreg.losses import TransformedSquaredError, Tweedie
from gbreg.metrics import root_mean_squared_error


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(15_000, 2_000)
    settings = {"n_estimators": run.size(300, 20), "early_stopping_rounds": 20, "random_state": 0, "n_jobs": 1}
    plain = TransformedSquaredError(smearing=False)
    models = {
        "log-MSE": GBRegressor(plain, **settings),
        "smearing": GBRegressor(TransformedSquaredError(), **settings),
        "isotonic calibration": GBRegressor(plain, calibration="isotonic", **settings),
        "Tweedie": GBRegressor(Tweedie(), **settings),
    }
    sums, top, errors = ({name: [] for name in models} for _ in range(3))
    for seed in run.seeds:
        world = make_ltv(2 * n, random_state=seed)
        truth = world.mean[n:]
        highest = truth >= np.quantile(truth, 0.9)
        for name, model in models.items():
            predicted = model.fit(world.data[:n], world.target[:n]).predict(world.data[n:])
            sums[name].append(predicted.sum() / truth.sum())
            top[name].append(predicted[highest].sum() / truth[highest].sum())
            errors[name].append(root_mean_squared_error(truth, predicted) / truth.mean())
    for name in models:
        print(f"{name}: sum {over_seeds(sums[name]):.0%}, top tenth {over_seeds(top[name]):.0%} of the truth")
    picture(run, sums, top)
    said = "; ".join(
        f"{name} {over_seeds(sums[name]):.0%} (top tenth {np.mean(top[name]):.0%}, error {over_seeds(errors[name]):.0%})"
        for name in models
    )
    print(f"Answer: the mean of a log is not the log of a mean; sums, against the true ones: {said}")


def picture(run: Run, sums: dict, top: dict) -> None:
    figure = Figure(figsize=(10, 3), layout="constrained")
    titles = ("all rows", "the tenth of the highest true means")
    for ax, of, title in zip(figure.subplots(1, 2, sharey=True), (sums, top), titles, strict=True):
        draw_intervals(ax, {name: 100 * np.array(values) for name, values in of.items()}, reference=100)
        ax.set(xlabel="sum of predictions, % of the true means'", title=title)
    ax.invert_yaxis()
    run.save(figure, "log_bias")


if __name__ == "__main__":
    main()
