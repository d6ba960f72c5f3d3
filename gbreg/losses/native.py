"""The built-in objective of an engine that trains a loss, in words that no engine owns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from gbreg._checks import Floats, nearest

# What an engine may have built in; another name would silently mean that none has it.
FORMS = (
    "squared_error",
    "absolute_error",
    "huber",
    "quantile",
    "expectile",
    "poisson",
    "gamma",
    "tweedie",
    "cross_entropy",
    "cross_entropies",
    "softmax",
)


def labels_as_given(y: Floats) -> tuple[Floats, Floats | None]:
    """What most native objectives train on: y itself, and weights as they are."""
    return y, None


@dataclass(frozen=True)
class NativeForm:
    """The engine-neutral name under which a booster may have this loss built in.

    Parameters
    ----------
    name : str
        Of `FORMS`, such as "squared_error" or "tweedie"; each engine maps it to its own objective, if it has one.
    parameters : dict
        For example ``{"delta": 1.0}``.
    labels : function of y
        Gives the labels that the engine trains on, shape (n_samples,) or (n_samples, n_outputs), and what the rows'
        weights are multiplied by, or None.
    largest_factor : float
        The most that these are multiplied by.
    """

    name: str
    parameters: dict[str, float | int] = field(default_factory=dict)
    labels: Callable[[Floats], tuple[Floats, Floats | None]] = labels_as_given
    largest_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.name not in FORMS:
            raise ValueError(
                f"NativeForm: name={self.name!r} is not known: {nearest(self.name, FORMS)}Use one of {', '.join(FORMS)}, or "
                "no native_form() where engines have none"
            )
