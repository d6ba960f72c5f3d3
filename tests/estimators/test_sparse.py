"""Sparse matrices: what they leave out is 0, on every engine, in training and in prediction."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse

from gbreg import GBRegressor
from gbreg.engines import ENGINES, get_engine
from gbreg.engines import xgboost as engine_of_blocks
from tests.race import models

pytest.importorskip("xgboost")
pytest.importorskip("catboost")
every_engine = pytest.mark.parametrize("engine", ENGINES)


def rows(n: int = 300, seed: int = 0) -> tuple[Any, Any, Any]:
    """A dense matrix with zeros and missing values, the same one sparse, and labels."""
    rng = np.random.default_rng(seed)
    X = np.round(rng.normal(size=(n, 5)), 1)
    X = np.where(np.abs(X) < 0.8, 0.0, X)
    X[rng.random(n) < 0.1, 1] = np.nan
    y = np.where(rng.random(n) < 0.4, 0.0, np.exp(1 + X[:, 0] + np.nan_to_num(X[:, 1], nan=2.0)))
    return X, scipy.sparse.csr_matrix(X), y


@every_engine
@pytest.mark.parametrize("name", models("lightgbm"))
def test_sparse_and_dense_are_the_same_rows(engine: str, name: str) -> None:
    X, sparse, y = rows()
    model = models(engine, n_estimators=6)[name]
    dense_fit = model.fit(X, y)
    expected = dense_fit.predict(X)
    np.testing.assert_allclose(dense_fit.predict(sparse), expected, rtol=1e-9)
    sparse_fit = model.fit(sparse, y)
    np.testing.assert_allclose(sparse_fit.predict(X), expected, rtol=1e-6)
    np.testing.assert_allclose(sparse_fit.predict(sparse), expected, rtol=1e-6)
    assert np.ptp(expected) > 0


@pytest.mark.parametrize("weighted", [False, True])
def test_xgboost_bins_and_predicts_a_sparse_matrix_block_by_block(weighted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    _, sparse, y = rows()
    weight = np.random.default_rng(1).integers(1, 5, y.size).astype(float) if weighted else None
    model = GBRegressor(engine="xgboost", n_estimators=6, n_jobs=1)
    whole = model.fit(sparse, y, weight, eval_set=(sparse, y))
    expected, history = whole.predict(sparse), whole.evals_result_
    shapes, of_matrix = [], scipy.sparse.csr_matrix.toarray
    monkeypatch.setattr(engine_of_blocks, "_CELLS", 100)
    monkeypatch.setattr(
        scipy.sparse.csr_matrix, "toarray", lambda self, *a, **k: (shapes.append(self.shape), of_matrix(self, *a, **k))[1]
    )
    blocks = model.fit(sparse, y, weight, eval_set=(sparse, y))
    assert max(n for n, width in shapes if width == 5) == 20
    np.testing.assert_array_equal(blocks.predict(sparse), expected)
    assert blocks.evals_result_ == history


def test_an_entry_that_is_stored_as_nan_is_missing_and_a_stored_zero_is_zero() -> None:
    X, sparse, y = rows()
    stored = scipy.sparse.csr_matrix((X.ravel(), np.tile(np.arange(5), len(X)), np.arange(0, X.size + 1, 5)), shape=X.shape)
    assert stored.nnz == X.size > sparse.nnz
    for engine in ENGINES:
        model = GBRegressor(engine=engine, n_estimators=6, n_jobs=1).fit(sparse, y)
        np.testing.assert_array_equal(model.predict(stored), model.predict(sparse))
        gone = X.copy()
        gone[:, 0] = np.nan
        changed = sparse.tolil()
        changed[:, 0] = np.nan
        np.testing.assert_array_equal(model.predict(changed.tocsr()), model.predict(gone))
        assert (model.predict(gone) != model.predict(X)).any()


@every_engine
def test_the_boosters_own_matrix_of_sparse_rows(engine: str) -> None:
    X, sparse, y = rows()
    model = GBRegressor(engine=engine, n_estimators=6, n_jobs=1).fit(sparse, y)
    own = {"lightgbm": {"raw_score": True}, "xgboost": {"output_margin": True}}.get(engine, {})
    raw = model.booster_.predict(model.to_engine_matrix(sparse), **own)
    np.testing.assert_allclose(raw, model.predict_raw(X), rtol=1e-6)
    assert get_engine(engine).rounds(model.booster_) == 6
