"""Can I keep my own lgb.train, XGBRegressor and CatBoostRegressor code, and only change the loss?

`objective` and `metric` are what these functions take. The engine's raw score lacks the intercept; decode it with
``loss.predict(raw + loss.intercept_)``. Predictions are compared with `GBRegressor`, which does all this itself.

Found: yes, with two arguments and that line. Given the same settings, predictions are those of `GBRegressor` to rounding:
of float64 on LightGBM and CatBoost, of float32 on XGBoost.
"""

from __future__ import annotations

from collections.abc import Sequence

import lightgbm as lgb
import numpy as np
from _shared import over_seeds, start
from catboost import CatBoostRegressor
from xgboost import XGBRegressor

from gbreg import GBRegressor, metric, objective
from gbreg.losses import Huberpp

ROUNDS, LEAVES = 100, 15


def by_own_code(X: np.ndarray, y: np.ndarray, weight: np.ndarray) -> dict[str, np.ndarray]:
    """Predictions of models that the engines' own functions train."""
    loss = Huberpp(delta=0.5, link="log").fit(y, weight)

    # LightGBM. metric="None": its default would be the squared error of raw scores.
    params = {"objective": objective(loss, "lightgbm"), "metric": "None"}
    params |= {"num_leaves": LEAVES, "min_sum_hessian_in_leaf": 0, "num_threads": 1, "verbosity": -1}
    raw = {"lightgbm": lgb.train(params, lgb.Dataset(X, y, weight=weight), ROUNDS).predict(X)}

    # XGBoost. base_score=0: training starts at the loss's best constant, not half a unit beside it.
    params = {"objective": objective(loss, "xgboost", "sklearn"), "eval_metric": metric(loss, "xgboost", "sklearn")}
    params |= {"base_score": 0, "n_estimators": ROUNDS, "learning_rate": 0.1, "grow_policy": "lossguide", "max_depth": 0}
    params |= {"max_leaves": LEAVES, "min_child_weight": 20, "reg_lambda": 0, "max_bin": 255, "n_jobs": 1}
    raw["xgboost"] = XGBRegressor(**params).fit(X, y, sample_weight=weight).predict(X)

    # CatBoost. A custom objective needs an eval_metric.
    params = {"loss_function": objective(loss, "catboost", "sklearn"), "eval_metric": metric(loss, "catboost", "sklearn")}
    params |= {"iterations": ROUNDS, "learning_rate": 0.1, "grow_policy": "Lossguide", "max_leaves": LEAVES, "depth": 16}
    params |= {"min_data_in_leaf": 20, "l2_leaf_reg": 0, "bootstrap_type": "No", "border_count": 254, "random_strength": 0}
    params |= {"leaf_estimation_iterations": 1, "random_seed": 0, "thread_count": 1, "allow_writing_files": False}
    raw["catboost"] = CatBoostRegressor(**params, verbose=False).fit(X, y, sample_weight=weight).predict(X)

    return {engine: loss.predict(score + loss.intercept_) for engine, score in raw.items()}


def main(argv: Sequence[str] | None = None) -> None:
    run = start(__doc__, argv)
    apart = {engine: [] for engine in ("lightgbm", "xgboost", "catboost")}
    settings = {"n_estimators": ROUNDS, "max_leaves": LEAVES, "native": False, "random_state": 0, "n_jobs": 1}
    for seed in run.seeds:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(run.size(6_000, 1_000), 4))
        y = np.exp(1.0 + X[:, 0] + 0.3 * X[:, 1] ** 2 + 0.5 * rng.normal(size=len(X)))
        weight = rng.integers(1, 4, size=len(X)).astype(float)
        for engine, predicted in by_own_code(X, y, weight).items():
            ours = GBRegressor(Huberpp(delta=0.5, link="log"), engine=engine, **settings).fit(X, y, weight)
            apart[engine].append(np.max(np.abs(predicted / ours.predict(X) - 1)))
    for engine, differences in apart.items():
        print(f"{engine:9} furthest of {len(X)} predictions from GBRegressor's, as a share: {over_seeds(differences):.0e}")
    said = ", ".join(f"{max(differences):.0e} on {engine}" for engine, differences in apart.items())
    print(f"Answer: yes: relative to `GBRegressor`, predictions differ by at most {said}")


if __name__ == "__main__":
    main()
