"""Raw scores: their shape, by the loss's outputs, and the size of their gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.vector import VectorLoss

TrainableLoss = PointwiseLoss | VectorLoss


def scores_shape(loss: TrainableLoss, n: int) -> tuple[int, ...]:
    """The shape of n rows' raw scores: (n,), or (n, n_outputs) for losses of several outputs."""
    return (n, loss.n_outputs) if loss.n_outputs > 1 else (n,)


def check_shapes(loss: TrainableLoss, y: Any, raw: Any) -> None:
    """Raise `ValueError` unless y is (n,) and raw as `scores_shape` says."""
    if y.ndim != 1 or raw.shape != scores_shape(loss, y.size):
        k = loss.n_outputs
        outputs = "one output" if k == 1 else f"{k} outputs"
        wanted = ", ".join(map(str, scores_shape(loss, y.size)))
        way_out = f": set num_class={k} on LightGBM, num_target={k} on XGBoost" if k > 1 else ""
        raise ValueError(
            f"{type(loss).__name__} has {outputs}: for {y.size:,} labels the raw scores must have shape ({wanted}), "
            f"got {y.shape} and {raw.shape}{way_out}"
        )


def power_of_four(gradient: NDArray[np.floating[Any]]) -> float:
    """The one at or below the mean square, by which numbers can be divided without rounding; 1 where that is 0."""
    mean_square = float(np.mean(np.square(gradient, dtype=np.float64)))
    return 4.0 ** math.floor(math.log2(mean_square) / 2) if mean_square > 0 else 1.0
