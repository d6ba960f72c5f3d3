"""D2Q: groups of equal weight, exact ranks and quantiles, tables, engines, and what it is for."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbreg import D2QRegressor, GBRegressor, load
from gbreg.engines import ENGINES
from gbreg.metrics import xauc

steady = settings(max_examples=80, derandomize=True, deadline=None, database=None)


class Echo(RegressorMixin, BaseEstimator):
    """Predicts the last column: the rank that a test wants predicted."""

    def fit(self, X, y, sample_weight=None):
        self.target_ = y
        return self

    def predict(self, X):
        return X[:, -1]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def with_rank(duration, rank):
    return np.column_stack([duration, np.broadcast_to(rank, np.shape(duration))])


def spans(model):
    return [slice(*model.offsets_[g : g + 2]) for g in range(model.n_groups_)]


@st.composite
def watches(draw):
    """Few durations, labels with many ties, and integer weights, some of them 0."""
    n = draw(st.integers(1, 40))
    duration = draw(st.lists(st.sampled_from([5.0, 7.5, 30.0, 1e9, np.nan]), min_size=n, max_size=n))
    label = st.one_of(st.sampled_from([0.0, 1.0, -2.5]), st.floats(-1e9, 1e9))
    y = draw(st.lists(label, min_size=n, max_size=n))
    weight = draw(st.lists(st.integers(0, 4), min_size=n, max_size=n))
    assume(any(weight))
    return np.array(duration), np.array(y), np.array(weight)


@steady
@given(watches(), st.integers(1, 6))
def test_every_label_comes_back_at_its_own_rank(rows, n_groups):
    duration, y, weight = rows
    model = D2QRegressor(Echo(), 0, n_groups).fit(with_rank(duration, 0.5), y, weight)
    rank = model.estimator_.target_
    assert ((rank > 0) & (rank < 1)).all()
    used = weight > 0
    np.testing.assert_array_equal(model.predict(with_rank(duration, rank))[used], y[used])


@steady
@given(watches())
def test_ranks_are_mid_ranks_and_a_weight_is_a_repetition(rows):
    duration, y, weight = rows
    X = with_rank(duration, 0.5)
    model = D2QRegressor(Echo(), 0).fit(X, y, weight)
    for d in np.unique(duration):
        inside = (np.isnan(duration) if np.isnan(d) else duration == d) & (weight > 0)
        repeated = np.repeat(np.flatnonzero(inside), weight[inside])
        expected = (rankdata(y[repeated]) - 0.5) / repeated.size
        np.testing.assert_allclose(model.estimator_.target_[repeated], expected, rtol=1e-14)
    again = D2QRegressor(Echo(), 0).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    for name in ("group_edges_", "values_", "ranks_", "offsets_", "n_groups_", "missing_group_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))


@steady
@given(watches(), st.lists(st.floats(-0.5, 1.5), min_size=2, max_size=30), st.integers(1, 4))
def test_predictions_rise_with_the_rank_and_stay_among_the_labels(rows, ranks, n_groups):
    duration, y, weight = rows
    model = D2QRegressor(Echo(), 0, n_groups).fit(with_rank(duration, 0.5), y, weight)
    for d in np.unique(duration):
        ranks = np.sort([*ranks, *model.ranks_, 0.0, 1.0])
        predicted = model.predict(with_rank(np.full(ranks.size, d), ranks))
        assert (np.diff(predicted) >= 0).all()
        ends = [(model.values_[s][0], model.values_[s][-1]) for s in spans(model)]
        assert (predicted[0], predicted[-1]) in ends


def test_quantiles_by_hand():
    X = with_rank([10.0] * 4 + [20.0] * 3, 0.0)
    y = [0, 0, 8, 4, 1, 1, 1]
    model = D2QRegressor(Echo(), 0).fit(X, y)
    # Of 0, 0, 4, 8 the mid-ranks are 1/4, 5/8 and 7/8; between them lines, beyond them the ends.
    rank = np.array([-1.0, 0.1, 0.25, 0.4375, 0.625, 0.75, 0.875, 0.99, 7.0])
    np.testing.assert_array_equal(model.predict(with_rank(np.full(9, 10.0), rank)), [0, 0, 0, 2, 4, 6, 8, 8, 8])
    np.testing.assert_array_equal(model.predict(with_rank(np.full(9, 20.0), rank)), np.ones(9))
    np.testing.assert_array_equal(model.predict_rank(with_rank(np.full(9, 10.0), rank)), np.clip(rank, 0, 1))


@pytest.mark.parametrize("n_groups", [1, 2, 7, 32])
def test_groups_have_equal_weight(n_groups):
    rng = np.random.default_rng(0)
    duration, weight = rng.lognormal(3, 1, 5000), rng.integers(1, 4, 5000)
    model = D2QRegressor(Echo(), 0, n_groups).fit(with_rank(duration, 0.5), duration, weight)
    assert model.n_groups_ == n_groups
    group = np.searchsorted(model.group_edges_, duration)
    assert np.abs(np.bincount(group, weights=weight) - weight.sum() / n_groups).max() <= 3


def test_ties_are_never_split_and_groups_are_as_few_as_durations():
    duration = np.repeat([15.0, 30.0, 60.0], [600, 10, 390])
    y = np.arange(1000.0)
    model = D2QRegressor(Echo(), 0, n_groups=10).fit(with_rank(duration, 0.5), y)
    assert model.n_groups_ == 3
    assert [y[s].size for s in spans(model)] == [600, 10, 390]
    constant = D2QRegressor(Echo(), 0).fit(with_rank(np.full(1000, 15.0), 0.5), y)
    assert constant.n_groups_ == 1
    np.testing.assert_allclose(constant.estimator_.target_, (y + 0.5) / 1000)
    few = D2QRegressor(Echo(), 0, n_groups=32).fit(with_rank([1.0, 2.0, 3.0], 0.5), [5.0, 6.0, 7.0])
    assert few.n_groups_ == 3
    assert few.ranks_.tolist() == [0.5] * 3


def test_unseen_durations_fall_into_the_nearest_group():
    X = with_rank([10.0, 11.0, 20.0, 21.0, 90.0, 95.0], 0.5)
    model = D2QRegressor(Echo(), 0, n_groups=3).fit(X, [1, 1, 2, 2, 3, 3])
    new = [-4.0, 0.0, 15.4, 15.6, 55.0, 56.0, 1e12]
    assert model.predict(with_rank(new, 0.5)).tolist() == [1, 1, 1, 2, 2, 3, 3]


def test_missing_durations():
    y = np.array([1.0, 2.0, 3.0, 9.0])
    seen = D2QRegressor(Echo(), 0).fit(with_rank([10.0, 20.0, 30.0, np.nan], 0.5), y)
    assert (seen.n_groups_, seen.missing_group_) == (4, 3)
    assert seen.predict(with_rank([np.nan, 1e9], 0.5)).tolist() == [9.0, 3.0]
    # None in training: as the median duration. A row of weight 0 was not seen.
    for weight in (None, [1, 1, 1, 0]):
        last = 30.0 if weight is None else np.nan
        unseen = D2QRegressor(Echo(), 0).fit(with_rank([10.0, 20.0, 30.0, last], 0.5), [1.0, 2.0, 3.0, 3.0], weight)
        assert unseen.n_groups_ == 3
        assert unseen.predict(with_rank([np.nan], 0.5)).tolist() == [2.0]
    nothing = D2QRegressor(Echo(), 0).fit(with_rank(np.full(4, np.nan), 0.5), y)
    assert nothing.n_groups_ == 1
    assert nothing.predict(with_rank([np.nan, 7.0], 0.5)).tolist() == [2.5, 2.5]


def test_a_label_with_a_vanishing_weight_keeps_its_rank_inside():
    model = D2QRegressor(Echo(), 0).fit(with_rank([1.0, 1.0, 1.0], 0.5), [1.0, 2.0, 3.0], [1e-30, 1.0, 1e-30])
    assert model.ranks_.min() > 0
    assert model.ranks_.max() < 1


def watching(n=3000, seed=0):
    """Interest decides the share of a video that is watched, the duration its length: watch time is their product."""
    rng = np.random.default_rng(seed)
    duration = np.exp(rng.uniform(np.log(5), np.log(600), n)).round()
    interest = rng.normal(size=(n, 3))
    share = 1 / (1 + np.exp(-(interest @ [1.0, 0.6, 0.3] + rng.normal(0, 0.7, n))))
    return np.column_stack([duration, interest]), duration * share


FORMS = {
    "pandas": lambda X: pd.DataFrame(X, columns=list("dabc")),
    "pandas, nullable": lambda X: pd.DataFrame(X, columns=list("dabc")).astype({"d": "Int64"}),
    "polars": lambda X: pl.DataFrame(X, schema=list("dabc")),
    "pyarrow": lambda X: pa.table(dict(zip("dabc", X.T, strict=True))),
    "array": lambda X: X,
    "list": lambda X: X.tolist(),
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_matrix,
    "coo": scipy.sparse.coo_array,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_tables_arrays_and_sparse_matrices_agree(form):
    X, y = watching(400)
    expected = D2QRegressor(GBRegressor(n_estimators=5, n_jobs=1), 0, 8).fit(X, y).predict(X)
    named = hasattr(form(X), "columns")
    for group in ("d", 0) if named else (0,):
        model = D2QRegressor(GBRegressor(n_estimators=5, n_jobs=1), group, 8).fit(form(X), y)
        np.testing.assert_allclose(model.predict(form(X)), expected, rtol=1e-12)
        assert model.group_index_ == 0
        assert hasattr(model, "feature_names_in_") == named


def test_integers_are_positions_even_where_columns_are_called_by_numbers():
    X, y = watching(200)
    table = pd.DataFrame(X[:, ::-1])  # columns 0, 1, 2 and 3: the duration
    model = D2QRegressor(LinearRegression(), 3, 4).fit(table, y)
    np.testing.assert_array_equal(model.group_edges_, D2QRegressor(LinearRegression(), 0, 4).fit(X, y).group_edges_)


X5 = pd.DataFrame({"duration_s": [1.0, 2, 3, 4, 5], "kind": list("abcde"), "ok": range(5)})
Y5 = np.arange(5.0)


@pytest.mark.parametrize(
    ("group", "X", "error", "message"),
    [
        ("duration", X5, ValueError, "group='duration' is not a column of X: did you mean 'duration_s'. Columns are dur"),
        ("zzz", X5, ValueError, "group='zzz' is not a column of X: Columns are duration_s, kind, ok"),
        ("kind", X5, TypeError, "group='kind': that column holds .* values, turn them into numbers"),
        ("duration_s", X5.replace(5.0, np.inf), ValueError, "X contains infinity: column 'duration_s', first at row 4"),
        (3, X5, ValueError, "group=3 is not the index of a column: X has 3, 0 to 2"),
        (3, X5[["ok"]].to_numpy(), ValueError, "group=3 is not the index of a column: X has 1, 0 to 0"),
        ("ok", X5[["ok"]].to_numpy(), ValueError, "group='ok' is a name, and the columns of X have none: give the col"),
        (0, X5[["kind"]].to_numpy(), TypeError, "group=0: that column holds object values, turn them into numbers .could"),
        (-1, X5, ValueError, r"'group' parameter of D2QRegressor must be .* in the range \[0, inf\). Got -1"),
        (None, X5, ValueError, "'group' parameter of D2QRegressor must be"),
    ],
)
def test_errors_about_the_group(group, X, error, message):
    with pytest.raises(error, match=message):
        D2QRegressor(LinearRegression(), group).fit(X, Y5)


def test_other_errors():
    X, y = watching(50)
    for wrong in (0, -3, 2.5):
        with pytest.raises(ValueError, match=f"'n_groups' parameter of D2QRegressor must be .* Got {wrong}"):
            D2QRegressor(LinearRegression(), 0, wrong).fit(X, y)
    with pytest.raises(ValueError, match=r"'estimator' parameter of D2QRegressor must be .* 'fit' and 'predict'"):
        D2QRegressor("lightgbm", 0).fit(X, y)
    model = D2QRegressor(LinearRegression(), 0)
    with pytest.raises(ValueError, match="eval_set: LinearRegression takes none; leave it out"):
        model.fit(X, y, eval_set=(X, y))
    with pytest.raises(ValueError, match=r"eval_set\[1\]: Found input variables with inconsistent numbers"):
        model.fit(X, y, eval_set=[(X, y), (X, y[1:])])
    with pytest.raises(ValueError, match=r"eval_set\[0\]: X has 3 features, but D2QRegressor is expecting 4"):
        model.fit(X, y, eval_set=(X[:, 1:], y))
    with pytest.raises(ValueError, match="sample_weight is all zero"):
        model.fit(X, y, np.zeros(50))
    with pytest.raises(ValueError, match="sample_weight: TransformedTargetRegressor takes none; leave it out"):
        D2QRegressor(TransformedTargetRegressor(LinearRegression()), 0).fit(X, y, np.ones(50))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(X, y[1:])


@pytest.mark.parametrize("engine", ENGINES)
def test_engines_get_weights_and_the_ranks_of_evaluation_sets(engine):
    X, y = watching(1200)
    weight = np.random.default_rng(1).integers(0, 4, y.size)
    base = GBRegressor(engine=engine, n_estimators=60, learning_rate=0.2, early_stopping_rounds=5, n_jobs=1)
    model = D2QRegressor(base, 0, n_groups=6)
    new, y_new = watching(300, seed=2)
    w_new = np.linspace(0.5, 2, 300)
    model.fit(X, y, weight, eval_set=[(new, y_new), (X, y)], eval_sample_weight=[w_new, weight])
    inner = model.estimator_
    # The ranks that new labels have, from the grids by hand.
    group = np.searchsorted(model.group_edges_, new[:, 0], side="right")
    rank = [
        np.interp(v, model.values_[spans(model)[g]], model.ranks_[spans(model)[g]])
        for v, g in zip(y_new, group, strict=True)
    ]
    loss = np.average((inner.predict(new) - rank) ** 2 / 2, weights=w_new)
    history = inner.evals_result_["validation_0"]["squared_error"]
    assert history[inner.best_iteration_ - 1] == pytest.approx(loss, rel=1e-5)
    assert np.argmin(history) == inner.best_iteration_ - 1
    assert len(inner.evals_result_["validation_1"]["squared_error"]) == len(history)
    # And the model is better than the groups' medians.
    medians = model._by_group(group, np.full(300, 0.5), model.ranks_, model.values_)
    assert np.abs(model.predict(new) - y_new).mean() < 0.7 * np.abs(medians - y_new).mean()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("loss", ["huberpp", "log_normal", "gamma"])
def test_any_loss_on_the_unit_interval(engine, loss):
    X, y = watching(600)
    model = D2QRegressor(GBRegressor(loss, engine=engine, n_estimators=20, n_jobs=1), 0, 4).fit(X, y)
    assert xauc(y / X[:, 0], model.predict_rank(X)) > 0.75


def test_units_of_labels_and_durations_do_not_matter():
    X, y = watching(500)
    model = D2QRegressor(DecisionTreeRegressor(max_depth=4), 0, 5).fit(X, y)
    scaled = np.column_stack([np.log(X[:, 0]), X[:, 1:]])
    again = D2QRegressor(DecisionTreeRegressor(max_depth=4), 0, 5).fit(scaled, 2.0**20 * y)
    np.testing.assert_allclose(again.predict(scaled), 2.0**20 * model.predict(X), rtol=1e-12)


@parametrize_with_checks(
    [
        D2QRegressor(LinearRegression(), 0),
        D2QRegressor(GBRegressor(n_estimators=20, learning_rate=0.3, n_jobs=1), 0),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


def test_clone_pickle_file_pipeline_and_search(tmp_path):
    X, y = watching(300)
    model = D2QRegressor(GBRegressor(n_estimators=5, n_jobs=1), 0, 4)
    fitted = clone(model).fit(X, y)
    fitted.save(tmp_path / "m.gbreg")
    for again in (pickle.loads(pickle.dumps(fitted)), load(tmp_path / "m.gbreg")):
        np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    piped = make_pipeline(StandardScaler(), clone(model)).fit(X, y)
    assert xauc(y, piped.predict(X)) > 0.8
    search = GridSearchCV(model, {"estimator__n_estimators": [1, 5], "n_groups": [1, 4]}, cv=2).fit(X, y)
    assert search.best_params_["estimator__n_estimators"] == 5
    assert search.best_estimator_.n_groups_ == search.best_params_["n_groups"]


def test_fitted_state_is_numbers_arrays_and_the_estimator():
    X, y = watching(100)
    model = D2QRegressor(GBRegressor(n_estimators=2, n_jobs=1), "d", 4).fit(FORMS["pandas"](X), y)
    state = {name: value for name, value in vars(model).items() if name not in model.get_params(deep=False)}
    assert isinstance(state.pop("estimator_"), GBRegressor)
    for name, value in state.items():
        assert name.endswith("_")
        assert not name.startswith("_")
        assert isinstance(value, int | np.ndarray), name


def test_duration_confounds_plain_regression():
    """As many trees order videos of like length better by D2Q: on watch time they are spent on the length."""
    X, y = watching(4000)
    new, y_new = watching(4000, seed=1)
    base = GBRegressor(n_estimators=40, max_leaves=4, n_jobs=1)
    d2q, plain = D2QRegressor(base, 0, n_groups=20).fit(X, y), clone(base).fit(X, y)
    by_length = np.array_split(np.argsort(new[:, 0]), 20)

    def within(prediction):
        return np.mean([xauc(y_new[rows], prediction[rows]) for rows in by_length])

    assert within(d2q.predict_rank(new)) > within(plain.predict(new)) + 0.01
    assert xauc(y_new, d2q.predict(new)) > xauc(y_new, plain.predict(new)) + 0.01
