"""A loss as bare callables, for code that keeps its own ``lgb.train``, ``XGBRegressor`` or ``CatBoost``."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any, cast

import numpy as np

from gbreg._checks import Floats, check_sample_weight
from gbreg.engines import catboost, get_engine, lightgbm, thread_count, xgboost
from gbreg.engines.monitor import MetricLike
from gbreg.engines.objective import Objective
from gbreg.engines.rows import Singles
from gbreg.engines.scores import TrainableLoss, check_shapes, scores_shape
from gbreg.losses.base import Loss, fitted
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.vector import VectorLoss
from gbreg.metrics import directed

HESSIANS = ("safe", "exact", "expected")
# XGBoost maximises a metric whose name starts with one of these.
_MAXIMISED = ("auc", "pre", "map", "ndcg")


class CheckedObjective(Objective):
    """An objective called by code that is not ours: checks what it is given, and returns arrays that stay as they are."""

    # LightGBM trains with a copy: the loss that decodes would not learn with it.
    refines = False

    def __deepcopy__(self, memo: Any) -> CheckedObjective:
        copied = type(self).__new__(type(self))
        copied.__setstate__(deepcopy(self.__getstate__(), memo))
        return copied

    def gradient_hessian(self, y: Any, raw: Any, sample_weight: Any = None) -> tuple[Singles, Singles]:
        y, raw = np.asarray(y), np.asarray(raw)
        raw = raw if raw.dtype in (np.float32, np.float64) else raw.astype(np.float64)
        if y.ndim == 1 and raw.shape == scores_shape(self.loss, y.size):
            if sample_weight is not None and np.shape(sample_weight) != y.shape:
                check_sample_weight(sample_weight, y.size)
            # Scores that are all equal are those before the first tree. The callable may have trained before.
            if self.round == 0 or bool((raw == raw[:1]).all()):
                self.round = 0
                self.loss.check_labels(y)
                check_sample_weight(sample_weight, y.size)
        self._buffers = np.empty(0, np.float32), np.empty(0, np.float32)
        return super().gradient_hessian(y, raw, sample_weight)


class CatBoostObjective(catboost.NativeObjective):
    """CatBoost's objective for bare use: what goes wrong is raised, and reaches the user inside a `CatBoostError`."""

    def calc_ders_range(self, approxes: Any, targets: Any, weights: Any) -> Any:
        y, raw = np.asarray(targets), np.asarray(approxes)
        check_shapes(self.objective.loss, y, raw)
        if weights is not None and np.shape(weights) != y.shape:
            check_sample_weight(weights, y.size)
        if self.objective.complete or not raw.any():
            self.objective.loss.check_labels(y)
        derivatives = super().calc_ders_range(raw, y, weights)
        _raise_kept(self)
        return derivatives


class CatBoostRowObjective(catboost.RowObjective):
    """`CatBoostObjective` for losses of several outputs; CatBoost's own base class is added by `catboost_objective`."""

    def __reduce__(self) -> Any:
        return catboost_objective, (self.objective,)

    def calc_ders_multi(self, approxes: Any, targets: Any, weight: Any) -> Any:
        y, raw, loss = np.asarray(targets), np.asarray(approxes), self.objective.loss
        if raw.shape != loss.intercept_.shape:  # n_outputs asks whether the loss is fitted, too slow for every row
            k = loss.n_outputs
            raise ValueError(
                f"{type(loss).__name__} has {k} outputs, and CatBoost one for each of {raw.size} target(s): give it labels "
                f"of shape (n_samples, {k}), np.tile(y[:, None], {k})"
            )
        if self.objective.complete or not raw.any():
            if (y != y[0]).any():
                raise ValueError(f"{type(loss).__name__} has one label a row, for all its outputs, got {y}: tile the labels")
            loss.check_labels(y[:1])
        derivatives = super().calc_ders_multi(raw, y, weight)
        _raise_kept(self)
        return derivatives


def _raise_kept(objective: catboost.NativeObjective) -> None:
    if objective.error is not None:
        error, objective.error = objective.error, None
        told = str(error).replace(f" in round {objective.objective.round}", "")  # which is not known here
        raise FloatingPointError(told) from None


def catboost_objective(checked: CheckedObjective) -> catboost.NativeObjective:
    """What CatBoost takes for this objective: it calls losses of one output by blocks of rows, others row by row."""
    if checked.loss.n_outputs == 1:
        return CatBoostObjective(checked)
    base = get_engine("catboost").package().MultiTargetCustomObjective
    return catboost.for_rows(CatBoostRowObjective, base)(checked)  # type: ignore[no-any-return]


def _check(engine: str, api: str) -> None:
    get_engine(engine)
    if api not in ("native", "sklearn"):
        raise ValueError(f"api={api!r} must be 'native' (the engine's own train) or 'sklearn' (its scikit-learn wrapper)")


def objective(
    loss: TrainableLoss,
    engine: str,
    api: str = "native",
    *,
    hessian: str = "safe",
    learning_rate: float = 0.1,
    complete: bool = False,
    n_jobs: int | None = None,
) -> Any:
    r"""The objective that an engine's own ``train`` or scikit-learn wrapper takes, for a fitted loss.

    The engine's raw score r stands for the complete raw score ``r + loss.intercept_``, unless `complete`: decode its
    predictions with ``loss.predict(r + loss.intercept_)``. Gradient and Hessian are divided by ``loss.hessian_scale_``, so
    regularisation means the same for every loss and unit.

    Parameters
    ----------
    loss : fitted PointwiseLoss or VectorLoss
        ``loss.fit(y, sample_weight)`` with the training labels.
    engine : {"lightgbm", "xgboost", "catboost"}
    api : {"native", "sklearn"}, default "native"
        ``lgb.train`` and ``xgb.train``, or ``LGBMRegressor`` and ``XGBRegressor``. CatBoost takes one object for both.
    hessian : {"safe", "exact", "expected"}, default "safe"
        The curvature, as in `GBRegressor`; losses of several outputs have "safe" only.
    learning_rate : float, default 0.1
        That of the engine; above 0.3 the safe curvature asks for shorter steps.
    complete : bool, default False
        Whether r is the complete raw score already, as of a `booster_` that training goes on from: see the notes.
    n_jobs : int or None
        Threads of the kernel. None: ``OMP_NUM_THREADS`` if set, else every core.

    Returns
    -------
    object
        Can be pickled, copied, and cloned inside the engine's scikit-learn wrapper. Weights given to the engine are
        applied, once: no engine multiplies them into a custom gradient.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the loss has not been fitted.
    ValueError
        For an unknown engine, api or hessian; during training, for labels outside the loss's domain, weights that are
        not allowed, and shapes other than one score per row and output.
    FloatingPointError
        During training, when a gradient is not finite; names loss, round and row. CatBoost wraps every error in its
        own `CatBoostError`, which quotes it.

    Notes
    -----
    What to set beside it:

    LightGBM
        ``metric="None"`` with `metric`, or early stopping watches l2 on raw scores: on a log link it stops at round 1.
        ``min_sum_hessian_in_leaf`` is in units where the mean Hessian starts at 1.
    XGBoost
        ``base_score=0``, so that training starts at the loss's best constant. The default starts 0.5 away from it,
        harmless to the decoding. ``disable_default_eval_metric=1`` leaves out the RMSE of raw scores; early stopping
        watches the last metric, which is ours. XGBoost drops splits with a gain below 1e-6: where labels and link make
        raw scores tiny (labels of 1e-4 on the identity link), rescale the target.
    CatBoost
        ``eval_metric`` is mandatory: `metric` gives it. Leave ``boost_from_average`` off. Errors in the objective arrive
        as `CatBoostError`. Splits with a gain below 1e-9 are dropped.

    A loss of K > 1 outputs (``loss.n_outputs``: 3 of `ZILN`, the `rank` of `SoftmaxBuckets`) needs besides:

    LightGBM
        ``num_class=K``.
    XGBoost
        ``num_target=K`` and ``disable_default_eval_metric=1``. With ``num_class`` predictions would be the number of the
        largest score. Before 3.4, ``multi_strategy="multi_output_tree"`` needs ``min_child_weight=0``.
    CatBoost
        Labels of shape (n, K), ``np.tile(y[:, None], K)``, in every set. It calls Python for every row twice a round, 20
        to 30 microseconds each: prefer the other engines, or `GBRegressor` for a loss that has a native form.

    Scores r then have shape (n, K), and ``loss.distribution(r + loss.intercept_)`` is each row's distribution.
    Shared thresholds of `OrdinalBuckets` stay at those of the labels' own distribution, as under `GBRegressor` on
    CatBoost; on the other engines it estimates them again between rounds, which needs the training loop.

    To go on from the `booster_` of a `GBRegressor`, whose raw scores are complete, use ``complete=True`` here and in
    `metric`, that model's `loss_`, and features from its `to_engine_matrix`: ``lgb.train(init_model=booster_)``;
    ``xgb.train(xgb_model=booster_)``, without a ``base_score``, for the model has one; CatBoost's ``fit(init_model=)``.
    What comes out is complete again. LightGBM's ``refit`` is no way: it fits every leaf anew, from a score of 0.

    Numpy arrays of integers become float32 in LightGBM, so that every second of dates such as 20240131 is lost: give it
    float64. XGBoost and CatBoost keep all features in float32. `GBRegressor` sees to both.

    A loss that decodes with what training rows say (`TransformedSquaredError`, `SoftmaxBuckets` of low rank) needs
    ``loss.fit_decoder(y, r + loss.intercept_, weight)`` after training.

    Examples
    --------
    >>> import lightgbm as lgb, numpy as np
    >>> from gbreg import metric, objective
    >>> from gbreg.losses import Huberpp
    >>> x = np.linspace(0, 5, 400)
    >>> y = np.exp(x)
    >>> loss = Huberpp(delta=0.5, link="log").fit(y)
    >>> params = {"objective": objective(loss, "lightgbm"), "metric": "None", "verbosity": -1}
    >>> train = lgb.Dataset(x.reshape(-1, 1), y)
    >>> booster = lgb.train(params, train, 100, valid_sets=[train], feval=metric(loss, "lightgbm"))
    >>> prediction = loss.predict(booster.predict(x.reshape(-1, 1)) + loss.intercept_)
    >>> bool(np.abs(prediction / y - 1).max() < 0.2)
    True
    """
    _check(engine, api)
    if not isinstance(loss, PointwiseLoss | VectorLoss):
        raise TypeError(f"objective takes a fitted loss, got {loss!r}: use get_loss(name).fit(y, sample_weight)")
    fitted(loss)
    if hessian not in HESSIANS:
        raise ValueError(f"hessian={hessian!r} must be one of {HESSIANS}")
    if hessian == "expected" and isinstance(loss, PointwiseLoss) and loss.row_information is None:
        raise ValueError(f'hessian="expected" needs a likelihood, {type(loss).__name__} is none: use "safe" or "exact"')
    if not np.isfinite(loss.intercept_).all():
        raise ValueError(
            f"{loss!r}: all labels are {loss.constant_:g}, which its link cannot express: there is nothing to train"
        )
    checked = CheckedObjective(loss, hessian, learning_rate, thread_count(n_jobs), complete)
    if engine == "catboost":
        return catboost_objective(checked)
    if engine == "xgboost":
        return xgboost.NativeObjective(checked) if api == "native" else xgboost.SklearnObjective(checked)
    return lightgbm.NativeObjective(checked) if api == "native" else lightgbm.SklearnObjective(checked)


class Evaluation:
    """A number from labels, the engine's scores and weights: a loss at the complete raw score, or a metric.

    Parameters
    ----------
    metric : fitted Loss, or MetricLike
    loss : fitted Loss or None
        How the scores of a metric are decoded; None if they are predictions already.
    complete : bool
        Whether the engine's scores hold the intercept already.
    """

    def __init__(self, metric: Loss | MetricLike, loss: Loss | None, complete: bool = False):
        self.metric, self.loss, self.complete = metric, loss, complete
        self.name = metric.name
        self.greater_is_better = bool(getattr(metric, "greater_is_better", False))

    @property
    def n_outputs(self) -> int:
        """Scores a row: those of the loss that decodes them, one if they are predictions."""
        decoder = self.metric if isinstance(self.metric, Loss) else self.loss
        return 1 if decoder is None else decoder.n_outputs

    def value(self, y_true: Any, scores: Any, weight: Any) -> float:
        y, raw = np.asarray(y_true, dtype=np.float64), np.asarray(scores, dtype=np.float64)
        k = self.n_outputs
        if y.ndim != 1 or raw.shape != (y.shape if k == 1 else (y.size, k)):
            wanted = "one score" if k == 1 else f"{k} scores"
            raise ValueError(f"metric {self.name!r} needs {wanted} per label, got shapes {raw.shape} and {y.shape}")
        weight = check_sample_weight(weight, y.size)
        if isinstance(self.metric, Loss):
            y = self.metric.check_labels(y)
            return float(np.average(self.metric.value(y, self._completed(raw, self.metric)), weights=weight))
        prediction = raw if self.loss is None else self.loss.predict(self._completed(raw, self.loss))
        return float(self.metric(y, prediction, weight))

    def _completed(self, raw: Floats, loss: Loss) -> Floats:
        return raw if self.complete else raw + loss.intercept_


class LightGBMFeval(Evaluation):
    """What ``lgb.train(feval=...)`` calls."""

    def __call__(self, preds: Any, eval_data: Any) -> tuple[str, float, bool]:
        value = self.value(eval_data.get_label(), preds, eval_data.get_weight())
        return self.name, value, self.greater_is_better


class LightGBMEvalMetric(Evaluation):
    """What ``LGBMRegressor.fit(eval_metric=...)`` calls."""

    def __call__(self, y_true: Any, y_pred: Any, weight: Any) -> tuple[str, float, bool]:
        return self.name, self.value(y_true, y_pred, weight), self.greater_is_better


class _Minimised(Evaluation):
    """XGBoost minimises whatever has a harmless name: better-if-greater metrics are turned round."""

    def __init__(self, metric: Loss | MetricLike, loss: Loss | None, complete: bool = False):
        super().__init__(metric, loss, complete)
        if self.greater_is_better:
            self.name = f"neg_{self.name}"
        elif self.name.startswith(_MAXIMISED):
            self.name = f"value_{self.name}"
        self.__name__ = self.name  # where XGBRegressor looks for it

    def value(self, y_true: Any, scores: Any, weight: Any) -> float:
        value = super().value(y_true, scores, weight)
        return -value if self.greater_is_better else value


class XGBoostCustomMetric(_Minimised):
    """What ``xgb.train(custom_metric=...)`` calls."""

    def __call__(self, preds: Any, data: Any) -> tuple[str, float]:
        weight = data.get_weight()
        return self.name, self.value(data.get_label(), preds, weight if weight.size else None)


class XGBoostEvalMetric(_Minimised):
    """What ``XGBRegressor(eval_metric=...)`` calls."""

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return self.value(y_true, y_pred, sample_weight)


class CatBoostEvalMetric(Evaluation):
    """What ``CatBoost({"eval_metric": ...})`` and ``CatBoostRegressor(eval_metric=...)`` call, once a set and round."""

    no_jit = True  # CatBoost would compile the methods otherwise

    def __deepcopy__(self, memo: Any) -> CatBoostEvalMetric:
        # CatBoostRegressor clones its parameters and then insists on finding the same object.
        return self

    def __reduce__(self) -> Any:
        return catboost_metric, (self.metric, self.loss, self.complete)

    def is_max_optimal(self) -> bool:
        return self.greater_is_better

    def evaluate(self, approxes: Any, target: Any, weight: Any) -> tuple[float, float]:
        if self.n_outputs == 1:
            return self.value(target, approxes[0], weight), 1.0
        return self.value(target[0], np.transpose(approxes), weight), 1.0  # labels are tiled: a copy an output

    def get_final_error(self, error: float, weight: float) -> float:
        return error


def catboost_metric(metric: Loss | MetricLike, loss: Loss | None, complete: bool = False) -> CatBoostEvalMetric:
    """What CatBoost takes for this metric: on its own base class where scores are several a row."""
    made = CatBoostEvalMetric(metric, loss, complete)
    if made.n_outputs == 1:
        return made
    base = get_engine("catboost").package().MultiTargetCustomMetric
    return catboost.for_rows(CatBoostEvalMetric, base)(metric, loss, complete)  # type: ignore[no-any-return]


_METRICS: dict[tuple[str, str], Callable[[Any, Any, bool], Evaluation]] = {
    ("lightgbm", "native"): LightGBMFeval,
    ("lightgbm", "sklearn"): LightGBMEvalMetric,
    ("xgboost", "native"): XGBoostCustomMetric,
    ("xgboost", "sklearn"): XGBoostEvalMetric,
    ("catboost", "native"): catboost_metric,
    ("catboost", "sklearn"): catboost_metric,
}


def metric(loss_or_name: Any, engine: str, api: str = "native", *, loss: Loss | None = None, complete: bool = False) -> Any:
    """The matching ``feval``, ``custom_metric`` or ``eval_metric``: a number on decoded predictions, with weights.

    Parameters
    ----------
    loss_or_name : fitted Loss, str, callable (y_true, y_pred, sample_weight) -> float, or Metric
        A loss gives its weighted mean at the engine's raw scores plus its intercept; a name is one of `gbreg.metrics`.
    engine : {"lightgbm", "xgboost", "catboost"}
    api : {"native", "sklearn"}, default "native"
    loss : fitted Loss or None
        What decodes the engine's raw scores for a named metric: the loss that `objective` was given. None takes them as
        predictions in the unit of the target, right for an engine's own objective.
    complete : bool, default False
        Whether the engine's raw scores hold the loss's intercept already, as with ``objective(complete=True)``.

    Returns
    -------
    object
        For ``lgb.train(feval=)``, ``LGBMRegressor.fit(eval_metric=)``, ``xgb.train(custom_metric=)``,
        ``XGBRegressor(eval_metric=)`` or CatBoost's ``eval_metric=``. Can be pickled and copied.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If a loss has not been fitted.
    ValueError
        For an unknown engine, api or metric, and for a metric best at a value between (use "abs_log_pcoc" for "pcoc").

    Notes
    -----
    XGBoost minimises custom metrics, except those whose names start with "auc", "pre", "map" or "ndcg": metrics where
    greater is better are reported there as ``neg_<name>`` with the sign turned, and harmful names get ``value_`` in
    front. CatBoost reports under the name of the class, ``CatBoostEvalMetric``.

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import metric
    >>> from gbreg.losses import SquaredError
    >>> loss = SquaredError(link="log").fit([1.0, 3.0])
    >>> metric("mae", "xgboost", "sklearn", loss=loss)(np.array([1.0, 3.0]), np.zeros(2))  # the intercept predicts 2
    1.0
    """
    _check(engine, api)
    if isinstance(loss_or_name, Loss):
        if loss is not None:
            raise ValueError("metric: loss= decodes for a named metric; a loss decodes for itself")
        return _METRICS[engine, api](fitted(loss_or_name), None, complete)
    decoder = None if loss is None else fitted(loss)
    return _METRICS[engine, api](cast(MetricLike, directed(loss_or_name)), decoder, complete)


__all__ = ["metric", "objective"]
