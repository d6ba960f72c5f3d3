"""Deviances of the exponential dispersion family on positive predictions: the baselines of the field.

They are written in eta = ln(mu), which stays finite where mu under- or overflows, and are half the unit deviance, so
they are 0 at mu = y.
"""

from __future__ import annotations

from math import exp, expm1, log

import numpy as np

from gbreg._checks import Floats
from gbreg.links import NON_NEGATIVE, POSITIVE, Interval
from gbreg.losses.native import NativeForm
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.ranges import Uniform


class MeanLikelihood(PointwiseLoss):
    """Shared by the three: the log link, ln(mu) as coordinate, the weighted mean as best constant."""

    family = "likelihood"
    functional = "mean"
    mu_domain = POSITIVE
    coordinate = "log_mu"
    link = "log"

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        return float(np.average(y, weights=sample_weight))


class Poisson(MeanLikelihood):
    r"""Half the Poisson deviance, ``mu - y - y ln(mu / y)``.

    Notes
    -----
    Log link. Domain: y >= 0, not only counts. Functional: mean. Scale-equivariant.
    """

    y_domain = NON_NEGATIVE

    @staticmethod
    def row_value(y: float, eta: float) -> float:
        u = eta - log(y)
        near = y * (expm1(u) - u)
        far = exp(eta) - y - y * u
        return (near if u < 1.0 else far) if y > 0 else exp(eta)

    @staticmethod
    def row_derivatives(y: float, eta: float) -> tuple[float, float]:
        mu = exp(eta)
        return mu - y, mu

    @staticmethod
    def row_information(y: float, eta: float) -> float:
        return exp(eta)

    def native_form(self) -> NativeForm:
        return NativeForm("poisson")


class Gamma(MeanLikelihood):
    r"""Half the gamma deviance, ``y / mu - 1 - ln(y / mu)``.

    Notes
    -----
    Log link. Domain: y > 0. Functional: mean. Scale-equivariant.
    """

    y_domain = POSITIVE
    way_out = "use 'tweedie' or 'poisson', which admit labels of 0"

    @staticmethod
    def row_value(y: float, eta: float) -> float:
        u = eta - log(y)
        return expm1(-u) + u

    @staticmethod
    def row_derivatives(y: float, eta: float) -> tuple[float, float]:
        u = eta - log(y)
        return -expm1(-u), exp(-u)

    @staticmethod
    def row_information(y: float, eta: float) -> float:
        return 1.0

    def native_form(self) -> NativeForm:
        return NativeForm("gamma")


def _rise(start: float, end: float, way: float) -> float:
    """exp(end) - exp(start), where way = end - start is known better than their difference."""
    return exp(start) * expm1(way) if abs(way) < 1.0 else exp(end) - exp(start)


class Tweedie(MeanLikelihood):
    r"""Half the Tweedie deviance between Poisson and gamma: a mass at zero and a skewed positive part in one.

    .. math:: \frac{y^{2-p}}{(1-p)(2-p)} - \frac{y \mu^{1-p}}{1-p} + \frac{\mu^{2-p}}{2-p}

    Parameters
    ----------
    power : float in (1, 2), default 1.5
        Variance grows as ``mu ** power``.

    Notes
    -----
    Log link. Domain: y >= 0. Functional: mean. Scale-equivariant.
    Jorgensen (1987), "Exponential Dispersion Models".
    """

    y_domain = NON_NEGATIVE
    parameter_domains = {"power": Interval(1, 2)}
    search_space = {"power": Uniform(1.05, 1.95)}

    def __init__(self, power: float = 1.5):
        self.power = power

    @staticmethod
    def row_value(y: float, eta: float, power: float) -> float:
        a, b = power - 1.0, 2.0 - power
        u, start = eta - log(y), b * log(y)
        up = _rise(start, b * eta, b * u) / b
        down = _rise(start, log(y) - a * eta, -a * u) / a
        return up + down if y > 0 else exp(b * eta) / b

    @staticmethod
    def row_derivatives(y: float, eta: float, power: float) -> tuple[float, float]:
        a, b = power - 1.0, 2.0 - power
        half = exp(-0.5 * a * eta)  # twice, because mu^-a overflows where y mu^-a does not
        up, down = exp(b * eta), y * half * half if y > 0 else 0.0
        return up - down, b * up + a * down

    @staticmethod
    def row_information(y: float, eta: float, power: float) -> float:
        return exp((2.0 - power) * eta)

    def native_form(self) -> NativeForm:
        return NativeForm("tweedie", {"power": self.power})
