"""Which built-in forms are admitted: tables worked out from the argument in `gbreg.engines.native`, not from its answers.

Steps s = rate * limit on a log score descend while (exp|s| - 1 - |s|) / s^2 <= 1 / rate; under monotone constraints half of
that has to do. Those of a softmax, whose range is 2 s, have to stay below half of it too.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gbreg.engines import ENGINES, get_engine, xgboost
from gbreg.losses import NativeForm
from gbreg.losses.native import FORMS

EQUAL, UNEQUAL = np.full(4, 2.5), np.array([1.0, 2.0, 1.0, 1.0])
PARAMETERS: dict[str, dict[str, float]] = {
    "huber": {"delta": 1.0},
    "tweedie": {"power": 1.5},
    "softmax": {"n_classes": 5},
}


def admitted(
    engine: str, name: str, rate: float, weight: Any = None, limit: float | None = None, **parameters: float
) -> bool:
    form = NativeForm(name, parameters or PARAMETERS.get(name, {}))
    assert get_engine(engine).native_parameters(form) is not None
    own = {"learning_rate": rate} | ({} if limit is None else {"max_delta_step": limit})
    return get_engine(engine).admits(form, own, weight)


# Their Hessian is nowhere below the second derivative, so that the loss is at most a parabola: it descends up to 2.
BOUNDED = [("lightgbm", "squared_error"), ("lightgbm", "huber"), ("xgboost", "squared_error"), ("catboost", "squared_error")]


@pytest.mark.parametrize(("engine", "form"), BOUNDED)
@pytest.mark.parametrize(("rate", "admits"), [(0.1, True), (1.0, True), (1.9, True), (2.1, False)])
def test_bounded_curvature(engine: str, form: str, rate: float, admits: bool) -> None:
    assert admitted(engine, form, rate) == admits
    assert admitted(engine, form, rate, UNEQUAL) == admits
    assert admitted(engine, form, rate, limit=1.0) == admits


# (engine, before XGBoost 3.4, level, without or under equal weights, under others): which leaves are minima.
RENEWED = [
    ("lightgbm", False, 0.5, True, False),  # off by a row under weights
    ("lightgbm", False, 0.9, False, False),  # interpolates
    ("catboost", False, 0.5, True, False),  # does not look at weights
    ("catboost", False, 0.9, True, False),
    ("xgboost", True, 0.5, True, True),
    ("xgboost", True, 0.9, True, True),
    ("xgboost", False, 0.5, False, False),  # not renewed any more, but steps with a unit
    ("xgboost", False, 0.9, False, False),
]


@pytest.mark.parametrize(("engine", "old", "level", "equal", "unequal"), RENEWED)
def test_renewed_leaves(
    engine: str, old: bool, level: float, equal: bool, unequal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(xgboost, "_since", lambda *version: not old)
    forms: list[tuple[str, dict[str, float]]] = [("quantile", {"level": level})]
    forms += [("absolute_error", {})] if level == 0.5 else []
    for name, parameters in forms:
        for rate in (0.1, 1.0):
            assert admitted(engine, name, rate, **parameters) == equal
            assert admitted(engine, name, rate, EQUAL, **parameters) == equal
            assert admitted(engine, name, rate, UNEQUAL, **parameters) == unequal
        assert not admitted(engine, name, 1.5, **parameters)  # beyond the minimum, by half the way to it


LOG_SCORES = [
    *(("lightgbm", name) for name in ("poisson", "gamma", "tweedie", "cross_entropy")),
    *(("xgboost", name) for name in ("gamma", "tweedie", "cross_entropy", "cross_entropies")),
]
# (rate, the user's max_delta_step, which is 9 unless it is set, and 0 for no limit): s of 2.7 have 1.5 against 3.3 and half
# of it, s of 4.5 have 4.2 against 2, s of 6 have 11 against 3.3.
SHORT = [
    (0.1, None, True),
    (0.3, None, True),
    (0.3, 9.0, True),
    (0.3, 0.5, True),
    (0.5, None, False),
    (1.0, None, False),
    (0.3, 20.0, False),
    (0.1, 0.0, False),
]


@pytest.mark.parametrize(("engine", "form"), LOG_SCORES)
@pytest.mark.parametrize(("rate", "limit", "admits"), SHORT)
def test_steps_on_log_scores(engine: str, form: str, rate: float, limit: float | None, admits: bool) -> None:
    assert admitted(engine, form, rate, limit=limit) == admits
    assert admitted(engine, form, rate, UNEQUAL, limit) == admits


# Steps are 1.2 / rate unless the limit is set: ranges of 2.4 have twice 1.3 against 3.3 at 0.3 and 2 at 0.5, of 4.8 twice 5
# against 3.3, of 1.6 twice 0.9 against 10.
SOFTMAX = [
    (0.1, None, True),
    (0.3, None, True),
    (0.5, None, False),
    (0.3, 4.0, True),
    (0.3, 8.0, False),
    (0.1, 8.0, True),
    (0.1, 0.0, False),
]


@pytest.mark.parametrize("engine", ["lightgbm", "xgboost"])
@pytest.mark.parametrize(("rate", "limit", "admits"), SOFTMAX)
def test_steps_of_a_softmax(engine: str, rate: float, limit: float | None, admits: bool) -> None:
    assert admitted(engine, "softmax", rate, limit=limit) == admits


@pytest.mark.parametrize(
    ("rate", "limit", "admits"),
    [(0.1, None, True), (1.0, None, True), (1.1, None, False), (0.3, 0.7, True), (0.3, 0.0, False)],
)
def test_xgboosts_own_way_of_poisson(rate: float, limit: float | None, admits: bool) -> None:
    """Hessians of exp(0.7) mu under steps of 0.7: |s| <= 0.7 rate has exp(s) <= exp(0.7) up to a rate of 1."""
    assert admitted("xgboost", "poisson", rate, limit=limit) == admits


@pytest.mark.parametrize("form", ["poisson", "tweedie", "cross_entropy"])
@pytest.mark.parametrize("rate", [0.01, 0.1, 1.0])
def test_catboost_knows_no_limit_on_steps(form: str, rate: float) -> None:
    assert not admitted("catboost", form, rate)


@pytest.mark.parametrize("rate", [0.1, 0.3, 1.0])
def test_catboosts_softmax_takes_gradient_steps(rate: float) -> None:
    """Of a curvature of 1, where a softmax has at most a half."""
    assert admitted("catboost", "softmax", rate)


# rate * ratio of the slopes <= 2
EXPECTILES = [(0.5, 0.1, True), (0.5, 1.9, True), (0.8, 0.4, True), (0.8, 0.6, False), (0.2, 0.4, True), (0.2, 0.6, False)]


@pytest.mark.parametrize(("level", "rate", "admits"), [*EXPECTILES, (0.95, 0.1, True), (0.95, 0.2, False)])
def test_expectiles(level: float, rate: float, admits: bool) -> None:
    assert admitted("catboost", "expectile", rate, level=level) == admits


def test_the_table_has_every_form() -> None:
    named = {engine: {"quantile", "absolute_error", "softmax"} for engine in ENGINES}
    for engine, form in (*BOUNDED, *LOG_SCORES, ("xgboost", "poisson"), ("catboost", "expectile")):
        named[engine].add(form)
    named["catboost"] |= {"poisson", "tweedie", "cross_entropy"}
    assert named == {name: set(engine.native) for name, engine in ENGINES.items()}


def test_a_form_that_no_engine_could_have_is_refused_where_the_loss_names_it() -> None:
    with pytest.raises(ValueError, match=r"NativeForm: name='squared_eror' is not known: did you mean 'squared_error'\?"):
        NativeForm("squared_eror")
    assert set(FORMS) == {name for engine in ENGINES.values() for name in engine.native}
