"""How all displays look: colours that the colour-blind tell apart, axes, legends."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# Okabe & Ito (2008), "Color Universal Design": blue first, yellow left out for its contrast on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#767676"
SIZE = (5.2, 3.7)
# Legends of more entries go below the axes.
MANY = 5


def axes(ax: Any) -> Any:
    """The axes to draw on: those given, or those of a new figure."""
    if ax is not None:
        return ax
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise ImportError("plots need matplotlib: pip install 'gbreg[plot]'") from error
    _, ax = plt.subplots(figsize=SIZE, layout="constrained")
    return ax


def next_look(ax: Any) -> dict[str, Any]:
    """Colour and line style of the next model on these axes."""
    n = getattr(ax, "_gbreg_models", 0)
    ax._gbreg_models = n + 1
    return {"color": PALETTE[n % len(PALETTE)], "linestyle": ("-", "--", "-.", ":")[n // len(PALETTE) % 4]}


def reference(ax: Any, label: str, *line: Any, **style: Any) -> None:
    """A grey line to compare with, once however many models are drawn."""
    if label not in ax.get_legend_handles_labels()[1]:
        ax.plot(*line, color=GREY, linewidth=1, zorder=1, label=label, **{"linestyle": (0, (4, 3)), **style})


def finish(ax: Any, xlabel: str, ylabel: str) -> None:
    """Labels, grid and legend."""
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    ax.grid(True, color="#e6e6e6", linewidth=0.7)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        # Many models would hide the curves they name: their legend goes below.
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.18), "ncols": 2} if len(labels) > MANY else {}
        ax.legend(handles, labels, frameon=False, fontsize=8, **below)


def money_axis(axis: Any, values: Floats) -> None:
    """A log axis of these and all values drawn before, linear below the least positive one where some are 0 and below."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, SymmetricalLogLocator

    values = np.concatenate([getattr(axis, "_gbreg_values", np.empty(0)), values])
    axis._gbreg_values = values
    positive = values[values > 0]
    if positive.size == 0:
        return
    set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    if positive.size == values.size:
        set_scale("log")
        axis.set_major_locator(LogLocator(numticks=7))
    else:
        least = float(10.0 ** np.floor(np.log10(positive.min())))
        set_scale("symlog", linthresh=least, linscale=0.4)
        axis.set_major_locator(SymmetricalLogLocator(base=10, linthresh=least))
        if axis.axis_name == "x" and values.min() >= 0:
            axis.axes.set_xlim(left=0.0 - 0.1 * least)
        elif values.min() >= 0:
            axis.axes.set_ylim(bottom=0.0 - 0.1 * least)
    axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    axis.set_minor_locator(NullLocator())  # dozens of ticks, each drawn by itself


def amount(value: float) -> str:
    """A tick of money or time: 0.1, 10, 5k, 2M.

    >>> [amount(value) for value in (0.0, 0.1, 10.0, -5e3, 2e6, 1e-9)]
    ['0', '0.1', '10', '-5k', '2M', '1e-09']
    """
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10.0**power:
            return f"{value / 10.0**power:g}{letter}"
    return f"{value:g}"
