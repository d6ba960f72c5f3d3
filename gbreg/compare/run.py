"""Fit every model on the same rows, and measure all of them on the same test rows."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gbreg._checks import as_numbers, check_one_dimensional, check_sample_weight, nearest
from gbreg._kernels import PARALLEL_ROWS
from gbreg.compare import models
from gbreg.compare.leaderboard import Leaderboard
from gbreg.compare.results import Profile, Row, Skipped, measured
from gbreg.compare.shown import RANKING, SHOWN
from gbreg.engines import get_engine
from gbreg.estimators import GBRegressor
from gbreg.estimators.base import BOOSTING_PARAMETERS
from gbreg.estimators.parts import check_constraints
from gbreg.estimators.rows import carried_of, check_same, read_with
from gbreg.losses import Loss
from gbreg.metrics.base import quietly

Floats = NDArray[np.float64]

# What is read from a predicted distribution, and what each is measured by: a log mean is in log units, and only ranks.
READOUTS: Mapping[str, Sequence[str]] = {"mean": SHOWN, "median": SHOWN, "log_mean": RANKING}


@dataclass(frozen=True)
class Data:
    train_X: Any
    train_y: Floats
    train_weight: Floats | None
    test_X: Any
    test_y: Floats
    test_weight: Floats | None


def compare(
    train_X: Any,
    train_y: ArrayLike,
    test_X: Any,
    test_y: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    test_weight: ArrayLike | None = None,
    offset: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    test_offset: ArrayLike | None = None,
    test_exposure: ArrayLike | None = None,
    losses: Sequence[Any] | None = None,
    engines: Sequence[str] = ("lightgbm",),
    estimator: GBRegressor | Mapping[str, Any] | None = None,
    on_fit: Callable[[int, int, str], None] | None = None,
    keep_predictions: bool = False,
) -> Leaderboard:
    """Fit every model on every engine, and measure all of them on the same test rows.

    Parameters
    ----------
    train_X, test_X : tables or arrays
        Whatever `GBRegressor` takes, with the same columns.
    train_y, test_y : array-like of shape (n_train,) and (n_test,)
    sample_weight, test_weight : array-like, optional
        Weights of the train and of the test rows.
    offset, exposure, test_offset, test_exposure : array-like, optional
        What train and test rows bring beside their features, as in `fit`; all metrics are of amounts. A model that does not
        take them is listed in `Leaderboard.skipped`. The constant to beat is then one rate of exposure.
    losses : sequence of str, Loss or estimator, optional
        Names, the form ``huberpp:delta=0.3,link=log``, losses, or unfitted gbreg estimators; a pair (one of these, engine)
        is tried on that engine only. Default: those of `default_models`.
    engines : sequence of str, default ("lightgbm",)
    estimator : GBRegressor or dict, optional
        The parameters of boosting (rounds, learning rate, seed, ...) to set on all models: all that a dict names; of an
        estimator what differs from its defaults, and the rest stays as the models have it.
    on_fit : callable, optional
        Called with (fits done, fits in all, what is being fitted) before every fit and after the last.
    keep_predictions : bool, default False
        Whether `Leaderboard.predictions` holds what each row was measured by: eight bytes a test row each.

    Returns
    -------
    Leaderboard
        A model that predicts distributions has three rows: read as its mean, its median and its log mean.

    Raises
    ------
    ValueError
        Before training, for arguments that are not allowed. A model whose domain excludes the labels, or whose fit
        fails, is listed in `Leaderboard.skipped` instead.

    Examples
    --------
    >>> import numpy as np
    >>> X = np.arange(400.0).reshape(-1, 1)
    >>> y = np.floor(X[:, 0] / 100)
    >>> board = compare(X[::2], y[::2], X[1::2], y[1::2], losses=["squared_error", "gamma"], estimator=GBRegressor(n_jobs=1))
    >>> [row.loss for row in board.rows], [skipped.loss for skipped in board.skipped]
    (['squared_error'], ['gamma'])
    """
    train_X = read_with(train_X, {"offset": offset, "exposure": exposure})
    test_X = _like(train_X, test_X, {"offset": test_offset, "exposure": test_exposure})
    data = _checked(train_X, train_y, sample_weight, test_X, test_y, test_weight)
    template = GBRegressor(random_state=0) if estimator is None else estimator
    shown = boosting_of(template)
    shown._validate_params()
    check_constraints(shown, train_X)
    left: list[tuple[str, str]] = []
    if losses is None:
        losses, left = models.default_models()
    fitting, reasons = planned(losses, engines, data)
    skipped = [*(Skipped(name, "", reason) for name, reason in left), *reasons]
    rows: list[Row] = []
    predictions: dict[tuple[str, str, str], Floats] = {}
    for done, (model, engine) in enumerate(fitting):
        if on_fit is not None:
            on_fit(done, len(fitting), f"{model.label()} on {engine}")
        kept = predictions if keep_predictions else None
        outcome = _fit_one(models.with_boosting(model, template, engine), engine, data, kept)
        if isinstance(outcome, Skipped):
            skipped.append(outcome)
        else:
            rows += outcome
    if on_fit is not None:
        on_fit(len(fitting), len(fitting), "done")
    return Leaderboard(
        rows=grouped(rows),
        baseline=_baseline(data),
        skipped=skipped,
        profile=Profile.of(data.train_y, data.test_y, data.train_weight, data.test_weight, width(data.train_X)),
        parameters={k: v for k, v in shown.get_params(deep=False).items() if k not in ("loss", "engine")},
        loss_parameters={model.label(): model.told() for model, _ in fitting},
        predictions=predictions,
    )


def boosting_of(given: GBRegressor | Mapping[str, Any]) -> GBRegressor:
    if not isinstance(given, Mapping):
        return given
    for name in given:
        if name not in BOOSTING_PARAMETERS or name == "engine":
            raise ValueError(
                f"estimator={{{name!r}: ...}} is not a parameter of boosting that all models share: "
                f"{nearest(name, BOOSTING_PARAMETERS)}They are {', '.join(n for n in BOOSTING_PARAMETERS if n != 'engine')}"
            )
    return GBRegressor(**given)


def _as_model(given: Any) -> Any:
    if isinstance(given, str):
        return models.parse_model(given)
    return GBRegressor(given) if isinstance(given, Loss) else given


def _like(train_X: Any, test_X: Any, carried: Mapping[str, Any]) -> Any:
    """The test rows with what they bring, which must be what train rows do."""
    test_X = read_with(test_X, carried)
    check_same(set(carried_of(test_X)), set(carried_of(train_X)), "test_")
    return test_X


def planned(asked: Sequence[Any], engines: Sequence[str], data: Data) -> tuple[list[tuple[Any, str]], list[Skipped]]:
    """Which model is fitted on which engine, and which is not, because its domain excludes a label."""
    fitting: list[tuple[Any, str]] = []
    excluded: dict[str, Skipped] = {}
    for given in asked:
        which, own = (given[0], [given[1]]) if isinstance(given, tuple) else (given, engines)
        model = _as_model(which)
        reason = _excluded(model, data)
        if reason is None:
            fitting += [(model, engine) for engine in own]
        else:
            label = model.label()
            excluded[label] = Skipped(label, "", reason)
    for engine in {engine for _, engine in fitting}:
        get_engine(engine).package()
    return fitting, list(excluded.values())


def _excluded(model: Any, data: Data) -> str | None:
    try:
        model.check_labels(data.train_y)
        model.check_carried(carried_of(data.train_X))
    except ValueError as error:
        return str(error)
    return None


def _checked(train_X: Any, train_y: Any, train_weight: Any, test_X: Any, test_y: Any, test_weight: Any) -> Data:
    y = {}
    weight = {}
    for side, labels, given in (("train", train_y, train_weight), ("test", test_y, test_weight)):
        values = as_numbers(labels, f"{side}_y")
        if values.ndim == 2 and values.shape[1] > 1:
            raise ValueError(f"{side}_y has shape {values.shape}: several horizons are what compare_horizons takes")
        check_one_dimensional(values, f"{side}_y", empty=False)
        if not np.isfinite(values).all():
            raise ValueError(
                f"{side}_y: {(~np.isfinite(values)).sum():,} of {values.size:,} labels are NaN or infinite: drop them"
            )
        y[side] = values
        weight[side] = None if given is None else check_sample_weight(given, values.size, f"weights of the {side} rows")
    if (train_weight is None) != (test_weight is None):
        raise ValueError("sample_weight and test_weight go together: give both, or neither")
    return Data(train_X, y["train"], weight["train"], test_X, y["test"], weight["test"])


def _fit_one(model: Any, engine: str, data: Data, kept: dict[tuple[str, str, str], Floats] | None) -> list[Row] | Skipped:
    label = model.label()
    try:
        start = time.perf_counter()
        warm_up(model, data)
        compiled = time.perf_counter()
        model.fit(data.train_X, data.train_y, data.train_weight)
        fitted = time.perf_counter()
        readings = _readings(model, data)
        found = {readout: _measure(data, p, READOUTS.get(readout, SHOWN)) for readout, p in readings.items()}
    except Exception as error:  # one model that fails must not cost the others their results
        return as_skipped(label, engine, error)
    if kept is not None:
        kept |= {(label, engine, readout): predicted for readout, predicted in readings.items()}
    seconds = {"fit_seconds": fitted - compiled, "compile_seconds": compiled - start}
    return [
        Row(label, engine, **trained(model), **numbers, **seconds, family=model.family, readout=readout)
        for readout, numbers in found.items()
    ]


def trained(model: Any) -> dict[str, Any]:
    """Rounds of a fitted model, and whether the engines' own objectives trained it."""
    parts = list(model.fitted_boosters())
    return {
        "rounds": max((part.best_iteration_ for part in parts), default=0),
        "native": all(part.native_ for part in parts),
    }


def as_skipped(label: str, engine: str, error: Exception) -> Skipped:
    return Skipped(label, engine, f"{type(error).__name__}: {' '.join(str(error).split())}")


def _readings(model: Any, data: Data) -> dict[str, Floats]:
    """The predictions of every readout; of "" where the model predicts one number."""
    if not hasattr(model, "predict_distribution"):
        return {"": model.predict(data.test_X)}
    return {readout: model.predict(data.test_X, readout) for readout in READOUTS}


def warm_up(model: Any, data: Data) -> None:
    """One round on a few rows: compiles the loss for this engine, so that its fit is charged for training only."""
    y, n = data.train_y, min(data.train_y.size, 2 * PARALLEL_ROWS)
    # Evenly spaced in order of size: the extremes are among them, so labels that vary still do.
    few = np.sort(y)[np.linspace(0, y.size - 1, n).astype(np.int64)]
    model = model.columnless()
    for part in model.boosters():
        part.set_params(n_estimators=1, monotone=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would say nothing of the table
        model.fit(np.linspace(0, 1, n).reshape(-1, 1), few, **{name: np.ones(n) for name in carried_of(data.train_X)})


def _measure(data: Data, predicted: Floats, metrics: Sequence[str]) -> dict[str, Any]:
    with quietly():  # the leaderboard shows what is missing
        return measured(data.test_y, predicted, data.test_weight, metrics)


def _baseline(data: Data) -> Row:
    seen, asked = (carried_of(X).get("exposure", np.ones(y.size)) for X, y in _sides(data))
    rate = float(np.average(data.train_y, weights=data.train_weight) / np.average(seen, weights=data.train_weight))
    numbers = _measure(data, rate * asked, SHOWN)
    return Row("mean", "", 0, False, **numbers, fit_seconds=0.0, compile_seconds=0.0)


def _sides(data: Data) -> tuple[tuple[Any, Floats], ...]:
    return (data.train_X, data.train_y), (data.test_X, data.test_y)


def width(X: Any) -> int:
    return int(X.shape[1]) if hasattr(X, "shape") else len(X[0])


def _order(row: Row) -> tuple[float, ...]:
    """Best ranking first: by normalised Gini where it has a value, then Spearman, then MAE."""
    return tuple(math.inf if math.isnan(v) else v for v in (-row.normalized_gini, -row.spearman, row.mae))


def grouped(rows: Sequence[Row]) -> list[Row]:
    """Family by family, the best first, and so within each."""
    best: dict[str, tuple[float, ...]] = {}
    for row in rows:
        best[row.family] = min(best.get(row.family, _order(row)), _order(row))
    return sorted(rows, key=lambda row: (best[row.family], row.family, _order(row)))
