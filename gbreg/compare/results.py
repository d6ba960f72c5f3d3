"""What was measured of models on the same rows, and which is best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, make_dataclass
from typing import Any

import numpy as np

from gbreg._checks import Floats
from gbreg.compare.shown import SHOWN, TITLES, badness
from gbreg.metrics import METRICS
from gbreg.metrics.chance import chance_level


@dataclass(frozen=True)
class _Fitted:
    loss: str
    engine: str
    rounds: int
    native: bool


_Measured = make_dataclass("_Measured", [(metric, float) for metric in SHOWN], bases=(_Fitted,), frozen=True)


@dataclass(frozen=True)
class Row(_Measured):  # type: ignore[misc, valid-type]
    """One fitted model, measured on the test rows.

    `loss` is spelled as `parse_model` reads it. `readout` says what was read of a predicted distribution; "" where one
    number is predicted. Every metric of `SHOWN` is a field, between `native` and `fit_seconds`; one that does not apply is
    NaN.
    """

    fit_seconds: float
    compile_seconds: float
    family: str = ""
    readout: str = ""

    @property
    def name(self) -> str:
        """The model and, where there are several, what was read of it."""
        return f"{self.loss} ({self.readout})" if self.readout else f"{self.loss}"


def measured(y: Floats, predicted: Floats, sample_weight: Floats | None, metrics: Sequence[str] = SHOWN) -> dict[str, Any]:
    """Every shown metric, NaN for those that do not apply: all but `metrics`."""
    return {name: METRICS[name](y, predicted, sample_weight) if name in metrics else math.nan for name in SHOWN}


@dataclass(frozen=True)
class Skipped:
    """A model without a row, and why: its domain excludes the labels, or its fit failed. `engine` "" means every one."""

    loss: str
    engine: str
    reason: str


@dataclass(frozen=True)
class Profile:
    """What the labels look like; shares and quantiles are over train and test rows together, unweighted.

    `chance` is what the ranking of one in 40 random orders of the test rows exceeds, NaN where it is not known.
    """

    n_train: int
    n_test: int
    n_features: int
    n_zeros: int
    n_negative: int
    mean_train: float
    mean_test: float
    p99_over_median: float
    zero_mae: float
    weighted: bool
    chance: float = math.nan

    @classmethod
    def of(
        cls, train_y: Floats, test_y: Floats, train_weight: Floats | None, test_weight: Floats | None, n_features: int
    ) -> Profile:
        """Of these labels; those of train may be none."""
        y = np.concatenate([train_y, test_y])
        positive = y[y > 0]
        tail = float(np.quantile(positive, 0.99) / np.median(positive)) if positive.size else math.nan
        mean_test = float(np.average(test_y, weights=test_weight))
        chances = [chance_level(metric, (test_y, test_weight)) for metric in ("normalized_gini", "spearman")]
        return cls(
            n_train=train_y.size,
            n_test=test_y.size,
            n_features=n_features,
            n_zeros=int((y == 0).sum()),
            n_negative=int((y < 0).sum()),
            mean_train=float(np.average(train_y, weights=train_weight)) if train_y.size else mean_test,
            mean_test=mean_test,
            p99_over_median=tail,
            zero_mae=METRICS["mae"](test_y, np.zeros(test_y.size), test_weight),
            weighted=test_weight is not None,
            chance=next((level for level in chances if not math.isnan(level)), math.nan),
        )

    @property
    def n_rows(self) -> int:
        return self.n_train + self.n_test

    @property
    def zeros_share(self) -> float:
        return self.n_zeros / self.n_rows


@dataclass(frozen=True)
class Results:
    """Rows measured alike, and what to hold them against.

    Parameters
    ----------
    rows : list of Row
        Family by family, best ranking first.
    baseline : Row
        The mean of the training labels, predicted for every row.
    skipped : list of Skipped
    profile : Profile
    """

    rows: list[Row]
    baseline: Row
    skipped: list[Skipped]
    profile: Profile

    @property
    def ranking(self) -> str:
        """The metric that judges ranking: normalised Gini, or Spearman where labels are negative."""
        return "spearman" if math.isnan(self.baseline.normalized_gini) else "normalized_gini"

    @property
    def ranks_by_chance(self) -> bool:
        """Whether even the best ranking is none better than chance."""
        best = self.best(self.ranking)
        return best is not None and getattr(best, self.ranking) <= self.profile.chance

    @property
    def timed(self) -> bool:
        """Whether gbreg made the fits, and so knows what they took."""
        return any(not math.isnan(row.fit_seconds) for row in self.rows)

    @property
    def columns(self) -> list[str]:
        """The metrics shown and, where it is known, what the fits took."""
        return list(TITLES) if self.timed else list(SHOWN)

    @property
    def compile_seconds(self) -> float:
        """What compiling the losses took in all; no row's `fit_seconds` has a part of it."""
        return sum({(row.loss, row.engine): row.compile_seconds for row in self.rows}.values())

    def best(self, metric: str) -> Row | None:
        """The row with the best value of a metric (or the least ``"fit_seconds"``); None if it has a value nowhere.

        The baseline does not take part.
        """
        rows = [row for row in self.rows if not math.isnan(getattr(row, metric))]
        return min(rows, key=lambda row: badness(metric, getattr(row, metric)), default=None)
