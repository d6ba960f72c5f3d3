"""Where tuning looks for a parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Uniform:
    """A search range on a linear scale."""

    low: float
    high: float


@dataclass(frozen=True)
class LogUniform:
    """A search range on a log scale."""

    low: float
    high: float


@dataclass(frozen=True)
class Choice:
    """A search over a few values."""

    options: tuple[Any, ...]


@dataclass(frozen=True)
class Integers:
    """A search over whole numbers, on a log scale, both ends included."""

    low: int
    high: int


SearchSpace = Mapping[str, Uniform | LogUniform | Choice | Integers]
