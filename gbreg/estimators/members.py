"""The models of a blend: what is read of each, on rows held out and later."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone, is_regressor
from sklearn.utils.validation import has_fit_parameter

from gbreg._checks import Floats
from gbreg.estimators.gain import Part
from gbreg.estimators.model import Model, boosters_in, check_distributional
from gbreg.estimators.parts import fit_part
from gbreg.estimators.readout import read

# What is read of a model that predicts distributions, beside its own prediction.
READOUTS = ("median", "log_mean")


@dataclass
class Seen:
    """What is read of a model on the rows held out, and the rounds of its boosters in each fold."""

    name: str
    readout: str | None
    predicted: Floats
    folds: list[list[Any]]
    score: float = np.nan

    @property
    def label(self) -> str:
        return label_of(self.name, self.readout)

    @property
    def rounds(self) -> list[int]:
        """Of every booster the median over folds; none where folds trained different ones."""
        if len({len(each) for each in self.folds}) > 1:
            return []
        return [int(np.median(of)) for of in zip(*self.folds, strict=True)]


def label_of(name: str, readout: str | None) -> str:
    return name if readout is None else f"{name} read as {readout.replace('_', ' ')}"


def pairs_of(estimators: Any) -> list[tuple[str, Any]]:
    """Those of a list that are pairs of a name and what can be fitted."""
    if not isinstance(estimators, list):
        return []
    pairs = (pair for pair in estimators if isinstance(pair, tuple | list) and len(pair) == 2)
    return [
        (name, model) for name, model in pairs if isinstance(name, str) and hasattr(model, "fit") and is_regressor(model)
    ]


def readouts_of(estimator: Any, y: Floats) -> list[str | None]:
    """What takes part of an estimator: None is its own prediction; a log mean is one of labels of 0 and above."""
    try:
        check_distributional(estimator)
    except TypeError:
        return [None]
    if not isinstance(estimator, Model):
        return [None]
    return [None, *(readout for readout in READOUTS if readout != "log_mean" or y.min() >= 0)]


def read_all(fitted: Any, X: Any, readouts: Sequence[str | None]) -> list[Floats]:
    """Each in the unit of the target."""
    distribution: Any = fitted.predict_distribution(X) if set(readouts) - {None} else None
    values = (fitted.predict(X) if readout is None else read(distribution, readout) for readout in readouts)
    return [np.expm1(each) if r == "log_mean" else each for r, each in zip(readouts, values, strict=True)]


def fit_rows(estimator: Any, rows: Part) -> Any:
    groups = rows.groups if has_fit_parameter(estimator, "groups") else None
    return fit_part(estimator, rows.X, rows.y, rows.weight, [], None, groups)


def with_rounds(estimator: Any, rounds: list[int]) -> Any:
    """A clone whose boosters that stop early have these rounds instead, where each has as many of its own."""
    model = clone(estimator)
    parts = list(boosters_in(model))
    if len(parts) == len(rounds) and all(rounds):
        for part, n in zip(parts, rounds, strict=True):
            if part.early_stopping_rounds is not None:
                part.set_params(n_estimators=n, early_stopping_rounds=None)
    return model
