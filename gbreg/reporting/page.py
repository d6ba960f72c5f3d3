"""The report: one self-contained HTML page."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, check_sample_weight
from gbreg._tables import SplitRows
from gbreg.compare import TITLES, Leaderboard, Row, badness, choice, data_words, number, winners
from gbreg.compare.shown import MEANINGS
from gbreg.estimators.model import check_distributional
from gbreg.estimators.rows import given_to
from gbreg.metrics import segment_table, xauc
from gbreg.metrics.base import codes, quietly, sorted_once
from gbreg.reporting import drift, pictures
from gbreg.reporting.cells import leaderboard_cells, row_name
from gbreg.reporting.errors import Judge
from gbreg.reporting.horizons import report_horizons
from gbreg.reporting.scores import checked_labels, scored
from gbreg.reporting.template import check_installed, write_html

MOST_SEGMENTS = 15
MOST_SHIFTED = 12


def report(
    models: Any,
    X: Any,
    y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    segment: ArrayLike | None = None,
    train: tuple[Any, ArrayLike] | tuple[Any, ArrayLike, ArrayLike | None] | None = None,
    path: str | Path = "report.html",
    title: str = "Which predictions to trust",
) -> Path:
    """Write one HTML page on models and the rows they are judged by: what to pick, plots, segments, drift, parameters.

    The page needs no network, reads on a phone and in print, and its table can be sorted.

    Parameters
    ----------
    models : estimator, or mapping of str to estimator or array-like of the shape of y
        Fitted; or what anything else predicted for the rows of X.
    X : table or array of shape (n_samples, n_features), or None
        Rows that no model has seen; None, if all models are given as predictions.
    y : array-like of shape (n_samples,) or (n_samples, n_horizons)
        Of several horizons NaN where a window is not complete; the page then has a curve per horizon.
    sample_weight : array-like of shape (n_samples,), optional
    offset, exposure : array-like of shape (n_samples,), optional
        Of these rows, for the models that were fitted with them; all figures are of amounts.
    segment : array-like of shape (n_samples,), optional
        Countries, for example: the page lists those with the worst sums. Not of several horizons.
    train : (X, y) or (X, y, sample_weight), optional
        What the models were trained on, to compare with.
    path : str or Path, default "report.html"
    title : str

    Returns
    -------
    Path
        Of the page, which is written at once or not at all.

    Raises
    ------
    ValueError
        Before anything is written, for labels or predictions that are not finite, and for shapes that do not agree.
    ImportError
        Without jinja2 and matplotlib, which ``pip install "gbreg[report]"`` brings.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import gbreg
    >>> y = np.random.default_rng(0).exponential(size=500)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = gbreg.report({"low": np.full(500, 0.5), "noise": y * 1.1}, None, y, path=f"{folder}/report.html")
    ...     "PCOC" in path.read_text(encoding="utf-8")
    True
    """
    named = dict(models) if isinstance(models, Mapping) else {type(models).__name__: models}
    brought = {"offset": offset, "exposure": exposure}
    _check_brought(named, brought)
    if np.ndim(y) == 2:
        if segment is not None:
            raise ValueError("segment: a page of several horizons has none: leave it out, or give one column of y")
        trained = None if train is None else train[1]
        return report_horizons(named, X, y, sample_weight, trained, code=_code(named, X), path=path, title=title)
    labels = checked_labels(y, "y")
    predictions = {name: _predicted(name, model, X, labels.size, brought) for name, model in named.items()}
    train_y = None if train is None else checked_labels(train[1], "labels of train")
    n_features = len(drift.columns(X)) if X is not None else 0
    train_weight = train[2] if train is not None and len(train) == 3 else None
    board = scored(predictions, labels, sample_weight, train_y, train_weight, n_features)
    return write_page(
        board,
        predictions,
        labels,
        sample_weight=sample_weight,
        segment=segment,
        train_y=train_y,
        shifted=drift.shifted(train[0], X) if train is not None and X is not None else [],
        models={name: model for name, model in named.items() if hasattr(model, "predict")},
        X=X,
        brought=brought,
        code=_code(named, X, brought),
        path=path,
        title=title,
    )


def _check_brought(models: Mapping[str, Any], brought: Mapping[str, Any]) -> None:
    """`ValueError` for what no model was fitted with."""
    for name, values in brought.items():
        if values is not None and not any(name in given_to(model, brought) for model in models.values()):
            raise ValueError(f"{name}: no model was fitted with {name}=, leave it out")


def _predicted(name: str, model: Any, X: Any, n: int, brought: Mapping[str, Any]) -> Floats:
    if not hasattr(model, "predict"):
        return np.asarray(model, dtype=np.float64)
    if X is None:
        raise ValueError(f"X=None: model {name!r} is an estimator, which needs the rows to predict")
    predicted = np.asarray(model.predict(X, **given_to(model, brought)), dtype=np.float64)
    if predicted.shape != (n,):
        raise ValueError(f"X: model {name!r} predicts {predicted.shape[0]:,} rows of it, y has {n:,}")
    return predicted


def _code(models: Mapping[str, Any], X: Any, brought: Mapping[str, Any] = MappingProxyType({})) -> str:
    """The models as code to paste, and the call that wrote the page."""
    lines = [f"{_variable(name)} = {model!r}" for name, model in models.items() if hasattr(model, "predict")]
    given = [name for name, values in brought.items() if values is not None]
    if lines:
        beside = "".join(f", {name}={name}_train" for name in given)
        lines.append(f"# each fitted to the training rows: .fit(X_train, y_train{beside})")
    listed = ", ".join(f"{name!r}: {_variable(name)}" for name in models)
    beside = "".join(f", {name}={name}" for name in given)
    return "\n".join([*lines, f"gbreg.report({{{listed}}}, {'X' if X is not None else None}, y{beside})"])


def _variable(name: str) -> str:
    return re.sub(r"\W+", "_", name).strip("_").lower() or "model"


def write_page(
    board: Leaderboard,
    predictions: Mapping[str, Floats],
    y: Floats,
    *,
    sample_weight: ArrayLike | None = None,
    segment: ArrayLike | None = None,
    train_y: Floats | None = None,
    shifted: Sequence[tuple[str, float]] = (),
    models: Mapping[str, Any] | None = None,
    X: Any = None,
    brought: Mapping[str, Any] = MappingProxyType({}),
    code: str = "",
    path: str | Path = "report.html",
    title: str = "Which predictions to trust",
    notices: Sequence[str] = (),
) -> Path:
    """The page of a leaderboard whose rows were measured by these predictions, one array a row by the row's name.

    Those of rows that only rank (read as a log mean) are drawn by their order alone.
    """
    check_installed()
    weight = check_sample_weight(sample_weight, y.size)
    rows = {row_name(board, row): row for row in board.rows}
    amounts = {name: p for name, p in predictions.items() if name not in rows or rows[name].readout != "log_mean"}
    models = models or {}
    best = board.best(board.ranking) or board.rows[0]
    pairs, sure, drawn = {}, {}, {}
    overlays, of_models = pictures.Overlays(y, weight), pictures.OfModels(y, weight)
    with sorted_once(), quietly(), pictures.uncollected():
        judge = Judge(board.ranking, y, weight, predictions[row_name(board, best)])
        for name, p in predictions.items():  # model by model, so that each is sorted once
            pairs[name], sure[name] = xauc(y, p, weight), judge(p)
            overlays.add(name, p, amount=name in amounts)
            if name in amounts:
                drawn[name] = of_models.pictures(p, _distribution(models.get(name), X, brought))
        compared = overlays.pictures()
    won = winners(board)
    values = {
        "words": [data_words(board), *notices],
        "choice": choice(board),
        "winners": [*won[:1], *_chance(board, sure), *won[1:]],
        "meanings": MEANINGS,
        "heads": ["model", "XAUC", *(TITLES[metric] for metric in board.columns)],
        "rows": leaderboard_cells(board, pairs, sure),
        "overlays": compared,
        "models": [
            {
                "name": name,
                "note": _model_note(p),
                "pictures": drawn[name],
                "parameters": _parameters(models.get(name)) or _loss_parameters(board, rows.get(name)),
            }
            for name, p in amounts.items()
        ],
        "segments": None if segment is None else _segments(amounts, y, weight, segment),
        "labels": [drift.Labels.of(side, of) for side, of in (("train", train_y), ("test", y)) if of is not None],
        "label_shift": None if train_y is None else drift.label_shift(train_y, y),
        "shifted": [(name, value, _shift_word(value)) for name, value in shifted[:MOST_SHIFTED]],
        "n_shifted": sum(value > drift.MUCH for _, value in shifted),
        "skipped": board.skipped,
        "boosting": board.parameters,
        "code": code,
    }
    return write_html(path, "page.html", title, values)


def write_comparison(
    board: Leaderboard,
    rows: SplitRows,
    segment: ArrayLike | None,
    path: str | Path,
    *,
    title: str,
    command: str,
    notices: Sequence[str] = (),
) -> Path:
    """The page of what `gbreg.compare.compare` measured with ``keep_predictions=True``."""
    predictions = {row_name(board, row): board.predictions[row.loss, row.engine, row.readout] for row in board.rows}
    return write_page(
        board,
        predictions,
        rows.test_y,
        sample_weight=rows.test_weight,
        segment=segment,
        train_y=rows.train_y,
        shifted=drift.shifted(rows.train_X, rows.test_X),
        code=command,
        path=path,
        title=title,
        notices=notices,
    )


def _chance(board: Leaderboard, sure: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Whether the best ranking is better than the others by more than chance, where it is better than none."""
    best = board.best(board.ranking)
    others = [row for row in board.rows if row is not best and not math.isnan(getattr(row, board.ranking))]
    if best is None or not others or board.ranks_by_chance:
        return []
    lead = {row_name(board, row): getattr(best, board.ranking) - getattr(row, board.ranking) for row in others}
    near = [name for name, by in lead.items() if by <= 1.96 * sure[name]["behind"]]
    how = "(95%, compared on the same rows, which are taken as independent)"
    if not near:
        return [f"{row_name(board, best)} ranks better than every other model by more than chance {how}."]
    names = ", ".join(near[:5]) + (f" and {len(near) - 5} more" if len(near) > 5 else "")
    return [f"Within chance, {names} {'ranks' if len(near) == 1 else 'rank'} as well as {row_name(board, best)} {how}."]


def _model_note(predicted: Floats) -> str:
    low, middle, high = np.quantile(predicted, [0.0, 0.5, 1.0])
    return f"Predictions from {number(low)} to {number(high)}, median {number(middle)}."


def _distribution(model: Any, X: Any, brought: Mapping[str, Any]) -> Any:
    """What the model predicts of the whole distribution, None where it predicts none."""
    if model is None or X is None or not hasattr(model, "predict_distribution"):
        return None
    try:
        check_distributional(getattr(model, "best_estimator_", model))
    except TypeError:  # the method is there, but its loss or a part of it has none
        return None
    return model.predict_distribution(X, **given_to(model, brought))


def _parameters(model: Any) -> dict[str, str]:
    if model is None or not hasattr(model, "get_params"):
        return {}
    return {name: repr(value) for name, value in sorted(model.get_params(deep=False).items())}


def _loss_parameters(board: Leaderboard, row: Row | None) -> dict[str, str]:
    own = board.loss_parameters.get(row.loss, {}) if row is not None else {}
    return {name: repr(value) for name, value in own.items()}


def _segments(amounts: Mapping[str, Floats], y: Floats, weight: Floats | None, segment: ArrayLike) -> dict[str, Any]:
    """Segments, the worst of any model first, with every model's PCOC, small segments drawn toward all rows."""
    names, group = codes(segment, y, None, "segment")
    tables = {name: segment_table(y, p, weight, segment=group) for name, p in amounts.items()}
    first = next(iter(tables.values()))
    place = {name: {s: i for i, s in enumerate(table.segment.tolist())} for name, table in tables.items()}
    found = []
    for s, n, label in zip(first.segment.tolist(), first.rows, first.label, strict=True):
        ratios = [float(table.shrunk[place[name][s]]) for name, table in tables.items()]
        found.append((str(names[s]), int(n), float(label), ratios))
    # What a model does to all rows is no segment's: segments are ordered by the model that is worst at telling them apart.
    found.sort(key=lambda row: -max((badness("pcoc", r) for r in row[3] if not math.isnan(r)), default=0.0))
    return {"models": list(tables), "rows": found[:MOST_SEGMENTS], "total": len(found)}


def _shift_word(value: float) -> str:
    return "shifted" if value > drift.MUCH else "some" if value > drift.SOME else "stable"
