"""Where tuning looks: the losses' own ranges, and a few of the boosters'."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from gbreg._checks import Floats, nearest
from gbreg.estimators.base import BoostedRegressor
from gbreg.losses import get_loss
from gbreg.losses.ranges import Choice, Integers, LogUniform, SearchSpace, Uniform

Range = Uniform | LogUniform | Integers | Choice

# What matters most to boosted trees, on every engine; the rounds are found by early stopping.
BOOSTING: SearchSpace = {
    "learning_rate": LogUniform(0.02, 0.3),
    "max_leaves": Integers(7, 255),
    "min_child_samples": Integers(5, 300),
    "subsample": Uniform(0.5, 1.0),
    "colsample": Uniform(0.4, 1.0),
    "reg_lambda": LogUniform(1e-3, 1e3),
}


class Suggests(Protocol):
    """The methods of an Optuna trial that are called."""

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float: ...

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int: ...

    def suggest_categorical(self, name: str, choices: Any) -> Any: ...


@dataclass(frozen=True)
class Space:
    """The ranges of an estimator's parameters, by the names that its `set_params` takes, and which are the losses'."""

    ranges: SearchSpace
    of_losses: frozenset[str]

    def kinds(self, prefix: str = "") -> dict[str, Any]:
        """Of each range what a study cannot change: the options of a choice, else whether it is of integers, or of logs."""
        known = self.ranges.items()
        return {prefix + k: _storable(r) if isinstance(r, Choice) else type(r).__name__ for k, r in known}

    def draw(self, trial: Suggests, prefix: str = "") -> dict[str, Any]:
        """One value of each."""
        return {name: _draw(trial, prefix + name, where) for name, where in self.ranges.items()}

    def read(self, parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """The values in what a trial has stored."""
        return {name: _read(parameters[prefix + name], where) for name, where in self.ranges.items()}

    def stored(self, parameters: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """The reverse of `read`: numbers outside their ranges as the nearest end, other such values left out."""
        known = {name: where for name, where in self.ranges.items() if name in parameters}
        found = {prefix + name: _stored(parameters[name], where) for name, where in known.items()}
        return {name: value for name, value in found.items() if value is not None}


def _draw(trial: Suggests, name: str, where: Range) -> Any:
    if isinstance(where, Choice):
        return _read(trial.suggest_categorical(name, _storable(where)), where)
    if isinstance(where, Integers):
        return trial.suggest_int(name, where.low, where.high, log=True)
    return trial.suggest_float(name, where.low, where.high, log=isinstance(where, LogUniform))


def _storable(choice: Choice) -> list[Any]:
    """The options as a study can store them: what is no number, text, truth value or None by its repr."""
    return [o if o is None or isinstance(o, bool | int | float | str) else repr(o) for o in choice.options]


def _read(stored: Any, where: Range) -> Any:
    return where.options[_storable(where).index(stored)] if isinstance(where, Choice) else stored


def _stored(value: Any, where: Range) -> Any:
    """How a study stores a value, or the nearest in its range; None where there is none."""
    if isinstance(where, Choice):
        return next((text for text, o in zip(_storable(where), where.options, strict=True) if repr(o) == repr(value)), None)
    return min(max(value, where.low), where.high) if isinstance(value, int | float) else None


def suggest(
    trial: Suggests, estimator: Any, *, y: ArrayLike | None = None, space: Mapping[str, Range | None] | None = None
) -> Any:
    """A clone of the estimator with parameters that an Optuna trial suggests: for study loops of your own.

    Parameters
    ----------
    trial : optuna.trial.Trial
    estimator : estimator
        A `GBRegressor`, a preset, or one made of others, whose parts are searched each by itself.
    y : array-like of shape (n_samples,), optional
        Training labels: ranges in the unit of the target follow them, and are left out without.
    space : dict, optional
        Ranges (`Uniform`, `LogUniform`, `Integers`, `Choice`) by parameter name, as `set_params` takes them: they replace
        the ranges of `search_space`, or add to them; None keeps the estimator's own value.

    Returns
    -------
    estimator
        Not fitted.

    Examples
    --------
    >>> import optuna
    >>> from gbreg import GBRegressor
    >>> trial = optuna.trial.FixedTrial({"loss__delta": 0.3, "learning_rate": 0.05})
    >>> keep = dict.fromkeys(("max_leaves", "min_child_samples", "subsample", "colsample", "reg_lambda"))
    >>> suggest(trial, GBRegressor("huberpp"), space=keep)
    GBRegressor(learning_rate=0.05, loss=Huberpp(delta=0.3))
    """
    return with_losses(estimator).set_params(**search_space(estimator, y=y, space=space).draw(trial))


def search_space(estimator: Any, *, y: ArrayLike | None = None, space: Mapping[str, Range | None] | None = None) -> Space:
    """The ranges that `suggest` draws from.

    Raises
    ------
    ValueError
        For an entry of `space` that names no parameter of the estimator, the nearest being named, or is no range.

    Examples
    --------
    >>> from gbreg import GBRegressor
    >>> search_space(GBRegressor("huberpp")).ranges["loss__delta"]
    LogUniform(low=0.05, high=20.0)
    """
    labels = None if y is None else np.asarray(y, dtype=np.float64)
    estimator = with_losses(estimator)
    found = _of(estimator, labels, "")
    known = estimator.get_params()
    ranges = {**found.ranges}
    for name, where in (space or {}).items():
        _check_entry(name, where, known)
        if where is None:
            ranges.pop(name, None)
        else:
            ranges[name] = where
    of_losses = {name for name in ranges if name in found.of_losses or "loss" in name.split("__")}
    return Space(ranges, frozenset(of_losses))


def _check_entry(name: str, where: Any, known: Mapping[str, Any]) -> None:
    if name not in known:
        inner = next((k for k in known if k.endswith(f"__{name}")), name)
        hint = nearest(name, known) or nearest(inner, known)
        raise ValueError(f"space: {name!r} is not a parameter of the estimator: {hint}It takes {', '.join(known)}")
    if where is not None and not isinstance(where, Range):
        raise ValueError(
            f"space[{name!r}]={where!r} must be Uniform, LogUniform, Integers or Choice, or None to keep the estimator's own"
        )


def with_losses(estimator: Any) -> Any:
    """A clone in which every loss is an instance, so that ``loss__delta`` can be set."""
    estimator = clone(estimator)
    for name, value in estimator.get_params().items():
        if name.split("__")[-1] == "loss" and isinstance(value, str):
            estimator.set_params(**{name: get_loss(value)})
    return estimator


def _of(estimator: Any, y: Floats | None, prefix: str) -> Space:
    ranges: dict[str, Range] = {}
    of_losses: dict[str, Range] = {}
    if isinstance(estimator, BoostedRegressor):
        inner, loss, labels = estimator.searched_loss(y)
        known = estimator.get_params()
        own = loss.search_space if labels is None else clone(loss).fit(labels).search_space
        of_losses = {prefix + inner + k: v for k, v in own.items() if inner + k in known}
        ranges = {prefix + name: where for name, where in BOOSTING.items()} | of_losses
    else:
        labels_of = getattr(estimator, "labels_of", lambda part, y: None)
        for name, part in estimator.get_params(deep=False).items():
            if hasattr(part, "get_params"):
                of_part = _of(part, None if y is None else labels_of(name, y), f"{prefix}{name}__")
                ranges |= of_part.ranges
                of_losses |= {k: of_part.ranges[k] for k in of_part.of_losses}
    return Space(ranges, frozenset(of_losses))
