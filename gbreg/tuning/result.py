"""What a study found: the best model, and every trial."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from gbreg.estimators.model import boosters_in
from gbreg.tuning.code import as_code
from gbreg.tuning.folds import held_out_words
from gbreg.tuning.question import Question
from gbreg.tuning.recipes import Search
from gbreg.tuning.study import REASON, ROUNDS, was_killed
from gbreg.tuning.trial import stop_early

Choose = Callable[[Sequence[FrozenTrial]], FrozenTrial]
# The reason of a trial that was cut off.
KILLED = "killed"


@dataclass(frozen=True)
class TrialRecord:
    """One trial: `score` is None unless it is complete, `reason` None unless it failed; one score a metric."""

    number: int
    state: str
    score: tuple[float, ...] | None
    parameters: Mapping[str, Any]
    rounds: Sequence[Sequence[int]]
    seconds: float
    reason: str | None


class NoBestError(RuntimeError):
    """No trial is complete. `found` holds those that failed or were pruned, and no best: `write_study` tells of them.

    Examples
    --------
    >>> import numpy as np
    >>> import optuna
    >>> from gbreg import GBRegressor
    >>> from gbreg.tuning import Choice, tune
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> X, y = np.arange(40.0)[:, None], np.arange(40.0)
    >>> try:
    ...     tune(GBRegressor(), X, y, metric="mae", n_trials=2, space={"subsample": Choice((2.0,))})
    ... except NoBestError as error:
    ...     [trial.state for trial in error.found.trials_]
    ['fail', 'fail']
    """

    def __init__(self, found: Tuned):
        super().__init__(found)
        self.found = found

    def __str__(self) -> str:
        return self.found.why_none()


class Tuned:
    """What `tune` found.

    Attributes
    ----------
    has_best : bool
        Whether a trial is complete; if none is, what begins with "best_" is not there.
    study_ : optuna.Study
    best_trial_ : optuna.trial.FrozenTrial
    best_params_ : dict
        Of the best trial, as `set_params` takes them; after a search over losses with the model's label as "recipe".
    best_score_ : float, or dict of {metric: float}
        Mean over the folds; of several metrics each.
    best_estimator_ : estimator
        Refitted to all rows given to `tune`, with the rounds found; unfitted with ``refit=False``.
    trials_ : list of TrialRecord
        All of the study, pruned and failed ones included.
    pareto_ : list of TrialRecord
        Those that no other beats in every metric: the best trial, of one metric.
    metrics_ : list of str
    search_ : Search
        The models and the ranges of their parameters.
    held_out_ : str
        In words, which rows trials were measured on.
    skipped_ : list of (label, reason)
        Models that a search over losses left out, for they cannot take the labels.
    interrupted_ : bool
        Whether Ctrl-C ended the search.
    """

    best_trial_: FrozenTrial
    best_params_: dict[str, Any]
    best_score_: float | dict[str, float]
    best_estimator_: Any

    def __init__(self, study: optuna.Study, question: Question, choose: str | Choose, interrupted: bool):
        self.study_ = study
        self.search_ = question.search
        self.held_out_ = held_out_words(question.folds)
        self.interrupted_ = interrupted
        self.skipped_ = list(question.search.skipped)
        self.metrics_ = question.metric_names
        self._chance = question.chance_levels()
        self.trials_ = [_record(trial, question.search) for trial in study.get_trials(deepcopy=False)]
        self.has_best = any(trial.state == "complete" for trial in self.trials_)
        self.pareto_: list[TrialRecord] = []
        if self.has_best:
            self._take_best(choose, question.early_stopping_rounds)

    def _take_best(self, choose: str | Choose, early_stopping_rounds: int | None) -> None:
        best = self.best_trial_ = _best(self.study_, choose)
        self.best_params_ = self.search_.parameters(best.params)
        scores = dict(zip(self.metrics_, best.values, strict=True))
        self.best_score_ = scores if len(scores) > 1 else best.values[0]
        self.best_estimator_ = _with_rounds(self.search_.read(best.params), best, early_stopping_rounds)
        front = self.study_.best_trials if len(scores) > 1 else [best]
        self.pareto_ = [self.trials_[trial.number] for trial in front]

    def why_none(self) -> str:
        """Why there is no best, in a sentence."""
        ended = [trial for trial in self.trials_ if trial.state != "running" and trial.reason != KILLED]
        states = [trial.state for trial in ended]
        reasons = sorted({trial.reason for trial in ended if trial.reason is not None})
        return (
            f"no trial of study {self.study_.study_name!r} is complete: of {len(states)}, {states.count('fail')} failed and "
            f"{states.count('pruned')} were pruned" + (f". Reasons: {'; '.join(reasons[:3])}" if reasons else "")
        )

    def chance_words(self) -> list[str]:
        """A sentence on every metric by which no trial ranks better than chance."""
        scores = [trial.score for trial in self.trials_ if trial.score is not None]
        best = [max(values) for values in zip(*scores, strict=True)]
        return [
            f"No trial ranks better than chance: the best {name} is {value:.4f}, and one of 40 random orders has more than "
            f"{level:.4f}."
            for name, value, level in zip(self.metrics_, best, self._chance, strict=True)
            if value <= level
        ]

    def code(self) -> str:
        """The best model as Python to paste."""
        return as_code(self.best_estimator_)


def _best(study: optuna.Study, choose: str | Choose) -> FrozenTrial:
    if len(study.directions) == 1:
        return study.best_trial
    best = study.best_trials
    if callable(choose):
        chosen = choose(best)
        if not isinstance(chosen, FrozenTrial):
            raise ValueError(f"choose returned {chosen!r}: it must return one of the trials in the list that it is given")
        return chosen
    less = _less_is_better(study, best)
    if choose == "first":
        return best[int(np.argmin(less[:, 0]))]
    spread = np.ptp(less, axis=0)
    shares = (less - less.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    return best[int(np.argmin(np.square(shares).sum(axis=1)))]


def _less_is_better(study: optuna.Study, trials: Sequence[FrozenTrial]) -> NDArray[np.float64]:
    sign = [-1.0 if d == StudyDirection.MAXIMIZE else 1.0 for d in study.directions]
    return np.array([trial.values for trial in trials]) * sign


def _with_rounds(model: Any, trial: FrozenTrial, early_stopping_rounds: int | None) -> Any:
    """The model with the rounds found instead of early stopping, where the same boosters learnt something in every fold."""
    parts = list(boosters_in(model))
    pairs = [part.n_boosters == 2 for part in parts]
    found = trial.user_attrs[ROUNDS]
    boosters = {len(fold) for fold in found}
    if boosters == {len(parts)}:  # without labels of 0 the first of a pair has nothing to learn
        pairs = [False] * len(parts)
    elif boosters != {len(parts) + sum(pairs)}:
        stop_early(model, early_stopping_rounds)
        return model
    means = iter(max(1, round(float(rounds))) for rounds in np.mean(found, axis=0))
    for part, pair in zip(parts, pairs, strict=True):
        part.set_params(n_estimators=(next(means), next(means)) if pair else next(means), early_stopping_rounds=None)
    return model


def _record(trial: FrozenTrial, search: Search) -> TrialRecord:
    complete = trial.state == TrialState.COMPLETE
    reason = trial.user_attrs.get(REASON)
    return TrialRecord(
        trial.number,
        trial.state.name.lower(),
        tuple(trial.values) if complete else None,
        search.parameters(trial.params) if complete or trial.state == TrialState.PRUNED else dict(trial.params),
        cast(Sequence[Sequence[int]], trial.user_attrs.get(ROUNDS, ())),
        0.0 if trial.duration is None else trial.duration.total_seconds(),
        KILLED if was_killed(trial) else reason,
    )
