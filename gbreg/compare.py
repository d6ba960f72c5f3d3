"""Many losses on one table: fit each on every engine asked for, and say which to use and whether its numbers hold."""

from __future__ import annotations

import csv
import inspect
import io
import json
import math
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone

from gbreg.engines import ENGINES, get_engine
from gbreg.estimators import GBRegressor
from gbreg.kernels import PARALLEL_ROWS
from gbreg.losses import Loss, get_loss, known_losses
from gbreg.losses.base import check_sample_weight
from gbreg.metrics import METRICS
from gbreg.tables import InputError, nearest, write_text

Floats = NDArray[np.float64]

# What is shown, in this order. Each is computed on the test rows, and its best value is known to `METRICS`.
SHOWN = ("mae", "rmse", "spearman", "normalized_gini", "pcoc", "over_2x", "under_2x", "decile_error")

# Ranking scores closer than this are treated as equal when a compromise is suggested.
NEAR = 0.01

# Variants for the default roster; a loss not named here is tried with its defaults.
_VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "huberpp": ({"link": "log"},),
    "am": ({"link": "log"},),
    "transformed_squared_error": ({}, {"smearing": False}),
}
# Losses that answer a question of their own: with default parameters each repeats a loss already in the roster.
_TWINS = {"quantile": "absolute_error", "expectile": "squared_error"}


@dataclass(frozen=True)
class Row:
    """One fitted model, measured on the test rows. `loss` is spelled as `parse_loss` reads it."""

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


@dataclass(frozen=True)
class Skipped:
    """A loss without a row, and why: its domain excludes the labels, or its fit failed. `engine` "" means every one."""

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

    @property
    def n_rows(self) -> int:
        return self.n_train + self.n_test

    @property
    def zeros_share(self) -> float:
        return self.n_zeros / self.n_rows


def loss_label(loss: Loss) -> str:
    """A loss as one word that `parse_loss` reads back: its name, and the parameters that differ from their defaults.

    >>> from gbreg.losses import Huberpp
    >>> loss_label(Huberpp(delta=0.3, link="log"))
    'huberpp:delta=0.3,link=log'
    """
    defaults = {k: p.default for k, p in inspect.signature(type(loss).__init__).parameters.items()}
    changed = {k: v for k, v in loss.get_params(deep=False).items() if v != defaults.get(k)}
    # get_params sorts by name; the signature's order puts what matters most first.
    parts = [f"{k}={_written(changed[k])}" for k in defaults if k in changed]
    return loss.name + (":" + ",".join(parts) if parts else "")


def _written(value: Any) -> str:
    if isinstance(value, bool | list) or value is None:
        return json.dumps(value)
    return str(value)


def parse_value(text: str) -> Any:
    """A parameter as written on the command line: a number, true, false, none, a JSON list, or a plain word.

    >>> parse_value("0.3"), parse_value("log"), parse_value("false")
    (0.3, 'log', False)
    """
    words = {"true": True, "false": False, "none": None, "null": None}
    if text.lower() in words:
        return words[text.lower()]
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def parse_loss(text: str, parameters: Mapping[str, Any] | None = None) -> Loss:
    """A loss from ``name`` or ``name:parameter=value,parameter=value``, with its parameters checked.

    Parameters
    ----------
    text : str
    parameters : mapping, optional
        Further parameters, which win over those in the text.

    Raises
    ------
    InputError
        For an unknown loss or parameter (the nearest is named), or a value that is not allowed.

    Examples
    --------
    >>> parse_loss("huberpp:delta=0.3,link=log")
    Huberpp(delta=0.3, link='log')
    """
    name, _, rest = text.partition(":")
    given: dict[str, Any] = {}
    for part in re.split(r",(?=\w+=)", rest) if rest else []:
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"loss {text!r}: {part!r} must be parameter=value, as in huberpp:delta=0.3,link=log")
        given[key.strip()] = parse_value(value.strip())
    given |= parameters or {}
    try:
        known = get_loss(name)._get_param_names()
        for key in given:
            if key not in known:
                raise InputError(f"loss {name!r} has no parameter {key!r}: {nearest(key, known)}It takes {', '.join(known)}")
        loss = get_loss(name, **given)
        loss.check_parameters()
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(" ".join(str(error).split())) from error
    return loss


def default_losses() -> tuple[list[Loss], list[Skipped]]:
    """The losses compared when none is named, and the built-in ones left out, with the reason.

    Every built-in loss with its defaults, except: `Huberpp` and `AM`, which are about relative errors, on the log link;
    the log-transformed squared error both smeared and not, because the raw one is what most teams run today; and
    `Quantile` and `Expectile`, which at their default level repeat the absolute and the squared error. One variant of
    each keeps the run short; others are a ``--loss`` away.
    """
    roster: list[Loss] = []
    left: list[Skipped] = []
    for name, cls in known_losses().items():
        if not cls.__module__.startswith("gbreg."):
            continue  # a user's own loss is tried when it is asked for
        if name in _TWINS:
            reason = f"at its default level it repeats {_TWINS[name]}: name it with a level, such as {name}:level=0.9"
            left.append(Skipped(name, "", reason))
            continue
        roster += [loss for parameters in _VARIANTS.get(name, ({},)) if _usable(loss := cls(**parameters))]
    return roster, left


def _usable(loss: Loss) -> bool:
    """Whether a loss is complete with its defaults; one that is made from a formula, for example, is not."""
    try:
        loss.check_parameters()
    except ValueError:
        return False
    return True


def installed_engines() -> list[str]:
    """The names of the engines whose package is installed.

    >>> "lightgbm" in installed_engines()
    True
    """
    return [name for name, engine in ENGINES.items() if find_spec(engine.module) is not None]


# -- the run ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Data:
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
    losses: Sequence[str | Loss | tuple[str | Loss, str]] | None = None,
    engines: Sequence[str] = ("lightgbm",),
    estimator: GBRegressor | None = None,
    on_fit: Callable[[int, int, str], None] | None = None,
) -> Leaderboard:
    """Fit every loss on every engine, and measure all of them on the same test rows.

    Parameters
    ----------
    train_X, test_X : tables or arrays
        Whatever `GBRegressor` takes, with the same columns.
    train_y, test_y : array-like of shape (n_train,) and (n_test,)
    sample_weight, test_weight : array-like, optional
        Weights of the train and of the test rows.
    losses : sequence of str or Loss, optional
        Names, the form ``huberpp:delta=0.3,link=log``, or instances; a pair (loss, engine) is tried on that engine only.
        Default: those of `default_losses`.
    engines : sequence of str, default ("lightgbm",)
    estimator : GBRegressor, optional
        Every other parameter (rounds, learning rate, seed, ...); its `loss` and `engine` are replaced.
    on_fit : callable, optional
        Called with (fits done, fits in all, what is being fitted) before every fit and after the last.

    Returns
    -------
    Leaderboard

    Raises
    ------
    ValueError
        Before training, for arguments that are not allowed. A loss whose domain excludes the labels, or whose fit
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
    data = _checked(train_X, train_y, sample_weight, test_X, test_y, test_weight)
    template = GBRegressor(random_state=0) if estimator is None else estimator
    template._validate_params()
    asked, skipped = default_losses() if losses is None else (losses, [])
    fitting, reasons = _plan(asked, engines, data.train_y)
    skipped = [*skipped, *reasons]
    rows: list[Row] = []
    for done, (loss, engine) in enumerate(fitting):
        if on_fit is not None:
            on_fit(done, len(fitting), f"{loss_label(loss)} on {engine}")
        outcome = _fit_one(clone(template).set_params(loss=loss, engine=engine), data)
        if isinstance(outcome, Row):
            rows.append(outcome)
        else:
            skipped.append(outcome)
    if on_fit is not None:
        on_fit(len(fitting), len(fitting), "done")
    return Leaderboard(
        rows=sorted(rows, key=_order),
        baseline=_baseline(data),
        skipped=skipped,
        profile=_profile(data),
        parameters={k: v for k, v in template.get_params(deep=False).items() if k not in ("loss", "engine")},
        loss_parameters={loss_label(loss): loss.to_json()["parameters"] for loss, _ in fitting},
    )


def _plan(losses: Sequence[Any], engines: Sequence[str], y: Floats) -> tuple[list[tuple[Loss, str]], list[Skipped]]:
    """Which loss is fitted on which engine, and which is not, because its domain excludes a label."""
    fitting: list[tuple[Loss, str]] = []
    excluded: dict[str, Skipped] = {}
    for asked in losses:
        given, own = (asked[0], [asked[1]]) if isinstance(asked, tuple) else (asked, engines)
        loss = parse_loss(given) if isinstance(given, str) else given
        reason = _excluded(loss, y)
        if reason is None:
            fitting += [(loss, engine) for engine in own]
        else:
            excluded[loss_label(loss)] = Skipped(loss_label(loss), "", reason)
    for engine in {engine for _, engine in fitting}:
        get_engine(engine).package()
    return fitting, list(excluded.values())


def _checked(train_X: Any, train_y: Any, train_weight: Any, test_X: Any, test_y: Any, test_weight: Any) -> _Data:
    y = {}
    weight = {}
    for side, labels, given in (("train", train_y, train_weight), ("test", test_y, test_weight)):
        values = np.asarray(labels, dtype=np.float64)
        if values.ndim != 1 or values.size == 0:
            raise ValueError(f"{side}_y must be one-dimensional and not empty, got shape {values.shape}")
        if not np.isfinite(values).all():
            raise ValueError(
                f"{side}_y: {(~np.isfinite(values)).sum():,} of {values.size:,} labels are NaN or infinite: drop them"
            )
        y[side] = values
        weight[side] = None if given is None else check_sample_weight(given, values.size, f"weights of the {side} rows")
    if (train_weight is None) != (test_weight is None):
        raise ValueError("sample_weight and test_weight go together: give both, or neither")
    return _Data(train_X, y["train"], weight["train"], test_X, y["test"], weight["test"])


def _excluded(loss: Loss, y: Floats) -> str | None:
    try:
        loss.check_parameters()
        loss.check_labels(y)
    except ValueError as error:
        return str(error)
    return None


def _fit_one(model: GBRegressor, data: _Data) -> Row | Skipped:
    label = loss_label(get_loss(model.loss))
    try:
        start = time.perf_counter()
        _warm_up(model, data.train_y)
        compiled = time.perf_counter()
        model.fit(data.train_X, data.train_y, data.train_weight)
        fitted = time.perf_counter()
        measured = _measure(data, model.predict(data.test_X))
    except Exception as error:  # one loss that fails must not cost the others their results
        return Skipped(label, model.engine, f"{type(error).__name__}: {' '.join(str(error).split())}")
    seconds = {"fit_seconds": fitted - compiled, "compile_seconds": compiled - start}
    return Row(label, model.engine, model.best_iteration_, model.native_, **measured, **seconds)


def _warm_up(model: GBRegressor, y: Floats) -> None:
    """One round on a few rows: compiles the loss for this engine, so that its fit is charged for training only."""
    n = min(y.size, 2 * PARALLEL_ROWS)
    # Evenly spaced in order of size: the extremes are among them, so labels that vary still do.
    few = np.sort(y)[np.linspace(0, y.size - 1, n).astype(np.int64)]
    clone(model).set_params(n_estimators=1).fit(np.linspace(0, 1, n).reshape(-1, 1), few)


def _measure(data: _Data, predicted: Floats) -> dict[str, float]:
    return {name: METRICS[name](data.test_y, predicted, data.test_weight) for name in SHOWN}


def _baseline(data: _Data) -> Row:
    mean = float(np.average(data.train_y, weights=data.train_weight))
    return Row("mean", "", 0, False, **_measure(data, np.full(data.test_y.size, mean)), fit_seconds=0.0, compile_seconds=0.0)


def _profile(data: _Data) -> Profile:
    y = np.concatenate([data.train_y, data.test_y])
    positive = y[y > 0]
    tail = float(np.quantile(positive, 0.99) / np.median(positive)) if positive.size else math.nan
    return Profile(
        n_train=data.train_y.size,
        n_test=data.test_y.size,
        n_features=_width(data.train_X),
        n_zeros=int((y == 0).sum()),
        n_negative=int((y < 0).sum()),
        mean_train=float(np.average(data.train_y, weights=data.train_weight)),
        mean_test=float(np.average(data.test_y, weights=data.test_weight)),
        p99_over_median=tail,
        zero_mae=METRICS["mae"](data.test_y, np.zeros(data.test_y.size), data.test_weight),
        weighted=data.train_weight is not None,
    )


def _width(X: Any) -> int:
    return int(X.shape[1]) if hasattr(X, "shape") else len(X[0])


def _order(row: Row) -> tuple[float, ...]:
    """Best ranking first: by normalised Gini where it has a value, then Spearman, then MAE."""
    return tuple(math.inf if math.isnan(v) else v for v in (-row.normalized_gini, -row.spearman, row.mae))


# -- results ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Leaderboard:
    """What `compare` measured.

    Parameters
    ----------
    rows : list of Row
        Best ranking first.
    baseline : Row
        The mean of the training labels, predicted for every row.
    skipped : list of Skipped
    profile : Profile
    parameters : dict
        Of `GBRegressor`, without loss and engine.
    loss_parameters : dict of str to dict
        Every parameter of every loss fitted, by label.
    """

    rows: list[Row]
    baseline: Row
    skipped: list[Skipped]
    profile: Profile
    parameters: dict[str, Any] = field(default_factory=dict)
    loss_parameters: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def ranking(self) -> str:
        """The metric that judges ranking: normalised Gini, or Spearman where labels are negative."""
        return "spearman" if math.isnan(self.baseline.normalized_gini) else "normalized_gini"

    @property
    def compile_seconds(self) -> float:
        """What compiling the losses took in all; no row's `fit_seconds` has a part of it."""
        return sum(row.compile_seconds for row in self.rows)

    def best(self, metric: str) -> Row | None:
        """The row with the best value of a metric (or the least ``"fit_seconds"``); None if it has a value nowhere.

        The baseline does not take part.
        """
        rows = [row for row in self.rows if not math.isnan(getattr(row, metric))]
        return min(rows, key=lambda row: badness(metric, getattr(row, metric)), default=None)

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON values (NaN becomes None)."""
        found: dict[str, Any] = _jsonable(asdict(self))
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
        parts = [f"# {title}", data_words(self), *notices]
        parts += ["## What the winners mean", "\n".join(winners(self)), "## What to choose", choice(self)]
        parts += ["## All results", _markdown_table(self)]
        if self.skipped:
            parts += ["## Not compared", "\n".join(f"- `{s.loss}`{_on(s.engine)}: {s.reason}" for s in self.skipped)]
        parts.append("## Reproduce")
        if command is not None:
            parts.append(f"    {command}")
        parts.append(", ".join(f"{name} {number}" for name, number in versions().items()) + ".")
        return "\n\n".join(parts) + "\n"


def badness(metric: str, value: float) -> float:
    """A value of a metric turned so that less is better; PCOC by its distance from 1 as a ratio."""
    if metric == "fit_seconds":
        return value
    if METRICS[metric].target is not None:
        return abs(math.log(value)) if value > 0 else math.inf
    return -value if METRICS[metric].greater_is_better else value


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


# -- words ------------------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Four significant digits, without an exponent where that is readable.

    >>> number(28.7123), number(0.70049), number(123456.7), number(1e-9)
    ('28.71', '0.7005', '123,457', '1e-09')
    """
    if math.isnan(value):
        return "-"
    size = abs(value)
    if size != 0 and not 1e-3 <= size < 1e9:
        return f"{value:.3g}"
    digits = 3 - math.floor(math.log10(size)) if size > 0 else 0
    return f"{value:,.{max(0, min(digits, 4))}f}"


def cell(metric: str, value: float) -> str:
    """A value as the leaderboard shows it."""
    if math.isnan(value):
        return "-"
    if metric in ("mae", "rmse"):
        return number(value)
    if metric in ("over_2x", "under_2x"):
        return f"{value:.1%}"
    if metric == "fit_seconds":
        return f"{value:.2f}" if value else "-"
    return f"{value:.3f}" if abs(value) < 100 else number(value)


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


def _on(engine: str) -> str:
    return f" on {engine}" if engine else ""


def _called(board: Leaderboard, row: Row) -> str:
    several = len({r.engine for r in board.rows}) > 1
    return f"`{row.loss}`" + (_on(row.engine) if several else "")


def sum_words(pcoc: float) -> str:
    """What a PCOC says about the sum of the predictions.

    >>> sum_words(0.4), sum_words(1.004)
    ('its sum is 60% low (PCOC 0.40)', 'its sum is right within 1% (PCOC 1.00)')
    """
    if math.isnan(pcoc):
        return "its sum cannot be judged (the labels sum to 0)"
    if pcoc <= 0:
        return f"its sum has the wrong sign or is 0 (PCOC {pcoc:.2f})"
    off = abs(pcoc - 1)
    if off < 0.01:
        return f"its sum is right within 1% (PCOC {pcoc:.2f})"
    if pcoc >= 2:
        return f"its sum is {pcoc:.1f} times the truth (PCOC {pcoc:.2f})"
    return f"its sum is {off:.0%} {'low' if pcoc < 1 else 'high'} (PCOC {pcoc:.2f})"


def _needs_calibration(pcoc: float) -> bool:
    return not 0.95 <= pcoc <= 1.05


def data_words(board: Leaderboard) -> str:
    """What the labels look like, and what that means for judging models."""
    p = board.profile
    zeros = f"{p.zeros_share:.0%} of the targets are 0 ({p.n_zeros:,})" if p.n_zeros else "No target is 0"
    said = [
        f"{p.n_rows:,} rows: {p.n_train:,} train, {p.n_test:,} test; {p.n_features} features{', weighted' * p.weighted}. "
        f"{zeros}; the mean is {number(p.mean_train)} in train and {number(p.mean_test)} in test; the 99th percentile of "
        f"the positive ones is {p.p99_over_median:.3g} times their median."
    ]
    if p.n_negative:
        said.append(f"{p.n_negative:,} targets are negative.")
    if p.zeros_share > 0.5:
        said.append(
            f"More than half are 0, so predicting 0 everywhere nearly wins the MAE (it has {number(p.zero_mae)}): judge by "
            f"{_RANKING[board.ranking]} together with PCOC."
        )
    if _needs_calibration(board.baseline.pcoc) and board.baseline.pcoc > 0:
        said.append(
            f"The mean moved by {1 / board.baseline.pcoc - 1:+.0%} from train to test: features can only partly "
            "follow such a drift, so expect the sum of every honest model to be off."
        )
    return " ".join(said)


_RANKING = {"normalized_gini": "normalised Gini", "spearman": "Spearman"}


def winners(board: Leaderboard) -> list[str]:
    """One sentence, a Markdown list item, on the best model by each metric."""
    if not board.rows:
        return ["- No model was fitted: see why below."]
    said = []
    ranked = board.best(board.ranking)
    if ranked is not None:
        said.append(_ranking_words(board, ranked))
    for metric, words in _WINS.items():
        row = board.best(metric)
        if row is not None:
            said.append(
                f"- {_called(board, row)} {words.format(cell(metric, getattr(row, metric)))}{_contrast(board, row, metric)}."
            )
    least = board.best("rmse")
    if least is not None and least.rmse >= board.baseline.rmse:
        said.append(
            f"- By RMSE no model beats the constant mean ({number(board.baseline.rmse)}): there a few huge rows decide, so "
            "look at ranking and sum."
        )
    wild = [_called(board, row) for row in board.rows if _wild(board, row)]
    if wild:
        names = ", ".join(wild[:3]) + (f" and {len(wild) - 3} more" if len(wild) > 3 else "")
        said.append(
            f"- By RMSE, {names} {'does' if len(wild) == 1 else 'do'} far worse than the constant mean "
            f"({number(board.baseline.rmse)}): some predictions are far off, or aim at something else than the mean."
        )
    return said


_WINS = {
    "pcoc": "has the sum closest to the truth (PCOC {})",
    "mae": "has the least MAE ({}): closest on the typical row; on skewed targets that rewards medians, whose sum is low",
    "rmse": "has the least RMSE ({}): closest to the mean, and the large rows decide",
    "decile_error": "is best calibrated level by level (decile error {}): small and large predictions add up to what came",
    "under_2x": "has the fewest rows underestimated by more than a factor 2 ({})",
    "over_2x": "has the fewest rows overestimated by more than a factor 2 ({}; any positive prediction for a 0 counts)",
}


def _ranking_words(board: Leaderboard, row: Row) -> str:
    score = f"{_RANKING[board.ranking]} {getattr(row, board.ranking):.2f}"
    if _needs_calibration(row.pcoc):
        return f"- {_called(board, row)} ranks best ({score}), but {sum_words(row.pcoc)}: calibrate before bidding with it."
    return f"- {_called(board, row)} ranks best ({score}), and {sum_words(row.pcoc)}: its numbers can be added up."


def _contrast(board: Leaderboard, row: Row, metric: str) -> str:
    """What the winner of one metric pays elsewhere."""
    if metric in ("mae", "over_2x", "under_2x", "rmse") and _needs_calibration(row.pcoc):
        return f"; {sum_words(row.pcoc)}"
    best = board.best(board.ranking)
    if metric != "pcoc" or best is None or best is row:
        return ""
    lost = getattr(best, board.ranking) - getattr(row, board.ranking)
    return f"; its {_RANKING[board.ranking]} is {lost:.3f} below the best" if lost >= 0.001 else ""


def choice(board: Leaderboard) -> str:
    """The trade-off between ranking and sum, and a place to start."""
    key, words = board.ranking, _RANKING[board.ranking]
    rows = [row for row in board.rows if not (math.isnan(row.pcoc) or math.isnan(getattr(row, key)))]
    rows = [row for row in rows if not _wild(board, row)] or rows
    if not rows:
        return "Ranking or sum has no value here (constant labels, or a sum of 0?): judge by MAE and RMSE."
    ranked = max(rows, key=lambda row: float(getattr(row, key)))
    summed = min(rows, key=lambda row: badness("pcoc", row.pcoc))
    near = [row for row in rows if getattr(row, key) >= getattr(ranked, key) - NEAR]
    both = min(near, key=lambda row: badness("pcoc", row.pcoc))
    mend = "on recent rows that no model saw: a monotone map keeps the order and mends the sum."
    if not _needs_calibration(both.pcoc):
        ranks = "it ranks best" if both is ranked else f"it ranks nearly as well as the best (within {NEAR} of its {words})"
        return f"Start with {_called(board, both)}: {ranks}, and {sum_words(both.pcoc)}."
    if _needs_calibration(summed.pcoc):
        return (
            f"No loss here gets the sum right. Start with {_called(board, both)}, which of those that rank best comes "
            f"nearest: {sum_words(both.pcoc)}. Calibrate it {mend}"
        )
    return (
        f"No loss here has both. To order rows, take {_called(board, ranked)}. For amounts that must add up, "
        f"take {_called(board, summed)}: {sum_words(summed.pcoc)}. Or calibrate {_called(board, ranked)} {mend}"
    )


def _wild(board: Leaderboard, row: Row) -> bool:
    """Whether predictions are so far off that a constant has a much smaller RMSE; on noisy tails a little is nothing."""
    return row.rmse > 1.2 * board.baseline.rmse


def _markdown_table(board: Leaderboard) -> str:
    columns = (*SHOWN, "fit_seconds")
    lines = ["| loss | engine | " + " | ".join(TITLES[c] for c in columns) + " |", "| --- " * (len(columns) + 2) + "|"]
    for row in (*board.rows, board.baseline):
        cells = [cell(c, getattr(row, c)) for c in columns]
        cells = [f"**{text}**" if board.best(c) is row else text for c, text in zip(columns, cells, strict=True)]
        lines.append(f"| `{row.loss}` | {row.engine or 'constant'} | " + " | ".join(cells) + " |")
    note = (
        "Best of each column in bold (PCOC: nearest to 1). Gini is normalised; PCOC is the sum of predictions over the sum "
        "of labels; over and under 2x are shares of rows off by more than a factor 2; decile error is the sum over ten "
        "groups by prediction of |predicted - observed|, over the total. Fit seconds are without compiling, which took "
        f"{board.compile_seconds:.1f} s in all."
    )
    return "\n".join(lines) + f"\n\n{note}"
