"""The command that searches for the best loss and parameters."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from gbreg._errors import InputError
from gbreg._files import check_writable
from gbreg.cli.options import Drop, Jobs, Keep, Option, Report, Rounds, Seed, Table, Target, typer
from gbreg.cli.screen import bar, command_line, fail, make_console, say
from gbreg.cli.training import engine_names


def tune(
    context: typer.Context,
    table: Table,
    target: Target,
    metric: Annotated[
        list[str], Option(help="What to be best at: xauc, mae, normalized_gini, ...; repeat for a compromise.")
    ],
    model: Annotated[Path, Option(help="The file to write the best model to.", show_default=False)],
    loss: Annotated[
        list[str] | None,
        Option(help="A loss or model to search: huberpp, bucket, hurdle:loss=gamma; repeat for more.", show_default="all"),
    ] = None,
    trials: Annotated[int, Option(help="Of the study in all, those of earlier calls included.")] = 50,
    timeout: Annotated[
        float | None, Option(help="Seconds after which no further trial starts.", show_default="none")
    ] = None,
    storage: Annotated[
        str | None, Option(help="A file or URL that keeps the study: call again to go on.", show_default="in memory")
    ] = None,
    engine: Annotated[str, Option(help="lightgbm, xgboost or catboost.")] = "lightgbm",
    weight: Annotated[str | None, Option(help="A column of row weights (>= 0).")] = None,
    drop: Drop = None,
    keep: Keep = None,
    split: Annotated[str | None, Option("--split", help="Use the rows with the value train in this column.")] = None,
    time: Annotated[str | None, Option(help="A column of times or numbers: trials are judged on the latest fifth.")] = None,
    group: Annotated[str | None, Option(help="A column, such as customers, whose rows are held out together.")] = None,
    folds: Annotated[
        int | None,
        Option(
            help="Judge trials on so many folds (with --time each after what trains for it): surer where few rows decide.",
            show_default="one held-out fifth",
        ),
    ] = None,
    rounds: Rounds = 1000,
    seed: Seed = 0,
    n_jobs: Jobs = None,
    report: Report = None,
) -> None:
    """Search losses and parameters for the best metric on rows held out, and save the best model, trained on all rows.

    Ctrl-C ends the search with the best so far. With --storage a search goes on where it stopped.

    Example: gbreg tune sales.parquet --target revenue --metric xauc --trials 50 --storage study.db --model best.gbreg
    --report study.html
    """
    from gbreg import GBRegressor
    from gbreg.compare import parse_model
    from gbreg.metrics import directed
    from gbreg.reporting.template import check_installed

    try:
        import optuna

        from gbreg.tuning import write_study
    except ImportError as error:
        fail(str(error))
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    for text in loss or ():
        parse_model(text)
    engine = engine_names([engine])[0]
    try:
        metrics = [directed(name) for name in metric]
    except ValueError as error:
        raise InputError(f"--metric: {error}") from error
    if trials < 1:
        raise InputError(f"--trials {trials} must be at least 1")
    if folds is not None and folds < 2:
        raise InputError(f"--folds {folds} must be at least 2; leave it out for one held-out fifth of the rows")
    rows = _read(table, target, weight=weight, split=split, time=time, group=group, drop=drop or (), keep=keep or ())
    check_writable(model, "--model")
    if report is not None:
        check_writable(report, "--report")
        check_installed()
    for notice in rows.notices:
        say(notice)
    found = _search(
        rows,
        GBRegressor(engine=engine, n_estimators=rounds, n_jobs=n_jobs, random_state=seed),
        metric=metrics if len(metrics) > 1 else metrics[0],
        n_trials=trials,
        timeout=timeout,
        cv=folds,
        losses=loss or "all",
        storage=storage,
        seed=seed,
    )
    _tell(found)
    if found.has_best:
        found.best_estimator_.save(model)
        say(f"\nTrained on {len(rows.y):,} rows. Saved to {model}")
    again = command_line(context)
    if report is not None:
        write_study(found, report, title=f"gbreg tune: {target} of {table.name}", command=again)
        say(f"The study's report: {report}")
    if storage is not None:
        more = "" if found.interrupted_ else " with more --trials"
        say(f"Go on{more}: {again}", wrap=False)
    elif found.interrupted_:
        say("The study was in memory and is gone: with --storage study.db a search can be stopped and gone on with.")
    if not found.has_best:
        fail(found.why_none(), 1)


@dataclass(frozen=True)
class _Rows:
    """What a study is given of a table: features, labels, weights, times, and what is held out together."""

    X: Any
    y: Any
    weight: Any
    time: Any
    groups: Any
    notices: Sequence[str]


def _read(
    table: Path,
    target: str,
    *,
    weight: str | None,
    split: str | None,
    time: str | None,
    group: str | None,
    drop: Sequence[str],
    keep: Sequence[str],
) -> _Rows:
    from gbreg import _tables as tables

    data = tables.read_table(table)
    tables.check_column(data, target, "--target")
    if split is not None:
        data = tables.rows_of(data, tables.split_rows(data, column=split).train)
    y, weights = tables.labels(data, target), tables.weights(data, weight)
    when, who = (
        None if name is None else tables.values(data, name, argument)
        for name, argument in ((time, "--time"), (group, "--group"))
    )
    names = tables.feature_names(data, target, drop=drop, keep=keep, never=(split, weight, time, group))
    prepared = tables.features(data, names)
    return _Rows(prepared.table, y, weights, when, who, prepared.notices)


def _search(rows: _Rows, estimator: Any, **asked: Any) -> Any:
    """What `gbreg.tuning.tune` finds, or the study of a search that found nothing."""
    from gbreg.tuning import NoBestError
    from gbreg.tuning import tune as search

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
    say("Scores are optimistic by the choice among trials: judge the model on rows it has not seen (gbreg evaluate).\n")
    say(found.code(), wrap=False)


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
