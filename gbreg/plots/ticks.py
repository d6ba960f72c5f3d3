"""Ticks of log axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.ticker import Locator

from gbreg._checks import Floats


class PowerLocator(Locator):
    """Of a log or symlog axis: 0 and 1, 2 and 5 of each power of ten, or every power, or every second, as their labels fit.

    Parameters
    ----------
    written : callable
        What a tick says.
    least : float
        Below it, on a symlog axis, there is none but 0; 0 on a log axis.
    """

    def __init__(self, written: Callable[[float], str], least: float = 0.0) -> None:
        self._written, self._least = written, least

    axis: Any

    def __call__(self) -> list[float]:
        return self.tick_values(*self.axis.get_view_interval())

    def tick_values(self, vmin: float, vmax: float) -> list[float]:
        low, high = min(vmin, vmax), max(vmin, vmax)
        first = int(np.floor(np.log10(self._least or low) + 1e-9))
        last = int(np.ceil(np.log10(max(abs(low), high))))
        for every in range(last - first + 2):
            powers = 10.0 ** np.arange(first, last + 1, max(every, 1), dtype=np.float64)
            ticks: Floats = powers if every else np.multiply.outer(powers, [1.0, 2.0, 5.0]).ravel()
            if self._least:
                ticks = np.concatenate([-ticks[::-1], [0.0], ticks])
            ticks = ticks[(low <= ticks) & (ticks <= high)]
            room = self._room(ticks, low, high)
            zero = ticks == 0.0
            if (room[~(zero[1:] | zero[:-1])] >= 0.0).all():
                break
        keep = np.ones(ticks.size, dtype=bool)  # 0 itself stays, and crowds out its neighbours
        keep[:-1] &= ~(zero[1:] & (room < 0.0))
        keep[1:] &= ~(zero[:-1] & (room < 0.0))
        return [float(tick) for tick in ticks[keep]]

    def _room(self, ticks: Floats, low: float, high: float) -> Floats:
        """Between the labels of neighbours, in points."""
        axis = self.axis
        box, x = axis.axes.bbox, axis.axis_name == "x"
        length = 72.0 / axis.axes.figure.dpi * (box.width if x else box.height)
        start, *place, end = axis.get_transform().transform(np.concatenate([[low], ticks, [high]]))
        size = axis.get_major_ticks(1)[0].label1.get_size()
        # A digit is 0.64 of the font's size wide; upright, half of a line is left free.
        wide = np.array([0.64 * len(self._written(tick)) + 0.4 if x else 2.0 for tick in ticks]) * size
        apart: Floats = np.diff(place) * length / (end - start) - 0.5 * (wide[1:] + wide[:-1])
        return apart
