"""Displays as pictures for the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from typing import Any

from gbreg.metrics.base import Floats
from gbreg.plots import CalibrationDisplay, DecileDisplay, ErrorRatioDisplay, GainDisplay, PITDisplay, PredictionDisplay
from gbreg.plots.style import MANY

WIDTH, HEIGHT = 5.0, 3.7
DPI = 110
# Characters of a legend label that leave room for another beside it, and of a name that leave room for its score.
HALF_LINE, LONGEST_NAME = 30, 44


def picture(draw: Callable[..., None], n_axes: int = 1) -> str:
    """What `draw` puts on that many axes side by side, as a data URI of a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH * n_axes, HEIGHT), dpi=DPI)
    axes = figure.subplots(1, n_axes, squeeze=False)[0]
    draw(*axes)
    # Margins in inches: a layout engine draws everything twice.
    lines = max(_legend_lines(ax) for ax in axes)
    below = 0.5 + (0.1 + 0.18 * lines if lines else 0.0)
    height = HEIGHT - 0.5 + below
    figure.set_size_inches(WIDTH * n_axes, height)
    figure.subplots_adjust(0.74 / WIDTH / n_axes, below / height, 1.0 - 0.1 / WIDTH / n_axes, 1.0 - 0.1 / height, wspace=0.2)
    return encoded(figure)


def encoded(figure: Any) -> str:
    """A figure as a data URI of a PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png", pil_kwargs={"compress_level": 6})
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()


def _legend_lines(ax: Any) -> int:
    """Lines of the legend below the axes, 0 if it is on them; long labels take a line each, or both ends are cut off."""
    labels = ax.get_legend_handles_labels()[1]
    if len(labels) <= MANY:
        return 0
    if max(map(len, labels)) <= HALF_LINE:
        return (len(labels) + 1) // 2
    ax.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return len(labels)


def overlays(
    predictions: Mapping[str, Floats], ranks: Mapping[str, Floats], y: Floats, weight: Floats | None
) -> list[tuple[str, str, str]]:
    """(title, what to look for, picture) of the plots that show all models at once."""
    shown: list[tuple[str, str, Any, Mapping[str, Floats]]] = [
        ("Calibration", "On the dashed line, amounts add up at every level; above it, predictions are too low.",
         CalibrationDisplay, predictions),
        ("Over- and underestimation by label", "Nothing predicts noise, so every model falls from left to right: flatter "
         "is better, and where a line crosses 1 is where the model is right.", ErrorRatioDisplay, predictions),
        ("Gain", "How much of the total lies in the rows ranked first: higher is better.", GainDisplay, ranks),
    ]  # fmt: skip
    found = []
    for title, words, display, which in shown:
        if display is not CalibrationDisplay and not (y > 0).any():
            continue
        if display is GainDisplay and y.min() < 0:
            continue

        def draw(ax: Any, display: Any = display, which: Mapping[str, Floats] = which) -> None:
            for name, predicted in which.items():
                display.from_predictions(y, predicted, sample_weight=weight, name=shortened(name), ax=ax)

        found.append((title, words, picture(draw)))
    return found


def shortened(name: str, longest: int = LONGEST_NAME) -> str:
    """The name, its middle left out where there is no room for it: both ends tell models apart."""
    half = longest // 2
    return name if len(name) <= longest else f"{name[: half - 1]}…{name[-half:]}"


def of_model(predicted: Floats, distribution: Any, y: Floats, weight: Floats | None) -> str:
    """The decile chart, labels by level of prediction and, of a distribution, its PIT."""

    def draw(*axes: Any) -> None:
        DecileDisplay.from_predictions(y, predicted, sample_weight=weight, ax=axes[0])
        PredictionDisplay.from_predictions(y, predicted, sample_weight=weight, ax=axes[1])
        if distribution is not None:
            PITDisplay.from_predictions(y, distribution, sample_weight=weight, ax=axes[2])

    return picture(draw, 2 if distribution is None else 3)
