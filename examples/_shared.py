"""What the examples share: their flags, intervals over seeds, colours, and where pictures go."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t

from gbreg.plots.style import PALETTE as COLOURS


@dataclass(frozen=True)
class Run:
    """How an example is to run: at which size, on which seeds, and where its picture goes."""

    quick: bool
    out: Path

    @property
    def seeds(self) -> range:
        return range(2 if self.quick else 5)

    def size(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def save(self, figure: Any, name: str) -> None:
        """Save a figure as NAME.png, and say where."""
        self.out.mkdir(parents=True, exist_ok=True)
        figure.savefig(self.out / f"{name}.png", dpi=90)
        print(f"Picture: {self.out / name}.png")


def start(doc: str | None, argv: Sequence[str] | None) -> Run:
    """Print the example's question, the first line of its docstring, and read its flags."""
    question = (doc or "").split("\n", 1)[0]
    parser = argparse.ArgumentParser(description=question)
    parser.add_argument("--quick", action="store_true", help="a few seconds, at a reduced size and on 2 seeds")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "pictures", help="folder for pictures")
    given = parser.parse_args(argv)
    print(question)
    return Run(given.quick, given.out)


@dataclass(frozen=True)
class OverSeeds:
    """A mean over seeds with its 95% interval by Student's t; prints as ``1.02 (0.98 to 1.06)``."""

    mean: float
    low: float
    high: float

    def __format__(self, spec: str) -> str:
        spec = spec or ".3g"
        return f"{self.mean:{spec}} ({self.low:{spec}} to {self.high:{spec}})"


def over_seeds(values: ArrayLike) -> OverSeeds:
    """Mean and 95% interval of one figure a seed."""
    x = np.asarray(values, dtype=np.float64)
    half = t.ppf(0.975, x.size - 1) * x.std(ddof=1) / np.sqrt(x.size)
    return OverSeeds(float(x.mean()), float(x.mean() - half), float(x.mean() + half))


def draw_intervals(ax: Any, values: Mapping[str, ArrayLike], reference: float) -> None:
    """One row a name: each seed's figure as a point, the interval of their mean as a bar; a line where nothing differs."""
    for at, of in enumerate(values.values()):
        found = over_seeds(of)
        ax.plot([found.low, found.high], [at, at], color=COLOURS[0], linewidth=4, alpha=0.5)
        ax.plot(of, np.full(np.size(of), at), "o", color=COLOURS[1], markersize=4)
    ax.axvline(reference, color=COLOURS[-1], linewidth=0.8)
    ax.set_yticks(range(len(values)), list(values))
    ax.invert_yaxis()
