"""The boosters, each behind one small interface."""

from __future__ import annotations

from gbreg._checks import nearest
from gbreg.engines.binned import SharedBins
from gbreg.engines.catboost import CatBoost
from gbreg.engines.engine import Engine
from gbreg.engines.lightgbm import LightGBM
from gbreg.engines.monitor import EachRound, Monitor, OnRound
from gbreg.engines.objective import Objective
from gbreg.engines.packages import is_installed
from gbreg.engines.rows import Features, Rows
from gbreg.engines.scores import scores_shape
from gbreg.engines.task import Task, Trained
from gbreg.engines.threads import thread_count, training_threads
from gbreg.engines.trees import TreeParameters, Trees
from gbreg.engines.xgboost import XGBoost

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (LightGBM(), XGBoost(), CatBoost())}


def get_engine(name: str) -> Engine:
    """The engine of that name; its package is imported only when it trains or predicts."""
    if name not in ENGINES:
        raise ValueError(f"engine={name!r} is not known: {nearest(name, ENGINES)}Use one of {', '.join(ENGINES)}")
    return ENGINES[name]


def installed_engines() -> list[str]:
    """The names of the engines whose package is installed.

    >>> "lightgbm" in installed_engines()
    True
    """
    return [name for name, engine in ENGINES.items() if is_installed(engine.module)]


__all__ = [
    "ENGINES",
    "EachRound",
    "Engine",
    "Features",
    "Monitor",
    "Objective",
    "OnRound",
    "Rows",
    "SharedBins",
    "Task",
    "Trained",
    "TreeParameters",
    "Trees",
    "get_engine",
    "installed_engines",
    "scores_shape",
    "thread_count",
    "training_threads",
]
