"""The squared error of a transformed label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import logsumexp

from gbreg._checks import Floats
from gbreg.links import NON_NEGATIVE, Interval, Link, Power, get_link
from gbreg.losses.native import NativeForm
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.ranges import Choice, Uniform

MOST_RESIDUALS = 1000


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
