"""Every loss and link a second time, in mpmath: what `test_losses` compares the kernels with.

Written from the formulas of the losses' docstrings, not from their code. A loss is one function of (y, mu, parameters)
that gives the value and its first two derivatives with respect to mu; with ``coordinate="raw"`` the two arguments are
``link(y)`` and the raw score. Inputs and parameters are doubles, taken as exact.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from mpmath import inf, mp, mpf

EPS = 2.0**-52
LARGEST = sys.float_info.max
SMALLEST = sys.float_info.min

Triple = tuple[Any, Any, Any]


@dataclass(frozen=True)
class Link:
    """``link(mu)``, and ``inverse(raw)`` with its two derivatives."""

    link: Callable[..., Any]
    inverse: Callable[..., Triple]


def _expit(f: Any) -> Any:
    return 1 / (1 + mp.exp(-f))


def _softplus(f: Any) -> Triple:
    return max(f, 0) + mp.log1p(mp.exp(-abs(f))), _expit(f), _expit(f) * _expit(-f)


def _logit(f: Any) -> Triple:
    p, q = _expit(f), _expit(-f)
    return p, p * q, p * q * (q - p)


def _cloglog(f: Any) -> Triple:
    rate = mp.exp(f)
    return -mp.expm1(-rate), mp.exp(f - rate), mp.exp(f - rate) * (1 - rate)


def _log_log2(f: Any, shift: Any) -> Triple:
    steep = mp.log(2) * mp.exp(f)
    first = steep * 2 ** (mp.exp(f) - shift)
    return 2 ** (mp.exp(f) - shift) - 1, first, first * (1 + steep)


def _power(f: Any, p: Any) -> Triple:
    k, sign = 1 / p, mp.sign(f)
    if f == 0:
        return mpf(0), mpf(k == 1), mpf(0)
    return sign * abs(f) ** k, k * abs(f) ** (k - 1), sign * k * (k - 1) * abs(f) ** (k - 2)


LINKS: dict[str, Link] = {
    "identity": Link(lambda mu: mu, lambda f: (f, mpf(1), mpf(0))),
    "log": Link(lambda mu: mp.log(mu) if mu > 0 else -inf, lambda f: (mp.exp(f),) * 3),
    "softplus": Link(
        lambda mu: mu + mp.log(-mp.expm1(-mu)) if mu > 0 else -inf,
        _softplus,
    ),
    "logit": Link(lambda mu: (mp.log(mu) - mp.log1p(-mu) if mu < 1 else inf) if mu > 0 else -inf, _logit),
    "cloglog": Link(lambda mu: (mp.log(-mp.log1p(-mu)) if mu < 1 else inf) if mu > 0 else -inf, _cloglog),
    "log1p": Link(lambda mu: mp.log1p(mu) if mu > -1 else -inf, lambda f: (mp.expm1(f), mp.exp(f), mp.exp(f))),
    "log_log2": Link(lambda mu, shift: mp.log(mp.log(1 + mu, 2) + shift) if (1 + mu) * 2**shift > 1 else -inf, _log_log2),
    "power": Link(lambda mu, p: mp.sign(mu) * abs(mu) ** p, _power),
}


@dataclass(frozen=True)
class Formula:
    """A loss: its value and two derivatives, where it has kinks, and the label that it is least at."""

    triple: Callable[..., Triple]
    kinks: Callable[..., list[Any]] = lambda y, p: []
    minimizer: Callable[..., Any] = lambda y, p: y
    coordinate: str = "mu"


def _squared(y: Any, mu: Any, p: Any) -> Triple:
    return (mu - y) ** 2 / 2, mu - y, mpf(1)


def _expectile(y: Any, mu: Any, p: Any) -> Triple:
    side = 1 - p["level"] if mu > y else p["level"]
    return side * (mu - y) ** 2, 2 * side * (mu - y), 2 * side


def _huber_of(r: Any, delta: Any) -> Triple:
    if abs(r) <= delta:
        return r**2 / 2, r, mpf(1)
    return delta * abs(r) - delta**2 / 2, delta * mp.sign(r), mpf(0)


def _huber(y: Any, mu: Any, p: Any) -> Triple:
    return _huber_of(mu - y, p["delta_"])


def _absolute(y: Any, mu: Any, p: Any) -> Triple:
    # abs(r) rounded off to a parabola within the smoothing width: a Huber loss divided by its delta.
    width = p["smoothing_"]
    v, d1, d2 = _huber_of(mu - y, width)
    return v / width, d1 / width, d2 / width


def _quantile(y: Any, mu: Any, p: Any) -> Triple:
    side = 1 - p["level"] if mu > y else p["level"]
    v, d1, d2 = _absolute(y, mu, p)
    return side * v, side * d1, side * d2


def _huberpp(y: Any, mu: Any, p: Any) -> Triple:
    C, delta, unit = p["C"], p["delta"], max(y, p["label_floor"])
    r = mu - y
    if abs(r) <= delta * unit:
        return C * r**2 / (2 * unit), C * r / unit, C / unit
    return C * delta * abs(r) - C * delta**2 * unit / 2, C * delta * mp.sign(r), mpf(0)


def _am(y: Any, mu: Any, p: Any) -> Triple:
    y = max(y, p["label_floor"])
    slope = p["C"] * (p["s_high"] if mu > y else p["s_low"])
    lb, ub = p["lb"], p["ub"]

    def inside(mu: Any) -> Any:  # the integral of ln(t / y) from y to mu
        return mu * mp.log(mu / y) - mu + y

    if mu > ub * y:
        return slope * (inside(ub * y) + (mu - ub * y) * mp.log(ub)), slope * mp.log(ub), mpf(0)
    if mu < lb * y:
        return slope * (inside(lb * y) + (mu - lb * y) * mp.log(lb)), slope * mp.log(lb), mpf(0)
    return slope * inside(mu), slope * mp.log(mu / y), slope / mu


def _am_on_raw(target: Any, raw: Any, p: Any) -> Triple:
    u = raw - max(target, mp.log(p["label_floor"]) if p["label_floor"] > 0 else -inf)
    slope = p["C"] * (p["s_high"] if u > 0 else p["s_low"])
    low, high = mp.log(p["lb"]), mp.log(p["ub"])
    if u > high:
        return slope * (high**2 / 2 + (u - high) * high), slope * high, mpf(0)
    if u < low:
        return slope * (low**2 / 2 + (u - low) * low), slope * low, mpf(0)
    return slope * u**2 / 2, slope * u, slope


def _poisson(y: Any, mu: Any, p: Any) -> Triple:
    value = mu - y - y * mp.log(mu / y) if y > 0 else mu
    return value, 1 - y / mu, y / mu**2


def _gamma(y: Any, mu: Any, p: Any) -> Triple:
    return y / mu - 1 - mp.log(y / mu), 1 / mu - y / mu**2, 2 * y / mu**3 - 1 / mu**2


def _tweedie(y: Any, mu: Any, p: Any) -> Triple:
    q = p["power"]
    value = y ** (2 - q) / ((1 - q) * (2 - q)) - y * mu ** (1 - q) / (1 - q) + mu ** (2 - q) / (2 - q)
    return value, mu ** (1 - q) - y * mu ** (-q), (1 - q) * mu ** (-q) + q * y * mu ** (-q - 1)


def _cross_entropy(positives: Any, negatives: Any, f: Any) -> Triple:
    """Of that much weight on either side, less its minimum."""
    p, q = _expit(f), _expit(-f)
    n = positives + negatives
    least = sum(w * mp.log(n / w) for w in (positives, negatives) if w > 0)
    value = positives * _softplus(-f)[0] + negatives * _softplus(f)[0] - least
    return value, negatives * p - positives * q, n * p * q


def _bernoulli(target: Any, f: Any, p: Any) -> Triple:
    return _cross_entropy(_expit(target), _expit(-target), f)


def _cloglog_entropy(target: Any, f: Any, p: Any) -> Triple:
    y, none = -mp.expm1(-mp.exp(target)), mp.exp(-mp.exp(target))
    rate = mp.exp(f)
    any_, no = -mp.expm1(-rate), mp.exp(-rate)
    value = (y * mp.log(y / any_) if y > 0 else 0) + (none * (mp.log(none) + rate) if none > 0 else 0)
    each = no * rate / any_
    return value, none * rate - y * each, y * each * (rate / any_ - 1) + none * rate


def _wce(target: Any, f: Any, p: Any) -> Triple:
    return _cross_entropy(mp.exp(min(target, p["top"])), mpf(1), f)


def _lifted(y: Any, p: Any) -> Any:
    return max(y, p["label_floor"])


ORACLE: dict[str, Formula] = {
    "squared_error": Formula(_squared),
    "expectile": Formula(_expectile),
    "huber": Formula(_huber, lambda y, p: [y - p["delta_"], y + p["delta_"]]),
    "absolute_error": Formula(_absolute, lambda y, p: [y - p["smoothing_"], y + p["smoothing_"]]),
    "quantile": Formula(_quantile, lambda y, p: [y - p["smoothing_"], y + p["smoothing_"]]),
    "huberpp": Formula(_huberpp, lambda y, p: [y + s * p["delta"] * _lifted(y, p) for s in (-1, 1)]),
    "am": Formula(_am, lambda y, p: [p["lb"] * _lifted(y, p), p["ub"] * _lifted(y, p)], _lifted),
    "am/raw": Formula(
        _am_on_raw, lambda y, p: [p["lb"] * _lifted(y, p), p["ub"] * _lifted(y, p)], _lifted, coordinate="raw"
    ),
    "transformed_squared_error": Formula(_squared, coordinate="raw"),
    "poisson": Formula(_poisson),
    "gamma": Formula(_gamma),
    "tweedie": Formula(_tweedie),
    "bernoulli": Formula(_bernoulli, coordinate="raw"),
    "cloglog": Formula(_cloglog_entropy, coordinate="raw"),
    "wce": Formula(_wce, minimizer=lambda y, p: min(y, p["top_label"]), coordinate="raw"),
}


@dataclass(frozen=True)
class Close:
    """A true number, and how far from it a computed one may be."""

    true: Any
    tolerance: Any

    def size(self) -> Close:
        return Close(abs(self.true), self.tolerance)

    def over(self, way: Close, raw: Any) -> Close:
        if way.tolerance < way.true / 2:
            ratio = self.true / way.true
            return Close(ratio, (self.tolerance + ratio * way.tolerance) / (way.true - way.tolerance))
        # Nearer than rounding can tell: the secant is taken between rounding errors.
        return Close(mpf(0), 2 * self.tolerance / max(way.true, abs(raw) * EPS))

    def larger(self, other: Close) -> Close:
        if other.true + other.tolerance < self.true:
            return self
        if self.true + self.tolerance < other.true:
            return other
        return Close(max(self.true, other.true), max(self.tolerance, other.tolerance))

    def holds(self, got: float) -> bool:
        """Whether a computed double is near enough: finite unless the true number overflows, and underflow may be 0."""
        if abs(self.true) > LARGEST:
            return not isfinite(got)
        return isfinite(got) and abs(mpf(got) - self.true) <= self.tolerance + SMALLEST


@dataclass(frozen=True)
class Oracle:
    """One loss with its parameters through one link."""

    formula: Formula
    parameters: dict[str, Any]
    link: Link
    link_parameters: tuple[Any, ...]
    _known: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, loss: Any) -> Oracle:
        """The formula of a gbreg loss; `LookupError` says what to add for one that has none."""
        name = loss.name + ("/raw" if loss.name == "am" and loss.gradient_on == "raw" else "")
        link = loss.link_
        if name not in ORACLE or link.name not in LINKS:
            raise LookupError(f"{name!r} on link {link.name!r} has no mpmath formula: add it to tests/losses/oracle.py")
        parameters = {k: mpf(v) for k, v in loss.kernel_parameters().items()}
        return cls(ORACLE[name], parameters, LINKS[link.name], tuple(mpf(v) for v in link.parameters))

    def to_raw(self, mu: Any) -> Any:
        return self._remembered(self.link.link, mu)

    def inverse(self, raw: Any) -> Triple:
        """mu and its first two derivatives with respect to the raw score."""
        return self._remembered(self.link.inverse, raw)  # type: ignore[no-any-return]

    def _remembered(self, function: Callable[..., Any], x: Any) -> Any:
        key = (function, x, mp.prec)
        if key not in self._known:
            self._known[key] = function(x, *self.link_parameters)
        return self._known[key]

    def derivatives(self, y: Any, raw: Any) -> Triple:
        """Value, gradient and exact Hessian with respect to the raw score."""
        if self.formula.coordinate == "raw":
            return self.formula.triple(self.to_raw(y), raw, self.parameters)
        mu, m1, m2 = self.inverse(raw)
        v, d1, d2 = self.formula.triple(y, mu, self.parameters)
        return v, d1 * m1, d2 * m1**2 + d1 * m2

    def way(self, y: Any, raw: Any) -> Any:
        """The distance to the row's minimiser."""
        return abs(raw - self.to_raw(self.formula.minimizer(y, self.parameters)))

    def row(self, y: float, raw: float, step: Any) -> dict[str, Close]:
        """Value, gradient, exact and safe Hessian of one row.

        The tolerance is 1e-10 relative plus 8 eps times the condition number, taken as what a relative change of 8 eps
        in y, or in the raw score, changes; so at a kink it is the jump. The safe Hessian is built of quotients of these
        numbers, and its tolerance follows from theirs: the secant's numerator and denominator both cancel near the
        minimiser, and no evaluation of the quotient is more exact than they are.
        """
        # Terms in mu = exp(-800), which is 1e-348, cancel as many digits.
        with mp.workdps(420 if 100 < abs(raw) < 1000 and self.formula.coordinate == "mu" else 80):
            y, raw = mpf(y), mpf(raw)
            value, gradient, exact, way = self._numbers(y, raw)
            return {
                "value": value,
                "gradient": gradient,
                "exact": exact,
                "safe": self._safe(raw, gradient, exact, way, step),
            }

    def _safe(self, raw: Any, gradient: Close, exact: Close, way: Close, step: Any) -> Close:
        safe = exact
        if way.true > 0:
            way = way if way.true < step.limit else Close(mpf(step.limit), mpf(0))
            safe = exact.larger(gradient.size().over(way, raw))
        over, under = mpf(step.over), mpf(step.under)
        factor = over if gradient.true > 0 else under
        unsure = abs(over - under) * safe.true if abs(gradient.true) <= gradient.tolerance else 0
        return Close(safe.true * factor, safe.tolerance * factor + unsure)

    def _numbers(self, y: Any, raw: Any) -> list[Close]:
        """Value, gradient, exact Hessian and the distance to the minimiser."""
        step = 8 * mpf(EPS)
        around = [(y, raw), (y * (1 - step), raw), (y * (1 + step), raw), (y, raw * (1 - step)), (y, raw * (1 + step))]
        rows = zip(*((*self.derivatives(a, b), self.way(a, b)) for a, b in around), strict=True)
        numbers = [
            Close(at, abs(at) * mpf(10) ** -10 + max(abs(y0 - at), abs(y1 - at)) + max(abs(f0 - at), abs(f1 - at)))
            if abs(at) < inf
            else Close(at, mpf(0))
            for at, y0, y1, f0, f1 in rows
        ]
        numbers[2] = Close(numbers[2].true, numbers[2].tolerance + self._jump(y, raw))
        return numbers

    def _jump(self, y: Any, raw: Any) -> Any:
        """How much the exact Hessian jumps where mu, a rounded number too, is at a kink."""
        if self.formula.coordinate == "raw":
            return 0
        mu, m1, _ = self.inverse(raw)
        if all(abs(mu - kink) > 4 * EPS * abs(mu) for kink in [y, *self.formula.kinks(y, self.parameters)]):
            return 0
        below, above = (self.formula.triple(y, mu * (1 + s), self.parameters)[2] for s in (-8 * EPS, 8 * EPS))
        return abs(above - below) * m1**2
