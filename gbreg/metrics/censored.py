"""Metrics of rows whose label is only known to be at least y: a video that was over, a customer whose days are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, as_numbers, check_finite, check_mask
from gbreg.metrics.base import checked, is_distribution, undefined
from gbreg.metrics.ranking import check_ties

if TYPE_CHECKING:
    from gbreg.distribution import Distribution


def concordance(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    censored: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    ties: str = "half",
) -> float:
    """Share of the pairs of which it is known who lasts longer that the predictions order rightly; higher is better.

    `xauc` where no row is censored. A pair counts where the smaller label is seen, or labels are equal and one of them is
    censored, which then lasts longer; it weighs the product of its rows' weights. 0.5 for a random or constant ranking. NaN
    if no pair counts. O(n log n). Source: Harrell, Lee & Mark (1996), "Multivariable prognostic models",
    doi:10.1002/(SICI)1097-0258(19960229)15:4<361::AID-SIM168>3.0.CO;2-4.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
    censored : array-like of bool of shape (n_samples,)
        Rows whose label is at least y.
    sample_weight : array-like of shape (n_samples,), optional
    ties : {"half", "wrong", "right"}, default "half"
        What a pair of tied predictions counts.

    Examples
    --------
    >>> concordance([10, 20, 30], [1.0, 3.0, 2.0], [False, True, False])
    1.0
    """
    from gbreg._kernels.censored_pairs import censored_pair_counts  # compiled at the first that is asked for

    check_ties(ties, ("half", "wrong", "right"))
    y, p, w = checked(y_true, y_pred, sample_weight)
    hidden = check_mask(censored, "censored", np.size(y_true))
    hidden = hidden if hidden.size == y.size else hidden[np.asarray(sample_weight) > 0]
    in_order, tied, comparable = censored_pair_counts(p, y, w, hidden)
    if comparable == 0:
        return undefined("concordance", "of no pair of rows it is known who lasts longer")
    return float((in_order + {"half": 0.5, "wrong": 0.0, "right": 1.0}[ties] * tied) / comparable)


def censored_log_score(
    y_true: ArrayLike, distribution: Distribution, censored: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean of ``-ln`` of the density at a label, and of ``P(Y >= y)`` of a censored one; lower is better.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    distribution : Distribution of n_samples rows
        What ``predict_distribution(X)`` gives.
    censored : array-like of bool of shape (n_samples,)
        Rows whose label is at least y.
    sample_weight : array-like of shape (n_samples,), optional

    Examples
    --------
    >>> from gbreg.distribution import LogNormalDistribution
    >>> round(censored_log_score([1.0, 1.0], LogNormalDistribution(np.zeros(2), 1.0), [True, True]), 4)
    0.6931
    """
    y, hidden = _labels(y_true, distribution, censored)
    low, high = distribution.pit(y).T
    with np.errstate(divide="ignore"):
        beyond = -np.log(distribution.sf(y) + (high - low))
    return _mean(y, np.where(hidden, beyond, distribution.log_score(y)), sample_weight, "the log score")


def censored_crps(
    y_true: ArrayLike, distribution: Distribution, censored: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Mean CRPS, of a censored row up to its label alone, beyond which nothing is known; in the target's unit.

    The integral of ``cdf(x)**2`` up to a censored y; `crps` of the other rows. Lower is better. Source: Avati et al. (2020),
    "Countdown Regression: Sharp and Calibrated Survival Predictions", arXiv 1806.08324.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
    distribution : Distribution of n_samples rows
        What ``predict_distribution(X)`` gives.
    censored : array-like of bool of shape (n_samples,)
        Rows whose label is at least y.
    sample_weight : array-like of shape (n_samples,), optional

    Examples
    --------
    >>> from gbreg.distribution import LogNormalDistribution
    >>> round(censored_crps([3.0, 3.0], LogNormalDistribution(np.zeros(2), 1e-6), [True, False]), 4)
    2.0
    """
    y, hidden = _labels(y_true, distribution, censored)
    up_to = distribution.clip(y).crps(np.where(hidden, y, 0.0))
    return _mean(y, np.where(hidden, up_to, distribution.crps(y)), sample_weight, "the CRPS")


def _labels(y_true: ArrayLike, distribution: Any, censored: ArrayLike) -> tuple[Floats, Any]:
    if not is_distribution(distribution):
        raise TypeError(
            f"distribution must be a predicted one, got {type(distribution).__name__}: give what predict_distribution(X) "
            "returns, or rank predictions by 'concordance'"
        )
    y = as_numbers(y_true, "y_true")
    return y, check_mask(censored, "censored", y.size)


def _mean(y: Floats, each: Floats, sample_weight: Any, what: str) -> float:
    check_finite(each, f"{what} of these distributions")
    _, values, weight = checked(y, each, sample_weight)
    return float(np.average(values, weights=weight))
