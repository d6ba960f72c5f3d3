"""Why do exact Hessians explode, and does the safe curvature hold?

A leaf's Newton step is the sum of its gradients over the sum of its Hessians. Where a loss is capped its second derivative
is 0, on a log link it is negative over part of the range, and a tiny floor under it makes steps enormous. First, random
leaves: labels log-normal with sigma up to 2.5, starts below, among or above them, learning rate 0.1. Counted is how often
one step raises the loss that it should lower. Then whole models on ordinary data.

Found: floored exact Hessians raise the loss in a few leaves of a hundred under gamma and in four of ten under Huberpp, and
whole models of Huberpp on the log link explode; with the safe curvature no leaf and no model does. The definitions
that gbreg was built from (LOSSES.md 1.1) have other shares, as they depend on where a leaf starts.
"""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm as lgb
import numpy as np
from _shared import COLOURS, Run, over_seeds, start
from matplotlib.figure import Figure

from gbreg import GBRegressor
from gbreg.losses import AM, Gamma, Huber, Huberpp, Loss, Poisson, SquaredError

RATE, FLOOR, ROWS = 0.1, 1e-6, 100
KINDS = ("exact", "safe")
LOSSES = [Huber(), Huberpp(), Huberpp(link="log"), AM(), AM(link="log"), SquaredError(link="log"), Poisson(), Gamma()]


def leaves(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of n leaves of 100 rows, shape (n, 100), and the prediction at which each leaf starts, shape (n,)."""
    y = np.exp(rng.uniform(0.1, 2.5, (n, 1)) * rng.normal(size=(n, ROWS)))
    low, high, share = y.min(axis=1), y.max(axis=1), rng.random(n)
    return y, np.choose(rng.integers(0, 3, n), [low / np.exp(share), low ** (1 - share) * high**share, high * np.exp(share)])


def after_one_step(loss: Loss, y: np.ndarray, mu: np.ndarray, hessian: str) -> np.ndarray:
    """The loss of each leaf after one boosting step, over that before it: infinite where it is not a number."""
    raw = loss.fit(y.ravel()).to_raw(np.repeat(mu, ROWS))
    gradient, curvature = loss.gradient_hessian(y.ravel(), raw, hessian=hessian)
    step = -RATE * gradient.reshape(y.shape).sum(axis=1) / np.maximum(curvature, FLOOR).reshape(y.shape).sum(axis=1)
    with np.errstate(over="ignore", invalid="ignore"):  # that is what is measured
        before, after = (loss.value(y.ravel(), f).reshape(y.shape).sum(axis=1) for f in (raw, raw + np.repeat(step, ROWS)))
        return np.nan_to_num(after / before, nan=np.inf)


def exploded(X: np.ndarray, y: np.ndarray, hessian: str) -> bool:
    """Whether training breaks off at a number that is not finite, or ends beyond a thousand times the largest label."""
    try:
        return bool(GBRegressor(Huberpp(link="log"), hessian=hessian, n_jobs=1).fit(X, y).predict(X).max() > 1000 * y.max())
    except (FloatingPointError, lgb.basic.LightGBMError):
        return True


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    losses = LOSSES[: run.size(8, 3)]
    raised, failed = {kind: [] for kind in KINDS}, dict.fromkeys(KINDS, 0)
    for seed in run.seeds:
        rng = np.random.default_rng(seed)
        drawn = leaves(rng, run.size(4_000, 500))
        X = rng.normal(size=(run.size(10_000, 2_000), 5))
        for kind in KINDS:
            raised[kind].append([np.mean(after_one_step(loss, *drawn, kind) > 1 + 1e-9) for loss in losses])
            failed[kind] += exploded(X[:, :4], np.exp(X[:, 0] + X[:, 4]), kind)
    shares = {kind: np.transpose(of) for kind, of in raised.items()}
    for loss, exact, safe in zip(losses, shares["exact"], shares["safe"], strict=True):
        print(f"{loss.name:>15}, {loss.link_.name:8} raised by exact {over_seeds(exact):.1%}, safe {safe.max():.1%}")
    picture(run, losses, shares, drawn)
    worst = shares["exact"].mean(axis=1).argmax()
    print(
        f"Answer: a floored exact Hessian raises the loss in {over_seeds(shares['exact'][worst]):.0%} of leaves under "
        f"{losses[worst].name}, the safe one in {shares['safe'].max():.0%} under any loss; of {len(run.seeds)} whole models "
        f"{failed['exact']} explode with it, {failed['safe']} with the safe one"
    )


def picture(run: Run, losses: list[Loss], shares: dict, drawn: tuple) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left, right = figure.subplots(1, 2)
    at = np.arange(len(losses))
    for kind, colour, offset in zip(KINDS, COLOURS[1::-1], (-0.2, 0.2), strict=True):
        left.barh(at + offset, 100 * shares[kind].mean(axis=1), 0.4, color=colour, label=kind)
        ratio = np.minimum(np.sort(after_one_step(Huberpp(link="log"), *drawn, kind)), 1e12)
        right.plot(100 * np.arange(1, ratio.size + 1) / ratio.size, ratio, color=colour, label=kind)
    left.set_yticks(at, [f"{loss.name}, {loss.link_.name}" for loss in losses])
    left.invert_yaxis()
    left.set(xlabel="leaves in which one step raises the loss, %", title="Every safe bar is 0")
    right.set(
        yscale="log",
        xlabel="leaves, sorted, %",
        ylabel="loss after the step / before it",
        title="Huberpp, log link; cut at $10^{12}$",
    )
    right.axhline(1, color=COLOURS[-1], linewidth=0.8)
    left.legend(title="Hessian")
    run.save(figure, "exact_hessian")


if __name__ == "__main__":
    main()
