"""How much code is a loss of my own, and does it train like a built-in one?

A delivery later than promised costs more than one that is early. LINEX is about exponential on one side of the label and
about linear on the other: ``exp(a r) - a r - 1`` of the relative error ``r = ln(y / mu)``. Written first as a class, then
as one line, and both checked with `check_loss`. A larger a promises later.
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
WAYS = {"class": Linex(), "formula": BY_FORMULA}


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    for way, loss in WAYS.items():
        check_loss(loss, engines=["lightgbm"])
        print(f"{way}: every check that the built-in losses pass, passed")

    late = {(way, a): [] for way in WAYS for a in (0.5, 3.0)}
    predicted, apart = {}, []
    for seed in run.seeds:
        rng = np.random.default_rng(seed)
        n = run.size(20_000, 2_000)
        X = rng.normal(size=(n, 5))
        minutes = 20.0 * np.exp(0.4 * X[:, 0] + 0.2 * X[:, 1] * X[:, 2] + 0.4 * rng.normal(size=n))
        train, test = slice(0, 3 * n // 4), slice(3 * n // 4, None)
        for way, a in late:
            model = GBRegressor(WAYS[way], n_jobs=1).set_params(loss__a=a).fit(X[train], minutes[train])
            predicted[way, a] = model.predict(X[test])
            late[way, a].append(np.mean(minutes[test] > predicted[way, a]))
        apart += [np.max(np.abs(predicted["class", a] / predicted["formula", a] - 1)) for a in (0.5, 3.0)]
    lines = len([line for line in inspect.getsource(Linex).splitlines() if line.strip()])
    print(
        f"Answer: a class of {lines} lines, or a formula of one; both pass every check of the built-in losses and their "
        f"predictions differ by at most {max(apart):.0e}; {over_seeds(late['class', 0.5]):.0%} of deliveries are late at "
        f"a = 0.5, {over_seeds(late['class', 3.0]):.0%} at a = 3"
    )


if __name__ == "__main__":
    main()
