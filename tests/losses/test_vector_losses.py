"""One suite over every loss of several outputs: a new one is tested by being defined.

What a new loss adds here is its formula in ORACLE, and VARIANTS if its parameters have corners.
"""

from __future__ import annotations

import json
from itertools import product

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from gbreg import GBRegressor
from gbreg import _kernels as kernels
from gbreg._discretize import bucket_of, soft_labels
from gbreg.engines import ENGINES, Objective
from gbreg.losses import ZILN, LogNormal, OrdinalBuckets, SoftmaxBuckets, SquaredError, VectorLoss, loss_from_json
from tests.cases import built_in
from tests.test_descent import adversarial

BUILT_IN = built_in(VectorLoss)

VARIANTS = {
    "log_normal": [LogNormal(), LogNormal(sigma_bounds=(0.2, 2.5))],
    "ziln": [ZILN()],
    "softmax_buckets": [
        SoftmaxBuckets(n_buckets=8),
        SoftmaxBuckets(n_buckets=9, rank=4, basis="polynomial", edges="quantile"),
        SoftmaxBuckets(n_buckets=8, soft="normal", space="log"),
        SoftmaxBuckets(n_buckets=8, soft="hl_gauss", unbiased=True),
        SoftmaxBuckets(n_buckets=6, rank=None),
        SoftmaxBuckets(n_buckets=6, rank=None, soft="laplace", at="upper_edge"),
        SoftmaxBuckets(n_buckets=6, rank=None, soft="two_hot"),
        SoftmaxBuckets(n_buckets=6, rank=None, soft="normal", sigma=(0.5, 0.5), unbiased=True),
    ],
    "ordinal_buckets": [
        OrdinalBuckets(n_buckets=8),
        OrdinalBuckets(n_buckets=8, edges="mixed", spread=True),
        OrdinalBuckets(n_buckets=6, thresholds="independent"),
    ],
}
CASES = [loss for name, cls in BUILT_IN.items() for loss in VARIANTS.get(name, [cls()])]
# One of each compiled kernel, for what takes long.
FURTHER = [*VARIANTS["softmax_buckets"][1:3], *VARIANTS["softmax_buckets"][4:6], VARIANTS["ordinal_buckets"][2]]
KERNELS = [*(VARIANTS.get(name, [cls()])[0] for name, cls in BUILT_IN.items()), *FURTHER]

every_loss = pytest.mark.parametrize("loss", CASES, ids=repr)
every_kernel = pytest.mark.parametrize("loss", KERNELS, ids=repr)
every_engine = pytest.mark.parametrize("engine", ENGINES)
steady = settings(
    max_examples=25, derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.filter_too_much]
)


def labels_for(loss, n=200, seed=0):
    y = np.random.default_rng(seed).lognormal(0.5, 1.2, n).round(3) + 0.001
    if loss.y_domain.contains(0.0):
        y[::7] = 0.0
    return y


def scores_for(loss, n, size=1.0, seed=0):
    return loss.intercept_ + size * np.random.default_rng(seed).normal(size=(n, loss.n_outputs))


@pytest.mark.parametrize("loss", [SoftmaxBuckets(), SoftmaxBuckets(8, rank=None), OrdinalBuckets()], ids=repr)
def test_every_training_label_has_a_density(loss):
    """Whatever float32, in which engines keep labels, makes of the least and the greatest."""
    for seed in range(5):
        y = np.exp(np.random.default_rng(seed).normal(size=300))
        fitted = clone(loss).fit(y)
        distribution = fitted.distribution(np.tile(fitted.intercept_, (y.size, 1)))
        assert np.isfinite(distribution.log_score(y)).all()


def test_every_kernel_is_among_them():
    kernels, every = ({clone(loss).fit([0.5, 1.0, 2.0, 4.0]).spec() for loss in losses} for losses in (KERNELS, CASES))
    assert kernels == every
    assert len(kernels) == len(KERNELS)


# -- against mpmath ---------------------------------------------------------------------------------------------------


def _softplus(x):
    return mp.log1p(mp.exp(-abs(x))) + max(x, 0)


def _log_normal(loss, y, raw):
    low, high = (mpf(b) for b in loss.sigma_bounds)
    m, s = raw
    sigma = low + 1 / (mp.exp(-s) + 1 / (high - low))
    return mp.log(y) + mp.log(sigma) + mp.log(2 * mp.pi) / 2 + ((mp.log(y) - m) / sigma) ** 2 / 2


def _ziln(loss, y, raw):
    return _softplus(-raw[0]) + _log_normal(loss, y, raw[1:]) if y > 0 else _softplus(raw[0])


def _softmax_buckets(loss, y, raw):
    if loss.rank is None:
        logits = list(raw)
    else:
        n_buckets = loss.prior_.size
        logits = [
            mp.log(mpf(loss.prior_[k])) + sum(r * mpf(b[k]) for r, b in zip(raw, loss.basis_, strict=True))
            for k in range(n_buckets)
        ]
    total = mp.log(sum(mp.exp(v) for v in logits))
    if loss.soft is None:
        return total - logits[bucket_of(float(y), loss.edges_)]
    q = soft_labels(
        [float(y)],
        loss.edges_,
        loss.representatives_,
        loss.soft,
        loss.sigma,
        loss.space,
        loss.at,
        loss.high_[-1],
        loss.unbiased,
    )[0]
    return sum(mpf(q_k) * (mp.log(mpf(q_k)) - v + total) for q_k, v in zip(q, logits, strict=True) if q_k > 0)


def _ordinal_buckets(loss, y, raw):
    own = int(bucket_of(float(y), loss.edges_))
    if loss.thresholds == "independent":
        return sum(_softplus(-r if k < own else r) for k, r in enumerate(raw))
    s = raw[1] if loss.spread else mpf(0)
    if abs(s) > 2:
        s = mp.sign(s) * (2 + mp.tanh(abs(s) - 2))
    low, high = (
        1 / (1 + mp.exp(-(mpf(t) - raw[0]) * mp.exp(-s))) for t in np.append(loss.thresholds_, np.inf)[[own - 1, own]]
    )
    return -mp.log(high - low if own > 0 else high)


ORACLE = {
    "log_normal": _log_normal,
    "ziln": _ziln,
    "softmax_buckets": _softmax_buckets,
    "ordinal_buckets": _ordinal_buckets,
}


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_loss_has_an_oracle(name):
    assert name in ORACLE, f"{name} has no mpmath formula: add it to ORACLE"


@every_loss
def test_value_and_gradient_against_mpmath(loss):
    """1e-10 relative plus 8 eps times the condition number in the scores, where sums of order 1 do not cancel."""
    loss = clone(loss).fit(labels_for(loss))
    formula = ORACLE[loss.name]
    for i, (size, seed) in enumerate(product((0.01, 0.3, 1.0, 3.0, 20.0), (0, 1))):
        y = labels_for(loss, seed=2)[[i, i + 30]]
        raw = scores_for(loss, 2, size, seed)
        value, (gradient, _) = loss.value(y, raw), loss.gradient_hessian(y, raw)
        with mp.workdps(60):
            for j in range(2):
                point = [mpf(r) for r in raw[j]]
                slopes = [
                    mp.diff(lambda *r: formula(loss, mpf(y[j]), r), point, tuple(int(s == r) for s in range(len(point))))  # noqa: B023
                    for r in range(len(point))
                ]
                condition = sum(abs(g * r) for g, r in zip(slopes, point, strict=True))
                true = formula(loss, mpf(y[j]), point)
                assert abs(value[j] - true) <= 1e-10 * abs(true) + 2e-15 * (1 + condition), (y[j], raw[j])
                steep = 1 + sum(abs(r) for r in point) + max(map(abs, slopes))
                for r, slope in enumerate(slopes):
                    assert abs(gradient[j, r] - slope) <= 1e-10 * abs(slope) + 4e-15 * steep, (y[j], raw[j], r)


@every_loss
@pytest.mark.parametrize("size", [30.0, 700.0, 1e5])
def test_finite_far_out(loss, size):
    labels = labels_for(loss)
    loss = clone(loss).fit(labels)
    y = np.concatenate([labels, [labels.min(), labels.max()], labels.max() * np.array([2.0, 1e6])])
    for seed in range(3):
        raw = np.clip(scores_for(loss, y.size, size, seed), -size, size)
        value, (gradient, hess) = loss.value(y, raw), loss.gradient_hessian(y, raw)
        assert np.isfinite(value).all()
        assert np.isfinite(gradient).all()
        assert np.isfinite(hess).all()
        assert (hess >= 0).all()
        assert (hess > 0)[gradient != 0].all()
        if size < 1e3:
            mean = loss.predict(raw)
            assert np.isfinite(mean).all()
            assert_allclose(mean, loss.distribution(raw).mean(), rtol=1e-12)


# -- descent ----------------------------------------------------------------------------------------------------------

BIG = st.floats(-20.7, 20.7)  # ln of labels from 1e-9 to 1e9


@st.composite
def a_leaf(draw):
    """Labels in up to three clusters, adversarial weights, scores alike or not; and by which trees each row is moved."""
    n = draw(st.integers(1, 7))
    centres = draw(st.lists(BIG, min_size=1, max_size=3))
    which = draw(st.lists(st.integers(0, len(centres) - 1), min_size=n, max_size=n))
    spread = draw(st.lists(st.floats(-3, 3), min_size=n, max_size=n))
    log_y = np.clip([centres[k] + s for k, s in zip(which, spread, strict=True)], -20.7, 20.7)
    zeros = np.array(draw(st.lists(st.booleans(), min_size=n, max_size=n)))
    weight = np.exp(draw(st.lists(st.floats(0, 30), min_size=n, max_size=n)))
    size = draw(st.sampled_from([0.0, 0.3, 2.0, 10.0, 40.0]))
    return np.exp(log_y), zeros, weight, size, draw(st.booleans()), draw(st.integers(0, 2**32 - 1))


@pytest.mark.parametrize("rate", [0.1, 0.3])
@every_loss
@settings(max_examples=80, derandomize=True, deadline=None, database=None)
@given(leaf=a_leaf())
def test_no_joint_step_raises_the_loss(loss, rate, leaf):
    y, zeros, weight, size, alike, seed = leaf
    y = np.where(zeros & loss.y_domain.contains(0.0), 0.0, y)
    _, others, _ = adversarial(0, positive=not loss.y_domain.contains(0.0))
    loss = clone(loss).fit(np.concatenate([y, others]), np.concatenate([weight, np.ones(others.size)]))
    rng = np.random.default_rng(seed)
    raw = loss.intercept_ + size * rng.normal(size=(1 if alike else y.size, loss.n_outputs)) + np.zeros((y.size, 1))
    gradient, hess = loss.gradient_hessian(y, raw, weight)
    assert np.isfinite(gradient).all()
    assert np.isfinite(hess).all()
    # A row is in one leaf of every output's tree: the same one, or others.
    inside = np.ones(raw.shape, dtype=bool) if alike else rng.random(raw.shape) < 0.7
    total = np.where(inside, hess, 0.0).sum(axis=0)
    step = -rate * np.where(inside, gradient, 0.0).sum(axis=0) / np.where(total > 0, total, 1.0)
    before, after = loss.value(y, raw, weight), loss.value(y, raw + inside * step, weight)
    assert after.sum() <= before.sum() + 1e-9 * np.abs(before).sum()


@every_engine
@every_kernel
def test_no_round_raises_the_training_loss(loss, engine):
    for seed, rate in ((0, 0.3), (1, 0.1)):
        X, y, weight = adversarial(seed, positive=not loss.y_domain.contains(0.0))
        parameters = {"native": False, "n_estimators": 15, "min_child_samples": 2, "n_jobs": 1}
        model = GBRegressor(clone(loss), engine=engine, learning_rate=rate, **parameters)
        model.fit(X, y, weight, eval_set=(X, y), eval_sample_weight=weight)
        start = clone(loss).fit(y, weight)
        first = np.average(start.value(y, np.tile(start.intercept_, (y.size, 1))), weights=weight)
        values = np.array([first, *model.evals_result_["validation_0"][loss.name]])
        assert np.isfinite(values).all()
        # Engines keep gradients, labels (and XGBoost scores) in float32.
        assert (np.diff(values) <= 1e-6 * np.abs(values[:-1])).all(), values
        assert values[-1] < values[0]
        final = np.average(model.loss_.value(y, model.predict_raw(X)), weights=weight)
        if model.loss_.decodes_with_residuals:  # what is learnt after the last round lowers the loss once more
            assert final <= values[-1] * (1 + 1e-5)
        else:
            assert final == pytest.approx(values[-1], rel=1e-5)


# -- intercepts and weights -------------------------------------------------------------------------------------------

weighted_labels = st.lists(
    st.tuples(st.floats(-3.0, 4.0).map(lambda x: round(np.exp(x), 2)), st.integers(0, 3)), min_size=6, max_size=20
).filter(lambda rows: len({y for y, w in rows if w}) > 4)


@every_loss
@steady
@given(rows=weighted_labels, seed=st.integers(0, 100))
def test_the_intercept_is_the_best_constant(loss, rows, seed):
    y, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    if hasattr(loss, "sigma_bounds"):  # nothing finite is the best sigma beyond them
        low, high = loss.sigma_bounds
        assume(1.1 * low < np.repeat(np.log(y), w.astype(int)).std() < 0.9 * high)
    loss = clone(loss).fit(y, w)
    start = np.tile(loss.intercept_, (y.size, 1))
    here = loss.value(y, start, w).sum()
    direction = np.random.default_rng(seed).normal(size=loss.n_outputs)
    for size in (-1.0, -0.1, -1e-3, 1e-3, 0.1, 1.0):
        for step in (direction, *np.eye(loss.n_outputs)):
            assert loss.value(y, start + size * step, w).sum() >= here - 1e-9 * w.sum()


@every_loss
@steady
@given(rows=weighted_labels)
def test_an_integer_weight_is_a_repetition(loss, rows):
    y, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    weighted, repeated = clone(loss).fit(y, w), clone(loss).fit(np.repeat(y, w.astype(int)))
    assert_allclose(weighted.intercept_, repeated.intercept_, rtol=1e-9, atol=1e-9)
    assert_allclose(weighted.kernel_parameters(), repeated.kernel_parameters(), rtol=1e-9)
    assert_allclose(weighted.table(), repeated.table(), rtol=1e-7, atol=1e-7)


@every_loss
def test_weights_multiply(loss):
    y = labels_for(loss)
    loss = clone(loss).fit(y)
    raw, weight = scores_for(loss, y.size), np.random.default_rng(3).integers(0, 4, y.size).astype(float)
    assert_array_equal(loss.value(y, raw, weight), loss.value(y, raw) * weight)
    for weighted, plain in zip(loss.gradient_hessian(y, raw, weight), loss.gradient_hessian(y, raw), strict=True):
        assert_allclose(weighted, plain * weight[:, None], rtol=1e-15)


@every_loss
def test_constant_labels(loss):
    X = np.arange(20.0).reshape(-1, 1)
    model = GBRegressor(clone(loss)).fit(X, np.full(20, 7.0))
    assert model.loss_.constant_ == 7.0
    assert_array_equal(model.predict(X), np.full(20, 7.0))
    assert_allclose(model.predict_distribution(X).mean(), 7.0, rtol=0.2)
    assert loss_from_json(model.loss_.to_json()).constant_ == 7.0


# -- saving and bad input ---------------------------------------------------------------------------------------------


@every_loss
def test_json_round_trip(loss):
    y = labels_for(loss)
    loss = clone(loss).fit(y)
    again = loss_from_json(json.loads(json.dumps(loss.to_json())))
    raw = scores_for(loss, y.size)
    assert again.to_json() == loss.to_json()
    assert_array_equal(again.predict(raw), loss.predict(raw))
    assert_array_equal(again.value(y, raw), loss.value(y, raw))
    assert_array_equal(again.gradient_hessian(y, raw), loss.gradient_hessian(y, raw))
    assert_array_equal(again.distribution(raw).quantile([0.1, 0.9]), loss.distribution(raw).quantile([0.1, 0.9]))


@every_loss
def test_labels_outside_the_domain(loss):
    if loss.y_domain.low == -np.inf:
        return
    with pytest.raises(ValueError, match=r"1 of 3 labels are not \(first at row 1: -4\)"):
        clone(loss).fit([1.0, -4.0, 2.0])


@every_loss
def test_shapes_and_hessians_that_are_not_offered(loss):
    y = labels_for(loss)
    loss = clone(loss).fit(y)
    with pytest.raises(ValueError, match=r"raw_prediction of shape \(n_samples, "):
        loss.value(y, np.zeros((y.size, loss.n_outputs + 1)))
    with pytest.raises(ValueError, match="hessian='exact' must be 'safe'"):
        loss.gradient_hessian(y, scores_for(loss, y.size), hessian="exact")


# -- losses that say the same -----------------------------------------------------------------------------------------


@every_loss
@pytest.mark.parametrize("size", [0.1, 2.0, 30.0])
def test_training_is_as_exact_as_single_precision(loss, size):
    """Engines take gradients in float32: those of training may be rounded on the way, and no more."""
    y = labels_for(loss)
    loss = clone(loss).fit(y)
    raw = scores_for(loss, y.size, size)
    exact = loss.gradient_hessian(y, raw)
    run = kernels.RowPass(loss.training_spec(), loss.arguments(), offset=np.zeros(loss.n_outputs))
    out = np.empty_like(raw), np.empty_like(raw)
    assert run(loss.label_numbers(y), raw, np.ones(y.size), out) == 0
    for got, want in zip(out, exact, strict=True):
        # Of sums of statistics, which are of this size, and of exp, whose argument is rounded too.
        scale = np.maximum(np.abs(want), np.abs(want).max(axis=0))
        assert (np.abs(got - want) <= 2e-6 * (1.0 + np.abs(raw).max()) * scale).all()


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.float16, ">f8"])
@pytest.mark.parametrize("loss", [LogNormal(), SoftmaxBuckets(n_buckets=3), SquaredError()], ids=repr)
def test_labels_and_scores_of_other_types_are_read_as_what_they_are(loss, kind):
    y = np.array([1.0, 2.0, 5.0, 9.0])
    loss = clone(loss).fit(y)
    raw = np.ones((4, 1)) * np.arange(1.0, 1.0 + loss.intercept_.size)
    raw = raw[:, 0].copy() if raw.shape[1] == 1 else raw
    want = [a.copy() for a in Objective(loss).gradient_hessian(y, raw)]
    for labels, scores in ((y.astype(kind), raw), (y, raw.astype(kind))):
        for got, right in zip(Objective(loss).gradient_hessian(labels, scores), want, strict=True):
            assert_array_equal(got, right)


@pytest.mark.parametrize("score", [np.nan, np.inf, 1e31])
def test_training_counts_rows_of_no_use(score):
    y = np.array([0.5, 1.0, 2.0, 4.0])
    loss = SoftmaxBuckets(n_buckets=4).fit(y)
    raw = np.zeros((4, loss.n_outputs))
    raw[2, 1] = score
    run = kernels.RowPass(loss.training_spec(), loss.arguments(), offset=np.zeros(loss.n_outputs))
    assert run(y, raw, np.ones(4), (np.empty_like(raw), np.empty_like(raw))) == 1


def test_soft_labels_are_made_once(monkeypatch):
    y = labels_for(SoftmaxBuckets())
    loss = SoftmaxBuckets(n_buckets=8, soft="hl_gauss", unbiased=True).fit(y)
    first = loss.label_numbers(y)
    monkeypatch.setattr(SoftmaxBuckets, "_soft_numbers", None)  # called again, it fails
    assert loss.label_numbers(y.copy()) is first
    q = soft_labels(y, loss.edges_, loss.representatives_, "hl_gauss", largest=loss.high_[-1], unbiased=True)
    assert_allclose(first[:, 2:], q @ loss.basis_.T, rtol=1e-9, atol=1e-9)
    assert_allclose(loss.shares(y, np.ones(y.size)), q.mean(axis=0), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("soft", [None, "normal", "two_hot"])
def test_low_rank_is_the_full_softmax_at_the_same_logits(soft):
    y = labels_for(SoftmaxBuckets())
    low, full = (SoftmaxBuckets(n_buckets=12, rank=rank, soft=soft).fit(y) for rank in (3, None))
    raw = scores_for(low, y.size)
    logits = np.log(low.prior_) + raw @ low.basis_
    assert_allclose(low.value(y, raw), full.value(y, logits), rtol=1e-12, atol=1e-13)
    gradient, _ = full.gradient_hessian(y, logits)
    assert_allclose(low.gradient_hessian(y, raw)[0], gradient @ low.basis_.T, rtol=1e-10, atol=1e-13)
    assert_allclose(low.predict(raw), full.predict(logits), rtol=1e-12)


def test_the_joint_ziln_is_its_two_factors():
    y = labels_for(ZILN())
    joint, positive = ZILN().fit(y), LogNormal().fit(y[y > 0])
    raw = scores_for(joint, y.size, 2.0)
    binary = np.logaddexp(0.0, np.where(y > 0, -raw[:, 0], raw[:, 0]))
    amount = np.zeros(y.size)
    amount[y > 0] = positive.value(y[y > 0], raw[y > 0, 1:])
    assert_allclose(joint.value(y, raw), binary + amount, rtol=1e-12)
    gradient, hess = joint.gradient_hessian(y, raw)
    assert_array_equal((gradient[y > 0, 1:], hess[y > 0, 1:]), positive.gradient_hessian(y[y > 0], raw[y > 0, 1:]))
    assert not gradient[y == 0, 1:].any()
    assert not hess[y == 0, 1:].any()
