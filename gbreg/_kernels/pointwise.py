"""Losses of one output: scalar functions of one row -> one fused pass that yields gradient and Hessian together.

They come already weighted, shifted and scaled, in the dtype the engine wants. Parameters are run-time values: a changed
delta recompiles nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import numpy as np
from numba import njit
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
from gbreg._kernels.scalar import compile_scalar, take
from gbreg.links import Link

# Below this many rows a parallel region costs more than it saves.
PARALLEL_ROWS = 8192


@dataclass(frozen=True)
class PointwiseSpec:
    """Everything that is compiled in: functions and switches, no numbers. Equal specs share one kernel.

    Parameters
    ----------
    value, derivatives : function of (y, t, \\*parameters)
        The loss, and its first two derivatives with respect to t.
    coordinate : {"mu", "log_mu", "raw"}
        What t is: the value; its logarithm, which is the raw score of a log link; or the raw score of any link, and
        then y is passed as ``link(y)``.
    link : subclass of Link
    minimizer : function of (y, \\*parameters) or None
        The mu at which a row's loss is least, where that is not y.
    expected : function of (y, t, \\*parameters) or None
        The Fisher information with respect to t.
    n_parameters : int
        How many numbers the loss takes; the link's follow them.
    rescaled : bool
        Whether the row's loss is multiplied by a factor chosen by its label's interval.
    """

    value: Function
    derivatives: Function
    coordinate: str
    link: type[Link]
    minimizer: Function | None
    expected: Function | None
    n_parameters: int
    n_link_parameters: int
    rescaled: bool


@njit(**SCALAR)
def _label_factor(y, n, edges, factors):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    factor = 1.0
    for j in range(n):
        if y >= edges[j]:
            factor = factors[j]
    return factor


@njit(**SCALAR)
def _no_factor(y, n, edges, factors):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    return 1.0


class _Pieces:
    """The compiled small functions of one spec, in the one form that the loops below use."""

    def __init__(self, spec: PointwiseSpec):
        link = spec.link
        to_raw = compile_scalar(link.link)
        if spec.coordinate == "mu":
            inverse, first = compile_scalar(link.inverse), compile_scalar(link.inverse_derivative)
            second = compile_scalar(link.inverse_derivative2)

            @njit(**SCALAR)
            def coordinate(raw: float, link_parameters: Any) -> Any:  # pragma: no cover - compiled
                return inverse(raw, *link_parameters), first(raw, *link_parameters), second(raw, *link_parameters)
        else:

            @njit(**SCALAR)
            def coordinate(raw: float, link_parameters: Any) -> Any:  # pragma: no cover - compiled
                return raw, 1.0, 0.0

        if spec.coordinate == "raw":

            @njit(**SCALAR)
            def anchor(y: float, link_parameters: Any) -> float:  # pragma: no cover - compiled
                return to_raw(y, *link_parameters)  # type: ignore[no-any-return]
        else:

            @njit(**SCALAR)
            def anchor(y: float, link_parameters: Any) -> float:  # pragma: no cover - compiled
                return y

        if spec.minimizer is None:

            @njit(**SCALAR)
            def target(y: float, parameters: Any, link_parameters: Any) -> float:  # pragma: no cover - compiled
                return to_raw(y, *link_parameters)  # type: ignore[no-any-return]
        else:
            minimizer = compile_scalar(spec.minimizer)

            @njit(**SCALAR)
            def target(y: float, parameters: Any, link_parameters: Any) -> float:  # pragma: no cover - compiled
                return to_raw(minimizer(y, *parameters), *link_parameters)  # type: ignore[no-any-return]

        self.coordinate, self.anchor, self.target = coordinate, anchor, target
        self.take, self.take_link = take(spec.n_parameters), take(spec.n_link_parameters)
        self.factor = _label_factor if spec.rescaled else _no_factor


# The frames of both kernels: rows, blocks, parameters, number of label intervals, their edges, their factors, constants,
# labels, raw scores; then the values, or weights, gradient and Hessian.
_ROWS, _BLOCKS, _PARAMETERS, _N_EDGES, _EDGES, _FACTORS, _CONSTANTS, _LABELS, _SCORES = range(9)
_VALUES = 9
_WEIGHTS, _GRADIENT, _HESSIAN = 9, 10, 11
# Of the item sizes of arrays: a kernel is compiled for those that it is asked for.
_POINTERS = {4: singles, 8: doubles}


@lru_cache(maxsize=512)
def _value_kernel(spec: PointwiseSpec, label_size: int, score_size: int) -> Kernel:
    p = _Pieces(spec)
    labels, scores = _POINTERS[label_size], _POINTERS[score_size]
    value = compile_scalar(spec.value)
    coordinate, anchor, take, take_link, factor = p.coordinate, p.anchor, p.take, p.take_link, p.factor
    k = spec.n_parameters

    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        parameters = doubles(frame[_PARAMETERS])
        own, of_link = take(parameters, 0), take_link(parameters, k)
        n_edges, edges, factors = frame[_N_EDGES], doubles(frame[_EDGES]), doubles(frame[_FACTORS])
        offset, out = doubles(frame[_CONSTANTS])[0], doubles(frame[_VALUES])
        y, raw = labels(frame[_LABELS]), scores(frame[_SCORES])
        for i in range(frame[_ROWS]):
            label = y[i] * 1.0  # float() would keep a float32, and compile every scalar function once more for it
            t, _, _ = coordinate(raw[i] + offset, of_link)
            out[i] = value(anchor(label, of_link), t, *own) * factor(label, n_edges, edges, factors)

    return make_kernel(body)


def _curvature(spec: PointwiseSpec, hessian: str, p: _Pieces, derivatives: Any) -> Any:
    """Compiled (y, raw, t, t', t'', d1, d2, gradient, parameters, link's, step bounds) -> Hessian of one row."""
    if hessian == "expected":
        if spec.expected is None:
            raise ValueError('hessian="expected" needs a likelihood (Poisson, Gamma, Tweedie): use "safe" or "exact"')
        expected = compile_scalar(spec.expected)

        @njit(**SCALAR)
        def fisher(y, raw, t, t1, t2, d1, d2, g, own, of_link, step):  # type: ignore[no-untyped-def] # pragma: no cover
            return expected(y, t, *own) * t1 * t1

        return fisher

    @njit(**SCALAR)
    def exact(y, raw, t, t1, t2, d1, d2, g, own, of_link, step):  # type: ignore[no-untyped-def] # pragma: no cover
        return (d2 * t1) * t1 + d1 * t2

    if hessian == "exact":
        return exact
    target, coordinate, anchor = p.target, p.coordinate, p.anchor

    @njit(**SCALAR)
    def safe(y, raw, t, t1, t2, d1, d2, g, own, of_link, step):  # type: ignore[no-untyped-def] # pragma: no cover
        limit, _, _, over, under = step
        h = exact(y, raw, t, t1, t2, d1, d2, g, own, of_link, step)
        way = min(abs(raw - target(y, own, of_link)), limit)
        # Nearer than rounding can tell, the secant has become the second derivative.
        h = max(h, abs(g) / way) if way > 1e-15 * abs(raw) else h
        return h * (over if g > 0.0 else under)

    bend = spec.link.bend
    if bend is None or spec.coordinate == "raw":
        return safe

    @njit(**SCALAR)
    def mean_curvature(y, raw, g, own, of_link, way):  # type: ignore[no-untyped-def] # pragma: no cover
        """The change of the gradient between raw and raw + way, over way (which may be negative)."""
        t, t1, _ = coordinate(raw + way, of_link)
        d1, _ = derivatives(anchor(y, of_link), t, *own)
        return (d1 * t1 - g) / way

    @njit(**SCALAR)
    def safe_ahead(y, raw, t, t1, t2, d1, d2, g, own, of_link, step):  # type: ignore[no-untyped-def] # pragma: no cover
        _, ahead, rate, _, _ = step
        h = safe(y, raw, t, t1, t2, d1, d2, g, own, of_link, step)
        # A step can lead just beyond the bend of the link, just beyond the label, or as far as any row may ask.
        least = 1e-6 * ahead
        bent = math.copysign(min(ahead, max(2.0 * abs(raw) + bend, least)), -raw)
        distance = target(y, own, of_link) - raw
        crossed = math.copysign(min(ahead, max(2.0 * abs(distance), least)), distance)
        most = mean_curvature(y, raw, g, own, of_link, ahead)
        most = max(most, mean_curvature(y, raw, g, own, of_link, -ahead))
        most = max(most, mean_curvature(y, raw, g, own, of_link, bent))
        most = max(most, mean_curvature(y, raw, g, own, of_link, crossed))
        return max(h, 2.0 * rate * most) if ahead > 0.0 else h

    return safe_ahead


@lru_cache(maxsize=512)
def _gradient_kernel(spec: PointwiseSpec, hessian: str, sizes: tuple[int, int, int, int]) -> Kernel:
    """For labels, raw scores, weights and outputs of these item sizes."""
    p = _Pieces(spec)
    labels, scores, weights, outputs = (_POINTERS[size] for size in sizes)
    derivatives = compile_scalar(spec.derivatives)
    curvature = _curvature(spec, hessian, p, derivatives)
    coordinate, anchor, take, take_link, factor = p.coordinate, p.anchor, p.take, p.take_link, p.factor
    k = spec.n_parameters

    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        number, parameters, constants = block[0][0], doubles(frame[_PARAMETERS]), doubles(frame[_CONSTANTS])
        own, of_link = take(parameters, 0), take_link(parameters, k)
        n_edges, edges, factors = frame[_N_EDGES], doubles(frame[_EDGES]), doubles(frame[_FACTORS])
        offset, scale, floor, ceiling = constants[0], constants[1], constants[2], constants[3]
        step = (constants[4], constants[5], constants[6], constants[7], constants[8])
        y, raw, weight = labels(frame[_LABELS]), scores(frame[_SCORES]), weights(frame[_WEIGHTS])
        gradient, hess = outputs(frame[_GRADIENT]), outputs(frame[_HESSIAN])
        bad = 0
        for i in range(frame[_ROWS] * number // frame[_BLOCKS], frame[_ROWS] * (number + 1) // frame[_BLOCKS]):
            f = raw[i] + offset
            label = y[i] * 1.0
            t, t1, t2 = coordinate(f, of_link)
            d1, d2 = derivatives(anchor(label, of_link), t, *own)
            g = d1 * t1
            h = curvature(label, f, t, t1, t2, d1, d2, g, own, of_link, step)
            w = scale * weight[i] * factor(label, n_edges, edges, factors)
            g *= w
            h = max(h * w, floor)
            gradient[i] = g
            hess[i] = h
            bad += 0 if abs(g) + abs(h) < ceiling else 1
        block[1][0] = bad

    return make_kernel(body)


@dataclass(frozen=True)
class Arguments:
    """The run-time numbers of a compiled loss: its parameters (the link's last) and its label factors."""

    parameters: NDArray[np.float64]
    edges: NDArray[np.float64]
    factors: NDArray[np.float64]


class StepBounds(NamedTuple):
    """What keeps a leaf's step safe: the run-time numbers of the safe curvature.

    Parameters
    ----------
    limit : float
        How far one row may ask to move its raw score.
    ahead : float
        How far ahead of its score a row's curvature is checked; 0 for not at all.
    rate : float
        The learning rate, by which steps are shortened.
    over, under : float
        Factors on the curvature of rows above and below their label, for losses steeper on the other side.
    """

    limit: float = math.inf
    ahead: float = 0.0
    rate: float = 0.1
    over: float = 1.0
    under: float = 1.0


FREE = StepBounds()


def _rounded(edges: Array, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    """Labels rounded to float32 must meet edges rounded the same way, or a label equal to an edge falls below it."""
    return edges.astype(dtype).astype(np.float64)


def value(spec: PointwiseSpec, arguments: Arguments, y: Array, raw: Array, offset: float = 0.0) -> NDArray[np.float64]:
    """The loss of every row at raw + offset, unweighted, shape (n,)."""
    run = _Fixed(arguments, y.dtype, [offset])
    out = np.empty(y.shape[0])
    _value_kernel(spec, y.itemsize, raw.itemsize)(run.frame(y.shape[0], 1, y, raw, out))
    return out


class _Fixed:
    """The part of a frame that does not depend on the rows, and its arrays."""

    def __init__(self, arguments: Arguments, label: np.dtype[Any], constants: list[float]):
        edges, numbers = _rounded(arguments.edges, label), np.array(constants)
        self._arrays = arguments.parameters, edges, arguments.factors, numbers
        parameters, *others = (address_of(a) for a in self._arrays)
        self._head = [parameters, edges.size, *others]

    def frame(self, n: int, n_blocks: int, *rows: Array) -> list[int]:
        return [n, n_blocks, *self._head, *map(address_of, rows)]


class Pass:
    """Gradient and Hessian times scale * weight at raw + offset, with everything ready but the rows.

    Parameters
    ----------
    spec, arguments
        What is compiled in, and the run-time numbers.
    hessian : {"safe", "exact", "expected"}
    offset, scale : float
    step : StepBounds
    floor : float
        The least Hessian.
    """

    def __init__(
        self,
        spec: PointwiseSpec,
        arguments: Arguments,
        *,
        hessian: str = "safe",
        offset: float = 0.0,
        scale: float = 1.0,
        step: StepBounds = FREE,
        floor: float = -math.inf,
    ):
        self.kernel = lru_cache(partial(_gradient_kernel, spec, hessian))
        self.fixed = {
            (np.dtype(label), np.dtype(out)): _Fixed(
                arguments, np.dtype(label), [offset, scale, floor, float(np.finfo(out).max), *step]
            )
            for label in (np.float32, np.float64)
            for out in (np.float32, np.float64)
        }

    def __call__(self, y: Array, raw: Array, weight: Array, out: tuple[Array, Array], n_threads: int = 1) -> int:
        """Fill `out`, and return how many rows are not finite.

        y, raw, weight and both outputs are contiguous 1-D arrays of one length, each of float32 or float64; at least
        `PARALLEL_ROWS` rows are shared between `n_threads` threads.
        """
        n = y.shape[0]
        n_blocks = blocks_for(n_threads) if n >= PARALLEL_ROWS else 1
        kernel = self.kernel((y.itemsize, raw.itemsize, weight.itemsize, out[0].itemsize))
        return kernel(self.fixed[y.dtype, out[0].dtype].frame(n, n_blocks, y, raw, weight, *out), n_blocks)
