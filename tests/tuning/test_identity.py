"""A stored study answers the question that it was asked, and no other."""

from __future__ import annotations

import io
import json
import struct
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet
import pytest
import scipy.sparse
from sklearn.model_selection import KFold

from gbreg import CalibratedRegressor, GBRegressor, HurdleRegressor
from gbreg.losses import Huberpp
from gbreg.metrics import get_metric
from gbreg.tuning import Choice, LogUniform, Tuned, tune
from gbreg.tuning.identity import _columns, _described
from gbreg.tuning.study import open_storage
from tests.tuning.test_space import spend
from tests.tuning.test_tune import FEW

optuna.logging.set_verbosity(optuna.logging.ERROR)

ENDING = r"\. Its trials cannot be compared: ask as it was asked, or give another storage= \(or study_name=\)$"


def table() -> tuple[pd.DataFrame, Any]:
    X, y = spend(zeros=0.0)
    frame = pd.DataFrame(np.where(X[:, :3] > 2, np.nan, X[:, :3]), columns=["price", "age", "size"])
    frame["shop"] = pd.Categorical(np.where(X[:, 3] > 0, "north", np.where(X[:, 3] > -1, "south", None)))
    return frame, y


X, Y = table()


def ask(storage: Path, X: Any = X, y: Any = Y, model: Any = None, n_trials: int = 1, **more: Any) -> Tuned:
    model = GBRegressor("huberpp", n_estimators=4, n_jobs=1) if model is None else model
    given = {"metric": "mae", "space": FEW, "refit": False} | more
    return tune(model, X, y, n_trials=n_trials, storage=storage, **given)


def huberpp(**changed: Any) -> GBRegressor:
    return GBRegressor(**{"loss": "huberpp", "n_estimators": 4, "n_jobs": 1} | changed)


OTHERS: dict[str, tuple[dict[str, Any], str]] = {
    "a column dropped": ({"X": X.drop(columns="price")}, "column 'price' missing now"),
    "one added": ({"X": X.assign(day=1)}, "column 'day' new"),
    "one renamed": ({"X": X.rename(columns={"age": "years"})}, "column 'age' missing now; column 'years' new"),
    "another order": ({"X": X[["age", "price", "size", "shop"]]}, "columns in another order"),
    "other values": (
        {"X": X.assign(age=X["age"] + 1e-12, shop=X["shop"].cat.rename_categories({"north": "west"}))},
        "other values in columns 'age', 'shop'",
    ),
    "no names": (
        {"X": X[["price", "age"]].to_numpy()},
        "columns 'price', .* missing now; columns 0, 1 new",
    ),
    "fewer rows": ({"X": X[:-1], "y": Y[:-1]}, "300 rows then, 299 now"),
    "other labels": ({"y": 2 * Y}, "other labels"),
    "weights": ({"sample_weight": np.arange(1, 301)}, "weights now, none then"),
    "seed": ({"seed": 1}, "rows split otherwise, .*; seed 0 then, 1 now; random_state 0 then, 1 now"),
    "folds": ({"cv": 2}, "rows split otherwise, by seed=, cv=, .* or calibration"),
    "time": ({"time": np.arange(300)}, "rows split otherwise"),
    "groups": ({"groups": np.arange(300) // 5}, "rows split otherwise"),
    "a share": ({"validation_fraction": 0.3}, "rows split otherwise"),
    "given rows": ({"eval_set": (X[:20], Y[:20])}, "other rows in eval_set"),
    "metric": ({"metric": "rmse"}, r"metric \['mae'\] then, \['rmse'\] now"),
    "engine": ({"model": huberpp(engine="xgboost")}, "engine 'lightgbm' then, 'xgboost' now"),
    "rounds": ({"model": huberpp(n_estimators=5)}, "n_estimators 4 then, 5 now"),
    "boosting": ({"model": huberpp(reg_lambda=2.0)}, "reg_lambda 0.0 then, 2.0 now"),
    "the engine's own": (
        {"model": huberpp(engine_params={"extra_trees": True})},
        "engine_params None then, {'extra",
    ),
    "a loss's own": ({"model": huberpp(loss=Huberpp(C=2.0))}, "loss__C 1.0 then, 2.0 now"),
    "another loss": ({"model": huberpp(loss="poisson")}, "loss 'Huberpp' then, 'Poisson' now"),
    "patience": ({"early_stopping_rounds": 3}, "early_stopping_rounds 50 then, 3 now"),
    "calibration": ({"model": huberpp(calibration="ratio")}, ".* or calibration; calibration None then, 'ratio' now"),
    "fixed": ({"space": {**FEW, "max_leaves": None}}, r"max_leaves searched \(Integers\) then, 31 now"),
    "a choice": (
        {"space": {**FEW, "max_leaves": Choice((7, 8))}},
        r"max_leaves .* then, searched \(\[7, 8\]\) now",
    ),
    "another model": (
        {"model": CalibratedRegressor(huberpp(), cv=KFold(2))},
        r"models \['GBRegressor'\] then, \['Calib",
    ),
    "several": ({"losses": ["poisson"], "space": {}}, r"models \['GBRegressor'\] then, \['poisson'\] now"),
}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("studies") / "study.db"
    ask(file)
    return file


@pytest.mark.parametrize(("other", "message"), OTHERS.values(), ids=OTHERS)
def test_another_question_is_refused_before_any_training(stored: Path, other: dict[str, Any], message: str) -> None:
    space = {} if isinstance(other.get("model"), CalibratedRegressor) else FEW
    with pytest.raises(ValueError, match=f"^study 'gbreg' was asked another question: {message}.*{ENDING}"):
        ask(stored, n_trials=9, **{"space": space} | other)
    assert len(optuna.load_study(study_name="gbreg", storage=open_storage(stored)).trials) == 1


def test_another_question_under_another_name(stored: Path) -> None:
    assert len(ask(stored, metric="rmse", study_name="rmse").trials_) == 1


def as_csv(frame: pd.DataFrame) -> pd.DataFrame:
    read = pd.read_csv(io.StringIO(frame.to_csv(index=False)))
    return read.assign(shop=read["shop"].astype("category"))


def as_parquet(frame: pd.DataFrame) -> pa.Table:
    file = io.BytesIO()
    pa.parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), file)
    return pa.parquet.read_table(file)


FORMATS = {
    "polars": pl.from_pandas,
    "pyarrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "csv": as_csv,
    "parquet": as_parquet,
    "nullable": lambda frame: frame.astype({"price": "Float64", "age": "Float64"}),
}


@pytest.mark.parametrize("made", FORMATS.values(), ids=FORMATS)
def test_the_same_table_in_another_format_is_the_same_question(made: Any) -> None:
    frame, _ = table()
    frame = frame.assign(count=np.arange(300), flag=np.arange(300) % 2 == 0)
    assert _columns(made(frame)) == _columns(frame)


def hashed(data: bytes) -> str:
    return blake2b(data, digest_size=8).hexdigest()


def test_a_question_is_told_by_values_alone() -> None:
    numbers = np.array([[1.0, -0.0], [np.nan, 2.0], [0.1, 3.0]])
    known = [[0, hashed(struct.pack("<3d", 1.0, float("nan"), 0.1))], [1, hashed(struct.pack("<3d", 0.0, 2.0, 3.0))]]
    assert _columns(numbers) == known
    assert _columns(np.asfortranarray(numbers)) == known
    assert _columns(numbers.tolist()) == known
    assert _columns(np.array([[1.0, 0.0], [-np.nan, 2.0], [0.1, 3.0]])) == known
    named = pd.DataFrame({"a": ["x", None, "yö"], "b": numbers[:, 1].astype(np.int8)})
    assert _columns(named) == [["a", hashed(json.dumps(["x", None, "yö"]).encode())], ["b", known[1][1]]]
    long = np.random.default_rng(0).normal(size=(9_001, 2))  # several blocks
    assert [digest for _, digest in _columns(long)] == [_columns(long[:, [j]])[0][1] for j in range(2)]


def test_sparse_and_very_wide_tables_are_told_apart() -> None:
    dense = np.random.default_rng(0).poisson(0.1, size=(50, 600)).astype(float)
    changed = dense.copy()
    changed[7, 7] += 1
    for kind in (np.asarray, scipy.sparse.csr_matrix, scipy.sparse.csc_matrix):
        assert _columns(kind(dense)) == _columns(kind(dense.copy())) != _columns(kind(changed))
        assert set(_columns(kind(dense))) == {"n", "hash"}
    explicit = scipy.sparse.csr_matrix(dense)
    explicit.data[0] = 0.0
    implicit = explicit.copy()
    implicit.eliminate_zeros()
    assert _columns(explicit) == _columns(implicit)


def test_what_changes_no_score_is_the_same_question(tmp_path: Path) -> None:
    ask(tmp_path / "study.db", n_trials=2)
    found = ask(
        tmp_path / "study.db",
        n_trials=4,
        X=pl.from_pandas(X),
        y=list(Y),
        model=GBRegressor(Huberpp(), n_estimators=np.int64(4), n_jobs=2, verbose=0, early_stopping_rounds=50),
        space={**FEW, "learning_rate": LogUniform(0.5, 0.9)},
        pruner=None,
        timeout=60,
    )
    assert [trial.parameters["learning_rate"] >= 0.5 for trial in found.trials_] == [False, False, True, True]


def hurdle(**boosting: Any) -> HurdleRegressor:
    whether, how_much = (
        GBRegressor(loss, **{"n_estimators": 2, "n_jobs": 1} | boosting) for loss in ("bernoulli", "squared_error")
    )
    return HurdleRegressor(whether, how_much)


def test_the_parameters_of_every_part_count(tmp_path: Path) -> None:
    _, y = spend()
    given = {"y": y, "space": {}}
    ask(tmp_path / "study.db", model=hurdle(), **given)
    assert len(ask(tmp_path / "study.db", model=hurdle(n_jobs=2), n_trials=2, **given).trials_) == 2
    with pytest.raises(ValueError, match=r"question: max_depth None then, 3 now\. Its"):
        ask(tmp_path / "study.db", model=hurdle(max_depth=3), **given)
    with pytest.raises(ValueError, match=r"question: regressor__max_depth None then, 3 now\. Its"):
        ask(tmp_path / "study.db", model=hurdle().set_params(regressor__max_depth=3), **given)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.float32(0.5), 0.5),
        (float("nan"), "nan"),
        ((1, [0, np.int8(-1)]), [1, [0, -1]]),
        ({"a": {"b": None}}, {"a": {"b": None}}),
        (get_metric("mae"), "mae"),
        (spend, "tests.tuning.test_space.spend"),
        (Huberpp(), "Huberpp"),
        (KFold(3), "KFold(n_splits=3, random_state=None, shuffle=False)"),
        (np.array([1.0, 2.0]), "array of shape (2,), 2bc1933bf39751c1"),
        (np.random.RandomState(0), "RandomState 7968322ded067686"),
        (object(), "<object object>"),
    ],
)
def test_parameters_of_every_kind_are_told_the_same_in_every_process(value: Any, told: Any) -> None:
    assert _described(value) == told


def test_a_search_over_losses_knows_its_boosting_and_its_recipes(tmp_path: Path) -> None:
    given = {"losses": ["poisson", Huberpp(delta=0.3)], "space": {"huberpp:delta=0.3.loss__delta": None}}
    ask(tmp_path / "study.db", model=GBRegressor(n_estimators=2, n_jobs=1), **given)
    assert len(ask(tmp_path / "study.db", model=GBRegressor(n_estimators=2, n_jobs=2), n_trials=2, **given).trials_) == 2
    with pytest.raises(ValueError, match=r"question: engine 'lightgbm' then, 'catboost' now\. Its"):
        ask(tmp_path / "study.db", model=GBRegressor(n_estimators=2, engine="catboost"), **given)
    with pytest.raises(ValueError, match=r"question: models \['poisson', 'huberpp:delta=0.3'\] then, \['poisson', 'huber"):
        ask(tmp_path / "study.db", model=GBRegressor(n_estimators=2), losses=["poisson", "huberpp"], space={})


def test_studies_that_do_not_say_what_they_were_asked(tmp_path: Path) -> None:
    storage = open_storage(tmp_path / "study.db")
    study = optuna.create_study(study_name="gbreg", storage=storage)
    study.optimize(lambda trial: trial.suggest_float("learning_rate", 0.02, 0.3), 2)
    study.set_user_attr("gbreg", {"metric": ["mae"]})  # as earlier versions did
    message = "'gbreg' has 2 trials and does not say of which columns, rows and parameters.* give another storage="
    with pytest.raises(ValueError, match=message):
        ask(tmp_path / "study.db")
    optuna.create_study(study_name="empty", storage=storage)
    assert len(ask(tmp_path / "study.db", study_name="empty").trials_) == 1
