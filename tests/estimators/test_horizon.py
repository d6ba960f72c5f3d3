"""HorizonRegressor: increments that add up, windows that are not complete, and predictions that never cross."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, TimeSeriesSplit, cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    D2QRegressor,
    GBRegressor,
    HorizonRegressor,
    HurdleRegressor,
    ZILNRegressor,
    load,
)
from gbreg.engines import ENGINES
from gbreg.estimators.cumulative import increments
from gbreg.metrics import pcoc

SMALL = {"n_estimators": 8, "max_leaves": 8, "n_jobs": 1}


def cohorts(n=600, seed=0, *, complete=False):
    """Spend after 30, 60 and 90 days of customers in the order of time; of the last third not all windows are complete."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    added = (rng.random((n, 3)) < 0.7) * rng.exponential(np.exp(X[:, [0]] + [2.0, 1.0, 0.5]), (n, 3))
    y = np.cumsum(added, axis=1)
    if not complete:
        y[n * 4 // 6 :, 2] = np.nan
        y[n * 5 // 6 :, 1] = np.nan
    return X, y


def poisson(engine="lightgbm", **parameters):
    return GBRegressor("poisson", engine=engine, **SMALL | parameters)


def crossings(predicted):
    return int((np.diff(predicted, axis=1) < 0).sum())


class Watch(RegressorMixin, BaseEstimator):
    """Predicts the mean, and keeps what every fit was given."""

    fits: list = []

    def fit(self, X, y, sample_weight=None, *, eval_set=None, eval_sample_weight=None, groups=None, callbacks=None):
        self.fits.append((X, y, sample_weight, eval_set, eval_sample_weight, groups, callbacks))
        self.mean_ = np.mean(y)
        return self

    def predict(self, X):
        return np.full(len(X), self.mean_)


@pytest.fixture
def watched():
    Watch.fits.clear()
    return Watch.fits


def test_each_increment_is_fitted_where_it_is_known():
    X, y = cohorts()
    model = HorizonRegressor(poisson()).fit(X, y)
    by_hand = [
        poisson().fit(X, y[:, 0]),
        poisson().fit(X[:500], y[:500, 1] - y[:500, 0]),
        poisson().fit(X[:400], y[:400, 2] - y[:400, 1]),
    ]
    each = np.column_stack([part.predict(X) for part in by_hand])
    np.testing.assert_array_equal(model.predict_increments(X), each)
    np.testing.assert_array_equal(model.predict(X), np.cumsum(each, axis=1))


def test_a_row_without_an_earlier_horizon_trains_what_it_still_tells(watched):
    X, y = cohorts(complete=True)
    y[7, 1] = np.nan  # neither the second increment of that row is known, nor the third
    y[8] = np.nan
    HorizonRegressor(Watch()).fit(X, y)
    assert [len(fit[1]) for fit in watched] == [599, 598, 598]


PARTS = {
    "squared error": GBRegressor(**SMALL),  # which predicts negative increments too
    "bucket": BucketRegressor(n_buckets=8, **SMALL),
    "hurdle": HurdleRegressor(GBRegressor("bernoulli", **SMALL), GBRegressor("gamma", **SMALL)),
    "ziln": ZILNRegressor(**SMALL),
    "calibrated": CalibratedRegressor(GBRegressor("tweedie", **SMALL), "isotonic", cv=2),
    "stopping": GBRegressor("tweedie", early_stopping_rounds=2, random_state=0, **SMALL),
    "d2q": D2QRegressor(GBRegressor(**SMALL), group=1, n_groups=2),
    "linear": LinearRegression(),
} | {engine: poisson(engine) for engine in ENGINES}


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_predictions_never_cross_whatever_the_estimator(part, chain, tmp_path):
    X, y = cohorts()
    new, _ = cohorts(500, seed=1)
    model = HorizonRegressor(part, chain=chain, cv=2).fit(X, y)
    predicted = model.predict(10 * new)
    assert predicted.shape == (500, 3)
    assert (predicted >= 0).all()
    assert crossings(predicted) == 0
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(10 * new), predicted)
    if not isinstance(part, LinearRegression):
        model.save(tmp_path / "m.gbreg")
        again = load(tmp_path / "m.gbreg")
        np.testing.assert_array_equal(again.predict(10 * new), predicted)
        assert again.get_params(deep=False).keys() == model.get_params(deep=False).keys()
        assert list(again.fitted_boosters())


def test_separate_models_cross():
    """What the increments are for: on the same rows, a model for each horizon has later sums below earlier ones."""
    X, y = cohorts(complete=True)
    separate = np.column_stack([poisson(max_leaves=31, n_estimators=60).fit(X, y[:, j]).predict(X) for j in range(3)])
    assert crossings(separate) > 0


def test_sums_are_right_at_every_horizon():
    X, y = cohorts(3000)
    new, truth = cohorts(3000, seed=1, complete=True)
    predicted = HorizonRegressor(poisson(n_estimators=30)).fit(X, y).predict(new)
    for j in range(3):
        assert pcoc(truth[:, j], predicted[:, j]) == pytest.approx(1.0, abs=0.06)


def test_horizons_in_seconds_keep_their_names():
    X, y = cohorts(300)
    table = pd.DataFrame(X, columns=list("abc"))
    model = HorizonRegressor(poisson(), (2_592_000, 2_592_001, 1e7), chain=True, cv=2).fit(table, y)
    assert model.estimators_[2].feature_names_in_.tolist()[3:] == ["horizon_2592000", "horizon_2592001"]


def test_one_horizon_is_the_estimator_itself():
    X, y = cohorts()
    model = HorizonRegressor(poisson(), horizons=[7]).fit(X, y[:, :1])
    np.testing.assert_array_equal(model.predict(X), poisson().fit(X, y[:, 0]).predict(X)[:, None])


def test_weights_groups_callbacks_and_evaluation_sets_reach_the_parts(watched):
    X, y = cohorts()
    rng = np.random.default_rng(0)
    weight, groups, callbacks = rng.uniform(0.5, 2.0, 600), np.arange(600) // 2, [object()]
    new, truth = cohorts(60, seed=1)
    sets, weights = [(new, truth), (new[50:], truth[50:])], [np.arange(1.0, 61.0), np.arange(51.0, 61.0)]
    HorizonRegressor(Watch()).fit(
        X, y, weight, groups=groups, callbacks=callbacks, eval_set=sets, eval_sample_weight=weights
    )
    for j, (n, n_held) in enumerate([(600, 60), (500, 50), (400, 40)]):
        given_X, given_y, given_weight, held, held_weight, given_groups, given_callbacks = watched[j]
        np.testing.assert_array_equal(given_X, X[:n])
        np.testing.assert_array_equal(given_y, increments(y)[:n, j])
        np.testing.assert_array_equal(given_weight, weight[:n])
        np.testing.assert_array_equal(given_groups, groups[:n])
        assert given_callbacks is callbacks
        assert len(held) == (2 if j == 0 else 1)  # the youngest rows tell the first horizon alone
        np.testing.assert_array_equal(held[0][0], new[:n_held])
        np.testing.assert_array_equal(held[0][1], increments(truth)[:n_held, j])
        np.testing.assert_array_equal(held_weight[0], weights[0][:n_held])


@pytest.mark.parametrize("engine", ENGINES)
def test_early_stopping_of_each_horizon(engine):
    X, y = cohorts()
    new, truth = cohorts(300, seed=1)
    part = poisson(engine, n_estimators=40, learning_rate=0.3, early_stopping_rounds=3)
    model = HorizonRegressor(part).fit(X, y, eval_set=(new, truth))
    for j, fitted in enumerate(model.estimators_):
        known = ~np.isnan(increments(truth)[:, j])
        alone = clone(part).fit(
            X[~np.isnan(y[:, j])],
            increments(y)[~np.isnan(y[:, j]), j],
            eval_set=(new[known], increments(truth)[known, j]),
        )
        assert fitted.best_iteration_ == alone.best_iteration_ < 40
        assert fitted.evals_result_ == alone.evals_result_


def test_groups_are_held_out_whole():
    X, y = cohorts()
    part = poisson(early_stopping_rounds=3, random_state=0)
    groups = np.arange(600) // 60
    model = HorizonRegressor(part).fit(X, y, groups=groups)
    alone = clone(part).fit(X[:400], increments(y)[:400, 2], groups=groups[:400])
    assert model.estimators_[2].evals_result_ == alone.evals_result_
    with pytest.raises(ValueError, match=r"horizon 30, .* groups: LinearRegression takes none"):
        HorizonRegressor(LinearRegression()).fit(X, y, groups=groups)


@pytest.mark.parametrize("groups", [None, np.arange(600) // 20])
def test_chained_features_are_predictions_of_models_that_did_not_see_the_row(groups):
    X, y = cohorts()
    added = increments(y)
    part = poisson()
    model = HorizonRegressor(part, chain=True, cv=3).fit(X, y, groups=groups)
    kind = KFold if groups is None else GroupKFold

    def unseen(X, j):
        found = np.empty(600)
        for train, test in kind(3, shuffle=True, random_state=0).split(X, groups=groups):
            train = train[~np.isnan(added[train, j])]
            found[test] = clone(part).fit(X[train], added[train, j]).predict(X[test])
        return found

    first = unseen(X, 0)
    with_first = np.column_stack([X, first])
    with_both = np.column_stack([with_first, first + unseen(with_first, 1)])
    last = clone(part).fit(with_both[:400], added[:400, 2])
    new, _ = cohorts(100, seed=1)
    now = np.column_stack([new, model.estimators_[0].predict(new)])
    now = np.column_stack([now, now[:, 3] + model.estimators_[1].predict(now)])
    np.testing.assert_array_equal(model.predict_increments(new)[:, 2], last.predict(now))
    assert [part.n_features_in_ for part in model.estimators_] == [3, 4, 5]
    assert model.n_features_in_ == 3


FORMS = {
    "pandas": lambda X: pd.DataFrame(X, columns=list("abc"), index=range(7, 7 + len(X))),
    "polars": lambda X: pl.DataFrame(X, schema=list("abc")),
    "pyarrow": lambda X: pa.table(dict(zip("abc", X.T, strict=True))),
    "list": lambda X: X.tolist(),
    "float32": lambda X: X.astype(np.float32),
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_matrix,
}


@pytest.mark.parametrize("form", FORMS)
def test_tables_arrays_and_sparse_matrices_agree(form):
    X, y = cohorts(300)
    X = X.round(1)
    make = FORMS[form]
    of_labels = make if form in ("pandas", "polars", "pyarrow", "list") else np.asarray
    part = poisson(early_stopping_rounds=3, n_estimators=4)
    expected = HorizonRegressor(part, chain=True, cv=2).fit(X, y, eval_set=(X, y))
    model = HorizonRegressor(part, chain=True, cv=2).fit(make(X), of_labels(y), eval_set=(make(X), of_labels(y)))
    np.testing.assert_allclose(model.predict(make(X)), expected.predict(X), rtol=1e-6)
    assert model.score(make(X), of_labels(y)) == pytest.approx(expected.score(X, y))
    if hasattr(make(X), "columns"):
        assert model.feature_names_in_.tolist() == ["a", "b", "c"]
        assert model.estimators_[2].feature_names_in_.tolist() == ["a", "b", "c", "horizon_30", "horizon_60"]


@pytest.mark.parametrize("engine", ENGINES)
def test_categories_and_missing_values(engine):
    X, y = cohorts()
    table = pd.DataFrame(X.copy(), columns=list("abc"))  # pandas 2 writes into X itself
    table.loc[::5, "a"] = np.nan
    table["city"] = pd.Categorical(np.where(X[:, 0] > 0, "paris", "rome"))
    model = HorizonRegressor(poisson(engine), chain=True, cv=2).fit(table, pd.DataFrame(y).astype("Float64"))
    paris, rome = (model.predict(table.assign(city=pd.Categorical([c] * 600, ["paris", "rome"]))) for c in ("paris", "rome"))
    assert (paris.sum(axis=0) > rome.sum(axis=0)).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_monotone_constraints_hold_at_every_horizon(engine):
    X, y = cohorts()
    part = poisson(engine, monotone={0: 1})
    model = HorizonRegressor(part).fit(X, y)
    rising = np.tile(X[:50], (40, 1))
    rising[:, 0] = np.repeat(np.linspace(-3, 3, 40), 50)
    predicted = model.predict(rising).reshape(40, 50, 3)
    assert (np.diff(predicted, axis=0) >= 0).all()
    assert np.ptp(predicted) > 1
    with pytest.raises(ValueError, match=r"chain=True: predictions of earlier horizons, .* around the estimator's monotone"):
        HorizonRegressor(part, chain=True).fit(X, y)


def test_means_are_read_and_nothing_else():
    X, y = cohorts()
    model = HorizonRegressor(BucketRegressor(n_buckets=8, **SMALL)).fit(X, y)
    np.testing.assert_array_equal(model.predict(X, "mean"), model.predict(X))
    with pytest.raises(ValueError, match="functional='median': predictions are sums of increments, and only means add up"):
        model.predict(X, "median")
    with pytest.raises(TypeError, match=r"loss Poisson\(\) predicts its functional \(mean\) and no distribution"):
        HorizonRegressor(poisson()).fit(X, y).predict(X, "mean")
    with pytest.raises(ValueError, match=r"estimator: its functional=0\.9 does not add up"):
        HorizonRegressor(BucketRegressor(functional=0.9)).fit(X, y)
    with pytest.raises(ValueError, match="exposure: HorizonRegressor does not take it"):
        model.predict(X, exposure=np.ones(600))
    assert not hasattr(model, "predict_quantile")
    with pytest.raises(TypeError, match="those of increments do not add up to one of their sum"):
        model.check_distributional()


def test_score_is_of_the_rows_that_are_known():
    X, y = cohorts()
    model = HorizonRegressor(poisson()).fit(X, y)
    weight = np.linspace(0.5, 2, 600)
    predicted = model.predict(X)
    each = [r2_score(y[:n, j], predicted[:n, j], sample_weight=weight[:n]) for j, n in enumerate([600, 500, 400])]
    assert model.score(X, y, weight) == pytest.approx(np.mean(each))
    assert model.score(X[500:], y[500:]) == pytest.approx(r2_score(y[500:, 0], predicted[500:, 0]))
    with pytest.raises(ValueError, match="all 600 rows are NaN at every horizon"):
        model.score(X, np.full((600, 3), np.nan))


def test_clone_parameters_and_search():
    X, y = cohorts(300, complete=True)
    model = HorizonRegressor(poisson(), horizons=(30, 60, 90))
    search = GridSearchCV(model, {"estimator__n_estimators": [1, 20], "chain": [False]}, cv=2).fit(X, y)
    assert search.best_params_["estimator__n_estimators"] == 20
    X, y = cohorts()
    each = cross_val_score(model, X, y, cv=KFold(3, shuffle=True, random_state=0))  # labels that are not known among them
    assert (each > 0).all()
    assert clone(model).set_params(horizons=(1, 2, 3), chain=True).get_params()["estimator__max_leaves"] == 8
    with pytest.raises(NotFittedError):
        model.predict(X)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            lambda y: y[:, :2],
            r"y has shape \(60, 2\), and HorizonRegressor with horizons=\(30, 60, 90\) needs \(n_samples, 3\)",
        ),
        (lambda y: y[:, 0], r"y has shape \(60,\)"),
        (lambda y: None, "requires y to be passed, but the target y is None"),
        (lambda y: y[1:], "inconsistent numbers of samples"),
        (
            lambda y: np.where(np.arange(60)[:, None] == 3, [[5.0, 2.0, 9.0]], y),
            r"1 of 60 rows have negative increments, "
            r"such as refunds \(first at row 3: 5 at horizon 30, 2 at horizon 60\)",
        ),
        (
            lambda y: np.where(np.arange(60)[:, None] == 3, [[5.0, np.nan, 2.0]], y),
            "row 3: 5 at horizon 30, 2 at horizon 90",
        ),
        (lambda y: y - 1000.0, r"60 of 60 rows .* row 0: 0 at the start, -\d+.* at horizon 30\)"),
        (lambda y: y * [1, 1, np.nan], "of 60 rows none is known at horizon 90, the others are NaN: leave"),
        (
            lambda y: np.vstack([y[:30] * [1, 1, np.nan], y[30:] * [1, np.nan, 1]]),
            "none is known at horizon 90 and at horizon 60",
        ),
        (lambda y: np.where(np.arange(60)[:, None] == 4, np.inf, y), r"contains infinity .* 1 of 60 \(first at row 4\)"),
        (lambda y: y.astype(str) + "?", "y must be numbers, NaN where a window is not complete"),
        (lambda y: y.astype("m8[s]"), "y holds durations"),
    ],
)
def test_labels_that_are_refused(changed, message):
    X, y = cohorts(60, complete=True)
    with pytest.raises(ValueError, match=message):
        HorizonRegressor(poisson()).fit(X, changed(y))


def test_the_ways_out_of_refunds_work():
    X, y = cohorts(60)
    y[3] = [5.0, 2.0, np.nan]
    model = HorizonRegressor(poisson()).fit(X, np.maximum.accumulate(np.maximum(y, 0), axis=1))
    assert [part.evals_result_ for part in model.estimators_] == [{}, {}, {}]
    y[3] = [5.0, 5.0 - 1e-13, np.nan]  # the same amounts added in another order
    assert increments(y)[3].tolist()[1] == 0.0
    HorizonRegressor(poisson()).fit(X, y)


def test_arguments_that_are_refused():
    X, y = cohorts(60, complete=True)
    for horizons in ((30, 30, 90), (60, 30, 90), (0, 30, 60), (), 30, "30", ("a", "b", "c"), (30, 60, np.nan)):
        with pytest.raises(ValueError, match=r"horizons=.* must be numbers above 0, each greater than the one before"):
            HorizonRegressor(poisson(), horizons).fit(X, y)
    with pytest.raises(ValueError, match=r"cv=TimeSeriesSplit.* folds that test each row once, and 20 of 60 rows are not"):
        HorizonRegressor(poisson(), chain=True, cv=TimeSeriesSplit(2)).fit(X, y)
    with pytest.raises(ValueError, match=r"eval_set\[0\]: y has shape \(60,\)"):
        HorizonRegressor(poisson()).fit(X, y, eval_set=(X, y[:, 0]))
    table = pd.DataFrame(X, columns=["a", "b", "horizon_60"])
    with pytest.raises(ValueError, match="chain=True adds a column 'horizon_60', which X has already: rename it"):
        HorizonRegressor(poisson(), chain=True).fit(table, y)
    with pytest.raises(ValueError, match="chain=True adds columns with names, and those of X are no text"):
        HorizonRegressor(poisson(), chain=True).fit(pd.DataFrame(X), y)
    nothing = np.column_stack([y[:, 0] + 1, y[:, 0] + 1, y[:, 2] + 1])
    with pytest.raises(ValueError, match=r"horizon 60, whose increment is known of 60 of 60 rows: Gamma needs y in"):
        HorizonRegressor(GBRegressor("gamma", **SMALL)).fit(X, nothing)


@settings(max_examples=15, deadline=None)
@given(arrays(np.float64, (40, 3), elements=st.floats(0, 1e6, width=32)), arrays(np.bool_, (40, 3)))
def test_any_increments_and_any_windows(added, missing):
    y = np.where(missing, np.nan, np.cumsum(added, axis=1))
    y[:2] = [[1.0, 3.0, 7.0], [0.0, 1.0, 1.0]]  # each increment is known of a row
    model = HorizonRegressor(GBRegressor(n_estimators=2, min_child_samples=2, n_jobs=1)).fit(np.arange(40.0)[:, None], y)
    predicted = model.predict(np.linspace(-5, 50, 30)[:, None])
    assert crossings(predicted) == 0
    assert (predicted >= 0).all()


BY_WEIGHT = {
    "lightgbm": {"min_data_in_bin": 1, "min_data_in_leaf": 0},
    "xgboost": {"min_child_weight": 0},
}


MULTIPLE = {"check_regressor_multioutput": "its five labels are negative and fall from one to the next: no sums"}


CHECKED = [
    HorizonRegressor(
        poisson(engine, learning_rate=0.3, n_estimators=12, min_child_samples=1, engine_params=BY_WEIGHT.get(engine)),
        horizons=(30,),
    )
    for engine in ENGINES
] + [HorizonRegressor(LinearRegression(), horizons=(30,))]


@parametrize_with_checks(CHECKED, expected_failed_checks=lambda model: MULTIPLE)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
