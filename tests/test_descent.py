"""No boosting round raises the training loss, and units do not matter: on leaves, and on real engines."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone

from gbreg import GBRegressor
from gbreg import _kernels as kernels
from gbreg.engines import ENGINES, get_engine
from gbreg.losses import (
    AM,
    WCE,
    AbsoluteError,
    Bernoulli,
    Expectile,
    Gamma,
    Huber,
    Huberpp,
    OrdinalBuckets,
    Poisson,
    Quantile,
    SoftmaxBuckets,
    SquaredError,
    TransformedSquaredError,
    Tweedie,
)
from tests.cases import CASES, EXTREME_CASES, inside

BIG = st.floats(-20.7, 20.7)  # ln of labels from 1e-9 to 1e9


@st.composite
def a_leaf(draw):
    """Labels in one to three clusters up to e^41 apart, adversarial weights, starts on any side."""
    n = draw(st.integers(1, 7))
    centres = draw(st.lists(BIG, min_size=1, max_size=3))
    which = draw(st.lists(st.integers(0, len(centres) - 1), min_size=n, max_size=n))
    spread = draw(st.lists(st.floats(-3, 3), min_size=n, max_size=n))
    log_y = np.clip([centres[k] + s for k, s in zip(which, spread, strict=True)], -20.7, 20.7)
    log_weight = draw(st.lists(st.floats(0, 30), min_size=n, max_size=n))
    start = draw(st.sampled_from(["inside", "one side", "own"]))
    if start == "one side":
        log_mu = np.full(n, draw(BIG))
    elif start == "inside":
        log_mu = np.full(n, float(np.mean(log_y)))
    else:
        log_mu = np.clip(log_y + draw(st.lists(st.floats(-6, 6), min_size=n, max_size=n)), -20.7, 20.7)
    zeros = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    return np.exp(log_y), zeros, np.exp(log_weight), np.exp(log_mu)


@pytest.mark.parametrize("rate", [0.1, 0.3])
@pytest.mark.parametrize("loss", CASES + EXTREME_CASES, ids=repr)
@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(leaf=a_leaf())
def test_no_leaf_step_raises_the_loss(loss, rate, leaf):
    y, zeros, weight, mu = leaf
    if loss.y_domain.contains(0.0):
        y = np.where(zeros, 0.0, y)
    loss = clone(loss)
    if loss.link_.name in ("log", "softplus") and loss.functional in ("median", "quantile"):
        y = np.where(y > 0, y, 1.0)  # a median of 0 has no logarithm: fit refuses it
    far = inside(loss, 1.5 * np.where(y > 0, y, 1.0))
    y = inside(loss, y)
    loss.fit(y, weight)
    if loss.constant_ is not None:
        return  # nothing is trained then
    raw = loss.to_raw(inside(loss, mu))
    gradient, hess = np.empty_like(y), np.empty_like(y)
    kernels.Pass(loss.spec(), loss.arguments(), step=loss.step_bounds(rate))(y, raw, weight, (gradient, hess))
    assert np.isfinite(gradient).all()
    assert np.isfinite(hess).all()
    assert (hess > 0).any() or not gradient.any()
    if not gradient.any():
        return
    step = -rate * gradient.sum() / hess.sum()
    before = loss.value(y, raw, weight)
    after = loss.value(y, raw + step, weight)
    # What a label's own rounding is worth, where a row is met exactly and its loss is 0.
    rounding = 1e-14 * loss.value(y, loss.to_raw(far), weight).sum()
    assert after.sum() <= before.sum() * (1 + 1e-9) + rounding


def adversarial(seed, positive):
    """Rows whose labels span 1e-9 to 1e9 in clusters, with duplicates, tiny groups and zeros."""
    rng = np.random.default_rng(seed)
    n = 400
    X = rng.integers(0, 6, size=(n, 3)).astype(float)
    centre = np.array([-20.0, -5.0, 0.0, 2.0, 5.0, 20.0])[X[:, 0].astype(int)]
    y = np.exp(np.clip(centre + rng.normal(0, 2.5, n) * (X[:, 1] > 1), -20.7, 20.7))
    if not positive:
        y[rng.random(n) < 0.4] = 0.0
    weight = np.exp(rng.uniform(0, 6, n) * (rng.random(n) < 0.2))
    return X, y, weight


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", CASES, ids=repr)
def test_no_round_raises_the_training_loss(loss, engine):
    for seed, rate in ((0, 0.3), (1, 0.1)):
        no_zeros = not loss.y_domain.contains(0.0) or loss.functional in ("median", "quantile")
        X, y, weight = adversarial(seed, positive=no_zeros)
        y = inside(loss, y)
        model = GBRegressor(
            loss,
            engine=engine,
            native=False,
            n_estimators=15,
            learning_rate=rate,
            min_child_samples=2,
            n_jobs=1,
        )
        model.fit(X, y, weight, eval_set=(X, y), eval_sample_weight=weight)
        history = model.evals_result_["validation_0"][loss.name]
        start = float(np.average(model.loss_.value(y, np.full(y.size, model.loss_.intercept_[0])), weights=weight))
        values = np.array([start, *history])
        assert np.isfinite(values).all()
        # Engines keep gradients, labels (and XGBoost scores) in float32.
        assert (np.diff(values) <= 1e-6 * np.abs(values[:-1])).all(), values
        final = float(np.average(model.loss_.value(y, model.predict_raw(X)), weights=weight))
        assert final == pytest.approx(history[-1], rel=1e-5)


# -- engines' own forms: used only where they descend too --------------------------------------------------------------

NATIVE = [
    *(SquaredError(), TransformedSquaredError(), AbsoluteError(), Quantile(level=0.95), Huber(), Expectile(level=0.95)),
    *(Poisson(), Gamma(), Tweedie(power=1.05), Tweedie(power=1.95), Bernoulli(), WCE()),
    SoftmaxBuckets(n_buckets=12, rank=None),
    OrdinalBuckets(n_buckets=6, edges="quantile", thresholds="independent"),
]


# Which engines lack a form: fitted to be asked, each loss would be compiled where tests are collected.
LACKING = {
    "huber": {"xgboost", "catboost"},
    "expectile": {"lightgbm", "xgboost"},
    "gamma": {"catboost"},
    "ordinal_buckets": {"lightgbm", "catboost"},
}
EVERY_NATIVE = [(loss, engine) for loss in NATIVE for engine in ENGINES if engine not in LACKING.get(loss.name, ())]
every_native = pytest.mark.parametrize(("loss", "engine"), EVERY_NATIVE, ids=[f"{loss!r}-{e}" for loss, e in EVERY_NATIVE])


@pytest.mark.parametrize("loss", NATIVE, ids=repr)
def test_every_built_in_form_is_tried(loss):
    form = clone(loss).fit(inside(loss, [0.5, 1.0, 1.5, 2.0])).native_form()
    lacking = {engine for engine in ENGINES if get_engine(engine).native_parameters(form) is None}
    assert lacking == LACKING.get(loss.name, set())


def outlier(rng, X):
    y = rng.poisson(np.exp(0.5 * X[:, 0])).astype(float)
    y[7] = 1e5
    return y


def rare(rng, X):
    return np.exp(1.5 * rng.normal(size=len(X)) + X[:, 0]) * (rng.random(len(X)) < 0.1)


def steep(rng, X):
    return np.exp(1.5 * X[:, 0]) * rng.exponential(size=len(X))


def strays(rng, X):
    """Two clean groups of labels, and single rows that are in the wrong one."""
    return np.where((X[:, 0] > 0) ^ (rng.random(len(X)) < 0.01), 103.0, 0.02)


def hard(make, seed=5, n=300):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, make(rng, X), None


def labels_for(loss, y):
    if loss.y_domain.high == 1.0:
        return (y > y.mean()).astype(float)
    return y if loss.y_domain.contains(0.0) else np.maximum(y, 1e-3)


def pinball(loss):
    """What native forms of absolute error and quantiles train; the loss itself is smoothed."""
    level = getattr(loss, "level", 0.5)

    def exact(y_true, y_pred, sample_weight=None):
        r = y_true - y_pred
        return float(np.average(np.where(r > 0, level * r, (level - 1.0) * r), weights=sample_weight))

    return exact


@every_native
@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_no_native_round_raises_the_training_loss(loss, engine, rate):
    """Where engines' own steps would, the kernel is used: native=True fails this on every line of the tables of `admits`."""
    data = [adversarial(2, positive=False), *map(hard, (outlier, rare, steep, strays))]
    for X, y, weight in data:
        y = labels_for(loss, y)
        model = GBRegressor(loss, engine=engine, n_estimators=10, learning_rate=rate, min_child_samples=2, n_jobs=1)
        renewed = loss.name in ("absolute_error", "quantile")
        model.set_params(eval_metric=pinball(loss) if renewed else "loss")
        model.fit(X, y, weight, eval_set=(X, y), eval_sample_weight=weight)
        history = model.evals_result_["validation_0"]
        start = np.resize(model.loss_.intercept_, (y.size, model.loss_.n_outputs)).squeeze()
        if renewed and model.native_:
            values = [pinball(loss)(y, model.loss_.predict(start), weight), *history["exact"]]
        else:
            values = [np.average(model.loss_.value(y, start), weights=weight), *history[loss.name]]
        assert np.isfinite(values).all()
        assert (np.diff(values) <= 1e-6 * np.abs(values[:-1])).all(), values


def spend(seed=0, n=600):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    y = np.exp(0.8 * X[:, 0] + 0.3 * X[:, 1] ** 2 + rng.normal(0, 0.7, n))
    return X, y, rng.uniform(0.5, 2.0, n)


EQUIVARIANT = [loss for loss in CASES if loss.scale_equivariant]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", EQUIVARIANT, ids=repr)
@pytest.mark.parametrize("factor", [1e6, 1e-9])
def test_units_do_not_matter(loss, engine, factor):
    X, y, weight = spend()
    model = GBRegressor(loss, engine=engine, native=False, n_estimators=10, max_leaves=8, n_jobs=1)
    small = clone(model).fit(X, y, weight).predict(X)
    large = clone(model).fit(X, factor * y, weight).predict(X)
    assert np.ptp(small) > 0
    np.testing.assert_allclose(large, factor * small, rtol=1e-4, atol=1e-4 * factor * np.abs(small).mean())


@pytest.mark.parametrize(("loss", "engine"), [pair for pair in EVERY_NATIVE if pair[0].scale_equivariant])
def test_units_do_not_matter_to_native_forms(loss, engine):
    X, y, weight = spend()
    model = GBRegressor(loss, engine=engine, n_estimators=10, max_leaves=8, learning_rate=0.3, reg_lambda=1.0, n_jobs=1)
    for w in (None, weight):
        first = clone(model).fit(X, y, w)
        if not first.native_:
            continue
        small = first.predict(X)
        assert np.ptp(small) > 0
        for factor in (1e6, 1e-9):
            large = clone(model).fit(X, factor * y, w).predict(X)
            np.testing.assert_allclose(large, factor * small, rtol=1e-4, atol=1e-4 * factor * np.abs(small).mean())


@every_native
def test_equal_weights_are_no_weights(loss, engine):
    """LightGBM's weighted quantiles interpolate by how far weights are from 1; CatBoost's do not look at weights."""
    X, y, _ = spend(3, n=599)  # so that no quantile lies between two labels
    y = inside(loss, y)
    model = GBRegressor(loss, engine=engine, n_estimators=5, max_leaves=8, n_jobs=1)
    one = clone(model).fit(X, y).predict(X)
    for c in (0.999, 64.0):
        np.testing.assert_allclose(clone(model).fit(X, y, np.full(y.size, c)).predict(X), one, rtol=1e-4)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", [SquaredError(), Huberpp(link="log"), AM(), Gamma()], ids=repr)
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(ln_unit=st.floats(-17, 17), ln_times=st.floats(-14, 14))
def test_no_engine_knows_the_unit_of_labels_or_weights(loss, engine, ln_unit, ln_times):
    X, y, weight = spend(2)
    model = GBRegressor(loss, engine=engine, native=False, n_estimators=5, max_leaves=6, reg_lambda=1.0, n_jobs=1)
    one = clone(model).fit(X, y, weight).predict(X)
    other = clone(model).fit(X, np.exp(ln_unit) * y, np.exp(ln_times) * weight).predict(X)
    np.testing.assert_allclose(other / np.exp(ln_unit), one, rtol=1e-4, atol=1e-4 * np.abs(one).mean())


@pytest.mark.parametrize("native", [False, "auto"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", CASES, ids=repr)
def test_a_constant_on_all_weights_changes_nothing(loss, engine, native):
    X, y, weight = spend(1)
    y = inside(loss, y)
    model = GBRegressor(loss, engine=engine, native=native, n_estimators=10, max_leaves=8, n_jobs=1)
    one = clone(model).fit(X, y, weight).predict(X)
    many = clone(model).fit(X, y, 1024.0 * weight).predict(X)
    np.testing.assert_allclose(many, one, rtol=1e-4)


def test_equivariance_is_declared_per_loss_and_link():
    for loss in CASES:
        free = loss.unit_free and loss.link_.name in ("identity", "log", "power")
        assert loss.scale_equivariant == free, loss
        assert loss.unit_free == (loss.name != "wce")
