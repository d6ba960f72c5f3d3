"""The commands that train or apply models: compare, fit, predict, demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import gbreg
from gbreg._errors import InputError
from gbreg._files import check_writable, make_folder, write_text
from gbreg.cli.asked import check_report, engine_names, new_estimator
from gbreg.cli.options import (
    TABLES,
    Censored,
    Drop,
    EarlyStopping,
    Engine,
    Engines,
    Exposure,
    Jobs,
    Keep,
    LearningRate,
    Losses,
    ModelFile,
    Monotone,
    Offset,
    Option,
    Report,
    Rounds,
    Seed,
    Segment,
    SplitColumn,
    Table,
    Targets,
    TrainColumn,
    Weight,
    typer,
)
from gbreg.cli.screen import command_line, fail, progress, say, show, status

if TYPE_CHECKING:
    from gbreg._tables import SplitRows


def compare(
    context: typer.Context,
    table: Table,
    target: Targets,
    weight: Weight = None,
    exposure: Exposure = None,
    offset: Offset = None,
    drop: Drop = None,
    keep: Keep = None,
    split: SplitColumn = None,
    time: Annotated[str | None, Option(help="A column of times or numbers to split by; needs --cutoff.")] = None,
    cutoff: Annotated[str | None, Option(help="Rows before this value of --time train, the rest test.")] = None,
    test_fraction: Annotated[
        float | None,
        Option(help="Share of rows to test on, drawn at random.", show_default="0.2 without other split"),
    ] = None,
    loss: Losses = None,
    engine: Engines = None,
    rounds: Rounds = 100,
    learning_rate: LearningRate = 0.1,
    early_stopping: EarlyStopping = None,
    monotone: Monotone = None,
    seed: Seed = 0,
    n_jobs: Jobs = None,
    out: Annotated[Path | None, Option(help="A folder for leaderboard.csv, leaderboard.json and summary.md.")] = None,
    report: Report = None,
    segment: Segment = None,
) -> None:
    """Try many losses on one table: which ranks best, which gets the sum right, which to use.

    Every loss trains on the same rows and is measured on the same test rows. Losses that cannot take the target (some
    need positive labels) are listed with the reason. Text columns become categories; dates are left out.

    Example: gbreg compare sales.parquet --target revenue --time week --cutoff 2024-01-01 --drop customer_id
    """
    from gbreg import _tables as tables
    from gbreg.compare import parse_model

    estimator = new_estimator(rounds, learning_rate, early_stopping, seed, n_jobs, monotone)
    losses = None if not loss else [parse_model(text) for text in loss]
    engines = engine_names(engine or ["lightgbm"])
    data = tables.read_table(table)
    horizons = tables.Target.of(data, target).horizons
    parted = tables.split_rows(data, column=split, time=time, cutoff=cutoff, test_fraction=test_fraction, seed=seed)
    if segment is not None:
        tables.check_column(data, segment, "--segment")
        if report is None:
            raise InputError("--segment is for the page: give --report page.html too")
    check_report(report)
    beside = {"exposure": exposure, "offset": offset}
    for name, column in {**beside, "segment": segment}.items():
        if horizons is not None and column is not None:
            raise InputError(f"--{name}: not with a target at several horizons: leave it out, or compare one of them")
    never = (split, time, weight, *tables.of_rows_alone(data, beside, keep or ()))
    names = tables.feature_names(data, target, drop=drop or (), keep=keep or (), never=never)
    rows = tables.prepare(data, target, names, parted, weight, beside)
    notices = []
    if split is None and time is None and test_fraction is None:
        notices.append("Where rows have an order in time, --time and --cutoff test a model as it will be used.")
    _compare_and_report(
        rows,
        losses,
        engines,
        estimator,
        out,
        title=f"gbreg compare: {target} of {table.name}",
        command=command_line(context),
        notices=notices,
        report=report,
        segment=None if segment is None else tables.values(tables.rows_of(data, parted.test), segment, "--segment"),
    )


def _compare_and_report(
    rows: SplitRows,
    losses: Sequence[Any] | None,
    engines: Sequence[str],
    estimator: Any,
    out: Path | None,
    *,
    title: str,
    command: str,
    notices: Sequence[str] = (),
    report: Path | None = None,
    segment: Any = None,
) -> None:
    """Train, print, and write the files."""
    from gbreg.estimators.parts import check_constraints

    try:
        check_constraints(estimator, rows.train_X)
    except ValueError as error:
        raise InputError(str(error)) from error
    folder = None if out is None else make_folder(out, "--out")
    notices = [*rows.notices, *notices]
    for notice in notices:
        say(notice)
    with progress() as on_fit:
        board = _compared(
            rows, losses=losses, engines=engines, estimator=estimator, on_fit=on_fit, keep_predictions=report is not None
        )
    boards = {None: board} if rows.horizons is None else board.boards
    for horizon, of_horizon in boards.items():
        if horizon is not None:
            say(f"Horizon {horizon:.15g}")
        show(of_horizon)
    if folder is not None:
        board.to_csv(folder / "leaderboard.csv")
        board.to_json(folder / "leaderboard.json", title=title, command=command, notices=notices)
        write_text(folder / "summary.md", board.summary(title, command, notices))
        say(f"Saved to {folder}: summary.md, leaderboard.csv, leaderboard.json")
    fitted = any(of_horizon.rows for of_horizon in boards.values())
    if fitted and report is not None:
        from gbreg import reporting

        said: dict[str, Any] = {"title": title, "command": command, "notices": notices}
        if rows.horizons is None:
            reporting.write_comparison(board, rows, segment, report, **said)
        else:
            reporting.write_horizon_comparison(board, rows, report, **said)
        say(f"Saved to {report}")
    if not fitted:
        fail("no model was fitted: the reasons are above")


def _compared(rows: SplitRows, **asked: Any) -> Any:
    from gbreg.compare import compare as compare_losses
    from gbreg.compare import compare_horizons

    sides = (rows.train_X, rows.train_y, rows.test_X, rows.test_y)
    asked |= {"sample_weight": rows.train_weight, "test_weight": rows.test_weight}
    if rows.horizons is None:
        asked |= {**rows.train_carried, **{f"test_{name}": values for name, values in rows.test_carried.items()}}
        return compare_losses(*sides, **asked)
    try:
        return compare_horizons(*sides, horizons=rows.horizons, **asked)
    except ValueError as error:  # sums that fall, and horizons that no row is known at
        raise InputError(" ".join(str(error).split())) from error


def fit(
    table: Table,
    target: Targets,
    model: ModelFile,
    loss: Annotated[
        str, Option(help="A loss or model: tweedie, huberpp:delta=0.3,link=log, bucket, ziln, hurdle:loss=gamma, ...")
    ] = "squared_error",
    param: Annotated[list[str] | None, Option(help="A parameter of it, as name=value; repeat for more.")] = None,
    engine: Engine = "lightgbm",
    weight: Weight = None,
    exposure: Exposure = None,
    offset: Offset = None,
    censored: Censored = None,
    drop: Drop = None,
    keep: Keep = None,
    split: TrainColumn = None,
    rounds: Rounds = 100,
    learning_rate: LearningRate = 0.1,
    early_stopping: EarlyStopping = None,
    monotone: Monotone = None,
    seed: Seed = 0,
    n_jobs: Jobs = None,
) -> None:
    """Train one model on a table and save it to a file, for gbreg predict or gbreg.load.

    A target at several horizons, --target ltv_30,ltv_60,ltv_90, is predicted by the increments from each to the next; empty
    cells are windows that are not complete yet.

    Example: gbreg fit sales.parquet --target revenue --loss huberpp --param delta=0.3 --param link=log --model sales.gbreg
    """
    from gbreg import _tables as tables
    from gbreg.compare import fitted_parts, parse_model, with_boosting

    template = new_estimator(rounds, learning_rate, early_stopping, seed, n_jobs, monotone)
    estimator = with_boosting(parse_model(loss, _parameters(param)), template, engine_names([engine])[0])
    beside = {"exposure": exposure, "offset": offset, "censored": censored}
    rows = tables.training_rows(table, target, weight=weight, split=split, beside=beside, drop=drop or (), keep=keep or ())
    if rows.horizons is not None:
        estimator = gbreg.HorizonRegressor(estimator, rows.horizons)
    try:
        estimator.check_carried([name for name, column in beside.items() if column is not None])
    except ValueError as error:
        raise InputError(f"--{error}") from error
    check_writable(model, "--model")
    for notice in rows.notices:
        say(notice)
    try:
        with status(f"Training {loss} on {engine}"):
            estimator.fit(rows.X, rows.y, rows.weight, **rows.carried)
    except ValueError as error:  # what fit refuses before training: labels outside the loss's domain, for example
        raise InputError(" ".join(str(error).split())) from error
    estimator.save(model)
    done = max((part.best_iteration_ for part in fitted_parts(estimator)), default=0)
    say(f"Trained {loss} on {len(rows.y):,} rows, {done} rounds of {engine}. Saved to {model}")
    if rows.horizons is not None:
        known = (rows.y == rows.y).sum(axis=0)  # what is missing is NaN
        each = ", ".join(f"{n:,} at horizon {h:.15g}" for h, n in zip(rows.horizons, known, strict=True))
        say(f"Rows whose window is complete: {each}.")


def predict(
    table: Table,
    model: Annotated[Path, Option(help="A file that gbreg fit wrote.", show_default=False)],
    out: Annotated[Path, Option(help=f"The table to write: {TABLES}, by its suffix.", show_default=False)],
    exposure: Exposure = None,
    offset: Offset = None,
    keep: Annotated[list[str] | None, Option(help="Columns to copy beside the prediction; repeat, or use commas.")] = None,
    n_jobs: Jobs = None,
) -> None:
    """Predict every row of a table, into a column named prediction; of several horizons prediction_30 and so on.

    Columns are found by name; those that the model was not trained on are ignored.

    Example: gbreg predict new.parquet --model sales.gbreg --out predicted.csv --keep customer_id
    """
    from gbreg import _tables as tables
    from gbreg.compare import boosted_parts, fitted_parts

    data = tables.read_table(table)
    copied = tables.column_list(data, keep or (), "--keep")
    tables.check_suffix(out)
    check_writable(out, "--out")
    loaded = _load(model)
    several = isinstance(loaded, gbreg.HorizonRegressor)
    written = [f"prediction_{h:.15g}" for h in loaded.horizons] if several else ["prediction"]
    for name in written:
        if name in copied:
            raise InputError(f"--keep {name!r} would clash with the column that is written: rename it in the table")
    names = _trained_on(loaded, model)
    beside = {"exposure": exposure, "offset": offset}
    for name, column in beside.items():
        if (column is not None) != (name in loaded.carried_):
            has, way = ("none", "leave it out") if column is not None else ("one", f"name its column, --{name} COLUMN")
            raise InputError(f"--{name}: --model {str(model)!r} was trained with {has}: {way}")
    carried = tables.carried(data, beside)
    categorical = sorted({names[j] for part in fitted_parts(loaded) for j in part.columns_.categories})
    X = tables.matching(data, names, categorical, f"table {str(table)!r}")
    for part in (*boosted_parts(loaded), *fitted_parts(loaded)):
        part.set_params(n_jobs=n_jobs)
    predicted = loaded.predict(X, **carried)
    result = data.select(copied)
    for name, column in zip(written, predicted.reshape(len(predicted), -1).T, strict=True):
        result = result.append_column(name, [column])
    tables.write_table(result, out)
    say(f"Predicted {len(predicted):,} rows. Saved to {out}")


def demo(
    context: typer.Context,
    out: Annotated[Path, Option(help="A folder for the data and the results.")] = Path("demo"),
    rounds: Rounds = 100,
    n_jobs: Jobs = None,
) -> None:
    """Compare the losses on real-looking data: what 2,469 households spend at a grocer in the coming week.

    Every loss on LightGBM, and two of them on the other engines that are installed. The rows are saved as well, to try
    the other commands on.
    """
    import pyarrow as pa

    from gbreg import _tables as tables
    from gbreg import datasets
    from gbreg.compare import default_models, installed_engines

    try:
        with status("Preparing the household weeks"):
            data = pa.Table.from_pandas(datasets.load_household_weeks(), preserve_index=False)
    except ImportError as error:
        fail(str(error))
    folder = make_folder(out, "--out")
    path = folder / "household_weeks.parquet"
    tables.write_table(data, path)
    parted = tables.split_rows(data, column="split")
    names = tables.feature_names(data, datasets.TARGET, drop=datasets.KEYS, never=("split",))
    others = [engine for engine in installed_engines() if engine != "lightgbm"]
    _compare_and_report(
        tables.prepare(data, datasets.TARGET, names, parted),
        [*default_models()[0], *((loss, engine) for engine in others for loss in ("squared_error", "tweedie"))],
        ["lightgbm"],
        new_estimator(rounds, 0.1, None, 0, n_jobs),
        folder,
        title="gbreg demo: what a household spends in the coming week",
        command=command_line(context),
        notices=[datasets.PROVENANCE],
        report=folder / "report.html",
    )
    say(f"Go on with: gbreg compare {path} --target {datasets.TARGET} --drop household_id,week --split split", wrap=False)


def _parameters(given: Sequence[str] | None) -> dict[str, Any]:
    from gbreg.compare import parse_value

    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--param {text!r} must be name=value, such as delta=0.3")
        found[name.strip()] = parse_value(value.strip())
    return found


def _load(path: Path) -> Any:
    if not path.is_file():
        raise InputError(f"--model {str(path)!r}: no such file; train one with gbreg fit")
    try:
        return gbreg.load(path)
    except (ValueError, ImportError) as error:
        raise InputError(f"--model: {error}") from error


def _trained_on(model: Any, path: Path) -> list[str]:
    if getattr(model, "feature_names_in_", None) is None:
        raise InputError(
            f"--model {str(path)!r} was trained on an array, without column names: load it with gbreg.load in Python"
        )
    return [str(name) for name in model.feature_names_in_]
