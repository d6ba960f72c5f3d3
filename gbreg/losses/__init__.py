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
from gbreg.losses.expression import ExpressionLoss, from_expression
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
    "ExpressionLoss",
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
    "from_expression",
    "get_loss",
    "known_losses",
    "loss_from_json",
]
