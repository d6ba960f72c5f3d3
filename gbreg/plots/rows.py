"""Predictions and labels row by row: where labels lie, how far off predictions are, what the top of the ranking holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats
from gbreg.metrics import decile_table, gain_curve, normalized_gini
from gbreg.metrics.base import checked, levels, quietly
from gbreg.plots import style
from gbreg.plots.base import OfPredictions, labelled

# Ratios beyond these powers of two are counted in the last bars.
_FAR = 6.0


@dataclass
class GainDisplay(OfPredictions):
    """The gain (Lorenz) curve: share of the label total in the rows with the greatest predictions.

    Parameters
    ----------
    share, gain : ndarray
        Share of the weight taken, and of the total in it.
    best_share, best_gain : ndarray
        The same of a perfect ranking.
    gini : float
        Normalised; NaN where it has no value.
    name : str or None

    Examples
    --------
    >>> GainDisplay.from_predictions([0, 0, 1, 5], [1, 2, 3, 4]).gini
    1.0
    """

    share: Floats
    gain: Floats
    best_share: Floats
    best_gain: Floats
    gini: float
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
    ) -> Self:
        """Compute and draw. `ValueError` if the labels sum to 0."""
        with quietly():  # what has no value is said here
            own, best = (gain_curve(y_true, by, sample_weight) for by in (y_pred, y_true))
            gini = normalized_gini(y_true, y_pred, sample_weight)
        if np.isnan(own[1]).any():
            raise ValueError("y_true: the labels sum to 0, of which there are no shares")
        return cls(*own, *best, gini, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        style.reference(ax, "at random", [0, 1], [0, 1])
        style.reference(ax, "best possible", *_thinned(self.best_share, self.best_gain), linestyle=":")
        number = "no Gini (labels constant or negative)" if np.isnan(self.gini) else f"normalised Gini {self.gini:.3f}"
        label = labelled(self.name, number)
        ax.plot(*_thinned(self.share, self.gain), linewidth=1.4, label=label, **style.next_look(ax))
        style.finish(ax, "share of the rows, greatest prediction first", "share of the label total")


def _thinned(x: Floats, y: Floats, n: int = 400) -> tuple[Floats, Floats]:
    """At most so many points, ends included: what a page can show."""
    if x.size <= n:
        return x, y
    place = np.linspace(0, 1, n)
    return place, np.interp(place, x, y)


@dataclass
class PredictionDisplay(OfPredictions):
    """Where labels lie at each level of prediction: median, middle half and middle 90% in groups of equal weight.

    Log axes, linear around 0: a median of 0 is drawn at 0.

    Parameters
    ----------
    prediction : ndarray of shape (n_groups,)
        Mean of each group.
    quantiles : ndarray of shape (n_groups, 5)
        Of its labels, at 5%, 25%, 50%, 75% and 95%.
    name : str or None
    """

    prediction: Floats
    quantiles: Floats
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
        n_bins: int = 25,
    ) -> Self:
        """Compute and draw; `n_bins` groups at most."""
        y, p, w = checked(y_true, y_pred, sample_weight)
        table = decile_table(y, p, w, n_bins=n_bins)
        group = np.searchsorted(table.low, p, side="right") - 1
        return cls(table.prediction, _quantiles(y, w, group, [0.05, 0.25, 0.5, 0.75, 0.95]), name).plot(ax)

    def _draw(self, ax: Any) -> None:
        x, q = self.prediction, self.quantiles
        style.reference(ax, "predicted = observed", x, x)
        look = style.next_look(ax)
        color = look["color"]
        style.fill(ax, lambda: self._bands(ax, color))
        for level in (0, 4):
            ax.plot(x, q[:, level], linestyle=":", linewidth=0.9, alpha=0.7, color=color)
        label = labelled(self.name, "median label") if self.name is None else self.name
        ax.plot(x, q[:, 2], marker="o", markersize=3, linewidth=1.2, label=label, **look)
        style.money_axis(ax.xaxis, x)
        style.money_axis(ax.yaxis, np.concatenate([q.ravel(), x]))
        style.finish(ax, "prediction", "label: median, 90% within dots")

    def _bands(self, ax: Any, color: str) -> list[Any]:
        x, q = self.prediction, self.quantiles
        if x.size == 1:  # an area of no width is not seen
            line = {"color": color, "solid_capstyle": "butt"}
            return [
                *ax.plot(np.repeat(x, 2), q[0, [0, 4]], linewidth=1.2, label="90% of labels", **line),
                *ax.plot(np.repeat(x, 2), q[0, [1, 3]], linewidth=6, alpha=0.4, label="half of labels", **line),
            ]
        return [
            ax.fill_between(x, q[:, low], q[:, high], color=color, alpha=alpha, linewidth=0, label=f"{part} of labels")
            for low, high, alpha, part in ((0, 4, 0.15, "90%"), (1, 3, 0.3, "half"))
        ]


def _quantiles(y: Floats, w: Floats, group: Any, shares: list[float]) -> Floats:
    """The least labels that at least these shares of each group's weight do not exceed, shape (n_groups, n_shares)."""
    rows = levels(y).order
    rows = rows[np.argsort(group[rows].astype(np.min_scalar_type(int(group.max()))), kind="stable")]
    ends = np.cumsum(np.bincount(group))
    taken = np.append(0.0, np.cumsum(w[rows]))
    below, weight = taken[np.append(0, ends[:-1])], np.diff(taken[np.append(0, ends)])
    # Rounding of the running sum must neither skip a row nor leave the group.
    wanted = (below[:, None] + np.multiply.outer(weight, shares)) * (1.0 - 1e-12)
    place = np.clip(np.searchsorted(taken[1:], wanted), np.append(0, ends[:-1])[:, None], ends[:, None] - 1)
    found: Floats = y[rows[place]]
    return found


@dataclass
class RatioDisplay(OfPredictions):
    """How far off single predictions are: the histogram of log2(prediction / label) over the positive labels.

    Ratios of more than 64 are counted in the outermost bars, predictions of 0 and below in the lowest.

    Parameters
    ----------
    edges : ndarray of shape (n_bars + 1,)
        In powers of two.
    share : ndarray of shape (n_bars,)
        Of the weight of positive labels.
    within : float
        Share with predictions between half and twice the label.
    name : str or None
    """

    edges: Floats
    share: Floats
    within: float
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
    ) -> Self:
        """Compute and draw. `ValueError` if no label is positive."""
        y, p, w = checked(y_true, y_pred, sample_weight)
        above = y > 0
        if not above.any():
            raise ValueError("y_true: no label is positive, so that no prediction has a ratio to one")
        with np.errstate(divide="ignore"):
            power = np.log2(np.maximum(p[above], 0.0)) - np.log2(y[above])
        edges = np.linspace(-_FAR, _FAR, 49)
        counts = np.histogram(np.clip(power, -_FAR, _FAR), edges, weights=w[above])[0]
        within = float(np.average(np.abs(power) <= 1.0, weights=w[above]))
        return cls(edges, counts / w[above].sum(), within, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        from matplotlib.ticker import FuncFormatter

        if "right" not in ax.get_legend_handles_labels()[1]:
            ax.axvline(0.0, color=style.GREY, linewidth=1, linestyle=(0, (4, 3)), label="right")
        look = style.next_look(ax)
        label = labelled(self.name, f"{self.within:.0%} within a factor of 2")
        style.fill(ax, lambda: [ax.stairs(self.share, self.edges, fill=True, color=look["color"], alpha=0.15)])
        ax.stairs(self.share, self.edges, linewidth=1.3, label=label, **look)
        ax.set_ylim(0.0, 1.35 * max(self.share.max(), ax.get_ylim()[1] / 1.35))  # room for the legend
        ax.set_xticks(range(-6, 7, 3))
        ax.xaxis.set_major_formatter(FuncFormatter(lambda k, _: f"{2**k:g}" if k >= 0 else f"1/{2**-k:g}"))
        style.finish(ax, "prediction / label, positive labels", "share of the rows")
