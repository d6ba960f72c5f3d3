"""Results of a comparison as CSV, JSON and Markdown."""

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
from gbreg._files import write_text
from gbreg.compare import words
from gbreg.compare.results import Results, Row
from gbreg.compare.shown import MEANINGS, TITLES, cell
from gbreg.engines import ENGINES


@dataclass(frozen=True)
class Leaderboard(Results):
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

    parameters: dict[str, Any] = field(default_factory=dict)
    loss_parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    predictions: dict[tuple[str, str, str], Floats] = field(default_factory=dict, repr=False)

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
        parts += ["## What the winners mean", _listed(words.winners(self, as_code))]
        parts += ["## What to choose", words.choice(self, as_code)]
        parts += ["## All results", _markdown_table(self)]
        if self.skipped:
            left = [f"{as_code(s.loss)}{words.on(s.engine)}: {s.reason}" for s in self.skipped]
            parts += ["## Not compared", _listed(left)]
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


def as_code(name: str) -> str:
    """A name as Markdown sets it off."""
    return f"`{name}`"


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown_table(board: Leaderboard) -> str:
    heads = ["family", "loss", "engine", *TITLES.values()]
    lines = [_line(heads), "| --- " * len(heads) + "|"]
    for row in (*board.rows, board.baseline):
        cells = [cell(c, getattr(row, c)) for c in TITLES]
        cells = [f"**{text}**" if board.best(c) is row else text for c, text in zip(TITLES, cells, strict=True)]
        read = f" {row.readout}" if row.readout else ""
        lines.append(_line([row.family, f"{as_code(row.loss)}{read}", row.engine or "constant", *cells]))
    note = (
        f"Best of each column in bold (PCOC: nearest to 1). {MEANINGS}. Rows of one fitted distribution say what was "
        "read of it: a log mean is in log units, and only ranks. Fit seconds are without compiling, which took "
        f"{board.compile_seconds:.1f} s in all."
    )
    return "\n".join(lines) + f"\n\n{note}"
