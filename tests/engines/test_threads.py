"""Threads that share a model, and processes forked from one that has trained."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
from joblib import Parallel, delayed
from sklearn.model_selection import GridSearchCV
from threadpoolctl import ThreadpoolController

from gbreg import GBRegressor, ZILNRegressor, load
from gbreg import _kernels as kernels
from gbreg.engines import ENGINES, get_engine, threads
from gbreg.losses import Huberpp
from tests.race import THREADS, at_once, models, predict_at_once, rows

pytest.importorskip("xgboost")
pytest.importorskip("catboost")
every_engine = pytest.mark.parametrize("engine", ENGINES)


@every_engine
@pytest.mark.parametrize("name", models("lightgbm"))
def test_predictions_of_threads_that_share_a_model(engine: str, name: str) -> None:
    X, y = rows(300)
    model = models(engine)[name].fit(X, y)
    assert list(predict_at_once(model, X[:48], calls=12)) == []


@every_engine
def test_first_predictions_after_loading_and_unpickling(engine: str, tmp_path: Any) -> None:
    X, y = rows(300)
    model = GBRegressor("expectile", native=False, engine=engine, n_estimators=15, n_jobs=1).fit(X, y)
    expected = model.predict(X).tobytes()
    model.save(tmp_path / "model.gbreg")
    written = pickle.dumps(model)
    for again in (lambda: load(tmp_path / "model.gbreg"), lambda: pickle.loads(written)):
        for _ in range(10):
            fresh = again()
            assert {p.tobytes() for p in at_once([lambda m=fresh: m.predict(X)] * THREADS)} == {expected}


@every_engine
def test_predicting_with_a_preset_changes_nothing_in_it(engine: str) -> None:
    X, y = rows(300)
    model = ZILNRegressor(engine=engine, n_estimators=5, n_jobs=1).fit(X, y)
    model.set_params(n_jobs=2)
    parts = model.model_, model.model_.classifier_, model.model_.regressor_
    model.predict(X), model.predict_distribution(X)
    assert parts == (model.model_, model.model_.classifier_, model.model_.regressor_)
    assert [part.n_jobs for part in parts[1:]] == [1, 1]


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
def test_n_jobs_is_the_number_of_threads_that_openmp_may_use(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = rows(300)
    models = [ZILNRegressor(engine=engine, n_estimators=3, n_jobs=1), GBRegressor(engine=engine, n_estimators=3, n_jobs=1)]
    models = [model.fit(X, y) for model in models]
    limits, openmp = [], ThreadpoolController().select(user_api="openmp")

    def numbers() -> set[int]:
        return {library["num_threads"] for library in openmp.info()}

    before, kind = numbers(), type(models[1].booster_)
    name = {"lightgbm": "predict", "xgboost": "inplace_predict"}[engine]
    predict = getattr(kind, name)
    monkeypatch.setattr(kind, name, lambda *a, **k: (limits.append(numbers()), predict(*a, **k))[1])
    for model in models:
        for n_jobs in (3, 1):
            model.set_params(n_jobs=n_jobs).predict(X)
    assert limits == [{3}, {3}, {1}, {1}, {3}, {1}]
    assert numbers() == before


@every_engine
def test_threads_that_fit_at_once(engine: str) -> None:
    X, y = rows(600)
    # Each with a loss class of its own, as after an import, so that all compile it at the same time.
    loss = type("HuberppOfThisTest", (Huberpp,), {})

    def fit(n_jobs: int) -> bytes:
        model = GBRegressor(loss(delta=0.3), engine=engine, n_estimators=5, max_leaves=6, n_jobs=n_jobs)
        return model.fit(X[y > 0], y[y > 0]).predict(X).tobytes()

    together = at_once([lambda: fit(1)] * THREADS)
    assert together == [fit(1)] * THREADS
    # Sums over rows depend on how many threads share them: held to rounding.
    mixed = at_once([lambda n=n: fit(n) for n in (1, 2, 1, 2)])
    for got in mixed:
        np.testing.assert_allclose(np.frombuffer(got), np.frombuffer(together[0]), rtol=1e-4)


def test_threads_that_compile_one_kernel_at_once() -> None:
    def scaled(x: float, a: float) -> float:
        return a * x

    x = np.linspace(-1, 1, 1000)
    got = at_once([lambda: kernels.map_scalar(scaled, x, (3.0,)).tobytes()] * THREADS)
    assert set(got) == {(3.0 * x).tobytes()}


def in_process(script: str, seconds: float = 180.0) -> str:
    """What a fresh Python prints; a failed test, and no process left, where it has not ended by then."""
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | {"OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-c", textwrap.dedent(script)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
    )
    try:
        printed, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        printed, _ = process.communicate()
        pytest.fail(f"still running after {seconds:.0f} s, having printed {printed!r}")
    assert process.returncode == 0, printed
    return printed


DIFFERENT = """
    from gbreg import GBRegressor
    from tests.race import predict_at_once, rows

    X, y = rows(300)
    model = GBRegressor("expectile", native=False, engine={engine!r}, n_estimators=15, n_jobs=1).fit(X, y)
    print(list(predict_at_once(model, X[:48], calls=15, jobs=(1, 8, 2, 4))))
"""


@every_engine
def test_threads_that_predict_with_different_numbers_of_jobs(engine: str) -> None:
    # LightGBM lays out memory by one number of threads for all the process: this crashed it.
    assert in_process(DIFFERENT.format(engine=engine)).strip() == "[]"


FORKED = """
    import multiprocessing, tempfile, warnings
    import numpy as np
    from gbreg import GBRegressor, load
    from gbreg.engines import thread_count

    rng = np.random.default_rng(0)
    X = rng.normal(size=(9_000, 3))
    y = X[:, 0] + rng.normal(size=9_000)
    few = dict(engine={engine!r}, n_estimators=3, max_leaves=6, n_jobs=2)
    # All OpenMP there is: of the engine and of the kernels.
    models = [GBRegressor(native=native, **few).fit(X, y) for native in (True, False)]
    before = [model.predict(X) for model in models]

    def child(_):
        assert thread_count(2) == thread_count(None) == 1
        for model, expected in zip(models, before, strict=True):
            np.testing.assert_array_equal(model.predict(X), expected)
            path = tempfile.mkdtemp() + "/model"
            model.save(path)
            np.testing.assert_array_equal(load(path).predict(X), expected)
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always")
                again = model.fit(X, y)
            assert any("OpenMP does not survive a fork" in str(w.message) for w in told), told
            np.testing.assert_allclose(again.predict(X), expected, atol=1e-3)
        return models  # pickled here

    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12 warns of forks of processes with threads
    with multiprocessing.get_context("fork").Pool(1) as pool:
        for model, expected in zip(pool.map(child, [0])[0], before, strict=True):
            np.testing.assert_allclose(model.predict(X), expected, atol=1e-3)
    print("well")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
@every_engine
def test_a_child_forked_after_training_trains_and_predicts_on_one_thread(engine: str) -> None:
    assert in_process(FORKED.format(engine=engine)).strip() == "well"


def test_a_process_not_forked_has_all_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_PROCESS", os.getpid())
    assert not threads.forked()
    assert threads.thread_count(3) == threads.training_threads(3) == 3
    monkeypatch.setattr(threads, "_PROCESS", os.getpid() + 1)
    assert threads.forked()
    assert threads.thread_count(3) == threads.training_threads(1) == 1
    with pytest.warns(UserWarning, match="n_jobs=3: this process was forked .* 'spawn' or 'forkserver'"):
        assert threads.training_threads(3) == 1


@every_engine
def test_processes_of_joblib(engine: str) -> None:
    X, y = rows(200)
    model = GBRegressor(engine=engine, n_estimators=4, n_jobs=2).fit(X, y)
    got = Parallel(n_jobs=2, backend="loky")(delayed(model.predict)(X) for _ in range(2))
    assert [p.tobytes() for p in got] == [model.predict(X).tobytes()] * 2
    search = GridSearchCV(model.set_params(n_jobs=1), {"n_estimators": [2, 4]}, cv=2, n_jobs=2).fit(X, y)
    alone = GridSearchCV(model, {"n_estimators": [2, 4]}, cv=2, n_jobs=1).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])
    assert get_engine(engine).rounds(search.best_estimator_.booster_) == search.best_params_["n_estimators"]
