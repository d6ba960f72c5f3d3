"""Losses of one prediction against one label, on the scale of the target."""

from __future__ import annotations

from math import inf, log, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from gbreg import kernels
from gbreg.links import NON_NEGATIVE, POSITIVE, REALS, Interval, Link, Power, get_link
from gbreg.losses.base import (
    Choice,
    Floats,
    LogUniform,
    NativeForm,
    PointwiseLoss,
    SearchSpace,
    Uniform,
    label_scale,
    weighted_quantile,
)

UNIT = Interval(0, 1)
MOST_RESIDUALS = 1000


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


def smoothing_width(y: Floats, sample_weight: Floats) -> float:
    """Half the width of the parabola that rounds off a kink: 1e-3 of the labels' scale, and above their rounding."""
    return max(1e-3 * label_scale(y, sample_weight), 1e-12 * float(np.abs(y).max()))


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
        return NativeForm("quantile", {"level": self.level}, curvature=1.0) if self.link_.name == "identity" else None


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
        return NativeForm("absolute_error", curvature=1.0) if self.link_.name == "identity" else None


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
        return NativeForm("huber", {"delta": self.delta_}, curvature=1.0) if self.link_.name == "identity" else None


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


class TransformedSquaredError(PointwiseLoss):
    r"""Squared error on a transformed label, ``(raw - T(y))^2 / 2``: the "log, then MSE" of the seed notes.

    Decoding by the inverse transform alone is biased low on large values. With `smearing` the prediction is Duan's
    estimator, the mean of ``T^-1(raw + e)`` over the training residuals e.

    Parameters
    ----------
    transform : {"log1p", "power"}, default "log1p"
        ``ln(1 + y)``, or ``y ** power``.
    power : float in (0, 1], default 0.3
        The exponent for ``transform="power"``.
    smearing : bool, default True

    Attributes
    ----------
    residuals_, residual_weights_ : ndarrays of shape (n_residuals,)
        The distinct training residuals with their shares of the weight or, of more than 1,000, the means of as many
        groups of about equal weight. For "log1p" one, whose exp is their mean. Set by the estimator after training.

    Notes
    -----
    Domain: y >= 0. Functional: T^-1 of the mean of T(y); with smearing, the mean if residuals do not depend on x.
    Scale-equivariant for "power" only. Where little can be learnt from few, noisy rows the smeared sum is short, by a
    fifth in examples/log_bias.py: calibrate.
    Duan (1983), "Smearing Estimate: A Nonparametric Retransformation Method", JASA 78.
    """

    functional = "T^-1(mean of T(y)), smeared to the mean"
    parameter_domains = {"power": Interval(0, 1, "high")}
    search_space = {"transform": Choice(("log1p", "power")), "power": Uniform(0.1, 1.0)}
    y_domain = NON_NEGATIVE
    coordinate = "raw"

    residuals_: Floats
    residual_weights_: Floats

    def __init__(self, transform: str = "log1p", power: float = 0.3, smearing: bool = True):
        self.transform = transform
        self.power = power
        self.smearing = smearing

    @staticmethod
    def row_value(target: float, raw: float) -> float:
        return 0.5 * (raw - target) * (raw - target)

    @staticmethod
    def row_derivatives(target: float, raw: float) -> tuple[float, float]:
        return raw - target, 1.0

    @property
    def decodes_with_residuals(self) -> bool:  # type: ignore[override]
        return self.smearing

    @property
    def link(self) -> Link:  # type: ignore[override]
        return Power(self.power) if self.transform == "power" else get_link(self.transform)

    def check_parameters(self) -> None:
        if self.transform not in ("log1p", "power"):
            raise ValueError(f"TransformedSquaredError: transform={self.transform!r} must be 'log1p' or 'power'")
        super().check_parameters()

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        mean = np.average(self.to_raw(y), weights=sample_weight, keepdims=True)
        return float(super().predict(mean)[0])

    def fit_decoder(self, y: Floats, raw_prediction: Floats, sample_weight: Floats) -> None:
        used = sample_weight > 0
        residuals, group = np.unique(self.to_raw(y[used]) - raw_prediction[used], return_inverse=True)
        weight = np.bincount(group, weights=sample_weight[used]).astype(np.float64)
        if self.transform == "log1p":
            # exp(raw + e) = exp(raw) exp(e): the mean over e is one factor. Quantiles would lose the tail that makes it.
            residuals, weight = logsumexp(residuals, b=weight / weight.sum(), keepdims=True), np.ones(1)
        elif residuals.size > MOST_RESIDUALS:
            middle = (np.cumsum(weight) - 0.5 * weight) / weight.sum()
            group = np.minimum((MOST_RESIDUALS * middle).astype(int), MOST_RESIDUALS - 1)
            each = np.bincount(group, weights=weight).astype(np.float64)
            residuals = np.bincount(group, weights=weight * residuals)[each > 0] / each[each > 0]
            weight = each[each > 0]
        self.residuals_, self.residual_weights_ = residuals, weight / weight.sum()

    def predict(self, raw_prediction: ArrayLike) -> Floats:
        raw = np.asarray(raw_prediction, dtype=np.float64)
        plain = super().predict(raw)
        residuals = getattr(self, "residuals_", None)
        if not self.smearing or residuals is None:
            return plain
        if self.transform == "log1p":
            return (plain + 1.0) * float(self.residual_weights_ @ np.exp(residuals)) - 1.0
        # One row of residuals per distinct block keeps the (n, 1000) array small.
        parts = [
            super(TransformedSquaredError, self).predict((block[:, None] + residuals).ravel()).reshape(-1, residuals.size)
            for block in np.array_split(raw, max(1, raw.size // 4096 + 1))
        ]
        return np.concatenate([part @ self.residual_weights_ for part in parts])

    def native_form(self) -> NativeForm:
        return NativeForm("squared_error", labels=lambda y: (self.to_raw(y), None))
