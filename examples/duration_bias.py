"""Do watch-time models recommend long videos instead of good ones, and does D2Q mend that?

A long video is watched longer, liked or not. D2Q learns the rank of the watch time among videos of like length, and gives
that rank, or the seconds it stands for. Slates of 100 random videos are put in order by each score, the first 10 are shown.
Known here is how much each video is liked, and what would be watched of it: 100% is the gain of showing the best 10 by that
truth over showing any 10.

Found: they do. Models of the seconds show videos three times as long as the average and have less than half of the liking;
D2Q read in seconds does little better, since the seconds are what it is asked for. Read as rank it has nearly all of the
liking, and a third of the seconds: which of the two is wanted is a decision, not a matter of models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import COLOURS, Run, over_seeds, start
from matplotlib.figure import Figure

from gbreg import D2QRegressor, GBRegressor, WCERegressor
from gbreg.datasets import make_watch_time
from gbreg.metrics import xauc

SLATE, SHOWN = 100, 10


def shown(score: np.ndarray, value: np.ndarray) -> float:
    """Mean value of the SHOWN rows of each slate with the greatest scores."""
    score, value = (v[: v.size // SLATE * SLATE].reshape(-1, SLATE) for v in (score, value))
    return float(np.take_along_axis(value, np.argsort(-score, axis=1)[:, :SHOWN], 1).mean())


def gain(score: np.ndarray, value: np.ndarray) -> float:
    """What showing by this score gains over showing at random, as a share of what can be gained."""
    return (shown(score, value) - value.mean()) / (shown(value, value) - value.mean())


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(20_000, 2_000)
    settings = {"n_estimators": run.size(100, 20), "n_jobs": 1}
    d2q = D2QRegressor(GBRegressor("squared_error", **settings), group=0)
    models = {
        "squared error": GBRegressor("squared_error", **settings).fit,
        "WCE": WCERegressor(**settings).fit,
        "D2Q, in seconds": d2q.fit,
        "D2Q, as rank": lambda X, y: d2q,
    }
    found = {name: {"liking": [], "seconds": [], "length": [], "xauc": []} for name in models}
    for seed in run.seeds:
        world = make_watch_time(2 * n, random_state=seed)
        X, y, length = world.data[n:], world.target[n:], world.duration[n:]
        for name, fit in models.items():
            model = fit(world.data[:n], world.target[:n])
            score = model.predict_rank(X) if name.endswith("rank") else model.predict(X)
            found[name]["liking"].append(gain(score, world.interest[n:]))
            found[name]["seconds"].append(gain(score, world.mean[n:]))
            found[name]["length"].append(shown(score, length) / length.mean())
            found[name]["xauc"].append(xauc(y, score))
    for name, of in found.items():
        print(f"{name:16}" + ", ".join(f"{measure} {over_seeds(values):.3f}" for measure, values in of.items()))
    picture(run, found)
    of = {(name, measure): over_seeds(values) for name, by in found.items() for measure, values in by.items()}
    print(
        f"Answer: they do: squared error shows videos {of['squared error', 'length']:.1f} times the average length, with "
        f"{of['squared error', 'liking']:.0%} of the liking to be had; D2Q's rank has {of['D2Q, as rank', 'liking']:.0%}, "
        f"and {of['D2Q, as rank', 'seconds']:.0%} of the seconds; in seconds D2Q has {of['D2Q, in seconds', 'liking']:.0%}"
    )


def picture(run: Run, found: dict) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    ax = figure.subplots()
    for colour, marker, (name, of) in zip(COLOURS, "osD^", found.items(), strict=False):
        ax.plot(100 * np.array(of["seconds"]), 100 * np.array(of["liking"]), marker, color=colour, label=name)
    ax.set(
        xlabel="seconds gained, % of what can be",
        ylabel="liking gained, % of what can be",
        title="10 of 100 videos shown; one point a seed",
    )
    ax.legend(frameon=False)
    run.save(figure, "duration_bias")


if __name__ == "__main__":
    main()
