"""Log-normal likelihoods: of positive labels, and of labels with a mass at zero."""

from __future__ import annotations

from math import exp, log, log1p, pi

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from gbreg._checks import Floats
from gbreg.distribution import Distribution, LogNormalDistribution, ZeroInflated
from gbreg.links import NON_NEGATIVE, POSITIVE
from gbreg.losses.censoring import hazard, is_censored, log_survival
from gbreg.losses.vector import VectorLoss

_HALF_LOG_2PI = 0.5 * log(2 * pi)
# A probability of zeros and ones alone has no finite logit.
_MOST_LOGIT = 30.0
_LEAST_CURVATURE = 0.02


def _spread(s, parameters):  # type: ignore[no-untyped-def]
    """sigma at a score s, and the first two derivatives of ln sigma."""
    low, span, centre = parameters[0], parameters[1], parameters[2]
    e = exp(-abs(s - centre))
    q, rest = (1.0, e) if s > centre else (e, 1.0)
    q, rest = q / (1.0 + e), rest / (1.0 + e)
    sigma = low + span * q
    slope = span * q / sigma * rest
    return sigma, slope, slope * (low / sigma * rest - q)


def _positive_value(y, m, s, parameters):  # type: ignore[no-untyped-def]
    sigma, _, _ = _spread(s, parameters)
    z = (log(y) - m) / sigma
    return log(y) + log(sigma) + _HALF_LOG_2PI + 0.5 * z * z


def _positive_derivatives(y, m, s, parameters):  # type: ignore[no-untyped-def]
    """Gradient and curvature in m, then in s."""
    sigma, slope, bend = _spread(s, parameters)
    z = (log(y) - m) / sigma
    # Near a bound, where sigma hardly moves, the floor keeps s from running off to where there is no way back.
    curvature = max(2.0 * slope * slope + abs(bend), _LEAST_CURVATURE)
    return -z / sigma, 1.0 / (sigma * sigma), (1.0 - z * z) * slope, max(1.0, z * z) * curvature


def _censored_value(y, m, s, parameters):  # type: ignore[no-untyped-def]
    sigma, _, _ = _spread(s, parameters)
    return log_survival((log(y) - m) / sigma)


def _censored_derivatives(y, m, s, parameters):  # type: ignore[no-untyped-def]
    """As `_positive_derivatives`, of a label that is at least y: the hazard's slope is at most 1."""
    sigma, slope, bend = _spread(s, parameters)
    z = (log(y) - m) / sigma
    pull = hazard(z)
    curvature = max(2.0 * slope * slope + abs(bend), _LEAST_CURVATURE)
    return -pull / sigma, 1.0 / (sigma * sigma), -z * pull * slope, max(1.0, z * pull) * curvature


def _log_normal_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    return _positive_value(y, raw[0], raw[1], parameters)


def _log_normal_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    gradient[0], hess[0], gradient[1], hess[1] = _positive_derivatives(y, raw[0], raw[1], parameters)


def _censored_log_normal_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    if is_censored(y):
        return _censored_value(-y, raw[0], raw[1], parameters)
    return _positive_value(y, raw[0], raw[1], parameters)


def _censored_log_normal_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    if is_censored(y):
        gradient[0], hess[0], gradient[1], hess[1] = _censored_derivatives(-y, raw[0], raw[1], parameters)
    else:
        gradient[0], hess[0], gradient[1], hess[1] = _positive_derivatives(y, raw[0], raw[1], parameters)


class LogNormal(VectorLoss):
    r"""Negative log-likelihood of a log-normal: two outputs m and s, with sigma near exp(s) inside its bounds.

    .. math:: \ell = \ln y + \ln\sigma + \tfrac12 \ln 2\pi + z^2 / 2, \quad z = (\ln y - m) / \sigma, \quad
        \sigma = low + 1 / (e^{-s} + 1 / (high - low))

    Parameters
    ----------
    sigma_bounds : (float, float), default (0.01, 3.0)
        low and high, between which sigma lies. The mean is ``exp(m + sigma**2 / 2)``: a sigma of 3 puts it at 90 times
        the median.

    Notes
    -----
    Domain: y > 0. Functional: the whole distribution; `predict` reads the mean. Scale-equivariant. A density: may be
    negative. Takes censored labels: ``-ln P(Z >= z)``. Curvature: ``1 / sigma**2`` in m and
    ``max(1, z**2) (2 slope**2 + abs(bend))`` in s, with the slope and bend of ln sigma against s, and the hazard times z
    for z**2 of a censored label. Cut off at the bounds instead, a score beyond them would have no gradient to come back by,
    and one coming back from them would meet a slope that no curvature announced.
    """

    n_outputs = 2
    family = "log-normal"
    functional = "distribution (mean)"
    ordered = "mean"  # quantiles below the median fall where sigma rises
    y_domain = POSITIVE
    takes_censored = True
    way_out = "use ZILNRegressor or HurdleRegressor, which model the zeros apart"

    def __init__(self, sigma_bounds: tuple[float, float] = (0.01, 3.0)):
        self.sigma_bounds = sigma_bounds

    @property
    def row_value(self):  # type: ignore[no-untyped-def]
        return _censored_log_normal_value if self.censored_ else _log_normal_value

    @property
    def row_derivatives(self):  # type: ignore[no-untyped-def]
        return _censored_log_normal_derivatives if self.censored_ else _log_normal_derivatives

    @property
    def scale_equivariant(self) -> bool:
        return True

    def check_parameters(self) -> None:
        super().check_parameters()
        check_sigma_bounds(type(self).__name__, self.sigma_bounds)

    def kernel_parameters(self) -> Floats:
        low, high = self.sigma_bounds
        return np.array([low, high - low, log(high - low)])

    def best_raw(self, y: Floats, sample_weight: Floats) -> Floats:
        return _log_moments(np.log(y), sample_weight, self.sigma_bounds)

    def distribution(self, raw_prediction: ArrayLike) -> Distribution:
        """A `LogNormalDistribution` a row, from complete raw scores of shape (n_samples, 2)."""
        raw = np.asarray(raw_prediction, dtype=np.float64)
        return LogNormalDistribution(raw[:, 0], _sigma(raw[:, 1], self.sigma_bounds))


def _ziln_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    softplus = max(raw[0], 0.0) + log1p(exp(-abs(raw[0])))
    if y <= 0.0:
        return softplus
    return softplus - raw[0] + _positive_value(y, raw[1], raw[2], parameters)


def _ziln_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    e = exp(-abs(raw[0]))
    p, rest = (1.0, e) if raw[0] > 0 else (e, 1.0)
    p, rest = p / (1.0 + e), rest / (1.0 + e)
    gradient[0] = -rest if y > 0.0 else p
    # The secant towards an infinite minimiser, as for every log-like score.
    hess[0] = max(p * rest, abs(gradient[0]) / 10.0)
    if y > 0.0:
        gradient[1], hess[1], gradient[2], hess[2] = _positive_derivatives(y, raw[1], raw[2], parameters)


def _censored_ziln_value(y, raw, parameters, table, work):  # type: ignore[no-untyped-def]
    if not is_censored(y):
        return _ziln_value(y, raw, parameters, table, work)
    if y == 0.0:  # at least 0: nothing is known
        return 0.0
    return max(-raw[0], 0.0) + log1p(exp(-abs(raw[0]))) + _censored_value(-y, raw[1], raw[2], parameters)


def _censored_ziln_derivatives(y, raw, parameters, table, gradient, hess, work):  # type: ignore[no-untyped-def]
    if not is_censored(y) or y < 0.0:
        _ziln_derivatives(abs(y), raw, parameters, table, gradient, hess, work)
    if y < 0.0:
        gradient[1], hess[1], gradient[2], hess[2] = _censored_derivatives(-y, raw[1], raw[2], parameters)


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
    Scale-equivariant. A density on the positive part: may be negative. Takes censored labels: ``-ln P(Y >= y)``.
    Wang, Liu & Miao (2019), "A Deep Probabilistic Model for Customer Lifetime Value Prediction", arXiv 1912.07753.
    """

    n_outputs = 3
    family = "log-normal"
    functional = "distribution (mean)"
    ordered = "mean"  # quantiles below the median fall where sigma rises
    y_domain = NON_NEGATIVE
    takes_censored = True

    def __init__(self, sigma_bounds: tuple[float, float] = (0.01, 3.0)):
        self.sigma_bounds = sigma_bounds

    @property
    def row_value(self):  # type: ignore[no-untyped-def]
        return _censored_ziln_value if self.censored_ else _ziln_value

    @property
    def row_derivatives(self):  # type: ignore[no-untyped-def]
        return _censored_ziln_derivatives if self.censored_ else _ziln_derivatives

    @property
    def scale_equivariant(self) -> bool:
        return True

    def check_parameters(self) -> None:
        super().check_parameters()
        check_sigma_bounds(type(self).__name__, self.sigma_bounds)

    def kernel_parameters(self) -> Floats:
        low, high = self.sigma_bounds
        return np.array([low, high - low, log(high - low)])

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
    low, high = bounds
    # A bound itself lies at an infinite score: start a little inside.
    share = np.clip((sigma - low) / (high - low), min(0.1 * low / (high - low), 0.05), 0.95)
    return np.array([m, logit(share) + np.log(high - low)])


def _sigma(s: Floats, bounds: tuple[float, float]) -> Floats:
    low, high = bounds
    return low + (high - low) * expit(s - np.log(high - low))  # type: ignore[no-any-return]
