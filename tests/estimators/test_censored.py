"""Labels that are only known to be at least so large: losses, weights, training, hurdles, files."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy.special import expit, logit, ndtr
from sklearn.base import clone

from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    D2QRegressor,
    GBRegressor,
    HurdleRegressor,
    OrdinalRegressor,
    WCERegressor,
    ZILNRegressor,
    load,
)
from gbreg.datasets import make_watch_time
from gbreg.engines import ENGINES, Objective
from gbreg.losses import ZILN, LogNormal, OrdinalBuckets, SoftmaxBuckets, VectorLoss
from gbreg.losses.censoring import kaplan_meier, signed
from gbreg.metrics import xauc
from tests.cases import built_in
from tests.estimators.test_regressor import BY_WEIGHT

every_engine = pytest.mark.parametrize("engine", ENGINES)

TAKERS = [
    LogNormal(),
    ZILN(),
    SoftmaxBuckets(9),
    SoftmaxBuckets(9, rank=1),
    SoftmaxBuckets(9, rank=3, basis="polynomial"),
    SoftmaxBuckets(7, rank=None),
    OrdinalBuckets(9),
    OrdinalBuckets(9, spread=True),
]
every_taker = pytest.mark.parametrize("loss", TAKERS, ids=repr)


def watched(n: int = 400, seed: int = 0, zeros: bool = True) -> tuple[Any, Any, Any]:
    """Amounts, some of them 0, cut off at a random time."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.exp(1.0 + 0.8 * X[:, 0] + 0.5 * rng.normal(size=n))
    y = np.where(rng.random(n) < (0.2 if zeros else 0.0), 0.0, y)
    end = np.where(rng.random(n) < 0.05, 0.0 if zeros else 0.5, rng.exponential(8.0, n)) + (0.0 if zeros else 0.01)
    return X, np.minimum(y, end), y > end


def labels_of(loss: VectorLoss, **more: Any) -> tuple[Any, Any, Any]:
    return watched(zeros=loss.y_domain.contains(0.0), **more)


def test_every_loss_of_several_outputs_takes_them_or_says_so() -> None:
    assert {loss.name for loss in TAKERS} == set(built_in(VectorLoss))
    for loss in (SoftmaxBuckets(soft="normal"), OrdinalBuckets(thresholds="independent")):
        with pytest.raises(ValueError, match=r"censored: .* takes no labels that are only known to be at least so large"):
            loss.fit([1.0, 2.0, 3.0], censored=[True, False, False])


# -- weights -----------------------------------------------------------------------------------------------------------


def test_kaplan_meier_by_hand() -> None:
    """Freireich et al. (1963), remission of leukaemia under 6-MP, in weeks: survival as in every textbook."""
    seen = [6, 6, 6, 7, 10, 13, 16, 22, 23]
    cut = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
    y = np.array([*seen, *cut], dtype=float)
    hidden = np.repeat([False, True], [len(seen), len(cut)])
    mass = kaplan_meier(y, np.ones(y.size), hidden) / y.size
    survival = [1.0 - mass[(y <= t) & ~hidden].sum() for t in (6, 7, 10, 13, 16, 22, 23)]
    np.testing.assert_allclose(survival, [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], atol=5e-4)
    assert mass[y == 35].sum() == pytest.approx(0.448, abs=5e-4)  # what is left stays with the largest
    assert mass.sum() == pytest.approx(1.0)


rows = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 3), st.booleans()), min_size=2, max_size=30).filter(
    lambda rows: sum(w for _, w, hidden in rows if not hidden) > 0
)


@given(rows)
@settings(max_examples=60, derandomize=True, deadline=None)
def test_an_integer_weight_repeats_and_the_sum_is_kept(rows: Any) -> None:
    y, weight, hidden = (np.array(column) for column in zip(*rows, strict=True))
    mass = kaplan_meier(y.astype(float), weight.astype(float), hidden)
    assert mass.sum() == pytest.approx(weight.sum())
    assert (mass >= 0).all()
    each = kaplan_meier(np.repeat(y, weight).astype(float), np.ones(weight.sum()), np.repeat(hidden, weight))
    np.testing.assert_allclose(np.bincount(np.repeat(np.arange(y.size), weight), each, y.size), mass, atol=1e-12)


def test_without_censored_rows_weights_are_as_they_were() -> None:
    weight = np.array([0.1, 0.7, 0.0])
    assert kaplan_meier(np.array([1.0, 2.0, 3.0]), weight, np.array([False, False, True])) is weight


# -- likelihoods -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("z", [-38.0, -9.0, -1.0, 0.0, 0.7, 5.0, 24.9, 25.1, 60.0, 1e4])
def test_log_normal_tail_against_mpmath(z: float) -> None:
    loss = LogNormal().fit([1.0, 2.0, 3.0], censored=[False, True, False])
    raw = np.array([[-0.5, 0.3]])
    sigma = 0.01 + 2.99 * expit(0.3 - np.log(2.99))
    y = float(np.exp(np.clip(-0.5 + sigma * z, -600, 600)))
    with mp.workdps(60):

        def value(m: Any, s: Any) -> Any:
            spread = mpf("0.01") + mpf("2.99") / (1 + mp.exp(-(s - mp.log(mpf(3.0) - mpf(0.01)))))
            return -mp.log(mp.ncdf(-(mp.log(mpf(y)) - m) / spread))

        true = value(mpf(-0.5), mpf(0.3))
        slopes = [mp.diff(lambda m: value(m, mpf(0.3)), -0.5), mp.diff(lambda s: value(mpf(-0.5), s), 0.3)]
    assert loss.value([-y], raw)[0] == pytest.approx(float(true), rel=1e-9, abs=1e-300)
    np.testing.assert_allclose(loss.gradient_hessian([-y], raw)[0][0], [float(s) for s in slopes], rtol=1e-7, atol=1e-15)


@every_taker
def test_a_censored_label_costs_the_probability_of_all_beyond(loss: VectorLoss) -> None:
    _, y, hidden = labels_of(loss)
    fitted = clone(loss).fit(y, censored=hidden)
    raw = fitted.intercept_ + np.random.default_rng(1).normal(size=(y.size, fitted.n_outputs))
    value = fitted.value(signed(y, hidden), raw)
    distribution = fitted.distribution(raw)
    if "buckets" in loss.name:
        low = np.append(-1.0, fitted.edges_)[np.searchsorted(fitted.edges_, y.astype(np.float32), "right")]
        beyond = 1.0 - distribution.pit(low)[:, 0]
    else:
        beyond = np.where(y > 0, distribution.sf(y), 1.0)
    np.testing.assert_allclose(value[hidden], -np.log(beyond[hidden]), rtol=1e-6, atol=1e-9)
    # The others cost what they always do.
    plain = clone(loss).fit(y)
    plain.restore({name: state for name, state in vars(fitted).items() if name.endswith("_") and name != "censored_"})
    np.testing.assert_allclose(value[~hidden], plain.value(y, raw)[~hidden], rtol=1e-12, atol=1e-12)
    assert (fitted.value(np.where(hidden, -0.0, y), raw)[hidden] <= 1e-12).all()  # at least 0 says nothing


@every_taker
def test_gradients_are_those_of_the_value_and_bounded(loss: VectorLoss) -> None:
    _, y, hidden = labels_of(loss)
    fitted = clone(loss).fit(y, censored=hidden)
    labels = signed(y, hidden)
    raw = fitted.intercept_ + np.random.default_rng(2).normal(size=(y.size, fitted.n_outputs))
    gradient, hess = fitted.gradient_hessian(labels, raw)
    for r in range(fitted.n_outputs):
        step = np.zeros(fitted.n_outputs)
        step[r] = 1e-5
        slope = (fitted.value(labels, raw + step) - fitted.value(labels, raw - step)) / 2e-5
        np.testing.assert_allclose(gradient[:, r], slope, atol=2e-7)
    assert (hess >= 0).all()
    # What engines train with, maybe in single precision, is the same.
    got, _ = Objective(fitted).gradient_hessian(labels, np.squeeze(raw - fitted.intercept_))
    scale = np.maximum(np.abs(gradient).max(), 1.0)
    np.testing.assert_allclose(got.reshape(gradient.shape) * fitted.hessian_scale_ / scale, gradient / scale, atol=2e-5)


# -- training ----------------------------------------------------------------------------------------------------------


@every_engine
@every_taker
def test_no_round_raises_the_training_loss(loss: VectorLoss, engine: str) -> None:
    X, y, hidden = labels_of(loss, n=200)
    model = GBRegressor(clone(loss), engine=engine, n_estimators=6, learning_rate=0.3, max_leaves=5, n_jobs=1)
    model.set_params(min_child_samples=5)
    model.fit(X, y, censored=hidden, eval_set=(X, y), eval_censored=hidden)
    means = model.evals_result_["validation_0"][loss.name]
    assert np.diff(means).max() <= 1e-6 * (1.0 + abs(means[0]))
    assert means[-1] < means[0]
    assert np.isfinite(model.predict(X)).all()


@every_engine
@pytest.mark.parametrize("loss", [LogNormal(), ZILN(), SoftmaxBuckets(9), OrdinalBuckets(9)], ids=repr)
def test_none_censored_is_the_model_of_none(loss: VectorLoss, engine: str) -> None:
    X, y, _ = labels_of(loss, n=300)
    model = GBRegressor(clone(loss), engine=engine, n_estimators=5, n_jobs=1, early_stopping_rounds=3, random_state=0)
    told = clone(model).fit(X, y, censored=np.zeros(y.size))
    np.testing.assert_array_equal(told.predict(X), clone(model).fit(X, y).predict(X))
    assert told.carried_ == ()


@every_engine
def test_an_integer_weight_is_repetition(engine: str) -> None:
    X, y, hidden = watched(250, seed=1, zeros=False)
    X = np.round(2 * X) / 2
    times = np.random.default_rng(0).integers(0, 4, y.size)
    own = {"n_estimators": 4, "max_leaves": 4, "min_child_samples": 1, "n_jobs": 1, "engine_params": BY_WEIGHT.get(engine)}
    for loss in (LogNormal(), OrdinalBuckets(9)):
        model = GBRegressor(loss, engine=engine, **own)
        weighted = clone(model).fit(X, y, times, censored=hidden)
        repeated = clone(model).fit(np.repeat(X, times, axis=0), np.repeat(y, times), censored=np.repeat(hidden, times))
        np.testing.assert_allclose(repeated.predict(X), weighted.predict(X), rtol=1e-4)


PRESETS = {
    "ziln": ZILNRegressor(),
    "joint ziln": ZILNRegressor(factorized=False),
    "buckets": BucketRegressor(n_buckets=24, rank=1),
    "joint buckets": BucketRegressor(n_buckets=24, rank=1, zeros="bucket"),
    "ordinal": OrdinalRegressor(n_buckets=24),
}


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("which", PRESETS)
def test_the_uncensored_world_is_nearer_than_by_ignoring(which: str, engine: str, tmp_path: Path) -> None:
    world, later = make_watch_time(3000, random_state=0), make_watch_time(3000, random_state=1)
    m = np.log(25) + 0.7 * np.log(later.duration / 60) + 0.8 * later.interest
    beyond = (expit(logit(0.9) + later.interest) * ndtr((m - np.log([[60.0], [120.0]])) / 0.8)).mean(axis=1)
    model = clone(PRESETS[which]).set_params(engine=engine, n_estimators=60, n_jobs=1)
    ignored = clone(model).fit(world.data, world.target)
    model.fit(world.data, world.target, censored=world.censored)
    # How many would watch for more than a minute, or two, of an endless video; and the order of liking.
    chances = [one.predict_distribution(later.data) for one in (model, ignored)]
    away, before = (np.abs([d.sf(60.0).mean(), d.sf(120.0).mean()] - beyond) for d in chances)
    assert (away < 0.75 * before).all()
    got = model.predict(later.data)
    assert xauc(later.interest, got) > xauc(later.interest, ignored.predict(later.data)) + 0.02
    model.save(tmp_path / "model.gbreg")
    np.testing.assert_array_equal(load(tmp_path / "model.gbreg").predict(later.data), got)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(later.data), got)


@every_engine
def test_held_out_rows_are_censored_too(engine: str) -> None:
    X, y, hidden = watched(600)
    y = np.where(X[:, 1] < -0.8, 0.0, y)  # whether can be learnt
    model = ZILNRegressor(engine=engine, n_estimators=200, early_stopping_rounds=5, n_jobs=1, random_state=0)
    model.fit(X, y, censored=hidden, groups=np.arange(600) // 2)
    assert 0 < model.best_iteration_[1] < 200
    given = clone(model).fit(X, y, censored=hidden, eval_set=[(X, y)], eval_censored=[hidden])
    history = given.evals_result_["validation_0"]["log_normal"]
    regressor = given.model_.regressor_
    positive = y > 0
    value = regressor.loss_.value(signed(y, hidden)[positive], regressor.predict_raw(X[positive])).mean()
    assert value == pytest.approx(history[regressor.best_iteration_ - 1], rel=1e-5)
    with pytest.raises(ValueError, match=r"eval_set\[0\]: eval_censored is missing: fit was given censored="):
        clone(model).fit(X, y, censored=hidden, eval_set=(X, y))


def test_rows_censored_at_0_say_nothing_of_whether() -> None:
    X, y, hidden = watched(500)
    unknown = hidden & (y == 0)
    assert unknown.sum() > 10
    model = HurdleRegressor(GBRegressor("bernoulli", n_estimators=10, n_jobs=1), GBRegressor("log_normal", n_jobs=1))
    with_them = clone(model).fit(X, y, censored=hidden)
    without = clone(model).fit(X[~unknown], y[~unknown], censored=hidden[~unknown])
    np.testing.assert_array_equal(with_them.predict(X), without.predict(X))


def test_rows_of_which_nothing_is_known() -> None:
    X, y, _ = watched(200)
    for model in (ZILNRegressor(), BucketRegressor()):
        with pytest.raises(
            ValueError, match="censored: all 200 rows are, at 0, so that no row says whether there is anything"
        ):
            model.fit(X, np.zeros(200), censored=np.ones(200))
    # Nor of all rows that are held out, or watched.
    rng = np.random.default_rng(8)
    zero = rng.random(200) < 0.8
    y = np.where(zero, 0.0, np.exp(rng.normal(size=200)))
    hidden = zero & (rng.random(200) < 0.9)
    model = ZILNRegressor(n_estimators=5, early_stopping_rounds=3, n_jobs=1, min_child_samples=5, random_state=0)
    model.fit(X, y, censored=hidden, eval_set=(X[hidden], y[hidden]), eval_censored=hidden[hidden])
    assert np.isfinite(model.predict(X)).all()


def test_an_exposure_and_censored_rows() -> None:
    X, y, hidden = watched(500)
    exposure = np.random.default_rng(0).uniform(0.5, 2.0, 500)
    model = ZILNRegressor(n_estimators=10, n_jobs=1).fit(X, y, exposure=exposure, censored=hidden)
    assert model.carried_ == ("exposure",)
    assert (model.predict(X, exposure=2 * exposure) > model.predict(X, exposure=exposure)).all()


# -- what cannot be ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        ([True, False], "censored must be one-dimensional with one entry a row, 4"),
        ([0, 1, 2, 0], "censored must be true or false, or 1 or 0; 1 of 4 values are not (first at row 2: 2)"),
        ([0, np.nan, 0, 0], "censored must be true or false, or 1 or 0; 1 of 4 values are not (first at row 1: nan)"),
        (["a", "b", "c", "d"], "censored must be numbers"),
        ([True] * 4, "censored: all 4 rows are, so that no label says how large they become"),
    ],
)
def test_masks_that_are_none(mask: Any, said: str) -> None:
    X, y = np.arange(4.0)[:, None], np.array([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError) as raised:
        GBRegressor("log_normal", n_jobs=1).fit(X, y, censored=mask)
    assert said in str(raised.value)


def test_who_does_not_take_them() -> None:
    X, y, hidden = watched(60)
    for model in (GBRegressor("tweedie"), WCERegressor(), D2QRegressor(GBRegressor(), group=0)):
        with pytest.raises((ValueError, TypeError), match=r"censored"):
            model.fit(X, y, censored=hidden)
    with pytest.raises(ValueError, match="censored: GBRegressor does not take it: use ZILNRegressor, BucketRegressor"):
        GBRegressor("tweedie").fit(X, y, censored=hidden)
    with pytest.raises(ValueError, match=r"censored: OrdinalBuckets\(thresholds='independent'\) takes no labels"):
        OrdinalRegressor(thresholds="independent").fit(X, y, censored=hidden)
    with pytest.raises(ValueError, match="regressor: censored: GBRegressor does not take it"):
        HurdleRegressor(GBRegressor("bernoulli"), GBRegressor("gamma")).fit(X, y, censored=hidden)
    with pytest.raises(ValueError, match=r"censored: IsotonicCalibrator\(\) learns from whole labels"):
        ZILNRegressor(calibration="isotonic").fit(X, y, censored=hidden)
    with pytest.raises(ValueError, match="regressor: censored: eval_metric='mae' would take the labels"):
        ZILNRegressor(eval_metric="mae", early_stopping_rounds=3).fit(X, y, censored=hidden)
    with pytest.raises(TypeError, match="censored"):
        CalibratedRegressor(ZILNRegressor()).fit(X, y, censored=hidden)
    with pytest.raises(ValueError, match=r"censored: OrdinalBuckets needs y >= 0 of censored rows; 1 are below"):
        OrdinalRegressor().fit(X[:3], [-1.0, 2.0, 3.0], censored=[True, False, False])
