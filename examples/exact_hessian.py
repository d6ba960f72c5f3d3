"""Why do exact Hessians explode, and does the safe curvature hold?

A leaf's Newton step is the sum of its gradients over the sum of its Hessians. Where a loss is capped its second derivative
is 0, on a log link it is negative over part of the range, and a tiny floor under it makes steps enormous. First, random
leaves: labels log-normal with sigma up to 2.5, starts below, among or above them, learning rate 0.1. Counted is how often
one step raises the loss that it should lower. Then whole models on ordinary data.
"""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm as lgb
import numpy as np
from _shared import COLOURS, Run, over_seeds, start
from matplotlib.figure import Figure

from gbreg import GBRegressor
from gbreg.losses import AM, Gamma, Huber, Huberpp, Loss, Poisson, SquaredError

RATE, FLOOR = 0.1, 1e-6
KINDS = ("exact", "safe")
LOSSES = [Huber(), Huberpp(), Huberpp(link="log"), AM(), AM(link="log"), SquaredError(link="log"), Poisson(), Gamma()]


def leaves(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and starting predictions of the rows of n leaves, leaf after leaf, and where each leaf begins."""
    size = rng.integers(20, 200, n)
    begin = np.r_[0, np.cumsum(size)[:-1]]
    y = np.exp(np.repeat(rng.uniform(0.1, 2.5, n), size) * rng.normal(size=size.sum()))
    low, high = np.minimum.reduceat(y, begin), np.maximum.reduceat(y, begin)
    share, outside = rng.random(n), np.exp(rng.random(n))
    mu = np.choose(rng.integers(0, 3, n), [low / outside, low ** (1 - share) * high**share, high * outside])
    return y, np.repeat(mu, size), begin


def after_one_step(loss: Loss, y: np.ndarray, mu: np.ndarray, begin: np.ndarray, hessian: str) -> np.ndarray:
    """The loss of each leaf after one boosting step, over that before it."""
    raw = loss.fit(y).to_raw(mu)
    gradient, curvature = loss.gradient_hessian(y, raw, hessian=hessian)
    step = -RATE * np.add.reduceat(gradient, begin) / np.add.reduceat(np.maximum(curvature, FLOOR), begin)
    after = loss.value(y, raw + np.repeat(step, np.diff([*begin, y.size])))
    return np.add.reduceat(after, begin) / np.add.reduceat(loss.value(y, raw), begin)


def exploded(X: np.ndarray, y: np.ndarray, hessian: str) -> bool:
    """Whether training breaks off at a number that is not finite, or ends beyond a thousand times the largest label."""
    try:
        model = GBRegressor(Huberpp(link="log"), hessian=hessian, n_jobs=1).fit(X, y)
    except (FloatingPointError, lgb.basic.LightGBMError) as error:
        print(f"Training broke off: {str(error)[:80]}")
        return True
    return bool(model.predict(X).max() > 1000 * y.max())


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    raised = {(loss, kind): [] for loss in LOSSES for kind in KINDS}
    failed = dict.fromkeys(KINDS, 0)
    for seed in run.seeds:
        rng = np.random.default_rng(seed)
        drawn = leaves(rng, run.size(4_000, 500))
        for loss, kind in raised:
            with np.errstate(over="ignore", invalid="ignore"):  # that is what is measured
                ratio = after_one_step(loss, *drawn, kind)
            raised[loss, kind].append(np.mean(~(ratio <= 1 + 1e-9)))
        X = rng.normal(size=(run.size(10_000, 2_000), 4))
        spend = np.exp(X[:, 0] + rng.normal(size=len(X)))
        for kind in KINDS:
            failed[kind] += exploded(X, spend, kind)

    for loss in LOSSES:
        shares = ", ".join(f"{kind} {over_seeds(raised[loss, kind]):.1%}" for kind in KINDS)
        print(f"{loss.name:>15} on {loss.link_.name:8} steps that raise the loss: {shares}")
    picture(run, raised, drawn)
    by_share = sorted(LOSSES, key=lambda loss: np.mean(raised[loss, "exact"]))
    least, most = (f"{over_seeds(raised[loss, 'exact']):.0%} of leaves under {loss}" for loss in (by_share[0], by_share[-1]))
    safe = max(max(raised[loss, "safe"]) for loss in LOSSES)
    print(
        f"Answer: with floored exact Hessians one step raises the loss in {least} up to {most}, with the safe curvature "
        f"in {safe:.1%} at most; of {len(run.seeds)} Huberpp models on the log link, {failed['exact']} explode with the "
        f"exact one, {failed['safe']} with the safe one"
    )


def picture(run: Run, raised: dict, drawn: tuple) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    at = np.arange(len(LOSSES))
    for kind, colour, offset in zip(KINDS, COLOURS[1::-1], (-0.2, 0.2), strict=True):
        left.barh(at + offset, [100 * np.mean(raised[loss, kind]) for loss in LOSSES], 0.4, color=colour, label=kind)
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = np.sort(np.nan_to_num(after_one_step(Huberpp(link="log"), *drawn, kind), nan=np.inf))
        shown = np.minimum(ratio, 1e12)
        right.plot(100 * np.arange(1, ratio.size + 1) / ratio.size, shown, color=colour, label=kind)
    left.set_yticks(at, [f"{loss.name}, {loss.link_.name}" for loss in LOSSES])
    left.invert_yaxis()
    left.set(xlabel="leaves in which one step raises the loss, %", title="Every safe bar is 0")
    right.set(yscale="log", xlabel="leaves, sorted, %", ylabel="loss after the step / before it", title="Huberpp, log link")
    right.axhline(1, color=COLOURS[-1], linewidth=0.8)
    left.legend(title="Hessian")
    run.save(figure, "exact_hessian")


if __name__ == "__main__":
    main()
