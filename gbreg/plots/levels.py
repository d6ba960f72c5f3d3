"""Predicted against observed, by level: of the prediction, and of the label."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from gbreg.metrics import DecileTable, decile_table, pcoc
from gbreg.metrics.base import checked
from gbreg.plots import style
from gbreg.plots.base import OfPredictions, labelled, standard_error
from gbreg.plots.style import Floats


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
        group = np.searchsorted(table.low, p, side="right") - 1
        error = np.array([standard_error(y[group == g], w[group == g]) for g in range(table.low.size)])
        return cls(table, error, pcoc(y, p, w), name).plot(ax)

    def _draw(self, ax: Any) -> None:
        x, y = self.table.prediction, self.table.label
        both = np.concatenate([x, y])
        style.reference(ax, "predicted = observed", *[[both.min(), both.max()]] * 2)
        look = style.next_look(ax)
        error = np.nan_to_num(2 * self.error)  # no bar for a single row
        low = np.minimum(error, np.maximum(y, 0.0)) if y.min() >= 0 else error
        label = labelled(self.name, f"sum {self.pcoc:.2f} of the labels'")
        ax.errorbar(x, y, (low, error), marker="o", markersize=3.5, linewidth=1.2, elinewidth=0.8, label=label, **look)
        drawn = np.concatenate([*(line.get_xdata() for line in ax.lines), *(line.get_ydata() for line in ax.lines)])
        style.money_axis(ax.xaxis, np.asarray(drawn, dtype=float))
        style.money_axis(ax.yaxis, np.asarray(drawn, dtype=float))
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
        place = np.arange(1, self.table.label.size + 1)
        look = style.next_look(ax)
        who = "" if self.name is None else f", {self.name}"
        ax.bar(place, self.table.label, width=0.7, color=look["color"], alpha=0.25, label=f"label{who}")
        ax.plot(place, self.table.prediction, marker="o", markersize=4, linewidth=1, label=f"prediction{who}", **look)
        ax.set_xticks(place)
        style.finish(ax, "tenth of the rows, by prediction", "mean")


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
        # Buckets by label: the table of the labels as their own predictions.
        edges = decile_table(y[above], y[above], w[above], n_bins=n_bins).low
        group = np.searchsorted(edges, y[above], side="right") - 1
        labels, predictions = (np.bincount(group, weights=w[above] * v[above], minlength=edges.size) for v in (y, p))
        weight = np.bincount(group, weights=w[above], minlength=edges.size)
        at_zero = float(np.average(p[~above], weights=w[~above])) if not above.all() else float("nan")
        return cls(labels / weight, predictions / labels, float(w[~above].sum() / w.sum()), at_zero, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

        style.reference(ax, "right", [self.label[0], self.label[-1]], [1.0, 1.0])
        known = self.ratio > 0
        number = f"{self.at_zero:.3g} at labels of 0" if self.zeros else "no labels of 0"
        ax.plot(
            self.label[known], self.ratio[known], marker="o", markersize=3.5, linewidth=1.2,
            label=labelled(self.name, number), **style.next_look(ax),
        )  # fmt: skip
        style.money_axis(ax.xaxis, self.label)
        ax.set_yscale("log", base=2)
        ax.yaxis.set_major_locator(LogLocator(base=2, numticks=9))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}" if ratio >= 1 else f"1/{1 / ratio:g}"))
        ax.yaxis.set_minor_locator(NullLocator())
        style.finish(ax, "label (mean of the bucket)", "mean prediction / mean label")
