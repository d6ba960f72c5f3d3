"""What check_loss asks of a loss with several outputs."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from gbreg._checks import Floats
from gbreg.losses.vector import VectorLoss
from gbreg.testing.battery import EPS, Rows, check_best_constant, check_slope, require

# Leaves tried at each learning rate, and the rows of the largest.
_LEAVES = 300
_MOST_ROWS = 40


def check_vector(loss: VectorLoss, labels: Floats, non_negative: bool, rng: np.random.Generator) -> VectorRows:
    """The checks of a loss's own formulas; the rows on which it passed them."""
    labels = labels.astype(np.float32).astype(np.float64)  # as engines keep them: losses may learn from those
    rows = VectorRows(clone(loss).fit(labels), labels, rng)
    _check_values(rows, non_negative)
    _check_gradient(rows)
    _check_curvature(rows)
    _check_steps(rows, rng)
    _check_intercept(rows, rng)
    return rows


class VectorRows(Rows):
    """Labels from the whole range at raw scores around the intercept, in every output at once.

    Attributes
    ----------
    unit : ndarray of shape (n_outputs,)
        The size of a row's own Newton step at the intercept.
    """

    loss: VectorLoss

    def __init__(self, loss: VectorLoss, labels: Floats, rng: np.random.Generator):
        self.loss, self.labels = loss, labels
        gradient, hess = loss.gradient_hessian(labels, np.tile(loss.intercept_, (labels.size, 1)))
        with np.errstate(divide="ignore", invalid="ignore"):
            unit = np.sqrt(np.mean(np.square(gradient), axis=0)) / np.mean(np.abs(hess), axis=0)
        self.unit = np.where(np.isfinite(unit) & (unit > 0), unit, 1.0)
        sample = np.unique(np.quantile(labels, np.linspace(0, 1, 11), method="inverted_cdf"))
        self.y = np.repeat(sample, 24)
        size = np.tile([0.03, 0.3, 1.0, 2.0], self.y.size // 4)
        away = rng.normal(size=(self.y.size, loss.n_outputs)) * size[:, None]
        self.raw = loss.intercept_ + self.unit * away

    def where(self, row: int) -> str:
        return f"raw scores {np.array2string(self.raw[row], precision=6, threshold=8)}"


def _check_values(rows: VectorRows, non_negative: bool) -> None:
    value = rows.loss.value(rows.y, rows.raw)
    rows.require(np.isfinite(value), "value is {0}: the formula does not hold on all of y_domain", value)
    if non_negative:
        rows.require(value >= 0, "value {0} is negative: pass non_negative=False if this is a likelihood", value)
    predicted = rows.loss.predict(rows.raw)
    require(rows.loss, predicted.shape == rows.y.shape, f"predict gives shape {predicted.shape}, not one number a row")
    rows.require(~np.isnan(predicted), "the prediction is {0}", predicted)


def _check_gradient(rows: VectorRows) -> None:
    loss, y, raw = rows.loss, rows.y, rows.raw
    whole = loss.gradient_hessian(y, raw)[0]
    rows.require(np.isfinite(whole), "gradient is {0}", whole)
    values, gradients = np.empty((5, *raw.shape)), np.empty((5, *raw.shape))
    step = 1e-5 * rows.unit
    for i, part in enumerate((-1.0, -0.5, 0.0, 0.5, 1.0)):
        for k in range(loss.n_outputs):
            moved = raw.copy()
            moved[:, k] += part * step[k]
            values[i, :, k] = loss.value(y, moved)
            gradients[i, :, k] = loss.gradient_hessian(y, moved)[0][:, k]
    size = np.abs(values).max(axis=0) + np.abs(raw) * np.abs(gradients).max(axis=0)
    check_slope(rows, "gradient", "value", (values[0], values[-1]), gradients, step, 1e3 * EPS * size / step)


def _check_curvature(rows: VectorRows) -> None:
    gradient, hess = rows.loss.gradient_hessian(rows.y, rows.raw)
    rows.require(np.isfinite(hess) & (hess >= 0), "curvature is {0}, not a number >= 0", hess)
    rows.require(
        (hess > 0) | (gradient == 0), "curvature is 0 where the gradient is {0}: a leaf of such rows has no step", gradient
    )


def _check_steps(rows: VectorRows, rng: np.random.Generator) -> None:
    """Newton steps over leaves as trees grow them, each output having its own, from equal scores and from unequal ones."""
    loss = rows.loss
    for rate in (0.1, 0.3):
        for trial in range(_LEAVES):
            n = int(rng.integers(1, _MOST_ROWS))
            y, weight = rng.choice(rows.y, n), rng.lognormal(0.0, 1.0, n)
            raw = rows.raw[rng.integers(0, rows.y.size, n if trial % 2 else 1)] + np.zeros((n, 1))
            gradient, hess = (weight[:, None] * both for both in loss.gradient_hessian(y, raw))
            step = np.column_stack([_leaf_steps(g, h, rng) for g, h in zip(gradient.T, hess.T, strict=True)])
            before, after = weight * loss.value(y, raw), weight * loss.value(y, raw + rate * step)
            require(
                loss,
                after.sum() <= before.sum() + 1e-9 * np.abs(before).sum(),
                f"a step at learning rate {rate} over leaves of {n} rows raises their loss from {before.sum():.8g} to "
                f"{after.sum():.8g}: row_derivatives gives less curvature than the joint step of all outputs needs "
                f"(labels {np.array2string(y, precision=4, threshold=8)}, first raw scores {raw[0]}, step {step[0]})",
            )


def _leaf_steps(gradient: Floats, hess: Floats, rng: np.random.Generator) -> Floats:
    """Every row's full step of one output, whose rows fall into up to three leaves at random."""
    leaf = rng.integers(0, rng.integers(1, 4), gradient.size)
    total = np.bincount(leaf, hess)
    return (-np.bincount(leaf, gradient) / np.where(total > 0, total, 1.0))[leaf]


def _check_intercept(rows: VectorRows, rng: np.random.Generator) -> None:
    loss, y, n_outputs = rows.loss, rows.labels, rows.loss.n_outputs
    away = np.concatenate([s * np.eye(n_outputs) for s in (-1.0, -0.1, 0.1, 1.0)])
    away = np.concatenate([away, rng.normal(0.0, 0.3, (20, n_outputs))])
    check_best_constant(rows, loss.intercept_ + rows.unit * away)
    for weight in (np.ones(y.size), rng.integers(1, 5, y.size).astype(np.float64)):
        fitted = clone(loss).fit(y, weight)
        start = np.tile(fitted.intercept_, (y.size, 1))
        gradient = weight[:, None] * fitted.gradient_hessian(y, start)[0]
        total, size = gradient.sum(axis=0), np.abs(gradient).sum(axis=0)
        for k in np.flatnonzero(np.abs(total) > 1e-3 * size):
            weighted = "weighted " if (weight != 1).any() else ""
            require(
                loss,
                False,
                f"the intercept {fitted.intercept_[k]:.6g} of output {k} is not the best constant: the {weighted}gradients "
                f"there sum to {total[k]:.6g}, of magnitudes that sum to {size[k]:.6g} (where a bound of the loss's own "
                "holds it back, give labels by y= that do not reach it)",
            )
