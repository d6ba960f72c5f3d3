"""The bare callables inside the engines' own train functions and scikit-learn wrappers."""

from __future__ import annotations

import copy
import pickle
from io import BytesIO
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from gbreg import GBRegressor, metric, objective
from gbreg.engines import ENGINES
from gbreg.losses import Huberpp, Poisson, TransformedSquaredError

lgb = pytest.importorskip("lightgbm")
xgb = pytest.importorskip("xgboost")
catboost = pytest.importorskip("catboost")

APIS = [(engine, api) for engine in ENGINES for api in ("native", "sklearn")]
ROUNDS = 25

# LightGBM 4.7 renames eval_set to eval_X and eval_y, which 4.5 does not have.
pytestmark = pytest.mark.filterwarnings("ignore:The argument 'eval_set' is deprecated")

LIGHTGBM = {
    "num_leaves": 15,
    "min_child_samples": 20,
    "learning_rate": 0.1,
    "reg_lambda": 1.0,
    "verbosity": -1,
    "metric": "None",
    "n_jobs": 1,
}
XGBOOST = {
    "tree_method": "hist",
    "grow_policy": "lossguide",
    "max_leaves": 15,
    "max_depth": 0,
    "min_child_weight": 20,
    "learning_rate": 0.1,
    "reg_lambda": 1.0,
    "max_bin": 255,
    "base_score": 0,
    "n_jobs": 1,
    "disable_default_eval_metric": 1,
}
CATBOOST = {
    "grow_policy": "Lossguide",
    "max_leaves": 15,
    "depth": 16,
    "min_data_in_leaf": 20,
    "learning_rate": 0.1,
    "l2_leaf_reg": 0.0,  # GBRegressor multiplies it on CatBoost
    "bootstrap_type": "No",
    "border_count": 254,
    "random_strength": 0.0,
    "leaf_estimation_method": "Newton",
    "leaf_estimation_iterations": 1,
    "random_seed": 0,
    "thread_count": 1,
    "logging_level": "Silent",
    "allow_writing_files": False,
}


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any, Any]:
    rng = np.random.default_rng(7)
    X = rng.normal(size=(1500, 3))
    y = np.exp(X[:, 0] + 0.5 * rng.normal(size=1500)).astype(np.float32).astype(np.float64)
    return X, y, rng.integers(1, 4, 1500).astype(np.float64)


@pytest.fixture(scope="module")
def loss(data: Any) -> Huberpp:
    return Huberpp(delta=0.5, link="log").fit(data[1], data[2])


def outputs(engine: str, loss: Any) -> dict[str, int]:
    """The engine's parameter for losses of several outputs."""
    name = {"lightgbm": "num_class", "xgboost": "num_target"}.get(engine)
    return {name: loss.n_outputs} if name and loss.n_outputs > 1 else {}


def as_targets(engine: str, loss: Any, y: Any) -> Any:
    """Labels as the engine takes them: CatBoost wants one target an output."""
    return np.tile(y[:, None], loss.n_outputs) if engine == "catboost" and loss.n_outputs > 1 else y


def wrapper(engine: str, loss: Any, **more: Any) -> Any:
    """The engine's own scikit-learn estimator around our objective."""
    made = objective(loss, engine, "sklearn")
    more = {**outputs(engine, loss), **more}
    if engine == "lightgbm":
        return lgb.LGBMRegressor(objective=made, **{"n_estimators": ROUNDS, **LIGHTGBM, **more})
    if engine == "xgboost":
        return xgb.XGBRegressor(objective=made, **{"n_estimators": ROUNDS, **XGBOOST, **more})
    return catboost.CatBoostRegressor(
        loss_function=made,
        eval_metric=more.pop("eval_metric", metric(loss, engine, "sklearn")),
        **{"iterations": ROUNDS, **CATBOOST, **more},
    )


def train(engine: str, api: str, loss: Any, X: Any, y: Any, weight: Any, rounds: int = ROUNDS, **more: Any) -> Any:
    """The engine's raw predictions for X after training on it."""
    y, more = as_targets(engine, loss, y), {**outputs(engine, loss), **more}
    if api == "sklearn":
        more["iterations" if engine == "catboost" else "n_estimators"] = rounds
        return np.asarray(wrapper(engine, loss, **more).fit(X, y, sample_weight=weight).predict(X), dtype=np.float64)
    made = objective(loss, engine)
    if engine == "lightgbm":
        return lgb.train({**LIGHTGBM, **more, "objective": made}, lgb.Dataset(X, y, weight=weight), rounds).predict(X)
    if engine == "xgboost":
        matrix = xgb.QuantileDMatrix(X, y, weight=weight, max_bin=255)
        return xgb.train({**XGBOOST, **more}, matrix, rounds, obj=made).predict(matrix).astype(np.float64)
    settings = {"iterations": rounds, "loss_function": made, "eval_metric": metric(loss, engine)}
    booster = catboost.CatBoost({**CATBOOST, **settings, **more})
    return booster.fit(catboost.Pool(X, y, weight=weight)).predict(X)


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_bare_training_gives_the_predictions_of_gbregressor(engine: str, api: str, data: Any, loss: Huberpp) -> None:
    X, y, weight = data
    ours = GBRegressor(
        Huberpp(delta=0.5, link="log"),
        engine=engine,
        n_estimators=ROUNDS,
        max_leaves=15,
        reg_lambda=0.0 if engine == "catboost" else 1.0,
        native=False,
        random_state=0,
        n_jobs=1,
    ).fit(X, y, weight)
    raw = train(engine, api, loss, X, y, weight)
    np.testing.assert_allclose(loss.predict(raw + loss.intercept_), ours.predict(X), rtol=1e-5)
    assert np.ptp(raw) > 1.0


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_weights_are_applied_and_applied_once(engine: str, api: str, data: Any, loss: Huberpp) -> None:
    _, y, weight = data
    made = objective(loss, engine, api)
    raw, times = np.full(y.size, 0.3), weight.astype(int)

    def call(y: Any, raw: Any, w: Any) -> Any:
        if engine == "catboost":
            return -made.calc_ders_range(raw, y, w).T
        if api == "sklearn":
            return made(y, raw, w)
        if engine == "lightgbm":
            return made(raw, lgb.Dataset(np.zeros((y.size, 1)), y, weight=w, params={"verbosity": -1}).construct())
        return made(raw, xgb.DMatrix(np.zeros((y.size, 1)), y, weight=w))

    weighted = call(y, raw, weight)
    repeated = call(np.repeat(y, times), np.repeat(raw, times), None)
    plain = call(y, raw, None)
    for i in range(2):
        assert np.sum(weighted[i], dtype=np.float64) == pytest.approx(np.sum(repeated[i], dtype=np.float64), rel=1e-5)
        assert np.sum(weighted[i], dtype=np.float64) != pytest.approx(np.sum(plain[i], dtype=np.float64), rel=0.1)


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_training_sees_the_weights(engine: str, api: str, data: Any) -> None:
    X, y, _ = data
    heavy = np.where(y > np.median(y), 50.0, 1.0)
    loss = Poisson().fit(y)
    assert train(engine, api, loss, X, y, heavy).mean() > train(engine, api, loss, X, y, None).mean() + 0.1


def early_stopping(engine: str, api: str, loss: Any, watched: Any, data: Any, rounds: int = 300) -> tuple[int, list[float]]:
    """Best round and the metric's history of a training with early stopping on the last third."""
    X, y, weight = data
    part, patience, y = 2 * y.size // 3, 10, as_targets(engine, loss, y)
    fit, held = slice(0, part), slice(part, None)
    evaluation = (X[held], y[held])
    if api == "sklearn" and engine == "lightgbm":
        model = wrapper(engine, loss, n_estimators=rounds)
        model.fit(
            X[fit],
            y[fit],
            sample_weight=weight[fit],
            eval_set=[evaluation],
            eval_sample_weight=[weight[held]],
            eval_metric=watched,
            callbacks=[lgb.early_stopping(patience, verbose=False)],
        )
        return model.best_iteration_, model.evals_result_["valid_0"][watched.name]
    if api == "sklearn" and engine == "xgboost":
        model = wrapper(engine, loss, n_estimators=rounds, eval_metric=watched, early_stopping_rounds=patience)
        model.fit(
            X[fit],
            y[fit],
            sample_weight=weight[fit],
            eval_set=[evaluation],
            sample_weight_eval_set=[weight[held]],
            verbose=False,
        )
        return model.best_iteration + 1, model.evals_result()["validation_0"][watched.name]
    if engine == "catboost":
        more = {"iterations": rounds, "early_stopping_rounds": patience}
        pools = [catboost.Pool(X[rows], y[rows], weight=weight[rows]) for rows in (fit, held)]
        if api == "sklearn":
            model = wrapper(engine, loss, eval_metric=watched, **more)
        else:
            settings = {"loss_function": objective(loss, engine), "eval_metric": watched}
            model = catboost.CatBoost({**CATBOOST, **settings, **more})
        model.fit(pools[0], eval_set=pools[1])
        return model.best_iteration_ + 1, model.evals_result_["validation"]["CatBoostEvalMetric"]
    history: dict[str, Any] = {}
    if engine == "lightgbm":
        sets = [lgb.Dataset(X[rows], y[rows], weight=weight[rows]) for rows in (fit, held)]
        booster = lgb.train(
            {**LIGHTGBM, **outputs(engine, loss), "objective": objective(loss, engine)},
            sets[0],
            rounds,
            valid_sets=[sets[1]],
            feval=watched,
            callbacks=[lgb.early_stopping(patience, verbose=False), lgb.record_evaluation(history)],
        )
        return booster.best_iteration, history["valid_0"][watched.name]
    sets = [xgb.DMatrix(X[rows], y[rows], weight=weight[rows]) for rows in (fit, held)]
    booster = xgb.train(
        {**XGBOOST, **outputs(engine, loss)},
        sets[0],
        rounds,
        obj=objective(loss, engine),
        custom_metric=watched,
        evals=[(sets[1], "held")],
        early_stopping_rounds=patience,
        evals_result=history,
        verbose_eval=False,
    )
    return booster.best_iteration + 1, history["held"][watched.name]


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_early_stopping_on_the_loss_itself(engine: str, api: str, data: Any, loss: Huberpp) -> None:
    _, y, weight = data
    best, history = early_stopping(engine, api, loss, metric(loss, engine, api), data)
    assert 10 <= best < 290
    assert np.argmin(history) + 1 == best
    start = np.average(loss.value(y[1000:], np.full(500, loss.intercept_[0])), weights=weight[1000:])
    assert min(history) < 0.7 * start
    assert history[0] == pytest.approx(start, rel=0.2)  # round 1 is one step from the intercept: decoded and weighted


@pytest.mark.parametrize("name", ["mae", "spearman"])
@pytest.mark.parametrize(("engine", "api"), APIS)
def test_early_stopping_on_a_named_metric_goes_the_right_way(
    engine: str, api: str, name: str, data: Any, loss: Huberpp
) -> None:
    best, history = early_stopping(engine, api, loss, metric(name, engine, api, loss=loss), data)
    assert 1 < best < 290  # the wrong way the first round would be the best; ranks are at their best after 4 on XGBoost 3.4
    turned = name == "spearman" and engine != "xgboost"
    assert (np.argmax(history) if turned else np.argmin(history)) + 1 == best
    if name == "spearman":
        assert abs(history[best - 1]) > 0.7


def test_the_wrappers_own_metric_would_stop_at_round_1(data: Any) -> None:
    X, y, _ = data
    y = 0.001 * y  # in thousands, say
    loss = Poisson().fit(y)
    stop = [lgb.early_stopping(5, verbose=False)]
    fit = {"eval_set": [(X[1000:], y[1000:])], "callbacks": stop}
    theirs = lgb.LGBMRegressor(objective=objective(loss, "lightgbm", "sklearn"), n_estimators=100, verbosity=-1)
    theirs.fit(X[:1000], y[:1000], **fit)
    assert theirs.best_iteration_ == 1  # raw scores spread over units, labels over thousandths
    ours = wrapper("lightgbm", loss, n_estimators=100)
    ours.fit(X[:1000], y[:1000], eval_metric=metric(loss, "lightgbm", "sklearn"), **fit)
    assert ours.best_iteration_ > 10


@pytest.mark.parametrize("name", ["mapped", "auc_like", "precision", "ndcg"])
def test_xgboost_names_never_turn_minimising_round(name: str) -> None:
    def error(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return float(np.mean(np.abs(y_true - y_pred)))

    error.__name__ = name
    made = metric(error, "xgboost", "sklearn")
    assert made.__name__ == f"value_{name}"
    assert metric(error, "lightgbm").name == name


def test_greater_is_better_is_turned_round_on_xgboost_only() -> None:
    y, p = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    assert metric("spearman", "xgboost", "sklearn")(y, p) == pytest.approx(-1.0)
    assert metric("spearman", "xgboost", "sklearn").__name__ == "neg_spearman"
    assert metric("spearman", "lightgbm", "sklearn")(y, p, None) == ("spearman", pytest.approx(1.0), True)
    assert metric("spearman", "catboost").is_max_optimal()
    assert not metric("mae", "catboost").is_max_optimal()


def test_metric_values_are_decoded_and_weighted(data: Any, loss: Huberpp) -> None:
    _, y, weight = data
    raw = np.linspace(-1, 1, y.size)
    complete = raw + loss.intercept_[0]
    assert metric(loss, "xgboost", "sklearn")(y, raw, weight) == pytest.approx(
        np.average(loss.value(y, complete), weights=weight)
    )
    assert metric("mae", "xgboost", "sklearn", loss=loss)(y, raw, weight) == pytest.approx(
        np.average(np.abs(y - np.exp(complete)), weights=weight)
    )
    assert metric("mae", "xgboost", "sklearn")(y, raw, weight) == pytest.approx(np.average(np.abs(y - raw), weights=weight))


def same_gradients(a: Any, b: Any, y: Any, raw: Any) -> bool:
    return all(np.array_equal(p, q) for p, q in zip(a(y, raw, None), b(y, raw, None), strict=True))


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("hessian", ["safe", "exact"])
def test_objectives_survive_pickle_and_copies(engine: str, hessian: str, data: Any, loss: Huberpp) -> None:
    y, raw = data[1].astype(np.float32), np.linspace(-2, 2, 1500)
    made = objective(loss, engine, "sklearn", hessian=hessian, learning_rate=0.9)
    file = BytesIO()
    joblib.dump(made, file)
    file.seek(0)
    for twin in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made), joblib.load(file)):
        assert same_gradients(made, twin, y, raw)
    slow = objective(loss, engine, "sklearn", hessian=hessian, learning_rate=0.1)
    assert same_gradients(made, slow, y, 9 * raw) == (hessian == "exact")  # only the safe curvature looks at the rate


@pytest.mark.parametrize("engine", ENGINES)
def test_metrics_survive_pickle_and_copies(engine: str, loss: Huberpp) -> None:
    y, raw = np.array([1.0, 2.0, 5.0]), np.array([0.1, 0.3, -0.4])
    for made in (metric(loss, engine, "sklearn"), metric("mae", engine, "sklearn", loss=loss)):
        for twin in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
            assert twin.value(y, raw, None) == made.value(y, raw, None)
            assert type(twin) is type(made)


@pytest.mark.parametrize("engine", ENGINES)
def test_wrappers_can_be_cloned_copied_and_pickled(engine: str, data: Any, loss: Huberpp) -> None:
    X, y, weight = data
    more = {"eval_metric": metric(loss, engine, "sklearn")} if engine != "lightgbm" else {}
    model = wrapper(engine, loss, **more).fit(X, y, sample_weight=weight)
    raw = model.predict(X)
    assert np.array_equal(pickle.loads(pickle.dumps(model)).predict(X), raw)
    assert np.array_equal(clone(model).fit(X, y, sample_weight=weight).predict(X), raw)
    assert np.array_equal(copy.deepcopy(model).fit(X, y, sample_weight=weight).predict(X), raw)


@pytest.mark.parametrize("engine", ENGINES)
def test_grid_search_over_the_wrapper_with_weights(engine: str, data: Any, loss: Huberpp) -> None:
    X, y, weight = data
    search = GridSearchCV(wrapper(engine, loss), {"learning_rate": [1e-6, 0.2]}, cv=2, scoring=score, n_jobs=1)
    search.fit(X, y, sample_weight=weight)
    assert search.best_params_ == {"learning_rate": 0.2}
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def score(model: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Ranks rows by raw score, which needs no decoding; a constant ranks none."""
    raw = np.asarray(model.predict(X), dtype=np.float64)
    return float(np.corrcoef(np.argsort(np.argsort(raw)), np.argsort(np.argsort(y)))[0, 1]) if np.ptp(raw) > 1e-3 else 0.0


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
def test_overflowing_gradients_name_loss_round_and_row(engine: str, loss: Huberpp) -> None:
    made = objective(loss, engine, "sklearn")
    y, raw = np.ones(5, np.float32), np.zeros(5)
    made(y, raw, None)
    raw = np.array([0.0, 0.1, 0.2, 800.0, 0.0])
    with pytest.raises(
        FloatingPointError, match=r"Huberpp.*1 rows is not finite in round 1, first at row 3 \(y=1, raw score 799\.9"
    ):
        made(y, raw, None)


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_overflow_while_training_is_an_error_and_not_a_constant_model(engine: str, api: str, data: Any) -> None:
    X, y, _ = data
    loss = Poisson().fit(y)
    with pytest.raises((FloatingPointError, catboost.CatBoostError), match=r"Poisson.*not finite"):
        train(engine, api, loss, X, y, None, learning_rate=5000.0)


@pytest.mark.parametrize(("engine", "api"), APIS)
def test_labels_outside_the_domain_end_training(engine: str, api: str, data: Any, loss: Huberpp) -> None:
    X, y, _ = data
    with pytest.raises(
        (ValueError, catboost.CatBoostError), match=r"Huberpp needs y in \(0, inf\).*-[0-9.]+\): set label_floor="
    ):
        train(engine, api, loss, X, y - 1.0, None)


def test_a_used_objective_checks_the_labels_of_the_next_training(loss: Huberpp) -> None:
    made = objective(loss, "xgboost", "sklearn")
    made(np.array([1.0, 2.0]), np.array([0.0, 0.0]))
    made(np.array([1.0, 2.0]), np.array([0.0, 0.5]))
    with pytest.raises(ValueError, match="Huberpp needs y"):
        made(np.array([-1.0, 2.0]), np.array([0.0, 0.0]))
    assert made.objective.round == 0


@pytest.mark.parametrize("engine", ENGINES)
def test_shapes_that_do_not_fit_are_refused(engine: str, loss: Huberpp) -> None:
    made = objective(loss, engine, "sklearn")

    def call(y: Any, raw: Any, weight: Any = None) -> Any:
        return made.calc_ders_range(raw, y, weight) if engine == "catboost" else made(y, raw, weight)

    y = np.ones(4)
    with pytest.raises(ValueError, match=r"Huberpp has one output.*\(4,\) and \(4, 2\)"):
        call(y, np.zeros((4, 2)))
    with pytest.raises(ValueError, match=r"Huberpp has one output.*\(4,\) and \(3,\)"):
        call(y, np.zeros(3))
    with pytest.raises(ValueError, match=r"Huberpp has one output.*\(4, 1\)"):
        call(y[:, None], np.zeros((4, 1)))
    with pytest.raises(ValueError, match=r"sample_weight has shape \(3,\), y has 4 rows"):
        call(y, np.zeros(4), np.ones(3))
    with pytest.raises(ValueError, match=r"metric 'huberpp' needs one score per label, got shapes \(3,\) and \(4,\)"):
        metric(loss, engine, "sklearn").value(y, np.zeros(3), None)


def test_gradients_of_two_calls_do_not_share_memory(loss: Huberpp) -> None:
    made = objective(loss, "lightgbm", "sklearn")
    first = made(np.ones(3), np.zeros(3), None)
    kept = first[0].copy()
    made(np.ones(3), np.array([1.0, 2.0, 3.0]), None)
    assert np.array_equal(first[0], kept)


def test_what_is_not_fitted_or_not_known_is_refused(loss: Huberpp) -> None:
    with pytest.raises(NotFittedError, match=r"Huberpp\(\) is not fitted: .*loss.fit\(y, sample_weight\).*loss.intercept_"):
        objective(Huberpp(), "lightgbm")
    with pytest.raises(NotFittedError, match="Huberpp"):
        metric(Huberpp(), "lightgbm")
    with pytest.raises(NotFittedError, match="Huberpp"):
        metric("mae", "lightgbm", loss=Huberpp())
    with pytest.raises(TypeError, match=r"objective takes a fitted loss.*'huberpp': use get_loss\(name\)\.fit\(y, sample_w"):
        objective("huberpp", "lightgbm")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="engine='lightgmb' is not known: did you mean 'lightgbm'"):
        objective(loss, "lightgmb")
    with pytest.raises(ValueError, match=r"api='scikit' must be 'native'.*or 'sklearn'"):
        objective(loss, "lightgbm", "scikit")
    with pytest.raises(ValueError, match=r"api='scikit' must be 'native'.*or 'sklearn'"):
        metric(loss, "lightgbm", "scikit")
    with pytest.raises(ValueError, match=r"hessian='newton' must be one of .*safe"):
        objective(loss, "lightgbm", hessian="newton")
    with pytest.raises(ValueError, match='hessian="expected" needs a likelihood, Huberpp is none'):
        objective(loss, "lightgbm", hessian="expected")
    with pytest.raises(ValueError, match="all labels are 0, which its link cannot express"):
        objective(Poisson().fit(np.zeros(3)), "lightgbm")
    with pytest.raises(ValueError, match="metric 'mea' is not known: did you mean 'mae'"):
        metric("mea", "lightgbm")
    with pytest.raises(ValueError, match=r"'pcoc' is best at 1.*use 'abs_log_pcoc'"):
        metric("pcoc", "lightgbm")
    with pytest.raises(ValueError, match="a loss decodes for itself"):
        metric(loss, "lightgbm", loss=loss)


def test_expected_curvature_of_a_likelihood(data: Any) -> None:
    y = data[1]
    loss = Poisson().fit(y)
    _, hess = objective(loss, "lightgbm", "sklearn", hessian="expected")(y, np.zeros(y.size), None)
    np.testing.assert_allclose(hess, np.exp(loss.intercept_[0]) / loss.hessian_scale_, rtol=1e-6)


def test_smearing_is_learned_after_training(data: Any) -> None:
    X, y, _ = data
    loss = TransformedSquaredError().fit(y)
    raw = train("lightgbm", "native", loss, X, y, None) + loss.intercept_
    before = loss.predict(raw).sum()
    loss.fit_decoder(y, raw, np.ones(y.size))
    assert before < loss.predict(raw).sum() == pytest.approx(y.sum(), rel=0.1)


@pytest.mark.parametrize("api", ["native", "sklearn"])
def test_xgboosts_default_base_score_only_moves_the_start(api: str, data: Any, loss: Huberpp) -> None:
    X, y, weight = data
    settings = {k: v for k, v in XGBOOST.items() if k != "base_score"} | {"min_child_weight": 0, "reg_lambda": 0}
    matrix = xgb.DMatrix(X, y, weight=weight)
    watch = metric(loss, "xgboost")
    if api == "sklearn":
        made = objective(loss, "xgboost", "sklearn")
        model = xgb.XGBRegressor(objective=made, n_estimators=200, **settings).fit(X, y, sample_weight=weight)
        start, raw = 0.5, model.predict(X)
    else:
        nothing = xgb.train(settings, matrix, 0, obj=objective(loss, "xgboost"))
        start = float(nothing.predict(matrix)[0])
        raw = xgb.train(settings, matrix, 200, obj=objective(loss, "xgboost")).predict(matrix)
    assert start == 0.5
    zero = xgb.train({**settings, "base_score": 0}, matrix, 200, obj=objective(loss, "xgboost")).predict(matrix)
    assert watch(raw, matrix)[1] == pytest.approx(watch(zero, matrix)[1], rel=0.05)
