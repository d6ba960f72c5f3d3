"""GBRegressor: any loss on any engine, as a scikit-learn estimator."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from numbers import Integral
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.model_selection import GroupShuffleSplit
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_array, check_is_fitted, column_or_1d

from gbreg._checks import Floats, check_sample_weight, refuse_times
from gbreg.calibration import AnyCalibrator, PITCalibrator
from gbreg.engines import (
    EachRound,
    Features,
    Monitor,
    OnRound,
    Rows,
    Task,
    TreeParameters,
    get_engine,
    scores_shape,
    thread_count,
    training_threads,
)
from gbreg.engines.scores import TrainableLoss
from gbreg.estimators.base import BoostedRegressor
from gbreg.estimators.columns import Columns, check_columns
from gbreg.estimators.progress import progress
from gbreg.estimators.readout import Functional, read
from gbreg.losses import NativeForm, get_loss
from gbreg.losses.base import Loss
from gbreg.losses.vector import VectorLoss
from gbreg.metrics import directed
from gbreg.metrics.base import quietly

if TYPE_CHECKING:
    from gbreg.distribution import Distribution

_HUGE = float(np.finfo(np.float32).max)


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
    engine_params : dict or None
        Anything else the engine takes, by any of its names, for example ``{"monotone_constraints": [1, 0, -1]}`` or
        ``{"monotone_constraints": {"price": -1}}``; overrides the above. Names that the engine does not know are refused,
        and so is what gbreg sets itself. Monotone constraints hold for predictions: of `LogNormal` and `ZILN`, for the
        mean; losses whose mean they would not hold for are refused.
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

    loss_: TrainableLoss

    def __init__(
        self,
        loss: str | Loss = "squared_error",
        *,
        engine: str = "lightgbm",
        n_estimators: int = 100,
        learning_rate: float = 0.1,
        max_leaves: int = 31,
        max_depth: int | None = None,
        min_child_samples: int = 20,
        subsample: float = 1.0,
        colsample: float = 1.0,
        reg_lambda: float = 0.0,
        max_bins: int = 255,
        early_stopping_rounds: int | None = None,
        validation_fraction: float = 0.1,
        eval_metric: Any = "loss",
        hessian: str = "safe",
        native: str | bool = "auto",
        calibration: str | AnyCalibrator | None = None,
        engine_params: dict[str, Any] | None = None,
        random_state: Any = None,
        n_jobs: int | None = None,
        verbose: int = 0,
    ):
        super().__init__(
            engine=engine,
            n_estimators=n_estimators,
            learning_rate=learning_rate,
            max_leaves=max_leaves,
            max_depth=max_depth,
            min_child_samples=min_child_samples,
            subsample=subsample,
            colsample=colsample,
            reg_lambda=reg_lambda,
            max_bins=max_bins,
            early_stopping_rounds=early_stopping_rounds,
            validation_fraction=validation_fraction,
            eval_metric=eval_metric,
            hessian=hessian,
            native=native,
            calibration=calibration,
            engine_params=engine_params,
            random_state=random_state,
            n_jobs=n_jobs,
            verbose=verbose,
        )
        self.loss = loss

    def set_params(self, **params: Any) -> Self:
        """As scikit-learn's, of a loss given by name too: ``loss__delta=0.3`` makes an instance of it."""
        loss = params.get("loss", self.loss)
        if isinstance(loss, str) and any(name.startswith("loss__") for name in params):
            params = {**params, "loss": get_loss(loss)}
        return super().set_params(**params)  # type: ignore[no-any-return]

    def fit(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        eval_set: Any = None,
        eval_sample_weight: Any = None,
        groups: ArrayLike | None = None,
        callbacks: Sequence[Any] | None = None,
    ) -> Self:
        """Fit the loss to the labels, then the trees to the loss.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
            numpy, pandas, polars, pyarrow or scipy.sparse; NaN is missing; categorical columns keep their categories. What a
            sparse matrix leaves out is 0 on every engine. XGBoost trains on it dense, a byte a cell with up to 256 bins: for
            wide one-hot columns LightGBM is the engine.
        y : array-like of shape (n_samples,)
            In the unit of the target, inside the loss's domain.
        sample_weight : array-like of shape (n_samples,), optional
        eval_set : (X, y) or list of them, optional
        eval_sample_weight : array or list of arrays, optional
        groups : array-like of shape (n_samples,), optional
            What must not be torn apart where rows are held out, such as customers: rows of one group share their future.
        callbacks : list, optional
            The engine's own callbacks, and `gbreg.engines.EachRound`, which every engine takes.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Before training, for parameters, labels or weights that are not allowed.
        TypeError
            Before training, for calibration "pit" and a loss that has no distribution.
        FloatingPointError
            If training diverges.
        """
        self._validate_params()
        engine = get_engine(self.engine)
        engine.package()
        engine.own(self.engine_params)  # its errors come before all work
        loss: TrainableLoss = clone(get_loss(self.loss))
        calibrator = self._new_calibrator()
        metrics = [] if self.eval_metric in ("loss", loss.name) else [directed(self.eval_metric)]
        columns = Columns.of(X)
        check_columns(self, X, reset=True)
        self.columns_, features = columns.fit_matrix(X, engine, int(self.max_bins))
        rows = self._rows(features, y, sample_weight)
        groups = check_groups(groups, rows.y.size)
        rows, groups = _counting(rows, groups)
        sets = self._eval_sets(eval_set, eval_sample_weight, loss)
        unseen = sets[:1]
        stops = self.early_stopping_rounds is not None and np.ptp(rows.y) > 0  # one label is predicted, in no round
        if not sets and (stops or calibrator is not None):
            rows, unseen = self._hold_out(rows, groups)
            sets = unseen if stops else []
        loss.fit(rows.y, rows.weight)
        if engine.monotone(self.engine_params):
            check_order(loss, calibrator)
        self.loss_ = loss
        form = self._native_form(loss, rows.weight)
        self.native_ = form is not None
        self.booster_ = None
        self.evals_result_: dict[str, dict[str, list[float]]] = {}
        self.best_iteration_ = 0
        if loss.constant_ is None:
            with self._progress() as shown:
                on_round, of_engine = _listeners(callbacks or (), shown)
                with quietly():  # the best constant, the first candidate, puts nothing in order
                    monitor = Monitor(loss, sets, metrics, self.early_stopping_rounds, on_round)
                self._train(rows, monitor, form, of_engine)
        self.calibrator_ = None
        if calibrator is not None:
            held = unseen[0]
            if isinstance(calibrator, PITCalibrator):
                self.calibrator_ = calibrator.fit(self._distribution(held.X), held.y, held.weight)
            else:
                self.calibrator_ = calibrator.fit(self._decoded(held.X), held.y, held.weight)
        return self

    def _check_distributional(self) -> None:
        _distributional(get_loss(self.loss))

    def _train(self, rows: Rows, monitor: Monitor, form: NativeForm | None, callbacks: Sequence[Any]) -> None:
        if rows.X.vary():
            engine = get_engine(self.engine)
            parameters = engine.settled(self._tree_parameters())
            booster = engine.train(Task(rows, self.loss_, parameters, monitor, form, callbacks))
            self.evals_result_ = monitor.history
            if monitor.keep == 0:
                warnings.warn(
                    f"{self.loss_!r}: a constant is predicted, for none of {monitor.rounds} rounds did better on the rows "
                    "that early stopping watches: watch more rows, more early_stopping_rounds, or better features",
                    stacklevel=3,
                )
            else:
                self.booster_ = booster
                self.best_iteration_ = get_engine(self.engine).rounds(booster)
            self.loss_.settle(self.best_iteration_)
        if self.loss_.decodes_with_residuals:
            weight = np.ones(rows.y.size) if rows.weight is None else rows.weight
            self.loss_.fit_decoder(rows.y, self._raw(rows.X), weight)

    def _rows(self, features: Features, y: ArrayLike, sample_weight: ArrayLike | None) -> Rows:
        labels = as_labels(self, y)
        if labels.size != features.n_rows:
            raise ValueError(f"X has {features.n_rows:,} rows and y has {labels.size:,}: they must have the same number")
        weight = None if sample_weight is None else check_sample_weight(sample_weight, labels.size)
        return Rows(features, labels, weight)

    def _eval_sets(self, eval_set: Any, eval_sample_weight: Any, loss: Loss) -> list[Rows]:
        sets = []
        for i, (pair, weight) in enumerate(as_pairs(eval_set, eval_sample_weight)):
            check_columns(self, pair[0], reset=False)
            try:
                rows = self._rows(self.columns_.matrix(pair[0]), pair[1], weight)
                loss.check_labels(rows.y)
            except ValueError as error:
                raise ValueError(f"eval_set[{i}]: {error}") from error
            sets.append(rows)
        return sets

    def _hold_out(self, rows: Rows, groups: Any) -> tuple[Rows, list[Rows]]:
        inside, outside = hold_out(rows.y.size, self.validation_fraction, self.random_state, groups)
        return _take(rows, inside), [_take(rows, outside)]

    def _native_form(self, loss: TrainableLoss, weight: Floats | None) -> NativeForm | None:
        if self.native is False or loss.constant_ is not None:
            return None
        engine, form = get_engine(self.engine), loss.native_form()
        if form is None or engine.native_parameters(form) is None:
            if self.native is True:
                raise ValueError(f"native=True: {self.engine} has no built-in form of {loss!r}: use native='auto'")
            return None
        if engine.monotone(self.engine_params) and not engine.keeps_constraints(form):
            if self.native is True:
                raise ValueError(
                    f"native=True: {self.engine}'s built-in form of {loss!r} does not keep to monotone_constraints: use "
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
        return TreeParameters(
            n_estimators=int(self.n_estimators),
            learning_rate=float(self.learning_rate),
            max_leaves=int(self.max_leaves),
            max_depth=self.max_depth,
            min_child_samples=int(self.min_child_samples),
            subsample=float(self.subsample),
            colsample=float(self.colsample),
            reg_lambda=float(self.reg_lambda),
            max_bins=int(self.max_bins),
            hessian=self.hessian,
            random_state=None if seed is None else int(seed),
            n_threads=training_threads(self.n_jobs),
            engine_params=self.engine_params or {},
        )

    def _progress(self) -> AbstractContextManager[Any]:
        return progress(int(self.n_estimators), self.loss_.name) if self.verbose else nullcontext()

    def _features(self, X: Any) -> Features:
        check_is_fitted(self, "loss_")
        if getattr(X, "ndim", 2) != 2:
            check_array(X)  # its error says how to reshape
        check_columns(self, X, reset=False)
        return self.columns_.matrix(X)

    def _raw(self, features: Features) -> Floats:
        shape = scores_shape(self.loss_, features.n_rows)
        if self.booster_ is None:
            return np.resize(self.loss_.intercept_, shape)
        return get_engine(self.engine).predict_raw(self.booster_, features, thread_count(self.n_jobs)).reshape(shape)

    def predict_raw(self, X: Any) -> Floats:
        """Complete raw scores: the booster's own, intercept included.

        Shape (n_samples,), or (n_samples, n_outputs) for losses of several outputs.
        """
        return self._raw(self._features(X))

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
        return get_engine(self.engine).own_matrix(self._features(X))

    def predict(self, X: Any, functional: Functional = None) -> Floats:
        """Predictions of shape (n_samples,), in the unit of the target.

        Parameters
        ----------
        X : table or array of shape (n_samples, n_features)
        functional : {"mean", "median", "mode", "log_mean"}, float or None
            What to read from the predicted distribution, for losses that have one; a float in (0, 1) is a quantile.
            None gives the loss's own functional, calibrated if `calibration` is set; nothing else is, but for "pit", with
            which all is read from the calibrated distribution, and None is its mean.
        """
        check_is_fitted(self, "calibrator_")
        functional = self._to_read(functional)
        if functional is not None:
            return read(self.predict_distribution(X), functional)
        return self._calibrated(self._decoded(self._features(X)))

    def _decoded(self, features: Features) -> Floats:
        """What the loss predicts, before calibration."""
        raw = self._raw(features)
        if self.loss_.constant_ is not None:
            return np.full(raw.shape[0], self.loss_.constant_)
        return self.loss_.predict(raw)

    def predict_distribution(self, X: Any) -> Distribution:
        """The distribution of every row's label, for losses that have one (`TypeError` for others).

        Recalibrated if `calibration` is "pit", else as the loss has it.
        """
        return self._recalibrated(self._distribution(self._features(X)))

    def _distribution(self, features: Features) -> Distribution:
        """What the loss says, before calibration."""
        return _distributional(self.loss_).distribution(self._raw(features))

    def predict_quantile(self, X: Any, q: float | ArrayLike) -> Floats:
        """The quantile q of every row's label: (n_samples,), or (n_samples, len(q)) for a list of them."""
        return self.predict_distribution(X).quantile(q)

    @property
    def feature_importances_(self) -> Floats:
        check_is_fitted(self, "loss_")
        if self.booster_ is None:
            return np.zeros(self.n_features_in_)
        return get_engine(self.engine).feature_importances(self.booster_)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.sparse = True
        try:
            domain = get_loss(self.loss).y_domain
            tags.target_tags.positive_only = domain.low >= 0
        except (ValueError, TypeError):
            pass  # an unknown loss is reported by fit
        return tags


def check_order(loss: Loss, calibrator: AnyCalibrator | None) -> None:
    """`ValueError` for monotone constraints, which bind each raw score, where predictions need not keep to them."""
    if loss.ordered is None:
        raise ValueError(
            f"engine_params: monotone_constraints bind every raw score, and where all of them rise, what {loss!r} predicts "
            "can fall: use SoftmaxBuckets(rank=1), OrdinalBuckets() without a spread, or a loss of one output"
        )
    if loss.ordered == "mean" and isinstance(calibrator, PITCalibrator):
        raise ValueError(
            f"engine_params: monotone_constraints hold for the mean of {loss!r}, not for its quantiles, which "
            f"{calibrator!r} maps: use 'isotonic', or OrdinalBuckets()"
        )


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


def check_groups(groups: Any, n: int) -> Any:
    """Groups as an array of shape (n,), None where None is given; `ValueError` for another length or missing groups."""
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.shape != (n,):
        raise ValueError(f"groups must be one-dimensional with one entry a row, {n:,}, got shape {groups.shape}")
    missing = groups != groups if groups.dtype.kind in "fcmM" else np.asarray([g is None or g != g for g in groups.ravel()])
    if missing.any():
        raise ValueError(f"groups: {missing.sum():,} of {n:,} are missing: give rows that belong to none a group each")
    return groups


def hold_out(n: int, fraction: float, random_state: Any, groups: Any = None) -> tuple[Any, Any]:
    """Which of n rows train, and which random share is held out: two increasing arrays of indices.

    With groups the share is one of groups, each of which lies on one side.
    """
    if groups is not None:
        if np.unique(groups).size < 2:
            raise ValueError(f"groups: all {n:,} rows are of one group, none can be held out: pass eval_set=")
        split = GroupShuffleSplit(1, test_size=fraction, random_state=random_state)
        return tuple(np.sort(part) for part in next(split.split(np.empty((n, 0)), groups=groups)))  # type: ignore[return-value]
    held = int(np.ceil(fraction * n))
    if held >= n:
        raise ValueError(
            f"validation_fraction={fraction} with n_samples={n} leaves no row for training: pass eval_set=, or set "
            "early_stopping_rounds=None and calibration=None"
        )
    order = check_random_state(random_state).permutation(n)
    return np.sort(order[held:]), np.sort(order[:held])


def as_pairs(eval_set: Any, eval_sample_weight: Any) -> list[tuple[Any, Any]]:
    """``eval_set`` as a list of ((X, y), weight); `ValueError` where it is neither a pair nor a list of pairs."""
    if eval_set is None:
        return []
    pairs = eval_set if isinstance(eval_set, list) else [eval_set]
    weights = eval_sample_weight if isinstance(eval_sample_weight, list) else [eval_sample_weight] * len(pairs)
    if len(weights) != len(pairs):
        raise ValueError(f"eval_sample_weight lists {len(weights)} arrays for {len(pairs)} evaluation sets")
    for i, pair in enumerate(pairs):
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise ValueError(f"eval_set[{i}] must be a pair (X, y), got {type(pair).__name__}")
    return list(zip(pairs, weights, strict=True))


def as_labels(estimator: Any, y: ArrayLike | None) -> Floats:
    """Labels as float64 of shape (n_samples,); `ValueError` for what is missing, NaN, infinite or no number."""
    if y is None:
        raise ValueError(f"{type(estimator).__name__} requires y to be passed, but the target y is None")
    given = column_or_1d(y, warn=True)
    refuse_times(given, "y")
    try:
        labels: Floats = given.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y must be numbers, got {given.dtype} values such as {given[0]!r}") from error
    if np.isnan(labels).any():
        wrong = np.flatnonzero(np.isnan(labels))
        raise ValueError(
            f"Input y contains NaN: {wrong.size:,} of {labels.size:,} labels (first at row {wrong[0]}): drop them"
        )
    if not (np.abs(labels) <= _HUGE).all():
        wrong = np.flatnonzero(~(np.abs(labels) <= _HUGE))
        raise ValueError(
            f"Input y contains infinity or a value too large for dtype('float32'), in which engines keep labels: "
            f"{wrong.size:,} of {labels.size:,} (first at row {wrong[0]}): drop or rescale them"
        )
    return labels


def _counting(rows: Rows, groups: Any) -> tuple[Rows, Any]:
    """The rows of positive weight: engines would find bins and count leaves by the others too."""
    if rows.weight is None or rows.weight.all():
        return rows, groups
    used = np.flatnonzero(rows.weight)
    return _take(rows, used), None if groups is None else groups[used]


def _take(rows: Rows, index: Any) -> Rows:
    X = replace(rows.X, values=rows.X.values[index])
    return Rows(X, rows.y[index], None if rows.weight is None else rows.weight[index])
