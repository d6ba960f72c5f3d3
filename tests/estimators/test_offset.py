"""Rows that bring an offset or an exposure: in training, early stopping, calibration, prediction and files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    GBRegressor,
    HurdleRegressor,
    OrdinalRegressor,
    WCERegressor,
    ZILNRegressor,
    load,
    report,
)
from gbreg.compare import compare
from gbreg.engines import ENGINES
from gbreg.losses import LogUniform, PointwiseLoss, Poisson
from gbreg.metrics import pcoc
from gbreg.plots import CalibrationDisplay
from gbreg.tuning import TunedRegressor, tune
from tests.cases import CASES, inside
from tests.estimators.test_regressor import BY_WEIGHT

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
catboost = pytest.importorskip("catboost")

every_engine = pytest.mark.parametrize("engine", ENGINES)
every_loss = pytest.mark.parametrize("loss", CASES, ids=repr)


def policies(n: int = 1500, seed: int = 0) -> tuple[Any, Any, Any]:
    """Claims of policies that ran from a tenth of a year to three."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    exposure = rng.uniform(0.1, 3.0, n)
    return X, rng.poisson(exposure * np.exp(0.6 * X[:, 0] - 1.0)).astype(float), exposure


def small(loss: Any = "poisson", engine: str = "lightgbm", **more: Any) -> GBRegressor:
    return GBRegressor(loss, engine=engine, **{"n_estimators": 12, "max_leaves": 6, "n_jobs": 1, **more})


def shifted(loss: PointwiseLoss, n: int = 300) -> tuple[Any, Any, Any]:
    """Features, labels inside the loss's domain, and offsets of a size that its link bears."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(n, 3))
    offset = 0.5 * rng.normal(size=n)
    y = inside(loss, np.exp(X[:, 0] + offset + 0.3 * rng.normal(size=n)))
    return X, y, offset


# -- the best constant beside an offset --------------------------------------------------------------------------------


@every_loss
def test_no_intercept_near_is_better(loss: PointwiseLoss) -> None:
    _, y, offset = shifted(loss)
    fitted = clone(loss).fit(y, offset=offset)
    best = fitted.value(y, fitted.intercept_[0] + offset).sum()
    for away in (-0.03, -0.003, 0.003, 0.03):
        assert fitted.value(y, fitted.intercept_[0] + away + offset).sum() >= best - 1e-9 * abs(best)


@every_loss
def test_one_offset_for_all_rows_moves_the_intercept(loss: PointwiseLoss) -> None:
    _, y, _ = shifted(loss)
    plain, moved = clone(loss).fit(y), clone(loss).fit(y, offset=np.full(y.size, 0.25))
    at = [plain.value(y, np.full(y.size, score)).sum() for score in (plain.intercept_[0], moved.intercept_[0] + 0.25)]
    assert at[1] <= at[0] + 1e-9 * abs(at[0]) + 1e-9


def test_labels_at_the_end_of_a_link_bound_the_intercept() -> None:
    y, offset = np.array([0.0, 0.0, 3.0, 1.0]), np.array([1.0, -2.0, 0.5, 0.0])
    fitted = Poisson().fit(y, offset=offset)
    assert fitted.intercept_[0] == pytest.approx(np.log(4.0 / np.exp(offset).sum()), rel=1e-12)
    assert Poisson().fit(np.zeros(4), offset=offset).constant_ == 0.0


# -- training ----------------------------------------------------------------------------------------------------------


def own_channel(model: GBRegressor, X: Any, y: Any, start: Any) -> Any:
    """What the engine's own Poisson training from there adds to it, with the parameters and weights of a model."""
    weight = np.full(y.size, 1.0 / float(model.loss_.hessian_scale_))
    shared = {"learning_rate": model.learning_rate, "max_leaves": model.max_leaves}
    if model.engine == "lightgbm":
        given = {**shared, "objective": "poisson", "boost_from_average": False, "verbosity": -1, "num_threads": 1}
        given |= {"min_data_in_leaf": model.min_child_samples, "min_sum_hessian_in_leaf": 0.0, "max_bin": model.max_bins}
        data = lgb.Dataset(X, y, weight=weight, init_score=start)
        return lgb.train(given, data, model.n_estimators).predict(X, raw_score=True)
    if model.engine == "xgboost":
        given = {**shared, "objective": "count:poisson", "tree_method": "hist", "grow_policy": "lossguide", "max_depth": 0}
        given |= {"min_child_weight": model.min_child_samples, "reg_lambda": 0.0, "max_bin": model.max_bins, "nthread": 1}
        data = xgb.QuantileDMatrix(X, y, base_margin=start, max_bin=model.max_bins)
        data.set_weight(weight)  # afterwards: by rounding, equal weights make other bins than none
        booster = xgb.train(given, data, model.n_estimators)
        return booster.predict(xgb.DMatrix(X, base_margin=np.zeros(y.size)), output_margin=True)
    given = {**shared, "loss_function": "Poisson", "iterations": model.n_estimators, "grow_policy": "Lossguide", "depth": 16}
    given |= {"min_data_in_leaf": model.min_child_samples, "bootstrap_type": "No", "border_count": model.max_bins - 1}
    given |= {"l2_leaf_reg": 0.0, "leaf_estimation_iterations": 1, "random_strength": 0.0, "boost_from_average": False}
    given |= {"thread_count": 1, "allow_writing_files": False, "logging_level": "Silent", "random_seed": 0}
    booster = catboost.CatBoost(given).fit(catboost.Pool(X, y, weight=weight, baseline=start[:, None]))
    return booster.predict(X, prediction_type="RawFormulaVal")


@every_engine
def test_a_native_loss_trains_as_from_the_engines_own_start(engine: str) -> None:
    X, y, exposure = policies()
    model = small(engine=engine, native=True).fit(X, y, exposure=exposure)
    start = model.loss_.intercept_[0] + np.log(exposure)
    ours = model.predict_raw(X, exposure=exposure) - start
    assert np.ptp(ours) > 0.5
    np.testing.assert_allclose(ours, own_channel(model, X, y, start), rtol=1e-4, atol=1e-5)


@every_engine
@pytest.mark.parametrize("native", ["auto", False])
def test_an_exposure_multiplies_what_is_predicted(engine: str, native: Any) -> None:
    X, y, exposure = policies()
    model = small(engine=engine, native=native, n_estimators=40).fit(X, y, exposure=exposure)
    once = model.predict(X, exposure=exposure)
    np.testing.assert_allclose(model.predict(X, exposure=3.0 * exposure), 3.0 * once, rtol=1e-12)
    assert once.sum() == pytest.approx(y.sum(), rel=0.02)
    rate = model.predict(X, exposure=np.ones(y.size))
    assert np.corrcoef(np.log(rate), X[:, 0])[0, 1] > 0.9
    # In another unit of exposure the same amounts are predicted.
    days = small(engine=engine, native=native, n_estimators=40).fit(X, y, exposure=365.0 * exposure)
    np.testing.assert_allclose(days.predict(X, exposure=365.0 * exposure), once, rtol=1e-3)


@every_engine
@every_loss
def test_no_round_raises_the_training_loss(loss: PointwiseLoss, engine: str) -> None:
    X, y, offset = shifted(loss)
    model = GBRegressor(
        clone(loss), engine=engine, n_estimators=8, learning_rate=0.3, max_leaves=6, min_child_samples=5, n_jobs=1
    )
    model.fit(X, y, offset=offset, eval_set=(X, y), eval_offset=offset)
    start = model.loss_.value(y, model.loss_.intercept_[0] + offset).mean()
    means = [start, *next(iter(model.evals_result_["validation_0"].values()))]
    assert np.diff(means).max() <= 1e-6 * abs(start) + 1e-12
    assert means[-1] < start
    raw = model.predict_raw(X, offset=offset)
    assert model.loss_.value(y, raw).mean() == pytest.approx(means[-1], rel=1e-4)


@every_engine
def test_offsets_of_0_change_nothing(engine: str) -> None:
    X, y, _ = policies()
    plain = small(engine=engine).fit(X, y)
    zero = small(engine=engine).fit(X, y, offset=np.zeros(y.size))
    np.testing.assert_allclose(zero.predict(X, offset=np.zeros(y.size)), plain.predict(X), rtol=1e-5)
    assert plain.carried_ == ()
    assert zero.carried_ == ("offset",)


@every_engine
def test_an_integer_weight_is_repetition(engine: str) -> None:
    X, y, exposure = policies(400, seed=1)
    X = np.round(2 * X) / 2  # few values: the bins do not count rows
    times = np.random.default_rng(0).integers(0, 4, y.size)
    model = small(engine=engine, n_estimators=5, max_leaves=4, min_child_samples=1, engine_params=BY_WEIGHT.get(engine))
    weighted = clone(model).fit(X, y, times, exposure=exposure)
    repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times), exposure=np.repeat(exposure, times))
    assert repeated.loss_.intercept_[0] == pytest.approx(weighted.loss_.intercept_[0], rel=1e-9)
    np.testing.assert_allclose(repeated.predict(X, exposure=exposure), weighted.predict(X, exposure=exposure), rtol=1e-5)


@every_engine
def test_held_out_rows_bring_their_own(engine: str) -> None:
    X, y, exposure = policies()
    held_out = {"validation_fraction": 0.5, "random_state": 0}
    model = small(engine=engine, n_estimators=300, early_stopping_rounds=10, calibration="ratio", **held_out)
    model.fit(X, y, exposure=exposure, offset=np.where(X[:, 1] > 0, 0.5, 0.0))
    assert 0 < model.best_iteration_ < 300
    predicted = model.predict(X, exposure=exposure, offset=np.where(X[:, 1] > 0, 0.5, 0.0))
    assert predicted.sum() == pytest.approx(y.sum(), rel=0.1)


@every_engine
def test_columns_that_do_not_vary_leave_the_best_rate(engine: str) -> None:
    _, y, exposure = policies(200)
    model = small(engine=engine).fit(np.zeros((200, 2)), y, exposure=exposure)
    rate = y.sum() / exposure.sum()
    np.testing.assert_allclose(model.predict(np.zeros((3, 2)), exposure=[1, 2, 4]), [rate, 2 * rate, 4 * rate])


@every_engine
def test_frames_files_and_copies(engine: str, tmp_path: Path) -> None:
    X, y, exposure = policies(400)
    frame = pd.DataFrame(X, columns=["age", "power", "area"])
    model = small(engine=engine).fit(frame, y, exposure=pd.Series(exposure))
    want = model.predict(frame, exposure=exposure)
    model.save(tmp_path / "model.gbreg")
    for other in (load(tmp_path / "model.gbreg"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(other.predict(frame, exposure=exposure), want)
        with pytest.raises(ValueError, match="exposure is missing"):
            other.predict(frame)
    np.testing.assert_array_equal(clone(model).fit(frame, y, exposure=exposure).predict(frame, exposure=exposure), want)
    np.testing.assert_array_equal(model.predict(frame[:1], exposure=exposure[:1]), want[:1])


def test_scikit_learn_routes_them() -> None:
    X, y, exposure = policies(400)
    with sklearn.config_context(enable_metadata_routing=True):
        model = small().set_fit_request(exposure=True).set_predict_request(exposure=True).set_score_request(exposure=True)
        piped = make_pipeline(StandardScaler(), model)
        piped.fit(X, y, exposure=exposure)
        predicted, score = piped.predict(X, exposure=exposure), piped.score(X, y, exposure=exposure)
        if not sklearn.__version__.startswith("1.6."):  # which hands nothing on to a model's own score
            assert cross_val_score(piped, X, y, cv=3, params={"exposure": exposure}).min() > 0.1
    assert score == pytest.approx(r2_score(y, predicted), rel=1e-12)
    assert predicted.sum() == pytest.approx(y.sum(), rel=0.05)
    plain = small().fit(X, y, exposure=exposure)
    assert plain.score(X, y, exposure=exposure) == pytest.approx(r2_score(y, plain.predict(X, exposure=exposure)), rel=1e-12)


# -- comparing and tuning ----------------------------------------------------------------------------------------------


def test_models_are_compared_by_amounts() -> None:
    X, y, exposure = visits()
    here, there = slice(0, 2000), slice(2000, None)
    given = {"exposure": exposure[here], "test_exposure": exposure[there], "keep_predictions": True}
    losses = ["tweedie", "hurdle:loss=gamma", "wce", "squared_error"]
    boosting = {"n_estimators": 10, "n_jobs": 1}
    board = compare(X[here], y[here], X[there], y[there], losses=losses, estimator=boosting, **given)
    assert [row.loss for row in board.skipped] == ["wce", "squared_error"]
    model = GBRegressor("tweedie", random_state=None, **boosting).fit(X[here], y[here], exposure=exposure[here])
    want = model.predict(X[there], exposure=exposure[there])
    np.testing.assert_array_equal(board.predictions["tweedie", "lightgbm", ""], want)
    rate = y[here].sum() / exposure[here].sum()
    assert board.baseline.mae == pytest.approx(np.abs(y[there] - rate * exposure[there]).mean(), rel=1e-12)
    with pytest.raises(ValueError, match="test_exposure is missing: fit was given exposure="):
        compare(X[here], y[here], X[there], y[there], exposure=exposure[here])


def test_trials_are_measured_by_amounts() -> None:
    X, y, exposure = visits()
    frame = pd.DataFrame(X, columns=["orders", "basket", "other"])
    model = GBRegressor("tweedie", n_estimators=10, n_jobs=1, early_stopping_rounds=5)
    asked = {"metric": "mae", "n_trials": 3, "space": {"learning_rate": LogUniform(0.05, 0.3)}}
    held = {"eval_set": (frame[2000:], y[2000:]), "eval_exposure": exposure[2000:]}
    found = tune(model, frame[:2000], y[:2000], exposure=exposure[:2000], refit=False, **held, **asked)
    again = found.best_estimator_.fit(frame[:2000], y[:2000], exposure=exposure[:2000])
    predicted = again.predict(frame[2000:], exposure=exposure[2000:])
    assert np.abs(y[2000:] - predicted).mean() == pytest.approx(found.best_score_, rel=1e-9)
    tuned = TunedRegressor(model, **asked, random_state=0)
    tuned.fit(frame, y, exposure=exposure)
    assert list(tuned.best_estimator_.feature_names_in_) == ["orders", "basket", "other"]
    once = tuned.predict(frame, exposure=exposure)
    np.testing.assert_allclose(tuned.predict(frame, exposure=2 * exposure), 2 * once, rtol=1e-12)
    with pytest.raises(ValueError, match="exposure is missing"):
        tuned.predict(frame)
    with pytest.raises(ValueError, match="eval_exposure= belongs to the rows of eval_set="):
        tune(model, frame, y, eval_exposure=exposure, **asked)
    with pytest.raises(ValueError, match="eval_set: eval_exposure is missing"):
        tune(model, frame, y, exposure=exposure, eval_set=(frame, y), **asked)


def test_a_study_of_another_exposure_is_another(tmp_path: Path) -> None:
    X, y, exposure = visits(300)
    model = GBRegressor("tweedie", n_estimators=3, n_jobs=1)
    asked = {
        "metric": "mae",
        "n_trials": 2,
        "storage": tmp_path / "study.db",
        "space": {"learning_rate": LogUniform(0.05, 0.3)},
    }
    first = tune(model, X, y, exposure=exposure, **asked)
    assert tune(model, X, y, exposure=exposure, **asked).best_score_ == first.best_score_
    with pytest.raises(ValueError, match="other exposure"):
        tune(model, X, y, exposure=2 * exposure, **asked)
    with pytest.raises(ValueError, match="exposure then alone"):
        tune(model, X, y, **asked)


def test_losses_that_take_none_are_not_searched() -> None:
    X, y, exposure = visits(600)
    model = GBRegressor(n_estimators=3, n_jobs=1)
    found = tune(
        model, X, y, exposure=exposure, metric="mae", n_trials=4, losses=["tweedie", "ziln", "wce", "squared_error"]
    )
    assert dict(found.skipped_)["wce"].startswith("exposure: WCERegressor does not take it")
    assert {trial.parameters["recipe"] for trial in found.trials_} <= {
        "tweedie",
        "ziln:functional=median",
        "squared_error:link=log",
    }
    with pytest.raises(ValueError, match="exposure: OrdinalRegressor does not take it"):
        tune(OrdinalRegressor(), X, y, exposure=exposure, metric="mae")


# -- pages and plots ---------------------------------------------------------------------------------------------------


def test_pages_and_plots_are_of_amounts(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    X, y, exposure = visits(1500)
    exposed = ZILNRegressor(n_estimators=10, n_jobs=1).fit(X, y, exposure=exposure)
    plain = small("tweedie").fit(X, y)
    page = report({"exposed": exposed, "plain": plain}, X, y, exposure=exposure, path=tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    assert f"{pcoc(y, exposed.predict(X, exposure=exposure)):.2f}" in text
    assert "gbreg.report({&#39;exposed&#39;: exposed, &#39;plain&#39;: plain}, X, y, exposure=exposure)" in text
    with pytest.raises(ValueError, match="exposure is missing"):
        report(exposed, X, y, path=tmp_path / "other.html")
    with pytest.raises(ValueError, match="exposure: no model was fitted with exposure=, leave it out"):
        report(plain, X, y, exposure=exposure, path=tmp_path / "other.html")
    assert not (tmp_path / "other.html").exists()
    drawn = CalibrationDisplay.from_estimator(exposed, X, y, exposure=exposure)
    by_hand = CalibrationDisplay.from_predictions(y, exposed.predict(X, exposure=exposure))
    np.testing.assert_array_equal(drawn.ax_.lines[0].get_xydata(), by_hand.ax_.lines[0].get_xydata())


# -- what cannot be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"exposure": [1.0, 0.0, -1.0, 2.0]}, "exposure must be positive; 2 of 4 values are not (first at row 1)"),
        ({"exposure": [1.0, np.nan, 1.0, 2.0]}, "exposure must be finite"),
        ({"offset": [0.0, np.inf, 1.0, 2.0]}, "offset must be finite"),
        ({"offset": [0.0, 1.0]}, "offset must be one-dimensional with one entry a row, 4"),
        ({"offset": np.zeros((4, 1))}, "offset must be one-dimensional with one entry a row, 4"),
        ({"exposure": ["a", "b", "c", "d"]}, "exposure must be numbers"),
    ],
)
def test_what_rows_cannot_bring(given: Any, said: str) -> None:
    X, y = np.arange(4.0)[:, None], np.array([0.0, 1.0, 2.0, 3.0])
    with pytest.raises(ValueError) as raised:
        small().fit(X, y, **given)
    assert said in str(raised.value)


def test_who_does_not_take_them() -> None:
    X, y, exposure = policies(100)
    with pytest.raises(
        ValueError, match="exposure: ZILNRegressor takes it as a hurdle of two boosters: set factorized=True"
    ):
        ZILNRegressor(factorized=False).fit(X, y, exposure=exposure)
    with pytest.raises(
        ValueError, match="exposure: BucketRegressor takes it as a hurdle of two boosters: set zeros='hurdle'"
    ):
        BucketRegressor(zeros="bucket").fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match="classifier: with an exposure 'cloglog' stands in for 'bernoulli', and no engine"):
        HurdleRegressor(small("bernoulli", native=True), small("gamma")).fit(X, y, exposure=exposure)
    for one in (OrdinalRegressor(), WCERegressor()):
        with pytest.raises(ValueError, match=f"exposure: {type(one).__name__} does not take it: use a GBRegressor"):
            one.fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match="offset: a HurdleRegressor has two raw scores"):
        ZILNRegressor().fit(X, y, offset=exposure)
    with pytest.raises(ValueError, match=r"offset: LogNormal.* has several outputs"):
        small("log_normal").fit(X, y + 1, offset=exposure)
    with pytest.raises(ValueError, match=r"link='identity' of SquaredError.* use a loss on link='log', 'cloglog' for"):
        small("squared_error").fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match=r"classifier: exposure multiplies a rate, which link='identity' of SquaredError"):
        HurdleRegressor(small("squared_error"), small("gamma")).fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match=r"regressor: exposure: LogNormal.* has several outputs"):
        HurdleRegressor(small("bernoulli"), small("log_normal"), exposure_on="severity").fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match="exposure: classifier=LogisticRegression cannot be given rows that bring one"):
        HurdleRegressor(LogisticRegression(), small("gamma")).fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match="exposure: estimator=Pipeline takes none: use one of gbreg"):
        CalibratedRegressor(make_pipeline(StandardScaler(), small())).fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match="'exposure_on' parameter of HurdleRegressor must be a str among"):
        HurdleRegressor(small("bernoulli"), small("gamma"), exposure_on="whether").fit(X, y)


# -- models of two parts, and calibrated ones --------------------------------------------------------------------------


def visits(n: int = 3000, seed: int = 0) -> tuple[Any, Any, Any]:
    """Spend of customers seen for up to three months: orders come at a rate, and how much is spent does not depend on it."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    exposure = rng.uniform(0.2, 3.0, n)
    any_ = rng.random(n) < -np.expm1(-exposure * np.exp(0.7 * X[:, 0] - 1.0))
    return X, np.where(any_, np.exp(1.0 + 0.5 * X[:, 1] + 0.3 * rng.normal(size=n)), 0.0), exposure


EXPOSED = {
    "hurdle": lambda **given: HurdleRegressor(GBRegressor("bernoulli", **given), GBRegressor("gamma", **given)),
    "ziln": lambda **given: ZILNRegressor(**given),
    "buckets": lambda **given: BucketRegressor(n_buckets=8, **given),
    "calibrated": lambda **given: CalibratedRegressor(ZILNRegressor(**given), cv=2),
}


@every_engine
@pytest.mark.parametrize("which", EXPOSED)
def test_an_exposure_says_whether_and_not_how_much(which: str, engine: str, tmp_path: Path) -> None:
    X, y, exposure = visits()
    frame = pd.DataFrame(X, columns=["orders", "basket", "other"])
    frame["shop"] = pd.Categorical(np.where(X[:, 2] > 0, "old", "new"))
    model = EXPOSED[which](engine=engine, n_estimators=40, max_leaves=6, n_jobs=1).fit(frame, y, exposure=exposure)
    assert model.carried_ == ("exposure",)
    got = model.predict(frame, exposure=exposure)
    assert got.sum() == pytest.approx(y.sum(), rel=0.05)
    np.testing.assert_array_equal(model.predict(frame.astype({"shop": "str"}), exposure=exposure), got)
    hurdle = model
    while not isinstance(hurdle, HurdleRegressor):
        hurdle = hurdle.estimator_ if isinstance(hurdle, CalibratedRegressor) else hurdle.model_
    assert hurdle.classifier_.loss_.name == "cloglog"
    # P(y > 0) = 1 - exp(-rate * exposure), of the same rate for every exposure.
    none = [1.0 - hurdle.predict_probability(frame, exposure=times * exposure) for times in (1.0, 2.0)]
    np.testing.assert_allclose(none[1], none[0] ** 2, rtol=1e-9)
    assert np.corrcoef(-np.log(none[0]) / exposure, np.exp(0.7 * X[:, 0]))[0, 1] > 0.85
    if which == "calibrated":
        return
    # How much is expected of a positive row does not depend on it.
    much = [
        model.predict(frame, exposure=e) / hurdle.predict_probability(frame, exposure=e) for e in (exposure, 9 * exposure)
    ]
    np.testing.assert_allclose(much[0], much[1], rtol=1e-9)
    model.save(tmp_path / "model.gbreg")
    np.testing.assert_array_equal(load(tmp_path / "model.gbreg").predict(frame, exposure=exposure), got)
    if which != "hurdle":
        distribution = model.predict_distribution(frame, exposure=exposure)
        np.testing.assert_allclose(distribution.cdf(np.zeros(y.size)), none[0], rtol=1e-9)
        np.testing.assert_array_equal(model.predict_quantile(frame, 0.9, exposure=exposure), distribution.quantile(0.9))
        np.testing.assert_array_equal(model.predict(frame, "median", exposure=exposure), distribution.quantile(0.5))
    with pytest.raises(ValueError, match="exposure is missing: fit was given exposure="):
        model.predict(frame)


@every_engine
def test_an_exposure_may_say_how_much(engine: str) -> None:
    X, y, exposure = visits()
    parts = (small("bernoulli", engine), small("gamma", engine))
    model = HurdleRegressor(*parts, exposure_on="severity").fit(X, y * exposure, exposure=exposure)
    assert model.classifier_.loss_.name == "bernoulli"
    np.testing.assert_allclose(
        model.predict(X, exposure=3.0 * exposure), 3.0 * model.predict(X, exposure=exposure), rtol=1e-12
    )
    assert model.predict_probability(X, exposure=exposure) == pytest.approx(
        model.predict_probability(X, exposure=np.ones(y.size))
    )


@every_engine
def test_a_rate_is_found_however_long_rows_were_watched(engine: str) -> None:
    """Of two columns of which one tells the exposure, a model that is given it learns that the other tells the rate."""
    rng = np.random.default_rng(1)
    exposure = np.where(rng.random(4000) < 0.5, 0.1, 3.0)
    X = np.column_stack([exposure + 0.01 * rng.normal(size=4000), rng.integers(0, 2, 4000)])
    y = (rng.random(4000) < -np.expm1(-exposure * np.where(X[:, 1] > 0, 1.0, 0.25))).astype(float)
    model = small("cloglog", engine, n_estimators=60, max_leaves=2).fit(X, y, exposure=exposure)
    rate = -np.log1p(-model.predict(X, exposure=np.ones(y.size)))
    by_column = [rate[X[:, 1] == group].mean() for group in (0, 1)]
    np.testing.assert_allclose(by_column, [0.25, 1.0], rtol=0.2)
    assert model.feature_importances_[1] > 0.9


def test_hold_out_eval_sets_and_groups_bring_their_own() -> None:
    X, y, exposure = visits()
    model = ZILNRegressor(n_estimators=200, early_stopping_rounds=10, calibration="ratio", n_jobs=1, random_state=0)
    held_out = clone(model).fit(X, y, exposure=exposure, groups=np.arange(y.size) // 3)
    assert 0 < held_out.best_iteration_[0] < 200
    given = clone(model).fit(
        X[:2000], y[:2000], exposure=exposure[:2000], eval_set=(X[2000:], y[2000:]), eval_exposure=exposure[2000:]
    )
    assert given.predict(X[2000:], exposure=exposure[2000:]).sum() == pytest.approx(y[2000:].sum(), rel=1e-6)
    with pytest.raises(ValueError, match=r"eval_set\[0\]: eval_exposure is missing"):
        clone(model).fit(X, y, exposure=exposure, eval_set=(X, y))


def test_maps_of_segments_and_prefit_models_are_of_amounts() -> None:
    X, y, exposure = visits()
    frame = pd.DataFrame(X).assign(shop=pd.Categorical(np.where(X[:, 2] > 0, "old", "new"))).rename(columns=str)
    y = np.where(frame["shop"] == "old", 3.0 * y, y)
    prefit = small(n_estimators=20).fit(frame[:1500], y[:1500], exposure=exposure[:1500])
    model = CalibratedRegressor(prefit, "ratio", cv="prefit", segment="shop")
    with pytest.raises(ValueError, match="exposure is missing: fit was given exposure="):
        model.fit(frame[1500:], y[1500:])
    model.fit(frame[1500:], y[1500:], exposure=exposure[1500:])
    got = model.predict(frame[1500:], exposure=exposure[1500:])
    for shop in ("old", "new"):
        here = (frame["shop"] == shop).to_numpy()[1500:]
        assert got[here].sum() == pytest.approx(y[1500:][here].sum(), rel=0.05)


def test_one_label_under_exposures_stops_early() -> None:
    X, _, exposure = policies()
    exposure = exposure * np.exp(X[:, 0])
    model = small(n_estimators=400, learning_rate=0.3, early_stopping_rounds=5, random_state=0)
    model.fit(X, np.ones(X.shape[0]), exposure=exposure)
    assert 0 < model.best_iteration_ < 400


def test_a_refused_fit_leaves_the_model_as_it_was() -> None:
    X, y, exposure = visits(300)
    for model in (small("tweedie"), EXPOSED["hurdle"](n_estimators=3, n_jobs=1), ZILNRegressor(n_estimators=3, n_jobs=1)):
        model.fit(X, y, exposure=exposure)
        before = model.predict(X, exposure=exposure)
        with pytest.raises(ValueError, match="needs y in"):
            model.fit(X, -y - 1.0)
        np.testing.assert_array_equal(model.predict(X, exposure=exposure), before)
        model.fit(X, y)
        with pytest.raises(ValueError, match="needs y in"):
            model.fit(X, -y - 1.0, exposure=exposure)
        assert np.isfinite(model.predict(X)).all()
        with pytest.raises(ValueError, match=r"eval_set\[0\].*needs y in"):
            model.fit(X, y, exposure=exposure, eval_set=(X, -y - 1.0), eval_exposure=exposure)
        listed = clone(model).fit(X.tolist(), y.tolist(), exposure=exposure.tolist())
        np.testing.assert_array_equal(listed.predict(X, exposure=exposure), before)


def test_what_belongs_to_sets_needs_some() -> None:
    X, y, exposure = visits(300)
    for model in (small("tweedie"), EXPOSED["hurdle"](n_estimators=3, n_jobs=1), CalibratedRegressor(small("tweedie"))):
        with pytest.raises(ValueError, match="eval_exposure= belongs to the rows of eval_set="):
            model.fit(X, y, exposure=exposure, eval_exposure=exposure)
        with pytest.raises(ValueError, match="eval_sample_weight= belongs to the rows of eval_set="):
            model.fit(X, y, exposure=exposure, eval_sample_weight=exposure)


def test_a_search_inside_a_calibration() -> None:
    X, y, exposure = visits(600)
    search = TunedRegressor(small("tweedie", n_estimators=5), n_trials=1, random_state=0)
    model = CalibratedRegressor(search, "ratio", cv=2).fit(X, y, exposure=exposure)
    once = model.predict(X, exposure=exposure)
    np.testing.assert_allclose(model.predict(X, exposure=2 * exposure), 2 * once, rtol=1e-12)


def test_predict_asks_for_what_fit_was_given() -> None:
    X, y, exposure = policies(100)
    model = small().fit(X, y, exposure=exposure)
    with pytest.raises(ValueError, match="exposure is missing: fit was given exposure=, and every row needs its own"):
        model.predict(X)
    with pytest.raises(ValueError, match="offset: fit was given none: leave it out, or fit with offset="):
        model.predict(X, exposure=exposure, offset=exposure)
    with pytest.raises(ValueError, match="exposure is missing"):
        model.predict_raw(X)
    with pytest.raises(ValueError, match="exposure: fit was given none"):
        small().fit(X, y).predict(X, exposure=exposure)
    with pytest.raises(ValueError, match=r"eval_set\[0\]: eval_exposure is missing"):
        small().fit(X, y, exposure=exposure, eval_set=(X, y))
    with pytest.raises(
        ValueError, match="eval_exposure lists 2 arrays for 1 evaluation sets: a list holds one array for each set"
    ):
        small().fit(X, y, exposure=exposure, eval_set=(X, y), eval_exposure=[exposure, exposure])


def test_catboost_leaves_out_what_needs_no_start() -> None:
    X, y, exposure = policies(100)
    with pytest.raises(ValueError, match=r"\['langevin'\]: catboost leaves them out where rows have offsets"):
        small(engine="catboost", native=False, engine_params={"langevin": True}).fit(X, y, exposure=exposure)
