"""A loss from a formula: `from_expression`, and the class of what it makes."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Self

from gbreg.links import POSITIVE, REALS, Interval, Link
from gbreg.losses.formula.compiling import Compiled, compiled
from gbreg.losses.formula.functions import FUNCTIONS, SCOPE, Function
from gbreg.losses.formula.probing import Probe, probe
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.ranges import LogUniform, SearchSpace, Uniform

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

    def _compile(self, on_log: bool) -> Compiled:
        if not self.expression:
            raise ValueError("ExpressionLoss has no expression: make one with from_expression('(mu - y)**2 / 2')")
        names = tuple(sorted(self.parameters or {}))
        for name in names:
            _check_name(name)
        return compiled(self.expression, names, self.minimizer, on_log, self.y_domain.within(POSITIVE))

    def _seen(self) -> Probe:
        values = tuple(self.kernel_parameters().items())
        return probe(self._compile(False), values, self.y_domain, f"expression {self.expression!r}")

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
    elif name in ("y", "mu", "eta", "row", "nan", *SCOPE, *FUNCTIONS):
        why = "has a meaning of its own in formulas"
    elif hasattr(ExpressionLoss, name) or name in ExpressionLoss().get_params():
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
