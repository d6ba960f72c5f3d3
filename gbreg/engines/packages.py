"""The boosters' own packages, none of which need be there."""

from __future__ import annotations

import importlib
from importlib.util import find_spec
from types import ModuleType


def package(name: str) -> ModuleType:
    """That package, imported now; `ImportError` names the extra that brings it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f'engine="{name}" needs the {name} package: pip install "gbreg[{name}]"') from error


def is_installed(name: str) -> bool:
    return find_spec(name) is not None
