"""Links against mpmath, at extreme scores and labels; intervals."""

import math

import numpy as np
import pytest
from mpmath import inf, mp, mpf
from numpy.testing import assert_allclose, assert_array_equal

from gbreg import _kernels as kernels
from gbreg.links import (
    LINKS,
    ComplementaryLogLog,
    Identity,
    Interval,
    Log,
    Log1p,
    Logit,
    LogLog2,
    Power,
    Softplus,
    get_link,
)
from tests.losses.oracle import LINKS as ORACLE

EPS = 2.0**-52
SCORES = {
    "identity": [-1e300, -1.0, 0.0, 1e-300, 2.5, 1e300],
    "log": [-745.0, -700.0, -30.0, -1.0, -1e-12, 0.0, 1e-12, 1.0, 30.0, 700.0, 709.7],
    "softplus": [-745.0, -700.0, -30.0, -20.1, -19.9, -5.1, -4.9, -1e-9, 0.0, 1.0, 30.0, 40.0, 700.0, 1e9, 1e300],
    "logit": [-745.0, -700.0, -30.0, -1.0, -1e-12, 0.0, 1e-12, 1.0, 30.0, 700.0],
    "cloglog": [-745.0, -700.0, -30.0, -1.0, -1e-12, 0.0, 1e-12, 1.0, 3.0, 6.5],
    "log1p": [-700.0, -30.0, -1.0, -1e-12, 0.0, 1e-12, 1.0, 30.0, 700.0, 709.7],
    "log_log2": [-745.0, -700.0, -30.0, -1.0, -1e-12, 0.0, 1e-12, 1.0, 3.0, 6.9],
    "power": [-1e40, -30.0, -1.0, -1e-12, 1e-12, 1.0, 30.0, 1e40],
}
VALUES = {
    "identity": [-1e300, 0.0, 1e300],
    "log": [5e-324, 1e-310, 1e-300, 1e-9, 0.9999999, 1.0000001, 3.0, 1e300],
    "softplus": [1e-300, 1e-9, 0.5, 0.7, 1.0, 3.0, 30.0, 1e9, 1e300],
    "logit": [1e-300, 1e-9, 0.3, 0.5000001, 0.9, 1 - 1e-9],
    "cloglog": [1e-300, 1e-9, 0.3, 0.5000001, 0.9, 1 - 1e-9],
    "log1p": [-1 + 1e-9, -0.5, -1e-12, 1e-300, 1e-12, 1.0, 1e9, 1e300],
    "log_log2": [1e-300, 1e-12, 0.5, 0.9999999, 1.0000001, 255.0, 1e9, 1e300],
    "power": [-1e300, -2.0, -1e-9, 1e-300, 1e-9, 2.0, 1e300],
}


ALL = [
    *(Identity(), Log(), Softplus(), Logit(), ComplementaryLogLog(), Log1p(), LogLog2(), LogLog2(1.0)),
    *(Power(0.5), Power(0.3), Power(1.0)),
]
every_link = pytest.mark.parametrize("link", ALL, ids=str)


def close(got, function, x):
    """Within 1e-13 relative plus 4 eps times the condition number; underflow to 0 is allowed."""
    with mp.workdps(400):
        x = mpf(x)
        true = function(x)
        slack = max(abs(function(x * (1 + s)) - true) for s in (-4 * mpf(EPS), 4 * mpf(EPS)))
        return abs(mpf(float(got)) - true) <= abs(true) * mpf(10) ** -13 + slack + mpf(2) ** -1022


def test_every_link_is_tested():
    assert {type(link) for link in ALL} == set(LINKS.values())


@every_link
def test_inverse_and_derivatives(link):
    parameters = tuple(mpf(p) for p in link.parameters)
    scores = SCORES[link.name]
    names = ("inverse", "inverse_derivative", "inverse_derivative2")
    for k, name in enumerate(names):
        got = kernels.map_scalar(getattr(link, name), np.array(scores), link.parameters)
        for f, number in zip(scores, got, strict=True):
            assert close(number, lambda x, k=k: ORACLE[link.name].inverse(x, *parameters)[k], f), (name, f, number)


@every_link
def test_link(link):
    parameters = tuple(mpf(p) for p in link.parameters)
    got = kernels.map_scalar(link.link, np.array(VALUES[link.name]), link.parameters)
    for mu, number in zip(VALUES[link.name], got, strict=True):
        assert close(number, lambda x: ORACLE[link.name].link(x, *parameters), mu), (mu, number)


@every_link
def test_round_trip(link):
    mu = np.array([v for v in (0.2, 0.7, 1e-6, 3.0, 1e5) if link.range.contains(v)])
    raw = kernels.map_scalar(link.link, mu, link.parameters)
    assert_allclose(kernels.map_scalar(link.inverse, raw, link.parameters), mu, rtol=1e-9)


@every_link
def test_outside_the_range(link):
    """A value that no score gives is linked to -inf, not NaN; an infinite score is decoded."""
    low = link.range.low
    if low > -inf:
        assert_array_equal(kernels.map_scalar(link.link, np.array([low, low - 1.0]), link.parameters), -np.inf)
    ends = kernels.map_scalar(link.inverse, np.array([-np.inf, np.inf]), link.parameters)
    assert_array_equal(ends, [link.range.low, link.range.high])


def test_power_at_zero():
    for p in (0.3, 0.5, 0.7, 1.0):
        zero = np.zeros(1)
        slope, bend = Power(p).inverse_derivative, Power(p).inverse_derivative2
        assert kernels.map_scalar(Power(p).link, zero, (p,))[0] == 0.0
        assert kernels.map_scalar(Power(p).inverse, zero, (p,))[0] == 0.0
        assert kernels.map_scalar(slope, zero, (p,))[0] == (1.0 if p == 1.0 else 0.0)
        assert kernels.map_scalar(bend, zero, (p,))[0] == 0.0


@pytest.mark.parametrize("p", [0.0, -1.0, 1.5, math.nan, math.inf])
def test_power_domain(p):
    with pytest.raises(ValueError, match=f"Power needs 0 < p <= 1, got p={p}"):
        Power(p)


@every_link
def test_json_and_names(link):
    assert get_link(link.to_json()) == link
    assert get_link(link) is link
    assert isinstance(get_link(link.name), type(link))
    assert get_link(link.to_json()).parameters == link.parameters


def test_unknown_link():
    with pytest.raises(ValueError, match="link='probit' is not known: use one of "):
        get_link("probit")


@pytest.mark.parametrize(
    ("interval", "inside", "outside", "text"),
    [
        (Interval(0, math.inf), [1e-300, 1e300], [0.0, -1.0, math.nan, math.inf], "(0, inf)"),
        (Interval(0, math.inf, "low"), [0.0, 5.0], [-5e-324], "[0, inf)"),
        (Interval(0, 1, "both"), [0.0, 1.0], [1.0 + EPS, -5e-324], "[0, 1]"),
        (Interval(0, 1, "high"), [1.0], [0.0], "(0, 1]"),
        (Interval(-math.inf, math.inf, "both"), [0.0, -1e308], [math.nan, math.inf, -math.inf], "(-inf, inf)"),
    ],
    ids=str,
)
def test_interval(interval, inside, outside, text):
    assert interval.contains(inside).all()
    assert not interval.contains(outside).any()
    assert str(interval) == text


def test_interval_within():
    unit = Interval(0, 1)
    assert unit.within(unit)
    assert unit.within(Interval(0, 1, "both"))
    assert not Interval(0, 1, "low").within(unit)
    assert not Interval(0, 1, "high").within(unit)
    assert Interval(0, 1, "low").within(Interval(-1, 2))
    assert not Interval(-1, 0.5).within(unit)


def test_bad_intervals():
    with pytest.raises(ValueError, match="closed must be"):
        Interval(0, 1, "left")
    with pytest.raises(ValueError, match="low < high"):
        Interval(1, 1)
