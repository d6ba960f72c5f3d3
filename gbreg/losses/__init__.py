"""The losses, by class and by name."""

from gbreg.losses.base import (
    Choice,
    Integers,
    LogUniform,
    Loss,
    NativeForm,
    PointwiseLoss,
    Uniform,
    get_loss,
    known_losses,
    loss_from_json,
)
from gbreg.losses.buckets import SoftmaxBuckets
from gbreg.losses.expression import ExpressionLoss, from_expression
from gbreg.losses.likelihood import Gamma, Poisson, Tweedie
from gbreg.losses.lognormal import ZILN, LogNormal
from gbreg.losses.odds import WCE, Bernoulli, GeometricFit, as_classification, geometric_fit
from gbreg.losses.ordinal import OrdinalBuckets
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
from gbreg.losses.vector import VectorLoss

__all__ = [
    "AM",
    "WCE",
    "ZILN",
    "AbsoluteError",
    "Bernoulli",
    "Choice",
    "Expectile",
    "ExpressionLoss",
    "Gamma",
    "GeometricFit",
    "Huber",
    "Huberpp",
    "Integers",
    "LogNormal",
    "LogUniform",
    "Loss",
    "NativeForm",
    "OrdinalBuckets",
    "PointwiseLoss",
    "Poisson",
    "Quantile",
    "SoftmaxBuckets",
    "SquaredError",
    "TransformedSquaredError",
    "Tweedie",
    "Uniform",
    "VectorLoss",
    "as_classification",
    "from_expression",
    "geometric_fit",
    "get_loss",
    "known_losses",
    "loss_from_json",
]
