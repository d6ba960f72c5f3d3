"""LightGBMLSS's zero-adjusted log-normal on the benchmarks' data. Run by a Python that has it and no gbreg.

``PYTHON -m tests.benchmarks.zaln spend|rare ROWS ROUNDS`` prints seconds and what it says of other rows, as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from tests.benchmarks.data import Spend, rare, spend
from tests.benchmarks.fits import grown_leaves

HELD_OUT = 50_000


def fit(data: Spend, rounds: int) -> Any:
    import lightgbm as lgb
    from lightgbmlss.distributions.ZALN import ZALN
    from lightgbmlss.model import LightGBMLSS

    params = {
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "max_bin": 255,
        "feature_pre_filter": False,
        "seed": 0,
        "verbosity": -1,
    }
    model = LightGBMLSS(ZALN())
    model.train(params, lgb.Dataset(data.X, label=data.y), num_boost_round=rounds)
    return model


def negative_log_likelihood(y: Any, predicted: Any) -> Any:
    """Of every row: a zero's is -ln(gate), a density's -ln((1 - gate) f(y)) above."""
    gate, loc, scale = (predicted[name].to_numpy(dtype=np.float64) for name in ("gate", "loc", "scale"))
    with np.errstate(all="ignore"):
        log_y = np.log(np.where(y > 0, y, 1.0))
        amount = log_y + np.log(scale) + 0.5 * np.log(2 * np.pi) + 0.5 * ((log_y - loc) / scale) ** 2
        return np.where(y > 0, amount - np.log1p(-gate), -np.log(gate))


def main(kind: str, n: int, rounds: int) -> None:
    import pandas as pd

    draw = {"spend": spend, "rare": rare}[kind]
    fit(draw(5_000), 2)
    data = draw(n)
    start = time.perf_counter()
    model = fit(data, rounds)
    seconds = time.perf_counter() - start
    test = draw(HELD_OUT, seed=1)
    predicted = model.predict(pd.DataFrame(test.X))
    values = negative_log_likelihood(test.y, predicted)
    with np.errstate(all="ignore"):
        mean = (1.0 - predicted["gate"]) * np.exp(predicted["loc"].astype(float) + 0.5 * predicted["scale"] ** 2)
    found = {
        "seconds": seconds,
        "leaves": grown_leaves("lightgbm", model.booster) / (3 * rounds),
        "nll": float(values.mean()),
        "scale": float(predicted["scale"].max()),
        "finite": float((np.isfinite(values) & np.isfinite(mean)).mean()),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
