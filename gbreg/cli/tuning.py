"""The command that searches for the best loss and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gbreg._errors import InputError
from gbreg._files import check_writable
from gbreg.cli.asked import check_report, engine_names, new_estimator
from gbreg.cli.options import (
    Drop,
    Engine,
    Exposure,
    Jobs,
    Keep,
    Losses,
    ModelFile,
    Monotone,
    Offset,
    Option,
    Report,
    Rounds,
    Seed,
    Table,
    Target,
    TrainColumn,
    Weight,
    typer,
)
from gbreg.cli.screen import bar, command_line, fail, make_console, say

if TYPE_CHECKING:
    from gbreg._tables import TrainingRows

Folds = Annotated[
    int | None,
    Option(
        help="Judge trials on so many folds (with --time each after what trains for it): surer where few rows decide.",
        show_default="one held-out fifth",
    ),
]


def tune(
    context: typer.Context,
    table: Table,
    target: Target,
    metric: Annotated[
        list[str], Option(help="What to be best at: xauc, mae, normalized_gini, ...; repeat for a compromise.")
    ],
    model: ModelFile,
    loss: Losses = None,
    trials: Annotated[int, Option(help="Of the study in all, those of earlier calls included.")] = 50,
    timeout: Annotated[
        float | None, Option(help="Seconds after which no further trial starts.", show_default="none")
    ] = None,
    storage: Annotated[
        str | None, Option(help="A file or URL that keeps the study: call again to go on.", show_default="in memory")
    ] = None,
    engine: Engine = "lightgbm",
    weight: Weight = None,
    exposure: Exposure = None,
    offset: Offset = None,
    drop: Drop = None,
    keep: Keep = None,
    split: TrainColumn = None,
    time: Annotated[str | None, Option(help="A column of times or numbers: trials are judged on the latest fifth.")] = None,
    group: Annotated[str | None, Option(help="A column, such as customers, whose rows are held out together.")] = None,
    folds: Folds = None,
    rounds: Rounds = 1000,
    monotone: Monotone = None,
    seed: Seed = 0,
    n_jobs: Jobs = None,
    report: Report = None,
) -> None:
    """Search losses and parameters for the best metric on rows held out, and save the best model, trained on all rows.

    Ctrl-C ends the search with the best so far. With --storage a search goes on where it stopped.

    Example: gbreg tune sales.parquet --target revenue --metric xauc --trials 50 --storage study.db --model best.gbreg
    --report study.html
    """
    from gbreg import _tables as tables

    asked = _asked(metric, loss or (), trials, folds)
    estimator = new_estimator(rounds, 0.1, None, seed, n_jobs, monotone).set_params(engine=engine_names([engine])[0])
    check_writable(model, "--model")
    check_report(report)
    beside = {"exposure": exposure, "offset": offset}
    where: dict[str, Any] = {"weight": weight, "split": split, "time": time, "group": group, "beside": beside}
    rows = tables.training_rows(table, target, **where, drop=drop or (), keep=keep or ())
    if rows.horizons is not None:
        raise InputError(f"--target {target!r}: tune takes one column: tune one horizon, and fit all with what was found")
    found = _search(rows, estimator, timeout=timeout, storage=storage, seed=seed, **asked)
    _tell(found)
    if found.has_best:
        found.best_estimator_.save(model)
        say(f"\nTrained on {len(rows.y):,} rows. Saved to {model}")
    again = command_line(context)
    if report is not None:
        _write_report(found, report, title=f"gbreg tune: {target} of {table.name}", command=again)
    _say_how_to_go_on(found, None if storage is None else again)
    if not found.has_best:
        fail(found.why_none(), 1)


def _asked(metric: Sequence[str], losses: Sequence[str], trials: int, folds: int | None) -> dict[str, Any]:
    """What `gbreg.tuning.tune` is asked; `InputError` for what it would refuse, before a table is read."""
    from gbreg.compare import parse_model
    from gbreg.metrics import directed

    try:
        import gbreg.tuning  # noqa: F401
    except ImportError as error:
        fail(str(error))
    for text in losses:
        parse_model(text)
    try:
        metrics = [directed(name) for name in metric]
    except ValueError as error:
        raise InputError(f"--metric: {error}") from error
    if trials < 1:
        raise InputError(f"--trials {trials} must be at least 1")
    if folds is not None and folds < 2:
        raise InputError(f"--folds {folds} must be at least 2; leave it out for one held-out fifth of the rows")
    return {
        "metric": metrics if len(metrics) > 1 else metrics[0],
        "losses": losses or "all",
        "n_trials": trials,
        "cv": folds,
    }


def _search(rows: TrainingRows, estimator: Any, **asked: Any) -> Any:
    """What `gbreg.tuning.tune` finds, or the study of a search that found nothing."""
    import optuna

    from gbreg.tuning import NoBestError
    from gbreg.tuning import tune as search

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for notice in rows.notices:
        say(notice)
    say(f"Searching on {len(rows.y):,} rows. Each loss is compiled before its first trial, for a second or two.")
    with _live() as progress:
        try:
            return search(
                estimator,
                rows.X,
                rows.y,
                sample_weight=rows.weight,
                groups=rows.groups,
                time=rows.time,
                progress=progress,
                **rows.carried,
                **asked,
            )
        except ValueError as error:
            raise InputError(" ".join(str(error).split())) from error
        except NoBestError as error:
            return error.found


def _tell(found: Any) -> None:
    """How the search ended, and the best model as code."""
    for label, reason in found.skipped_:
        say(f"Not searched: {label}: {reason}")
    states = [trial.state for trial in found.trials_ if trial.reason != "killed"]
    counts = ", ".join(
        f"{states.count(s)} {word}" for s, word in (("complete", "complete"), ("pruned", "pruned"), ("fail", "failed"))
    )
    ended = "Stopped" if found.interrupted_ else "Done"
    if not found.has_best:
        say(f"{ended}: {counts}. No best model: none is saved.")
        return
    say(f"{ended}: {counts}. Best: {_scores(found.best_score_, found.metrics_)}, on rows held out.")
    for sentence in found.chance_words():
        say(sentence)
    say("Scores are optimistic by the choice among trials: judge the model on rows it has not seen (gbreg evaluate).\n")
    say(found.code(), wrap=False)


def _write_report(found: Any, report: Path, *, title: str, command: str) -> None:
    from gbreg.tuning import write_study

    write_study(found, report, title=title, command=command)
    say(f"The study's report: {report}")


def _say_how_to_go_on(found: Any, again: str | None) -> None:
    """By the command again, None where the study was in memory."""
    if again is not None:
        more = "" if found.interrupted_ else " with more --trials"
        say(f"Go on{more}: {again}", wrap=False)
    elif found.interrupted_:
        say("The study was in memory and is gone: with --storage study.db a search can be stopped and gone on with.")


def _scores(score: Any, metrics: list[str]) -> str:
    from gbreg.compare import number

    scores = score if isinstance(score, dict) else {metrics[0]: score}
    return ", ".join(f"{name} {number(value)}" for name, value in scores.items())


@contextmanager
def _live() -> Iterator[Any]:
    """A line that says where the study stands; every tenth trial where there is no terminal."""
    from gbreg.compare import number

    console = make_console(stderr=True)
    with bar() as move:

        def each(p: Any) -> None:
            best = "no score yet" if p.score is None else f"best {number(p.score)}"
            left = f"{p.seconds_left / 60:.0f} min" if p.seconds_left >= 90 else f"{p.seconds_left:.0f} s"
            text = f"{best}, {p.pruned} pruned, {p.failed} failed, {left} left"
            move(p.done, p.total, text)
            if not console.is_terminal and (p.done % 10 == 0 or p.done == p.total):
                console.print(f"{p.done} of {p.total} trials: {text}")

        yield each
