"""Models by name: how they are written on the command line, and which are compared when none is named."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from sklearn.base import clone

from gbreg._checks import nearest
from gbreg._errors import InputError
from gbreg.estimators import BY_WORD, GBRegressor
from gbreg.estimators.base import BOOSTING_PARAMETERS, BoostedRegressor
from gbreg.estimators.model import boosters_in, fitted_boosters_in
from gbreg.losses import Loss, get_loss, known_losses
from gbreg.losses.registry import ELSEWHERE

# Variants for the default roster; a loss not named here is tried with its defaults.
_VARIANTS: dict[str, tuple[dict[str, Any], ...]] = {
    "huberpp": ({"link": "log"},),
    "am": ({"link": "log"},),
    "transformed_squared_error": ({}, {"smearing": False}),
}
# The estimators of the default roster that are more than one loss.
_WORDS = ("hurdle:loss=gamma", *(word for word in BY_WORD if word not in ("hurdle", "d2q", "coldstart")))
# Losses that answer a question of their own: with default parameters each repeats a loss already in the roster.
_TWINS = {"quantile": "absolute_error", "expectile": "squared_error"}
# Losses that are parts of an estimator of the roster.
_PARTS = {
    "bernoulli": "it predicts a probability: it is the first part of hurdle, ziln and bucket",
    "log_normal": "it is the second part of ziln, which takes labels of 0",
    "ordinal_buckets": "it is what ordinal trains: name that, such as ordinal:n_buckets=32",
    "softmax_buckets": "it is what bucket trains: name that, such as bucket:n_buckets=32",
}


def model_label(model: Any) -> str:
    """A model as one word that `parse_model` reads back: its name, and the parameters that differ from their defaults.

    >>> from gbreg.estimators import BucketRegressor
    >>> from gbreg.losses import Huberpp
    >>> model_label(GBRegressor(Huberpp(delta=0.3, link="log"))), model_label(BucketRegressor(n_buckets=32))
    ('huberpp:delta=0.3,link=log', 'bucket:n_buckets=32')
    """
    return model.label()  # type: ignore[no-any-return]


def loss_label(loss: Loss) -> str:
    """The same for a loss.

    >>> from gbreg.losses import Huberpp
    >>> loss_label(Huberpp(delta=0.3, link="log"))
    'huberpp:delta=0.3,link=log'
    """
    return GBRegressor(loss).label()


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


def _parameters(text: str, known: list[str], given: Mapping[str, Any] | None) -> dict[str, Any]:
    """What follows the colon, with further parameters that win; `InputError` names the nearest known parameter."""
    name, _, rest = text.partition(":")
    found: dict[str, Any] = {}
    for part in re.split(r",(?=\w+=)", rest) if rest else []:
        key, equals, value = part.partition("=")
        if not equals:
            raise InputError(f"loss {text!r}: {part!r} must be parameter=value, as in huberpp:delta=0.3,link=log")
        found[key.strip()] = parse_value(value.strip())
    found |= given or {}
    for key in found:
        if key not in known:
            raise InputError(f"loss {name!r} has no parameter {key!r}: {nearest(key, known)}It takes {', '.join(known)}")
    return found


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
    name = text.partition(":")[0]
    try:
        loss = get_loss(name, **_parameters(text, get_loss(name)._get_param_names(), parameters))
        loss.check_parameters()
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(" ".join(str(error).split())) from error
    return loss


def parse_model(text: str, parameters: Mapping[str, Any] | None = None) -> Any:
    """An unfitted estimator from ``name`` or ``name:parameter=value,...``; raises as `parse_loss`.

    The name is that of a loss, or ``bucket``, ``ziln``, ``hurdle:loss=gamma``, ``d2q:group=column``.

    >>> parse_model("bucket:n_buckets=32,zeros=bucket")
    BucketRegressor(n_buckets=32, zeros='bucket')
    >>> parse_model("tweedie")
    GBRegressor(loss=Tweedie())
    """
    name = text.partition(":")[0]
    if name in known_losses() and name not in BY_WORD:
        return GBRegressor(parse_loss(text, parameters))
    if name not in BY_WORD:
        known = sorted({*known_losses(), *BY_WORD})
        several = [part.strip() for part in text.split(",")]
        if len(several) > 1 and {part.partition(":")[0] for part in several} <= {*known}:
            each = " ".join(f"--loss {part}" for part in several)
            raise InputError(f"loss={text!r} names {len(several)} losses: name each by itself ({each} on the command line)")
        raise InputError(
            f"loss={name!r} is not known: {nearest(ELSEWHERE.get(name.lower(), name), known)}Known are {', '.join(known)}, "
            "and your own once the module that defines it has been imported (gbreg --import MODULE on the command line)"
        )
    cls = BY_WORD[name]
    given = _parameters(text, cls.own_parameters(), parameters)
    try:
        return cls.of_word(given, parse_loss)
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(" ".join(str(error).split())) from error


def boosted_parts(model: Any) -> Iterator[BoostedRegressor]:
    """The estimators inside an unfitted model that take the parameters of boosting; itself, if it is one."""
    return boosters_in(model)


def fitted_parts(model: Any) -> Iterator[GBRegressor]:
    """The fitted `GBRegressor`s inside a fitted model."""
    return fitted_boosters_in(model)


def with_boosting(model: Any, template: BoostedRegressor | Mapping[str, Any], engine: str) -> Any:
    """A clone of the model whose every booster has what the template sets of boosting, on that engine.

    What an estimator leaves at `GBRegressor`'s default stays as the model has it: some models have defaults of their own. A
    dict sets all that it names.

    >>> from gbreg.estimators import BucketRegressor
    >>> [with_boosting(BucketRegressor(), t, "xgboost").reg_lambda for t in (GBRegressor(), {"reg_lambda": 0.0})]
    [100.0, 0.0]
    """
    model, usual = clone(model), GBRegressor()
    if isinstance(template, Mapping):
        shared = dict(template)
    else:
        given = {name: getattr(template, name) for name in BOOSTING_PARAMETERS}
        shared = {name: value for name, value in given.items() if value != getattr(usual, name)}
    for part in boosted_parts(model):
        part.set_params(**shared | {"engine": engine})
    return model


def default_models() -> tuple[list[Any], list[tuple[str, str]]]:
    """The models compared when none is named, and the built-in losses left out, each with the reason.

    Every built-in loss with its defaults, except: `Huberpp` and `AM`, which are about relative errors, on the log link;
    the log-transformed squared error both smeared and not, because the raw one is what most teams run today; `Quantile`
    and `Expectile`, which at their default level repeat the absolute and the squared error; and those that are parts of
    an estimator. Then the estimators of several parts. One variant of each keeps the run short; others are a ``--loss``
    away.
    """
    roster: list[Any] = []
    left: list[tuple[str, str]] = []
    for name, cls in known_losses().items():
        if not cls.__module__.startswith("gbreg.") or name in BY_WORD:
            continue  # a user's own loss is tried when it is asked for
        if name in _TWINS:
            reason = f"at its default level it repeats {_TWINS[name]}: name it with a level, such as {name}:level=0.9"
            left.append((name, reason))
        elif name in _PARTS:
            left.append((name, _PARTS[name]))
        else:
            losses = [cls(**parameters) for parameters in _VARIANTS.get(name, ({},))]
            roster += [GBRegressor(loss) for loss in losses if _usable(loss)]
    return [*roster, *(parse_model(name) for name in _WORDS)], left


def _usable(loss: Loss) -> bool:
    """Whether a loss is complete with its defaults; one that is made from a formula, for example, is not."""
    try:
        loss.check_parameters()
    except ValueError:
        return False
    return True
