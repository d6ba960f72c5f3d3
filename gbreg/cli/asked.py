"""What commands make of what they were asked, before they read a table."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gbreg._errors import InputError
from gbreg._files import check_writable


def import_modules(names: Sequence[str]) -> None:
    """Import what defines losses of the user's own, also from the folder that the command runs in."""
    if names and os.getcwd() not in sys.path:  # of a console script that folder is not among them
        sys.path.insert(0, os.getcwd())
    for name in names:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):  # it is there, and lacks something
                raise
            raise InputError(f"--import {name!r}: no such module in {os.getcwd()!r}, nor among those installed") from error


def check_report(path: Path | None) -> None:
    """`InputError` where a page was asked for and cannot be made, before the work that it would tell of."""
    if path is None:
        return
    from gbreg.reporting.template import check_installed

    check_writable(path, "--report")
    try:
        check_installed()
    except ImportError as error:
        raise InputError(f"--report: {error}") from error


def new_estimator(
    rounds: int,
    learning_rate: float,
    early_stopping: int | None,
    seed: int,
    n_jobs: int | None,
    monotone: Sequence[str] | None = None,
) -> Any:
    """The parameters of boosting that commands take; `InputError` for those out of range."""
    from gbreg import GBRegressor

    # typer could check ranges too, but says neither the value nor, in some versions, the option.
    for option, value, least in (("--rounds", rounds, 1), ("--early-stopping", early_stopping, 1), ("--seed", seed, 0)):
        if value is not None and not least <= value < 2**31:
            raise InputError(f"{option} {value} must be a whole number from {least} on, below 2^31")
    if not 0 < learning_rate < float("inf"):
        raise InputError(f"--learning-rate {learning_rate} must be above 0, such as 0.1")
    return GBRegressor(
        n_estimators=rounds,
        learning_rate=learning_rate,
        early_stopping_rounds=early_stopping,
        random_state=seed,
        n_jobs=n_jobs,
        monotone=_signs(monotone or ()),
    )


def _signs(given: Sequence[str]) -> dict[str, int] | None:
    """The sign of every column that --monotone names, None for none."""
    found: dict[str, int] = {}
    for text in (part for each in given for part in each.split(",")):
        column, _, sign = (part.strip() for part in text.rpartition("="))
        if not column or sign not in ("+1", "1", "-1", "0"):
            raise InputError(f"--monotone {text!r} must be column=+1 or column=-1, such as price=+1,age=-1")
        if column in found:
            raise InputError(f"--monotone names {column!r} twice: give it one sign")
        found[column] = int(sign)
    return found or None


def engine_names(names: Sequence[str]) -> list[str]:
    """Engine names with "all" spelled out, each known and installed."""
    from gbreg.compare import installed_engines
    from gbreg.engines import get_engine

    asked = [part.strip() for name in names for part in name.split(",")]
    spelled = [engine for name in asked for engine in (installed_engines() if name == "all" else [name])]
    try:
        for engine in spelled:
            get_engine(engine).package()
    except (ValueError, ImportError) as error:
        raise InputError(f"--{error}") from error
    return list(dict.fromkeys(spelled))
