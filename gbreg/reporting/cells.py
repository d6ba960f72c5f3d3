"""The cells of a leaderboard on a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from gbreg.compare import Leaderboard, Row, badness, cell


@dataclass(frozen=True)
class Cell:
    """What a table shows, half the width of its 95% interval, and what it is sorted by."""

    text: str
    key: float
    best: bool = False
    give: str = ""


def row_name(board: Leaderboard, row: Row) -> str:
    several = len({r.engine for r in board.rows}) > 1
    return row.name + (f" on {row.engine}" if several else "")


def leaderboard_cells(
    board: Leaderboard, pairs: Mapping[str, float], found: Mapping[str, Mapping[str, float]]
) -> list[list[Cell]]:
    best_pairs = max((v for v in pairs.values() if not math.isnan(v)), default=math.nan)
    lines = []
    for name, row in [*((row_name(board, row), row) for row in board.rows), ("constant mean", board.baseline)]:
        sure = found.get(name, {})
        value = pairs.get(name, 0.5)
        text = "-" if math.isnan(best_pairs) else f"{value:.4f}"
        cells = [Cell(name, 0.0), Cell(text, _key(-value), value == best_pairs, _give(sure.get("xauc")))]
        for metric in board.columns:
            value = getattr(row, metric)
            key = _key(math.nan if math.isnan(value) else badness(metric, value))
            give = "" if math.isnan(value) else _give(sure.get(metric))
            cells.append(Cell(cell(metric, value), key, board.best(metric) is row, give))
        lines.append(cells)
    return lines


def _key(badness: float) -> float:
    """What JavaScript sorts by; no value comes last."""
    return 1e300 if math.isnan(badness) else min(badness, 1e300)


def _give(error: float | None) -> str:
    """Half the width of the 95% interval, in two digits."""
    if error is None or math.isnan(error):
        return ""
    half = 1.96 * error
    digits = 1 - math.floor(math.log10(half)) if half > 0 else 0
    return f"{half:,.{max(digits, 0)}f}" if digits < 7 else f"{half:.1e}"
