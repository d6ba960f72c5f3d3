"""A loss from a formula: read against a whitelist, differentiated by sympy, compiled to the same kernels.

A formula may come from a saved file, so it is never evaluated: Python's `ast` reads it, and only the nodes, names and
sizes allowed below become sympy objects. sympy is imported when a formula is first compiled.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache, lru_cache
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, Self

from gbreg._checks import nearest
from gbreg.links import POSITIVE, REALS, Interval, Link
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.ranges import LogUniform, SearchSpace, Uniform

Function = Callable[..., Any]
Value = Any  # a Fraction or float while constant, a sympy expression or condition otherwise

# What a formula may be at most: enough for any loss, too little to keep sympy busy for long.
LONGEST, MOST_NODES, DEEPEST, HIGHEST_POWER, MOST_OPERATIONS = 1000, 250, 40, 64, 4000


# -- scalar functions that formulas call ------------------------------------------------------------------------------


def _sign(x: float) -> float:
    return 1.0 if x > 0.0 else (-1.0 if x < 0.0 else 0.0)


def _step(a: float, b: float) -> float:
    return 1.0 if a > b else 0.0


def _logcosh(x: float) -> float:
    size = abs(x)
    return size + math.log1p(math.exp(-2.0 * size)) - 0.6931471805599453


_SCOPE: dict[str, Function] = {
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
_NUMERIC: dict[str, Function] = {k: v for k, v in _SCOPE.items() if k != "step"} | {"abs": abs, "Abs": abs, "ln": math.log}
_EXTREMES = {"max": "larger", "Max": "larger", "min": "smaller", "Min": "smaller"}
_FUNCTIONS = (*_NUMERIC, *_EXTREMES, "Piecewise")


@cache
def _symbolic() -> SimpleNamespace:
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

    class sign(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return sympy.Integer(0)

    class size(Real):
        def fdiff(self, argindex: int = 1) -> Any:
            return sign(*self.args)

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
        "sign": sign,
        "abs": size,
        "Abs": size,
        "larger": larger,
        "smaller": smaller,
    }
    written = {cls.__name__: cls.__name__ for cls in (step, sign, logcosh, sympy.exp, sympy.log)}
    written |= {"expm1": "expm1", "log1p": "log1p", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh"}
    written |= {"size": "abs", "larger": "max", "smaller": "min"}
    return SimpleNamespace(sympy=sympy, functions=functions, written=written, distribute=distribute)


# -- reading ----------------------------------------------------------------------------------------------------------


class _Reader:
    """Builds sympy objects from a formula's syntax tree, constants being folded in floats on the way."""

    def __init__(self, text: Any, symbols: Mapping[str, Any]):
        self.text, self.symbols = text, symbols
        self.used: set[str] = set()
        self.powers: dict[int, float] = {}  # of each node, to what power its innermost part is raised
        self.s = _symbolic()

    def fail(self, why: str) -> ValueError:
        shown = self.text if len(self.text) <= 100 else f"{self.text[:97]}..."
        return ValueError(f"expression {shown!r}: {why}")

    def read(self) -> Any:
        if not isinstance(self.text, str):
            raise ValueError(f"expression {self.text!r} must be a string")
        if len(self.text) > LONGEST:
            raise ValueError(f"expression has {len(self.text):,} characters, at most {LONGEST:,} are allowed")
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise self.fail(f"not a formula ({getattr(error, 'msg', error)})") from None
        nodes = sum(isinstance(node, ast.expr) for node in ast.walk(tree))
        if nodes > MOST_NODES:
            raise self.fail(f"{nodes} terms and operations, at most {MOST_NODES} are allowed")
        return self.operand(self.build(tree, 0), tree)

    def operand(self, built: Value, node: ast.expr) -> Any:
        """What was built of a node that must be a number, as a sympy expression."""
        sympy = self.s.sympy
        if isinstance(built, Fraction):
            return sympy.Rational(built.numerator, built.denominator)
        if isinstance(built, float):
            return sympy.Float(built)
        if not isinstance(built, sympy.Expr):
            raise self.fail(f"{ast.unparse(node)!r} is a condition where a number is needed: use Piecewise")
        return built

    def condition(self, node: ast.expr, depth: int) -> Any:
        if isinstance(node, ast.Constant) and node.value is True:
            return self.s.sympy.true
        built = self.build(node, depth)
        if not isinstance(built, self.s.sympy.logic.boolalg.Boolean) or isinstance(built, self.s.sympy.Symbol):
            raise self.fail(f"{ast.unparse(node)!r} is not a condition such as mu > y")
        return built

    def build(self, node: ast.expr, depth: int) -> Value:
        if depth > DEEPEST:
            raise self.fail(f"nested more than {DEEPEST} deep")
        handler = getattr(self, f"_{type(node).__name__}", None)
        if handler is None:
            raise self.fail(f"{ast.unparse(node)!r} is not allowed: only numbers, names, + - * / **, functions, conditions")
        built = handler(node, depth + 1)
        within = [self.powers[id(child)] for child in ast.iter_child_nodes(node) if id(child) in self.powers]
        self.powers[id(node)] = max([self.powers.get(id(node), 1.0), *within])
        return built

    def number(self, compute: Callable[[], Any]) -> Fraction | float:
        """A folded constant: exact while it is a small fraction, a finite float otherwise."""
        try:
            x = compute()
            if isinstance(x, Fraction) and max(abs(x.numerator), x.denominator) > 2**53:
                x = float(x)
        except (ArithmeticError, ValueError):
            x = math.nan
        if isinstance(x, complex) or not math.isfinite(x):
            raise self.fail("a constant in it is not a finite real number")
        return x  # type: ignore[no-any-return]

    def _Constant(self, node: ast.Constant, depth: int) -> Value:
        if type(node.value) not in (int, float):
            raise self.fail(f"{node.value!r} is not a number")
        return self.number(lambda: Fraction(node.value))  # type: ignore[arg-type]

    def _Name(self, node: ast.Name, depth: int) -> Value:
        if node.id in self.symbols:
            self.used.add(node.id)
            return self.symbols[node.id]
        if node.id in _FUNCTIONS:
            raise self.fail(f"function {node.id!r} needs its argument in parentheses")
        raise self.fail(
            f"name {node.id!r} is not known: {nearest(node.id, self.symbols)}Known are {', '.join(self.symbols)}; "
            f"declare a parameter with parameters={{{node.id!r}: 1.0}}"
        )

    def _UnaryOp(self, node: ast.UnaryOp, depth: int) -> Value:
        if isinstance(node.op, ast.Not | ast.Invert):
            return self.s.sympy.Not(self.condition(node.operand, depth))
        x = self.build(node.operand, depth)
        if not isinstance(x, (Fraction, float)):
            x = self.operand(x, node.operand)
        return -x if isinstance(node.op, ast.USub) else x

    def _BinOp(self, node: ast.BinOp, depth: int) -> Value:
        sympy, op = self.s.sympy, node.op
        if isinstance(op, ast.BitAnd | ast.BitOr):
            join = sympy.And if isinstance(op, ast.BitAnd) else sympy.Or
            return join(self.condition(node.left, depth), self.condition(node.right, depth))
        if isinstance(op, ast.BitXor):
            raise self.fail("'^' is not a power: write **")
        if not isinstance(op, ast.Add | ast.Sub | ast.Mult | ast.Div | ast.Pow):
            raise self.fail(f"{ast.unparse(node)!r} is not allowed: only + - * / **")
        a, b = self.build(node.left, depth), self.build(node.right, depth)
        if isinstance(a, (Fraction, float)) and isinstance(b, (Fraction, float)):
            return self.number(lambda: _fold(op, a, b))
        if isinstance(op, ast.Pow) and isinstance(b, (Fraction, float)):
            power = self.powers[id(node.left)] * max(1.0, abs(float(b)))
            if power > HIGHEST_POWER:
                raise self.fail(f"a power of {power:g}, at most {HIGHEST_POWER} is allowed")
            self.powers[id(node)] = power
        x, y = self.operand(a, node.left), self.operand(b, node.right)
        if isinstance(op, ast.Add | ast.Sub):
            return x + y if isinstance(op, ast.Add) else x - y
        if isinstance(op, ast.Mult | ast.Div):
            return x * y if isinstance(op, ast.Mult) else x / y
        return x**y

    def _BoolOp(self, node: ast.BoolOp, depth: int) -> Value:
        join = self.s.sympy.And if isinstance(node.op, ast.And) else self.s.sympy.Or
        return join(*(self.condition(v, depth) for v in node.values))

    def _Compare(self, node: ast.Compare, depth: int) -> Value:
        sympy = self.s.sympy
        relations = {ast.Lt: sympy.Lt, ast.LtE: sympy.Le, ast.Gt: sympy.Gt, ast.GtE: sympy.Ge}
        relations |= {ast.Eq: sympy.Eq, ast.NotEq: sympy.Ne}
        if not all(type(op) in relations for op in node.ops):
            raise self.fail(f"{ast.unparse(node)!r} is not allowed: compare with < <= > >= == !=")
        sides = [self.operand(self.build(side, depth), side) for side in (node.left, *node.comparators)]
        return sympy.And(*(relations[type(op)](a, b) for op, (a, b) in zip(node.ops, pairwise(sides), strict=True)))

    def _IfExp(self, node: ast.IfExp, depth: int) -> Value:
        return self.piecewise([(node.body, node.test), (node.orelse, ast.Constant(True))], depth)

    def piecewise(self, pairs: list[tuple[ast.expr, ast.expr]], depth: int) -> Value:
        cases = []
        for body, test in pairs:
            built = self.operand(self.build(body, depth), body)
            cases.append((built, self.condition(test, depth)))
        return self.s.sympy.Piecewise(*cases, evaluate=False)

    def _Call(self, node: ast.Call, depth: int) -> Value:
        name = node.func.id if isinstance(node.func, ast.Name) else None
        if name not in _FUNCTIONS or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.fail(f"{ast.unparse(node.func)!r} is not a function here: use one of {', '.join(_FUNCTIONS)}")
        if name == "Piecewise":
            if not node.args or not all(isinstance(a, ast.Tuple) and len(a.elts) == 2 for a in node.args):
                raise self.fail("Piecewise takes pairs: Piecewise((value, condition), ..., (value, True))")
            return self.piecewise([tuple(a.elts) for a in node.args], depth)  # type: ignore[attr-defined]
        wanted = 2 if name in _EXTREMES else 1
        if len(node.args) < wanted or (wanted == 1 and len(node.args) > 1):
            raise self.fail(f"{name} takes {'two or more arguments' if wanted == 2 else 'one argument'}")
        built = [self.build(a, depth) for a in node.args]
        if all(isinstance(x, (Fraction, float)) for x in built):
            extreme: Function = max if _EXTREMES.get(name) == "larger" else min
            fold = extreme if name in _EXTREMES else _NUMERIC[name]
            return self.number(lambda: Fraction(fold(*map(float, built))))
        arguments = [self.operand(x, a) for x, a in zip(built, node.args, strict=True)]
        function = self.s.functions[_EXTREMES.get(name, name)]
        if wanted == 2:
            result = arguments[0]
            for other in arguments[1:]:
                result = function(result, other)
            return result
        if name in ("log", "ln") and isinstance(arguments[0], self.s.sympy.cosh):
            return self.s.functions["logcosh"](*arguments[0].args)  # cosh overflows where its logarithm does not
        return function(arguments[0])


def _fold(op: ast.operator, a: Fraction | float, b: Fraction | float) -> Any:
    if isinstance(op, ast.Pow):
        exact = isinstance(a, Fraction) and isinstance(b, Fraction) and b.denominator == 1 and abs(b) <= HIGHEST_POWER
        return a**b if exact else float(a) ** float(b)
    if isinstance(op, ast.Add | ast.Sub):
        return a + b if isinstance(op, ast.Add) else a - b
    return a * b if isinstance(op, ast.Mult) else a / b


# -- writing ----------------------------------------------------------------------------------------------------------


class _Writer:
    """Python source of a sympy expression, all numbers floats."""

    def __init__(self) -> None:
        self.s = _symbolic()

    def write(self, e: Any) -> str:
        sympy = self.s.sympy
        if e.is_Symbol:
            return str(e.name)
        if e.is_number and e.is_Atom:
            return self.constant(e)
        if e.is_Add:
            return f"({self.terms(e.args)})"
        if e.is_Mul:
            return self.product(e)
        if e.is_Pow:
            return self.power(e.base, e.exp)
        if isinstance(e, sympy.Piecewise):
            text = "nan"
            for value, condition in reversed(e.args):
                test = self.write(condition)
                text = self.write(value) if test == "True" else f"({self.write(value)} if {test} else {text})"
            return text
        if isinstance(e, sympy.core.relational.Relational):
            return f"({self.write(e.lhs)} {e.rel_op} {self.write(e.rhs)})"
        if isinstance(e, sympy.And | sympy.Or):
            return "(" + (" and " if isinstance(e, sympy.And) else " or ").join(self.write(a) for a in e.args) + ")"
        if isinstance(e, sympy.Not):
            return f"(not {self.write(e.args[0])})"
        if e in (sympy.true, sympy.false):
            return str(bool(e))
        if isinstance(e, sympy.exp):
            factor, rest = e.args[0].as_coeff_Mul()
            if factor.is_Integer and 1 < factor <= 4:  # exp(2 * eta) costs a second exp, exp(eta) ** 2 does not
                return f"({self.write(sympy.exp(rest))} ** {int(factor)})"
        if e.func.__name__ in self.s.written:
            return f"{self.s.written[e.func.__name__]}({', '.join(self.write(a) for a in e.args)})"
        raise ValueError(f"its derivative has {e.func.__name__}, which has no real value to compile")

    def terms(self, terms: Any) -> str:
        text = ""
        for a in terms:
            factor, rest = a.as_coeff_Mul()
            sign = "-" if factor.is_negative else "+"
            written = self.write(-factor * rest) if sign == "-" else self.write(a)
            text += f" {sign} {written}" if text else (f"-{written}" if sign == "-" else written)
        return text

    def constant(self, e: Any) -> str:
        if e.is_Rational and e.q & (e.q - 1) and max(abs(e.p), e.q) <= 2**53:
            return f"({float(e.p)!r} / {float(e.q)!r})"
        try:
            x = float(e)
        except TypeError:
            x = math.nan
        if not math.isfinite(x):
            raise ValueError(f"it holds {e}, which is not a finite real number")
        return f"({x!r})" if x < 0 else repr(x)

    def product(self, e: Any) -> str:
        above, below = [], []
        for a in e.args:
            if a.is_Pow and a.exp.is_number and a.exp.is_negative:
                below.append(self.power(a.base, -a.exp))
            elif a.is_Rational and not a.is_Integer and a.q & (a.q - 1):
                above += [] if a.p == 1 else [self.constant(self.s.sympy.Integer(a.p))]
                below.append(self.constant(self.s.sympy.Integer(a.q)))
            else:
                above.append(self.write(a))
        text = " * ".join(above) or "1.0"
        if not below:
            return f"({text})"
        return f"({text} / {below[0]})" if len(below) == 1 else f"({text} / ({' * '.join(below)}))"

    def power(self, base: Any, exponent: Any) -> str:
        if exponent.is_number and exponent.is_negative:
            return f"(1.0 / {self.power(base, -exponent)})"
        if exponent == 1:
            return self.write(base)
        if exponent == self.s.sympy.Rational(1, 2):
            return f"sqrt({self.write(base)})"
        raised = str(int(exponent)) if exponent.is_Integer else self.write(exponent)
        return f"({self.write(base)} ** {raised})"

    def function(self, arguments: tuple[str, ...], results: list[Any]) -> Function:
        sympy = self.s.sympy
        shared, results = sympy.cse(results, symbols=sympy.numbered_symbols("t_"))
        lines = [f"    {name} = {self.write(e)}" for name, e in shared]
        text = ", ".join(self.write(e) for e in results)
        return _function("\n".join([f"def row({', '.join(arguments)}):", *lines, f"    return {text}"]))


@lru_cache(maxsize=1024)
def _function(source: str) -> Function:
    """One function object for equal source, so that kernels recognise it. The source is `_Writer`'s alone."""
    scope: dict[str, Any] = {**_SCOPE, "nan": math.nan, "__name__": __name__}
    exec(source, scope)
    return scope["row"]  # type: ignore[no-any-return]


@dataclass(frozen=True)
class _Compiled:
    """Scalar functions of (y, t, \\*parameters)."""

    value: Function
    derivatives: Function
    minimizer: Function | None


@lru_cache(maxsize=256)
def _compiled(expression: str, names: tuple[str, ...], minimizer: str | None, on_log: bool, positive: bool) -> _Compiled:
    """Read, differentiate and write out a formula in y and mu, or in y and eta = ln(mu)."""
    s = _symbolic()
    sympy, writer = s.sympy, _Writer()
    with s.distribute(False):  # c * (mu - y) must not become c * mu - c * y: it would round
        symbols = {name: sympy.Symbol(name, real=True) for name in ("y", "mu", *names)}
        y = symbols["y"] = sympy.Symbol("y", positive=True) if positive else symbols["y"]
        t = sympy.Symbol("eta", real=True) if on_log else symbols["mu"]
        reader = _Reader(expression, {**symbols, "mu": sympy.exp(t) if on_log else t})
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
            value = writer.function(arguments, [formula])
            derivatives = writer.function(arguments, [first, second])
        except (ValueError, TypeError, NotImplementedError) as error:
            raise reader.fail(f"cannot be differentiated: {error}") from error
        least = None
        if minimizer is not None:
            elsewhere = _Reader(minimizer, {"y": y, **{name: symbols[name] for name in names}}).read()
            least = writer.function(("y", *names), [elsewhere])
    return _Compiled(value, derivatives, least)


# -- checking ---------------------------------------------------------------------------------------------------------

_AWAY = (1e-6, 0.3, 0.9, 3.0)


@dataclass(frozen=True)
class _Probe:
    """What a few labels and predictions show of a loss: where it is real, whether it has a unit, how steep it is."""

    positive_only: bool
    unit_free: bool
    strength: bool  # whether the loss is proportional to its parameter C
    above: float
    below: float


def _sample_labels(domain: Interval) -> list[float]:
    steps = (0.03, 0.4, 1.0, 2.5, 20.0)
    low, high = domain.low, domain.high
    if math.isinf(low) and math.isinf(high):
        labels = [-20.0, -1.5, -0.4, 0.0, 0.4, 1.5, 20.0]
    elif math.isinf(high):
        labels = [low + step for step in steps]
    elif math.isinf(low):
        labels = [high - step for step in steps]
    else:
        labels = [low + share * (high - low) for share in (0.02, 0.25, 0.5, 0.75, 0.98)]
    return labels + [low] * domain.low_closed + [high] * domain.high_closed


def _evaluate(function: Function, *arguments: float) -> tuple[float, ...]:
    """The row function in Python, NaN where Python raises."""
    try:
        result = function(*arguments)
    except (ArithmeticError, ValueError):
        return (math.nan,)
    results = result if isinstance(result, tuple) else (result,)
    return tuple(math.nan if isinstance(x, complex) else float(x) for x in results)


@lru_cache(maxsize=256)
def _probe(compiled: _Compiled, parameters: tuple[tuple[str, float], ...], domain: Interval, who: str) -> _Probe:
    """Check that every row's loss is real, falls up to its minimizer and rises beyond it; `ValueError` if not."""

    values = [value for _, value in parameters]
    doubled = [2.0 * value if name == "C" else value for name, value in parameters]

    def at(y: float, mu: float) -> tuple[float, float, float]:
        numbers = _evaluate(compiled.value, y, mu, *values) + _evaluate(compiled.derivatives, y, mu, *values)
        return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else (math.nan, math.nan, math.nan)

    def real(y: float, mu: float) -> bool:
        return all(map(math.isfinite, at(y, mu)))

    labels = _sample_labels(domain)
    targets = [_evaluate(compiled.minimizer, y, *values)[0] if compiled.minimizer else y for y in labels]
    positive_only = not all(real(y, mu) for y in labels for mu in (-2.3, -0.7, -0.1))
    slopes = {1.0: 0.0, -1.0: 0.0}
    ratios: list[float] = []
    strength = doubled != values
    for y, target in zip(labels, targets, strict=True):
        if not math.isfinite(target):
            raise ValueError(f"{who}: minimizer is {target:g} at y={y:g}, it must be a finite real number")
        unit = max(abs(target), 0.1)
        reach = [(side, target + side * unit * away) for away in _AWAY for side in (1.0, -1.0)]
        points = [(0.0, target), *reach]
        points = [(side, mu) for side, mu in points if mu > 0 or not positive_only]
        for _, mu in points:
            if not real(y, mu):
                raise ValueError(
                    f"{who}: the loss or a derivative is not a finite real number at y={y:g}, mu={mu:g}: narrow "
                    f"y_domain={str(domain)!r}, or give that case its own branch with Piecewise"
                )
        largest = max(abs(at(y, mu)[1]) for _, mu in points)
        for side, mu in points:
            gradient = at(y, mu)[1]
            if gradient * side < -1e-9 * largest:
                raise ValueError(
                    f"{who}: at y={y:g} the derivative at mu={mu:g} is {gradient:g}, so the loss "
                    f"{'falls above' if side > 0 else 'rises below'} its minimum at mu={target:g}. If the minimum is "
                    "elsewhere, give minimizer='...', a formula in y and the parameters"
                )
            if side and abs(abs(mu - target) - 0.3 * unit) < 1e-9 * unit:
                slopes[side] = max(slopes[side], abs(gradient))
            twice = _evaluate(compiled.derivatives, y, mu, *doubled)[0]
            strength = strength and abs(twice - 2.0 * gradient) <= 1e-9 * abs(gradient)
            scaled = at(3.7 * y, 3.7 * mu)[1]
            if gradient and scaled and math.isfinite(scaled):
                ratios.append(scaled / gradient)
    if not any(slopes.values()):
        raise ValueError(f"{who}: the loss is the same for every prediction mu")
    homogeneous = bool(ratios) and max(ratios) - min(ratios) <= 1e-9 * abs(max(ratios))
    bounded = all(math.isinf(end) or end == 0 for end in (domain.low, domain.high))
    return _Probe(positive_only, homogeneous and bounded, strength, slopes[1.0] or 1.0, slopes[-1.0] or 1.0)


_INTERVAL = re.compile(r"^\s*([\[(])\s*([^\s,]+)\s*,\s*([^\s,]+)\s*([\])])\s*$")


@lru_cache(maxsize=256)
def _interval(text: str) -> Interval:
    match = _INTERVAL.match(text) if isinstance(text, str) else None
    try:
        if match is None:
            raise ValueError("no brackets")
        closed = {"[]": "both", "[)": "low", "(]": "high", "()": "neither"}[match[1] + match[4]]
        return Interval(float(match[2]), float(match[3]), closed)
    except ValueError as error:
        raise ValueError(f"domain {text!r} must read like '(0, inf)' or '[0, 1]' ({error})") from error


def _interval_text(interval: str | Interval) -> str:
    if isinstance(interval, str):
        return str(interval)
    brackets = "[" if interval.low_closed else "(", "]" if interval.high_closed else ")"
    return f"{brackets[0]}{interval.low!r}, {interval.high!r}{brackets[1]}"


# -- the loss ---------------------------------------------------------------------------------------------------------


class ExpressionLoss(PointwiseLoss):
    """The loss that `from_expression` makes; its constructor only stores, `fit` checks.

    Parameters
    ----------
    expression : str
        A formula in y, mu and the parameters.
    parameters : dict of {str: float}
        Their values. Each is a parameter of the loss too: ``set_params(C=2.0)``, ``loss__C`` in a search.
    link : str or Link, default "identity"
    domain : str, default "(-inf, inf)"
        Labels for which the formula holds.
    minimizer : str or None
        A formula in y and the parameters for the mu at which a row's loss is least, where that is not y.
    name, functional : str
    domains : dict of {str: str}
        Allowed values of parameters, as intervals.
    search : dict of {str: (low, high, "log" or "linear")}
        Where tuning looks.
    """

    def __init__(
        self,
        expression: str = "",
        parameters: dict[str, float] | None = None,
        link: str | Link = "identity",
        domain: str = "(-inf, inf)",
        minimizer: str | None = None,
        name: str = "expression_loss",
        functional: str = "",
        domains: dict[str, str] | None = None,
        search: dict[str, tuple[float, float, str]] | None = None,
    ):
        self.expression = expression
        self.parameters = parameters
        self.link = link
        self.domain = domain
        self.minimizer = minimizer
        self.name = name  # type: ignore[misc]
        self.functional = functional  # type: ignore[misc]
        self.domains = domains
        self.search = search

    def __getattr__(self, name: str) -> Any:
        values = self.__dict__.get("parameters") or {}
        if name in values:
            return values[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Constructor parameters; with ``deep=True`` also the formula's own."""
        params: dict[str, Any] = super().get_params(deep)
        return {**params, **(self.parameters or {})} if deep else params

    def set_params(self, **params: Any) -> Self:
        """Set constructor parameters or the formula's own."""
        known = params.get("parameters", self.parameters) or {}
        own = {k: v for k, v in params.items() if k in known}
        super().set_params(**{k: v for k, v in params.items() if k not in own})
        if own:
            self.parameters = {**known, **own}
        return self

    def to_json(self) -> dict[str, Any]:
        data = super().to_json()
        data["parameters"]["parameters"] = {k: float(v) for k, v in (self.parameters or {}).items()}
        return {**data, "loss": type(self).name}

    @property
    def coordinate(self) -> str:  # type: ignore[override]
        return "log_mu" if self.link_.name == "log" else "mu"

    @property
    def y_domain(self) -> Interval:  # type: ignore[override]
        return _interval(self.domain)

    @property
    def mu_domain(self) -> Interval:  # type: ignore[override]
        return POSITIVE if self._seen().positive_only else REALS

    @property
    def parameter_domains(self) -> Mapping[str, Interval]:  # type: ignore[override]
        given = self.domains or {}
        return {name: _interval(given.get(name, "(-inf, inf)")) for name in self.parameters or {}}

    @property
    def search_space(self) -> SearchSpace:  # type: ignore[override]
        ranges = self.search or {}
        return {k: (LogUniform if scale == "log" else Uniform)(low, high) for k, (low, high, scale) in ranges.items()}

    @property
    def row_value(self) -> Function:
        return self._compile(self.coordinate == "log_mu").value

    @property
    def row_derivatives(self) -> Function:
        return self._compile(self.coordinate == "log_mu").derivatives

    @property
    def row_minimizer(self) -> Function | None:
        return self._compile(self.coordinate == "log_mu").minimizer

    @property
    def unit_free(self) -> bool:  # type: ignore[override]
        return self._seen().unit_free

    def slopes(self) -> tuple[float, float]:
        seen = self._seen()
        return seen.above, seen.below

    def kernel_parameters(self) -> dict[str, float]:
        return {name: float(value) for name, value in sorted((self.parameters or {}).items())}

    def arguments(self, **replaced: float) -> Any:
        if "C" in replaced and not self._seen().strength:
            replaced.pop("C", None)  # here C is not a factor of the loss
        return super().arguments(**replaced)

    def _compile(self, on_log: bool) -> _Compiled:
        if not self.expression:
            raise ValueError("ExpressionLoss has no expression: make one with from_expression('(mu - y)**2 / 2')")
        names = tuple(sorted(self.parameters or {}))
        for name in names:
            _check_name(name)
        return _compiled(self.expression, names, self.minimizer, on_log, self.y_domain.within(POSITIVE))

    def _seen(self) -> _Probe:
        values = tuple(self.kernel_parameters().items())
        return _probe(self._compile(False), values, self.y_domain, f"expression {self.expression!r}")

    def check_parameters(self) -> None:
        self._compile(False)
        unknown = sorted({*(self.domains or {}), *(self.search or {})} - set(self.parameters or {}))
        if unknown:
            raise ValueError(f"{type(self).__name__}: domains and search name {unknown}, which parameters does not have")
        for name, value in (self.parameters or {}).items():
            if isinstance(value, (int, float)) and not math.isfinite(value):
                raise ValueError(f"{type(self).__name__}: {name}={value!r} is not finite")
        super().check_parameters()


def _check_name(name: Any) -> None:
    why = None
    if not isinstance(name, str) or not name.isascii() or not name.isidentifier() or keyword.iskeyword(name):
        why = "is not a name"
    elif name.startswith("_") or name.endswith("_") or "__" in name or re.fullmatch(r"t_\d+", name):
        why = "may not begin or end with an underscore, hold two in a row, or read t_0"
    elif name in ("y", "mu", "eta", "row", "nan", *_SCOPE, *_FUNCTIONS):
        why = "has a meaning of its own in formulas"
    elif hasattr(ExpressionLoss, name) or name in ExpressionLoss._get_param_names():
        why = "is the name of an attribute that every loss has"
    if why:
        raise ValueError(f"parameter {name!r} {why}: choose another name")


def from_expression(
    expression: str,
    *,
    parameters: Mapping[str, float] | None = None,
    link: str | Link = "identity",
    y_domain: str | Interval = "(-inf, inf)",
    minimizer: str | None = None,
    name: str = "expression_loss",
    functional: str = "",
    parameter_domains: Mapping[str, str | Interval] | None = None,
    search_space: Mapping[str, Uniform | LogUniform] | None = None,
) -> ExpressionLoss:
    """A loss from a formula in the label y, the prediction mu and named parameters.

    The formula is differentiated by sympy and compiled to the kernels that every loss uses. Parameters stay run-time
    values: changing one compiles nothing.

    Parameters
    ----------
    expression : str
        Python arithmetic (``+ - * / **``) with exp, expm1, log, log1p, sqrt, sinh, cosh, tanh, logcosh, abs, sign,
        max, min, conditions (``< <= > >= == != & | ~ and or not``), and either
        ``Piecewise((a, mu > y), (b, True))`` or ``a if mu > y else b``.
    parameters : dict of {str: float}, optional
        Names in the formula other than y and mu, with their values. A parameter C by which the whole loss is multiplied
        is its strength against the engine's regularisation, as everywhere in gbreg.
    link : str or Link, default "identity"
        On the log link the formula is differentiated in ln(mu), which does not overflow.
    y_domain : str or Interval, default "(-inf, inf)"
        Labels for which the formula holds, such as "(0, inf)" or "[0, 1]".
    minimizer : str, optional
        A formula in y and the parameters for the mu at which a row's loss is least. Default: y.
    name : str
        What evaluation results call it; "MyLoss" becomes "my_loss".
    functional : str
        What the best constant prediction is, for people to read.
    parameter_domains : dict of {str: str or Interval}, optional
    search_space : dict of {str: Uniform or LogUniform}, optional

    Returns
    -------
    ExpressionLoss
        Unfitted; a `PointwiseLoss` like the built-in ones: get_params, clone, ``loss__C`` in a grid, JSON, saving.

    Raises
    ------
    ValueError
        If the formula has syntax, names or sizes that are not allowed, if it or a derivative is not a finite real number
        somewhere in the domain, or if it does not fall up to the minimizer and rise beyond it.
    ImportError
        Without sympy: ``pip install "gbreg[expression]"``.

    Notes
    -----
    Formulas are read, never evaluated: files that hold one are as safe to load as others. The derivative at a kink is 0,
    and a kink adds no curvature; the safe curvature needs none. For formulas that lose digits near mu = y or overflow
    where the loss does not, write a class (see `PointwiseLoss`).

    Examples
    --------
    >>> from gbreg.losses import from_expression
    >>> loss = from_expression("C * (mu - y)**2 / (2 * y)", parameters={"C": 1.0}, y_domain="(0, inf)")
    >>> loss.set_params(C=2.0).value([4.0], [6.0])
    array([1.])
    """
    if not isinstance(expression, str) or not expression.strip():
        raise ValueError(f"expression={expression!r} must be a formula in y and mu, such as '(mu - y)**2'")
    search = None
    if search_space is not None:
        search = {k: (s.low, s.high, "log" if isinstance(s, LogUniform) else "linear") for k, s in search_space.items()}
    domains = None if parameter_domains is None else {k: _interval_text(v) for k, v in parameter_domains.items()}
    loss = ExpressionLoss(
        expression,
        dict(parameters or {}),
        link,
        _interval_text(y_domain),
        minimizer,
        re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower(),
        functional,
        domains,
        search,
    )
    loss.check_parameters()
    return loss


__all__ = ["ExpressionLoss", "from_expression"]
