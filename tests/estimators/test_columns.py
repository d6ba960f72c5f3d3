"""What tables hold and engines do not: names, numbers beyond float32, infinities, lazy frames, dates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gbreg import GBRegressor, load
from gbreg.engines.base import safe_names

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
catboost = pytest.importorskip("catboost")

ENGINES = ("lightgbm", "xgboost", "catboost")
every_engine = pytest.mark.parametrize("engine", ENGINES)


def small(loss: Any = "squared_error", engine: str = "lightgbm", **more: Any) -> GBRegressor:
    return GBRegressor(loss, engine=engine, **{"n_estimators": 12, "max_leaves": 8, "n_jobs": 1, **more})


# -- names -------------------------------------------------------------------------------------------------------------


# LightGBM takes "a b" for "a_b"; its files break at control characters, XGBoost refuses brackets.
NASTY = [
    "a b",
    "a_b",
    "",
    "_",
    "new\nline",
    "tab\t",
    "cr\r",
    "back\\slash",
    "\x00nul",
    "\x1f",
    '"{:,}',
    "[<x>]",
    "köln 日本",
    "a_b_0",
]


@every_engine
def test_any_name_of_a_column(engine: str, tmp_path: Any) -> None:
    X = np.random.default_rng(0).normal(size=(300, len(NASTY)))
    y = X[:, 0] + X[:, 9]
    frame = pd.DataFrame(X, columns=NASTY).assign(**{"a_b": pd.Categorical(np.where(X[:, 1] > 0, "more", "less"))})
    model = small(engine=engine).fit(frame, y)
    model.save(tmp_path / "model.gbreg")
    plain = small(engine=engine).fit(frame.set_axis([f"f{j}" for j in range(len(NASTY))], axis=1), y)
    for twin in (model, load(tmp_path / "model.gbreg")):
        assert np.array_equal(twin.predict(frame), plain.predict(frame.set_axis(plain.feature_names_in_, axis=1)))
        assert twin.feature_names_in_.tolist() == NASTY
        assert twin.columns_.names == tuple(NASTY)
        assert np.argsort(twin.feature_importances_)[-2:].tolist() in ([0, 9], [9, 0])


def test_names_for_engines_are_the_users_as_far_as_they_go() -> None:
    assert safe_names(("age", "köln", "a b", "a_b", "a[b", "", "x.1")) == [
        "age",
        "köln",
        "a_b_2",
        "a_b",
        "a_b_4",
        "_5",
        "x_1",
    ]
    assert safe_names(("a_b_0", "a b", "a_b", "a_b_1")) == ["a_b_0", "a_b_1_1", "a_b", "a_b_1"]
    assert safe_names(None) is None
