"""What check_loss asks of a loss with one output."""

from __future__ import annotations

import numpy as np
from sklearn.base import clone

from gbreg._checks import Floats
from gbreg._kernels import map_scalar
from gbreg.losses import PointwiseLoss
from gbreg.losses.scales import label_scale
from gbreg.testing.battery import EPS, Rows, check_best_constant, check_slope


def check_pointwise(loss: PointwiseLoss, labels: Floats, non_negative: bool) -> PointwiseRows:
    """The checks of a loss's own formulas; the rows on which it passed them."""
    rows = PointwiseRows(_fitted(loss, labels), labels)
    _check_values(rows, non_negative)
    _check_derivatives(rows)
    _check_curvature(rows)
    _check_intercept(rows)
    return rows


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


class PointwiseRows(Rows):
    """A grid of labels, and of raw scores around the intercept and around each label's minimiser."""

    loss: PointwiseLoss

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

    def where(self, row: int) -> str:
        mu = float(self.loss.predict(self.raw[row : row + 1])[0])
        return f"mu={mu:.6g}, raw score {self.raw[row]:.6g}"

    def parameters(self) -> str:
        return f"; parameters {self.loss.kernel_parameters()}"


def _check_values(rows: PointwiseRows, non_negative: bool) -> None:
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


def _check_derivatives(rows: PointwiseRows) -> None:
    loss, y, raw = rows.loss, rows.y, rows.raw
    step = 1e-5 * rows.unit
    scores = [raw + s * step for s in (-1.0, -0.5, 0.0, 0.5, 1.0)]
    value = np.array([loss.value(y, f) for f in scores])
    both = [loss.gradient_hessian(y, f, hessian="exact") for f in scores]
    gradient, hess = np.array([g for g, _ in both]), np.array([h for _, h in both])
    rows.require(np.isfinite(gradient).all(axis=0), "gradient is {0}", gradient[2])
    rows.require(np.isfinite(hess).all(axis=0), "exact Hessian is {0}", hess[2])
    from_raw = np.abs(raw) * np.abs(gradient).max(axis=0)
    for name, source, function, derivative in (
        ("gradient", "value", value, gradient),
        ("second derivative", "gradient", gradient, hess),
    ):
        rounding = 1e3 * EPS * (np.abs(function).max(axis=0) + from_raw) / step
        check_slope(rows, name, source, (function[0], function[-1]), derivative, step, rounding)


def _check_curvature(rows: PointwiseRows) -> None:
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


def _check_intercept(rows: PointwiseRows) -> None:
    others = [rows.intercept + rows.unit * s for s in (-1.0, -0.1, -0.01, 0.01, 0.1, 1.0)]
    goals = rows.minimizers(rows.labels)
    check_best_constant(rows, np.array([*others, *goals[np.isfinite(goals)]]))
