"""`engine_params`: names that the engine knows, each parameter once, and none that gbreg sets itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gbreg._checks import nearest


def own_parameters(
    engine: str, given: Mapping[str, Any] | None, known: Mapping[str, str], reserved: Mapping[str, str]
) -> dict[str, Any]:
    """What users give by the engine's own names, under its first name for each, without those that are None.

    Parameters
    ----------
    engine : str
    given : mapping or None
    known : mapping of {name: first name}
        Every name that the engine takes.
    reserved : mapping of {first name: way out}
        What gbreg sets, and what to use instead. The engine need not know them.

    Raises
    ------
    ValueError
        For names that are reserved or unknown, and for two names of one parameter.
    """
    given = {str(name): value for name, value in (given or {}).items() if value is not None}
    taken = sorted(name for name in given if known.get(name, name) in reserved)
    if taken:
        instead = list(dict.fromkeys(reserved[known.get(name, name)] for name in taken))
        raise ValueError(f"engine_params may not set {taken} on {engine}: {'; '.join(instead)}")
    own: dict[str, Any] = {}
    names: dict[str, str] = {}
    for name, value in given.items():
        if name not in known:
            hint = nearest(name, [k for k in known if known[k] not in reserved])
            raise ValueError(
                f"engine_params: {engine} has no parameter {name!r}: {hint}see its own documentation for those it has"
            )
        first = known[name]
        if first in own:
            raise ValueError(f"engine_params: {names[first]!r} and {name!r} are one parameter of {engine}: give one of them")
        own[first], names[first] = value, name
    return own
