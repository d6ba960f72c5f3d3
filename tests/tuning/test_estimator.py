"""TunedRegressor: scikit-learn's contract, all rows in the end, and what the best model can do."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.utils.estimator_checks import parametrize_with_checks

from gbreg import BucketRegressor, GBRegressor, HurdleRegressor, load
from gbreg.losses import Huberpp
from gbreg.tuning import Integers, LogUniform, TunedRegressor, tune
from tests.tuning.test_space import spend
from tests.tuning.test_tune import FEW


def tuned(estimator: Any = None, **more: Any) -> TunedRegressor:
    estimator = GBRegressor("huberpp", n_estimators=10, n_jobs=1) if estimator is None else estimator
    return TunedRegressor(estimator, **({"n_trials": 4, "random_state": 0, "space": FEW} | more))


def test_fit_is_tune_and_the_best_on_all_rows() -> None:
    X, y = spend(zeros=0.0)
    weight = np.random.default_rng(0).uniform(0.5, 2.0, y.size)
    model = tuned(metric="rmse").fit(X, y, weight)
    found = tune(model.estimator, X, y, metric="rmse", n_trials=4, seed=0, space=FEW, sample_weight=weight)
    assert model.best_params_ == found.best_params_
    assert model.best_score_ == found.best_score_
    again = clone(model.best_estimator_).fit(X, y, weight)
    np.testing.assert_array_equal(model.predict(X), again.predict(X))
    assert model.best_estimator_.early_stopping_rounds is None
    assert model.best_estimator_.n_estimators == model.trials_[model.study_.best_trial.number].rounds[0][0]


def test_tables_groups_and_time() -> None:
    X, y = spend(zeros=0.0)
    table = pd.DataFrame(X, columns=list("abcd")).assign(d=pd.Categorical(np.where(X[:, 3] > 0, "up", "down")))
    model = tuned().fit(table, y, groups=np.arange(y.size) // 3)
    assert list(model.feature_names_in_) == list("abcd")
    with pytest.raises(ValueError, match="feature names"):
        model.predict(table.rename(columns={"a": "z"}))
    forward = tuned().fit(table, y, time=np.arange(y.size))
    assert forward.best_score_ != model.best_score_


def test_what_the_best_model_offers(tmp_path: Path) -> None:
    X, y = spend()
    plain = tuned(GBRegressor("tweedie", n_estimators=5)).fit(X, y)
    plain.save(tmp_path / "model.gbreg")
    np.testing.assert_array_equal(load(tmp_path / "model.gbreg").predict(X), plain.predict(X))
    assert not hasattr(plain, "predict_quantile")
    with pytest.raises(AttributeError, match="has no attribute 'predict_quantile'"):
        plain.predict_quantile(X, 0.9)
    buckets = tuned(BucketRegressor(n_buckets=8, n_estimators=30, reg_lambda=1.0), n_trials=2).fit(X, y)
    assert buckets.predict_quantile(X, [0.1, 0.9]).shape == (y.size, 2)
    np.testing.assert_array_equal(buckets.predict(X, 0.9), buckets.predict_distribution(X).quantile(0.9))
    np.testing.assert_array_equal(clone(buckets.best_estimator_).fit(X, y).predict(X), buckets.predict(X))
    pair = buckets.best_estimator_.model_  # a hurdle of two boosters: each has the rounds that it stopped at
    assert (pair.classifier.early_stopping_rounds, pair.regressor.early_stopping_rounds) == (None, None)
    assert pair.classifier.n_estimators != pair.regressor.n_estimators
    hurdle = HurdleRegressor(GBRegressor("bernoulli", n_estimators=20), GBRegressor("gamma", n_estimators=20))
    parts = tuned(hurdle, n_trials=2, space=None).fit(X, y)
    assert parts.best_estimator_.classifier.early_stopping_rounds is None
    assert not hasattr(TunedRegressor(object()), "save")


def test_nested_in_cross_validation_and_pickled() -> None:
    X, y = spend(zeros=0.0)
    scores = cross_val_score(tuned(n_trials=2), X, y, cv=3, error_score="raise")
    assert np.isfinite(scores).all()
    model = tuned().fit(X, y)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert again.study_.best_params == model.study_.best_params
    stored = pickle.loads(pickle.dumps(clone(model)))
    np.testing.assert_array_equal(stored.fit(X, y).predict(X), model.predict(X))


def test_random_state_none_takes_another_split_each_time() -> None:
    X, y = spend(zeros=0.0)
    assert len({tuned(random_state=None, n_trials=1).fit(X, y).best_score_ for _ in range(3)}) == 3


SPLITS = "rows of weight 0 take part in the split, removed rows do not: other rows are held out"


@parametrize_with_checks(
    [
        TunedRegressor(
            GBRegressor(Huberpp(label_floor=0.1), n_estimators=40, n_jobs=1),
            n_trials=2,
            random_state=0,
            space={**FEW, "max_leaves": Integers(8, 16), "learning_rate": LogUniform(0.2, 0.4), "loss__delta": None},
        )
    ],
    expected_failed_checks=lambda model: {
        f"check_sample_weight_equivalence_on_{k}_data": SPLITS for k in ("dense", "sparse")
    },
)
@pytest.mark.filterwarnings("ignore:.*a constant is predicted")
def test_scikit_learn_checks(estimator: Any, check: Any) -> None:
    check(estimator)
