"""How all displays look: colours that the colour-blind tell apart, axes, legends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gbreg._checks import Floats

# Okabe & Ito (2008), "Color Universal Design": blue first, yellow left out for its contrast on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
GREY = "#767676"
SIZE = (5.2, 3.7)
# Legends of more entries go below the axes, as do those that would take most of them.
MANY = 5
LEGEND_SIZE = 8


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
    for fill in getattr(ax, "_gbreg_fills", ()):
        fill.remove()
    ax._gbreg_fills = ()
    return {"color": PALETTE[n % len(PALETTE)], "linestyle": ("-", "--", "-.", ":")[n // len(PALETTE) % 4]}


def fill(ax: Any, draw: Callable[[], Sequence[Any]]) -> None:
    """Draw what only one model has room for: areas of several hide one another, so the next model takes them away."""
    if ax._gbreg_models == 1:
        ax._gbreg_fills = draw()


def reference(ax: Any, label: str, x: Any, y: Any, **style: Any) -> None:
    """A grey line to compare with, one however many models are drawn, through the points that any of them needs."""
    lines = ax.__dict__.setdefault("_gbreg_references", {})
    if label not in lines:
        (lines[label],) = ax.plot(
            x, y, color=GREY, linewidth=1, zorder=1, label=label, **{"linestyle": (0, (4, 3)), **style}
        )
        return
    points = np.column_stack([np.append(old, new) for old, new in zip(lines[label].get_data(), (x, y), strict=True)])
    points = np.unique(points, axis=0)
    lines[label].set_data(*points.T)
    ax.update_datalim(points)


def drop_reference(ax: Any, label: str) -> None:
    """Take a line to compare with away again, if it was drawn: where what is drawn has none in common."""
    line = ax.__dict__.get("_gbreg_references", {}).pop(label, None)
    if line is not None:
        line.remove()


def finish(ax: Any, xlabel: str, ylabel: str) -> None:
    """Labels, grid and legend."""
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    if not hasattr(ax, "_gbreg_finished"):
        ax.grid(True, color="#e6e6e6", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.spines[["top", "right"]].set_visible(False)
        ax._gbreg_finished = True
    if not getattr(ax, "_gbreg_legend_later", False):
        legend(ax)


def legend(ax: Any) -> None:
    """A legend of all that was drawn, in place of an earlier one."""
    handles, labels = ax.get_legend_handles_labels()
    if labels:
        ax.legend(handles, labels, frameon=False, fontsize=LEGEND_SIZE, **_below(ax, labels))


def clear(ax: Any) -> None:
    """Take away all that displays have drawn on the axes; ticks stay, to be used again."""
    for artist in (*ax.lines, *ax.patches, *ax.collections, *ax.texts, *ax.artists):
        artist.remove()
    ax.containers.clear()
    if ax.get_legend() is not None:
        ax.get_legend().remove()
    for known in (ax, ax.xaxis, ax.yaxis):
        for name in [name for name in vars(known) if name.startswith("_gbreg_") and name != "_gbreg_finished"]:
            delattr(known, name)
    ax.set(xscale="linear", yscale="linear")
    ax.relim()
    ax.autoscale(True)


def legend_shape(ax: Any, labels: Sequence[str]) -> tuple[int, int]:
    """Lines and columns of the legend below the axes, no lines if it is on them: of few models, where they have room."""
    wide = _width(labels)
    width, height = (72.0 * size / ax.figure.dpi for size in (ax.bbox.width, ax.bbox.height))
    if len(labels) <= MANY and wide <= 0.9 * width and 1.5 * LEGEND_SIZE * len(labels) <= 0.5 * height:
        return 0, 1
    columns = 2 if wide <= 0.5 * width else 1
    return -(-len(labels) // columns), columns


def _below(ax: Any, labels: Sequence[str]) -> dict[str, Any]:
    """Where a legend goes that on the axes would hide the curves it names: under their title."""
    from matplotlib.transforms import ScaledTranslation

    lines, columns = legend_shape(ax, labels)
    if not lines:
        return {}
    down = ScaledTranslation(0.0, -depth(ax) / 72.0, ax.figure.dpi_scale_trans)
    # Labels wider than the axes have room on the left, where the vertical axis has its title.
    loc, at = ("upper right", 1.0) if _width(labels) > 72.0 * ax.bbox.width / ax.figure.dpi else ("upper center", 0.5)
    place = {"bbox_to_anchor": (at, 0.0), "bbox_transform": ax.transAxes + down, "borderaxespad": 0.0}
    return {"loc": loc, "ncols": columns, **place}


def _width(labels: Sequence[str]) -> float:
    """Of a legend of one column, about, in points: half the font's size a letter, and four times it for the line before."""
    return LEGEND_SIZE * (0.55 * max(map(len, labels), default=0) + 4.0)


def depth(ax: Any) -> float:
    """What ticks and title of the x axis take below it, in points."""
    tick = ax.xaxis.get_major_ticks(1)[0]
    sizes = tick.label1.get_size() + ax.xaxis.label.get_size()
    return float(1.2 * sizes + tick.get_tick_padding() + ax.xaxis.labelpad + 4.0)


def money_axis(axis: Any, values: Floats) -> None:
    """A log axis of these and all values drawn before; if some are 0 and below, linear below nearly all positive ones."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    from gbreg.plots.ticks import PowerLocator

    values = np.concatenate([getattr(axis, "_gbreg_values", np.empty(0)), values])
    axis._gbreg_values = values
    positive = values[values > 0]
    if positive.size == 0:
        return
    set_scale = axis.axes.set_xscale if axis.axis_name == "x" else axis.axes.set_yscale
    if positive.size == values.size:
        set_scale("log")
        span = float(positive.max() / positive.min())
        if span == 1.0:  # this locator also finds limits around a single value
            axis.set_major_locator(LogLocator(subs=[1.0, 2.0, 5.0], numticks=7))
        else:  # of less than a decade there may be no power of ten to write down
            axis.set_major_locator(MaxNLocator(5) if span < 4.0 else PowerLocator(amount))
    else:
        # A single group just above 0 shall not push all others into a corner.
        least = float(10.0 ** np.floor(np.log10(np.quantile(positive, 0.05, method="lower"))))
        set_scale("symlog", linthresh=least, linscale=0.4)
        axis.set_major_locator(PowerLocator(amount, least))
        if values.min() >= 0:
            set_limits = axis.axes.set_xlim if axis.axis_name == "x" else axis.axes.set_ylim
            set_limits(-0.1 * least, 1.5 * positive.max())
    axis.set_major_formatter(FuncFormatter(lambda value, _: amount(value)))
    axis.set_minor_locator(NullLocator())  # dozens of ticks, each drawn by itself


def amount(value: float, digits: int = 6) -> str:
    """Money or time as ticks and legends write it: 0.1, 10, 5k, 2M.

    >>> [amount(value) for value in (0.0, 0.1, 10.0, -5e3, 2e6, 1e-9)]
    ['0', '0.1', '10', '-5k', '2M', '1e-09']
    >>> amount(102_345.6, 3), amount(999_999.0, 3)
    ('102k', '1M')
    """
    value = float(f"{value:.{digits}g}")
    for power, letter in ((9, "G"), (6, "M"), (3, "k")):
        if abs(value) >= 10.0**power:
            return f"{value / 10.0**power:.{digits}g}{letter}"
    return f"{value:.{digits}g}"
