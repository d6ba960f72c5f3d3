"""The study report: one self-contained HTML page on what a search found."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from gbreg._compat import is_stored
from gbreg.compare import number, versions
from gbreg.losses.ranges import Choice, Integers, LogUniform
from gbreg.reporting import study_pictures as pictures
from gbreg.reporting.template import check_installed, write_html
from gbreg.tuning.recipes import RECIPE
from gbreg.tuning.result import KILLED, TrialRecord, Tuned
from gbreg.tuning.space import Range

MOST_TRIALS = 20
# Of parameters that have a column in the table of trials, and a picture of their own.
MOST_COLUMNS, MOST_SLICES = 7, 12
# As a share of its range, how near to an end a value is said to lie at it.
EDGE = 0.03
# Ends of ranges beyond which there is nothing: all rows, all columns, no penalty.
_NATURAL = {"subsample": "upper", "colsample": "upper", "reg_lambda": "lower"}


class _Cell(NamedTuple):
    """What a table shows, and what it is sorted by; by its text, if by no key."""

    text: str
    key: float | None = None
    best: bool = False


def write_study(
    found: Tuned, path: str | Path = "study.html", *, title: str = "What tuning found", command: str = ""
) -> Path:
    """Write one HTML page on a study: the best model as code, Optuna's plots, trials, why some failed, how to go on.

    The page needs no network, reads on a phone and in print, and its table of trials can be sorted.

    Parameters
    ----------
    found : Tuned
        Of `tune`; or the `found` of a `NoBestError`: the page then says that there is no best, and why.
    path : str or Path, default "study.html"
    title : str
    command : str
        What to run again to go on with the study. Default: in words.

    Returns
    -------
    Path
        Of the page, which is written at once or not at all.

    Raises
    ------
    ImportError
        Without jinja2 and matplotlib, which ``pip install "gbreg[report]"`` brings.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import optuna
    >>> from gbreg import GBRegressor
    >>> from gbreg.tuning import tune
    >>> optuna.logging.set_verbosity(optuna.logging.ERROR)
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 3))
    >>> y = np.exp(X[:, 0] + rng.normal(size=500))
    >>> found = tune(GBRegressor("huberpp", n_estimators=20), X, y, metric="mae", n_trials=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_study(found, f"{folder}/study.html").read_text(encoding="utf-8")
    >>> "model = GBRegressor(" in page
    True
    """
    check_installed()
    weights = _weights(found)
    values = {
        "found": found,
        "summary": _summary(found),
        "words": _words(found),
        "code": found.code() if found.has_best else "",
        "trials": _table(found, weights),
        "n_complete": sum(trial.state == "complete" for trial in found.trials_),
        "plots": _plots(found, weights) if found.has_best else [],
        "slices": _slices(found, weights) if found.has_best else [],
        "metrics": _metric_words(found),
        "states": _states(found),
        "failures": _failures(found.trials_),
        "spaces": _spaces(found),
        "stored": is_stored(found.study_),
        "command": command,
        "versions": versions() | {"optuna": version("optuna")},
    }
    return write_html(path, "study.html", title, values)


# -- words --------------------------------------------------------------------------------------------------------------


def _summary(found: Tuned) -> str:
    if not found.has_best:
        states = [trial.state for trial in found.trials_ if trial.reason != KILLED]
        return (
            f"There is no best model: no trial is complete. Of {len(states)}, {states.count('fail')} failed and "
            f"{states.count('pruned')} were pruned."
        )
    best = found.trials_[found.best_trial_.number]
    scores = " and ".join(f"{name} {number(v)}" for name, v in zip(found.metrics_, best.score or (), strict=True))
    recipe = f"{best.parameters[RECIPE]}, with " if RECIPE in best.parameters else ""
    among = f" It is one of {len(found.pareto_)} that no other beats in all metrics." if len(found.pareto_) > 1 else ""
    return f"Trial {best.number} is the best: {recipe}{scores} on rows held out.{among}"


def _words(found: Tuned) -> list[str]:
    """What to think of the best: whether to search on, and how far to trust its score."""
    if not found.has_best:
        return ["Mend what the reasons below name, or search other ranges (space=), and run it again."]
    lines = ["Its score is optimistic by the choice among trials: judge the model on rows that no trial has seen."]
    lines += found.chance_words()
    if found.interrupted_:
        lines.append("The search was stopped before its end.")
    if len(found.metrics_) == 1:
        lines += _gain(found)
        ended = [trial for trial in found.trials_ if trial.state in ("complete", "pruned")]
        since = sum(trial.number > found.best_trial_.number for trial in ended)
        if len(ended) >= 10 and since < len(ended) / 5:
            lines.append(f"It was found late, with {since} trials after it: more trials may well find a better one.")
        elif len(ended) >= 10:
            lines.append(f"The {since} trials after it found none better.")
    for name, where in _ranges(found, found.best_params_.get(RECIPE)).items():
        end = _at_end(name, found.best_params_[name], where)
        if end:
            lines.append(
                f"{name}, {_value(found.best_params_[name])}, lies at the {end} end of its range, {_range_words(where)}: a "
                "wider one may do better (space=)."
            )
    return lines


def _gain(found: Tuned) -> list[str]:
    """What tuning brought over the models as they were given, which are the first trials."""
    starts = found.search_.starts()
    given = [trial for trial in pictures.complete(found.study_) if trial.params in starts]
    if not given:
        return []
    sign = -1.0 if pictures.maximizes(found.study_, 0) else 1.0
    start = min(given, key=lambda trial: sign * trial.values[0])
    which = (
        f"The best recipe as it is given, {start.params[RECIPE]}," if RECIPE in start.params else "The model as it is given"
    )
    if start.number == found.best_trial_.number:
        return [f"{which} is this one: no trial with other parameters did better."]
    return [f"{which} had {found.metrics_[0]} {number(start.values[0])} (trial {start.number})."]


def _at_end(name: str, value: Any, where: Range) -> str:
    if isinstance(where, Choice) or value is None:
        return ""
    low, high, at = where.low, where.high, value
    if isinstance(where, LogUniform | Integers):  # as they are drawn
        low, high, at = math.log(low), math.log(high), math.log(value)
    share = (at - low) / (high - low) if high > low else 0.5
    end = "upper" if share >= 1 - EDGE else "lower" if share <= EDGE else ""
    return "" if _NATURAL.get(name.split("__")[-1]) == end else end


def _metric_words(found: Tuned) -> str:
    ways = [
        f"{name} ({'higher' if pictures.maximizes(found.study_, i) else 'lower'} is better)"
        for i, name in enumerate(found.metrics_)
    ]
    return " and ".join(ways)


def _states(found: Tuned) -> str:
    ended = [trial for trial in found.trials_ if trial.reason != KILLED]
    counts = {state: sum(trial.state == state for trial in ended) for state in ("complete", "pruned", "fail", "running")}
    parts = [f"{counts['complete']} complete", f"{counts['pruned']} pruned for falling behind", f"{counts['fail']} failed"]
    if counts["running"]:
        parts.append(f"{counts['running']} at work in other processes")
    killed = len(found.trials_) - len(ended)
    cut = f" {killed} more {'was' if killed == 1 else 'were'} cut off, which does not count." if killed else ""
    trials = f"{len(ended)} trial{'s' if len(ended) != 1 else ''} in {_time(sum(trial.seconds for trial in ended))}"
    return f"{trials}: {', '.join(parts)}.{cut}"


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


class _Failure(NamedTuple):
    """Trials that failed for the same reason, but for its numbers; the reason as the first has it."""

    times: int
    reason: str
    trials: str


def _failures(trials: Sequence[TrialRecord]) -> list[_Failure]:
    alike: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.state == "fail" and trial.reason != KILLED:
            alike.setdefault(re.sub(r"[-+]?\d[\d.,e+-]*", "#", trial.reason or ""), []).append(trial)
    found = [
        _Failure(len(same), same[0].reason or "", ", ".join(str(trial.number) for trial in same[:10]))
        for same in alike.values()
    ]
    return sorted(found, key=lambda failure: -failure.times)


# -- what was searched --------------------------------------------------------------------------------------------------


def _ranges(found: Tuned, recipe: str | None) -> Mapping[str, Range]:
    """Of one recipe, or of the only model, with those of boosting that recipes share."""
    search = found.search_
    label = next(iter(search.models)) if recipe is None else recipe
    return {**search.models[label][1].ranges, **search.shared.ranges}


def _spaces(found: Tuned) -> list[tuple[str, list[tuple[str, str, str]], bool]]:
    """(heading, rows of parameter, range and the best one's value, whether there is one), what recipes share first."""
    search = found.search_
    best = found.best_params_ if found.has_best else {}
    chosen = best.get(RECIPE)

    def rows(ranges: Mapping[str, Range]) -> list[tuple[str, str, str]]:
        return [(name, _range_words(where), _value(best[name]) if name in best else "") for name, where in ranges.items()]

    if len(search.models) == 1:
        return [("Parameters", rows(_ranges(found, None)), bool(best))]
    spaces = [("Of boosting, in every recipe", rows(search.shared.ranges), bool(best))]
    for label in sorted(search.models, key=lambda label: label != chosen):
        heading = f"{label} (the best)" if label == chosen else label
        spaces.append((heading, rows(search.models[label][1].ranges), label == chosen))
    return spaces


def _range_words(where: Range) -> str:
    if isinstance(where, Choice):
        return ", ".join(_value(option) for option in where.options)
    scale = " (log)" if isinstance(where, LogUniform | Integers) else ""
    return f"{_value(where.low)} to {_value(where.high)}{scale}"


def _value(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


# -- trials -------------------------------------------------------------------------------------------------------------


def _weights(found: Tuned) -> dict[str, float]:
    return pictures.importances(found.study_, 0) if found.has_best else {}


def _columns(found: Tuned, weights: Mapping[str, float]) -> list[str]:
    """Parameters with a column: of a search over losses those that all recipes have, else those that matter most."""
    if len(found.search_.models) > 1:
        return [RECIPE, *found.search_.shared.ranges]
    ranges = _ranges(found, None)
    losses = next(iter(found.search_.models.values()))[1].of_losses
    most = sorted(ranges, key=lambda name: -weights.get(name, 0.0))[:MOST_COLUMNS]
    return sorted((name for name in ranges if name in most), key=lambda name: name not in losses)


class _Table(NamedTuple):
    """Heads in pieces, between which they may be broken, and rows; the last column may be of all other parameters."""

    heads: list[list[str]]
    rows: list[list[_Cell]]
    others: bool


def _table(found: Tuned, weights: Mapping[str, float]) -> _Table:
    """The best trials: of several metrics those that no other beats first."""
    sign = [-1.0 if pictures.maximizes(found.study_, i) else 1.0 for i in range(len(found.metrics_))]
    front = {trial.number for trial in found.pareto_}
    scores = {t.number: [s * v for s, v in zip(sign, t.score, strict=True)] for t in found.trials_ if t.score is not None}
    shown = sorted(scores, key=lambda number: (number not in front, scores[number][0]))[:MOST_TRIALS]
    tops = [min(column) for column in zip(*scores.values(), strict=True)]
    columns = _columns(found, weights)
    rest = {n: {k: v for k, v in found.trials_[n].parameters.items() if k not in columns} for n in shown}
    others = any(rest.values())
    heads = ["trial", *found.metrics_, *(["beaten by"] if len(sign) > 1 else []), "rounds", "seconds", *columns]
    lines = []
    for trial in (found.trials_[n] for n in shown):
        cells = [_Cell(str(trial.number), trial.number)]
        for value, key, top in zip(trial.score or (), scores[trial.number], tops, strict=True):
            cells.append(_Cell(number(value), key, key == top))
        if len(sign) > 1:
            chosen = trial.number == found.best_trial_.number
            text = "none, chosen" if chosen else "none" if trial.number in front else "some"
            cells.append(_Cell(text, 0 if chosen else 1 if trial.number in front else 2, chosen))
        cells += [_rounds(trial), _Cell(f"{trial.seconds:.2f}", trial.seconds)]
        cells += [_parameter(trial.parameters.get(name)) for name in columns]
        if others:
            cells.append(_Cell(", ".join(f"{name}={_value(value)}" for name, value in rest[trial.number].items())))
        lines.append(cells)
    return _Table([re.findall("[^_]+_*|_+", head) for head in [*heads, *(["others"] if others else [])]], lines, others)


def _rounds(trial: TrialRecord) -> _Cell:
    """Of every booster, the mean over the folds."""
    if not trial.rounds or len({len(fold) for fold in trial.rounds}) > 1:
        return _Cell("-", 0.0)
    means = [sum(rounds) / len(rounds) for rounds in zip(*trial.rounds, strict=True)]
    return _Cell("\N{NO-BREAK SPACE}+\N{NO-BREAK SPACE}".join(f"{mean:.0f}" for mean in means), sum(means))


def _parameter(value: Any) -> _Cell:
    numeric = isinstance(value, int | float) and not isinstance(value, bool)
    return _Cell(_value(value), float(value)) if numeric else _Cell(str(value))


# -- plots --------------------------------------------------------------------------------------------------------------


def _plots(found: Tuned, weights: Mapping[str, float]) -> list[tuple[str, str, str]]:
    """(title, what to look for, picture)."""
    study, plots = found.study_, []
    if len(pictures.complete(study)) < 2:
        return []
    several = len(found.metrics_) > 1
    for metric, name in enumerate(found.metrics_):
        of = f" of {name}" if several else ""
        words = (
            "Pruned trials have no score."
            if several
            else "Flat for long: more trials bring little. Without pruned ones, and without scores far behind."
        )
        plots.append((f"History{of}", words, pictures.history(study, metric, name)))
    if len(found.metrics_) == 2:
        words = f"Of the {len(found.pareto_)} that no other beats in both, choose= picked the ringed one."
        plots.append(("Compromises", words, pictures.pareto(study, found.metrics_, found.best_trial_)))
    for metric, name in enumerate(found.metrics_):
        of = f" for {name}" if several else ""
        shares = weights if metric == 0 else pictures.importances(study, metric)
        if shares:
            words = "Shares of the spread of scores that a forest fitted to the trials puts down to each (fANOVA)."
            plots.append((f"Which parameters matter{of}", words, pictures.importance_bars(study, shares, metric, name)))
    chosen = found.best_params_.get(RECIPE)
    if chosen is not None:
        plots += _recipe_plots(found, chosen)
    return plots


def _recipe_plots(found: Tuned, chosen: str) -> list[tuple[str, str, str]]:
    scores: dict[str, list[float]] = {}
    for trial in found.trials_:
        if trial.score is not None:
            scores.setdefault(trial.parameters[RECIPE], []).append(trial.score[0])
    name = found.metrics_[0]
    picture = pictures.recipe_scores(scores, pictures.maximizes(found.study_, 0), name)
    words = "Each one's best trial strong, the others pale, their number behind the name. Few trials say little."
    pruned = {trial.parameters[RECIPE] for trial in found.trials_ if trial.state == "pruned"} - set(scores)
    if pruned:
        words += f" Only pruned: {', '.join(sorted(pruned))}."
    plots = [("Recipes", words, picture)]
    part = pictures.of_recipe(found.study_, RECIPE, chosen)
    shares = pictures.importances(part, 0)
    if shares:
        words = f"The same within the {len(scores[chosen])} trials of this recipe, its own parameters included."
        plots.append((f"Which parameters matter in {chosen}", words, pictures.importance_bars(part, shares, 0, name)))
    return plots


def _slices(found: Tuned, weights: Mapping[str, float]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(metric, pictures by parameter) of the best trial's parameters, those that matter most first."""
    moving = pictures.moving_of(found.study_, found.best_trial_)
    names = sorted((n for n in moving if n != RECIPE), key=lambda n: -weights.get(n, math.inf if "." in n else 0.0))
    names = names[:MOST_SLICES]
    return [
        (name, list(zip(names, pictures.slices(found.study_, names, i, name, found.best_trial_), strict=True)))
        for i, name in enumerate(found.metrics_)
        if names
    ]
