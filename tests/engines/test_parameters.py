"""What users hand to an engine by its own names: what is taken, and what is refused before training."""

from __future__ import annotations

import re
import warnings
from typing import Any

import numpy as np
import pytest

import gbreg
from gbreg import BucketRegressor, GBRegressor, HurdleRegressor
from gbreg.engines import ENGINES, get_engine
from gbreg.engines import catboost as catboost_engine
from gbreg.engines import xgboost as xgboost_engine
from gbreg.losses import ZILN, Gamma, Huberpp, SquaredError

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
cb = pytest.importorskip("catboost")

every_engine = pytest.mark.parametrize("engine", ENGINES)


def small(loss: Any = "squared_error", engine: str = "lightgbm", **more: Any) -> GBRegressor:
    return GBRegressor(loss, engine=engine, **{"n_estimators": 10, "n_jobs": 1, **more})


def spend(n: int = 300) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    return X, 5 * np.exp(X[:, 0] + 0.3 * rng.normal(size=n))


# -- names -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "name", "nearest"),
    [
        ("lightgbm", "num_leavs", "num_leaves"),
        ("lightgbm", "max_dept", "max_depth"),
        ("lightgbm", "minimum_data_in_leaf", "min_data_in_leaf"),
        ("xgboost", "max_dept", "max_depth"),
        ("xgboost", "colsample_by_tree", "colsample_bytree"),
        ("catboost", "dept", "depth"),
        ("catboost", "l2_leaf_regularization", "l2_leaf_reg"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(engine: str, name: str, nearest: str) -> None:
    said = f"engine_params: {engine} has no parameter '{name}': did you mean '{nearest}'\\?"
    with pytest.raises(ValueError, match=said):
        small(engine=engine, engine_params={name: 3}).fit(*spend(50))


def test_a_name_like_no_other_is_refused_too() -> None:
    with pytest.raises(ValueError, match="lightgbm has no parameter 'qqq': see its own documentation"):
        small(engine_params={"qqq": 1}).fit(*spend(50))


RESERVED = [(engine, name) for engine, its in ENGINES.items() for name in its.reserved]


@pytest.mark.parametrize(("engine", "first"), RESERVED)
def test_what_gbreg_sets_is_refused_under_every_name(engine: str, first: str) -> None:
    its = get_engine(engine)
    for name in {first, *(name for name, known in its.names({}).items() if known == first)}:
        said = f"engine_params may not set ['{name}'] on {engine}: {its.reserved[first]}"
        with pytest.raises(ValueError, match=f"^{re.escape(said)}$"):
            its.own({name: 1})


@pytest.mark.parametrize(
    ("engine", "names", "instead"),
    [
        ("lightgbm", ("early_stopping_rounds", "early_stopping", "n_iter_no_change"), "use early_stopping_rounds="),
        ("xgboost", ("early_stopping_rounds",), "use early_stopping_rounds="),
        ("catboost", ("early_stopping_rounds", "od_wait", "od_type", "use_best_model"), "use early_stopping_rounds="),
        ("lightgbm", ("n_estimators", "num_boost_round", "max_iter"), "use n_estimators="),
        ("xgboost", ("n_estimators", "num_boost_round"), "use n_estimators="),
        ("catboost", ("n_estimators", "iterations", "num_trees"), "use n_estimators="),
        ("lightgbm", ("objective", "loss", "app", "num_classes", "alpha"), "use loss="),
        ("xgboost", ("objective", "num_target", "quantile_alpha"), "use loss="),
        ("catboost", ("loss_function", "objective", "classes_count"), "use loss="),
        ("lightgbm", ("data", "valid_data", "label"), "give data to fit"),
        ("catboost", ("task_type", "devices"), "gbreg trains CatBoost on the CPU, leave it out"),
    ],
)
def test_what_to_use_instead(engine: str, names: tuple[str, ...], instead: str) -> None:
    for name in names:
        with pytest.raises(ValueError, match=re.escape(f"may not set ['{name}'] on {engine}: {instead}")):
            get_engine(engine).own({name: 1})


@pytest.mark.parametrize(
    "model",
    [
        BucketRegressor(n_estimators=5, engine_params={"num_leavs": 3}),
        HurdleRegressor(small("bernoulli", engine_params={"num_leavs": 3}), small("gamma")),
        gbreg.CalibratedRegressor(small(engine_params={"num_leavs": 3}), cv=2),
    ],
    ids=lambda model: type(model).__name__,
)
def test_models_of_others_refuse_alike(model: Any) -> None:
    X, y = spend(80)
    with pytest.raises(ValueError, match="did you mean 'num_leaves'"):
        model.fit(X, np.where(X[:, 1] > 0, y, 0.0))


@every_engine
def test_two_names_of_one_parameter(engine: str) -> None:
    said = f"'eta' and 'learning_rate' are one parameter of {engine}: give one of them"
    with pytest.raises(ValueError, match=said):
        small(engine=engine, engine_params={"eta": 0.1, "learning_rate": 0.3}).fit(*spend(50))


@every_engine
def test_none_is_as_good_as_not_given(engine: str) -> None:
    X, y = spend(100)
    given = small(engine=engine, engine_params={"max_depth": None, "monotone_constraints": None})
    assert np.array_equal(given.fit(X, y).predict(X), small(engine=engine).fit(X, y).predict(X))


# -- the lists of names are those of the installed engines -------------------------------------------------------------


def test_lightgbms_reserved_names_are_parameters_of_it() -> None:
    its = get_engine("lightgbm")
    firsts = set(its.names({}).values())
    assert set(its.reserved) | set(its.shared) <= firsts
    assert len(firsts) > 100


@pytest.mark.parametrize("params", [{}, {"booster": "dart"}], ids=["gbtree", "dart"])
def test_xgboost_uses_every_name_that_it_lists(params: dict[str, Any]) -> None:
    its = get_engine("xgboost")
    data = xgb.DMatrix(np.zeros((2, 1)), label=[0.0, 1.0])
    values = {"verbosity": "1", "device": "cpu", "booster": "gbtree", "objective": "reg:squarederror", "num_class": "0"}
    values |= {"grow_policy": "depthwise", "multi_strategy": "one_output_per_tree", "process_type": "default"}
    values |= {"sampling_method": "uniform", "tree_method": "hist", "updater": "grow_quantile_histmaker", "max_bin": "9"}
    values |= {"normalize_type": "tree", "sample_type": "uniform", "monotone_constraints": "(1)", **params}
    values |= {"interaction_constraints": "[[0]]"}

    def unused(**given: Any) -> list[str]:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            xgb.train({"tree_method": "hist", **params, "verbosity": 1, **given}, data, 1)
        return [str(w.message) for w in seen if "not used" in str(w.message)]

    assert unused(nonsense=1)
    names = set(its.names(params))
    assert len(names) > 40
    for name in names:
        assert not unused(**{name: values.get(name, "1")}), name


def test_xgboosts_aliases_are_aliases() -> None:
    data = xgb.DMatrix(np.zeros((2, 1)), label=[0.0, 1.0])
    for alias, first in xgboost_engine._ALIASES.items():
        both = [
            xgb.train({name: 2, "tree_method": "hist", "verbosity": 0}, data, 0).save_config() for name in (alias, first)
        ]
        assert both[0] == both[1] != xgb.train({"tree_method": "hist", "verbosity": 0}, data, 0).save_config(), alias


def test_catboosts_aliases_are_aliases() -> None:
    for alias, first in catboost_engine._ALIASES.items():
        if alias in ("objective", "verbose_eval"):  # which CatBoost turns into the other before it looks
            continue
        with pytest.raises(cb.CatBoostError, match="only one of the parameters"):
            cb.CatBoost({first: 1, alias: 1}).fit([[0.0], [1.0]], [0.0, 1.0])


def test_catboosts_names_for_developers_are_left_to_it() -> None:
    X, y = spend(50)
    assert small(engine="catboost", engine_params={"dev_leafwise_approxes": True}).fit(X, y).best_iteration_ == 10
    with pytest.raises(cb.CatBoostError, match="dev_nonsense"):
        small(engine="catboost", engine_params={"dev_nonsense": True}).fit(X, y)


# -- what overrides common parameters is seen by all that reads them ---------------------------------------------------


@every_engine
@pytest.mark.parametrize("loss", [Gamma(), SquaredError(link="softplus")], ids=repr)
def test_the_curvature_follows_an_overriding_learning_rate(engine: str, loss: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(400, 1)).round(1)
    y = np.exp(12 * X[:, 0] + 0.5 * rng.normal(size=400))
    more = {"native": False, "n_estimators": 4}
    want = small(loss, engine, learning_rate=0.9, **more).fit(X, y).predict(X)
    assert np.array_equal(small(loss, engine, engine_params={"eta": 0.9}, **more).fit(X, y).predict(X), want)


@every_engine
def test_an_overriding_subsample_draws_rows(engine: str) -> None:
    X, y = spend()
    want = small("huberpp", engine, subsample=0.5).fit(X, y).predict(X)
    assert np.array_equal(small("huberpp", engine, engine_params={"subsample": 0.5}).fit(X, y).predict(X), want)
    whole = small("huberpp", engine).fit(X, y).predict(X)
    given = small("huberpp", engine, subsample=0.5, engine_params={"subsample": 1.0})
    assert np.array_equal(given.fit(X, y).predict(X), whole)
    assert not np.array_equal(want, whole)


@pytest.mark.parametrize(
    ("engine", "name"), [("lightgbm", "num_threads"), ("xgboost", "nthread"), ("catboost", "thread_count")]
)
def test_all_threads_by_the_engines_own_word(engine: str, name: str) -> None:
    settled = get_engine(engine).settled(small(engine=engine, engine_params={name: -1})._tree_parameters())
    assert settled.n_threads == gbreg.engines.thread_count(-1)


# -- boosters other than the plain one ---------------------------------------------------------------------------------

DROPS: list[tuple[str, dict[str, Any]]] = [
    ("lightgbm", {"boosting": "dart", "drop_rate": 0.5}),
    ("lightgbm", {"boosting_type": "dart", "rate_drop": 0.5}),
    ("lightgbm", {"boost": "dart", "drop_rate": 0.5}),
    ("xgboost", {"booster": "dart", "rate_drop": 0.5}),
]
SINCE_3_4 = xgboost_engine._since(3, 4)
if SINCE_3_4:
    DROPS += [("xgboost", {"rate_drop": 0.5}), ("xgboost", {"one_drop": True})]


@pytest.mark.parametrize(("engine", "params"), DROPS)
@pytest.mark.parametrize(
    ("loss", "native"), [("squared_error", True), (Huberpp(link="log"), False), (ZILN(), False)], ids=str
)
def test_the_rounds_that_early_stopping_keeps_are_as_they_were_measured(
    engine: str, params: Any, loss: Any, native: bool
) -> None:
    """Later rounds of DART rescale earlier trees: cut to the best round, a model would not be the one measured."""
    X, y = spend()
    more = {"n_estimators": 60, "learning_rate": 0.3, "early_stopping_rounds": 5, "max_leaves": 8}
    model = small(loss, engine, native=native, engine_params=params, **more).fit(X, y, eval_set=spend(400))
    recorded = model.evals_result_["validation_0"][model.loss_.name]
    own = float(np.mean(model.loss_.value(spend(400)[1], model.predict_raw(spend(400)[0]))))
    assert own == pytest.approx(min(recorded), rel=1e-6)
    assert model.best_iteration_ == np.argmin(recorded) + 1
    plain = small(loss, engine, native=native, **more).fit(X, y, eval_set=spend(400))
    assert min(plain.evals_result_["validation_0"][model.loss_.name]) != min(recorded)


def test_rounds_stopped_by_dart_are_cut() -> None:
    """The case above does stop before its last round, where a cut model differs from the one measured."""
    X, y = spend()
    held = X[200:], y[200:]
    params = {"boosting": "dart", "drop_rate": 0.5}
    more = {"n_estimators": 60, "learning_rate": 0.3, "early_stopping_rounds": 8, "max_leaves": 8}
    model = small(engine_params=params, **more).fit(X[:200], y[:200], eval_set=held)
    assert model.best_iteration_ < len(model.evals_result_["validation_0"]["squared_error"]) < 60
    assert model.booster_.current_iteration() == model.best_iteration_
    rounds = small(engine_params=params, **{**more, "early_stopping_rounds": None}).fit(X[:200], y[:200], eval_set=held)
    recorded = rounds.evals_result_["validation_0"]["squared_error"]
    assert recorded[: model.best_iteration_] == model.evals_result_["validation_0"]["squared_error"][: model.best_iteration_]
    cut = rounds.loss_.value(held[1], rounds.booster_.predict(held[0], num_iteration=model.best_iteration_))
    assert np.mean(cut) > 1.05 * recorded[model.best_iteration_ - 1]


def test_watching_the_training_rows_of_dart_leaves_its_trees_alone() -> None:
    """LightGBM drops trees whenever it is asked for scores of the training set itself: ours are sets of their own."""
    X, y = spend()
    model = small("huberpp", engine_params={"boosting": "dart", "drop_rate": 0.5}).fit(X, y, eval_set=(X, y))
    shrinkage = re.findall(r"^shrinkage=(.*)$", model.booster_.model_to_string(), flags=re.MULTILINE)
    assert min(map(float, shrinkage)) > 0
    own = np.mean(model.loss_.value(y, model.predict_raw(X)))
    assert own == pytest.approx(model.evals_result_["validation_0"]["huberpp"][-1], rel=1e-9)

    def objective(preds: Any, data: Any) -> Any:
        return preds - data.get_label(), np.ones_like(preds)

    train = lgb.Dataset(X, y)
    params = {"boosting": "dart", "drop_rate": 0.5, "objective": objective, "metric": "None", "verbosity": -1}
    bare = lgb.train(params, train, 10, valid_sets=[train], feval=lambda p, d: ("zero", 0.0, False))
    bare_shrinkage = re.findall(r"^shrinkage=(.*)$", bare.model_to_string(), flags=re.MULTILINE)
    assert min(map(float, bare_shrinkage)) < 0


@pytest.mark.parametrize(
    ("engine", "params", "said"),
    [
        ("lightgbm", {"boosting": "rf"}, "boosting='rf' of lightgbm starts neither from a loss's intercept"),
        (
            "lightgbm",
            {"boosting_type": "random_forest", "bagging_fraction": 0.5, "bagging_freq": 1},
            "RandomForestRegressor",
        ),
        ("lightgbm", {"drop_rate": 0.5}, r"\['drop_rate'\] of lightgbm do nothing without boosting='dart'"),
        ("lightgbm", {"top_rate": 0.5}, r"\['top_rate'\] of lightgbm do nothing without data_sample_strategy='goss'"),
        (
            "xgboost",
            {"booster": "gblinear"},
            "booster='gblinear' of xgboost grows no trees: leave it out, or use one of gbtree",
        ),
        ("xgboost", {"tree_method": "exact"}, "tree_method='exact' of xgboost does not train on bins"),
        ("xgboost", {"tree_method": "approx"}, "use one of hist, auto"),
        ("xgboost", {"process_type": "update"}, "process_type='update' of xgboost needs a model to update"),
        ("xgboost", {"updater": "refresh"}, "updater='refresh' of xgboost grows no trees from bins"),
        ("catboost", {"boosting_type": "Ordered"}, "add 'grow_policy': 'SymmetricTree'"),
        ("catboost", {"langevin": True}, r"\['langevin'\]: catboost leaves them out .* use native=False"),
    ],
)
def test_what_an_engine_cannot_do_here(engine: str, params: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        small(engine=engine, engine_params=params).fit(*spend(50))


def test_catboost_kernels_need_newton_steps() -> None:
    params = {"leaf_estimation_method": "Gradient"}
    with pytest.raises(ValueError, match=r"leaf_estimation_method='Gradient' of catboost .* curvature of Huberpp\(\)"):
        small("huberpp", "catboost", engine_params=params).fit(*spend(50))


OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("lightgbm", {"data_sample_strategy": "goss"}),
    ("lightgbm", {"boosting": "goss", "top_rate": 0.3}),
    ("lightgbm", {"extra_trees": True}),
    ("xgboost", {"subsample": 0.5, "sampling_method": "gradient_based"}),
    ("xgboost", {"num_parallel_tree": 2, "colsample_bynode": 0.5}),
    ("xgboost", {"grow_policy": "depthwise", "max_depth": 3}),
    ("catboost", {"boosting_type": "Ordered", "grow_policy": "SymmetricTree"}),
    ("catboost", {"grow_policy": "Depthwise"}),
    ("catboost", {"bootstrap_type": "Bayesian"}),
    ("catboost", {"bootstrap_type": "MVS", "subsample": 0.5}),
]


@pytest.mark.parametrize(("engine", "params"), OTHERS)
def test_other_ways_to_grow_train_our_losses(engine: str, params: Any) -> None:
    X, y = spend()
    more = {"n_estimators": 20, "learning_rate": 0.2}
    model = small("huberpp", engine, engine_params=params, **more).fit(X, y, eval_set=(X, y))
    recorded = model.evals_result_["validation_0"]["huberpp"]
    assert recorded[-1] < 0.7 * recorded[0]
    own = np.mean(model.loss_.value(y, model.predict_raw(X)))
    assert own == pytest.approx(recorded[-1], rel=1e-5)
    assert not np.array_equal(model.predict(X), small("huberpp", engine, **more).fit(X, y).predict(X))


# -- linear trees ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["linear_tree", "linear_trees"])
@pytest.mark.parametrize("loss", ["squared_error", "huber", "quantile", "poisson", "gamma", "tweedie", "bernoulli"])
def test_linear_trees_start_from_the_intercept(loss: str, name: str, tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    X[::7, 1] = np.nan
    y = (X[:, 0] > 0.5) * 1.0 if loss == "bernoulli" else np.round(64 * (100 + X[:, 0])) / 64  # float32 holds them
    more = {"n_estimators": 60, "max_leaves": 8, "native": True, "early_stopping_rounds": 10}
    model = small(loss, engine_params={name: True}, **more).fit(X, y, eval_set=(X, y))
    assert model.predict(X).mean() == pytest.approx(y.mean(), rel=1e-2 if loss == "bernoulli" else 1e-3)
    own = np.mean(model.loss_.value(y, model.predict_raw(X)))
    assert own == pytest.approx(min(model.evals_result_["validation_0"][model.loss_.name]), rel=1e-6)
    model.save(tmp_path / "model.gbreg")
    assert np.array_equal(gbreg.load(tmp_path / "model.gbreg").predict(X), model.predict(X))
    if loss == "squared_error":
        assert np.sqrt(np.mean((model.predict(X) - y) ** 2)) < 0.02
        assert "leaf_coeff" in model.booster_.model_to_string()


def test_linear_trees_of_several_outputs() -> None:
    X, y = spend()
    loss = gbreg.losses.SoftmaxBuckets(n_buckets=4, rank=None)
    model = small(loss, native=True, engine_params={"linear_tree": True, "max_leaves": 4}).fit(X, y, eval_set=(X, y))
    own = np.mean(model.loss_.value(y, model.predict_raw(X)))
    assert own == pytest.approx(model.evals_result_["validation_0"]["softmax_buckets"][-1], rel=1e-9)


def test_linear_trees_that_are_refused() -> None:
    X, y = spend(50)
    for name in ("linear_tree", "linear_trees"):
        with pytest.raises(ValueError, match=r"linear trees need a loss that LightGBM trains natively, and Huberpp"):
            small("huberpp", engine_params={name: True}).fit(X, y)
    with pytest.raises(ValueError, match="linear_tree: linear trees need a loss that LightGBM trains natively"):
        small(native=False, engine_params={"linear_tree": True}).fit(X, y)
    with pytest.raises(ValueError, match="linear trees keep to monotone_constraints between leaves, and not along"):
        small(engine_params={"linear_tree": True, "mc": [1, 0, 0]}).fit(X, y)
    with pytest.raises(ValueError, match=r"linear trees are not there for AbsoluteError\(\)"):
        small("absolute_error", native=True, engine_params={"linear_tree": True}).fit(X, y)
    off = small(engine_params={"linear_tree": "false"}).fit(X, y)
    assert np.array_equal(off.predict(X), small().fit(X, y).predict(X))
