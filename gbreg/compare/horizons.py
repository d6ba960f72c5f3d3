"""Models of one target at several horizons, each measured at every horizon on the same test rows."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gbreg._checks import Floats, check_horizons, check_sample_weight
from gbreg._files import write_text
from gbreg.compare import models
from gbreg.compare.leaderboard import Leaderboard
from gbreg.compare.results import Profile, Row, Skipped, measured
from gbreg.compare.run import Data, as_skipped, boosting_of, grouped, planned, trained, warm_up, width
from gbreg.estimators import GBRegressor, HorizonRegressor
from gbreg.estimators.cumulative import as_cumulative, check_known, increments
from gbreg.estimators.parts import check_constraints
from gbreg.metrics.base import quietly


@dataclass(frozen=True)
class HorizonLeaderboard:
    """What `compare_horizons` measured.

    Parameters
    ----------
    boards : dict of float to Leaderboard
        By horizon, each of the test rows known at it. All have the same models.
    predictions : dict of (loss, engine) to ndarray of shape (n_test, n_horizons)
        If asked for; not written to files.
    """

    boards: dict[float, Leaderboard]
    predictions: dict[tuple[str, str], Floats] = field(default_factory=dict, repr=False)

    def to_json(self, path: str | Path, **extra: Any) -> None:
        """The boards' `Leaderboard.to_dict` in the list "horizons", each with its "horizon", and further entries."""
        each = [{"horizon": h, **json.loads(board.to_json())} for h, board in self.boards.items()]
        write_text(path, json.dumps({"horizons": each, **extra}, indent=1, allow_nan=False) + "\n")

    def to_csv(self, path: str | Path) -> None:
        """The boards' rows, in a column "horizon" what each is of."""
        out = io.StringIO()
        writer = csv.DictWriter(out, ["horizon", *Row.__dataclass_fields__], lineterminator="\n")
        writer.writeheader()
        for h, board in self.boards.items():
            writer.writerows({"horizon": h, **asdict(row)} for row in (*board.rows, board.baseline))
        write_text(path, out.getvalue())

    def summary(self, title: str, command: str | None = None, notices: Sequence[str] = ()) -> str:
        """The boards' summaries as Markdown, one after the other; notices and command stand once."""
        last = list(self.boards)[-1]
        parts = [
            board.summary(f"{title}, horizon {h:.15g}", command if h == last else None, notices if not i else ())
            for i, (h, board) in enumerate(self.boards.items())
        ]
        return "\n".join(parts)


def compare_horizons(
    train_X: Any,
    train_y: ArrayLike,
    test_X: Any,
    test_y: ArrayLike,
    *,
    horizons: Sequence[float],
    sample_weight: ArrayLike | None = None,
    test_weight: ArrayLike | None = None,
    losses: Sequence[Any] | None = None,
    engines: Sequence[str] = ("lightgbm",),
    estimator: GBRegressor | Mapping[str, Any] | None = None,
    on_fit: Callable[[int, int, str], None] | None = None,
    keep_predictions: bool = False,
) -> HorizonLeaderboard:
    """Fit a `HorizonRegressor` of every model on every engine, and measure all of them at every horizon.

    Parameters
    ----------
    train_X, test_X : tables or arrays
        Whatever `GBRegressor` takes, with the same columns.
    train_y, test_y : array-like of shape (n_train, n_horizons) and (n_test, n_horizons)
        Sums up to each horizon, NaN where the window is not complete. Test rows count at the horizons they are known at.
    horizons : sequence of float
        Of the columns of y: positive and rising.
    sample_weight, test_weight : array-like, optional
    losses, engines, estimator, on_fit, keep_predictions
        As in `compare`.

    Returns
    -------
    HorizonLeaderboard
        Every model has one row a horizon: its own predictions, for of what is read from distributions only means add up.

    Raises
    ------
    ValueError
        Before training, for arguments that are not allowed. A model whose domain excludes an increment, or whose fit fails,
        is listed in `Leaderboard.skipped` instead.

    Examples
    --------
    >>> from gbreg.datasets import make_ltv
    >>> world = make_ltv(1000, horizons=(30, 60), random_state=0)
    >>> sides = [(world.data[world.split == s], world.target[world.split == s]) for s in ("train", "test")]
    >>> template = {"n_estimators": 5, "n_jobs": 1}
    >>> found = compare_horizons(*sides[0], *sides[1], horizons=(30, 60), losses=["poisson"], estimator=template)
    >>> [(h, board.rows[0].loss) for h, board in found.boards.items()]
    [(30, 'poisson'), (60, 'poisson')]
    """
    ends = check_horizons(horizons)
    labels, later, weight, later_weight = _checked(train_y, test_y, sample_weight, test_weight, ends)
    template = GBRegressor(random_state=0) if estimator is None else estimator
    shown = boosting_of(template)
    shown._validate_params()
    check_constraints(shown, train_X)
    left: list[tuple[str, str]] = []
    if losses is None:
        losses, left = models.default_models()
    added = increments(labels)
    of_all = Data(train_X, added[~np.isnan(added)], None, test_X, later, None)
    fitting, reasons = planned(losses, engines, of_all)
    skipped = [*(Skipped(name, "", reason) for name, reason in left), *reasons]
    rows: dict[float, list[Row]] = {h: [] for h in ends}
    predictions: dict[tuple[str, str], Floats] = {}
    for done, (model, engine) in enumerate(fitting):
        if on_fit is not None:
            on_fit(done, len(fitting), f"{model.label()} on {engine}")
        try:
            part = models.with_boosting(model, template, engine)
            predicted, numbers = _fitted(part, ends, of_all, labels, weight)
        except Exception as error:  # one model that fails must not cost the others their results
            skipped.append(as_skipped(model.label(), engine, error))
            continue
        for j, h in enumerate(ends):
            found = _measured(predicted[:, j], later[:, j], later_weight)
            rows[h].append(Row(model.label(), engine, **numbers, **found, family=model.family))
        if keep_predictions:
            predictions[model.label(), engine] = predicted
    if on_fit is not None:
        on_fit(len(fitting), len(fitting), "done")
    boards = {}
    for j, h in enumerate(ends):
        (y, w), (test, w_test) = _known(labels[:, j], weight), _known(later[:, j], later_weight)
        mean = _measured(np.full(len(later), np.average(y, weights=w)), later[:, j], later_weight)
        boards[h] = Leaderboard(
            rows=grouped(rows[h]),
            baseline=Row("mean", "", 0, False, **mean, fit_seconds=0.0, compile_seconds=0.0),
            skipped=skipped,
            profile=Profile.of(y, test, w, w_test, width(train_X)),
            parameters={k: v for k, v in shown.get_params(deep=False).items() if k not in ("loss", "engine")},
            loss_parameters={model.label(): model.told() for model, _ in fitting},
        )
    return HorizonLeaderboard(boards, predictions)


def _checked(
    train_y: Any, test_y: Any, sample_weight: Any, test_weight: Any, horizons: tuple[float, ...]
) -> tuple[Floats, Floats, Floats | None, Floats | None]:
    """Labels and weights of both sides; `ValueError` names the side."""
    if (sample_weight is None) != (test_weight is None):
        raise ValueError("sample_weight and test_weight go together: give both, or neither")
    y, weights = [], []
    for side, labels, given in (("train", train_y, sample_weight), ("test", test_y, test_weight)):
        try:
            y.append(as_cumulative(labels, "compare_horizons", horizons))
            check_known(y[-1], horizons)
        except ValueError as error:
            raise ValueError(f"{side}_y: {error}") from error
        weights.append(None if given is None else check_sample_weight(given, len(y[-1]), f"weights of the {side} rows"))
    return y[0], y[1], weights[0], weights[1]


def _fitted(
    part: Any, horizons: tuple[float, ...], data: Data, y: Floats, weight: Floats | None
) -> tuple[Floats, dict[str, Any]]:
    """Predictions of the test rows, and how the model was trained."""
    start = time.perf_counter()
    warm_up(part, data)
    compiled = time.perf_counter()
    model = HorizonRegressor(part, horizons).fit(data.train_X, y, weight)
    seconds = {"fit_seconds": time.perf_counter() - compiled, "compile_seconds": compiled - start}
    return model.predict(data.test_X), trained(model) | seconds


def _known(y: Floats, weight: Floats | None) -> tuple[Floats, Floats | None]:
    known = ~np.isnan(y)
    return y[known], None if weight is None else weight[known]


def _measured(predicted: Floats, y: Floats, weight: Floats | None) -> dict[str, Any]:
    truth, w = _known(y, weight)
    with quietly():  # the leaderboard shows what is missing
        return measured(truth, predicted[~np.isnan(y)], w)
