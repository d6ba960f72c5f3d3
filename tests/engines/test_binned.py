"""Data binned once: the same models bit for bit as from fresh data, whatever else changes between trainings."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest
import scipy.sparse

from gbreg import BucketRegressor, GBRegressor, HurdleRegressor
from gbreg.engines import ENGINES, get_engine
from gbreg.engines.binned import SharedBins
from gbreg.losses import Huberpp, Tweedie


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return str(request.param)


def spend(n: int = 600) -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 5))
    X[rng.random(X.shape) < 0.05] = np.nan
    X[:, 4] = np.round(X[:, 4])
    return X, np.exp(np.nan_to_num(X[:, 0]) + 0.5 * rng.normal(size=n)), rng.uniform(0.5, 2.0, n)


def models(engine: str) -> list[Any]:
    """What a study changes from trial to trial, back and forth."""
    more = {"engine": engine, "n_estimators": 8, "max_leaves": 8, "n_jobs": 1, "random_state": 0}
    return [
        GBRegressor(Huberpp(delta=0.5), **more),
        GBRegressor(Huberpp(delta=2.0, link="log"), **(more | {"learning_rate": 0.3, "min_child_samples": 5})),
        GBRegressor("squared_error", native=True, **(more | {"max_leaves": 20, "reg_lambda": 3.0})),
        GBRegressor(Huberpp(), **(more | {"subsample": 0.7, "colsample": 0.6})),
        GBRegressor(Tweedie(power=1.2), **more),
        GBRegressor(Tweedie(power=1.8), **more),
        GBRegressor(Huberpp(delta=0.5), **(more | {"max_bins": 15})),
        GBRegressor(Huberpp(delta=0.5), **more),
    ]


def same(model: Any, other: Any, X: Any) -> bool:
    boosters = get_engine(model.engine)
    if model.engine == "lightgbm":  # but for the parameters, every byte of the file
        return bool(boosters.to_bytes(model.booster_) == boosters.to_bytes(other.booster_))
    return bool(np.array_equal(model.predict_raw(X), other.predict_raw(X)))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("evaluated", [False, True])
def test_shared_bins_give_the_model_of_fresh_data(engine: str, weighted: bool, evaluated: bool) -> None:
    X, y, weight = spend()
    given: dict[str, Any] = {"sample_weight": weight[:450]} if weighted else {}
    if evaluated:
        given |= {"eval_set": [(X[450:], y[450:])]}
    shared = SharedBins()
    for model in models(engine):
        fresh = model.fit(X[:450], y[:450], **given)
        with shared.in_use():
            again = type(model)(**model.get_params(deep=False)).fit(X[:450].copy(), y[:450], **given)
        assert same(fresh, again, X), model
        assert fresh.evals_result_ == again.evals_result_
    assert 2 <= shared.made <= {"xgboost": 5, "catboost": 4}.get(engine, 2)


def test_other_rows_and_other_weights_are_not_taken_for_the_same(engine: str) -> None:
    X, y, weight = spend()
    shared = SharedBins()
    model = GBRegressor(Huberpp(), engine=engine, n_estimators=5, n_jobs=1)
    changed = X.copy()
    changed[7, 3] += 5.0
    for X_, y_, w_ in ((X, y, None), (changed, y, None), (X, 2 * y, None), (X, y, weight), (X, y, weight**2), (X, y, None)):
        with shared.in_use():
            mine = GBRegressor(**model.get_params(deep=False)).fit(X_, y_, w_)
        assert same(mine, model.fit(X_, y_, w_), X)


def test_a_column_that_is_missing_in_evaluation_rows_alone(engine: str) -> None:
    X, y, _ = spend()
    X[:450, 0] = np.nan_to_num(X[:450, 0])
    model = GBRegressor(Huberpp(), engine=engine, n_estimators=5, n_jobs=1)
    fresh = GBRegressor(**model.get_params(deep=False)).fit(X[:450], y[:450], eval_set=(X[450:], y[450:]))
    shared = SharedBins()
    for _ in range(2):
        with shared.in_use():
            model.fit(X[:450], y[:450], eval_set=(X[450:], y[450:]))
        assert same(model, fresh, X)
        assert model.evals_result_ == fresh.evals_result_


def test_several_outputs_parts_categories_and_sparse_rows(engine: str) -> None:
    pandas = pytest.importorskip("pandas")
    X, y, _ = spend()
    y = np.where(np.arange(y.size) % 3 == 0, 0.0, y)
    table = pandas.DataFrame(X, columns=list("abcde")).assign(e=pandas.Categorical(X[:, 4].astype(str)))
    few = {"engine": engine, "n_estimators": 3, "n_jobs": 1}
    if engine != "catboost":  # which trains several outputs row by row
        few |= {"max_leaves": 5}
    cases: list[tuple[Any, Any]] = [
        (HurdleRegressor(GBRegressor("bernoulli", **few), GBRegressor("gamma", **few)), X),
        (GBRegressor(Tweedie(), **few), table),
        (GBRegressor(Tweedie(), **few), scipy.sparse.csr_matrix(np.nan_to_num(X))),
    ]
    if engine != "catboost":
        cases.append((BucketRegressor(n_buckets=8, zeros="bucket", **few), X))
    for model, X_ in cases:
        fresh = model.fit(X_, y).predict(X_)
        shared = SharedBins()
        for _ in range(2):
            with shared.in_use():
                np.testing.assert_array_equal(model.fit(X_, y).predict(X_), fresh)


def test_threads_do_not_share_one_data_set_at_a_time() -> None:
    X, y, _ = spend()
    shared = SharedBins()
    both = threading.Barrier(2, timeout=30)
    fitted: dict[float, Any] = {}

    def fit(power: float) -> None:
        from gbreg.engines import EachRound

        model = GBRegressor(Tweedie(power=power), n_estimators=8, n_jobs=1)
        waits = EachRound(lambda done, latest: bool(both.wait() * 0))
        with shared.in_use():
            fitted[power] = model.fit(X, y, callbacks=[waits])

    threads = [threading.Thread(target=fit, args=(power,)) for power in (1.2, 1.8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert shared.made == 2
    for power, model in fitted.items():
        assert same(model, GBRegressor(Tweedie(power=power), n_estimators=8, n_jobs=1).fit(X, y), X)


def test_the_longest_unused_goes_first() -> None:
    X, y, _ = spend()
    shared = SharedBins(most=2)
    for n in (100, 200, 300, 200, 100):
        with shared.in_use():
            GBRegressor(n_estimators=1).fit(X[:n], y[:n])
    assert shared.made == 4  # 200 was still there, 100 was not


def test_a_failed_training_leaves_nothing_behind() -> None:
    X, y, _ = spend()
    shared = SharedBins()
    model = GBRegressor("gamma", n_estimators=2)

    def fail(env: Any) -> None:
        raise FloatingPointError("diverged")

    with shared.in_use():
        for callbacks in ([], [fail]):
            if callbacks:
                with pytest.raises(FloatingPointError, match="diverged"):
                    model.fit(X, y, callbacks=callbacks)
            else:
                model.fit(X, y)
        model.fit(X, y)
    assert shared.made == 2
