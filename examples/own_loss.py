"""How much code is a loss of my own, and does it train like a built-in one?

The loss: a delivery later than promised costs more than one that is early. LINEX is about exponential on one side of the
label and about linear on the other: ``exp(a r) - a r - 1`` of the relative error ``r = ln(y / mu)``. Written first as a
class, then as one line. A larger a promises later.
"""

from __future__ import annotations

from math import exp, expm1, log
from time import perf_counter

import numpy as np

from gbreg import GBRegressor
from gbreg.links import POSITIVE, Link
from gbreg.losses import LogUniform, PointwiseLoss, from_expression


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


def main() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 5))
    minutes = 20.0 * np.exp(0.4 * X[:, 0] + 0.2 * X[:, 1] * X[:, 2] + 0.4 * rng.normal(size=20_000))
    train, test = slice(0, 15_000), slice(15_000, None)

    by_formula = from_expression(
        "(y / mu)**a - a * log(y / mu) - 1", parameters={"a": 1.0}, y_domain="(0, inf)", link="log", name="Linex"
    )
    predicted = {}
    for way, loss in (("class", Linex()), ("formula", by_formula)):
        for a in (0.5, 3.0):
            start = perf_counter()
            model = GBRegressor(loss, n_estimators=100, n_jobs=1).set_params(loss__a=a).fit(X[train], minutes[train])
            predicted[way, a] = model.predict(X[test])
            late = np.mean(minutes[test] > predicted[way, a])
            print(f"{way:8} a={a}: {late:5.1%} of deliveries later than predicted ({perf_counter() - start:.1f} s)")
    apart = max(np.max(np.abs(predicted["class", a] / predicted["formula", a] - 1)) for a in (0.5, 3.0))
    print(f"Class and formula differ by at most {apart:.0e} of a prediction.")


if __name__ == "__main__":
    main()
