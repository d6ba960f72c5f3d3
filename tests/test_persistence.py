"""Every estimator x engine, saved and loaded in a fresh process: complete, safe, bit for bit the same."""

from __future__ import annotations

import importlib
import json
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

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
from gbreg.engines import ENGINES
from gbreg.links import Power
from gbreg.losses import Huberpp, SquaredError, TransformedSquaredError, loss_from_json

SMALL = {"n_estimators": 4, "max_leaves": 4, "n_jobs": 1}
MODELS = {
    "regressor": lambda engine: GBRegressor(Huberpp(label_floor=0.1, link="log"), engine=engine, **SMALL),
    "regressor, power link": lambda engine: GBRegressor(SquaredError(link=Power(0.5)), engine=engine, **SMALL),
    "regressor, smeared": lambda engine: GBRegressor(TransformedSquaredError(), engine=engine, **SMALL),
    "buckets": lambda engine: BucketRegressor(n_buckets=8, engine=engine, **SMALL),
    "buckets, explicit edges": lambda engine: BucketRegressor(edges=np.array([0.5, 2.0, 9.0]), engine=engine, **SMALL),
    "buckets, zeros among them": lambda engine: BucketRegressor(n_buckets=8, zeros="bucket", engine=engine, **SMALL),
    "ziln": lambda engine: ZILNRegressor(engine=engine, **SMALL),
    "ziln, joint": lambda engine: ZILNRegressor(factorized=False, engine=engine, **SMALL),
    "ordinal": lambda engine: OrdinalRegressor(n_buckets=8, engine=engine, **SMALL),
    "wce": lambda engine: WCERegressor("log2", engine=engine, **SMALL),
    "wce, copied": lambda engine: WCERegressor("log2", implementation="duplicate", engine=engine, **SMALL),
    "d2q": lambda engine: D2QRegressor(GBRegressor(engine=engine, **SMALL), "amount of visits", 4),
    "calibrated": lambda engine: CalibratedRegressor(GBRegressor(engine=engine, **SMALL), "spline", 2, segment="city"),
    "hurdle": lambda engine: HurdleRegressor(
        GBRegressor("bernoulli", engine=engine, **SMALL), GBRegressor("gamma", engine=engine, **SMALL)
    ),
}
READ = """
import sys
import numpy as np
import pandas as pd
import gbreg
from tests.test_persistence import readouts
table, *models = sys.argv[1:]
for model in models:
    np.save(model + ".npy", readouts(gbreg.load(model), pd.read_pickle(table)))
"""


def table(n=400, seed=0):
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "amount of visits": rng.poisson(3, n).astype(float),
            "age": np.where(rng.random(n) < 0.1, np.nan, rng.normal(40, 10, n)),
            "city": pd.Categorical(rng.choice(["bonn", "köln", "ulm"], n)),
        }
    )
    y = np.where(rng.random(n) < 0.4, 0.0, np.exp(X["amount of visits"] / 4 + rng.normal(0, 0.5, n)))
    return X, y


def readouts(model, X):
    """Everything that can be read from a fitted model, one row each."""
    try:
        d = model.predict_distribution(X)
    except (TypeError, AttributeError):
        return np.array([model.predict(X)])
    more = [d.mean(), d.median(), d.log_mean(), d.quantile(0.9), d.cdf(1.0), d.crps(2.0), d.log_score(2.0)]
    return np.array([model.predict(X), model.predict(X, "log_mean"), *more])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_fresh_process_reads_the_same(engine, tmp_path):
    X, y = table()
    new, _ = table(60, seed=1)
    new.loc[0, "city"] = np.nan
    new.to_pickle(tmp_path / "X.pkl")
    files = {name: str(tmp_path / f"{name}.gbreg") for name in MODELS}
    here = {}
    for name, file in files.items():
        model = MODELS[name](engine).fit(X, y)
        model.save(file)
        here[name] = readouts(model, new)
        assert np.ptp(here[name][0]) > 0, name
    subprocess.run([sys.executable, "-c", READ, str(tmp_path / "X.pkl"), *files.values()], check=True)
    for name, file in files.items():
        np.testing.assert_array_equal(np.load(f"{file}.npy"), here[name], err_msg=name)


@pytest.mark.parametrize("file", sorted((Path(__file__).parent / "data").glob("*.gbreg")), ids=lambda file: file.stem)
def test_files_of_0_1_are_read(file):
    X, _ = table(60, seed=1)
    predicted = readouts(gbreg.load(file), X)
    np.testing.assert_allclose(predicted, np.load(file.with_suffix(".npy")), rtol=1e-12)


def test_there_are_files_of_0_1():
    assert len(list((Path(__file__).parent / "data").glob("*.gbreg"))) == 4


@pytest.mark.parametrize("name", MODELS)
def test_a_loaded_model_is_complete(name, tmp_path):
    X, y = table()
    model = MODELS[name]("lightgbm").fit(X, y)
    model.save(tmp_path / "model.gbreg")
    loaded = gbreg.load(tmp_path / "model.gbreg")
    assert repr(loaded.get_params()) == repr(model.get_params())
    assert vars(loaded).keys() == vars(model).keys()
    assert list(loaded.feature_names_in_) == list(X.columns)
    loaded.save(tmp_path / "again.gbreg")
    np.testing.assert_array_equal(gbreg.load(tmp_path / "again.gbreg").predict(X), model.predict(X))
    loaded.fit(X, y)  # it trains again, to the same model
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


def test_no_pickle_inside(tmp_path):
    X, y = table()
    MODELS["buckets"]("lightgbm").fit(X, y).save(tmp_path / "model.gbreg")
    with zipfile.ZipFile(tmp_path / "model.gbreg") as archive:
        for name in archive.namelist():
            assert name.endswith((".json", ".txt", ".npy"))
            assert not archive.read(name).startswith(b"\x80")  # how a pickle begins
        described = json.loads(archive.read("gbreg.json"))
    assert described["estimator"] == "BucketRegressor"
    assert {"gbreg", "lightgbm"} <= described["versions"].keys()


@pytest.mark.parametrize("labels", ["all zero", "all positive", "constant"])
@pytest.mark.parametrize("name", [name for name in MODELS if "power" not in name])
def test_models_with_parts_that_had_nothing_to_learn(name, labels, tmp_path):
    X, y = table()
    y = {"all zero": np.zeros(y.size), "all positive": y + 1.0, "constant": np.full(y.size, 3.0)}[labels]
    model = MODELS[name]("lightgbm").fit(X, y)
    model.save(tmp_path / "model.gbreg")
    np.testing.assert_array_equal(gbreg.load(tmp_path / "model.gbreg").predict(X), model.predict(X))
    if labels != "all positive":
        np.testing.assert_allclose(model.predict(X), y, rtol=1e-6)


def test_what_only_pickle_could_hold(tmp_path):
    X, y = table()
    X = X[["amount of visits"]]
    path = tmp_path / "model.gbreg"
    mixed = HurdleRegressor(LogisticRegression(), GBRegressor("gamma", **SMALL)).fit(X, y)
    path.write_bytes(b"what was there before")
    with pytest.raises(TypeError, match=r"save: classifier=LogisticRegression\(\).*pickle the whole model yourself"):
        mixed.save(path)
    assert path.read_bytes() == b"what was there before"
    assert list(tmp_path.iterdir()) == [path]
    pickle.loads(pickle.dumps(mixed)).predict(X)


@pytest.mark.parametrize(
    ("model", "part"),
    [
        (
            HurdleRegressor(make_pipeline(StandardScaler(), LogisticRegression()), GBRegressor("gamma")),
            "classifier=Pipeline",
        ),
        (HurdleRegressor(GBRegressor("bernoulli"), LinearRegression()), "regressor=LinearRegression"),
        (CalibratedRegressor(make_pipeline(StandardScaler(), LinearRegression())), "estimator=Pipeline"),
        (D2QRegressor(CalibratedRegressor(LinearRegression()), 0), "estimator/estimator=LinearRegression"),
        (GBRegressor(engine_params={"callbacks": {1, 2}}), r"engine_params\.callbacks=\{1, 2\}"),
        (LinearRegression(), "model=LinearRegression"),
    ],
)
def test_what_cannot_be_saved_says_so_before_training(model, part):
    with pytest.raises(TypeError, match=rf"^save: {part}.*pickle the whole model.*gbreg\.check_savable\(model\) says"):
        gbreg.check_savable(model)


@pytest.mark.parametrize("name", MODELS)
def test_what_can_be_saved_says_nothing(name):
    gbreg.check_savable(MODELS[name]("lightgbm"))


def test_metrics_and_generators_are_left_behind(tmp_path):
    X, y = table()
    model = GBRegressor(eval_metric=lambda y, p, w: 0.0, random_state=np.random.RandomState(0), **SMALL).fit(X, y)
    model.save(tmp_path / "model.gbreg")
    loaded = gbreg.load(tmp_path / "model.gbreg")
    assert (loaded.eval_metric, loaded.random_state) == ("loss", None)


def test_splitters_are_left_behind_too(tmp_path):
    X, y = table()
    model = CalibratedRegressor(GBRegressor(**SMALL), cv=KFold(2)).fit(X, y)
    model.save(tmp_path / "model.gbreg")
    loaded = gbreg.load(tmp_path / "model.gbreg")
    assert loaded.cv == 5
    np.testing.assert_array_equal(loaded.predict(X), model.predict(X))


OWN = """
from gbreg import GBRegressor
from gbreg.losses import SquaredError


class Ownloss(SquaredError):
    pass


class OwnRegressor(GBRegressor):
    pass
"""
NOT_IMPORTED = """
import sys
import numpy as np
import pandas as pd
import gbreg
for file in sys.argv[2:]:
    try:
        gbreg.load(file)
    except ValueError as error:
        print(error)
sys.path.insert(0, sys.argv[1])
import shop_losses
for file in sys.argv[2:]:
    print(type(gbreg.load(file)).__module__, type(gbreg.load(file).loss_).__module__, gbreg.load(file).predict([[3.0]])[0])
"""


def test_classes_of_ones_own_name_the_module_to_import(tmp_path, monkeypatch):
    (tmp_path / "shop_losses.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    own = importlib.import_module("shop_losses")
    X, y = np.arange(60.0)[:, None], np.arange(60.0)
    models = {"loss": GBRegressor(own.Ownloss(), **SMALL), "model": own.OwnRegressor(**SMALL)}
    files = [str(tmp_path / f"{name}.gbreg") for name in models]
    for model, file in zip(models.values(), files, strict=True):
        model.fit(X, y).save(file)
    command = [sys.executable, "-c", NOT_IMPORTED, str(tmp_path), *files]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    ending = (
        "is a class of your own, which is not there: import shop_losses first, which defines it (gbreg --import shop_losses "
        "on the command line)"
    )
    at_three = [model.predict([[3.0]])[0] for model in models.values()]
    assert said == [
        f"load: {files[0]!r}: loss 'ownloss' {ending}",
        f"load: {files[1]!r}: estimator 'OwnRegressor' {ending}",
        f"gbreg.estimators.regressor shop_losses {at_three[0]}",
        f"shop_losses gbreg.losses.errors {at_three[1]}",
    ]


def test_a_loss_of_ones_own_is_never_taken_for_a_built_in_one():
    described = SquaredError().to_json()
    assert "module" not in described  # as in all files of before
    assert isinstance(loss_from_json(described), SquaredError)
    with pytest.raises(ValueError, match=r"loss 'squared_error' is a class of your own.*import shop\.losses first"):
        loss_from_json({**described, "module": "shop.losses"})
    with pytest.raises(ValueError, match=r"loss 'gone' is a class of your own.* a script or notebook defined it: define it"):
        loss_from_json({**described, "loss": "gone", "module": "__main__"})
    with pytest.raises(ValueError, match="Your own loss is known once the module that defines its class has been imported"):
        loss_from_json({**described, "loss": "gone"})


def test_mistakes(tmp_path):
    X, y = table()
    with pytest.raises(NotFittedError):
        GBRegressor().save(tmp_path / "model.gbreg")
    model = GBRegressor(**SMALL).fit(X, y)
    with pytest.raises(FileNotFoundError, match="does not exist: create it first"):
        model.save(tmp_path / "nowhere" / "model.gbreg")
    with pytest.raises(FileNotFoundError):
        gbreg.load(tmp_path / "model.gbreg")
    (tmp_path / "text").write_text("no zip")
    with pytest.raises(ValueError, match="is not a file written by gbreg's save"):
        gbreg.load(tmp_path / "text")
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", "b")
    with pytest.raises(ValueError, match="is not a file written by gbreg's save"):
        gbreg.load(tmp_path / "zip")
    with zipfile.ZipFile(tmp_path / "later", "w") as archive:
        archive.writestr("gbreg.json", json.dumps({"format": 99, "versions": {"gbreg": "9.0"}}))
    with pytest.raises(
        ValueError, match=r"has format 99, this gbreg reads up to 2: install the gbreg that wrote it \(9.0\)"
    ):
        gbreg.load(tmp_path / "later")
