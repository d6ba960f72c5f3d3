"""Metrics against hand-made tables, brute force over pairs and rows, and scikit-learn and scipy."""

import math
import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import config_context
from sklearn import metrics as sk
from sklearn.base import clone
from sklearn.dummy import DummyRegressor
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score, cross_validate

from gbreg import metrics
from gbreg.distribution import LogNormalDistribution
from gbreg.metrics import METRICS, Metric, get_metric

steady = settings(max_examples=60, derandomize=True, deadline=None)
undefined = pytest.mark.filterwarnings("ignore::sklearn.exceptions.UndefinedMetricWarning")
# Few distinct values, so that ties are common; weights of 0 too.
tables = st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 6), st.integers(0, 3)), min_size=1, max_size=14).filter(
    lambda rows: any(w for _, _, w in rows)
)


def columns(rows):
    return (np.array(column, dtype=float) for column in zip(*rows, strict=True))


Y = [0.0, 1.0, 2.0, 5.0]
P = [1.0, 1.0, 6.0, 2.0]
W = [1.0, 2.0, 1.0, 4.0]
POINT = {name: metric for name, metric in METRICS.items() if metric.by_row is None}
ABOVE_ZERO = ("msle", "poisson_deviance", "gamma_deviance", "tweedie_deviance")


@pytest.mark.parametrize(
    ("name", "plain", "weighted"),
    [
        ("mae", 2.0, (1 + 0 + 4 + 12) / 8),
        ("rmse", math.sqrt((1 + 0 + 16 + 9) / 4), math.sqrt((1 + 0 + 16 + 36) / 8)),
        ("pcoc", 10 / 8, (1 + 2 + 6 + 8) / (2 + 2 + 20)),
        ("over_2x", 2 / 4, 2 / 8),  # 1 for a label of 0, and 6 for 2
        ("under_2x", 1 / 4, 4 / 8),  # 2 for 5
        ("abs_log_pcoc", math.log(1.25), math.log(24 / 17)),
        ("mape", (0 + 4 / 2 + 3 / 5) / 3, (0 + 2 + 4 * 3 / 5) / 7),
        ("wmape", (1 + 0 + 4 + 3) / 8, (1 + 0 + 4 + 12) / 24),
        ("msle", (math.log(2) ** 2 + math.log(7 / 3) ** 2 + math.log(2) ** 2) / 4, None),
        # Four pairs in order, one reversed, one tied: over sqrt(6 * 5).
        ("kendall", 3 / math.sqrt(30), (1 + 4 + 2 + 8 - 4) / math.sqrt(21 * 19)),
        ("gini", 2 * 20.5 / 32 - 1, None),
        # The first of four rows by prediction, of which a tenth of all is 0.4: 0.4 of its label of 2.
        ("top_10%", 0.1 * 4 * 2 / 8, 0.1 * 8 * 2 / 24),
        # Ranks 1 2 3 4 and 1.5 1.5 4 3.
        ("spearman", np.corrcoef([1, 2, 3, 4], [1.5, 1.5, 4, 3])[0, 1], None),
        # Of six pairs the last two rows are the wrong way round, the first two tied.
        ("xauc", (4 + 0.5) / 6, (1 + 4 + 2 + 8 + 0.5 * 2) / (2 + 1 + 4 + 2 + 8 + 4)),
        # Gain curve, best first: 2 | 5 | 0 + 1 tied, so areas 1 + 4.5 + 2 * 7.5 = 20.5 of 4 * 8; perfect 2.5 + 6 + 7.5 + 8.
        ("normalized_gini", (20.5 / 32 - 0.5) / (24 / 32 - 0.5), None),
    ],
)
def test_by_hand(name, plain, weighted):
    assert METRICS[name](Y, P) == pytest.approx(plain, rel=1e-12)
    if weighted is not None:
        assert METRICS[name](Y, P, W) == pytest.approx(weighted, rel=1e-12)


def test_shares_with_another_factor():
    assert metrics.overestimated_share([1, 1], [1.4, 1.6], factor=1.5) == 0.5
    assert metrics.underestimated_share([3, 3], [1.9, 2.1], factor=1.5) == 0.5
    assert metrics.overestimated_share([0.0, 0.0], [0.0, 0.1]) == 0.5


def test_decile_calibration_error_by_hand():
    y, p = np.arange(1.0, 21.0), np.arange(1.0, 21.0)
    assert metrics.decile_calibration_error(y, p) == 0.0
    # Within a bin errors cancel, over bins they do not.
    within = p.copy()
    within[0], within[1] = 0.5, 2.5
    assert metrics.decile_calibration_error(y, within) == 0.0
    across = p.copy()
    across[0] -= 0.5
    across[19] += 0.5
    assert metrics.decile_calibration_error(y, across) == pytest.approx(1.0 / y.sum())
    # All predictions tied: one bin, in which only the sum counts.
    assert metrics.decile_calibration_error([1.0, 3.0, 5.0], [4.0, 4.0, 4.0]) == pytest.approx(3 / 9)
    assert metrics.decile_calibration_error([1.0, 3.0], [2.0, 2.1], n_bins=1) == pytest.approx(0.1 / 4)


@undefined
@steady
@given(rows=tables)
def test_integer_weight_is_repetition(rows):
    y, p, w = columns(rows)
    copies = w.astype(int)
    for name, metric in POINT.items():
        if name in ABOVE_ZERO:
            y, p = y + 2.0, p + 2.0
        assert metric(y, p, w) == pytest.approx(metric(np.repeat(y, copies), np.repeat(p, copies)), abs=1e-12, nan_ok=True)


def pairs_gini(y, p, w):
    """Half the weighted sum over pairs of label differences in the order of the predictions, unnormalised."""
    order = np.sign(p[:, None] - p[None, :]) * (y[:, None] - y[None, :])
    return float(np.sum(w[:, None] * w[None, :] * order))


@undefined
@steady
@given(rows=tables)
def test_normalized_gini_over_pairs(rows):
    y, p, w = columns(rows)
    used = y[w > 0]
    got = metrics.normalized_gini(y, p, w)
    if used.min() == used.max():
        assert math.isnan(got)
    else:
        assert got == pytest.approx(pairs_gini(y, p, w) / pairs_gini(y, y, w), abs=1e-12)
        assert metrics.normalized_gini(y, y, w) == pytest.approx(1.0)
        assert metrics.normalized_gini(y, -y, w) == pytest.approx(-1.0)


@undefined
@steady
@given(rows=tables)
def test_xauc_over_pairs(rows):
    y, p, w = columns(rows)
    weight = w[:, None] * w[None, :] * (y[:, None] > y[None, :])
    right = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    got = metrics.xauc(y, p, w)
    if weight.sum() == 0:
        assert math.isnan(got)
    else:
        assert got == pytest.approx(np.sum(weight * right) / weight.sum(), abs=1e-12)


@pytest.mark.parametrize("n", [3, 4, 64, 65, 1000])
def test_xauc_of_many_rows(n):
    """Across powers of two, without ties and with many."""
    rng = np.random.default_rng(n)
    y, p, w = rng.permutation(n).astype(float), rng.normal(size=n), rng.uniform(0.1, 3, n)
    kendall = stats.kendalltau(y, p).statistic
    assert metrics.xauc(y, p) == pytest.approx(0.5 + 0.5 * kendall, abs=1e-12)
    y, p = np.floor(y / 2), np.round(p, 1)
    weight = w[:, None] * w[None, :] * (y[:, None] > y[None, :])
    right = (p[:, None] > p[None, :]) + 0.5 * (p[:, None] == p[None, :])
    assert metrics.xauc(y, p, w) == pytest.approx(np.sum(weight * right) / weight.sum(), rel=1e-12)


@undefined
@steady
@given(runs=st.lists(st.integers(1, 60), min_size=1, max_size=12), labels=st.integers(1, 200), seed=st.integers(0, 9))
def test_pairs_among_runs_of_ties(runs, labels, seed):
    """Predictions that few rows have beside predictions that many have: what is sorted by itself, and what with others."""
    rng = np.random.default_rng(seed)
    p = np.repeat(rng.permutation(len(runs)), runs).astype(float)
    y, w = rng.integers(0, labels, p.size).astype(float), rng.integers(1, 4, p.size).astype(float)
    weight = w[:, None] * w[None, :] * (y[:, None] > y[None, :])
    order = np.sign(p[:, None] - p[None, :])
    for ties, credit in (("half", 0.5), ("wrong", 0.0), ("right", 1.0)):
        right = np.where(order == 0, credit, order > 0)
        expected = np.sum(weight * right) / weight.sum() if weight.any() else math.nan
        assert metrics.xauc(y, p, w, ties=ties) == pytest.approx(expected, rel=1e-12, nan_ok=True)
        assert metrics.xauc(y, -p, w, ties=ties) == pytest.approx(
            np.sum(weight * np.where(order == 0, credit, order < 0)) / weight.sum() if weight.any() else math.nan,
            rel=1e-12,
            nan_ok=True,
        )


@undefined
@steady
@given(rows=tables)
def test_spearman_over_pairs(rows):
    """A mid-rank is a sum over pairs: the weight below a value and half of that at it."""
    y, p, w = columns(rows)
    ranks = [np.sum(w * ((x[None, :] < x[:, None]) + 0.5 * (x[None, :] == x[:, None])), axis=1) for x in (y, p)]
    covariance = np.cov(ranks[0], ranks[1], aweights=w, ddof=0)
    got = metrics.spearman(y, p, w)
    if covariance[0, 0] * covariance[1, 1] < 1e-9:
        assert math.isnan(got) or abs(got) <= 1 + 1e-9
    else:
        assert got == pytest.approx(covariance[0, 1] / math.sqrt(covariance[0, 0] * covariance[1, 1]), abs=1e-9)


@undefined
@steady
@given(rows=tables)
def test_decile_calibration_error_by_rows(rows):
    """Row by row: a bin is the decile of the middle of the row's block of tied predictions."""
    y, p, w = columns(rows)
    got = metrics.decile_calibration_error(y, p, w)
    if np.sum(w * y) == 0:
        assert math.isnan(got)
        return
    bins = {}
    for i in np.flatnonzero(w):
        middle = (np.sum(w[p < p[i]]) + 0.5 * np.sum(w[p == p[i]])) / w.sum()
        k = min(int(middle * 10), 9)
        bins[k] = bins.get(k, 0.0) + w[i] * (p[i] - y[i])
    assert got == pytest.approx(sum(map(abs, bins.values())) / np.sum(w * y), abs=1e-12)


def test_against_sklearn_and_scipy():
    rng = np.random.default_rng(0)
    y, w = rng.lognormal(0, 1, 500), rng.uniform(0.1, 3, 500)
    p = np.round(y * rng.lognormal(0, 1, 500), 1)
    assert metrics.mean_absolute_error(y, p, w) == pytest.approx(sk.mean_absolute_error(y, p, sample_weight=w))
    assert metrics.root_mean_squared_error(y, p, w) == pytest.approx(sk.root_mean_squared_error(y, p, sample_weight=w))
    assert metrics.spearman(y, p) == pytest.approx(stats.spearmanr(y, p).statistic)
    # Of a 0/1 label the normalised Gini is 2 AUC - 1.
    z = (y > 1).astype(float)
    assert metrics.xauc(z, p, w) == pytest.approx(sk.roc_auc_score(z, p, sample_weight=w))
    assert metrics.normalized_gini(z, p, w) == pytest.approx(2 * sk.roc_auc_score(z, p, sample_weight=w) - 1)


@pytest.mark.parametrize(
    ("name", "y", "p", "value"),
    [
        ("xauc", [1, 2, 3], [5, 5, 5], 0.5),
        ("gini", [1, 2], [7, 7], 0.0),
        ("normalized_gini", [1, 2], [7, 7], 0.0),
        ("top_10%", [1, 2], [7, 7], 0.1),
        ("decile_error", [1, 2], [1.5, 1.5], 0.0),
        ("decile_mape", [1, 2], [1.5, 1.5], 0.0),
        ("decile_mape", [2.0], [3.0], 0.5),
        ("pcoc", [2.0], [3.0], 1.5),
        ("pcoc", [1, 2], [0, 0], 0.0),
        ("abs_log_pcoc", [1, 1], [0, 0], math.inf),
        ("abs_log_pcoc", [1, 1], [-1, 0], math.inf),
        ("over_2x", [0, 0], [1, 0], 0.5),
        ("under_2x", [0, 0], [1, 0], 0.0),
        ("mae", [3.0], [3.0], 0.0),
        ("rmse", [0, 0], [0, 0], 0.0),
        ("msle", [0, 0], [0, 0], 0.0),
        ("poisson_deviance", [0, 0], [1, 3], 4.0),
    ],
)
def test_degenerate_input_with_a_value(name, y, p, value):
    assert METRICS[name](y, p) == pytest.approx(value, abs=1e-12)


CONSTANT = "the labels are constant"


@pytest.mark.parametrize(
    ("metric", "y", "p", "reason"),
    [
        *((metric, y, [1, 2, 3], CONSTANT) for metric in ("spearman", "kendall", "xauc") for y in ([0, 0, 0], [2, 2, 2])),
        *((metric, [1.0], [2.0], CONSTANT) for metric in ("spearman", "kendall", "xauc", "gini", "normalized_gini")),
        *((metric, [1, 2, 3], [5, 5, 5], "the predictions are constant") for metric in ("spearman", "kendall")),
        *((metric, [0, 0, 0], [1, 2, 3], CONSTANT) for metric in ("gini", "normalized_gini")),
        *(
            (metric, [-1, 2, 3], [1, 2, 3], "labels must be at least 0, the least is -1")
            for metric in ("gini", "normalized_gini")
        ),
        *(
            (metric, y, [1, 2, 3], "the labels sum to 0")
            for metric in ("pcoc", "abs_log_pcoc", "decile_calibration_error", "top_share")
            for y in ([0, 0, 0], [-1, 0, 1])
        ),
        *(
            (metric, [0, 0, 0], [1, 2, 3], "all labels are 0")
            for metric in ("mean_absolute_percentage_error", "weighted_mean_absolute_percentage_error")
        ),
        ("decile_mape", [0, 0, 0], [1, 2, 3], "the labels of each decile average 0"),
    ],
)
def test_degenerate_input_without_a_value(metric, y, p, reason):
    with pytest.warns(UndefinedMetricWarning, match=f"^{metric} is NaN: {reason}") as warned:
        assert math.isnan(getattr(metrics, metric)(y, p))
    assert [w.filename for w in warned] == [__file__]  # one, and it points here


def test_degenerate_groups_segments_and_curves():
    with pytest.warns(UndefinedMetricWarning, match="grouped_xauc is NaN: the labels are constant within each group"):
        assert math.isnan(metrics.grouped_xauc([1, 1, 5, 5], [1, 2, 3, 4], groups=list("aabb")))
    with pytest.warns(UndefinedMetricWarning, match="gain_curve is NaN: the labels sum to 0"):
        assert np.isnan(metrics.gain_curve([0, 0], [1, 2])[1][1:]).all()
    assert metrics.worst_segment_pcoc([0, 0], [1, 0], segment=["a", "b"]) == math.inf
    with pytest.warns(UndefinedMetricWarning, match="worst_segment_pcoc is NaN: all labels and predictions are 0"):
        assert math.isnan(metrics.worst_segment_pcoc([0, 0], [0, 0], segment=["a", "b"]))
    # A segment of nothing, rightly predicted, is no bias, and does not hide one.
    assert metrics.worst_segment_pcoc([0, 4], [0, 1], segment=["a", "b"], shrinkage=0.0) == 0.25
    for table in (metrics.decile_table([0, 0], [3, 3]), metrics.decile_table([2.0], [3.0])):
        assert (table.low, table.high, table.prediction) == (3.0, 3.0, 3.0)
    assert metrics.profit_curve([0, 0], [3, 3], cost=1.0).best == (0.0, 0.0, math.inf)


@pytest.mark.parametrize("metric", POINT.values(), ids=POINT)
def test_bad_input(metric):
    for message, arguments in {
        r"y_pred must be one-dimensional with one entry a row, 2, got shape \(1,\)": ([1, 2], [1]),
        r"y_true must be one-dimensional, got shape \(2, 1\)": ([[1], [2]], [[1], [2]]),
        r"sample_weight must be one-dimensional with one entry a row, 2, got shape \(1,\)": ([1, 2], [1, 2], [1]),
    }.items():
        with pytest.raises(ValueError, match=message):
            metric(*arguments)
    for name, arguments in {
        "y_true": ([1, math.nan], [1, 2]),
        "y_pred": ([1, 2], [1, math.inf]),
        "sample_weight": ([1, 2], [1, 2], [1, math.nan]),
    }.items():
        with pytest.raises(
            ValueError, match=rf"{name} must be finite; 1 of 2 values are not \(first at row 1\): drop those"
        ):
            metric(*arguments)
    for name, arguments in {"y_true": (["a", "b"], [1, 2]), "y_pred": ([1, 2], [{}, {}])}.items():
        with pytest.raises(ValueError, match=f"{name} must be numbers"):
            metric(*arguments)
    with pytest.raises(ValueError, match="y_true has no rows: a metric needs at least one"):
        metric([], [])
    for weight in ([-1, 2], [0, 0]):
        with pytest.raises(ValueError, match="sample_weight must be >= 0, with at least one positive"):
            metric([1, 2], [1, 2], weight)


def test_rows_of_weight_zero_do_not_count():
    for name, metric in POINT.items():
        y = [label + 1.0 for label in Y] if name in ABOVE_ZERO else Y
        assert metric([*y, 1e6], [*P, -3.0], [1, 1, 1, 1, 0]) == pytest.approx(metric(y, P), rel=1e-12)


def test_get_metric():
    assert get_metric("mae") is METRICS["mae"]
    assert get_metric(METRICS["pcoc"]).target == 1.0
    assert METRICS["spearman"].greater_is_better
    assert METRICS["normalized_gini"].greater_is_better

    def worst(y_true, y_pred, sample_weight=None):
        return 7.0

    mine = get_metric(worst)
    assert isinstance(mine, Metric)
    assert (mine.name, mine.greater_is_better, mine(Y, P)) == ("worst", False, 7.0)
    assert get_metric(metrics.xauc) is METRICS["xauc"]  # which has a direction
    with pytest.raises(ValueError, match="metric 'spearmen' is not known: did you mean 'spearman'"):
        get_metric("spearmen")


@pytest.mark.parametrize(("ties", "value"), [("half", 4.5 / 6), ("wrong", 4 / 6), ("right", 5 / 6), ("inversions", 5 / 6)])
def test_xauc_counts_ties_as_asked(ties, value):
    assert metrics.xauc(Y, P, ties=ties) == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("ties", ["half", "inversions"])
def test_pairs_of_weights_that_are_far_apart(ties):
    """Squares of sums less sums of squares would lose the light rows: 1e40 + 2e15 is 1e40."""
    for w in ([1e20, 1e-5], [1.0, 1e-25]):
        assert metrics.xauc([0, 1], [1, 2], w, ties=ties) == 1.0
        assert metrics.xauc([0, 1], [2, 1], w, ties=ties) == 0.0


def test_inversions_count_tied_labels_as_right():
    assert metrics.xauc([0, 0, 1], [2, 1, 3], ties="inversions") == 1.0
    assert metrics.xauc([0, 0, 1], [2, 1, 0], ties="inversions") == pytest.approx(1 / 3)


@undefined
@steady
@given(rows=tables, groups=st.lists(st.sampled_from("abc"), min_size=14, max_size=14))
def test_grouped_xauc_is_the_mean_over_groups(rows, groups):
    y, p, w = columns(rows)
    group = np.array(groups[: y.size])
    each = [(metrics.xauc(*(a[group == g] for a in (y, p, w))), w[group == g]) for g in "abc" if w[group == g].any()]
    ranked = [(value, weight.sum()) for value, weight in each if not math.isnan(value)]
    expected = np.average([v for v, _ in ranked], weights=[v for _, v in ranked]) if ranked else math.nan
    assert metrics.grouped_xauc(y, p, w, groups=group) == pytest.approx(expected, rel=1e-12, nan_ok=True)
    if ranked:
        equal = np.mean([value for value, _ in ranked])
        assert metrics.grouped_xauc(y, p, w, groups=group, average="equal") == pytest.approx(equal, rel=1e-12)


def test_one_group_is_the_whole_by_pairs():
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 5, 90), rng.integers(0, 9, 90), rng.random(90)
    assert metrics.grouped_xauc(y, p, w, groups=np.zeros(90), average="pairs") == pytest.approx(metrics.xauc(y, p, w))
    # Missing groups are one of their own.
    group = np.where(np.arange(90) < 40, np.nan, 1.0)
    named = np.where(np.arange(90) < 40, "none", "one")
    assert metrics.grouped_xauc(y, p, groups=group) == metrics.grouped_xauc(y, p, groups=named)


@pytest.mark.parametrize("n", [5, 50, 3000])
def test_kendall_is_scipys(n):
    rng = np.random.default_rng(n)
    y, p = rng.integers(0, 2 * n, n), rng.integers(0, n // 2, n)
    assert metrics.kendall(y, p) == pytest.approx(stats.kendalltau(y, p).statistic, rel=1e-12)


# Eight rows, four groups by prediction.
TABLE_Y = [0.0, 2.0, 1.0, 1.0, 0.0, 6.0, 4.0, 10.0]
TABLE_P = [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 6.0, 8.0]


def test_decile_table_by_hand():
    table = metrics.decile_table(TABLE_Y, TABLE_P, n_bins=4)
    np.testing.assert_allclose(table.label, [1, 1, 3, 7])
    np.testing.assert_allclose(table.prediction, [0.75, 1.75, 2.75, 7])
    np.testing.assert_allclose(table.weight, 2)
    np.testing.assert_allclose(table.rows, 2)
    np.testing.assert_allclose(table.low, [0.5, 1.5, 2.5, 6])
    np.testing.assert_allclose(table.high, [1, 2, 3, 8])
    assert metrics.decile_mape(TABLE_Y, TABLE_P, n_bins=4) == pytest.approx((0.25 + 0.75 + 0.25 / 3 + 0) / 4)
    shuffled = [5, 0, 7, 2, 1, 6, 4, 3]
    again = metrics.decile_table(np.take(TABLE_Y, shuffled), np.take(TABLE_P, shuffled), n_bins=4)
    np.testing.assert_allclose(again.label, table.label)


def test_decile_mape_leaves_out_labels_of_zero():
    assert metrics.decile_mape([0, 0, 2, 2], [1, 1, 3, 3], n_bins=2) == pytest.approx(0.5)


def test_gain_and_profit_by_hand():
    share, gained = metrics.gain_curve([0, 4, 2, 2], [1, 3, 2, 2])
    np.testing.assert_allclose(share, [0, 0.25, 0.75, 1])
    np.testing.assert_allclose(gained, [0, 0.5, 1, 1])
    assert metrics.top_share([0, 4, 2, 2], [1, 3, 2, 2], share=0.5) == pytest.approx(0.75)
    # Half the Gini is the area between the gain curve and the diagonal.
    area = np.trapezoid(gained, share) - 0.5
    assert metrics.gini([0, 4, 2, 2], [1, 3, 2, 2]) == pytest.approx(2 * area)
    curve = metrics.profit_curve([0, 4, 2, 2], [1, 3, 2, 2], cost=1.5)
    np.testing.assert_allclose(curve.profit, [0, 2.5, 3.5, 2])
    assert curve.best == (0.75, 3.5, 2.0)
    costs = metrics.profit_curve([0, 4, 2, 2], [1, 3, 2, 2], [1, 2, 1, 1], cost=[1, 1, 2, 3])
    np.testing.assert_allclose(costs.profit, [0, 6, 5, 4])
    assert metrics.profit_curve([1.0], [1.0], cost=5.0).best == (0.0, 0.0, math.inf)


def test_segments_by_hand():
    y, p = [1.0, 3.0, 0.0, 0.0, 4.0], [2.0, 4.0, 1.0, 1.0, 4.0]
    table = metrics.segment_table(y, p, segment=["a", "a", "b", "b", "c"], shrinkage=5.0)
    mean_y, mean_p = 8 / 5, 12 / 5
    shrunk = {"a": (6 + 5 * mean_p) / (4 + 5 * mean_y), "b": (2 + 5 * mean_p) / (5 * mean_y)}
    shrunk["c"] = (4 + 5 * mean_p) / (4 + 5 * mean_y)
    assert table.segment.tolist() == ["b", "a", "c"]
    np.testing.assert_allclose(table.shrunk, [shrunk[s] for s in table.segment])
    np.testing.assert_allclose(table.pcoc, [math.nan, 1.5, 1.0])
    np.testing.assert_allclose(table.rows, [2, 2, 1])
    assert metrics.worst_segment_pcoc(y, p, segment=["a", "a", "b", "b", "c"], shrinkage=5.0) == pytest.approx(14 / 8)
    # Without shrinkage a segment without labels heads the table; more of it leads all to the ratio of all rows.
    assert metrics.worst_segment_pcoc(y, p, segment=["a", "a", "b", "b", "c"], shrinkage=0.0) == math.inf
    calm = metrics.segment_table(y, p, segment=["a", "a", "b", "b", "c"], shrinkage=1e9)
    np.testing.assert_allclose(calm.shrunk, 1.5, rtol=1e-6)
    # Only ratios of weights matter.
    a, b = (metrics.segment_table(y, p, np.full(5, w), segment=[0, 0, 1, 1, 2]) for w in (1.0, 1e6))
    np.testing.assert_allclose(a.shrunk, b.shrunk)


def test_intervals_hold_what_they_promise():
    rng = np.random.default_rng(0)
    inside = 0
    for seed in range(100):
        y = rng.exponential(size=200)
        found = metrics.interval("pcoc", y, np.ones(200), n_resamples=200, random_state=seed)
        assert found.low < found.value < found.high
        inside += found.low <= 1.0 <= found.high
    assert 87 <= inside <= 99  # 95 expected, give or take 2.2


def test_clusters_widen_an_interval():
    rng = np.random.default_rng(1)
    user = np.repeat(np.arange(50), 20)
    y = rng.exponential(size=50)[user]
    by_row, by_user = (metrics.interval("pcoc", y, np.ones(1000), by=by) for by in (None, user))
    # Twenty equal rows a user are one: the interval is sqrt(20) times as wide.
    assert 3.5 < (by_user.high - by_user.low) / (by_row.high - by_row.low) < 5.5
    assert by_user.value == by_row.value


def test_pairs_are_known_better_than_each():
    rng = np.random.default_rng(2)
    y = rng.lognormal(sigma=2, size=500)
    better, worse = y * 0.9, y * 0.8
    apart = metrics.difference("mae", y, better, worse, level=0.9, random_state=3)
    assert apart.value == pytest.approx(-0.1 * y.mean())
    assert apart.high < 0
    one = metrics.interval("mae", y, better, level=0.9, random_state=3)
    other = metrics.interval("mae", y, worse, level=0.9, random_state=3)
    assert one.high > other.low  # the two intervals overlap
    assert str(one) == f"{one.value:.4g} ({one.low:.4g} to {one.high:.4g})"


def narrow_and_wide(n=300):
    """Labels, which row is whose, the distributions they are drawn from but for a user's own factor, and wider ones."""
    rng = np.random.default_rng(6)
    center, user = rng.normal(size=n), np.repeat(np.arange(n // 10), 10)
    y = np.exp(center + rng.normal(size=n // 10)[user] + rng.normal(size=n))
    return y, user, LogNormalDistribution(center, np.full(n, 1.4)), LogNormalDistribution(center, np.full(n, 2.5))


def test_intervals_of_distributions():
    y, user, right, _ = narrow_and_wide()
    w = np.where(np.arange(y.size) % 7 == 0, 0.0, 1.0 + np.arange(y.size) % 3)

    def mine(y_true, distribution, sample_weight):
        return metrics.crps(y_true, distribution, sample_weight)

    for by in (None, user):
        found = metrics.interval("crps", y, right, w, by=by, n_resamples=40)
        anew = metrics.interval(mine, y, right, w, by=by, n_resamples=40)  # row by row again on each resample
        assert (found.value, found.low, found.high) == pytest.approx((anew.value, anew.low, anew.high), rel=1e-12)
        assert found.value == pytest.approx(metrics.crps(y, right, w), rel=1e-12)
        assert found.low < found.value < found.high
    by_row, by_user = (metrics.interval(metrics.crps, y, right, by=by) for by in (None, user))
    assert by_user.high - by_user.low > 1.2 * (by_row.high - by_row.low)
    # Of points it is the mean absolute error.
    points = LogNormalDistribution(np.zeros(y.size), np.full(y.size, 1e-9))
    found, point = metrics.interval("crps", y, points), metrics.interval("mae", y, np.ones(y.size))
    assert (found.value, found.low, found.high) == pytest.approx((point.value, point.low, point.high), rel=1e-6)


def test_differences_of_distributions():
    y, user, right, wide = narrow_and_wide()
    apart = metrics.difference("crps", y, right, wide, by=user)
    assert apart.value == pytest.approx(metrics.crps(y, right) - metrics.crps(y, wide), rel=1e-12)
    assert apart.high < 0
    one, other = (metrics.interval("crps", y, d, by=user) for d in (right, wide))
    assert one.high > other.low  # the two intervals overlap
    same = metrics.difference("crps", y, right, right)
    assert (same.value, same.low, same.high) == (0.0, 0.0, 0.0)


def test_metrics_of_predictions_and_of_distributions_are_not_mixed_up():
    y, _, right, _ = narrow_and_wide()
    for call in (metrics.crps, partial(metrics.interval, "crps")):
        with pytest.raises(TypeError, match=r"crps takes predicted distributions, got ndarray: give what"):
            call(y, right.mean())
    for call in (metrics.xauc, partial(metrics.interval, metrics.xauc), partial(metrics.interval, "mae")):
        with pytest.raises(TypeError, match=r"y_pred is a LogNormalDistribution.*: give one prediction a row, such"):
            call(y, right)
    with pytest.raises(
        ValueError, match="metric 'crps' is of predicted distributions, and here there is one prediction a row"
    ):
        metrics.scorer("crps")
    with pytest.raises(ValueError, match=r"y has shape \(2,\), the distribution has 300 rows"):
        metrics.interval("crps", y[:2], right)


def test_intervals_of_metrics_with_arrays_of_their_own():
    rng = np.random.default_rng(4)
    y, p, user = rng.exponential(size=200), rng.exponential(size=200), rng.integers(0, 20, 200)
    w = np.where(np.arange(200) % 5 == 0, 0.0, 1.0)
    by_user = partial(metrics.grouped_xauc, groups=user)
    found = metrics.interval(by_user, y, p, w, by=user, n_resamples=50)
    kept = w > 0
    without = metrics.interval(
        partial(metrics.grouped_xauc, groups=user[kept]), y[kept], p[kept], by=user[kept], n_resamples=50
    )
    assert found == without
    assert found.low < found.value < found.high


def test_row_order_does_not_matter():
    rng = np.random.default_rng(5)
    y, p, w = rng.exponential(size=200), rng.exponential(size=200).round(1) + 0.1, rng.random(200)
    order = rng.permutation(200)
    for metric in POINT.values():
        assert metric(y[order], p[order], w[order]) == pytest.approx(metric(y, p, w), rel=1e-12)


def test_intervals_without_a_value():
    with pytest.warns(UndefinedMetricWarning) as warned:
        nothing = metrics.interval("xauc", [1.0, 1.0], [1.0, 2.0])
    assert [str(w.message).split(":")[0] for w in warned] == ["xauc is NaN", "interval is NaN"]
    assert math.isnan(nothing.value)
    assert math.isnan(nothing.low)
    with pytest.warns(UndefinedMetricWarning) as warned:
        assert math.isnan(metrics.difference("abs_log_pcoc", [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]).value)
    assert [str(w.message) for w in warned] == [
        "difference is NaN: abs_log_pcoc is inf of the one and inf of the other",
        "interval is NaN: 500 of 500 resamples have no value",
    ]
    # A third of the resamples lacks the one row that has a prediction: their ratio is 0, its logarithm infinite.
    far = metrics.interval("abs_log_pcoc", np.ones(9), [1.0] + [0.0] * 8)
    assert (far.low < far.value, far.high) == (True, math.inf)
    # One row of nine with a label: about one resample in three has none, and is left out.
    some = metrics.interval("pcoc", [1.0] + [0.0] * 8, np.full(9, 1 / 9))
    assert math.isfinite(some.high)
    with pytest.raises(ValueError, match="one cluster, which cannot be resampled"):
        metrics.interval("mae", [1, 2], [1, 2], by=["a", "a"])
    with pytest.raises(ValueError, match=r"level=1\.5 must lie in"):
        metrics.interval("mae", [1, 2], [1, 2], level=1.5)


def test_quantiles_and_distributions():
    y, p = [0.0, 3.0], [1.0, 1.0]
    assert metrics.pinball(y, p, level=0.9) == pytest.approx((0.1 * 1 + 0.9 * 2) / 2)
    points = LogNormalDistribution(np.log([1.0, 1.0]), np.full(2, 1e-9))
    assert metrics.crps([0.5, 3.0], points, [1, 3]) == pytest.approx((0.5 + 3 * 2) / 4, rel=1e-6)


@undefined
@pytest.mark.parametrize("name", [name for name in POINT if name != "pcoc"])
def test_scorers_have_the_sign_of_scikit_learn(name):
    model = DummyRegressor(strategy="constant", constant=2.0).fit([[0.0]] * 3, [1.0, 2.0, 4.0])
    X, y, w = [[0.0]] * 3, [1.0, 2.0, 4.0], [1.0, 1.0, 3.0]
    named = get_metric(name)
    sign = 1 if named.greater_is_better else -1
    assert metrics.scorer(name)(model, X, y) == pytest.approx(sign * named(y, [2.0] * 3), nan_ok=True)
    assert metrics.scorer(name)(model, X, y, sample_weight=w) == pytest.approx(sign * named(y, [2.0] * 3, w), nan_ok=True)


@undefined
@pytest.mark.parametrize("name", [name for name in POINT if name != "pcoc"])
def test_scorers_are_scikit_learns(name):
    rng = np.random.default_rng(0)
    X, w = rng.uniform(1, 2, size=(60, 2)), rng.uniform(1, 2, 60)
    y = 1.0 + X[:, 0] + rng.uniform(size=60)
    model, scorer = LinearRegression(), metrics.scorer(name)
    sign = 1 if METRICS[name].greater_is_better else -1
    turned = "" if sign == 1 else ", greater_is_better=False"
    assert repr(scorer) == f"make_scorer({name}{turned}, response_method='predict')"
    expected = []
    for train, test in KFold(3).split(X):
        fitted = clone(model).fit(X[train], y[train])
        expected.append(sign * METRICS[name](y[test], fitted.predict(X[test])))
    for copied in (scorer, clone(scorer, safe=False), pickle.loads(pickle.dumps(scorer))):
        np.testing.assert_array_equal(cross_val_score(model, X, y, scoring=copied, cv=KFold(3)), expected)
    several = cross_validate(model, X, y, scoring={name: scorer, "r2": "r2"}, cv=KFold(3), error_score="raise")
    np.testing.assert_array_equal(several[f"test_{name}"], expected)
    with config_context(enable_metadata_routing=True):
        asking = metrics.scorer(name).set_score_request(sample_weight=True)
        weighing = LinearRegression().set_fit_request(sample_weight=False)
        scores = cross_val_score(weighing, X, y, scoring=asking, cv=KFold(3), params={"sample_weight": w})
    for score, (train, test) in zip(scores, KFold(3).split(X), strict=True):
        assert score == sign * METRICS[name](y[test], clone(model).fit(X[train], y[train]).predict(X[test]), w[test])


class Squares:
    """A metric without a name of its own."""

    def __call__(self, y, p, w=None):
        return float(np.average((np.asarray(y) - p) ** 2, weights=w))


@pytest.mark.parametrize(
    ("metric", "name"),
    [(Squares(), "Squares"), (partial(Squares()), "partial"), (Metric("squares", Squares()), "squares")],
)
def test_scorers_of_ones_own_metrics(metric, name):
    X, y = np.arange(20.0)[:, None], np.arange(20.0) ** 2
    scorer = metrics.scorer(metric)
    assert repr(scorer) == f"make_scorer({name}, greater_is_better=False, response_method='predict')"
    expected = cross_val_score(LinearRegression(), X, y, scoring="neg_mean_squared_error")
    np.testing.assert_allclose(cross_val_score(LinearRegression(), X, y, scoring=scorer), expected, rtol=1e-12)


def test_scorers_search():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 1))
    y = np.exp(X[:, 0])
    search = GridSearchCV(
        DummyRegressor(strategy="constant"), {"constant": [0.1, y.mean(), 50.0]}, scoring=metrics.scorer("rmse")
    )
    assert search.fit(X, y).best_params_ == {"constant": y.mean()}
    with pytest.raises(ValueError, match="best at 1"):
        metrics.scorer("pcoc")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.xauc(Y, P, ties="random"), "ties='random' must be one of 'half'"),
        (lambda: metrics.grouped_xauc(Y, P, groups=[1]), r"groups must be one-dimensional with one entry a row, 4, got"),
        (lambda: metrics.grouped_xauc(Y, P, groups=Y, average="mean"), "average='mean' must be"),
        (lambda: metrics.segment_table(Y, P, segment=Y, shrinkage=-1), "shrinkage=-1 must be"),
        (lambda: metrics.top_share(Y, P, share=0), r"share=0 must lie in \(0, 1\]"),
        (lambda: metrics.pinball(Y, P, level=1), r"level=1 must lie in \(0, 1\)"),
        (lambda: metrics.decile_table(Y, P, n_bins=0), "n_bins=0 must be at least 1"),
        (lambda: metrics.overestimated_share(Y, P, factor=0.0), "factor=0.0 must be above 0"),
        (lambda: metrics.underestimated_share(Y, P, factor=-1), "factor=-1 must be above 0"),
        (lambda: metrics.interval("mae", Y, P, n_resamples=0), "n_resamples=0 must be"),
        (
            lambda: metrics.profit_curve(Y, P, cost=[1.0, 2.0]),
            r"cost must be a number, or one a row: y_true has shape \(4,\)",
        ),
        (lambda: metrics.profit_curve(Y, P, cost=math.nan), "cost must be finite; 1 of 1 values"),
        (lambda: metrics.profit_curve(Y, P, cost=[1, 1, math.inf, 1]), r"cost must be finite; 1 of 4 .*first at row 2"),
        (lambda: metrics.mid_ranks(np.array([1.0, math.nan]), np.ones(2)), "x must be finite; 1 of 2 values are not"),
        (
            lambda: metrics.crps([1.0, 1.0], LogNormalDistribution([0.0, 0.0], [1.0, 40.0])),
            r"the CRPS of distributions without a finite mean must be finite; 1 of 2 values are not \(first at row 1\)",
        ),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("function", "greater"), [(sk.mean_absolute_error, False), (sk.r2_score, True)])
def test_functions_of_scikit_learn_take_weights_by_name(function, greater):
    metric = get_metric(function)
    assert (metric.name, metric.greater_is_better) == (function.__name__, greater)
    y, p, w = np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, 3.0]), np.array([1.0, 2.0, 3.0])
    assert metric(y, p, w) == function(y, p, sample_weight=w)
    assert metric(y, p) == function(y, p)
    assert pickle.loads(pickle.dumps(metric)) == metric


@pytest.mark.parametrize("function", [lambda y, p: 0.0, sk.make_scorer(sk.r2_score)])
def test_functions_that_cannot_be_called_with_weights_are_refused(function):
    with pytest.raises(ValueError, match=r"must take \(y_true, y_pred, sample_weight\), and it takes \("):
        get_metric(function)
