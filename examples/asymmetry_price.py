"""What does AM's asymmetry earn and cost, and can a factor on all predictions do the same?

The seed notes want GMV models to mend underestimates first, for more revenue: AM's slope s_low above s_high, or the cap ub
on overestimates near 1 (lb caps underestimates). Orders are sold in an auction to bids of predicted GMV over target ROI.
Measured on held-out rows, whose true mean GMV is known: the platform's revenue, in % of what it takes from a bidder who
knows this mean; the ROI, in % of the target; the auctions lost; the orders overestimated by half and more. The honest
baselines are the symmetric AM and squared error, times the factor that brings the same revenue.

Found: the asymmetry moves along the curve on which the factor moves the symmetric AM; at the same revenue it loses an
auction in a hundred less, for a point less of ROI and more overestimates. What AM does better than scaled squared error, it
does without asymmetry. Revenue costs the same either way, and the factor can be set after training.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _auction import Market
from _shared import COLOURS, Run, over_seeds, start
from matplotlib.figure import Figure

from gbreg import GBRegressor
from gbreg.datasets import make_gmv
from gbreg.losses import AM, SquaredError

BASES = {"symmetric AM": AM(), "squared error": SquaredError()}
ASYMMETRIC = {f"s_low {s}": AM(s_low=s) for s in (2, 4, 8, 16)} | {f"ub {u}": AM(ub=u) for u in (2, 1.3)}
MODELS = BASES | ASYMMETRIC | {"lb 0.5": AM(lb=0.5)}
MEASURES = ("revenue", "roi", "lost", "over")
FACTORS = np.geomspace(0.2, 8, 100)


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    n = run.size(8_000, 1_000)
    found = {name: [] for name in MODELS}
    scaled = {base: [] for base in BASES}
    gained = {(name, base): [] for name in MODELS for base in BASES}
    for seed in run.seeds:
        world = make_gmv(2 * n, zero_share=1e-9, random_state=seed)
        market = Market.of(world.mean[n:], seed)
        whole = np.array([market.outcome(market.gmv).revenue, 1, 1, 1])
        for name, loss in MODELS.items():
            model = GBRegressor(loss, n_estimators=run.size(100, 20), random_state=0, n_jobs=1)
            predicted = model.fit(world.data[:n], world.target[:n]).predict(world.data[n:])
            found[name].append(np.array(market.outcome(predicted)[:4]) / whole)
            if name in BASES:
                scaled[name].append(np.array([market.outcome(f * predicted)[:4] for f in FACTORS]) / whole)
        for name, base in gained:
            revenue, *same = np.transpose(scaled[base][-1])
            at = [np.interp(found[name][-1][0], revenue, values) for values in same]
            gained[name, base].append(found[name][-1][1:] - at)
    figures = {name: dict(zip(MEASURES, map(over_seeds, np.transpose(rows)), strict=True)) for name, rows in found.items()}
    for name, of in figures.items():
        print(f"{name:13} " + ", ".join(f"{measure} {value:.0%}" for measure, value in of.items()))
        for base in BASES:
            roi, lost, over = (over_seeds(values) for values in np.transpose(gained[name, base]))
            print(f"    against {base} times a factor: roi {roi:+.1%}, lost {lost:+.1%}, over {over:+.1%}")
    picture(run, found, scaled)
    moved = {m: [figures[name][m].mean for name in ("symmetric AM", "s_low 8")] for m in MEASURES}
    roi, lost, over = (over_seeds(100 * values) for values in np.transpose(gained["s_low 8", "symmetric AM"]))
    print(
        f"Answer: s_low 8 lifts revenue from {moved['revenue'][0]:.0%} to {moved['revenue'][1]:.0%} of that at true means, "
        f"and ROI falls from {moved['roi'][0]:.0%} to {moved['roi'][1]:.0%} of the target; the symmetric AM times a factor "
        f"does it as well: at equal revenue s_low 8 differs by {roi:+.1f} points of ROI, {lost:+.1f} of auctions lost, "
        f"{over:+.1f} of overestimates"
    )


def picture(run: Run, found: dict, scaled: dict) -> None:
    figure = Figure(figsize=(11, 4), layout="constrained")
    labels = ("ROI, % of the target", "auctions lost, %", "overestimated by half, % of orders")
    for measure, (ax, label) in enumerate(zip(figure.subplots(1, 3), labels, strict=True), 1):
        for base, colour in zip(scaled, COLOURS, strict=False):
            line = 100 * np.mean(scaled[base], axis=0)
            shown = (line[:, 0] > 20) & (line[:, 0] < 320)
            ax.plot(line[shown, 0], line[shown, measure], color=colour, label=f"{base} times a factor")
        for name, rows in found.items():
            x, y = 100 * np.mean(rows, axis=0)[[0, measure]]
            if name not in scaled:
                ax.plot(x, y, "o", color=COLOURS[-1], markersize=4)
                above = {"xytext": (4, 4)} if name.startswith("s_low") else {"xytext": (-4, -10), "ha": "right"}
                ax.annotate(name, (x, y), textcoords="offset points", fontsize=8, **above)
        ax.set(xlim=(0, 330), xlabel="revenue, % of who knows the truth", title=label)
    ax.set_yscale("log")
    ax.set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
    ax.legend(frameon=False)
    run.save(figure, "asymmetry_price")


if __name__ == "__main__":
    main()
