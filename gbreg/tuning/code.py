"""A model as the Python that makes it."""

from __future__ import annotations

import inspect
from math import isfinite
from types import FunctionType
from typing import Any

from sklearn.base import BaseEstimator

_WIDTH = 100


def as_code(model: Any, name: str = "model") -> str:
    """Import lines and an assignment: run, they make an unfitted model with the same parameters.

    >>> from gbreg import GBRegressor
    >>> from gbreg.losses import Huberpp
    >>> print(as_code(GBRegressor(Huberpp(delta=0.3, link="log"), n_estimators=80)))
    from gbreg import GBRegressor
    from gbreg.losses import Huberpp
    <BLANKLINE>
    model = GBRegressor(loss=Huberpp(delta=0.3, link='log'), n_estimators=80)
    """
    homes: dict[str, set[str]] = {}
    written = _written(model, homes, 0)
    lines = [f"from {module} import {', '.join(sorted(names))}" for module, names in sorted(homes.items())]
    return "\n".join([*lines, "", f"{name} = {written}"])


def _written(value: Any, homes: dict[str, set[str]], depth: int) -> str:
    if isinstance(value, list | tuple):
        parts = [_written(v, homes, depth) for v in value]
        inside = ", ".join(parts) + ("," if isinstance(value, tuple) and len(parts) == 1 else "")
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{k!r}: {_written(v, homes, depth)}" for k, v in value.items()) + "}"
    if hasattr(value, "tolist"):  # numpy's numbers and arrays
        return _written(value.tolist(), homes, depth)
    if isinstance(value, float) and not isfinite(value):
        return f"float({str(value)!r})"
    if isinstance(value, FunctionType):
        homes.setdefault(value.__module__, set()).add(value.__name__)
        return value.__name__
    if not isinstance(value, BaseEstimator):
        return repr(value)
    cls = type(value)
    homes.setdefault(_home(cls), set()).add(cls.__name__)
    defaults = {k: p.default for k, p in inspect.signature(cls.__init__).parameters.items()}
    changed = {k: v for k, v in value.get_params(deep=False).items() if repr(v) != repr(defaults[k])}
    parts = [f"{k}={_written(v, homes, depth + 1)}" for k, v in changed.items()]
    line = f"{cls.__name__}({', '.join(parts)})"
    if len(line) + 4 * depth <= _WIDTH:
        return line
    indent = "    " * (depth + 1)
    return f"{cls.__name__}(\n" + "".join(f"{indent}{part},\n" for part in parts) + "    " * depth + ")"


def _home(cls: type) -> str:
    """The shortest module that the class can be imported from."""
    parts = cls.__module__.split(".")
    for end in range(1, len(parts)):
        module = __import__(".".join(parts[:end]), fromlist=["_"])
        if getattr(module, cls.__name__, None) is cls:
            return ".".join(parts[:end])
    return cls.__module__
