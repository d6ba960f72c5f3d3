"""Scalar Python functions -> compiled ones that LLVM can vectorise.

``math.exp``, ``log``, ``log1p`` and ``expm1`` inside a scalar function are replaced by the branch-free versions below
(at most 1 to 2 ulp off), because calls into libm keep LLVM from vectorising the loop: measured 6.5 against 21 ns a row for
Huberpp on a log link.
"""

from __future__ import annotations

import math
import types as pytypes
from functools import cache, lru_cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float64, int64, njit
from numba.extending import intrinsic, is_jitted
from numpy.typing import NDArray

from gbreg._kernels.machine import SCALAR, Array, Function, Kernel, address_of, doubles, make_kernel

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


def _with_fast_calls(function: Function, compile_one: Function) -> Function:
    """The function with what it calls replaced: elementary functions by the fast ones, plain functions by compiled ones."""

    def translate(value: Any) -> Any:
        if value is math or value is np:
            return _with_fast_functions(value)
        if isinstance(value, pytypes.FunctionType):
            return compile_one(value)
        try:
            return _FAST.get(value, value)
        except TypeError:  # unhashable: a constant array or list
            return value

    code = function.__code__
    names = set(code.co_names)
    scope = {name: translate(value) for name, value in function.__globals__.items() if name in names}
    scope["__builtins__"] = function.__globals__.get("__builtins__", __builtins__)
    cells = tuple(pytypes.CellType(translate(cell.cell_contents)) for cell in function.__closure__ or ())
    return pytypes.FunctionType(code, scope, function.__name__, function.__defaults__, cells)


@lru_cache(maxsize=4096)
def compile_scalar(function: Function) -> Any:
    """Compile a scalar Python function, and the plain functions it calls, with the fast elementary functions."""
    if is_jitted(function):
        return function
    if function in _FAST:
        return _FAST[function]
    return njit(**SCALAR)(_with_fast_calls(function, compile_scalar))


# Sums may be reordered, or they would not be vectorised.
_REORDERED: dict[str, Any] = {**SCALAR, "fastmath": {"contract", "reassoc"}}
# So may maxima, where no number is NaN.
_NO_NAN: dict[str, Any] = {**SCALAR, "fastmath": {"contract", "reassoc", "nnan", "nsz"}}


@lru_cache(maxsize=512)
def compile_row(function: Function) -> Any:
    """`compile_scalar` for functions of one row's arrays."""
    return function if is_jitted(function) else njit(**_REORDERED)(_with_fast_calls(function, compile_row))


@lru_cache(maxsize=512)
def compile_single_row(function: Function) -> Any:
    """`compile_row` for functions in single precision, to be called without NaN."""
    return njit(**_NO_NAN)(_with_fast_calls(function, compile_row))


@cache
def take(n: int) -> Any:
    """A compiled (array, start) -> tuple of n floats; written out, because slicing takes longest to compile."""

    scope: dict[str, Any] = {}
    exec(f"def take(array, start): return ({''.join(f'array[start + {i}], ' for i in range(n))})", scope)
    return njit(**SCALAR)(scope["take"])


@lru_cache(maxsize=512)
def _map_kernel(function: Function, n_parameters: int) -> Kernel:
    compiled, taken = compile_scalar(function), take(n_parameters)

    def body(block, sizes, steps, frame):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
        own = taken(doubles(frame[1]), 0)
        x, out = doubles(frame[2]), doubles(frame[3])
        for i in range(frame[0]):
            out[i] = compiled(x[i], *own)

    return make_kernel(body)


def map_scalar(function: Function, x: Array, parameters: tuple[float, ...] = ()) -> NDArray[np.float64]:
    """Apply a scalar function of (x, \\*parameters) to every element of a 1-D array, in float64."""
    x = np.ascontiguousarray(x, dtype=np.float64)
    out = np.empty_like(x)
    own = np.array(parameters, dtype=np.float64)
    _map_kernel(function, len(parameters))([x.size, *map(address_of, (own, x, out))])
    return out
