"""Losses of the ratio mu / y, as the seed notes have them."""

from __future__ import annotations

from math import inf, log

import numpy as np

from gbreg.links import POSITIVE, REALS, UNIT, Interval, Link
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.ranges import Choice, LogUniform, SearchSpace


class Huberpp(PointwiseLoss):
    r"""Huber loss on the relative error: quadratic while ``abs(mu - y) <= delta * y``, linear beyond.

    .. math:: \ell = C r^2 / (2y) \text{ if } |r| \le \delta y, \text{ else } C\delta|r| - C\delta^2 y / 2, \quad r = \mu - y

    Parameters
    ----------
    delta : float > 0, default 0.5
        Relative error at which the gradient is capped.
    C : float > 0, default 1.0
        Strength of the data against the engine's regularisation; without regularisation it cancels in a Newton step.
    link : str or Link, default "identity"
    label_floor : float > 0, optional
        Denominators use ``max(y, label_floor)``, in the unit of the target; admits labels of 0 and below.
    label_rescale : list of (edge, factor), optional
        Rows with ``y >= edge`` count `factor` times (that of the last such edge; below the first edge, once).

    Notes
    -----
    Domain: y > 0 (all reals with a floor). Functional: between the median and the mean of y weighted by 1/y; for
    delta to infinity the harmonic mean. Scale-equivariant without floor and rescaling. Source: the seed notes.
    """

    functional = "between the median and the harmonic mean"
    parameter_domains = {"delta": POSITIVE, "C": POSITIVE}
    search_space = {"delta": LogUniform(0.05, 20.0)}
    way_out = "set label_floor=, the label below which relative errors stop growing"

    def __init__(
        self,
        delta: float = 0.5,
        C: float = 1.0,
        link: str | Link = "identity",
        label_floor: float | None = None,
        label_rescale: list[tuple[float, float]] | None = None,
    ):
        self.delta = delta
        self.C = C
        self.link = link
        self.label_floor = label_floor
        self.label_rescale = label_rescale

    @staticmethod
    def row_value(y: float, mu: float, delta: float, C: float, label_floor: float) -> float:
        unit = max(y, label_floor)
        r = abs(mu - y)
        return C * (0.5 * r * (r / unit) if r / unit <= delta else delta * (r - 0.5 * delta * unit))

    @staticmethod
    def row_derivatives(y: float, mu: float, delta: float, C: float, label_floor: float) -> tuple[float, float]:
        unit = max(y, label_floor)
        a = (mu - y) / unit
        return C * min(max(a, -delta), delta), C / unit if abs(a) <= delta else 0.0

    @property
    def y_domain(self) -> Interval:  # type: ignore[override]
        return POSITIVE if self.label_floor is None else REALS

    @property
    def unit_free(self) -> bool:  # type: ignore[override]
        return self.label_floor is None and self.label_rescale is None

    def kernel_parameters(self) -> dict[str, float]:
        return {"delta": self.delta, "C": self.C, "label_floor": self.label_floor or 0.0}

    def check_parameters(self) -> None:
        super().check_parameters()
        check_label_floor(self)


def check_label_floor(loss: Huberpp | AM) -> None:
    floor = loss.label_floor
    if floor is not None and not POSITIVE.contains(floor):
        raise ValueError(f"{type(loss).__name__}: label_floor={floor!r} must be > 0, in the unit of the target, or None")


def _log_ratio(t: float, excess: float) -> float:
    """ln(t) for t = 1 + excess, exact near 1 where only excess still holds the difference."""
    return log(t) + ((excess - (t - 1.0)) / t if abs(excess) < 0.5 else 0.0)


class AM(PointwiseLoss):
    r"""Asymmetric modelling loss: the gradient is the capped log ratio, with its own slope on either side.

    .. math:: \partial\ell / \partial\mu = C \cdot S \cdot \ln(\mathrm{clip}(\mu / y, lb, ub)), \quad
              S = s_{high} \text{ if } \mu > y \text{ else } s_{low}

    Parameters
    ----------
    C : float > 0, default 1.0
        Strength of the data against the engine's regularisation.
    s_high, s_low : float > 0, default 1.0
        Slope on overestimates and on underestimates. GMV wants s_low > s_high.
    lb, ub : float, 0 < lb < 1 < ub, default 0.05 and 20
        Ratios of prediction to label at which the gradient is capped.
    link : str or Link, default "identity"
    gradient_on : {"mu", "raw"}, default "mu"
        "mu" is the formula above, through the link. "raw" takes that gradient on the log score itself (link "log"
        only): an asymmetric, capped squared log error.
    label_floor : float > 0, optional
        The label is lifted to it, in the unit of the target; admits labels of 0 and below.
    label_rescale : list of (edge, factor), optional
        Rows with ``y >= edge`` count `factor` times (that of the last such edge; below the first edge, once).

    Notes
    -----
    Domain: y > 0 (all reals with a floor). Functional: symmetric and inside the bounds, the geometric mean with
    ``gradient_on="raw"`` and the solution of E[ln(mu / y)] = 0, the same, with "mu". Scale-equivariant without floor and
    rescaling, on identity, log and power links. Source: the seed notes; their value differs by the constant C s_low y.
    """

    functional = "symmetric and inside the bounds: geometric mean"
    parameter_domains = {"C": POSITIVE, "s_high": POSITIVE, "s_low": POSITIVE, "lb": UNIT, "ub": Interval(1, inf)}
    way_out = "set label_floor=, the label below which relative errors stop growing"

    def __init__(
        self,
        C: float = 1.0,
        s_high: float = 1.0,
        s_low: float = 1.0,
        lb: float = 0.05,
        ub: float = 20.0,
        link: str | Link = "identity",
        gradient_on: str = "mu",
        label_floor: float | None = None,
        label_rescale: list[tuple[float, float]] | None = None,
    ):
        self.C = C
        self.s_high = s_high
        self.s_low = s_low
        self.lb = lb
        self.ub = ub
        self.link = link
        self.gradient_on = gradient_on
        self.label_floor = label_floor
        self.label_rescale = label_rescale

    @staticmethod
    def _value_on_mu(
        y: float, mu: float, C: float, s_high: float, s_low: float, lb: float, ub: float, label_floor: float
    ) -> float:
        y = max(y, label_floor)
        t, excess = mu / y, (mu - y) / y
        inside = t * _log_ratio(t, excess) - excess
        # Not y * (t ln(ub) + ...): mu / y overflows where the loss does not.
        above = mu * log(ub) + (1.0 - ub) * y
        below = mu * log(lb) + (1.0 - lb) * y
        height = above if t > ub else (below if t < lb else y * inside)
        return C * (s_high if mu > y else s_low) * height

    @staticmethod
    def _derivatives_on_mu(
        y: float, mu: float, C: float, s_high: float, s_low: float, lb: float, ub: float, label_floor: float
    ) -> tuple[float, float]:
        y = max(y, label_floor)
        t, excess = mu / y, (mu - y) / y
        slope = C * (s_high if mu > y else s_low)
        inside = lb <= t <= ub
        ratio = _log_ratio(t, excess) if inside else (log(ub) if t > ub else log(lb))
        return slope * ratio, slope / mu if inside else 0.0

    @staticmethod
    def _value_on_raw(
        target: float, raw: float, C: float, s_high: float, s_low: float, lb: float, ub: float, label_floor: float
    ) -> float:
        u = raw - max(target, log(label_floor))
        cap = min(max(u, log(lb)), log(ub))
        return C * (s_high if u > 0 else s_low) * cap * (u - 0.5 * cap)

    @staticmethod
    def _derivatives_on_raw(
        target: float, raw: float, C: float, s_high: float, s_low: float, lb: float, ub: float, label_floor: float
    ) -> tuple[float, float]:
        u = raw - max(target, log(label_floor))
        slope = C * (s_high if u > 0 else s_low)
        cap = min(max(u, log(lb)), log(ub))
        return slope * cap, slope if cap == u else 0.0

    @staticmethod
    def row_minimizer(y: float, C: float, s_high: float, s_low: float, lb: float, ub: float, label_floor: float) -> float:
        return max(y, label_floor)

    @property
    def search_space(self) -> SearchSpace:  # type: ignore[override]
        space: SearchSpace = {"s_low": LogUniform(0.2, 5.0), "lb": LogUniform(0.005, 0.5), "ub": LogUniform(2.0, 200.0)}
        return {**space, "gradient_on": Choice(("mu", "raw"))} if self.link_.name == "log" else space

    @property
    def coordinate(self) -> str:  # type: ignore[override]
        return self.gradient_on

    @property
    def row_value(self):  # type: ignore[no-untyped-def]
        return self._value_on_raw if self.gradient_on == "raw" else self._value_on_mu

    @property
    def row_derivatives(self):  # type: ignore[no-untyped-def]
        return self._derivatives_on_raw if self.gradient_on == "raw" else self._derivatives_on_mu

    @property
    def y_domain(self) -> Interval:  # type: ignore[override]
        return POSITIVE if self.label_floor is None else REALS

    @property
    def unit_free(self) -> bool:  # type: ignore[override]
        return self.label_floor is None and self.label_rescale is None

    def kernel_parameters(self) -> dict[str, float]:
        names = ("C", "s_high", "s_low", "lb", "ub")
        return {name: float(getattr(self, name)) for name in names} | {"label_floor": self.label_floor or 0.0}

    def slopes(self) -> tuple[float, float]:
        # ln falls faster than it rises: its mean slope down to lb is -ln(lb) / (1 - lb).
        return self.s_high, self.s_low * float(-np.log(self.lb)) / (1.0 - self.lb)

    def check_parameters(self) -> None:
        super().check_parameters()
        check_label_floor(self)
        if self.gradient_on not in ("mu", "raw"):
            raise ValueError(f"AM: gradient_on={self.gradient_on!r} must be 'mu' or 'raw'")
        if self.gradient_on == "raw" and self.link_.name != "log":
            raise ValueError(
                f"AM: gradient_on='raw' is a loss on the log score, got link={self.link_.name!r}: use link='log'"
            )
