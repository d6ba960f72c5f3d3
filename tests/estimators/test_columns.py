"""What tables hold and engines do not: names, numbers beyond float32, infinities, lazy frames, dates."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse

from gbreg import BucketRegressor, D2QRegressor, GBRegressor, HurdleRegressor, WCERegressor, load, metrics
from gbreg._columns.ranks import learn_knots, ranks_of
from gbreg.calibration import IsotonicCalibrator
from gbreg.compare import compare
from gbreg.engines import ENGINES, Features, get_engine
from gbreg.engines.rows import safe_names
from gbreg.losses import SquaredError
from gbreg.reporting import report

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
catboost = pytest.importorskip("catboost")

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
    def safe(*names: str, **more: Any) -> Any:
        return safe_names(Features(np.zeros((1, 3)), names=names or None, **more))

    assert safe("age", "köln", "a b", "a_b", "a[b", "", "x.1") == ["age", "köln", "a_b_2", "a_b", "a_b_4", "_5", "x_1"]
    assert safe("a_b_0", "a b", "a_b", "a_b_1") == ["a_b_0", "a_b_1_1", "a_b", "a_b_1"]
    assert safe("city", "city_code", "when", categorical=(0,), ranked=(2,)) == ["city_code_0", "city_code", "when_rank"]
    assert safe() is None
    assert safe(ranked=(1,)) == ["f0", "f1_rank", "f2"]


# -- numbers that engines do not hold ----------------------------------------------------------------------------------

STEP = np.random.default_rng(0).permutation(np.repeat(np.arange(200), 5))
EFFECT = np.sin(1.7 * np.arange(200.0))
# 200 values each, that float32 merges (all but tiny), or that LightGBM takes for 0 (tiny, vanishing).
COLUMNS = {
    "unix seconds": 1.7e9 + 10 * np.arange(200.0),
    "unix milliseconds": 1.7e12 + np.arange(200.0),
    "ids": 2.0**24 + np.arange(200.0),
    "long ids": 1e15 + np.arange(200.0),
    "dates": np.array([20240101.0 + 100 * (d // 28) + d % 28 for d in range(200)]),
    "below zero": -1.7e9 + 10 * np.arange(200.0),
    "vanishing": 1e-50 * np.arange(200.0),
    "tiny": 1e-40 * np.arange(200.0),
    "beyond": 1e39 * np.arange(200.0),
    "far beyond": 1e305 * np.arange(200.0),
    "of all sizes": np.r_[1e-50 * np.arange(100.0), 1e16 + 2 * np.arange(50.0), 1e39 * np.arange(1.0, 51.0)],
}


def exact(engine: str, **more: Any) -> GBRegressor:
    """Learns 200 separate values, if it is shown them."""
    return small(engine=engine, n_estimators=60, learning_rate=0.5, max_leaves=32, min_child_samples=1, **more)


@every_engine
@pytest.mark.parametrize("name", COLUMNS)
def test_values_that_an_engines_numbers_merge_are_told_apart(engine: str, name: str, tmp_path: Path) -> None:
    values = COLUMNS[name]
    X = np.column_stack([np.zeros(STEP.size), values[STEP]])
    model = exact(engine).fit(X, EFFECT[STEP])
    plain = exact(engine).fit(np.column_stack([np.zeros(STEP.size), STEP]), EFFECT[STEP])
    assert not plain.columns_.ranked
    want = plain.predict(np.column_stack([np.zeros(200), np.arange(200)]))
    every = np.column_stack([np.zeros(200), values])
    # The bins of the engines follow the order of the values, and not quite only that: LightGBM's know 0.
    assert np.abs(model.predict(every) - EFFECT).mean() < 1.5 * np.abs(want - EFFECT).mean() + 0.02
    merged = engine != "lightgbm" if name not in ("vanishing", "tiny", "beyond", "far beyond", "of all sizes") else True
    if name == "tiny":
        merged = engine == "lightgbm"
    assert (1 in model.columns_.ranked) == merged
    if merged:
        assert np.array_equal(model.columns_.ranked[1], np.unique(values[STEP]))
        np.testing.assert_array_equal(model.predict(every), want)
    model.save(tmp_path / "model.gbreg")
    assert np.array_equal(load(tmp_path / "model.gbreg").predict(every), model.predict(every))


@every_engine
def test_ranks_in_every_kind_of_table(engine: str) -> None:
    late = COLUMNS["unix seconds"][STEP]
    X = np.column_stack([np.where(STEP % 3 == 0, 0.0, late), STEP % 2])
    y = np.where(STEP % 3 == 0, 0.0, EFFECT[STEP]) + STEP % 2
    want = exact(engine).fit(X, y, eval_set=(X, y))
    frame = pd.DataFrame(X, columns=["when", "odd"])
    tables: list[Any] = [frame, pl.from_pandas(frame), frame.astype("int64"), X.astype(np.int64), frame.astype(object)]
    for table in [*tables, scipy.sparse.csr_matrix(X), scipy.sparse.csc_array(X)]:
        model = exact(engine).fit(table, y, eval_set=(table, y))
        assert list(model.columns_.ranked) == ([] if engine == "lightgbm" else [0])
        if not (scipy.sparse.issparse(table) and engine == "xgboost"):
            np.testing.assert_array_equal(model.predict(table), want.predict(X))
        assert np.abs(model.predict(table) - y).mean() < 0.1
    assert X[0, 0] == (0.0 if STEP[0] % 3 == 0 else late[0])  # the caller's array is not written into
    missing = X.copy()
    missing[::5, 0] = np.nan
    model = exact(engine).fit(missing, y)
    assert np.isnan(model.columns_.matrix(missing).values[::5, 0]).all()
    assert np.abs(model.predict(missing) - y)[STEP % 5 > 0].mean() < 0.3


@pytest.mark.parametrize("engine", ["xgboost", "catboost"])
def test_ranks_in_models_of_others(engine: str) -> None:
    X = np.column_stack([COLUMNS["unix seconds"][STEP], STEP % 7])
    y = np.exp(EFFECT[STEP]) * (STEP % 5 > 0)
    more = {
        "engine": engine,
        "n_estimators": 60,
        "learning_rate": 0.5,
        "max_leaves": 32,
        "min_child_samples": 1,
        "n_jobs": 1,
    }
    hurdle = HurdleRegressor(GBRegressor("bernoulli", **more), GBRegressor("gamma", **more))
    for model in (hurdle, D2QRegressor(GBRegressor(**more), 1, 4), WCERegressor(**more)):
        assert np.abs(model.fit(X, y).predict(X) - y).mean() < 0.2


def test_unseen_values_lie_between_ranks_and_0_stays_0() -> None:
    knots = np.array([-5.0, 1e9, 1e9 + 1, 1e12])
    got = ranks_of(np.array([-1e300, -5.0, 0.0, 1e9, 1e9 + 0.25, 1e9 + 1, 1e12, 1e300, np.nan]), knots)
    start = got[0]
    np.testing.assert_allclose(got - start, [0, 0, 5 / (1e9 + 5), 1, 1.25, 2, 3, 3, np.nan], atol=1e-12)
    assert got[2] == 0.0
    assert ranks_of(np.array([0.0, 7.0, 8.0, 9.0]), np.array([7.0, 8.0])).tolist() == [0.0, 0.0, 1.0, 1.0]


def test_which_columns_become_ranks() -> None:
    rng = np.random.default_rng(0)
    stored = get_engine("xgboost").stored
    for held in (
        rng.normal(size=30_000),  # float32 merges a few by chance: rare values, which no bin would keep apart
        1.7e9 + rng.uniform(0, 3e7, 30_000),  # a year of seconds: none of its bins is as narrow as 128 seconds
        rng.integers(0, 2**24, 1000).astype(float),
        np.array([np.nan, np.nan]),
        np.array([0.1, 0.2, np.nan]),
    ):
        assert learn_knots(held, stored, 255) is None
    two = np.repeat([2.0**24, 2.0**24 + 1], 200)  # frequent among many that are not
    for merged in (two, np.r_[two, np.full(10**4, np.nan)], np.r_[two, rng.normal(size=30_000)], np.array([1e39])):
        knots = learn_knots(merged, stored, 255)
        assert knots is not None
        assert np.array_equal(knots, np.unique(merged[~np.isnan(merged)]))
    many = np.r_[np.tile(two, 200), rng.normal(size=100_000)]
    knots = learn_knots(many, stored, 255)
    assert knots is not None
    assert knots.size <= 65536
    assert {two[0], two[-1], many.min(), many.max()} <= set(knots)
    codes = ranks_of(many, knots).astype(np.float32)
    assert codes[0] < codes[200]
    assert np.all(np.diff(codes[np.argsort(many)]) >= 0)


@every_engine
def test_a_number_beyond_float32_at_prediction_is_a_great_number(engine: str) -> None:
    """XGBoost fails on it."""
    X = np.arange(300.0)[:, None]
    model = small(engine=engine).fit(X, X[:, 0])
    assert not model.columns_.ranked
    for sign in (1.0, -1.0):
        for beyond in (1e39, 1e308):
            for of in (np.array, scipy.sparse.csr_matrix, lambda values: pd.DataFrame(values)):
                assert model.predict(of([[sign * beyond]])) == model.predict([[sign * 1e30]])


@every_engine
def test_infinity_names_column_and_row(engine: str) -> None:
    X = np.ones((50, 3))
    X[:, 0] = np.arange(50)
    y, wrong = X[:, 0], X.copy()
    wrong[7:, 1] = -np.inf
    frame, wrong_frame = (pd.DataFrame(values, columns=["a", "b", "c"]) for values in (X, wrong))
    model = small(engine=engine)
    said = r"Input X contains infinity: column {}, first at row 7: replace it \(NaN is a missing value"
    for table, bad, named in ((X, wrong, "1"), (frame, wrong_frame, "'b'"), (X, scipy.sparse.csr_matrix(wrong), "1")):
        with pytest.raises(ValueError, match=said.format(named)):
            model.fit(bad, y)
        with pytest.raises(ValueError, match=r"eval_set\[0\]: " + said.format(named)):
            model.fit(table, y, eval_set=(bad, y))
        with pytest.raises(ValueError, match=said.format(named)):
            model.fit(table, y).predict(bad)
        # Parts would see other rows and count those.
        with pytest.raises(ValueError, match=said.format(named)):
            BucketRegressor(engine=engine, early_stopping_rounds=3).fit(bad, y)


def test_files_of_format_1_are_read(tmp_path: Path) -> None:
    model = small().fit(np.arange(50.0)[:, None], np.arange(50.0))
    model.save(tmp_path / "model.gbreg")
    with zipfile.ZipFile(tmp_path / "model.gbreg") as new, zipfile.ZipFile(tmp_path / "old.gbreg", "w") as old:
        for name in new.namelist():
            described = new.read(name)
            if name == "gbreg.json":
                content = json.loads(described)
                content["format"] = 1
                del content["fitted"]["columns_"]["$columns"]["ranked"]
                described = json.dumps(content).encode()
            old.writestr(name, described)
    assert np.array_equal(load(tmp_path / "old.gbreg").predict([[3.0]]), model.predict([[3.0]]))


@every_engine
def test_integers_keep_every_digit(engine: str) -> None:
    """LightGBM makes float32 of a numpy array of integers, in training and prediction."""
    values = COLUMNS["dates"].astype(np.int64)
    X = values[STEP][:, None]
    model = exact(engine).fit(X, EFFECT[STEP])
    assert model.columns_.matrix(X).values.dtype == np.float64
    assert np.abs(model.predict(values[:, None]) - EFFECT).mean() < 0.05
    assert np.array_equal(model.predict(values[:, None]), model.predict(values[:, None].astype(float)))
    assert np.array_equal(model.predict(values[:, None]), model.predict(values[:, None].tolist()))


def test_lightgbm_merges_integers_of_an_array() -> None:
    values = COLUMNS["dates"].astype(np.int64)
    quiet = {"verbosity": -1, "num_threads": 1, "min_data_in_leaf": 1, "num_leaves": 400, "min_data_in_bin": 1}
    X = np.repeat(values, 3)[:, None]
    y = np.repeat(EFFECT, 3)
    whole, real = (lgb.train(quiet, lgb.Dataset(x, y), 60).predict(x) for x in (X, X.astype(np.float64)))
    assert np.abs(real - y).mean() < 0.01
    assert np.abs(whole - y).mean() > 0.1


# -- tables that hold no rows, labels that are no numbers --------------------------------------------------------------


@pytest.mark.parametrize(
    "model",
    [
        GBRegressor(n_estimators=2, n_jobs=1),
        WCERegressor(n_estimators=2, n_jobs=1),
        D2QRegressor(GBRegressor(n_estimators=2, n_jobs=1), "a"),
    ],
    ids=lambda model: type(model).__name__,
)
def test_lazy_tables_are_to_be_collected(model: Any) -> None:
    table = pl.DataFrame({"a": np.arange(60.0), "b": np.arange(60.0) % 7})
    y = np.arange(60.0)
    said = r"X is a lazy table \(polars LazyFrame\), which holds no rows yet: collect it first"
    with pytest.raises(TypeError, match=said):
        model.fit(table.lazy(), y)
    with pytest.raises(TypeError, match=said):
        model.fit(table, y, eval_set=(table.lazy(), y))
    with pytest.raises(TypeError, match=said):
        model.fit(table, y).predict(table.lazy())


@pytest.mark.parametrize("series", [np.asarray, pd.Series, pl.Series])
def test_durations_and_dates_are_no_labels(series: Any) -> None:
    X, seconds = np.arange(60.0)[:, None], np.arange(60)
    durations, dates = series(seconds.astype("timedelta64[ns]")), series(seconds.astype("datetime64[ns]"))
    for model in (small(), BucketRegressor(), D2QRegressor(small(), 0), HurdleRegressor(small("bernoulli"), small())):
        with pytest.raises(ValueError, match=r"y holds durations \(timedelta64\[ns\]\), .* divide them by one, such as np"):
            model.fit(X, durations)
        with pytest.raises(ValueError, match=r"y holds dates \(datetime64\[ns\]\): turn them into numbers"):
            model.fit(X, dates)
    for refused in (
        lambda: small().fit(X, seconds, durations),
        lambda: small().fit(X, seconds, eval_set=(X, durations)),
        lambda: SquaredError().fit(durations),
        lambda: metrics.mean_absolute_error(durations, seconds),
        lambda: metrics.pcoc(seconds, durations),
        lambda: IsotonicCalibrator().fit(durations, seconds),
        lambda: compare(X, durations, X, durations),
        lambda: report({"a": seconds}, None, durations),
    ):
        with pytest.raises(ValueError, match="holds durations"):
            refused()
    for times in (seconds.astype("timedelta64[s]"), seconds.astype("datetime64[s]")):
        with pytest.raises(ValueError, match=r"X holds d(ates|urations)"):
            small().fit(times[:, None], seconds)
        with pytest.raises(TypeError, match=r"column 'a' holds D.*: .*turn times into numbers"):
            small().fit(pd.DataFrame({"a": times}), seconds)
