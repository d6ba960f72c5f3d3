"""Search spaces: what is offered, what is overridden, what Optuna's own search does with the estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

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
from gbreg.losses import AM, Huber, Huberpp, Tweedie
from gbreg.metrics import top_share
from gbreg.tuning import Choice, Integers, LogUniform, Uniform, search_space, suggest
from gbreg.tuning.code import as_code
from gbreg.tuning.space import BOOSTING
from tests.cases import CASES

MODELS: dict[str, tuple[Any, set[str]]] = {
    "huberpp": (GBRegressor(Huberpp(label_floor=0.1)), {"loss__delta"}),
    "bucket": (BucketRegressor(), {"n_buckets", "edges", "rank"}),
    "ordinal": (OrdinalRegressor(), {"n_buckets", "edges", "spread"}),
    "wce": (WCERegressor(), {"scheme"}),
    "ziln": (ZILNRegressor(), set()),
    "hurdle": (
        HurdleRegressor(GBRegressor("bernoulli"), GBRegressor(AM(link="log"))),
        {f"regressor__loss__{name}" for name in ("s_low", "lb", "ub", "gradient_on")},
    ),
    "hurdle-sklearn": (HurdleRegressor(LogisticRegression(), GBRegressor("gamma")), set()),
    "d2q": (D2QRegressor(GBRegressor(Huber()), group=0), {"estimator__loss__delta"}),
    "calibrated": (CalibratedRegressor(GBRegressor(Tweedie())), {"estimator__loss__power"}),
}


def spend(n: int = 300, zeros: float = 0.3) -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, 4))
    y = np.exp(0.7 * X[:, 0] + 0.5 * rng.normal(size=n))
    appetite = X[:, 1] + 0.3 * rng.normal(size=n)
    return X, np.where(appetite < np.quantile(appetite, zeros), 0.0, y) if zeros else y


def asked(seed: int = 0) -> optuna.Trial:
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=seed)).ask()


@pytest.mark.parametrize(("model", "of_losses"), MODELS.values(), ids=MODELS)
def test_every_model_has_a_space_and_takes_what_it_offers(model: Any, of_losses: set[str]) -> None:
    X, y = spend()
    space = search_space(model, y=y)
    assert space.of_losses == of_losses
    assert {name.split("__")[-1] for name in set(space.ranges) - of_losses} == set(BOOSTING)
    for seed in range(3):
        made = suggest(asked(seed), model, y=y)
        assert type(made) is type(model)
        assert made is not model
        for part in [name for name in made.get_params() if name.split("__")[-1] == "n_estimators"]:
            made.set_params(**{part: 3})
        assert np.isfinite(made.fit(X, y).predict(X)).all()


@pytest.mark.parametrize("loss", CASES, ids=repr)
def test_no_combination_offered_is_refused(loss: Any) -> None:
    for seed in range(8):
        suggest(asked(seed), GBRegressor(loss)).loss.check_parameters()


def test_space_replaces_adds_and_leaves_out() -> None:
    own = {
        "learning_rate": None,
        "max_leaves": Integers(2, 4),
        "loss__link": Choice(("identity", "log")),
        "loss__delta": Uniform(1, 2),
    }
    space = search_space(GBRegressor("huberpp"), space=own)
    assert "learning_rate" not in space.ranges
    assert space.ranges["max_leaves"] == Integers(2, 4)
    assert space.of_losses == {"loss__delta", "loss__link"}
    seen = {suggest(asked(seed), GBRegressor("huberpp", learning_rate=0.3), space=own).loss.link for seed in range(10)}
    assert seen == {"identity", "log"}
    assert suggest(asked(), GBRegressor("huberpp", learning_rate=0.3), space=own).learning_rate == 0.3


def test_options_that_a_study_cannot_store_come_back_as_they_were() -> None:
    given = {"sigma": Choice((None, (0.5, 1.0), (0.2, 0.5)))}
    model = BucketRegressor(soft="normal")
    seen = {suggest(asked(seed), model, space=given).sigma for seed in range(20)}
    assert seen == {None, (0.5, 1.0), (0.2, 0.5)}


@pytest.mark.parametrize(
    ("name", "where", "message"),
    [
        ("delta", Uniform(0, 1), "'delta' is not a parameter of the estimator: did you mean 'loss__delta'"),
        ("learning_rat", Uniform(0, 1), "did you mean 'learning_rate'"),
        ("learning_rate", (0.1, 0.2), r"space\['learning_rate'\]=\(0.1, 0.2\) must be Uniform, LogUniform"),
    ],
)
def test_what_space_refuses(name: str, where: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        search_space(GBRegressor("huberpp"), space={name: where})


def test_ranges_in_the_unit_of_the_target_follow_the_labels() -> None:
    y = np.array([1.0, 2.0, 4.0, 7.0, 11.0])  # MAD 3
    model = GBRegressor(Huber(delta_unit="absolute"))
    assert "loss__delta" not in search_space(model).ranges
    assert search_space(model, y=1000 * y).ranges["loss__delta"] == LogUniform(300.0, 300000.0)


@pytest.mark.filterwarnings("ignore:.*(experimental|deprecated)")  # Optuna's, of itself
def test_optunas_own_search_takes_the_estimator() -> None:
    sklearn = pytest.importorskip("optuna_integration.sklearn")
    X, y = spend(zeros=0.0)
    ranges = {
        "loss__delta": optuna.distributions.FloatDistribution(0.1, 2.0, log=True),
        "max_leaves": optuna.distributions.IntDistribution(4, 16),
    }
    model = GBRegressor(Huberpp(link="log"), n_estimators=5)
    search = sklearn.OptunaSearchCV(model, ranges, n_trials=4, cv=2, random_state=0)
    search.fit(X, y)
    assert set(search.best_params_) == set(ranges)
    assert search.best_estimator_.loss_.delta == search.best_params_["loss__delta"]
    assert search.predict(X).shape == y.shape


@pytest.mark.parametrize(("model", "of_losses"), MODELS.values(), ids=MODELS)
def test_code_makes_the_same_model(model: Any, of_losses: set[str]) -> None:
    made = suggest(asked(), model, y=spend()[1])
    found: dict[str, Any] = {}
    exec(as_code(made), found)
    assert repr(found["model"].get_params()) == repr(made.get_params())


def test_code_of_values_that_no_repr_can_write() -> None:
    given = {"monotone_constraints": np.array([1, 0]), "max_delta_step": float("inf")}
    model = GBRegressor(eval_metric=top_share, engine_params=given)
    found: dict[str, Any] = {}
    exec(as_code(model), found)
    assert found["model"].eval_metric is top_share
    assert found["model"].engine_params == {"monotone_constraints": [1, 0], "max_delta_step": float("inf")}


def test_parameters_of_a_loss_by_name_can_be_searched() -> None:
    X, y = spend(zeros=0.3)
    named = GBRegressor("huber", n_estimators=2, n_jobs=1)
    search = GridSearchCV(named, {"loss__delta": [0.1, 5.0], "learning_rate": [0.1]}, cv=2).fit(X, y)
    given = GridSearchCV(clone(named).set_params(loss=Huber()), {"loss__delta": [0.1, 5.0]}, cv=2).fit(X, y)
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], given.cv_results_["mean_test_score"])
    assert len(set(search.cv_results_["mean_test_score"])) == 2
    assert named.loss == "huber"
    both = clone(named).set_params(loss__delta=0.3, loss="huberpp")
    assert repr(both.loss) == "Huberpp(delta=0.3)"
    for whole, name in (
        (HurdleRegressor(GBRegressor("bernoulli"), clone(named)), "regressor__loss__delta"),
        (CalibratedRegressor(HurdleRegressor(GBRegressor("bernoulli"), clone(named))), "estimator__regressor__loss__delta"),
        (D2QRegressor(clone(named), group=0), "estimator__loss__delta"),
    ):
        assert whole.set_params(**{name: 0.3}).get_params()[name] == 0.3
    with pytest.raises(ValueError, match="Invalid parameter 'dleta' for estimator Huber"):
        GBRegressor("huber").set_params(loss__dleta=0.3)
    with pytest.raises(ValueError, match="loss='hubr' is not known: did you mean 'huber'"):
        GBRegressor("hubr").set_params(loss__delta=0.3)
