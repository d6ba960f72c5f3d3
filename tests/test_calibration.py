"""Calibrators: monotone, right in sum, blind to the order of rows, by hand and by property; segments and their shrinkage."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from gbreg.calibration import (
    CALIBRATORS,
    IsotonicCalibrator,
    RatioCalibrator,
    SegmentedCalibrator,
    SplineCalibrator,
    get_calibrator,
    time_decay,
)
from gbreg.metrics import decile_calibration_error, pcoc, xauc

steady = settings(max_examples=150, derandomize=True, deadline=None)
EACH = [RatioCalibrator(), IsotonicCalibrator(), IsotonicCalibrator(min_share=0.2), SplineCalibrator(n_bins=4)]
each = pytest.mark.parametrize("calibrator", EACH, ids=repr)


@st.composite
def rows(draw, signed=False):
    """Predictions with ties, labels with zeros, integer weights, some 0."""
    n = draw(st.integers(1, 25))
    amounts = st.one_of(st.integers(0, 8).map(float), st.floats(1e-6, 1e6))
    prediction = (
        st.one_of(st.integers(-4, 8).map(float), st.floats(-1e6, 1e6).map(lambda x: round(x, 6))) if signed else amounts
    )
    label = st.integers(-50, 50) if signed else st.integers(0, 50)
    p = np.array(draw(st.lists(prediction, min_size=n, max_size=n)))
    y = np.array(draw(st.lists(label, min_size=n, max_size=n)), dtype=float)
    w = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), dtype=float)
    w[draw(st.integers(0, n - 1))] += 1
    return p, y, w


any_rows = st.one_of(rows(), rows(signed=True))


@each
@steady
@given(any_rows)
def test_sums_are_right_on_the_calibration_rows(calibrator, data):
    p, y, w = data
    calibrated = clone(calibrator).fit(p, y, w).predict(p)
    size = np.sum(w * np.abs(calibrated))
    assert abs(np.sum(w * calibrated) - np.sum(w * y)) <= 1e-9 * max(size, np.sum(w * np.abs(y)))
    if (p >= 0).all() and (y >= 0).all():
        assert np.sum(w * calibrated) == pytest.approx(np.sum(w * y), rel=1e-9)


@each
@steady
@given(any_rows, st.lists(st.floats(-2e6, 2e6), max_size=10))
def test_predictions_rise(calibrator, data, more):
    p, y, w = data
    at = np.unique([*p, *more, *np.linspace(p.min() - 1, p.max() + 1, 50)])
    calibrated = clone(calibrator).fit(p, y, w).predict(at)
    assert np.isfinite(calibrated).all()
    assert (np.diff(calibrated) >= 0).all()


@each
@steady
@given(rows())
def test_amounts_that_differ_stay_apart_and_positive(calibrator, data):
    p, y, w = data
    fitted = clone(calibrator).fit(p, y, w)
    at = np.linspace(0, 1.5 * p.max() + 1, 40)
    calibrated = fitted.predict(at)
    assert (calibrated >= 0).all()
    if (w * y).any() and p.min() > 0:
        assert (np.diff(calibrated) > 0).all()


@each
@steady
@given(rows(signed=True))
def test_positive_predictions_of_amounts_stay_positive(calibrator, data):
    p, y, w = data
    calibrated = clone(calibrator).fit(p, np.abs(y), w).predict(np.abs(p))
    assert (calibrated >= 0).all()


@each
@steady
@given(any_rows, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(calibrator, data, random):
    order = list(range(data[0].size))
    random.shuffle(order)
    a, b = clone(calibrator).fit(*data), clone(calibrator).fit(*(column[order] for column in data))
    np.testing.assert_array_equal(a.predict(data[0]), b.predict(data[0]))


@each
@steady
@given(any_rows)
def test_an_integer_weight_is_a_repetition(calibrator, data):
    p, y, w = data
    repeated = np.repeat(np.arange(p.size), w.astype(int))
    a, b = clone(calibrator).fit(p, y, w), clone(calibrator).fit(p[repeated], y[repeated])
    scale = np.abs(a.predict(p)).max()
    np.testing.assert_allclose(b.predict(p), a.predict(p), rtol=1e-9, atol=1e-9 * scale)


def test_ratio_by_hand():
    model = RatioCalibrator().fit([1, 2, 3], [4, 0, 8], [1, 5, 1])
    assert (model.scale_, model.shift_) == (12 / 14, 0.0)
    shifted = RatioCalibrator().fit([-3.0, 1.0], [1.0, 5.0])  # a factor would turn the order round
    assert (shifted.scale_, shifted.shift_) == (1.0, 4.0)


def test_isotonic_by_hand():
    # Blocks 1 -> 1, {2, 3} -> 4, {4, 5} -> 7 and 6 -> 9; a line from the origin, and 9 / 6 beyond.
    p, y = np.arange(1.0, 7.0), [1.0, 5.0, 3.0, 9.0, 5.0, 9.0]
    model = IsotonicCalibrator(min_share=0).fit(p, y)
    at = np.array([-2.0, 0.0, 0.5, 1.0, 1.75, 2.5, 3.5, 4.5, 5.25, 6.0, 12.0])
    curve = np.array([-2.0, 0.0, 0.5, 1.0, 2.5, 4.0, 5.5, 7.0, 8.0, 9.0, 18.0])
    factor = sum(y) / (1 + 3 + 4.75 + 6.25 + 7 + 2 / 3 + 9)
    np.testing.assert_allclose(model.predict(at), factor * curve, rtol=1e-14)


def test_isotonic_blocks_have_their_share():
    p = np.arange(1.0, 11.0)
    model = IsotonicCalibrator(min_share=0.3).fit(p, p**2)
    # Three rows, then three, then three and the one that is left; the origin, and a point on either side.
    np.testing.assert_allclose(model.knots_[2:-1], [2.0, 5.0, 8.5])
    np.testing.assert_allclose(model.heights_[2:-1], [14 / 3, 77 / 3, (49 + 64 + 81 + 100) / 4])


def test_rows_whose_labels_are_all_zero_keep_their_order():
    p = np.arange(1.0, 101.0)
    y = np.where(p > 70, p, 0.0)
    for model in (IsotonicCalibrator(min_share=0), SplineCalibrator(n_bins=20)):
        assert (np.diff(model.fit(p, y).predict(p)) > 0).all()


def test_spline_through_power_laws():
    p = np.exp(np.linspace(-3, 4, 4000))
    for power in (0.5, 1.0, 2.0):
        calibrated = SplineCalibrator().fit(p, 7 * p**power).predict(p)
        # In bins of equal width on the log scale, means of a power are one factor off the power of the mean; that factor
        # and what the ratios beyond the outer means add are in the scale.
        off = (calibrated / (7 * p**power))[200:-200]
        np.testing.assert_allclose(off, off.mean(), rtol=1e-4)
        assert off.mean() == pytest.approx(1, abs=0.02)
    line = SplineCalibrator().fit(p - 5, 3 * p - 40)  # of both signs
    np.testing.assert_allclose(line.predict(p - 5)[200:-200], (3 * p - 40)[200:-200], rtol=0.02, atol=0.1)


@each
def test_degenerate_rows(calibrator):
    fit = clone(calibrator).fit
    assert fit([1.0, 2.0, 5.0], [0.0, 0.0, 0.0]).predict([-1.0, 0.0, 9.0]).tolist() == [0.0, 0.0, 0.0]
    constant = fit([2.0, 2.0], [1.0, 5.0])
    np.testing.assert_allclose(constant.predict([1.0, 2.0, 4.0]), [1.5, 3.0, 6.0])
    np.testing.assert_allclose(fit([2.0], [10.0]).predict([1.0, 3.0]), [5.0, 15.0])
    np.testing.assert_allclose(fit([0.0, 0.0], [1.0, 3.0]).predict([0.0, 1.0]), [2.0, 3.0])
    np.testing.assert_allclose(fit([-4.0, -4.0], [1.0, 3.0]).predict([-4.0, -3.0]), [2.0, 3.0])


@pytest.mark.parametrize("method", CALIBRATORS)
def test_it_repairs_what_a_log_scale_breaks(method):
    rng = np.random.default_rng(0)
    mean = np.exp(rng.normal(size=20_000))
    y = mean * rng.exponential(size=mean.size)
    broken = mean**0.7 / 3
    model = get_calibrator(method).fit(broken[::2], y[::2])
    repaired, truth = model.predict(broken[1::2]), y[1::2]
    assert pcoc(truth, broken[1::2]) < 0.4
    assert pcoc(truth, repaired) == pytest.approx(1, abs=0.03)
    assert xauc(truth, repaired) == pytest.approx(xauc(truth, broken[1::2]), abs=1e-12)
    error = decile_calibration_error(truth, repaired)
    assert error > 0.1 if method == "ratio" else error < 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, np.nan], [1, 1]), "prediction must be finite; 1 of 2 values are not .first at row 1.: drop those rows"),
        (([1.0, 1.0], [np.inf, 1]), "y must be finite; 1 of 2 values are not .first at row 0."),
        (([1.0, 1.0], [1.0]), "prediction has 2 rows and y 1: give as many, at least one"),
        (([], []), "prediction has 0 rows and y 0"),
        (([[1.0], [1.0]], [1.0, 1.0]), r"prediction must be one-dimensional, got shape \(2, 1\)"),
        (([1.0, 1.0], [1.0, 1.0], [0.0, 0.0]), "sample_weight is all zero"),
        (([1.0], [1.0], None, ["a"]), r"segment: .* has one curve for all rows; use SegmentedCalibrator\("),
    ],
)
@each
def test_mistakes(calibrator, arguments, message):
    with pytest.raises(ValueError, match=message):
        clone(calibrator).fit(*arguments)


def test_other_mistakes():
    with pytest.raises(NotFittedError):
        RatioCalibrator().predict([1.0])
    with pytest.raises(ValueError, match="'min_share' parameter of IsotonicCalibrator must be"):
        IsotonicCalibrator(min_share=1.0).fit([1.0], [1.0])
    with pytest.raises(ValueError, match="'n_bins' parameter of SplineCalibrator must be"):
        SplineCalibrator(n_bins=1).fit([1.0], [1.0])
    with pytest.raises(ValueError, match="method='platt' is not known: use one of ratio, isotonic, spline"):
        get_calibrator("platt")
    assert {name: type(get_calibrator(name)) for name in CALIBRATORS} == CALIBRATORS


# Time


def test_decay_follows_the_latest_rows():
    age = np.repeat([0.0, 30.0, 60.0], 1000)
    p, y = np.ones(3000), np.repeat([4.0, 2.0, 1.0], 1000)
    weight = time_decay(-age, half_life=30.0)
    assert RatioCalibrator().fit(p, y, weight).scale_ == pytest.approx((4 + 2 / 2 + 1 / 4) / (1 + 1 / 2 + 1 / 4))
    dates = np.datetime64("2026-03-01") - age.astype("timedelta64[D]")
    np.testing.assert_allclose(time_decay(dates, np.timedelta64(30, "D")), weight, rtol=1e-15)
    np.testing.assert_allclose(time_decay(dates, timedelta(days=30)), weight, rtol=1e-15)
    np.testing.assert_allclose(time_decay(pd.Series(dates), pd.Timedelta(days=30)), weight, rtol=1e-15)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1.0, np.nan], 1.0), "time: 1 of 2 are missing or infinite: drop those rows"),
        ((np.array(["2026-01-01", "NaT"], dtype="datetime64[D]"), np.timedelta64(1, "D")), "time: 1 of 2 are missing"),
        (([1.0], 0.0), "half_life=0.0 must be positive, in the unit of time"),
        (([1.0], np.nan), "half_life=nan must be positive"),
        (([], 1.0), r"time must be one-dimensional and not empty, got shape \(0,\)"),
    ],
)
def test_mistakes_about_time(arguments, message):
    with pytest.raises(ValueError, match=message):
        time_decay(*arguments)


# Segments


def segmented(n=6000, spread=0.5, seed=0, sizes=30):
    """Labels whose mean is the prediction times a factor of the row's segment; segments of unlike size."""
    rng = np.random.default_rng(seed)
    factor = np.exp(spread * np.random.default_rng(1).normal(size=sizes))
    segment = np.minimum(rng.geometric(0.15, n) - 1, sizes - 1)
    p = np.exp(rng.normal(size=n))
    return p, p * factor[segment] * rng.exponential(size=n), segment


def test_shares_by_hand():
    # Two segments of two rows, predictions 1, the curve of all rows 2: errors -1, 0 | -1, 2 over 2; means -1/4, 1/4.
    # Within (2 * 1/16 + 2 * 9/16) / (4 - 2) = 5/8; between (4 * 1/16 - 2 * 5/8) / 4 < 0.
    model = SegmentedCalibrator(RatioCalibrator())
    model.fit(np.ones(4), [1.0, 2.0, 1.0, 4.0], segment=["a", "a", "b", "b"])
    assert model.strength_ == np.inf
    assert (model.shares_.tolist(), model.calibrators_) == ([0.0, 0.0], [])
    np.testing.assert_allclose(model.predict(np.ones(2), ["a", "b"]), [2.0, 2.0])
    # Labels 1, 2 | 3, 4, the curve 2.5: errors over it -.6, -.2 | .2, .6. Within 4 * .04 / 2 = .08, between
    # (4 * .16 - 2 * .08) / 4 = .12: strength 2/3, shares 2 / (2 + 2/3) = 3/4.
    model.fit(np.ones(4), [1.0, 2.0, 3.0, 4.0], segment=["a", "a", "b", "b"])
    assert model.strength_ == pytest.approx(2 / 3)
    np.testing.assert_allclose(model.predict(np.ones(2), ["a", "b"]), [0.75 * 1.5 + 0.25 * 2.5, 0.75 * 3.5 + 0.25 * 2.5])


def test_strength_is_noise_over_signal():
    # A factor of mean 1 whose squared coefficient of variation is exp(.25) - 1 = .284, exponential labels: 1 within, for
    # equal predictions. Estimated over 400 segments.
    rng = np.random.default_rng(0)
    segment = np.repeat(np.arange(400), 100)
    factor = np.exp(0.5 * rng.normal(size=400))
    y = factor[segment] * rng.exponential(size=segment.size)
    found = SegmentedCalibrator(RatioCalibrator()).fit(np.ones(y.size), y, segment=segment).strength_
    # Errors are in units of the curve of all rows: within, the mean of factor ** 2.
    unit = factor.mean()
    assert found == pytest.approx(np.mean((factor / unit) ** 2) / np.var(factor / unit), rel=0.1)


def test_only_ratios_of_weights_matter_to_segments():
    p, y, segment = segmented()
    w = np.random.default_rng(2).integers(1, 9, p.size)
    plain, scaled = (SegmentedCalibrator(RatioCalibrator()).fit(p, y, u, segment) for u in (w, 1e-3 * w))
    assert 0 < plain.strength_ < np.inf
    assert scaled.strength_ == pytest.approx(plain.strength_, rel=1e-9)
    np.testing.assert_allclose(scaled.predict(p, segment), plain.predict(p, segment), rtol=1e-9)
    # Weights 3, 1, 1 are 25 / 11 rows.
    three = SegmentedCalibrator(RatioCalibrator(), 2.0).fit(np.ones(3), [1.0, 2.0, 3.0], [3, 1, 1], np.zeros(3))
    np.testing.assert_allclose(three.shares_, [25 / 11 / (25 / 11 + 2)])


@each
def test_segments_are_repaired_and_sums_are_right(calibrator):
    p, y, segment = segmented()
    model = SegmentedCalibrator(calibrator).fit(p, y, segment=segment)
    assert np.sum(model.predict(p, segment)) == pytest.approx(y.sum(), rel=1e-9)
    assert (np.diff(model.shares_[np.argsort(np.bincount(segment)[model.segments_.astype(int)])]) >= 0).all()
    new, truth, where = segmented(40_000, seed=5)
    one = clone(calibrator).fit(p, y)

    def error(calibrated):
        sums = np.bincount(where, weights=truth - calibrated)
        return np.abs(sums).sum() / truth.sum()

    assert error(model.predict(new, where)) < 0.4 * error(one.predict(new))
    for s in (0, 5, 20):
        assert (np.diff(model.predict(np.linspace(0, 50, 200), np.full(200, s))) > 0).all()


@steady
@given(any_rows, st.lists(st.sampled_from(["a", "b", None]), min_size=25, max_size=25))
def test_segments_by_property(data, segment):
    p, y, w = data
    segment = segment[: p.size]
    for strength in ("auto", 0.0, 3.0):
        model = SegmentedCalibrator(IsotonicCalibrator(), strength).fit(p, y, w, segment)
        calibrated = model.predict(p, segment)
        size = max(np.sum(w * np.abs(calibrated)), np.sum(w * np.abs(y)))
        assert abs(np.sum(w * calibrated) - np.sum(w * y)) <= 1e-9 * size
        back = SegmentedCalibrator(IsotonicCalibrator(), strength).fit(p[::-1], y[::-1], w[::-1], segment[::-1])
        np.testing.assert_array_equal(back.predict(p, segment), calibrated)


def test_equal_rows_of_unlike_segments_in_any_order():
    p, y, segment = np.zeros(4), np.array([0.0, 0.0, 0.0, 1.0]), np.array(["b", "a", "a", "b"])
    models = [
        SegmentedCalibrator(IsotonicCalibrator(), 3.0).fit(p, y[o], segment=segment[o]) for o in ([0, 1, 2, 3], [3, 2, 1, 0])
    ]
    np.testing.assert_array_equal(*(model.predict(p, segment) for model in models))


def test_segments_that_are_missing_unseen_or_alone():
    p, y, segment = segmented()
    named = np.array([None if s == 3 else f"s{s}" for s in segment], dtype=object)
    model = SegmentedCalibrator(IsotonicCalibrator()).fit(p, y, segment=named)
    plain = model.scale_ * model.calibrator_.predict(p)
    np.testing.assert_array_equal(model.predict(p, np.full(p.size, None)), plain)
    np.testing.assert_array_equal(model.predict(p, np.full(p.size, "new")), plain)
    assert "s3" not in model.segments_
    numbers = np.where(segment == 3, np.nan, segment)
    again = SegmentedCalibrator(IsotonicCalibrator()).fit(p, y, segment=numbers)
    np.testing.assert_allclose(again.predict(p, numbers), model.predict(p, named), rtol=1e-12)
    for lonely in (np.full(p.size, None), np.arange(p.size)):
        nothing = SegmentedCalibrator(RatioCalibrator()).fit(p, y, segment=lonely)
        assert nothing.calibrators_ == []
        np.testing.assert_allclose(nothing.predict(p, lonely), RatioCalibrator().fit(p, y).predict(p), rtol=1e-12)


def test_mistakes_about_segments():
    model = SegmentedCalibrator(RatioCalibrator())
    with pytest.raises(ValueError, match="segment=None: SegmentedCalibrator needs the segment of every row"):
        model.fit([1.0], [1.0])
    with pytest.raises(ValueError, match=r"segment has shape \(2,\), prediction has 1 rows: give one segment per row"):
        model.fit([1.0], [1.0], segment=[1, 2])
    model.fit([1.0, 1.0], [1.0, 2.0], segment=["a", "b"])
    with pytest.raises(ValueError, match="segment: numbers at fit and text at predict, or the reverse"):
        model.predict([1.0], [3])
    with pytest.raises(ValueError, match="'strength' parameter of SegmentedCalibrator must be"):
        SegmentedCalibrator(RatioCalibrator(), -1.0).fit([1.0], [1.0], segment=[1])
