"""Metrics against hand-made tables, brute force over pairs and rows, and scikit-learn and scipy."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as sk

from gbreg import metrics
from gbreg.metrics import METRICS, Metric, get_metric

steady = settings(max_examples=60, derandomize=True, deadline=None)
# Few distinct values, so that ties are common; weights of 0 too.
tables = st.lists(st.tuples(st.integers(0, 6), st.integers(-1, 6), st.integers(0, 3)), min_size=1, max_size=14).filter(
    lambda rows: any(w for _, _, w in rows)
)


def columns(rows):
    return (np.array(column, dtype=float) for column in zip(*rows, strict=True))


Y = [0.0, 1.0, 2.0, 5.0]
P = [1.0, 1.0, 6.0, 2.0]
W = [1.0, 2.0, 1.0, 4.0]


@pytest.mark.parametrize(
    ("name", "plain", "weighted"),
    [
        ("mae", 2.0, (1 + 0 + 4 + 12) / 8),
        ("rmse", math.sqrt((1 + 0 + 16 + 9) / 4), math.sqrt((1 + 0 + 16 + 36) / 8)),
        ("pcoc", 10 / 8, (1 + 2 + 6 + 8) / (2 + 2 + 20)),
        ("over_2x", 2 / 4, 2 / 8),  # 1 for a label of 0, and 6 for 2
        ("under_2x", 1 / 4, 4 / 8),  # 2 for 5
        ("abs_log_pcoc", math.log(1.25), math.log(24 / 17)),
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


@steady
@given(rows=tables)
def test_integer_weight_is_repetition(rows):
    y, p, w = columns(rows)
    copies = w.astype(int)
    for metric in METRICS.values():
        assert metric(y, p, w) == pytest.approx(metric(np.repeat(y, copies), np.repeat(p, copies)), abs=1e-12, nan_ok=True)


def pairs_gini(y, p, w):
    """Half the weighted sum over pairs of label differences in the order of the predictions, unnormalised."""
    order = np.sign(p[:, None] - p[None, :]) * (y[:, None] - y[None, :])
    return float(np.sum(w[:, None] * w[None, :] * order))


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
        ("spearman", [1, 1, 1], [1, 2, 3], math.nan),
        ("spearman", [1, 2, 3], [5, 5, 5], math.nan),
        ("spearman", [1.0], [2.0], math.nan),
        ("xauc", [1, 1, 1], [1, 2, 3], math.nan),
        ("xauc", [1.0], [2.0], math.nan),
        ("xauc", [1, 2, 3], [5, 5, 5], 0.5),
        ("normalized_gini", [2, 2], [1, 2], math.nan),
        ("normalized_gini", [0, 0], [1, 2], math.nan),
        ("normalized_gini", [-1, 2], [1, 2], math.nan),
        ("normalized_gini", [1, 2], [7, 7], 0.0),
        ("pcoc", [0, 0], [1, 2], math.nan),
        ("pcoc", [-1, 1], [1, 2], math.nan),
        ("decile_error", [0, 0], [1, 2], math.nan),
        ("abs_log_pcoc", [1, 1], [0, 0], math.inf),
        ("abs_log_pcoc", [1, 1], [-1, 0], math.inf),
        ("mae", [3.0], [3.0], 0.0),
    ],
)
def test_degenerate_input(name, y, p, value):
    assert METRICS[name](y, p) == pytest.approx(value, nan_ok=True)


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_bad_input(metric):
    for arguments in (([1, 2], [1]), ([[1], [2]], [[1], [2]]), ([1, 2], [1, 2], [1])):
        with pytest.raises(ValueError, match="one-dimensional and of one length"):
            metric(*arguments)
    for arguments in (([1, math.nan], [1, 2]), ([1, 2], [1, math.inf]), ([1, 2], [1, 2], [1, math.nan])):
        with pytest.raises(ValueError, match="must be finite"):
            metric(*arguments)
    for weight in ([-1, 2], [0, 0]):
        with pytest.raises(ValueError, match="sample_weight must be >= 0, with at least one positive"):
            metric([1, 2], [1, 2], weight)


def test_rows_of_weight_zero_do_not_count():
    for metric in METRICS.values():
        assert metric([*Y, 1e6], [*P, -3.0], [1, 1, 1, 1, 0]) == pytest.approx(metric(Y, P), rel=1e-12)


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
    with pytest.raises(ValueError, match="metric 'spearmen' is not known: did you mean 'spearman'"):
        get_metric("spearmen")
