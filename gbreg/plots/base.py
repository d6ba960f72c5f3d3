"""What the displays of predictions share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike

from gbreg.plots import style


class Display(ABC):
    """A plot in scikit-learn's manner: the numbers are computed once, as attributes, and drawn as often as wanted.

    Attributes
    ----------
    ax_, figure_ : matplotlib axes and figure
        Where it was drawn last.
    """

    ax_: Any
    figure_: Any
    name: str | None

    def plot(self, ax: Any = None) -> Self:
        """Draw on these axes, or on new ones; several models on the same axes are drawn in colours of their own."""
        self.ax_ = style.axes(ax)
        self.figure_ = self.ax_.figure
        self._draw(self.ax_)
        return self

    @abstractmethod
    def _draw(self, ax: Any) -> None: ...


class OfPredictions(Display):
    """A display of labels and predictions."""

    _reads: ClassVar[str] = "predict"

    @classmethod
    @abstractmethod
    def from_predictions(
        cls,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """Compute and draw."""

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        offset: ArrayLike | None = None,
        exposure: ArrayLike | None = None,
        name: str | None = None,
        ax: Any = None,
    ) -> Self:
        """`from_predictions` of what a fitted estimator predicts for X, under the name of its class if none is given."""
        brought = {"offset": offset, "exposure": exposure}
        given = {name: values for name, values in brought.items() if values is not None}
        predicted = getattr(estimator, cls._reads)(X, **given)
        name = type(estimator).__name__ if name is None else name
        return cls.from_predictions(y, predicted, sample_weight=sample_weight, name=name, ax=ax)


def labelled(name: str | None, number: str) -> str:
    """What the legend says of a model: its name, if it has one, and a number."""
    return number if name is None else f"{name}: {number}"


def standard_error(values: Any, weight: Any, group: Any) -> Any:
    """Of each group's weighted mean of independent values; NaN of a single one, which says nothing of its spread.

    ``sqrt(n / (n - 1) * sum w^2 (x - mean)^2) / sum w``, n of unequal weights Kish's ``(sum w)^2 / sum w^2``.
    """
    total, squares = np.bincount(group, weight), np.bincount(group, weight**2)
    mean = np.bincount(group, weight * values) / total
    n = total**2 / squares
    spread = np.bincount(group, (weight * (values - mean[group])) ** 2)
    several = n > 1.0 + 1e-9
    return np.sqrt(np.divide(n * spread, n - 1.0, out=np.full(n.size, np.nan), where=several)) / total
