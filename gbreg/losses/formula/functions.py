"""The functions that formulas call: as numbers, and as sympy differentiates them."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

Function = Callable[..., Any]


def _sign(x: float) -> float:
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


def _step(a: float, b: float) -> float:
    return 1.0 if a > b else 0.0


def _logcosh(x: float) -> float:
    size = abs(x)
    return size + math.log1p(math.exp(-2.0 * size)) - 0.6931471805599453


SCOPE: dict[str, Function] = {
    "exp": math.exp,
    "expm1": math.expm1,
    "log": math.log,
    "log1p": math.log1p,
    "sqrt": math.sqrt,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "sign": _sign,
    "step": _step,
    "logcosh": _logcosh,
}
NUMERIC: dict[str, Function] = {k: v for k, v in SCOPE.items() if k != "step"} | {"abs": abs, "Abs": abs, "ln": math.log}
EXTREMES = {"max": "larger", "Max": "larger", "min": "smaller", "Min": "smaller"}
FUNCTIONS = (*NUMERIC, *EXTREMES, "Piecewise")


@cache
def symbolic() -> SimpleNamespace:
    """sympy, and real functions whose derivatives are what boosting needs: 0 at a kink, no Dirac deltas."""
    try:
        import sympy
        from sympy.codegen.cfunctions import expm1, log1p
        from sympy.core.parameters import distribute
    except ImportError as error:
        raise ImportError('a loss from an expression needs sympy: pip install "gbreg[expression]"') from error

    class Real(sympy.Function):  # type: ignore[misc]
        def _eval_is_extended_real(self) -> bool:
            return True

    class step(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.Integer(0)

    class side(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.Integer(0)

    class size(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return side(*self.args)

    class larger(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return step(*self.args) if argindex == 1 else step(*self.args[::-1])

    class smaller(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return step(*self.args[::-1]) if argindex == 1 else step(*self.args)

    class logcosh(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.tanh(*self.args)

    functions = {
        "exp": sympy.exp,
        "expm1": expm1,
        "log": sympy.log,
        "ln": sympy.log,
        "log1p": log1p,
        "sqrt": sympy.sqrt,
        "sinh": sympy.sinh,
        "cosh": sympy.cosh,
        "tanh": sympy.tanh,
        "logcosh": logcosh,
        "sign": side,
        "abs": size,
        "Abs": size,
        "larger": larger,
        "smaller": smaller,
    }
    # What the printer calls them: `side` is no `sign`, for of that sympy has a way of its own to write.
    written = {"step": "step", "side": "sign", "size": "abs", "larger": "max", "smaller": "min", "logcosh": "logcosh"}
    return SimpleNamespace(sympy=sympy, functions=functions, written=written, distribute=distribute)
