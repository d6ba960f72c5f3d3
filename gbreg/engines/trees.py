"""The parameters that mean the same on every engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

from gbreg._compat import Interval, StrOptions


@dataclass(eq=False, repr=False, kw_only=True)
class Trees:
    """What estimators take and every engine maps once to its own names; `GBRegressor` explains them."""

    allowed: ClassVar[Mapping[str, Any]] = {
        "n_estimators": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_leaves": [Interval(Integral, 2, None, closed="left")],
        "max_depth": [Interval(Integral, 1, None, closed="left"), None],
        "min_child_samples": [Interval(Integral, 1, None, closed="left")],
        "subsample": [Interval(Real, 0, 1, closed="right")],
        "colsample": [Interval(Real, 0, 1, closed="right")],
        "reg_lambda": [Interval(Real, 0, None, closed="left")],
        "max_bins": [Interval(Integral, 2, 65535, closed="both")],
        "hessian": [StrOptions({"safe", "exact", "expected"})],
        "monotone": [dict, None],
    }

    n_estimators: int = 100
    learning_rate: float = 0.1
    max_leaves: int = 31
    max_depth: int | None = None
    min_child_samples: int = 20
    subsample: float = 1.0
    colsample: float = 1.0
    reg_lambda: float = 0.0
    max_bins: int = 255
    hessian: str = "safe"
    monotone: dict[Any, int] | None = None


@dataclass(kw_only=True)
class TreeParameters(Trees):
    """The same as one training takes them, with what else an engine needs to know."""

    random_state: int | None = None
    n_threads: int = 1
    engine_params: Mapping[str, Any] = field(default_factory=dict)
