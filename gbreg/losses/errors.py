"""Losses of the error mu - y, in the unit of the target."""

from __future__ import annotations

from math import sqrt

import numpy as np

from gbreg import _kernels as kernels
from gbreg._checks import Floats
from gbreg.links import POSITIVE, UNIT, Link
from gbreg.losses.native import NativeForm
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.ranges import LogUniform, SearchSpace, Uniform
from gbreg.losses.scales import label_scale, smoothing_width, weighted_quantile


class SquaredError(PointwiseLoss):
    r"""Half the squared error, ``(mu - y)^2 / 2``.

    Parameters
    ----------
    link : str or Link, default "identity"

    Notes
    -----
    Domain: all reals. Functional: mean. Scale-equivariant on identity, log and power links.
    """

    functional = "mean"

    def __init__(self, link: str | Link = "identity"):
        self.link = link

    @staticmethod
    def row_value(y: float, mu: float) -> float:
        return 0.5 * (mu - y) * (mu - y)

    @staticmethod
    def row_derivatives(y: float, mu: float) -> tuple[float, float]:
        return mu - y, 1.0

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        return float(np.average(y, weights=sample_weight))

    def native_form(self) -> NativeForm | None:
        return NativeForm("squared_error") if self.link_.name == "identity" else None


def _smooth_absolute(r: float, width: float) -> float:
    """abs(r), rounded off to a parabola within width of 0."""
    size = abs(r)
    return 0.5 * r * (r / width) if size <= width else size - 0.5 * width


class Quantile(PointwiseLoss):
    r"""Pinball loss, ``level * (y - mu)`` below the label and ``(1 - level) * (mu - y)`` above it.

    The kernel form is smoothed to a parabola within ``smoothing_`` of the label, 1e-3 of the labels' scale, because a
    kink has no curvature; `value` is the smoothed loss. Engines' native forms train the exact one.

    Parameters
    ----------
    level : float in (0, 1), default 0.5
    link : str or Link, default "identity"

    Notes
    -----
    Domain: all reals. Functional: the quantile of that level. Scale-equivariant on identity, log and power links.
    """

    functional = "quantile"
    parameter_domains = {"level": UNIT}
    search_space = {"level": Uniform(0.05, 0.95)}

    smoothing_: float

    def __init__(self, level: float = 0.5, link: str | Link = "identity"):
        self.level = level
        self.link = link

    @staticmethod
    def row_value(y: float, mu: float, level: float, smoothing_: float) -> float:
        return (1.0 - level if mu > y else level) * _smooth_absolute(mu - y, smoothing_)

    @staticmethod
    def row_derivatives(y: float, mu: float, level: float, smoothing_: float) -> tuple[float, float]:
        t = (mu - y) / smoothing_
        side = 1.0 - level if t > 0 else level
        return side * min(max(t, -1.0), 1.0), side / smoothing_ if abs(t) <= 1.0 else 0.0

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        self.smoothing_ = smoothing_width(y, sample_weight)

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        return weighted_quantile(y, self.level, sample_weight)

    def slopes(self) -> tuple[float, float]:
        return 1.0 - self.level, self.level

    def step_bounds(self, learning_rate: float = 0.1) -> kernels.StepBounds:
        # One curvature for both sides. With each side's own, the few rows on the steep one hold nearly all of it: leaves
        # without them count for nothing, and 600 log-normal labels were predicted by a constant at level 0.95 (XGBoost).
        # The least that descends, half the rate of the steeper slope's, learns leaves by heart; their geometric mean was
        # the best of three on held-out rows, at levels from 0.05 to 0.99, near what engines' renewed leaves reach.
        over, under = self.slopes()
        both = max(sqrt(over * under), 0.5 * learning_rate * max(over, under))
        return super().step_bounds(learning_rate)._replace(over=both / over, under=both / under)

    def native_form(self) -> NativeForm | None:
        return NativeForm("quantile", {"level": self.level}) if self.link_.name == "identity" else None


class AbsoluteError(PointwiseLoss):
    r"""Absolute error, ``abs(mu - y)``; smoothed in its kernel form as `Quantile` is.

    Parameters
    ----------
    link : str or Link, default "identity"

    Notes
    -----
    Domain: all reals. Functional: median. Scale-equivariant on identity, log and power links.
    """

    functional = "median"

    smoothing_: float

    def __init__(self, link: str | Link = "identity"):
        self.link = link

    @staticmethod
    def row_value(y: float, mu: float, smoothing_: float) -> float:
        return _smooth_absolute(mu - y, smoothing_)

    @staticmethod
    def row_derivatives(y: float, mu: float, smoothing_: float) -> tuple[float, float]:
        t = (mu - y) / smoothing_
        return min(max(t, -1.0), 1.0), 1.0 / smoothing_ if abs(t) <= 1.0 else 0.0

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        self.smoothing_ = smoothing_width(y, sample_weight)

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        return weighted_quantile(y, 0.5, sample_weight)

    def native_form(self) -> NativeForm | None:
        return NativeForm("absolute_error") if self.link_.name == "identity" else None


class Expectile(PointwiseLoss):
    r"""Asymmetric squared error: ``level * r^2`` below the label, ``(1 - level) * r^2`` above it.

    Parameters
    ----------
    level : float in (0, 1), default 0.5
        Above 0.5, underestimates cost more. At 0.5 this is `SquaredError`.
    link : str or Link, default "identity"

    Notes
    -----
    Domain: all reals. Functional: expectile. Scale-equivariant on identity, log and power links.
    Newey & Powell (1987), "Asymmetric Least Squares Estimation and Testing".
    """

    functional = "expectile"
    parameter_domains = {"level": UNIT}
    search_space = {"level": Uniform(0.05, 0.95)}

    def __init__(self, level: float = 0.5, link: str | Link = "identity"):
        self.level = level
        self.link = link

    @staticmethod
    def row_value(y: float, mu: float, level: float) -> float:
        return (1.0 - level if mu > y else level) * (mu - y) * (mu - y)

    @staticmethod
    def row_derivatives(y: float, mu: float, level: float) -> tuple[float, float]:
        twice = 2.0 * (1.0 - level if mu > y else level)
        return twice * (mu - y), twice

    def slopes(self) -> tuple[float, float]:
        return 1.0 - self.level, self.level

    def native_form(self) -> NativeForm | None:
        return NativeForm("expectile", {"level": self.level}) if self.link_.name == "identity" else None


class Huber(PointwiseLoss):
    r"""Squared error within delta of the label, linear beyond.

    Parameters
    ----------
    delta : float > 0, default 1.0
        Where the gradient is capped, in `delta_unit`.
    delta_unit : {"mad", "absolute"}, default "mad"
        "mad" multiplies delta by the labels' scale: their weighted median absolute deviation or, where that is 0, their
        mean absolute deviation from the median. "absolute" takes delta in the unit of the target.
    link : str or Link, default "identity"

    Notes
    -----
    Domain: all reals. Functional: between median and mean. Scale-equivariant with ``delta_unit="mad"``.
    Huber (1964), "Robust Estimation of a Location Parameter".
    """

    functional = "between median and mean"
    parameter_domains = {"delta": POSITIVE}

    delta_: float
    label_scale_: float

    def __init__(self, delta: float = 1.0, delta_unit: str = "mad", link: str | Link = "identity"):
        self.delta = delta
        self.delta_unit = delta_unit
        self.link = link

    @staticmethod
    def row_value(y: float, mu: float, delta_: float) -> float:
        r = abs(mu - y)
        return 0.5 * r * r if r <= delta_ else delta_ * (r - 0.5 * delta_)

    @staticmethod
    def row_derivatives(y: float, mu: float, delta_: float) -> tuple[float, float]:
        r = mu - y
        return min(max(r, -delta_), delta_), 1.0 if abs(r) <= delta_ else 0.0

    @property
    def unit_free(self) -> bool:  # type: ignore[override]
        return self.delta_unit == "mad"

    def check_parameters(self) -> None:
        super().check_parameters()
        if self.delta_unit not in ("mad", "absolute"):
            raise ValueError(f"Huber: delta_unit={self.delta_unit!r} must be 'mad' or 'absolute'")

    @property
    def search_space(self) -> SearchSpace:  # type: ignore[override]
        if self.delta_unit == "mad":
            return {"delta": LogUniform(0.1, 100.0)}
        scale = getattr(self, "label_scale_", None)  # before fit nothing says what is a large error
        return {} if scale is None else {"delta": LogUniform(0.1 * scale, 100.0 * scale)}

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        self.label_scale_ = label_scale(y, sample_weight)
        self.delta_ = self.delta * (self.label_scale_ if self.delta_unit == "mad" else 1.0)

    def native_form(self) -> NativeForm | None:
        return NativeForm("huber", {"delta": self.delta_}) if self.link_.name == "identity" else None
