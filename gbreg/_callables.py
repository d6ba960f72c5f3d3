"""A loss as bare callables, for code that keeps its own ``lgb.train``, ``XGBRegressor`` or ``CatBoost``."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from gbreg.engines import Engine, get_engine, thread_count
from gbreg.engines.callables.bare import CheckedObjective
from gbreg.engines.monitor import MetricLike
from gbreg.engines.scores import TrainableLoss
from gbreg.losses.base import Loss, fitted
from gbreg.losses.pointwise import PointwiseLoss
from gbreg.losses.vector import VectorLoss
from gbreg.metrics import directed

HESSIANS = ("safe", "exact", "expected")


def _engine(name: str, api: str) -> Engine:
    engine = get_engine(name)
    if api not in engine.objectives:
        raise ValueError(f"api={api!r} must be 'native' (the engine's own train) or 'sklearn' (its scikit-learn wrapper)")
    return engine


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
    make = _engine(engine, api).objectives[api]
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
    return make(CheckedObjective(loss, hessian, learning_rate, thread_count(n_jobs), complete))


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
    make = _engine(engine, api).metrics[api]
    if isinstance(loss_or_name, Loss):
        if loss is not None:
            raise ValueError("metric: loss= decodes for a named metric; a loss decodes for itself")
        return make(fitted(loss_or_name), None, complete)
    decoder = None if loss is None else fitted(loss)
    return make(cast(MetricLike, directed(loss_or_name)), decoder, complete)


__all__ = ["metric", "objective"]
