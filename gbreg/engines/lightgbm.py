"""LightGBM: float64 raw scores, counts estimated from Hessians, the intercept baked into the first tree."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from gbreg.engines.base import Engine, Features, Monitor, Objective, Rows, Task, as_single, normalised, safe_names
from gbreg.engines.binned import binned
from gbreg.losses.base import Floats, NativeForm

_NATIVE = {
    "squared_error": "regression",
    "absolute_error": "regression_l1",
    "huber": "huber",
    "quantile": "quantile",
    "poisson": "poisson",
    "gamma": "gamma",
    "tweedie": "tweedie",
    "cross_entropy": "cross_entropy",
    "softmax": "multiclass",
}
# Native objectives that hand predictions to a metric, not raw scores. (Logarithms of probabilities are scores of a softmax.)
_LINKS = {"poisson": "log", "gamma": "log", "tweedie": "log", "cross_entropy": "logit", "softmax": "log"}
_PARAMETER = {"delta": "alpha", "level": "alpha", "power": "tweedie_variance_power", "n_classes": "num_class"}
# What neither bins nor what is sampled for them depends on, as long as feature_pre_filter is off.
_NOT_OF_BINS = frozenset(
    {
        *("objective", "metric", *_PARAMETER.values(), "learning_rate", "num_leaves", "max_depth", "min_data_in_leaf"),
        *("min_sum_hessian_in_leaf", "bagging_fraction", "bagging_freq", "feature_fraction", "lambda_l1", "lambda_l2"),
        *("min_gain_to_split", "boost_from_average", "verbosity"),
    }
)

_ZERO = float(np.float32(1e-35))  # what is no greater is 0 to LightGBM


class NativeObjective:
    """What ``lgb.train(params={"objective": ...})`` calls."""

    def __init__(self, objective: Objective):
        self.objective = objective

    def __call__(self, preds: Any, train_data: Any) -> tuple[Any, Any]:
        return self.objective.gradient_hessian(train_data.get_label(), preds, train_data.get_weight())


class SklearnObjective:
    """What ``LGBMRegressor(objective=...)`` calls."""

    def __init__(self, objective: Objective):
        self.objective = objective

    def __call__(self, y_true: Any, y_pred: Any, weight: Any) -> tuple[Any, Any]:
        return self.objective.gradient_hessian(np.asarray(y_true, dtype=np.float32), y_pred, weight)


class LightGBM(Engine):
    name = "lightgbm"
    module = "lightgbm"
    model_file = "model.txt"
    reserved = frozenset({"objective", "metric", "num_class", "boost_from_average"})
    aliases = {
        **dict.fromkeys(("objective_type", "app", "application", "loss"), "objective"),
        **dict.fromkeys(("metrics", "metric_types"), "metric"),
        **dict.fromkeys(("shrinkage_rate", "eta"), "learning_rate"),
        **dict.fromkeys(("num_leaf", "max_leaves", "max_leaf", "max_leaf_nodes"), "num_leaves"),
        **dict.fromkeys(("min_data_per_leaf", "min_data", "min_child_samples", "min_samples_leaf"), "min_data_in_leaf"),
        **dict.fromkeys(
            ("min_sum_hessian_per_leaf", "min_sum_hessian", "min_hessian", "min_child_weight"), "min_sum_hessian_in_leaf"
        ),
        **dict.fromkeys(("sub_row", "subsample", "bagging"), "bagging_fraction"),
        "subsample_freq": "bagging_freq",
        **dict.fromkeys(("sub_feature", "colsample_bytree"), "feature_fraction"),
        **dict.fromkeys(("reg_lambda", "lambda"), "lambda_l2"),
        "max_bins": "max_bin",
        **dict.fromkeys(("num_thread", "nthread", "nthreads", "n_jobs"), "num_threads"),
        **dict.fromkeys(("random_seed", "random_state"), "seed"),
        "verbose": "verbosity",
        "linear_trees": "linear_tree",
        **dict.fromkeys(("mc", "monotonic_cst", "monotone_constraint"), "monotone_constraints"),
    }

    def native_parameters(self, form: NativeForm) -> dict[str, Any] | None:
        if form.name not in _NATIVE:
            return None
        own = {_PARAMETER[k]: v for k, v in form.parameters.items()}
        return {"objective": _NATIVE[form.name], "boost_from_average": False, **own}

    def stored(self, values: Floats) -> Floats:
        return np.where(np.abs(values) <= _ZERO, 0.0, values)

    def train(self, task: Task) -> Any:
        lgb = self.package()
        params = self._parameters(task)
        monitor = task.monitor
        callbacks = list(task.callbacks)
        if monitor.active:
            callbacks.append(_StopWhenAsked(monitor, lgb))
        with self._binned(task, params) as (train_set, *sets):
            booster = lgb.train(
                params,
                train_set,
                num_boost_round=task.parameters.n_estimators,
                valid_sets=sets,
                feval=_Watch(task, sets) if sets else None,
                callbacks=callbacks,
            )
        booster = self._finished(booster, monitor.keep)
        add_to_first_round(booster, task.loss.intercept_)
        return booster

    def _parameters(self, task: Task) -> dict[str, Any]:
        p = task.parameters
        mapped = {
            "learning_rate": p.learning_rate,
            "num_leaves": p.max_leaves,
            "max_depth": p.max_depth or -1,
            "min_data_in_leaf": p.min_child_samples,
            # Hessians have mean 1. The default of 1e-3 would forbid leaves of few rows with little curvature; below
            # about 1e-15 of the sum, histograms are rounding noise and LightGBM dies on a split without rows.
            "min_sum_hessian_in_leaf": 1e-8 * task.rows.y.size,
            "bagging_fraction": p.subsample,
            "bagging_freq": int(p.subsample < 1),
            "feature_fraction": p.colsample,
            "lambda_l2": p.reg_lambda,
            "max_bin": p.max_bins,
            "num_threads": p.n_threads,
            "seed": p.random_state if p.random_state is not None else 0,
            "verbosity": -1,
            # With no usable feature a custom objective dies on a fatal check where a native one works.
            "feature_pre_filter": False,
        }
        params = self.merge(mapped, p.engine_params)
        if task.native is None:
            if params.get("linear_tree"):
                raise ValueError("linear_tree needs a loss that LightGBM has natively: its leaves cannot take an intercept")
            return {
                **params,
                "metric": "None",
                "objective": NativeObjective(task.objective(shares_threads=True)),
                "num_class": task.n_outputs,
            }
        return {**params, "metric": "None", **(self.native_parameters(task.native) or {})}

    def _binned(self, task: Task, params: dict[str, Any]) -> AbstractContextManager[Any]:
        """The data sets of training and evaluation rows, in the bins of the training rows."""
        every = [task.rows, *task.monitor.sets]
        bins = {k: repr(v) for k, v in params.items() if k not in _NOT_OF_BINS or params["feature_pre_filter"]}
        X = task.rows.X
        key = (self.name, X.names, X.categorical, tuple(sorted(bins.items())))

        def make() -> list[Any]:
            sets = [self._dataset(task, task.rows, params)]
            sets += [self._dataset(task, rows, params, reference=sets[0]) for rows in task.monitor.sets]
            return sets

        def renew(sets: list[Any]) -> None:
            for dataset, rows in zip(sets, every, strict=True):
                for name, value in self._fields(task, rows).items():
                    setattr(dataset, name, value)
                    dataset.set_field(name, value)

        return binned(key, [rows.X.values for rows in every], make, renew)

    def _dataset(self, task: Task, rows: Rows, params: dict[str, Any], reference: Any = None) -> Any:
        lgb = self.package()
        data_params = {k: v for k, v in params.items() if k != "objective"}
        return lgb.Dataset(
            rows.X.values,
            **self._fields(task, rows),
            reference=reference,
            feature_name=safe_names(rows.X.names) or "auto",
            categorical_feature=list(rows.X.categorical),
            params=data_params,
        )

    def _fields(self, task: Task, rows: Rows) -> dict[str, Any]:
        """Labels, weights and starting scores as LightGBM takes them."""
        trained = task.as_trained(rows)
        return {
            "label": as_single(trained.y, "labels"),
            "weight": as_single(trained.weight, "weights"),
            # class by class, as LightGBM wants it
            "init_score": None if task.native is None else np.repeat(task.loss.intercept_, rows.X.n_rows),
        }

    def _finished(self, booster: Any, keep: int | None) -> Any:
        """The booster without its training data, cut to `keep` rounds."""
        lgb = self.package()
        return lgb.Booster(model_str=booster.model_to_string(num_iteration=keep or -1))

    def predict_raw(self, booster: Any, X: Features, n_threads: int = 1) -> Floats:
        return np.asarray(booster.predict(X.values, raw_score=True, num_threads=n_threads), dtype=np.float64)

    def rounds(self, booster: Any) -> int:
        return int(booster.current_iteration())

    def feature_importances(self, booster: Any) -> Floats:
        return normalised(booster.feature_importance("gain"))

    def to_bytes(self, booster: Any) -> bytes:
        return booster.model_to_string(num_iteration=-1).encode()  # type: ignore[no-any-return]

    def from_bytes(self, data: bytes) -> Any:
        return self.package().Booster(model_str=data.decode())


def add_to_first_round(booster: Any, constants: Floats) -> None:
    """Bake a constant an output into every leaf of its first tree: exact through saving, SHAP values and pickling."""
    for k, tree in enumerate(booster.dump_model(num_iteration=1)["tree_info"]):
        for leaf in range(max(1, tree["num_leaves"])):
            booster.set_leaf_output(k, leaf, booster.get_leaf_output(k, leaf) + float(constants[k]))


class _Watch:
    """LightGBM's feval: hands the scores of every evaluation set to the monitor."""

    def __init__(self, task: Task, sets: list[Any]):
        self.task, self.sets = task, sets

    def __call__(self, preds: Any, data: Any) -> tuple[str, float, bool]:
        index = next(i for i, known in enumerate(self.sets) if known is data)
        monitor, name = self.task.monitor, self.task.loss.name
        monitor.record(index, self.task.complete(preds, _LINKS))
        return name, monitor.history[f"validation_{index}"][name][-1], False


class _StopWhenAsked:
    """LightGBM callback: one end of round for the monitor."""

    order = 100
    before_iteration = False

    def __init__(self, monitor: Monitor, lgb: Any):
        self.monitor, self.lgb = monitor, lgb

    def __call__(self, env: Any) -> None:
        if self.monitor.end_round():
            raise self.lgb.callback.EarlyStopException(env.iteration, env.evaluation_result_list or [])
