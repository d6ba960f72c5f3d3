"""Predictive distributions: identities between their readouts, closed forms against quadrature, degenerate rows."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf
from scipy import stats
from scipy.integrate import quad

from gbreg._discretize import make_edges, representatives, spans
from gbreg.distribution import Bucketed, LogNormalDistribution, Recalibrated, ZeroInflated

steady = settings(max_examples=60, derandomize=True, deadline=None)
LEVELS = (np.arange(400_000) + 0.5) / 400_000
GRID = np.linspace(0, 1, 201)


def training(seed=0, zeros=0.3, unit=1.0):
    random = np.random.default_rng(seed)
    y = np.where(random.random(2000) < zeros, 0.0, np.exp(random.normal(3, 1.2, 2000)))
    return unit * np.where(random.random(2000) < 0.2, 10.0, y)  # a second atom inside


def bucketed(tail=None, seed=0, zeros=0.3, unit=1.0, n=6, how="mean"):
    y = training(seed, zeros, unit)
    edges = make_edges(y, n_buckets=12)
    p = np.random.default_rng(seed).dirichlet(np.full(edges.size + 1, 0.5), n)
    p[:, 4] = 0.0
    p[0] = 0.0
    p[0, 0] = 1.0  # certain of the first bucket, and the next row of the last
    p[1] = 0.0
    p[1, -1] = 1.0
    p /= p.sum(axis=1, keepdims=True)
    return Bucketed(edges, *spans(y, None, edges), representatives(y, None, edges, how), p, tail)


def lognormals():
    return LogNormalDistribution([0.0, 3.0, -2.0, 20.0, 27.0, 1.0], [1e-6, 1.0, 2.5, 0.1, 0.5, 2.0])


FAMILY = {
    "log-normal": lognormals,
    "zero-inflated": lambda: ZeroInflated([0.0, 0.3, 1.0, 0.5, 1e-12, 0.9], lognormals()),
    "buckets": bucketed,
    "buckets of medians": lambda: bucketed(how="median"),
    "buckets, huge": lambda: bucketed(unit=1e12),
    "buckets, exponential tail": lambda: bucketed(0.0),
    "buckets, Pareto tail": lambda: bucketed(0.4),
    "hurdle of buckets": lambda: ZeroInflated([0.0, 0.3, 1.0, 0.5, 0.2, 0.9], bucketed(0.2, zeros=0.0)),
}
FAMILY["clipped log-normal"] = lambda: lognormals().clip([1.0, 10.0, 0.01, 1e9, 1e11, 30.0])
FAMILY["clipped hurdle"] = lambda: FAMILY["zero-inflated"]().clip(2.0)
FAMILY["clipped buckets"] = lambda: bucketed(0.4).clip([20.0, 1e3, 10.0, 15.0, 9.0, 40.0])
MAP = [0.0, 0.1, 0.35, 0.8, 0.95, 1.0], [0.0, 0.2, 0.3, 0.7, 0.98, 1.0]
FAMILY |= {f"recalibrated {name}": (lambda make=make: Recalibrated(make(), *MAP)) for name, make in FAMILY.items()}
FAMILY["recalibrated twice"] = lambda: Recalibrated(FAMILY["recalibrated buckets"](), [0.0, 0.5, 1.0], [0.0, 0.3, 1.0])
FAMILY["hurdle of recalibrated"] = lambda: ZeroInflated([0.0, 0.3, 1.0, 0.5, 0.2, 0.9], Recalibrated(lognormals(), *MAP))
every = pytest.mark.parametrize("make", FAMILY.values(), ids=FAMILY)


def at_mean(d, factor=1.0):
    return np.where(d.mean() > 0, d.mean(), 1.0) * factor


@every
def test_quantiles_invert_the_cdf(make):
    d = make()
    q = d.quantile(GRID)
    assert q.shape == (len(d), GRID.size)
    assert (np.diff(q, axis=1) >= 0).all()
    for j, level in enumerate(GRID):
        upto = d.cdf(q[:, j])
        assert (upto >= level - 1e-9).all()
        # No value below does: reached exactly where the cdf is continuous, in a jump elsewhere.
        value = np.minimum(q[:, j], 1e300)
        assert (d.cdf(value - 1e-7 * np.abs(value) - 1e-300) <= level + 1e-6)[value > 0].all() or level == 0
        np.testing.assert_array_equal(d.quantile(level), q[:, j])
    np.testing.assert_array_equal(d.median(), q[:, 100])
    np.testing.assert_array_equal(d.interval(0.5), d.quantile([0.25, 0.75]))


@steady
@given(st.floats(0.001, 0.999), st.integers(0, 100), st.sampled_from([None, 0.0, 0.5]))
def test_cdf_of_quantile_is_the_level_where_continuous(level, seed, tail):
    buckets = bucketed(tail, seed, zeros=0.0)
    for d in (buckets, ZeroInflated(0.6, buckets)):
        value = d.quantile(level)
        jump = d.cdf(value) - d.cdf(np.nextafter(value, -math.inf)) > 1e-9
        np.testing.assert_allclose(d.cdf(value)[~jump], level, rtol=1e-9)
    smooth = LogNormalDistribution([1.0, 25.0], [0.5, 2.0])
    np.testing.assert_allclose(smooth.cdf(smooth.quantile(level)), level, rtol=1e-9)


@every
def test_cdf_and_survival(make):
    d = make()
    previous = np.zeros(len(d))
    for factor in (-1.0, 0.0, 1e-6, 0.1, 0.5, 1.0, 1.5, 10.0, 1e4):
        t = at_mean(d, factor)
        upto = d.cdf(t)
        np.testing.assert_allclose(upto + d.sf(t), 1, rtol=1e-12)
        assert (upto >= previous - 1e-12).all()
        previous = upto
    for t, value in ((-math.inf, 0.0), (math.inf, 1.0)):
        np.testing.assert_allclose(d.cdf(t), value, atol=1e-12)
        np.testing.assert_allclose(d.sf(t), 1 - value, atol=1e-12)


@every
def test_moments_are_those_of_the_quantiles(make):
    d = make()
    for i in range(len(d)):
        if 0 < d.sf(0.0)[i] < 1e-6:
            continue  # less mass than the levels are apart
        values = d[i]._inverse(LEVELS[None])[0]
        assert d[i].mean() == pytest.approx(values.mean(), rel=2e-2 if d.sf(1e4 * at_mean(d))[i] > 0 else 2e-3, abs=1e-300)
        assert d[i].log_mean(7.0) == pytest.approx(np.log1p(values / 7.0).mean(), rel=1e-4, abs=1e-12)


@every
def test_crps_is_that_of_the_quantiles(make):
    d = make()
    for factor in (-0.5, 0.0, 0.3, 1.0, 2.0, 50.0):
        y = at_mean(d, factor)
        score = d.crps(y)
        for i in range(len(d)):
            values = d[i]._inverse(LEVELS[None])[0]
            brute = np.abs(values - y[i]).mean() - ((2 * LEVELS - 1) * values).mean()
            assert score[i] == pytest.approx(brute, rel=3e-3, abs=1e-6 * at_mean(d)[i]), (factor, i)
        assert (score >= 0).all()


def integral(function, ends, n=4000):
    """Integral of an array function over consecutive intervals, by the midpoint rule within each."""
    width = np.diff(ends) / n
    x = ends[:-1, None] + width[:, None] * (np.arange(n) + 0.5)
    return float((function(x.ravel()).reshape(x.shape) * width[:, None]).sum())


def ends_of(d, *more):
    return np.unique(np.concatenate([[0.0], d.quantile([*GRID[:-1:8], 0.999, 1 - 1e-6])[0], *more]))


@every
def test_crps_is_the_integral_of_the_squared_error_of_the_cdf(make):
    d = make()
    y = at_mean(d, 0.8)
    for i in (2, 3):
        far = np.geomspace(1, 1e8, 30) * d.quantile(1 - 1e-6)[i]
        ends = ends_of(d[i], [y[i]], far)

        def error(x, i=i):
            return (d[np.full(x.size, i)].cdf(x) - (x >= y[i])) ** 2

        assert d.crps(y)[i] == pytest.approx(integral(error, ends), rel=1e-3)


@every
def test_mean_is_the_integral_of_survival(make):
    d = make()
    for i in (2, 3, 5):
        far = np.geomspace(1, 1e8, 60) * d.quantile(1 - 1e-6)[i]
        area = integral(lambda t, i=i: d[np.full(t.size, i)].sf(t), ends_of(d[i], far))
        assert d.mean()[i] == pytest.approx(area, rel=1e-3)


@every
def test_areas_are_those_of_the_scores(make):
    d = make()
    for factor in (-0.5, 0.0, 0.3, 1.0, 20.0):
        t = at_mean(d, factor)
        below, below_squared, above, above_squared = (area / at_mean(d) for area in d._areas(t))
        # A rare positive part is rounded in its own unit, far above the row's mean.
        np.testing.assert_allclose(below_squared + above_squared, d.crps(t) / at_mean(d), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(above - below, (d.mean() - t) / at_mean(d), rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(d._beyond(t) / at_mean(d), above, rtol=1e-9, atol=1e-12)


@every
def test_samples_follow_the_distribution(make):
    d = make()
    draws = d.sample(4000, random_state=1)
    assert draws.shape == (len(d), 4000)
    np.testing.assert_array_equal(draws, d.sample(4000, random_state=1))
    for level in (0.1, 0.5, 0.9):
        q = d.quantile(level)
        np.testing.assert_allclose((draws <= q[:, None]).mean(axis=1), d.cdf(q), atol=0.035)
    ends = d.interval(0.2)
    inside = (draws >= ends[:, :1]) & (draws <= ends[:, 1:])
    assert (inside.mean(axis=1) > 0.8 - 0.035).all()


@every
def test_log_score_is_minus_log_of_the_slope(make):
    d = make()
    levels = np.array([0.07, 0.33, 0.71, 0.97])
    for y in d.quantile(levels).T:
        step = 1e-5 * np.abs(y) + 1e-300
        slope = (d.cdf(y + step) - d.cdf(y - step)) / (2 * step)
        jump = d.cdf(y) - d.cdf(y - 1e-13 * np.abs(y) - 1e-300)
        score = d.log_score(y)
        atom = jump > 1e-6
        np.testing.assert_allclose(score[atom], -np.log(jump[atom]), rtol=1e-6, atol=1e-9)
        smooth = ~atom & (np.abs(d.cdf(y + step) - 2 * d.cdf(y) + d.cdf(y - step)) < 1e-9)  # not on a knot
        np.testing.assert_allclose(score[smooth], -np.log(slope[smooth]), rtol=1e-4, atol=1e-4)


@every
def test_many_rows_are_read_as_few_are(make):
    few = make()
    rows = np.arange(3000) % len(few)  # more than are held at once
    many, y = few[rows], at_mean(few)
    for read in ("mean", "median", "mode", "log_mean", "interval"):
        np.testing.assert_array_equal(getattr(many, read)(), getattr(few, read)()[rows])
    for score in ("cdf", "sf", "pit", "crps", "log_score"):
        np.testing.assert_array_equal(getattr(many, score)(y[rows]), getattr(few, score)(y)[rows])
        np.testing.assert_array_equal(getattr(many, score)(2.5), getattr(few, score)(2.5)[rows])
    with pytest.raises(ValueError, match=r"has shape \(2,\), the distribution has 3,000 rows"):
        many.crps([1.0, 2.0])


@every
def test_subsets(make):
    d, y = make(), 5.0
    for rows in (slice(1, 4), np.array([0, 3, 3]), np.arange(len(d)) % 2 == 0, [2], 4, -1):
        part = d[rows]
        assert type(part) is type(d)
        assert len(part) == np.size(np.arange(len(d))[rows])
        for read in ("mean", "mode", "median", "log_mean"):
            np.testing.assert_allclose(getattr(part, read)(), np.atleast_1d(getattr(d, read)()[rows]), rtol=1e-12)
        np.testing.assert_allclose(part.crps(y), np.atleast_1d(d.crps(y)[rows]), rtol=1e-12)
    assert len(d[:0]) == 0
    assert d[:0].mean().shape == d[:0].crps(1.0).shape == (0,)
    assert d[:0].quantile([0.1, 0.9]).shape == (0, 2)
    assert d[:0].log_mean().shape == (0,)


@every
def test_all_finite(make):
    d = make()
    for read in (d.mean(), d.mode(), d.median(), d.log_mean(), d.interval(1e-6), d.sample(50, random_state=0)):
        assert np.isfinite(read).all()
    for y in (0.0, 1e-12, 1.0, 1e6, 1e12):
        for read in (d.cdf(y), d.sf(y), d.crps(y)):
            assert np.isfinite(read).all()
        assert not np.isnan(d.log_score(y)).any()


# The log-normal


@steady
@given(st.floats(-5, 27), st.floats(1e-6, 3))
def test_log_normal_against_scipy(m, sigma):
    d, reference = LogNormalDistribution([m], sigma), stats.lognorm(sigma, scale=math.exp(m))
    for q in (0.01, 0.5, 0.99):
        y = reference.ppf(q)
        assert d.quantile(q)[0] == pytest.approx(y, rel=1e-10)
        assert d.cdf(y)[0] == pytest.approx(reference.cdf(y), rel=1e-7)
        assert d.sf(y)[0] == pytest.approx(reference.sf(y), rel=1e-7)
        assert d.log_score(y)[0] == pytest.approx(-reference.logpdf(y), rel=1e-7, abs=1e-7)
    assert d.mean()[0] == pytest.approx(reference.mean(), rel=1e-10)
    assert d.mode()[0] == pytest.approx(math.exp(m - sigma**2), rel=1e-12)
    for scale in (1.0, math.exp(m)):
        normal = stats.norm.ppf(LEVELS)
        brute = np.logaddexp(0.0, m + sigma * normal - math.log(scale)).mean()
        assert d.log_mean(scale)[0] == pytest.approx(brute, rel=1e-4)


def test_log_mean_of_a_log_normal_is_exact():
    for sigma in (1e-6, 0.3, 3.0, 12.0):
        z = np.linspace(-14, 14, 2_000_001)
        exact = np.average(np.logaddexp(0.0, 1.0 + sigma * z), weights=np.exp(-0.5 * z * z))
        assert LogNormalDistribution([1.0], sigma).log_mean()[0] == pytest.approx(exact, rel=1e-12)


def test_crps_of_a_log_normal_from_a_table():
    # scoringRules 1.1.3, crps_lnorm(y = c(0.5, 1, 3), meanlog = 0, sdlog = c(1, 1, 2)), by quadrature to all digits here
    for y, sigma in ((0.5, 1.0), (1.0, 1.0), (3.0, 2.0)):
        law = stats.lognorm(sigma)
        lower = quad(lambda x, law=law: law.cdf(x) ** 2, 0, y, epsabs=1e-13)[0]
        upper = quad(lambda u, law=law: law.sf(math.exp(u)) ** 2 * math.exp(u), math.log(y), 60, epsabs=1e-13)[0]
        assert LogNormalDistribution([0.0], sigma).crps(y)[0] == pytest.approx(lower + upper, rel=1e-8)


def test_an_almost_certain_log_normal_scores_its_distance():
    d = LogNormalDistribution([math.log(1e12)], 1e-6)
    np.testing.assert_allclose(d.crps(2e12), 1e12, rtol=1e-5)
    np.testing.assert_allclose(d.crps(1e12), 1e6 * 2 * (math.sqrt(2) - 1) / math.sqrt(4 * math.pi), rtol=1e-3)
    np.testing.assert_allclose(d.crps(-3.0), 1e12 + 3.0, rtol=1e-5)
    assert d.log_score(0.0) == d.log_score(-1.0) == math.inf
    assert LogNormalDistribution([800.0], 1.0).mean() == math.inf  # beyond float64: no warning


# Zero-inflated


def test_zero_inflated_by_hand():
    d = ZeroInflated([0.0, 0.25, 0.75, 1.0], LogNormalDistribution(np.zeros(4), 1.0))
    np.testing.assert_allclose(d.cdf(0.0), [1, 0.75, 0.25, 0])
    np.testing.assert_allclose(d.sf(1.0), [0, 0.125, 0.375, 0.5])
    np.testing.assert_allclose(d.median(), [0, 0, stats.lognorm(1).ppf(1 / 3), 1])
    np.testing.assert_allclose(d.mode(), [0, 0, math.exp(-1), math.exp(-1)])
    np.testing.assert_allclose(d.log_score(0.0), [0, -math.log(0.75), -math.log(0.25), math.inf])
    np.testing.assert_allclose(d.log_score(1.0)[1:], 0.5 * math.log(2 * math.pi) - np.log([0.25, 0.75, 1]))
    assert d.log_score(1.0)[0] == math.inf
    np.testing.assert_allclose(d.crps(2.0)[[0, 3]], [2.0, LogNormalDistribution([0.0], 1.0).crps(2.0)[0]])


# Buckets


def test_inside_a_bucket_by_hand():
    # On [0, 4), mean 1: mass 3/4 on [0, 1), 1/4 on [1, 4). Then an atom at 5, and [6, 10] uniform.
    d = Bucketed([4.0, 6.0], [0.0, 5.0, 6.0], [3.0, 5.0, 10.0], [1.0, 5.0, 8.0], [[0.5, 0.3, 0.2]])
    for t, share in ((0.0, 0), (0.5, 0.1875), (1.0, 0.375), (2.5, 0.4375), (4.5, 0.5), (5.0, 0.8), (5.9, 0.8), (8.0, 0.9)):
        assert d.cdf(t)[0] == pytest.approx(share, rel=1e-12)
        assert d.sf(t)[0] == pytest.approx(1 - share, rel=1e-12)
    np.testing.assert_allclose(d.quantile([0.0, 0.1875, 0.4375, 0.5, 0.6, 0.8, 0.9, 1.0])[0], [0, 0.5, 2.5, 4, 5, 5, 8, 10])
    np.testing.assert_allclose(d.mean(), 0.5 + 1.5 + 1.6)
    np.testing.assert_allclose(d.mode(), [1.0])
    for y, density in ((0.5, 0.375), (2.0, 0.125 / 3), (5.0, 0.3), (5.5, 0.3), (7.0, 0.05), (-1.0, 0.0), (11.0, 0.0)):
        np.testing.assert_allclose(np.exp(-d.log_score(y)), density, rtol=1e-12)
    np.testing.assert_allclose(d.crps(-1.0), 1 + d.crps(0.0))
    np.testing.assert_allclose(d.crps(12.0), 2 + d.crps(10.0))


def test_modes():
    table = ([4.0, 6.0], [0.0, 5.0, 6.0], [3.0, 5.0, 10.0], [1.0, 5.0, 8.0])
    rows = [[0.3, 0.4, 0.3], [0.5, 0.0, 0.5], [0.0, 0.4, 0.6]]
    np.testing.assert_array_equal(Bucketed(*table, rows).mode(), [5, 1, 8])
    np.testing.assert_array_equal(Bucketed(*table, rows, 0.0).mode(), [5, 8, 8])  # an excess of mean 2 starts at 1 / 2


@pytest.mark.parametrize("shape", [0.0, 0.25, 0.6])
def test_tail_against_scipy(shape):
    d = Bucketed([100.0], [0.0, 100.0], [90.0, 500.0], [40.0, 150.0], [[0.6, 0.4]], shape)
    reference = stats.genpareto(shape, loc=100.0, scale=50.0 * (1 - shape))
    assert d.mean()[0] == pytest.approx(0.6 * 40 + 0.4 * 150, rel=1e-12)
    for y in (100.0, 130.0, 700.0, 1e5):
        assert d.sf(y)[0] == pytest.approx(0.4 * reference.sf(y), rel=1e-10)
        assert d.log_score(y)[0] == pytest.approx(-math.log(0.4) - reference.logpdf(y), rel=1e-10)
    for q in (0.7, 0.99, 1 - 1e-9):
        assert d.quantile(q)[0] == pytest.approx(reference.ppf(1 - (1 - q) / 0.4), rel=1e-6)
    assert d.quantile(1.0) == math.inf
    inside = reference.expect(lambda x: np.log1p(x / 3.0))
    first = d[0].log_mean(3.0)[0] - 0.4 * inside
    assert first == pytest.approx(0.6 * np.log1p(40 / 3) * 0.9, rel=0.1)
    certain = Bucketed([100.0], [0.0, 100.0], [90.0, 500.0], [40.0, 150.0], [[0.0, 1.0]], shape)
    assert certain.log_mean(3.0)[0] == pytest.approx(inside, rel=1e-6)
    for scale in (1e-12, 1e12):
        assert certain.log_mean(scale)[0] == pytest.approx(mean_of_logarithm(shape, scale), rel=1e-6)


def mean_of_logarithm(shape, scale):
    """E[ln(1 + Y / scale)] of the tail above as the integral of its survival function over scale + y."""
    unit = 50 * (1 - mpf(shape))
    ends = [0, *(mpf(10) ** k for k in range(-1, 26)), mp.inf]

    def integrand(x):
        sf = (1 + shape * x / unit) ** (-1 / mpf(shape)) if shape else mp.exp(-x / unit)
        return sf / (scale + 100 + x)

    return float(mp.log1p(100 / mpf(scale)) + mp.quad(integrand, ends))


def test_no_excess_no_tail():
    d = Bucketed([5.0], [1.0, 5.0], [1.0, 5.0], [1.0, 5.0], [[0.5, 0.5]], 0.5)
    np.testing.assert_array_equal(d.quantile([0.2, 0.9])[0], [1, 5])


def test_constant_labels():
    d = Bucketed([], [7.0], [7.0], [7.0], np.ones((3, 1)))
    for read in (d.mean(), d.mode(), d.median(), d.quantile(0.0), d.quantile(1.0)):
        np.testing.assert_array_equal(read, [7, 7, 7])
    np.testing.assert_array_equal(d.cdf([6.9, 7.0, 8.0]), [0, 1, 1])
    np.testing.assert_array_equal(d.crps([5.0, 7.0, 10.0]), [2, 0, 3])
    np.testing.assert_allclose(d.log_mean(), math.log(8), rtol=1e-12)


@steady
@given(st.floats(0, 1e12), st.floats(1e-12, 1e12))
def test_log_mean_of_a_uniform_bucket(low, width):
    high = low + width
    if not low < low + 0.5 * width < high:
        return
    d = Bucketed([], [low], [high], [low + 0.5 * width], [[1.0]])
    brute = np.log1p(low + width * LEVELS).mean()
    assert d.log_mean()[0] == pytest.approx(brute, rel=1e-4)


def test_rows_need_not_sum_to_one_exactly():
    d = Bucketed([1.0], [0.0, 1.0], [0.5, 3.0], [0.2, 2.0], [[0.3, 0.7 + 1e-8]])
    assert d.cdf(9.0) == 1.0
    assert d.quantile(1.0) == 3.0


# What is refused

LN = LogNormalDistribution([0.0, 1.0], 1.0)
TABLE = {"edges": [1.0], "low": [0.0, 1.0], "high": [0.5, 3.0], "representatives": [0.2, 2.0], "probabilities": [[0.5, 0.5]]}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LN.quantile(90), r"q=90 must be a number in \[0, 1\]"),
        (lambda: LN.quantile([[0.5]]), "one-dimensional array"),
        (lambda: LN.quantile(math.nan), "q=nan"),
        (lambda: LN.interval(0.0), r"alpha=0.0 must lie in \(0, 1\)"),
        (lambda: LN.cdf([1.0, 2.0, 3.0]), r"t has shape \(3,\), the distribution has 2 rows"),
        (lambda: LN.cdf(math.nan), "t must be a number, got nan at row 0"),
        (lambda: LN.crps([1.0, math.inf]), "y must be finite, got inf at row 1"),
        (lambda: LN.log_mean(0.0), "scale=0.0 must be positive"),
        (lambda: LogNormalDistribution([[0.0]], 1.0), r"m has shape \(1, 1\)"),
        (lambda: LogNormalDistribution([0.0], 0.0), "sigma must be positive, got 0"),
        (lambda: LogNormalDistribution([math.nan], 1.0), "m must be finite, got nan at row 0"),
        (lambda: LogNormalDistribution([0.0], [1.0, 2.0]), r"sigma has shape \(2,\)"),
        (lambda: ZeroInflated([0.5, 1.5], LN), r"probability_positive must lie in \[0, 1\], got 1.5 at row 1"),
        (lambda: ZeroInflated(0.5, bucketed()), "positive has mass at or below 0"),
        (lambda: Bucketed(**{**TABLE, "low": [0.0]}), r"low has shape \(1,\), 1 edges need \(2,\)"),
        (lambda: Bucketed(**{**TABLE, "high": [0.5, 1.5]}), "bucket 1 is out of order"),
        (
            lambda: Bucketed(**{**TABLE, "low": [0.0, 0.9]}),
            "bucket 1 is out of order: edges .1, 1.5|bucket 1 is out of order",
        ),
        (lambda: Bucketed(**{**TABLE, "probabilities": [0.5, 0.5]}), r"probabilities has shape \(2,\)"),
        (lambda: Bucketed(**{**TABLE, "probabilities": [[0.5, 0.6]]}), "1 of 1 rows do not .first: row 0, sum 1.1"),
        (lambda: Bucketed(**{**TABLE, "probabilities": [[1.5, -0.5]]}), "must be >= 0 and sum to 1"),
        (lambda: Bucketed(**{**TABLE, "probabilities": [[math.nan, 0.5]]}), "must be >= 0 and sum to 1"),
        (lambda: Bucketed(**TABLE, tail_shape=1.0), r"tail_shape=1.0 must lie in \[0, 1\)"),
        (lambda: Bucketed([], [-5.0], [5.0], [1.0], [[1.0]]).log_mean(2.0), "needs values above -scale = -2"),
    ],
)
def test_errors_name_the_argument_and_the_way_out(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_row_certain_to_be_zero_has_mean_zero_whatever_lies_above():
    d = ZeroInflated([0.0, 1.0, 0.5], LogNormalDistribution([1000.0, 0.0, 1000.0], 1.0))
    np.testing.assert_allclose(d.mean(), [0.0, math.exp(0.5), math.inf])
