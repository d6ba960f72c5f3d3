"""Metrics by name, with their directions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import Signature, signature
from typing import Any

from sklearn.metrics import make_scorer

from gbreg._checks import nearest
from gbreg.metrics import errors, ranking, sums


@dataclass(frozen=True)
class Metric:
    """A named metric with its direction.

    Parameters
    ----------
    name : str
    function : callable of (y_true, y_pred, sample_weight)
    greater_is_better : bool
    target : float or None
        The best value, where that is neither the least nor the greatest (1 for PCOC).
    functional : str
        What of a predicted distribution does best by it: "median" by the absolute error, "log_mean" by order.
    by_row : callable of (y_true, distribution) or None
        Of a metric that takes predicted distributions, the losses, of shape (n_samples,), whose weighted mean it is.
    """

    name: str
    function: Callable[..., float]
    greater_is_better: bool = False
    target: float | None = None
    functional: str = "mean"
    by_row: Callable[..., Any] | None = None

    @property
    def __name__(self) -> str:
        """As a function has it: scikit-learn's scorers are written by it."""
        return self.name

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return self.function(y_true, y_pred, sample_weight)


METRICS: dict[str, Metric] = {
    m.name: m
    for m in (
        Metric("mae", errors.mean_absolute_error, functional="median"),
        Metric("rmse", errors.root_mean_squared_error),
        Metric("mape", errors.mean_absolute_percentage_error),
        Metric("wmape", errors.weighted_mean_absolute_percentage_error, functional="median"),
        Metric("msle", errors.mean_squared_log_error),
        Metric("poisson_deviance", errors.poisson_deviance),
        Metric("gamma_deviance", errors.gamma_deviance),
        Metric("tweedie_deviance", errors.tweedie_deviance),
        Metric("spearman", ranking.spearman, greater_is_better=True, functional="log_mean"),
        Metric("kendall", ranking.kendall, greater_is_better=True, functional="log_mean"),
        Metric("gini", ranking.gini, greater_is_better=True),
        Metric("normalized_gini", ranking.normalized_gini, greater_is_better=True),
        Metric("xauc", ranking.xauc, greater_is_better=True, functional="log_mean"),
        Metric("top_10%", sums.top_share, greater_is_better=True),
        Metric("pcoc", sums.pcoc, target=1.0),
        Metric("abs_log_pcoc", sums.abs_log_pcoc),
        Metric("over_2x", sums.overestimated_share),
        Metric("under_2x", sums.underestimated_share),
        Metric("decile_error", sums.decile_calibration_error),
        Metric("decile_mape", sums.decile_mape),
        Metric("crps", errors.crps, by_row=errors.crps_by_row),
    )
}


def directed(metric: str | Metric | Callable[..., float]) -> Metric:
    """`get_metric`, refusing those best at a value between, which nothing can minimise or maximise, and of distributions."""
    named = get_metric(metric)
    if named.by_row is not None:
        raise ValueError(
            f"metric {named.name!r} is of predicted distributions, and here there is one prediction a row: use 'mae'"
        )
    if named.target is not None:
        way_out = ": use 'abs_log_pcoc'" if named.name == "pcoc" else ""
        raise ValueError(f"metric {named.name!r} is best at {named.target:g}, training only minimises or maximises{way_out}")
    return named


def get_metric(metric: str | Metric | Callable[..., float]) -> Metric:
    """The metric of that name or function; another function of (y_true, y_pred, sample_weight) becomes one to minimise.

    scikit-learn's functions are taken too, those whose name ends in "_score" as ones to maximise.

    >>> get_metric("mae").greater_is_better
    False
    """
    if isinstance(metric, Metric):
        return metric
    if callable(metric):
        own = (named for named in METRICS.values() if named.function == metric)
        return next(own, None) or _of_function(metric)
    if metric not in METRICS:
        raise ValueError(
            f"metric {metric!r} is not known: {nearest(metric, METRICS)}Use one of {', '.join(METRICS)}, or a function"
        )
    return METRICS[metric]


@dataclass(frozen=True)
class _WeightByName:
    """A function that takes `sample_weight` by name alone, as scikit-learn's metrics do."""

    function: Callable[..., float]

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> float:
        return self.function(y_true, y_pred, sample_weight=sample_weight)


def _of_function(function: Callable[..., float]) -> Metric:
    """`ValueError` for a function that cannot be called with labels, predictions and weights."""
    name = getattr(function, "__name__", type(function).__name__)
    scores = str(getattr(function, "__module__", "")).startswith("sklearn.") and name.endswith("_score")
    try:
        takes = signature(function)
    except ValueError:  # what is not written in Python may not say
        return Metric(name, function, scores)
    of_a_model = next(iter(takes.parameters), "") == "estimator"  # scikit-learn's scorers
    if _binds(takes, 0, 0, 0) and not of_a_model:
        return Metric(name, function, scores)
    if _binds(takes, 0, 0, sample_weight=0) and not of_a_model:
        return Metric(name, _WeightByName(function), scores)
    raise ValueError(
        f"metric {name!r} must take (y_true, y_pred, sample_weight), and it takes {takes}: give a function that does, or "
        "one of sklearn.metrics, not a scorer made of it"
    )


def _binds(takes: Signature, *given: Any, **named: Any) -> bool:
    try:
        takes.bind(*given, **named)
    except TypeError:
        return False
    return True


def scorer(metric: str | Metric | Callable[..., float]) -> Any:
    """The metric as scikit-learn's ``scoring=`` takes it: greater is better, so that what is minimised has its sign turned.

    scikit-learn keeps its list of names to itself: hand over ``scorer("xauc")`` where it takes a name of its own. Weights
    reach it by metadata routing (``set_score_request(sample_weight=True)``). A metric best at a value between is refused.

    Examples
    --------
    >>> from sklearn.dummy import DummyRegressor
    >>> scorer("mae")(DummyRegressor().fit([[0], [0]], [1, 3]), [[0], [0]], [1, 3])
    -1.0
    """
    named = directed(metric)
    return make_scorer(named, greater_is_better=named.greater_is_better)
