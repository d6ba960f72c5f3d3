"""Losses of several outputs: functions of one row's arrays -> one pass over the rows, in any memory layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numba import float32, float64, guvectorize, int64
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from gbreg._kernels.scalar import Array, Function, compile_loop, compile_row, threads_available, with_threads

# Rows cost tens to hundreds of nanoseconds here: fewer pay for a parallel region.
PARALLEL_ROWS = 1024


@dataclass(frozen=True)
class RowSpec:
    """What is compiled in for a loss of several outputs: functions, no numbers. Equal specs share one kernel.

    Parameters
    ----------
    value : function of (y, raw, parameters, table, work) -> float
    derivatives : function of (y, raw, parameters, table, gradient, hess, work)
        Fills `gradient` and `hess`, which are zero where it starts. All arrays are float64: raw, gradient and hess of
        shape (n_outputs,), parameters 1-D, table 2-D, work 1-D scratch.
    """

    value: Function
    derivatives: Function


@dataclass(frozen=True)
class RowArguments:
    """The run-time numbers: parameters of shape (p,), a table of any shape, and how much scratch a row needs."""

    parameters: NDArray[np.float64]
    table: NDArray[np.float64]
    work: int = 0


@lru_cache(maxsize=512)
def _value_loop(spec: RowSpec) -> Any:
    value = compile_row(spec.value)

    def loop(y, raw, parameters, table, scratch, offset, out):  # type: ignore[no-untyped-def] # pragma: no cover
        row = np.empty(raw.shape[1])
        work = np.empty(scratch)
        for i in range(y.shape[0]):
            for r in range(row.shape[0]):
                row[r] = raw[i, r] + offset[r]
            out[i] = value(y[i] * 1.0, row, parameters, table, work)

    return compile_loop(loop)


@lru_cache(maxsize=512)
def _gradient_loop(spec: RowSpec) -> Any:
    derivatives = compile_row(spec.derivatives)

    def loop(start, stop, y, raw, weight, parameters, table, scratch, offset, constants, gradient, hess):  # type: ignore[no-untyped-def] # pragma: no cover
        n_outputs = raw.shape[1]
        row, g, h = np.empty(n_outputs), np.empty(n_outputs), np.empty(n_outputs)
        work = np.empty(scratch)
        # Blocks of a ufunc may have any stride: copied, inner loops over them are vectorised.
        own, fixed = parameters.copy(), table.copy()
        ceiling = constants[0]
        bad = 0
        for i in range(start, stop):
            for r in range(n_outputs):
                row[r] = raw[i, r] + offset[r]
                g[r] = 0.0
                h[r] = 0.0
            derivatives(y[i] * 1.0, row, own, fixed, g, h, work)
            wrong = False
            for r in range(n_outputs):
                w = constants[1 + r] * weight[i]
                gradient[i, r] = g[r] * w
                hess[i, r] = h[r] * w
                wrong = wrong or not abs(g[r] * w) + abs(h[r] * w) < ceiling
            bad += 1 if wrong else 0
        return bad

    return compile_loop(loop)


@lru_cache(maxsize=512)
def _parallel_loop(spec: RowSpec, y_dtype: str, raw_dtype: str) -> Any:
    """The gradient loop as a generalised ufunc over blocks of rows, run by numba's thread pool."""
    loop = _gradient_loop(spec)

    def blocks(start, stop, y, raw, weight, parameters, table, scratch, offset, constants, gradient, hess, bad):  # type: ignore[no-untyped-def] # pragma: no cover
        bad[0] = loop(start, stop, y, raw, weight, parameters, table, scratch, offset, constants, gradient, hess)

    scalar = {"float32": float32, "float64": float64}
    label, score = scalar[y_dtype][:], scalar[raw_dtype][:, :]
    double, single = float64[:], float32[:, :]
    table = float64[:, :]
    signature = [(int64, int64, label, score, float32[:], double, table, int64, double, double, single, single, int64[:])]
    layout = "(),(),(n),(n,r),(n),(p),(a,b),(),(r),(c),(n,r),(n,r)->()"
    return guvectorize(signature, layout, target="parallel", nopython=True, writable_args=("gradient", "hess"))(blocks)


def row_value(spec: RowSpec, arguments: RowArguments, y: Array, raw: Array) -> NDArray[np.float64]:
    """The loss of every row at its scores of shape (n, n_outputs), unweighted, shape (n,)."""
    out = np.empty(y.shape[0], dtype=np.float64)
    zero = np.zeros(raw.shape[1])
    _value_loop(spec)(y, raw, arguments.parameters, arguments.table, arguments.work, zero, out)
    return out


class RowPass:
    """Gradient and Hessian times scale * weight at raw + offset, with everything ready but the rows.

    Parameters
    ----------
    spec, arguments
        What is compiled in, and the run-time numbers.
    offset : array of shape (n_outputs,)
    scale : float, or array of shape (n_outputs,)
    """

    def __init__(
        self,
        spec: RowSpec,
        arguments: RowArguments,
        *,
        offset: NDArray[np.float64],
        scale: float | NDArray[np.float64] = 1.0,
    ):
        self.spec = spec
        self.loop = _gradient_loop(spec)
        self.fixed = arguments.parameters, arguments.table, arguments.work, offset
        scales = np.broadcast_to(scale, offset.shape)
        self.constants = {np.dtype(t): np.array([np.finfo(t).max, *scales]) for t in (np.float32, np.float64)}

    def __call__(self, y: Array, raw: Array, weight: Array, out: tuple[Array, Array], n_threads: int = 1) -> int:
        """Fill `out`, and return how many rows are not finite; raw and both outputs are (n, n_outputs) in any order."""
        gradient, hess = out
        n = y.shape[0]
        fixed = *self.fixed, self.constants[gradient.dtype]
        single = gradient.dtype == np.float32 and weight.dtype == np.float32
        if n_threads == 1 or n < PARALLEL_ROWS or not single or not threads_available():
            return int(self.loop(0, n, y, raw, weight, *fixed, gradient, hess))
        n_blocks = min(n_threads, numba.config.NUMBA_NUM_THREADS)
        ends = np.linspace(0, n, n_blocks + 1).astype(np.int64)
        bad = np.zeros(n_blocks, dtype=np.int64)
        # An output needs the dimension of the blocks: each is given the whole of it, and fills its own rows.
        whole = [as_strided(a, (n_blocks, *a.shape), (0, *a.strides)) for a in out]
        with with_threads(n_blocks):
            _parallel_loop(self.spec, y.dtype.name, raw.dtype.name)(ends[:-1], ends[1:], y, raw, weight, *fixed, *whole, bad)
        return int(bad.sum())
