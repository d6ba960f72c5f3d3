"""Monotone and interaction constraints: what is read from the forms that users write, and what models keep to."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

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
from gbreg.engines import ENGINES, get_engine
from gbreg.engines.constraints import interaction_lists, monotone_list
from gbreg.losses import ZILN, Expectile, Huberpp, LogNormal, OrdinalBuckets, Quantile, SoftmaxBuckets, get_loss
from gbreg.tuning import tune

every_engine = pytest.mark.parametrize("engine", ENGINES)

NAMES = ("price", "age", "country")
FORMS: list[Any] = [
    [1, 0, -1],
    (1, 0, -1),
    np.array([1, 0, -1]),
    [1.0, 0.0, -1.0],
    {"price": 1, "country": -1},
    {0: 1, 2: -1},
    {"price": 1, np.int64(2): -1},
    "1,0,-1",
    "(1, 0, -1)",
    "[1,0,-1]",
    "price:1,country:-1",
    "0:1,2:-1",
]


@pytest.mark.parametrize("form", FORMS, ids=repr)
def test_forms_of_monotone_constraints(form: Any) -> None:
    assert monotone_list(form, 3, NAMES) == [1, 0, -1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1, 0], r"\[1, 0\] has 2 signs, and X 3 columns: give one a column, or \{column: sign\}"),
        ("1,0", r"\[1, 0\] has 2 signs, and X 3 columns"),
        ([1, 0, 2], "has 2 for column 2: it must be a list with one sign a column, or {column: sign}"),
        ([1, 0, True], "has True for column 2"),
        ({"price": "up"}, "has 'up' for column 'price'"),
        ({"prise": 1}, r"names column 'prise': did you mean 'price'\? Columns are price, age, country"),
        ({3: 1}, "names column 3: X has 3 columns, 0 to 2"),
        ("up", "monotone_constraints='up' must be a list"),
        ("price:1,price:-1", "must be a list"),
        (1, "monotone_constraints=1 must be a list"),
    ],
)
def test_wrong_monotone_constraints(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        monotone_list(value, 3, NAMES)


def test_constraints_of_columns_without_names_and_of_categories() -> None:
    with pytest.raises(ValueError, match="names column 'price', and the columns of X have no names: give its index"):
        monotone_list({"price": 1}, 3, None)
    with pytest.raises(ValueError, match="constrains column 'country', which is categorical: categories have no order"):
        monotone_list({"country": 1}, 3, NAMES, categorical=(2,))
    assert monotone_list([1, 0, 0], 3, NAMES, categorical=(2,)) == [1, 0, 0]


@pytest.mark.parametrize(
    "form",
    [
        [["price", "age"], ["country"]],
        [[0, 1], [2]],
        ((0, "age"), (2,)),
        [np.array([0, 1]), np.array([2])],
        "[[0,1],[2]]",
        "[0,1],[2]",
        '[["price","age"],["country"]]',
    ],
    ids=repr,
)
def test_forms_of_interaction_constraints(form: Any) -> None:
    assert interaction_lists(form, 3, NAMES) == [[0, 1], [2]]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0, 1], "must be a list of lists of columns, such as"),
        ("0,1", "interaction_constraints='0,1' must be a list of lists"),
        ([["prise"]], "interaction_constraints names column 'prise': did you mean 'price'"),
        ([[7]], "interaction_constraints names column 7: X has 3 columns"),
        (5, "interaction_constraints=5 must be a list of lists"),
    ],
)
def test_wrong_interaction_constraints(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interaction_lists(value, 3, NAMES)


@pytest.mark.parametrize(
    ("engine", "params", "monotone"),
    [
        ("lightgbm", None, False),
        ("lightgbm", {"monotone_constraints": [0, 0]}, False),
        ("lightgbm", {"mc": "1,0"}, True),
        ("lightgbm", {"monotonic_cst": np.array([0, -1])}, True),
        ("xgboost", {"monotone_constraints": {"a": 1}}, True),
        ("xgboost", {"monotone_constraints": "(0,0)"}, False),
        ("catboost", {"monotone_constraints": "a:1"}, True),
        ("catboost", {"depth": 3}, False),
    ],
)
def test_whether_anything_is_constrained(engine: str, params: Any, monotone: bool) -> None:
    assert bool(get_engine(engine).monotone(None, params)) is monotone


# -- what models keep to -----------------------------------------------------------------------------------------------

# CatBoost has them for symmetric trees only, and those take a depth.
SYMMETRIC = {"catboost": {"grow_policy": "SymmetricTree", "depth": 3}}
SIGNS = {"monotone_constraints": [1, 0, -1]}


def wavy(n: int = 300) -> tuple[Any, Any]:
    """Labels that rise and fall along the first column, some of them 0."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(n, 3))
    wave = np.sin(12 * X[:, 0])
    y = np.exp(X[:, 0] + wave + X[:, 1] * np.sin(5 * X[:, 0]) + 0.4 * rng.normal(size=n))
    return X, y * (rng.random(n) < 0.5 + 0.4 * wave)


def steepest_fall(model: Any, functional: Any = None) -> float:
    """The least step of predictions up the first column and down the last, from rows all over."""
    rng = np.random.default_rng(1)
    steps = []
    for column, way in ((0, 1.0), (2, -1.0)):
        lines = np.repeat(rng.uniform(size=(12, 3)), 60, axis=0)
        lines[:, column] = np.tile(np.linspace(0, 1, 60), 12)
        predicted = model.predict(lines) if functional is None else model.predict(lines, functional=functional)
        steps.append((way * np.diff(predicted.reshape(12, 60), axis=1)).min())
    return float(min(steps))


def constrained(loss: Any, engine: str = "lightgbm", **more: Any) -> GBRegressor:
    params = {**SYMMETRIC.get(engine, {}), **SIGNS, **more.pop("engine_params", {})}
    more = {"n_estimators": 15, "learning_rate": 0.2, "min_child_samples": 5, "n_jobs": 1, **more}
    return GBRegressor(loss, engine=engine, engine_params=params, **more)


POSITIVE = ["gamma", "huberpp", "am", "transformed_squared_error", "huber", Huberpp(link="log")]
ANY = ["squared_error", "poisson", "tweedie", "wce", "absolute_error", Quantile(level=0.8), Expectile(level=0.8)]
RANKED = [SoftmaxBuckets(n_buckets=8, rank=1), OrdinalBuckets(n_buckets=8)]
SEVERAL = [OrdinalBuckets(n_buckets=5, thresholds="independent"), ZILN(), LogNormal()]


@every_engine
@pytest.mark.parametrize("loss", [*POSITIVE, *ANY, "bernoulli", *RANKED, *SEVERAL], ids=str)
def test_predictions_keep_to_monotone_constraints(engine: str, loss: Any) -> None:
    """Natively where gbreg chooses so, and by the kernel where the engine's own form breaks them or refuses."""
    X, y = wavy()
    if loss == "bernoulli":
        y = (y > 0) * 1.0
    elif loss in POSITIVE or isinstance(loss, LogNormal):
        X, y = X[y > 0], y[y > 0]
    model = constrained(loss, engine)
    if engine == "catboost" and loss in SEVERAL:
        with pytest.raises(ValueError, match=r"catboost keeps to them for one output, and .* use engine='lightgbm' or"):
            model.fit(X, y)
        return
    assert steepest_fall(model.fit(X, y)) >= 0
    assert np.ptp(model.predict(X)) > 0.1
    if engine == "lightgbm":
        free = constrained(loss, engine, engine_params={"monotone_constraints": None}).fit(X, y)
        assert steepest_fall(free) < -1e-3


@every_engine
def test_every_form_is_taken_by_every_engine(engine: str) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = wavy()
    frame = pandas.DataFrame(X, columns=["list price", "age", "a_b"])
    want = constrained("huberpp", engine).fit(frame[y > 0], y[y > 0]).predict(frame)
    forms = [(1, 0, -1), np.array([1, 0, -1]), {"list price": 1, "a_b": -1}, {0: 1, 2: -1}, "1,0,-1", "(1,0,-1)"]
    for form in [*forms, "list price:1,a_b:-1"]:
        model = constrained("huberpp", engine, engine_params={"monotone_constraints": form})
        assert np.array_equal(model.fit(frame[y > 0], y[y > 0]).predict(frame), want), form


@pytest.mark.parametrize("name", ["mc", "monotonic_cst", "monotone_constraint"])
def test_lightgbms_other_names_for_them(name: str) -> None:
    X, y = wavy()
    model = constrained("absolute_error", engine_params={"monotone_constraints": None, name: {0: 1}}).fit(X, y)
    line = np.column_stack([np.linspace(0, 1, 200), np.full((200, 2), 0.5)])
    assert np.diff(model.predict(line)).min() >= 0


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("form", [[[0], [1, 2]], (("a",), ("b c", "d")), "[[0],[1,2]]", "[0],[1,2]"], ids=repr)
def test_interaction_constraints_keep_columns_apart(engine: str, form: Any) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = wavy()
    frame = pandas.DataFrame(X, columns=["a", "b c", "d"])
    mixed = [np.column_stack([a[:50, 0], b[:50, 1:]]) for a in (X, X[50:]) for b in (X, X[50:])]

    def mixing(**params: Any) -> Any:
        model = GBRegressor(engine=engine, n_estimators=15, n_jobs=1, engine_params=params).fit(frame, y)
        raw = [model.predict_raw(pandas.DataFrame(m, columns=frame.columns)) for m in mixed]
        return np.abs(raw[0] - raw[1] - raw[2] + raw[3]).max()

    assert mixing(interaction_constraints=form) < 1e-5
    assert mixing() > 0.1


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
@pytest.mark.parametrize("loss", ["absolute_error", "quantile"])
def test_native_forms_that_break_them_or_refuse_them_are_not_used(engine: str, loss: str) -> None:
    X, y = wavy()
    if not get_engine(engine).keeps_constraints(get_loss(loss).native_form()):
        assert not constrained(loss, engine).fit(X, y).native_
        with pytest.raises(ValueError, match=r"^native=True"):
            constrained(loss, engine, native=True).fit(X, y)


def test_catboost_has_no_interaction_constraints() -> None:
    model = GBRegressor(engine="catboost", engine_params={"interaction_constraints": [[0], [1, 2]]})
    with pytest.raises(ValueError, match="on catboost: CatBoost has none, use lightgbm or xgboost"):
        model.fit(*wavy(50))


def test_catboost_says_which_trees_keep_to_them() -> None:
    model = constrained("squared_error", "catboost", engine_params={"grow_policy": "Lossguide", "depth": None})
    with pytest.raises(ValueError, match="grow_policy='Lossguide': catboost has monotone constraints for symmetric"):
        model.fit(*wavy(50))


@every_engine
def test_wrong_constraints_are_refused_before_training(engine: str) -> None:
    with pytest.raises(ValueError, match=r"\[1, 0\] has 2 signs, and X 3 columns"):
        constrained("squared_error", engine, engine_params={"monotone_constraints": [1, 0]}).fit(*wavy(50))


@pytest.mark.parametrize(
    "model",
    [
        constrained(SoftmaxBuckets(n_buckets=8, rank=2)),
        constrained(SoftmaxBuckets(n_buckets=8, rank=None)),
        constrained(SoftmaxBuckets(n_buckets=8, rank=None), native=False),
        constrained(OrdinalBuckets(n_buckets=8, spread=True)),
        BucketRegressor(n_buckets=8, n_estimators=5, engine_params=SIGNS),
        BucketRegressor(n_buckets=8, zeros="bucket", n_estimators=5, engine_params=SIGNS),
        OrdinalRegressor(n_buckets=8, spread=True, n_estimators=5, engine_params=SIGNS),
    ],
    ids=repr,
)
def test_losses_that_need_not_keep_to_them_are_refused(model: Any) -> None:
    with pytest.raises(ValueError, match=r"monotone constraints bind every raw score.* use SoftmaxBuckets\(rank=1\)"):
        model.fit(*wavy(100))


MORE = {"n_estimators": 15, "learning_rate": 0.2, "n_jobs": 1, "engine_params": SIGNS}


@pytest.mark.parametrize(
    ("model", "functionals"),
    [
        (BucketRegressor(n_buckets=8, rank=1, reg_lambda=1.0, **MORE), ("mean", "median", 0.9, 0.2, "log_mean")),
        (OrdinalRegressor(n_buckets=8, **MORE), ("mean", "median", 0.9, 0.2, "log_mean")),
        (OrdinalRegressor(n_buckets=5, thresholds="independent", **MORE), ("mean", "median", 0.9, "log_mean")),
        (OrdinalRegressor(n_buckets=8, calibration="pit", **MORE), ("mean", 0.9)),
        (ZILNRegressor(**MORE), ("mean", "log_mean")),
        (ZILNRegressor(factorized=False, calibration="isotonic", **MORE), ("mean", "log_mean")),
        (WCERegressor(**MORE), (None,)),
        (WCERegressor(implementation="duplicate", **MORE), (None,)),
        (HurdleRegressor(constrained("bernoulli"), constrained("gamma")), (None,)),
        (CalibratedRegressor(constrained("squared_error"), cv=2), (None,)),
        (CalibratedRegressor(constrained("squared_error"), cv=2, segment=1), (None,)),
        (D2QRegressor(constrained("squared_error"), group=1, n_groups=3), (None,)),
    ],
    ids=repr,
)
def test_presets_and_models_of_others_keep_to_them(model: Any, functionals: tuple[Any, ...]) -> None:
    X, y = wavy()
    model.fit(X, y)
    for functional in functionals:
        assert steepest_fall(model, functional) >= -1e-9, functional
    assert np.ptp(model.predict(X)) > 0.1


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (ZILNRegressor(functional="median", **MORE), r"functional='median': .* hold for the means of LogNormal\(\) alone"),
        (ZILNRegressor(calibration="pit", **MORE), "hold for the mean of LogNormal.*, not for its quantiles"),
        (constrained(ZILN(), calibration="pit"), "hold for the mean of ZILN.*, not for its quantiles"),
        (CalibratedRegressor(constrained(ZILN()), "pit"), "hold for the mean of ZILN.*, not for its quantiles"),
        (CalibratedRegressor(ZILNRegressor(**MORE), "pit"), "hold for the mean of LogNormal.*, not for its quantiles"),
        (D2QRegressor(constrained("squared_error"), group=0), "group=0: .* from its own labels: in its engine_params: "),
        (CalibratedRegressor(constrained("squared_error"), segment=2), "segment=2: .* every segment has a map of its own"),
    ],
    ids=repr,
)
def test_what_would_break_them_afterwards_is_refused(model: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        model.fit(*wavy(100))


def test_tuning_refuses_before_its_first_trial() -> None:
    pytest.importorskip("optuna")
    model = GBRegressor(n_estimators=5, n_jobs=1, engine_params={"num_leavs": 3})
    with pytest.raises(ValueError, match="did you mean 'num_leaves'"):
        tune(model, *wavy(50), metric="mae", n_trials=2)
