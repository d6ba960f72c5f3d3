"""WCERegressor: the three implementations against each other and against what each is by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gbreg import GBRegressor, WCERegressor
from gbreg.engines import ENGINES
from gbreg.losses import WCE


def watched(n=2000, seed=0, levels=6):
    """Durations watched, a quarter of them 0, on features of few values: bins do not depend on how rows are counted."""
    rng = np.random.default_rng(seed)
    X = rng.integers(0, levels, size=(n, 3)).astype(float)
    y = np.where(rng.random(n) < 0.25, 0.0, rng.exponential(0.5 + X[:, 0] + 0.5 * X[:, 1]))
    return X, y, rng.integers(1, 4, n).astype(float)


def model(engine="lightgbm", **parameters):
    small = {"n_estimators": 20, "max_leaves": 8, "min_child_samples": 1, "n_jobs": 1, "random_state": 0}
    return WCERegressor(engine=engine, **small | parameters)


EXACT = {"native": False, "hessian": "exact"}


# CatBoost divides a custom objective's sums by numbers of rows when it chooses splits.
@pytest.mark.parametrize(
    ("engine", "curvature"), [*((engine, {"native": True}) for engine in ENGINES), ("lightgbm", EXACT), ("xgboost", EXACT)]
)
@pytest.mark.parametrize("scheme", ["identity", "log2", "log2_plus1"])
def test_loss_and_duplicate_train_the_same_model_where_rows_are_not_counted(engine, scheme, curvature):
    X, y, weight = watched()
    loss = model(engine, scheme=scheme, **curvature).fit(X, y, weight)
    duplicate = model(engine, scheme=scheme, implementation="duplicate", **curvature).fit(X, y, weight)
    # Splits that gain the same on one side of rounding may fall on the other.
    near = np.isclose(duplicate.predict(X), loss.predict(X), rtol=1e-3)
    assert near.mean() > 0.98
    assert np.ptp(loss.predict(X)) > 1


@pytest.mark.parametrize("implementation", ["loss", "duplicate"])
@pytest.mark.parametrize("scheme", ["identity", "log2", "log2_plus1"])
def test_sums_are_right_on_the_training_rows(scheme, implementation):
    X, y, weight = watched()
    given = {"scheme": scheme, "implementation": implementation, "n_estimators": 200}
    smeared = weight @ model(**given).fit(X, y, weight).predict(X) / (weight @ y)
    plain = weight @ model(smearing=False, **given).fit(X, y, weight).predict(X) / (weight @ y)
    if scheme == "identity":
        # What a leaf balances is (1 + w) p against w, not odds against w: sums are right as far as the trees are.
        assert smeared == plain == pytest.approx(1.0, abs=0.03)
    else:  # one factor for all rows, whose scatter is not all the same
        assert plain < 0.9
        assert abs(smeared - 1.0) < abs(plain - 1.0) / 3


def test_youtube_is_off_by_the_share_of_rows_not_clicked():
    X, y, weight = watched()
    X = X[:, :1]
    fitted = model(implementation="youtube", n_estimators=400).fit(X, y, weight)
    for value in np.unique(X):
        rows = X[:, 0] == value
        mean, unclicked = np.average(y[rows], weights=weight[rows]), np.average(y[rows] == 0, weights=weight[rows])
        np.testing.assert_allclose(fitted.predict(X[rows]), mean / unclicked, rtol=1e-3)


def test_loss_is_gbregressor():
    X, y, weight = watched()
    ours = model(cap=3.0).fit(X, y, weight)
    theirs = GBRegressor(WCE(cap=3.0), n_estimators=20, max_leaves=8, min_child_samples=1, n_jobs=1, random_state=0)
    np.testing.assert_array_equal(ours.predict(X), theirs.fit(X, y, weight).predict(X))
    assert ours.loss_ is ours.model_.loss_
    assert ours.predict(X).max() < 3.0


@pytest.mark.parametrize("implementation", ["duplicate", "youtube"])
def test_rows_held_out_are_held_out_with_their_copies(implementation):
    X, y, _ = watched(1500)
    X = np.column_stack([X, np.arange(1500)])  # each row can be learnt by heart
    fitted = model(
        implementation=implementation, n_estimators=300, max_leaves=64, learning_rate=0.01, early_stopping_rounds=5
    ).fit(X, y)
    assert fitted.best_iteration_ < 100
    history = fitted.evals_result_["validation_0"]["bernoulli"]
    assert np.argmin(history) + 1 == fitted.best_iteration_
    assert history[-1] > min(history)


@pytest.mark.parametrize("implementation", ["loss", "duplicate", "youtube"])
def test_evaluation_sets(implementation):
    X, y, weight = watched()
    fitted = model(implementation=implementation).fit(X, y, weight, eval_set=[(X, y), (X[:100], y[:100])])
    assert set(fitted.evals_result_) == {"validation_0", "validation_1"}
    (history,) = fitted.evals_result_["validation_0"].values()
    assert len(history) == 20
    assert history[-1] < history[0]


def test_constant_labels():
    X, *_ = watched(100)
    for implementation in ("loss", "duplicate"):
        np.testing.assert_array_equal(model(implementation=implementation).fit(X, np.full(100, 4.0)).predict(X), 4.0)
        np.testing.assert_array_equal(model(implementation=implementation).fit(X, np.zeros(100)).predict(X), 0.0)


def test_mistakes():
    X, y, _ = watched(100)
    with pytest.raises(ValueError, match="'implementation' parameter of WCERegressor must be a str among"):
        model(implementation="copy").fit(X, y)
    with pytest.raises(ValueError, match="scheme='ln' must be 'identity', 'log2' or 'log2_plus1'"):
        model(scheme="ln", implementation="duplicate").fit(X, y)
    with pytest.raises(ValueError, match=r"needs y in \[0, inf\); 1 of 100 labels are not \(first at row 7: -1\)"):
        model(implementation="duplicate").fit(X, np.where(np.arange(100) == 7, -1.0, y))
    with pytest.raises(
        ValueError, match=r"implementation='youtube' divides by the share of labels of 0 .* use implementation='loss'"
    ):
        model(implementation="youtube").fit(X, y + 1.0)
    with pytest.raises(ValueError, match=r"eval_set\[0\]: .*first at row 0: -1"):
        model(implementation="duplicate").fit(X, y, eval_set=(X[:1], [-1.0]))


def test_geometric_fit():
    rng = np.random.default_rng(0)
    X, _, _ = watched(20_000)
    mean = 0.5 + X[:, 0] + 0.5 * X[:, 1]
    geometric = rng.geometric(1 / (1 + mean)) - 1.0
    fitted = model(n_estimators=150).fit(X[::2], geometric[::2])
    good = fitted.geometric_fit(X[1::2], geometric[1::2])
    assert good.dispersion == pytest.approx(1.0, abs=0.1)
    assert "WCE weighs its rows well" in str(good)
    poisson = rng.poisson(mean).astype(float)
    bad = model(n_estimators=150).fit(X[::2], poisson[::2]).geometric_fit(X[1::2], poisson[1::2])
    assert bad.dispersion < 0.5
    assert "try 'tweedie' or 'poisson'" in str(bad)
