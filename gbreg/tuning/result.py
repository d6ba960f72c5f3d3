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

from gbreg.compare.models import boosted_parts
from gbreg.metrics import Metric
from gbreg.tuning.code import as_code
from gbreg.tuning.recipes import Search
from gbreg.tuning.study import REASON, ROUNDS, finished, was_killed
from gbreg.tuning.trial import stop_early

Choose = Callable[[Sequence[FrozenTrial]], FrozenTrial]


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


class Tuned:
    """What `tune` found.

    Attributes
    ----------
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
    skipped_ : list of (label, reason)
        Models that a search over losses left out, for they cannot take the labels.
    interrupted_ : bool
        Whether Ctrl-C ended the search.
    """

    def __init__(
        self,
        study: optuna.Study,
        search: Search,
        metrics: Sequence[Metric | None],
        choose: str | Choose,
        early_stopping_rounds: int | None,
        interrupted: bool,
    ):
        self.study_ = study
        self.interrupted_ = interrupted
        self.skipped_ = list(search.skipped)
        self.best_trial_ = _best(study, choose)
        self.best_params_ = search.parameters(self.best_trial_.params)
        names = ["loss" if metric is None else metric.name for metric in metrics]
        scores = dict(zip(names, self.best_trial_.values, strict=True))
        self.best_score_ = scores if len(scores) > 1 else self.best_trial_.values[0]
        best = search.read(self.best_trial_.params)
        self.best_estimator_ = _with_rounds(best, self.best_trial_, early_stopping_rounds)
        self.trials_ = [_record(trial, search) for trial in study.get_trials(deepcopy=False)]
        front = study.best_trials if len(names) > 1 else [self.best_trial_]
        self.pareto_ = [self.trials_[trial.number] for trial in front]

    def code(self) -> str:
        """The best model as Python to paste."""
        return as_code(self.best_estimator_)


def _best(study: optuna.Study, choose: str | Choose) -> FrozenTrial:
    trials = finished(study)
    if not any(t.state == TrialState.COMPLETE for t in trials):
        failed = [t for t in trials if t.state == TrialState.FAIL]
        reasons = sorted({str(t.user_attrs[REASON]) for t in failed})
        raise RuntimeError(
            f"no trial of study {study.study_name!r} is complete: of {len(trials)}, {len(failed)} failed and "
            f"{len(trials) - len(failed)} were pruned" + (f". Reasons: {'; '.join(reasons[:3])}" if reasons else "")
        )
    if len(study.directions) == 1:
        return study.best_trial
    best = study.best_trials
    if callable(choose):
        return choose(best)
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
    """The model with the rounds found instead of early stopping, where each booster's number can be set by itself.

    Of two boosters with one number, as presets may have, each stops early by itself.
    """
    found = trial.user_attrs[ROUNDS]
    parts = list(boosted_parts(model))
    if any(len(fold) != len(parts) for fold in found):
        stop_early(model, early_stopping_rounds)
        return model
    for part, rounds in zip(parts, np.mean(found, axis=0), strict=True):
        part.set_params(n_estimators=max(1, round(float(rounds))), early_stopping_rounds=None)
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
        "killed" if was_killed(trial) else reason,
    )
