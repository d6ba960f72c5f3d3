"""Vector leaves: XGBoost's trees with a value an output in every leaf, and what each version of it can do with them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gbreg
from gbreg import GBRegressor
from gbreg.engines import get_engine
from gbreg.engines import xgboost as xgboost_engine

xgb = pytest.importorskip("xgboost")

VECTOR = {"multi_strategy": "multi_output_tree"}
DART = {"booster": "dart", "rate_drop": 0.5}
# XGBoost 3.4 keeps in vector leaves what 3.2 leaves out, refuses or does wrongly.
WHOLE = xgboost_engine._since(3, 4)


def spend(n: int = 800) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    return X, np.exp(0.7 * X[:, 0] + 0.3 * X[:, 1] ** 2 + 0.6 * rng.normal(size=n))


def small(loss: Any, engine: str, **more: Any) -> GBRegressor:
    return GBRegressor(loss, engine=engine, **{"n_estimators": 12, "max_leaves": 8, "n_jobs": 1, **more})


def test_vector_leaves_stop_early_and_are_kept_in_files() -> None:
    X, y = spend()
    model = small("ziln", "xgboost", n_estimators=300, early_stopping_rounds=3, engine_params=VECTOR).fit(X, y)
    values = model.evals_result_["validation_0"]["ziln"]
    assert model.best_iteration_ == np.argmin(values) + 1 < len(values) < 300
    assert model.booster_.num_boosted_rounds() == len(model.booster_.get_dump()) == model.best_iteration_
    adapter = get_engine("xgboost")
    twin = adapter.from_bytes(adapter.to_bytes(model.booster_))
    assert np.array_equal(adapter.predict_raw(twin, model.columns_.matrix(X)), model.predict_raw(X))
    assert np.argmax(model.feature_importances_) == 0
    assert model.feature_importances_.sum() == pytest.approx(1.0)


def test_xgboosts_vector_leaves_know_min_child_weight_since_3_4() -> None:
    """Hessians of 1, and leaves of fewer than 100 rows before: why it is 0 there, and no other value is taken."""
    X, y = spend()
    rows = xgb.DMatrix(X, label=y)

    def least(**more: Any) -> int:
        params = {"tree_method": "hist", "grow_policy": "lossguide", "max_leaves": 31, "max_depth": 0, **more}
        params |= {"min_child_weight": 100, "num_target": 2, "base_score": 0.0, "disable_default_eval_metric": 1}
        booster = xgb.train(params, rows, 1, obj=lambda p, d: ((p - y[:, None]).astype(np.float32), np.ones_like(p)))
        of_rows = booster.predict(rows, pred_leaf=True).reshape(len(y), -1)
        return min(int(np.unique(leaf, return_counts=True)[1].min()) for leaf in of_rows.T)

    assert least() >= 100
    assert (least(**VECTOR) >= 100) is WHOLE
    one, other = (small("ziln", "xgboost", engine_params=VECTOR, min_child_samples=m).fit(X, y) for m in (1, 20))
    assert np.array_equal(one.predict(X), other.predict(X)) is not WHOLE


@pytest.mark.skipif(WHOLE, reason="XGBoost 3.4 can do this")
@pytest.mark.parametrize(
    ("engine_params", "named"),
    [
        ({"min_child_weight": 5.0}, "min_child_weight=5.0, which must be 0"),
        ({"monotone_constraints": [1, 0, 0, 0]}, r"monotone_constraints=\[1, 0, 0, 0\]"),
        ({"interaction_constraints": [[0], [1, 2, 3]]}, r"interaction_constraints=\[\[0\], \[1, 2, 3\]\]"),
        (DART, "booster='dart'"),
        ({}, r"categorical columns, here \[1\]"),
    ],
)
def test_what_vector_leaves_cannot_do_is_refused(engine_params: Any, named: str) -> None:
    X, y = spend()
    model = small("ziln", "xgboost", engine_params={**VECTOR, **engine_params})
    with pytest.raises(
        ValueError, match=f"xgboost before 3.4 does not keep to {named}: leave it out for one tree an output"
    ):
        model.fit(X if engine_params else with_category(X), y)


def with_category(X: Any) -> Any:
    pandas = pytest.importorskip("pandas")
    return pandas.DataFrame({"a": X[:, 0], "b": pandas.Categorical(np.where(X[:, 1] > 0, "u", "v"))})


@pytest.mark.skipif(not WHOLE, reason="XGBoost before 3.4 cannot do this")
def test_vector_leaves_keep_constraints_categories_and_dropout_since_3_4(tmp_path: Any) -> None:
    X, y = spend()
    line = np.tile(X[:20], (50, 1))
    line[:, 0] = np.repeat(np.linspace(-2, 2, 50), 20)

    def steepest_fall(**more: Any) -> float:
        model = small("ziln", "xgboost", n_estimators=30, min_child_samples=1, engine_params={**VECTOR, **more}).fit(X, y)
        return float(np.diff(model.predict(line).reshape(50, 20), axis=0).min())

    assert steepest_fall() < -0.1
    assert steepest_fall(monotone_constraints=[1, 0, 0, 0]) >= 0

    apart = small("ziln", "xgboost", engine_params={**VECTOR, "interaction_constraints": [[0], [1, 2, 3]]}).fit(X, y)
    mixed = [np.column_stack([a[:50, 0], b[:50, 1:]]) for a in (X, X[50:]) for b in (X, X[50:])]
    raw = [apart.predict_raw(m) for m in mixed]
    assert np.abs(raw[0] - raw[1] - raw[2] + raw[3]).max() < 1e-5 < np.abs(raw[0] - raw[1]).max()

    frame = with_category(X)
    model = small("ziln", "xgboost", engine_params=VECTOR).fit(frame, y * np.where(X[:, 1] > 0, 5.0, 1.0))
    assert model.feature_importances_[1] > 0.1
    model.save(tmp_path / "model.gbreg")
    assert np.array_equal(gbreg.load(tmp_path / "model.gbreg").predict(frame), model.predict(frame))
    contributions = model.booster_.predict(
        xgb.DMatrix(model.columns_.matrix(frame).values), pred_contribs=True, validate_features=False
    )
    assert contributions.sum(axis=2) == pytest.approx(model.predict_raw(frame), abs=1e-4)

    more = {"n_estimators": 40, "early_stopping_rounds": 5, "engine_params": {**VECTOR, "rate_drop": 0.5}}
    model = small("ziln", "xgboost", learning_rate=0.3, **more).fit(X[:400], y[:400], eval_set=(X[400:], y[400:]))
    own = np.mean(model.loss_.value(y[400:], model.predict_raw(X[400:])))
    assert own == pytest.approx(min(model.evals_result_["validation_0"]["ziln"]), rel=1e-6)
