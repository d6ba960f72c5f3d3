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

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from gbreg.engines import installed_engines
from gbreg.losses import PointwiseLoss
from gbreg.losses.vector import VectorLoss
from gbreg.testing.battery import check_clone, check_domain, check_json, check_training, check_weights, draw_labels
from gbreg.testing.pointwise import check_pointwise
from gbreg.testing.vector import check_vector

__all__ = ["check_loss"]


def check_loss(
    loss: PointwiseLoss | VectorLoss,
    *,
    y: ArrayLike | None = None,
    non_negative: bool = True,
    engines: Sequence[str] | None = None,
    random_state: int = 0,
) -> None:
    """Check a loss on rows of its own and, through a small training, on every engine that is installed.

    What is checked: labels outside `y_domain` are refused; the value is finite; the gradient is the derivative of the
    value; weights multiply; the intercept is the best constant; parameters, fit and predictions survive
    `sklearn.base.clone` and JSON; on each engine no round raises the training loss, and the saved model predicts the
    same. Of a loss with one output besides: the value is 0 at its minimum, the exact Hessian is the derivative of the
    gradient, which points away from the minimiser, and the safe Hessian is positive. Of a loss with several: at learning
    rates up to 0.3 no step raises the loss of its leaf's rows, each output having leaves of its own.

    Parameters
    ----------
    loss : PointwiseLoss or VectorLoss
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
        For the first property that fails: which, at which y and mu or raw scores, with which parameters.
    ValueError
        If the parameters are not allowed, or the loss cannot be fitted to labels of its own domain.

    Examples
    --------
    >>> from gbreg.losses import Huberpp, SoftmaxBuckets
    >>> check_loss(Huberpp(delta=0.3, link="log"), engines=[])
    >>> check_loss(SoftmaxBuckets(n_buckets=8), engines=[])
    """
    rng = np.random.default_rng(random_state)
    labels = draw_labels(loss, rng) if y is None else np.asarray(y, dtype=np.float64)
    check_clone(loss)
    check_domain(loss, labels)
    vector = isinstance(loss, VectorLoss)
    rows = check_vector(loss, labels, non_negative, rng) if vector else check_pointwise(loss, labels, non_negative)
    check_weights(rows, rng)
    check_json(rows)
    for name in installed_engines() if engines is None else engines:
        check_training(loss, labels, name, rng)
