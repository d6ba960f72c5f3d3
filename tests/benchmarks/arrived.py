"""Sums of training rows at the defaults: strong and no signal, few and many zeros."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gbreg import BucketRegressor, GBRegressor, OrdinalRegressor, WCERegressor, ZILNRegressor
from gbreg.losses import Tweedie
from tests.benchmarks.measure import Plan, Table

SLOPES = (0.0, 0.5, 1.0, 1.5, 2.0)
ZEROS = (0.0, 0.4, 0.9, 0.95)
NOISE = 0.7


def spend(slope: float, zeros: float, n: int, seed: int = 0) -> tuple[NDArray[Any], NDArray[Any]]:
    """Amounts whose logarithm follows one feature of five by `slope`, and that share of zeros, which follow another."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, 5))
    amount = np.exp(2.0 + slope * X[:, 0] + NOISE * rng.standard_normal(n))
    stays = X[:, 1] + rng.standard_normal(n)
    return X, np.where(stays < np.quantile(stays, zeros), 0.0, amount) if zeros else amount


def at_defaults(plan: Plan) -> list[Table]:
    """Predicted over observed sum, and the greatest prediction over its label, on the rows of the training."""
    n = 3_000 if plan.quick else 30_000
    models = {
        "buckets": BucketRegressor(n_jobs=1),
        "ordinal": OrdinalRegressor(n_jobs=1),
        "ziln": ZILNRegressor(n_jobs=1),
        "wce, identity": WCERegressor("identity", n_jobs=1),
        "tweedie": GBRegressor(Tweedie(), n_jobs=1),
    }
    rows = []
    for zeros, slope in product(ZEROS, SLOPES):
        X, y = spend(slope, zeros, n)
        cells = []
        for model in models.values():
            predicted = model.fit(X, y).predict(X)
            cells.append(f"{predicted.sum() / y.sum():.3f} ({(predicted[y > 0] / y[y > 0]).max():.3g})")
        rows.append((f"{zeros:.0%}", str(slope), *cells))
    note = f"Sum of predictions over sum of labels of {n:,} training rows; in brackets the greatest ratio of one row."
    return [Table("Sums of training rows at the defaults", note, ("zeros", "slope", *models), rows)]
