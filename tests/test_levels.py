"""Arrays by their distinct values, sorted once for as many metrics as ask."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gbreg import metrics
from gbreg.metrics.base import Levels, levels, sorted_once
from gbreg.metrics.sums import equal_weights


@given(st.lists(st.sampled_from([-1.5, -0.0, 0.0, 2.0, 7.0]), max_size=40))
def test_levels_are_the_distinct_values(values):
    x = np.array(values, dtype=np.float64)
    of = Levels(x)
    distinct, place = np.unique(x, return_inverse=True)
    np.testing.assert_array_equal(of.values, distinct)
    np.testing.assert_array_equal(of.place, place)
    np.testing.assert_array_equal(x[of.order], np.sort(x))
    w = np.arange(1.0, x.size + 1)
    np.testing.assert_array_equal(of.sums(w), [w[x == value].sum() for value in distinct])


def test_an_array_is_sorted_once_within_and_each_time_without():
    x = np.array([2.0, 1.0])
    assert levels(x) is not levels(x)
    with sorted_once():
        first = levels(x)
        with sorted_once():
            assert levels(x) is first
        for _ in range(3):
            levels(np.array([3.0]))
        assert levels(x) is first  # among the last few arrays
        for _ in range(4):
            levels(np.array([3.0]))
        assert levels(x) is not first
    x[:] = [1.0, 2.0]
    np.testing.assert_array_equal(levels(x).order, [0, 1])


def test_metrics_are_the_same_within():
    rng = np.random.default_rng(0)
    y, p, w = np.round(rng.exponential(size=200)), np.round(rng.exponential(size=200), 1), rng.random(200)
    ranking = ("spearman", "gini", "normalized_gini", "xauc", "kendall", "top_10%", "decile_error", "decile_mape")
    alone = {name: metrics.METRICS[name](y, p, w) for name in ranking}
    with sorted_once():
        together = {name: metrics.METRICS[name](y, p, w) for name in ranking}
    assert together == alone


@pytest.mark.parametrize(
    ("weight", "n_bins", "group"),
    [
        ([1, 1, 1, 1], 2, [0, 0, 1, 1]),
        ([1, 1, 1, 1], 10, [0, 1, 2, 3]),
        ([9, 1, 1, 1], 4, [0, 1, 1, 1]),  # middles of 12: 4.5, 9.5, 10.5, 11.5, in quarters 1, 3, 3, 3
        ([5], 3, [0]),
    ],
)
def test_groups_of_equal_weight_by_hand(weight, n_bins, group):
    np.testing.assert_array_equal(equal_weights(np.array(weight, dtype=float), n_bins), group)
