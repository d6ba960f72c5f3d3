"""exp in single precision, twice as many at a time as in double: for training, whose gradients are rounded to it anyway."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import float32, float64, njit
from numba.extending import intrinsic

from gbreg._kernels.machine import SCALAR

single, double = float32, float64

# 1.5 * 2^23: added to a single it rounds to an integer, which its low bits then hold.
_SHIFT = np.float32(1.5 * 2**23)
_LOG2_E = np.float32(math.log2(math.e))
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_LEAST, _MOST = np.float32(-87.0), np.float32(88.0)
_ONE = np.float32(1.0)
_C2, _C3, _C4, _C5, _C6, _C7 = (np.float32(1 / math.factorial(k)) for k in range(2, 8))


@intrinsic
def _times_power(typing_context: Any, y: Any, shifted: Any) -> Any:
    """y * 2^n, where n was rounded by adding _SHIFT: integers of 32 bits, which numba would widen."""

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = ir.IntType(32)
        y, n = (builder.bitcast(a, bits) for a in arguments)
        return builder.bitcast(builder.add(y, builder.shl(n, bits(23))), ir.FloatType())

    return float32(float32, float32), codegen


@njit(**SCALAR)
def exp_single(x):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """exp of a single, at most 2 ulp off; below -87 and above 88 as there."""
    x = min(max(x, _LEAST), _MOST)
    k = x * _LOG2_E + _SHIFT
    whole = k - _SHIFT
    r = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
    q = _C7
    q = q * r + _C6
    q = q * r + _C5
    q = q * r + _C4
    q = q * r + _C3
    q = q * r + _C2
    return _times_power((q * r) * r + r + _ONE, k)
