"""Losses whose raw score is the logarithm of odds: of a probability, or of a watch time read as odds.

Both are relative entropies of two probabilities given by their log odds, which is exact where the probabilities
themselves round to 0 or 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, expm1, inf, log, log1p, nan
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gbreg._checks import Floats, check_inside, check_sample_weight
from gbreg._kernels import StepBounds
from gbreg.links import NON_NEGATIVE, POSITIVE, Interval, Link, Log, LogLog2, expit, log_step_limit, softplus
from gbreg.losses.base import Loss
from gbreg.losses.native import NativeForm
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.ranges import Choice


def steps_are_short(loss: Loss) -> bool:
    """Whether the engines' own Newton steps from the intercept stay within the limit of the kernel's, of 10.

    For rows at the other end they are 1 + odds, or 1 + 1 / odds. Beyond the limit trees overshoot until scores run off:
    with 0.3% of positives and a learning rate of 0.1, LightGBM's own objective ended at a loss of 11, the kernel at 0.005.
    """
    return bool(np.abs(loss.intercept_).max() <= log(log_step_limit(0.3) - 1.0))


def entropy(target: float, raw: float, upward: float) -> float:
    """Relative entropy of expit(raw) from expit(target): ``softplus(raw) - softplus(target) - expit(target) * upward``.

    `upward` is raw - target, which may be known better than their difference.
    """
    # Seen from the outcome that the target finds the less likely, what cancels is smallest.
    start = -abs(target)
    end = -raw if target > 0 else raw
    way, p, q = (-upward if target > 0 else upward), expit(start), expit(-start)
    v, skew = p * q, q - p
    series = 1.0 / 2.0 + way * (skew / 6.0 + way * ((1.0 - 6.0 * v) / 24.0 + way * skew * (1.0 - 12.0 * v) / 120.0))
    near = log1p(p * expm1(min(way, 30.0))) - p * way
    far = softplus(end) - softplus(start) - p * way
    return v * way * way * series if abs(way) < 5e-3 else (near if way < 30.0 else far)


def _entropy(target: float, raw: float) -> float:
    near = min(max(target, -1000.0), 1000.0)  # a label of 0 or 1 has an infinite score: there its probability is 0 as well
    return entropy(near, raw, raw - near)


def _excess(target: float, raw: float) -> float:
    """expit(raw) - expit(target), exact where they are close."""
    way = raw - target
    above = expit(raw) * expit(-target) * -expm1(-way)
    below = expit(target) * expit(-raw) * expm1(way)
    return above if way > 0 else below


class Bernoulli(PointwiseLoss):
    r"""Cross-entropy of a probability, less its minimum: ``y ln(y / p) + (1 - y) ln((1 - y) / (1 - p))``.

    Notes
    -----
    Logit link: `predict` gives the probability. Domain: y in [0, 1], where a label between 0 and 1 is a share or a
    probability. Functional: mean. Without a unit.
    """

    family = "odds"
    functional = "mean"
    y_domain = Interval(0, 1, "both")
    mu_domain = Interval(0, 1)
    way_out = "give y > 0 to predict whether, and predict how much with another loss"
    coordinate = "raw"
    link = "logit"

    @staticmethod
    def row_value(target: float, raw: float) -> float:
        return _entropy(target, raw)

    @staticmethod
    def row_derivatives(target: float, raw: float) -> tuple[float, float]:
        return _excess(target, raw), expit(raw) * expit(-raw)

    @staticmethod
    def row_information(y: float, raw: float) -> float:
        return expit(raw) * expit(-raw)

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        return float(np.average(y, weights=sample_weight))

    def step_bounds(self, learning_rate: float = 0.1) -> StepBounds:
        return super().step_bounds(learning_rate)._replace(limit=log_step_limit(learning_rate))

    def native_form(self) -> NativeForm | None:
        """Cross-entropy, unless labels are so rare or so frequent that the engines' own steps overshoot."""
        return NativeForm("cross_entropy") if steps_are_short(self) else None


class WCE(PointwiseLoss):
    r"""Weighted cross-entropy: a label counts w times as a positive and once as a negative, so that its odds are w.

    .. math:: \ell = -w \ln p - \ln(1 - p) - \min, \quad p = 1 / (1 + e^{-raw}), \quad
              \partial\ell / \partial raw = (1 + w) p - w

    ========================= ================ =====================
    `scheme`                  w(y)             prediction
    ========================= ================ =====================
    "identity"                y                odds
    "log2"                    log2(1 + y)      2^odds - 1
    "log2_plus1"              log2(1 + y) + 1  2^(odds - 1) - 1
    ========================= ================ =====================

    Parameters
    ----------
    scheme : {"identity", "log2", "log2_plus1"}, default "identity"
        How a label becomes a weight.
    cap : float > 0, optional
        Upper bound on w (8 in the seed notes, for "log2": labels above 255 count as 255). Capped labels are predicted low.
    smearing : bool, default True
        For the log2 schemes, whose plain predictions are biased low: multiply 1 + prediction by one factor (Duan's
        estimator, as in `TransformedSquaredError`: right where residuals do not depend on x).

    Attributes
    ----------
    largest_ : float
        The largest w among the training labels.
    smearing_factor_ : float
        Set by the estimator after training.

    Notes
    -----
    Domain: y >= 0. Functional: mean ("identity"); 2^(mean of log2(1 + y)) - 1, smeared to the mean (log2 schemes).

    Not scale-equivariant: with "identity", w is a count of units, and the loss a geometric likelihood whose variance is
    m (1 + m). With a mean far below 1 it is that of `Poisson`, far above 1 that of `Gamma`: seconds and hours give two
    losses. `geometric_fit` says whether labels scatter like that.

    At the minimum the sum of (w - m) / (1 + m) is 0, not that of w - m: where little can be learnt from few rows, sums are
    low, of large labels most (examples/gradient_asymmetry.py): calibrate.

    Covington, Adams & Sargin (2016), "Deep Neural Networks for YouTube Recommendations"; the seed notes.
    """

    family = "odds"
    y_domain = NON_NEGATIVE
    way_out = "a duration cannot be negative; shift the labels, or use 'squared_error' or 'huber'"
    search_space = {"scheme": Choice(("identity", "log2"))}
    coordinate = "raw"
    unit_free = False

    largest_: float
    smearing_factor_: float

    def __init__(self, scheme: str = "identity", cap: float | None = None, smearing: bool = True):
        self.scheme = scheme
        self.cap = cap
        self.smearing = smearing

    @staticmethod
    def row_value(target: float, raw: float, top: float, top_label: float) -> float:
        target = min(target, top)
        return (1.0 + exp(target)) * _entropy(target, raw)

    @staticmethod
    def row_derivatives(target: float, raw: float, top: float, top_label: float) -> tuple[float, float]:
        target = min(target, top)
        copies = 1.0 + exp(target)
        return copies * _excess(target, raw), copies * (expit(raw) * expit(-raw))

    @staticmethod
    def row_minimizer(y: float, top: float, top_label: float) -> float:
        return min(y, top_label)

    @property
    def link(self) -> Link:  # type: ignore[override]
        return Log() if self.scheme == "identity" else LogLog2(float(self.scheme == "log2_plus1"))

    @property
    def functional(self) -> str:  # type: ignore[override]
        if self.scheme == "identity":
            return "mean" if self.cap is None else "mean of the capped label"
        return "2^(mean of log2(1 + y)) - 1" + (", smeared to the mean" if self.smearing else "")

    def kernel_parameters(self) -> dict[str, float]:
        if self.cap is None:
            return {"top": inf, "top_label": inf}
        top = np.log([self.cap])
        return {"top": float(top[0]), "top_label": float(super().predict(top)[0])}

    def check_parameters(self) -> None:
        if self.scheme not in ("identity", "log2", "log2_plus1"):
            raise ValueError(f"WCE: scheme={self.scheme!r} must be 'identity', 'log2' or 'log2_plus1'")
        least = 1.0 if self.scheme == "log2_plus1" else 0.0
        if self.cap is not None and not Interval(least, inf).contains(self.cap):
            raise ValueError(
                f"WCE: cap={self.cap!r} must be > {least:g}, the weight of a label of 0 with scheme={self.scheme!r}, or None"
            )
        super().check_parameters()

    def weights(self, y: ArrayLike) -> Floats:
        """w(y), capped: how often each label counts as a positive, shape (n_samples,)."""
        y = np.asarray(y, dtype=np.float64)
        w = y if self.scheme == "identity" else np.log1p(y) / np.log(2.0) + (self.scheme == "log2_plus1")
        return w if self.cap is None else np.minimum(w, self.cap)

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        self.largest_ = float(self.weights(y).max())

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        odds = np.average(self.weights(y), weights=sample_weight, keepdims=True)
        return float(super().predict(np.log(odds))[0])

    def step_bounds(self, learning_rate: float = 0.1) -> StepBounds:
        return super().step_bounds(learning_rate)._replace(limit=log_step_limit(learning_rate))

    @property
    def decodes_with_residuals(self) -> bool:  # type: ignore[override]
        return self.smearing and self.scheme != "identity"

    def fit_decoder(self, y: Floats, raw_prediction: Floats, sample_weight: Floats) -> None:
        # 2^(w(y) - odds), with the label uncapped.
        ratio = (1.0 + y) / (1.0 + super().predict(raw_prediction))
        self.smearing_factor_ = float(np.average(ratio, weights=sample_weight))

    def predict(self, raw_prediction: ArrayLike) -> Floats:
        plain = super().predict(raw_prediction)
        factor = getattr(self, "smearing_factor_", None)
        return plain if factor is None or not self.decodes_with_residuals else (1.0 + plain) * factor - 1.0

    def native_form(self) -> NativeForm | None:
        """Cross-entropy with the soft label w / (1 + w), a row weighing 1 + w: the same sum.

        None where the mean of w is so far from 1 that the engines' own steps overshoot.
        """
        if not steps_are_short(self):
            return None
        return NativeForm("cross_entropy", labels=self._soft_labels, largest_factor=1.0 + self.largest_)

    def _soft_labels(self, y: Floats) -> tuple[Floats, Floats]:
        w = self.weights(y)
        return w / (1.0 + w), 1.0 + w


def as_classification(
    y: ArrayLike, implementation: str = "duplicate", scheme: str = "identity", cap: float | None = None
) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Rows, labels and weights on which any binary classifier trains `WCE`: the forms it had before it was one loss.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Durations or amounts, >= 0.
    implementation : {"duplicate", "youtube"}
        "duplicate": every row once as a positive of weight w(y) and once as a negative of weight 1. Value and gradient sum
        to those of `WCE` at any scores. "youtube": rows with y > 0 (clicked) as positives of weight w(y), the others as
        negatives of weight 1, none twice. Its odds are E[w] / (1 - P(click)), too large by that denominator.
    scheme, cap
        As in `WCE`.

    Returns
    -------
    rows, labels, weights : three ndarrays of one length
        The rows of y to take, 0 or 1, and what sample weights are multiplied by.

    Examples
    --------
    >>> rows, labels, weights = as_classification([0.0, 5.0], "youtube")
    >>> rows.tolist(), labels.tolist(), weights.tolist()
    ([0, 1], [0.0, 1.0], [1.0, 5.0])
    """
    loss = WCE(scheme, cap)
    loss.check_parameters()
    y = loss.check_labels(y)
    w, rows = loss.weights(y), np.arange(y.size)
    if implementation == "duplicate":
        return np.tile(rows, 2), np.repeat([1.0, 0.0], y.size), np.concatenate([w, np.ones(y.size)])
    if implementation == "youtube":
        return rows, (y > 0).astype(np.float64), np.where(y > 0, w, 1.0)
    raise ValueError(f"implementation={implementation!r} must be 'duplicate' or 'youtube'")


@dataclass(frozen=True)
class GeometricGroup:
    """Rows of similar predictions: what `GeometricFit` says of all rows, of these.

    `odds` and `mean` are the weighted means of prediction and label.
    """

    rows: int
    odds: float
    mean: float
    dispersion: float
    below_one: float
    below_one_expected: float


@dataclass(frozen=True)
class GeometricFit:
    """How labels scatter around their predictions, against the geometric law behind `WCE`; printed, it says so in words.

    Attributes
    ----------
    dispersion : float
        Squared errors over the law's variance m (1 + m), summed each: 1 under the law. A factor that is the same for
        all predictions leaves WCE's means as good as any.
    trend : float
        Slope of the groups' ln(dispersion) on ln(odds): 0 where that factor is the same. Below 0, labels scatter less than
        WCE expects where predictions are large, and it pays the small ones too much attention; above 0 the other way
        round. NaN with fewer than two groups.
    below_one, below_one_expected : float
        Share of labels below 1, which under the law is that of zeros, the mean of 1 / (1 + m).
    groups : tuple of GeometricGroup
        From the smallest to the largest predictions, of about equal weight.
    """

    dispersion: float
    trend: float
    below_one: float
    below_one_expected: float
    groups: tuple[GeometricGroup, ...]

    def __str__(self) -> str:
        lines = [f"Squared errors are {self.dispersion:.2f} times the geometric law's."]
        if self.trend > 0.25:
            lines.append(
                f"They grow faster with the prediction (trend {self.trend:+.2f}): try a log-normal, such as 'ziln'."
            )
        elif self.trend < -0.25:
            lines.append(f"They grow slower with the prediction (trend {self.trend:+.2f}): try 'tweedie' or 'poisson'.")
        else:
            lines.append("They grow with the prediction as it says: WCE weighs its rows well.")
        zeros = f"{self.below_one:.0%} of the labels are below 1, where it says {self.below_one_expected:.0%}"
        many = self.below_one > self.below_one_expected + 0.05
        lines.append(f"{zeros}: try HurdleRegressor, which models zeros apart." if many else f"{zeros}.")
        return "\n".join(lines)


def geometric_fit(
    w: ArrayLike, odds: ArrayLike, sample_weight: ArrayLike | None = None, *, n_groups: int = 10
) -> GeometricFit:
    """Whether labels scatter around their predictions as `WCE` assumes, Var(w | x) = m (1 + m); best on unseen rows.

    Parameters
    ----------
    w, odds : array-like of shape (n_samples,)
        Labels and predictions, in the unit in which WCE is trained; for its log2 schemes ``loss.weights(y)`` and
        ``exp(raw)``.
    sample_weight : array-like of shape (n_samples,), optional
    n_groups : int >= 1, default 10
        Rows are grouped by prediction, equal ones together.

    Examples
    --------
    >>> fit = geometric_fit([0, 2, 0, 6], [1, 1, 3, 3])
    >>> round(fit.dispersion, 3), [group.dispersion for group in fit.groups]
    (0.714, [0.5, 0.75])
    """
    labels, m = np.asarray(w, dtype=np.float64), np.asarray(odds, dtype=np.float64)
    if labels.ndim != 1 or labels.shape != m.shape:
        raise ValueError(f"w has shape {labels.shape} and odds {m.shape}: both must be (n_samples,)")
    if n_groups < 1:
        raise ValueError(f"n_groups={n_groups} must be at least 1")
    check_inside(labels, NON_NEGATIVE, "geometric_fit: w", WCE.way_out)
    check_inside(m, POSITIVE, "geometric_fit: odds", "odds are exp(raw), and never 0")
    weight = check_sample_weight(sample_weight, labels.size)
    _, which = np.unique(m, return_inverse=True)
    each = np.bincount(which, weights=weight)
    middle = (np.cumsum(each) - 0.5 * each) / each.sum()
    group = np.minimum((n_groups * middle).astype(int), n_groups - 1)[which]
    groups = [_group(labels[rows], m[rows], weight[rows]) for k in range(n_groups) if weight[rows := group == k].any()]
    every = _group(labels, m, weight)
    return GeometricFit(every.dispersion, _trend(groups), every.below_one, every.below_one_expected, tuple(groups))


def _group(w: Floats, m: Floats, weight: Floats) -> GeometricGroup:
    def mean(x: NDArray[Any]) -> float:
        return float(np.average(x, weights=weight))

    return GeometricGroup(
        rows=int((weight > 0).sum()),
        odds=mean(m),
        mean=mean(w),
        dispersion=mean((w - m) ** 2) / mean(m * (1.0 + m)),
        below_one=mean(w < 1.0),
        below_one_expected=mean(1.0 / (1.0 + m)),
    )


def _trend(groups: list[GeometricGroup]) -> float:
    scattered = [g for g in groups if g.dispersion > 0]
    if len(scattered) < 2:
        return nan
    return float(np.polyfit(np.log([g.odds for g in scattered]), np.log([g.dispersion for g in scattered]), 1)[0])
