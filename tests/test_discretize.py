"""Buckets of labels: edges by hand and by property, statistics against loops, soft labels against direct formulas."""

import math

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import norm

from gbreg._discretize import (
    basis,
    bucket_of,
    label_tilt,
    local_widths,
    make_edges,
    representatives,
    soft_label,
    soft_labels,
    spans,
)
from gbreg._discretize.edges import EDGES
from gbreg._discretize.soft import KINDS
from gbreg._kernels.scalar import compile_row

steady = settings(max_examples=80, derandomize=True, deadline=None)
# Integers give ties and zeros, floats none; huge values too.
labels = st.one_of(
    st.lists(st.integers(0, 6).map(float), min_size=1, max_size=30),
    st.lists(st.floats(0, 1e12, allow_subnormal=False), min_size=1, max_size=30),
)
weights = st.lists(st.integers(0, 3), min_size=30, max_size=30)


def with_weights(y, w):
    y, w = np.array(y), np.array(w[: len(y)], dtype=float)
    w[0] = max(w[0], 1.0)
    return y, w


def lognormal(n=4000, zeros=0.0, sigma=1.5, seed=0):
    random = np.random.default_rng(seed)
    return np.where(random.random(n) < zeros, 0.0, np.exp(random.normal(3, sigma, n)))


# Edges


@steady
@given(labels, weights, st.integers(2, 12), st.sampled_from(EDGES))
def test_edges_of_every_scheme(y, w, n_buckets, how):
    y, w = with_weights(y, w)
    edges = make_edges(y, w, n_buckets, how)
    assert edges.size < n_buckets
    assert (np.diff(edges) > 0).all()
    assert (np.bincount(bucket_of(y[w > 0], edges), minlength=edges.size + 1) > 0).all()
    np.testing.assert_array_equal(edges, make_edges(np.repeat(y, w.astype(int)), None, n_buckets, how))
    np.testing.assert_array_equal(edges, make_edges(y, 4 * w, n_buckets, how))


@steady
@given(labels, weights, st.integers(2, 12))
def test_quantile_gives_atoms_and_as_many_buckets_as_there_can_be(y, w, n_buckets):
    y, w = with_weights(y, w)
    edges = make_edges(y, w, n_buckets)
    held = [np.unique(y[(w > 0) & (bucket_of(y, edges) == k)]) for k in range(edges.size + 1)]
    assert len(held) == min(n_buckets, np.unique(y[w > 0]).size)
    values, group = np.unique(y, return_inverse=True)
    share = np.bincount(group, weights=w) / w.sum()
    atoms = values[share > 1 / n_buckets + 1e-9]
    if len(atoms) * 2 + 1 <= n_buckets:  # else there may not be room to part them from what lies between
        for atom in atoms:
            assert any(np.array_equal(values, [atom]) for values in held)


def test_quantile_is_of_equal_frequency():
    counts = np.bincount(bucket_of(lognormal(), make_edges(lognormal(), n_buckets=16)))
    assert counts.tolist() == [250] * 16


def test_quantile_shares_what_the_atoms_leave():
    y = lognormal(zeros=0.4)
    counts = np.bincount(bucket_of(y, make_edges(y, n_buckets=11)))
    assert counts[0] == (y == 0).sum()
    assert np.ptp(counts[1:]) <= 1


def test_an_atom_between_others_takes_two_cuts():
    y = [1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 8.0, 9.0]
    np.testing.assert_array_equal(make_edges(y, n_buckets=3), [3.5, 6.5])
    assert make_edges(y, n_buckets=2).size == 1  # no room for it: two buckets all the same


def test_mixed_steps_in_half_count_and_half_value():
    y = lognormal(40000, zeros=0.3, sigma=1.0)
    edges = make_edges(y, n_buckets=33, edges="mixed")
    k, positive = bucket_of(y, edges), y > 0
    assert edges.size == 32
    assert (k[y == 0] == 0).all()
    assert (k[positive] > 0).all()
    step = 0.5 * np.bincount(k[positive]) / positive.sum() + 0.5 * np.bincount(k[positive], weights=y[positive]) / y.sum()
    np.testing.assert_allclose(step[1:-1], 1 / 32, rtol=0.05)


def test_mixed_steps_on_labels_of_both_signs():
    # 0 alone leaves two buckets a side. On the right 1, 2, 3 have 3/8 of the count, 6/32 of the size: 9/32 together, and
    # are nearer to half of the side, 1/4, than 1, 2 with 11/64.
    y = [-10.0, -3.0, -2.0, -1.0, 0.0, 0.0, 0.0, 1.0, 2.0, 3.0, 10.0]
    np.testing.assert_array_equal(make_edges(y, n_buckets=5, edges="mixed"), [-6.5, -0.5, 0.5, 6.5])
    np.testing.assert_array_equal(make_edges([-4.0, -1.0, -1.0], n_buckets=2, edges="mixed"), [-2.5])


@pytest.mark.parametrize("how", EDGES)
def test_labels_all_zero_or_constant_are_one_bucket(how):
    for value in (0.0, 7.0):
        assert make_edges(np.full(5, value), n_buckets=4, edges=how).size == 0


def test_grids():
    y = np.arange(0, 81.0)
    np.testing.assert_allclose(make_edges(y, n_buckets=4, edges="uniform"), [20, 40, 60])
    np.testing.assert_allclose(make_edges(y, n_buckets=4, edges="exp"), [2, 8, 26])  # 1 + y in steps of 81 ** (1 / 4)
    np.testing.assert_array_equal(make_edges(y, edges=[(0, 0.3, 0.1), (10, 30, 10)]), [0.2, 10, 20])  # none in [0.1, 0.2)
    np.testing.assert_array_equal(make_edges(y, edges=[5.0, 5.5, 5.7, 90.0]), [5, 5.7])  # 5.5 has no label, 90 is above all


def test_peaks_are_alone():
    prices = np.concatenate([np.repeat([9.99, 19.9, 100.0], [200, 100, 50]), np.linspace(1, 150, 100)])
    edges = make_edges(prices, n_buckets=8, edges="peaks")
    held = [np.unique(prices[bucket_of(prices, edges) == k]).tolist() for k in range(8)]
    for price in (9.99, 19.9, 100.0):
        assert [price] in held
    assert make_edges(np.arange(100.0), n_buckets=4, edges="peaks").size == 3  # no peaks: quantiles


def test_edges_between_labels_outlive_float32():
    y = np.round(lognormal(500), 2)
    edges = make_edges(y, n_buckets=40)
    np.testing.assert_array_equal(bucket_of(y.astype(np.float32), edges), bucket_of(y, edges))
    assert make_edges([1.0, np.nextafter(1.0, 2.0)], n_buckets=2) == np.nextafter(1.0, 2.0)  # nothing lies between


def test_membership_is_half_open():
    np.testing.assert_array_equal(bucket_of([0.0, 1.0, 1.5, 2.0, 3.0], [1.0, 2.0]), [0, 1, 1, 2, 2])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y": [1, np.nan]}, "must be finite"),
        ({"y": [[1.0]]}, "one-dimensional"),
        (
            {"y": [1, 2], "sample_weight": [1]},
            r"sample_weight must be one-dimensional with one entry a row, 2, got shape \(1,\)",
        ),
        ({"y": [1, 2], "sample_weight": [0, 0]}, "at least one positive"),
        ({"y": [1, 2], "sample_weight": [1, -1]}, "must be >= 0"),
        ({"y": [1, 2], "n_buckets": 1}, "n_buckets=1 must be an integer >= 2"),
        ({"y": [1, 2], "n_buckets": 2.5}, "n_buckets=2.5"),
        ({"y": [1, 2], "edges": "quantiles"}, "edges='quantiles' is not known: use one of quantile, mixed"),
        ({"y": [-1, 2], "edges": "exp"}, "edges='exp' needs labels >= 0, the least is -1: use 'mixed'"),
        ({"y": [1, 2], "edges": [2, 1]}, "strictly increasing"),
        ({"y": [1, 2], "edges": [1, np.inf]}, "must be finite"),
        ({"y": [1, 2], "edges": [[1.0, 2.0]]}, "one-dimensional"),
        ({"y": [1, 2], "edges": [(1, 5, 0)]}, "start < stop and step > 0"),
    ],
)
def test_make_edges_says_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_edges(**arguments)


# Statistics of buckets


@steady
@given(labels, weights, st.integers(2, 8))
def test_statistics_of_buckets_against_loops(y, w, n_buckets):
    y, w = with_weights(y, w)
    edges = make_edges(y, w, n_buckets)
    k, repeated = bucket_of(y, edges), np.repeat(y, w.astype(int))
    low, high = spans(y, w, edges)
    means, medians = representatives(y, w, edges), representatives(y, w, edges, how="median")
    for j in range(edges.size + 1):
        rows = (k == j) & (w > 0)
        assert (low[j], high[j]) == (y[rows].min(), y[rows].max())
        np.testing.assert_allclose(means[j], np.average(y[rows], weights=w[rows]), rtol=1e-12)
        assert medians[j] == np.quantile(y[rows], 0.5, weights=w[rows], method="inverted_cdf")
    np.testing.assert_allclose(means, representatives(repeated, None, edges), rtol=1e-12)
    np.testing.assert_array_equal(medians, representatives(repeated, None, edges, how="median"))
    assert (np.diff(means) > 0).all()
    assert (low <= means).all()
    assert (means <= high).all()
    np.testing.assert_allclose(np.bincount(k, weights=w) @ means, w @ y, rtol=1e-9)


def test_statistics_say_what_is_wrong():
    with pytest.raises(ValueError, match="bucket 1 of 3 holds no label"):
        representatives([1.0, 9.0], None, [2.0, 3.0])
    with pytest.raises(ValueError, match="how='mode' must be 'mean' or 'median'"):
        representatives([1.0], None, [], how="mode")


@pytest.mark.parametrize(
    ("names", "shift"),
    [
        (["log", "log2"], 1.0),
        (["log", "mean", "zero"], 1.0),
        (["log", "root"], 1.0),
        (["position1", "position2", "position3", "position4"], 0.0),
        (["zero", "mean", "log", "log2", "position1"], 2.0),
    ],
)
def test_basis_is_orthonormal_and_spans_the_statistics(names, shift):
    y = 1e9 * lognormal(zeros=0.4)
    w = np.random.default_rng(1).integers(0, 4, y.size).astype(float)
    edges = make_edges(y, w, 24, "mixed")
    prior = np.bincount(bucket_of(y, edges), weights=w) / w.sum()
    b = basis(y, w, edges, names, log_shift=shift)
    full = np.vstack([np.ones(24), b])
    np.testing.assert_allclose((full * prior) @ full.T, np.eye(len(b) + 1), atol=1e-10)
    statistic = {"mean": representatives(y, w, edges), "zero": np.arange(24) == 0, "position1": np.arange(24)}
    for name in set(names) & set(statistic):
        s = statistic[name] / np.max(statistic[name])
        np.testing.assert_allclose((full * prior @ s) @ full, s, atol=1e-10)
    first = next((r for r, name in enumerate(names) if name in ("mean", "root")), 0)  # what no other is taken from
    sign = {"zero": -1}.get(names[first], 1)
    assert (np.diff(b[first]) * sign >= -1e-9).all()  # signs follow the statistic: "zero" falls from its first bucket on
    np.testing.assert_allclose(b, basis(np.repeat(y, w.astype(int)), None, edges, names, log_shift=shift), atol=1e-9)


@pytest.mark.parametrize(("name", "function"), [("log", np.log), ("root", np.sqrt), ("log2", lambda y: np.log(y) ** 2)])
def test_basis_is_the_mean_of_a_function_of_the_labels(name, function):
    y, edges = np.array([1.0, 3.0, 5.0, 7.0, 9.0]), [4.0, 8.0]
    means = np.array([function(y[:2]).mean(), function(y[2:4]).mean(), function(y[4])])
    centred = means - np.average(means, weights=[2, 2, 1])
    size = math.sqrt(np.average(centred**2, weights=[2, 2, 1]))
    np.testing.assert_allclose(basis(y, None, edges, [name])[0], centred / size, rtol=1e-12)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["log"], r"basis 'log' needs labels above -0, the least is 0: give log_shift=1.0"),
        (
            ["mean", "position1", "position2"],
            "basis statistic 'position2' follows from 'mean', 'position1' on these 3 buckets",
        ),
        (["zero", "zero"], "'zero' follows from 'zero'"),
        (["position0"], "basis 'position0' is not known: use 'log'"),
        (["median"], "basis 'median' is not known"),
    ],
)
def test_basis_says_what_is_wrong(names, message):
    with pytest.raises(ValueError, match=message):
        basis([0.0, 1.0, 4.0], None, [0.5, 2.0], names)


def test_basis_of_no_zeros_and_of_one_bucket():
    with pytest.raises(ValueError, match="needs labels of 0"):
        basis([1.0, 2.0], None, [1.5], ["zero"])
    with pytest.raises(ValueError, match="'root' needs labels >= 0, the least is -1"):
        basis([-1.0, 2.0], None, [1.5], ["root"])
    with pytest.raises(ValueError, match="'mean' follows from a constant on these 1 buckets"):
        basis([1.0, 2.0], None, [], ["mean"])
    assert basis([1.0, 2.0], None, [1.5], []).shape == (0, 2)


# Soft labels

Y = lognormal(60, zeros=0.2, seed=3)
TRAIN = np.concatenate([Y, lognormal(2000, zeros=0.2)])
CUT = make_edges(TRAIN, n_buckets=20)
M = representatives(TRAIN, None, CUT)
SIGMAS = [None, 0.7, 1e3, (1.5, 0.5), 1e-12]


def direct(kind, sigma, space, at):
    """The definitions, written once more with arrays."""
    to = np.log1p if space == "log" else np.asarray
    x, points, k = to(Y), to(M if at == "representative" else np.append(CUT, max(Y.max(), M[-1]))), bucket_of(Y, CUT)
    width = np.gradient(to(M), np.arange(M.size))[k]
    s = width if sigma is None else sigma[0] * x ** sigma[1] if isinstance(sigma, tuple) else np.full(Y.size, sigma)
    s = np.maximum(s, 1e-3 * width)[:, None]
    if kind == "hl_gauss":
        ends = np.concatenate([[-np.inf], to(CUT), [np.inf]])
        z = (ends - x[:, None]) / s
        return np.where(z[:, 1:] < 0, norm.cdf(z[:, 1:]) - norm.cdf(z[:, :-1]), norm.sf(z[:, :-1]) - norm.sf(z[:, 1:]))
    if kind == "two_hot":
        return np.array([np.interp(x, points, row) for row in np.eye(M.size)]).T
    d = (points - x[:, None]) / s
    logs = -0.5 * d**2 if kind == "normal" else -np.abs(d)
    return np.exp(logs - logsumexp(logs, axis=1, keepdims=True))


@pytest.mark.parametrize("space", ["raw", "log"])
@pytest.mark.parametrize("sigma", SIGMAS, ids=str)
@pytest.mark.parametrize(
    ("kind", "at"),
    [(kind, "representative") for kind in KINDS] + [("normal", "upper_edge"), ("laplace", "upper_edge")],
)
def test_soft_labels(kind, sigma, space, at):
    q = soft_labels(Y, CUT, M, kind, sigma, space, at)
    np.testing.assert_allclose(q, direct(kind, sigma, space, at), atol=1e-12)
    unbiased = soft_labels(Y, CUT, M, kind, sigma, space, at, unbiased=True)
    k = bucket_of(Y, CUT)
    inner = (k > 0) & (k < M.size - 1)
    np.testing.assert_allclose((unbiased @ M)[inner], Y[inner], rtol=1e-12)
    np.testing.assert_array_equal(unbiased[~inner], np.eye(M.size)[k[~inner]])
    for labels in (q, unbiased):
        assert (labels >= 0).all()
        np.testing.assert_allclose(labels.sum(axis=1), 1, rtol=1e-12)


def test_the_tilt_is_exponential():
    q, tilted = (soft_labels(Y, CUT, M, "laplace", 10.0, unbiased=unbiased) for unbiased in (False, True))
    for i in np.flatnonzero(np.isin(bucket_of(Y, CUT), range(1, M.size - 1))):
        used = (q[i] > 1e-100) & (tilted[i] > 1e-100)
        ratio = np.log(tilted[i] / q[i])[used]
        line = np.polyval(np.polyfit(M[used] / M[-1], ratio, 1), M[used] / M[-1])
        np.testing.assert_allclose(ratio, line, atol=1e-6 * max(1.0, np.ptp(ratio)))


def test_unbiased_in_sum():
    q = soft_labels(TRAIN[:1000], CUT, representatives(TRAIN[:1000], None, CUT), "normal", unbiased=True)
    assert (q @ representatives(TRAIN[:1000], None, CUT)).sum() == pytest.approx(TRAIN[:1000].sum(), rel=1e-12)


@steady
@given(
    st.lists(st.floats(-1e12, 1e12, allow_subnormal=False), min_size=3, max_size=12, unique=True),
    st.floats(0, 1),
    st.sampled_from(sorted(KINDS)),
    st.floats(1e-6, 1e6),
)
def test_unbiased_means_are_exact_whatever_the_spacing(values, share, kind, sigma):
    m = np.sort(values)
    edges = make_edges(m, n_buckets=m.size)
    y = edges[0] + share * (edges[-1] - edges[0])
    q = soft_labels([y], edges, m, kind, sigma, unbiased=True)[0]
    assert (q >= 0).all()
    assert q.sum() == pytest.approx(1, rel=1e-12)
    if bucket_of(y, edges) < m.size - 1:
        assert q @ m == pytest.approx(y, abs=1e-9 * max(abs(y), q @ np.abs(m)))


def test_far_apart_and_sharp():
    y = np.exp(np.random.default_rng(0).normal(0, 7, 3000))
    edges = make_edges(y, n_buckets=40)
    m, k = representatives(y, None, edges), bucket_of(y[:40], edges)
    inner = (k > 0) & (k < 39)
    for kind in KINDS:
        for sigma in (None, 1e-9):
            for space in ("raw", "log"):
                q = soft_labels(y[:40], edges, m, kind, sigma, space, unbiased=True)
                np.testing.assert_allclose((q @ m)[inner], y[:40][inner], rtol=1e-12)
                assert (q >= 0).all()


def test_one_and_two_buckets():
    np.testing.assert_array_equal(soft_labels([3.0, 4.0], [], [3.5]), [[1.0], [1.0]])
    np.testing.assert_array_equal(soft_labels([1.0, 9.0], [5.0], [1.0, 9.0], unbiased=True), np.eye(2))
    np.testing.assert_array_equal(local_widths(np.array([3.0])), [1.0])
    assert soft_labels([], [5.0], [1.0, 9.0]).shape == (0, 2)


def test_largest_is_the_last_upper_edge():
    q = soft_labels([1.0, 3.0], [2.0], [1.0, 4.0], "laplace", 1.0, at="upper_edge", largest=8.0)
    np.testing.assert_allclose(np.log(q[:, 0] / q[:, 1]), [7 - 1, 5 - 1], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("unbiased", [False, True])
def test_the_row_function_compiles(kind, unbiased):
    tilt, row = compile_row(label_tilt), compile_row(soft_label)

    @numba.njit
    def fill(kind, y, bucket, points, edges, m, unbiased, out):
        for i in range(y.shape[0]):
            rate = tilt(kind, y[i], y[i], bucket[i], points, edges, m, 5.0, out[i]) if unbiased else 0.0
            row(kind, y[i], y[i], bucket[i], points, edges, m, 5.0, unbiased, rate, out[i])

    out = np.empty((Y.size, M.size))
    fill(KINDS[kind], Y, bucket_of(Y, CUT), M, CUT, M, unbiased, out)
    sigma = np.maximum(5.0, 1e-3 * local_widths(M)).max()
    np.testing.assert_allclose(out, soft_labels(Y, CUT, M, kind, sigma, unbiased=unbiased), atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "gauss"}, "kind='gauss' must be one of 'normal', 'laplace'"),
        ({"space": "sqrt"}, "space='sqrt' must be one of 'raw', 'log'"),
        ({"at": "edge"}, "at='edge' must be 'representative'"),
        ({"at": "upper_edge", "kind": "two_hot"}, "for kind='normal' and 'laplace' only"),
        ({"sigma": 0.0}, "sigma=0.0 must be positive"),
        ({"sigma": (1.0, math.inf)}, "pair"),
        ({"representatives": [1.0, 1.5]}, "one in each bucket"),
        ({"y": [np.nan]}, "finite"),
        ({"y": [-1.0], "space": "log"}, "space='log' needs labels and representatives >= 0"),
    ],
)
def test_soft_labels_say_what_is_wrong(arguments, message):
    with pytest.raises(ValueError, match=message):
        soft_labels(**{"y": [1.0], "edges": [2.0], "representatives": [1.0, 3.0], **arguments})
