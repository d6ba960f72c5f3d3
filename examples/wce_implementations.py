"""Do the two WCE implementations, a weighted loss and duplicated rows, train different models, and through what?

The seed notes ask this and leave it open: the sums of gradients and Hessians are the same. Four things are not. Limits on
a leaf see twice the rows, or twice the Hessian; bagging draws a row's positive without its negative, or the other way
round; XGBoost finds bins by weight, and duplicates weigh 1 + w; the safe curvature of a positive and a negative is larger
than that of one row. Each is switched on alone, the others made equal, on XGBoost. (LightGBM guesses rows from Hessians and
rounds, so that its two are never quite equal.) Measured on held-out rows: how far apart predictions are, by the root mean
square of their log ratio, and how much more the duplicates' err, by that of the log ratio to the true mean. Another seed of
bagging is the yardstick.

Found: with everything equal the models are the same. Any of the four makes predictions differ by a tenth and more, as
another seed does. Bagging does most of the harm, and limits that let through smaller leaves add to it; what bins and
curvature do is no more than another seed may.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import Run, draw_intervals, over_seeds, start
from matplotlib.figure import Figure
from scipy.stats import rankdata

from gbreg import WCERegressor
from gbreg.datasets import make_watch_time
from gbreg.losses import WCE, Bernoulli
from gbreg.losses.odds import as_classification
from gbreg.metrics import xauc

CAUSES = ("leaf limits", "bagging", "bins", "curvature")
PAIRS = {"nothing": (), **{cause: (cause,) for cause in CAUSES}, "all but bagging": ("leaf limits", "bins", "curvature")}
PAIRS |= {"everything": CAUSES, "everything, LightGBM": CAUSES}
CASES = PAIRS | {"another seed": ("bagging",)}
LIMIT = 20


def apart(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.log(a / b) ** 2)))


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(5_000, 1_000)
    settings = {"n_estimators": run.size(80, 10), "random_state": 0, "n_jobs": 1}
    found = {name: [] for name in CASES}
    for seed in run.seeds:
        world = make_watch_time(2 * n, zero_share=1e-9, cold_share=0.0, random_state=seed)
        y, truth = world.target, world.mean[n:]
        coarse = rankdata(world.data, axis=0) * 200 // (2 * n + 1)  # few enough values that each has its own bin
        _, clicked, count = as_classification(y[:n])
        # Hessians are scaled to mean 1 by row: this one asks the duplicates for as much of their whole.
        equal = LIMIT * WCE().fit(y[:n]).hessian_scale_ / Bernoulli().fit(clicked, count).hessian_scale_
        for name, causes in CASES.items():
            X = world.data if "bins" in causes else coarse
            engine = "lightgbm" if name.endswith("LightGBM") else "xgboost"
            sample, hessian = 0.8 if "bagging" in causes else 1.0, "safe" if "curvature" in causes else "exact"
            model = WCERegressor(engine=engine, subsample=sample, hessian=hessian, min_child_samples=LIMIT, **settings)
            loss = model.fit(X[:n], y[:n]).predict(X[n:])
            own = {} if "leaf limits" in causes else {"min_child_weight": float(equal)}
            changed = {"implementation": "duplicate", "engine_params": own} if name in PAIRS else {"random_state": 1}
            other = model.set_params(**changed).fit(X[:n], y[:n]).predict(X[n:])
            worse = apart(other, truth) / apart(loss, truth) - 1
            found[name].append([apart(other, loss), worse, xauc(y[n:], other) - xauc(y[n:], loss)])
    figures = {name: [over_seeds(column) for column in np.transpose(of)] for name, of in found.items()}
    for name, (distance, worse, order) in figures.items():
        print(f"{name:20} apart {distance:.2g}, error {worse:+.1%}, XAUC {order:+.4f}")
    picture(run, found)
    alone = ", ".join(f"{cause} {figures[cause][1].mean:+.0%}" for cause in CAUSES)
    print(
        f"Answer: they do: duplicated rows err {figures['everything'][1]:.0%} more with bagging, "
        f"{figures['all but bagging'][1]:.0%} without; alone, {alone}; with none of these causes the models "
        f"agree to {figures['nothing'][0].mean:.0e}"
    )


def picture(run: Run, found: dict) -> None:
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    labels = ("predictions apart, root mean square, %", "error of the duplicated rows, % above the loss's")
    for measure, (ax, label) in enumerate(zip(figure.subplots(1, 2, sharey=True), labels, strict=True)):
        draw_intervals(ax, {name: 100 * np.array(of)[:, measure] for name, of in found.items()}, reference=0)
        ax.set(xlabel=label)
    ax.invert_yaxis()
    run.save(figure, "wce_implementations")


if __name__ == "__main__":
    main()
