"""Whether predictions add up: in all, by level of prediction, and by segment; and what the best of them are worth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gbreg._checks import Floats, as_numbers, check_finite
from gbreg.metrics.base import checked, codes, levels, quietly, undefined

_NO_TOTAL = "the labels sum to 0"


def pcoc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Predicted over observed: the sum of predictions divided by the sum of labels; best at 1; NaN if that sum is 0.

    >>> pcoc([1, 1, 2], [1, 1, 1])
    0.75
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    observed = float(np.sum(w * y))
    return float(np.sum(w * p)) / observed if observed != 0 else undefined("pcoc", _NO_TOTAL)


def abs_log_pcoc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """abs(ln(`pcoc`)); lower is better, 0 at a sum that is right: twice and half of it are as bad.

    Infinite where the predictions sum to 0 and the labels do not, or the sums differ in sign; NaN if the labels sum to 0.

    >>> round(abs_log_pcoc([1, 1], [2, 2]), 3), round(abs_log_pcoc([2, 2], [1, 1]), 3)
    (0.693, 0.693)
    """
    with quietly():
        ratio = pcoc(y_true, y_pred, sample_weight)
    if np.isnan(ratio):
        return undefined("abs_log_pcoc", _NO_TOTAL)
    return abs(float(np.log(ratio))) if ratio > 0 else float("inf")


def overestimated_share(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, factor: float = 2.0
) -> float:
    """Share of rows predicted above `factor` times their label (any positive prediction, at a label of 0); lower is better.

    >>> overestimated_share([1, 1, 0], [1.5, 3.0, 0.1])
    0.6666666666666666
    """
    _check_factor(factor)
    y, p, w = checked(y_true, y_pred, sample_weight)
    return float(np.average(p > factor * y, weights=w))


def underestimated_share(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, factor: float = 2.0
) -> float:
    """Share of rows predicted below their label divided by `factor` (below 0, at a label of 0); lower is better.

    >>> underestimated_share([1, 1, 4], [1.5, 0.4, 1.0])
    0.6666666666666666
    """
    _check_factor(factor)
    y, p, w = checked(y_true, y_pred, sample_weight)
    return float(np.average(p < y / factor, weights=w))


def _check_factor(factor: float) -> None:
    if not factor > 0:
        raise ValueError(f"factor={factor!r} must be above 0")


@dataclass(frozen=True)
class DecileTable:
    """Rows grouped by prediction, one entry a group, from the least to the greatest prediction.

    Parameters
    ----------
    weight, rows : ndarray
        Of each group.
    label, prediction : ndarray
        Weighted means.
    low, high : ndarray
        Least and greatest prediction.
    """

    weight: Floats
    rows: Floats
    label: Floats
    prediction: Floats
    low: Floats
    high: Floats


def decile_table(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, n_bins: int = 10
) -> DecileTable:
    """Mean label and mean prediction of groups of equal weight by prediction.

    Tied predictions stay together, so that groups may be uneven and fewer than `n_bins`; one, if all are tied.

    >>> table = decile_table([0, 0, 4, 8], [1, 1, 3, 5], n_bins=2)
    >>> table.label, table.prediction
    (array([0., 6.]), array([1., 4.]))
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    by = levels(p)
    of_level = equal_weights(by.sums(w), n_bins)
    group = of_level[by.place]
    weight = np.bincount(group, weights=w).astype(np.float64, copy=False)
    ends = np.flatnonzero(np.append(np.diff(of_level), 1))
    return DecileTable(
        weight=weight,
        rows=np.bincount(group).astype(np.float64),
        label=np.bincount(group, weights=w * y) / weight,
        prediction=np.bincount(group, weights=w * p) / weight,
        low=by.values[np.append(0, ends[:-1] + 1)],
        high=by.values[ends],
    )


def equal_weights(weight: Floats, n_bins: int) -> NDArray[np.int64]:
    """The group of each level, of equal weight and none empty, given what each level weighs."""
    if n_bins < 1:
        raise ValueError(f"n_bins={n_bins} must be at least 1")
    middle = np.cumsum(weight) - 0.5 * weight
    group = np.minimum((middle / weight.sum() * n_bins).astype(int), n_bins - 1)
    return np.cumsum(np.append(0, np.diff(group) > 0))


def decile_mape(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, n_bins: int = 10) -> float:
    """Mean over prediction deciles of abs(mean prediction - mean label) / abs(mean label); lower is better.

    Deciles count alike, however little their labels add up to; those whose labels average 0 are left out, NaN if all are.
    Source: Wang, Liu & Miao (2019), arXiv 1912.07753.

    >>> decile_mape([0, 0, 4, 8], [1, 1, 3, 6], n_bins=2)
    0.25
    """
    table = decile_table(y_true, y_pred, sample_weight, n_bins=n_bins)
    some = table.label != 0
    if not some.any():
        return undefined("decile_mape", "the labels of each decile average 0")
    return float(np.mean(np.abs(table.prediction[some] / table.label[some] - 1.0)))


def decile_calibration_error(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, n_bins: int = 10
) -> float:
    """Sum over prediction deciles of abs(predicted - observed sum), over the observed total; lower is better.

    Deciles as in `decile_table`. 0 means the sum is right at every level of prediction. NaN if the labels sum to 0.

    >>> decile_calibration_error([1, 3], [2, 2])
    0.0
    """
    table = decile_table(y_true, y_pred, sample_weight, n_bins=n_bins)
    observed = abs(float(np.sum(table.weight * table.label)))
    if observed == 0:
        return undefined("decile_calibration_error", _NO_TOTAL)
    return float(np.abs(table.weight * (table.prediction - table.label)).sum()) / observed


@dataclass(frozen=True)
class SegmentTable:
    """Sums of predictions and labels by segment, one entry a segment, the worst `shrunk` first.

    Parameters
    ----------
    segment : ndarray
    weight, rows : ndarray
    label, prediction : ndarray
        Weighted means.
    pcoc : ndarray
        Predicted over observed; NaN where the labels sum to 0.
    shrunk : ndarray
        The same, drawn toward that of all rows; infinite where that leaves labels of 0, NaN where predictions of 0 too.
    """

    segment: Any
    weight: Floats
    rows: Floats
    label: Floats
    prediction: Floats
    pcoc: Floats
    shrunk: Floats


def segment_table(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    segment: ArrayLike,
    shrinkage: float = 100.0,
) -> SegmentTable:
    """PCOC by segment, small segments drawn toward the PCOC of all rows, so that chance does not head the table.

    To each segment ``shrinkage`` rows are added with the mean label of all rows, predicted as all rows are:
    ``(sum of predictions + k * mean prediction) / (sum of labels + k * mean label)``, k in the mean row's weight.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
    sample_weight : array-like of shape (n_samples,), optional
    segment : array-like of shape (n_samples,)
        Missing ones are a segment of their own.
    shrinkage : float >= 0, default 100.0
        In rows: about how many a segment needs to count as much by itself.

    Examples
    --------
    >>> table = segment_table([1, 1, 2, 2], [1, 1, 4, 4], segment=["a", "a", "b", "b"], shrinkage=2)
    >>> table.segment.tolist(), table.pcoc.tolist(), table.shrunk.round(2).tolist()
    (['b', 'a'], [2.0, 1.0], [1.86, 1.4])
    """
    if not shrinkage >= 0:
        raise ValueError(f"shrinkage={shrinkage!r} must be a number of rows, at least 0")
    y, p, w = checked(y_true, y_pred, sample_weight)
    names, group = codes(segment, y_true, sample_weight, "segment")
    rows: Floats = np.bincount(group).astype(np.float64)
    weight = np.bincount(group, weights=w).astype(np.float64)
    labels, predictions = np.bincount(group, weights=w * y), np.bincount(group, weights=w * p)
    added = shrinkage * w.mean()
    with np.errstate(divide="ignore", invalid="ignore"):
        raw = np.where(labels != 0, predictions / labels, np.nan)
        shrunk = (predictions + added * np.average(p, weights=w)) / (labels + added * np.average(y, weights=w))
    order = np.argsort(-_badness(shrunk), kind="stable")
    columns = (names, weight, rows, labels / weight, predictions / weight, raw, shrunk)
    return SegmentTable(*(np.asarray(column)[order] for column in columns))


def _badness(ratio: Floats) -> Floats:
    """abs(ln ratio): infinite at 0 and below, -1 where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        bad = np.where(ratio > 0, np.abs(np.log(ratio)), np.inf)
    return np.where(np.isnan(ratio), -1.0, bad)


def worst_segment_pcoc(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    segment: ArrayLike,
    shrinkage: float = 100.0,
) -> float:
    """The shrunk PCOC farthest from 1 (by its logarithm) of `segment_table`; best at 1.

    Infinite if all labels are 0, NaN if all predictions are too.

    >>> round(worst_segment_pcoc([1, 1, 2, 2], [1, 1, 4, 4], segment=["a", "a", "b", "b"], shrinkage=2), 2)
    1.86
    """
    table = segment_table(y_true, y_pred, sample_weight, segment=segment, shrinkage=shrinkage)
    worst = float(table.shrunk[0])
    return undefined("worst_segment_pcoc", "all labels and predictions are 0") if np.isnan(worst) else worst


def gain_curve(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> tuple[Floats, Floats]:
    """Share of the weight taken from the greatest prediction down, and the share of the label total in it.

    Both start at 0 and end at 1, with a point after each distinct prediction: between two points tied rows share evenly. NaN
    gains if the labels sum to 0. Of labels as their own predictions, turned around, it is the Lorenz curve.

    >>> gain_curve([0, 1, 3], [1, 2, 2])
    (array([0.        , 0.66666667, 1.        ]), array([0., 1., 1.]))
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    by = levels(p)
    taken, gained = (np.cumsum(by.sums(of)[::-1]) for of in (w, w * y))
    share = gained / gained[-1] if gained[-1] != 0 else np.full(gained.size, undefined("gain_curve", _NO_TOTAL))
    return np.append(0.0, taken / taken[-1]), np.append(0.0, share)


def top_share(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, share: float = 0.1) -> float:
    """Share of the label total in the `share` of the weight with the greatest predictions; higher is better.

    A random or constant ranking captures `share` itself: divide by it for the lift. Tied rows share evenly. NaN if the
    labels sum to 0.

    >>> top_share([0, 1, 2, 5], [1, 2, 3, 4], share=0.25)
    0.625
    """
    if not 0.0 < share <= 1.0:
        raise ValueError(f"share={share!r} must lie in (0, 1]")
    with quietly():
        taken, gained = gain_curve(y_true, y_pred, sample_weight)
    return undefined("top_share", _NO_TOTAL) if np.isnan(gained[-1]) else float(np.interp(share, taken, gained))


@dataclass(frozen=True)
class ProfitCurve:
    """What acting on the rows of the greatest predictions earns.

    Parameters
    ----------
    share : ndarray
        Of the weight acted on, from 0 to 1.
    profit : ndarray
        Sum of label less cost over those rows, in the unit of the target.
    threshold : ndarray
        The least prediction acted on; infinite where none is.
    """

    share: Floats
    profit: Floats
    threshold: Floats

    @property
    def best(self) -> tuple[float, float, float]:
        """(share, profit, threshold) where the profit is greatest; the least share among equals."""
        i = int(np.argmax(self.profit))
        return float(self.share[i]), float(self.profit[i]), float(self.threshold[i])


def profit_curve(
    y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, cost: float | ArrayLike
) -> ProfitCurve:
    """Profit of acting on all rows predicted at or above each threshold, each at its cost.

    Of a calibrated prediction of the label the best threshold is near the cost.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        What acting on a row brings in, and its prediction.
    sample_weight : array-like of shape (n_samples,), optional
    cost : float or array-like of shape (n_samples,)
        Of acting on a row, in the unit of the target.

    Examples
    --------
    >>> profit_curve([0, 1, 3], [1, 2, 4], cost=1.5).best
    (0.3333333333333333, 1.5, 4.0)
    """
    labels, costs = as_numbers(y_true, "y_true"), as_numbers(cost, "cost")
    if costs.shape not in ((), labels.shape):
        raise ValueError(f"cost must be a number, or one a row: y_true has shape {labels.shape}, cost {costs.shape}")
    check_finite(costs, "cost")
    y, p, w = checked(labels - costs, y_pred, sample_weight)
    by = levels(p)
    taken, profit = (np.cumsum(by.sums(of)[::-1]) for of in (w, w * y))
    return ProfitCurve(np.append(0.0, taken / taken[-1]), np.append(0.0, profit), np.append(np.inf, by.values[::-1]))
