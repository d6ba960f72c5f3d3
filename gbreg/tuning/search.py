"""`tune`: the best parameters of a model, by a metric of rows that it did not see."""

from __future__ import annotations

import time as clock
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import optuna
from numpy.typing import ArrayLike
from optuna.exceptions import ExperimentalWarning
from optuna.trial import FrozenTrial, TrialState
from sklearn.base import clone

from gbreg._checks import Floats
from gbreg._columns import Table
from gbreg._compat import validate_parameters
from gbreg.engines import get_engine
from gbreg.estimators.model import boosters_in, check_carried
from gbreg.estimators.parts import check_constraints, takes_none
from gbreg.estimators.rows import as_labels, carried_of, read_with
from gbreg.metrics import Metric, directed
from gbreg.tuning.folds import make_folds
from gbreg.tuning.identity import identity
from gbreg.tuning.question import Question
from gbreg.tuning.recipes import Search, one, several
from gbreg.tuning.result import Choose, NoBestError, Tuned
from gbreg.tuning.space import Range
from gbreg.tuning.study import finished, missing, new_pruner, new_sampler, open_study
from gbreg.tuning.trial import Objective, calibrates, stop_early


@dataclass(frozen=True)
class Progress:
    """Where a study stands after a trial: of `total` trials so many complete, pruned and failed.

    `score` is the best one so far, by the first metric, None before there is one; `seconds_left` an estimate.
    """

    total: int
    complete: int
    pruned: int
    failed: int
    score: float | None
    parameters: Mapping[str, Any]
    seconds_left: float

    @property
    def done(self) -> int:
        return self.complete + self.pruned + self.failed


def tune(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    *,
    metric: Any,
    n_trials: int = 50,
    timeout: float | None = None,
    sample_weight: ArrayLike | None = None,
    cv: Any = None,
    eval_set: Any = None,
    eval_sample_weight: Any = None,
    offset: ArrayLike | None = None,
    exposure: ArrayLike | None = None,
    eval_offset: Any = None,
    eval_exposure: Any = None,
    groups: ArrayLike | None = None,
    time: ArrayLike | None = None,
    validation_fraction: float = 0.2,
    losses: str | Sequence[Any] | None = None,
    space: Mapping[str, Range | None] | None = None,
    early_stopping_rounds: int | None = 50,
    sampler: Any = "tpe",
    pruner: Any = "median",
    choose: str | Choose = "balanced",
    storage: Any = None,
    study_name: str | None = None,
    n_jobs: int = 1,
    seed: int = 0,
    refit: bool = True,
    progress: Callable[[Progress], None] | None = None,
) -> Tuned:
    """Search the parameters of loss and booster for the best metric on rows that the model did not see.

    Parameters
    ----------
    estimator : estimator
        `GBRegressor`, a preset, or an estimator made of them. Its `n_estimators` is the most rounds a trial takes.
    X : table or array of shape (n_samples, n_features)
    y : array-like of shape (n_samples,)
    metric : str, callable, Metric, or list of them
        Of `gbreg.metrics`, on predictions. Of several, the trials that no other beats in all are found, and `choose` picks.
        "loss" is the mean of the loss trained, and refused where its own parameters are searched: they change its scale.
    n_trials : int
        Of the study in all, those of earlier calls included: complete, pruned or failed. A call on a study that has them
        adds none.
    timeout : float, optional
        Seconds after which this call starts no further trial.
    sample_weight : array-like of shape (n_samples,), optional
        For training and for the metric.
    cv : int, splitter or list of (train, test), optional
        Folds; the score is their mean. None: one held-out share of the rows.
    eval_set, eval_sample_weight : (X, y) and array-like, optional
        The rows that trials are measured on, instead of a share of X.
    offset, exposure : array-like of shape (n_samples,), optional
        As in `fit`. Models that do not take them are not searched; metrics are of amounts.
    eval_offset, eval_exposure : array-like, optional
        Of the rows of `eval_set`.
    groups : array-like of shape (n_samples,), optional
        What stays on one side, such as customers.
    time : array-like of shape (n_samples,), optional
        The latest rows are held out; with an int `cv`, that many stretches, each after what trains for it.
    validation_fraction : float in (0, 1)
    losses : "all", or list of str, Loss or estimator, optional
        Search over models that differ in their losses too: names as on the command line (``"huberpp"``, "bucket",
        ``"tweedie:power=1.5"``), of which one without a link is tried on several, and one that takes no labels of 0 behind
        a hurdle where there are any; of predicted distributions what suits the metric is read, for MAE the median. The
        estimator gives the parameters of boosting.
    space : dict, optional
        As in `suggest`. In a search over losses, of the parameters of boosting, which all share, and of one recipe's own by
        its label and name, such as ``"huberpp.loss__delta"``.
    early_stopping_rounds : int or None
        For boosters that set none themselves. They stop by the metric on the rows it is measured on; parts of a model of
        several by their own losses; models with `calibration` on a tenth of the training rows, by which they calibrate;
        boosters beside a part that takes no `eval_set`, such as a pipeline, on rows that they hold out themselves.
    sampler : "tpe", "random", function of a seed, or optuna.samplers.BaseSampler
        "tpe" draws all parameters together (of several metrics each by itself) and keeps off those of running trials, on
        every Optuna. Before it draws, every model is tried as it is given, or as near to that as the ranges allow. An
        instance of Optuna's is used as it is: then the first trials are its own too, and a resumed study does not repeat
        an uninterrupted one.
    pruner : "median", "hyperband", None, or optuna.pruners.BasePruner
        Ends trials that fall behind: on the metric after a tenth of the rounds, two, four and eight, of models of one
        booster, and of others after every fold. Without effect with several metrics.
    choose : {"balanced", "first"}, or function of the list of trials
        Of several metrics which trial of the Pareto set is the best: the one nearest to the best value of every metric,
        each in shares of its range over the set; or the best by the first metric.
    storage : path, URL, or optuna.storages.BaseStorage, optional
        An SQLite file, made if there is none; a journal if the file ends in .log, .jsonl or .journal. Several processes
        may work on one study. None: in memory.
    study_name : str, optional
        Default with a `storage`: "gbreg".
    n_jobs : int
        Trials at a time, as threads, which share the cores.
    seed : int
        Of the sampler, of the split, and of boosters without a `random_state`. With one process, ``n_jobs=1`` and no
        `timeout` the study is the same every time, resumed or not, on one version of Optuna: 4 and 5 draw two from one seed.
        With "hyperband" not quite, for its brackets go by the numbers of trials, killed ones included.
    refit : bool
        Whether to fit the best model to X and y, with the rounds found. Models with `calibration` calibrate on rows that
        they hold out as usual.
    progress : callable, optional
        Called with a `Progress` after every trial.

    Returns
    -------
    Tuned

    Raises
    ------
    ValueError
        For arguments that are not allowed, before the first trial.
    NoBestError
        If no trial is complete, with the reasons; a RuntimeError.

    Notes
    -----
    A trial that fails (it diverges, or a parameter does not suit the labels) is recorded with its reason and counts. One
    that is killed does not: a later call marks it failed and runs another in its place. Ctrl-C ends the search with the
    best so far. Scores of trials are optimistic by the choice among them: measure the best on rows held out from `tune`.

    Examples
    --------
    >>> import numpy as np
    >>> import optuna
    >>> from gbreg import GBRegressor
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = np.exp(X[:, 0] + rng.normal(size=500))
    >>> found = tune(GBRegressor("huberpp", n_estimators=20), X, y, metric="mae", n_trials=3)
    >>> sorted(found.best_params_)
    ['colsample', 'learning_rate', 'loss__delta', 'max_leaves', 'min_child_samples', 'reg_lambda', 'subsample']
    >>> found.best_estimator_.predict(X).shape
    (500,)
    """
    _check_arguments(n_trials, timeout, n_jobs, seed, choose)
    estimator = _prepared(estimator, early_stopping_rounds, seed)
    metrics = _metrics(metric)
    table = read_with(X, {"offset": offset, "exposure": exposure})
    folds = make_folds(
        estimator,
        table,
        y,
        sample_weight,
        cv=cv,
        eval_set=eval_set,
        eval_sample_weight=eval_sample_weight,
        eval_carried={"offset": eval_offset, "exposure": eval_exposure},
        groups=groups,
        time=time,
        validation_fraction=validation_fraction,
        calibrated=calibrates([estimator, *(losses if isinstance(losses, Sequence) else ())], space),
        seed=seed,
    )
    every = as_labels(estimator, y)
    check_constraints(estimator, table)
    search = _search(estimator, losses, folds[0].train[1], every, space, metrics, carried_of(table))
    _check_weights(search, sample_weight)
    question = Question(search, metrics, folds, early_stopping_rounds)
    drawn_by = new_sampler(sampler, seed, search.starts(), len(metrics))
    ended_by = new_pruner(pruner, question.rounds * len(folds))
    asked = identity(question, table, every, sample_weight, seed)
    study = open_study(storage, study_name, question.directions, drawn_by, ended_by, asked)
    interrupted = _run(study, Objective(question, n_jobs), n_trials, timeout, progress)
    tuned = Tuned(study, question, choose, interrupted)
    if not tuned.has_best:
        raise NoBestError(tuned)
    if refit:
        _refit(tuned.best_estimator_, table, every if isinstance(table, Table) else y, sample_weight, groups)
    return tuned


def _metrics(given: Any) -> list[Metric | None]:
    """The metrics, None for the loss trained."""
    named = given if isinstance(given, list | tuple) else [given]
    if not named:
        raise ValueError("metric=[] must name one metric at least, such as 'mae' or 'xauc'")
    return [None if isinstance(m, str) and m == "loss" else directed(m) for m in named]


def _search(
    estimator: Any,
    losses: Any,
    labels: Floats,
    every: Floats,
    space: Any,
    metrics: Sequence[Metric | None],
    carried: Collection[str],
) -> Search:
    """Over the parameters of one estimator or, where losses are given, of several; `ValueError` if no metric suits it."""
    if losses is None:
        check_carried(estimator, carried)
        search = one(estimator, labels, every, space)
    else:
        read = metrics[0].functional if len(metrics) == 1 and metrics[0] is not None else "mean"
        search = several(estimator, losses, labels, every, space, read, carried)
    _check_loss_metric(estimator, metrics, search)
    return search


def _refit(model: Any, X: Any, y: Any, sample_weight: Any, groups: Any) -> None:
    kept = {} if groups is None or takes_none(model, "groups") is not None else {"groups": groups}
    weights = {} if sample_weight is None else {"sample_weight": sample_weight}
    model.fit(X, y, **weights, **kept)


def _check_arguments(n_trials: int, timeout: float | None, n_jobs: int, seed: int, choose: str | Choose) -> None:
    if not isinstance(n_trials, Integral) or n_trials < 1:
        raise ValueError(f"n_trials={n_trials!r} must be at least 1, a whole number: the trials of the study in all")
    if timeout is not None and not (isinstance(timeout, Real) and timeout > 0):
        raise ValueError(f"timeout={timeout!r} must be a number of seconds above 0, or None for no limit")
    if not isinstance(n_jobs, Integral):
        raise ValueError(f"n_jobs={n_jobs!r} must be a whole number: trials at a time, -1 for one a core")
    if not (isinstance(seed, Integral) and 0 <= seed < 2**32):
        raise ValueError(f"seed={seed!r} must be a whole number from 0 to 2**32 - 1")
    if not (choose in ("balanced", "first") or callable(choose)):
        raise ValueError(f"choose={choose!r} must be 'balanced', 'first', or a function of the list of trials")


def _prepared(estimator: Any, early_stopping_rounds: int | None, seed: int) -> Any:
    """A clone whose boosters draw rows, also those they hold out, by that seed, where they have none of their own.

    Raises what every trial would: for an estimator without boosters, and parameters that they refuse.
    """
    estimator = clone(estimator)
    tried = clone(estimator)
    stop_early(tried, early_stopping_rounds)
    parts = list(boosters_in(tried))
    if not parts:
        raise ValueError(
            f"estimator={type(estimator).__name__} has no booster of gbreg in it: give a GBRegressor, a preset, or an "
            "estimator of gbreg made of them"
        )
    for part in parts:
        validate_parameters(part)
        engine = get_engine(part.engine)
        engine.package()
        engine.own(part.engine_params)
    for part in boosters_in(estimator):
        if part.random_state is None:
            part.set_params(random_state=seed)
    return estimator


def _check_weights(search: Search, sample_weight: Any) -> None:
    for model, _ in search.models.values() if sample_weight is not None else ():
        lacking = takes_none(model, "sample_weight")
        if lacking is not None:
            inside = "" if lacking is model else f" of {type(model).__name__}"
            raise ValueError(
                f"sample_weight: {type(lacking).__name__}{inside} takes none: leave it out, or use another estimator there"
            )


def _check_loss_metric(estimator: Any, metrics: Sequence[Metric | None], search: Search) -> None:
    if None not in metrics:
        return
    way_out = "name a metric of gbreg.metrics, such as 'mae' or 'xauc'"
    if search.tunes_losses:
        raise ValueError(
            f"metric='loss' while parameters of losses are searched: they change the scale of the loss, and the smallest "
            f"would win: {way_out}, or keep the loss as it is with space={{name: None}}"
        )
    if not hasattr(estimator, "loss"):
        raise ValueError(f"metric='loss': {type(estimator).__name__} has no loss of its own: {way_out}")


def _run(
    study: optuna.Study,
    objective: Objective,
    n_trials: int,
    timeout: float | None,
    progress: Callable[[Progress], None] | None,
) -> bool:
    """Run what is missing; True if Ctrl-C ended it."""
    started, before = clock.monotonic(), len(finished(study))

    def after(study: optuna.Study, trial: FrozenTrial) -> None:
        if missing(study, n_trials) == 0:  # other processes may have done them, or be at the last ones
            study.stop()
        if progress is not None:
            pace = (clock.monotonic() - started) / max(1, len(finished(study)) - before)
            progress(_progress(study, n_trials, pace))

    to_do = missing(study, n_trials)
    with warnings.catch_warnings():  # around all threads, for the filters are theirs together
        # A trial that ends in a constant has its score like any other, and one that was pruned had no chance.
        warnings.filterwarnings("ignore", "(?s).*a constant is predicted")  # long models are written on several lines
        warnings.filterwarnings("ignore", category=ExperimentalWarning)  # what Optuna 4 called parts of its sampler
        try:
            if to_do:
                study.optimize(objective, to_do, timeout, n_jobs=objective.workers, catch=(Exception,), callbacks=[after])
        except KeyboardInterrupt:
            return True
    return False


def _progress(study: optuna.Study, n_trials: int, pace: float) -> Progress:
    trials = finished(study)
    count = {state: sum(t.state == state for t in trials) for state in TrialState}
    maximize = study.directions[0] == optuna.study.StudyDirection.MAXIMIZE
    complete = [t for t in trials if t.state == TrialState.COMPLETE]
    best = min(complete, key=lambda t: -t.values[0] if maximize else t.values[0], default=None)
    return Progress(
        n_trials,
        count[TrialState.COMPLETE],
        count[TrialState.PRUNED],
        count[TrialState.FAIL],
        None if best is None else best.values[0],
        {} if best is None else best.params,
        pace * max(0, n_trials - len(trials)),
    )
