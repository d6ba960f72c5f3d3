"""Rows one at a time: the same numbers as in a batch, bit for bit, and the same checks."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gbreg import BucketRegressor, GBRegressor, HurdleRegressor, OrdinalRegressor, ZILNRegressor
from gbreg.losses import SoftmaxBuckets

ENGINES = ("lightgbm", "xgboost", "catboost")
FEW = {"n_estimators": 12, "max_leaves": 6, "n_jobs": 1, "random_state": 0}
LINEAR = {"lightgbm": {"linear_tree": True}, "xgboost": {}, "catboost": {}}
MODELS = {
    "one output": lambda **given: GBRegressor("poisson", **given),
    "log-normal": lambda **given: GBRegressor("log_normal", **given),
    "buckets of full rank": lambda **given: GBRegressor(SoftmaxBuckets(n_buckets=9, rank=None), **given),
    "buckets": lambda **given: BucketRegressor(n_buckets=30, **given),
    "recalibrated buckets": lambda **given: BucketRegressor(n_buckets=30, calibration="pit", **given),
    "ordinal": lambda **given: OrdinalRegressor(n_buckets=20, **given),
    "ziln": lambda **given: ZILNRegressor(**given),
    "linear trees": lambda **given: GBRegressor("huber", engine_params=LINEAR[given["engine"]], **given),
    "hurdle": lambda **given: HurdleRegressor(GBRegressor("bernoulli", **given), GBRegressor("gamma", **given)),
}


def spend(n=600, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 4))
    y = np.exp(1 + X[:, 0] + 0.8 * rng.normal(size=n))
    X[rng.random((n, 4)) < 0.05] = np.nan
    return X, y


def fitted(name, engine):
    X, y = spend()
    if name not in ("log-normal",):
        y = np.where(np.random.default_rng(1).random(y.size) < 0.4, 0.0, y)
    parameters = FEW | ({} if engine != "catboost" or "full rank" not in name else {"n_estimators": 3})
    return MODELS[name](engine=engine, **parameters).fit(X if name != "hurdle" else np.nan_to_num(X), y)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["buckets of full rank", "buckets", "ordinal"])
def test_the_prediction_is_the_mean_of_the_distribution_to_the_bit(name, engine):
    model = fitted(name, engine)
    X = spend(400, 1)[0]
    np.testing.assert_array_equal(model.predict_distribution(X).mean(), model.predict(X))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", MODELS)
def test_a_row_alone_is_that_of_a_batch(name, engine):
    model = fitted(name, engine)
    X = spend(40, 1)[0] if name != "hurdle" else np.nan_to_num(spend(40, 1)[0])
    whole = model.predict(X)
    reads = [lambda some: model.predict(some, 0.7), lambda some: model.predict_distribution(some).mean()]
    if hasattr(model, "predict_distribution"):
        for read in reads:
            np.testing.assert_array_equal([read(row[None])[0] for row in X[:10]], read(X)[:10])
    kinds = {
        "rows": lambda row: row[None],
        "of another layout": lambda row: np.asfortranarray(np.vstack([row, row]))[:1],
        "read-only": lambda row: np.broadcast_to(row, (1, row.size)),
        "lists": lambda row: [row.tolist()],
    }
    for kind, of in kinds.items():
        np.testing.assert_array_equal([model.predict(of(row))[0] for row in X], whole, err_msg=kind)
    singles = X.astype(np.float32)
    np.testing.assert_array_equal([model.predict(row[None])[0] for row in singles], model.predict(singles))
    with ThreadPoolExecutor(8) as pool:
        np.testing.assert_array_equal(list(pool.map(lambda row: model.predict(row[None])[0], X)), whole)


@pytest.mark.parametrize("name", ["one output", "buckets", "hurdle"])
def test_a_row_is_checked_as_many_are(name):
    model = fitted(name, "lightgbm")
    row = np.zeros((1, 4))
    for wrong, message in (
        (np.zeros((1, 3)), "X has 3 features, but .* is expecting 4 features as input"),
        (np.zeros(4), "Reshape your data"),
        (np.zeros((0, 4)), "0 sample"),
        (np.full((1, 4), np.inf), "Input X contains infinity: column 0, first at row 0"),
        (np.full((1, 4), -np.inf, dtype=np.float32), "Input X contains infinity: column 0, first at row 0"),
        (np.zeros((1, 4), dtype="timedelta64[s]"), "X holds durations"),
    ):
        with pytest.raises(ValueError, match=message):
            model.predict(wrong)
    for same in (row.astype(int), row.astype(object), row.astype(">f8"), row.astype(np.float16)):
        np.testing.assert_array_equal(model.predict(same), model.predict(row))
    huge = np.array([[1e300, -1e300, 0.0, 0.0]])
    np.testing.assert_array_equal(model.predict(huge), model.predict(np.clip(huge, -1e30, 1e30)))


def test_an_array_for_a_table_of_names_is_warned_of():
    pd = pytest.importorskip("pandas")
    X, y = spend()
    model = GBRegressor("gamma", **FEW).fit(pd.DataFrame(X, columns=list("abcd")), y)
    with pytest.warns(UserWarning, match="X does not have valid feature names"):
        model.predict(X[:1])
