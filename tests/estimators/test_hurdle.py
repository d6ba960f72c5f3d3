"""Hurdle: any two parts, every table, weights, evaluation sets, and labels that leave one part nothing to learn."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from lightgbm import LGBMClassifier
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbreg import BucketRegressor, GBRegressor, HurdleRegressor, ZILNRegressor, load
from gbreg.distribution import ZeroInflated
from gbreg.engines import ENGINES
from gbreg.metrics import normalized_gini, pcoc


def orders(n=1500, seed=0):
    """Order values: 60% zeros, more of them where the first feature is low; sizes follow the second."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    bought = rng.random(n) < 1 / (1 + np.exp(0.6 - 1.5 * X[:, 0]))
    return X, np.where(bought, np.exp(3 + 0.8 * X[:, 1] + rng.normal(0, 0.5, n)), 0.0)


def boosted(loss="gamma", engine="lightgbm", n_estimators=20, **parameters):
    return GBRegressor(loss, engine=engine, n_estimators=n_estimators, max_leaves=8, n_jobs=1, **parameters)


def linear():
    return HurdleRegressor(LogisticRegression(), LinearRegression())


def test_probability_times_mean_of_the_positives():
    X, y = orders()
    new, _ = orders(200, seed=1)
    model = linear().fit(X, y)
    whether = LogisticRegression().fit(X, y > 0).predict_proba(new)[:, 1]
    how_much = LinearRegression().fit(X[y > 0], y[y > 0]).predict(new)
    np.testing.assert_allclose(model.predict_probability(new), whether)
    np.testing.assert_allclose(model.predict(new), whether * how_much)
    assert model.probability_ == np.mean(y > 0)


PARTS = {
    "linear": linear(),
    "LGBMClassifier": HurdleRegressor(LGBMClassifier(n_estimators=20, num_leaves=8, verbose=-1, n_jobs=1), boosted()),
    "histogram": HurdleRegressor(HistGradientBoostingClassifier(max_iter=20), boosted("log_normal")),
    "pipeline": HurdleRegressor(make_pipeline(StandardScaler(), LogisticRegression()), DecisionTreeRegressor(max_depth=4)),
    "searched": HurdleRegressor(GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2), boosted("poisson")),
} | {f"bernoulli, {e}": HurdleRegressor(boosted("bernoulli", e), boosted("gamma", e)) for e in ENGINES}


@pytest.mark.parametrize("model", PARTS.values(), ids=PARTS)
def test_any_two_parts(model):
    X, y = orders()
    new, y_new = orders(1500, seed=1)
    predicted = clone(model).fit(X, y).predict(new)
    assert np.isfinite(predicted).all()
    assert 0.85 < pcoc(y_new, predicted) < 1.15
    assert normalized_gini(y_new, predicted) > 0.5


FORMS = {
    "pandas": lambda X: pd.DataFrame(X, columns=list("abc")),
    "polars": lambda X: pl.DataFrame(X, schema=list("abc")),
    "pyarrow": lambda X: pa.table(dict(zip("abc", X.T, strict=True))),
    "list": lambda X: X.tolist(),
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_matrix,
    "coo": scipy.sparse.coo_array,
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_tables_arrays_and_sparse_matrices_agree(form):
    X, y = orders(400)
    new, y_new = orders(100, seed=1)
    parts = boosted("bernoulli"), boosted("log_normal", early_stopping_rounds=3)
    expected = HurdleRegressor(*parts).fit(X, y, eval_set=(new, y_new))
    model = HurdleRegressor(*parts).fit(form(X), y, eval_set=(form(new), y_new))
    np.testing.assert_allclose(model.predict(form(new)), expected.predict(new), rtol=1e-12)
    np.testing.assert_allclose(model.predict_quantile(form(new), 0.8), expected.predict_quantile(new, 0.8), rtol=1e-12)
    assert model.regressor_.evals_result_ == expected.regressor_.evals_result_


def test_categories_and_missing_values_reach_both_parts():
    X, y = orders(600)
    city = np.where(y > 0, "paris", "rome")
    city[::7] = "oslo"
    table = pd.DataFrame(X, columns=list("abc")).assign(city=pd.Categorical(city))
    table.loc[::5, "a"] = np.nan
    model = HurdleRegressor(boosted("bernoulli"), boosted()).fit(table, y)
    at = model.predict_probability(table)
    assert at[city == "paris"].min() > at[city == "rome"].max()
    assert model.feature_names_in_.tolist() == ["a", "b", "c", "city"]


def test_an_integer_weight_is_a_repetition():
    X, y = orders(300)
    weight = np.random.default_rng(0).integers(0, 4, 300)
    parts = DecisionTreeClassifier(max_depth=3, random_state=0), LinearRegression()
    weighted = HurdleRegressor(*parts).fit(X, y, weight)
    repeated = HurdleRegressor(*parts).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
    assert weighted.probability_ == pytest.approx(repeated.probability_, rel=1e-14)
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-9)


def test_rows_of_weight_zero_are_no_positives():
    X = np.arange(8.0).reshape(-1, 1)
    y = np.array([0, 0, 0, 0, 5, 5, 9, 9.0])
    model = linear().fit(X, y, [1, 1, 1, 1, 0, 0, 0, 0])
    assert model.probability_ == 0
    assert model.predict(X).tolist() == [0.0] * 8
    half = linear().fit(X, y, [1, 1, 1, 1, 1, 1, 0, 0])
    assert half.regressor_.predict(X) == pytest.approx(5.0)


@pytest.mark.parametrize("engine", ENGINES)
def test_evaluation_sets_are_split_for_the_parts(engine):
    X, y = orders(1000)
    new, y_new = orders(400, seed=1)
    weight = np.random.default_rng(0).uniform(0.5, 2, 400) * (np.arange(400) % 10 > 0)
    parts = (boosted(loss, engine, early_stopping_rounds=4, learning_rate=0.3) for loss in ("bernoulli", "log_normal"))
    model = HurdleRegressor(*parts)
    model.fit(X, y, eval_set=[(new, y_new), (X, y)], eval_sample_weight=[weight, None])
    whether, how_much = model.classifier_, model.regressor_
    for part, rows, labels in ((whether, weight > 0, y_new > 0), (how_much, (weight > 0) & (y_new > 0), y_new)):
        history = part.evals_result_["validation_0"][part.loss_.name]
        raw = part.predict_raw(new[rows])
        expected = np.average(part.loss_.value(labels[rows].astype(float), raw), weights=weight[rows])
        assert history[part.best_iteration_ - 1] == pytest.approx(expected, rel=1e-4)
        assert np.argmin(history) == part.best_iteration_ - 1
        assert set(part.evals_result_) == {"validation_0", "validation_1"}


def test_forms_of_evaluation_sets():
    X, y = orders(300)
    new, y_new = orders(100, seed=1)
    model = HurdleRegressor(boosted("bernoulli"), boosted())
    each = [
        {"eval_set": (new, y_new)},
        {"eval_set": [(new, list(y_new))]},
        {"eval_set": [[new, y_new]], "eval_sample_weight": np.full(100, 3.0)},
        {"eval_set": (new, y_new), "eval_sample_weight": [np.full(100, 3.0)]},
    ]
    histories = [clone(model).fit(X, y, **given).regressor_.evals_result_ for given in each]
    for history in histories[1:]:
        np.testing.assert_allclose(history["validation_0"]["gamma"], histories[0]["validation_0"]["gamma"])
    # A set without positives tells the regressor nothing.
    model.fit(X, y, eval_set=[(new, 0 * y_new), (new, y_new)])
    assert set(model.classifier_.evals_result_) == {"validation_0", "validation_1"}
    assert model.regressor_.evals_result_ == histories[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_all_positive_all_zero_and_constant_labels(engine):
    X, y = orders(100)
    model = HurdleRegressor(boosted("bernoulli", engine), boosted("log_normal", engine))
    positive = clone(model).fit(X, y + 1.0)
    assert positive.classifier_ is None
    assert positive.predict_probability(X).tolist() == [1.0] * 100
    np.testing.assert_array_equal(positive.predict(X), positive.regressor_.predict(X))
    zero = clone(model).fit(X, 0.0 * y)
    assert (zero.classifier_, zero.regressor_, zero.probability_) == (None, None, 0.0)
    assert zero.predict(X).tolist() == [0.0] * 100
    for functional in ("mean", "median", "log_mean", 0.99):
        assert zero.predict(X, functional).tolist() == [0.0] * 100
    constant = clone(model).fit(X, np.where(y > 0, 7.0, 0.0))
    np.testing.assert_allclose(constant.predict(X), 7.0 * constant.predict_probability(X))
    assert np.isfinite(constant.predict_quantile(X, [0.01, 0.5, 0.99])).all()


STOPPING = {"n_estimators": 5, "n_jobs": 1, "early_stopping_rounds": 2, "random_state": 0}
STOPS = {
    "hurdle": lambda: HurdleRegressor(GBRegressor("bernoulli", **STOPPING), GBRegressor("gamma", **STOPPING)),
    "ziln": lambda: ZILNRegressor(**STOPPING),
    "bucket": lambda: BucketRegressor(**STOPPING),
}


@pytest.mark.filterwarnings("ignore:.*a constant is predicted")
@pytest.mark.parametrize("make", STOPS.values(), ids=STOPS)
@pytest.mark.parametrize("n_positive", [1, 2, 3])
def test_early_stopping_with_hardly_a_positive_label(make, n_positive):
    X = np.random.default_rng(0).normal(size=(400, 2))
    y = np.zeros(400)
    y[:n_positive] = 3.0
    model = make().fit(X, y)
    fitted = getattr(model, "model_", model)
    np.testing.assert_allclose(model.predict(X), 3.0 * fitted.predict_probability(X), rtol=1e-6)


def test_what_the_regressor_cannot_train_on_is_said_of_its_rows():
    X, y = np.arange(400.0)[:, None], np.where(np.arange(400) < 3, 1.0 + np.arange(400), 0.0)
    message = r"regressor, which trains on the {} of 400 rows with y > 0: "
    calibrated = HurdleRegressor(boosted("bernoulli"), boosted("gamma", calibration="ratio"))
    with pytest.raises(ValueError, match=message.format(1) + r"validation_fraction=0\.1 with n_samples=1 leaves no row"):
        calibrated.fit(X, np.minimum(y, 1.0) * (y > 2.5))
    stopping = HurdleRegressor(boosted("bernoulli"), boosted("gamma", early_stopping_rounds=5))
    with pytest.raises(ValueError, match=message.format(3) + r"groups: all 3 rows are of one group"):
        stopping.fit(X, y, groups=np.arange(400) // 100)


def test_readouts_are_those_of_the_distribution():
    X, y = orders()
    model = HurdleRegressor(boosted("bernoulli"), boosted("log_normal", n_estimators=80)).fit(X, y)
    distribution = model.predict_distribution(X)
    assert isinstance(distribution, ZeroInflated)
    np.testing.assert_array_equal(distribution.probability_positive, model.predict_probability(X))
    np.testing.assert_allclose(model.predict(X), model.predict(X, "mean"), rtol=1e-12)
    assert 0.85 < pcoc(y, model.predict(X)) < 1.15
    top = model.predict(X, 0.95)
    np.testing.assert_array_equal(top, model.predict_quantile(X, 0.95))
    np.testing.assert_allclose(distribution.cdf(top)[top > 0], 0.95)
    assert np.mean(y <= top) == pytest.approx(0.95, abs=0.02)
    assert (model.predict(X, "median")[distribution.probability_positive < 0.5] == 0).all()
    with pytest.raises(ValueError, match="functional='medium' must be one of mean, median"):
        model.predict(X, "medium")
    with pytest.raises(TypeError, match="LinearRegression predicts no distribution: use a GBRegressor"):
        linear().fit(X, y).predict(X, "mean")


def test_errors_before_training():
    X, y = orders(60)
    model = HurdleRegressor(boosted("bernoulli"), boosted())
    wrong = np.where(np.arange(60) == 7, -2.0, y)
    with pytest.raises(ValueError, match=r"HurdleRegressor needs y in \[0, inf\); 1 of 60 labels .* row 7: -2.: predict"):
        model.fit(X, wrong)
    with pytest.raises(ValueError, match=r"eval_set\[1\]: HurdleRegressor needs y in"):
        model.fit(X, y, eval_set=[(X, y), (X, wrong)])
    with pytest.raises(ValueError, match=r"eval_set\[0\]: sample_weight must be >= 0; 60 of 60"):
        model.fit(X, y, eval_set=(X, y), eval_sample_weight=np.full(60, -1.0))
    with pytest.raises(ValueError, match=r"eval_set\[0\]: X has 2 features, but HurdleRegressor is expecting 3"):
        model.fit(X, y, eval_set=(X[:, :2], y))
    for labels in (y[1:], y[1:] + 1.0):  # the second leaves the classifier, which would notice, out
        with pytest.raises(ValueError, match="inconsistent numbers of samples"):
            model.fit(X, labels)
    with pytest.raises(ValueError, match="eval_set: LogisticRegression takes none; leave it out"):
        linear().fit(X, y, eval_set=(X, y))
    with pytest.raises(ValueError, match="sample_weight: KNeighborsClassifier takes none; leave it out"):
        HurdleRegressor(KNeighborsClassifier(), boosted()).fit(X, y, np.ones(60))
    with pytest.raises(ValueError, match="callbacks: LogisticRegression takes none; leave it out"):
        linear().fit(X, y, callbacks=[])


def test_a_fit_that_fails_leaves_nothing_behind():
    X, y = orders(60)
    model = HurdleRegressor(LogisticRegression(), boosted("gamma", n_estimators=0))
    with pytest.raises(ValueError, match="'n_estimators' parameter of GBRegressor must be"):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_clone_pickle_file_and_search(tmp_path):
    X, y = orders(300)
    model = HurdleRegressor(boosted("bernoulli"), boosted("log_normal")).fit(X, y)
    model.save(tmp_path / "m.gbreg")
    for again in (pickle.loads(pickle.dumps(model)), load(tmp_path / "m.gbreg")):
        np.testing.assert_array_equal(again.predict_quantile(X, 0.9), model.predict_quantile(X, 0.9))
    np.testing.assert_array_equal(clone(model).fit(X, y).predict(X), model.predict(X))
    grid = {"regressor__n_estimators": [1, 30], "classifier__learning_rate": [0.1]}
    search = GridSearchCV(model, grid, cv=2).fit(X, y)
    assert search.best_params_["regressor__n_estimators"] == 30


@parametrize_with_checks(
    [
        linear(),
        HurdleRegressor(LogisticRegression(), boosted("gamma", learning_rate=0.3)),
        HurdleRegressor(boosted("bernoulli"), boosted("log_normal", learning_rate=0.3)),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
