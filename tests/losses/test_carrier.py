"""The carrier of low rank: what training makes of it holds the sums of the labels, and never raises the loss."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from gbreg import BucketRegressor, GBRegressor, OrdinalRegressor
from gbreg._discretize import bucket_of
from gbreg.engines import ENGINES
from gbreg.losses import OrdinalBuckets, SoftmaxBuckets, loss_from_json


def spend(slope, zeros=0.0, n=3000):
    """Log amounts that follow a feature, zeros that follow another."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 3))
    y = np.exp(2 + slope * X[:, 0] + 0.7 * rng.normal(size=n))
    chance = X[:, 1] + rng.normal(size=n)
    return X, np.where(chance < np.quantile(chance, zeros), 0.0, y) if zeros else y


@pytest.mark.parametrize(("slope", "zeros"), [(0.0, 0.0), (2.0, 0.0), (1.5, 0.4), (1.0, 0.95)])
def test_sums_of_training_rows_at_the_defaults(slope, zeros):
    X, y = spend(slope, zeros)
    predicted = BucketRegressor(n_jobs=1).fit(X, y).predict(X)
    assert predicted.sum() / y.sum() == pytest.approx(1.0, abs=0.02)
    positive = y > 0
    assert (predicted[positive] / y[positive]).max() < 200  # the noise alone makes 30 of it


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("soft", [None, "two_hot"])
def test_training_rows_expect_of_every_bucket_its_share(engine, soft):
    X, y = spend(1.0, 0.3, n=300)
    weight = np.random.default_rng(1).integers(0, 3, y.size).astype(float)
    loss = SoftmaxBuckets(n_buckets=12, soft=soft)
    model = GBRegressor(loss, engine=engine, n_estimators=6, n_jobs=1).fit(X, y, weight)
    found = weight @ model.loss_.probabilities(model.predict_raw(X)) / weight.sum()
    assert_allclose(found, model.loss_.shares(y, weight), rtol=1e-5)
    if soft is None:
        share = np.bincount(bucket_of(y, model.loss_.edges_), weight)
        assert_allclose(found, share / share.sum(), rtol=1e-5)
        assert model.predict(X) @ weight == pytest.approx(y @ weight, rel=1e-5)


def test_no_step_raises_the_loss():
    rng = np.random.default_rng(0)
    _, y = spend(1.0, 0.3, n=400)
    weight = np.exp(rng.normal(size=y.size))
    for size in (0.1, 1.0, 10.0):
        loss = SoftmaxBuckets(n_buckets=20).fit(y, weight)
        raw = size * rng.normal(size=(y.size, 2))
        values = [loss.value(y, raw, weight).sum()]
        for k in range(1, 8):
            assert loss.refine(y, raw, weight, k)
            values.append(loss.value(y, raw, weight).sum())
        loss.fit_decoder(y, raw, weight)
        values.append(loss.value(y, raw, weight).sum())
        assert (np.diff(values) <= 1e-12 * values[0]).all(), values
        assert values[-1] < values[0] * (1 - 1e-4)


def test_a_model_keeps_the_carrier_of_its_last_round():
    _, y = spend(1.0, n=200)
    loss = SoftmaxBuckets(n_buckets=8).fit(y)
    raw = np.random.default_rng(0).normal(size=(y.size, 2))
    carriers = [loss.prior_]
    for k in range(5):
        assert loss.refine(y, raw, np.ones(y.size), k) == (k > 0)
        carriers.append(loss.prior_)
    loss.settle(3)
    assert_allclose(loss.prior_, carriers[3])
    assert_allclose(loss_from_json(loss.to_json()).probabilities(raw), loss.probabilities(raw), rtol=1e-14)


@pytest.mark.parametrize("loss", [SoftmaxBuckets(n_buckets=8), OrdinalBuckets(n_buckets=8)], ids=repr)
def test_a_model_of_no_round_is_the_labels_own_distribution(loss):
    _, y = spend(1.0, n=200)
    loss.fit(y)
    before = loss.predict(loss.intercept_[None])
    raw = np.random.default_rng(0).normal(size=(y.size, loss.n_outputs))
    assert loss.refine(y, raw, np.ones(y.size), 1)
    loss.settle(0)
    assert_allclose(loss.predict(loss.intercept_[None]), before)
    assert before == pytest.approx(y.mean(), rel=1e-6)


def test_full_rank_has_none():
    _, y = spend(1.0, n=200)
    loss = SoftmaxBuckets(n_buckets=5, rank=None).fit(y)
    assert not loss.refines
    assert not loss.decodes_with_residuals


def test_ordinal_sums_at_the_defaults():
    X, y = spend(1.0)
    assert OrdinalRegressor(n_jobs=1).fit(X, y).predict(X).sum() / y.sum() == pytest.approx(1.0, abs=0.05)
