"""What random orders score, against random orders."""

import numpy as np
import pytest

from gbreg.metrics import METRICS
from gbreg.metrics.chance import chance_level

LABELS = {
    "heavy tail": lambda rng, n: np.exp(2 * rng.normal(size=n)),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.8, 0.0, rng.exponential(size=n)),
    "classes": lambda rng, n: (rng.random(n) < 0.3).astype(float),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("metric", ["gini", "normalized_gini", "spearman", "xauc", "kendall"])
def test_one_of_forty_random_orders_has_more(metric, labels, weighted):
    rng = np.random.default_rng(0)
    y, w = LABELS[labels](rng, 200), rng.exponential(size=200) if weighted else None
    drawn = np.array([METRICS[metric](y, rng.random(200), w) for _ in range(2000)])
    middle = 0.5 if metric == "xauc" else 0.0
    assert (chance_level(metric, (y, w)) - middle) / 1.96 == pytest.approx(drawn.std(), rel=0.08)
    assert 0.014 < np.mean(drawn > chance_level(metric, (y, w))) < 0.04


def test_of_several_folds_it_is_of_their_mean():
    y = np.random.default_rng(0).exponential(size=100)
    one = chance_level("xauc", (y, None)) - 0.5
    assert chance_level("xauc", *[(y, None)] * 4) == pytest.approx(0.5 + one / 2)


@pytest.mark.parametrize(("metric", "y"), [("mae", [0.0, 1.0]), ("spearman", [1.0, 1.0]), ("gini", [-1.0, 1.0])])
def test_without_a_value(metric, y):
    assert np.isnan(chance_level(metric, (np.array(y), None)))
