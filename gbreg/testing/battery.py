"""What check_loss asks of every loss, of one output or several, and how it says which row fails."""

from __future__ import annotations

import json
import tempfile
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from gbreg._checks import Floats
from gbreg.engines.scores import TrainableLoss, scores_shape
from gbreg.estimators import GBRegressor
from gbreg.losses import PointwiseLoss, loss_from_json
from gbreg.persistence import load

EPS = float(np.finfo(np.float64).eps)


def draw_labels(loss: TrainableLoss, rng: np.random.Generator) -> Floats:
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
        y = np.abs(y) if isinstance(loss, PointwiseLoss) and loss.link_.range.low >= 0 else y
        y[:3] = 0.0
    if loss.y_domain.low_closed:
        y[:6] = low
    if loss.y_domain.high_closed:
        y[6:12] = high
    return np.asarray(y, dtype=np.float64)


class Rows(ABC):
    """A fitted loss with the labels it was fitted to, and rows to check it on.

    Attributes
    ----------
    y : ndarray of shape (n_rows,)
    raw : ndarray of shape (n_rows,), or (n_rows, n_outputs)
    """

    loss: Any
    labels: Floats
    y: Floats
    raw: Floats

    @abstractmethod
    def where(self, row: int) -> str:
        """The row's scores and what else is to be known of it."""

    def require(self, holds: ArrayLike, message: str, *numbers: Floats) -> None:
        """Raise for the first row, or row and output, at which `holds` is false; `numbers` fill the message's braces."""
        shape = self.raw.shape if np.ndim(holds) == 2 else self.y.shape
        wrong = np.argwhere(~np.broadcast_to(holds, shape))
        if wrong.size:
            at = tuple(int(i) for i in wrong[0])
            got = message.format(*(f"{float(number[at]):.10g}" for number in numbers))
            output = f"output {at[1]}, " if len(at) == 2 else ""
            raise AssertionError(
                f"{self.loss!r}: {got} (at {output}y={self.y[at[0]]:.6g}, {self.where(at[0])}; "
                f"{np.unique(wrong[:, 0]).size} of {self.y.size} rows{self.parameters()})"
            )

    def parameters(self) -> str:
        """What stands behind the formula's further arguments, where it is short."""
        return ""


def require(loss: TrainableLoss, holds: object, message: str) -> None:
    if not holds:
        raise AssertionError(f"{loss!r}: {message}")


def check_clone(loss: TrainableLoss) -> None:
    copy = clone(loss)
    require(
        loss,
        type(copy) is type(loss) and repr(copy.get_params()) == repr(loss.get_params()),
        f"clone() has parameters {copy.get_params()} instead of {loss.get_params()}: __init__ must only store them",
    )
    loss.check_parameters()


def _refused(loss: TrainableLoss, y: ArrayLike) -> bool:
    try:
        loss.check_labels(y)
    except ValueError:
        return True
    return False


def check_domain(loss: TrainableLoss, labels: Floats) -> None:
    domain = loss.y_domain
    outside = [np.nan, np.inf, -np.inf]
    if np.isfinite(domain.low):
        outside.append(domain.low - 1.0 if domain.low_closed else domain.low)
    if np.isfinite(domain.high):
        outside.append(domain.high + 1.0 if domain.high_closed else domain.high)
    for bad in outside:
        require(
            loss,
            _refused(clone(loss), [*labels[:5], bad]),
            f"the label {bad:g} is accepted, though outside y_domain = {domain}: leave check_labels to the base class",
        )


def check_slope(
    rows: Rows, name: str, source: str, ends: tuple[Floats, Floats], between: Floats, step: ArrayLike, rounding: Floats
) -> None:
    """By the mean value theorem: between two scores a function changes by some value of its derivative between them.

    `ends` are the function's values at a step to either side, `between` its derivative at five scores from one to the
    other, `rounding` how much of the slope the ends' rounding may be.
    """
    slope = (ends[1] - ends[0]) / (2 * np.asarray(step))
    low, high = between.min(axis=0), between.max(axis=0)
    slack = rounding + (high - low) + 1e-6 * np.maximum(np.abs(low), np.abs(high))
    rows.require(
        (low - slack <= slope) & (slope <= high + slack),
        f"the {name} is not the derivative of the {source}: it is {{0}}, and the {source} changes by {{1}} per unit "
        "of the raw score",
        between[2],
        slope,
    )


def check_weights(rows: Rows, rng: np.random.Generator) -> None:
    loss, y, raw = rows.loss, rows.y, rows.raw
    weight = rng.integers(0, 5, y.size) + 0.25
    plain = (loss.value(y, raw), *loss.gradient_hessian(y, raw))
    weighted = (loss.value(y, raw, weight), *loss.gradient_hessian(y, raw, weight))
    for name, one, other in zip(("value", "gradient", "Hessian"), plain, weighted, strict=True):
        times = np.broadcast_to(weight if one.ndim == 1 else weight[:, None], one.shape)
        rows.require(
            np.abs(other - times * one) <= 1e-12 * np.abs(other),
            f"{name} {{0}} of a row of weight {{1}} is not that many times {{2}}",
            other,
            times,
            one,
        )


def check_best_constant(rows: Rows, others: Floats) -> None:
    """The intercept against other constants, of shape (n_constants,) or (n_constants, n_outputs)."""
    loss, y = rows.loss, rows.labels

    def mean(constant: Floats) -> float:
        return float(np.mean(loss.value(y, np.broadcast_to(constant, scores_shape(loss, y.size)))))

    here = mean(loss.intercept_)
    means = np.array([mean(constant) for constant in others])
    best = int(np.argmin(means))
    # A kink that is smoothed over 1e-3 of the labels' scale has its quantile that far from its minimum.
    require(
        loss,
        means[best] >= here - 1e-3 * abs(here) - 1e-12,
        f"the intercept {_scores(loss.intercept_)} is not the best constant: the mean loss there is {here:.6g}, "
        f"and {means[best]:.6g} at the raw score {_scores(others[best])}",
    )


def _scores(raw: Floats) -> str:
    return ", ".join(f"{score:.6g}" for score in np.ravel(raw))


def check_json(rows: Rows) -> None:
    loss, y, raw = rows.loss, rows.y, rows.raw
    copy = loss_from_json(json.loads(json.dumps(loss.to_json())))
    require(loss, type(copy) is type(loss), f"JSON gives a {type(copy).__name__} back: two classes share a name")
    rows.require(copy.predict(raw) == loss.predict(raw), "prediction changes through JSON")
    rows.require(copy.value(y, raw) == loss.value(y, raw), "value changes through JSON")
    for one, other in zip(copy.gradient_hessian(y, raw), loss.gradient_hessian(y, raw), strict=True):
        rows.require(one == other, "gradient or Hessian changes through JSON")
    for name in ("intercept_", "hessian_scale_"):
        require(loss, np.array_equal(getattr(copy, name), getattr(loss, name)), f"{name} changes through JSON")


def check_training(loss: TrainableLoss, labels: Floats, engine: str, rng: np.random.Generator) -> None:
    """Ten rounds on features that follow the labels; none may raise the loss."""
    y = np.repeat(labels, 2)
    X = np.column_stack([np.argsort(np.argsort(y)) + rng.normal(0, 20, y.size), rng.normal(size=(y.size, 2))])
    model = GBRegressor(
        clone(loss), engine=engine, native=False, n_estimators=10, max_leaves=8, min_child_samples=5, n_jobs=1
    )
    model.fit(X, y, eval_set=(X, y))
    fresh = clone(loss).fit(y)  # what the model's own has learnt since may have changed it
    each = fresh.value(y, np.broadcast_to(fresh.intercept_, scores_shape(fresh, y.size)))
    start, size = float(np.mean(each)), float(np.mean(np.abs(each)))
    course = [start, *model.evals_result_["validation_0"][loss.name]]
    for i in range(1, len(course)):
        # Engines keep gradients, labels and leaves in float32.
        require(
            loss,
            course[i] <= course[i - 1] + 1e-5 * size,
            f"round {i} on {engine} raises the training loss from {course[i - 1]:.6g} to {course[i]:.6g}",
        )
    require(loss, course[-1] < start, f"ten rounds on {engine} do not lower the training loss from {start:.6g}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.gbreg"
        model.save(path)
        require(
            loss,
            np.array_equal(load(path).predict(X), model.predict(X)),
            f"the model saved and loaded on {engine} predicts otherwise",
        )
