"""What XGBoost keeps of data beside the model: bins, scores, categories."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gbreg import GBRegressor, load

xgb = pytest.importorskip("xgboost")


class Asks(xgb.callback.TrainingCallback):  # type: ignore[misc]
    """A callback that predicts a matrix of its own while the model is being trained."""

    def __init__(self, data: Any):
        self.data = data

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        model.predict(self.data, output_margin=True)
        return False


def test_a_matrix_that_was_predicted_during_training_gets_complete_scores_after_it() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    data = xgb.DMatrix(X)
    model = GBRegressor("expectile", engine="xgboost", native=False, n_estimators=4, n_jobs=1)
    model.fit(X, 100 + X[:, 0], callbacks=[Asks(data)])
    np.testing.assert_allclose(model.booster_.predict(data, output_margin=True), model.predict_raw(X), rtol=1e-6)


@pytest.mark.parametrize("native", [True, False])
def test_early_stopping_keeps_categories(native: bool, tmp_path: Any) -> None:
    rng = np.random.default_rng(0)
    code = rng.integers(0, 12, 1200)
    names = [f"v{k}" for k in range(12)]
    X = pd.DataFrame({"a": rng.normal(size=1200), "k": pd.Categorical.from_codes(code, names)})
    y = 2 * rng.normal(size=12)[code] + X["a"].to_numpy() + rng.normal(size=1200)
    model = GBRegressor(
        engine="xgboost", native=native, n_estimators=100, learning_rate=0.3, early_stopping_rounds=5, n_jobs=1
    )
    model.fit(X[:800], y[:800], eval_set=(X[800:], y[800:]))
    history = model.evals_result_["validation_0"]["squared_error"]
    assert model.best_iteration_ < len(history)
    # What was cut is what was measured.
    own = model.loss_.value(y[800:], model.predict_raw(X[800:])).mean()
    assert own == pytest.approx(min(history), rel=1e-6)
    assert "c" in model.booster_.feature_types
    predicted = model.predict(X)
    unseen, missing = (X.assign(k=pd.Categorical([value] * 1200, dtype="category")) for value in ("new", None))
    of_unseen = model.predict(unseen)
    np.testing.assert_array_equal(of_unseen, model.predict(missing.assign(k=pd.Categorical([None] * 1200, names))))
    model.save(tmp_path / "model")
    for again in (load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        np.testing.assert_array_equal(again.predict(X), predicted)
        np.testing.assert_array_equal(again.predict(unseen), of_unseen)
    # The order in which a frame lists its categories says nothing.
    shuffled = X.assign(k=X["k"].cat.reorder_categories(names[::-1]))
    np.testing.assert_array_equal(model.predict(shuffled), predicted)
