"""The engine's own model in the user's hands: its predictions, its explanations, and training that goes on from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

from gbreg import GBRegressor, WCERegressor, ZILNRegressor, load, metric, objective
from gbreg.engines import ENGINES
from gbreg.losses import ZILN, Huberpp, Poisson, SoftmaxBuckets, SquaredError

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
catboost = pytest.importorskip("catboost")

every_engine = pytest.mark.parametrize("engine", ENGINES)


def small(loss: Any = "squared_error", engine: str = "lightgbm", **more: Any) -> GBRegressor:
    return GBRegressor(loss, engine=engine, **{"n_estimators": 12, "max_leaves": 8, "n_jobs": 1, **more})


def own_raw(booster: Any, matrix: Any, engine: str) -> Any:
    """Raw scores as the engine's documentation says to ask for them."""
    if engine == "lightgbm":
        return booster.predict(matrix, raw_score=True)
    if engine == "xgboost":
        return booster.predict(matrix, output_margin=True)
    return booster.predict(matrix, prediction_type="RawFormulaVal")


def own_shap(booster: Any, matrix: Any, engine: str) -> Any:
    if engine == "lightgbm":
        return booster.predict(matrix, pred_contrib=True)
    if engine == "xgboost":
        return booster.predict(matrix, pred_contribs=True)
    return booster.get_feature_importance(matrix, type="ShapValues")


def spend(n: int = 500) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    return X, np.exp(X[:, 0] + 0.5 * rng.normal(size=n))


def table(n: int = 500) -> tuple[Any, Any]:
    """Categories in another order than the alphabet's, missing ones, and seconds that float32 merges."""
    rng = np.random.default_rng(1)
    city, step = rng.integers(0, 4, n), rng.integers(0, 60, n)
    frame = pd.DataFrame(
        {
            "city": pd.Categorical(
                np.array(["ulm", "bonn", "köln", "aachen"])[city], ["ulm", "bonn", "köln", "aachen", "x"]
            ),
            "when": 1.7e9 + 10.0 * step,
            "age [y]": rng.normal(40, 10, n),
        }
    )
    frame.loc[::9, "city"] = np.nan
    frame.loc[::7, "age [y]"] = np.nan
    return frame, np.exp(np.array([1.0, 3.0, 0.0, 2.0])[city] / 2 + np.sin(step) + 0.2 * rng.normal(size=n))


# -- predictions of its own --------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("loss", [Poisson(), Huberpp(link="log")], ids=repr)
def test_the_boosters_own_predictions_are_the_models(engine: str, loss: Any, tmp_path: Path) -> None:
    frame, y = table()
    model = small(loss, engine).fit(frame, y)
    model.save(tmp_path / "model.gbreg")
    for twin in (model, load(tmp_path / "model.gbreg")):
        raw = own_raw(twin.booster_, twin.to_engine_matrix(frame[:200]), engine)
        assert np.array_equal(np.asarray(raw, dtype=np.float64), model.predict_raw(frame[:200]))
        np.testing.assert_array_equal(twin.loss_.predict(np.asarray(raw, dtype=np.float64)), model.predict(frame[:200]))
        own = twin.to_engine_matrix(frame)
        kind = {"lightgbm": np.ndarray, "xgboost": xgb.DMatrix, "catboost": catboost.Pool}
        assert isinstance(own, kind[engine])


@every_engine
def test_sparse_rows_as_the_booster_takes_them(engine: str) -> None:
    X, y = spend()
    X = scipy.sparse.csr_matrix(np.where(np.abs(X) < 0.7, 0.0, X))
    model = small(engine=engine).fit(X, y)
    raw = own_raw(model.booster_, model.to_engine_matrix(X), engine)
    assert np.array_equal(np.asarray(raw, dtype=np.float64), model.predict_raw(X))
    assert np.ptp(raw) > 1


@every_engine
def test_a_frame_of_categories_is_read_right_or_refused(engine: str) -> None:
    """Its codes are not those of the model: LightGBM is given our categories, others refuse names they do not know."""
    frame, y = table()
    frame = frame[["city", "age [y]"]].rename(columns={"age [y]": "age"})
    frame = frame.fillna({"city": "x"}) if engine == "catboost" else frame
    model = small(engine=engine, native=False).fit(frame, y)
    if engine == "lightgbm":
        for booster in (model.booster_, lgb.Booster(model_str=model.booster_.model_to_string())):
            assert np.array_equal(booster.predict(frame), model.predict_raw(frame))
            shuffled = frame.assign(city=frame["city"].cat.set_categories(["bonn", "new", "ulm", "aachen", "köln"]))
            assert np.array_equal(booster.predict(shuffled), model.predict_raw(shuffled))
    elif engine == "xgboost":
        with pytest.raises(ValueError, match="feature_names mismatch"):
            model.booster_.predict(xgb.DMatrix(frame, enable_categorical=True))
        with pytest.raises(ValueError, match="feature_names mismatch"):
            model.booster_.inplace_predict(frame)
    else:
        with pytest.raises(catboost.CatBoostError, match="should be feature with name city_code"):
            model.booster_.predict(catboost.Pool(frame, cat_features=["city"]))


@pytest.mark.parametrize("values", [[10, 9, 300], [True, False], [0.5, -1.0]], ids=str)
def test_lightgbm_reads_frames_of_categories_that_are_no_text(values: list[Any]) -> None:
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, len(values), 300)
    frame = pd.DataFrame({"c": pd.Categorical([values[i] for i in drawn]), "x": rng.normal(size=300)})
    model = small().fit(frame, drawn.astype(float))
    assert np.array_equal(model.booster_.predict(frame), model.predict_raw(frame))
    assert np.ptp(model.predict(frame)) > 0.5


def test_lightgbm_refuses_frames_of_categories_that_no_file_holds() -> None:
    x = np.linspace(0, 1, 300)
    frame = pd.DataFrame({"c": pd.cut(x, 5), "x": x})
    model = small().fit(frame, x)
    with pytest.raises(ValueError, match="categorical_feature do not match"):
        model.booster_.predict(frame)
    assert np.array_equal(model.booster_.predict(model.to_engine_matrix(frame)), model.predict_raw(frame))


@every_engine
def test_pairs_of_boosters_take_pairs_of_matrices(engine: str) -> None:
    frame, y = table()
    y = np.where(np.arange(y.size) % 3 == 0, 0.0, y)
    more = {"engine": engine, "n_estimators": 3, "n_jobs": 1}
    model = WCERegressor(**more).fit(frame, y)
    raw = own_raw(model.booster_, model.to_engine_matrix(frame), engine)
    np.testing.assert_array_equal(model.loss_.predict(np.asarray(raw, dtype=np.float64)), model.predict(frame))
    if engine == "catboost":  # trains a log-normal row by row
        return
    pair = ZILNRegressor(**more).fit(frame, y)
    for booster, matrix, part in zip(pair.booster_, pair.to_engine_matrix(frame), pair._parts(), strict=True):
        raw = own_raw(booster, matrix, engine)
        assert np.array_equal(np.asarray(raw, dtype=np.float64), part.predict_raw(frame))
    alone = ZILNRegressor(**more).fit(frame, y + 1)
    assert alone.booster_[0] is None
    assert alone.to_engine_matrix(frame)[0] is None


# -- explanations ------------------------------------------------------------------------------------------------------


@every_engine
@pytest.mark.parametrize("loss", [SquaredError(), Poisson(), Huberpp(link="log"), SoftmaxBuckets(5, rank=None)], ids=repr)
@pytest.mark.parametrize("native", ["auto", False])
def test_shap_values_add_up_to_the_raw_prediction(engine: str, loss: Any, native: Any) -> None:
    if engine == "catboost" and native is False and loss.name == "softmax_buckets":
        pytest.skip("row by row")
    X, y = spend(300)
    y = 1000 * y if loss.name != "huberpp" else 1e-6 * y
    symmetric = {"engine_params": {"grow_policy": "SymmetricTree"}, "max_depth": 3} if engine == "catboost" else {}
    model = small(loss, engine, native=native, **symmetric).fit(X, y)
    raw = model.predict_raw(X)
    shares = own_shap(model.booster_, model.to_engine_matrix(X), engine)
    shares = np.asarray(shares, dtype=np.float64).reshape(*raw.shape, -1)
    np.testing.assert_allclose(shares.sum(axis=-1), raw, rtol=1e-5 if engine == "xgboost" else 1e-11, atol=1e-5)
    assert shares[..., :3].reshape(-1, 3).std(axis=0).max() > 0.01


@pytest.mark.parametrize("policy", ["SymmetricTree", "Lossguide", "Depthwise"])
@pytest.mark.parametrize(("loss", "native"), [(Huberpp(link="log"), False), (Poisson(), "auto"), (ZILN(), False)], ids=repr)
def test_catboosts_constants_are_in_its_leaves(policy: str, loss: Any, native: Any) -> None:
    """A model with a scale or bias of its own is explained by nothing."""
    X, y = spend(200)
    depth = {} if policy == "Lossguide" else {"max_depth": 3}
    model = small(loss, "catboost", native=native, n_estimators=4, engine_params={"grow_policy": policy}, **depth).fit(X, y)
    scale, bias = model.booster_.get_scale_and_bias()
    assert scale == 1.0
    assert not np.any(bias)
    leaves = model.booster_.get_leaf_values().reshape(-1, model.loss_.n_outputs)
    first = leaves[: model.booster_.get_tree_leaf_counts()[0]]
    assert np.abs(first - model.loss_.intercept_).max() < 1.0
    assert np.abs(leaves[first.shape[0] :]).max() < 1.0


def test_what_catboost_explains_wrongly_or_not_at_all() -> None:
    """Trees that are not symmetric, the default here; symmetric ones of several outputs of a loss of ours."""
    X, y = spend()
    model = small("huberpp", "catboost", n_estimators=50).fit(X, y)
    shares = own_shap(model.booster_, model.to_engine_matrix(X), "catboost")
    assert np.abs(shares.sum(axis=1) - model.predict_raw(X)).max() > 0.1
    symmetric = small("ziln", "catboost", n_estimators=2, max_depth=3, engine_params={"grow_policy": "SymmetricTree"})
    symmetric.fit(X[:100], y[:100])
    with pytest.raises(catboost.CatBoostError, match="incompatible with multi-dimensional predictions"):
        own_shap(symmetric.booster_, symmetric.to_engine_matrix(X), "catboost")


# -- training that goes on ---------------------------------------------------------------------------------------------


def go_on(model: GBRegressor, X: Any, y: Any, rounds: int, complete: bool) -> Any:
    """More rounds on the model's booster by the engine's own training; its raw scores are returned."""
    engine, loss, booster = model.engine, model.loss_, model.booster_
    ours = objective(loss, engine, complete=complete)
    if engine == "lightgbm":
        params = {"objective": ours, "metric": "None", "verbosity": -1, "num_threads": 1, "num_leaves": 8}
        params |= {"min_sum_hessian_in_leaf": 0, "feature_pre_filter": False}
        feval = metric(loss, engine, complete=complete)
        data = lgb.Dataset(X, y)
        found = lgb.train(params, data, rounds, init_model=booster, valid_sets=[data], feval=feval)
        measured = feval(found.predict(X), data)[1]
    elif engine == "xgboost":
        params = {
            "nthread": 1,
            "disable_default_eval_metric": 1,
            "grow_policy": "lossguide",
            "max_leaves": 8,
            "max_depth": 0,
        }
        params |= {"eta": 0.1, "lambda": 0, "min_child_weight": 20, "max_bin": 255}
        data = xgb.DMatrix(X, y)
        found = xgb.train(params, data, rounds, obj=ours, xgb_model=booster)
        measured = metric(loss, engine, complete=complete)(found.predict(data, output_margin=True), data)[1]
        X = xgb.DMatrix(X)
    else:
        watch = metric(loss, engine, complete=complete)
        params = {"loss_function": ours, "eval_metric": watch, "grow_policy": "Lossguide", "max_leaves": 8, "depth": 16}
        params |= {"bootstrap_type": "No", "l2_leaf_reg": 0, "random_strength": 0, "leaf_estimation_iterations": 1}
        params |= {"learning_rate": 0.1, "min_data_in_leaf": 20, "border_count": 254, "leaf_estimation_method": "Newton"}
        params |= {"iterations": rounds, "thread_count": 1, "logging_level": "Silent", "allow_writing_files": False}
        found = catboost.CatBoost(params).fit(X, y, init_model=booster)
        measured = watch.evaluate([found.predict(X)], y, None)[0]
    raw = np.asarray(own_raw(found, X, engine), dtype=np.float64)
    if complete:
        assert measured == pytest.approx(float(np.mean(loss.value(y, raw))), rel=1e-5)
    return raw


@every_engine
def test_training_goes_on_from_a_booster(engine: str, tmp_path: Path) -> None:
    X, y = spend()
    loss = Huberpp(link="log")
    start, whole = (small(loss, engine, native=False, n_estimators=n).fit(X, y) for n in (10, 20))
    start.save(tmp_path / "model.gbreg")
    raw = go_on(load(tmp_path / "model.gbreg"), X, y, 10, complete=True)
    np.testing.assert_allclose(raw, whole.predict_raw(X), rtol=1e-3, atol=1e-3)

    def mean_loss(raw: Any) -> float:
        return float(np.mean(start.loss_.value(y, raw)))

    assert mean_loss(raw) < 0.8 * mean_loss(start.predict_raw(X))
    # The intercept counted twice.
    assert abs(mean_loss(go_on(start, X, y, 10, complete=False)) - mean_loss(raw)) > 0.003


def test_named_metrics_of_complete_scores() -> None:
    loss = SquaredError(link="log").fit([1.0, 3.0])
    y, raw = np.array([1.0, 3.0]), np.log([2.0, 2.0])
    for engine in ("lightgbm", "xgboost"):
        assert metric("mae", engine, "sklearn", loss=loss, complete=True)(y, raw, None) in (1.0, ("mae", 1.0, False))
    assert metric("mae", "catboost", loss=loss, complete=True).evaluate([raw], y, None)[0] == pytest.approx(1.0)


def test_a_complete_objective_differs_by_its_start_alone() -> None:
    y = np.array([1.0, 3.0, 8.0])
    loss = SquaredError(link="log").fit(y)
    bare, complete = objective(loss, "xgboost", "sklearn"), objective(loss, "xgboost", "sklearn", complete=True)
    scores = np.array([0.1, -0.2, 0.3])
    for got, want in zip(complete(y, scores + loss.intercept_), bare(y, scores), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6)
