"""The losses, by class and by name."""

from gbreg.losses.base import (
    Choice,
    LogUniform,
    Loss,
    NativeForm,
    PointwiseLoss,
    Uniform,
    get_loss,
    known_losses,
    loss_from_json,
)
from gbreg.losses.likelihood import Gamma, Poisson, Tweedie
from gbreg.losses.pointwise import (
    AM,
    AbsoluteError,
    Expectile,
    Huber,
    Huberpp,
    Quantile,
    SquaredError,
    TransformedSquaredError,
)

__all__ = [
    "AM",
    "AbsoluteError",
    "Choice",
    "Expectile",
    "Gamma",
    "Huber",
    "Huberpp",
    "LogUniform",
    "Loss",
    "NativeForm",
    "PointwiseLoss",
    "Poisson",
    "Quantile",
    "SquaredError",
    "TransformedSquaredError",
    "Tweedie",
    "Uniform",
    "get_loss",
    "known_losses",
    "loss_from_json",
]
