"""Does softmax over hard buckets lose the order of the labels, and do soft labels or ordinal thresholds bring it back?

The field notes' argument: to a softmax with hard labels, bucket k + 1 and bucket k + n are equally wrong. Soft labels (their
"distilled" softmax) spread each label over the buckets near it, with one sigma or with sigma = 1.5 sqrt(y); ordinal models
ask "beyond this edge?". All have the same buckets and early stopping, on few rows, where the order should matter most.

Found: it does lose a little. Ordinal models, one an edge, have a few hundredths less CRPS; with shared thresholds they are
not told from it by five seeds. The notes' soft labels gain nothing, and their mean is far too low: long labels spread into
the many buckets below. Tilted until each label's mean is the label (`unbiased=True`), they gain as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import COLOURS, Run, draw_intervals, over_seeds, start
from matplotlib.figure import Figure

from gbreg import GBRegressor
from gbreg.datasets import make_watch_time
from gbreg.losses import OrdinalBuckets, SoftmaxBuckets
from gbreg.metrics import crps, xauc

NOTES, UNBIASED, ORDINAL = "soft, 1.5 sqrt(y)", "soft, 1.5 sqrt(y), unbiased", "ordinal, a model an edge"
SOFT = {"n_buckets": 20, "edges": "quantile", "rank": None, "soft": "normal"}
MODELS = {
    "hard softmax": SoftmaxBuckets(n_buckets=20, edges="quantile", rank=None),
    NOTES: SoftmaxBuckets(**SOFT, sigma=(1.5, 0.5)),
    UNBIASED: SoftmaxBuckets(**SOFT, sigma=(1.5, 0.5), unbiased=True),
    ORDINAL: OrdinalBuckets(n_buckets=20, edges="quantile", thresholds="independent"),
    "ordinal, shared": OrdinalBuckets(n_buckets=20, edges="quantile", spread=True),
    "soft, one sigma": SoftmaxBuckets(**SOFT, sigma=5.0),
    "hard, low rank": SoftmaxBuckets(n_buckets=20, edges="quantile", rank=2),
}
MEASURES = ("CRPS", "XAUC", "RMSE", "bias")


def measured(model: GBRegressor, world: dict, test: slice) -> list[float]:
    """CRPS, XAUC of the mean, and error and bias of the mean against the true mean."""
    y, truth = world["target"][test], world["mean"][test]
    distribution = model.predict_distribution(world["data"][test])
    mean = distribution.mean()
    return [crps(y, distribution), xauc(y, mean), np.sqrt(np.mean((mean - truth) ** 2)), mean.sum() / truth.sum() - 1]


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(4_000, 1_000)
    settings = {"n_estimators": run.size(100, 10), "early_stopping_rounds": 10, "max_leaves": 8, "random_state": 0}
    models = dict(list(MODELS.items())[: run.size(7, 4)])
    found, fitted = {name: [] for name in models}, {}
    for seed in run.seeds:
        world = make_watch_time(2 * n, random_state=seed)
        for name, loss in models.items():
            fitted[name] = GBRegressor(loss, n_jobs=1, **settings).fit(world["data"][:n], world["target"][:n])
            found[name].append(measured(fitted[name], world, slice(n, None)))
    figures = {name: dict(zip(MEASURES, np.transpose(rows), strict=True)) for name, rows in found.items()}
    for name, of in figures.items():
        print(f"{name:28} " + ", ".join(f"{m} {over_seeds(of[m]):.3f}" for m in MEASURES))
    crps_ratio = {name: of["CRPS"] / figures["hard softmax"]["CRPS"] for name, of in figures.items()}
    picture(run, {name: 100 * ratio for name, ratio in crps_ratio.items()}, fitted, world["data"][n : n + 1])
    soft, unbiased, ordinal = (over_seeds(crps_ratio[name]) for name in (NOTES, UNBIASED, ORDINAL))
    print(
        f"Answer: a little: ordinal models, one an edge, have {ordinal:.1%} of its CRPS, unbiased soft labels "
        f"{unbiased:.1%}, the notes' {soft:.1%} and a mean {over_seeds(figures[NOTES]['bias']):+.0%} off"
    )


def picture(run: Run, ratio: dict, fitted: dict, row: np.ndarray) -> None:
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_intervals(left, ratio, reference=100)
    left.set(xlabel="CRPS, % of the hard softmax's: lower is better")
    for colour, name in zip(COLOURS, ("hard softmax", UNBIASED, ORDINAL), strict=False):
        loss = fitted[name].loss_
        right.plot(loss.probabilities(fitted[name].predict_raw(row))[0], "o-", color=colour, label=name)
    right.set(xlabel="bucket", ylabel="predicted probability", title="One video")
    right.set_ylim(top=1.35 * right.get_ylim()[1])
    right.legend(frameon=False)
    run.save(figure, "bucket_order")


if __name__ == "__main__":
    main()
