"""What rows that a correction did not see say of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gbreg._checks import Floats
from gbreg._columns import take_rows

# Standard errors by which held-out rows must gain.
SURE = 1.5


@dataclass(frozen=True)
class Part:
    """Rows that a booster trains on or is measured on."""

    X: Any
    y: Floats
    weight: Floats | None
    groups: Any

    def take(self, index: Any) -> Part:
        weight, groups = (None if of is None else of[index] for of in (self.weight, self.groups))
        return Part(take_rows(self.X, index), self.y[index], weight, groups)

    def counts(self) -> Floats:
        return np.ones(self.y.size) if self.weight is None else self.weight


@dataclass(frozen=True)
class Gate:
    """What a correction is for, the numbers of the rows whose gate is open, and how far, in (0, 1]."""

    value: Any
    at: Any
    opened: Floats

    def among(self, index: Any, n: int) -> Any:
        """Which of its rows are among those of an index (or mask) of n rows."""
        known = np.zeros(n, dtype=bool)
        known[index] = True
        return known[self.at]

    def only(self, index: Any, n: int) -> Gate:
        of = self.among(index, n)
        return Gate(self.value, self.at[of], self.opened[of])


def untried(gate: Gate, min_rows: int) -> dict[str, Any]:
    """What is to be told of a correction with too few rows."""
    n = gate.at.size
    why = f"it has {n:,} rows, below min_rows={min_rows}"
    return {"value": gate.value, "rows": n, "gain": 0.0, "error": 0.0, "kept": False, "why": why}


def trial_of(gate: Gate, rows: Part, gained: Floats) -> dict[str, Any]:
    """What is to be told of a correction by what it gained of its rows, NaN where that was not measured."""
    trial = {"value": gate.value, "rows": gate.at.size, "gain": 0.0, "error": 0.0, "kept": False}
    measured = ~np.isnan(gained)
    total = float(rows.counts()[gate.at[measured]].sum())
    if total == 0.0:
        return trial | {"why": "no fold has different labels to train on and rows to hold out"}
    gain, error = _sum(gate.at[measured], rows, gained[measured])
    trial |= {"gain": gain / total, "error": error / total}
    if gain <= SURE * error:
        return trial | {"why": "held-out rows do not gain more than 1.5 standard errors"}
    warm = measured & (gate.opened < 0.5)
    lost, chance = _sum(gate.at[warm], rows, gained[warm])
    if lost < -chance:
        return trial | {"why": "held-out rows of a gate below a half lose more than a standard error"}
    return trial | {"kept": True, "why": ""}


def _sum(at: Any, rows: Part, gained: Floats) -> tuple[float, float]:
    """The weighted sum over rows and its standard error, rows of one group taken together."""
    each = gained * rows.counts()[at]
    if rows.groups is not None and each.size:
        each = np.bincount(np.unique(rows.groups[at], return_inverse=True)[1], each)
    error = float(each.std(ddof=1) * np.sqrt(each.size)) if each.size > 1 else np.inf
    return float(each.sum()), error


def keep_best(trials: list[dict[str, Any]]) -> None:
    """Of gates the one whose gain is surest."""
    kept = [trial for trial in trials if trial["kept"]]
    best = max(kept, key=lambda trial: trial["gain"] - trial["error"], default=None)
    for trial in kept:
        if trial is not best:
            trial |= {"kept": False, "why": "the gain of another scale is surer"}
