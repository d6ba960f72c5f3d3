"""What the recipes share: a table, split; the study; and default against tuned on rows that neither saw."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from sklearn.base import clone

from gbreg import _tables as tables
from gbreg.compare import boosted_parts
from gbreg.estimators.rows import hold_out
from gbreg.metrics import difference, directed, get_metric, interval
from gbreg.tuning import Progress, Tuned, tune

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Rows:
    """Features, labels, weights, whose rows they are (or None), and when they were (or None)."""

    X: Any
    y: Floats
    weight: Floats | None
    who: Any
    when: Any

    def __getitem__(self, rows: Any) -> Rows:
        weight, who, when = (None if column is None else column[rows] for column in (self.weight, self.who, self.when))
        return Rows(self.X.take(np.flatnonzero(rows) if rows.dtype == bool else rows), self.y[rows], weight, who, when)


@dataclass(frozen=True)
class Recipe:
    """A table's rows to tune on and those to judge by, and how much to spend.

    Attributes
    ----------
    name : str
        Of the recipe, and of the line in a results file.
    train, test : Rows
    floor : float
        A tenth of the median positive label: below it relative errors stop growing.
    options : argparse.Namespace
    """

    name: str
    train: Rows
    test: Rows
    floor: float
    options: argparse.Namespace

    @property
    def boosting(self) -> dict[str, Any]:
        """What default and tuned model have in common."""
        return {"n_estimators": self.options.rounds, "n_jobs": self.options.n_jobs, "random_state": self.options.seed}

    def run(self, model: Any, metric: str, **arguments: Any) -> Tuned:
        """Tune the model by a metric, and print what that gained over its defaults; `arguments` are those of `tune`."""
        metric = self.options.metric or metric
        data = self.train
        held = {"groups": data.who} if data.when is None else {"time": data.when}
        found = tune(
            model,
            data.X,
            data.y,
            metric=metric,
            sample_weight=data.weight,
            n_trials=self.options.trials,
            storage=self.options.storage,
            seed=self.options.seed,
            progress=_said,
            **held,
            **arguments,
        )
        print(f"\n{found.code()}\n")
        self._judge(model, found, metric)
        return found

    def _judge(self, model: Any, found: Tuned, metric: str) -> None:
        given = {} if self.train.weight is None else {"sample_weight": self.train.weight}
        default = clone(model)
        for part in boosted_parts(default):
            part.set_params(early_stopping_rounds=50)
        default.fit(self.train.X, self.train.y, groups=self.train.who, **given)
        y, weight, who = self.test.y, self.test.weight, self.test.who
        drawn = {"by": who, "n_resamples": 200}
        usual, tuned = (fitted.predict(self.test.X) for fitted in (default, found.best_estimator_))
        of = {name: str(interval(metric, y, p, weight, **drawn)) for name, p in (("default", usual), ("tuned", tuned))}
        gain = difference(metric, y, tuned, usual, weight, **drawn)
        better = gain.low > 0 if get_metric(metric).greater_is_better else gain.high < 0
        worse = gain.high < 0 if directed(metric).greater_is_better else gain.low > 0
        verdict = "better" if better else "worse" if worse else "open: no difference that these rows show"
        print(f"{metric} on {y.size:,} rows not seen: default {of['default']}, tuned {of['tuned']}; {gain}: {verdict}.")
        if self.options.results is not None:
            line = {"recipe": self.name, "table": self.options.table.stem, "metric": metric, **of}
            line |= {"gain": str(gain), "verdict": verdict.partition(":")[0], "trials": len(found.trials_)}
            line |= {"seconds": sum(trial.seconds for trial in found.trials_), "best": found.code().splitlines()[-1]}
            with self.options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")


def _said(progress: Progress) -> None:
    if progress.done % 10 == 0 or progress.done == progress.total:
        score = "none yet" if progress.score is None else f"{progress.score:.5g}"
        print(f"{progress.done} of {progress.total} trials, best {score}, {progress.seconds_left:.0f} s left", flush=True)


def start(file: str, doc: str | None, argv: Sequence[str] | None) -> Recipe:
    """Read the table that the command line names."""
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path, help="Parquet, CSV or Arrow")
    parser.add_argument("--target", required=True, help="the column to predict")
    parser.add_argument("--weight", help="a column of row weights")
    parser.add_argument("--drop", action="append", default=[], help="columns that are no features; repeat, or by commas")
    parser.add_argument("--split", help="a column that says train or test; else a random fifth is the test")
    parser.add_argument("--time", help="a column of times: trials are judged on the latest fifth of the training rows")
    parser.add_argument("--group", help="a column, such as customers, whose rows stay together, also in intervals")
    parser.add_argument("--duration", help="a column of durations, for d2q")
    parser.add_argument("--metric", help="to tune for, instead of the recipe's own")
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=500, help="of boosting, at most")
    parser.add_argument("--rows", type=int, help="at most so many to tune on, drawn at random")
    parser.add_argument("--storage", help="a file that keeps the study")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-jobs", type=int)
    parser.add_argument("--results", type=Path, help="a file to append the outcome to, as a line of JSON")
    options = parser.parse_args(argv)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        train, test = _read(options)
    except tables.InputError as error:
        parser.error(str(error))
    return Recipe(Path(file).stem, train, test, float(np.median(train.y[train.y > 0])) / 10, options)


def _read(options: argparse.Namespace) -> tuple[Rows, Rows]:
    data = tables.read_table(options.table)
    y, weight = tables.labels(data, options.target), tables.weights(data, options.weight)
    who, when = (
        None if name is None else tables.values(data, name, argument)
        for name, argument in ((options.group, "--group"), (options.time, "--time"))
    )
    never = (options.split, options.weight, options.time, options.group)
    names = tables.feature_names(data, options.target, drop=options.drop, keep=(), never=never)
    rows = Rows(tables.features(data, names).table, y, weight, who, when)
    if options.split is not None:
        split = tables.split_rows(data, column=options.split)
        train, test = rows[split.train], rows[split.test]
    else:
        inside, outside = hold_out(y.size, 0.2, options.seed, who)
        train, test = rows[inside], rows[outside]
    if options.rows is not None and train.y.size > options.rows:
        train = train[np.sort(np.random.default_rng(options.seed).choice(train.y.size, options.rows, replace=False))]
    return train, test
