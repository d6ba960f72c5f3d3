"""What is compiled into a kernel, as one digest: equal digests have equal machine code, on one machine and its versions."""

from __future__ import annotations

import builtins
import hashlib
import sys
import types
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
from numba.extending import is_jitted

from gbreg._compat import intrinsic_definition

# Whose functions are named by their version, not read.
_VERSIONED = {"builtins", "llvmlite", "math", "numba", "numpy", "operator"}


class Unreadable(ValueError):
    """A function uses a thing of which only its own process knows what would be compiled in."""


def fingerprint(function: Callable[..., Any], environment: str) -> str:
    """Digest of the function's code, of all functions and constants that it reaches, and of the environment.

    Parameters
    ----------
    function : function
        Plain, or compiled by numba.
    environment : str
        What else decides the machine code: versions, processor, settings.

    Raises
    ------
    Unreadable
    """
    digest = hashlib.sha256(environment.encode())
    for part in _read(function, (), {}):
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _read(value: Any, names: tuple[str, ...], seen: dict[int, int]) -> Iterator[str]:
    """The parts of anything that bytecode refers to; `names` are those by which it may ask a module."""
    if value is None or value is ... or type(value) in (bool, int, float, complex, str, bytes):
        yield f"{type(value).__name__} {value!r}"
    elif type(value) in (tuple, frozenset):
        members = value if isinstance(value, tuple) else sorted(value, key=repr)
        yield f"{type(value).__name__} {len(members)}"
        for member in members:
            yield from _read(member, names, seen)
    elif (type(value) is np.ndarray or isinstance(value, np.generic)) and not value.dtype.hasobject:
        yield f"array {value.dtype!r} {value.shape} {value.tobytes().hex()}"
    elif isinstance(value, types.CodeType):
        yield from _code(value, seen)
    elif id(value) in seen:
        yield f"again {seen[id(value)]}"
    else:
        seen[id(value)] = len(seen)
        yield from _object(value, names, seen)


def _object(value: Any, names: tuple[str, ...], seen: dict[int, int]) -> Iterator[str]:
    if is_jitted(value):
        options = {
            name: tuple(sorted(set_)) if isinstance(set_, set) else set_ for name, set_ in value.targetoptions.items()
        }
        yield f"compiled {sorted(options.items())!r}"
        yield from _read(value.py_func, names, seen)
    elif (definition := intrinsic_definition(value)) is not None:
        yield "intrinsic"
        yield from _read(definition, names, seen)
    elif isinstance(value, types.ModuleType):
        yield f"module {value.__name__}"
        if not (_versioned(value.__name__) and sys.modules.get(value.__name__) is value):
            for name in names:
                if hasattr(value, name):
                    yield f"its {name}"
                    yield from _read(getattr(value, name), names, seen)
    elif isinstance(value, numba.types.Type):
        yield f"type {value!r}"
    elif isinstance(value, np.ufunc):
        yield f"ufunc {value.__name__}"
    elif _is_named(value):
        yield f"{value.__module__} {value.__qualname__}"
    elif isinstance(value, types.FunctionType):
        yield from _function(value, seen)
    else:
        raise Unreadable(f"a kernel uses {value!r}, which cannot be read")


def _versioned(module: str) -> bool:
    return module.partition(".")[0] in _VERSIONED


def _is_named(value: Any) -> bool:
    """Whether it is what a versioned module has under its name."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or not _versioned(module):
        return False
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


def _function(function: types.FunctionType, seen: dict[int, int]) -> Iterator[str]:
    code = function.__code__
    names = tuple(sorted(_names(code)))
    yield "function"
    yield from _code(code, seen)
    for part in (function.__defaults__, tuple(sorted((function.__kwdefaults__ or {}).items()))):
        yield from _read(part, names, seen)
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        yield f"cell {name}"
        yield from _read(cell.cell_contents, names, seen)
    for name in names:
        if name in function.__globals__ and function.__globals__[name] is not getattr(builtins, name, _NOTHING):
            yield f"global {name}"
            yield from _read(function.__globals__[name], names, seen)


_NOTHING = object()


def _names(code: types.CodeType) -> set[str]:
    """The globals and attributes that a function and those defined in it name."""
    inner = (constant for constant in code.co_consts if isinstance(constant, types.CodeType))
    return set(code.co_names).union(*(_names(one) for one in inner))


def _code(code: types.CodeType, seen: dict[int, int]) -> Iterator[str]:
    counts = code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags
    variables = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    yield f"code {counts} {variables} {code.co_code.hex()} {code.co_exceptiontable.hex()}"
    yield from _read(code.co_consts, (), seen)
