"""How well predictions put rows in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats
from gbreg.metrics.base import checked, codes, levels, mid_ranks, undefined

TIES = ("half", "wrong", "right", "inversions")

_CONSTANT = "the labels are constant, so no pair of rows has an order"


@dataclass(frozen=True)
class _Pairs:
    """Weights w_i w_j of the pairs of a group's rows, each array of shape (n_groups,).

    Parameters
    ----------
    in_order : both differ, and the larger label has the larger prediction
    tied : two labels, one prediction
    comparable : two labels
    told_apart : two predictions
    all : all pairs of two rows
    """

    in_order: Floats
    tied: Floats
    comparable: Floats
    told_apart: Floats
    all: Floats

    @property
    def reversed(self) -> Floats:
        return self.comparable - self.tied - self.in_order

    def xauc(self, ties: str) -> Floats:
        if ties == "inversions":
            return 1.0 - self.reversed / self.all
        credit = {"half": 0.5, "wrong": 0.0, "right": 1.0}[ties]
        return (self.in_order + credit * self.tied) / self.comparable


def _pairs(y: Floats, p: Floats, w: Floats, group: Any = None, n_groups: int = 1) -> _Pairs:
    # The kernel is compiled here, at the first ranking that is asked for: a second that other metrics need not wait.
    from gbreg._kernels.pairs import pair_counts

    if group is None:
        by = levels(p)
        order, ordered, starts = by.order, by.ordered, np.array([0, y.size])
    else:
        order = np.lexsort((p, group))
        ordered, starts = p[order], np.append(0, np.cumsum(np.bincount(group, minlength=n_groups)))
    return _Pairs(*pair_counts(ordered, y[order], w[order], starts).T)


def xauc(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None, *, ties: str = "half") -> float:
    """Share of the pairs with different labels that the predictions order rightly, in [0, 1]; higher is better.

    A pair weighs the product of its rows' weights. 0.5 for a random or constant ranking; of 0/1 labels it is the AUC. NaN if
    the labels are constant. O(n log n). Source: Zhan et al. (2022), "Deconfounding Duration Bias in Watch-time Prediction
    for Video Recommendation", doi:10.1145/3534678.3539092.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
    sample_weight : array-like of shape (n_samples,), optional
    ties : {"half", "wrong", "right", "inversions"}, default "half"
        What a pair of tied predictions counts. Published code also has it wrong (a strict comparison) or right (>=), which
        rewards a constant; "inversions" is one minus the share of reversed pairs among all pairs, as code that counts
        inversions has it: ties of labels too count as right.

    Examples
    --------
    >>> xauc([0, 1, 2, 2], [1, 1, 3, 2])
    0.9
    >>> xauc([0, 1, 2, 2], [1, 1, 3, 2], ties="wrong")
    0.8
    """
    check_ties(ties)
    y, p, w = checked(y_true, y_pred, sample_weight)
    if y.min() == y.max():
        return undefined("xauc", _CONSTANT)
    return float(_pairs(y, p, w).xauc(ties)[0])


def grouped_xauc(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    groups: ArrayLike,
    ties: str = "half",
    average: str = "weight",
) -> float:
    """Mean of the groups' own `xauc`, in [0, 1]; higher is better: how well each user's rows are put in order.

    Groups whose labels are all equal have none and are left out; NaN if none is left. For 0/1 labels it is the GAUC of Zhou
    et al. (2018), "Deep Interest Network for Click-Through Rate Prediction", doi:10.1145/3219819.3219823.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
    sample_weight : array-like of shape (n_samples,), optional
    groups : array-like of shape (n_samples,)
        Whose row it is; missing ones are a group of their own.
    ties : as in `xauc`
    average : {"weight", "pairs", "equal"}, default "weight"
        What a group counts: the weight of its rows, of its pairs with different labels, or 1.

    Examples
    --------
    >>> grouped_xauc([0, 1, 5, 9], [1, 2, 4, 3], groups=["a", "a", "b", "b"])
    0.5
    """
    check_ties(ties)
    if average not in ("weight", "pairs", "equal"):
        raise ValueError(f"average={average!r} must be 'weight', 'pairs' or 'equal'")
    y, p, w = checked(y_true, y_pred, sample_weight)
    names, group = codes(groups, y_true, sample_weight, "groups")
    pairs = _pairs(y, p, w, group, names.size)
    low, high = np.full(names.size, np.inf), np.full(names.size, -np.inf)
    np.minimum.at(low, group, y)
    np.maximum.at(high, group, y)
    ranked = low < high
    if not ranked.any():
        return undefined("grouped_xauc", "the labels are constant within each group")
    counts = {"weight": np.bincount(group, weights=w), "pairs": pairs.comparable, "equal": np.ones(names.size)}[average]
    with np.errstate(invalid="ignore"):
        each = pairs.xauc(ties)
    return float(np.average(each[ranked], weights=counts[ranked]))


def check_ties(ties: str, allowed: tuple[str, ...] = TIES) -> None:
    if ties not in allowed:
        raise ValueError(f"ties={ties!r} must be one of {', '.join(map(repr, allowed))}")


def kendall(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Kendall's tau-b, in [-1, 1]; higher is better: pairs in order less pairs reversed, corrected for ties on both sides.

    A pair weighs the product of its rows' weights. NaN if either side is constant. Source: Kendall (1945), "The Treatment of
    Ties in Ranking Problems", doi:10.1093/biomet/33.3.239.

    >>> round(kendall([1, 2, 3, 4], [10, 30, 20, 40]), 3)
    0.667
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    if y.min() == y.max():
        return undefined("kendall", _CONSTANT)
    if p.min() == p.max():
        return undefined("kendall", "the predictions are constant")
    pairs = _pairs(y, p, w)
    scale = np.sqrt(pairs.comparable * pairs.told_apart)
    return float(((pairs.in_order - pairs.reversed) / scale)[0])


def spearman(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Spearman's rank correlation with mid-ranks for ties, in [-1, 1]; higher is better; NaN if either side is constant.

    >>> round(spearman([1, 2, 3, 4], [10, 30, 20, 40]), 3)
    0.8
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    if y.min() == y.max():
        return undefined("spearman", _CONSTANT)
    if p.min() == p.max():
        return undefined("spearman", "the predictions are constant")
    a, b = mid_ranks(y, w), mid_ranks(p, w)
    a, b = a - np.average(a, weights=w), b - np.average(b, weights=w)
    return float(np.sum(w * a * b) / np.sqrt(np.sum(w * a * a) * np.sum(w * b * b)))


def _gini(y: Floats, order_by: Floats, w: Floats) -> float:
    by = levels(order_by)
    weight, total = (by.sums(of)[::-1] for of in (w, w * y))
    # Area under the gain curve by trapezes: tied predictions share their labels evenly.
    gain = np.cumsum(total)
    area = np.sum(weight * (gain - 0.5 * total))
    return float(2.0 * area / (w.sum() * gain[-1]) - 1.0)


def _no_gini(y: Floats) -> str:
    """Why these labels have none, empty if they have."""
    if y.min() < 0:
        return f"labels must be at least 0, the least is {y.min():g}"
    return "the labels are constant" if y.min() == y.max() else ""


def gini(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Twice the area between the gain curve and the diagonal; higher is better, at most the Gini of the labels themselves.

    0 for a random or constant ranking; ties share their labels evenly. NaN if the labels are constant, or negative
    somewhere. Source: as `normalized_gini`.

    >>> gini([0, 0, 1, 1], [1, 2, 3, 4])
    0.5
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    reason = _no_gini(y)
    return undefined("gini", reason) if reason else _gini(y, p, w)


def normalized_gini(y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
    """Area between the gain curve and the diagonal, over that of a perfect ranking; higher is better.

    1 for a perfect ranking, 0 for a random or constant one; ties share their labels evenly. NaN if the labels are
    constant, or negative somewhere. Source: Wang, Liu & Miao (2019), arXiv 1912.07753.

    >>> normalized_gini([0, 0, 1, 5], [1, 2, 3, 4])
    1.0
    """
    y, p, w = checked(y_true, y_pred, sample_weight)
    reason = _no_gini(y)
    return undefined("normalized_gini", reason) if reason else _gini(y, p, w) / _gini(y, y, w)
