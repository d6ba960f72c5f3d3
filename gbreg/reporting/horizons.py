"""The page of one target at several horizons: a table of them, and for each model a curve per horizon."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, as_numbers, check_horizons, check_sample_weight
from gbreg._tables import SplitRows
from gbreg.compare import HorizonLeaderboard, Leaderboard, choice
from gbreg.compare.shown import MEANINGS, TITLES
from gbreg.estimators import HorizonRegressor
from gbreg.estimators.cumulative import as_cumulative
from gbreg.metrics import by_horizon, crossing_share, xauc
from gbreg.metrics.base import quietly, sorted_once
from gbreg.plots import style
from gbreg.reporting import drift, pictures
from gbreg.reporting.cells import Cell, leaderboard_cells, row_name
from gbreg.reporting.errors import Judge
from gbreg.reporting.scores import scored
from gbreg.reporting.template import check_installed, write_html


def report_horizons(
    models: Mapping[str, Any],
    X: Any,
    y: ArrayLike,
    sample_weight: ArrayLike | None,
    train_y: ArrayLike | None,
    **page: Any,
) -> Path:
    """The page of `gbreg.report` where y has several columns."""
    fitted = [model for model in models.values() if isinstance(model, HorizonRegressor)]
    labels = as_numbers(y, "y")
    horizons = check_horizons(fitted[0].horizons if fitted else range(1, labels.shape[1] + 1))
    labels = as_cumulative(labels, "report", horizons)
    trained = None if train_y is None else as_cumulative(train_y, "report", horizons)
    weight = None if sample_weight is None else check_sample_weight(sample_weight, len(labels))
    predictions = {name: _predicted(name, model, X, labels) for name, model in models.items()}
    boards = {}
    for j, horizon in enumerate(horizons):
        known = ~np.isnan(labels[:, j])
        if not known.any():
            raise ValueError(f"y: no row is known at horizon {horizon:.15g}: leave that horizon out, or judge by older rows")
        boards[horizon] = scored(
            {name: p[known, j] for name, p in predictions.items()},
            labels[known, j],
            None if weight is None else weight[known],
            None if trained is None else trained[~np.isnan(trained[:, j]), j],
        )
    return write_horizons(boards, predictions, labels, sample_weight=weight, train_y=trained, **page)


def _predicted(name: str, model: Any, X: Any, y: Floats) -> Floats:
    if hasattr(model, "predict") and X is None:
        raise ValueError(f"X=None: model {name!r} is an estimator, which needs the rows to predict")
    found = np.asarray(model.predict(X) if hasattr(model, "predict") else model, dtype=np.float64)
    if found.shape != y.shape:
        raise ValueError(f"model {name!r} predicts the shape {found.shape}, y has {y.shape}: a column for each horizon")
    return found


def write_horizon_comparison(
    found: HorizonLeaderboard, rows: SplitRows, path: str | Path, *, title: str, command: str, notices: Sequence[str] = ()
) -> Path:
    """The page of what `gbreg.compare.compare_horizons` measured with ``keep_predictions=True``."""
    first = next(iter(found.boards.values()))
    return write_horizons(
        found.boards,
        {row_name(first, row): found.predictions[row.loss, row.engine] for row in first.rows},
        rows.test_y,
        sample_weight=rows.test_weight,
        train_y=rows.train_y,
        code=command,
        path=path,
        title=title,
        notices=notices,
    )


def write_horizons(
    boards: Mapping[float, Leaderboard],
    predictions: Mapping[str, Floats],
    y: Floats,
    *,
    sample_weight: ArrayLike | None = None,
    train_y: Floats | None = None,
    code: str = "",
    path: str | Path = "report.html",
    title: str = "Which predictions to trust",
    notices: Sequence[str] = (),
) -> Path:
    """The page of leaderboards, one for each horizon, whose rows were measured by these predictions.

    Parameters
    ----------
    boards : mapping of float to Leaderboard
        By horizon, in the order of the columns of y.
    predictions : mapping of str to ndarray of shape (n_samples, n_horizons)
        By the names of the boards' rows.
    y : ndarray of shape (n_samples, n_horizons)
        NaN where a window is not complete.
    """
    check_installed()
    weight = check_sample_weight(sample_weight, len(y))
    known = {h: np.flatnonzero(~np.isnan(y[:, j])) for j, h in enumerate(boards)}
    table: list[list[Cell]] = []
    with sorted_once(), quietly(), pictures.uncollected():
        for j, (h, board) in enumerate(boards.items()):
            at = known[h]
            table += _rows(h, board, {name: p[at, j] for name, p in predictions.items()}, y[at, j], weight[at])
        models = [{"name": name, "pictures": _curves(p, y, weight, known)} for name, p in predictions.items()]
        overall = _over_horizons(list(boards), predictions, y, weight)
    first = next(iter(boards.values()))
    values = {
        "notices": notices,
        "crossings": [(name, crossing_share(p)) for name, p in predictions.items() if crossing_share(p) > 0],
        "choices": [(h, choice(board)) for h, board in boards.items()],
        "meanings": MEANINGS,
        "heads": ["model", "horizon", "XAUC", *(TITLES[metric] for metric in first.columns)],
        "rows": sorted(table, key=lambda row: row[0].text == "constant mean"),  # which stay last
        "overall": overall,
        "models": models,
        "labels": [
            drift.Labels.of(f"{side}, horizon {h:.15g}", of[~np.isnan(of[:, j]), j])
            for side, of in (("train", train_y), ("test", y))
            if of is not None
            for j, h in enumerate(boards)
        ],
        "n_test": len(y),
        "n_train": None if train_y is None else len(train_y),
        "skipped": first.skipped,
        "boosting": first.parameters,
        "code": code,
    }
    return write_html(path, "horizons.html", title, values)


def _rows(h: float, board: Leaderboard, predictions: Mapping[str, Floats], y: Floats, weight: Floats) -> list[list[Cell]]:
    """The leaderboard's lines, with the horizon beside the name."""
    best = board.best(board.ranking) or board.rows[0]
    judge = Judge(board.ranking, y, weight, predictions[row_name(board, best)])
    pairs = {name: xauc(y, p, weight) for name, p in predictions.items()}
    lines = leaderboard_cells(board, pairs, {name: judge(p) for name, p in predictions.items()})
    return [[line[0], Cell(f"{h:.15g}", h), *line[1:]] for line in lines]


def _curves(predicted: Floats, y: Floats, weight: Floats, known: Mapping[float, Any]) -> list[tuple[str, str, str]]:
    last = known[list(known)[-1]]
    overlays = pictures.Overlays(y[last, -1], weight[last])
    for j, (h, at) in enumerate(known.items()):
        overlays.add(f"horizon {h:.15g}", predicted[at, j], rows=(y[at, j], weight[at]))
    return overlays.pictures()


def _over_horizons(
    horizons: list[float], predictions: Mapping[str, Floats], y: Floats, weight: Floats
) -> list[tuple[str, str, str]]:
    """Sum and ranking of all models along the horizons."""
    found = []
    for metric, ylabel, words, best in (
        ("pcoc", "PCOC", "The sum of predictions over that of labels: at 1 amounts add up.", 1.0),
        ("normalized_gini", "normalised Gini", "How well rows are ranked: higher is better.", None),
    ):
        figure = pictures.blank()
        (ax,) = figure.axes
        if best is not None:
            style.reference(ax, "predicted = observed", np.array(horizons), np.full(len(horizons), best))
        for name, p in predictions.items():
            ax.plot(
                horizons, by_horizon(metric, y, p, weight), marker="o", label=pictures.shortened(name), **style.next_look(ax)
            )
        ax.set_xticks(horizons, [f"{h:.15g}" for h in horizons])
        style.finish(ax, "horizon", ylabel)
        found.append((f"{ylabel} at each horizon", words, pictures.finished(figure)))
    return found
