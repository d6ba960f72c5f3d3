"""CatBoost: derivatives with flipped signs in blocks of rows, Lossguide trees, the intercept baked into the first tree."""

from __future__ import annotations

import inspect
import math
import tempfile
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from gbreg._checks import Floats
from gbreg.engines.binned import binned, sharing
from gbreg.engines.callables.catboost import (
    NativeObjective,
    RowObjective,
    StopWhenAsked,
    Watch,
    bare_metric,
    bare_objective,
    for_rows,
)
from gbreg.engines.constraints import place_constraints
from gbreg.engines.engine import Engine, normalised
from gbreg.engines.native import all_equal, goes_part_of_the_way, has_close_slopes, is_renewed, within_limit
from gbreg.engines.rows import Features, Rows, as_single, safe_names
from gbreg.engines.scores import power_of_four
from gbreg.engines.task import Task
from gbreg.losses.native import NativeForm

# What CatBoost has no use for where it is given scores to start from.
_NO_START = ("langevin", "model_shrink_rate", "posterior_sampling")
_WITH_UNIT = frozenset({"squared_error", "absolute_error", "quantile", "expectile"})
# Its Newton steps die of their linear system ("not positive definite"): 12 buckets at a learning rate of 0.3. Gradient steps
# take a curvature of 1, where softmax has at most a half, and none raises the loss; ten of them learn what the kernel does.
_SOFTMAX_LEAVES = {
    "leaf_estimation_method": "Gradient",
    "leaf_estimation_iterations": 10,
    "leaf_estimation_backtracking": "No",
}

# What a pool's bins depend on beside the number of borders and the seed: pools are not shared where it is set.
_OF_BINS = frozenset(
    {
        *("feature_border_type", "per_float_feature_quantization", "ignored_features", "nan_mode", "input_borders"),
        *("sparse_features_conflict_fraction", "dev_max_subset_size_for_build_borders", "task_type"),
    }
)


_ON_CPU = "gbreg trains CatBoost on the CPU, leave it out"
_ALIASES = {
    "objective": "loss_function",
    "custom_loss": "custom_metric",
    "eta": "learning_rate",
    **dict.fromkeys(("num_boost_round", "n_estimators", "num_trees"), "iterations"),
    "early_stopping_rounds": "od_wait",
    "max_depth": "depth",
    "num_leaves": "max_leaves",
    "min_child_samples": "min_data_in_leaf",
    "colsample_bylevel": "rsm",
    "reg_lambda": "l2_leaf_reg",
    "max_bin": "border_count",
    "random_state": "random_seed",
    "verbose_eval": "verbose",
}


@cache
def _names() -> Mapping[str, str]:
    """What CatBoost's regressor and classifier take, and the synonyms that they do not show."""
    import catboost

    shown = {
        name
        for kind in (catboost.CatBoostRegressor, catboost.CatBoostClassifier)
        for name in inspect.signature(kind.__init__).parameters
    }
    return {name: _ALIASES.get(name, name) for name in {*shown, *_ALIASES} - {"self"}}


class CatBoost(Engine):
    name = "catboost"
    module = "catboost"
    model_file = "model.cbm"
    reserved = {
        "loss_function": "use loss=",
        **dict.fromkeys(("classes_count", "class_names", "target_border", "allow_const_label"), "use loss="),
        **dict.fromkeys(("class_weights", "auto_class_weights", "scale_pos_weight"), "use sample_weight="),
        "interaction_constraints": "CatBoost has none, use lightgbm or xgboost",
        "boost_from_average": "every loss has its intercept, leave it out",
        "metric_period": "every round is measured, leave it out",
        **dict.fromkeys(("eval_metric", "custom_metric"), "use eval_metric="),
        "iterations": "use n_estimators=",
        **dict.fromkeys(("od_wait", "od_type", "od_pval", "use_best_model"), "use early_stopping_rounds="),
        "best_model_min_trees": "use early_stopping_rounds=",
        "eval_fraction": "use validation_fraction=",
        "cat_features": "give a table with categorical columns",
        **dict.fromkeys(("text_features", "embedding_features", "tokenizers", "dictionaries"), "give numbers or categories"),
        **dict.fromkeys(("feature_calcers", "text_processing"), "give numbers or categories"),
        **dict.fromkeys(("save_snapshot", "snapshot_file", "snapshot_interval"), "use save and gbreg.load"),
        **dict.fromkeys(("task_type", "devices", "gpu_ram_part", "pinned_memory_size"), _ON_CPU),
        **dict.fromkeys(("gpu_cat_features_storage", "data_partition", "device_config"), _ON_CPU),
    }
    shared = {"learning_rate": "learning_rate", "subsample": "subsample", "thread_count": "n_threads"}
    native = {
        "squared_error": "RMSE",
        # Within delta of a label CatBoost takes it for met, and its default of 1e-6 has a unit.
        "absolute_error": "Quantile:alpha=0.5;delta=0",
        "quantile": "Quantile:alpha={level};delta=0",
        "expectile": "Expectile:alpha={level}",
        "poisson": "Poisson",
        "cross_entropy": "CrossEntropy",
        "softmax": "MultiClass",
        "tweedie": "Tweedie:variance_power={power}",
    }
    objectives = dict.fromkeys(("native", "sklearn"), bare_objective)
    metrics = dict.fromkeys(("native", "sklearn"), bare_metric)

    def check_own(self, own: Mapping[str, Any]) -> None:
        policy = own.get("grow_policy", "Lossguide")
        if own.get("boosting_type") == "Ordered" and policy != "SymmetricTree":
            raise ValueError(
                f"engine_params: boosting_type='Ordered': catboost has it for symmetric trees alone, and grow_policy is "
                f"{policy!r}: add 'grow_policy': 'SymmetricTree', whose size is max_depth="
            )

    def names(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        # The signatures leave out some for developers, which CatBoost checks itself.
        return {**_names(), **{name: name for name in given if name.startswith("dev_")}}

    def own_objective(self, form: NativeForm) -> dict[str, Any]:
        classes = {"classes_count": form.parameters["n_classes"]} if form.name == "softmax" else {}
        return {"loss_function": self.native[form.name].format(**form.parameters), **classes}

    def admits(self, form: NativeForm, own: Mapping[str, Any], weight: Floats | None) -> bool:
        """CatBoost knows no limit on steps, which Poisson, Tweedie and cross-entropy need."""
        if is_renewed(form):  # its quantiles of residuals are exact, but do not look at weights
            return all_equal(weight) and goes_part_of_the_way(own)
        if form.name == "expectile":
            return has_close_slopes(form, float(own["learning_rate"]))
        if form.name == "softmax":
            return float(own["learning_rate"]) <= 1.0
        return form.name == "squared_error" and within_limit(form, own)

    def boost(self, task: Task) -> Any:
        catboost = self.package()
        monitor = task.monitor
        objective, raised = None, _native_raise(task)
        if task.native is None:
            kernel = task.objective(shares_threads=False)
            raised = kernel.typical_gain(task.rows, np.float64) ** -0.5
            kernel.scale_by(_mean_weight(task.rows))
            kind = for_rows(RowObjective, catboost.MultiTargetCustomObjective) if task.n_outputs > 1 else NativeObjective
            objective = kind(kernel, raised)
        params = self._parameters(task, objective)
        multiple = task.native is None and task.n_outputs > 1
        if multiple:
            _warn_of_rows(task)
        watch = (for_rows(Watch, catboost.MultiTargetCustomMetric) if multiple else Watch)(task, raised)
        if monitor.sets:
            params["eval_metric"] = watch
        elif task.native is None:  # a native objective's own metric is the default
            params["eval_metric"] = "MultiRMSE" if multiple else "RMSE"
        callbacks = [*task.callbacks, StopWhenAsked(monitor, watch, objective)]
        booster = catboost.CatBoost(params)
        try:
            with self._binned(task, params, raised) as (pool, *sets):
                booster.fit(pool, eval_set=sets or None, callbacks=callbacks)
        finally:
            if objective is not None and objective.error is not None:
                raise objective.error
            if watch.error is not None:
                raise watch.error
        bake(booster, 1.0 / raised, task.loss.intercept_)
        # The trained object keeps objective and metric, and with them all evaluation rows, and cannot be pickled.
        return self.from_bytes(self.to_bytes(booster))

    def _parameters(self, task: Task, objective: NativeObjective | None) -> dict[str, Any]:
        p = task.parameters
        mapped: dict[str, Any] = {
            "iterations": p.n_estimators,
            "learning_rate": p.learning_rate,
            "max_leaves": p.max_leaves,
            "depth": min(p.max_depth or 16, 16),
            "min_data_in_leaf": p.min_child_samples,
            "bootstrap_type": "Bernoulli" if p.subsample < 1 else "No",
            "rsm": p.colsample,
            "l2_leaf_reg": p.reg_lambda,
            "border_count": p.max_bins - 1,
            "thread_count": p.n_threads,
            "random_seed": p.random_state if p.random_state is not None else 0,
            "random_strength": 0.0,
            "leaf_estimation_iterations": 1,
            "allow_writing_files": False,
            "logging_level": "Silent",
            "metric_period": 1 if task.monitor.sets else max(1, p.n_estimators),
            # CatBoost cannot cut a finished model of Lossguide trees, but keeps the best round itself.
            "use_best_model": task.monitor.early_stopping_rounds is not None and bool(task.monitor.sets),
        }
        if p.subsample < 1:
            mapped["subsample"] = p.subsample
        monotone = self.monotone(p.monotone, p.engine_params)
        # CatBoost keeps them in symmetric trees alone.
        policy = p.engine_params.get("grow_policy", "SymmetricTree" if monotone else "Lossguide")
        if policy != "Lossguide":  # level by level: CatBoost refuses a number of leaves, and 16 levels are 65,536 of them
            del mapped["max_leaves"]
            if p.max_depth is None:
                del mapped["depth"]
        if policy == "SymmetricTree":
            del mapped["min_data_in_leaf"]
        if task.native is not None and task.native.name == "softmax":
            mapped |= _SOFTMAX_LEAVES
        if {"verbose", "silent"} & set(p.engine_params):
            del mapped["logging_level"]
        params = {**mapped, "grow_policy": policy, **p.engine_params}
        place_constraints(params, task.rows.X, monotone)
        if "monotone_constraints" in params:
            _check_monotone(task, policy)
            # Else it pulls all scores a little towards 0 in every round, where no scores are given to start from.
            params.setdefault("model_shrink_rate", 0.0)
        if params["bootstrap_type"] == "No":  # of all rows
            params.pop("subsample", None)
        idle = sorted(name for name in _NO_START if p.engine_params.get(name))
        if idle and task.rows.X.offset is not None:
            raise ValueError(f"engine_params: {idle}: catboost leaves them out where rows have offsets: leave them out")
        if objective is None:
            if idle:
                raise ValueError(
                    f"engine_params: {idle}: catboost leaves them out where training starts from the intercept, as that of "
                    f"{task.loss!r} in CatBoost's own form does: use native=False, or leave them out"
                )
            params |= self.own_objective(task.native)  # type: ignore[arg-type]
        else:
            method = params.setdefault("leaf_estimation_method", "Newton")
            if method != "Newton":
                raise ValueError(
                    f"engine_params: leaf_estimation_method={method!r} of catboost does not use the curvature of "
                    f"{task.loss!r}: leave it out, for 'Newton', or use a loss that CatBoost has natively"
                )
            params["loss_function"] = objective
        return {**params, "boost_from_average": False}

    def _binned(self, task: Task, params: dict[str, Any], raised: float) -> AbstractContextManager[Any]:
        """The pools of training and evaluation rows; those that are shared quantised, in the bins of the training rows."""
        every = [task.rows, *task.monitor.sets]
        fields = [self._fields(task, rows, raised) for rows in every]

        X = task.rows.X
        shared = sharing() and not (X.categorical or scipy.sparse.issparse(X.values) or _OF_BINS & set(params))
        shared = shared and not _go_missing(every)

        def make() -> list[Any]:
            pools = [self.package().Pool(**self._columns(rows.X), **f) for rows, f in zip(every, fields, strict=True)]
            if shared:
                _quantise(pools, border_count=params["border_count"], random_seed=params["random_seed"])
            return pools

        def renew(pools: list[Any]) -> None:
            for pool, field in zip(pools, fields, strict=True):
                if field["weight"] is not None:
                    pool.set_weight(field["weight"])
                if field["baseline"] is not None:
                    pool.set_baseline(field["baseline"])

        if not shared:
            return nullcontext(make())
        # Labels of a pool cannot be changed.
        known = [(f["weight"] is None, f["baseline"] is None) for f in fields]
        key = (self.name, X.names, params["border_count"], params["random_seed"], tuple(known))
        return binned(
            key, [a for rows, f in zip(every, fields, strict=True) for a in (rows.X.values, f["label"])], make, renew
        )

    def _fields(self, task: Task, rows: Rows, raised: float) -> dict[str, Any]:
        """Labels, weights and starting scores as CatBoost takes them; `raised` is what its scores are multiplied by."""
        rows = task.as_trained(rows)
        weight = rows.weight
        if weight is not None and task.native is None:
            weight = weight / _mean_weight(rows)
        label, start = rows.y, None
        if task.native is not None:
            label, start = label * raised, np.tile(task.loss.intercept_ * raised, (rows.X.n_rows, 1))
            if rows.X.offset is not None:
                start += rows.X.offset[:, None] * raised
        elif rows.X.offset is not None:
            start = rows.X.offset[:, None] * raised
        elif task.n_outputs > 1:
            label = np.tile(label[:, None], task.n_outputs)  # one target an output, or CatBoost grows no such model
        return {"label": as_single(label, "labels"), "weight": as_single(weight, "weights"), "baseline": start}

    def _columns(self, X: Features) -> dict[str, Any]:
        names = safe_names(X)
        if not X.categorical:
            return {"data": X.values, "feature_names": names}
        import pandas  # comes with catboost, which takes categories in a frame only

        frame = pandas.DataFrame(X.values)
        for j in X.categorical:
            frame[j] = frame[j].fillna(-1).astype(np.int64)
        return {"data": frame, "cat_features": list(X.categorical), "feature_names": names}

    def predict_raw(self, booster: Any, X: Features, n_threads: int = 1) -> Floats:
        matrix = self.own_matrix(X) if X.categorical else X.values
        raw = booster.predict(matrix, prediction_type="RawFormulaVal", thread_count=n_threads)
        return np.asarray(raw, dtype=np.float64)

    def own_matrix(self, X: Features) -> Any:
        return self.package().Pool(**self._columns(X))

    def rounds(self, booster: Any) -> int:
        return int(booster.tree_count_)

    def feature_importances(self, booster: Any) -> Floats:
        return normalised(booster.get_feature_importance(type="PredictionValuesChange"))

    def to_bytes(self, booster: Any) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / self.model_file
            booster.save_model(str(path))
            return path.read_bytes()

    def from_bytes(self, data: bytes) -> Any:
        return self.package().CatBoost().load_model(blob=data)


def _check_monotone(task: Task, policy: str) -> None:
    """`ValueError` for what CatBoost does not keep monotone constraints in, with an internal error or without a word."""
    if policy != "SymmetricTree":
        raise ValueError(
            f"engine_params: grow_policy={policy!r}: catboost has monotone constraints for symmetric trees alone: leave it "
            "out, for trees whose size is max_depth="
        )
    if task.n_outputs > 1:
        raise ValueError(
            f"monotone constraints: catboost keeps to them for one output, and {task.loss!r} has {task.n_outputs}: use "
            "engine='lightgbm' or 'xgboost'"
        )


def bake(booster: Any, scale: float, constants: Floats) -> None:
    """Multiply raw scores, and add a constant an output, by way of the leaves; the constants go into the first tree's.

    CatBoost explains no model with a scale or bias of its own; models without a tree have nothing else. What is changed
    shows in a model read back from its file alone.
    """
    counts = booster.get_tree_leaf_counts()
    if not len(counts):
        booster.set_scale_and_bias(1.0, constants.tolist() if constants.size > 1 else float(constants[0]))
        return
    leaves = booster.get_leaf_values().reshape(-1, constants.size) * scale
    leaves[: counts[0]] += constants
    booster.set_leaf_values(leaves.ravel())


def _go_missing(every: list[Rows]) -> bool:
    """Whether a column is missing in evaluation rows alone, which given bins refuse, unlike a training."""
    trained, *others = (np.isnan(rows.X.values).any(axis=0) for rows in every)
    return any((missing & ~trained).any() for missing in others)


def _quantise(pools: list[Any], **bins: Any) -> None:
    """Bin the first pool as a training would, and the others alike."""
    pools[0].quantize(**bins)
    with tempfile.TemporaryDirectory() as folder:
        borders = str(Path(folder) / "borders.tsv")
        pools[0].save_quantization_borders(borders)
        for pool in pools[1:]:
            pool.quantize(input_borders=borders)


def _native_raise(task: Task) -> float:
    """What labels and scores are multiplied by in native forms that have a unit.

    CatBoost cannot read a model file that says a loss of 2^53 or more: labels of 1e8, if it is a square.
    """
    if task.native is None or task.native.name not in _WITH_UNIT:
        return 1.0
    away = task.as_trained(task.rows).y - task.rows.X.from_start(task.loss.intercept_)
    return 1.0 / math.sqrt(power_of_four(away))


def _mean_weight(rows: Rows) -> float:
    """CatBoost multiplies `l2_leaf_reg` by it, whereas our Hessians have mean 1 whatever the weights."""
    return 1.0 if rows.weight is None else float(rows.weight.mean())


# Of Python for a row and a round, measured; LightGBM and XGBoost call the kernel once a round for all rows.
_SECONDS_A_ROW = 4e-5


def _warn_of_rows(task: Task) -> None:
    n, rounds = task.rows.y.size, task.parameters.n_estimators
    minutes = _SECONDS_A_ROW * n * rounds / 60.0
    if minutes > 1.0:
        warnings.warn(
            f"{type(task.loss).__name__} has {task.n_outputs} outputs, for which CatBoost calls Python twice a row and "
            f"round: about {minutes:.0f} minutes for these {n:,} rows and {rounds} rounds. engine='lightgbm' and 'xgboost' "
            "train it in a fraction of that",
            UserWarning,
            stacklevel=2,
        )
