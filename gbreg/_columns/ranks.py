"""Features that an engine's own type of number cannot hold, as ranks that it can."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gbreg._checks import Floats
from gbreg.engines.rows import Singles

HUGE = float(np.finfo(np.float32).max)
# At least as many as the most bins, so that no engine could tell more apart; in float32, codes up to it have a resolution of
# 1 / 128.
_MOST = 65536


def learn_knots(values: Floats, stored: Callable[[Floats], Floats | Singles], max_bins: int) -> Floats | None:
    """The values that ranks count, increasing, or None for a column that the engine can hold.

    It can if values are within float32's range, and it merges none that bins would keep apart: neither any of up to
    `max_bins` distinct ones, nor any with more than half a bin's share of the rows.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        NaN where missing.
    stored : callable
        What the engine makes of values; it keeps their order.
    max_bins : int
    """
    values = values[~np.isnan(values)]
    if not values.size:
        return None
    fits = bool(np.abs(values).max() <= HUGE)
    few = max(1, values.size // (2 * max_bins))
    kept = stored(values)
    if fits and (kept == values).all():
        return None
    kept.sort()
    if fits and not (kept[few:] == kept[:-few]).any():  # cheap, for all values are then too rare to matter
        return None
    distinct, rows = np.unique(values, return_counts=True)
    kept = stored(distinct)
    first = np.flatnonzero(np.concatenate([[True], kept[1:] != kept[:-1]]))
    merged = np.diff(np.append(first, distinct.size)) > 1
    most = np.add.reduceat(rows, first)[merged].max(initial=0)
    if fits and most <= (0 if distinct.size <= max_bins else few):
        return None
    return _thinned(distinct, rows)


def _thinned(distinct: Floats, rows: Any) -> Floats:
    """Those values or, of too many, every so many rows one: frequent ones are all among them."""
    if distinct.size <= _MOST:
        return distinct
    done = np.cumsum(rows)
    return distinct[np.unique(np.searchsorted(done, np.linspace(1, done[-1], _MOST)))]


def ranks_of(values: Floats, knots: Floats) -> Floats:
    """Ranks, linear between two knots, flat beyond; 0 stays 0, so that sparse columns stay sparse."""
    count = np.arange(knots.size, dtype=np.float64)
    return np.interp(values, knots, count - np.interp(0.0, knots, count))
