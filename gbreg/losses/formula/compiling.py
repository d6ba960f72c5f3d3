"""A formula differentiated, and written out as the scalar functions that kernels compile."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from gbreg.losses.formula.functions import SCOPE, Function, symbolic
from gbreg.losses.formula.reading import Reader

# Of the first derivative; the second may have four times as many.
MOST_OPERATIONS = 4000


@cache
def _printer() -> Any:
    """sympy's own printer of Python code, with every digit, in the order of the terms, and exact where it can be."""
    from sympy.printing.precedence import PRECEDENCE
    from sympy.printing.pycode import PythonCodePrinter

    s = symbolic()

    class Printer(PythonCodePrinter):  # type: ignore[misc]
        def _print_Float(self, e: Any) -> str:
            return repr(float(e))

        def _print_Integer(self, e: Any) -> str:
            return str(e.p) if abs(e.p) <= 2**53 else repr(float(e))

        def _print_NumberSymbol(self, e: Any) -> str:
            return repr(float(e))

        _print_Exp1 = _print_Pi = _print_NumberSymbol

        def _print_Mul(self, e: Any) -> str:
            factor, rest = e.as_coeff_Mul()
            if factor.is_Rational and factor.q & (factor.q - 1):  # x / 3, for x * (1 / 3) rounds twice
                above = self.parenthesize(factor.p * rest, PRECEDENCE["Mul"], strict=True)
                return f"{above}/{self._print_Integer(s.sympy.Integer(factor.q))}"
            return super()._print_Mul(e)  # type: ignore[no-any-return]

        def _print_exp(self, e: Any) -> str:
            factor, rest = e.args[0].as_coeff_Mul()
            if factor.is_Integer and 1 < factor <= 4:  # exp(2 * eta) costs a second exp, exp(eta) ** 2 does not
                return f"(exp({self._print(rest)})**{factor})"
            return f"exp({self._print(e.args[0])})"

        def _print_Piecewise(self, e: Any) -> str:
            if e.args[-1].cond != s.sympy.true:
                e = e.func(*e.args, (s.sympy.nan, True), evaluate=False)
            return super()._print_Piecewise(e)  # type: ignore[no-any-return]

    return Printer({"order": "none", "fully_qualified_modules": False, "user_functions": s.written})


def _check_writable(results: list[Any]) -> None:
    """Raise `ValueError` for what no function of real numbers can compute."""
    sympy = symbolic().sympy
    known = {*SCOPE, *symbolic().written, "Piecewise"}
    for e in results:
        for function in e.atoms(sympy.Function, sympy.Derivative, sympy.Subs):
            if function.func.__name__ not in known:
                raise ValueError(f"its derivative has {function.func.__name__}, which has no real value to compile")
        for number in (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan, sympy.I):
            if e.has(number):
                raise ValueError(f"it holds {number}, which is not a finite real number")


def _written(arguments: tuple[str, ...], results: list[Any]) -> Function:
    """A function that returns the results, what they share computed once."""
    sympy, printer = symbolic().sympy, _printer()
    _check_writable(results)
    shared, results = sympy.cse(results, symbols=sympy.numbered_symbols("t_"))
    lines = [f"    {name} = {printer.doprint(e)}" for name, e in shared]
    text = ", ".join(printer.doprint(e) for e in results)
    return _function("\n".join([f"def row({', '.join(arguments)}):", *lines, f"    return {text}"]))


@lru_cache(maxsize=1024)
def _function(source: str) -> Function:
    """One function object for equal source, so that kernels recognise it. The source is the printer's alone."""
    scope: dict[str, Any] = {**SCOPE, "nan": math.nan, "__name__": __name__}
    exec(source, scope)
    return scope["row"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Compiled:
    """Scalar functions of (y, t, \\*parameters)."""

    value: Function
    derivatives: Function
    minimizer: Function | None


@lru_cache(maxsize=256)
def compiled(expression: str, names: tuple[str, ...], minimizer: str | None, on_log: bool, positive: bool) -> Compiled:
    """Read, differentiate and write out a formula in y and mu, or in y and eta = ln(mu)."""
    s = symbolic()
    sympy = s.sympy
    with s.distribute(False):  # c * (mu - y) must not become c * mu - c * y: it would round
        symbols = {name: sympy.Symbol(name, real=True) for name in ("y", "mu", *names)}
        y = symbols["y"] = sympy.Symbol("y", positive=True) if positive else symbols["y"]
        t = sympy.Symbol("eta", real=True) if on_log else symbols["mu"]
        reader = Reader(expression, {**symbols, "mu": sympy.exp(t) if on_log else t})
        formula = reader.read()
        for name in ("mu", "y"):
            if name not in reader.used:
                raise reader.fail(f"{name} does not occur in it: a loss compares the prediction mu with the label y")
        try:
            formula = sympy.expand_log(formula) if on_log else formula
            formula = formula.replace(sympy.Abs, s.functions["abs"])  # as sympy writes sqrt(x**2)
            first = formula.diff(t)
            second = first.diff(t) if sympy.count_ops(first) <= MOST_OPERATIONS else None
            if second is None or sympy.count_ops(second) > 4 * MOST_OPERATIONS:
                raise ValueError("its derivatives are too long to compile")
            arguments = ("y", t.name, *names)
            value = _written(arguments, [formula])
            derivatives = _written(arguments, [first, second])
        except (ValueError, TypeError, NotImplementedError) as error:
            raise reader.fail(f"cannot be differentiated: {error}") from error
        least = None
        if minimizer is not None:
            elsewhere = Reader(minimizer, {"y": y, **{name: symbols[name] for name in names}}).read()
            least = _written(("y", *names), [elsewhere])
    return Compiled(value, derivatives, least)
