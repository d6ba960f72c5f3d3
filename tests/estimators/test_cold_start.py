"""ColdStartRegressor: what local boosters add, when they are kept, who is left alone, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import TimeSeriesSplit
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import gbreg
from gbreg import BucketRegressor, CalibratedRegressor, ColdStartRegressor, GBRegressor
from gbreg.compare import compare, parse_model
from gbreg.datasets import make_gmv, make_watch_time
from gbreg.engines import ENGINES
from gbreg.estimators.gain import Gate, Part, trial_of
from gbreg.losses import Huber
from gbreg.tuning import tune
from tests.engines.test_constraints import steepest_fall

FAST: dict[str, Any] = {"n_estimators": 20, "max_leaves": 4, "n_jobs": 1, "random_state": 0}
ALONE = "ignore:ColdStartRegressor. the global model predicts all rows:UserWarning"


def small(loss: Any = "squared_error", **more: Any) -> GBRegressor:
    return GBRegressor(loss, **FAST | more)


def turned(n: int = 1500, share: float = 0.2, seed: int = 0) -> tuple[Any, Any, Any]:
    """Labels that rise with the first column, and fall with it where the activity, the second, is small."""
    rng = np.random.default_rng(seed)
    cold = rng.random(n) < share
    X = np.column_stack([rng.normal(size=n), np.where(cold, rng.integers(0, 3, n), rng.integers(20, 99, n))])
    return X, np.where(cold, -1.0, 1.0) * X[:, 0] + 0.5 * rng.normal(size=n), cold


STUMPS: dict[str, Any] = {"max_leaves": 2}  # which cannot tell cold from warm rows by themselves


# -- what it predicts


@pytest.mark.parametrize("engine", ENGINES)
def test_the_raw_score_is_that_of_the_sum(engine: str) -> None:
    X, y, cold = turned()
    model = ColdStartRegressor(small(engine=engine, **STUMPS), gate=1, scale=3.0, cv=2).fit(X, y)
    (local,), (share,) = model.locals_, model.shares_
    gate = 1 / (1 + (X[:, 1] / 3.0) ** 4)
    gate[gate < 0.05] = 0.0
    assert (gate[~cold] == 0).all()
    raw = model.estimator_.predict_raw(X)
    want = raw + gate * share * local.predict_raw(X, offset=np.zeros(len(X)))
    np.testing.assert_allclose(model.predict_raw(X), want, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(model.predict_raw(X)[~cold], raw[~cold])  # to the last bit
    size = gate.sum() ** 2 / (gate**2).sum()
    assert share == pytest.approx(size / (size + 100.0))
    errors = [np.abs(y - predicted)[cold].mean() for predicted in (model.estimator_.predict(X), model.predict(X))]
    assert errors[1] < 0.8 * errors[0]


def test_the_local_booster_is_trained_on_weighted_rows_from_the_global_score() -> None:
    X, y, _ = turned()
    weight = np.random.default_rng(1).uniform(0.5, 2.0, len(y))
    estimator = small(Huber(link="identity"), **STUMPS)
    model = ColdStartRegressor(estimator, gate=1, scale=3.0, local={"n_estimators": 7}, cv=2).fit(X, y, weight)
    gate = model._opened(X[:, 1], 3.0)
    at = gate > 0
    parameters = {"n_estimators": 7, "learning_rate": 0.1, "max_depth": 1, "reg_lambda": 10.0}
    whole = clone(estimator).fit(X, y, weight)
    local = clone(estimator).set_params(**parameters)
    local.fit(X[at], y[at], (gate * weight)[at], offset=whole.predict_raw(X[at]))
    np.testing.assert_array_equal(model.estimator_.predict(X), whole.predict(X))
    none = np.zeros(len(X))
    np.testing.assert_array_equal(model.locals_[0].predict_raw(X, offset=none), local.predict_raw(X, offset=none))


def test_segments_have_boosters_of_their_own_and_others_the_global_one() -> None:
    rng = np.random.default_rng(0)
    land = rng.choice(["a", "b", "few"], 1600, p=[0.6, 0.3, 0.1])
    X = pd.DataFrame({"x": rng.normal(size=1600), "land": pd.Categorical(land)})
    y = np.where(land == "b", -1.0, 1.0) * X["x"].to_numpy() + 0.5 * rng.normal(size=1600)
    model = ColdStartRegressor(small(**STUMPS), segment="land", cv=3).fit(X, y)
    assert model.values_ == ["a", "b"]
    assert [trial["value"] for trial in model.trials_] == ["a", "b"]
    whole, raw = model.estimator_.predict_raw(X), model.predict_raw(X)
    np.testing.assert_array_equal(raw[land == "few"], whole[land == "few"])
    assert (raw[land == "b"] != whole[land == "b"]).all()
    new = X[:4].assign(land=pd.Categorical(["zz", None, "few", "b"]))
    unseen, alone = model.predict_raw(new), model.estimator_.predict_raw(new)
    assert (unseen == alone).tolist() == [True, True, True, False]


def test_missing_activity_is_left_to_the_global_model() -> None:
    X, y, cold = turned()
    model = ColdStartRegressor(small(**STUMPS), gate=1, scale=3.0, cv=2).fit(X, y)
    X[:, 1] = np.where(cold, np.nan, X[:, 1])
    np.testing.assert_array_equal(model.predict(X), model.estimator_.predict(X))
    with pytest.raises(ValueError, match=r"gate=1: activity must be at least 0, got -1 \(first at row 0\)"):
        model.predict(np.array([[0.5, -1.0]]))
    again = ColdStartRegressor(small(**STUMPS), gate=1, scale=3.0, cv=2)
    with pytest.warns(UserWarning, match="the global model predicts all rows"):
        again.fit(X, y)
    assert "below min_rows" in again.trials_[0]["why"]


# -- what is kept


@pytest.mark.filterwarnings(ALONE)
@pytest.mark.parametrize("loss", ["squared_error", "absolute_error"])
def test_without_a_difference_the_global_model_is_all_there_is(loss: str) -> None:
    rng = np.random.default_rng(2)
    X = np.column_stack([rng.normal(size=1200), rng.integers(0, 30, 1200)])
    y = X[:, 0] + rng.normal(size=1200)
    with pytest.warns(UserWarning, match=r"the global model predicts all rows, for no local booster .* \(see trials_\)"):
        model = ColdStartRegressor(small(loss, n_estimators=60), gate=1, cv=3).fit(X, y)
    assert model.locals_ == []
    np.testing.assert_array_equal(model.predict(X), model.estimator_.predict(X))
    np.testing.assert_array_equal(model.predict(X), small(loss, n_estimators=60).fit(X, y).predict(X))
    assert not any(trial["kept"] for trial in model.trials_)
    assert "held-out rows do not gain more than 1.5 standard errors" in {trial["why"] for trial in model.trials_}


def test_of_several_scales_the_surest_is_kept() -> None:
    X, y, _ = turned(2000)
    model = ColdStartRegressor(small(**STUMPS), gate=1, cv=3).fit(X, y)
    assert 2 <= len(model.trials_) <= 4
    kept = [trial for trial in model.trials_ if trial["kept"]]
    assert [trial["value"] for trial in kept] == model.values_
    assert kept[0]["gain"] > 1.5 * kept[0]["error"]
    sure = [t["gain"] - t["error"] for t in model.trials_ if "below a half" not in t["why"]]
    assert kept[0]["gain"] - kept[0]["error"] == max(sure)


@pytest.mark.parametrize("maker", [make_watch_time, make_gmv])
def test_cold_users_of_a_known_world_gain_and_warm_ones_do_not_lose(maker: Any) -> None:
    """Judged by the truth: how far predictions are from the means that the labels were drawn about."""
    train, test = (maker(6000, cold_share=0.2, cold_slope=-1.0, random_state=seed) for seed in (0, 1))
    X, later = (np.column_stack([world.data, world.activity]) for world in (train, test))
    estimator = small("tweedie", n_estimators=60, max_leaves=3)
    model = ColdStartRegressor(estimator, gate=X.shape[1] - 1, scale=4.0, cv=3).fit(X, train.target)
    assert len(model.locals_) == 1
    alone, both = model.estimator_.predict(later), model.predict(later)
    far = [np.abs(np.log(predicted / test.mean)) for predicted in (alone, both)]
    gain = (far[0] - far[1])[test.cold]
    assert gain.mean() > 3 * gain.std() / np.sqrt(gain.size)
    np.testing.assert_array_equal(alone[~test.cold], both[~test.cold])


def test_rows_of_one_group_make_one_error() -> None:
    rng = np.random.default_rng(0)
    gained, copies = rng.normal(1.0, 5.0, 400), np.repeat(np.arange(400), 4)
    y, weight = np.zeros(1600), rng.uniform(0.5, 2.0, 400)[copies]
    one, four = (Part(None, y, weight, groups) for groups in (copies, None))
    gates = [Gate("a", np.arange(n), np.ones(n)) for n in (400, 1600)]
    errors = [trial_of(gates[1], of, gained[copies])["error"] for of in (one, four)]
    alone = trial_of(gates[0], Part(None, y[:400], weight[::4], None), gained)
    assert errors[0] == pytest.approx(alone["error"])
    assert errors[1] == pytest.approx(alone["error"] / 2, rel=1e-2)
    assert alone["gain"] == pytest.approx(np.average(gained, weights=weight[::4]))


def test_a_gate_by_which_warm_rows_lose_is_shut() -> None:
    gate = np.repeat([1.0, 0.2], 500)
    gained = np.where(gate == 1.0, 1.0, -0.3) + np.random.default_rng(0).normal(size=1000)
    trial = trial_of(Gate(3.0, np.arange(1000), gate), Part(None, np.zeros(1000), None, None), gained)
    assert trial["gain"] > 2 * trial["error"]
    assert (trial["kept"], trial["why"]) == (False, "held-out rows of a gate below a half lose more than a standard error")


@pytest.mark.filterwarnings(ALONE)
@settings(max_examples=8)
@given(seed=st.integers(0, 999), weighted=st.booleans(), scale=st.sampled_from([None, 0.5, 1e9]))
def test_whatever_the_activity_predictions_are_finite(seed: int, weighted: bool, scale: Any) -> None:
    rng = np.random.default_rng(seed)
    activity = rng.choice([0.0, 1.0, 1e300, np.nan, rng.exponential()], 120)
    X = np.column_stack([rng.normal(size=120), activity])
    y = rng.exponential(size=120)
    weight = rng.integers(0, 3, 120).astype(float) if weighted else None
    model = ColdStartRegressor(small("tweedie", n_estimators=3), gate=1, scale=scale, min_rows=5, cv=2).fit(X, y, weight)
    assert np.isfinite(model.predict(X)).all()
    np.testing.assert_array_equal(model.predict(X)[np.isnan(activity)], model.estimator_.predict(X)[np.isnan(activity)])


@pytest.mark.filterwarnings(ALONE)
@pytest.mark.parametrize("cv", [TimeSeriesSplit(3), [(np.arange(900), np.arange(900, 1500))]], ids=["times", "one"])
def test_splits_that_do_not_test_every_row(cv: Any) -> None:
    X, y, _ = turned()
    model = ColdStartRegressor(small(**STUMPS), gate=1, scale=3.0, cv=cv).fit(X, y)
    assert model.trials_[0]["gain"] > 0
    assert len(model.locals_) == 1


def test_equal_labels_are_predicted() -> None:
    X, y, _ = turned(300)
    with pytest.warns(UserWarning, match="the global model predicts all rows"):
        model = ColdStartRegressor(small(), gate=1, scale=3.0, min_rows=5).fit(X, np.full_like(y, 3.0))
    assert (model.predict(X) == 3.0).all()
    assert "no fold has different labels" in model.trials_[0]["why"]


# -- with other parts


def test_it_travels(tmp_path: Any) -> None:
    X, y, _ = turned()
    frame = pd.DataFrame(X, columns=["x", "n_orders"])
    model = ColdStartRegressor(small(**STUMPS), gate="n_orders", scale=3.0, cv=2).fit(frame, y)
    model.save(tmp_path / "m.gbreg")
    for copy in (gbreg.load(tmp_path / "m.gbreg"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(copy.predict(frame), model.predict(frame))
        assert copy.trials_ == model.trials_
    again = clone(model).fit(frame, y)
    np.testing.assert_array_equal(again.predict(frame), model.predict(frame))
    other = ColdStartRegressor(small(**STUMPS), gate=1, scale=3.0, cv=2)
    np.testing.assert_array_equal(other.fit(X, y).predict(X), model.predict(frame))
    np.testing.assert_array_equal(clone(other).fit(scipy.sparse.csr_matrix(X), y).predict(X), model.predict(frame))
    assert len(list(model.fitted_boosters())) == 2
    piped = make_pipeline(StandardScaler(with_mean=False), clone(other).set_params(scale=0.1)).fit(X, y)
    assert np.isfinite(piped.predict(X)).all()


def test_the_whole_is_calibrated_and_kept_in_order() -> None:
    X, y, _ = turned()
    whole = CalibratedRegressor(ColdStartRegressor(small(**STUMPS), gate=1, scale=3.0, min_rows=50, cv=2), "ratio", cv=2)
    assert whole.fit(X, y + 9).predict(X).sum() == pytest.approx((y + 9).sum(), rel=0.02)
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(1500, 3))
    cold = rng.random(1500) < 0.3
    X[:, 1] += np.where(cold, 0.0, 50.0)
    y = np.where(cold, 4.0, 1.0) * (X[:, 0] + 0.3 * np.sin(12 * X[:, 0]) - X[:, 2]) + 0.3 * rng.normal(size=1500)
    kept = ColdStartRegressor(small(monotone={0: 1, 2: -1}), gate=1, scale=1.0, cv=2)
    free = clone(kept).set_params(estimator=small()).fit(X, y)
    assert kept.fit(X, y).locals_
    assert steepest_fall(kept) >= 0
    assert steepest_fall(free) < -1e-3


def test_early_stopping_watches_the_given_rows() -> None:
    X, y, _ = turned()
    model = ColdStartRegressor(small(early_stopping_rounds=3, n_estimators=400), gate=1, scale=3.0, cv=2)
    model.fit(X, y, eval_set=(X[:300], y[:300] + 0.1), groups=np.arange(len(y)) // 3)
    assert 0 < model.estimator_.best_iteration_ < 400
    assert list(model.estimator_.evals_result_)


@pytest.mark.filterwarnings(ALONE)
def test_words_compare_and_tune_know_it() -> None:
    model = parse_model("coldstart:gate=n,loss=tweedie,scale=3.0")
    assert (model.gate, model.scale, model.estimator.loss.name) == ("n", 3.0, "tweedie")
    assert model.label() == "coldstart:gate=n,scale=3.0,loss=tweedie"
    assert parse_model(model.label()).label() == model.label()
    with pytest.raises(ValueError, match="coldstart:gate=n_orders,loss=poisson or coldstart:segment=country"):
        parse_model("coldstart")
    X, y, _ = turned(600)
    frame = pd.DataFrame(X, columns=["x", "n"])
    board = compare(frame, y, frame, y, losses=["squared_error", "coldstart:gate=n,scale=3.0"], estimator=small(**STUMPS))
    assert [row.loss for row in board.rows] == ["coldstart:gate=n,scale=3.0,loss=squared_error", "squared_error"]
    found = tune(ColdStartRegressor(small(), gate=1, scale=3.0, cv=2), X, y, metric="mae", n_trials=2)
    assert "ColdStartRegressor(" in found.code()
    assert found.best_estimator_.predict(X).shape == (600,)


ANY_TABLE = ColdStartRegressor(small(n_estimators=5), gate=0, scale=1.0, min_rows=5, cv=2)


class Size(ColdStartRegressor):
    """Of the first column's size, which is never negative: scikit-learn's checks draw activities below 0."""

    def _read(self, X: Any, which: Any) -> tuple[int, Any]:
        place, values = super()._read(X, which)
        return place, np.abs(values)


FOLDS = {
    f"check_sample_weight_equivalence_on_{kind}_data": "folds are of rows, and LightGBM counts leaves by rows"
    for kind in ("dense", "sparse")
}


@pytest.mark.filterwarnings(ALONE)
@parametrize_with_checks([Size(**ANY_TABLE.get_params(deep=False))], expected_failed_checks=lambda _: FOLDS)
def test_sklearn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


# -- what is refused


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (
            ColdStartRegressor(LinearRegression(), gate=1),
            TypeError,
            "estimator=LinearRegression: .* give a GBRegressor with",
        ),
        (ColdStartRegressor(BucketRegressor(), gate=1), TypeError, "estimator=BucketRegressor: .* a loss of one output"),
        (
            ColdStartRegressor(small("ziln"), gate=1),
            TypeError,
            r"estimator: ZILN\(\) has several outputs: give a",
        ),
        (ColdStartRegressor(small(calibration="ratio"), gate=1), ValueError, "calibrate the whole, CalibratedRegressor"),
        (ColdStartRegressor(small()), ValueError, "gate=None and segment=None: give one of them"),
        (ColdStartRegressor(small(), gate=1, segment=0), ValueError, "gate=1 and segment=0: give one of them"),
        (ColdStartRegressor(small(), gate=7), ValueError, "gate=7 is not the index of a column: X has 2"),
        (ColdStartRegressor(small(), segment="a"), ValueError, "segment='a' is a name, and the columns of X have none"),
        (ColdStartRegressor(small(), gate=0), ValueError, "gate=0: activity must be at least 0, got -"),
        (ColdStartRegressor(small(), gate=1, scale=0.0), ValueError, "'scale' parameter of ColdStartRegressor"),
        (
            ColdStartRegressor(small(), gate=1, local={"monotone": {0: 1}}),
            ValueError,
            "local={'monotone': ...}: local boosters have the estimator's monotone: set it there",
        ),
        (ColdStartRegressor(small(), gate=1, local={"lr": 1}), ValueError, "local={'lr': ...} is no parameter of boosting"),
        (ColdStartRegressor(small("gamma"), gate=1), ValueError, "Gamma needs y in"),
        (ColdStartRegressor(small(monotone={1: 1}), gate=1), ValueError, "gate=1: .* in its monotone give that column 0"),
    ],
    ids=repr,
)
def test_what_is_refused(model: Any, error: Any, said: str) -> None:
    X, y, _ = turned(300)
    with pytest.raises(error, match=said):
        model.fit(X, y)


@pytest.mark.filterwarnings(ALONE)
def test_exposures_are_refused_by_name() -> None:
    with pytest.raises(TypeError, match="exposure"):
        ANY_TABLE.fit(np.ones((9, 1)), np.ones(9), exposure=np.ones(9))
