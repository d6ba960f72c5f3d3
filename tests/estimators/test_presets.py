"""Estimators that stand for models built of others: the same as building them by hand, and well-behaved on every engine."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    D2QRegressor,
    GBRegressor,
    HurdleRegressor,
    OrdinalRegressor,
    WCERegressor,
    ZILNRegressor,
    load,
)
from gbreg._columns import Columns
from gbreg.engines import ENGINES
from gbreg.estimators import hurdle, rows
from gbreg.estimators.base import BOOSTING_PARAMETERS
from gbreg.estimators.preset import DistributionalPreset, Preset
from gbreg.losses import LogNormal, SoftmaxBuckets

SMALL = {"n_estimators": 15, "max_leaves": 8, "n_jobs": 1, "random_state": 0}


def concrete(cls):
    below = [c for sub in cls.__subclasses__() for c in concrete(sub)]
    return ([] if inspect.isabstract(cls) else [cls]) + below


PRESETS = [cls for cls in concrete(Preset) if cls.__module__.startswith("gbreg.")]


def spend(n=1200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    y = np.where(rng.random(n) < 1 / (1 + np.exp(X[:, 1])), 0.0, np.exp(1 + X[:, 0] + 0.8 * rng.normal(size=n)))
    return X, y, rng.integers(1, 4, n).astype(float)


@pytest.mark.parametrize("cls", [*PRESETS, GBRegressor])
def test_parameters_of_boosting_are_the_same_everywhere(cls):
    ours = inspect.signature(cls.__init__).parameters
    other = {(BucketRegressor, "reg_lambda")}  # chosen by measurement
    other |= {(BucketRegressor, "n_estimators"), (ZILNRegressor, "n_estimators")}  # one of each booster, if wanted
    for name, parameter in inspect.signature(GBRegressor.__init__).parameters.items():
        if name in BOOSTING_PARAMETERS and (cls, name) not in other:
            assert ours[name] == parameter, (cls, name)
    made = cls()
    assert made.get_params(deep=False) == {name: p.default for name, p in ours.items() if name != "self"}


def small(cls, engine):
    own = {"n_buckets": 8} if "n_buckets" in cls._get_param_names() else {}
    return cls(engine=engine, n_estimators=40 if engine != "catboost" else 25, max_leaves=6, n_jobs=1, **own)


def expected_failures(model):
    if model.engine != "catboost":
        return {}
    reason = "catboost chooses between equally good splits by the rounding of sums, in which weights are not rows"
    return {f"check_sample_weight_equivalence_on_{kind}_data": reason for kind in ("dense", "sparse")}


@parametrize_with_checks(
    [small(cls, engine) for cls in PRESETS for engine in ENGINES], expected_failed_checks=expected_failures
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


BY_HAND = [
    (
        BucketRegressor(n_buckets=16, **SMALL),
        HurdleRegressor(
            GBRegressor("bernoulli", reg_lambda=100, **SMALL),
            GBRegressor(SoftmaxBuckets(n_buckets=16), reg_lambda=100, **SMALL),
        ),
    ),
    (
        BucketRegressor(n_buckets=16, zeros="bucket", reg_lambda=0, **SMALL),
        GBRegressor(SoftmaxBuckets(n_buckets=16), **SMALL),
    ),
    (ZILNRegressor(**SMALL), HurdleRegressor(GBRegressor("bernoulli", **SMALL), GBRegressor(LogNormal(), **SMALL))),
    (ZILNRegressor(factorized=False, **SMALL), GBRegressor("ziln", **SMALL)),
]


@pytest.mark.parametrize(("preset", "model"), BY_HAND, ids=lambda m: str(m).split("(")[0])
def test_a_preset_is_the_model_built_by_hand(preset, model):
    X, y, weight = spend()
    preset, model = clone(preset).fit(X, y, weight), clone(model).fit(X, y, weight)
    for functional in ("mean", "median", "log_mean", 0.9):
        np.testing.assert_array_equal(preset.predict(X, functional), model.predict(X, functional))
    np.testing.assert_allclose(preset.predict(X), preset.predict(X, "mean"), rtol=1e-12)
    np.testing.assert_array_equal(preset.predict_quantile(X, [0.1, 0.5]), model.predict_quantile(X, [0.1, 0.5]))


@pytest.mark.parametrize("cls", [cls for cls in PRESETS if issubclass(cls, DistributionalPreset)])
def test_the_functional_is_what_predict_reads(cls, tmp_path):
    X, y, _ = spend()
    usual = small(cls, "lightgbm").fit(X, y)
    for functional in ("median", "log_mean", 0.9):
        model = clone(usual).set_params(functional=functional).fit(X, y)
        np.testing.assert_array_equal(model.predict(X), usual.predict(X, functional))
        np.testing.assert_array_equal(model.predict(X, "mean"), usual.predict(X, "mean"))
    model.save(tmp_path / "model.gbreg")
    np.testing.assert_array_equal(load(tmp_path / "model.gbreg").predict(X), model.predict(X))
    held = model.set_params(calibration="pit").fit(X, y)
    np.testing.assert_array_equal(held.predict(X), held.predict_distribution(X).quantile(0.9))
    with pytest.raises(ValueError, match=r"calibration='ratio' corrects the mean, and functional=0\.9 is read"):
        model.set_params(calibration="ratio").fit(X, y)
    with pytest.raises(ValueError, match="The 'functional' parameter"):
        clone(usual).set_params(functional=1.5).fit(X, y)


@pytest.mark.parametrize("cls", [BucketRegressor, ZILNRegressor])
def test_rounds_of_each_part(cls, tmp_path):
    X, y, _ = spend()
    model = small(cls, "lightgbm").set_params(n_estimators=(3, 7)).fit(X, y)
    assert model.best_iteration_ == (3, 7)
    model.save(tmp_path / "model.gbreg")
    again = load(tmp_path / "model.gbreg")
    assert again.n_estimators == (3, 7)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(ValueError, match=r"n_estimators=\(3, 7, 9\) must be rounds, or a pair of them"):
        clone(model).set_params(n_estimators=(3, 7, 9)).fit(X, y)
    with pytest.raises(ValueError, match="'n_estimators' parameter of GBRegressor"):
        clone(model).set_params(n_estimators=(3, 0)).fit(X, y)


def test_what_is_told_of_two_parts():
    X, y, weight = spend()
    rounds = []
    model = BucketRegressor(n_buckets=8, **SMALL).fit(
        X, y, weight, eval_set=(X, y), eval_sample_weight=weight, callbacks=[lambda env: rounds.append(env.iteration)]
    )
    binary, positive = model.model_.classifier_, model.model_.regressor_
    assert rounds == [*range(15), *range(15)]
    assert model.booster_ == (binary.booster_, positive.booster_)
    assert model.best_iteration_ == (15, 15)
    assert model.native_ == (True, False)
    assert [loss.name for loss in model.loss_] == ["bernoulli", "softmax_buckets"]
    assert list(model.evals_result_["validation_0"]) == ["bernoulli", "softmax_buckets"]
    np.testing.assert_allclose(
        model.feature_importances_, (binary.feature_importances_ + positive.feature_importances_) / 2, rtol=1e-12
    )
    assert model.n_features_in_ == 3


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("cls", [cls for cls in PRESETS if issubclass(cls, DistributionalPreset)])
def test_sums_are_right_and_quantiles_cover(cls, engine):
    X, y, _ = spend(3000)
    model = small(cls, engine).fit(X, y)
    new, truth, _ = spend(3000, seed=1)
    d = model.predict_distribution(new)
    assert 0.85 < d.mean().sum() / truth.sum() < 1.15
    for level in (0.6, 0.9):
        value = d.quantile(level)  # at 0 the cdf jumps beyond the level
        assert abs((truth <= value).mean() - d.cdf(value).mean()) < 0.03
    assert (d.crps(truth).mean()) < 0.9 * np.abs(truth[:, None] - np.quantile(y, np.linspace(0.005, 0.995, 100))).mean()


def test_early_stopping_of_each_part():
    X, y, _ = spend(2000)
    model = ZILNRegressor(n_estimators=400, early_stopping_rounds=5, random_state=0, n_jobs=1).fit(X, y)
    assert all(rounds < 400 for rounds in model.best_iteration_)
    for part in (model.model_.classifier_, model.model_.regressor_):
        history = part.evals_result_["validation_0"][part.loss_.name]
        assert np.argmin(history) + 1 == part.best_iteration_


@pytest.mark.parametrize("cls", PRESETS)
def test_tables_pickles_and_searches(cls):
    X, y, weight = spend()
    table = pl.DataFrame(X, schema=["a", "b", "c"])
    model = small(cls, "lightgbm").fit(table, y, weight)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(table), model.predict(table))
    np.testing.assert_array_equal(small(cls, "lightgbm").fit(X, y, weight).predict(X), model.predict(table))
    search = GridSearchCV(small(cls, "lightgbm"), {"learning_rate": [0.01, 0.2]}, cv=2).fit(X, y)
    assert search.best_params_ == {"learning_rate": 0.2}


@pytest.mark.parametrize(
    "model",
    [
        *(cls() for cls in PRESETS if issubclass(cls, DistributionalPreset)),
        GBRegressor("log_normal"),
        HurdleRegressor(GBRegressor("bernoulli"), GBRegressor("log_normal")),
        CalibratedRegressor(GBRegressor("log_normal")),
    ],
    ids=repr,
)
def test_before_fit_every_prediction_says_so(model):
    X, _, _ = spend(10)
    for ask in (
        lambda: model.predict(X),
        lambda: model.predict(X, "median"),
        lambda: model.predict_distribution(X),
        lambda: model.predict_quantile(X, 0.5),
    ):
        with pytest.raises(NotFittedError):
            ask()


def test_a_readout_of_what_predicts_no_distribution_is_refused():
    X, y, _ = spend(100)
    for model in (WCERegressor(**SMALL), D2QRegressor(GBRegressor(**SMALL), 0, n_groups=2)):
        with pytest.raises(TypeError, match="predicts no distribution: use a GBRegressor with a distributional loss"):
            model.fit(X, y).predict(X, "median")
        assert not hasattr(model, "predict_quantile")


@pytest.mark.parametrize("cls", PRESETS)
def test_mistakes(cls):
    X, y, _ = spend(100)
    with pytest.raises(NotFittedError):
        cls().predict(X)
    if cls is OrdinalRegressor:
        assert cls(**SMALL).fit(X, y - 2.0).predict(X).min() < 0
    else:
        with pytest.raises(
            ValueError, match=rf"{cls.__name__} needs y in \[0, inf\); 1 of 100 labels are not \(first at row 3: -1\)"
        ):
            cls().fit(X, np.where(np.arange(100) == 3, -1.0, y))
    with pytest.raises(ValueError, match="'n_estimators' parameter"):
        cls(n_estimators=0).fit(X, y)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (BucketRegressor(zeros="drop"), "'zeros' parameter of BucketRegressor must be a str among"),
        (BucketRegressor(rank=0), "rank=0 must be an integer >= 1"),
        (BucketRegressor(n_buckets=1), "n_buckets=1 must be an integer >= 2"),
        (ZILNRegressor(sigma_bounds=(1.0, 0.5)), r"sigma_bounds=\(1.0, 0.5\) must be two numbers with 0 < low < high"),
    ],
)
def test_parameters_outside_their_range(model, message):
    X, y, _ = spend(100)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)


@pytest.mark.parametrize("cls", [*PRESETS, GBRegressor])
def test_a_fit_reads_table_and_labels_once(cls, monkeypatch):
    read = {"labels": 0, "tables": 0}

    def counted(what, function):
        def count(*arguments):
            read[what] += 1
            return function(*arguments)

        return count

    labels = counted("labels", rows.as_labels)
    for module in (rows, hurdle):
        monkeypatch.setattr(module, "as_labels", labels)
    monkeypatch.setattr(Columns, "_values", counted("tables", Columns._values))
    X = pd.DataFrame({"a": np.arange(600.0) % 7, "b": pd.Categorical(["x", "y", "z"] * 200)})
    cls(n_estimators=5, n_jobs=1, early_stopping_rounds=5, calibration="ratio").fit(X, np.maximum(X["a"] - 2.0, 0.0))
    assert read == {"labels": 1, "tables": 1}
