"""Optuna's study, kept so that it can be resumed: where it is stored, who works on it, which trials count."""

from __future__ import annotations

import os
import socket
import sqlite3
import time
import uuid
import weakref
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.exc import SQLAlchemyError

from gbreg._compat import all_trials
from gbreg.tuning.identity import differences
from gbreg.tuning.question import Direction

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


# Before 4.9 Optuna told of every parameter that only some trials have; since then it warns of the argument.
_SILENT: dict[str, Any] = (
    {} if tuple(map(int, optuna.__version__.split(".")[:2])) >= (4, 9) else {"warn_independent_sampling": False}
)


def _tpe(seed: int) -> BaseSampler:
    """Parameters together, and none like those of trials that run: Optuna's own choice since 5.0, and not before."""
    return TPESampler(seed=seed, multivariate=True, constant_liar=True, **_SILENT)


def _tpe_of_several(seed: int) -> BaseSampler:
    """Of several metrics each parameter by itself, as Optuna chooses too."""
    return TPESampler(seed=seed, multivariate=False, constant_liar=True, **_SILENT)


SAMPLERS: Mapping[str, Callable[[int], BaseSampler]] = {"tpe": _tpe, "random": RandomSampler}
PRUNERS = ("median", "hyperband")
# What a study file is asked for by, where no name is given.
STUDY_NAME = "gbreg"
# What a trial is stored with: the process that runs it, why it failed, each fold's rounds of every booster and metrics.
OWNER, REASON, ROUNDS, FOLDS = "owner", "reason", "rounds", "folds"
# What a study is stored with: the question that it was asked.
ASKED = "gbreg.asked"
_HOST, _RUN = socket.gethostname(), uuid.uuid4().hex
# A trial that no process has signed is taken for one being made, for so long.
_UNSIGNED = timedelta(seconds=60)


class Reseeded(BaseSampler):
    """A new sampler for every trial, seeded by the study's seed and the trial's place among those that count.

    So a resumed study goes on as if it had never stopped. The first trials take the starts, as far as these go.
    """

    def __init__(self, make: Callable[[int], BaseSampler], seed: int, starts: Sequence[Mapping[str, Any]] = ()):
        self.make = make
        self.seed = seed
        self.starts = starts
        self._of_trials: dict[int, tuple[BaseSampler, Mapping[str, Any]]] = {}

    def _of(self, study: optuna.Study, trial: FrozenTrial) -> tuple[BaseSampler, Mapping[str, Any]]:
        if trial.number not in self._of_trials:
            place = sum(t.number < trial.number and not was_killed(t) for t in all_trials(study))
            seed = np.random.SeedSequence((self.seed, place)).generate_state(1)[0]
            start = self.starts[place] if place < len(self.starts) else {}
            self._of_trials[trial.number] = self.make(int(seed)), start
        return self._of_trials[trial.number]

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        sampler, start = self._of(study, trial)
        return {} if start else sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        sampler, start = self._of(study, trial)
        return {} if start else sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        sampler, start = self._of(study, trial)
        if param_name in start:
            return start[param_name]
        return sampler.sample_independent(study, trial, param_name, param_distribution)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        self._of(study, trial)[0].before_trial(study, trial)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        made = self._of_trials.pop(trial.number, None)
        if made is not None:  # else it was killed in another process
            made[0].after_trial(study, trial, state, values)

    def reseed_rng(self) -> None:
        """Nothing: trials of parallel threads have seeds of their own."""


def open_study(
    storage: Any,
    study_name: str | None,
    directions: Sequence[Direction],
    sampler: BaseSampler,
    pruner: BasePruner,
    asked: Mapping[str, Any],
) -> optuna.Study:
    """The study of that name, made if there is none, its killed trials marked failed.

    Parameters
    ----------
    storage, study_name
        As in `tune`.
    directions : sequence of {"minimize", "maximize"}
    sampler : optuna.samplers.BaseSampler
    pruner : optuna.pruners.BasePruner
    asked : dict
        Its `identity`: a stored study must have been asked the same.

    Raises
    ------
    ValueError
        For a stored study that was asked something else.
    """
    study = optuna.create_study(
        study_name=study_name or STUDY_NAME,
        storage=open_storage(storage),
        directions=list(directions),
        sampler=sampler,
        pruner=pruner,
        load_if_exists=True,
    )
    _check_asked(study, asked)
    fail_killed(study)
    return study


def _check_asked(study: optuna.Study, asked: Mapping[str, Any]) -> None:
    """`ValueError` where the study was asked something else; one that has no trials is asked this from now on."""
    trials = study.get_trials(deepcopy=False)  # before what it was asked, which other processes store before their trials
    had = study.user_attrs.get(ASKED)
    way_out = "give another storage= (or study_name=)"
    if had is None or had.keys() != asked.keys():
        if trials:
            raise ValueError(
                f"study {study.study_name!r} has {len(trials):,} trials and does not say of which columns, rows and "
                f"parameters: it is of another version of gbreg, or of other code: {way_out}"
            )
        study.set_user_attr(ASKED, dict(asked))
    elif found := differences(had, asked):
        raise ValueError(
            f"study {study.study_name!r} was asked another question: {'; '.join(found)}. Its trials cannot be compared: ask "
            f"as it was asked, or {way_out}"
        )


def open_storage(storage: Any) -> BaseStorage | None:
    """What Optuna keeps a study in: of a path a file, SQLite or a journal by its suffix; `ValueError` where none can be."""
    if storage is None or isinstance(storage, BaseStorage):
        return storage
    if not isinstance(storage, str | os.PathLike):
        raise ValueError(f"storage={storage!r} must be the path of a file, a URL, a storage of Optuna's, or None")
    text = str(storage)
    if "://" in text:
        return _closing(RDBStorage(text))
    path = Path(text)
    if path.is_dir():
        raise ValueError(f"storage={text!r} is a folder: name a file in it, such as {str(path / 'study.db')!r}")
    if not path.parent.is_dir():
        raise ValueError(f"storage={text!r} must lie in a folder that exists: make {str(path.parent)!r} first")
    if path.suffix in (".log", ".jsonl", ".journal"):
        _check_begins(path, b'{"op_code"', "journal of Optuna's")
        return JournalStorage(JournalFileBackend(text))
    _check_begins(path, b"SQLite format 3\0", "SQLite file (the names of journals end in .log)")
    return _sqlite(text)


def _check_begins(path: Path, begin: bytes, kind: str) -> None:
    """Or Optuna would write behind what a file holds."""
    if path.is_file():
        with path.open("rb") as file:
            found = file.read(len(begin))
        if found not in (b"", begin):
            raise ValueError(f"storage={str(path)!r} is a file, and no {kind}: name another")


def _sqlite(path: str) -> RDBStorage:
    for seconds in (0.2, 0.5, 1.0, 2.0):
        try:
            return _opened(path)
        except SQLAlchemyError:  # another process is making the file
            time.sleep(seconds)
    return _opened(path)


def _opened(path: str) -> RDBStorage:
    return _closing(RDBStorage(f"sqlite:///{path}", engine_kwargs={"creator": partial(_connect, path)}))


def _closing(storage: RDBStorage) -> RDBStorage:
    """Which closes its connections when nobody holds it: Python 3.13 warns of open ones."""
    weakref.finalize(storage, storage.engine.dispose)
    return storage


def _connect(path: str) -> sqlite3.Connection:
    """A connection that waits for other processes, and for the disk only where it must.

    A trial writes about twenty times. With a log written ahead a killed process loses nothing, a power cut the last trials.
    """
    connection = sqlite3.connect(path, timeout=60, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    return connection


def new_sampler(sampler: Any, seed: int, starts: Sequence[Mapping[str, Any]], n_metrics: int) -> BaseSampler:
    """What `tune` names: Optuna's own as it is, others with the starts, as trials store them, before what they draw."""
    if isinstance(sampler, BaseSampler):
        return sampler
    if sampler not in SAMPLERS if isinstance(sampler, str) else not callable(sampler):
        raise ValueError(f"sampler={sampler!r} must be one of {', '.join(SAMPLERS)}, a function of a seed, or Optuna's own")
    make = _tpe_of_several if sampler == "tpe" and n_metrics > 1 else sampler
    return Reseeded(SAMPLERS[make] if isinstance(make, str) else make, seed, starts)


def first_report(rounds: int) -> int:
    """After how many rounds a trial is held against the others: a tenth, and at every doubling of that.

    A report to a file takes milliseconds.
    """
    return max(1, rounds // 10)


def new_pruner(pruner: Any, rounds: int) -> BasePruner:
    """What `tune` names, for trials of so many rounds of boosting, at most."""
    if pruner is None:
        return NopPruner()
    if isinstance(pruner, BasePruner):
        return pruner
    if pruner == "median":
        return MedianPruner(n_startup_trials=5, n_warmup_steps=first_report(rounds))
    if pruner == "hyperband":
        return HyperbandPruner(min_resource=first_report(rounds), max_resource=rounds)
    raise ValueError(f"pruner={pruner!r} must be one of {', '.join(PRUNERS)}, None, or Optuna's own")


# -- who runs a trial ---------------------------------------------------------------------------------------------------


def owner() -> dict[str, Any]:
    """This process, as a trial stores it."""
    return {"host": _HOST, "process": os.getpid(), "run": _RUN}


def _is_alive(trial: FrozenTrial) -> bool:
    """Whether a running trial's process may be at work on it; of other hosts nobody knows, so it may."""
    who = trial.user_attrs.get(OWNER)
    if who is None:
        return trial.datetime_start is not None and datetime.now() - trial.datetime_start < _UNSIGNED
    if who["host"] != _HOST:
        return True
    if who["process"] == os.getpid():  # a number given twice, as in containers, where it is always 1
        return bool(who["run"] == _RUN)
    try:
        os.kill(who["process"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def fail_killed(study: optuna.Study) -> None:
    """Mark running trials failed whose process is gone: without a reason, by which `was_killed` knows them."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if not _is_alive(trial):
            study.tell(trial.number, state=TrialState.FAIL, skip_if_finished=True)  # another process may have been first


def was_killed(trial: FrozenTrial) -> bool:
    """Whether it was cut off and says nothing about its parameters, unlike one that failed."""
    return trial.state == TrialState.FAIL and REASON not in trial.user_attrs


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count: complete, pruned, or failed by themselves."""
    return [t for t in study.get_trials(deepcopy=False, states=FINISHED) if not was_killed(t)]


def missing(study: optuna.Study, n_trials: int) -> int:
    """How many trials are to be started for a total of `n_trials`, those at work in other processes counted."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    return max(0, n_trials - len(finished(study)) - len(running))
