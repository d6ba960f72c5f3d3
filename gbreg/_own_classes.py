"""Classes of the user's own in files, which say where each comes from and never import it."""

from __future__ import annotations


def own_module(cls: type) -> dict[str, str]:
    """The module of a class that is not gbreg's, as files keep it."""
    return {} if cls.__module__.split(".")[0] == "gbreg" else {"module": cls.__module__}


def not_imported(what: str, module: str) -> str:
    """What to say where a file needs a class that is not there."""
    if module == "__main__":
        way_out = "a script or notebook defined it: define it again, or put it into a module and import that"
    else:
        way_out = f"import {module} first, which defines it (gbreg --import {module} on the command line)"
    return f"{what} is a class of your own, which is not there: {way_out}"
