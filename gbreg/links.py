"""Links between the raw score that trees sum to and the value in the unit of the target.

``raw = link(mu)`` and ``mu = inverse(raw)``. A link is a handful of plain scalar functions; `gbreg._kernels` compiles
them together with a loss, so a loss written once works through every link whose range lies in its domain.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import exp, expm1, inf, log, log1p
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

Scalar = Callable[..., Any]

_LN2 = log(2.0)


@dataclass(frozen=True)
class Interval:
    """A real interval with open or closed ends.

    Parameters
    ----------
    low, high : float
        The ends; infinite ends are always open.
    closed : {"neither", "low", "high", "both"}
        Which ends belong to the interval.

    Examples
    --------
    >>> print(Interval(0, inf))
    (0, inf)
    >>> Interval(0, 1, "both").contains([0.0, 0.5, 2.0])
    array([ True,  True, False])
    """

    low: float
    high: float
    closed: str = "neither"

    def __post_init__(self) -> None:
        if self.closed not in ("neither", "low", "high", "both"):
            raise ValueError(f"closed must be 'neither', 'low', 'high' or 'both', got {self.closed!r}")
        if not self.low < self.high:
            raise ValueError(f"an interval needs low < high, got low={self.low}, high={self.high}")

    @property
    def low_closed(self) -> bool:
        return self.closed in ("low", "both") and self.low > -inf

    @property
    def high_closed(self) -> bool:
        return self.closed in ("high", "both") and self.high < inf

    def contains(self, x: Any) -> NDArray[np.bool_]:
        """Elementwise membership; NaN belongs to no interval."""
        x = np.asarray(x)
        above: NDArray[np.bool_]
        below: NDArray[np.bool_]
        above = x >= self.low if self.low_closed else x > self.low
        below = x <= self.high if self.high_closed else x < self.high
        return above & below

    def within(self, other: Interval) -> bool:
        """Whether every point of this interval lies in `other`."""
        low_fits = self.low > other.low or (self.low == other.low and (other.low_closed or not self.low_closed))
        high_fits = self.high < other.high or (self.high == other.high and (other.high_closed or not self.high_closed))
        return low_fits and high_fits

    def __str__(self) -> str:
        return f"{'[' if self.low_closed else '('}{self.low:g}, {self.high:g}{']' if self.high_closed else ')'}"


REALS = Interval(-inf, inf)
POSITIVE = Interval(0, inf)
NON_NEGATIVE = Interval(0, inf, "low")
UNIT = Interval(0, 1)


@dataclass(frozen=True)
class Link:
    """Base of all links: subclasses give the scalar functions as static methods.

    Each function takes the link's own parameters (the dataclass fields, in order) after its first argument.

    Attributes
    ----------
    name : str
    range : Interval
        The values ``mu`` that the link can produce.
    scale_equivariant : bool
        Whether multiplying mu by a constant is a shift or a scaling of raw.
    log_rate : bool
        Whether raw is the logarithm of a rate, of which a row with an exposure sees that many.
    bend : float or None
        The width of the bend at raw = 0, for links whose growth changes so much within a step that curvature must be
        checked where the step may lead.
    """

    name: ClassVar[str]
    range: ClassVar[Interval] = REALS
    scale_equivariant: ClassVar[bool] = True
    log_rate: ClassVar[bool] = False
    bend: ClassVar[float | None] = None

    link: ClassVar[Scalar]
    inverse: ClassVar[Scalar]
    inverse_derivative: ClassVar[Scalar]
    inverse_derivative2: ClassVar[Scalar]

    def step_bounds(self, size: float, learning_rate: float) -> tuple[float, float]:
        """How far one row may ask its leaf to move raw, and how far ahead its curvature is checked.

        `size` is a typical distance of raw scores from 0.
        """
        return inf, 0.0

    @property
    def parameters(self) -> tuple[float, ...]:
        return tuple(asdict(self).values())

    def to_json(self) -> dict[str, Any]:
        return {"link": self.name, **asdict(self)}


class Identity(Link):
    """``mu = raw``."""

    name = "identity"

    @staticmethod
    def link(mu: float) -> float:
        return mu

    @staticmethod
    def inverse(raw: float) -> float:
        return raw

    @staticmethod
    def inverse_derivative(raw: float) -> float:
        return 1.0

    @staticmethod
    def inverse_derivative2(raw: float) -> float:
        return 0.0


class Log(Link):
    """``mu = exp(raw)``: positive predictions, effects that multiply."""

    name = "log"
    range = POSITIVE
    log_rate = True

    @staticmethod
    def link(mu: float) -> float:
        return log(mu) if mu > 0 else -inf

    @staticmethod
    def inverse(raw: float) -> float:
        return exp(raw)

    @staticmethod
    def inverse_derivative(raw: float) -> float:
        return exp(raw)

    @staticmethod
    def inverse_derivative2(raw: float) -> float:
        return exp(raw)

    def step_bounds(self, size: float, learning_rate: float) -> tuple[float, float]:
        return log_step_limit(learning_rate), 0.0


def log_step_limit(learning_rate: float) -> float:
    """How far one row may ask to move a log score: within it mu grows by e^3 at most, and no round raises the loss."""
    return 10.0 if learning_rate <= 0.3 else 3.0


def softplus(raw: float) -> float:
    return max(raw, 0.0) + log1p(exp(-abs(raw)))


def expit(raw: float) -> float:
    e = exp(-abs(raw))  # the one that softplus needs: computed once where both are
    return (1.0 if raw > 0 else e) / (1.0 + e)


class Softplus(Link):
    """``mu = ln(1 + exp(raw))``: a log for small values, the identity for large ones (so it has a unit)."""

    name = "softplus"
    range = POSITIVE
    scale_equivariant = False
    bend = 3.0

    @staticmethod
    def link(mu: float) -> float:
        return mu + log(-expm1(-mu)) if mu > 0 else -inf

    @staticmethod
    def inverse(raw: float) -> float:
        return softplus(raw)

    @staticmethod
    def inverse_derivative(raw: float) -> float:
        return expit(raw)

    @staticmethod
    def inverse_derivative2(raw: float) -> float:
        return expit(raw) * expit(-raw)

    def step_bounds(self, size: float, learning_rate: float) -> tuple[float, float]:
        # Where scores are large they move by amounts of their own size, and rows still on the log part must be ready
        # for more than the growth by e^3 that the log's limit allows.
        limit = max(log_step_limit(learning_rate), size)
        return limit, max(0.0, learning_rate * limit - 3.0)


class Logit(Link):
    """``mu = 1 / (1 + exp(-raw))``: probabilities."""

    name = "logit"
    range = UNIT
    scale_equivariant = False

    @staticmethod
    def link(mu: float) -> float:
        return log(mu) - log1p(-mu) if mu > 0 else -inf

    @staticmethod
    def inverse(raw: float) -> float:
        return expit(raw)

    @staticmethod
    def inverse_derivative(raw: float) -> float:
        return expit(raw) * expit(-raw)

    @staticmethod
    def inverse_derivative2(raw: float) -> float:
        # 1 - 2 mu, which cancels at 0, is tanh(-raw / 2).
        bend = math.copysign(-expm1(-abs(raw)) / (1.0 + exp(-abs(raw))), -raw)
        return expit(raw) * expit(-raw) * bend

    def step_bounds(self, size: float, learning_rate: float) -> tuple[float, float]:
        return log_step_limit(learning_rate), 0.0


class ComplementaryLogLog(Link):
    """``mu = 1 - exp(-exp(raw))``: the chance of any event, where raw is the logarithm of how many are expected.

    It is 1 to double precision from raw = 3.7, where the derivative vanishes: for `Cloglog`, which needs none.
    """

    name = "cloglog"
    range = UNIT
    scale_equivariant = False
    log_rate = True

    @staticmethod
    def link(mu: float) -> float:
        if mu <= 0:
            return -inf
        return log(-log1p(-mu)) if mu < 1 else inf

    @staticmethod
    def inverse(raw: float) -> float:
        return -expm1(-exp(raw))

    @staticmethod
    def inverse_derivative(raw: float) -> float:
        return exp(raw - exp(raw))

    @staticmethod
    def inverse_derivative2(raw: float) -> float:
        return exp(raw - exp(raw)) * -expm1(raw)

    def step_bounds(self, size: float, learning_rate: float) -> tuple[float, float]:
        return log_step_limit(learning_rate), 0.0


class Log1p(Link):
    """``mu = exp(raw) - 1``: the transform behind "regress ln(1 + y)"."""

    name = "log1p"
    range = Interval(-1, inf)
    scale_equivariant = False

    @staticmethod
    def link(mu: float) -> float:
        return log1p(mu) if mu > -1 else -inf

    @staticmethod
    def inverse(raw: float) -> float:
        return expm1(raw)

    @staticmethod
    def inverse_derivative(raw: float) -> float:
        return exp(raw)

    @staticmethod
    def inverse_derivative2(raw: float) -> float:
        return exp(raw)

    def step_bounds(self, size: float, learning_rate: float) -> tuple[float, float]:
        return log_step_limit(learning_rate), 0.0


@dataclass(frozen=True)
class LogLog2(Link):
    """``raw = ln(log2(1 + mu) + shift)``: the log of odds that are logarithms themselves, for `WCE`'s log2 schemes.

    ``mu`` grows doubly exponentially with the score: no other loss has a curvature that is safe for that.

    Parameters
    ----------
    shift : float >= 0, default 0.0
    """

    shift: float = 0.0

    name = "log_log2"
    scale_equivariant = False

    @property
    def range(self) -> Interval:  # type: ignore[override]
        return Interval(2.0**-self.shift - 1.0, inf)

    @staticmethod
    def link(mu: float, shift: float) -> float:
        bits = log1p(mu) / _LN2
        # Where shift is 1, small labels have scores near 0 that log(1 + bits) would round away.
        raw = log1p(bits) if shift == 1.0 else log(bits + shift)
        return raw if mu > -1.0 and bits + shift > 0 else -inf

    @staticmethod
    def inverse(raw: float, shift: float) -> float:
        bits = expm1(raw) if shift == 1.0 else exp(raw) - shift
        return expm1(_LN2 * bits)

    @staticmethod
    def inverse_derivative(raw: float, shift: float) -> float:
        return _LN2 * exp(raw) * exp(_LN2 * (exp(raw) - shift))

    @staticmethod
    def inverse_derivative2(raw: float, shift: float) -> float:
        return _LN2 * exp(raw) * exp(_LN2 * (exp(raw) - shift)) * (1.0 + _LN2 * exp(raw))


def _growth(raw: float, p: float) -> float:
    """``|raw| ** (1/p - 1)``."""
    return exp((1.0 / p - 1.0) * log(abs(raw))) if p < 1.0 else 1.0


@dataclass(frozen=True)
class Power(Link):
    """``raw = sign(mu) * |mu| ** p``: a milder compression than the log, defined at zero and below.

    Parameters
    ----------
    p : float in (0, 1], default 0.5
        The exponent. The seed notes' "e^0.3" is ``Power(0.3)``.
    """

    p: float = 0.5

    name = "power"
    bend = 0.0

    def __post_init__(self) -> None:
        if not 0 < self.p <= 1:
            raise ValueError(
                f"Power needs 0 < p <= 1, got p={self.p!r}: use 0.5 for a square root, 0.3 for the notes' power"
            )

    @staticmethod
    def link(mu: float, p: float) -> float:
        return math.copysign(exp(p * log(abs(mu))), mu)

    @staticmethod
    def inverse(raw: float, p: float) -> float:
        return raw * _growth(raw, p)

    @staticmethod
    def inverse_derivative(raw: float, p: float) -> float:
        return _growth(raw, p) / p

    @staticmethod
    def inverse_derivative2(raw: float, p: float) -> float:
        k = 1.0 / p
        return k * (k - 1.0) * (_growth(raw, p) / raw) if raw != 0.0 else 0.0

    def step_bounds(self, size: float, learning_rate: float) -> tuple[float, float]:
        return size, learning_rate * size


LINKS: dict[str, type[Link]] = {
    cls.name: cls for cls in (Identity, Log, Softplus, Logit, ComplementaryLogLog, Log1p, LogLog2, Power)
}


def get_link(link: str | Link | dict[str, Any]) -> Link:
    """The link of that name, an instance as it is, or one rebuilt from `Link.to_json`.

    >>> get_link("log")
    Log()
    >>> get_link(Power(0.3))
    Power(p=0.3)
    """
    if isinstance(link, Link):
        return link
    parameters = dict(link) if isinstance(link, dict) else {"link": link}
    name = parameters.pop("link", None)
    if name not in LINKS:
        raise ValueError(f"link={name!r} is not known: use one of {sorted(LINKS)} or a Link instance such as Power(0.3)")
    return LINKS[name](**parameters)


__all__ = [
    "LINKS",
    "NON_NEGATIVE",
    "POSITIVE",
    "REALS",
    "UNIT",
    "ComplementaryLogLog",
    "Identity",
    "Interval",
    "Link",
    "Log",
    "Log1p",
    "LogLog2",
    "Logit",
    "Power",
    "Softplus",
    "get_link",
]
