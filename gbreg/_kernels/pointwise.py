"""Losses of one output: scalar functions of one row -> one fused pass that yields gradient and Hessian together.

They come already weighted, shifted and scaled, in the dtype the engine wants. Parameters are run-time values: a changed
delta recompiles nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import float32, float64, guvectorize, int64, njit
from numpy.typing import NDArray

from gbreg._kernels.scalar import (
    SCALAR,
    Array,
    Function,
    compile_loop,
    compile_scalar,
    take,
    threads_available,
    with_threads,
)
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
def _label_factor(y: float, edges: Array, factors: Array) -> float:  # pragma: no cover - compiled
    factor = 1.0
    for j in range(edges.shape[0]):
        if y >= edges[j]:
            factor = factors[j]
    return factor


@njit(**SCALAR)
def _no_factor(y: float, edges: Array, factors: Array) -> float:  # pragma: no cover - compiled
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


@lru_cache(maxsize=512)
def _value_loop(spec: PointwiseSpec) -> Any:
    p = _Pieces(spec)
    value = compile_scalar(spec.value)
    coordinate, anchor, take, take_link, factor = p.coordinate, p.anchor, p.take, p.take_link, p.factor
    k = spec.n_parameters

    def loop(y, raw, parameters, edges, factors, offset, out):  # type: ignore[no-untyped-def] # pragma: no cover
        own, of_link = take(parameters, 0), take_link(parameters, k)
        for i in range(y.shape[0]):
            label = y[i] * 1.0  # float() would keep a float32, and compile every scalar function once more for it
            t, _, _ = coordinate(raw[i] + offset, of_link)
            out[i] = value(anchor(label, of_link), t, *own) * factor(label, edges, factors)

    return compile_loop(loop)


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
def _gradient_loop(spec: PointwiseSpec, hessian: str) -> Any:
    p = _Pieces(spec)
    derivatives = compile_scalar(spec.derivatives)
    curvature = _curvature(spec, hessian, p, derivatives)
    coordinate, anchor, take, take_link, factor = p.coordinate, p.anchor, p.take, p.take_link, p.factor
    k = spec.n_parameters

    def loop(y, raw, weight, parameters, edges, factors, constants, gradient, hess):  # type: ignore[no-untyped-def] # pragma: no cover
        own, of_link = take(parameters, 0), take_link(parameters, k)
        offset, scale, floor, ceiling = constants[0], constants[1], constants[2], constants[3]
        step = (constants[4], constants[5], constants[6], constants[7], constants[8])
        bad = 0
        for i in range(y.shape[0]):
            f = raw[i] + offset
            label = y[i] * 1.0
            t, t1, t2 = coordinate(f, of_link)
            d1, d2 = derivatives(anchor(label, of_link), t, *own)
            g = d1 * t1
            h = curvature(label, f, t, t1, t2, d1, d2, g, own, of_link, step)
            w = scale * weight[i] * factor(label, edges, factors)
            g *= w
            h = max(h * w, floor)
            gradient[i] = g
            hess[i] = h
            bad += 0 if abs(g) + abs(h) < ceiling else 1
        return bad

    return compile_loop(loop)


@lru_cache(maxsize=512)
def _parallel_loop(spec: PointwiseSpec, hessian: str, y_dtype: str, raw_dtype: str) -> Any:
    """The gradient loop as a generalised ufunc over row blocks, run by numba's thread pool."""
    loop = _gradient_loop(spec, hessian)

    def blocks(y, raw, weight, parameters, edges, factors, constants, gradient, hess, bad):  # type: ignore[no-untyped-def] # pragma: no cover
        bad[0] = loop(y, raw, weight, parameters, edges, factors, constants, gradient, hess)

    scalar = {"float32": float32, "float64": float64}
    label, score = scalar[y_dtype][::1], scalar[raw_dtype][::1]
    double, single = float64[::1], float32[::1]
    signature = [(label, score, single, double, label, double, double, single, single, int64[::1])]
    layout = "(n),(n),(n),(p),(e),(e),(c)->(n),(n),()"
    return guvectorize(signature, layout, target="parallel", nopython=True)(blocks)


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


def value(spec: PointwiseSpec, arguments: Arguments, y: Array, raw: Array, offset: float = 0.0) -> NDArray[np.float64]:
    """The loss of every row at raw + offset, unweighted, shape (n,)."""
    out = np.empty(y.shape[0], dtype=np.float64)
    edges = arguments.edges.astype(y.dtype)
    _value_loop(spec)(y, raw, arguments.parameters, edges, arguments.factors, offset, out)
    return out


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
        self.spec, self.hessian = spec, hessian
        self.loop = _gradient_loop(spec, hessian)
        self.parameters, self.factors = arguments.parameters, arguments.factors
        # Labels rounded to float32 must meet edges rounded the same way, or a label equal to an edge falls below it.
        self.edges = {np.dtype(dtype): arguments.edges.astype(dtype) for dtype in (np.float32, np.float64)}
        self.constants = {
            np.dtype(dtype): np.array([offset, scale, floor, np.finfo(dtype).max, *step])
            for dtype in (np.float32, np.float64)
        }

    def __call__(self, y: Array, raw: Array, weight: Array, out: tuple[Array, Array], n_threads: int = 1) -> int:
        """Fill `out`, and return how many rows are not finite.

        y, raw, weight and both outputs are contiguous 1-D arrays of one length; with float32 outputs and weights, and at
        least `PARALLEL_ROWS` rows, the pass is shared between `n_threads` threads.
        """
        gradient, hess = out
        n = y.shape[0]
        fixed = self.parameters, self.edges[y.dtype], self.factors, self.constants[gradient.dtype]
        single = gradient.dtype == np.float32 and weight.dtype == np.float32
        if n_threads == 1 or n < PARALLEL_ROWS or not single or not threads_available():
            return int(self.loop(y, raw, weight, *fixed, gradient, hess))
        parallel = _parallel_loop(self.spec, self.hessian, y.dtype.name, raw.dtype.name)
        n_blocks = min(n_threads, numba.config.NUMBA_NUM_THREADS)
        block = n // n_blocks
        split = n_blocks * block
        rows = [a[:split].reshape(n_blocks, block) for a in (y, raw, weight, gradient, hess)]
        bad = np.zeros(n_blocks, dtype=np.int64)
        with with_threads(n_blocks):
            parallel(*rows[:3], *fixed, *rows[3:], bad)
        rest = (a[split:] for a in (y, raw, weight))
        return int(bad.sum()) + int(self.loop(*rest, *fixed, gradient[split:], hess[split:]))
