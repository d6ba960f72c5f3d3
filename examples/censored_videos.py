"""Does it help to say which videos were watched to the end?

Of a video watched to its end one knows only that more would have been watched of an endless one. A model that takes its
length for the whole answer learns the lengths; one that drops such rows learns from the bored. Told by ``censored=`` that a
label is at least so large, a likelihood counts the chance of that. The law is known here: sums are compared with those of
endless videos, errors are of the mean of each row, and the order is that of the liking.

Found: it does. Ignored, a quarter of the sum is missing, and dropping the rows loses a third; told, log-normal models have
the sum right. Buckets know no form beyond the longest video seen: their means there are guesses, while the chance that a
minute is watched is nearly right. D2Q's rank orders the liking best, for it takes the length out, and predicts no seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import COLOURS, draw_intervals, over_seeds, start
from matplotlib.figure import Figure
from scipy.special import expit, logit, ndtr
from sklearn.base import clone

from gbreg import BucketRegressor, D2QRegressor, GBRegressor, OrdinalRegressor, ZILNRegressor
from gbreg.datasets import make_watch_time
from gbreg.metrics import xauc

MINUTE = 60.0


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(12_000, 1_500)
    patience = None if run.quick else 20
    boosting = {"n_estimators": run.size(150, 10), "early_stopping_rounds": patience, "random_state": 0, "n_jobs": 1}
    models = {
        "log-normal": ZILNRegressor(**boosting),
        "ordinal": OrdinalRegressor(**boosting),
        "buckets": BucketRegressor(**boosting),
    }
    found: dict[str, list[list[float]]] = {f"{name}, {way}": [] for name in models for way in ("ignored", "dropped", "told")}
    ranks = []
    for seed in run.seeds:
        world, later = make_watch_time(n, random_state=seed), make_watch_time(n, random_state=1000 + seed)
        m = np.log(25) + 0.7 * np.log(later.duration / 60) + 0.8 * later.interest
        chance = expit(logit(0.9) + later.interest)
        mean, longer = chance * np.exp(m + 0.32), (chance * ndtr((m - np.log(MINUTE)) / 0.8)).mean()
        seen = ~world.censored
        for name, model in models.items():
            ways = {
                "ignored": clone(model).fit(world.data, world.target),
                "dropped": clone(model).fit(world.data[seen], world.target[seen]),
                "told": clone(model).fit(world.data, world.target, censored=world.censored),
            }
            for way, fitted in ways.items():
                distribution = fitted.predict_distribution(later.data)
                p = distribution.mean()
                minute = distribution.sf(MINUTE).mean() / longer
                found[f"{name}, {way}"].append([p.sum() / mean.sum(), minute, xauc(later.interest, p)])
        d2q = D2QRegressor(GBRegressor(**boosting), group=0).fit(world.data, world.target)
        ranks.append(xauc(later.interest, d2q.predict_rank(later.data)))
    figures = {name: [over_seeds(values) for values in np.transpose(rows)] for name, rows in found.items()}
    for name, (total, minute, order) in figures.items():
        print(f"{name:20} sum {total:.0%} of the truth, those beyond a minute {minute:.0%}, XAUC of the liking {order:.3f}")
    picture = Figure(figsize=(11, 3.6), layout="constrained")
    for ax, column, title in zip(
        picture.subplots(1, 2), (0, 1), ("the sum of means", "who would watch a minute"), strict=True
    ):
        draw_intervals(ax, {name: 100 * np.array(rows)[:, column] for name, rows in found.items()}, reference=100)
        ax.set(xlabel="% of an endless video's", title=title)
        for label, name in zip(ax.get_yticklabels(), found, strict=True):
            label.set_color(COLOURS[1] if name.endswith("told") else "0.3")
    run.save(picture, "censored_videos")
    of = {name: figures[f"log-normal, {name}"] for name in ("ignored", "dropped", "told")}
    print(
        f"Answer: yes: of the sum a log-normal model has {of['told'][0]:.0%} told, {of['ignored'][0]:.0%} ignoring it, "
        f"{of['dropped'][0]:.0%} without those rows, and orders the liking by {of['told'][2]:.3f} against "
        f"{of['ignored'][2]:.3f}; buckets told have {figures['buckets, told'][1]:.0%} of those who would watch a minute, "
        f"but {figures['buckets, told'][0]:.0%} of the sum; D2Q's rank orders by {over_seeds(ranks):.3f}"
    )


if __name__ == "__main__":
    main()
