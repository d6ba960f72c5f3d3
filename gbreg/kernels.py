"""Scalar functions -> fused, vectorised loops. The only file that knows numba.

A loss and a link are plain scalar Python functions. This module compiles them into one pass over the rows that yields
gradient and Hessian together, already weighted, shifted and scaled, in the dtype the engine wants. Parameters are
run-time values: a changed delta recompiles nothing.

``math.exp``, ``log``, ``log1p`` and ``expm1`` inside a scalar function are replaced by the branch-free versions below
(at most 1 to 2 ulp off), because calls into libm keep LLVM from vectorising the loop: measured 6.5 against 21 ns a row for
Huberpp on a log link.
"""

from __future__ import annotations

import importlib
import math
import os
import types as pytypes
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from llvmlite import ir
from numba import float32, float64, guvectorize, int64, njit
from numba.core.registry import CPUDispatcher
from numba.extending import intrinsic
from numpy.typing import NDArray

from gbreg.links import Link

Array = NDArray[Any]
Function = Callable[..., Any]

# "contract" only (fused multiply-add): nnan and ninf would delete the finiteness checks, reassoc the compensated sums.
LOOP: dict[str, Any] = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True, "no_cfunc_wrapper": True}
# A call left inside the loop keeps LLVM from vectorising it. Only loops are called from Python: wrappers would double
# the time that these take to compile.
SCALAR: dict[str, Any] = {**LOOP, "forceinline": True, "no_cpython_wrapper": True}

# Below this many rows a parallel region costs more than it saves.
PARALLEL_ROWS = 8192

# -- elementary functions ---------------------------------------------------------------------------------------------

# 1.5 * 2^52: added to a double it rounds to an integer whose low bits can be read as an int64, and back.
_SHIFT = 6755399441055744.0
_SHIFT_BITS = int(np.float64(_SHIFT).view(np.int64))
_LOG2_E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF_BITS = 0x3FE6A09E667F3BCD
_ONE_BITS = 0x3FF0000000000000
_MANTISSA = 0x000FFFFFFFFFFFFF
_C2, _C3, _C4, _C5, _C6, _C7, _C8, _C9, _C10, _C11, _C12, _C13 = (1 / math.factorial(k) for k in range(2, 14))


@intrinsic
def _bits_to_float(typing_context: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.DoubleType())

    return float64(int64), codegen


@intrinsic
def _float_to_bits(typing_context: Any, x: Any) -> Any:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return int64(float64), codegen


@njit(**SCALAR)
def _expm1_reduced(x: float) -> tuple[float, int]:  # pragma: no cover - compiled
    """(exp(r) - 1, n) with x = n ln 2 + r and abs(r) <= ln(2) / 2."""
    k = x * _LOG2_E + _SHIFT
    whole = k - _SHIFT
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    q = _C13
    q = q * r + _C12
    q = q * r + _C11
    q = q * r + _C10
    q = q * r + _C9
    q = q * r + _C8
    q = q * r + _C7
    q = q * r + _C6
    q = q * r + _C5
    q = q * r + _C4
    q = q * r + _C3
    q = q * r + _C2
    return (q * r) * r + r, _float_to_bits(k) - _SHIFT_BITS


@njit(**SCALAR)
def exp(x: float) -> float:  # pragma: no cover - compiled
    q, n = _expm1_reduced(min(max(x, -746.0), 710.0))
    half = n >> 1  # two factors, so that subnormal results and 2^1024 are reached
    y = (1.0 + q) * _bits_to_float((half + 1023) << 52) * _bits_to_float((n - half + 1023) << 52)
    return y if x == x else x


@njit(**SCALAR)
def expm1(x: float) -> float:  # pragma: no cover - compiled
    q, n = _expm1_reduced(min(max(x, -60.0), 700.0))
    power: float = _bits_to_float((n + 1023) << 52)
    y: float = power * q + (power - 1.0)
    y = q if n == 0 else y
    return y if x < 700.0 else exp(x)


@njit(**SCALAR)
def log(x: float) -> float:  # pragma: no cover - compiled
    subnormal = x < 2.2250738585072014e-308
    bits = _float_to_bits(x * 18014398509481984.0 if subnormal else x) + (_ONE_BITS - _SQRT_HALF_BITS)
    exponent = _bits_to_float((bits >> 52) - 1023 + _SHIFT_BITS) - _SHIFT
    exponent = exponent - 54.0 if subnormal else exponent
    f = _bits_to_float((bits & _MANTISSA) + _SQRT_HALF_BITS) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    odd = w * (0.3999999999940941908 + w * (0.2222219843214978396 + w * 0.1531383769920937332))
    even = z * (
        0.6666666666666735130 + w * (0.2857142874366239149 + w * (0.1818357216161805012 + w * 0.1479819860511658591))
    )
    square = 0.5 * f * f
    y = exponent * _LN2_HIGH - ((square - (s * (square + odd + even) + exponent * _LN2_LOW)) - f)
    y = y if x < math.inf else x
    return y if x > 0.0 else (-math.inf if x == 0.0 else math.nan)


@njit(**SCALAR)
def log1p(x: float) -> float:  # pragma: no cover - compiled
    u = 1.0 + x
    # log(u) plus the part of x that was rounded away in u
    y = log(u) + (x - (u - 1.0)) / u
    y = x if u == 1.0 else y
    return y if abs(u) < math.inf and u != 0.0 else log(u)


_FAST: dict[Any, Any] = {
    math.exp: exp,
    math.expm1: expm1,
    math.log: log,
    math.log1p: log1p,
    np.exp: exp,
    np.expm1: expm1,
    np.log: log,
    np.log1p: log1p,
}


@cache
def _with_fast_functions(module: pytypes.ModuleType) -> pytypes.ModuleType:
    shim = pytypes.ModuleType(module.__name__)
    shim.__dict__.update(vars(module))
    for name, value in vars(module).items():
        if callable(value) and not isinstance(value, type) and value in _FAST:
            shim.__dict__[name] = _FAST[value]
    return shim


def _translate(value: Any) -> Any:
    if value is math or value is np:
        return _with_fast_functions(value)
    if isinstance(value, pytypes.FunctionType):
        return compile_scalar(value)
    try:
        return _FAST.get(value, value)
    except TypeError:  # unhashable: a constant array or list
        return value


@lru_cache(maxsize=4096)
def compile_scalar(function: Function) -> Any:
    """Compile a scalar Python function, and the plain functions it calls, with the fast elementary functions."""
    if isinstance(function, CPUDispatcher):
        return function
    if function in _FAST:
        return _FAST[function]
    code = function.__code__
    names = set(code.co_names)
    scope = {name: _translate(value) for name, value in function.__globals__.items() if name in names}
    scope["__builtins__"] = function.__globals__.get("__builtins__", __builtins__)
    cells = tuple(pytypes.CellType(_translate(cell.cell_contents)) for cell in function.__closure__ or ())
    return njit(**SCALAR)(pytypes.FunctionType(code, scope, function.__name__, function.__defaults__, cells))


# -- fused loops over the rows ----------------------------------------------------------------------------------------


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


@cache
def _take(n: int) -> Any:
    """A compiled (array, start) -> tuple of n floats; written out, because slicing takes longest to compile."""

    scope: dict[str, Any] = {}
    exec(f"def take(array, start): return ({''.join(f'array[start + {i}], ' for i in range(n))})", scope)
    return njit(**SCALAR)(scope["take"])


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


_LOOPS: list[Any] = []


def _compile_loop(loop: Function) -> Any:
    _LOOPS.append(njit(**LOOP)(loop))
    return _LOOPS[-1]


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
        self.take, self.take_link = _take(spec.n_parameters), _take(spec.n_link_parameters)
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

    return _compile_loop(loop)


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

    return _compile_loop(loop)


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


@lru_cache(maxsize=512)
def _map_loop(function: Function, n_parameters: int) -> Any:
    compiled, take = compile_scalar(function), _take(n_parameters)

    def loop(x, parameters, out):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        own = take(parameters, 0)
        for i in range(x.shape[0]):
            out[i] = compiled(x[i], *own)

    return _compile_loop(loop)


def map_scalar(function: Function, x: Array, parameters: tuple[float, ...] = ()) -> NDArray[np.float64]:
    """Apply a scalar function of (x, \\*parameters) to every element of a 1-D array, in float64."""
    x = np.ascontiguousarray(x, dtype=np.float64)
    out = np.empty_like(x)
    _map_loop(function, len(parameters))(x, np.array(parameters, dtype=np.float64), out)
    return out


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


def gradient_hessian(
    spec: PointwiseSpec,
    arguments: Arguments,
    y: Array,
    raw: Array,
    weight: Array,
    out: tuple[Array, Array],
    *,
    hessian: str = "safe",
    offset: float = 0.0,
    scale: float = 1.0,
    step: StepBounds = FREE,
    floor: float = -math.inf,
    n_threads: int = 1,
) -> int:
    """Fill `out` with gradient and Hessian times scale * weight at raw + offset; returns how many rows are not finite.

    y, raw, weight and both outputs are contiguous 1-D arrays of one length; with float32 outputs and weights, and at
    least `PARALLEL_ROWS` rows, the pass is shared between `n_threads` threads.
    """
    gradient, hess = out
    n = y.shape[0]
    ceiling = float(np.finfo(gradient.dtype).max)
    constants = np.array([offset, scale, floor, ceiling, *step])
    # Labels rounded to float32 must meet edges rounded the same way, or a label equal to an edge falls below it.
    fixed = (arguments.parameters, arguments.edges.astype(y.dtype), arguments.factors, constants)
    loop = _gradient_loop(spec, hessian)
    single = gradient.dtype == np.float32 and weight.dtype == np.float32
    if n_threads == 1 or n < PARALLEL_ROWS or not single or not threads_available():
        return int(loop(y, raw, weight, *fixed, gradient, hess))
    n_blocks = min(n_threads, numba.config.NUMBA_NUM_THREADS)
    block = n // n_blocks
    split = n_blocks * block
    before = numba.get_num_threads()
    numba.set_num_threads(n_blocks)
    try:
        rows = [a[:split].reshape(n_blocks, block) for a in (y, raw, weight, gradient, hess)]
        bad = np.zeros(n_blocks, dtype=np.int64)
        with np.errstate(all="ignore"):  # what is not finite is counted, not warned of
            _parallel_loop(spec, hessian, y.dtype.name, raw.dtype.name)(*rows[:3], *fixed, *rows[3:], bad)
    finally:
        numba.set_num_threads(before)
    rest = (a[split:] for a in (y, raw, weight))
    return int(bad.sum()) + int(loop(*rest, *fixed, gradient[split:], hess[split:]))


def compilations() -> int:
    """How many loops over rows have been compiled in this process, over all specs and dtypes."""
    return sum(len(loop.signatures) for loop in _LOOPS)


# -- threads ----------------------------------------------------------------------------------------------------------


@cache
def _use_openmp() -> int:
    """The process id in which the OpenMP layer was chosen, or 0 where numba has none.

    Measured on 300,000 x 30 rows, LightGBM, 2 cores, kernel / whole round: OpenMP (one pool with LightGBM) 1.0 / 17 ms,
    one thread 1.9 / 19 ms, numba's own workqueue 3.1 / 24 ms. So it is OpenMP or nothing.
    """
    try:
        importlib.import_module("numba.np.ufunc.omppool")  # there only where numba was built with OpenMP
    except ImportError:
        return 0
    if numba.config.THREADING_LAYER == "default":
        numba.config.THREADING_LAYER = "omp"
    return os.getpid()


def threads_available() -> bool:
    """Whether kernels may run in parallel here: GNU OpenMP must not be entered again in a forked child."""
    return _use_openmp() == os.getpid()
