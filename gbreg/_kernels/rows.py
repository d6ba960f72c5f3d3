"""Losses of several outputs: functions of one row's arrays -> one pass over the rows, in any memory layout."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numba import carray, float64, njit
from numpy.typing import NDArray

from gbreg._kernels.machine import (
    SCALAR,
    Array,
    Function,
    Kernel,
    address_of,
    blocks_for,
    doubles,
    make_kernel,
    singles,
)
from gbreg._kernels.scalar import compile_row, compile_single_row

# Rows cost tens to hundreds of nanoseconds here: fewer pay for a parallel region.
PARALLEL_ROWS = 1024
# Of raw scores in single precision: nothing made of them overflows.
_MOST_SINGLE = 1e30


@dataclass(frozen=True)
class RowSpec:
    """What is compiled in for a loss of several outputs: functions, no numbers. Equal specs share one kernel.

    Parameters
    ----------
    value : function of (label, raw, parameters, table, work) -> float
    derivatives : function of (label, raw, parameters, table, gradient, hess, work)
        Fills `gradient` and `hess`, which are zero where it starts. All arrays are float64: raw, gradient and hess of
        shape (n_outputs,), parameters 1-D, table 2-D, work 1-D scratch.
    n_numbers : int
        How many numbers a label is: a number where 1, else an array.
    single : bool
        Whether `derivatives` takes table and work in float32, and is called for scores alone that are less than 1e30.
    """

    value: Function
    derivatives: Function
    n_numbers: int = 1
    single: bool = False


@dataclass(frozen=True)
class RowArguments:
    """The run-time numbers: parameters of shape (p,), a table of any shape, and how much scratch a row needs."""

    parameters: NDArray[np.float64]
    table: NDArray[np.float64]
    work: int = 0


# The frame of both kernels: rows, blocks, outputs, parameters and their number, the table and its shape, scratch and a
# block's part of it, offset, constants; then of labels, scores, weights, gradient and Hessian: address, item size, and the
# distances in items between rows and between outputs.
_ROWS, _BLOCKS, _OUTPUTS, _PARAMETERS, _TABLE, _SCRATCH, _OFFSET, _CONSTANTS = 0, 1, 2, 3, 5, 8, 10, 11
_LABELS, _SCORES, _WEIGHTS, _GRADIENT, _HESSIAN = 12, 16, 20, 24, 28
_VALUES = _GRADIENT


@njit(**SCALAR)
def _get(frame, place, i, r):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    at = i * frame[place + 2] + r * frame[place + 3]
    return float64(singles(frame[place])[at]) if frame[place + 1] == 4 else doubles(frame[place])[at]


@njit(**SCALAR)
def _set(frame, place, i, r, number):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    at = i * frame[place + 2] + r * frame[place + 3]
    if frame[place + 1] == 4:
        singles(frame[place])[at] = number
    else:
        doubles(frame[place])[at] = number


@njit(**SCALAR)
def _read_scores(frame, i, offset, row):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for r in range(row.shape[0]):
        row[r] = _get(frame, _SCORES, i, r) + offset[r]


@njit(**SCALAR)
def _number(frame, i, numbers):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    return _get(frame, _LABELS, i, 0)


@njit(**SCALAR)
def _numbers(frame, i, numbers):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    for k in range(numbers.shape[0]):
        numbers[k] = _get(frame, _LABELS, i, k)
    return numbers


@lru_cache(maxsize=512)
def _value_kernel(spec: RowSpec) -> Kernel:
    value, n_numbers = compile_row(spec.value), spec.n_numbers
    label = _number if n_numbers == 1 else _numbers

    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        parameters = carray(doubles(frame[_PARAMETERS]), frame[_PARAMETERS + 1])
        table = carray(doubles(frame[_TABLE]), (frame[_TABLE + 1], frame[_TABLE + 2]))
        n_outputs, offset = frame[_OUTPUTS], doubles(frame[_OFFSET])
        scratch = carray(doubles(frame[_SCRATCH]), frame[_SCRATCH + 1])
        row, numbers, work = (
            scratch[:n_outputs],
            scratch[n_outputs : n_outputs + n_numbers],
            scratch[n_outputs + n_numbers :],
        )
        for i in range(frame[_ROWS]):
            _read_scores(frame, i, offset, row)
            _set(frame, _VALUES, i, 0, value(label(frame, i, numbers), row, parameters, table, work))

    return make_kernel(body)


@lru_cache(maxsize=512)
def _gradient_kernel(spec: RowSpec) -> Kernel:
    derivatives = compile_single_row(spec.derivatives) if spec.single else compile_row(spec.derivatives)
    n_numbers, most, fixed = spec.n_numbers, _MOST_SINGLE if spec.single else math.inf, singles if spec.single else doubles
    label = _number if n_numbers == 1 else _numbers

    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        parameters = carray(doubles(frame[_PARAMETERS]), frame[_PARAMETERS + 1])
        table = carray(fixed(frame[_TABLE]), (frame[_TABLE + 1], frame[_TABLE + 2]))
        n_outputs, offset, constants = frame[_OUTPUTS], doubles(frame[_OFFSET]), doubles(frame[_CONSTANTS])
        number, size = block[0][0], frame[_SCRATCH + 1]
        own = frame[_SCRATCH] + 8 * size * number
        scratch, used = carray(doubles(own), size), 3 * n_outputs + n_numbers
        row, g, h = scratch[:n_outputs], scratch[n_outputs : 2 * n_outputs], scratch[2 * n_outputs : 3 * n_outputs]
        numbers, work = scratch[3 * n_outputs : used], carray(fixed(own + 8 * used), size - used)
        ceiling = constants[0]
        bad = 0
        for i in range(frame[_ROWS] * number // frame[_BLOCKS], frame[_ROWS] * (number + 1) // frame[_BLOCKS]):
            _read_scores(frame, i, offset, row)
            wrong = False
            for r in range(n_outputs):
                g[r] = 0.0
                h[r] = 0.0
                wrong = wrong or not abs(row[r]) <= most
            derivatives(label(frame, i, numbers), row, parameters, table, g, h, work)
            weight = _get(frame, _WEIGHTS, i, 0)
            for r in range(n_outputs):
                w = constants[1 + r] * weight
                _set(frame, _GRADIENT, i, r, g[r] * w)
                _set(frame, _HESSIAN, i, r, h[r] * w)
                wrong = wrong or not abs(g[r] * w) + abs(h[r] * w) < ceiling
            bad += 1 if wrong else 0
        block[1][0] = bad

    return make_kernel(body)


@lru_cache(maxsize=512)
def _sums_kernel(function: Function, single: bool) -> Kernel:
    add, fixed = (compile_single_row(function), singles) if single else (compile_row(function), doubles)

    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        parameters = carray(doubles(frame[_PARAMETERS]), frame[_PARAMETERS + 1])
        table = carray(fixed(frame[_TABLE]), (frame[_TABLE + 1], frame[_TABLE + 2]))
        n_outputs, offset, n = frame[_OUTPUTS], doubles(frame[_OFFSET]), frame[_TABLE + 2]
        scratch = carray(doubles(frame[_SCRATCH]), n_outputs)
        work, sums = carray(fixed(frame[_SCRATCH] + 8 * n_outputs), n), carray(doubles(frame[_VALUES]), n)
        for i in range(frame[_ROWS]):
            _read_scores(frame, i, offset, scratch)
            add(scratch, _get(frame, _WEIGHTS, i, 0), parameters, table, sums, work)

    return make_kernel(body)


def _frame(
    arguments: RowArguments, offset: Array, constants: Array, n_blocks: int, *arrays: Array
) -> tuple[list[int], Array]:
    """The frame of labels, scores and what follows them, and its scratch, which must outlive the call."""
    n, n_outputs = arrays[1].shape
    n_numbers = 1 if arrays[0].ndim == 1 else arrays[0].shape[1]
    size = 3 * n_outputs + n_numbers + arguments.work
    scratch = np.empty(size * n_blocks)
    parameters, table = arguments.parameters, arguments.table
    head = [n, n_blocks, n_outputs, address_of(parameters), parameters.size, address_of(table), *table.shape]
    head += [address_of(scratch), size, address_of(offset), address_of(constants)]
    for a in arrays:
        head += [address_of(a), a.itemsize, *(step // a.itemsize for step in (*a.strides, 0)[:2])]
    return head, scratch


def row_value(spec: RowSpec, arguments: RowArguments, labels: Array, raw: Array) -> NDArray[np.float64]:
    """The loss of every row at its scores of shape (n, n_outputs), unweighted, shape (n,)."""
    out, zero = np.empty(raw.shape[0]), np.zeros(raw.shape[1])
    frame, scratch = _frame(arguments, zero, zero, 1, labels, raw, out, out)
    _value_kernel(spec)(frame)
    del scratch
    return out


def row_sums(
    function: Function, arguments: RowArguments, raw: Array, weight: Array, single: bool = False
) -> NDArray[np.float64]:
    """Sums over the rows, one a column of the table, of what (raw, weight, parameters, table, sums, work) -> None adds.

    With `single` the function takes table and work in float32, for finite scores.
    """
    n = arguments.table.shape[1]
    sums, zero = np.zeros(n), np.zeros(raw.shape[1])
    table: Array = arguments.table.astype(np.float32) if single else arguments.table
    frame, scratch = _frame(replace(arguments, table=table, work=n), zero, zero, 1, weight, raw, weight, sums)
    _sums_kernel(function, single)(frame)
    del scratch
    return sums


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
        self.kernel = _gradient_kernel(spec)
        self.arguments = replace(arguments, table=arguments.table.astype(np.float32)) if spec.single else arguments
        self.offset = np.ascontiguousarray(offset, dtype=np.float64)
        scales = np.broadcast_to(scale, offset.shape)
        self.constants = {np.dtype(t): np.array([np.finfo(t).max, *scales]) for t in (np.float32, np.float64)}

    def __call__(self, labels: Array, raw: Array, weight: Array, out: tuple[Array, Array], n_threads: int = 1) -> int:
        """Fill `out`, and return how many rows are not finite.

        Labels are (n,), or (n, n_numbers); raw and both outputs are (n, n_outputs) in any order.
        """
        n_blocks = blocks_for(n_threads) if raw.shape[0] >= PARALLEL_ROWS else 1
        frame, scratch = self._frame(n_blocks, labels, raw, weight, out)
        bad = self.kernel(frame, n_blocks)
        del scratch
        return bad

    def prepared(self, labels: Array, raw: Array, weight: Array, out: tuple[Array, Array]) -> Callable[[], int]:
        """The call for arrays that stay and are filled anew each time; not for several threads at once."""
        frame, scratch = self._frame(1, labels, raw, weight, out)
        run = self.kernel.prepared(frame)
        run.scratch = scratch  # type: ignore[attr-defined]
        return run

    def _frame(self, n_blocks: int, labels: Array, raw: Array, weight: Array, out: tuple[Array, Array]) -> Any:
        return _frame(self.arguments, self.offset, self.constants[out[0].dtype], n_blocks, labels, raw, weight, *out)
