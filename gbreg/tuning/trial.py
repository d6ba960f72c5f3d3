"""One trial: a model with the parameters suggested, trained and measured fold by fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import optuna
from optuna.pruners import NopPruner
from sklearn.base import clone

from gbreg.engines import EachRound, SharedBins, thread_count
from gbreg.estimators import GBRegressor
from gbreg.estimators.model import boosters_in, fitted_boosters_in
from gbreg.estimators.parts import takes_none
from gbreg.losses import PointwiseLoss
from gbreg.metrics import directed
from gbreg.metrics.base import quietly
from gbreg.tuning.folds import Fold, Part
from gbreg.tuning.question import Question
from gbreg.tuning.study import FOLDS, OWNER, REASON, ROUNDS, first_report, owner


def calibrates(models: Iterable[Any], space: Mapping[str, Any] | None) -> bool:
    """Whether a trial may calibrate: one of the models does, those without parameters left out, or it is searched."""
    parts = (part for model in models for part in boosters_in(model))
    searched = (name.split("__")[-1] for name, where in (space or {}).items() if where is not None)
    return any(part.calibration is not None for part in parts) or "calibration" in searched


def stop_early(model: Any, rounds: int | None) -> None:
    """Set it where the model does not."""
    for part in boosters_in(model):
        if part.early_stopping_rounds is None:
            part.set_params(early_stopping_rounds=rounds)


class Objective:
    """One trial: a model with the parameters suggested, trained and measured fold by fold; `n_jobs` run at a time."""

    def __init__(self, question: Question, n_jobs: int):
        self.search = question.search
        self.folds = question.folds
        self.metrics = question.metrics
        self.early_stopping_rounds = question.early_stopping_rounds
        self.rounds = question.rounds
        self.workers = thread_count(n_jobs)
        self.n_threads = max(1, thread_count(None) // self.workers)
        self.bins = SharedBins(2 * len(self.folds) * self.workers)  # models of two boosters train on two sets of rows

    def __call__(self, trial: optuna.Trial) -> tuple[float, ...]:
        trial.set_user_attr(OWNER, owner())
        try:
            with self.bins.in_use(), quietly():  # `_measure` says what has no value
                return self._scores(trial)
        except optuna.TrialPruned:
            raise
        except Exception as error:
            trial.set_user_attr(REASON, f"{type(error).__name__}: {' '.join(str(error).split())}")
            raise

    def _scores(self, trial: optuna.Trial) -> tuple[float, ...]:
        model = self._prepared(self.search.draw(trial))
        scores: list[tuple[float, ...]] = []
        rounds = []
        for fold in self.folds:
            fitted = self._fit(clone(model), fold, trial, [score[0] for score in scores])
            known = self._measured_in_training(fitted, fold)
            scores.append(self._measure(fitted, fold.test) if known is None else known)
            rounds.append([part.best_iteration_ for part in fitted_boosters_in(fitted)])
            if len(self.metrics) == 1 and len(scores) < len(self.folds) and not self._follows_metric(model):
                self._hold_against(trial, len(scores) * self.rounds, float(np.mean(scores)))
        trial.set_user_attr(ROUNDS, rounds)
        if len(scores) > 1:
            trial.set_user_attr(FOLDS, scores)
        return tuple(np.mean(scores, axis=0).tolist())

    def _prepared(self, model: Any) -> Any:
        """With early stopping, and threads, where the model leaves them open."""
        stop_early(model, self.early_stopping_rounds)
        for part in boosters_in(model):
            if part.n_jobs is None:
                part.set_params(n_jobs=self.n_threads)
        if _booster_predicts(model) and model.eval_metric == "loss" and self.metrics[0] is not None:
            model.set_params(eval_metric=self.metrics[0])
        return model

    def _follows_metric(self, model: Any) -> bool:
        """Whether the metric is known round by round: the model may have been told to watch another."""
        if not _booster_predicts(model):
            return False
        metric, watched = self.metrics[0], model.eval_metric
        return watched == "loss" if metric is None else directed(watched).name == metric.name

    def _fit(self, model: Any, fold: Fold, trial: optuna.Trial, earlier: list[float]) -> Any:
        X, y, weight = fold.train
        given: dict[str, Any] = {} if weight is None else {"sample_weight": weight}
        if takes_none(model, "eval_set") is None:
            X_watched, y_watched, w_watched = fold.watched
            given["eval_set"] = [(X_watched, y_watched)]
            if w_watched is not None:
                given["eval_sample_weight"] = [w_watched]
        ending = None
        if self._follows_metric(model) and len(self.metrics) == 1 and not isinstance(trial.study.pruner, NopPruner):
            ending = _Pruning(self, trial, earlier)
            given["callbacks"] = [EachRound(ending)]
        model.fit(X, y, **given)
        if ending is not None and ending.behind:
            raise optuna.TrialPruned
        return model

    def _hold_against(self, trial: optuna.Trial, step: int, score: float) -> None:
        trial.report(score, step)
        if trial.should_prune():
            raise optuna.TrialPruned

    def _measured_in_training(self, model: Any, fold: Fold) -> tuple[float] | None:
        """What early stopping measured on these very rows at the round that was kept; None where it did not.

        Predicting the rows again takes a twentieth of a trial.
        """
        (metric, *others), rounds = self.metrics, getattr(model, "best_iteration_", 0)
        same_rows = fold.watched is fold.test and self._follows_metric(model)
        if metric is None or others or not same_rows or rounds == 0 or not isinstance(model.loss_, PointwiseLoss):
            return None
        values = model.evals_result_["validation_0"].get(metric.name, [])
        if model.loss_.decodes_with_residuals or len(values) < rounds or not np.isfinite(values[rounds - 1]):
            return None
        return (values[rounds - 1],)

    def _measure(self, model: Any, test: Part) -> tuple[float, ...]:
        X, y, weight = test
        predicted = np.asarray(model.predict(X), dtype=np.float64)
        scores = tuple(
            _mean_loss(model, test) if metric is None else metric(y, predicted, weight) for metric in self.metrics
        )
        for metric, score in zip(self.metrics, scores, strict=True):
            if not np.isfinite(score):
                name = "loss" if metric is None else metric.name
                raise ValueError(
                    f"metric {name!r} is {score} on the rows held out: their labels or the predictions have none"
                )
        return scores


class _Pruning:
    """Called after every round: whether the trial has fallen behind the others."""

    def __init__(self, objective: Objective, trial: optuna.Trial, earlier: list[float]):
        self.trial = trial
        self.earlier = earlier
        self.start = len(earlier) * objective.rounds
        self.next = first_report(objective.rounds)
        self.behind = False

    def __call__(self, done: int, latest: float | None) -> bool:
        if latest is not None and np.isfinite(latest) and done == self.next:
            self.next *= 2
            self.trial.report(float(np.mean([*self.earlier, latest])), self.start + done)
            self.behind = self.trial.should_prune()
        return self.behind


def _booster_predicts(model: Any) -> bool:
    return getattr(model, "booster_predicts", False)


def _mean_loss(model: GBRegressor, test: Part) -> float:
    X, y, weight = test
    return float(np.average(model.loss_.value(y, model.predict_raw(X)), weights=weight))
