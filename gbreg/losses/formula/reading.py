"""A formula read: its syntax tree checked node by node, and built as a sympy expression."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

from gbreg._checks import nearest
from gbreg.losses.formula.functions import EXTREMES, FUNCTIONS, NUMERIC, Function, symbolic

# What a formula may be at most: enough for any loss, too little to keep sympy busy for long.
LONGEST, MOST_NODES, DEEPEST, HIGHEST_POWER = 1000, 250, 40, 64

Value = Any  # a Fraction or float while constant, a sympy expression or condition otherwise


class Reader:
    """Builds sympy objects from a formula's syntax tree, constants being folded in floats on the way."""

    def __init__(self, text: Any, symbols: Mapping[str, Any]):
        self.text, self.symbols = text, symbols
        self.used: set[str] = set()
        self.powers: dict[int, float] = {}  # of each node, to what power its innermost part is raised
        self.s = symbolic()

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
        if node.id in FUNCTIONS:
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
        if name not in FUNCTIONS or node.keywords or any(isinstance(a, ast.Starred) for a in node.args):
            raise self.fail(f"{ast.unparse(node.func)!r} is not a function here: use one of {', '.join(FUNCTIONS)}")
        if name == "Piecewise":
            if not node.args or not all(isinstance(a, ast.Tuple) and len(a.elts) == 2 for a in node.args):
                raise self.fail("Piecewise takes pairs: Piecewise((value, condition), ..., (value, True))")
            return self.piecewise([tuple(a.elts) for a in node.args], depth)  # type: ignore[attr-defined]
        wanted = 2 if name in EXTREMES else 1
        if len(node.args) < wanted or (wanted == 1 and len(node.args) > 1):
            raise self.fail(f"{name} takes {'two or more arguments' if wanted == 2 else 'one argument'}")
        built = [self.build(a, depth) for a in node.args]
        if all(isinstance(x, (Fraction, float)) for x in built):
            extreme: Function = max if EXTREMES.get(name) == "larger" else min
            fold = extreme if name in EXTREMES else NUMERIC[name]
            return self.number(lambda: Fraction(fold(*map(float, built))))
        arguments = [self.operand(x, a) for x, a in zip(built, node.args, strict=True)]
        function = self.s.functions[EXTREMES.get(name, name)]
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
