"""What a comparison measured, as rows, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import io
import json
import math
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from gbreg._checks import Floats
from gbreg.compare import words
from gbreg.compare.words import badness, cell
from gbreg.engines import ENGINES
from gbreg.metrics import METRICS
from gbreg.tables import write_text

# What is shown, in this order. Each is computed on the test rows, and its best value is known to `METRICS`.
SHOWN = ("mae", "rmse", "spearman", "normalized_gini", "pcoc", "over_2x", "under_2x", "decile_error")
TITLES = {
    "mae": "MAE",
    "rmse": "RMSE",
    "spearman": "Spearman",
    "normalized_gini": "Gini",
    "pcoc": "PCOC",
    "over_2x": "over 2x",
    "under_2x": "under 2x",
    "decile_error": "decile error",
    "fit_seconds": "fit s",
}


@dataclass(frozen=True)
class Row:
    """One fitted model, measured on the test rows.

    `loss` is spelled as `parse_model` reads it. `readout` says what was read of a predicted distribution; "" where one
    number is predicted. A metric that does not apply is NaN.
    """

    loss: str
    engine: str
    rounds: int
    native: bool
    mae: float
    rmse: float
    spearman: float
    normalized_gini: float
    pcoc: float
    over_2x: float
    under_2x: float
    decile_error: float
    fit_seconds: float
    compile_seconds: float
    family: str = ""
    readout: str = ""

    @property
    def name(self) -> str:
        """The model and, where there are several, what was read of it."""
        return self.loss + (f" ({self.readout})" if self.readout else "")


@dataclass(frozen=True)
class Skipped:
    """A model without a row, and why: its domain excludes the labels, or its fit failed. `engine` "" means every one."""

    loss: str
    engine: str
    reason: str


@dataclass(frozen=True)
class Profile:
    """What the labels look like; shares and quantiles are over train and test rows together, unweighted."""

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

    @classmethod
    def of(
        cls, train_y: Floats, test_y: Floats, train_weight: Floats | None, test_weight: Floats | None, n_features: int
    ) -> Profile:
        """Of these labels; those of train may be none."""
        y = np.concatenate([train_y, test_y])
        positive = y[y > 0]
        tail = float(np.quantile(positive, 0.99) / np.median(positive)) if positive.size else math.nan
        mean_test = float(np.average(test_y, weights=test_weight))
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
        )

    @property
    def n_rows(self) -> int:
        return self.n_train + self.n_test

    @property
    def zeros_share(self) -> float:
        return self.n_zeros / self.n_rows


@dataclass(frozen=True)
class Leaderboard:
    """What `compare` measured.

    Parameters
    ----------
    rows : list of Row
        Family by family, best ranking first.
    baseline : Row
        The mean of the training labels, predicted for every row.
    skipped : list of Skipped
    profile : Profile
    parameters : dict
        Of `GBRegressor`, without loss and engine.
    loss_parameters : dict of str to dict
        Every parameter of every model fitted, but those of boosting, by label.
    predictions : dict of (loss, engine, readout) to ndarray of shape (n_test,)
        If asked for; not written to files.
    """

    rows: list[Row]
    baseline: Row
    skipped: list[Skipped]
    profile: Profile
    parameters: dict[str, Any] = field(default_factory=dict)
    loss_parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    predictions: dict[tuple[str, str, str], Floats] = field(default_factory=dict, repr=False)

    @property
    def ranking(self) -> str:
        """The metric that judges ranking: normalised Gini, or Spearman where labels are negative."""
        return "spearman" if math.isnan(self.baseline.normalized_gini) else "normalized_gini"

    @property
    def timed(self) -> bool:
        """Whether gbreg made the fits, and so knows what they took."""
        return any(not math.isnan(row.fit_seconds) for row in self.rows)

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

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON values (NaN becomes None)."""
        found: dict[str, Any] = _jsonable(asdict(replace(self, predictions={})))
        del found["predictions"]
        found["profile"] |= {"n_rows": self.profile.n_rows, "zeros_share": self.profile.zeros_share}
        return found | {"versions": versions()}

    def to_json(self, path: str | Path | None = None, **extra: Any) -> str:
        """`to_dict` with further top-level entries as JSON text, also written to `path` if one is given."""
        text = json.dumps(self.to_dict() | _jsonable(extra), indent=1, allow_nan=False) + "\n"
        if path is not None:
            write_text(path, text)
        return text

    def to_csv(self, path: str | Path | None = None) -> str:
        """The rows and, last, the baseline, as CSV text, also written to `path` if one is given."""
        out = io.StringIO()
        writer = csv.DictWriter(out, list(Row.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in (*self.rows, self.baseline))
        if path is not None:
            write_text(path, out.getvalue())
        return out.getvalue()

    def summary(self, title: str = "Losses compared", command: str | None = None, notices: Sequence[str] = ()) -> str:
        """What the numbers mean, as Markdown.

        Parameters
        ----------
        title : str
        command : str, optional
            What to run to get the same again.
        notices : sequence of str
            Said after the description of the data.
        """
        parts = [f"# {title}", words.data_words(self), *notices]
        parts += ["## What the winners mean", "\n".join(words.winners(self)), "## What to choose", words.choice(self)]
        parts += ["## All results", _markdown_table(self)]
        if self.skipped:
            parts += ["## Not compared", "\n".join(f"- `{s.loss}`{words.on(s.engine)}: {s.reason}" for s in self.skipped)]
        parts.append("## Reproduce")
        if command is not None:
            parts.append(f"    {command}")
        parts.append(", ".join(f"{name} {number}" for name, number in versions().items()) + ".")
        return "\n\n".join(parts) + "\n"


def versions() -> dict[str, str]:
    """Of Python, gbreg, and what trains."""
    found = {"python": platform.python_version()}
    for name in ("gbreg", "numpy", "numba", *(engine.module for engine in ENGINES.values())):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _jsonable(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else repr(value)


def _markdown_table(board: Leaderboard) -> str:
    columns = (*SHOWN, "fit_seconds")
    heads = ["family", "loss", "engine", *(TITLES[c] for c in columns)]
    lines = ["| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    for row in (*board.rows, board.baseline):
        cells = [cell(c, getattr(row, c)) for c in columns]
        cells = [f"**{text}**" if board.best(c) is row else text for c, text in zip(columns, cells, strict=True)]
        read = f" {row.readout}" if row.readout else ""
        lines.append(f"| {row.family} | `{row.loss}`{read} | {row.engine or 'constant'} | " + " | ".join(cells) + " |")
    note = (
        "Best of each column in bold (PCOC: nearest to 1). Gini is normalised; PCOC is the sum of predictions over the sum "
        "of labels; over and under 2x are shares of rows off by more than a factor 2; decile error is the sum over ten "
        "groups by prediction of |predicted - observed|, over the total. Rows of one fitted distribution say what was read "
        "of it: a log mean is in log units, and only ranks. Fit seconds are without compiling, which took "
        f"{board.compile_seconds:.1f} s in all."
    )
    return "\n".join(lines) + f"\n\n{note}"
