"""OrdinalBuckets: thresholds between rounds, probabilities that do not cross, what a stopped model is restored to."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import expit, logit

from gbreg import GBRegressor, load
from gbreg.losses import OrdinalBuckets, loss_from_json
from gbreg.losses.thresholds import LEAST_GAP, Scored, improved

steady = settings(max_examples=100, derandomize=True, deadline=None, database=None)


def spend(n, seed):
    """Labels whose scale and spread follow two features, with zeros."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.exp(X[:, 0] + rng.normal(size=n) * np.where(X[:, 1] > 0, 1.5, 0.4))
    return X, np.where(rng.random(n) < 0.2, 0.0, y)


def boosted(loss, engine, **parameters):
    return GBRegressor(loss, engine=engine, n_jobs=1, **{"max_leaves": 8, "n_estimators": 20, **parameters})


# -- thresholds -------------------------------------------------------------------------------------------------------


def test_thresholds_begin_at_the_logits_of_the_labels():
    loss = OrdinalBuckets(edges=[1.0, 2.0, 5.0]).fit([0.0, 1.0, 3.0, 9.0], [1, 2, 3, 2])
    assert_allclose(loss.thresholds_, logit([1 / 8, 3 / 8, 6 / 8]), rtol=1e-14)
    assert_allclose(loss.probabilities(loss.intercept_[None]), [[1 / 8, 2 / 8, 3 / 8, 2 / 8]], rtol=1e-14)
    independent = OrdinalBuckets(edges=[1.0, 2.0, 5.0], thresholds="independent").fit([0.0, 1.0, 3.0, 9.0], [1, 2, 3, 2])
    assert_allclose(independent.intercept_, logit([7 / 8, 5 / 8, 2 / 8]), rtol=1e-14)


def test_newton_finds_the_logits_again_where_rows_are_alike():
    """With one score for all rows the best thresholds are the logits of the labels' distribution, shifted by it."""
    rng = np.random.default_rng(0)
    bucket, weight = rng.integers(0, 9, 500), rng.integers(0, 3, 500).astype(float)
    share = np.cumsum(np.bincount(bucket, weight))[:-1] / weight.sum()
    for unit, scale in ((None, 1.0), (np.full(500, 2.0), 2.0)):
        blocks = [
            Scored(bucket[rows], np.full(250, 0.7), None if unit is None else unit[rows], weight[rows])
            for rows in (slice(250), slice(250, 500))
        ]
        thresholds = np.linspace(-20, 5, 8)
        for _ in range(40):
            better = improved(blocks, thresholds)
            if better is None:
                break
            thresholds = better
        assert_allclose(thresholds, 0.7 + logit(share) / scale, atol=1e-6)


@steady
@given(
    st.integers(2, 8),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.1, 3.0, 50.0, 1e4]),
    st.sampled_from([None, 0.5, 3.0]),
    st.sampled_from([0.0, 5.0, 30.0]),
)
def test_an_update_lowers_the_loss_and_keeps_the_order_or_is_not_made(n_buckets, seed, size, spread, log_weight):
    rng = np.random.default_rng(seed)
    n = 40
    bucket = np.append(np.arange(n_buckets), rng.integers(0, n_buckets, n))
    location, weight = size * rng.normal(size=bucket.size), np.exp(log_weight * rng.random(bucket.size))
    unit = None if spread is None else np.exp(np.clip(spread * rng.normal(size=bucket.size), -3, 3))
    thresholds = np.sort(rng.normal(size=n_buckets - 1) * rng.choice([1e-6, 1.0, 20.0])) + 1e-9 * np.arange(n_buckets - 1)
    scored = Scored(bucket, location, unit, weight)
    better = improved([scored], thresholds)
    if better is None:
        return
    assert (np.diff(better) >= LEAST_GAP).all()
    loss = OrdinalBuckets(edges=np.arange(1.0, n_buckets), spread=spread is not None).fit(bucket.astype(float), weight)
    raw = location[:, None] if unit is None else np.column_stack([location, -np.log(unit)])
    totals = []
    for theta in (thresholds, better):
        loss.thresholds_ = theta
        totals.append(loss.value(bucket.astype(float), raw, weight).sum())
        if unit is None or np.abs(raw[:, 1]).max() <= 2:  # the score of a spread is bent beyond
            assert scored.total(theta) == pytest.approx(totals[-1], rel=1e-9)
    if unit is None or np.abs(raw[:, 1]).max() <= 2:
        assert totals[1] <= totals[0] * (1 + 1e-12)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
def test_a_stopped_model_is_what_was_evaluated(engine, spread, tmp_path):
    (X, y), (new, y_new) = spend(3000, 0), spend(1500, 1)
    loss = OrdinalBuckets(n_buckets=24, spread=spread)
    model = boosted(loss, engine, n_estimators=300, learning_rate=0.15, early_stopping_rounds=12)
    model.fit(X, y, eval_set=[(new, y_new), (X, y)])
    history = model.evals_result_["validation_0"]["ordinal_buckets"]
    assert 12 < model.best_iteration_ == np.argmin(history) + 1 < len(history)
    fitted, raw = model.loss_, model.predict_raw(new)
    assert fitted.value(y_new, raw).mean() == pytest.approx(min(history), rel=1e-12 if engine == "lightgbm" else 1e-6)
    start = OrdinalBuckets(n_buckets=24, spread=spread).fit(y).thresholds_
    assert np.abs(fitted.thresholds_ - start).max() > 0.1
    assert (np.diff(fitted.thresholds_) > 0).all()
    assert (np.diff(model.evals_result_["validation_1"]["ordinal_buckets"]) <= 1e-7).all()
    # The same with no look at any set: the thresholds of the round before the last tree.
    again = boosted(loss, engine, n_estimators=model.best_iteration_, learning_rate=0.15).fit(X, y)
    assert_array_equal(again.loss_.thresholds_, fitted.thresholds_)
    assert_array_equal(again.predict(new), model.predict(new))
    model.save(tmp_path / "model.gbreg")
    assert_array_equal(load(tmp_path / "model.gbreg").predict(new), model.predict(new))
    restored = loss_from_json(json.loads(json.dumps(fitted.to_json())))
    assert_array_equal(restored.predict(raw), model.predict(new))
    assert not hasattr(loss, "thresholds_")


def test_catboost_keeps_the_thresholds_of_the_labels():
    X, y = spend(400, 0)
    model = boosted(OrdinalBuckets(n_buckets=10), "catboost").fit(X, y)
    assert_array_equal(model.loss_.thresholds_, OrdinalBuckets(n_buckets=10).fit(y).thresholds_)
    assert np.ptp(model.predict(X)) > 0


def test_thresholds_help():
    """Held-out scores of one fit with thresholds as they were at the start, and of one that estimates them again."""
    (X, y), (new, y_new) = spend(4000, 0), spend(4000, 1)
    crps = {
        engine: boosted(OrdinalBuckets(), engine, n_estimators=60).fit(X, y).predict_distribution(new).crps(y_new)
        for engine in ("lightgbm", "catboost")
    }
    spread = boosted(OrdinalBuckets(spread=True), "lightgbm", n_estimators=60).fit(X, y)
    assert crps["lightgbm"].mean() < crps["catboost"].mean()
    assert spread.predict_distribution(new).crps(y_new).mean() < crps["lightgbm"].mean()


# -- probabilities ----------------------------------------------------------------------------------------------------


@steady
@given(
    st.lists(st.lists(st.floats(-800, 800), min_size=5, max_size=5), min_size=1, max_size=4),
    st.sampled_from(["shared", "spread", "independent"]),
)
def test_probabilities_never_cross(raw, kind):
    loss = OrdinalBuckets(
        n_buckets=6, thresholds="independent" if kind == "independent" else "shared", spread=kind == "spread"
    ).fit(np.arange(12.0))
    raw = np.array(raw)[:, : loss.n_outputs]
    p = loss.probabilities(raw)
    assert (p >= 0).all()
    assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    reached = np.column_stack([loss.distribution(raw).sf(edge) for edge in loss.edges_])
    assert (np.diff(reached, axis=1) <= 1e-15).all()


def test_decoding_by_hand():
    loss = OrdinalBuckets(edges=[1.0, 2.0, 3.0], thresholds="independent").fit([0.0, 1.0, 2.0, 3.0])
    in_order, crossed = logit([0.9, 0.5, 0.2]), logit([0.6, 0.8, 0.3])
    m = loss.representatives_
    # Lowered from the left (0.6, 0.6, 0.3), raised from the right (0.8, 0.8, 0.3).
    for raw, reached in ((in_order, [0.9, 0.5, 0.2]), (crossed, [0.7, 0.7, 0.3])):
        assert_allclose(loss.probabilities(raw[None]), [-np.diff([1.0, *reached, 0.0])], atol=1e-15)
        assert_allclose(loss.predict(raw[None]), m[0] + np.diff(m) @ reached, rtol=1e-14)


@steady
@given(st.lists(st.floats(-30, 30), min_size=5, max_size=5))
def test_decoding_favours_no_side(raw):
    loss = OrdinalBuckets(n_buckets=6, thresholds="independent").fit(np.arange(12.0))
    p, mirrored = (loss.probabilities([r])[0] for r in (raw, [-r for r in reversed(raw)]))
    assert_allclose(p, mirrored[::-1], atol=1e-14)


@pytest.mark.parametrize("spread", [False, True])
@pytest.mark.parametrize("location", [-400.0, -30.0, 0.0, 1.5, 30.0, 400.0])
def test_shared_probabilities_are_precise_where_they_are_small(location, spread):
    loss = OrdinalBuckets(n_buckets=6, edges="quantile", spread=spread).fit(np.arange(12.0))
    raw = [location, -1.5][: loss.n_outputs]
    unit = mp.exp(mpf("1.5")) if spread else mpf(1)
    with mp.workdps(2000):
        below = [1 / (1 + mp.exp((location - mpf(t)) * unit)) for t in loss.thresholds_]
        exact = [b - a for a, b in zip([mpf(0), *below], [*below, mpf(1)], strict=True)]
        nll = [-mp.log(v) for v in exact]
    y = np.arange(1.0, 12.0, 2.0)
    assert_allclose(loss.probabilities([raw])[0], [float(v) for v in exact], rtol=1e-11)
    assert_allclose(loss.value(y, np.tile(raw, (6, 1))), [float(v) for v in nll], rtol=1e-12)


def test_independent_outputs_are_binary_cross_entropies():
    y = np.random.default_rng(0).normal(size=50)
    loss = OrdinalBuckets(n_buckets=5, thresholds="independent").fit(y)
    raw = np.random.default_rng(1).normal(size=(50, 4))
    reached, p = y[:, None] >= loss.edges_, expit(raw)
    assert_allclose(loss.value(y, raw), -np.log(np.where(reached, p, 1 - p)).sum(axis=1), rtol=1e-13)
    assert_allclose(loss.gradient_hessian(y, raw)[0], p - reached, rtol=1e-12, atol=1e-15)


# -- native forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_xgboost_trains_independent_thresholds_natively(weighted):
    """One binary label an edge. In cells whose shares stay within 0.1 to 0.9 the kernel's curvature is XGBoost's own."""
    rng = np.random.default_rng(0)
    X = rng.integers(0, 4, size=(2000, 2)).astype(float)
    y = 0.5 * X[:, 0] + rng.normal(0, 2.5, 2000)
    weight = rng.uniform(0.5, 2.0, 2000) if weighted else None
    loss = OrdinalBuckets(n_buckets=4, edges="quantile", thresholds="independent")
    parameters = {"n_estimators": 20, "max_leaves": 16, "min_child_samples": 1, "engine_params": {"min_child_weight": 0.0}}
    native, kernel = (
        boosted(loss, "xgboost", native=native, **parameters).fit(X, y, weight, eval_set=(X, y)) for native in (True, False)
    )
    assert native.native_
    assert np.abs(kernel.predict_raw(X)).max() < logit(0.9)
    assert_allclose(native.predict_raw(X), kernel.predict_raw(X), rtol=1e-4, atol=1e-5)
    recorded = [model.evals_result_["validation_0"]["ordinal_buckets"] for model in (native, kernel)]
    assert_allclose(*recorded, rtol=1e-6)
    assert recorded[0][-1] < recorded[0][0]


def test_where_there_is_a_native_form():
    y = np.random.default_rng(0).normal(size=1000)
    for n_buckets, thresholds, native in ((10, "independent", True), (30, "independent", False), (10, "shared", False)):
        loss = OrdinalBuckets(n_buckets=n_buckets, edges="quantile", thresholds=thresholds).fit(y)
        assert (loss.native_form() is not None) == native, (n_buckets, thresholds)


# -- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"thresholds": "free"}, "thresholds='free' must be one of 'shared', 'independent'"),
        ({"spread": 2.0}, "spread=2.0 must be one of False, True"),
        ({"spread": True, "thresholds": "independent"}, "spread=True is for thresholds='shared'"),
        ({"representative": "mode"}, "representative='mode' must be one of 'mean', 'median'"),
        ({"n_buckets": 1}, "n_buckets=1 must be an integer >= 2"),
        ({"edges": [50.0]}, "put all labels .0 to 9, .* into one bucket"),
    ],
)
def test_bad_parameters(parameters, message):
    with pytest.raises(ValueError, match=message):
        OrdinalBuckets(**parameters).fit(np.arange(10.0))


def test_negative_labels_are_labels():
    y = np.random.default_rng(0).normal(size=300)
    X = y[:, None] + 0.3 * np.random.default_rng(1).normal(size=(300, 1))
    assert np.corrcoef(boosted(OrdinalBuckets(), "lightgbm").fit(X, y).predict(X), y)[0, 1] > 0.8
