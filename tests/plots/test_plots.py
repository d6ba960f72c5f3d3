"""The numbers that displays show against hand computation; that they draw, whatever the data, without a warning."""

import itertools
import re

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.patches import StepPatch
from sklearn.linear_model import LinearRegression

from gbreg import BucketRegressor, GBRegressor
from gbreg.distribution import LogNormalDistribution, ZeroInflated
from gbreg.losses import AM, WCE, ZILN, Huber, Huberpp, SoftmaxBuckets
from gbreg.metrics import decile_table
from gbreg.plots import (
    CalibrationDisplay,
    DecileDisplay,
    ErrorRatioDisplay,
    GainDisplay,
    LearningCurveDisplay,
    LossDisplay,
    PITDisplay,
    PredictionDisplay,
    RatioDisplay,
    SoftLabelDisplay,
)

matplotlib.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")

OF_PREDICTIONS = (CalibrationDisplay, DecileDisplay, ErrorRatioDisplay, GainDisplay, PredictionDisplay, RatioDisplay)
rng = np.random.default_rng(0)
MEAN = np.exp(rng.normal(size=400))
TABLES = {
    "zeros": (np.where(rng.random(400) < 0.4, 0.0, MEAN * np.exp(rng.normal(size=400))), MEAN),
    "positive": (MEAN * np.exp(rng.normal(size=400)), MEAN),
    "constant prediction": (MEAN, np.full(400, 2.0)),
    "predictions of zero": (MEAN, np.where(np.arange(400) < 100, 0.0, MEAN)),
    "negative predictions": (MEAN, MEAN - 1.5),
    "refunds": (MEAN - 0.5, MEAN - 0.5),
    "one row": (np.array([3.0]), np.array([2.0])),
    "two values": (np.tile([0.0, 5.0], 50), np.tile([1.0, 4.0], 50)),
    "huge": (1e9 * MEAN, 1e9 * MEAN),
    "tiny": (1e-9 * MEAN, 1e-9 * MEAN),
}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("display", OF_PREDICTIONS, ids=lambda d: d.__name__)
def test_every_display_draws_without_a_warning(display, table):
    y, p = TABLES[table]
    drawn = display.from_predictions(y, p, name="model")
    _check(drawn)
    assert drawn.ax_.get_xlabel()
    # Again, weighted, beside another model on the same axes.
    display.from_predictions(y, p + 0.1 * np.abs(p).max(), sample_weight=np.arange(1.0, y.size + 1), name="b", ax=drawn.ax_)
    _check(drawn)


def _check(drawn):
    """It can be drawn, its words are words and plain numbers, and both axes say where they are."""
    drawn.figure_.canvas.draw()
    ax = drawn.ax_
    for text in ax.get_legend().get_texts():
        assert not re.search(r"\bnan\b|e\+", text.get_text())
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        assert np.isfinite([low, high]).all()
        seen = [label.get_text() for at, label in zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
                if low <= at <= high]  # fmt: skip
        assert seen
        assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("display", [CalibrationDisplay, DecileDisplay, PredictionDisplay], ids=lambda d: d.__name__)
@pytest.mark.parametrize(
    ("y", "p"), [(np.zeros(400), MEAN), (MEAN, np.zeros(400)), (np.zeros(400), np.zeros(400))], ids=["y", "p", "both"]
)
def test_nothing_but_zeros(display, y, p):
    for name in (None, "model"):
        drawn = display.from_predictions(y, p, name=name)
        _check(drawn)
        line = next(line for line in drawn.ax_.lines if line.get_marker() == "o")
        assert np.isfinite(line.get_xydata()).all()
    if display is CalibrationDisplay:
        words = drawn.ax_.get_legend().get_texts()[-1].get_text()
        assert words == ("model: sum 0.00 of the labels'" if y.any() else "model: labels sum to 0")


@pytest.mark.parametrize("top", [1.02, 1.5, 3.0, 8.0, 30.0, 1e6])
@pytest.mark.parametrize("zero", [False, True])
def test_ticks_whatever_the_span(top, zero):
    """At least two labelled ticks on either axis, where labels lie within a decade too; not a crowd."""
    y = np.geomspace(31.0, 31.0 * top, 200)
    y[:40] *= not zero
    ax = CalibrationDisplay.from_predictions(y, np.maximum(y, 31.0)).ax_
    ax.figure.canvas.draw()
    for axis in (ax.xaxis, ax.yaxis):
        low, high = axis.get_view_interval()
        assert 2 <= sum(low <= at <= high for at in axis.get_majorticklocs()) <= 12


@pytest.mark.parametrize("decades", [0.5, 1, 2, 3, 6, 10])
@pytest.mark.parametrize("least", [1e-9, 0.0013, 2.0, 7e5])
@pytest.mark.parametrize("below", [None, 0.0, -1e-3, -1.0, -100.0])
def test_labels_of_ticks_do_not_touch(below, least, decades):
    """Nor does 0 touch its neighbours where many powers of ten leave it little room."""
    values = np.geomspace(least, least * 10.0**decades, 40)
    if below is not None:
        values[0] = below * values[-1]
    ax = CalibrationDisplay.from_predictions(values, values, n_bins=values.size).ax_
    ax.figure.canvas.draw()
    for i, axis in enumerate((ax.xaxis, ax.yaxis)):
        low, high = axis.get_view_interval()
        ticks = zip(axis.get_majorticklocs(), axis.get_ticklabels(), strict=True)
        shown = [label for at, label in ticks if low <= at <= high]
        assert len(shown) >= 2
        assert ("0" in [label.get_text() for label in shown]) == (below is not None)
        boxes = sorted((label.get_window_extent() for label in shown), key=lambda box: box.min[i])
        assert all(one.max[i] < next_.min[i] for one, next_ in itertools.pairwise(boxes))


def test_one_group_next_to_0_does_not_take_the_picture():
    """Nineteen groups from 10 to 100 and one of 1e-9: with a group of 0 too, those above take most of the axis."""
    values = np.concatenate([[0.0, 1e-9], np.geomspace(10.0, 100.0, 38)])
    ax = CalibrationDisplay.from_predictions(values, values, n_bins=40).ax_
    place = ax.transAxes.inverted().transform(ax.transData.transform([(10.0, 10.0), (100.0, 100.0)]))
    assert (place[1] - place[0] > 0.5).all()


@pytest.mark.parametrize("display", OF_PREDICTIONS, ids=lambda d: d.__name__)
@pytest.mark.parametrize("size", [(2.4, 1.8), (5.2, 3.7), (12.0, 9.0)])
def test_a_legend_below_leaves_the_axis_its_title(display, size):
    figure = plt.figure(figsize=size)
    ax = figure.add_axes((0.2, 0.6, 0.75, 0.35))
    y, p = TABLES["zeros"]
    for i in range(10):
        display.from_predictions(y, p ** (1 + 0.02 * i), name=f"model {i}", ax=ax)
    figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y1 <= ax.xaxis.label.get_window_extent().y0


def test_a_legend_on_the_axes_keeps_off_error_bars():
    display = CalibrationDisplay.from_predictions(*TABLES["zeros"], name="model")
    ax = display.ax_
    display.figure_.canvas.draw()
    bars = max(ax.lines, key=lambda line: line.get_xdata().size)
    assert bars.get_xdata().size == 3 * display.error.size
    legend = ax.get_legend().get_window_extent()
    ends = ax.transData.transform(np.array(bars.get_xydata())[~np.isnan(bars.get_ydata())])
    assert not any(legend.contains(*end) for end in ends)


def test_areas_and_bars_of_several_models_do_not_cover_one_another():
    y, p = TABLES["zeros"]
    for display in (PredictionDisplay, RatioDisplay):
        ax = display.from_predictions(y, p).ax_
        alone = _areas(ax)
        display.from_predictions(y, 2 * p, ax=ax)
        assert (alone > 0, _areas(ax)) == (True, 0)
    ax = DecileDisplay.from_predictions(y, p, name="a").ax_
    for name in "bc":
        DecileDisplay.from_predictions(y, np.round(p), name=name, ax=ax)
    spans = sorted((bar.get_x(), bar.get_x() + bar.get_width()) for bar in ax.patches)
    assert all(end <= start + 1e-9 for (_, end), (start, _) in itertools.pairwise(spans))
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]


def _areas(ax):
    return sum(isinstance(artist, PolyCollection) for artist in ax.collections) + sum(
        isinstance(artist, StepPatch) and artist.get_fill() for artist in ax.patches
    )


def test_ratios_of_zero_and_below_are_said_and_marked():
    y = np.repeat([1.0, 2.0, 4.0, 8.0], 5)
    display = ErrorRatioDisplay.from_predictions(y, np.repeat([-1.0, 0.0, 2.0, 8.0], 5), n_bins=4, name="model")
    np.testing.assert_allclose(display.ratio, [-1.0, 0.0, 0.5, 1.0])
    words = display.ax_.get_legend().get_texts()[-1].get_text()
    assert words == "model: no labels of 0; 2 of 4 ≤ 0"
    marks = [line for line in display.ax_.lines if line.get_marker() == "v"][-1]
    np.testing.assert_array_equal(marks.get_xdata(), [1.0, 2.0])
    display.figure_.canvas.draw()


def test_small_errors_look_small():
    ax = ErrorRatioDisplay.from_predictions(MEAN, 1.01 * MEAN).ax_
    low, high = ax.get_ylim()
    assert low < 0.5
    assert high > 2.0


@pytest.mark.parametrize("display", OF_PREDICTIONS, ids=lambda d: d.__name__)
def test_from_estimator_is_from_predictions(display):
    y, p = TABLES["zeros"]
    X = np.column_stack([p, np.arange(400.0)])
    weight = rng.integers(0, 3, 400).astype(float)
    model = LinearRegression().fit(X, y)
    of_model = display.from_estimator(model, X, y, sample_weight=weight)
    by_hand = display.from_predictions(y, model.predict(X), sample_weight=weight, name="LinearRegression")
    for name, value in vars(of_model).items():
        if name not in ("ax_", "figure_"):
            np.testing.assert_equal(vars(value) if hasattr(value, "__dict__") else value, _same(by_hand, name))


def _same(display, name):
    value = getattr(display, name)
    return vars(value) if hasattr(value, "__dict__") else value


def test_calibration_by_hand():
    display = CalibrationDisplay.from_predictions([0, 2, 4, 8], [1, 1.5, 3, 5], sample_weight=[1, 1, 2, 2], n_bins=3)
    np.testing.assert_allclose(display.table.prediction, [1.25, 3, 5])
    np.testing.assert_allclose(display.table.label, [1, 4, 8])
    np.testing.assert_allclose(display.error, [1, np.nan, np.nan])  # sd sqrt(2) over sqrt(2); single rows
    assert display.pcoc == pytest.approx((2.5 + 6 + 10) / (2 + 8 + 16))


def test_error_ratios_by_hand():
    y, p = [0, 0, 1, 1, 4, 4], [2, 4, 2, 2, 1, 3]
    display = ErrorRatioDisplay.from_predictions(y, p, n_bins=2)
    np.testing.assert_allclose(display.label, [1, 4])
    np.testing.assert_allclose(display.ratio, [2, 0.5])
    assert (display.zeros, display.at_zero) == (pytest.approx(1 / 3), 3.0)


def test_ratios_by_hand():
    display = RatioDisplay.from_predictions([0, 1, 1, 1, 1], [9, 1, 1.9, 4.1, 0])
    assert display.within == 0.5
    assert display.share.sum() == pytest.approx(1)
    assert display.share[0] == 0.25  # the prediction of 0


def test_quantiles_by_hand():
    y = np.arange(100.0)
    display = PredictionDisplay.from_predictions(y, np.repeat([1.0, 2.0], 50), n_bins=2)
    np.testing.assert_allclose(display.prediction, [1, 2])
    np.testing.assert_allclose(display.quantiles[0], [2, 12, 24, 37, 47])
    np.testing.assert_allclose(display.quantiles[1], 50 + display.quantiles[0])


def test_quantiles_are_numpys():
    y, p = TABLES["zeros"]
    w = rng.integers(1, 4, 400).astype(float)
    display = PredictionDisplay.from_predictions(y, np.round(p), sample_weight=w)
    table = decile_table(y, np.round(p), w, n_bins=25)
    for low, high, found in zip(table.low, table.high, display.quantiles, strict=True):
        part = (np.round(p) >= low) & (np.round(p) <= high)
        levels = [0.05, 0.25, 0.5, 0.75, 0.95]
        np.testing.assert_array_equal(found, np.quantile(y[part], levels, weights=w[part], method="inverted_cdf"))


def test_gain_by_hand():
    display = GainDisplay.from_predictions([0, 4, 2, 2], [1, 3, 2, 2])
    np.testing.assert_allclose(display.gain, [0, 0.5, 1, 1])
    np.testing.assert_allclose(display.best_gain, [0, 0.5, 1, 1])
    assert display.gini == pytest.approx(1.0)


def test_pit_is_flat_where_the_distribution_is_right():
    n = 20_000
    draws = np.random.default_rng(1)
    share = draws.uniform(0.2, 0.9, n)
    m = draws.normal(size=n)
    y = np.where(draws.random(n) < share, np.exp(m + draws.normal(size=n)), 0.0)
    right = ZeroInflated(share, LogNormalDistribution(m, np.ones(n)))
    display = PITDisplay.from_predictions(y, right)
    # 1000 rows expected a bar, of which the heights scatter by 3%.
    np.testing.assert_allclose(display.density, 1.0, atol=0.12)
    narrow = PITDisplay.from_predictions(y, ZeroInflated(share, LogNormalDistribution(m, np.full(n, 0.5))), ax=display.ax_)
    assert narrow.density[-1] > 1.5
    assert narrow.density.mean() == pytest.approx(1.0)
    assert display.ax_.get_ylim()[1] > narrow.density.max()
    display.figure_.canvas.draw()
    with pytest.raises(TypeError, match=r"is a ndarray, which has no cdf: give what predict_distribution\(X\) returns"):
        PITDisplay.from_predictions(y, np.ones(n))


def test_learning_curves():
    X, y = MEAN[:, None], MEAN
    model = GBRegressor(
        "poisson", n_estimators=20, n_jobs=1, eval_metric="mae", early_stopping_rounds=5, random_state=0
    ).fit(X, y)
    display = LearningCurveDisplay.from_estimator(model)
    assert set(display.curves) == {("validation_0", "poisson"), ("validation_0", "mae")}
    assert display.best == model.best_iteration_
    assert list(LearningCurveDisplay.from_estimator(model, metric="mae").curves) == [("validation_0", "mae")]
    display.figure_.canvas.draw()
    both = BucketRegressor(n_buckets=8, n_estimators=10, n_jobs=1).fit(X, y, eval_set=[(X, y), (X, y)])
    LearningCurveDisplay.from_estimator(both).figure_.canvas.draw()
    # Several models on one plot: each round that is kept lies on its own curve, in its colour.
    ax = LearningCurveDisplay({("a", "mae"): [3.0, 2.0, 2.5]}, 2, "first").plot().ax_
    LearningCurveDisplay({("a", "mae"): [4.0, 3.0, 2.0]}, 3, "second").plot(ax)
    dots = [(line.get_xydata().tolist(), line.get_color()) for line in ax.lines if line.get_marker() == "o"]
    curves = [line.get_color() for line in ax.lines if line.get_marker() == "None"]
    assert dots == [([[2.0, 2.0]], curves[0]), ([[3.0, 2.0]], curves[1])]
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["first: mae, kept 2 rounds", "second: mae, kept 3 rounds"]
    with pytest.raises(ValueError, match="watched nothing while it was trained: fit it with eval_set="):
        LearningCurveDisplay.from_estimator(GBRegressor(n_estimators=2, n_jobs=1).fit(X, y))
    with pytest.raises(ValueError, match="metric='rmse' was not watched"):
        LearningCurveDisplay.from_estimator(model, metric="rmse")


def test_shapes_of_losses():
    # Weighted cross-entropy by the raw score: sigmoid(raw) * (1 + w) - w, with odds mu: (mu - w) / (1 + mu).
    display = LossDisplay.from_loss(WCE(), [20.0], prediction=[1.0, 20.0, 40.0])
    np.testing.assert_allclose(display.curves[0], [-19 / 2, 0, 20 / 41], atol=1e-12)
    # By the prediction, as the field notes draw it: (p - w) / (p (1 + p)).
    notes = LossDisplay.from_loss(WCE(), [20.0], prediction=[1.0, 20.0, 40.0], what="gradient by prediction")
    np.testing.assert_allclose(notes.curves[0], [-19 / 2, 0, 20 / (40 * 41)], atol=1e-12)
    for loss in ("huber", Huberpp(), AM(), "tweedie"):
        LossDisplay.from_loss(loss, [1.0, 20.0], ax=display.ax_)
    display.figure_.canvas.draw()
    values = LossDisplay.from_loss("squared_error", 3.0, prediction=[1.0, 3.0], what="value")
    np.testing.assert_allclose(values.curves[0], [2.0, 0.0])
    mine = Huberpp()
    LossDisplay.from_loss(mine, [1.0, 20.0])
    assert not hasattr(mine, "intercept_")
    fitted = Huber().fit([1.0, 2.0, 4.0])
    beside = LossDisplay.from_loss(fitted, [1000.0], prediction=[1010.0])
    assert beside.curves[0] == fitted.delta_  # not fitted anew to the label shown
    with pytest.raises(TypeError, match="has several outputs"):
        LossDisplay.from_loss(ZILN(), [1.0])
    with pytest.raises(ValueError, match="what='slope' must be"):
        LossDisplay.from_loss("huber", [1.0], what="slope")


def test_soft_labels():
    y = TABLES["positive"][0]
    loss = SoftmaxBuckets(n_buckets=16, soft="normal", unbiased=True).fit(y)
    display = SoftLabelDisplay.from_loss(loss, [1.0, 3.0])
    display.figure_.canvas.draw()
    np.testing.assert_allclose(display.shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(display.shares @ loss.representatives_, [1.0, 3.0], rtol=1e-6)
    with pytest.raises(TypeError, match="must be a fitted SoftmaxBuckets with soft="):
        SoftLabelDisplay.from_loss(SoftmaxBuckets(n_buckets=16).fit(y), [1.0])


@pytest.mark.parametrize("display", [ErrorRatioDisplay, RatioDisplay])
def test_no_positive_label(display):
    with pytest.raises(ValueError, match="no label is positive"):
        display.from_predictions([0.0, 0.0], [1.0, 2.0])


def test_no_label_total():
    with pytest.raises(ValueError, match="the labels sum to 0"):
        GainDisplay.from_predictions([0.0, 0.0], [1.0, 2.0])


@pytest.mark.parametrize("display", OF_PREDICTIONS, ids=lambda d: d.__name__)
def test_bad_input(display):
    with pytest.raises(ValueError, match="must be finite"):
        display.from_predictions([1.0, np.nan], [1.0, 2.0])
    with pytest.raises(ValueError, match="y_pred must be one-dimensional with one entry a row, 2"):
        display.from_predictions([1.0, 2.0], [1.0])
