"""What a study searches: one estimator, or several that differ in their losses, as one conditional space."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from gbreg.compare.models import default_models, parse_model, with_boosting
from gbreg.estimators import GBRegressor, HurdleRegressor
from gbreg.estimators.base import BOOSTING_PARAMETERS, BoostedRegressor
from gbreg.estimators.model import boosters_in
from gbreg.links import REALS
from gbreg.losses import Loss
from gbreg.losses.ranges import Choice
from gbreg.tuning.space import BOOSTING, Range, Space, Suggests, search_space, with_losses

# What the choice of a model is called in a study, and the links that are tried of a loss named without one.
RECIPE = "recipe"
LINKS = ("identity", "log")


@dataclass(frozen=True)
class Search:
    """The models of a study by their labels, with their own ranges, and the ranges of boosting that all share.

    Parameters
    ----------
    models : dict of {str: (estimator, Space)}
    shared : Space
    skipped : list of (label, reason)
        Models that cannot take the labels.
    """

    models: Mapping[str, tuple[Any, Space]]
    shared: Space = field(default_factory=lambda: Space({}, frozenset()))
    skipped: Sequence[tuple[str, str]] = ()

    @property
    def tunes_losses(self) -> bool:
        return len(self.models) > 1 or any(space.of_losses for _, space in self.models.values())

    def kinds(self) -> dict[str, Any]:
        """Of all ranges, by the names that a study stores them by."""
        own = [space.kinds(self._prefix(label)) for label, (_, space) in self.models.items()]
        return {k: kind for kinds in (self.shared.kinds(), *own) for k, kind in kinds.items()}

    def draw(self, trial: Suggests) -> Any:
        """An unfitted model with the parameters that a trial suggests."""
        choice = _choice(self.models)
        label = next(iter(self.models)) if choice is None else trial.suggest_categorical(RECIPE, choice.options)
        _, space = self.models[label]
        return self._made(label, space.draw(trial, self._prefix(label)), self.shared.draw(trial))

    def read(self, parameters: Mapping[str, Any]) -> Any:
        """The same from what the trial has stored."""
        label = parameters.get(RECIPE, next(iter(self.models)))
        _, space = self.models[label]
        return self._made(label, space.read(parameters, self._prefix(label)), self.shared.read(parameters))

    def starts(self) -> list[dict[str, Any]]:
        """Every model as it is given, or as near to that as the ranges allow, as trials store it."""
        starts = []
        for label, (model, space) in self.models.items():
            choice = {RECIPE: label} if len(self.models) > 1 else {}
            boosting = next(boosters_in(model)).get_params()
            own = space.stored(model.get_params(), self._prefix(label))
            starts.append({**choice, **self.shared.stored(boosting), **own})
        return starts

    def parameters(self, stored: Mapping[str, Any]) -> dict[str, Any]:
        """A trial's parameters as values that `set_params` takes; of several models with the choice, and no prefix."""
        label = stored.get(RECIPE, next(iter(self.models)))
        own = self.models[label][1].read(stored, self._prefix(label))
        return {**({RECIPE: label} if RECIPE in stored else {}), **self.shared.read(stored), **own}

    def _prefix(self, label: str) -> str:
        return f"{label}." if len(self.models) > 1 else ""

    def _made(self, label: str, own: dict[str, Any], shared: dict[str, Any]) -> Any:
        model = clone(self.models[label][0]).set_params(**own)
        for part in boosters_in(model) if shared else ():
            part.set_params(**shared)
        return model


def _choice(models: Mapping[str, Any]) -> Choice | None:
    return Choice(tuple(models)) if len(models) > 1 else None


def one(estimator: Any, y: ArrayLike, every: ArrayLike, space: Mapping[str, Range | None] | None) -> Search:
    """The search over one estimator's parameters; `y` are the labels that train, `every` those of the last fit."""
    search_space(estimator, y=every)  # raises before the first trial what the last fit would
    return Search({"": (with_losses(estimator), search_space(estimator, y=y, space=space))})


def several(
    template: Any,
    losses: str | Sequence[Any],
    y: ArrayLike,
    every: ArrayLike,
    space: Mapping[str, Range | None] | None = None,
    functional: str = "mean",
    carried: Collection[str] = (),
) -> Search:
    """The search over models that differ in their losses; what the template sets of boosting holds for all.

    Parameters
    ----------
    template : estimator
        A `GBRegressor` or a preset.
    losses : "all", or sequence of str, Loss or estimator
        Names as on the command line (``"huberpp"``, ``"huberpp:link=log"``, ``"bucket"``), losses, estimators. Of a loss
        named without a link several are tried; those that take no labels of 0 are tried as the second part of a hurdle
        where there are any. "all" is `gbreg.compare.default_models`.
    y, every : array-like of shape (n_samples,)
        The labels that train, which ranges follow, and those of the last fit, which a model must take too.
    space : dict, optional
        Ranges of the parameters of boosting, which all models share, and of a model's own by its label and name, such as
        ``"huberpp.loss__delta"``.
    functional : str
        What estimators that predict distributions read of them, where they are named and the name does not say.
    carried : collection of str
        What rows bring beside their features, which a model must take: "offset", "exposure".

    Raises
    ------
    ValueError
        For a template that is no booster, where no loss takes the labels, and for ranges of what is not searched.
    """
    if not isinstance(template, BoostedRegressor):
        raise ValueError(f"losses= need an estimator with the parameters of boosting, got {type(template).__name__}")
    roster = default_models()[0] if isinstance(losses, str) and losses == "all" else losses
    if isinstance(roster, str) or not isinstance(roster, Iterable) or not roster:
        example = roster if isinstance(roster, str) else "huber"
        raise ValueError(f"losses={roster!r} must be 'all', or a list such as [{example!r}, 'tweedie']")
    models: dict[str, tuple[Any, Space]] = {}
    skipped = []
    for model in (variant for entry in roster for variant in _variants(entry, losses == "all", functional)):
        model = _behind_hurdle(model, every)
        label = _label(model)
        model = with_losses(with_boosting(model, template, template.engine))
        try:
            model.check_carried(carried)
            search_space(model, y=every)
            known = search_space(model, y=y)
        except ValueError as error:
            skipped.append((label, str(error)))
            continue
        if label in models and repr(models[label][0]) != repr(model):
            raise ValueError(
                f"losses: two models are {label!r} and differ only in boosting or calibration: tune each by itself"
            )
        models[label] = (model, _own(known))
    if not models:
        reasons = "; ".join(f"{label}: {reason}" for label, reason in skipped)
        raise ValueError(f"losses: none of the {len(skipped)} takes these labels: {reasons}")
    asked = _by_label(space or {})
    _check_asked(asked, models, dict(skipped))
    for label in asked.keys() & models.keys():
        model, _ = models[label]
        models[label] = (model, _own(search_space(model, y=y, space=asked[label])))
    return Search(models, search_space(GBRegressor(), space=asked.get("")), skipped)


def _label(model: Any) -> str:
    label = model.label() if hasattr(model, "label") else ""
    if not label:
        raise ValueError(
            f"losses: {type(model).__name__} has no name on the command line, by which recipes are told apart: give losses, "
            "GBRegressor, HurdleRegressor, D2QRegressor or presets, or tune it by itself"
        )
    return label


def _own(known: Space) -> Space:
    """Without the parameters of boosting that models share."""
    own = {k: v for k, v in known.ranges.items() if k.split("__")[-1] not in BOOSTING or k in known.of_losses}
    return Space(own, known.of_losses)


def _by_label(space: Mapping[str, Range | None]) -> dict[str, dict[str, Range | None]]:
    """Ranges by the label before the last point of their names, which may have points too; "" for what models share.

    >>> _by_label({"max_depth": None, "tweedie:power=1.5.learning_rate": None})
    {'': {'max_depth': None}, 'tweedie:power=1.5': {'learning_rate': None}}
    """
    found: dict[str, dict[str, Range | None]] = {}
    for entry, where in space.items():
        label, _, name = entry.rpartition(".")
        found.setdefault(label, {})[name] = where
    return found


def _check_asked(asked: Mapping[str, Mapping[str, Any]], models: Mapping[str, Any], skipped: Mapping[str, str]) -> None:
    for label, ranges in asked.items():
        if label in skipped:
            raise ValueError(f"space: {label!r} is not searched: {skipped[label]}")
        if label and label not in models:
            raise ValueError(f"space: {label!r} is no recipe of this search: {', '.join(models)}")
        for name in ranges:
            boosting = name.split("__")[-1] in BOOSTING_PARAMETERS
            if label and boosting:
                raise ValueError(f"space: '{label}.{name}': recipes share the parameters of boosting: name them without one")
            if not (label or boosting):
                having = [known for known, (model, _) in models.items() if name in model.get_params()] or list(models)
                raise ValueError(
                    f"space: {name!r} is no parameter of boosting, which recipes share: name the recipe that it is for, as "
                    f"in '{having[0]}.{name}'. Recipes are {', '.join(models)}"
                )


def _behind_hurdle(model: Any, y: ArrayLike) -> Any:
    """The model, as the second part of a hurdle where only labels of 0 are outside its loss's domain."""
    labels, domain = np.asarray(y, dtype=np.float64), getattr(model, "y_domain", REALS)
    outside = labels[~domain.contains(labels)]
    return HurdleRegressor(GBRegressor("bernoulli"), model) if outside.size and not outside.any() else model


def _variants(entry: Any, expand: bool, functional: str) -> list[Any]:
    """Models of an entry: one on each link, where none is named."""
    model = parse_model(entry) if isinstance(entry, str) else GBRegressor(entry) if isinstance(entry, Loss) else entry
    if hasattr(model, "functional") and (expand or (isinstance(entry, str) and "functional=" not in entry)):
        return [clone(model).set_params(functional=functional)]
    named = isinstance(entry, str) and ":" not in entry
    known = with_losses(model).get_params()
    if not ((named or expand) and "loss__link" in known):
        return [model]
    links = [known["loss__link"], *(link for link in LINKS if link != known["loss__link"])]
    return [with_losses(model).set_params(loss__link=link) for link in links]
