"""Losses from formulas: equal to the built-in ones, safe to load, and clear about what is wrong."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from gbreg import GBRegressor, load
from gbreg import _kernels as kernels
from gbreg.links import Interval
from gbreg.losses import (
    AM,
    ExpressionLoss,
    Huberpp,
    LogUniform,
    PointwiseLoss,
    Poisson,
    SquaredError,
    Uniform,
    from_expression,
    loss_from_json,
)

pytest.importorskip("sympy")

HUBERPP = "Piecewise((C*(mu-y)**2/(2*y), abs(mu-y) <= delta*y), (C*delta*(abs(mu-y) - delta*y/2), True))"
AM_ON_MU = (
    "C * (s_high if mu > y else s_low) * y * Piecewise((mu/y*log(ub) + 1 - ub, mu/y > ub), "
    "(mu/y*log(lb) + 1 - lb, mu/y < lb), (mu/y*log(mu/y) - mu/y + 1, True))"
)
POISSON = "mu - y*log(mu) - y + y*log(y)"
LOGCOSH = "s**2 * log(cosh((mu-y)/s))"
AM_PARAMETERS = {"C": 1.5, "s_high": 0.7, "s_low": 2.0, "lb": 0.1, "ub": 8.0}


class LogCosh(PointwiseLoss):
    """Written by hand, for comparison with the formula."""

    def __init__(self, s: float = 1.0, link: str = "identity"):
        self.s = s
        self.link = link

    @staticmethod
    def row_value(y: float, mu: float, s: float) -> float:
        u = abs(mu - y) / s
        return s * s * (u + np.log1p(np.exp(-2.0 * u)) - 0.6931471805599453)

    @staticmethod
    def row_derivatives(y: float, mu: float, s: float) -> tuple[float, float]:
        t = np.tanh((mu - y) / s)
        return s * t, 1.0 - t * t


def pairs(link: str) -> dict[str, tuple[ExpressionLoss, PointwiseLoss]]:
    """The same loss as a formula and as a class."""

    def make(text: str, domain: str = "(0, inf)", **parameters: float) -> ExpressionLoss:
        return from_expression(text, parameters=parameters, link=link, y_domain=domain)

    found: dict[str, tuple[ExpressionLoss, PointwiseLoss]] = {
        "huberpp": (make(HUBERPP, C=1.5, delta=0.4), Huberpp(delta=0.4, C=1.5, link=link)),
        "am": (make(AM_ON_MU, **AM_PARAMETERS), AM(**AM_PARAMETERS, link=link)),
        "squared_error": (make("(mu - y)**2 / 2", "(-inf, inf)"), SquaredError(link=link)),
        "logcosh": (make(LOGCOSH, "(-inf, inf)", s=2.0), LogCosh(s=2.0, link=link)),
    }
    if link == "log":
        found["poisson"] = (make(POISSON), Poisson())
    return found


CASES = [
    *((name, "log") for name in ("huberpp", "am", "squared_error", "logcosh", "poisson")),
    *((name, "identity") for name in ("huberpp", "am", "logcosh")),
    ("huberpp", "softplus"),
]


@pytest.fixture(scope="module")
def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    X = rng.normal(size=(1000, 3))
    return X, np.exp(X[:, 0] + 0.5 * rng.normal(size=1000))


@pytest.mark.parametrize(("name", "link"), CASES)
def test_value_gradient_and_hessian_are_those_of_the_class(name: str, link: str) -> None:
    ours, theirs = pairs(link)[name]
    labels, predictions = np.geomspace(0.02, 300.0, 25), np.geomspace(0.01, 500.0, 40)
    y, mu = (a.ravel() for a in np.meshgrid(labels, predictions))
    raw = theirs.to_raw(mu)
    ours.fit(labels)
    theirs.fit(labels)
    np.testing.assert_allclose(ours.value(y, raw), theirs.value(y, raw), rtol=1e-9, atol=1e-12)
    # Each is a difference of terms up to about y and mu, or their squares on the log scale.
    size = 1e-13 * np.maximum(y, mu) ** (2 if link == "log" else 1)
    for hessian in ("exact", "safe") if name == "huberpp" else ("exact",):  # the safe one is built from the same two
        for a, b in zip(
            ours.gradient_hessian(y, raw, hessian=hessian),
            theirs.gradient_hessian(y, raw, hessian=hessian),
            strict=True,
        ):
            assert (np.abs(a - b) <= 1e-9 * np.abs(b) + size).all()


@pytest.mark.parametrize(
    ("name", "link"),
    [("huberpp", "log"), ("am", "log"), ("poisson", "log"), ("squared_error", "log"), ("logcosh", "identity")],
)
def test_trains_to_the_predictions_of_the_class(name: str, link: str, data: Any) -> None:
    X, y = data
    ours, theirs = (
        GBRegressor(loss, n_estimators=20, native=False, reg_lambda=1.0, random_state=0, n_jobs=1).fit(X, y)
        for loss in pairs(link)[name]
    )
    assert ours.loss_.intercept_ == pytest.approx(theirs.loss_.intercept_, rel=1e-12, abs=1e-12)
    assert ours.loss_.hessian_scale_ == pytest.approx(theirs.loss_.hessian_scale_, rel=1e-9)
    np.testing.assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-6)
    assert np.ptp(ours.predict(X)) > 1.0


def test_kinks_have_derivative_0_and_no_curvature() -> None:
    loss = from_expression("max(q*(y-mu), (q-1)*(y-mu))", parameters={"q": 0.9}).fit([1.0, 2.0, 5.0])
    gradient, hessian = loss.gradient_hessian([2.0, 2.0, 2.0], [1.0, 2.0, 3.0], hessian="exact")
    np.testing.assert_allclose(gradient, [-0.9, 0.0, 0.1], rtol=1e-12)
    np.testing.assert_array_equal(hessian, 0.0)
    loss = from_expression("abs(mu - y)").fit([1.0, 2.0, 5.0])
    np.testing.assert_array_equal(loss.gradient_hessian([2.0] * 3, [1.0, 2.0, 3.0])[0], [-1.0, 0.0, 1.0])
    assert loss.intercept_ == pytest.approx(2.0)
    loss = from_expression("sqrt((mu - y)**2) + sign(mu - y)*(mu - y)").fit([1.0, 2.0, 5.0])
    np.testing.assert_array_equal(loss.gradient_hessian([2.0] * 3, [1.0, 2.0, 3.0])[0], [-2.0, 0.0, 2.0])


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("(mu - y)**2 if mu > y else 3*(mu - y)**2", "Piecewise(((mu-y)**2, mu > y), (3*(mu-y)**2, True))"),
        ("Max(mu, y) - Min(mu, y)", "abs(mu - y)"),
        ("Piecewise((y - mu, (mu < y) & ~(mu < -1e9)), (mu - y, True))", "abs(mu - y)"),
        ("(y - mu) if mu < y and not mu < -1e9 else mu - y", "abs(mu - y)"),
        ("-((mu - y)**2) * -(1/3) / 2 * 6", "(mu - y)**2"),
        ("max(mu - y, y - mu, 0)", "abs(mu - y)"),
        ("expm1(mu - y) - (mu - y)", "exp(mu - y) - 1 - mu + y"),
        ("log1p((mu - y)**2)", "log(1 + (mu - y)**2)"),
        ("ln(cosh(mu - y))", "logcosh(mu - y)"),
        ("log((exp(mu - y) + exp(y - mu)) / 2)", "logcosh(mu - y)"),
        ("abs(mu - y)**1.5", "sqrt(abs(mu - y))**3"),
        ("sinh(mu - y)**2", "cosh(mu - y)**2 - 1"),
        ("(mu - y)*tanh(mu - y)", "(mu - y)*sinh(mu - y)/cosh(mu - y)"),
        ("2**0.5 * (mu - y)**2", "sqrt(2) * (mu - y)**2"),
    ],
)
def test_ways_to_write_a_formula(text: str, same: str) -> None:
    y, raw = np.array([1.0, 1.0, 2.0, -3.0]), np.array([0.3, 1.7, 4.0, -2.5])
    a, b = (ExpressionLoss(expression) for expression in (text, same))
    for loss in (a, b):
        loss.raw_size_ = 1.0
    np.testing.assert_allclose(a.value(y, raw), b.value(y, raw), rtol=1e-12)
    for p, q in zip(a.gradient_hessian(y, raw, hessian="exact"), b.gradient_hessian(y, raw, hessian="exact"), strict=True):
        np.testing.assert_allclose(p, q, rtol=1e-9, atol=1e-12)


def test_the_logarithm_of_cosh_does_not_overflow() -> None:
    loss = from_expression("log(cosh(mu - y))").fit([0.0, 1.0])
    np.testing.assert_allclose(loss.value([0.0], [5000.0]), 5000.0 - np.log(2.0), rtol=1e-14)
    gradient, hessian = loss.gradient_hessian([0.0], [5000.0])
    assert gradient == 1.0
    assert 0 < hessian < 1e-3


def test_the_log_link_does_not_overflow() -> None:
    loss = from_expression(POISSON, link="log", y_domain="(0, inf)").fit([1.0, 2.0])
    gradient, hessian = loss.gradient_hessian([1.0], [-800.0], hessian="exact")
    assert gradient == -1.0
    assert hessian == 0.0
    np.testing.assert_allclose(loss.value([1.0], [-800.0]), 799.0)


def test_twenty_values_of_a_parameter_compile_once(data: Any) -> None:
    X, y = data
    made = [
        from_expression(HUBERPP, parameters={"delta": d, "C": 1.0}, y_domain="(0, inf)") for d in np.geomspace(0.1, 3, 20)
    ]

    def fit(loss: ExpressionLoss) -> float:
        return float(GBRegressor(loss, n_estimators=2, n_jobs=1).fit(X, y).predict(X)[0])

    fit(made[0])
    before = kernels.kernels_made()
    results = {fit(loss) for loss in made[1:]}
    assert kernels.kernels_made() == before
    assert len(results) > 15


def test_the_same_formula_shares_its_compiled_code() -> None:
    def spec(text: str, **parameters: float) -> Any:
        return from_expression(text, parameters=parameters, y_domain="(0, inf)").spec()

    first = spec("C*(mu-y)**2/(2*y)", C=1.0)
    assert spec("C * (mu - y) ** 2 / (2 * y)", C=7.0) == first
    assert spec("(y - mu)**2*C / y / 2", C=1.0).derivatives is not None
    assert spec("(mu - y)**2 * (C / (y*2))", C=1.0) == first
    assert spec("C*(mu-y)**2/(3*y)", C=1.0) != first
    reordered = from_expression(HUBERPP, parameters={"C": 2.0, "delta": 0.5}, y_domain="(0, inf)")
    other = from_expression(HUBERPP, parameters={"delta": 0.5, "C": 2.0}, y_domain="(0, inf)")
    assert reordered.spec() == other.spec()
    assert np.array_equal(reordered.arguments().parameters, other.arguments().parameters)


def test_parameters_are_those_of_a_scikit_learn_estimator() -> None:
    loss = from_expression(HUBERPP, parameters={"C": 1.0, "delta": 0.5}, y_domain="(0, inf)", link="log")
    assert loss.get_params()["delta"] == 0.5
    assert "delta" not in loss.get_params(deep=False)
    twin = clone(loss).set_params(delta=0.2, link="softplus")
    assert (twin.delta, twin.C, twin.link) == (0.2, 1.0, "softplus")
    assert (loss.delta, loss.link) == (0.5, "log")
    assert twin.set_params(parameters={"C": 3.0, "delta": 1.0}, delta=4.0).parameters == {"C": 3.0, "delta": 4.0}
    with pytest.raises(ValueError, match="Invalid parameter 'gamma'"):
        loss.set_params(gamma=1.0)
    with pytest.raises(AttributeError, match="gamma"):
        _ = loss.gamma
    assert pickle.loads(pickle.dumps(loss)).get_params() == loss.get_params()


def test_grid_search_over_a_formulas_parameter(data: Any) -> None:
    X, y = data
    loss = from_expression("(mu - s*y)**2", parameters={"s": 1.0}, y_domain="(0, inf)", minimizer="s*y")
    model = GBRegressor(loss, n_estimators=20, n_jobs=1)
    search = GridSearchCV(model, {"loss__s": [0.2, 1.0, 5.0]}, cv=2, scoring="neg_mean_absolute_error").fit(X, y)
    assert search.best_params_ == {"loss__s": 1.0}
    assert search.best_estimator_.loss_.s == 1.0
    scores = search.cv_results_["mean_test_score"]
    assert scores[1] > max(scores[0], scores[2])


def test_strength_is_left_to_the_engines_regularisation() -> None:
    y = np.array([1.0, 2.0, 6.0])
    for text in ("C*(mu-y)**2", "Piecewise((C*(mu-y)**2, mu > y), (2*C*(mu-y)**2, True))"):
        weak, strong = (from_expression(text, parameters={"C": c}).fit(y) for c in (1.0, 10.0))
        assert strong.hessian_scale_ == weak.hessian_scale_  # C stays in the gradients: ten times the strength
    shape = [from_expression("(mu-y)**2 + C*(mu-y)**4", parameters={"C": c}).fit(y) for c in (1.0, 10.0)]
    assert shape[1].hessian_scale_ > 2 * shape[0].hessian_scale_  # here C is no factor of the loss


def test_declared_minimizer_and_functional() -> None:
    loss = from_expression("(mu - k*y)**2", parameters={"k": 2.0}, minimizer="k*y", functional="twice the mean")
    loss.fit([1.0, 2.0, 6.0])
    assert loss.intercept_ == pytest.approx(6.0)
    assert loss.functional == "twice the mean"
    _, hessian = loss.gradient_hessian([1.0], [2.0 + 1e-9])
    assert hessian == pytest.approx(2.0)


def test_units_are_recognised() -> None:
    assert from_expression(HUBERPP, parameters={"C": 1.0, "delta": 0.5}, y_domain="(0, inf)").scale_equivariant
    assert from_expression("(mu - y)**2", link="log", y_domain="(0, inf)").scale_equivariant
    assert not from_expression("log(cosh(mu - y))").scale_equivariant
    assert not from_expression("(mu - y)**2", y_domain="[1, inf)").scale_equivariant


def test_domains_search_spaces_and_names() -> None:
    loss = from_expression(
        "C*(mu-y)**2",
        name="MyLoss",
        y_domain=Interval(0.1, 7.0, "low"),
        parameters={"C": 1.0},
        parameter_domains={"C": Interval(0, 10, "high")},
        search_space={"C": LogUniform(0.1, 10.0)},
    )
    assert loss.name == "my_loss"
    assert loss.y_domain == Interval(0.1, 7.0, "low")
    assert loss.search_space == {"C": LogUniform(0.1, 10.0)}
    assert from_expression("C*(mu-y)**2", parameters={"C": 1.0}, search_space={"C": Uniform(1, 2)}).search_space == {
        "C": Uniform(1, 2)
    }
    with pytest.raises(ValueError, match=r"C=11.0 is not a number in \(0, 10\]"):
        loss.set_params(C=11.0).fit([1.0, 2.0])
    with pytest.raises(ValueError, match=r"needs y in \[0.1, 7\); 1 of 2 labels are not"):
        loss.set_params(C=1.0).fit([1.0, 7.0])
    model = GBRegressor(loss, n_estimators=2, n_jobs=1)
    X = np.arange(60.0).reshape(-1, 1)
    y = 0.1 + 0.1 * X[:, 0]
    model.fit(X, y, eval_set=(X, y))
    assert list(model.evals_result_["validation_0"]) == ["my_loss"]


def test_json_round_trip_keeps_everything() -> None:
    loss = from_expression(
        HUBERPP,
        name="Mine",
        link="log",
        y_domain=Interval(0, np.inf),
        parameters={"C": 1.0, "delta": 1 / 3},
        parameter_domains={"delta": "(0, inf)"},
        search_space={"delta": LogUniform(0.05, 20.0)},
        functional="in between",
    ).fit([1.0, 2.0, 9.0])
    twin = loss_from_json(json.loads(json.dumps(loss.to_json())))
    assert isinstance(twin, ExpressionLoss)
    assert (twin.name, twin.functional, twin.link, twin.delta) == ("mine", "in between", "log", 1 / 3)
    assert twin.search_space == loss.search_space
    assert twin.parameter_domains == loss.parameter_domains
    assert twin.y_domain == loss.y_domain
    assert twin.intercept_ == loss.intercept_
    assert np.array_equal(twin.value([1.0, 2.0], [0.3, 0.1]), loss.value([1.0, 2.0], [0.3, 0.1]))


_FRESH = """
import sys, json, numpy as np
from gbreg import load
model = load(sys.argv[1])
assert "sympy" not in sys.modules, "loading and predicting reads no formula"
X = np.load(sys.argv[2])
np.save(sys.argv[3], model.predict(X))
assert "sympy" not in sys.modules
print(json.dumps(model.loss_.value([1.0, 2.0], [0.3, 0.1]).tolist()))
"""


def test_saved_models_predict_the_same_in_a_fresh_process(tmp_path: Path, data: Any) -> None:
    X, y = data
    loss = from_expression(HUBERPP, parameters={"C": 1.0, "delta": 0.5}, y_domain="(0, inf)", link="log", name="mine")
    model = GBRegressor(loss, n_estimators=5, n_jobs=1).fit(X, y)
    model.save(tmp_path / "model.gbreg")
    np.save(tmp_path / "X.npy", X)
    arguments = [str(tmp_path / name) for name in ("model.gbreg", "X.npy", "predicted.npy")]
    done = subprocess.run([sys.executable, "-c", _FRESH, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert np.array_equal(np.load(tmp_path / "predicted.npy"), model.predict(X))
    assert json.loads(done.stdout) == model.loss_.value([1.0, 2.0], [0.3, 0.1]).tolist()
    again = load(tmp_path / "model.gbreg").fit(X, y)  # the loaded loss trains too
    assert np.array_equal(again.predict(X), model.predict(X))


HOSTILE = [
    "__import__('os').system('true')",
    "().__class__",
    "mu.__class__",
    "y[0]",
    "[mu for y in (1, 2)]",
    "(lambda: mu)()",
    "f'{mu}'",
    "(mu := y)",
    "eval('mu')",
    "exp(*(mu, y))",
    "exp(x=mu)",
    "9**9**9",
    "9.5**9**9 * mu * y",
    "mu**9**9 + y",
    "((mu**9)**9)**9 + y",
    "exp(exp(exp(99)))*mu*y",
    "10**400*mu*y",
    "1e999*mu*y",
    "(-8)**0.5*mu*y",
    "1/0*mu*y",
    "(" * 300 + "mu" + ")" * 300,
    "-" * 900 + "mu",
    "+".join(["mu*y"] * 200),
    "exp(" * 39 + "mu-y" + ")" * 39,
    "abs(" * 60 + "mu-y" + ")" * 60,
    "mu" * 600,
    "\x00mu",
    "True*mu*y",
    "1j*mu*y",
    "'mu'",
    "...",
    "mu if y else 1",
]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_formulas_are_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import sympy

    def evaluated(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("sympy was asked to evaluate a string")

    monkeypatch.setattr(sympy, "sympify", evaluated)
    monkeypatch.setattr(sympy, "parse_expr", evaluated)
    monkeypatch.setattr("os.system", evaluated)
    with pytest.raises(ValueError, match=r"^expression"):
        from_expression(text)
    description = {**ExpressionLoss().to_json()}
    description["parameters"]["expression"] = text
    loss = loss_from_json(description)
    with pytest.raises(ValueError, match=r"^expression"):
        loss.value([1.0], [1.0])
    with pytest.raises(ValueError, match=r"^expression"):
        loss.fit([1.0, 2.0])


@pytest.mark.parametrize(
    "name",
    [
        "y",
        "mu",
        "eta",
        "exp",
        "Piecewise",
        "fit",
        "link",
        "expression",
        "get_params",
        "a__b",
        "_a",
        "a_",
        "1a",
        "if",
        "t_0",
        "é",
    ],
)
def test_parameter_names_that_collide_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"parameter '{name}' .*choose another name"):
        from_expression("(mu - y)**2", parameters={name: 1.0})


@pytest.mark.parametrize(
    ("text", "more", "message"),
    [
        ("", {}, "expression='' must be a formula in y and mu"),
        (None, {}, "expression=None must be a formula"),
        ("mu -* y", {}, r"'mu -\* y': not a formula \(invalid syntax\)"),
        ("(mu - y)^2", {}, r"'\^' is not a power: write \*\*"),
        ("mu // y", {}, r"'mu // y' is not allowed: only \+ - \* / \*\*"),
        ("k*(mu - y)**2", {}, r"name 'k' is not known: .*declare a parameter with parameters=\{'k': 1.0\}"),
        ("dleta*(mu - y)**2", {"parameters": {"delta": 1.0}}, "name 'dleta' is not known: did you mean 'delta'"),
        ("(mu - 1)**2", {}, "y does not occur in it"),
        ("(y - 1)**2", {}, "mu does not occur in it"),
        ("sin(mu) - y", {}, "'sin' is not a function here: use one of exp"),
        ("exp - y*mu", {}, "function 'exp' needs its argument in parentheses"),
        ("exp(mu, y)", {}, "exp takes one argument"),
        ("max(mu) - y", {}, "max takes two or more arguments"),
        ("Piecewise(mu, y)", {}, r"Piecewise takes pairs"),
        ("Piecewise((mu, y), (y, True))", {}, "'y' is not a condition such as mu > y"),
        ("(mu > y)*2", {}, "'mu > y' is a condition where a number is needed: use Piecewise"),
        ("mu < y", {}, "is a condition where a number is needed"),
        ("Piecewise((mu - y, mu > y))", {}, "not a finite real number at y=.*branch with Piecewise"),
        ("sqrt(mu - y)", {}, "not a finite real number at y="),
        ("log(mu/y)**2", {"link": "log"}, r"not a finite real number at y=-20.*narrow y_domain='\(-inf, inf\)'"),
        ("log(mu/y)**2", {"y_domain": "(0, inf)"}, r"needs predictions in \(0, inf\), link='identity'.*use link='log'"),
        ("(mu - y)**2/0.0", {}, "cannot be differentiated: it holds"),
        ("(mu - 2*y)**2", {}, r"at y=-20 the derivative at mu=-20.* is 40.*give minimizer='...'"),
        ("y - mu", {}, "falls above its minimum"),
        ("-(mu - y)**2", {}, "the loss falls above its minimum at mu=-20"),
        ("0*mu*y", {}, "the loss is the same for every prediction mu"),
        ("(mu - y)**2", {"minimizer": "y + 1"}, "rises below its minimum"),
        ("(mu - y)**2", {"minimizer": "mu"}, "expression 'mu': name 'mu' is not known"),
        ("(mu - y)**2", {"minimizer": "sqrt(y)"}, "minimizer is nan at y="),
        ("(mu - y)**2", {"y_domain": "positive"}, r"domain 'positive' must read like '\(0, inf\)'"),
        ("(mu - y)**2", {"y_domain": "(3, 1)"}, "needs low < high"),
        ("(mu - y)**2", {"link": "lgo"}, "link='lgo' is not known"),
        ("C*(mu - y)**2", {"parameters": {"C": "one"}}, "C='one' is not a number"),
        ("C*(mu - y)**2", {"parameters": {"C": float("nan")}}, "C=nan is not finite"),
        ("(mu - y)**2", {"search_space": {"C": Uniform(0, 1)}}, r"domains and search name \['C'\], which parameters"),
        ("*".join(f"(mu - {i}*y)" for i in range(24)), {}, "its derivatives are too long to compile"),
        ("((mu - y)**40)**2", {}, "a power of 80, at most 64 is allowed"),
    ],
)
def test_errors_say_what_is_wrong(text: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        from_expression(text, **more)


def test_a_parameter_that_moves_the_minimum_is_found_by_fit() -> None:
    loss = from_expression("(mu - k*y)**2", parameters={"k": 1.0})
    with pytest.raises(ValueError, match="give minimizer="):
        loss.set_params(k=2.0).fit([1.0, 2.0])


def test_without_an_expression_there_is_nothing_to_fit() -> None:
    with pytest.raises(ValueError, match="no expression: make one with from_expression"):
        ExpressionLoss().fit([1.0, 2.0])


def test_a_missing_sympy_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from gbreg.losses.formula import functions

    monkeypatch.setitem(sys.modules, "sympy", None)
    functions.symbolic.cache_clear()
    try:
        with pytest.raises(ImportError, match=r'pip install "gbreg\[expression\]"'):
            from_expression("(mu - y)**4")
    finally:
        functions.symbolic.cache_clear()
