"""What an engine asks of a loss: gradient and Hessian of all rows, as it wants them."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from gbreg import _kernels as kernels
from gbreg.engines.rows import Rows, Singles, as_single
from gbreg.engines.scores import TrainableLoss, check_shapes, power_of_four, scores_shape
from gbreg.losses.base import fitted
from gbreg.losses.vector import VectorLoss

# hessian="exact" is floored here (on Hessians scaled to mean 1), or negative ones would leave one-leaf trees.
EXACT_FLOOR = 1e-6


class Objective:
    """A fitted loss as engines call it: float32 gradient and Hessian, weighted, shifted by the intercept, scaled.

    Parameters
    ----------
    loss : fitted PointwiseLoss or VectorLoss
    hessian : {"safe", "exact", "expected"}
    learning_rate : float
        Above 0.3 the safe curvature asks for shorter steps.
    n_threads : int
    complete : bool
        Whether the engine's raw scores hold the intercept already.

    Attributes
    ----------
    refines : bool
        Whether a loss that learns from the training scores does so.
    offset : ndarray of shape (n_outputs,)
        What the engine's raw scores lack.
    """

    refines: ClassVar[bool] = True

    def __init__(
        self,
        loss: TrainableLoss,
        hessian: str = "safe",
        learning_rate: float = 0.1,
        n_threads: int = 1,
        complete: bool = False,
    ):
        fitted(loss)
        self.loss = loss
        self.hessian = hessian
        self.learning_rate = learning_rate
        self.n_threads = n_threads
        self.complete = complete
        self.offset = np.zeros_like(loss.intercept_) if complete else loss.intercept_
        self.scale_by(1.0)
        self.round = 0
        self.row_name = "row"
        self._buffers: tuple[Singles, Singles] = (np.empty(0, np.float32), np.empty(0, np.float32))
        self._ones: Singles = np.empty(0, np.float32)

    def scale_by(self, factor: float) -> None:
        """Multiply every gradient and Hessian by a factor."""
        self.factor = factor
        loss = self.loss
        self.run: kernels.Pass | kernels.RowPass
        if isinstance(loss, VectorLoss):
            loss.check_hessian(self.hessian)
            scale = factor / loss.hessian_scale_
            self.run = kernels.RowPass(loss.training_spec(), loss.arguments(), offset=self.offset, scale=scale)
        else:
            self.run = kernels.Pass(
                loss.spec(),
                loss.arguments(),
                hessian=self.hessian,
                offset=float(self.offset[0]),
                scale=factor / loss.hessian_scale_,
                step=loss.step_bounds(self.learning_rate),
                floor=EXACT_FLOOR * factor if self.hessian == "exact" else -math.inf,
            )

    def __getstate__(self) -> dict[str, Any]:
        # Passes hold compiled functions of the loss's class; they are made again where the objective is unpickled.
        names = ("loss", "hessian", "learning_rate", "n_threads", "complete", "factor")
        return {name: getattr(self, name) for name in names}

    def __setstate__(self, state: dict[str, Any]) -> None:
        factor = state.pop("factor")
        self.__init__(**state)  # type: ignore[misc]
        self.scale_by(factor)

    def __deepcopy__(self, memo: Any) -> Objective:
        # LightGBM copies its parameters: what the loss learns from scores is to reach the monitor's loss, the same one.
        return self

    def weights(self, sample_weight: Any, n: int) -> Singles:
        if sample_weight is None:
            if self._ones.size != n:
                self._ones = np.ones(n, dtype=np.float32)
            return self._ones
        return np.ascontiguousarray(sample_weight, dtype=np.float32)

    def gradient_hessian(self, y: Any, raw: Any, sample_weight: Any = None) -> tuple[Singles, Singles]:
        """Both shaped like `raw`, in buffers that the next call overwrites; `FloatingPointError` if not finite."""
        y = np.ascontiguousarray(y)
        raw = np.ascontiguousarray(raw) if np.ndim(raw) == 1 else np.asarray(raw)
        check_shapes(self.loss, y, raw)
        if self._buffers[0].shape != raw.shape or self._buffers[0].strides[0] * raw.itemsize != raw.strides[0] * 4:
            self._buffers = np.empty_like(raw, dtype=np.float32), np.empty_like(raw, dtype=np.float32)
        weight = self.weights(sample_weight, y.size)
        learns = self.refines and self.loss.refines
        if learns and self.loss.refine(y, raw + self.offset, weight, self.round):
            self.scale_by(self.factor)
        self.fill(y, raw, weight, self._buffers, self.n_threads)
        self.round += 1
        return self._buffers

    def typical_gain(self, rows: Rows, dtype: type[np.floating[Any]]) -> float:
        """A power of four near the mean squared gradient of the first round; 1 where that is 0.

        XGBoost and CatBoost drop splits whose gain is below an absolute 1e-6 and 1e-9: left as they are, labels around
        1e-9 would predict a constant. `dtype` is that of the engine's scores, so that one kernel does for both.
        """
        labels = as_single(rows.y, "labels")
        assert labels is not None
        shape = scores_shape(self.loss, labels.size)
        weight = np.ones(labels.size, dtype) if rows.weight is None else rows.weight.astype(dtype)
        gradient, hess = np.empty(shape, dtype), np.empty(shape, dtype)
        start = rows.X.from_start(np.zeros(shape)).astype(dtype)
        self.fill(labels, start, weight, (gradient, hess), self.n_threads)
        return power_of_four(gradient)

    def fill(self, y: Any, raw: Any, weight: Any, out: tuple[Any, Any], n_threads: int) -> None:
        """One pass of the kernel into `out`."""
        y, raw = _as_floats(y), _as_floats(raw)
        if isinstance(self.loss, VectorLoss):
            raw, *both = (a if a.ndim == 2 else a[:, None] for a in (raw, *out))
            out = both[0], both[1]
        labels = self.loss.label_numbers(y) if isinstance(self.loss, VectorLoss) else y
        bad = self.run(labels, raw, weight, out, n_threads)
        if bad:
            row = int(np.argwhere(~(np.isfinite(out[0]) & np.isfinite(out[1])))[0, 0])
            score = np.squeeze(raw[row] + self.offset)
            raise FloatingPointError(
                f"{self.loss!r}: gradient or Hessian of {bad:,} rows is not finite in round {self.round}, first at "
                f"{self.row_name} {row} (y={y[row]:g}, raw score {score}): lower learning_rate, or use another link or loss"
            )


def _as_floats(values: Any) -> Any:
    """Kernels read memory as it is: what is not float32 or float64 of this machine, such as integers, is converted."""
    kind = values.dtype
    return values if kind.char in "fd" and kind.isnative else values.astype(np.float64)
