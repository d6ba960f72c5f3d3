"""LightGBM: float64 raw scores, counts estimated from Hessians, the intercept baked into the first tree."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np

from gbreg._checks import Floats
from gbreg._compat import lightgbm_aliases, lightgbm_row
from gbreg.engines.binned import binned
from gbreg.engines.callables.lightgbm import EvalMetric, Feval, NativeObjective, SklearnObjective, StopWhenAsked, Watch
from gbreg.engines.constraints import place_constraints
from gbreg.engines.engine import Engine, normalised
from gbreg.engines.native import all_equal, goes_part_of_the_way, is_median, is_renewed, step_limit, within_limit
from gbreg.engines.rows import Features, Rows, as_single, safe_names
from gbreg.engines.task import Task
from gbreg.engines.threads import openmp_threads
from gbreg.losses.native import NativeForm

_PARAMETER = {"delta": "alpha", "level": "alpha", "power": "tweedie_variance_power", "n_classes": "num_class"}
# What neither bins nor what is sampled for them depends on, as long as feature_pre_filter is off.
_NOT_OF_BINS = frozenset(
    {
        *("objective", "metric", *_PARAMETER.values(), "learning_rate", "num_leaves", "max_depth", "min_data_in_leaf"),
        *("min_sum_hessian_in_leaf", "bagging_fraction", "bagging_freq", "feature_fraction", "lambda_l1", "lambda_l2"),
        *("min_gain_to_split", "max_delta_step", "boost_from_average", "verbosity"),
    }
)

_ZERO = float(np.float32(1e-35))  # what is no greater is 0 to LightGBM


@cache
def _names() -> Mapping[str, str]:
    """LightGBM's own list of its parameters and their aliases."""
    return {name: first for first, names in lightgbm_aliases().items() for name in names}


_OF_DART = frozenset({"drop_rate", "max_drop", "skip_drop", "xgboost_dart_mode", "uniform_drop", "drop_seed"})
_OF_GOSS = frozenset({"top_rate", "other_rate"})


class LightGBM(Engine):
    name = "lightgbm"
    module = "lightgbm"
    model_file = "model.txt"
    reserved = {
        **dict.fromkeys(("objective", "num_class", "alpha", "fair_c", "reg_sqrt", "sigmoid", "objective_seed"), "use loss="),
        **dict.fromkeys(("tweedie_variance_power", "poisson_max_delta_step", "label_gain"), "use loss="),
        **dict.fromkeys(("lambdarank_truncation_level", "lambdarank_norm"), "use loss="),
        "lambdarank_position_bias_regularization": "use loss=",
        **dict.fromkeys(("is_unbalance", "scale_pos_weight"), "use sample_weight="),
        "boost_from_average": "every loss has its intercept, leave it out",
        "num_iterations": "use n_estimators=",
        **dict.fromkeys(
            ("early_stopping_round", "early_stopping_min_delta", "first_metric_only"), "use early_stopping_rounds="
        ),
        **dict.fromkeys(("metric", "eval_at", "auc_mu_weights", "multi_error_top_k"), "use eval_metric="),
        **dict.fromkeys(("metric_freq", "is_provide_training_metric"), "use eval_set="),
        "categorical_feature": "give a table with categorical columns",
        "ignore_column": "drop the columns",
        **dict.fromkeys(("data", "valid", "label_column", "weight_column", "group_column", "header"), "give data to fit"),
        **dict.fromkeys(("two_round", "pre_partition", "save_binary", "parser_config_file"), "give data to fit"),
        "precise_float_parser": "give data to fit",
        **dict.fromkeys(("input_model", "output_model", "snapshot_freq", "refit_decay_rate"), "use save and gbreg.load"),
        **dict.fromkeys(("convert_model", "convert_model_language", "output_result"), "use save and gbreg.load"),
        **dict.fromkeys(("task", "config"), "they are for LightGBM's command line, leave them out"),
        **dict.fromkeys(("predict_raw_score", "predict_leaf_index", "predict_contrib"), "ask booster_.predict for it"),
        **dict.fromkeys(("start_iteration_predict", "num_iteration_predict"), "ask booster_.predict for it"),
        **dict.fromkeys(("predict_disable_shape_check", "pred_early_stop"), "ask booster_.predict for it"),
        **dict.fromkeys(("pred_early_stop_freq", "pred_early_stop_margin"), "ask booster_.predict for it"),
        **dict.fromkeys(("machines", "num_machines", "machine_list_filename"), "gbreg trains on one machine"),
        **dict.fromkeys(("local_listen_port", "time_out"), "gbreg trains on one machine"),
    }
    shared = {"learning_rate": "learning_rate", "bagging_fraction": "subsample", "num_threads": "n_threads"}
    native = {
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
    objectives = {"native": NativeObjective, "sklearn": SklearnObjective}
    metrics = {"native": Feval, "sklearn": EvalMetric}

    def names(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        return _names()

    def check_own(self, own: Mapping[str, Any]) -> None:
        if own.get("boosting") in ("rf", "random_forest"):
            raise ValueError(
                f"engine_params: boosting={own['boosting']!r} of lightgbm starts neither from a loss's intercept nor with a "
                "loss of gbreg: use subsample= and colsample=, or scikit-learn's RandomForestRegressor"
            )
        dart = own.get("boosting") == "dart"
        goss = "goss" in (own.get("boosting"), own.get("data_sample_strategy"))
        for names, used, way in ((_OF_DART, dart, "boosting='dart'"), (_OF_GOSS, goss, "data_sample_strategy='goss'")):
            idle = sorted(names & set(own))
            if idle and not used:
                raise ValueError(f"engine_params: {idle} of lightgbm do nothing without {way}: add that, or leave them out")

    def own_objective(self, form: NativeForm) -> dict[str, Any]:
        own = {_PARAMETER[k]: v for k, v in form.parameters.items()}
        return {"objective": self.native[form.name], "boost_from_average": False, **own}

    def stored(self, values: Floats) -> Floats:
        return np.where(np.abs(values) <= _ZERO, 0.0, values)

    def keeps_constraints(self, form: NativeForm) -> bool:
        return form.name not in ("absolute_error", "quantile")  # refused there: leaves are renewed

    def admits(self, form: NativeForm, own: Mapping[str, Any], weight: Floats | None) -> bool:
        if is_renewed(form):
            # Its quantile of n equal weights interpolates at (n - 1) * level: of 20 residuals, 0.99 is 49% above the least
            # pinball loss; medians are exact. With weights it is one row low and part of the way up, by how far they are
            # from 1.
            return is_median(form) and all_equal(weight) and goes_part_of_the_way(own)
        return within_limit(form, own)

    def boost(self, task: Task) -> Any:
        lgb = self.package()
        params = self._parameters(task)
        monitor = task.monitor
        stop = StopWhenAsked(monitor, lgb, keeps=params.get("boosting") == "dart")
        callbacks = [*task.callbacks, stop] if monitor.active else list(task.callbacks)
        n_threads, params["num_threads"] = params["num_threads"], 0
        with openmp_threads(n_threads, self.module):
            with self._binned(task, params) as (train_set, *sets):
                booster = lgb.train(
                    params,
                    train_set,
                    num_boost_round=task.parameters.n_estimators,
                    valid_sets=sets,
                    feval=Watch(task, sets) if sets else None,
                    callbacks=callbacks,
                )
            text = stop.best or booster.model_to_string(num_iteration=monitor.keep or -1)
            linear = _is_on(params.get("linear_tree"))
            booster = self.from_bytes((shifted_linear_trees(text, task.loss.intercept_) if linear else text).encode())
            # With these LightGBM's own predict gives the categories of a pandas frame our codes, and refuses them without.
            booster.pandas_categorical = [list(categories) for categories in task.rows.X.categories]
            if not linear:
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
        params = {**mapped, **p.engine_params}
        place_constraints(params, task.rows.X, self.monotone(p.monotone, p.engine_params))
        if _is_on(params.get("linear_tree")):
            _check_linear_trees(params, task)
        if task.native is None:
            return {
                **params,
                "metric": "None",
                "objective": NativeObjective(task.objective(shares_threads=True)),
                "num_class": task.n_outputs,
            }
        limit = step_limit(task.native, params["learning_rate"])
        limited = {} if limit is None else {"max_delta_step": limit}
        return {**limited, **params, "metric": "None", **self.own_objective(task.native)}

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
            feature_name=safe_names(rows.X) or "auto",
            categorical_feature=list(rows.X.categorical),
            params=data_params,
        )

    def _fields(self, task: Task, rows: Rows) -> dict[str, Any]:
        """Labels, weights and starting scores as LightGBM takes them."""
        trained = task.as_trained(rows)
        start = rows.X.offset
        if task.native is not None:
            constants = task.loss.intercept_
            if is_renewed(task.native):  # as labels are: a label that is the median has no sign, whatever the unit
                constants = constants.astype(np.float32).astype(np.float64)
            start = rows.X.from_start(np.repeat(constants, rows.X.n_rows))  # class by class, as LightGBM wants it
        return {
            "label": as_single(trained.y, "labels"),
            "weight": as_single(trained.weight, "weights"),
            "init_score": start,
        }

    def predict_raw(self, booster: Any, X: Features, n_threads: int = 1) -> Floats:
        if X.n_rows == 1 and isinstance(X.values, np.ndarray):
            return lightgbm_row(booster, X.values)
        with openmp_threads(n_threads, self.module):
            return np.asarray(booster.predict(X.values, raw_score=True, num_threads=0), dtype=np.float64)

    def own_matrix(self, X: Features) -> Any:
        return X.values

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


def _check_linear_trees(params: dict[str, Any], task: Task) -> None:
    """`ValueError` for what LightGBM refuses to grow linear trees for, or would grow wrong ones for."""
    refused = None
    if task.native is None:
        refused = (
            f"need a loss that LightGBM trains natively, and {task.loss!r} is not trained so here: within a leaf a line can "
            "go further than its curvature allows"
        )
    elif task.native.name == "absolute_error":
        refused = f"are not there for {task.loss!r}: use 'huber' or 'squared_error'"
    elif "monotone_constraints" in params:
        refused = "keep to monotone_constraints between leaves, and not along the lines within them: leave those out"
    if refused:
        raise ValueError(f"engine_params: linear_tree: linear trees {refused}")


def shifted_linear_trees(text: str, constants: Floats) -> str:
    """A model of linear trees with a constant an output added to every leaf of its first tree.

    Not `set_leaf_output`: that moves what a leaf says where a feature is missing, and leaves its line where it is.
    """
    head, *trees = re.split(r"^(?=Tree=\d)", text, flags=re.MULTILINE)
    for k, constant in enumerate(constants):

        def moved(line: re.Match[str], constant: float = float(constant)) -> str:
            return line[1] + " ".join(repr(float(value) + constant) for value in line[2].split())

        trees[k] = re.sub(r"^(leaf_value=|leaf_const=)(.*)$", moved, trees[k], flags=re.MULTILINE)
    return re.sub(r"^tree_sizes=.*\n", "", head, flags=re.MULTILINE) + "".join(trees)  # sizes in bytes, which change


def _is_on(value: Any) -> bool:
    """A switch as LightGBM reads it, from text too."""
    return str(value).lower() not in ("none", "false", "-", "0")
