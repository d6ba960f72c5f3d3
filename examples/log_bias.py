"""Why does log-MSE underestimate, and which repair is best?

The mean of a log is not the log of a mean: squared error on ln(1 + y) learns E[ln(1 + y)], and decoding it by the inverse
gives about the geometric mean. Repairs are Duan's smearing, calibration (isotonic), and losses whose minimiser is the mean
(Tweedie, Poisson). The truth is known: sums are compared with it, and the error against the true mean, in % of its average.
Smearing and Tweedie fall short. Suspected were the tail (taken out), residuals that depend on x (the true E[ln(1 + y) | x]
put in place of the model's) and too few rows (four times as many, and a quarter).

Found: calibration has the sum right and Poisson nearly; their errors do not differ beyond the noise. Smearing and Tweedie
lack a sixth of the sum because little is learnt from few rows, and the large ones count for less: at its minimum Tweedie
balances the sum of m^-0.5 (y - m), which it nearly keeps on the training rows while the plain sum is short there too;
Poisson balances y - m. With more rows they close in on the truth. Neither the tail nor the residuals are to blame: smearing
the true log means is right to a few hundredths.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _shared import COLOURS, Run, draw_intervals, over_seeds, start
from matplotlib.figure import Figure

from gbreg import GBRegressor
from gbreg.datasets import make_ltv
from gbreg.losses import Poisson, TransformedSquaredError, Tweedie
from gbreg.metrics import root_mean_squared_error

PLAIN = TransformedSquaredError(smearing=False)
MAIN, FEW, MANY = "16,000 rows", "4,000 rows", "64,000 rows"
CASES = {FEW: (4_000, 0.03), MANY: (64_000, 0.03), "16,000 rows, no tail": (16_000, 0.0), MAIN: (16_000, 0.03)}


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    settings = {"n_estimators": run.size(300, 20), "early_stopping_rounds": 20, "random_state": 0, "n_jobs": 1}
    models = {
        "log-MSE": GBRegressor(PLAIN, **settings),
        "smearing": GBRegressor(TransformedSquaredError(), **settings),
        "isotonic calibration": GBRegressor(PLAIN, calibration="isotonic", **settings),
        "Tweedie": GBRegressor(Tweedie(), **settings),
        "Poisson": GBRegressor(Poisson(), **settings),
    }
    found, kept, smeared = {(case, name): [] for case in CASES for name in models}, [], []
    for seed in run.seeds:
        for case, (rows, tail) in CASES.items():
            n = run.size(rows, rows // 4)
            world = make_ltv(n + run.size(20_000, 2_000), tail_share=tail, random_state=seed)
            y, truth = world.target[:n], world.mean[n:]
            for name, model in models.items():
                trained, predicted = np.split(model.fit(world.data[:n], y).predict(world.data), [n])
                error = root_mean_squared_error(truth, predicted) / truth.mean()
                found[case, name].append([predicted.sum() / truth.sum(), trained.sum() / y.sum(), error])
        m = models["Tweedie"].predict(world.data[:n])
        kept.append(np.average(m, weights=m**-0.5) / np.average(y, weights=m**-0.5))
        center = np.exp(np.mean([np.log1p(world.resample(draw)) for draw in range(run.size(400, 20))], axis=0))
        smeared.append((center * np.mean((1 + world.mean) / center) - 1).sum() / world.mean.sum())
    figures = {of: [over_seeds(values) for values in np.transpose(rows)] for of, rows in found.items()}
    for (case, name), (total, trained, error) in figures.items():
        print(f"{case:20} {name:20} sum {total:.0%} of the truth, {trained:.0%} on training rows; error {error:.0%}")
    print(f"Tweedie keeps {over_seeds(kept):.1%} of the training sum weighted by m^-0.5; ", end="")
    print(f"the true log means, smeared, have {over_seeds(smeared):.1%} of the true sum")
    picture(run, found, list(models))
    total = {of: sums for of, (sums, _, _) in figures.items()}
    print(
        f"Answer: a log's mean is not the mean's log: {total[MAIN, 'log-MSE'].mean:.0%} of the sum. Calibration mends it, "
        f"{total[MAIN, 'isotonic calibration']:.0%}, Poisson nearly, {total[MAIN, 'Poisson']:.0%}; Tweedie and smearing are "
        f"short for want of rows: Tweedie {total[FEW, 'Tweedie']:.0%} with 4,000, {total[MANY, 'Tweedie']:.0%} with 64,000"
    )


def picture(run: Run, found: dict, names: list[str]) -> None:
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_intervals(left, {name: 100 * np.array(found[MAIN, name])[:, 0] for name in names}, reference=100)
    left.set(xlabel="sum of predictions, % of the true means'", title=MAIN)
    for colour, name in zip(COLOURS, ("smearing", "Tweedie", "Poisson"), strict=False):
        sums = [100 * np.array(found[case, name])[:, 0].mean() for case in (FEW, MAIN, MANY)]
        right.plot([CASES[case][0] for case in (FEW, MAIN, MANY)], sums, "o-", color=colour, label=name)
    right.axhline(100, color=COLOURS[-1], linewidth=0.8)
    right.set(xscale="log", xlabel="training rows", ylabel="sum, % of the true means'")
    right.set_xticks([CASES[case][0] for case in (FEW, MAIN, MANY)], ("4,000", "16,000", "64,000"))
    right.minorticks_off()
    right.legend(frameon=False)
    run.save(figure, "log_bias")


if __name__ == "__main__":
    main()
