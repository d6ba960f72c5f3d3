"""The losses, by class and by name."""

# In this order `known_losses` has them, and by it a stored study knows its choices: after the two kinds, by file.
from gbreg.losses.base import Loss
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.vector import VectorLoss

# isort: split
from gbreg.losses.buckets import SoftmaxBuckets
from gbreg.losses.expression import ExpressionLoss, from_expression
from gbreg.losses.likelihood import Gamma, Poisson, Tweedie
from gbreg.losses.lognormal import ZILN, LogNormal
from gbreg.losses.odds import WCE, Bernoulli, GeometricFit, as_classification, geometric_fit
from gbreg.losses.ordinal import OrdinalBuckets

# isort: split
from gbreg.losses.errors import AbsoluteError, Expectile, Huber, Quantile, SquaredError
from gbreg.losses.native import NativeForm
from gbreg.losses.ranges import Choice, Integers, LogUniform, Uniform
from gbreg.losses.registry import get_loss, known_losses, loss_from_json
from gbreg.losses.relative import AM, Huberpp
from gbreg.losses.transformed import TransformedSquaredError

# isort: split
from gbreg.losses.cloglog import Cloglog

__all__ = [
    "AM",
    "WCE",
    "ZILN",
    "AbsoluteError",
    "Bernoulli",
    "Choice",
    "Cloglog",
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
