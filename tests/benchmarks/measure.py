"""What the benchmarks share: how much to run, interleaved timing, spreads, tables."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Plan:
    """Which numbers of rows, whether it is only a smoke run, and the Python that has LightGBMLSS, if one was given."""

    sizes: tuple[int, ...]
    quick: bool = False
    lss: str | None = None

    def repeats(self, full: int) -> int:
        return 2 if self.quick else full

    def rounds(self, n: int) -> int:
        return 5 if self.quick else (100 if n <= 100_000 else 50)

    def rows(self, full: int) -> int:
        """For a benchmark of one size."""
        return self.sizes[0] if len(self.sizes) == 1 else full


def interleave(functions: Sequence[Callable[[], object]], repeats: int) -> list[list[float]]:
    """Seconds of each function, one call of each in turn; the turn starts with another one every time."""
    seconds: list[list[float]] = [[] for _ in functions]
    for repeat in range(repeats):
        for k in range(len(functions)):
            j = (repeat + k) % len(functions)
            start = time.perf_counter()
            functions[j]()
            seconds[j].append(time.perf_counter() - start)
    return seconds


@dataclass(frozen=True)
class Spread:
    """Median, smallest and largest of repeated measurements."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(float(np.median(values)), min(values), max(values))

    @classmethod
    def of_ratios(cls, values: Sequence[float], bases: Sequence[float]) -> Spread:
        """Of the ratios of measurements taken next to each other."""
        return cls.of([value / base for value, base in zip(values, bases, strict=True)])

    def text(self, scale: float = 1.0, digits: int = 2) -> str:
        middle, low, high = (f"{scale * x:.{digits}f}" for x in (self.middle, self.low, self.high))
        return f"{middle} ({low} to {high})"


def judged(measured: float, goal: float, unit: str = "", scale: float = 1.0) -> tuple[str, str]:
    """The columns "goal" and "met"."""
    return f"≤ {scale * goal:.3g}{unit}", "yes" if measured <= goal else "no"


@dataclass
class Table:
    """A title, a note on how it was measured, and rows of text."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)

    def _lines(self, edge: str, gap: str) -> list[str]:
        cells = [self.columns, *self.rows]
        widths = [max(len(row[j]) for row in cells) for j in range(len(self.columns))]
        return [edge + gap.join(c.ljust(w) for c, w in zip(row, widths, strict=True)) + edge[::-1] for row in cells]

    def text(self) -> str:
        return "\n".join([self.title, self.note, "", *(line.rstrip() for line in self._lines("", "  "))]) + "\n"

    def markdown(self) -> str:
        head, *body = self._lines("| ", " | ")
        rule = "|" + " --- |" * len(self.columns)
        return "\n".join([f"## {self.title}", "", self.note, "", head, rule, *body]) + "\n"


def in_fresh_process(module: str, *arguments: object, **environment: str) -> Any:
    """What ``python -m module *arguments`` prints as JSON."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, env={**os.environ, **environment}).stdout)
