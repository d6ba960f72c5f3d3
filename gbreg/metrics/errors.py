"""How far predictions are from labels, row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from sklearn import metrics as sk

from gbreg._checks import Floats, as_numbers, check_finite
from gbreg.metrics.base import checked, is_distribution, undefined

if TYPE_CHECKING:
    from gbreg.distribution import Distribution


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of abs(y - prediction), in the unit of the target; lower is better.

    >>> mean_absolute_error([1, 2, 3], [1, 2, 6])
    1.0
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    return float(np.average(np.abs(y - p), weights=w))


def root_mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Root of the mean squared error, in the unit of the target; lower is better.

    >>> root_mean_squared_error([0, 0], [3, 3])
    3.0
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    return float(np.sqrt(np.average((y - p) ** 2, weights=w)))


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of abs(y - prediction) / abs(y) over the rows with a label other than 0; lower is better; NaN if there is none.

    1 means as far off as the label is large, and so predicts 0 everywhere. Least at values well below the mean of skewed
    labels: do not choose a model of sums by it. (scikit-learn's divides by 1e-16 where the label is 0.)

    >>> mean_absolute_percentage_error([0, 2, 4], [1, 1, 4])
    0.25
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    some = y != 0
    if not some.any():
        return undefined("mean_absolute_percentage_error", "all labels are 0")
    return float(np.average(np.abs((y - p)[some] / y[some]), weights=w[some]))


def weighted_mean_absolute_percentage_error(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
) -> float:
    """Sum of abs(y - prediction) over the sum of abs(y), "WMAPE"; lower is better; NaN if all labels are 0.

    The mean absolute error in units of the mean label: 1 for predicting 0 everywhere.

    >>> weighted_mean_absolute_percentage_error([0, 2, 4], [1, 1, 4])
    0.3333333333333333
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    total = float(np.sum(w * np.abs(y)))
    if total == 0:
        return undefined("weighted_mean_absolute_percentage_error", "all labels are 0")
    return float(np.sum(w * np.abs(y - p))) / total


def mean_squared_log_error(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean of (ln(1 + y) - ln(1 + prediction))^2, scikit-learn's; lower is better.

    Least at exp(E[ln(1 + y)]) - 1, far below the mean of skewed labels. `ValueError` for labels or predictions of -1 or
    below. Not free of the unit: 1 is large beside small labels.

    >>> round(mean_squared_log_error([0, 1], [0, 3]), 4)
    0.2402
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    return float(sk.mean_squared_log_error(y, p, sample_weight=w))


def pinball(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, level: float = 0.5) -> float:
    """Mean pinball loss of a predicted quantile, scikit-learn's, in the unit of the target; lower is better.

    ``level * (y - p)`` for labels above the prediction, ``(1 - level) * (p - y)`` below: half the absolute error at 0.5.

    >>> pinball([0, 10], [5, 5], level=0.9)
    2.5
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"level={level!r} must lie in (0, 1)")
    y, p, w = checked(y_true, y_pred, sample_weight)
    return float(sk.mean_pinball_loss(y, p, sample_weight=w, alpha=level))


def poisson_deviance(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean Poisson deviance, scikit-learn's; lower is better, least at the mean.

    `ValueError` for negative labels, and for predictions of 0 and below.

    >>> round(poisson_deviance([0, 2], [1, 1]), 4)
    1.3863
    """
    return tweedie_deviance(y_true, y_pred, sample_weight, power=1.0)


def gamma_deviance(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Mean gamma deviance, scikit-learn's; lower is better, least at the mean; free of the unit.

    `ValueError` for labels or predictions of 0 and below.

    >>> round(gamma_deviance([1, 2], [1, 1]), 4)
    0.3069
    """
    return tweedie_deviance(y_true, y_pred, sample_weight, power=2.0)


def tweedie_deviance(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, power: float = 1.5
) -> float:
    """Mean Tweedie deviance, scikit-learn's; lower is better, least at the mean.

    Between 1 (Poisson) and 2 (gamma), the default included, it needs y >= 0 and predictions above 0, else `ValueError`.

    >>> tweedie_deviance([0.0, 4.0], [1.0, 1.0])
    4.0
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    return float(sk.mean_tweedie_deviance(y, p, sample_weight=w, power=power))


def crps(y_true: ArrayLike, distribution: Distribution, sample_weight: ArrayLike | None = None) -> float:
    """Mean continuous ranked probability score of predicted distributions, in the unit of the target; lower is better.

    The mean absolute error where the distribution is a point. Takes what ``predict_distribution(X)`` gives in the place of
    predictions; `TypeError` for these, `ValueError` for distributions whose mean is infinite. Source: Gneiting & Raftery
    (2007), "Strictly Proper Scoring Rules", doi:10.1198/016214506000001437.

    >>> from gbreg.distribution import LogNormalDistribution
    >>> round(crps([1.0, 2.0], LogNormalDistribution(np.zeros(2), np.full(2, 1e-6))), 4)
    0.5
    """
    _, each, w = checked(y_true, crps_by_row(y_true, distribution), sample_weight)
    return float(np.average(each, weights=w))


def crps_by_row(y_true: ArrayLike, distribution: Distribution) -> Floats:
    """What `crps` is the mean of."""
    if not is_distribution(distribution):
        raise TypeError(
            f"crps takes predicted distributions, got {type(distribution).__name__}: give what predict_distribution(X) "
            "returns; of a prediction alone it would be the mean absolute error, 'mae'"
        )
    each = distribution.crps(as_numbers(y_true, "y_true"))
    check_finite(each, "the CRPS of distributions without a finite mean")
    return each
