"""What gbreg relies on in LightGBM, XGBoost and CatBoost, pinned on the engines themselves, and what it makes of it."""

from __future__ import annotations

import json
import math
import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from scipy.special import expit
from sklearn.base import clone
from sklearn.metrics import mean_pinball_loss

from gbreg import GBRegressor
from gbreg.engines import ENGINES, Features, Monitor, Objective, Rows, Task, TreeParameters, get_engine, thread_count
from gbreg.engines.callables.catboost import RowObjective
from gbreg.engines.callables.lightgbm import NativeObjective as LightGBMObjective
from gbreg.engines.callables.xgboost import NativeObjective as XGBoostObjective
from gbreg.engines.lightgbm import add_to_first_round
from gbreg.losses import (
    ZILN,
    Expectile,
    Gamma,
    Huber,
    Huberpp,
    LogNormal,
    NativeForm,
    OrdinalBuckets,
    Poisson,
    Quantile,
    SoftmaxBuckets,
    SquaredError,
    TransformedSquaredError,
    Tweedie,
)

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
catboost = pytest.importorskip("catboost")

every_engine = pytest.mark.parametrize("engine", ENGINES)
VECTOR = {"multi_strategy": "multi_output_tree"}  # XGBoost's
QUIET = {"verbosity": -1, "num_threads": 1, "metric": "None"}


def spend(n: int = 800, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    return X, np.exp(0.7 * X[:, 0] + 0.3 * X[:, 1] ** 2 + 0.6 * rng.normal(size=n))


def small(loss: Any = "squared_error", engine: str = "lightgbm", **more: Any) -> GBRegressor:
    return GBRegressor(loss, engine=engine, **{"n_estimators": 12, "max_leaves": 8, "n_jobs": 1, **more})


def leaves(model: GBRegressor, X: Any) -> Any:
    """Which rows share a leaf, tree by tree: equal for equal splits, in whatever order they were made."""
    if model.engine == "lightgbm":
        of_rows = model.booster_.predict(X, pred_leaf=True)
    elif model.engine == "xgboost":
        of_rows = model.booster_.predict(xgb.DMatrix(X), pred_leaf=True)
    else:
        of_rows = model.booster_.calc_leaf_indexes(X)
    found = [np.unique(tree, return_index=True, return_inverse=True) for tree in of_rows.T]
    return np.array([first[inverse] for _, first, inverse in found])  # a leaf is named by its first row


# -- promise 4: natively, and through the kernel with the engine's own curvature ---------------------------------------


class UnitHuber(Huber):
    """Huber with the curvature that LightGBM's own has, 1 everywhere."""

    @staticmethod
    def row_derivatives(y: float, mu: float, delta_: float) -> tuple[float, float]:
        r = mu - y
        return min(max(r, -delta_), delta_), 1.0

    def native_form(self) -> NativeForm | None:
        return None


class InflatedPoisson(Poisson):
    """Poisson with the curvature that LightGBM's own has, exp(0.7) times the true one (``poisson_max_delta_step``)."""

    @staticmethod
    def row_derivatives(y: float, eta: float) -> tuple[float, float]:
        mu = math.exp(eta)
        return mu - y, mu * math.exp(0.7)

    def native_form(self) -> None:  # type: ignore[override]
        return None


SAME = [
    ("lightgbm", SquaredError(), SquaredError(), {}),
    ("xgboost", SquaredError(), SquaredError(), {}),
    ("catboost", SquaredError(), SquaredError(), {}),
    ("lightgbm", Huber(delta=0.5), UnitHuber(delta=0.5), {}),
    ("lightgbm", Poisson(), InflatedPoisson(), {}),
    ("catboost", Poisson(), Poisson(), {"leaf_estimation_method": "Newton"}),
    ("lightgbm", Gamma(), Gamma(), {}),
    ("xgboost", Gamma(), Gamma(), {}),
    ("lightgbm", Tweedie(power=1.3), Tweedie(power=1.3), {}),
    ("xgboost", Tweedie(power=1.3), Tweedie(power=1.3), {}),
    ("catboost", Tweedie(power=1.3), Tweedie(power=1.3), {"leaf_estimation_method": "Newton"}),
    ("catboost", Expectile(level=0.8), Expectile(level=0.8), {"leaf_estimation_method": "Newton"}),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("engine", "native", "kernel", "engine_params"), SAME, ids=[f"{c[0]}-{c[1]!r}" for c in SAME])
def test_the_kernel_gives_the_native_model(
    engine: str, native: Any, kernel: Any, engine_params: Any, weighted: bool
) -> None:
    X, y = spend()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, y.size) if weighted else None
    more = {"max_bins": 1000}  # one a row, for XGBoost's bins follow the weights
    theirs = small(native, engine, native=True, engine_params=engine_params, **more).fit(X, y, weight)
    ours = small(kernel, engine, native=False, hessian="exact", **more).fit(X, y, weight)
    assert theirs.native_
    assert not ours.native_
    assert np.array_equal(leaves(ours, X), leaves(theirs, X))
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=2e-6)
    assert np.ptp(ours.predict(X)) > 0.3


def test_huber_of_lightgbm_calls_its_delta_alpha() -> None:
    X, y = spend()
    loss = Huber(delta=0.5, delta_unit="absolute")
    ours = small(loss, native=True).fit(X, y)
    params = {"objective": "huber", "alpha": 0.5, "num_leaves": 8, "boost_from_average": False, **QUIET}
    start = np.full(y.size, ours.loss_.intercept_[0])
    theirs = lgb.train(params, lgb.Dataset(X, y, init_score=start), 12).predict(X) + ours.loss_.intercept_[0]
    np.testing.assert_allclose(ours.predict(X), theirs, rtol=1e-5)


# -- curvature and gradients that engines do not check -----------------------------------------------------------------


def constant_curvature(size: float) -> Any:
    """Squared error with another Hessian, as LightGBM and XGBoost call it."""

    def objective(preds: Any, data: Any) -> tuple[Any, Any]:
        return preds - data.get_label(), np.full(preds.shape, size)

    return objective


@pytest.mark.parametrize("size", [0.0, 1e-20, -1.0, np.nan])
def test_lightgbm_takes_any_curvature_and_predicts_a_constant_without_a_word(size: float) -> None:
    X, y = spend()
    booster = lgb.train({**QUIET, "objective": constant_curvature(size)}, lgb.Dataset(X, y), 5)
    assert np.ptp(booster.predict(X)) == 0


@pytest.mark.parametrize("size", [0.0, 1e-6, -1.0])
def test_xgboost_takes_any_curvature_and_predicts_a_constant_without_a_word(size: float) -> None:
    X, y = spend()
    data = xgb.DMatrix(X, y)
    booster = xgb.train({"nthread": 1, "base_score": 0}, data, 5, obj=constant_curvature(size))
    assert np.ptp(booster.predict(data)) == 0
    assert np.isnan(xgb.train({"nthread": 1}, data, 1, obj=constant_curvature(np.nan)).predict(data)).any()


NO_MINIMUM: dict[str, Any] = {"xgboost": {"min_child_weight": 0}}


@every_engine
def test_capped_rows_without_curvature_train_all_the_same(engine: str) -> None:
    """All rows start beyond delta, where the second derivative is 0."""
    X = np.repeat([[0.0], [1.0]], 100, axis=0)
    y = np.repeat([1.0, 1000.0], 100)
    loss = Huber(delta=0.1, delta_unit="absolute")
    model = small(loss, engine, native=False, max_leaves=2, n_estimators=5).fit(X, y)
    low, high = model.predict([[0.0], [1.0]])
    # Five steps, each a tenth of what is left.
    assert low == pytest.approx(1.0 + 499.5 * 0.9**5, rel=1e-3)
    assert high == pytest.approx(1000.0 - 499.5 * 0.9**5, rel=1e-3)
    # Floored at next to nothing, as the exact second derivative has to be, one step goes far past the labels.
    steep = small(
        loss, engine, native=False, hessian="exact", max_leaves=2, n_estimators=1, engine_params=NO_MINIMUM.get(engine)
    )
    assert np.abs(steep.fit(X, y).predict(X)).max() > 5000


def test_one_nan_gradient_makes_lightgbm_predict_zeros() -> None:
    X, y = spend()

    def objective(preds: Any, data: Any) -> tuple[Any, Any]:
        gradient = preds - data.get_label()
        gradient[3] = np.nan
        return gradient, np.ones(preds.size)

    booster = lgb.train({**QUIET, "objective": objective}, lgb.Dataset(X, y), 5)
    assert (booster.predict(X) == 0).all()


@pytest.mark.parametrize(
    ("engine", "loss"), [*((engine, Poisson()) for engine in ENGINES), ("lightgbm", LogNormal()), ("xgboost", LogNormal())]
)
def test_divergence_is_an_error_that_names_loss_round_and_row(engine: str, loss: Any) -> None:
    X, y = spend()
    hessian = "exact" if loss.n_outputs == 1 else "safe"
    model = small(loss, engine, native=False, hessian=hessian, learning_rate=1e30, n_estimators=30)
    named = r"(block )?row \d+ \(y=[0-9.e+-]+, raw score .*\): lower learning_rate"
    message = (
        rf"{loss.__class__.__name__}\(\): gradient or Hessian of [\d,]+ rows is not finite in round \d+, first at {named}"
    )
    with pytest.raises(FloatingPointError, match=message):
        model.fit(X, y)


def test_divergence_of_several_outputs_on_catboost() -> None:
    """It stops growing trees before such scores are reached, so that they are given by hand."""
    objective = RowObjective(Objective(LogNormal().fit([1.0, 2.0])))
    first, second = objective.calc_ders_multi([1e200, 0.0], [1.0], 1.0)
    assert (first == 0).all()
    assert (second == 0).all()
    assert isinstance(objective.error, FloatingPointError)
    assert "LogNormal(): gradient or Hessian of 1 rows is not finite in round 0" in str(objective.error)


# -- what engines hand over, and take ----------------------------------------------------------------------------------


class Spy:
    """Records what an engine hands to an objective and takes from it."""

    def __init__(self, objective: Any):
        self.objective = objective
        self.preds: list[Any] = []
        self.returned: list[Any] = []
        self.label: Any = None

    def __deepcopy__(self, memo: Any) -> Spy:
        return self  # LightGBM copies its parameters

    def __call__(self, preds: Any, data: Any) -> Any:
        self.preds.append(preds.copy(order="K"))  # LightGBM writes the next round's into the same place
        self.label = data.get_label()
        self.returned.append(self.objective(preds, data))
        return self.returned[-1]


@pytest.mark.parametrize("loss", [Huberpp(), ZILN()], ids=repr)
def test_lightgbm_double_scores_single_labels_columns_of_outputs(loss: Any) -> None:
    X, y = spend()
    spy = Spy(LightGBMObjective(Objective(loss.fit(y))))
    lgb.train({**QUIET, "objective": spy, "num_class": loss.n_outputs}, lgb.Dataset(X, y), 2)
    preds, (gradient, hess) = spy.preds[-1], spy.returned[-1]
    assert spy.label.dtype == np.float32
    assert preds.dtype == np.float64
    assert preds.shape == gradient.shape == hess.shape == ((y.size, 3) if loss.n_outputs == 3 else (y.size,))
    assert (spy.preds[0] == 0).all()  # the intercept is ours
    for array in (gradient, hess):
        assert array.dtype == np.float32
        assert array.flags.f_contiguous
    # LightGBM flattens by columns: for this layout and type that is no copy.
    assert np.shares_memory(np.ravel(gradient, order="F"), gradient)
    # One buffer serves every round.
    assert spy.returned[0][0] is spy.returned[1][0]


@pytest.mark.parametrize("loss", [Huberpp(), ZILN()], ids=repr)
def test_xgboost_single_scores_rows_of_outputs(loss: Any) -> None:
    X, y = spend()
    spy = Spy(XGBoostObjective(Objective(loss.fit(y))))
    params = {"nthread": 1, "num_target": loss.n_outputs, "disable_default_eval_metric": 1}
    xgb.train({**params, "base_score": 0.0}, xgb.DMatrix(X, y), 2, obj=spy)
    preds, (gradient, hess) = spy.preds[-1], spy.returned[-1]
    assert preds.dtype == spy.label.dtype == np.float32
    assert (spy.preds[0] == 0).all()
    assert preds.shape == gradient.shape == hess.shape == ((y.size, 3) if loss.n_outputs == 3 else (y.size,))
    for array in (gradient, hess):
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
    assert spy.returned[0][0] is spy.returned[1][0]
    # Left alone, XGBoost starts from 0.5, whatever the objective.
    alone = Spy(XGBoostObjective(Objective(loss)))
    xgb.train(params, xgb.DMatrix(X, y), 1, obj=alone)
    assert (alone.preds[0] == 0.5).all()


def test_scores_of_the_wrong_shape_are_refused() -> None:
    y = np.ones(4, np.float32)
    objective = Objective(ZILN().fit([0.0, 1.0, 2.0]))
    for wrong in (np.zeros(12), np.zeros((3, 4)), np.zeros((4, 2)), np.zeros(4)):
        with pytest.raises(ValueError, match=r"ZILN has 3 outputs: for 4 labels the raw scores must have shape \(4, 3\)"):
            objective.gradient_hessian(y, wrong)


def test_lightgbm_reads_transposed_gradients_without_a_word() -> None:
    """Why shapes are checked: (n_outputs, n) trains another model."""
    X, y = spend()
    loss = ZILN().fit(y)
    right = LightGBMObjective(Objective(loss))

    def transposed(preds: Any, data: Any) -> Any:
        gradient, hess = right(preds, data)
        return np.ascontiguousarray(gradient.T), np.ascontiguousarray(hess.T)

    def trained(objective: Any) -> Any:
        return lgb.train({**QUIET, "objective": objective, "num_class": 3}, lgb.Dataset(X, y), 3).predict(X)

    assert not np.allclose(trained(transposed), trained(right), atol=0.01)


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
def test_engines_do_not_multiply_custom_gradients_by_weights(engine: str) -> None:
    X, y = spend()
    weight = np.where(y > np.median(y), 50.0, 1.0)
    plain = constant_curvature(1.0)
    if engine == "lightgbm":
        one, other = (lgb.train({**QUIET, "objective": plain}, lgb.Dataset(X, y, weight=w), 5) for w in (None, weight))
        assert np.array_equal(one.predict(X), other.predict(X))
    else:
        params = {"nthread": 1, "tree_method": "exact"}  # weights move the bins of the others
        data = [xgb.DMatrix(X, y, weight=w) for w in (None, weight)]
        one, other = (xgb.train(params, d, 5, obj=plain) for d in data)
        assert np.array_equal(one.predict(data[0]), other.predict(data[0]))


GROUPS = {0.0: (0.3, 0.0, 0.3), 1.0: (0.6, 1.0, 0.6), 2.0: (0.9, 3.0, 1.0)}  # share above 0, mean and sigma of the log


@pytest.mark.parametrize(("engine", "engine_params"), [*((e, {}) for e in ENGINES), ("xgboost", VECTOR)])
def test_every_output_is_trained_on_its_own_gradient(engine: str, engine_params: Any) -> None:
    """Three groups, three outputs: each ends at its maximum likelihood estimate, which has a closed form."""
    rng = np.random.default_rng(0)
    group = rng.choice(list(GROUPS), 400)
    p, m, s = np.array([GROUPS[g] for g in group]).T
    y = np.exp(m + s * rng.normal(size=400)) * (rng.random(400) < p)
    X = np.column_stack([group, np.zeros(400)])
    more = {"n_estimators": 120, "learning_rate": 0.3, "min_child_samples": 1}
    model = small("ziln", engine, engine_params=engine_params, **more).fit(X, y)
    raw = model.predict_raw(np.column_stack([list(GROUPS), np.zeros(3)]))
    assert raw.shape == (3, 3)
    for row, g in zip(raw, GROUPS, strict=True):
        mine = y[group == g]
        logs = np.log(mine[mine > 0])
        assert expit(row[0]) == pytest.approx((mine > 0).mean(), rel=1e-3)
        assert row[1] == pytest.approx(logs.mean(), abs=1e-3)
        mean = (mine > 0).mean() * np.exp(logs.mean() + 0.5 * logs.var())
        assert model.loss_.predict(row[None, :]) == pytest.approx(mean, rel=3e-3)


def test_trees_a_round() -> None:
    X, y = spend()
    assert small("ziln", n_estimators=7).fit(X, y).booster_.num_trees() == 21
    booster = small("ziln", "xgboost", n_estimators=7).fit(X, y).booster_
    assert len(booster.get_dump()) == 21
    assert len(small("ziln", "xgboost", n_estimators=7, engine_params=VECTOR).fit(X, y).booster_.get_dump()) == 7
    assert small("ziln", "catboost", n_estimators=7).fit(X, y).booster_.tree_count_ == 7


# -- the intercept -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("constants", [[1e6 + 0.1], [-3.25, 1e-7, 40.0]])
def test_baking_into_the_first_trees_is_exact(constants: list[float], tmp_path: Any) -> None:
    X, y = spend()
    K = len(constants)

    def objective(preds: Any, data: Any) -> Any:
        label = data.get_label() if K == 1 else np.outer(data.get_label(), [1.0, -2.0, 0.3])
        return np.asfortranarray(preds - label), np.ones_like(preds, order="F")

    booster = lgb.train({**QUIET, "objective": objective, "num_class": K}, lgb.Dataset(X, y), 5)
    before = booster.predict(X).reshape(-1, K)
    assert np.ptp(before, axis=0).min() > 0
    add_to_first_round(booster, np.array(constants))
    want = before + constants
    booster.save_model(tmp_path / "model.txt")
    for twin in (booster, lgb.Booster(model_str=booster.model_to_string()), lgb.Booster(model_file=tmp_path / "model.txt")):
        np.testing.assert_allclose(twin.predict(X).reshape(-1, K), want, rtol=1e-15, atol=4e-14)
    shares = booster.predict(X, pred_contrib=True).reshape(y.size, K, -1).sum(axis=2)
    np.testing.assert_allclose(shares, want, rtol=1e-12, atol=1e-12)


@every_engine
@pytest.mark.parametrize("loss", [SquaredError(), Poisson(), Huberpp(link="log"), ZILN()], ids=repr)
@pytest.mark.parametrize("native", [False, "auto"])
def test_a_model_without_splits_is_the_intercept(engine: str, loss: Any, native: Any) -> None:
    X, y = spend(100)
    y[::3] = 1e-3 if loss.name == "huberpp" else 0.0
    model = small(loss, engine, native=native, n_estimators=3, min_child_samples=1000).fit(X, y)
    assert model.booster_ is not None
    raw = model.predict_raw(X[:2]).reshape(2, -1)
    np.testing.assert_allclose(raw, np.tile(model.loss_.intercept_, (2, 1)), rtol=1e-6, atol=1e-6)


@every_engine
@pytest.mark.parametrize("value", [0.0, np.nan])
@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("loss", [SquaredError(), Huberpp(link="log"), TransformedSquaredError()], ids=repr)
def test_rows_that_are_all_alike(engine: str, value: float, sparse: bool, loss: Any) -> None:
    """LightGBM with a custom objective dies of a failed check, CatBoost of an error of its own."""
    _, y = spend(100)
    X = np.full((100, 2), value)
    X = scipy.sparse.csr_matrix(X) if sparse else X
    model = small(loss, engine, early_stopping_rounds=3).fit(X, y, eval_set=(X, y))
    assert model.booster_ is None
    assert model.best_iteration_ == 0
    want = model.loss_.predict(model.loss_.intercept_)[0] if loss.name == "huberpp" else y.mean()
    assert model.predict(X) == pytest.approx(want, rel=1e-12)
    X = np.full((100, 2), value)
    X[-1, 1] = 1.0
    assert small(loss, engine).fit(X, y).booster_ is not None


def test_xgboosts_base_score_is_the_intercept() -> None:
    X, y = spend()
    for loss in (Huberpp(link="log"), ZILN()):
        model = small(loss, "xgboost").fit(X, y)
        stored = json.loads(model.booster_.save_config())["learner"]["learner_model_param"]["base_score"]
        assert np.atleast_1d(json.loads(stored)) == pytest.approx(model.loss_.intercept_.astype(np.float32), rel=1e-6)


# -- metrics -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "best"), [("mapped_error", 1), ("error", 20)])
def test_xgboost_maximises_metrics_whose_names_begin_with_map(name: str, best: int) -> None:
    X, y = spend()
    data = xgb.DMatrix(X, y)

    def falling(preds: Any, dtrain: Any) -> tuple[str, float]:
        return name, float(np.mean(np.abs(preds - dtrain.get_label())))

    booster = xgb.train(
        {"nthread": 1, "disable_default_eval_metric": 1, "eta": 0.05},
        data,
        20,
        custom_metric=falling,
        evals=[(data, "train")],
        early_stopping_rounds=30,
        verbose_eval=False,
    )
    assert booster.best_iteration + 1 == best


def test_no_name_of_a_users_metric_turns_early_stopping_round() -> None:
    X, y = spend()

    def mapped_error(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return float(np.mean(np.abs(y_pred - y_true)))

    model = small(engine="xgboost", n_estimators=20, learning_rate=0.05, early_stopping_rounds=30, eval_metric=mapped_error)
    assert model.fit(X, y, eval_set=(X, y)).best_iteration_ == 20


# -- parameters --------------------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("native", [False, "auto"])
def test_seeds_reproduce(engine: str, native: Any) -> None:
    X, y = spend()

    def predicted(seed: Any, **more: Any) -> Any:
        drawn = {"subsample": 0.5, "colsample": 0.5, **more}
        return small(engine=engine, native=native, random_state=seed, **drawn).fit(X, y).predict(X)

    assert np.array_equal(predicted(1), predicted(1))
    assert np.array_equal(predicted(np.random.RandomState(1)), predicted(np.random.RandomState(1)))
    assert np.array_equal(predicted(None), predicted(None))
    assert not np.array_equal(predicted(1), predicted(2))
    for alone in ({"subsample": 1.0}, {"colsample": 1.0}):
        assert not np.array_equal(predicted(1, **alone), predicted(2, **alone))
    everything = {"subsample": 1.0, "colsample": 1.0}
    assert np.array_equal(predicted(1, **everything), predicted(2, **everything))


@every_engine
@pytest.mark.parametrize("loss", [SquaredError(), Huberpp(link="log"), ZILN()], ids=repr)
def test_threads_do_not_change_the_model(engine: str, loss: Any) -> None:
    X, y = spend()
    one, two = (small(loss, engine, n_jobs=n, n_estimators=5).fit(X, y).predict(X) for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5)


def test_thread_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gbreg.engines.threads.joblib.cpu_count", lambda: 8)
    assert [thread_count(n) for n in (1, 3, 8, 40, -1, -2, -8, -9, 0)] == [1, 3, 8, 40, 8, 7, 1, 1, 1]
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert thread_count(None) == 3
    assert thread_count(5) == 5
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert thread_count(None) == 8


@every_engine
def test_common_parameters_reach_every_engine(engine: str) -> None:
    X, y = spend()

    def leaf_count(**more: Any) -> int:
        return max(np.unique(tree).size for tree in leaves(small(engine=engine, **more).fit(X, y), X))

    assert leaf_count(max_leaves=8) == 8
    assert leaf_count(max_leaves=3) == 3
    assert leaf_count(max_leaves=64, max_depth=2, min_child_samples=1) == 4
    if engine != "catboost":
        assert leaf_count(max_leaves=64, min_child_samples=401) <= 1
    base = small(engine=engine).fit(X, y).predict(X)
    for change in ({"reg_lambda": 50.0}, {"max_bins": 4}, {"learning_rate": 0.3}, {"n_estimators": 5}):
        assert not np.allclose(small(engine=engine, **change).fit(X, y).predict(X), base, rtol=1e-3), change
    shrunk = small(engine=engine, reg_lambda=1e9).fit(X, y)
    np.testing.assert_allclose(shrunk.predict(X), shrunk.loss_.intercept_[0], rtol=1e-4)


@pytest.mark.parametrize(("rows", "splits"), [(400, True), (401, False)])
def test_catboost_splits_no_leaf_of_fewer_rows(rows: int, splits: bool) -> None:
    """Its least number of rows is that of the leaf to be split, not of those it becomes."""
    X, y = spend(400)
    model = small(engine="catboost", min_child_samples=rows).fit(X, y)
    assert (np.ptp(model.predict(X)) > 0) == splits


@pytest.mark.parametrize("unit", [1e-9, 1e9])
@every_engine
def test_regularisation_and_thresholds_do_not_know_the_unit(engine: str, unit: float) -> None:
    """XGBoost drops gains below 1e-6, CatBoost below 1e-9, and min_child_weight and lambda are absolute."""
    X, y = spend()
    more = {"native": False, "reg_lambda": 1.0}
    want = small("huberpp", engine, **more).fit(X, y).predict(X)
    assert np.ptp(want) > 0.5
    np.testing.assert_allclose(small("huberpp", engine, **more).fit(X, unit * y).predict(X) / unit, want, rtol=1e-4)


@pytest.mark.parametrize("engine", ["xgboost", "catboost"])
def test_a_missing_engine_says_what_brings_it(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, engine, None)
    with pytest.raises(ImportError, match=rf'engine="{engine}" needs the {engine} package: pip install "gbreg\[{engine}\]"'):
        small(engine=engine).fit(*spend(50))


def test_engines_by_name() -> None:
    assert [get_engine(name).name for name in ENGINES] == list(ENGINES)
    with pytest.raises(ValueError, match=r"engine='xgbost' is not known: did you mean 'xgboost'\?"):
        get_engine("xgbost")
    with pytest.raises(ValueError, match=r"engine='forest' is not known: Use one of"):
        get_engine("forest")


@every_engine
@pytest.mark.parametrize("loss", [OrdinalBuckets(n_buckets=8), SoftmaxBuckets(n_buckets=8), SquaredError()], ids=repr)
def test_a_training_leaves_its_loss_and_monitor_as_they_were(engine: str, loss: Any) -> None:
    X, y = bucketed()
    loss, rows = clone(loss).fit(y), Rows(Features(X), y)
    task = Task(rows, loss, TreeParameters(n_estimators=6), Monitor(loss, [rows], early_stopping_rounds=6))
    before, constant = loss.to_json(), loss.value(y, np.resize(loss.intercept_, (y.size, loss.n_outputs)).squeeze()).mean()
    trained = get_engine(engine).train(task)
    assert loss.to_json() == before
    assert (task.monitor.rounds, task.monitor.history) == (0, {"validation_0": {}})
    assert trained.done == 6
    (values,) = trained.history["validation_0"].values()
    assert len(values) == 6
    assert values[-1] < constant
    assert trained.rounds == get_engine(engine).rounds(trained.booster) == 1 + np.argmin(values)
    # CatBoost shows a loss no scores between rounds, and rounds that are kept learn only from those before them.
    assert (trained.loss.to_json() != before) == (loss.refines and engine != "catboost")


@every_engine
def test_models_as_bytes(engine: str) -> None:
    X, y = spend()
    model = small("ziln", engine).fit(X, y)
    adapter = get_engine(engine)
    data = adapter.to_bytes(model.booster_)
    assert isinstance(data, bytes)
    twin = adapter.from_bytes(data)
    features = model.columns_.matrix(X)
    assert np.array_equal(adapter.predict_raw(twin, features), model.predict_raw(X))
    assert adapter.rounds(twin) == 12
    assert np.array_equal(adapter.feature_importances(twin), model.feature_importances_)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", ["absolute_error", "quantile", "huber"])
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e6])
def test_native_forms_with_a_curvature_of_one_learn_in_any_unit(loss, engine, unit):
    """Divided by the kernel's curvature, XGBoost refused every split; CatBoost takes labels within 1e-6 for met."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = 1 / (1 + np.exp(-X[:, 0]))
    model = GBRegressor(loss, engine=engine, n_jobs=1).fit(X, unit * y)
    assert np.abs(model.predict(X) / unit - y).mean() < 0.01


def _softmax_as_lightgbm(y, raw, parameters, table, gradient, hess, work):
    """Softmax with the curvature that LightGBM's own has, K / (K - 1) p (1 - p)."""
    n = raw.shape[0]
    total, own = 0.0, 0
    for k in range(n):
        total += math.exp(raw[k])
    for k in range(n - 1):
        own += 1 if y >= parameters[5 + k] else 0
    for k in range(n):
        p = math.exp(raw[k]) / total
        gradient[k] = p - (1.0 if k == own else 0.0)
        hess[k] = n / (n - 1.0) * p * (1.0 - p)


class LightGBMSoftmax(SoftmaxBuckets):
    row_derivatives = staticmethod(_softmax_as_lightgbm)

    def native_form(self) -> NativeForm | None:
        return None


def bucketed() -> tuple[Any, Any]:
    rng = np.random.default_rng(1)
    X = rng.integers(0, 9, size=(1500, 3)).astype(float)
    y = np.exp(0.3 * X[:, 0] + 0.1 * X[:, 1] + rng.normal(size=1500))
    return X, np.where(rng.random(1500) < 0.3, 0.0, y)


@every_engine
def test_full_softmax_is_the_engines_multiclass(engine: str) -> None:
    X, y = bucketed()
    weight = np.random.default_rng(2).uniform(0.5, 2.0, y.size)
    model = small(SoftmaxBuckets(n_buckets=6, rank=None), engine, native=True, early_stopping_rounds=5)
    model.fit(X, y, weight, eval_set=(X, y), eval_sample_weight=weight)
    raw, loss = model.predict_raw(X), model.loss_
    assert raw.shape == (y.size, 6)
    assert model.evals_result_["validation_0"]["softmax_buckets"][-1] == pytest.approx(
        np.average(loss.value(y, raw), weights=weight), rel=1e-6
    )
    if engine == "xgboost":  # its curvature is ours, but where a single row would move its leaf by more than 10
        kernel = small(SoftmaxBuckets(n_buckets=6, rank=None), engine, native=False).fit(X, y, weight)
        assert np.isclose(kernel.predict(X), model.predict(X), rtol=1e-2).mean() > 0.9
        assert np.average(loss.value(y, kernel.predict_raw(X)), weights=weight) == pytest.approx(
            np.average(loss.value(y, raw), weights=weight), rel=1e-3
        )


def test_the_kernel_gives_lightgbms_multiclass_model() -> None:
    X, y = bucketed()
    native = small(SoftmaxBuckets(n_buckets=6, rank=None), native=True).fit(X, y)
    kernel = small(LightGBMSoftmax(n_buckets=6, rank=None), native=False).fit(X, y)
    np.testing.assert_array_equal(leaves(kernel, X), leaves(native, X))
    np.testing.assert_allclose(kernel.predict_raw(X), native.predict_raw(X), rtol=1e-5, atol=1e-6)


def test_catboost_warns_of_its_calls_per_row(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = spend(200)
    monkeypatch.setattr("gbreg.engines.catboost._SECONDS_A_ROW", 0.5)
    with pytest.warns(UserWarning, match=r"LogNormal has 2 outputs, .* about 3 minutes for these 200 rows and 2 rounds"):
        small("log_normal", "catboost", n_estimators=2).fit(X, y)


@pytest.mark.parametrize("engine", ENGINES)
def test_high_quantiles_are_learnt_from_few_rows(engine: str) -> None:
    """The rows of the steep side once held nearly all curvature, and XGBoost grew no tree."""

    def rows(n: int, seed: int) -> tuple[Any, Any]:
        rng = np.random.default_rng(seed)
        X = rng.normal(size=(n, 4))
        return X, np.exp(0.8 * X[:, 0] + 0.3 * X[:, 1] ** 2 + rng.normal(0, 0.7, n))

    X, y = rows(600, 0)
    model = GBRegressor(Quantile(0.95), engine=engine, native=False, n_jobs=1).fit(X, y)
    X, y = rows(5000, 1)
    learnt = mean_pinball_loss(y, model.predict(X), alpha=0.95)
    constant = mean_pinball_loss(y, np.full(y.size, model.loss_.predict(model.loss_.intercept_)[0]), alpha=0.95)
    assert learnt < 0.85 * constant
