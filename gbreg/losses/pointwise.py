"""Losses with one output a row: what those of errors.py, relative.py and their like share."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from gbreg import _kernels as kernels
from gbreg._checks import Floats, check_carried, check_sample_weight
from gbreg.links import Identity, Interval, Link, get_link
from gbreg.losses.base import Loss, fitted

# From what a finite label asks of a raw score: beyond, no sum of gradients vanishes.
_FAR = 50.0


class PointwiseLoss(Loss):
    """A loss with one output, given by scalar functions of one row. Subclasses write these as static methods.

    ``row_value(y, mu, ...)``
        The loss.
    ``row_derivatives(y, mu, ...)``
        Its first and second derivative with respect to mu, as a tuple.
    ``row_minimizer(y, ...)``, optional
        The mu at which the row's loss is least, where that is not y.
    ``row_information(y, mu, ...)``, optional
        The expected second derivative (Fisher information), for ``hessian="expected"``.

    The further arguments are parameters of the loss, matched by name to its attributes. ``coordinate`` says what the
    second argument is: "mu"; "log_mu", for losses on the log link only (the logarithm of mu is finite where mu under- or
    overflows); or "raw", and then the first argument is ``link(y)``.
    """

    coordinate: str = "mu"
    row_minimizer: Any = None
    row_information: Any = None
    unit_free: bool = True
    link: str | Link = "identity"
    label_rescale: list[tuple[float, float]] | None = None

    raw_size_: float
    hessian_scale_: float
    ordered: str | None = "distribution"  # the prediction, by an increasing link

    if TYPE_CHECKING:  # subclasses spell out their own further arguments
        row_value: Any
        row_derivatives: Any
    else:

        @staticmethod
        @abstractmethod
        def row_value(y: float, mu: float, *parameters: float) -> float: ...

        @staticmethod
        @abstractmethod
        def row_derivatives(y: float, mu: float, *parameters: float) -> tuple[float, float]: ...

    @property
    def link_(self) -> Link:
        """The link instance that the parameter `link` names."""
        return get_link(self.link)

    @property
    def scale_equivariant(self) -> bool:
        return self.unit_free and self.link_.scale_equivariant

    def kernel_parameters(self) -> dict[str, float]:
        """The numbers behind the scalar functions' further arguments; overridden where a fitted one stands in."""
        names = list(inspect.signature(self.row_value).parameters)[2:]
        return {name: float(getattr(self, name)) for name in names}

    def check_parameters(self) -> None:
        super().check_parameters()
        link, who = self.link_, type(self).__name__
        if not link.range.within(self.mu_domain):
            raise ValueError(
                f"{who} needs predictions in {self.mu_domain}, link={link.name!r} gives {link.range}: use link='log'"
            )
        if self.label_rescale is not None:
            edges, factors = np.array(self.label_rescale, dtype=np.float64).reshape(-1, 2).T
            if not (np.diff(edges) > 0).all() or not (factors > 0).all() or not np.isfinite(factors).all():
                raise ValueError(
                    f"{who}: label_rescale={self.label_rescale!r} must list (edge, factor) pairs with increasing edges "
                    "and positive factors; rows with y >= edge take the factor of the last such edge"
                )

    def best_constant(self, y: Floats, sample_weight: Floats) -> float:
        """The mu that minimises the weighted sum of the loss: here a bracketed root of its gradient."""
        link, arguments, spec = self.link_, self.arguments(), self.spec()
        used = y[sample_weight > 0]
        low, high = kernels.map_scalar(link.link, np.array([used.min(), used.max()]), link.parameters)
        if spec.minimizer is not None:
            ends = kernels.map_scalar(spec.minimizer, np.array([used.min(), used.max()]), self._own(arguments))
            low, high = kernels.map_scalar(link.link, ends, link.parameters)
        if not np.isfinite(low):  # a label of 0 under a log: nothing below the smallest positive one can be best
            positive = used[used > 0]
            if positive.size == 0:
                return 0.0
            low = kernels.map_scalar(link.link, positive.min(keepdims=True), link.parameters)[0] - _FAR
        if low == high:
            return float(kernels.map_scalar(link.inverse, np.array([low]), link.parameters)[0])
        root = self._balanced(y, sample_weight, 0.0, low, high)
        return float(kernels.map_scalar(link.inverse, np.array([root]), link.parameters)[0])

    def _best_start(self, y: Floats, sample_weight: Floats, offset: Floats) -> float:
        """The raw score to which every row's offset is added with the least weighted sum of the loss."""
        used = sample_weight > 0
        targets = (
            y[used]
            if self.row_minimizer is None
            else kernels.map_scalar(self.row_minimizer, y[used], self._own(self.arguments()))
        )
        own = self.to_raw(targets) - offset[used]
        inside = own[np.isfinite(own)]
        if inside.size < own.size:  # labels at an end of the link's range: all they say is which way
            near = inside if inside.size else -offset[used]
            own = np.clip(own, near.min() - _FAR, near.max() + _FAR)
        low, high = float(own.min()), float(own.max())
        return low if low == high else self._balanced(y, sample_weight, offset, low, high)

    def _balanced(self, y: Floats, sample_weight: Floats, offset: Floats | float, low: float, high: float) -> float:
        """The root between two raw scores of the weighted sum of gradients at raw + offset."""
        at, gradient, hess = np.empty_like(y), np.empty_like(y), np.empty_like(y)
        run = kernels.Pass(self.spec(), self.arguments())

        def balance(raw: float) -> float:
            """Sum of gradients over the sum of their magnitudes: the same root, and never out of range."""
            np.add(raw, offset, out=at)
            run(y, at, sample_weight, (gradient, hess))
            size = float(np.abs(gradient).sum())
            return float(gradient.sum()) / size if size > 0 else 0.0

        if balance(low) >= 0:
            return low
        if balance(high) <= 0:
            return high
        close = 1e-15 * max(abs(low), abs(high), high - low)
        return float(brentq(balance, low, high, xtol=close, rtol=1e-14, maxiter=500))

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        """Set what parameters are relative to (a MAD, a smoothing width) before the intercept is found."""

    def fit(self, y: ArrayLike, sample_weight: ArrayLike | None = None, offset: ArrayLike | None = None) -> Self:
        """Learn intercept and scales from the labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels in the unit of the target, inside `y_domain`.
        sample_weight : array-like of shape (n_samples,), optional
            Non-negative; an integer weight equals repetition.
        offset : array-like of shape (n_samples,), optional
            What is added to every row's raw score, the logarithm of an exposure for example. `intercept_` is then the best
            constant beside it.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For labels, weights or offsets that are not allowed, and where the link cannot express the best constant.
        """
        self.check_parameters()
        y = self.check_labels(y)
        weight = check_sample_weight(sample_weight, y.size)
        used = y[weight > 0]
        # Under an offset one label is no constant prediction, unless it lies at an end of the link's range.
        one = (used == used[0]).all() and (offset is None or not np.isfinite(self.to_raw(used[:1])[0]))
        self.constant_ = float(used[0]) if one else None
        self.learn_scales(y, weight)
        start = np.zeros(y.size) if offset is None else check_carried(offset, "offset", y.size)
        self.intercept_ = self._best_intercept(y, weight, None if offset is None else start)
        self.raw_size_ = self._typical_size(y, weight, start)
        self.hessian_scale_ = self._mean_curvature(y, weight, start) if self.constant_ is None else 1.0
        return self

    def _best_intercept(self, y: Floats, weight: Floats, offset: Floats | None) -> Floats:
        link = self.link_
        if offset is not None and self.constant_ is None:
            return np.array([self._best_start(y, weight, offset)])
        best = self.best_constant(y, weight) if self.constant_ is None else self.constant_
        intercept = kernels.map_scalar(link.link, np.array([best]), link.parameters)
        if not np.isfinite(intercept[0]) and self.constant_ is None:
            raise ValueError(
                f"{type(self).__name__}: the best constant for these labels is {best:g}, which link={link.name!r} cannot "
                f"express (it gives {link.range}): use link='identity'"
            )
        return intercept

    def _typical_size(self, y: Floats, sample_weight: Floats, offset: Floats) -> float:
        """A typical distance of raw scores from 0: the intercept's, or the labels' mean, whichever is larger."""
        size = np.abs(self.to_raw(y))
        known = np.isfinite(size) & (sample_weight > 0)
        mean = float(np.average(size[known], weights=sample_weight[known])) if known.any() else 0.0
        return max(float(np.median(np.abs(self.intercept_[0] + offset))), mean)

    def slopes(self) -> tuple[float, float]:
        """How steep the loss is above and below the label, relative to each other."""
        return 1.0, 1.0

    def step_bounds(self, learning_rate: float = 0.1) -> kernels.StepBounds:
        """What the safe curvature needs to know of a round's steps."""
        limit, ahead = np.inf, 0.0
        if self.coordinate != "raw":
            limit, ahead = self.link_.step_bounds(self.raw_size_, learning_rate)
        # A step of rate * (gradient / h) descends while rate * (true curvature) < 2h. A row that may cross its label to
        # a steeper side needs h of at least rate / 2 of that side's curvature.
        over, under = self.slopes()
        return kernels.StepBounds(
            limit,
            ahead,
            learning_rate,
            max(1.0, 0.5 * learning_rate * under / over),
            max(1.0, 0.5 * learning_rate * over / under),
        )

    def _mean_curvature(self, y: Floats, sample_weight: Floats, offset: Floats) -> float:
        """Weighted curvature at the intercept with C = 1, summed and divided by the number of rows that count."""
        unit = self.arguments(C=1.0)
        gradient, hess = np.empty_like(y), np.empty_like(y)
        start = self.intercept_[0] + offset
        kernels.Pass(self.spec(), unit, step=self.step_bounds())(y, start, sample_weight, (gradient, hess))
        scale = float(hess.sum()) / int((sample_weight > 0).sum())
        if not (np.isfinite(scale) and scale > 0):
            raise ValueError(
                f"{type(self).__name__}: the labels' range ({y.min():g} to {y.max():g}) is beyond double precision "
                f"for this loss (mean curvature {scale}): rescale the target"
            )
        return scale

    def spec(self) -> kernels.PointwiseSpec:
        """What is compiled for this loss; the same for every value of its parameters."""
        link = self.link_
        return kernels.PointwiseSpec(
            value=self.row_value,
            derivatives=self.row_derivatives,
            coordinate=self.coordinate,
            link=type(link),
            minimizer=self.row_minimizer,
            expected=self.row_information,
            n_parameters=len(self.kernel_parameters()),
            n_link_parameters=len(link.parameters),
            rescaled=self.label_rescale is not None,
        )

    def arguments(self, **replaced: float) -> kernels.Arguments:
        """The run-time numbers of the kernel, with some parameters replaced where the loss has them."""
        own = self.kernel_parameters()
        own |= {k: v for k, v in replaced.items() if k in own}
        pairs = np.array(self.label_rescale or np.empty((0, 2)), dtype=np.float64)
        return kernels.Arguments(
            parameters=np.array([*own.values(), *self.link_.parameters], dtype=np.float64),
            edges=np.ascontiguousarray(pairs[:, 0]),
            factors=np.ascontiguousarray(pairs[:, 1]),
        )

    def _own(self, arguments: kernels.Arguments) -> tuple[float, ...]:
        n = len(self.kernel_parameters())
        return tuple(arguments.parameters[:n])

    def value(self, y: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> Floats:
        """The loss of every row, times its weight.

        Parameters
        ----------
        y, raw_prediction : array-like of shape (n_samples,)
            Labels, and complete raw scores (the intercept included).
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        y, raw = _rows(y, raw_prediction)
        out = kernels.value(self.spec(), self.arguments(), y, raw)
        return out if sample_weight is None else out * check_sample_weight(sample_weight, y.size)

    def gradient_hessian(
        self,
        y: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        hessian: str = "safe",
    ) -> tuple[Floats, Floats]:
        """First and second derivative of `value` with respect to the raw score.

        Parameters
        ----------
        y, raw_prediction : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
        hessian : {"safe", "exact", "expected"}
            "safe" is the positive curvature under which boosting descends, "exact" the second derivative, "expected"
            the Fisher information of a likelihood.

        Returns
        -------
        gradient, hessian : two ndarrays of shape (n_samples,), not divided by `hessian_scale_`
        """
        y, raw = _rows(y, raw_prediction)
        weight = check_sample_weight(sample_weight, y.size)
        out = np.empty_like(y), np.empty_like(y)
        if hessian == "safe":
            fitted(self)  # its bounds are in units of the labels
        step = self.step_bounds() if hessian == "safe" else kernels.FREE
        kernels.Pass(self.spec(), self.arguments(), hessian=hessian, step=step)(y, raw, weight, out)
        return out

    def predict(self, raw_prediction: ArrayLike) -> Floats:
        """Predictions in the unit of the target from complete raw scores, both of shape (n_samples,)."""
        link = self.link_
        if isinstance(link, Identity):  # the call of a kernel takes longer than all else that a row needs
            return np.array(raw_prediction, dtype=np.float64)
        return kernels.map_scalar(link.inverse, np.asarray(raw_prediction), link.parameters)

    def to_raw(self, mu: ArrayLike) -> Floats:
        """``link(mu)`` for an array of shape (n_samples,)."""
        link = self.link_
        return kernels.map_scalar(link.link, np.asarray(mu), link.parameters)

    def bounds(self) -> Interval:
        """The predictions that the link can produce."""
        return self.link_.range


def _rows(y: ArrayLike, raw_prediction: ArrayLike) -> tuple[Floats, Floats]:
    y = np.ascontiguousarray(y, dtype=np.float64)
    raw = np.ascontiguousarray(raw_prediction, dtype=np.float64)
    if y.ndim != 1 or raw.shape != y.shape:
        raise ValueError(f"y has shape {y.shape} and raw_prediction {raw.shape}: both must be (n_samples,)")
    return y, raw
