"""CalibratedRegressor: cross-fitted predictions, any regressor, any table, segments, and sums that come right."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse
from scipy import stats
from sklearn.base import BaseEstimator, RegressorMixin, clone
from sklearn.compose import TransformedTargetRegressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV, GroupKFold, KFold, ShuffleSplit, TimeSeriesSplit, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.tree import DecisionTreeRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbreg import BucketRegressor, CalibratedRegressor, GBRegressor, ZILNRegressor, load
from gbreg.calibration import (
    CALIBRATORS,
    IsotonicCalibrator,
    PITCalibrator,
    RatioCalibrator,
    SegmentedCalibrator,
    get_calibrator,
    time_decay,
)
from gbreg.distribution import Recalibrated
from gbreg.engines import ENGINES
from gbreg.losses import TransformedSquaredError
from gbreg.metrics import pcoc, xauc

LOW = TransformedSquaredError(smearing=False)  # the geometric mean: far too low in sum


def low(engine="lightgbm", **more):
    return GBRegressor(LOW, engine=engine, **{"n_estimators": 30, "max_leaves": 8, "n_jobs": 1} | more)


def spend(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    X = np.column_stack([rng.normal(size=(n, 3)), rng.integers(0, 6, n)])
    return X, np.exp(1 + X[:, 0] + 0.2 * X[:, 3] + rng.normal(size=n))


class Memory(RegressorMixin, BaseEstimator):
    """Predicts the label of a row that it has seen, and -1 for the others."""

    def fit(self, X, y, sample_weight=None):
        self.seen_ = dict(zip(X[:, 0], y, strict=True))
        return self

    def predict(self, X):
        return np.array([self.seen_.get(x, -1.0) for x in X[:, 0]])


class Watch(BaseEstimator, RegressorMixin):
    """Keeps what it was fitted with."""

    fits: list = []

    def fit(self, X, y, sample_weight=None, eval_set=None, eval_sample_weight=None, callbacks=None):
        self.fitted_ = True
        self.fits.append((len(y), sample_weight, eval_set, eval_sample_weight, callbacks))
        return self

    def predict(self, X):
        return np.ones(len(X))


@pytest.mark.parametrize("cv", [5, 2, KFold(3), TimeSeriesSplit(3), ShuffleSplit(4, random_state=0)], ids=str)
def test_the_map_never_sees_a_prediction_of_the_fit(cv):
    X = np.arange(60.0).reshape(-1, 1)
    model = CalibratedRegressor(Memory(), "ratio", cv).fit(X, np.full(60, 5.0))
    # Every prediction that it learnt from was -1: what it shifts by is 6, and the model of all rows predicts 5.
    assert (model.calibrator_.scale_, model.calibrator_.shift_) == (1.0, 6.0)
    assert model.estimator_.predict(X).tolist() == [5.0] * 60


@pytest.mark.parametrize("method", CALIBRATORS)
def test_it_is_cross_val_predict_and_a_calibrator(method):
    X, y = spend(400)
    weight = np.random.default_rng(0).integers(1, 4, y.size)
    cv = KFold(4, shuffle=True, random_state=3)
    model = CalibratedRegressor(low(), method, cv).fit(X, y, weight)
    predicted = cross_val_predict(low(), X, y, cv=cv, params={"sample_weight": weight})
    whole = low().fit(X, y, weight)
    expected = get_calibrator(method).fit(predicted, y, weight).predict(whole.predict(X))
    np.testing.assert_array_equal(model.predict(X), expected)
    default = CalibratedRegressor(low(), method).fit(X, y)
    shuffled = CalibratedRegressor(low(), method, KFold(5, shuffle=True, random_state=0)).fit(X, y)
    np.testing.assert_array_equal(default.predict(X), shuffled.predict(X))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("method", [*CALIBRATORS, IsotonicCalibrator(min_share=0.02)], ids=str)
def test_sums_come_right_and_order_stays(method, engine):
    X, y = spend()
    new, truth = spend(20_000, seed=1)
    plain = low(engine).fit(X, y).predict(new)
    calibrated = CalibratedRegressor(low(engine), method).fit(X, y).predict(new)
    assert pcoc(truth, plain) < 0.75
    assert 0.95 < pcoc(truth, calibrated) < 1.05
    assert xauc(truth, calibrated) == pytest.approx(xauc(truth, plain), abs=1e-12)


def test_rows_that_no_split_tests_have_no_part():
    X, y = spend(400)
    last = np.arange(400) >= 200
    model = CalibratedRegressor(low(), "ratio", [(np.flatnonzero(~last), np.flatnonzero(last))]).fit(X, y)
    first = low().fit(X[~last], y[~last])
    assert model.calibrator_.scale_ == pytest.approx(y[last].sum() / first.predict(X[last]).sum(), rel=1e-12)


def test_prefit():
    X, y = spend()
    new, truth = spend(seed=1)
    inner = low().fit(X, y)
    model = CalibratedRegressor(inner, cv="prefit").fit(new, truth)
    assert model.estimator_ is inner
    np.testing.assert_allclose(model.predict(new).sum(), truth.sum(), rtol=1e-9)
    with pytest.raises(NotFittedError):
        CalibratedRegressor(low(), cv="prefit").fit(new, truth)
    weighted = TransformedTargetRegressor(LinearRegression()).fit(X, y)  # takes no weights itself
    weight = np.linspace(0, 1, y.size)
    model = CalibratedRegressor(weighted, "ratio", cv="prefit").fit(new, truth, weight)
    assert np.sum(weight * model.predict(new)) == pytest.approx(np.sum(weight * truth))


def test_weights_of_the_map_alone():
    X, y = spend(400)
    rng = np.random.default_rng(0)
    weight, recent = rng.integers(1, 4, 400).astype(float), time_decay(np.arange(400.0), 50.0)
    cv = KFold(4)
    model = CalibratedRegressor(low(), "ratio", cv).fit(X, y, weight, calibration_weight=recent)
    predicted = cross_val_predict(low(), X, y, cv=cv, params={"sample_weight": weight})
    both = weight * recent
    assert model.calibrator_.scale_ == pytest.approx(np.sum(both * y) / np.sum(both * predicted), rel=1e-12)
    np.testing.assert_array_equal(model.estimator_.predict(X), low().fit(X, y, weight).predict(X))
    alone = CalibratedRegressor(low(), "ratio", cv).fit(X, y, calibration_weight=recent)
    predicted = cross_val_predict(low(), X, y, cv=cv)
    assert alone.calibrator_.scale_ == pytest.approx(np.sum(recent * y) / np.sum(recent * predicted), rel=1e-12)
    with pytest.raises(ValueError, match="sample_weight"):
        CalibratedRegressor(low()).fit(X, y, calibration_weight=-recent)


class Relatives(Memory):
    """Predicts the label of a row if it has seen one of the row's group, the second column; keeps the groups given."""

    fits: list = []

    def fit(self, X, y, groups=None):
        self.seen_ = dict(zip(X[:, 1], y, strict=True))
        self.fits.append(groups)
        return self

    def predict(self, X):
        return np.array([self.seen_.get(g, -1.0) for g in X[:, 1]])


@pytest.mark.parametrize("cv", [5, GroupKFold(3)], ids=str)
def test_groups_stay_together(cv):
    group = np.random.default_rng(0).integers(0, 12, 60)
    X = np.column_stack([np.arange(60.0), group])
    Relatives.fits.clear()
    model = CalibratedRegressor(Relatives(), "ratio", cv).fit(X, np.full(60, 5.0), groups=group)
    assert (model.calibrator_.scale_, model.calibrator_.shift_) == (1.0, 6.0)  # no fold knew a relative
    np.testing.assert_array_equal(Relatives.fits[-1], group)
    assert sum(len(np.unique(g)) for g in Relatives.fits[:-1]) == 12 * (len(Relatives.fits) - 2)
    apart = CalibratedRegressor(Relatives(), "ratio", 5).fit(X, np.full(60, 5.0))
    assert apart.calibrator_.shift_ < 6.0
    CalibratedRegressor(Memory(), "ratio", cv).fit(X, np.full(60, 5.0), groups=group)  # takes no groups itself
    with pytest.raises(ValueError, match="groups must be one-dimensional with one entry a row"):
        CalibratedRegressor(Memory(), "ratio", cv).fit(X, np.full(60, 5.0), groups=group[1:])


def test_what_is_passed_on():
    X, y = spend(50)
    weight, w_new = np.linspace(1, 2, 50), np.ones(20)
    new, y_new = spend(20, seed=1)
    Watch.fits.clear()
    callback = object()
    model = CalibratedRegressor(Watch(), "ratio", KFold(2))
    model.fit(X, y, weight, eval_set=(new, y_new), eval_sample_weight=w_new, callbacks=[callback])
    assert [fit[0] for fit in Watch.fits] == [25, 25, 50]
    for (_, given, eval_set, eval_weight, callbacks), want in zip(
        Watch.fits, (weight[25:], weight[:25], weight), strict=True
    ):
        np.testing.assert_array_equal(given, want)
        np.testing.assert_array_equal(eval_set[0][0], new)
        np.testing.assert_array_equal(eval_set[0][1], y_new)
        np.testing.assert_array_equal(eval_weight[0], w_new)
        assert callbacks == [callback]
    Watch.fits.clear()
    clone(model).fit(X, y)
    assert Watch.fits[0][1:] == (None, None, None, None)


FORMS = {
    "pandas": lambda X: pd.DataFrame(X, columns=list("abcs")),
    "pandas, categories": lambda X: pd.DataFrame(X, columns=list("abcs")).astype({"s": "category"}),
    "polars": lambda X: pl.DataFrame(X, schema=list("abcs")),
    "pyarrow": lambda X: pa.table(dict(zip("abcs", X.T, strict=True))),
    "array": lambda X: X,
    "list": lambda X: X.tolist(),
    "csr": scipy.sparse.csr_array,
    "csc": scipy.sparse.csc_matrix,
}


@pytest.mark.parametrize("form", FORMS)
def test_segments_in_tables_arrays_and_sparse_matrices(form):
    X, y = spend(1500)
    make = FORMS[form]
    tree = DecisionTreeRegressor(max_depth=3, random_state=0)
    inner = tree if form in ("array", "list") else low(n_estimators=5)
    for segment in ("s", 3) if hasattr(make(X), "columns") else (3,):
        model = CalibratedRegressor(inner, "ratio", segment=segment).fit(make(X), y)
        assert model.segment_index_ == 3
        assert isinstance(model.calibrator_, SegmentedCalibrator)
        assert model.calibrator_.segments_.size == 6
        predicted = model.predict(make(X))
        plain = np.asarray(model.estimator_.predict(make(X)))
        codes = X[:, 3] if form != "pandas, categories" else X[:, 3].astype(str)
        np.testing.assert_allclose(predicted, model.calibrator_.predict(plain, codes), rtol=1e-12)


def test_segments_of_text_that_are_missing_or_new():
    X, y = spend(1500)
    table = pd.DataFrame(X[:, :3], columns=list("abc"))
    table["s"] = pd.Categorical.from_codes(np.where(X[:, 3] < 5, X[:, 3], -1).astype(int), list("uvwxy"))
    model = CalibratedRegressor(low(), segment="s").fit(table, y)
    assert model.calibrator_.segments_.tolist() == list("uvwxy")
    new = table.assign(s=pd.Categorical(np.full(1500, "z")))
    all_rows = model.calibrator_.calibrator_.predict(model.estimator_.predict(new))
    np.testing.assert_allclose(model.predict(new), model.calibrator_.scale_ * all_rows, rtol=1e-12)


def test_segments_that_the_model_does_not_know_apart():
    X, y = spend(40_000)
    new, truth = spend(40_000, seed=1)  # the mean grows by a fifth from one segment to the next
    blind = make_pipeline(FunctionTransformer(lambda X: X[:, :3]), DecisionTreeRegressor(max_depth=3))
    one, each = (CalibratedRegressor(blind, segment=segment).fit(X, y).predict(new) for segment in (None, 3))
    errors = np.array([[pcoc(truth[s], p[s]) - 1 for p in (one, each)] for s in (new[:, 3] == i for i in range(6))])
    assert np.abs(errors[:, 0]).max() > 0.3
    assert np.abs(errors[:, 1]).max() < 0.1


# Whole distributions


def visits(n=3000, seed=0):
    """Many zeros, and a spread that grows with a column."""
    X, y = spend(n, seed)
    rng = np.random.default_rng(seed + 100)
    return X, np.where(rng.random(n) < 0.3, 0.0, y * np.exp(0.3 * X[:, 1] * rng.normal(size=n)))


NARROW = {"n_estimators": 30, "learning_rate": 0.3, "n_jobs": 1}  # overfitted: too sure of itself


@pytest.mark.parametrize("engine", ENGINES)
def test_distributions_that_are_too_narrow(engine):
    X, y = visits()
    new, truth = visits(4000, seed=1)
    calibrated = CalibratedRegressor(ZILNRegressor(engine=engine, **NARROW), "pit").fit(X, y)
    before, after = calibrated.estimator_.predict_distribution(new), calibrated.predict_distribution(new)
    assert isinstance(after, Recalibrated)

    def distance(d):
        low, high = d.pit(truth).T
        return stats.kstest(low + (high - low) * np.random.default_rng(0).random(truth.size), "uniform").statistic

    assert distance(before) > 0.06
    assert distance(after) < 0.035
    assert after.crps(truth).mean() < before.crps(truth).mean()
    assert after.log_score(truth).mean() < before.log_score(truth).mean()
    too_low, high = before.quantile(0.9), calibrated.predict_quantile(new, 0.9)
    assert np.mean(truth <= too_low) < 0.88
    assert np.mean(truth <= high) == pytest.approx(0.9, abs=0.015)  # three standard errors of 4000 rows


def test_pit_is_cross_fitted_and_read_everywhere():
    X, y = visits(900)
    weight = np.random.default_rng(0).integers(1, 4, y.size).astype(float)
    cv = KFold(3)
    inner = BucketRegressor(n_buckets=8, n_estimators=10, n_jobs=1)
    model = CalibratedRegressor(inner, PITCalibrator(16), cv).fit(X, y, weight)
    parts = [
        clone(inner).fit(X[train], y[train], weight[train]).predict_distribution(X[test]).pit(y[test])
        for train, test in cv.split(X)
    ]
    by_hand = PITCalibrator(16).fit_pit(np.concatenate(parts), weight)
    np.testing.assert_array_equal(model.calibrator_.heights_, by_hand.heights_)
    d = by_hand.predict(clone(inner).fit(X, y, weight).predict_distribution(X))
    np.testing.assert_array_equal(model.predict(X), d.mean())
    for functional in ("mean", "median", "mode", "log_mean"):
        np.testing.assert_array_equal(model.predict(X, functional), getattr(d, functional)())
    np.testing.assert_array_equal(model.predict(X, functional=0.9), d.quantile(0.9))
    np.testing.assert_array_equal(model.predict_quantile(X, [0.1, 0.9]), d.quantile([0.1, 0.9]))
    prefit = CalibratedRegressor(clone(inner).fit(X, y), "pit", "prefit").fit(*visits(500, seed=1))
    assert isinstance(prefit.predict_distribution(X), Recalibrated)
    # Other methods leave the distribution as it is.
    plain = CalibratedRegressor(inner, "ratio", cv).fit(X, y)
    np.testing.assert_array_equal(plain.predict(X, "mean"), plain.estimator_.predict(X, "mean"))
    assert isinstance(plain.calibrator_, RatioCalibrator)


def test_sums_of_recalibrated_distributions():
    X, y = visits(900)
    inner = CalibratedRegressor(ZILNRegressor(**NARROW), "pit", 3).fit(X, y)
    new, truth = visits(900, seed=1)
    model = CalibratedRegressor(inner, "ratio", "prefit").fit(new, truth)
    assert model.predict(new).sum() == pytest.approx(truth.sum(), rel=1e-9)
    np.testing.assert_array_equal(model.predict_quantile(new, 0.9), inner.predict_quantile(new, 0.9))


def test_mistakes():
    X, y = spend(60)
    with pytest.raises(TypeError, match="method='pit': LinearRegression predicts no distribution: use a GBRegressor with"):
        CalibratedRegressor(LinearRegression(), "pit").fit(X, y)
    with pytest.raises(ValueError, match="segment=3: method='pit' has one map for all rows; leave it out"):
        CalibratedRegressor(ZILNRegressor(), "pit", segment=3).fit(X, y)
    with pytest.raises(ValueError, match="'method' parameter of CalibratedRegressor must be"):
        CalibratedRegressor(low(), "platt").fit(X, y)
    with pytest.raises(ValueError, match="'estimator' parameter of CalibratedRegressor must be"):
        CalibratedRegressor("lightgbm").fit(X, y)
    with pytest.raises(ValueError, match="segment=4 is not the index of a column: X has 4, 0 to 3"):
        CalibratedRegressor(low(), segment=4).fit(X, y)
    with pytest.raises(ValueError, match="segment='s' is a name, and the columns of X have none"):
        CalibratedRegressor(low(), segment="s").fit(X, y)
    with pytest.raises(ValueError, match="sample_weight: TransformedTargetRegressor takes none; leave it out"):
        CalibratedRegressor(TransformedTargetRegressor(LinearRegression())).fit(X, y, np.ones(60))
    with pytest.raises(ValueError, match="eval_set: LinearRegression takes none; leave it out"):
        CalibratedRegressor(LinearRegression()).fit(X, y, eval_set=(X, y))
    with pytest.raises(ValueError, match=r"eval_set\[0\]: X has 3 features"):
        CalibratedRegressor(low()).fit(X, y, eval_set=(X[:, 1:], y))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        CalibratedRegressor(low()).fit(X, y[1:])
    with pytest.raises(NotFittedError):
        CalibratedRegressor(low()).predict(X)


MODELS = {
    "ratio": CalibratedRegressor(low(n_estimators=5), "ratio", 3),
    "isotonic": CalibratedRegressor(low(n_estimators=5), "isotonic", 3),
    "spline": CalibratedRegressor(ZILNRegressor(n_estimators=5, n_jobs=1), "spline", 3),
    "pit": CalibratedRegressor(ZILNRegressor(n_estimators=5, n_jobs=1), "pit", 3),
    "pit, buckets": CalibratedRegressor(BucketRegressor(n_buckets=8, n_estimators=5, n_jobs=1), PITCalibrator(8), 3),
    "segments": CalibratedRegressor(low(n_estimators=5), IsotonicCalibrator(min_share=0.05), 3, segment=3),
    "segments by text": CalibratedRegressor(low(n_estimators=5), "spline", 3, segment="s"),
}


@pytest.mark.parametrize("name", MODELS)
def test_clone_pickle_and_file(name, tmp_path):
    X, y = spend(1200)
    y = y * np.exp(X[:, 3] - 2.5)
    table = FORMS["pandas, categories"](X)
    model = clone(MODELS[name]).fit(table, y)
    model.save(tmp_path / "m.gbreg")
    loaded = load(tmp_path / "m.gbreg")
    for again in (pickle.loads(pickle.dumps(model)), loaded, clone(model).fit(table, y)):
        np.testing.assert_array_equal(again.predict(table), model.predict(table))
    assert repr(loaded.get_params()) == repr(model.get_params())
    assert vars(loaded).keys() == vars(model).keys()
    if "segments" in name:
        assert 0 < model.calibrator_.strength_ < np.inf


def test_pipeline_and_search():
    X, y = spend(600)
    piped = make_pipeline(StandardScaler(), CalibratedRegressor(low())).fit(X, y)
    assert xauc(y, piped.predict(X)) > 0.75
    grid = {"estimator__n_estimators": [1, 30], "method": ["ratio", "isotonic"]}
    search = GridSearchCV(CalibratedRegressor(low(), cv=3), grid, cv=2).fit(X, y)
    assert search.best_params_["estimator__n_estimators"] == 30


def expected_failures(model):
    if not isinstance(model.estimator, GBRegressor | ZILNRegressor):
        return {}
    reason = "LightGBM finds bins and counts leaves by rows, in which weights are not rows"
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in ("dense", "sparse")}


@parametrize_with_checks(
    [
        CalibratedRegressor(LinearRegression()),
        CalibratedRegressor(low(learning_rate=0.3), "spline", 3, segment=0),
        CalibratedRegressor(GBRegressor(n_estimators=20, learning_rate=0.3, n_jobs=1), "ratio"),
        CalibratedRegressor(ZILNRegressor(n_estimators=20, learning_rate=0.3, n_jobs=1), "pit", 3),
    ],
    expected_failed_checks=expected_failures,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)
