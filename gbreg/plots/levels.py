"""Predicted against observed, by level: of the prediction, and of the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats
from gbreg.metrics import DecileTable, decile_table, pcoc
from gbreg.metrics.base import checked, levels, quietly
from gbreg.metrics.sums import equal_weights
from gbreg.plots import style
from gbreg.plots.base import OfPredictions, labelled, standard_error


@dataclass
class CalibrationDisplay(OfPredictions):
    """Reliability: mean label against mean prediction, in groups of equal weight by prediction.

    Above the diagonal labels are larger than predicted. Bars are two standard errors of the mean label each way.

    Parameters
    ----------
    table : DecileTable
    error : ndarray
        Standard error of each group's mean label, NaN of a single row.
    pcoc : float
        Of all rows.
    name : str or None

    Examples
    --------
    >>> import numpy as np
    >>> display = CalibrationDisplay.from_predictions(np.arange(100.0), np.arange(100.0) + 1, name="one too high")
    >>> display.table.rows[0], round(display.pcoc, 3)
    (np.float64(5.0), 1.02)
    """

    table: DecileTable
    error: Floats
    pcoc: float
    name: str | None = None

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        n_bins: int = 20,
    ) -> Self:
        """Compute and draw; `n_bins` groups at most."""
        y, p, w = checked(y_true, y_pred, sample_weight)
        table = decile_table(y, p, w, n_bins=n_bins)
        error = standard_error(y, w, np.searchsorted(table.low, p, side="right") - 1)
        with quietly():  # the legend says so
            ratio = pcoc(y, p, w)
        return cls(table, error, ratio, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        from matplotlib.lines import Line2D

        x, y = self.table.prediction, self.table.label
        error = np.nan_to_num(2 * self.error)  # no bar for a single row
        low, high = y - error, y + error
        if y.min() >= 0:
            low = np.maximum(low, 0.0)
        ends = np.sort(np.concatenate([x, y]))
        style.reference(ax, "predicted = observed", ends, ends)
        look = style.next_look(ax)
        # One line for all bars: quicker, and seen by what finds the legend a place. Bars may reach 0, the axis need not.
        bars = (np.repeat(x, 3), np.column_stack([low, high, np.full(y.size, np.nan)]).ravel())
        ax.add_artist(Line2D(*bars, color=look["color"], linewidth=0.8, alpha=0.5))
        ax.update_datalim(np.column_stack([x, high]))
        number = "labels sum to 0" if np.isnan(self.pcoc) else f"sum {self.pcoc:.2f} of the labels'"
        ax.plot(x, y, marker="o", markersize=3.5, linewidth=1.2, label=labelled(self.name, number), **look)
        for axis in (ax.xaxis, ax.yaxis):
            style.money_axis(axis, ends)
        style.finish(ax, "mean prediction", "mean label")


@dataclass
class DecileDisplay(OfPredictions):
    """The decile chart: mean label (bars) and mean prediction (points) of tenths of the weight by prediction.

    Parameters
    ----------
    table : DecileTable
    name : str or None
    """

    table: DecileTable
    name: str | None = None

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        n_bins: int = 10,
    ) -> Self:
        """Compute and draw; `n_bins` groups at most."""
        return cls(decile_table(y_true, y_pred, sample_weight, n_bins=n_bins), name).plot(ax)

    def _draw(self, ax: Any) -> None:
        from matplotlib.ticker import FuncFormatter

        n = self.table.label.size
        look = style.next_look(ax)
        bars = ax.bar(np.arange(n), self.table.label, color=look["color"], alpha=0.3, label=self.name or "label")
        (points,) = ax.plot(np.arange(n), self.table.prediction, marker="o", linewidth=1, color=look["color"], clip_on=False)
        if self.name is None:
            points.set_label("prediction")
        beside = ax.__dict__.setdefault("_gbreg_bars", [])
        beside.append((bars, points))
        _set_beside(beside)
        most = max(len(of) for of, _ in beside)
        ax.set_xticks(np.arange(1, most + 1))
        ax.set_xlim(0.4, most + 0.6)
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: style.amount(value)))
        style.finish(
            ax,
            "tenth of the rows, by prediction" if most == 10 else "group of the rows, by prediction",
            "label (bars), prediction (points)",
        )


def _set_beside(models: list[tuple[Any, Any]]) -> None:
    """Each model's bars in a place of their own within a group, points in their middle; one model's points are joined."""
    width = 0.8 / len(models)
    for i, (bars, points) in enumerate(models):
        left = np.arange(1, len(bars) + 1) - 0.4 + i * width
        for bar, x in zip(bars, left, strict=True):
            bar.set(x=x, width=width)
        points.set_xdata(left + 0.5 * width)
        points.set(linestyle="-" if len(models) == 1 else "", markersize=max(2.0, 4.0 - 0.5 * (len(models) - 1)))


@dataclass
class ErrorRatioDisplay(OfPredictions):
    """Over- and underestimation: mean prediction over mean label, in buckets of equal weight of the positive labels.

    Even a perfect model lies above 1 on the left and below on the right, as nothing predicts the noise in the labels; what
    differs between models is how far. Labels of 0 have no ratio: their mean prediction is in the legend.

    Parameters
    ----------
    label, ratio : ndarray
        Mean label and ratio of each bucket.
    zeros : float
        Share of the weight with labels of 0 and below.
    at_zero : float
        Mean prediction of those, NaN if there are none.
    name : str or None
    """

    label: Floats
    ratio: Floats
    zeros: float
    at_zero: float
    name: str | None = None

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        n_bins: int = 12,
    ) -> Self:
        """Compute and draw; `n_bins` buckets at most. `ValueError` if no label is positive."""
        y, p, w = checked(y_true, y_pred, sample_weight)
        above = y > 0
        if not above.any():
            raise ValueError("y_true: no label is positive, so that no prediction has a ratio to one")
        by = levels(y)
        first = int(np.searchsorted(by.values, 0.0, side="right"))
        at = by.sums(w)[first:]
        bucket = equal_weights(at, n_bins)
        of_level = (at, at * by.values[first:], by.sums(w * p)[first:])
        weight, labels, predictions = (np.bincount(bucket, weights=values) for values in of_level)
        at_zero = float(np.average(p[~above], weights=w[~above])) if not above.all() else float("nan")
        return cls(labels / weight, predictions / labels, float(w[~above].sum() / w.sum()), at_zero, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        style.reference(ax, "right", self.label, np.ones(self.label.size))
        look = style.next_look(ax)
        known = self.ratio > 0
        number = f"{style.amount(self.at_zero, 3)} at labels of 0" if self.zeros else "no labels of 0"
        if not known.all():
            number += f"; {(~known).sum()} of {known.size} ≤ 0"
            gone = self.label[~known]
            at_edge = {"linestyle": "", "marker": "v", "markersize": 4, "clip_on": False}
            style.reference(ax, "buckets ≤ 0, which have no place", [], [], **at_edge)
            ax.plot(gone, np.full(gone.size, 0.02), color=look["color"], transform=ax.get_xaxis_transform(), **at_edge)
        ratio = np.where(known, self.ratio, np.nan)
        ax.plot(
            self.label, ratio, marker="o", markersize=3.5, linewidth=1.2, label=labelled(self.name, number), **look,
        )  # fmt: skip
        style.money_axis(ax.xaxis, self.label)
        ax.set_yscale("log", base=2)
        ax.update_datalim([(self.label[0], 0.5), (self.label[0], 2.0)])  # small errors shall look small
        ax.autoscale_view()
        ax.yaxis.set_major_locator(LogLocator(base=2, numticks=9))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: _power(ratio)))
        ax.yaxis.set_minor_locator(NullLocator())
        style.finish(ax, "label (mean of the bucket)", "mean prediction / mean label")


def _power(ratio: float) -> str:
    """4, 1, 1/4."""
    return style.amount(ratio, 3) if ratio >= 1 else f"1/{style.amount(1 / ratio, 3)}"
