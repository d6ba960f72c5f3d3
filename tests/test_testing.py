"""check_loss passes every built-in loss and a user's own, and says what is wrong with a broken one."""

import gc
import math
from math import log, tanh

import numpy as np
import pytest

from gbreg.distribution import LogNormalDistribution
from gbreg.links import POSITIVE
from gbreg.losses import (
    AM,
    Huberpp,
    LogNormal,
    OrdinalBuckets,
    PointwiseLoss,
    SoftmaxBuckets,
    TransformedSquaredError,
    known_losses,
)
from gbreg.losses.vector import VectorLoss
from gbreg.testing import check_loss
from tests.cases import built_in

BUILT_IN = built_in() | built_in(VectorLoss)
LIKELIHOODS = ("log_normal", "ziln")


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_losses_pass(name):
    check_loss(BUILT_IN[name](), non_negative=name not in LIKELIHOODS)


@pytest.mark.parametrize(
    "loss",
    [
        SoftmaxBuckets(n_buckets=8, rank=None),
        SoftmaxBuckets(rank=4, basis="polynomial"),
        SoftmaxBuckets(rank=1),
        OrdinalBuckets(n_buckets=8, thresholds="independent"),
        OrdinalBuckets(spread=True),
    ],
    ids=str,
)
def test_other_vector_losses_pass(loss):
    check_loss(loss, engines=["lightgbm"])


def test_other_sigma_bounds_pass():
    check_loss(LogNormal(sigma_bounds=(0.3, 1.5)), non_negative=False, engines=["xgboost"])


@pytest.mark.parametrize(
    "loss",
    [
        Huberpp(delta=0.2, C=3.0, link="log"),
        Huberpp(label_floor=0.5),
        AM(s_high=0.3, s_low=2.0, link="log"),
        AM(link="log", gradient_on="raw", label_floor=1.0),
        TransformedSquaredError("power", 0.4),
    ],
    ids=str,
)
def test_other_parameters_pass(loss):
    check_loss(loss, engines=["lightgbm"])


class LogCosh(PointwiseLoss):
    """ln cosh of the difference in units of `width`."""

    functional = "between median and mean"
    parameter_domains = {"width": POSITIVE}
    unit_free = False

    def __init__(self, width=1.0, link="identity"):
        self.width = width
        self.link = link

    @staticmethod
    def row_value(y, mu, width):
        r = abs(mu - y) / width
        return r - log(2.0) + math.log1p(math.exp(-2.0 * r))

    @staticmethod
    def row_derivatives(y, mu, width):
        slope = tanh((mu - y) / width)
        return slope / width, (1.0 - slope * slope) / (width * width)


class Relative(PointwiseLoss):
    """Squared relative error, a correct loss that the broken ones below are made from."""

    y_domain = POSITIVE

    def __init__(self, link="identity"):
        self.link = link

    @staticmethod
    def row_value(y, mu):
        return 0.5 * ((mu - y) / y) ** 2

    @staticmethod
    def row_derivatives(y, mu):
        return (mu - y) / (y * y), 1.0 / (y * y)


class Scatter(VectorLoss):
    """Location m and log scale s of ln y, both free: a log-normal without bounds, less its constants."""

    n_outputs = 2
    functional = "distribution (mean)"
    y_domain = POSITIVE

    @staticmethod
    def row_value(y, raw, parameters, table, work):
        z = (log(y) - raw[0]) * math.exp(-raw[1])
        return raw[1] + 0.5 * z * z

    @staticmethod
    def row_derivatives(y, raw, parameters, table, gradient, hess, work):
        unit = math.exp(-raw[1])
        z = (log(y) - raw[0]) * unit
        gradient[0] = -z * unit
        gradient[1] = 1.0 - z * z
        hess[0] = unit * unit
        hess[1] = 2.0 * max(1.0, z * z)

    def best_raw(self, y, sample_weight):
        x = np.log(y)
        m = np.average(x, weights=sample_weight)
        return np.array([m, 0.5 * np.log(np.average((x - m) ** 2, weights=sample_weight))])

    def distribution(self, raw_prediction):
        return LogNormalDistribution(raw_prediction[:, 0], np.exp(raw_prediction[:, 1]))


@pytest.mark.parametrize("loss", [LogCosh(0.7), Relative(), Relative("log"), Scatter()], ids=str)
def test_a_loss_of_ones_own_passes(loss):
    state = dict(vars(loss))
    check_loss(loss, non_negative=not isinstance(loss, Scatter))
    assert vars(loss) == state


def broken_losses():
    """Made anew for each test and forgotten with it: a class that stays is known to `known_losses`."""

    class WrongSign(Relative):
        @staticmethod
        def row_derivatives(y, mu):
            return (y - mu) / (y * y), -1.0 / (y * y)

    class WrongSecond(Relative):
        @staticmethod
        def row_derivatives(y, mu):
            return (mu - y) / (y * y), 2.0 / (y * y)

    class WrongDomain(Relative):
        y_domain = PointwiseLoss.y_domain

    class OpenDomain(Relative):
        def check_labels(self, y):
            return np.asarray(y, dtype=float)

    class NotZero(Relative):
        @staticmethod
        def row_value(y, mu):
            return 1.0 + 0.5 * ((mu - y) / y) ** 2

    class Negative(Relative):
        @staticmethod
        def row_value(y, mu):
            return 0.5 * ((mu - y) / y) ** 2 - 1.0

    class WrongMinimizer(Relative):
        @staticmethod
        def row_minimizer(y):
            return 2.0 * y

    class WrongIntercept(Relative):
        def best_constant(self, y, sample_weight):
            return float(np.max(y))

    class ChangesParameters(Relative):
        def __init__(self, strength=1.0, link="identity"):
            self.strength = strength + 1.0
            self.link = link

    class Flat(Relative):
        """No gradient, so no curvature, beyond twice the label."""

        @staticmethod
        def row_value(y, mu):
            return 0.5 * min(abs(mu - y) / y, 1.0) ** 2

        @staticmethod
        def row_derivatives(y, mu):
            return ((mu - y) / (y * y), 1.0 / (y * y)) if abs(mu - y) < y else (0.0, 0.0)

    class TooBold(Relative):
        """Claims a hundredth of its curvature."""

        def step_bounds(self, learning_rate=0.1):
            return super().step_bounds(learning_rate)._replace(over=0.01, under=0.01)

    class Overshoots(Relative):
        """Claims its curvature at the first three looks, and a hundredth of it to the engine."""

        def gradient_hessian(self, y, raw_prediction, sample_weight=None, hessian="safe"):
            return Relative.gradient_hessian(Relative().fit(y), y, raw_prediction, sample_weight, hessian)

        def step_bounds(self, learning_rate=0.1):
            return super().step_bounds(learning_rate)._replace(over=0.01, under=0.01)

    return {name: cls for name, cls in locals().items() if isinstance(cls, type)}


def broken_vector_losses():
    right = Scatter.row_derivatives

    class WrongGradient(Scatter):
        @staticmethod
        def row_derivatives(y, raw, parameters, table, gradient, hess, work):
            right(y, raw, parameters, table, gradient, hess, work)
            gradient[1] *= 0.5

    class WrongOutput(Scatter):
        @staticmethod
        def row_derivatives(y, raw, parameters, table, gradient, hess, work):
            right(y, raw, parameters, table, gradient, hess, work)
            gradient[0], gradient[1] = gradient[1], gradient[0]

    class TooBoldInScale(Scatter):
        @staticmethod
        def row_derivatives(y, raw, parameters, table, gradient, hess, work):
            right(y, raw, parameters, table, gradient, hess, work)
            hess[1] *= 0.1

    class TooBoldInLocation(Scatter):
        @staticmethod
        def row_derivatives(y, raw, parameters, table, gradient, hess, work):
            right(y, raw, parameters, table, gradient, hess, work)
            hess[0] *= 0.1

    class NegativeCurvature(Scatter):
        @staticmethod
        def row_derivatives(y, raw, parameters, table, gradient, hess, work):
            right(y, raw, parameters, table, gradient, hess, work)
            hess[1] = 2.0 * gradient[1]

    class NoCurvature(Scatter):
        @staticmethod
        def row_derivatives(y, raw, parameters, table, gradient, hess, work):
            right(y, raw, parameters, table, gradient, hess, work)
            hess[1] = 0.0

    class Infinite(Scatter):
        @staticmethod
        def row_value(y, raw, parameters, table, work):
            return math.inf if y < 0.5 else raw[0]

    class WrongConstants(Scatter):
        def best_raw(self, y, sample_weight):
            return super().best_raw(y, sample_weight) + np.array([0.0, 0.5])

    class IgnoresWeights(Scatter):
        def best_raw(self, y, sample_weight):
            return super().best_raw(y, np.ones(y.size))

    class OpenVectorDomain(Scatter):
        def check_labels(self, y):
            return np.asarray(y, dtype=float)

    class SquaresWeights(Scatter):
        def value(self, y, raw_prediction, sample_weight=None):
            plain = super().value(y, raw_prediction)
            return plain if sample_weight is None else plain * np.square(sample_weight)

    class OneShort(Scatter):
        def predict(self, raw_prediction):
            return super().predict(raw_prediction)[1:]

    return {name: cls for name, cls in locals().items() if isinstance(cls, type)}


@pytest.fixture
def broken():
    yield broken_losses() | broken_vector_losses()
    gc.collect()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WrongSign", r"the gradient is not the derivative of the value: it is .* \(at y=.*, mu=.*; parameters {}\)"),
        ("WrongSecond", r"the second derivative is not the derivative of the gradient: it is .* \(at y=.*, mu="),
        ("WrongDomain", r"not finite at y=0, mu=.*: the formula does not hold on all of y_domain = \(-inf, inf\)"),
        ("OpenDomain", r"the label nan is accepted, though outside y_domain = \(0, inf\)"),
        ("NotZero", "value at the minimiser is 1, not 0"),
        ("Negative", "value .* is negative: pass non_negative=False"),
        ("WrongMinimizer", "is row_minimizer missing or wrong"),
        ("WrongIntercept", "the intercept .* is not the best constant: the mean loss there is"),
        ("ChangesParameters", "__init__ must only store them|constructor either does not set or modifies"),
        ("Flat", "safe Hessian is 0, not positive"),
        ("TooBold", "safe Hessian .* is less than the exact one"),
        ("Overshoots", "round .* on lightgbm raises the training loss from"),
    ],
)
def test_a_broken_loss_fails_with_the_reason(broken, name, text):
    with pytest.raises((AssertionError, ValueError, RuntimeError), match=text):
        check_loss(broken[name](), engines=["lightgbm"])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WrongGradient", r"the gradient is not the derivative of the value: it is .* \(at output 1, y=.*, raw scores \["),
        ("WrongOutput", r"the gradient is not the derivative of the value: it is .* \(at output 0, y="),
        (
            "TooBoldInScale",
            r"a step at learning rate 0\.[13] over leaves of \d+ rows raises their loss .* less curvature than",
        ),
        ("TooBoldInLocation", r"a step at learning rate 0\.[13] over leaves of \d+ rows raises their loss"),
        ("Infinite", "value is inf: the formula does not hold on all of y_domain"),
        ("NegativeCurvature", r"curvature is -.*, not a number >= 0 \(at output 1"),
        ("NoCurvature", r"curvature is 0 where the gradient is .* a leaf of such rows has no step \(at output 1"),
        ("WrongConstants", r"the intercept .*, .* is not the best constant: the mean loss there is .* at the raw score"),
        ("IgnoresWeights", r"the intercept .* of output 0 is not the best constant: the weighted gradients there sum to"),
        ("OpenVectorDomain", r"the label nan is accepted, though outside y_domain = \(0, inf\)"),
        ("SquaresWeights", r"value .* of a row of weight .* is not that many times"),
        ("OneShort", r"predict gives shape \(\d+,\), not one number a row"),
    ],
)
def test_a_broken_vector_loss_fails_with_the_reason(broken, name, text):
    with pytest.raises(AssertionError, match=text):
        check_loss(broken[name](), non_negative=False, engines=["lightgbm"])


def test_a_likelihood_is_told_that_it_may_be_negative():
    with pytest.raises(AssertionError, match=r"value .* is negative: pass non_negative=False"):
        check_loss(Scatter(), engines=[])


def test_a_likelihood_may_be_negative(broken):
    check_loss(broken["NotZero"](), non_negative=False, engines=[])
    check_loss(broken["Negative"](), non_negative=False, engines=[])


def test_labels_of_ones_own():
    check_loss(Relative(), y=np.geomspace(1e-3, 1e3, 60), engines=[])
    with pytest.raises(ValueError, match="Relative needs y in"):
        check_loss(Relative(), y=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0], engines=[])


def test_broken_losses_are_forgotten():
    broken_losses(), broken_vector_losses()
    gc.collect()
    assert not {"wrong_sign", "overshoots", "too_bold_in_scale"} & set(known_losses())
