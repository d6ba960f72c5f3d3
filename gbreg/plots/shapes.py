"""Distributions, training runs, and the shapes of losses and soft labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from gbreg._checks import Floats
from gbreg._discretize import soft_labels
from gbreg._kernels import map_scalar
from gbreg.losses.base import Loss
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.registry import get_loss
from gbreg.metrics.base import checked
from gbreg.plots import style
from gbreg.plots.base import Display, OfPredictions, labelled


@dataclass
class PITDisplay(OfPredictions):
    """Whether predicted distributions are right: the histogram of their cdf at the labels, flat if they are.

    A hump in the middle: too wide; heaps at the ends: too narrow; a slope: biased. A label at an atom, such as 0, is spread
    evenly over the jump of the cdf there. Takes what ``predict_distribution(X)`` gives in the place of predictions.
    Czado, Gneiting & Held (2009), doi:10.1111/j.1541-0420.2009.01191.x.

    Parameters
    ----------
    edges : ndarray of shape (n_bins + 1,)
    density : ndarray of shape (n_bins,)
        1 everywhere, if the distributions are right.
    name : str or None
    """

    _reads: ClassVar[str] = "predict_distribution"

    edges: Floats
    density: Floats
    name: str | None = None

    @classmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: Any,
        *,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
        n_bins: int = 20,
    ) -> Self:
        """Compute and draw; `y_pred` is a `gbreg.distribution.Distribution` of as many rows."""
        if not hasattr(y_pred, "pit"):
            raise TypeError(
                f"y_pred is a {type(y_pred).__name__}, which has no cdf: give what predict_distribution(X) returns"
            )
        low, high = y_pred.pit(y_true).T
        _, low, w = checked(y_true, low, sample_weight)
        high = checked(y_true, high, sample_weight)[1]
        edges = np.linspace(0.0, 1.0, n_bins + 1)
        jump = np.maximum(high - low, 1e-12)
        below = [np.average(np.clip((edge - low) / jump, 0.0, 1.0), weights=w) for edge in edges[1:-1]]
        return cls(edges, n_bins * np.diff([0.0, *below, 1.0]), name).plot(ax)

    def _draw(self, ax: Any) -> None:
        style.reference(ax, "right", [0, 1], [1, 1])
        look = style.next_look(ax)
        style.fill(ax, lambda: [ax.stairs(self.density, self.edges, fill=True, color=look["color"], alpha=0.15)])
        label = labelled(self.name, f"between {self.density.min():.2f} and {self.density.max():.2f}")
        ax.stairs(self.density, self.edges, linewidth=1.3, label=label, **look)
        ax.set_ylim(0.0, 1.05 * max(self.density.max(), ax.get_ylim()[1] / 1.05))
        style.finish(ax, "predicted probability of less than the label", "density")


@dataclass
class LearningCurveDisplay(Display):
    """The watched values of a fitted estimator, round by round.

    Parameters
    ----------
    curves : dict of {(set, metric): list of float}
    best : int or None
        Rounds in the model.
    """

    curves: Mapping[tuple[str, str], Sequence[float]]
    best: int | None = None
    name: str | None = None

    @classmethod
    def from_estimator(cls, estimator: Any, *, metric: str | None = None, name: str | None = None, ax: Any = None) -> Self:
        """Draw `evals_result_`, of one metric if it is named; `ValueError` if nothing was watched."""
        found = {
            (of, what): values
            for of, history in estimator.evals_result_.items()
            for what, values in history.items()
            if metric in (None, what)
        }
        if not found:
            raise ValueError(
                "estimator watched nothing while it was trained: fit it with eval_set= or early_stopping_rounds="
                if metric is None
                else f"metric={metric!r} was not watched: {estimator.evals_result_}"
            )
        best = estimator.best_iteration_
        return cls(found, best if isinstance(best, int) else None, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        several = len({of for of, _ in self.curves}) > 1
        for (of, what), values in self.curves.items():
            look = style.next_look(ax)
            part = f"{what}, {of}" if several else what
            label = labelled(self.name, part) + (f", kept {self.best} rounds" if self.best else "")
            ax.plot(np.arange(1, len(values) + 1), values, linewidth=1.3, label=label, **look)
            if self.best:
                ax.plot(self.best, values[self.best - 1], marker="o", markersize=5, color=look["color"])
        style.finish(ax, "round", "value on held-out rows")


_AXES = {"gradient": "gradient by the raw score", "gradient by prediction": "gradient by the prediction", "value": "loss"}


@dataclass
class LossDisplay(Display):
    """The gradient (or value) of a loss against the prediction, for given labels.

    Parameters
    ----------
    prediction : ndarray of shape (n_points,)
        In the unit of the target.
    curves : ndarray of shape (n_labels, n_points)
    labels : ndarray of shape (n_labels,)
    what : {"gradient", "gradient by prediction", "value"}
        The gradient is that by the raw score, which boosting follows; the other that by the prediction.
    name : str or None

    Examples
    --------
    >>> display = LossDisplay.from_loss("huberpp", [10.0, 100.0])
    >>> display.curves.shape
    (2, 400)
    """

    prediction: Floats
    curves: Floats
    labels: Floats
    what: str = "gradient"
    name: str | None = None

    @classmethod
    def from_loss(
        cls,
        loss: str | Loss,
        labels: ArrayLike,
        *,
        prediction: ArrayLike | None = None,
        what: str = "gradient",
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute and draw.

        Parameters
        ----------
        loss : str or Loss
            Of one output; if it is not fitted, a clone is fitted to the labels.
        labels : array-like of shape (n_labels,)
        prediction : array-like, optional
            Where to evaluate; default: 400 points from 0 to twice the largest label.
        what : {"gradient", "gradient by prediction", "value"}
        """
        if what not in _AXES:
            raise ValueError(f"what={what!r} must be one of {', '.join(map(repr, _AXES))}")
        shown = get_loss(loss)
        if not isinstance(shown, PointwiseLoss):
            raise TypeError(f"loss {shown!r} has several outputs: its gradient is no curve of the prediction")
        y = np.atleast_1d(np.asarray(labels, dtype=np.float64))
        if not hasattr(shown, "intercept_"):
            shown = clone(shown).fit(y)
        if prediction is None:
            x = np.linspace(0.0, 2.0 * np.abs(y).max(), 401)[1:]
        else:
            x = np.asarray(prediction, dtype=np.float64)
        raw = shown.to_raw(x)
        rows = [np.full(x.size, label) for label in y]
        if what == "value":
            curves = [shown.value(row, raw) for row in rows]
        else:
            curves = [shown.gradient_hessian(row, raw)[0] for row in rows]
        if what == "gradient by prediction":
            link = shown.link_
            slope = map_scalar(link.inverse_derivative, raw, link.parameters)
            curves = [curve / slope for curve in curves]
        return cls(x, np.array(curves), y, what, repr(shown) if name is None else name).plot(ax)

    def _draw(self, ax: Any) -> None:
        for label, curve in zip(self.labels, self.curves, strict=True):
            look = style.next_look(ax)
            ax.plot(self.prediction, curve, linewidth=1.4, label=f"{self.name}, label {style.amount(label, 3)}", **look)
            ax.axvline(label, color=look["color"], linewidth=0.8, alpha=0.5)
        if self.what != "value":
            ax.axhline(0.0, color=style.GREY, linewidth=0.8)
        style.finish(ax, "prediction", _AXES[self.what])


@dataclass
class SoftLabelDisplay(Display):
    """What share of a label each bucket gets.

    Parameters
    ----------
    representatives : ndarray of shape (n_buckets,)
    shares : ndarray of shape (n_labels, n_buckets)
    labels : ndarray of shape (n_labels,)
    name : str or None
    """

    representatives: Floats
    shares: Floats
    labels: Floats
    name: str | None = None

    @classmethod
    def from_loss(cls, loss: Any, labels: ArrayLike, *, name: str | None = None, ax: Any = None) -> Self:
        """Compute and draw, of a fitted `SoftmaxBuckets` with soft labels."""
        y = np.atleast_1d(np.asarray(labels, dtype=np.float64))
        if getattr(loss, "soft", None) is None or not hasattr(loss, "edges_"):
            raise TypeError(f"loss={loss!r} must be a fitted SoftmaxBuckets with soft= set")
        how = {"sigma": loss.sigma, "space": loss.space, "at": loss.at, "unbiased": loss.unbiased}
        shares = soft_labels(y, loss.edges_, loss.representatives_, loss.soft, **how)
        return cls(loss.representatives_, shares, y, name).plot(ax)

    def _draw(self, ax: Any) -> None:
        for label, share in zip(self.labels, self.shares, strict=True):
            look = style.next_look(ax)
            text = labelled(self.name, f"label {style.amount(label, 3)}")
            ax.plot(self.representatives, share, marker="o", markersize=2.5, linewidth=1.2, label=text, **look)
        style.money_axis(ax.xaxis, self.representatives)
        style.finish(ax, "bucket (its representative)", "share of the label")
