"""Losses of several outputs a row: what those of likelihood.py and buckets.py share."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike

from gbreg import _kernels as kernels
from gbreg._checks import Floats, check_mask, check_sample_weight
from gbreg.losses.base import Loss
from gbreg.losses.censoring import check_seen, kaplan_meier, signed

if TYPE_CHECKING:
    from gbreg.distribution import Distribution


class VectorLoss(Loss):
    """A loss with `n_outputs` raw scores a row, given by functions of one row. Subclasses write as static methods:

    ``row_value(y, raw, parameters, table, work)``
        The loss; `raw` has shape (n_outputs,), `work` is scratch of `scratch` numbers.
    ``row_derivatives(y, raw, parameters, table, gradient, hess, work)``
        Fills the gradient and the safe curvature, both of shape (n_outputs,). The trees of all outputs move together:
        the curvatures bound the joint step.

    and the methods `best_raw` and `distribution`. The curvature is the one under which boosting descends; "exact" and
    "expected" are not offered.
    """

    scratch: int = 0
    n_numbers: int = 1  # of a label, as the row functions take it: see `label_numbers`
    takes_censored: bool = False
    censored_: bool = False  # whether labels may have their sign turned, by which row functions know the censored ones
    hessian_scale_: Floats

    if TYPE_CHECKING:  # subclasses spell them out
        row_value: Any
        row_derivatives: Any
    else:

        @staticmethod
        @abstractmethod
        def row_value(y, raw, parameters, table, work): ...

        @staticmethod
        @abstractmethod
        def row_derivatives(y, raw, parameters, table, gradient, hess, work): ...

    @abstractmethod
    def best_raw(self, y: Floats, sample_weight: Floats) -> Floats:
        """The constant raw scores, shape (n_outputs,), that minimise the weighted sum of the loss."""

    @abstractmethod
    def distribution(self, raw_prediction: ArrayLike) -> Distribution:
        """What complete raw scores of shape (n_samples, n_outputs) say about each label."""

    def kernel_parameters(self) -> Floats:
        """The numbers that the row functions take as `parameters`."""
        return np.empty(0)

    def table(self) -> Floats:
        """The fitted numbers that the row functions take as `table`, 2-D."""
        return np.empty((0, 0))

    def label_numbers(self, y: Floats) -> Floats:
        """What the row functions take for each label: itself, or what is the same in all rounds, shape (n, n_numbers)."""
        return y

    def learn_scales(self, y: Floats, sample_weight: Floats) -> None:
        """Set what is learnt from the labels before the intercept is found."""

    def fit(self, y: ArrayLike, sample_weight: ArrayLike | None = None, censored: ArrayLike | None = None) -> Self:
        """Learn intercepts and scales from the labels.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Labels in the unit of the target, inside `y_domain`.
        sample_weight : array-like of shape (n_samples,), optional
        censored : array-like of bool of shape (n_samples,), optional
            Rows whose label is at least y. Scales and intercept are then learnt by Kaplan-Meier weights, and the other
            methods take the labels of censored rows with their sign turned, -0.0 included.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For labels, weights or a mask that are not allowed, and a loss that takes no censored labels.
        """
        self.check_parameters()
        y = self.check_labels(y)
        weight = check_sample_weight(sample_weight, y.size)
        hidden = None if censored is None else check_mask(censored, "censored", y.size)
        self.censored_ = hidden is not None
        events, labels = weight, y
        if hidden is not None:
            self.check_censored()
            check_seen(y, weight, hidden, type(self).__name__)
            events, labels = kaplan_meier(y, weight, hidden), signed(y, hidden)
        used = y[weight > 0]
        one = (used == used[0]).all() and (hidden is None or not hidden.any())
        self.constant_ = float(used[0]) if one else None
        self.learn_scales(y, events)
        self.intercept_ = np.asarray(self.best_raw(y, events), dtype=np.float64)
        self.hessian_scale_ = np.ones(self.n_outputs)
        if self.constant_ is None:
            self.hessian_scale_ = self._mean_curvature(labels, weight)
        return self

    def check_censored(self) -> None:
        """`ValueError` unless the loss takes labels that are only known to be at least so large."""
        if not self.takes_censored:
            raise ValueError(
                f"censored: {self!r} takes no labels that are only known to be at least so large: use LogNormal, ZILN, "
                "OrdinalBuckets with thresholds='shared', SoftmaxBuckets with soft=None, or ZILNRegressor"
            )

    def _mean_curvature(self, y: Floats, weight: Floats) -> Floats:
        """Of each output, over the rows that have a say in it: engines hold every output's leaves to the same limits."""
        start = np.tile(self.intercept_, (y.size, 1))
        _, hess = self._derivatives(self.training_spec(), y, start, weight)
        mean = hess.sum(axis=0) / np.maximum((hess > 0).sum(axis=0), 1)
        if self.native_form() is not None:  # whose outputs share their rows' weights
            mean[:] = mean.mean()
        return np.where(mean > 0, mean, 1.0)

    def spec(self) -> kernels.RowSpec:
        return kernels.RowSpec(self.row_value, self.row_derivatives, self.n_numbers)

    def training_spec(self) -> kernels.RowSpec:
        """What engines train with: it may be less exact than `spec`."""
        return self.spec()

    def arguments(self) -> kernels.RowArguments:
        return kernels.RowArguments(self.kernel_parameters(), np.ascontiguousarray(self.table()), self.scratch)

    def value(self, y: ArrayLike, raw_prediction: ArrayLike, sample_weight: ArrayLike | None = None) -> Floats:
        """The loss of every row, times its weight.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            Of a loss fitted with censored rows, theirs with the sign turned.
        raw_prediction : array-like of shape (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        y, raw = self._rows(y, raw_prediction)
        out = kernels.row_value(self.spec(), self.arguments(), self.label_numbers(y), raw)
        return out if sample_weight is None else out * check_sample_weight(sample_weight, y.size)

    def gradient_hessian(
        self,
        y: ArrayLike,
        raw_prediction: ArrayLike,
        sample_weight: ArrayLike | None = None,
        hessian: str = "safe",
    ) -> tuple[Floats, Floats]:
        """Gradient and safe curvature, both of shape (n_samples, n_outputs), not divided by `hessian_scale_`."""
        self.check_hessian(hessian)
        y, raw = self._rows(y, raw_prediction)
        weight = check_sample_weight(sample_weight, y.size)
        return self._derivatives(self.spec(), y, raw, weight)

    def _derivatives(self, spec: kernels.RowSpec, y: Floats, raw: Floats, weight: Floats) -> tuple[Floats, Floats]:
        out = np.empty_like(raw), np.empty_like(raw)
        kernels.RowPass(spec, self.arguments(), offset=np.zeros(self.n_outputs))(self.label_numbers(y), raw, weight, out)
        return out

    def check_hessian(self, hessian: str) -> None:
        if hessian != "safe":
            raise ValueError(f"{type(self).__name__} has several outputs: hessian={hessian!r} must be 'safe'")

    def predict(self, raw_prediction: ArrayLike) -> Floats:
        """The mean of each row's `distribution`, shape (n_samples,), in the unit of the target."""
        return self.distribution(raw_prediction).mean()

    def _rows(self, y: ArrayLike, raw_prediction: ArrayLike) -> tuple[Floats, Floats]:
        y = np.ascontiguousarray(y, dtype=np.float64)
        raw = np.ascontiguousarray(raw_prediction, dtype=np.float64)
        raw = raw[:, None] if raw.ndim == 1 and self.n_outputs == 1 else raw
        if y.ndim != 1 or raw.shape != (y.size, self.n_outputs):
            raise ValueError(
                f"{type(self).__name__} takes y of shape (n_samples,) and raw_prediction of shape (n_samples, "
                f"{self.n_outputs}), got {y.shape} and {raw.shape}"
            )
        return y, raw
