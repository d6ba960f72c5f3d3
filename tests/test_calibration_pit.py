"""Distributions recalibrated by their PIT: uniform afterwards, the same if they were right, atoms, weights, mistakes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy import stats
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from gbreg.calibration import PITCalibrator
from gbreg.distribution import Bucketed, LogNormalDistribution, Recalibrated, ZeroInflated

steady = settings(max_examples=60, derandomize=True, deadline=None)
EDGES = [0.5, 2.0, 8.0, 32.0]
LOW, HIGH, MEANS = [0.0, 0.5, 2.0, 8.0, 32.0], [0.0, 2.0, 8.0, 32.0, 200.0], [0.0, 1.2, 4.5, 17.0, 60.0]


def right(n, seed):
    """Distributions with a mass at 0, unlike from row to row, and a label drawn from each."""
    rng = np.random.default_rng(seed)
    center, spread, p = rng.normal(size=n), rng.uniform(0.5, 1.5, n), rng.uniform(0.2, 0.9, n)
    d = ZeroInflated(p, LogNormalDistribution(center, spread))
    return d, d.sample(1, rng)[:, 0]


def wrong(d):
    """Fewer zeros than there are, medians too high, spreads too small."""
    positive = LogNormalDistribution(d.positive.m + 0.4, 0.6 * d.positive.sigma)
    return ZeroInflated(1 - 0.5 * (1 - d.probability_positive), positive)


def buckets(n, seed):
    rng = np.random.default_rng(seed)
    d = Bucketed(EDGES, LOW, HIGH, MEANS, rng.dirichlet(np.ones(5), n), 0.2)
    return d, d.sample(1, rng)[:, 0]


def heavy(d):
    """Too much in the upper buckets."""
    p = d.probabilities * np.array([1.0, 1.5, 2.0, 3.0, 4.0])
    return Bucketed(EDGES, LOW, HIGH, MEANS, p / p.sum(axis=1, keepdims=True), 0.2)


CASES = {"zero-inflated log-normal": (right, wrong), "buckets": (buckets, heavy)}
cases = pytest.mark.parametrize(("make", "spoil"), CASES.values(), ids=CASES)


def uniform(d, y, seed=9):
    """p-value of a Kolmogorov-Smirnov test of randomised PITs."""
    low, high = d.pit(y).T
    return stats.kstest(low + (high - low) * np.random.default_rng(seed).random(y.size), "uniform").pvalue


def test_new_rows_have_uniform_pits():
    model = PITCalibrator().fit(wrong(right(40_000, 0)[0]), right(40_000, 0)[1])
    for seed in (1, 2, 3):
        d, y = right(4000, seed)
        assert uniform(wrong(d), y) < 1e-12
        assert uniform(model.predict(wrong(d)), y) > 0.05


@cases
def test_what_is_right_stays(make, spoil):
    d, y = make(40_000, 0)
    model = PITCalibrator().fit(d, y)
    # A bin holds 1250 rows, give or take 35: nowhere on the map is it off by more than some 3 standard errors of a share.
    np.testing.assert_allclose(model.heights_, model.levels_, atol=3 * np.sqrt(0.25 / y.size))
    new, truth = make(2000, 1)
    recalibrated = model.predict(new)
    np.testing.assert_allclose(recalibrated.mean(), new.mean(), rtol=0.05)
    assert recalibrated.crps(truth).mean() == pytest.approx(new.crps(truth).mean(), rel=2e-3)
    assert recalibrated.log_score(truth).mean() == pytest.approx(new.log_score(truth).mean(), abs=5e-3)


@cases
def test_scores_improve(make, spoil):
    d, y = make(40_000, 0)
    model = PITCalibrator().fit(spoil(d), y)
    new, truth = make(10_000, 1)
    for score in ("crps", "log_score"):
        before, after = (getattr(x, score)(truth).mean() for x in (spoil(new), model.predict(spoil(new))))
        assert after < before - 0.005 * abs(before)
    low, high = model.predict(spoil(new)).interval(0.1).T
    covered = np.mean((low <= truth) & (truth <= high))
    assert covered > 0.89


@cases
def test_the_identity_changes_nothing(make, spoil):
    d, y = make(300, 0)
    same = Recalibrated(d, [0.0, 0.3, 0.301, 1.0], [0.0, 0.3, 0.301, 1.0])
    for read in ("mean", "median", "mode", "log_mean"):
        np.testing.assert_allclose(getattr(same, read)(), getattr(d, read)(), rtol=1e-7, atol=1e-12)
    for score in ("cdf", "sf", "crps", "log_score", "pit"):
        np.testing.assert_allclose(getattr(same, score)(y), getattr(d, score)(y), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(same.interval(0.2), d.interval(0.2), rtol=1e-12)
    np.testing.assert_allclose(same.sample(3, 0), d.sample(3, 0), rtol=1e-9)


def test_by_hand():
    # Uniform on [0, 4] as two buckets; G halves the lower half's mass to a quarter.
    d = Bucketed([2.0], [0.0, 2.0], [2.0, 4.0], [1.0, 3.0], [[0.5, 0.5]])
    r = Recalibrated(d, [0.0, 0.5, 1.0], [0.0, 0.25, 1.0])
    assert r.mean() == pytest.approx(0.25 * 1 + 0.75 * 3)
    assert r.cdf([1.0]) == pytest.approx(0.125)
    assert r.quantile(0.625) == pytest.approx(3.0)
    assert r.mode() == 3.0
    assert r.log_score([3.0]) == pytest.approx(-np.log(0.375))
    # At y = 2: the integral of (x / 8)**2 below, of (3 / 4 - 3 (x - 2) / 8)**2 above.
    assert r.crps([2.0]) == pytest.approx(8 / 192 + 9 / 16 * 2 / 3)
    assert r.log_mean() == pytest.approx(0.25 * (3 * np.log(3) - 2) / 2 + 0.75 * (5 * np.log(5) - 3 * np.log(3) - 2) / 2)


def test_areas_of_the_log_normal():
    d = LogNormalDistribution([0.5], 0.8)
    with mp.workdps(25):

        def cdf(x):
            return mp.ncdf((mp.log(x) - mpf("0.5")) / mpf("0.8")) if x > 0 else mpf(0)

        for t in (0.3, 1.6487212707001282, 7.0):  # exp(0.5), where the standard score is 0, among them
            parts = mp.linspace(0, t, 6), [t, t + 2, t + 8, t + 30, t + 200, mp.inf]
            expected = [mp.quad(lambda x, k=k: cdf(x) ** k, parts[0]) for k in (1, 2)]
            expected += [mp.quad(lambda x, k=k: (1 - cdf(x)) ** k, parts[1]) for k in (1, 2)]
            np.testing.assert_allclose(np.ravel(d._areas(np.array([t]))), np.array(expected, dtype=float), rtol=1e-9)


def test_more_zeros_than_predicted():
    # Half of the labels are 0, where the model says a fifth: its levels below .2 hold half of the mass.
    d = ZeroInflated(np.full(20_000, 0.8), LogNormalDistribution(np.zeros(20_000), 1.0))
    positive = np.exp(stats.norm.ppf((np.arange(10_000) + 0.5) / 10_000))
    right = PITCalibrator().fit(d, np.append(np.zeros(10_000), positive)).predict(d)
    assert right.cdf(0.0)[0] == pytest.approx(0.5, abs=0.002)
    assert right.log_score(np.zeros(20_000))[0] == pytest.approx(-np.log(right.cdf(0.0)[0]), rel=1e-12)
    assert right.mean()[0] == pytest.approx(0.5 * np.exp(0.5), rel=0.02)


@steady
@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1), st.integers(0, 3)), min_size=1, max_size=20),
    st.integers(1, 40),
    st.randoms(use_true_random=False),
)
def test_any_pits_give_a_map(rows, n_bins, random):
    low, high, weight = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    weight[0] += 1.0
    pit = np.column_stack([np.minimum(low, high), np.maximum(low, high)])
    model = PITCalibrator(n_bins).fit_pit(pit, weight)
    for points in (model.levels_, model.heights_):
        assert (points[0], points[-1]) == (0.0, 1.0)
        assert (np.diff(points) > 0).all()
    order = random.sample(range(weight.size), weight.size)
    again, scaled = PITCalibrator(n_bins).fit_pit(pit[order], weight[order]), PITCalibrator(n_bins).fit_pit(pit, 4 * weight)
    for other in (again, scaled):
        np.testing.assert_array_equal(other.levels_, model.levels_)
        np.testing.assert_array_equal(other.heights_, model.heights_)
    d = LogNormalDistribution([0.0, 1.0], [1.0, 2.0])
    assert np.isfinite(model.predict(d).mean()).all()
    assert np.isfinite(model.predict(d).log_score([1e-9, 1e9])).all()


def test_weighted_rows_count_as_often():
    d, y = right(20_000, 0)
    w = np.random.default_rng(1).integers(0, 4, y.size)
    often = np.repeat(np.arange(y.size), w)
    a, b = PITCalibrator().fit(wrong(d), y, w), PITCalibrator().fit(wrong(d)[often], y[often])
    # The 32 rows that keep the map near the identity are added to some 13,000 of weighted, to 30,000 of repeated rows.
    at = np.linspace(0, 1, 200)
    np.testing.assert_allclose(np.interp(at, a.levels_, a.heights_), np.interp(at, b.levels_, b.heights_), atol=32 / 13_000)


def test_mistakes():
    d = LogNormalDistribution([0.0, 1.0], 1.0)
    with pytest.raises(NotFittedError):
        PITCalibrator().predict(d)
    with pytest.raises(ValueError, match="'n_bins' parameter of PITCalibrator must be"):
        PITCalibrator(0).fit(d, [1.0, 2.0])
    with pytest.raises(ValueError, match="y must be finite, got nan at row 1"):
        PITCalibrator().fit(d, [1.0, np.nan])
    with pytest.raises(ValueError, match=r"y has shape \(3,\), the distribution has 2 rows"):
        PITCalibrator().fit(d, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="sample_weight"):
        PITCalibrator().fit(d, [1.0, 2.0], [0.0, 0.0])
    with pytest.raises(ValueError, match="levels must rise strictly from 0 to 1"):
        Recalibrated(d, [0.0, 0.5, 0.5, 1.0], [0.0, 0.1, 0.2, 1.0])
    with pytest.raises(ValueError, match="heights must rise strictly from 0 to 1"):
        Recalibrated(d, [0.0, 0.5, 1.0], [0.0, 0.2, 0.9])
    with pytest.raises(ValueError, match="levels has 3 points and heights 2"):
        Recalibrated(d, [0.0, 0.5, 1.0], [0.0, 1.0])
    assert repr(clone(PITCalibrator(8))) == "PITCalibrator(n_bins=8)"
