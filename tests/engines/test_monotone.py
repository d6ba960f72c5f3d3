"""`monotone`: one parameter for every engine and every estimator, what keeps to it, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import gbreg
from gbreg import (
    BucketRegressor,
    CalibratedRegressor,
    D2QRegressor,
    GBRegressor,
    HurdleRegressor,
    OrdinalRegressor,
    WCERegressor,
    ZILNRegressor,
)
from gbreg.compare import compare
from gbreg.engines import ENGINES
from gbreg.losses import LogNormal
from gbreg.tuning import tune
from tests.engines.test_constraints import steepest_fall, wavy

every_engine = pytest.mark.parametrize("engine", ENGINES)

SIGNS = {0: 1, 2: -1}
FAST: dict[str, Any] = {"n_estimators": 8, "learning_rate": 0.3, "max_leaves": 8, "n_jobs": 1, "monotone": SIGNS}


def boosted(loss: Any = "squared_error", **more: Any) -> GBRegressor:
    return GBRegressor(loss, **FAST | more)


ESTIMATORS: dict[str, Any] = {
    "regressor": boosted,
    "calibrated by itself": lambda **given: boosted("tweedie", calibration="isotonic", **given),
    "bucket": lambda **given: BucketRegressor(n_buckets=8, rank=1, reg_lambda=1.0, **FAST | given),
    "ordinal": lambda **given: OrdinalRegressor(n_buckets=8, **FAST | given),
    "ordinal median": lambda **given: OrdinalRegressor(n_buckets=8, functional="median", **FAST | given),
    "ziln": lambda **given: ZILNRegressor(**FAST | given),
    "wce": lambda **given: WCERegressor(**FAST | given),
    "wce of two rows": lambda **given: WCERegressor(implementation="duplicate", **FAST | given),
    "hurdle": lambda **given: HurdleRegressor(boosted("bernoulli", **given), boosted("gamma", **given)),
    "calibrated": lambda **given: CalibratedRegressor(boosted(**given), "spline", cv=2),
    "d2q": lambda **given: D2QRegressor(boosted(**given), group=1, n_groups=3),
}
# CatBoost keeps to constraints for one output alone.
OF_SEVERAL = ("ziln",)


@every_engine
@pytest.mark.parametrize("who", ESTIMATORS)
def test_every_estimator_keeps_to_it_on_every_engine(engine: str, who: str) -> None:
    X, y = wavy()
    model = ESTIMATORS[who](engine=engine)
    if engine == "catboost" and who in OF_SEVERAL:
        with pytest.raises(ValueError, match=r"catboost keeps to them for one output, .* use engine='lightgbm'"):
            model.fit(X, y)
        return
    model.fit(X, y)
    assert steepest_fall(model) >= -1e-6 * model.predict(X).max()
    assert np.ptp(model.predict(X)) > 0.1
    if engine == "lightgbm":  # and without it they do not
        assert steepest_fall(ESTIMATORS[who](engine=engine, monotone=None).fit(X, y)) < -1e-3


@every_engine
@settings(max_examples=6)
@given(seed=st.integers(0, 2**16), up=st.sampled_from([-1, 1]), leaves=st.integers(2, 20), missing=st.booleans())
def test_any_table_is_predicted_in_order(engine: str, seed: int, up: int, leaves: int, missing: bool) -> None:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(120, 2)).round(rng.integers(0, 3))
    y = np.exp(rng.normal(size=120) + np.sin(3 * X[:, 0]))
    if missing:
        X[rng.random(120) < 0.2, 0] = np.nan
    model = boosted("gamma", engine=engine, monotone={0: up}, max_leaves=leaves, min_child_samples=5).fit(X, y)
    grid = np.linspace(-3, 3, 25)
    for other in X[:5, 1]:
        line = model.predict(np.column_stack([grid, np.full(25, other)]))
        assert (up * np.diff(line) >= -1e-6 * line.max()).all()


@every_engine
def test_it_is_the_same_as_the_engines_own(engine: str) -> None:
    X, y = wavy()
    frame = pd.DataFrame(X, columns=["list price", "age", "a_b"])
    by_name = boosted(engine=engine, monotone={"list price": 1, "a_b": -1}).fit(frame, y).predict(frame)
    own = boosted(engine=engine, monotone=None, engine_params={"monotone_constraints": [1, 0, -1]}).fit(frame, y)
    assert np.array_equal(by_name, own.predict(frame))
    assert np.array_equal(by_name, boosted(engine=engine).fit(X, y).predict(X))
    zeros = boosted(engine=engine, monotone={0: 0}).fit(X, y).predict(X)
    assert np.array_equal(zeros, boosted(engine=engine, monotone=None).fit(X, y).predict(X))


def test_of_sparse_tables_and_offsets() -> None:
    X, y = wavy()
    assert steepest_fall(boosted().fit(scipy.sparse.csr_matrix(X), y)) >= -1e-6
    model = boosted("poisson").fit(X, y, exposure=np.linspace(1, 2, len(y)))
    lines = np.column_stack([np.linspace(0, 1, 50), np.full((50, 2), 0.5)])
    assert np.diff(model.predict(lines, exposure=np.ones(50))).min() >= 0


def test_it_travels_with_the_model(tmp_path: Any) -> None:
    X, y = wavy()
    model = boosted().fit(X, y)
    model.save(tmp_path / "m.gbreg")
    loaded = gbreg.load(tmp_path / "m.gbreg")
    assert loaded.monotone == SIGNS
    assert np.array_equal(loaded.predict(X), model.predict(X))


@pytest.mark.parametrize(
    ("monotone", "said"),
    [
        ({"prise": 1}, r"^monotone names column 'prise': did you mean 'price'\? Columns are price, age, land"),
        ({3: 1}, "^monotone names column 3: X has 3 columns, 0 to 2"),
        ({"land": 1}, "^monotone constrains column 'land', which is categorical: categories have no order"),
        ({"price": 2}, "^monotone has 2 for column 'price': it must be .* signs -1, 0 or 1"),
        ({"price": 1, 0: -1}, "^monotone names column 'price' twice"),
        ([1, 0, 0], "'monotone' parameter of .* must be an instance of 'dict' or None"),
    ],
)
@pytest.mark.parametrize("who", ["regressor", "bucket", "hurdle", "calibrated"])
def test_what_is_no_constraint_is_refused(who: str, monotone: Any, said: str) -> None:
    X, y = wavy(60)
    frame = pd.DataFrame({"price": X[:, 0], "age": X[:, 1], "land": pd.Categorical(["a", "b"] * 30)})
    with pytest.raises(ValueError, match=said):
        ESTIMATORS[who](monotone=monotone).fit(frame, y)


def test_it_and_the_engines_own_are_refused_together() -> None:
    model = boosted(engine_params={"mc": [1, 0, 0]})
    with pytest.raises(ValueError, match=r"monotone=\{0: 1, 2: -1\} and engine_params' monotone_constraints=\[1, 0, 0\]"):
        model.fit(*wavy(60))


@pytest.mark.parametrize("first", [{0: 1}, {0: 1, 2: 1}, None], ids=str)
def test_both_parts_of_a_hurdle_must_move_the_same_way(first: Any) -> None:
    column, two = (0, r"\+1") if first is None else (2, "-1")
    one = r"has \+1" if first is not None and 2 in first else "none"
    said = rf"^monotone: .* column {column} only where all parts have it: classifier {one}, regressor has {two}"
    with pytest.raises(ValueError, match=said):
        HurdleRegressor(boosted("bernoulli", monotone=first), boosted("gamma")).fit(*wavy(60))


def test_a_part_alone_may_be_constrained_by_the_engines_own() -> None:
    own = boosted("gamma", monotone=None, engine_params={"monotone_constraints": [1, 0, 0]})
    model = HurdleRegressor(boosted("bernoulli", monotone=None), own).fit(*wavy())
    line = np.column_stack([np.linspace(0, 1, 60), np.full((60, 2), 0.5)])
    assert np.diff(model.regressor_.predict(line)).min() >= 0
    assert np.diff(model.predict(line)).min() < -1e-3


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (BucketRegressor(n_buckets=8, **FAST), "monotone constraints bind every raw score"),
        (OrdinalRegressor(n_buckets=8, spread=True, **FAST), "monotone constraints bind every raw score"),
        (OrdinalRegressor(n_buckets=8, functional="mode", **FAST), "functional='mode': a mode can jump back .* 'median'"),
        (ZILNRegressor(functional=0.9, **FAST), "functional=0.9: .* hold for the means of LogNormal.* alone"),
        (D2QRegressor(boosted(), group=0), "group=0: .* from its own labels: in its monotone give that column 0"),
        (CalibratedRegressor(boosted(), segment=2), "segment=2: .* a map of its own: in its monotone give that column 0"),
    ],
    ids=repr,
)
def test_readouts_that_need_not_keep_to_it_are_refused(model: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model.fit(*wavy(60))


class Falling(LogNormal):
    """A loss of one's own that says its mean keeps the order of its scores, and does not."""

    def predict(self, raw: Any) -> Any:
        return 1.0 / super().predict(raw)


def test_a_fitted_model_that_breaks_it_is_an_error() -> None:
    X, y = wavy()
    X, y = X[y > 0], y[y > 0]
    with pytest.raises(RuntimeError, match=r"^monotone: along column 0 the fitted model's predictions go the wrong way"):
        boosted(Falling()).fit(X, y)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    with pytest.raises(RuntimeError, match="along column 'c'"):
        boosted(Falling(), monotone={"c": -1}).fit(frame, y)
    own = boosted(Falling(), monotone=None, engine_params={"monotone_constraints": [1, 0, -1]})
    assert steepest_fall(own.fit(X, y)) < 0


@pytest.mark.parametrize("engine", ENGINES)
def test_a_column_without_a_value_is_no_matter(engine: str) -> None:
    X = np.column_stack([np.full(200, np.nan), np.linspace(0.0, 1.0, 200)])
    y = np.exp(X[:, 1])
    model = GBRegressor("tweedie", engine=engine, n_estimators=3, n_jobs=1, monotone={0: 1, 1: 1}).fit(X, y)
    assert np.isfinite(model.predict(X)).all()


def test_compare_gives_it_to_every_model() -> None:
    X, y = wavy(200)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    names: list[Any] = ["squared_error", "hurdle:loss=gamma", "bucket:n_buckets=8", "d2q:group=a"]
    template = boosted(monotone={"a": 1}, random_state=0)
    board = compare(frame, y, frame, y, losses=names, estimator=template)
    assert {row.loss for row in board.rows} == {"squared_error", "hurdle:loss=gamma"}
    reasons = {skipped.loss: skipped.reason for skipped in board.skipped}
    assert "bind every raw score" in reasons["bucket:n_buckets=8"]
    assert "give that column 0" in reasons["d2q:group=a"]
    with pytest.raises(ValueError, match="monotone names column 'aa': did you mean 'a'"):
        compare(frame, y, frame, y, losses=names, estimator={"monotone": {"aa": 1}})


def test_tune_keeps_it_fixed_and_refuses_before_its_first_trial() -> None:
    X, y = wavy(200)
    found = tune(boosted(random_state=0), X, y, metric="mae", n_trials=3)
    assert found.best_estimator_.monotone == SIGNS
    assert "monotone={0: 1, 2: -1}" in found.code()
    assert steepest_fall(found.best_estimator_) >= -1e-6
    with pytest.raises(ValueError, match="monotone names column 7: X has 3 columns"):
        tune(HurdleRegressor(boosted("bernoulli"), boosted("gamma", monotone={7: 1})), X, y, metric="mae", n_trials=1)
