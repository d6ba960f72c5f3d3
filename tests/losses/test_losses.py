"""One suite over every loss on every link it admits: a new loss is tested by being defined.

What a new loss adds here is its formula in `oracle.py` and a row in SPECIFIC; VARIANTS if its parameters have corners.
"""

import json
import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import inf, mp, mpf
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.base import clone

from gbreg import _kernels as kernels
from gbreg.links import Power
from gbreg.losses import (
    AM,
    WCE,
    AbsoluteError,
    Bernoulli,
    Choice,
    Cloglog,
    Expectile,
    Gamma,
    Huber,
    Huberpp,
    Loss,
    PointwiseLoss,
    Poisson,
    Quantile,
    SoftmaxBuckets,
    SquaredError,
    TransformedSquaredError,
    Tweedie,
    get_loss,
    known_losses,
    loss_from_json,
)
from gbreg.losses.scales import label_scale
from tests.cases import built_in, inside
from tests.losses.oracle import ORACLE, Oracle

BUILT_IN = built_in()
LINKS = ("identity", "log", "softplus", Power(0.5))

VARIANTS = {
    "huber": [
        {"delta": 1.5, "delta_unit": "absolute"},
        {"delta": 1e-6, "delta_unit": "absolute"},
        {"delta": 1e6, "delta_unit": "absolute"},
    ],
    "huberpp": [{}, {"delta": 0.01, "C": 3.0}, {"delta": 30.0}, {"label_floor": 2.0}],
    "am": [
        {},
        {"C": 2.0, "s_high": 0.5, "s_low": 3.0, "lb": 0.9, "ub": 1.1},
        {"lb": 0.3, "ub": 4.0, "label_floor": 2.0},
        {"gradient_on": "raw"},
        {"gradient_on": "raw", "C": 2.0, "s_high": 0.5, "s_low": 3.0, "lb": 0.9, "ub": 1.1},
        {"gradient_on": "raw", "label_floor": 2.0},
    ],
    "quantile": [{"level": 0.1}, {"level": 0.9}],
    "expectile": [{"level": 0.1}, {"level": 0.95}],
    "tweedie": [{"power": 1.05}, {"power": 1.5}, {"power": 1.95}],
    "transformed_squared_error": [{}, {"transform": "power", "power": 0.3}],
    "wce": [{}, {"cap": 2.5}, {"scheme": "log2"}, {"scheme": "log2_plus1"}, {"scheme": "log2_plus1", "cap": 8.0}],
}


def instances(name, variants, links=LINKS):
    """Every variant of a loss on every link it admits."""
    cls = BUILT_IN[name]
    for parameters in variants:
        for link in links if "link" in cls().get_params() else [None]:
            loss = cls(**parameters) if link is None else cls(**parameters, link=link)
            try:
                loss.check_parameters()
            except ValueError:
                continue
            yield loss


# Variants that share one compiled kernel are one test.
GROUPS = {}
for _name in BUILT_IN:
    for _loss in instances(_name, VARIANTS.get(_name, [{}]), [*LINKS, Power(0.3)]):
        GROUPS.setdefault((_name, _loss.coordinate, _loss.link_.name), []).append(_loss)
# One loss of each class and link, with its own defaults, for the properties.
DEFAULTS = [loss for name in BUILT_IN for loss in instances(name, [{}])]

every_group = pytest.mark.parametrize("losses", GROUPS.values(), ids=["-".join(key) for key in GROUPS])
# The scope has pytest run all tests of one loss together, so that two workers seldom compile the same kernels.
every_loss = pytest.mark.parametrize(
    "loss", DEFAULTS, ids=[f"{loss.name}-{loss.link_.name}" for loss in DEFAULTS], scope="module"
)
every_class = pytest.mark.parametrize("cls", BUILT_IN.values(), ids=BUILT_IN)
steady = settings(max_examples=15, derandomize=True, deadline=None)

POSITIVE_LABELS = np.array([0.02, 0.5, 1.0, 1.5, 2.0, 2.5, 4.0, 7.0, 300.0])


def labels_for(loss, n=200, seed=0):
    y = np.random.default_rng(seed).lognormal(0.5, 1.2, n)
    if loss.y_domain.low_closed:
        y[::7] = 0.0
    y = inside(loss, y)
    if loss.y_domain.high_closed:
        y[1::7] = loss.y_domain.high
    return y


# -- against mpmath ---------------------------------------------------------------------------------------------------

LABELS = (0.0, -1e6, 1e-9, 1e-3, 3.0, 1e4, 1e9)
SHARES = (0.0, 1e-9, 1e-3, 0.3, 1.0 - 1e-6, 1.0)
SCORES = {
    "identity": (-1e12, -1e3, -1.0, -1e-9, 0.0, 1e-9, 1.0, 1e12),
    "log": (-800, -745, -700, -30, -1, 0, 1, 30, 300, 650, 700, 709.5, 745, 800),
    "softplus": (-800, -745, -700, -30, -20, -5.001, -5, -4.999, -1, 0, 1, 30, 700, 800, 1e12),
    "power": (-1e12, -1e3, -1.0, -1e-9, 0.0, 1e-9, 1.0, 1e3, 1e12),
    "log1p": (-800, -30, -1, -1e-9, 0, 1e-9, 1, 30, 700, 800),
    "log_log2": (-800, -30, -1, -1e-9, 0, 1e-9, 1, 30, 700, 800),
    "logit": (-800, -30, -1, -1e-9, 0, 1e-9, 1, 30, 700, 800),
    "cloglog": (-800, -30, -1, -1e-9, 0, 1e-9, 1, 3, 6.5, 700, 800),
}


def grid(loss, oracle):
    """Labels over 18 orders of magnitude; scores far out, within 1e-1 to 1e-12 of the label, and at the kinks."""
    for y in SHARES if loss.y_domain.high == 1 else LABELS:
        if not loss.y_domain.contains(y):
            continue
        scores = list(SCORES[loss.link_.name])
        kinks = oracle.formula.kinks(mpf(y), oracle.parameters)
        near = [mpf(y) * (1 + sign * mpf(10) ** -k) for k in (1, 4, 8, 12) for sign in (-1, 1)]
        beside = [kink * (1 + sign * mpf(2) ** -50) for kink in kinks for sign in (-1, 1)]
        for mu in [mpf(y), *near, *kinks, *beside]:
            if loss.link_.range.low < mu < loss.link_.range.high:
                raw = oracle.to_raw(mu)
                scores += [float(raw)] if abs(raw) < inf else []
        yield from ((y, float(raw)) for raw in scores)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_loss_has_an_oracle(name):
    assert name in ORACLE, f"{name} has no mpmath formula: add it to tests/losses/oracle.py"


@pytest.mark.parametrize("name", ORACLE)
def test_oracle_derivatives(name):
    """The oracle's derivatives are those of its value, by mpmath's own numerical differentiation."""
    cls = BUILT_IN[name.partition("/")[0]]
    variants = [v for v in VARIANTS.get(cls.name, [{}]) if ("raw" in v.values()) == name.endswith("/raw")]
    for variant in variants:
        loss = cls(**variant, **({"link": "log"} if "link" in cls().get_params() else {}))
        loss.fit(inside(loss, [1.0, 2.0, 5.0]))
        oracle = Oracle.of(loss)
        triple, p = oracle.formula.triple, oracle.parameters
        with mp.workdps(40):
            for y, mu in product((0.7, 2.0, 3.3), (0.01, 0.65, 0.71, 1.9, 2.3, 3.6, 90.0)):
                _, d1, d2 = triple(mpf(y), mpf(mu), p)
                assert mp.almosteq(mp.diff(lambda x: triple(mpf(y), x, p)[0], mu), d1, 1e-12, 1e-25)  # noqa: B023
                assert mp.almosteq(mp.diff(lambda x: triple(mpf(y), x, p)[1], mu), d2, 1e-12, 1e-25)  # noqa: B023


@every_group
def test_precision(losses):
    """1e-10 relative plus 8 eps times the condition number; finite wherever the true number is."""
    wrong = []
    for loss in losses:
        loss = clone(loss).fit(inside(loss, [1.0, 2.0, 3.0, 4.0, 5.0]))
        oracle = Oracle.of(loss)
        points = list(grid(loss, oracle))
        y, raw = np.array(points).T
        gradient, exact = loss.gradient_hessian(y, raw, hessian="exact")
        safe = loss.gradient_hessian(y, raw)[1]
        got = {"value": loss.value(y, raw), "gradient": gradient, "exact": exact, "safe": safe}
        for i, point in enumerate(points):
            row = oracle.row(*point, loss.step_bounds())
            for what, close in row.items():
                found = float(got[what][i])
                # Where the safe curvature also looks ahead, it may only be larger.
                larger = what == "safe" and loss.step_bounds().ahead > 0 and found > close.true
                if not (close.holds(found) or (larger and math.isfinite(found))):
                    true, off = mp.nstr(close.true, 17), mp.nstr(close.tolerance, 3)
                    wrong.append(f"{loss}: {what} at y={point[0]!r}, raw={point[1]!r} is {found!r}, not {true} +- {off}")
    assert not wrong, f"{len(wrong)} of them:\n" + "\n".join(wrong[:20])


# Values by hand: (loss, y, raw, value, gradient, exact Hessian).
LN2, LN3 = math.log(2), math.log(3)
SPECIFIC = [
    (SquaredError(), 1.0, 4.0, 4.5, 3.0, 1.0),
    (SquaredError("log"), 1.0, LN2, 0.5, 2.0, 6.0),
    (SquaredError(Power(0.5)), 1.0, 2.0, 4.5, 12.0, 22.0),
    (SquaredError("softplus"), LN2, 0.0, 0.0, 0.0, 0.25),
    (AbsoluteError(), 1.0, 4.0, 2.9995, 1.0, 0.0),
    (AbsoluteError("log"), 3.0, 0.0, 1.9995, -1.0, -1.0),
    (Quantile(0.9), 4.0, 1.0, 0.9 * 2.9995, -0.9, 0.0),
    (Quantile(0.9), 1.0, 4.0, 0.1 * 2.9995, 0.1, 0.0),
    (Expectile(0.9), 4.0, 1.0, 8.1, -5.4, 1.8),
    (Expectile(0.9), 1.0, 4.0, 0.9, 0.6, 0.2),
    (Huber(2.0, "absolute"), 1.0, 2.5, 1.125, 1.5, 1.0),
    (Huber(2.0, "absolute"), 1.0, 5.0, 6.0, 2.0, 0.0),
    (Huberpp(delta=0.5, C=2.0), 4.0, 5.0, 0.25, 0.5, 0.5),
    (Huberpp(delta=0.5, C=2.0), 4.0, 10.0, 5.0, 1.0, 0.0),
    (Huberpp(delta=0.5, label_floor=8.0), 4.0, 6.0, 0.25, 0.25, 0.125),
    (AM(s_high=0.5, s_low=2.0), 1.0, math.e, 0.5, 0.5, 0.5 / math.e),
    (AM(s_high=0.5, s_low=2.0), math.e, 1.0, 2.0 * (math.e - 2.0), -2.0, 2.0),
    (AM(ub=2.0), 1.0, 5.0, 5.0 * LN2 - 1.0, LN2, 0.0),
    (AM(lb=0.5), 2.0, -3.0, 3.0 * LN2 + 1.0, -LN2, 0.0),
    (AM(link="log", gradient_on="raw", s_low=3.0), 1.0, -2.0, 6.0, -6.0, 3.0),
    (TransformedSquaredError(), math.e - 1.0, 3.0, 2.0, 2.0, 1.0),
    (TransformedSquaredError("power", 0.5), 9.0, 1.0, 2.0, -2.0, 1.0),
    (Poisson(), 0.0, LN2, 2.0, 2.0, 2.0),
    (Poisson(), 1.0, LN2, 1.0 - LN2, 1.0, 2.0),
    (Gamma(), 1.0, LN2, LN2 - 0.5, 0.5, 0.5),
    (Tweedie(1.5), 0.0, 2.0 * LN2, 4.0, 2.0, 1.0),
    (Tweedie(1.5), 1.0, 2.0 * LN2, 1.0, 1.5, 1.25),
    (Bernoulli(), 1.0, 0.0, LN2, -0.5, 0.25),
    (Bernoulli(), 0.5, LN3, LN2 - LN3 / 2.0, 0.25, 0.1875),
    (Cloglog(), 0.0, LN2, 2.0, 2.0, 2.0),
    (Cloglog(), 1.0, math.log(LN2), LN2, -LN2, LN2 * (2.0 * LN2 - 1.0)),
    (Cloglog(), 0.5, math.log(2.0 * LN2), LN2 - LN3 / 2.0, LN2 / 1.5, LN2 / 3.0 * (LN2 / 0.375 - 1.0) + LN2),
    (WCE(), 0.0, 0.0, LN2, 0.5, 0.25),
    (WCE(), 3.0, 0.0, 3.0 * LN3 - 4.0 * LN2, -1.0, 1.0),
    (WCE(cap=3.0), 100.0, 0.0, 3.0 * LN3 - 4.0 * LN2, -1.0, 1.0),
    (WCE("log2"), 7.0, 0.0, 3.0 * LN3 - 4.0 * LN2, -1.0, 1.0),
    (WCE("log2_plus1"), 3.0, 0.0, 3.0 * LN3 - 4.0 * LN2, -1.0, 1.0),
]


@pytest.mark.parametrize(("loss", "y", "raw", "value", "gradient", "hessian"), SPECIFIC, ids=lambda x: str(x)[:40])
def test_specific_values(loss, y, raw, value, gradient, hessian):
    loss = clone(loss).fit(inside(loss, [1.0, 2.0, 3.0]))
    g, h = loss.gradient_hessian([y], [raw], hessian="exact")
    assert_allclose([loss.value([y], [raw])[0], g[0], h[0]], [value, gradient, hessian], rtol=1e-13, atol=1e-15)


def test_every_loss_has_specific_values():
    assert set(BUILT_IN) <= {row[0].name for row in SPECIFIC}, "add a row to SPECIFIC for the new loss"


def test_links_that_losses_admit():
    admitted = {name: {loss.link_.name for loss in DEFAULTS if loss.name == name} for name in BUILT_IN}
    own_link = {"poisson": "log", "gamma": "log", "tweedie": "log", "bernoulli": "logit", "cloglog": "cloglog", "wce": "log"}
    assert all(admitted[name] == {link} for name, link in own_link.items())
    everywhere = set(BUILT_IN) - set(own_link) - {"transformed_squared_error"}
    assert all({"identity", "log", "softplus", "power"} <= admitted[name] for name in everywhere)


# -- properties -------------------------------------------------------------------------------------------------------


def spread(loss, raw):
    """Scores on either side of the intercept, in units that suit the link."""
    of_ratios = loss.link_.name in ("log", "softplus", "log1p", "logit", "cloglog")
    unit = 1.0 if of_ratios else max(1.0, abs(float(loss.intercept_[0])))
    return loss.intercept_[0] + unit * np.asarray(raw), unit


rows = st.lists(
    st.tuples(st.integers(0, 199), st.floats(-3, 3), st.floats(0.01, 100)), min_size=1, max_size=30, unique_by=lambda r: r[0]
)


@every_loss
@steady
@given(rows=rows)
def test_rows(loss, rows):
    """Gradient, signs, weights and curvature, row by row."""
    labels = labels_for(loss)
    loss = clone(loss).fit(labels)
    index, raw, weight = (np.array(column) for column in zip(*rows, strict=True))
    y, weight = labels[index], weight.astype(float)
    raw, unit = spread(loss, raw)
    value, (g, exact) = loss.value(y, raw), loss.gradient_hessian(y, raw, hessian="exact")
    safe = loss.gradient_hessian(y, raw)[1]

    step = 1e-5 * unit
    ends = [loss.value(y, raw + s) for s in (-step, step)]
    bends = [abs(loss.gradient_hessian(y, raw + s, hessian="exact")[1]) for s in (-step, step)]
    bend = np.max([*bends, abs(exact)], axis=0)
    assert (abs((ends[1] - ends[0]) / (2 * step) - g) <= step * bend + 1e-13 * (1 + value) / step).all()

    assert (value >= 0).all()
    assert (safe > 0).all()
    assert (safe >= exact * (1 - 1e-12)).all()
    with np.errstate(over="ignore"):
        goal = loss.to_raw(y)
    assert ((g <= 0) | (raw >= goal)).all()
    assert ((g >= 0) | (raw <= goal)).all()

    assert_array_equal(loss.value(y, raw, weight), value * weight)
    weighted = loss.gradient_hessian(y, raw, weight)
    assert_allclose(weighted[0], g * weight, rtol=1e-15)
    assert_allclose(weighted[1], safe * weight, rtol=1e-15)


@every_loss
def test_zero_at_the_label(loss):
    y = inside(loss, POSITIVE_LABELS)
    loss = clone(loss).fit(y)
    raw = loss.to_raw(y)
    assert_allclose(loss.value(y, raw), 0.0, atol=1e-24 * y.max() ** 2)
    assert_allclose(loss.value(y[:-1], raw[:-1]), 0.0, atol=1e-24)


weighted_labels = st.lists(
    st.tuples(st.floats(1e-3, 1e3).map(lambda y: round(y, 3)), st.integers(0, 3)), min_size=2, max_size=12
).filter(lambda rows: len({y for y, w in rows if w}) > 1)
SMOOTHED = {"quantile": 1e-3, "absolute_error": 1e-3}


@every_loss
@steady
@given(rows=weighted_labels)
def test_intercept(loss, rows):
    """The intercept is the best constant, and an integer weight is a repetition."""
    y, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    y = inside(loss, y)
    fitted = clone(loss).fit(y, w)
    raw = float(fitted.intercept_[0])
    here = fitted.value(y, np.full(y.size, raw), w).sum()
    unit = spread(fitted, [0.0])[1]
    others = [raw + unit * s for s in (-1, -0.1, -1e-3, 1e-3, 0.1, 1)] + list(fitted.to_raw(y[w > 0]))
    slack = 1e-9 * (1 + here) + SMOOTHED.get(loss.name, 0.0) * label_scale(y, w) * w.sum()
    assert all(fitted.value(y, np.full(y.size, f), w).sum() >= here - slack for f in others)

    # The best constant need not be unique, but what it costs is.
    repeated = clone(loss).fit(np.repeat(y, w.astype(int))).intercept_[0]
    assert_allclose(fitted.value(y, np.full(y.size, repeated), w).sum(), here, rtol=1e-12, atol=1e-12)


CLOSED_FORMS = [
    (SquaredError(), np.average),
    (SquaredError("log"), np.average),
    (SquaredError(Power(0.5)), np.average),
    (Poisson(), np.average),
    (Gamma(), np.average),
    (Tweedie(1.3), np.average),
    (Expectile(0.5), np.average),
    (Huber(1e6, "absolute"), np.average),
    (Huberpp(delta=1e6), stats.hmean),
    (Huberpp(delta=1e9, link="log"), stats.hmean),
    (AM(lb=1e-9, ub=1e9), stats.gmean),
    (AM(lb=1e-9, ub=1e9, link="log"), stats.gmean),
    (AM(lb=1e-9, ub=1e9, link="log", gradient_on="raw"), stats.gmean),
    (WCE(), np.average),
    (WCE(cap=2.5), lambda y, weights: np.average(np.minimum(y, 2.5), weights=weights)),
    (WCE("log2"), lambda y, weights: 2 ** np.average(np.log2(1 + y), weights=weights) - 1),
    (WCE("log2_plus1"), lambda y, weights: 2 ** np.average(np.log2(1 + y), weights=weights) - 1),
    (WCE("log2", cap=1.0), lambda y, weights: 2 ** np.average(np.minimum(np.log2(1 + y), 1), weights=weights) - 1),
    (TransformedSquaredError(), lambda y, weights: np.expm1(np.average(np.log1p(y), weights=weights))),
    (TransformedSquaredError("power", 0.3), lambda y, weights: np.average(y**0.3, weights=weights) ** (1 / 0.3)),
]


@pytest.mark.parametrize(("loss", "functional"), CLOSED_FORMS, ids=[str(row[0]) for row in CLOSED_FORMS])
def test_functional(loss, functional):
    y = POSITIVE_LABELS
    w = np.arange(1.0, 10.0)
    loss = clone(loss).fit(y, w)
    assert_allclose(loss.predict(loss.intercept_), functional(y, weights=w), rtol=1e-9)


def test_functional_of_quantiles_and_expectiles():
    y = np.array([1.0, 2.0, 3.0, 10.0, 50.0])
    assert AbsoluteError().fit(y).intercept_[0] == 3.0
    assert AbsoluteError().fit(y, [1, 1, 1, 1, 5]).intercept_[0] == 50.0
    assert Quantile(0.3).fit(y).intercept_[0] == 2.0
    assert Quantile(0.3, "log").fit(y).intercept_[0] == pytest.approx(LN2)
    assert_allclose(Expectile(0.8).fit(y).intercept_, stats.expectile(y, 0.8), rtol=1e-10)
    # Huber between the median and the mean, and Huberpp between the smallest label and the mean.
    assert_allclose(Huber(1e-6, "absolute").fit(y).intercept_, 3.0, rtol=1e-5)
    assert 3.0 < Huber(5.0, "absolute").fit(y).intercept_[0] < y.mean()


def test_am_slopes_move_the_intercept():
    y = np.array([1.0, 2.0, 4.0])
    low, even, high = (AM(s_high=s, link="log").fit(y).intercept_[0] for s in (5.0, 1.0, 0.2))
    assert low < even < high
    assert even == pytest.approx(LN2)


@every_loss
def test_hessian_scale(loss):
    """The mean curvature at the intercept over rows of positive weight, with C = 1."""
    y = labels_for(loss)
    w = np.random.default_rng(1).integers(0, 4, y.size).astype(float)
    loss = clone(loss).fit(y, w)
    h = loss.gradient_hessian(y, np.full(y.size, loss.intercept_[0]), w)[1]
    assert_allclose(loss.hessian_scale_, h.sum() / (w > 0).sum(), rtol=1e-12)
    repeated = clone(loss).fit(np.repeat(y, w.astype(int)))
    assert_allclose(repeated.hessian_scale_ * w.sum(), loss.hessian_scale_ * (w > 0).sum(), rtol=1e-9)
    if "C" in loss.get_params():
        strong = clone(loss).set_params(C=7.0).fit(y, w)
        assert strong.hessian_scale_ == loss.hessian_scale_
        raw = np.linspace(0.1, 2.0, y.size)
        assert_allclose(strong.gradient_hessian(y, raw), np.multiply(7.0, loss.gradient_hessian(y, raw)), rtol=1e-14)
        assert_allclose(strong.intercept_, loss.intercept_, rtol=1e-12)


EQUIVARIANT = [loss for loss in DEFAULTS if loss.scale_equivariant]


@pytest.mark.parametrize("factor", [1e-6, 1e6])
@pytest.mark.parametrize("loss", EQUIVARIANT, ids=[f"{loss.name}-{loss.link_.name}" for loss in EQUIVARIANT])
def test_scale_equivariance(loss, factor):
    """In another unit, the best constant, every row's Newton step and its relative Hessian are the same."""
    y = labels_for(loss)
    y[0] = 3.0
    one, other = clone(loss).fit(y), clone(loss).fit(factor * y)
    assert_allclose(other.predict(other.intercept_), factor * one.predict(one.intercept_), rtol=1e-9)
    mu = one.predict(spread(one, np.linspace(-0.9, 2.0, y.size))[0])
    raw, far = one.to_raw(mu), other.to_raw(factor * mu)
    (g, h), (g_far, h_far) = one.gradient_hessian(y, raw), other.gradient_hessian(factor * y, far)
    assert_allclose(h_far / other.hessian_scale_, h / one.hessian_scale_, rtol=1e-6)
    assert_allclose(other.predict(far - g_far / h_far), factor * one.predict(raw - g / h), rtol=1e-6, atol=1e-9 * factor)


@pytest.mark.parametrize(
    "loss",
    [
        SquaredError("softplus"),
        Huber(delta_unit="absolute"),
        Huberpp(label_floor=1.0),
        Huberpp(label_rescale=[(1.0, 2.0)]),
        AM(label_floor=1.0),
        AM(label_rescale=[(1.0, 2.0)]),
        TransformedSquaredError(),
        WCE(),
        WCE("log2"),
        Bernoulli(),
        Cloglog(),
    ],
    ids=str,
)
def test_not_scale_equivariant(loss):
    assert not loss.scale_equivariant


# -- bad input --------------------------------------------------------------------------------------------------------


@every_class
def test_labels_outside_the_domain(cls):
    loss = cls()
    domain = loss.y_domain
    if domain.low == -np.inf:
        loss.check_labels([-1e9, 0.0, 1e9])
        return
    bad = domain.low - (1.0 if domain.low_closed else 0.0)
    with pytest.raises(ValueError, match="labels are not") as error:
        loss.fit([1.0, bad, 1.0, bad])
    text = str(error.value)
    assert text.startswith(f"{cls.__name__} needs y in {domain}; 2 of 4 labels are not (first at row 1: {bad:g}): ")
    assert text.endswith(loss.way_out)


def test_way_out_names_the_floor():
    for cls in (AM, Huberpp):
        with pytest.raises(ValueError, match="set label_floor="):
            cls().fit([1.0, 0.0])
        cls(label_floor=0.5).fit([1.0, 0.0, -3.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_labels_that_are_not_finite(bad):
    with pytest.raises(ValueError, match=r"SquaredError: y must be finite .*; 1 of 3 values are not \(first at row 2\)"):
        SquaredError().fit([1.0, 2.0, bad])
    with pytest.raises(ValueError, match=r"sample_weight must be finite; 1 of 2 values are not \(first at row 1\)"):
        SquaredError().fit([1.0, 2.0], [1.0, bad])


def test_other_bad_labels_and_weights():
    with pytest.raises(ValueError, match=r"sample_weight must be >= 0; 2 of 3 values are not \(first at row 0\)"):
        SquaredError().fit([1.0, 2.0, 3.0], [-1.0, 1.0, -1.0])
    with pytest.raises(ValueError, match="sample_weight is all zero"):
        SquaredError().fit([1.0, 2.0], [0.0, 0.0])
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\), y has 2 rows"):
        SquaredError().fit([1.0, 2.0], [1.0, 1.0, 1.0])
    for y in ([], [[1.0], [2.0]]):
        with pytest.raises(ValueError, match="one-dimensional and not empty"):
            SquaredError().fit(y)
    with pytest.raises(ValueError, match="raw_prediction"):
        SquaredError().value([1.0, 2.0], [1.0])


NUMERIC = [(name, p) for name, cls in BUILT_IN.items() for p in cls.parameter_domains]


@pytest.mark.parametrize(("name", "parameter"), NUMERIC)
def test_parameters_outside_their_domain(name, parameter):
    cls = BUILT_IN[name]
    domain = cls.parameter_domains[parameter]
    ends = [end for end, closed in ((domain.low, domain.low_closed), (domain.high, domain.high_closed)) if not closed]
    for bad in [*ends, np.nan, "1", True]:
        if bad is True and domain.contains(1):
            bad = False
        with pytest.raises(ValueError, match=f"{cls.__name__}: {parameter}=.* is not a number in") as error:
            cls(**{parameter: bad}).fit([1.0, 2.0])
        assert str(error.value).endswith(str(domain))


@pytest.mark.parametrize(
    ("loss", "text"),
    [
        (Huber(delta_unit="mean"), "delta_unit='mean' must be 'mad' or 'absolute'"),
        (AM(gradient_on="x"), "gradient_on='x' must be 'mu' or 'raw'"),
        (AM(gradient_on="raw"), "gradient_on='raw' is a loss on the log score, got link='identity'"),
        (AM(label_floor=-1.0), "label_floor=-1.0 must be > 0"),
        (Huberpp(label_floor=0.0), "label_floor=0.0 must be > 0"),
        (Huberpp(label_rescale=[(2.0, 1.0), (1.0, 1.0)]), "increasing edges"),
        (Huberpp(label_rescale=[(2.0, 0.0)]), "positive factors"),
        (TransformedSquaredError("sqrt"), "transform='sqrt' must be 'log1p' or 'power'"),
        (WCE("log"), "scheme='log' must be 'identity', 'log2' or 'log2_plus1'"),
        (WCE(cap=0.0), "cap=0.0 must be > 0, the weight of a label of 0 with scheme='identity', or None"),
        (WCE("log2_plus1", cap=1.0), "cap=1.0 must be > 1, the weight of a label of 0 with scheme='log2_plus1', or None"),
        (SquaredError("probit"), "link='probit' is not known"),
    ],
    ids=lambda x: str(x)[:40],
)
def test_other_bad_parameters(loss, text):
    with pytest.raises(ValueError, match=text):
        loss.fit([1.0, 2.0])


def test_unknown_loss_names_the_nearest():
    with pytest.raises(ValueError, match="loss='huberp' is not known: did you mean 'huberpp'"):
        get_loss("huberp")
    assert get_loss("huberpp", delta=0.3).delta == 0.3
    assert type(get_loss("am")) is AM


def test_get_loss_leaves_the_callers_loss_as_it_is():
    mine = Huber().fit([1.0, 2.0, 4.0])
    assert get_loss(mine) is mine
    other = get_loss(mine, delta=9.0)
    assert (other.delta, mine.delta) == (9.0, 1.0)
    assert mine.delta_ == 1.0
    assert not hasattr(other, "delta_")


@pytest.mark.parametrize(("name", "base"), [("Huber", Huber), ("Huber", PointwiseLoss), ("HUBER", Huber), ("ZILN", Loss)])
def test_a_class_named_like_a_built_in_one_is_refused(name, base):
    before = known_losses()
    message = f"class {name}: gbreg has a loss '{name.lower()}', .*: call yours something else, such as My{name}"
    with pytest.raises(TypeError, match=message) as refused:
        type(name, (base,), {})
    assert known_losses() == before  # while the traceback keeps the class alive
    assert refused.tb is not None


def test_a_class_of_ones_own_may_be_defined_again():
    classes = [type("DefinedTwice", (SquaredError,), {"functional": text}) for text in ("first", "second")]
    assert get_loss("defined_twice").functional == "second"
    assert isinstance(loss_from_json(classes[0]().to_json()), classes[1])


def test_built_in_losses_keep_their_order():
    """That of the choices which stored studies over all losses were asked with."""
    order = [name for name, cls in known_losses().items() if cls.__module__.startswith("gbreg.losses.")]
    assert order == [
        *("expression_loss", "bernoulli", "wce"),
        *("squared_error", "quantile", "absolute_error", "expectile", "huber"),
        *("huberpp", "am", "transformed_squared_error", "cloglog"),
        *("log_normal", "ziln", "poisson", "gamma", "tweedie", "softmax_buckets", "ordinal_buckets"),
    ]


@every_class
def test_constant_labels(cls):
    y = inside(cls(), [3.0, 3.0, 9.0])
    loss = cls().fit(y, [1.0, 2.0, 0.0])
    assert loss.constant_ == y[0]
    assert_allclose(loss.predict(loss.intercept_), y[0], rtol=1e-14)
    assert cls().fit(inside(cls(), [3.0, 4.0])).constant_ is None


@pytest.mark.parametrize("link", ["log", "softplus"])
def test_best_constant_that_the_link_cannot_express(link):
    with pytest.raises(ValueError, match=f"best constant .* is -1, which link='{link}' cannot express.*use link='identity'"):
        SquaredError(link).fit([-3.0, 1.0])


# -- state ------------------------------------------------------------------------------------------------------------


@every_loss
def test_json_round_trip(loss):
    y = labels_for(loss)
    loss = clone(loss).fit(y)
    loss.fit_decoder(y, np.full(y.size, loss.intercept_[0]), np.ones(y.size))
    copy = loss_from_json(json.loads(json.dumps(loss.to_json())))
    raw = spread(loss, np.linspace(-2, 2, y.size))[0]
    assert type(copy) is type(loss)
    assert copy.get_params() == loss.get_params()
    assert_array_equal(copy.predict(raw), loss.predict(raw))
    assert_array_equal(copy.value(y, raw), loss.value(y, raw))
    assert_array_equal(copy.gradient_hessian(y, raw), loss.gradient_hessian(y, raw))
    assert copy.hessian_scale_ == loss.hessian_scale_
    assert_array_equal(copy.intercept_, loss.intercept_)


@every_loss
def test_clone_forgets_the_fit(loss):
    copy = clone(clone(loss).fit(inside(loss, [1.0, 2.0])))
    assert copy.get_params() == loss.get_params()
    assert not hasattr(copy, "intercept_")


# -- single features --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", [Huberpp(link="log"), AM()], ids=str)
def test_label_rescale(loss):
    """Rows at or above an edge count its factor; below the first edge, once. Labels in float32 meet edges in float32."""
    edges = [(0.1, 3.0), (0.7, 0.5)]
    y = np.array([0.05, 0.1, 0.3, 0.7, 2.0])
    factor = np.array([1.0, 3.0, 3.0, 0.5, 0.5])
    plain = clone(loss).fit(y)
    scaled = clone(loss).set_params(label_rescale=edges).fit(y)
    raw = np.linspace(-0.5, 1.0, 5)
    assert_allclose(scaled.value(y, raw), factor * plain.value(y, raw), rtol=1e-15)
    assert_allclose(scaled.gradient_hessian(y, raw), factor * np.array(plain.gradient_hessian(y, raw)), rtol=1e-14)
    assert_allclose(scaled.intercept_, clone(loss).fit(y, factor).intercept_, rtol=1e-12)

    single = y.astype(np.float32)
    assert float(single[3]) < 0.7  # rounded down: in float64 it would fall below the edge
    out = np.empty(5), np.empty(5)
    kernels.Pass(scaled.spec(), scaled.arguments())(single, raw, np.ones(5), out)
    assert_allclose(out[0], scaled.gradient_hessian(y, raw)[0], rtol=1e-5)


def test_label_floor():
    y, raw = np.array([-1.0, 0.0, 0.5, 4.0]), np.array([0.3, 0.4, 0.6, 1.0])
    lifted = np.array([1.0, 1.0, 1.0, 4.0])
    for loss in (AM(), AM(link="log"), AM(link="log", gradient_on="raw")):
        low = clone(loss).set_params(label_floor=1.0).fit(y)
        assert_array_equal(low.gradient_hessian(y, raw), clone(loss).fit(lifted).gradient_hessian(lifted, raw))
        assert_allclose(low.intercept_, clone(loss).fit(lifted).intercept_, rtol=1e-12)
    # Huberpp keeps the label in the difference: only the denominator is lifted.
    g = Huberpp(delta=10.0, label_floor=1.0).fit(y).gradient_hessian(y, raw)[0]
    assert_allclose(g, (raw - y) / lifted, rtol=1e-15)


def test_am_gradient_on_raw_or_mu():
    """On mu the chain rule multiplies the notes' gradient by mu; on raw it is taken as it is."""
    y, raw = np.array([0.5, 1.0, 3.0, 1000.0]), np.array([0.2, 1.0, -1.0, 0.0])
    ratio = np.log(np.clip(np.exp(raw) / y, 0.05, 20.0))
    slope = np.where(ratio > 0, 0.5, 2.0)
    shape = {"s_high": 0.5, "s_low": 2.0, "link": "log"}
    on_raw, on_mu = AM(**shape, gradient_on="raw").fit(y), AM(**shape).fit(y)
    assert_allclose(on_raw.gradient_hessian(y, raw)[0], slope * ratio, rtol=1e-13)
    assert_allclose(on_mu.gradient_hessian(y, raw)[0], slope * ratio * np.exp(raw), rtol=1e-13)


def test_huber_delta_in_units_of_the_scale():
    y, w = np.array([1.0, 2.0, 3.0, 4.0, 100.0]), np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    assert label_scale(y, np.ones(5)) == 1.0
    assert Huber(2.0).fit(y).delta_ == 2.0
    assert Huber(2.0).fit(100 * y).delta_ == 200.0
    assert Huber(2.0, "absolute").fit(100 * y).delta_ == 2.0
    assert Huber(2.0).fit(y, w).delta_ == Huber(2.0).fit(y[:4]).delta_
    # Most labels equal: the mean absolute deviation from the median; all equal: 1.
    assert label_scale(np.array([0.0, 0.0, 0.0, 8.0]), np.ones(4)) == 2.0
    assert label_scale(np.zeros(3), np.ones(3)) == 1.0


def test_smearing_by_hand():
    y, raw = np.array([0.0, 1.0, 3.0, 7.0]), np.log(np.array([1.0, 1.0, 2.0, 2.0]))
    loss = TransformedSquaredError().fit(y)
    loss.fit_decoder(y, raw, np.ones(4))
    # exp(residual) is (1 + y) / exp(raw): 1, 2, 2, 4.
    assert_allclose(loss.predict(raw), np.exp(raw) * 2.25 - 1.0, rtol=1e-14)
    loss.fit_decoder(y, raw, np.array([3.0, 1.0, 0.0, 1.0]))
    assert_allclose(loss.predict(raw), np.exp(raw) * 9 / 5 - 1.0, rtol=1e-14)
    assert_allclose(TransformedSquaredError(smearing=False).fit(y).predict(raw), np.expm1(raw), rtol=1e-15)

    root = TransformedSquaredError("power", 0.5).fit(y)
    root.fit_decoder(np.array([0.0, 1.0, 4.0]), np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 1.0]))
    # Residuals -1, 0, 0, 1 around 2: the mean of 1, 4, 4, 9.
    assert_allclose(root.predict([2.0]), 4.5, rtol=1e-14)


@steady
@given(rows=weighted_labels)
def test_smearing_integer_weights(rows):
    y, w = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    repeated = np.repeat(y, w.astype(int))
    one, other = TransformedSquaredError().fit(y, w), TransformedSquaredError().fit(repeated)
    one.fit_decoder(y, np.full(y.size, 0.7), w)
    other.fit_decoder(repeated, np.full(repeated.size, 0.7), np.ones(repeated.size))
    assert_allclose(one.predict([0.0, 1.0, 2.0]), other.predict([0.0, 1.0, 2.0]), rtol=1e-12)
    # With constant scores the smeared prediction of them is the weighted mean.
    assert_allclose(one.predict([0.7]), np.average(y, weights=w), rtol=1e-12)


def test_smearing_sees_the_whole_tail():
    y = np.random.default_rng(0).pareto(1.5, 5000)
    loss = TransformedSquaredError().fit(y)
    loss.fit_decoder(y, np.zeros(5000), np.ones(5000))
    assert loss.residuals_.size == 1
    assert_allclose(loss.predict([0.0, np.log(3.0)]), [y.mean(), 3.0 * (1.0 + y.mean()) - 1.0], rtol=1e-12)


def test_smearing_of_powers_keeps_at_most_a_thousand_residuals():
    y = np.random.default_rng(0).lognormal(0, 1, 5000)
    loss = TransformedSquaredError("power", 0.5).fit(y)
    loss.fit_decoder(y, np.ones(5000), np.ones(5000))
    assert loss.residuals_.size == 1000
    assert_allclose(loss.predict([1.0]), y.mean(), rtol=0.002)


def ends_of(space):
    """The least and greatest of a search range, or its options."""
    return space.options if isinstance(space, Choice) else (space.low, space.high)


def on_log_link(cls, **parameters):
    """With the log link where there is a choice: gradient_on="raw" takes no other."""
    return cls(**({"link": "log"} if "link" in cls._get_param_names() else {}), **parameters)


SEARCHED = [(cls, name) for cls in built_in(Loss).values() for name in on_log_link(cls).search_space]


@pytest.mark.parametrize(("cls", "name"), SEARCHED, ids=[f"{cls.name}-{name}" for cls, name in SEARCHED])
def test_search_ranges_are_allowed_and_hold_the_default(cls, name):
    space = on_log_link(cls).search_space[name]
    y = inside(cls(), [0.5, 1.0, 2.0, 4.0, 9.0, 20.0])
    for end in ends_of(space):
        loss = on_log_link(cls, **{name: end}).fit(y)
        assert np.isfinite(loss.intercept_).all()
    default = getattr(cls(), name)
    if isinstance(space, Choice):
        assert default in space.options
    elif default is not None:
        assert space.low <= default <= space.high


def test_every_tunable_parameter_has_a_search_range():
    """C cancels without regularisation, s_high only matters against s_low; the rest of the numbers are searched."""
    searched = {cls.name: set(on_log_link(cls).search_space) for cls in BUILT_IN.values()}
    assert searched["huber"] == searched["huberpp"] == {"delta"}
    assert {"s_low", "lb", "ub"} <= searched["am"]
    assert searched["quantile"] == searched["expectile"] == {"level"}
    assert searched["tweedie"] == {"power"}


@pytest.mark.parametrize("link", ["identity", "softplus", "power"])
def test_only_combinations_that_are_taken_are_offered(link):
    assert "gradient_on" not in AM(link=link).search_space
    assert AM(link="log").search_space["gradient_on"] == Choice(("mu", "raw"))


def test_search_ranges_in_the_unit_of_the_target_wait_for_labels():
    y = np.array([1.0, 2.0, 4.0, 7.0, 11.0])  # median 4, deviations 3, 2, 0, 3, 7: their median is 3
    assert Huber(delta_unit="absolute").search_space == {}
    space = Huber(delta_unit="absolute").fit(y).search_space["delta"]
    assert_allclose((space.low, space.high), (0.3, 300.0), rtol=1e-12)
    assert Huber().fit(y).search_space == Huber().search_space
    soft = SoftmaxBuckets(soft="normal", edges=[2.5, 5.5])
    assert "sigma" not in soft.search_space
    space = soft.fit([1.0, 4.0, 7.0]).search_space["sigma"]  # each in its bucket, 3 apart
    assert_allclose((space.low, space.high), (0.75, 24.0), rtol=1e-6)
    assert not {"edges", "n_buckets"} & set(soft.search_space)


def test_expected_hessian():
    y, raw = np.array([0.5, 2.0]), np.array([0.1, 1.0])
    mu = np.exp(raw)
    for loss, information in ((Poisson(), mu), (Gamma(), np.ones(2)), (Tweedie(1.5), mu**0.5)):
        assert_allclose(clone(loss).fit(y).gradient_hessian(y, raw, hessian="expected")[1], information, rtol=1e-14)
    with pytest.raises(ValueError, match='hessian="expected" needs a likelihood'):
        SquaredError().fit(y).gradient_hessian(y, raw, hessian="expected")
