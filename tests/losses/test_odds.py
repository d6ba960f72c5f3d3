"""WCE and Bernoulli: native forms, what WCE tends to, its older implementations, smearing, and the geometric law."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from gbreg import GBRegressor
from gbreg.engines import ENGINES, get_engine
from gbreg.losses import WCE, Bernoulli, Gamma, Poisson, as_classification, geometric_fit
from tests.cases import inside

NATIVE = [Bernoulli(), WCE(), WCE(cap=3.0), WCE("log2"), WCE("log2_plus1")]
every_engine = pytest.mark.parametrize("engine", ENGINES)
every_native = pytest.mark.parametrize("loss", NATIVE, ids=repr)


def in_cells(loss, seed=0, n=1500):
    """Labels with zeros in 12 cells of two features, and weights: leaves for every cell leave splits no choice."""
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.integers(0, 4, n), rng.integers(0, 3, n)]).astype(float)
    y = np.exp(0.5 * X[:, 0] - 0.3 * X[:, 1] + rng.normal(0, 0.8, n)) * (rng.random(n) < 0.8)
    return X, inside(loss, y), rng.uniform(0.5, 2.0, n)


def boosted(loss, engine, **parameters):
    # Not XGBoost's min_child_weight, which it holds against the Hessian of the moment.
    extra = {"engine_params": {"min_child_weight": 0.0}} if engine == "xgboost" else {}
    return GBRegressor(
        loss, engine=engine, n_estimators=20, max_leaves=16, min_child_samples=1, n_jobs=1, **extra, **parameters
    )


# -- native forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@every_engine
@every_native
def test_native_and_kernel_train_the_same_model(loss, engine, weighted):
    X, y, weight = in_cells(loss)
    weight = weight if weighted else None
    native = boosted(loss, engine, native=True).fit(X, y, weight)
    kernel = boosted(loss, engine, native=False, hessian="exact").fit(X, y, weight)
    assert native.native_
    assert not kernel.native_
    assert np.unique(kernel.predict_raw(X)).size == 12
    assert_allclose(native.predict_raw(X), kernel.predict_raw(X), rtol=1e-5, atol=1e-5)


@every_engine
@every_native
def test_native_losses_are_recorded_as_they_are(loss, engine):
    """What engines hand to a metric under their own cross-entropy becomes the loss at complete raw scores."""
    X, y, weight = in_cells(loss)
    model = boosted(loss, engine, native=True).fit(X, y, eval_set=(X, y), eval_sample_weight=weight)
    recorded = model.evals_result_["validation_0"][loss.name]
    assert len(recorded) == 20
    value = np.average(model.loss_.value(y, model.predict_raw(X)), weights=weight)
    assert recorded[-1] == pytest.approx(value, rel=1e-6)


def test_scores_beyond_float32s_probabilities_are_recorded_as_they_are():
    """XGBoost hands probabilities to a metric, 1 in float32 beyond a raw score of 17."""
    x = np.repeat([0.0, 1.0], 200)
    model = GBRegressor("bernoulli", engine="xgboost", native=True, n_estimators=30, learning_rate=1.0, n_jobs=1)
    model.set_params(engine_params={"min_child_weight": 0.0}).fit(x[:, None], x, eval_set=(x[:, None], x))
    raw = model.predict_raw(x[:, None])
    assert raw.max() > 17
    recorded = model.evals_result_["validation_0"]["bernoulli"][-1]
    assert recorded == pytest.approx(model.loss_.value(x, raw).mean(), rel=1e-3)


def test_soft_labels_have_the_gradient_of_the_loss():
    y, raw = np.array([0.0, 0.3, 7.0, 1000.0]), np.array([1.0, -3.0, 2.0, 9.0])
    for loss in (WCE(), WCE(cap=5.0), WCE("log2"), WCE("log2_plus1")):
        loss.fit(y)
        labels, factor = loss._soft_labels(y)
        both = Bernoulli().fit([0.0, 1.0]).gradient_hessian(labels, raw, factor, hessian="exact")
        assert_allclose(both, loss.gradient_hessian(y, raw, hessian="exact"), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("loss", "y", "native"),
    [
        (WCE(), [0.0, 9.9e3] + 5000 * [1.0], True),
        (WCE(), [0.0, 1.01e4] + 5000 * [1.0], False),
        (WCE(cap=100.0), [0.0, 1.01e4] + 5000 * [1.0], True),
        (WCE("log2"), [0.0, 1e9], False),  # its mean is 15
        (WCE("log2"), [0.0, 1e5], True),
        (WCE(), [0.0, 20.0], False),
        (WCE(), [0.0, 0.2], False),
        (Bernoulli(), [0.0, 1.0], True),
        (Bernoulli(), [0.05, 0.1], False),
        (Bernoulli(), [0.9, 0.95], False),
    ],
)
def test_where_there_is_a_native_form(loss, y, native):
    """Only while w is exact in float32, and the mean odds are within 1 / 9 and 9."""
    form = loss.fit(y).native_form()
    for engine in ENGINES:
        assert (form is not None and get_engine(engine).native_parameters(form) is not None) == native


@every_engine
def test_rare_positives_are_left_to_the_kernel(engine):
    """With 1% of positives and a learning rate of 0.3, the engines' own trees overshoot to a loss above the first."""
    rng = np.random.default_rng(0)
    risky = rng.random(20_000) < 0.04
    y = (risky & (rng.random(20_000) < 0.25)).astype(float)
    X = np.column_stack([risky, rng.normal(size=20_000)])
    model = GBRegressor("bernoulli", engine=engine, learning_rate=0.3, n_estimators=30, max_leaves=7, n_jobs=1)
    model.fit(X, y, eval_set=(X, y))
    assert not model.native_
    recorded = model.evals_result_["validation_0"]["bernoulli"]
    assert (np.diff(recorded) < 0).all()
    assert_allclose(model.predict(X).sum(), y.sum(), rtol=0.02)


@every_engine
@pytest.mark.parametrize("label", [0.0, 1.0, 0.3])
def test_constant_shares(engine, label):
    X = np.arange(20.0)[:, None]
    model = GBRegressor("bernoulli", engine=engine).fit(X, np.full(20, label))
    assert_array_equal(model.predict(X), label)


def test_shares_above_one():
    with pytest.raises(
        ValueError, match=r"Bernoulli needs y in \[0, 1\]; 1 of 3 labels are not \(first at row 1: 2\): give"
    ):
        Bernoulli().fit([0.0, 2.0, 1.0])


def test_information():
    """Fisher: the expectation over a label of 0 or 1 does not depend on it."""
    raw = np.array([-2.0, 0.0, 5.0])
    information = 1 / (1 + np.exp(-raw)) / (1 + np.exp(raw))
    got = Bernoulli().fit([0.0, 1.0]).gradient_hessian([0.0, 0.5, 1.0], raw, hessian="expected")[1]
    assert_allclose(got, information, rtol=1e-14)


# -- what WCE is ------------------------------------------------------------------------------------------------------


def test_identity_is_poisson_in_large_units_and_gamma_in_small_ones():
    y, mu = np.array([0.2, 1.0, 5.0]), np.array([1.0, 0.3, 2.0])
    hours, moments = 1e-9, 1e9
    wce, poisson, gamma = (loss.fit(y) for loss in (WCE(), Poisson(), Gamma()))
    raw = np.log(mu)
    assert_allclose(
        wce.gradient_hessian(hours * y, raw + math.log(hours))[0] / hours, poisson.gradient_hessian(y, raw)[0], rtol=1e-8
    )
    assert_allclose(
        wce.gradient_hessian(moments * y, raw + math.log(moments))[0], gamma.gradient_hessian(y, raw)[0], rtol=1e-8
    )


def test_the_unit_matters():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 3))
    y = np.exp(X[:, 0] + rng.normal(0, 1, 600))
    small = boosted(WCE(), "lightgbm", native=False).fit(X, y).predict(X)
    large = boosted(WCE(), "lightgbm", native=False).fit(X, 1e6 * y).predict(X)
    assert np.abs(large / (1e6 * small) - 1).max() > 0.1


def test_cap():
    """No label counts more than the cap: the notes' 8 stands for 255."""
    loss = WCE("log2", cap=8.0).fit([0.0, 255.0, 3.0])
    assert_array_equal(loss.weights([0.0, 3.0, 255.0, 1e9]), [0.0, 2.0, 8.0, 8.0])
    raw = np.array([-1.0, 0.5, 3.0])
    far, at = (loss.gradient_hessian(np.full(3, y), raw) for y in (1e9, 255.0))
    assert_allclose(far, at, rtol=1e-12)
    assert loss.largest_ == 8.0
    assert WCE("log2", cap=8.0).functional == "2^(mean of log2(1 + y)) - 1, smeared to the mean"
    assert (WCE().functional, WCE(cap=8.0).functional) == ("mean", "mean of the capped label")


watched = st.lists(st.tuples(st.floats(0, 1e4), st.floats(-12, 12)), min_size=1, max_size=20)


@pytest.mark.parametrize("scheme", ["identity", "log2", "log2_plus1"])
@settings(max_examples=30, derandomize=True, deadline=None)
@given(rows=watched)
def test_duplicates_sum_to_the_loss(scheme, rows):
    y, raw = (np.array(column) for column in zip(*rows, strict=True))
    index, labels, weights = as_classification(y, "duplicate", scheme, cap=50.0)
    copies = Bernoulli().fit([0.0, 1.0]).gradient_hessian(labels, raw[index], weights, hessian="exact")
    sums = [np.bincount(index, weights=part) for part in copies]
    size = np.bincount(index, weights=np.abs(copies[0]))
    g, h = WCE(scheme, cap=50.0).fit(y).gradient_hessian(y, raw, hessian="exact")
    assert (abs(sums[0] - g) <= 1e-13 * size).all()
    assert_allclose(sums[1], h, rtol=1e-12)


def test_youtube_odds():
    """sum(T) / (n - k): the mean of the watch time over the share of rows without a click."""
    y, weight = np.array([0.0, 0.0, 0.0, 4.0, 11.0]), np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    index, labels, weights = as_classification(y, "youtube")
    assert_array_equal(index, np.arange(5))
    p = np.average(labels, weights=weights * weight)
    assert_allclose(p / (1 - p), np.average(y, weights=weight) / (4 / 6), rtol=1e-14)


def test_bad_classification():
    with pytest.raises(ValueError, match="implementation='loss' must be 'duplicate' or 'youtube'"):
        as_classification([1.0], "loss")
    with pytest.raises(ValueError, match="WCE needs y in"):
        as_classification([-1.0])
    with pytest.raises(ValueError, match=r"cap=-1\.0 must be > 0"):
        as_classification([1.0], cap=-1.0)


# -- smearing ---------------------------------------------------------------------------------------------------------


def test_smearing_by_hand():
    y, weight = np.array([0.0, 1.0, 3.0, 7.0]), np.array([3.0, 1.0, 0.0, 1.0])
    for loss, odds in ((WCE("log2"), 1.0), (WCE("log2_plus1"), 2.0), (WCE("log2", cap=2.0), 1.0)):
        raw = np.full(4, math.log(odds))
        loss.fit(y, weight)
        assert_allclose(loss.predict(raw), 1.0, rtol=1e-14)
        loss.fit_decoder(y, raw, weight)
        # 2^residual is (1 + y) / 2: 1/2 three times, 1, and 4, of the label above the cap too.
        assert_allclose(loss.smearing_factor_, (1.5 + 1.0 + 4.0) / 5, rtol=1e-14)
        assert_allclose(loss.predict(raw), np.average(y, weights=weight), rtol=1e-14)


@every_engine
def test_smearing_after_training(engine):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(1000, 2))
    y = np.exp(X[:, 0] + rng.normal(0, 1, 1000))
    smeared = boosted(WCE("log2"), engine).fit(X, y)
    plain = boosted(WCE("log2", smearing=False), engine).fit(X, y)
    ratio = np.average((1 + y) / (1 + plain.predict(X)))
    assert ratio > 1.05
    assert_allclose(1 + smeared.predict(X), ratio * (1 + plain.predict(X)), rtol=1e-9)
    assert not hasattr(boosted(WCE(), engine).fit(X, y).loss_, "smearing_factor_")


# -- the geometric law ------------------------------------------------------------------------------------------------


def counts(law, seed=0, n=200_000):
    """Labels of that law around predictions from 0.5 to 50."""
    rng = np.random.default_rng(seed)
    m = np.exp(rng.uniform(math.log(0.5), math.log(50.0), n))
    if law == "geometric":
        return rng.geometric(1 / (1 + m)) - 1.0, m
    if law == "poisson":
        return rng.poisson(m).astype(float), m
    if law == "log-normal":
        return m * rng.lognormal(-0.5, 1.0, n), m
    return rng.poisson(2 * m) * (rng.random(n) < 0.5) * 1.0, m


def test_geometric_labels():
    fit = geometric_fit(*counts("geometric"))
    # The Pearson residual's square has variance 8 + 1 / (m (1 + m)) < 10: 5 standard errors; large m weigh more.
    assert fit.dispersion == pytest.approx(1.0, abs=5 * math.sqrt(3 * 10 / 200_000))
    assert fit.below_one == pytest.approx(fit.below_one_expected, abs=5 * 0.5 / math.sqrt(200_000))
    assert abs(fit.trend) < 0.03
    assert [g.rows for g in fit.groups] == [20_000] * 10
    assert "They grow with the prediction as it says: WCE weighs its rows well." in str(fit)
    assert "HurdleRegressor" not in str(fit)


def test_other_laws():
    poisson = geometric_fit(*counts("poisson"))
    assert_allclose([g.dispersion for g in poisson.groups], [1 / (1 + g.odds) for g in poisson.groups], rtol=0.1)
    assert poisson.trend < -0.5
    assert "grow slower with the prediction" in str(poisson)

    log_normal = geometric_fit(*counts("log-normal"))
    top = log_normal.groups[-1]  # variance (e - 1) m^2, of which the law says m (1 + m)
    assert top.dispersion == pytest.approx((math.e - 1) * top.odds / (1 + top.odds), rel=0.1)
    assert log_normal.trend > 0.15

    zeros = geometric_fit(*counts("hurdle"))
    assert zeros.below_one > 0.5 > zeros.below_one_expected
    assert "HurdleRegressor" in str(zeros)


def test_geometric_fit_by_hand():
    fit = geometric_fit([0.0, 2.0, 0.0, 6.0], [1.0, 1.0, 3.0, 3.0])
    low, high = fit.groups
    assert (low.rows, low.odds, low.mean, low.dispersion, low.below_one, low.below_one_expected) == (2, 1, 1, 0.5, 0.5, 0.5)
    assert (high.odds, high.mean, high.dispersion, high.below_one_expected) == (3, 3, 0.75, 0.25)
    assert_allclose([fit.dispersion, fit.trend], [5 / 7, math.log(1.5) / math.log(3)], rtol=1e-12)
    assert str(fit) == (
        "Squared errors are 0.71 times the geometric law's.\n"
        "They grow faster with the prediction (trend +0.37): try a log-normal, such as 'ziln'.\n"
        "50% of the labels are below 1, where it says 38%: try HurdleRegressor, which models zeros apart."
    )
    assert math.isnan(geometric_fit([1.0, 3.0], [2.0, 2.0]).trend)
    assert len(geometric_fit([0.0, 1.0, 2.0], [1.0, 2.0, 3.0], n_groups=1).groups) == 1


def test_geometric_fit_weights():
    w, odds, weight = np.array([0.0, 3.0, 1.0, 9.0]), np.array([1.0, 2.0, 2.0, 4.0]), np.array([2, 1, 0, 3])
    one = geometric_fit(w, odds, weight, n_groups=2)
    other = geometric_fit(np.repeat(w, weight), np.repeat(odds, weight), n_groups=2)
    assert_allclose([one.dispersion, one.trend, one.below_one], [other.dispersion, other.trend, other.below_one], rtol=1e-12)
    assert [g.odds for g in one.groups] == [g.odds for g in other.groups]


def test_geometric_fit_refuses():
    for w, odds, text in (
        ([1.0, -1.0], [1.0, 1.0], r"geometric_fit: w needs y in \[0, inf\); 1 of 2 labels are not \(first at row 1: -1\)"),
        ([1.0], [0.0], r"geometric_fit: odds needs y in \(0, inf\)"),
        ([1.0, 2.0], [1.0], r"w has shape \(2,\) and odds \(1,\)"),
    ):
        with pytest.raises(ValueError, match=text):
            geometric_fit(w, odds)
    with pytest.raises(ValueError, match="n_groups=0 must be at least 1"):
        geometric_fit([1.0], [1.0], n_groups=0)
