"""Losses by name, and out of JSON: the built-in ones and the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from sklearn.base import clone

from gbreg._checks import nearest
from gbreg._own_classes import not_imported, own_module
from gbreg.links import get_link
from gbreg.losses.base import BUILT_IN, Loss


def known_losses() -> dict[str, type[Loss]]:
    """Every concrete loss class defined so far, by name: the built-in ones and the user's own."""
    found: dict[str, type[Loss]] = {}
    waiting: list[Any] = [Loss]
    while waiting:
        cls = waiting.pop(0)
        waiting += cls.__subclasses__()
        refused = own_module(cls) and cls.name in BUILT_IN  # such a class lives on as long as its traceback
        if not (inspect.isabstract(cls) or refused):
            found[cls.name] = cls
    return found


def get_loss(loss: str | Loss, **parameters: Any) -> Loss:
    """The loss of that name with these parameters; an instance as it is or, with parameters, an unfitted clone of it.

    >>> get_loss("huberpp", delta=0.3)
    Huberpp(delta=0.3)
    """
    if isinstance(loss, Loss):
        return clone(loss).set_params(**parameters) if parameters else loss
    return _known(loss)(**parameters)


# What other libraries call losses that are built in here.
ELSEWHERE = dict.fromkeys(("mse", "rmse", "l2", "regression"), "squared_error") | dict.fromkeys(
    ("mae", "l1", "regression_l1"), "absolute_error"
)


def _known(name: Any) -> type[Loss]:
    known = known_losses()
    if name in known:
        return known[name]
    asked = str(name).lower()
    raise ValueError(
        f"loss={name!r} is not known: {nearest(ELSEWHERE.get(asked, asked), known)}Known are {', '.join(sorted(known))}. "
        "Your own loss is known once the module that defines its class has been imported"
    )


def loss_from_json(data: Mapping[str, Any]) -> Loss:
    """Rebuild a loss, fitted or not, from `Loss.to_json`; `ValueError` where its class has not been imported."""
    module, found = data.get("module"), known_losses().get(data["loss"])
    if module is not None and (found is None or not own_module(found)):
        raise ValueError(not_imported(f"loss {data['loss']!r}", module))
    parameters = {k: get_link(v) if isinstance(v, dict) and "link" in v else v for k, v in data["parameters"].items()}
    loss = _known(data["loss"])(**parameters)
    loss.restore(data["state"])
    return loss
