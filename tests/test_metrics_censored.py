"""Metrics of censored rows, against their definitions pair by pair and by quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from sklearn.exceptions import UndefinedMetricWarning

from gbreg.distribution import LogNormalDistribution, ZeroInflated
from gbreg.metrics import censored_crps, censored_log_score, concordance, crps, xauc

rows = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 4), st.booleans(), st.integers(1, 3)), min_size=2, max_size=25)


@given(rows)
@settings(max_examples=80, derandomize=True, deadline=None)
def test_concordance_pair_by_pair(rows: list[tuple[int, int, bool, int]]) -> None:
    credit, comparable = 0.0, 0.0
    for y_i, p_i, hidden_i, w_i in rows:
        for y_j, p_j, hidden_j, w_j in rows:
            if not hidden_i and (y_i < y_j or (y_i == y_j and hidden_j)):
                comparable += w_i * w_j
                credit += w_i * w_j * (1.0 if p_i < p_j else 0.5 if p_i == p_j else 0.0)
    y, p, hidden, w = (np.array(column) for column in zip(*rows, strict=True))
    if comparable == 0:
        with pytest.warns(UndefinedMetricWarning, match="of no pair of rows it is known who lasts longer"):
            assert np.isnan(concordance(y, p, hidden, w))
        return
    assert concordance(y, p, hidden, w) == pytest.approx(credit / comparable, rel=1e-12)
    assert concordance(np.append(y, 9), np.append(p, 9), np.append(hidden, False), np.append(w, 0)) == pytest.approx(
        credit / comparable, rel=1e-12
    )


def test_concordance_of_peers() -> None:
    """scikit-survival 0.28.0 (of -p) and lifelines 0.30.3 both give this, of labels and predictions with many ties."""
    rng = np.random.default_rng(0)
    y, p, hidden = rng.integers(1, 8, 300), rng.integers(0, 6, 300), rng.random(300) < 0.4
    assert concordance(y, p, hidden) == pytest.approx(0.5197309417040359, rel=1e-14)


def test_without_censored_rows_it_is_the_xauc() -> None:
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 50, 2000), rng.normal(size=2000).round(1), rng.uniform(size=2000)
    for ties in ("half", "wrong", "right"):
        assert concordance(y, p, np.zeros(2000), w, ties=ties) == pytest.approx(xauc(y, p, w, ties=ties), rel=1e-12)
    with pytest.raises(ValueError, match="ties='inversions' must be one of 'half', 'wrong', 'right'"):
        concordance(y, p, np.zeros(2000), ties="inversions")


def test_scores_of_censored_rows() -> None:
    d = ZeroInflated([0.9, 0.5, 0.7, 0.8], LogNormalDistribution([0.0, 1.0, 2.0, 0.5], 0.8))
    y, hidden, w = np.array([0.0, 2.0, 9.0, 1.5]), np.array([True, True, False, False]), np.array([1.0, 2.0, 1.0, 3.0])
    each = [0.0, -np.log(d.sf(2.0)[1]), *d.log_score(y)[2:]]
    assert censored_log_score(y, d, hidden, w) == pytest.approx(np.average(each, weights=w), rel=1e-12)
    known = quad(lambda x: d.cdf(x)[1] ** 2, 0.0, 2.0, limit=200)[0]
    each = [0.0, known, *d.crps(y)[2:]]
    assert censored_crps(y, d, hidden, w) == pytest.approx(np.average(each, weights=w), rel=1e-8)
    assert censored_crps(y, d, np.zeros(4)) == pytest.approx(crps(y, d), rel=1e-12)
    with pytest.raises(TypeError, match="distribution must be a predicted one, got ndarray"):
        censored_crps(y, y, hidden)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="censored must be true or false"):
        censored_log_score(y, d, [0, 1, 2, 0])
