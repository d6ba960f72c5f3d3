"""Log-normal likelihoods: of positive labels, and of labels with a mass at zero."""

from __future__ import annotations

from math import exp, log, log1p, pi

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from gbreg.distribution import Distribution, LogNormalDistribution, ZeroInflated
from gbreg.links import NON_NEGATIVE, POSITIVE
from gbreg.losses.base import Floats
from gbreg.losses.vector import VectorLoss

_HALF_LOG_2PI = 0.5 * log(2 * pi)
# A probability of zeros and ones alone has no finite logit.
_MOST_LOGIT = 30.0


class LogNormal(VectorLoss):
    r"""Negative log-likelihood of a log-normal: two outputs m and s, with ``sigma = exp(s)`` kept within bounds.

    .. math:: \ell = \ln y + s + \tfrac12 \ln 2\pi + z^2 / 2, \quad z = (\ln y - m) / \sigma

    Parameters
    ----------
    sigma_bounds : (float, float), default (0.01, 3.0)
        Least and greatest sigma; beyond them the gradient in s is 0. The mean is ``exp(m + sigma**2 / 2)``: a sigma of 3
        puts it at 90 times the median.

    Notes
    -----
    Domain: y > 0. Functional: the whole distribution; `predict` reads the mean. Scale-equivariant. A density: may be
    negative. Curvature: ``1 / sigma**2`` in m and ``2 max(1, z**2)`` in s.
    """

    n_outputs = 2
    functional = "distribution (mean)"
    y_domain = POSITIVE
    way_out = "use ZILNRegressor or HurdleRegressor, which model the zeros apart"

    def __init__(self, sigma_bounds: tuple[float, float] = (0.01, 3.0)):
        self.sigma_bounds = sigma_bounds

    @staticmethod
    def row_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
        s = min(max(raw[1], parameters[0]), parameters[1])
        z = (log(y) - raw[0]) * exp(-s)
        return log(y) + s + _HALF_LOG_2PI + 0.5 * z * z

    @staticmethod
    def row_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
        s = min(max(raw[1], parameters[0]), parameters[1])
        precision = exp(-s)
        z = (log(y) - raw[0]) * precision
        gradient[0] = -z * precision
        hess[0] = precision * precision
        gradient[1] = 1.0 - z * z if s == raw[1] else 0.0
        hess[1] = 2.0 * max(1.0, z * z)

    @property
    def scale_equivariant(self) -> bool:
        return True

    def check_parameters(self) -> None:
        super().check_parameters()
        check_sigma_bounds(type(self).__name__, self.sigma_bounds)

    def kernel_parameters(self) -> Floats:
        return np.log(np.asarray(self.sigma_bounds, dtype=np.float64))

    def best_raw(self, y: Floats, sample_weight: Floats) -> Floats:
        return _log_moments(np.log(y), sample_weight, self.sigma_bounds)

    def distribution(self, raw_prediction: ArrayLike) -> Distribution:
        """A `LogNormalDistribution` a row, from complete raw scores of shape (n_samples, 2)."""
        raw = np.asarray(raw_prediction, dtype=np.float64)
        return LogNormalDistribution(raw[:, 0], _sigma(raw[:, 1], self.sigma_bounds))


class ZILN(VectorLoss):
    r"""Zero-inflated log-normal: outputs logit p, m and s; cross-entropy of 1[y > 0] plus, where y > 0, `LogNormal`.

    The three outputs share no tree, so training a binary model on all rows and a `LogNormal` on the positive ones
    maximises the same likelihood in less time: that is what `ZILNRegressor` does unless told otherwise.

    Parameters
    ----------
    sigma_bounds : (float, float), default (0.01, 3.0)

    Notes
    -----
    Domain: y >= 0. Functional: the whole distribution; `predict` reads the mean, ``p exp(m + sigma**2 / 2)``.
    Scale-equivariant. A density on the positive part: may be negative.
    Wang, Liu & Miao (2019), "A Deep Probabilistic Model for Customer Lifetime Value Prediction", arXiv 1912.07753.
    """

    n_outputs = 3
    functional = "distribution (mean)"
    y_domain = NON_NEGATIVE

    def __init__(self, sigma_bounds: tuple[float, float] = (0.01, 3.0)):
        self.sigma_bounds = sigma_bounds

    @staticmethod
    def row_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
        softplus = max(raw[0], 0.0) + log1p(exp(-abs(raw[0])))
        if y <= 0.0:
            return softplus
        s = min(max(raw[2], parameters[0]), parameters[1])
        z = (log(y) - raw[1]) * exp(-s)
        return softplus - raw[0] + log(y) + s + _HALF_LOG_2PI + 0.5 * z * z

    @staticmethod
    def row_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
        e = exp(-abs(raw[0]))
        p, rest = (1.0, e) if raw[0] > 0 else (e, 1.0)
        p, rest = p / (1.0 + e), rest / (1.0 + e)
        gradient[0] = -rest if y > 0.0 else p
        # The secant towards an infinite minimiser, as for every log-like score.
        hess[0] = max(p * rest, abs(gradient[0]) / 10.0)
        if y > 0.0:
            s = min(max(raw[2], parameters[0]), parameters[1])
            precision = exp(-s)
            z = (log(y) - raw[1]) * precision
            gradient[1] = -z * precision
            hess[1] = precision * precision
            gradient[2] = 1.0 - z * z if s == raw[2] else 0.0
            hess[2] = 2.0 * max(1.0, z * z)

    @property
    def scale_equivariant(self) -> bool:
        return True

    def check_parameters(self) -> None:
        super().check_parameters()
        check_sigma_bounds(type(self).__name__, self.sigma_bounds)

    def kernel_parameters(self) -> Floats:
        return np.log(np.asarray(self.sigma_bounds, dtype=np.float64))

    def best_raw(self, y: Floats, sample_weight: Floats) -> Floats:
        positive = y > 0
        start = logit(float(np.average(positive, weights=sample_weight)))
        inside = positive & (sample_weight > 0)
        moments = _log_moments(np.log(y[inside]), sample_weight[inside], self.sigma_bounds) if inside.any() else (0.0, 0.0)
        return np.array([np.clip(start, -_MOST_LOGIT, _MOST_LOGIT), *moments])

    def distribution(self, raw_prediction: ArrayLike) -> Distribution:
        """A `ZeroInflated` log-normal a row, from complete raw scores of shape (n_samples, 3)."""
        raw = np.asarray(raw_prediction, dtype=np.float64)
        return ZeroInflated(expit(raw[:, 0]), LogNormalDistribution(raw[:, 1], _sigma(raw[:, 2], self.sigma_bounds)))


def check_sigma_bounds(who: str, bounds: tuple[float, float]) -> None:
    """Raise `ValueError` unless 0 < low < high."""
    try:
        low, high = (float(b) for b in bounds)
        right = 0.0 < low < high < np.inf
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ValueError(f"{who}: sigma_bounds={bounds!r} must be two numbers with 0 < low < high")


def _log_moments(log_y: Floats, sample_weight: Floats, bounds: tuple[float, float]) -> Floats:
    m = float(np.average(log_y, weights=sample_weight))
    sigma = float(np.sqrt(np.average((log_y - m) ** 2, weights=sample_weight)))
    return np.array([m, np.log(np.clip(sigma, *bounds))])


def _sigma(s: Floats, bounds: tuple[float, float]) -> Floats:
    return np.exp(np.clip(s, *np.log(bounds)))
