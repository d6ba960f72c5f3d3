"""WCE pulls harder when it underestimates: does that make long videos too short and short ones too long?

The seed notes draw the gradient (m - w) / (m (1 + m)) over the prediction m at w = 20 and conclude so. But the minimiser is
still the mean; on the raw score, on which a booster steps, the gradient is (m - w) / (1 + m): -0.91 at m = 10 and 0.49
at 40. Measured: the sum of predictions against the true means, in the fifths of the longest and shortest videos, beside
Poisson, whose gradient is m - w.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import COLOURS, Run, over_seeds, start
from matplotlib.figure import Figure

from gbreg import GBRegressor
from gbreg.datasets import make_watch_time
from gbreg.losses import WCE

W = 20.0


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(8_000, 1_000)
    settings = {"n_estimators": run.size(100, 20), "random_state": 0, "n_jobs": 1}
    models = {"WCE": GBRegressor(WCE(), **settings), "Poisson": GBRegressor("poisson", **settings)}
    ratios = {(name, part): [] for name in models for part in ("shortest", "longest")}
    for seed in run.seeds:
        world = make_watch_time(2 * n, random_state=seed)
        truth, duration = world.mean[n:], world.duration[n:]
        parts = {"shortest": duration <= np.quantile(duration, 0.2), "longest": duration >= np.quantile(duration, 0.8)}
        for name, model in models.items():
            predicted = model.fit(world.data[:n], world.target[:n]).predict(world.data[n:])
            for part, rows in parts.items():
                ratios[name, part].append(predicted[rows].sum() / truth[rows].sum())
    picture(run)
    loss = WCE().fit([W])
    below, above = (loss.gradient_hessian([W], loss.to_raw([m]))[0][0] for m in (W / 2, 2 * W))
    said = "; ".join(f"{name} {over_seeds(of):.1%} in the {part} fifth" for (name, part), of in ratios.items())
    print(
        f"Answer: the pull at half of w = 20 is {abs(below / above):.2f} times that at its double, yet sums against the "
        f"true ones are: {said}"
    )


def picture(run: Run) -> None:
    figure = Figure(figsize=(6, 3.5), layout="constrained")
    ax = figure.subplots()
    m = np.geomspace(2, 200, 300)
    ax.plot(m, (m - W) / (m * (1 + m)), color=COLOURS[0], label="on the prediction, as the notes draw it")
    ax.plot(m, (m - W) / (1 + m), color=COLOURS[1], label="on the raw score ln m")
    ax.axhline(0, color=COLOURS[-1], linewidth=0.8)
    ax.axvline(W, color=COLOURS[-1], linewidth=0.8)
    ax.set(xscale="log", ylim=(-3, 1.2), xlabel="prediction m, label w = 20", ylabel="gradient")
    ax.legend(frameon=False)
    run.save(figure, "gradient_asymmetry")


if __name__ == "__main__":
    main()
