"""LogNormal and ZILN trained on the three engines: labels at their worst, sigma and its bounds, held-out likelihood."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from sklearn.base import clone

from gbreg import GBRegressor
from gbreg.engines import ENGINES
from gbreg.losses import ZILN, LogNormal
from gbreg.metrics import pcoc

every_engine = pytest.mark.parametrize("engine", ENGINES)
BOUNDS = (0.01, 3.0)


def positive_part(distribution):
    return getattr(distribution, "positive", distribution)


def clusters(n, rng):
    """Positive labels from 1e-9 to 1e9, some groups scattered and some exactly alike."""
    X = rng.integers(0, 6, size=(n, 3)).astype(float)
    centre = np.array([-20.0, -5.0, 0.0, 2.0, 5.0, 20.0])[X[:, 0].astype(int)]
    return X, np.exp(np.clip(centre + rng.normal(0, 2.5, n) * (X[:, 1] > 1), -20.7, 20.7))


def worst(kind, n=120):
    rng = np.random.default_rng(0)
    X, y = clusters(n, rng)
    if kind == "nine in ten zero":
        y[rng.random(n) < 0.9] = 0.0
    elif kind == "three positives":
        y[3:] = 0.0
    elif kind == "one positive":
        y[1:] = 0.0
    elif kind == "constant positives":
        y = np.where(rng.random(n) < 0.5, 0.0, 42.0)
    elif kind == "outliers":
        y = np.where(rng.random(n) < 0.5, 0.0, 1.0)
        y[[3, 5]] = 1e9, 1e-9
    return X, y


KINDS = ("all positive", "nine in ten zero", "three positives", "one positive", "constant positives", "outliers")


@every_engine
@pytest.mark.parametrize(("loss", "kind"), [(LogNormal(), KINDS[0]), *((ZILN(), kind) for kind in KINDS)], ids=str)
def test_fits_stay_finite_and_descend_on_the_worst_labels(loss, kind, engine):
    X, y = worst(kind)
    model = GBRegressor(loss, engine=engine, n_estimators=300, learning_rate=0.3, min_child_samples=2, n_jobs=1)
    model.fit(X, y, eval_set=(X, y))
    history = np.array(model.evals_result_["validation_0"][loss.name])
    assert np.isfinite(history).all()
    assert (np.diff(history) <= 1e-6 * np.abs(history[:-1])).all()
    far = np.random.default_rng(1).uniform(-100, 100, (200, 3))
    far[::3, 1] = np.nan
    distribution = model.predict_distribution(far)
    for readout in (model.predict(far), distribution.quantile([0.001, 0.5, 0.999]), distribution.log_mean()):
        assert np.isfinite(readout).all()
        assert (readout >= 0).all()
    part = positive_part(distribution)
    assert ((part.sigma >= BOUNDS[0]) & (part.sigma <= BOUNDS[1])).all()
    assert (part.mean() <= np.exp(part.m + BOUNDS[1] ** 2 / 2)).all()


@every_engine
def test_sigma_comes_back_from_its_bounds(engine):
    """At the start sigma is at its upper bound, for labels e^40 apart; once m tells them apart it is small."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 2, size=(1000, 1)).astype(float)
    y = np.exp(np.where(X[:, 0] > 0, 20.0, -20.0) + rng.normal(0, 0.1 + 0.2 * X[:, 0]))
    model = GBRegressor("log_normal", engine=engine, n_estimators=100, learning_rate=0.3, min_child_samples=1, n_jobs=1)
    model.fit(X, y)
    assert model.loss_.distribution(model.loss_.intercept_[None]).sigma[0] > 2.8
    distribution = model.predict_distribution(np.array([[0.0], [1.0]]))
    for k in (0, 1):
        logs = np.log(y[X[:, 0] == k])
        assert distribution.m[k] == pytest.approx(logs.mean(), abs=1e-3)
        assert distribution.sigma[k] == pytest.approx(logs.std(), rel=0.02)


@every_engine
def test_outputs_of_unlike_curvature_are_all_learnt(engine):
    """Constant positives: 1 / sigma**2 is thousands of times the curvature of the probability."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = np.where(X[:, 0] > 0, 42.0, 0.0)
    model = GBRegressor("ziln", engine=engine, n_estimators=60, n_jobs=1).fit(X, y)
    p = model.predict_distribution(X).probability_positive
    assert p[y > 0].min() > 0.9
    assert p[y == 0].max() < 0.1


def test_every_output_has_a_mean_hessian_of_one():
    _, y = worst("nine in ten zero", 2000)
    weight = np.random.default_rng(0).integers(0, 4, y.size)
    loss = ZILN().fit(y, weight)
    _, hess = loss.gradient_hessian(y, np.tile(loss.intercept_, (y.size, 1)), weight)
    rows = (weight > 0)[:, None] & np.column_stack([y >= 0, y > 0, y > 0])
    np.testing.assert_allclose(hess.sum(axis=0) / rows.sum(axis=0), loss.hessian_scale_, rtol=1e-12)
    assert LogNormal().fit([3.0, 3.0]).hessian_scale_.tolist() == [1.0, 1.0]
    assert np.isfinite(ZILN().fit(np.append(np.zeros(9), 1.0)).hessian_scale_).all()


@pytest.mark.parametrize("bounds", [BOUNDS, (0.5, 0.6), (1e-6, 1e3)])
@pytest.mark.parametrize("s", [-1e300, -700.0, -40.0, -5.0, -0.3, 0.0, 1.0, 7.0, 40.0, 700.0, 1e300])
def test_sigma_against_mpmath(s, bounds):
    mpmath.mp.dps = 60
    low, high = (mpmath.mpf(b) for b in bounds)
    exact = low + 1 / (mpmath.exp(-mpmath.mpf(max(s, -1e5))) + 1 / (high - low))
    sigma = LogNormal(sigma_bounds=bounds).distribution([[0.0, s]]).sigma[0]
    assert sigma == pytest.approx(float(exact), rel=1e-13)
    assert bounds[0] <= sigma <= bounds[1]


def test_the_start_is_the_moments_of_ln_y_inside_the_bounds():
    rng = np.random.default_rng(0)
    y, weight = np.exp(rng.normal(2, 0.8, 500)), rng.integers(0, 4, 500)
    logs = np.repeat(np.log(y), weight)
    for loss, labels in ((LogNormal(), y), (ZILN(), y)):
        fitted = loss.fit(labels, weight)
        part = positive_part(fitted.distribution(fitted.intercept_[None]))
        assert part.m[0] == pytest.approx(logs.mean(), rel=1e-12)
        assert part.sigma[0] == pytest.approx(logs.std(), rel=1e-12)
    alike, apart = (ZILN().fit(v) for v in ([0.0, 5.0, 5.0], [0.0, 1e-9, 1e9]))
    assert 0.01 <= positive_part(alike.distribution(alike.intercept_[None])).sigma[0] <= 0.0111
    assert 2.8 < positive_part(apart.distribution(apart.intercept_[None])).sigma[0] <= 3.0


def lifetime_values(n, seed):
    """Spend: whether, how much and how uncertain all depend on the row."""
    X, p, m, sigma = truth(n, seed)
    rng = np.random.default_rng(seed + 1000)
    return X, np.where(rng.random(n) < p, np.exp(m + sigma * rng.normal(size=n)), 0.0)


def truth(n, seed):
    X = np.random.default_rng(seed).normal(size=(n, 4))
    return X, 1 / (1 + np.exp(0.5 - X[:, 0])), 3 + 0.8 * X[:, 1], np.exp(-0.5 + 0.3 * X[:, 2])


@every_engine
@pytest.mark.parametrize("loss", [LogNormal(), ZILN()], ids=repr)
def test_early_stopping_lowers_the_held_out_likelihood(loss, engine):
    X, y = lifetime_values(3000, 0)
    new, y_new = lifetime_values(1500, 1)
    _, p, m, sigma = truth(1500, 1)
    expected = np.exp(m + sigma**2 / 2) * (p if isinstance(loss, ZILN) else 1.0)
    if isinstance(loss, LogNormal):
        X, y, new, expected, y_new = X[y > 0], y[y > 0], new[y_new > 0], expected[y_new > 0], y_new[y_new > 0]
    parameters = {"max_leaves": 8, "learning_rate": 0.15, "early_stopping_rounds": 5, "n_jobs": 1}
    model = GBRegressor(loss, engine=engine, n_estimators=60, **parameters).fit(X, y, eval_set=(new, y_new))
    history = model.evals_result_["validation_0"][loss.name]
    best = history[model.best_iteration_ - 1]
    constant = model.loss_.distribution(np.tile(model.loss_.intercept_, (y_new.size, 1)))
    distribution = model.predict_distribution(new)
    assert best == min(history)
    assert distribution.log_score(y_new).mean() == pytest.approx(best, rel=1e-5)
    assert best < constant.log_score(y_new).mean() - 0.15
    # The spread is learnt too: it follows the third feature.
    spread = np.log(positive_part(distribution).sigma)
    assert np.corrcoef(spread, new[:, 2])[0, 1] > 0.5
    assert 0.9 < pcoc(expected, model.predict(new)) < 1.1


@every_engine
def test_weights(engine):
    X, y = lifetime_values(400, 0)
    weight = np.random.default_rng(1).integers(1, 4, 400).astype(float)
    model = GBRegressor("ziln", engine=engine, n_estimators=10, max_leaves=8, n_jobs=1)
    one = clone(model).fit(X, y, weight).predict(X)
    np.testing.assert_allclose(clone(model).fit(X, y, 1024.0 * weight).predict(X), one, rtol=1e-4)
    # Labels that do not count may be anything.
    dirty, off = np.append(y, [1e30, 1e-30]), np.append(weight, [0.0, 0.0])
    np.testing.assert_allclose(clone(model).fit(np.vstack([X, X[:2]]), dirty, off).predict(X), one, rtol=1e-6)
    # A probability learnt from weighted rows is the weighted share.
    heavy = np.where(y > 0, 5.0, 1.0)
    p = clone(model).fit(X, y, heavy).predict_distribution(X).probability_positive
    assert np.average(p, weights=heavy) == pytest.approx(np.average(y > 0, weights=heavy), abs=0.01)


@every_engine
@pytest.mark.parametrize("factor", [1e6, 1e-9])
def test_units_do_not_matter(engine, factor):
    # Positives only: rows that an output does not see lie on either side of a split at no cost, by rounding alone.
    X, y = lifetime_values(1500, 0)
    X, y = X[y > 0], y[y > 0]
    model = GBRegressor("log_normal", engine=engine, n_estimators=10, max_leaves=8, n_jobs=1)
    one = clone(model).fit(X, y).predict(X)
    np.testing.assert_allclose(clone(model).fit(X, factor * y).predict(X), factor * one, rtol=1e-4)
