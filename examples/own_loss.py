"""How much code is a loss of my own, and does it train like a built-in one?

A delivery later than promised costs more than one that is early. LINEX is about exponential on one side of the label and
about linear on the other: ``exp(a r) - a r - 1`` of the relative error ``r = ln(y / mu)``. Written first as a class, then
as one line, and both checked with `check_loss`. A larger a promises later.

Found: a class of twenty lines or a formula of one, which train the same model to rounding. Both pass every check that
the built-in losses pass, and a does what it should: the larger, the fewer deliveries are late.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from math import exp, expm1, log

import numpy as np
from _shared import over_seeds, start

from gbreg import GBRegressor
from gbreg.links import POSITIVE, Link
from gbreg.losses import LogUniform, PointwiseLoss, from_expression
from gbreg.testing import check_loss


class Linex(PointwiseLoss):
    """``exp(a r) - a r - 1`` with r = ln(y / mu): for a > 0, underestimates cost exponentially.

    Written in eta = ln(mu), which stays finite where mu under- or overflows.
    """

    y_domain = POSITIVE
    mu_domain = POSITIVE
    coordinate = "log_mu"
    parameter_domains = {"a": POSITIVE}
    search_space = {"a": LogUniform(0.1, 5.0)}

    def __init__(self, a: float = 1.0, link: str | Link = "log"):
        self.a = a
        self.link = link

    @staticmethod
    def row_value(y: float, eta: float, a: float) -> float:
        u = a * (log(y) - eta)
        return expm1(u) - u

    @staticmethod
    def row_derivatives(y: float, eta: float, a: float) -> tuple[float, float]:
        u = a * (log(y) - eta)
        return -a * expm1(u), a * a * exp(u)


BY_FORMULA = from_expression(
    "(y / mu)**a - a * log(y / mu) - 1", parameters={"a": 1.0}, y_domain="(0, inf)", link="log", name="Linex"
)


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    for loss in (Linex(), BY_FORMULA):
        check_loss(loss, engines=["lightgbm"])
    late, apart = {0.5: [], 3.0: []}, []
    n = run.size(15_000, 1_500)
    for seed in run.seeds:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(4 * n // 3, 5))
        minutes = 20.0 * np.exp(0.4 * X[:, 0] + 0.2 * X[:, 1] * X[:, 2] + 0.4 * rng.normal(size=len(X)))
        for a in late:
            models = [GBRegressor(loss, n_jobs=1).set_params(loss__a=a) for loss in (Linex(), BY_FORMULA)]
            by_class, by_formula = (model.fit(X[:n], minutes[:n]).predict(X[n:]) for model in models)
            late[a].append(np.mean(minutes[n:] > by_class))
            apart.append(np.max(np.abs(by_class / by_formula - 1)))
    lines = len([line for line in inspect.getsource(Linex).splitlines() if line.strip()])
    print(
        f"Answer: {lines} lines as a class, or one as a formula; both pass every check, their predictions agree to "
        f"{max(apart):.0e}; {over_seeds(late[0.5]):.0%} are late at a = 0.5, {over_seeds(late[3.0]):.0%} at 3"
    )


if __name__ == "__main__":
    main()
