"""Losses of several outputs as bare callables inside the engines' own train functions and scikit-learn wrappers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone

from gbreg import GBRegressor, metric, objective
from gbreg.engines import Objective
from gbreg.losses import ZILN, LogNormal, OrdinalBuckets, SoftmaxBuckets
from tests.test_callables import APIS, ENGINES, catboost, early_stopping, lgb, train, wrapper, xgb

pytestmark = pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")

ROUNDS = 6
LOSSES = {
    "ziln": ZILN(),
    "lognormal": LogNormal(),
    "low rank": SoftmaxBuckets(n_buckets=12),
    "full rank": SoftmaxBuckets(n_buckets=4, rank=None),
    "independent": OrdinalBuckets(n_buckets=4, edges="quantile", thresholds="independent"),
    "rank 1": SoftmaxBuckets(n_buckets=12, rank=1),
}


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(11)
    X = rng.normal(size=(600, 3))
    y = np.exp(X[:, 0] + 0.5 * rng.normal(size=600)) * (X[:, 1] + rng.normal(size=600) > -0.5)
    return X, y.astype(np.float32).astype(np.float64), rng.integers(1, 4, 600).astype(np.float64)


@pytest.fixture(scope="module")
def loss(data: Any) -> ZILN:
    return ZILN().fit(data[1], data[2])


def fit_labels(loss: Any, y: Any) -> Any:
    """The labels, lifted off 0 for losses that have no zeros."""
    return y if loss.y_domain.contains(np.zeros(1)).all() else y + np.float32(0.125)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize(("engine", "api"), APIS)
def test_bare_training_gives_the_predictions_of_gbregressor(
    engine: str, api: str, name: str, data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Objective, "refines", False)  # what is learnt between rounds needs our training loop
    X, y, weight = data
    y = fit_labels(LOSSES[name], y)
    loss = clone(LOSSES[name]).fit(y, weight)
    regularisation = 0.0 if engine == "catboost" else 1.0
    ours = GBRegressor(
        LOSSES[name],
        engine=engine,
        n_estimators=ROUNDS,
        max_leaves=15,
        reg_lambda=regularisation,
        native=False,
        random_state=0,
        n_jobs=1,
    ).fit(X, y, weight)
    raw = train(engine, api, loss, X, y, weight, ROUNDS)
    assert raw.shape == ((600, loss.n_outputs) if loss.n_outputs > 1 else (600,))
    if loss.decodes_with_residuals:
        loss.fit_decoder(y, raw + loss.intercept_, weight)
    np.testing.assert_allclose(loss.predict(raw + loss.intercept_), ours.predict(X), rtol=1e-5)


def call(engine: str, api: str, made: Any, y: Any, raw: Any, weight: Any) -> Any:
    """Gradient and Hessian as the engine asks for them."""
    if engine == "catboost":
        rows = zip(raw, y, np.ones(y.size) if weight is None else weight, strict=True)
        both = [made.calc_ders_multi(f, np.full(raw.shape[1], label, np.float32), w) for f, label, w in rows]
        return -np.array([g for g, _ in both]), -np.array([np.diag(h) for _, h in both])
    if api == "sklearn":
        return made(y, raw, weight)
    if engine == "lightgbm":
        data = lgb.Dataset(np.zeros((y.size, 1)), y, weight=weight, params={"verbosity": -1})
        return made(np.asfortranarray(raw), data.construct())
    return made(raw, xgb.DMatrix(np.zeros((y.size, 1)), y, weight=weight))


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_gradients_are_the_loss_s_own_weighted_once_and_scaled(engine: str, api: str, data: Any, loss: ZILN) -> None:
    _, y, weight = data
    raw = np.random.default_rng(0).normal(size=(600, 3)).astype(np.float32)
    made = objective(loss, engine, api)
    wanted = loss.gradient_hessian(y, raw + loss.intercept_, weight)
    for got, ours in zip(call(engine, api, made, y, raw, weight), wanted, strict=True):
        assert got.shape == (600, 3)
        np.testing.assert_allclose(got, ours / loss.hessian_scale_, rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("order", ["C", "F"])
def test_gradients_keep_the_layout_of_the_scores(order: str, data: Any, loss: ZILN) -> None:
    raw = np.zeros((600, 3), order=order)
    for made in objective(loss, "lightgbm", "sklearn")(data[1], raw, None):
        assert made.dtype == np.float32
        assert made.flags[f"{order}_CONTIGUOUS"]


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_training_sees_the_weights(engine: str, api: str, data: Any) -> None:
    X, y, _ = data
    loss = ZILN().fit(y)
    heavy = train(engine, api, loss, X, y, np.where(y > 0, 50.0, 1.0), ROUNDS)
    assert heavy[:, 0].mean() > train(engine, api, loss, X, y, None, ROUNDS)[:, 0].mean() + 0.1


@pytest.mark.parametrize("watched", ["loss", "mae"])
@pytest.mark.parametrize(("engine", "api"), APIS)
def test_early_stopping_on_decoded_scores(engine: str, api: str, watched: str, data: Any, loss: ZILN) -> None:
    _, y, weight = data
    made = metric(loss, engine, api) if watched == "loss" else metric("mae", engine, api, loss=loss)
    best, history = early_stopping(engine, api, loss, made, data, 120)
    assert 3 <= best < 110
    assert np.argmin(history) + 1 == best
    held, start = slice(400, None), np.tile(loss.intercept_, (200, 1))
    each = loss.value(y[held], start) if watched == "loss" else np.abs(y[held] - loss.predict(start))
    assert history[0] == pytest.approx(np.average(each, weights=weight[held]), rel=0.1)  # one step from the intercept


def test_metrics_are_weighted_means_of_what_is_decoded(data: Any, loss: ZILN) -> None:
    _, y, weight = data
    raw = np.random.default_rng(1).normal(size=(600, 3))
    complete = raw + loss.intercept_
    value = np.average(loss.value(y, complete), weights=weight)
    assert metric(loss, "xgboost", "sklearn")(y, raw, weight) == pytest.approx(value, rel=1e-14)
    assert metric(loss, "lightgbm", "sklearn")(y, raw, weight) == ("ziln", pytest.approx(value, rel=1e-14), False)
    tiled = np.tile(y, (3, 1))
    assert metric(loss, "catboost").evaluate(tuple(raw.T), tiled, weight) == (pytest.approx(value, rel=1e-14), 1.0)
    error = np.average(np.abs(y - loss.predict(complete)), weights=weight)
    assert metric("mae", "xgboost", "sklearn", loss=loss)(y, raw, weight) == pytest.approx(error, rel=1e-14)


@pytest.mark.parametrize("name", ["ziln", "low rank"])
@pytest.mark.parametrize("engine", ENGINES)
def test_callables_survive_pickle_and_copies(engine: str, name: str, data: Any) -> None:
    y = data[1][:50]
    loss = clone(LOSSES[name]).fit(y)
    raw = np.random.default_rng(2).normal(size=(50, loss.n_outputs))
    made, watched = objective(loss, engine, "sklearn"), metric("mae", engine, "sklearn", loss=loss)
    for twin in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        both = [call(engine, "sklearn", one, y, raw, None) for one in (made, twin)]
        assert all(np.array_equal(a, b) for a, b in zip(*both, strict=True))
    for twin in (pickle.loads(pickle.dumps(watched)), copy.deepcopy(watched)):
        assert twin.value(y, raw, None) == watched.value(y, raw, None)


@pytest.mark.parametrize("engine", ENGINES)
def test_wrappers_can_be_cloned_copied_and_pickled(engine: str, data: Any, loss: ZILN) -> None:
    X, y, weight = data
    y = np.tile(y[:, None], 3) if engine == "catboost" else y
    more: dict[str, Any] = {"iterations": 3} if engine == "catboost" else {"n_estimators": 3}
    if engine != "lightgbm":
        more["eval_metric"] = metric(loss, engine, "sklearn")
    model = wrapper(engine, loss, **more).fit(X, y, sample_weight=weight)
    raw = model.predict(X)
    assert raw.shape == (600, 3)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), raw)
    assert np.array_equal(clone(model).fit(X, y, sample_weight=weight).predict(X), raw)
    assert np.array_equal(copy.deepcopy(model).fit(X, y, sample_weight=weight).predict(X), raw)


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
def test_shapes_that_do_not_fit_are_refused(engine: str, loss: ZILN) -> None:
    made, y = objective(loss, engine, "sklearn"), np.ones(4)
    way_out = ": set num_class=3 on LightGBM, num_target=3 on XGBoost"
    for shape in ((4,), (3, 4), (4, 2)):
        with pytest.raises(ValueError, match=r"ZILN has 3 outputs: for 4 labels .* shape \(4, 3\), got .*" + way_out):
            made(y, np.zeros(shape), None)
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\), y has 4 rows"):
        made(y, np.zeros((4, 3)), np.ones(3))


@pytest.mark.parametrize("engine", ENGINES)
def test_metrics_refuse_shapes_that_do_not_fit(engine: str, loss: ZILN) -> None:
    with pytest.raises(ValueError, match=r"metric 'ziln' needs 3 scores per label, got shapes \(4,\) and \(4,\)"):
        metric(loss, engine).value(np.ones(4), np.zeros(4), None)
    with pytest.raises(ValueError, match=r"metric 'mae' needs one score per label, got shapes \(4, 3\) and \(4,\)"):
        metric("mae", engine).value(np.ones(4), np.zeros((4, 3)), None)


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
def test_a_forgotten_number_of_outputs_ends_training(engine: str, data: Any, loss: ZILN) -> None:
    name = "num_class" if engine == "lightgbm" else "num_target"
    with pytest.raises(ValueError, match=rf"ZILN has 3 outputs.*set .*{name}=3"):
        train(engine, "native", loss, *data, ROUNDS, **{name: 1})


def test_catboost_wants_labels_tiled_alike(data: Any, loss: ZILN) -> None:
    X, y, _ = data
    settings = {"loss_function": objective(loss, "catboost"), "eval_metric": metric(loss, "catboost")}
    settings |= {"iterations": 2, "allow_writing_files": False, "logging_level": "Silent"}
    with pytest.raises(catboost.CatBoostError, match=r"ZILN has 3 outputs, and CatBoost one for each of 1 target"):
        catboost.CatBoost(settings).fit(X, y)
    with pytest.raises(catboost.CatBoostError, match="ZILN has one label a row, for all its outputs"):
        catboost.CatBoost(settings).fit(X, np.column_stack([y, y, y + 1.0]))


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_labels_outside_the_domain_end_training(engine: str, api: str, data: Any, loss: ZILN) -> None:
    X, y, _ = data
    with pytest.raises((ValueError, catboost.CatBoostError), match=r"ZILN needs y in \[0, inf\).*-[0-9.]+\)"):
        train(engine, api, loss, X, y - 1.0, None, ROUNDS)


@pytest.mark.parametrize(("engine", "api"), [case for case in APIS if case[0] != "catboost"])
def test_overflow_while_training_is_an_error_and_not_a_constant_model(engine: str, api: str, data: Any) -> None:
    X, y, _ = data
    y = y + 0.1
    loss = LogNormal().fit(y)
    with pytest.raises(FloatingPointError, match=r"LogNormal.*not finite in round"):
        train(engine, api, loss, X, y, None, ROUNDS, learning_rate=1e30)


def test_overflow_is_an_error_on_catboost(data: Any) -> None:
    made = objective(LogNormal().fit(data[1] + 0.1), "catboost")
    y = np.ones(2, np.float32)
    for _ in range(2):  # and again: what was raised is not kept
        with pytest.raises(
            FloatingPointError, match=r"LogNormal.*not finite, first at block row 0 \(y=1, raw score \[1\.0+e\+200"
        ):
            made.calc_ders_multi(np.array([1e200, 0.0]), y, 1.0)
    assert np.isfinite(made.calc_ders_multi(np.array([1.0, 0.0]), y, 1.0)[0]).all()


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_shared_thresholds_stay_at_the_marginal(engine: str, api: str, data: Any) -> None:
    X, y, weight = data
    loss = OrdinalBuckets(n_buckets=8, spread=True).fit(y, weight)
    before = loss.thresholds_.copy()
    made = objective(loss, engine, api)
    rng = np.random.default_rng(3)
    for size in (0.0, 0.5, 1.0):
        raw = (size * rng.normal(size=(600, 2))).astype(np.float32)
        gradient, _ = call(engine, api, made, y, raw, weight)
        wanted = loss.gradient_hessian(y, raw + loss.intercept_, weight)[0] / loss.hessian_scale_
        np.testing.assert_allclose(gradient, wanted, rtol=1e-5, atol=1e-6)
    assert np.array_equal(loss.thresholds_, before)
    raw = train(engine, api, loss, X, y, weight, ROUNDS)
    assert np.array_equal(loss.thresholds_, before)
    start = np.average(loss.value(y, np.tile(loss.intercept_, (600, 1))), weights=weight)
    assert np.average(loss.value(y, raw + loss.intercept_), weights=weight) < 0.95 * start


def test_gbregressor_does_estimate_them_again(data: Any) -> None:
    X, y, weight = data
    loss = OrdinalBuckets(n_buckets=8).fit(y, weight)
    model = GBRegressor(OrdinalBuckets(n_buckets=8), n_estimators=ROUNDS, n_jobs=1).fit(X, y, weight)
    assert not np.allclose(model.loss_.thresholds_, loss.thresholds_, rtol=1e-3)


def test_only_the_safe_curvature_is_offered(loss: ZILN) -> None:
    for hessian in ("exact", "expected"):
        with pytest.raises(ValueError, match=f"ZILN has several outputs: hessian='{hessian}' must be 'safe'"):
            objective(loss, "xgboost", hessian=hessian)
