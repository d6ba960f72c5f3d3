"""`calibration=` of GBRegressor and the presets: the calibrator of the rows held out, on the model of the others."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    GBRegressor,
    HurdleRegressor,
    OrdinalRegressor,
    WCERegressor,
    ZILNRegressor,
    load,
)
from gbreg.calibration import (
    CALIBRATORS,
    IsotonicCalibrator,
    PITCalibrator,
    RatioCalibrator,
    SegmentedCalibrator,
    get_calibrator,
)
from gbreg.engines import ENGINES, EachRound
from gbreg.estimators.rows import hold_out
from gbreg.losses import TransformedSquaredError
from gbreg.metrics import pcoc, xauc

SMALL = {"n_estimators": 20, "max_leaves": 8, "n_jobs": 1, "random_state": 0, "validation_fraction": 0.3}
LOW = TransformedSquaredError(smearing=False)
MODELS = {
    "regressor": lambda **more: GBRegressor(LOW, **SMALL | more),
    "buckets, hurdle": lambda **more: BucketRegressor(n_buckets=8, **SMALL | more),
    "buckets": lambda **more: BucketRegressor(n_buckets=8, zeros="bucket", **SMALL | more),
    "ziln": lambda **more: ZILNRegressor(**SMALL | more),
    "wce": lambda **more: WCERegressor("log2", smearing=False, **SMALL | more),
    "wce, copied": lambda **more: WCERegressor("log2", smearing=False, implementation="duplicate", **SMALL | more),
}


def spend(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.where(rng.random(n) < 1 / (1 + np.exp(1 + 1.5 * X[:, 1])), 0.0, np.exp(1 + X[:, 0] + rng.normal(size=n)))
    return X, y, rng.integers(0, 3, n).astype(float)


@pytest.mark.parametrize("method", [*CALIBRATORS, IsotonicCalibrator(min_share=0.1)], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_it_is_the_model_of_some_rows_and_a_calibrator_of_the_others(name, method):
    X, y, weight = spend(600)
    model = MODELS[name](calibration=method).fit(X, y, weight)
    used = weight > 0
    inside, outside = (np.flatnonzero(used)[rows] for rows in hold_out(int(used.sum()), 0.3, 0))
    plain = MODELS[name]().fit(X[inside], y[inside], weight[inside])
    calibrator = get_calibrator(method).fit(plain.predict(X[outside]), y[outside], weight[outside])
    np.testing.assert_array_equal(model.predict(X), calibrator.predict(plain.predict(X)))
    assert np.sum((weight * model.predict(X))[outside]) == pytest.approx(np.sum((weight * y)[outside]), rel=1e-9)


@pytest.mark.parametrize("name", MODELS)
def test_early_stopping_and_calibration_share_their_rows(name):
    X, y, _ = spend()
    new, truth, w_new = spend(900, seed=1)
    w_new += 0.5
    for early in (None, 3):
        given = {"eval_set": [(new, truth), (X, y)], "eval_sample_weight": [w_new, np.ones(y.size)]}
        model = MODELS[name](calibration="ratio", early_stopping_rounds=early).fit(X, y, **given)
        plain = MODELS[name](early_stopping_rounds=early).fit(X, y, **given)
        assert model.best_iteration_ == plain.best_iteration_
        factor = np.sum(w_new * truth) / np.sum(w_new * plain.predict(new))
        assert model.calibrator_.scale_ == pytest.approx(factor, rel=1e-12)
        np.testing.assert_allclose(model.predict(new), factor * plain.predict(new), rtol=1e-12)
    # Without an eval_set: the rows held out serve both.
    inside, outside = hold_out(y.size, 0.3, 0)
    model = MODELS[name](calibration="ratio", early_stopping_rounds=3).fit(X, y)
    by_hand = MODELS[name](calibration="ratio", early_stopping_rounds=3)
    by_hand.fit(X[inside], y[inside], eval_set=(X[outside], y[outside]))
    np.testing.assert_array_equal(model.predict(X), by_hand.predict(X))
    without = MODELS[name](calibration="ratio").fit(X, y)
    assert not any(without.evals_result_.values())  # held out, and not evaluated


@pytest.mark.parametrize("engine", ENGINES)
def test_sums_come_right_and_order_stays(engine):
    X, y, _ = spend(8000)
    new, truth, _ = spend(20_000, seed=1)
    plain = GBRegressor(LOW, engine=engine, **SMALL)
    low = clone(plain).fit(X, y).predict(new)
    calibrated = clone(plain).set_params(calibration="isotonic").fit(X, y)
    assert pcoc(truth, low) < 0.75
    assert 0.93 < pcoc(truth, calibrated.predict(new)) < 1.07
    raw = calibrated.loss_.predict(calibrated.predict_raw(new))
    assert xauc(truth, calibrated.predict(new)) == pytest.approx(xauc(truth, raw), abs=1e-12)


@pytest.mark.parametrize("name", ["buckets", "buckets, hurdle", "ziln"])
def test_named_readouts_are_those_of_the_distribution(name):
    X, y, _ = spend()
    model = MODELS[name](calibration=RatioCalibrator()).fit(X, y)
    mean = model.predict_distribution(X).mean()
    np.testing.assert_allclose(model.predict(X), model.calibrator_.scale_ * mean, rtol=1e-9)
    np.testing.assert_allclose(model.predict(X, "mean"), mean, rtol=1e-12)
    np.testing.assert_array_equal(model.predict(X, 0.9), model.predict_quantile(X, 0.9))


DISTRIBUTIONAL = {name: MODELS[name] for name in ("buckets, hurdle", "buckets", "ziln")} | {
    "ordinal": lambda **more: OrdinalRegressor(n_buckets=8, **SMALL | more),
    "regressor, ziln": lambda **more: GBRegressor("ziln", **SMALL | more),
}
distributional = pytest.mark.parametrize("name", DISTRIBUTIONAL)


@distributional
def test_pit_is_learnt_from_the_rows_held_out_and_read_everywhere(name):
    X, y, weight = spend(900)
    model = DISTRIBUTIONAL[name](calibration=PITCalibrator(16)).fit(X, y, weight)
    used = weight > 0
    inside, outside = (np.flatnonzero(used)[rows] for rows in hold_out(int(used.sum()), 0.3, 0))
    plain = DISTRIBUTIONAL[name]().fit(X[inside], y[inside], weight[inside])
    by_hand = PITCalibrator(16).fit(plain.predict_distribution(X[outside]), y[outside], weight[outside])
    d = by_hand.predict(plain.predict_distribution(X))
    np.testing.assert_array_equal(model.predict(X), d.mean())
    for functional in ("mean", "median", "mode", "log_mean"):
        np.testing.assert_array_equal(model.predict(X, functional), getattr(d, functional)())
    np.testing.assert_array_equal(model.predict(X, functional=0.9), d.quantile(0.9))
    np.testing.assert_array_equal(model.predict_quantile(X, [0.1, 0.9]), d.quantile([0.1, 0.9]))
    assert np.abs(model.predict(X) / plain.predict(X) - 1).max() > 0.01


@distributional
def test_pit_is_learnt_from_the_first_evaluation_set(name):
    X, y, _ = spend()
    new, truth, w_new = spend(900, seed=1)
    w_new += 0.5
    given = {"eval_set": [(new, truth), (X, y)], "eval_sample_weight": [w_new, np.ones(y.size)]}
    model = DISTRIBUTIONAL[name](calibration="pit", early_stopping_rounds=3).fit(X, y, **given)
    plain = DISTRIBUTIONAL[name](early_stopping_rounds=3).fit(X, y, **given)
    by_hand = PITCalibrator().fit(plain.predict_distribution(new), truth, w_new)
    np.testing.assert_array_equal(model.calibrator_.levels_, by_hand.levels_)
    np.testing.assert_array_equal(model.calibrator_.heights_, by_hand.heights_)


@pytest.mark.parametrize("engine", ENGINES)
def test_pit_widens_what_is_too_narrow(engine):
    X, y, _ = spend(6000)
    new, truth, _ = spend(4000, seed=1)
    narrow = {"engine": engine, "n_estimators": 40, "learning_rate": 0.3, "n_jobs": 1, "random_state": 0}
    plain = ZILNRegressor(**narrow).fit(X, y)
    model = ZILNRegressor(calibration="pit", validation_fraction=0.3, **narrow).fit(X, y)
    assert np.mean(truth <= plain.predict_quantile(new, 0.9)) < 0.88
    # Three standard errors of 1800 rows held out and of 4000 new ones.
    assert np.mean(truth <= model.predict(new, 0.9)) == pytest.approx(0.9, abs=0.026)


def test_pit_where_all_labels_are_equal():
    X, _, _ = spend(60)
    model = ZILNRegressor(calibration="pit", **SMALL).fit(X, np.zeros(60))
    np.testing.assert_array_equal(model.predict(X), 0.0)


CALIBRATED = {f"{name}, spline": make(calibration="spline") for name, make in MODELS.items()} | {
    f"{name}, pit": make(calibration=method)
    for (name, make), method in zip(DISTRIBUTIONAL.items(), ["pit", PITCalibrator(8)] * 3, strict=False)
}


@pytest.mark.parametrize("name", CALIBRATED)
def test_pickle_clone_and_file(name, tmp_path):
    X, y, _ = spend()
    model = clone(CALIBRATED[name]).fit(X, y)
    model.save(tmp_path / "m.gbreg")
    for again in (load(tmp_path / "m.gbreg"), pickle.loads(pickle.dumps(model)), clone(model).fit(X, y)):
        assert type(again.calibrator_) is type(model.calibrator_)
        np.testing.assert_array_equal(again.predict(X), model.predict(X))
        if isinstance(model.calibrator_, PITCalibrator):
            np.testing.assert_array_equal(again.predict_quantile(X, 0.9), model.predict_quantile(X, 0.9))
    model.set_params(calibration=None).fit(X, y)
    assert model.calibrator_ is None


@pytest.mark.parametrize("name", MODELS)
def test_mistakes(name):
    X, y, _ = spend(60)
    with pytest.raises(ValueError, match=r"'calibration' parameter of .* must be"):
        MODELS[name](calibration="platt").fit(X, y)
    with pytest.raises(
        ValueError, match=r"calibration=Segmented.*: use CalibratedRegressor, whose segment= names the column"
    ):
        MODELS[name](calibration=SegmentedCalibrator(RatioCalibrator())).fit(X, y)
    with pytest.raises(ValueError, match=r"validation_fraction=0.9 with n_samples=3 leaves no row .* and calibration=None"):
        MODELS[name](calibration="ratio", validation_fraction=0.9).fit(X[:3], y[:3])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            GBRegressor("huber", calibration="pit"),
            r"calibration='pit': loss Huber\(\) predicts its functional",
        ),
        (
            WCERegressor(calibration=PITCalibrator(8)),
            r"calibration=PITCalibrator\(n_bins=8\): WCERegressor predicts no",
        ),
        (CalibratedRegressor(GBRegressor("huber"), "pit"), r"method='pit': loss Huber\(\) predicts its functional"),
        (CalibratedRegressor(CalibratedRegressor(GBRegressor()), "pit"), r"method='pit': loss SquaredError\(\) predicts"),
        (
            CalibratedRegressor(HurdleRegressor(GBRegressor("bernoulli"), GBRegressor("gamma")), "pit"),
            r"method='pit': loss Gamma\(\) predicts its functional",
        ),
    ],
)
def test_pit_without_a_distribution_is_refused_before_training(model, message):
    rounds = []
    with pytest.raises(TypeError, match=rf"{message}.*: use a .*distributional loss, such as .*, or .*='isotonic'"):
        model.fit(*spend(60)[:2], callbacks=[EachRound(lambda done, latest: rounds.append(done))])
    assert not rounds


def test_a_model_calibrated_within_can_be_a_part():
    X, y, _ = spend(8000)
    model = CalibratedRegressor(MODELS["regressor"](calibration="ratio"), "isotonic", cv=2).fit(X, y)
    assert 0.9 < pcoc(y, model.predict(X)) < 1.1


REASON = "rows are drawn into a part that trains and a part that calibrates, in which weights are not rows"
CHECKED = {"n_estimators": 40, "learning_rate": 0.3, "n_jobs": 1, "random_state": 0}


@parametrize_with_checks(
    [
        GBRegressor(calibration="isotonic", **CHECKED),
        ZILNRegressor(calibration="spline", **CHECKED),
        ZILNRegressor(calibration="pit", **CHECKED),
    ],
    expected_failed_checks=lambda model: {
        f"check_sample_weight_equivalence_on_{k}_data": REASON for k in ("dense", "sparse")
    },
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
