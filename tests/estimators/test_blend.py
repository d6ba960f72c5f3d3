"""BlendRegressor: what its weights are, what it predicts, who is skipped, how it is kept, and what is refused."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.neighbors import KNeighborsRegressor
from sklearn.utils.estimator_checks import parametrize_with_checks

import gbreg
from gbreg import BlendRegressor, CalibratedRegressor, GBRegressor, HurdleRegressor, OrdinalRegressor, ZILNRegressor
from gbreg.engines import ENGINES
from gbreg.estimators.selection import Rows, Scale, greedy_weights
from gbreg.metrics import get_metric, mean_absolute_error

FAST: dict[str, Any] = {"n_estimators": 8, "max_leaves": 4, "n_jobs": 1, "random_state": 0}


def small(loss: Any = "squared_error", **more: Any) -> GBRegressor:
    return GBRegressor(loss, **FAST | more)


def spend(n: int = 600, seed: int = 0) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    return X, np.where(rng.random(n) < 0.6, np.exp(X[:, 0] + rng.normal(size=n)), 0.0)


def three(**more: Any) -> list[tuple[str, Any]]:
    return [
        ("tweedie", small("tweedie", **more)),
        ("absolute", small("absolute_error", **more)),
        ("ordinal", OrdinalRegressor(8, **FAST | more)),
    ]


# -- the selection


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 999),
    k=st.integers(1, 6),
    bags=st.integers(1, 4),
    most=st.integers(1, 6),
    metric=st.sampled_from(["mae", "rmse", "xauc", "spearman"]),
)
def test_weights_are_shares_of_at_most_so_many(seed: int, k: int, bags: int, most: int, metric: str) -> None:
    rng = np.random.default_rng(seed)
    y = rng.exponential(size=40)
    predicted = y[:, None] + rng.normal(size=(40, k))
    rows = Rows(y, rng.uniform(0.5, 2.0, 40), get_metric(metric))
    weights = greedy_weights(rows, Scale(None), predicted, 10, bags, most, range(k), np.random.RandomState(seed))
    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (weights > 0).sum() <= most
    if bags == 1 and most >= k:  # the best alone is where it starts
        assert rows.loss(predicted @ weights) <= min(map(rows.loss, predicted.T)) * (1 + 1e-9) + 1e-9


def test_two_errors_that_cancel_are_averaged() -> None:
    y = np.arange(50.0)
    bent = np.where(y % 2 == 0, 1.0, -1.0)
    weights = greedy_weights(
        Rows(y, None, get_metric("mae")),
        Scale(None),
        np.column_stack([y + bent, y - bent, y + 30]),
        25,
        1,
        None,
        range(3),
        np.random.RandomState(0),
    )
    assert weights.tolist() == [0.5, 0.5, 0.0]


def test_a_metric_of_its_own_is_what_weights_answer_to() -> None:
    X, y = spend()
    models = [("low", small("quantile")), ("mean", small())]

    def over(y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return float(np.average(y_pred, weights=sample_weight))

    assert BlendRegressor(models, metric=over, bags=1, cv=2).fit(X, y).weights_.keys() == {"low"}


# -- what it predicts


@pytest.mark.parametrize("engine", ENGINES)
def test_the_weighted_mean_of_models_of_all_rows(engine: str) -> None:
    X, y = spend(400)
    blend = BlendRegressor(three(engine=engine), cv=2).fit(X, y)
    assert sum(blend.weights_.values()) == pytest.approx(1.0)
    again = {name: clone(model).fit(X, y) for name, model in three(engine=engine)}
    expected = 0.0
    for label, weight in blend.weights_.items():
        name, _, readout = label.partition(" read as ")
        values = again[name].predict(X, functional=readout.replace(" ", "_") or None)
        expected = expected + weight * (np.expm1(values) if readout == "log mean" else values)
    np.testing.assert_allclose(blend.predict(X), expected, rtol=1e-12)
    assert len(blend.scores_) == 5  # the ordinal model thrice


def test_logs_are_averaged_for_metrics_of_order() -> None:
    X, y = spend()
    two = [("tweedie", small("tweedie")), ("absolute", small("absolute_error"))]
    blend = BlendRegressor(two, metric="xauc", cv=2).fit(X, y)
    assert set(blend.weights_) == {"tweedie", "absolute"}
    assert blend.unit_ == pytest.approx(0.01 * y.mean())
    parts = (w * np.arcsinh(blend.estimators_[name].predict(X) / blend.unit_) for name, w in blend.weights_.items())
    np.testing.assert_allclose(np.arcsinh(blend.predict(X) / blend.unit_), sum(parts), rtol=1e-9)
    assert BlendRegressor(two, metric="xauc", average="amount", cv=2).fit(X, y).unit_ is None


def test_the_unit_of_labels_does_not_matter() -> None:
    X, y = spend()
    two = [("mean", small()), ("absolute", small("absolute_error"))]
    one, other = (BlendRegressor(two, metric="xauc", cv=2).fit(X, labels) for labels in (y, 1024.0 * y))
    assert one.weights_ == other.weights_
    np.testing.assert_allclose(1024.0 * one.predict(X), other.predict(X), rtol=1e-5)


def test_scores_are_of_rows_that_trained_no_model() -> None:
    X, y = spend()
    blend = BlendRegressor([("near", KNeighborsRegressor(1)), ("line", LinearRegression())], cv=3).fit(X, y)
    assert mean_absolute_error(y, KNeighborsRegressor(1).fit(X, y).predict(X)) == 0.0
    assert blend.scores_["near"] > 0.5


def test_groups_are_held_out_whole() -> None:
    rng = np.random.default_rng(0)
    customer = np.repeat(np.arange(200), 3)
    X, y = rng.normal(size=200)[customer][:, None], rng.exponential(size=200)[customer]  # noise, learnt by heart
    models = [("heart", KNeighborsRegressor(1)), ("line", LinearRegression())]
    torn = BlendRegressor(models, cv=3).fit(X, y)
    whole = BlendRegressor(models, cv=3).fit(X, y, groups=customer)
    once = BlendRegressor(models, validation_fraction=0.3).fit(X, y, groups=customer)
    assert torn.scores_["heart"] < 0.2 < 0.7 < min(whole.scores_["heart"], once.scores_["heart"])


def test_one_model_is_itself() -> None:
    X, y = spend()
    blend = BlendRegressor([("tweedie", small("tweedie"))], cv=2).fit(X, y)
    assert blend.weights_ == {"tweedie": 1.0}
    np.testing.assert_array_equal(blend.predict(X), small("tweedie").fit(X, y).predict(X))


def test_equal_models_predict_as_one() -> None:
    X, y = spend()
    blend = BlendRegressor([("a", small()), ("b", small())], cv=2).fit(X, y)
    np.testing.assert_allclose(blend.predict(X), small().fit(X, y).predict(X), rtol=1e-12)


def test_weights_come_from_the_seed_and_models_are_bounded() -> None:
    X, y = spend()
    blend, again = (BlendRegressor(three(), validation_fraction=0.3, random_state=7).fit(X, y) for _ in range(2))
    assert blend.weights_ == again.weights_
    few = BlendRegressor(three(), cv=2, max_models=1).fit(X, y)
    assert len(few.estimators_) == 1


def test_rows_of_weight_0_count_nowhere() -> None:
    X, y = spend()
    weight = np.ones(y.size)
    weight[::5] = 0.0
    wild = np.where(weight > 0, y, 1e6)
    one, other = (BlendRegressor(three(), cv=2).fit(X, labels, weight) for labels in (y, wild))
    assert one.scores_["tweedie"] == pytest.approx(other.scores_["tweedie"])
    assert other.blend_score_ < 10


def test_rounds_found_are_kept_for_all_rows() -> None:
    X, y = spend(800)
    stops: dict[str, Any] = {"n_estimators": 300, "early_stopping_rounds": 5}
    hurdle = HurdleRegressor(small("bernoulli", **stops), small("gamma", **stops))
    blend = BlendRegressor([("tweedie", small("tweedie", **stops)), ("hurdle", hurdle)], metric="rmse", cv=2, bags=1)
    blend.fit(X, y)
    assert blend.estimators_
    for model in blend.estimators_.values():
        for booster in gbreg.estimators.model.fitted_boosters_in(model):
            assert booster.early_stopping_rounds is None
            assert 0 < booster.best_iteration_ < 300


def test_what_it_costs() -> None:
    X, y = spend()
    blend = BlendRegressor(three(), cv=2).fit(X, y)
    cost = blend.cost(X, repeats=1)
    assert cost["rounds"] == 8 * len(blend.estimators_)
    assert cost["rounds_of_best"] == 8
    assert cost["ms_per_row"] > 0 < cost["ms_per_row_of_best"]


# -- who is skipped


@pytest.mark.filterwarnings("ignore:BlendRegressor skipped:UserWarning")
def test_models_that_refuse_the_labels_are_skipped_with_the_reason() -> None:
    X, y = spend()
    blend = BlendRegressor([("gamma", small("gamma")), ("tweedie", small("tweedie"))], cv=2).fit(X, y)
    assert blend.weights_ == {"tweedie": 1.0}
    assert "Gamma needs y in" in blend.skipped_["gamma"]
    with pytest.raises(ValueError, match=r"none can be blended\. gamma: Gamma needs y in"):
        BlendRegressor([("gamma", small("gamma"))], cv=2).fit(X, y)


def test_a_metric_without_a_value_is_skipped_and_said() -> None:
    X, y = spend()
    models = [("line", LinearRegression()), ("tweedie", small("tweedie"))]
    with pytest.warns(UserWarning, match="BlendRegressor skipped line: .*strictly positive y_pred"):
        blend = BlendRegressor(models, metric="poisson_deviance", cv=2).fit(X, y)
    assert blend.weights_ == {"tweedie": 1.0}
    with pytest.raises(ValueError, match=r"none can be blended\. line: xauc of its predictions is nan"):
        BlendRegressor([("line", LinearRegression())], metric="xauc", cv=2).fit(X, np.full_like(y, 2.0))


# -- how it is kept


def test_saved_loaded_pickled_cloned(tmp_path: Any) -> None:
    X, y = spend()
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(kind=pd.Categorical(np.where(X[:, 1] > 0, "x", "y")))
    blend = BlendRegressor([*three(), ("ziln", ZILNRegressor(**FAST))], metric="xauc", cv=2).fit(frame, y)
    blend.save(tmp_path / "blend.gbreg")
    loaded = gbreg.load(tmp_path / "blend.gbreg")
    for same in (loaded, pickle.loads(pickle.dumps(blend)), clone(blend).fit(frame, y)):
        np.testing.assert_array_equal(same.predict(frame), blend.predict(frame))
    assert loaded.weights_ == blend.weights_
    assert loaded.get_params(deep=False).keys() == blend.get_params(deep=False).keys()


def test_sparse_rows_and_calibration_around_it() -> None:
    X, y = spend()
    sparse = scipy.sparse.csr_array(np.where(X > 0, X, 0.0))
    model = CalibratedRegressor(BlendRegressor(three(), cv=2), "ratio", cv=2).fit(sparse, y)
    assert model.predict(sparse).sum() == pytest.approx(y.sum(), rel=0.1)


def test_parameters_of_the_models_by_name() -> None:
    blend = BlendRegressor(three())
    assert blend.get_params()["tweedie__n_estimators"] == 8
    blend.set_params(tweedie__n_estimators=3, absolute=LinearRegression(), metric="rmse")
    assert blend.estimators[0][1].n_estimators == 3
    assert isinstance(blend.estimators[1][1], LinearRegression)
    assert blend.metric == "rmse"
    blend.set_params(estimators=[("only", small())], only__max_leaves=2)
    assert blend.get_params()["only__max_leaves"] == 2


FOLDS = {
    f"check_sample_weight_equivalence_on_{kind}_data": "folds are of rows, and LightGBM counts leaves by rows"
    for kind in ("dense", "sparse")
}
TINY: dict[str, Any] = {"n_estimators": 20, "n_jobs": 1, "min_child_samples": 1}
PAIR = BlendRegressor([("mean", GBRegressor(**TINY)), ("middle", GBRegressor("absolute_error", **TINY))], cv=2)


@parametrize_with_checks([PAIR], expected_failed_checks=lambda _: FOLDS)
def test_sklearn_checks(estimator: Any, check: Any) -> None:
    check(estimator)


# -- what is refused


@pytest.mark.parametrize(
    ("model", "error", "said"),
    [
        (BlendRegressor([]), TypeError, "estimators=.* must be a list of pairs"),
        (BlendRegressor([small()]), TypeError, "estimators=.* must be a list of pairs"),  # type: ignore[list-item]
        (BlendRegressor([("a", small()), ("a", small())]), ValueError, "the name 'a' must be used once"),
        (BlendRegressor([("cv", small())]), ValueError, "the name 'cv' must be .* none of average, bags, cv"),
        (BlendRegressor([("a", small())], metric="maee"), ValueError, "metric 'maee' is not known"),
        (BlendRegressor([("a", small())], metric="pcoc"), ValueError, "use 'abs_log_pcoc'"),
        (BlendRegressor([("a", small())], picks=0), ValueError, "'picks' parameter of BlendRegressor"),
        (BlendRegressor([("a", small())], max_models=0), ValueError, "'max_models' parameter of BlendRegressor"),
        (BlendRegressor([("a", small(learning_rate=-1.0))]), ValueError, "'learning_rate' parameter of GBRegressor"),
        (BlendRegressor([("a", small("huberp"))]), ValueError, "huberpp"),
        (BlendRegressor([("a", small(monotone={7: 1}))]), ValueError, "monotone"),
    ],
)
def test_refused_before_training(model: Any, error: Any, said: str) -> None:
    X, y = spend(50)
    with pytest.raises(error, match=said):
        model.fit(X, y)


def test_weights_that_a_model_does_not_take() -> None:
    X, y = spend(50)
    with pytest.raises(ValueError, match="sample_weight: near=KNeighborsRegressor takes none"):
        BlendRegressor([("near", KNeighborsRegressor(1))]).fit(X, y, np.ones(50))
