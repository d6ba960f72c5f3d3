"""A battery of checks for a loss of your own: everything that gbreg's tests ask of its built-in losses.

>>> from math import exp, log
>>> from gbreg.links import POSITIVE
>>> from gbreg.losses import PointwiseLoss
>>> from gbreg.testing import check_loss
>>> class SquaredLogError(PointwiseLoss):
...     y_domain = POSITIVE
...     functional = "geometric mean"
...     coordinate = "log_mu"
...     link = "log"
...     @staticmethod
...     def row_value(y, eta):
...         return 0.5 * (eta - log(y)) ** 2
...     @staticmethod
...     def row_derivatives(y, eta):
...         return eta - log(y), 1.0
>>> check_loss(SquaredLogError(), engines=["lightgbm"])
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from gbreg.engines import ENGINES
from gbreg.estimators import GBRegressor
from gbreg.kernels import map_scalar
from gbreg.losses import PointwiseLoss, loss_from_json
from gbreg.losses.base import Floats, label_scale
from gbreg.persistence import load

__all__ = ["check_loss"]

EPS = float(np.finfo(np.float64).eps)


def check_loss(
    loss: PointwiseLoss,
    *,
    y: ArrayLike | None = None,
    non_negative: bool = True,
    engines: Sequence[str] | None = None,
    random_state: int = 0,
) -> None:
    """Check a loss on rows of its own and, through a small training, on every engine that is installed.

    What is checked: labels outside `y_domain` are refused; the value is finite, and 0 at its minimum; the gradient is
    the derivative of the value, and the exact Hessian that of the gradient; the gradient points away from the
    minimiser; the safe Hessian is positive; weights multiply; the intercept is the best constant; parameters, fit and
    predictions survive `sklearn.base.clone` and JSON; on each engine no round raises the training loss, and the saved
    model predicts the same.

    Parameters
    ----------
    loss : PointwiseLoss
        Not changed: the checks work on clones.
    y : array-like of shape (n_samples,), optional
        Labels to check on; by default drawn from `y_domain`, ends included where they belong to it.
    non_negative : bool, default True
        False for a likelihood, whose value at its minimum is not 0.
    engines : sequence of str, optional
        By default, all that are installed; an empty sequence trains nothing.
    random_state : int, default 0

    Raises
    ------
    AssertionError
        For the first property that fails: which, at which y and mu, with which parameters.
    ValueError
        If the parameters are not allowed, or the loss cannot be fitted to labels of its own domain.

    Examples
    --------
    >>> from gbreg.losses import Huberpp
    >>> check_loss(Huberpp(delta=0.3, link="log"), engines=[])
    """
    rng = np.random.default_rng(random_state)
    labels = _labels(loss, rng) if y is None else np.asarray(y, dtype=np.float64)
    _check_clone(loss)
    _check_domain(loss, labels)
    rows = _Rows(_fitted(loss, labels), labels)
    _check_values(rows, non_negative)
    _check_derivatives(rows)
    _check_curvature(rows)
    _check_weights(rows, rng)
    _check_intercept(rows)
    _check_json(rows)
    installed = [name for name, engine in ENGINES.items() if find_spec(engine.module) is not None]
    for name in installed if engines is None else engines:
        _check_training(loss, labels, name, rng)


def _labels(loss: PointwiseLoss, rng: np.random.Generator) -> Floats:
    """120 labels inside the domain, on two scales, with the ends that belong to it."""
    low, high = loss.y_domain.low, loss.y_domain.high
    if np.isfinite(low) and np.isfinite(high):
        y = low + (high - low) * rng.beta(0.7, 0.7, 120)
    elif np.isfinite(low):
        y = low + rng.lognormal(0.0, 1.2, 120)
    elif np.isfinite(high):
        y = high - rng.lognormal(0.0, 1.2, 120)
    else:
        y = rng.normal(0.5, 1.0, 120) * rng.lognormal(0.0, 1.0, 120)
        # A log link cannot express a mean below 0.
        y = np.abs(y) if loss.link_.range.low >= 0 else y
        y[:3] = 0.0
    if loss.y_domain.low_closed:
        y[:6] = low
    if loss.y_domain.high_closed:
        y[6:12] = high
    return np.asarray(y, dtype=np.float64)


def _fitted(loss: PointwiseLoss, labels: Floats) -> PointwiseLoss:
    try:
        return clone(loss).fit(labels)  # type: ignore[no-any-return]
    except (ValueError, ArithmeticError) as error:
        # Is there one label for which the formula does not hold?
        for y in np.unique(labels):
            alone = clone(loss).fit([y, y])
            g = alone.gradient_hessian(np.full(labels.size, y), alone.to_raw(labels))[0]
            if not np.isfinite(g).all():
                wrong = labels[~np.isfinite(g)][0]
                raise AssertionError(
                    f"{loss!r}: the gradient is not finite at y={y:.6g}, mu={wrong:.6g}: the formula does not hold on all "
                    f"of y_domain = {loss.y_domain} (parameters {alone.kernel_parameters()})"
                ) from error
        raise


class _Rows:
    """A fitted loss with a grid of labels and raw scores, and how to say which row fails."""

    def __init__(self, loss: PointwiseLoss, labels: Floats):
        self.loss, self.labels = loss, labels
        self.intercept = float(loss.intercept_[0])
        known = loss.to_raw(labels)
        known = known[np.isfinite(known)]
        # The scale of raw scores: 1 where they are logarithms.
        self.unit = 1.0 if loss.link_.range.low > -np.inf else label_scale(known, np.ones(known.size))
        sample = np.unique(np.quantile(labels, np.linspace(0, 1, 11), method="inverted_cdf"))
        goals = self.minimizers(sample)
        away = self.unit * np.array([-3.1, -0.9, -0.11, -1.3e-2, 1.7e-2, 0.12, 1.1, 2.7])
        pairs = [(y, f) for y in sample for f in self.intercept + away]
        pairs += [(y, f) for y, goal in zip(sample, goals, strict=True) if np.isfinite(goal) for f in goal + away]
        self.y, self.raw = np.array(pairs).T
        self.goal = self.minimizers(self.y)

    def minimizers(self, y: Floats) -> Floats:
        """The raw score at which each row's loss is said to be least: infinite where no score is."""
        loss = self.loss
        arguments = loss.arguments().parameters[: len(loss.kernel_parameters())]
        if loss.row_minimizer is None:
            return loss.to_raw(y)
        return loss.to_raw(map_scalar(loss.row_minimizer, y, tuple(arguments)))

    def require(self, holds: ArrayLike, message: str, *numbers: Floats) -> None:
        """Raise for the first row at which `holds` is false; `numbers` fill the message's braces."""
        wrong = np.flatnonzero(~np.broadcast_to(holds, self.y.shape))
        if wrong.size:
            i = int(wrong[0])
            mu = float(self.loss.predict(self.raw[i : i + 1])[0])
            got = message.format(*(f"{float(number[i]):.10g}" for number in numbers))
            raise AssertionError(
                f"{self.loss!r}: {got} (at y={self.y[i]:.6g}, mu={mu:.6g}, raw score {self.raw[i]:.6g}; "
                f"{wrong.size} of {self.y.size} rows; parameters {self.loss.kernel_parameters()})"
            )


def _require(loss: PointwiseLoss, holds: object, message: str) -> None:
    if not holds:
        raise AssertionError(f"{loss!r}: {message}")


def _check_clone(loss: PointwiseLoss) -> None:
    copy = clone(loss)
    _require(
        loss,
        type(copy) is type(loss) and repr(copy.get_params()) == repr(loss.get_params()),
        f"clone() has parameters {copy.get_params()} instead of {loss.get_params()}: __init__ must only store them",
    )
    loss.check_parameters()


def _refused(loss: PointwiseLoss, y: ArrayLike) -> bool:
    try:
        loss.check_labels(y)
    except ValueError:
        return True
    return False


def _check_domain(loss: PointwiseLoss, labels: Floats) -> None:
    domain = loss.y_domain
    outside = [np.nan, np.inf, -np.inf]
    if np.isfinite(domain.low):
        outside.append(domain.low - 1.0 if domain.low_closed else domain.low)
    if np.isfinite(domain.high):
        outside.append(domain.high + 1.0 if domain.high_closed else domain.high)
    for bad in outside:
        _require(
            loss,
            _refused(clone(loss), [*labels[:5], bad]),
            f"the label {bad:g} is accepted, though outside y_domain = {domain}: leave check_labels to the base class",
        )


def _check_values(rows: _Rows, non_negative: bool) -> None:
    loss, y = rows.loss, rows.y
    value = loss.value(y, rows.raw)
    rows.require(np.isfinite(value), "value is {0}: the formula does not hold on all of y_domain", value)
    there = np.isfinite(rows.goal)
    least = loss.value(y, np.where(there, rows.goal, rows.raw))
    rows.require(
        np.isfinite(least) & (value >= least - 1e-9 * (1 + np.abs(value))),
        "value {0} is less than {1}, that at its minimiser: is row_minimizer missing or wrong?",
        value,
        least,
    )
    if non_negative:
        rows.require(value >= 0, "value {0} is negative: pass non_negative=False if this is a likelihood", value)
        size = np.max(value) * 1e-12
        rows.require(
            ~there | (np.abs(least) <= size),
            "value at the minimiser is {0}, not 0: subtract it, or pass non_negative=False if this is a likelihood",
            least,
        )


def _check_derivatives(rows: _Rows) -> None:
    """By the mean value theorem: between two scores a function changes by some value of its derivative between them."""
    loss, y, raw = rows.loss, rows.y, rows.raw
    step = 1e-5 * rows.unit
    scores = [raw + s * step for s in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    value = [loss.value(y, f) for f in scores]
    both = [loss.gradient_hessian(y, f, hessian="exact") for f in scores]
    gradient, hess = np.array([g for g, _ in both]), np.array([h for _, h in both])
    rows.require(np.isfinite(gradient).all(axis=0), "gradient is {0}", gradient[2])
    rows.require(np.isfinite(hess).all(axis=0), "exact Hessian is {0}", hess[2])
    for name, source, change, size in (
        ("gradient", "value", gradient, np.abs(value).max(axis=0)),
        ("second derivative", "gradient", hess, np.abs(gradient).max(axis=0)),
    ):
        ends = (value[0], value[-1]) if source == "value" else (gradient[0], gradient[-1])
        slope = (ends[1] - ends[0]) / (2 * step)
        low, high = change.min(axis=0), change.max(axis=0)
        rounding = 1e3 * EPS * (size + np.abs(raw) * np.abs(gradient).max(axis=0)) / step
        slack = rounding + (high - low) + 1e-6 * np.maximum(np.abs(low), np.abs(high))
        rows.require(
            (low - slack <= slope) & (slope <= high + slack),
            f"the {name} is not the derivative of the {source}: it is {{0}}, and the {source} changes by {{1}} per unit "
            "of the raw score",
            change[2],
            slope,
        )


def _check_curvature(rows: _Rows) -> None:
    loss, y, raw = rows.loss, rows.y, rows.raw
    gradient, safe = loss.gradient_hessian(y, raw)
    exact = loss.gradient_hessian(y, raw, hessian="exact")[1]
    # Nearer to the minimiser than a rounding of y the sign may be either.
    sure = np.abs(raw - rows.goal) > 1e-9 * rows.unit
    rows.require(
        ~sure | (gradient * np.sign(raw - rows.goal) >= 0),
        "gradient {0} points towards the minimiser's other side: the loss must fall to its minimiser and rise from it",
        gradient,
    )
    rows.require(np.isfinite(safe) & (safe > 0), "safe Hessian is {0}, not positive: where is the gradient 0?", safe)
    rows.require(safe >= exact - 1e-9 * np.abs(exact), "safe Hessian {0} is less than the exact one, {1}", safe, exact)


def _check_weights(rows: _Rows, rng: np.random.Generator) -> None:
    loss, y, raw = rows.loss, rows.y, rows.raw
    weight = rng.integers(0, 5, y.size) + 0.25
    plain = (loss.value(y, raw), *loss.gradient_hessian(y, raw))
    weighted = (loss.value(y, raw, weight), *loss.gradient_hessian(y, raw, weight))
    for name, one, other in zip(("value", "gradient", "Hessian"), plain, weighted, strict=True):
        rows.require(
            np.abs(other - weight * one) <= 1e-12 * np.abs(other),
            f"{name} {{0}} of a row of weight {{1}} is not that many times {{2}}",
            other,
            weight,
            one,
        )


def _check_intercept(rows: _Rows) -> None:
    loss, y = rows.loss, rows.labels
    here = float(np.mean(loss.value(y, np.full(y.size, rows.intercept))))
    others = [rows.intercept + rows.unit * s for s in (-1.0, -0.1, -0.01, 0.01, 0.1, 1.0)]
    goals = rows.minimizers(y)
    scores = np.array([*others, *goals[np.isfinite(goals)]])
    means = np.array([np.mean(loss.value(y, np.full(y.size, f))) for f in scores])
    best = int(np.argmin(means))
    # A kink that is smoothed over 1e-3 of the labels' scale has its quantile that far from its minimum.
    _require(
        loss,
        means[best] >= here - 1e-3 * abs(here) - 1e-12,
        f"the intercept {rows.intercept:.6g} is not the best constant: the mean loss there is {here:.6g}, "
        f"and {means[best]:.6g} at the raw score {scores[best]:.6g}",
    )


def _check_json(rows: _Rows) -> None:
    loss, y, raw = rows.loss, rows.y, rows.raw
    copy = loss_from_json(json.loads(json.dumps(loss.to_json())))
    _require(loss, type(copy) is type(loss), f"JSON gives a {type(copy).__name__} back: two classes share a name")
    assert isinstance(copy, PointwiseLoss)
    rows.require(copy.predict(raw) == loss.predict(raw), "prediction changes through JSON")
    rows.require(copy.value(y, raw) == loss.value(y, raw), "value changes through JSON")
    for one, other in zip(copy.gradient_hessian(y, raw), loss.gradient_hessian(y, raw), strict=True):
        rows.require(one == other, "gradient or Hessian changes through JSON")
    _require(loss, copy.hessian_scale_ == loss.hessian_scale_, "hessian_scale_ changes through JSON")


def _check_training(loss: PointwiseLoss, labels: Floats, engine: str, rng: np.random.Generator) -> None:
    """Ten rounds on features that follow the labels; none may raise the loss."""
    y = np.repeat(labels, 2)
    X = np.column_stack([np.argsort(np.argsort(y)) + rng.normal(0, 20, y.size), rng.normal(size=(y.size, 2))])
    model = GBRegressor(
        clone(loss), engine=engine, native=False, n_estimators=10, max_leaves=8, min_child_samples=5, n_jobs=1
    )
    model.fit(X, y, eval_set=(X, y))
    start = float(np.mean(model.loss_.value(y, np.full(y.size, model.loss_.intercept_[0]))))
    course = [start, *model.evals_result_["validation_0"][loss.name]]
    for i in range(1, len(course)):
        # Engines keep gradients, labels and leaves in float32.
        _require(
            loss,
            course[i] <= course[i - 1] + 1e-5 * abs(start),
            f"round {i} on {engine} raises the training loss from {course[i - 1]:.6g} to {course[i]:.6g}",
        )
    _require(loss, course[-1] < start, f"ten rounds on {engine} do not lower the training loss from {start:.6g}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gbreg"
        model.save(path)
        _require(
            loss,
            np.array_equal(load(path).predict(X), model.predict(X)),
            f"the model saved and loaded on {engine} predicts otherwise",
        )
