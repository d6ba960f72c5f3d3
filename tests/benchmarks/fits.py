"""A loss through the kernel against the same loss built into the same engine: whole fits."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

from tests.benchmarks.data import Spend, spend
from tests.benchmarks.measure import Plan, Spread, Table, interleave, judged

# "kernel" and "native" are GBRegressor(native=False) and (native=True); "plain" is the engine without gbreg.
VARIANTS = ("kernel", "native", "plain")


@dataclass(frozen=True)
class Pair:
    """A loss that an engine has built in.

    Parameters
    ----------
    loss, parameters
        What `get_loss` takes.
    engine : str
    objective : dict
        The engine's own parameters for the same loss.
    goal : float
        Time of the kernel's fit over time of the plain engine's.
    """

    loss: str
    engine: str
    objective: dict[str, Any]
    goal: float
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"{self.loss}-{self.engine}"

    def fit(self, variant: str, data: Spend, rounds: int) -> Any:
        """The engine's booster. The process of a "plain" fit never imports gbreg."""
        if variant == "plain":
            return PLAIN[self.engine](self.objective, data, rounds)
        from gbreg import GBRegressor
        from gbreg.losses import get_loss

        loss = get_loss(self.loss, **self.parameters)
        model = GBRegressor(loss, engine=self.engine, n_estimators=rounds, native=variant == "native")
        return model.fit(data.X, data.y).booster_


PAIRS = (
    Pair("poisson", "lightgbm", {"objective": "poisson"}, 1.0),
    Pair("poisson", "xgboost", {"objective": "count:poisson"}, 1.0),
    Pair("huber", "lightgbm", {"objective": "huber", "alpha": 50.0}, 1.1, {"delta": 50.0, "delta_unit": "absolute"}),
    Pair("squared_error", "catboost", {"loss_function": "RMSE"}, 1.15),
)


def plain_lightgbm(objective: dict[str, Any], data: Spend, rounds: int) -> Any:
    import lightgbm as lgb

    params = {
        "learning_rate": 0.1,
        "num_leaves": 31,
        "min_data_in_leaf": 20,
        "min_sum_hessian_in_leaf": 1e-8 * data.y.size,
        "max_bin": 255,
        "feature_pre_filter": False,
        "seed": 0,
        "verbosity": -1,
    } | objective
    return lgb.train(params, lgb.Dataset(data.X, label=data.y, weight=data.weight, params=params), num_boost_round=rounds)


def plain_xgboost(objective: dict[str, Any], data: Spend, rounds: int) -> Any:
    import xgboost as xgb

    params = {
        "tree_method": "hist",
        "grow_policy": "lossguide",
        "learning_rate": 0.1,
        "max_leaves": 31,
        "max_depth": 0,
        # gbreg counts it on Hessians of mean 1; those of a Poisson deviance have the mean of the labels.
        "min_child_weight": 20 * float(data.y.mean()),
        "reg_lambda": 0.0,
        "max_bin": 255,
        "seed": 0,
        "verbosity": 0,
    } | objective
    return xgb.train(
        params, xgb.QuantileDMatrix(data.X, label=data.y, weight=data.weight, max_bin=255), num_boost_round=rounds
    )


def plain_catboost(objective: dict[str, Any], data: Spend, rounds: int) -> Any:
    import catboost

    params = {
        "iterations": rounds,
        "learning_rate": 0.1,
        "grow_policy": "Lossguide",
        "max_leaves": 31,
        "depth": 16,
        "min_data_in_leaf": 20,
        "bootstrap_type": "No",
        "l2_leaf_reg": 0.0,
        "border_count": 254,
        "random_seed": 0,
        "random_strength": 0.0,
        "leaf_estimation_iterations": 1,
        "allow_writing_files": False,
        "logging_level": "Silent",
        "metric_period": rounds,
    } | objective
    return catboost.CatBoost(params).fit(catboost.Pool(data.X, label=data.y, weight=data.weight))


PLAIN = {"lightgbm": plain_lightgbm, "xgboost": plain_xgboost, "catboost": plain_catboost}


def grown_leaves(engine: str, booster: Any) -> int:
    """How many leaves were grown: whether two fits did the same amount of work."""
    if engine == "lightgbm":
        lines = booster.model_to_string().splitlines()
        return sum(int(line.split("=")[1]) for line in lines if line.startswith("num_leaves="))
    if engine == "xgboost":
        return sum(tree.count("leaf=") for tree in booster.get_dump())
    return int(booster.get_tree_leaf_counts().sum())


def against_native(plan: Plan) -> list[Table]:
    table = Table(
        "Fit through the kernel against the engine's own objective",
        "Whole fits on a float64 array, binning included: GBRegressor(native=False) over the plain engine API with its "
        "native objective and the same parameters, which is held against the goal, and over GBRegressor(native=True). "
        "`leaves` is grown leaves, kernel over plain: near 1, the fits did the same amount of work. Medians of interleaved "
        "repetitions (min to max).",
        (
            "loss",
            "engine",
            "rows",
            "rounds",
            "kernel s",
            "plain s",
            "kernel / plain",
            "kernel / native",
            "leaves",
            "goal",
            "met",
        ),
    )
    warm = spend(20_000)
    for pair in PAIRS:
        for variant in VARIANTS:
            pair.fit(variant, warm, 2)
    for n in plan.sizes:
        data = spend(n)
        for pair in PAIRS:
            rounds = plan.rounds(n)
            boosters: dict[str, Any] = {}

            def fit(
                variant: str, pair: Pair = pair, boosters: Any = boosters, data: Any = data, rounds: int = rounds
            ) -> None:
                boosters[variant] = pair.fit(variant, data, rounds)

            fits = [partial(fit, variant) for variant in VARIANTS]
            kernel, native, plain = interleave(fits, plan.repeats(5 if n <= 100_000 else 3))
            ratio = Spread.of_ratios(kernel, plain)
            leaves = grown_leaves(pair.engine, boosters["kernel"]) / grown_leaves(pair.engine, boosters["plain"])
            table.rows.append(
                (
                    pair.loss,
                    pair.engine,
                    f"{n:,}",
                    str(rounds),
                    Spread.of(kernel).text(),
                    Spread.of(plain).text(),
                    ratio.text(),
                    Spread.of_ratios(kernel, native).text(),
                    f"{leaves:.2f}",
                    *judged(ratio.middle, pair.goal),
                )
            )
    return [table]
