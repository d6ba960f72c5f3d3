"""Displays as pictures for the page."""

from __future__ import annotations

import base64
import gc
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gbreg._checks import Floats
from gbreg.plots import (
    CalibrationDisplay,
    DecileDisplay,
    ErrorRatioDisplay,
    GainDisplay,
    PITDisplay,
    PredictionDisplay,
    style,
)
from gbreg.plots.style import LEGEND_SIZE, depth, legend_shape

WIDTH, HEIGHT = 5.0, 3.7
DPI = 110
# Characters of a name that leave room for its score in a legend.
LONGEST_NAME = 44


@contextmanager
def uncollected() -> Iterator[None]:
    """Without garbage collection: figures are full of cycles, to search them a dozen times over takes a fifth of a page."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def blank() -> Any:
    """A figure of one axes, with margins in inches: a layout engine draws everything twice."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, HEIGHT), dpi=DPI)
    figure.subplots()
    _set_margins(figure, HEIGHT)
    return figure


def _set_margins(figure: Any, height: float, below: float = 0.5, left: float = 0.74) -> None:
    figure.set_figheight(height)
    figure.subplots_adjust(left / WIDTH, below / height, 1.0 - 0.2 / WIDTH, 1.0 - 0.1 / height)


def finished(figure: Any) -> str:
    """The figure as a data URI, with room for the axis' title beside long ticks, and for a legend below the axes."""
    (ax,) = figure.axes
    axis = ax.yaxis
    longest = max(map(len, axis.get_major_formatter().format_ticks(axis.get_majorticklocs())), default=0)
    left = 0.74 + 0.09 * max(0, longest - 4)
    _set_margins(figure, HEIGHT, left=left)
    lines, _ = legend_shape(ax, ax.get_legend_handles_labels()[1])
    if lines:
        below = 0.15 + (depth(ax) + 1.5 * LEGEND_SIZE * lines) / 72.0
        _set_margins(figure, HEIGHT - 0.5 + below, below, left)
    return encoded(figure)


def encoded(figure: Any) -> str:
    """A figure as a data URI of an SVG: sharp on every screen and in print, its text left to the reader's fonts."""
    import matplotlib

    out = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "gbreg"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(out.getvalue()).decode()


class Overlays:
    """The plots that show all models at once, to which they are added one after the other."""

    def __init__(self, y: Floats, weight: Floats | None) -> None:
        self._y, self._weight = y, weight
        self._alike = True
        shown: list[tuple[Any, bool, str, str]] = [
            (CalibrationDisplay, True, "Calibration",
             "On the dashed line, amounts add up at every level; above it, predictions are too low."),
            (ErrorRatioDisplay, bool((y > 0).any()), "Over- and underestimation by label",
             "Nothing predicts noise, so every model falls from left to right: flatter is better, and where a line crosses "
             "1 is where the model is right."),
            (GainDisplay, bool((y > 0).any() and y.min() >= 0), "Gain",
             "How much of the total lies in the rows ranked first: higher is better."),
        ]  # fmt: skip
        self._shown = [(display, title, words, blank()) for display, can, title, words in shown if can]
        for *_, figure in self._shown:
            figure.axes[0]._gbreg_legend_later = True  # one of all models, not one after each

    def add(self, name: str, predicted: Floats, *, amount: bool = True, rows: tuple[Floats, Floats] | None = None) -> None:
        """Draw a model; by the order of its predictions alone, if they are no amounts. `rows`: other labels and weights."""
        y, weight = (self._y, self._weight) if rows is None else rows
        self._alike = self._alike and rows is None
        for display, _, _, figure in self._shown:
            if display is not CalibrationDisplay and not (y > 0).any():
                continue
            if amount or display is GainDisplay:
                longest = LONGEST_NAME - 2 * (display is ErrorRatioDisplay)  # which has more to say
                called = shortened(name, longest)
                display.from_predictions(y, predicted, sample_weight=weight, name=called, ax=figure.axes[0])

    def pictures(self) -> list[tuple[str, str, str]]:
        """(title, what to look for, picture) of each."""
        drawn = [shown for shown in self._shown if shown[-1].axes[0].has_data()]
        for *_, figure in drawn:
            if not self._alike:
                style.drop_reference(figure.axes[0], "best possible")
            style.legend(figure.axes[0])
        return [(title, words, finished(figure)) for _, title, words, figure in drawn]


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """The name, its middle left out where there is no room for it: both ends tell models apart."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}"


class OfModels:
    """The plots that show one model, each drawn on the same axes: to make their ticks anew takes a quarter of the time."""

    def __init__(self, y: Floats, weight: Floats | None) -> None:
        self._y, self._weight = y, weight
        self._figures: dict[Any, Any] = {}

    def pictures(self, predicted: Floats, distribution: Any) -> list[tuple[str, str]]:
        """(what it is, picture) of the decile chart, labels by level of prediction and, of a distribution, its PIT."""
        shown: list[tuple[str, Any, Any]] = [
            ("Decile chart", DecileDisplay, predicted),
            ("Where labels lie at each level of prediction", PredictionDisplay, predicted),
        ]
        if distribution is not None:
            shown.append(("Where labels lie in their predicted distributions", PITDisplay, distribution))
        found = []
        for what, display, given in shown:
            if display not in self._figures:
                self._figures[display] = blank()
            figure = self._figures[display]
            _set_margins(figure, HEIGHT)
            display.from_predictions(self._y, given, sample_weight=self._weight, ax=figure.axes[0])
            found.append((what, finished(figure)))
            style.clear(figure.axes[0])
        return found
