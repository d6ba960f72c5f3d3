"""XGBoost: float32 raw scores, absolute thresholds on gain and Hessian, the intercept as base_score."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from functools import cache
from typing import Any

import numpy as np
import scipy.sparse

from gbreg import _kernels as kernels
from gbreg._checks import Floats
from gbreg.engines.binned import binned
from gbreg.engines.callables.xgboost import CustomMetric, EvalMetric, NativeObjective, SklearnObjective, Watch, listener
from gbreg.engines.constraints import place_constraints
from gbreg.engines.engine import Engine, normalised
from gbreg.engines.native import all_equal, goes_part_of_the_way, is_renewed, step_limit, within_limit
from gbreg.engines.rows import Features, Rows, as_single, safe_names
from gbreg.engines.scores import power_of_four
from gbreg.engines.task import Task
from gbreg.engines.threads import openmp_threads
from gbreg.links import get_link
from gbreg.losses.native import NativeForm

# Native objectives that take a prediction as base_score.
_STARTS = {
    **dict.fromkeys(("poisson", "gamma", "tweedie"), "log"),
    **dict.fromkeys(("cross_entropy", "cross_entropies"), "logit"),
}
# Other values die in C++ on what gbreg trains from, a matrix of quantiles and no former model.
_VALUES = (
    ("booster", ("gbtree", "dart"), "grows no trees"),
    ("tree_method", ("hist", "auto"), "does not train on bins"),
    ("process_type", ("default",), "needs a model to update"),
    ("updater", ("grow_quantile_histmaker", "grow_quantile_histmaker,prune"), "grows no trees from bins"),
)
_ALIASES = {
    "eta": "learning_rate",
    "lambda": "reg_lambda",
    "alpha": "reg_alpha",
    "min_split_loss": "gamma",
    "n_jobs": "nthread",
    "random_state": "seed",
}
# Of the configuration that XGBoost lists as parameters: its state, which nobody sets.
_STATE = {"num_feature", "num_trees", "rng_state", "updater_seq"}
_PARAMETER = {"level": "quantile_alpha", "power": "tweedie_variance_power", "n_classes": "num_class"}


@cache
def _names(dart: bool) -> Mapping[str, str]:
    """XGBoost's own list of what configures its trees; up to 3.2 dropout is none of it unless the booster is "dart"."""
    import xgboost as xgb

    params = {"booster": "dart" if dart else "gbtree", "tree_method": "hist", "verbosity": 0}
    booster = xgb.train(params, xgb.DMatrix(np.zeros((1, 1)), label=np.zeros(1)), 0)
    names = {*_configured(json.loads(booster.save_config())), "verbosity"} - _STATE
    return {name: _ALIASES.get(name, name) for name in names}


def _configured(config: Mapping[str, Any]) -> Iterator[str]:
    for key, part in config.items():
        if isinstance(part, dict):
            yield from part if key.endswith("_param") else _configured(part)
        elif isinstance(part, list):
            for each in part:
                yield from _configured(each if isinstance(each, dict) else {})


class XGBoost(Engine):
    name = "xgboost"
    module = "xgboost"
    model_file = "model.ubj"
    reserved = {
        **dict.fromkeys(("objective", "num_class", "num_target", "quantile_alpha", "expectile_alpha"), "use loss="),
        **dict.fromkeys(("tweedie_variance_power", "huber_slope"), "use loss="),
        "scale_pos_weight": "use sample_weight=",
        **dict.fromkeys(("base_score", "boost_from_average"), "every loss has its intercept, leave it out"),
        **dict.fromkeys(("eval_metric", "disable_default_eval_metric", "custom_metric"), "use eval_metric="),
        **dict.fromkeys(("n_estimators", "num_boost_round", "num_round"), "use n_estimators="),
        **dict.fromkeys(("early_stopping_rounds", "early_stopping_round"), "use early_stopping_rounds="),
    }
    shared = {"learning_rate": "learning_rate", "subsample": "subsample", "nthread": "n_threads"}
    native = {
        "squared_error": "reg:squarederror",
        "absolute_error": "reg:absoluteerror",
        "quantile": "reg:quantileerror",
        "poisson": "count:poisson",
        "gamma": "reg:gamma",
        "tweedie": "reg:tweedie",
        "cross_entropy": "binary:logistic",
        "cross_entropies": "binary:logistic",  # of several labels a row
        "softmax": "multi:softprob",
        # Not reg:expectileerror (3.3): half our Hessian, for steps that descend only where slopes are close.
    }
    objectives = {"native": NativeObjective, "sklearn": SklearnObjective}
    metrics = {"native": CustomMetric, "sklearn": EvalMetric}

    def names(self, given: Mapping[str, Any]) -> Mapping[str, str]:
        return _names(given.get("booster") == "dart")

    def check_own(self, own: Mapping[str, Any]) -> None:
        for name, allowed, why in _VALUES:
            if own.get(name, allowed[0]) not in allowed:
                raise ValueError(
                    f"engine_params: {name}={own[name]!r} of xgboost {why}: leave it out, or use one of {', '.join(allowed)}"
                )

    def own_objective(self, form: NativeForm) -> dict[str, Any]:
        return {"objective": self.native[form.name], **{_PARAMETER[k]: v for k, v in form.parameters.items()}}

    def keeps_constraints(self, form: NativeForm) -> bool:
        return _since(3, 4) or form.name not in ("absolute_error", "quantile")  # broken before: leaves were renewed

    def admits(self, form: NativeForm, own: Mapping[str, Any], weight: Floats | None) -> bool:
        if is_renewed(form):
            # Under explicit weights its leaves are exact minima. From 3.4 on they are not renewed any more: steps of a
            # majorising curvature in the unit of the labels, which leave labels around 1e-9 at a constant.
            return not _since(3, 4) and goes_part_of_the_way(own)
        if form.name == "poisson":
            # Its own way: Hessians of exp(0.7) mu and a max_delta_step of 0.7; 3.5 will take (mu + y) / 2, whose full step
            # stops short of the minimum. Both descend at every rate up to 1.
            return bool(float(own["learning_rate"]) <= 1.0 and float(own.get("max_delta_step", 0.7)) > 0.0)
        return within_limit(form, own)

    def boost(self, task: Task) -> Any:
        xgb = self.package()
        monitor, loss = task.monitor, task.loss
        objective = None if task.native else task.objective(shares_threads=False)
        params = self._parameters(task)
        # Gradient, Hessian and what is measured in them are multiplied alike: leaf values stay what they are.
        raised = 1.0 / (objective.typical_gain(task.rows, np.float32) if objective else _native_gain(task))
        if objective:
            objective.scale_by(raised)
        for name in ("min_child_weight", "reg_lambda", "gamma", "reg_alpha"):
            params[name] = params.get(name, 0.0) * raised
        n_threads, params["nthread"] = params["nthread"], 0
        with openmp_threads(n_threads, self.module):
            with self._binned(task, params) as (data, *sets):
                watch = Watch(task, sets)
                listening = listener(monitor, watch, xgb, keeps=_drops(params))
                booster = xgb.train(
                    params,
                    data,
                    num_boost_round=task.parameters.n_estimators,
                    evals=[(d, f"validation_{i}") for i, d in enumerate(sets)],
                    obj=NativeObjective(objective) if objective else None,
                    custom_metric=watch if sets else None,
                    callbacks=[*task.callbacks, listening],
                    verbose_eval=False,
                )
            if listening.best:
                booster = self.from_bytes(listening.best)
            elif monitor.keep:
                booster = booster[: monitor.keep]
            if objective:
                booster.set_param({"base_score": loss.intercept_.tolist()})
            return self._ready(booster)

    def _ready(self, booster: Any) -> Any:
        """The booster with its parameters taken in: else its first call does that, and threads may come first together."""
        self.rounds(booster)
        return booster

    def _parameters(self, task: Task) -> dict[str, Any]:
        p = task.parameters
        mapped = {
            "tree_method": "hist",
            "grow_policy": "lossguide",
            "learning_rate": p.learning_rate,
            "max_leaves": p.max_leaves,
            "max_depth": p.max_depth or 0,
            "min_child_weight": p.min_child_samples,
            "subsample": p.subsample,
            "colsample_bytree": p.colsample,
            "reg_lambda": p.reg_lambda,
            "max_bin": p.max_bins,
            "nthread": p.n_threads,
            "seed": p.random_state if p.random_state is not None else 0,
            "verbosity": 0,
        }
        vector = task.n_outputs > 1 and p.engine_params.get("multi_strategy") == "multi_output_tree"
        if vector and not _since(3, 4):
            mapped["min_child_weight"] = 0.0
        params = {**mapped, **p.engine_params}
        place_constraints(params, task.rows.X, self.monotone(p.monotone, p.engine_params))
        if vector and not _since(3, 4):
            _check_vector_leaves(params, task.rows.X)
        if "monotone_constraints" in params:
            params["monotone_constraints"] = tuple(params["monotone_constraints"])
        if "interaction_constraints" in params:  # in a list it takes names alone
            params["interaction_constraints"] = str(params["interaction_constraints"])
        if task.native is not None:
            link = get_link(_STARTS.get(task.native.name, "identity"))
            start = kernels.map_scalar(link.inverse, task.loss.intercept_, link.parameters)
            limit = None if task.native.name == "poisson" else step_limit(task.native, params["learning_rate"])
            return {
                **({} if limit is None else {"max_delta_step": limit}),
                **params,
                **self.own_objective(task.native),
                "base_score": start.tolist(),
                "disable_default_eval_metric": 1,
            }
        # One tree an output, unless multi_strategy is given. Vector leaves over that, CPU time of a fit, 100,000 x 30 rows,
        # one thread, XGBoost 3.2: buckets of rank 2 and 4 1.4, shared thresholds with a spread 1.7, ZILN 1.7, held-out loss
        # within 0.5%; full softmax of 20 buckets on 50,000 rows 1.7, held-out loss 0.8% lower. XGBoost 3.4.1, 50,000 rows:
        # rank 2 1.00, rank 4 0.85, held-out loss 0.03% and 0.08% higher.
        outputs = {"num_target": task.n_outputs} if task.n_outputs > 1 else {}
        return {**params, **outputs, "objective": "reg:squarederror", "base_score": 0.0, "disable_default_eval_metric": 1}

    def _binned(self, task: Task, params: dict[str, Any]) -> AbstractContextManager[Any]:
        """The matrices of training and evaluation rows, in the bins of the training rows: quantiles under the weights.

        Weights of a heavy tail leave few cuts where weights are small. Bins in which every row counts once were measured:
        log-normal weights (sigma 2), 48 and 255 bins, gamma and squared error, loss under the weights on later rows within
        3% where weights and features are independent, and 5 to 40% higher where large weights lie at one end of a feature.
        """
        every = [task.rows, *task.monitor.sets]
        trained = [_trained(task, rows) for rows in every]
        X = task.rows.X
        key = (self.name, X.names, X.categorical, params["max_bin"], X.offset is None)

        def make() -> list[Any]:
            data = [self._matrix(task.rows, params)]
            data += [self._matrix(rows, params, reference=data[0]) for rows in task.monitor.sets]
            renew(data)
            return data

        def renew(data: list[Any]) -> None:
            for matrix, rows in zip(data, trained, strict=True):
                matrix.set_label(as_single(rows.y, "labels"))
                if rows.weight is not None:
                    matrix.set_weight(as_single(rows.weight, "weights"))
                if rows.X.offset is not None:  # takes the place of base_score
                    start = 0.0 if task.native is None else task.loss.intercept_[0]
                    matrix.set_base_margin(as_single(start + rows.X.offset, "offsets"))

        # Weights of a native form are not those of the rows: in another unit they would give other bins.
        kind = "kernel" if task.native is None else task.native.name
        return binned((*key, kind), [a for rows in every for a in (rows.X.values, rows.weight)], make, renew)

    def _matrix(self, rows: Rows, params: dict[str, Any], reference: Any = None) -> Any:
        xgb, X = self.package(), rows.X
        given = {
            "weight": None if all_equal(rows.weight) else as_single(rows.weight, "weights"),  # whose sums round
            "feature_names": safe_names(X),
            "feature_types": _types(X),
        }
        data = X.values
        if scipy.sparse.issparse(data):
            data, given = _blocks_of(data, given, xgb), {}
        return xgb.QuantileDMatrix(
            data,
            missing=np.nan,
            max_bin=params["max_bin"],
            nthread=params["nthread"],
            ref=reference,
            enable_categorical=bool(X.categorical),
            **given,
        )

    def predict_raw(self, booster: Any, X: Features, n_threads: int = 1) -> Floats:
        with openmp_threads(n_threads, self.module):
            margins = [
                booster.inplace_predict(block, predict_type="margin", validate_features=False)
                for _, block in _dense_blocks(X.values)
            ]
        margin = np.concatenate(margins).astype(np.float64)
        return margin.reshape(X.n_rows, -1) if margin.size > X.n_rows else margin.reshape(X.n_rows)

    def own_matrix(self, X: Features) -> Any:
        xgb = self.package()
        return xgb.DMatrix(
            X.values.toarray() if scipy.sparse.issparse(X.values) else X.values,
            missing=np.nan,
            feature_names=safe_names(X),
            feature_types=_types(X),
            enable_categorical=bool(X.categorical),
            nthread=1,
        )

    def rounds(self, booster: Any) -> int:
        return int(booster.num_boosted_rounds())

    def feature_importances(self, booster: Any) -> Floats:
        scores = booster.get_score(importance_type="total_gain")
        names = booster.feature_names or [f"f{j}" for j in range(booster.num_features())]
        return normalised([scores.get(name, 0.0) for name in names])

    def to_bytes(self, booster: Any) -> bytes:
        return bytes(booster.save_raw("ubj"))

    def from_bytes(self, data: bytes) -> Any:
        xgb = self.package()
        with openmp_threads(1, self.module):
            return self._ready(xgb.Booster(model_file=bytearray(data)))


def _since(*version: int) -> bool:
    """Whether the installed XGBoost is at least that version."""
    return tuple(int(part) for part in XGBoost.package().__version__.split(".")[:2]) >= version


def _drops(params: Mapping[str, Any]) -> bool:
    """Whether rounds change the trees of earlier ones: DART, since 3.4 under any tree booster."""
    asked = float(params.get("rate_drop", 0)) > 0 or bool(int(params.get("one_drop", 0)))
    return params.get("booster") == "dart" or asked


def _types(X: Features) -> list[str] | None:
    if not X.categorical:
        return None
    return ["c" if j in X.categorical else "float" for j in range(X.values.shape[1])]


# Cells of a sparse matrix that are made dense at a time, 32 MB of them.
_CELLS = 1 << 22


def _dense_blocks(values: Any) -> Iterator[tuple[int, Any]]:
    """Where successive rows start, and they as an array: all of them, where it is no sparse matrix.

    XGBoost takes what a sparse matrix leaves out for missing. It is 0 on the other engines, and here.
    """
    if not scipy.sparse.issparse(values):
        yield 0, values
        return
    rows = max(1, _CELLS // max(1, values.shape[1]))
    for start in range(0, values.shape[0], rows):
        yield start, values[start : start + rows].toarray()


def _blocks_of(values: Any, given: dict[str, Any], xgb: Any) -> Any:
    """A sparse matrix as XGBoost bins it block by block: a byte a cell, with up to 256 bins, and never all as floats."""

    class Blocks(xgb.DataIter):  # type: ignore[misc]
        def reset(self) -> None:
            self.left = _dense_blocks(values)

        def next(self, input_data: Any) -> bool:
            for start, block in self.left:
                weight = None if given["weight"] is None else given["weight"][start : start + len(block)]
                input_data(data=block, **given | {"weight": weight})
                return True
            return False

    return Blocks()


def _check_vector_leaves(params: dict[str, Any], X: Features) -> None:
    """Raise `ValueError` for what XGBoost 3.2 cannot do with vector leaves, or does wrongly without a word."""
    refused = None
    if params["min_child_weight"] > 0:  # at 100, with Hessians of 1, leaves of one row remain
        refused = f"min_child_weight={params['min_child_weight']!r}, which must be 0"
    elif "monotone_constraints" in params:
        refused = f"monotone_constraints={params['monotone_constraints']!r}"
    elif "interaction_constraints" in params:
        refused = f"interaction_constraints={params['interaction_constraints']!r}"
    elif _drops(params):
        refused = "booster='dart'"
    elif X.categorical:
        refused = f"categorical columns, here {list(X.categorical)}"
    if refused:
        raise ValueError(
            f"engine_params: multi_strategy='multi_output_tree' of xgboost before 3.4 does not keep to {refused}: leave "
            "it out for one tree an output"
        )


def _trained(task: Task, rows: Rows) -> Rows:
    """Rows with the labels and weights that XGBoost trains on.

    Native forms always have weights: without them XGBoost's quantiles interpolate, with them they are minima.
    """
    trained = task.as_trained(rows)
    if task.native is None:
        return trained
    weight = np.ones(rows.y.size) if trained.weight is None else trained.weight
    return Rows(trained.X, trained.y, weight / _native_gain(task))


def _native_gain(task: Task) -> float:
    """`Objective.typical_gain` of a native form: a number for squared error, whose gradients have the labels' unit."""
    if task.native is None or task.native.name != "squared_error":
        return 1.0
    return power_of_four(task.as_trained(task.rows).y - task.rows.X.from_start(task.loss.intercept_))
