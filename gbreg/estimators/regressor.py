"""GBRegressor: any loss on any engine, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, fields, replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array

from gbreg._checks import Floats, check_fitted
from gbreg._columns import check_columns
from gbreg.engines import (
    EachRound,
    Features,
    Monitor,
    OnRound,
    Rows,
    Task,
    TreeParameters,
    Trees,
    get_engine,
    scores_shape,
    thread_count,
    training_threads,
)
from gbreg.engines.scores import TrainableLoss
from gbreg.estimators.base import BoostedRegressor
from gbreg.estimators.model import labelled
from gbreg.estimators.monotone import check_order
from gbreg.estimators.progress import progress
from gbreg.estimators.rows import Sample, asked_of
from gbreg.links import Interval
from gbreg.losses import NativeForm, get_loss
from gbreg.losses.base import Loss
from gbreg.losses.censoring import signed
from gbreg.losses.vector import VectorLoss
from gbreg.metrics import directed
from gbreg.metrics.base import quietly

if TYPE_CHECKING:
    from gbreg.distribution import Distribution


# Rows that one thread predicts sooner than cores are counted.
_FEW = 16


@dataclass(eq=False, repr=False)
class GBRegressor(BoostedRegressor):
    """Gradient boosting of any gbreg loss on LightGBM, XGBoost or CatBoost.

    Parameters
    ----------
    loss : str or Loss, default "squared_error"
        A name from `gbreg.losses.known_losses`, or an instance such as ``Huberpp(delta=0.3, link="log")``. Training
        uses a clone of it, `loss_`.
    engine : {"lightgbm", "xgboost", "catboost"}
    n_estimators : int
        Boosting rounds, at most.
    learning_rate : float > 0
    max_leaves : int
    max_depth : int or None
        None: unlimited (16 on CatBoost).
    min_child_samples : int
        Least rows of a leaf. LightGBM estimates rows from Hessians; XGBoost has no row minimum and reads this as
        Hessian mass, which is scaled to 1 a row at the start; CatBoost splits no leaf of fewer rows.
    subsample, colsample : float in (0, 1]
        Share of rows drawn each round, and of features each tree.
    reg_lambda : float >= 0
        L2 penalty on leaf values, against Hessians scaled to a mean of 1.
    max_bins : int
    early_stopping_rounds : int or None
        Stop after this many rounds without improvement on the first evaluation set, and keep the best round: none, if
        the loss's best constant was better than all. Without an `eval_set`, `validation_fraction` of the rows is held out.
    validation_fraction : float in (0, 1)
    eval_metric : "loss", str, callable (y_true, y_pred, sample_weight) -> float, or Metric
        What early stopping watches, on decoded predictions; "loss" is the loss being trained.
    hessian : {"safe", "exact", "expected"}
        The curvature; "safe" is the one under which no round raises the training loss.
    native : "auto" or bool
        Whether to use an engine's built-in form of the loss: where there is one that keeps what "safe" promises for these
        parameters and weights ("auto"; `gbreg.engines.native` says why), never (False), or always (True, an error where
        there is none).
    calibration : {"ratio", "isotonic", "spline", "pit"}, Calibrator, PITCalibrator or None
        A monotone map that makes the sum of predictions that of the labels, learnt after training from the first evaluation
        set or, without an `eval_set`, from `validation_fraction` of the rows, which then do not train. "pit" maps the
        predicted distributions, for losses that have one; everything is then read from those. See `gbreg.calibration`;
        `CalibratedRegressor` learns the map from all rows, at the price of more trainings.
    monotone : dict of {column: sign} or None
        Along which columns, by name or index, predictions only rise (1) or only fall (-1), everything else being equal:
        ``{"price": 1}``. Missing values have a place of their own. It holds for what `predict` gives by default; of
        distributions for the mean and the log mean, and where all of it moves one way (`OrdinalBuckets` without a spread,
        `SoftmaxBuckets` of rank 1, losses of one output) for quantiles too. Losses that need not keep to it are refused
        before training, and the fitted model is looked at: see `fit`. CatBoost then grows symmetric trees, whose size is
        `max_depth`.
    engine_params : dict or None
        Anything else the engine takes, by any of its names, for example ``{"extra_trees": True}`` or
        ``{"interaction_constraints": [["price", "age"], ["country"]]}``; overrides the above. Names that the engine does
        not know are refused, and so is what gbreg sets itself. Monotone constraints may be given here instead, in any form
        that an engine takes; then the fitted model is not looked at.
    random_state : int, RandomState or None
    n_jobs : int or None
        Threads of engine and kernel. None: ``OMP_NUM_THREADS`` if set, else every core.
    verbose : int
        1 shows a progress bar (needs ``pip install "gbreg[cli]"``).

    Attributes
    ----------
    booster_ : lightgbm.Booster, xgboost.Booster or catboost.CatBoost
        The engine's own model, to predict from and explain: give it `to_engine_matrix`, for it knows some columns by codes
        and ranks. Its raw prediction is complete: ``loss_.predict(raw)`` decodes it. The intercept is part of its
        first trees (on XGBoost, of its base score): training goes on from it with ``objective(loss_, ..., complete=True)``,
        and LightGBM's ``refit`` would lose it. Its names of features are yours, with ``_`` for all but letters and digits;
        importances, errors and files of gbreg speak yours. None where that label or the loss's best constant is predicted:
        if all labels are equal, or all rows, or no round did better on the rows that early stopping watches.
    loss_ : Loss
        The fitted loss.
    calibrator_ : Calibrator, PITCalibrator or None
        What is applied to the decoded predictions or, of the second kind, to the distributions.
    carried_ : tuple of str
        What `fit` was given of "offset" and "exposure", and `predict` needs; predictions of the booster do without it.
    columns_ : Columns
        Names and categories of the training columns, and values that the engine is given as ranks.
    native_ : bool
        Whether the engine's built-in form was used.
    best_iteration_ : int
        Rounds in the model.
    evals_result_ : dict of {set name: {metric name: list of float}}
        One value a round; the first metric is the loss itself, as a weighted mean.
    feature_importances_ : ndarray of shape (n_features,)
        Share of the total gain (on CatBoost, of prediction value change).
    n_features_in_, feature_names_in_

    Examples
    --------
    >>> import numpy as np
    >>> from gbreg import GBRegressor
    >>> from gbreg.losses import Huberpp
    >>> X = np.arange(200.0).reshape(-1, 1)
    >>> model = GBRegressor(Huberpp(delta=0.5, link="log"), n_estimators=50).fit(X, np.exp(X[:, 0] / 40))
    >>> bool(model.predict(X).min() > 0)
    True
    """

    _parameter_constraints = {**BoostedRegressor._parameter_constraints, "loss": [str, Loss]}

    loss: str | Loss = "squared_error"

    def set_params(self, **params: Any) -> Self:
        """As scikit-learn's, of a loss given by name too: ``loss__delta=0.3`` makes an instance of it."""
        loss = params.get("loss", self.loss)
        if isinstance(loss, str) and any(name.startswith("loss__") for name in params):
            params = {**params, "loss": get_loss(loss)}
        return super().set_params(**params)  # type: ignore[no-any-return]

    @property
    def family(self) -> str:
        return get_loss(self.loss).family

    @property
    def y_domain(self) -> Interval:
        return get_loss(self.loss).y_domain

    @property
    def booster_predicts(self) -> bool:
        return True

    @property
    def n_boosters(self) -> int:
        return 1

    def label(self) -> str:
        loss = get_loss(self.loss)
        return labelled(loss.name, loss, loss._get_param_names())

    def told(self) -> dict[str, Any]:
        return get_loss(self.loss).to_json()["parameters"]  # type: ignore[no-any-return]

    def searched_loss(self, y: Floats | None) -> tuple[str, Loss, Floats | None]:
        return "loss__", get_loss(self.loss), y

    def fitted_boosters(self) -> Iterator[Any]:
        yield self

    def _begin(self) -> None:
        get_loss(self.loss)
        self._metrics()

    def _metrics(self) -> list[Any]:
        names = "loss", get_loss(self.loss).name
        return [] if self.eval_metric in names else [directed(self.eval_metric)]

    def _learn(self, rows: Sample) -> None:
        self.check_labels(rows.y[rows.counting])
        self.columns_ = rows.table.learn(get_engine(self.engine), int(self.max_bins))

    def check_carried(self, names: Collection[str]) -> None:
        loss = get_loss(self.loss)
        if "censored" in names:
            self._check_censored(loss)
        for name in asked_of(names) if isinstance(loss, VectorLoss) else ():
            raise ValueError(f"{name}: {loss!r} has several outputs: use a loss of one, such as 'poisson' or 'tweedie'")
        if "exposure" in names and not loss.link_.log_rate:
            raise ValueError(
                f"exposure multiplies a rate, which link={loss.link_.name!r} of {loss!r} has no place for: use a loss on "
                "link='log', 'cloglog' for whether anything happens, or offset=, which is added to raw scores"
            )

    def _check_censored(self, loss: Loss) -> None:
        if not isinstance(loss, VectorLoss):
            super().check_carried(["censored"])
        loss.check_censored()
        if self._metrics():
            raise ValueError(
                f"censored: eval_metric={self.eval_metric!r} would take the labels of censored rows for whole: use 'loss', "
                "which does not"
            )

    def check_labels(self, y: Floats) -> None:
        loss = get_loss(self.loss)
        loss.check_parameters()
        loss.check_labels(y)

    def _train(self, rows: Sample, watched: list[Sample], callbacks: Sequence[Any] | None) -> None:
        rows = rows.take(rows.counting)
        hidden = any(part.censored is not None and part.censored.any() for part in (rows, *watched))
        train = self._coded(rows, hidden)
        loss: TrainableLoss = clone(get_loss(self.loss))
        brought: dict[str, Any] = {"censored": rows.censored if hidden else None, "offset": train.X.offset}
        # A user's own loss need not take what no row brings.
        loss.fit(rows.y, rows.weight, **{name: values for name, values in brought.items() if values is not None})
        if self.constraints():
            check_order(loss, self._new_calibrator())
        self.loss_ = loss
        form = self._native_form(loss, train.weight)
        self.native_ = form is not None
        self.booster_ = None
        self.evals_result_: dict[str, dict[str, list[float]]] = {}
        self.best_iteration_ = 0
        if loss.constant_ is None:
            with self._progress() as shown:
                on_round, of_engine = _listeners(callbacks or (), shown)
                sets = [self._coded(held, hidden) for held in watched]
                with quietly():  # the best constant, the first candidate, puts nothing in order
                    monitor = Monitor(loss, sets, self._metrics(), self.early_stopping_rounds, on_round)
                self._boost(train, monitor, form, of_engine)

    def _coded(self, rows: Sample, hidden: bool) -> Rows:
        """As the engine takes them: where some labels are censored, with the sign of those turned."""
        y = signed(rows.y, rows.censored) if hidden else rows.y
        return Rows(self._matrix(rows.table), y, rows.weight)

    def _matrix(self, X: Any) -> Features:
        """Features, and what they carry as one offset: an exposure is one of its logarithm."""
        features = self.columns_.matrix(X)
        if not self.carried_:
            return features
        parts = [np.log(X.carried[name]) if name == "exposure" else X.carried[name] for name in self.carried_]
        return replace(features, offset=np.sum(parts, axis=0))

    def check_distributional(self) -> None:
        _distributional(get_loss(self.loss))

    def _boost(self, rows: Rows, monitor: Monitor, form: NativeForm | None, callbacks: Sequence[Any]) -> None:
        if rows.X.vary():
            engine = get_engine(self.engine)
            parameters = engine.settled(self._tree_parameters())
            trained = engine.train(Task(rows, self.loss_, parameters, monitor, form, callbacks))
            self.loss_, self.booster_ = trained.loss, trained.booster
            self.best_iteration_, self.evals_result_ = trained.rounds, trained.history
            if trained.booster is None:
                warnings.warn(
                    f"{self.loss_!r}: a constant is predicted, for none of {trained.done} rounds did better on the rows "
                    "that early stopping watches: watch more rows, more early_stopping_rounds, or better features",
                    stacklevel=4,
                )
        if self.loss_.decodes_with_residuals:
            weight = np.ones(rows.y.size) if rows.weight is None else rows.weight
            self.loss_.fit_decoder(rows.y, self._raw(rows.X), weight)

    def _native_form(self, loss: TrainableLoss, weight: Floats | None) -> NativeForm | None:
        if self.native is False or loss.constant_ is not None:
            return None
        engine, form = get_engine(self.engine), loss.native_form()
        if form is None or engine.native_parameters(form) is None:
            if self.native is True:
                raise ValueError(f"native=True: {self.engine} has no built-in form of {loss!r}: use native='auto'")
            return None
        if self.constraints() and not engine.keeps_constraints(form):
            if self.native is True:
                raise ValueError(
                    f"native=True: {self.engine}'s built-in form of {loss!r} does not keep to monotone constraints: use "
                    "native='auto'"
                )
            return None
        if self.hessian != "safe":
            if self.native is True:
                raise ValueError(
                    f"native=True trains with {self.engine}'s own curvature: hessian={self.hessian!r} needs native=False"
                )
            return None
        own = {"learning_rate": self.learning_rate, **engine.own(self.engine_params)}
        return form if self.native is True or engine.admits(form, own, weight) else None

    def _tree_parameters(self) -> TreeParameters:
        seed = self.random_state
        if seed is not None and not isinstance(seed, Integral):
            seed = check_random_state(seed).randint(np.iinfo(np.int32).max)
        given = {field.name: getattr(self, field.name) for field in fields(Trees)}
        # Not every engine takes numpy's numbers.
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
        settled = {
            "random_state": None if seed is None else int(seed),
            "n_threads": training_threads(self.n_jobs),
            "engine_params": self.engine_params or {},
        }
        return TreeParameters(**plain | settled)

    def _progress(self) -> AbstractContextManager[Any]:
        return progress(int(self.n_estimators), self.loss_.name) if self.verbose else nullcontext()

    def _features(self, X: Any) -> Features:
        check_fitted(self, "loss_")
        if getattr(X, "ndim", 2) != 2:
            check_array(X)  # its error says how to reshape
        check_columns(self, X, reset=False)
        return self._matrix(X)

    def _raw(self, features: Features) -> Floats:
        shape = scores_shape(self.loss_, features.n_rows)
        if self.booster_ is None:
            return features.from_start(np.resize(self.loss_.intercept_, shape))
        n_threads = 1 if features.n_rows <= _FEW else thread_count(self.n_jobs)
        raw = get_engine(self.engine).predict_raw(self.booster_, features, n_threads).reshape(shape)
        return features.from_start(raw)

    def predict_raw(self, X: Any, *, offset: ArrayLike | None = None, exposure: ArrayLike | None = None) -> Floats:
        """Complete raw scores: the booster's own, intercept included, and the offset where `fit` was given one.

        Shape (n_samples,), or (n_samples, n_outputs) for losses of several outputs.
        """
        return self._raw(self._features(self._carrying(X, offset, exposure)))

    def to_engine_matrix(self, X: Any) -> Any:
        """X as the engine's own ``predict`` and explanations take it: categories as codes, some columns as ranks.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)

        Returns
        -------
        ndarray or scipy.sparse CSR, xgboost.DMatrix, or catboost.Pool
            ``booster_.predict(matrix, raw_score=True)`` on LightGBM, ``output_margin=True`` on XGBoost and
            ``prediction_type="RawFormulaVal"`` on CatBoost are what `predict_raw` gives; SHAP values are
            ``booster_.predict(matrix, pred_contrib=True)``, ``pred_contribs=True`` and
            ``booster_.get_feature_importance(matrix, type="ShapValues")``, with the columns of X. CatBoost's add up to the
            raw prediction for trees grown by ``engine_params={"grow_policy": "SymmetricTree"}`` alone.
        """
        check_fitted(self, "loss_")
        check_columns(self, X, reset=False)
        return get_engine(self.engine).own_matrix(self.columns_.matrix(X))

    def _decoded(self, X: Any) -> Floats:
        """What the loss predicts, before calibration."""
        raw = self.predict_raw(X)
        if self.loss_.constant_ is not None:
            return np.full(raw.shape[0], self.loss_.constant_)
        return self.loss_.predict(raw)

    def _distribution(self, X: Any) -> Distribution:
        """What the loss says, before calibration."""
        raw = self.predict_raw(X)
        return _distributional(self.loss_).distribution(raw)

    @property
    def feature_importances_(self) -> Floats:
        check_fitted(self, "loss_")
        if self.booster_ is None:
            return np.zeros(self.n_features_in_)
        return get_engine(self.engine).feature_importances(self.booster_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        with suppress(ValueError, TypeError):  # an unknown loss is reported by fit
            tags.target_tags.positive_only = self.y_domain.low >= 0
        return tags


def _distributional(loss: Loss) -> VectorLoss:
    if not isinstance(loss, VectorLoss):
        raise TypeError(
            f"loss {loss!r} predicts its functional ({loss.functional}) and no distribution: use a distributional loss, "
            "such as 'log_normal' or 'ziln'"
        )
    return loss


def _listeners(callbacks: Sequence[Any], shown: OnRound | None) -> tuple[OnRound | None, list[Any]]:
    """What the monitor calls after a round, the progress bar included, and the callbacks left to the engine."""
    heard = [c.function for c in callbacks if isinstance(c, EachRound)] + ([] if shown is None else [shown])

    def each(done: int, latest: float | None) -> bool:
        asked = [function(done, latest) for function in heard]  # all of them hear of every round
        return any(asked)

    return each if heard else None, [c for c in callbacks if not isinstance(c, EachRound)]
