"""Is ZILN, end to end, better for customers' lifetime value than squared error and Tweedie?

Most customers never pay again, a few pay a lot. ZILN models whether and how much, log-normally, at once. Judged as Wang, Liu
& Miao (2019, arXiv 1912.07753) do: who is worth most (normalised Gini), the chart of deciles (its mean error, decile MAPE),
the sum; and here, where the truth is known, the error against the true mean, in % of its average. Beside them
`BucketRegressor`, which does not believe in log-normals.

Found: in the chart of deciles it is, against Tweedie by a little and against squared error by far. It ranks customers no
better than Tweedie, squared error has the right sum too, and buckets are as good as ZILN at all of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import Run, over_seeds, start
from matplotlib.figure import Figure
from sklearn.metrics import roc_auc_score

from gbreg import BucketRegressor, GBRegressor, ZILNRegressor
from gbreg.datasets import make_ltv
from gbreg.metrics import decile_mape, normalized_gini, pcoc, root_mean_squared_error
from gbreg.plots import DecileDisplay

MEASURES = ("Gini", "decile MAPE", "sum", "error of the mean")


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(20_000, 3_000)
    settings = {"n_estimators": run.size(300, 20), "early_stopping_rounds": 20, "random_state": 0, "n_jobs": 1}
    models = {
        "ZILN": ZILNRegressor(**settings),
        "buckets": BucketRegressor(**settings),
        "Tweedie": GBRegressor("tweedie", **settings),
        "squared error": GBRegressor("squared_error", **settings),
    }
    found = {name: [] for name in models}
    pays = []
    for seed in run.seeds:
        world = make_ltv(2 * n, random_state=seed)
        X, y, truth = world.data[n:], world.target[n:], world.mean[n:]
        for name, model in models.items():
            predicted = model.fit(world.data[:n], world.target[:n]).predict(X)
            error = root_mean_squared_error(truth, predicted) / truth.mean()
            found[name].append([normalized_gini(y, predicted), decile_mape(y, predicted), pcoc(y, predicted), error])
        pays.append(roc_auc_score(y > 0, models["ZILN"].predict_distribution(X).sf(0.0)))
    figures = {name: dict(zip(MEASURES, map(over_seeds, np.transpose(rows)), strict=True)) for name, rows in found.items()}
    for name, of in figures.items():
        print(f"{name:13} " + ", ".join(f"{measure} {value:.3f}" for measure, value in of.items()))
    print(f"AUC of P(y > 0): {over_seeds(pays):.3f}")
    picture(run, models, X, y)
    ahead = over_seeds(np.subtract(found["ZILN"], found["Tweedie"])[:, 0])
    deciles = {name: of["decile MAPE"] for name, of in figures.items()}
    print(
        f"Answer: in the deciles, whose mean error is {deciles['ZILN']:.0%} against Tweedie's {deciles['Tweedie']:.0%} and "
        f"squared error's {deciles['squared error']:.0%}; not in ranking (Gini {ahead:+.3f} of Tweedie's), nor against "
        f"buckets ({deciles['buckets']:.0%})"
    )


def picture(run: Run, models: dict, X: np.ndarray, y: np.ndarray) -> None:
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    for ax, name in zip(figure.subplots(1, 2, sharey=True), ("ZILN", "squared error"), strict=True):
        DecileDisplay.from_estimator(models[name], X, y, name=name, ax=ax)
    run.save(figure, "ltv")


if __name__ == "__main__":
    main()
