"""``gbreg`` on the command line: compare, fit, predict, demo. A thin layer over `gbreg.compare` and `gbreg.tables`.

Bad input ends in one line on stderr and exit code 2. Only typer is imported here; everything heavy is imported by the
command that needs it, so that ``gbreg --help`` is quick.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import gbreg

if TYPE_CHECKING:
    from gbreg.compare import Leaderboard
    from gbreg.tables import SplitRows

INSTALL = 'the gbreg command needs typer, rich and pyarrow: pip install "gbreg[cli]"'

try:
    import typer
    from typer import Argument, Option
except ImportError:  # main() says what to install

    def Argument(*_: Any, **__: Any) -> None: ...  # type: ignore[misc]

    def Option(*_: Any, **__: Any) -> None: ...  # type: ignore[misc]


TABLES = "Parquet, CSV or Arrow"
Table = Annotated[Path, Argument(metavar="TABLE", help=f"The table: {TABLES}, by its suffix.", show_default=False)]
Target = Annotated[str, Option("--target", help="The column to predict.", show_default=False)]
Weight = Annotated[str | None, Option(help="A column of row weights (>= 0), for training and for every metric.")]
Drop = Annotated[list[str] | None, Option(help="Columns to leave out, such as keys; repeat, or separate by commas.")]
Keep = Annotated[list[str] | None, Option(help="Learn from these columns only; repeat, or separate by commas.")]
SplitColumn = Annotated[str | None, Option("--split", help="A column of train and test; other rows are left out.")]
Rounds = Annotated[int, Option(help="Boosting rounds, at most.")]
LearningRate = Annotated[float, Option(help="Step of each round, above 0.")]
EarlyStopping = Annotated[
    int | None,
    Option(help="Stop after this many rounds without gain on 10% of the training rows.", show_default="off"),
]
Seed = Annotated[int, Option(help="Of the random split and of training.")]
Jobs = Annotated[int | None, Option(help="Threads.", show_default="all cores")]


def compare(
    context: typer.Context,
    table: Table,
    target: Target,
    weight: Weight = None,
    drop: Drop = None,
    keep: Keep = None,
    split: SplitColumn = None,
    time: Annotated[str | None, Option(help="A column of times or numbers to split by; needs --cutoff.")] = None,
    cutoff: Annotated[str | None, Option(help="Rows before this value of --time train, the rest test.")] = None,
    test_fraction: Annotated[
        float | None,
        Option(help="Share of rows to test on, drawn at random.", show_default="0.2 without other split"),
    ] = None,
    loss: Annotated[
        list[str] | None,
        Option(
            help="A loss or model: tweedie, huberpp:delta=0.3,link=log, bucket, hurdle:loss=gamma; repeat for more.",
            show_default="all that fit the target",
        ),
    ] = None,
    engine: Annotated[
        list[str] | None,
        Option(help="lightgbm, xgboost, catboost, or all (those installed); repeat for more.", show_default="lightgbm"),
    ] = None,
    rounds: Rounds = 100,
    learning_rate: LearningRate = 0.1,
    early_stopping: EarlyStopping = None,
    seed: Seed = 0,
    n_jobs: Jobs = None,
    out: Annotated[Path | None, Option(help="A folder for leaderboard.csv, leaderboard.json and summary.md.")] = None,
) -> None:
    """Try many losses on one table: which ranks best, which gets the sum right, which to use.

    Every loss trains on the same rows and is measured on the same test rows. Losses that cannot take the target (some
    need positive labels) are listed with the reason. Text columns become categories; dates are left out.

    Example: gbreg compare sales.parquet --target revenue --time week --cutoff 2024-01-01 --drop customer_id
    """
    from gbreg import tables
    from gbreg.compare import parse_model

    estimator = _estimator(rounds, learning_rate, early_stopping, seed, n_jobs)
    losses = None if not loss else [parse_model(text) for text in loss]
    engines = _engines(engine or ["lightgbm"])
    data = tables.read_table(table)
    tables.check_column(data, target, "--target")
    parted = tables.split_rows(data, column=split, time=time, cutoff=cutoff, test_fraction=test_fraction, seed=seed)
    names = tables.feature_names(data, target, drop=drop or (), keep=keep or (), never=(split, time, weight))
    rows = tables.prepare(data, target, names, parted, weight)
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
        command=_command_line(context),
        notices=notices,
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
) -> None:
    """Train, print, and write the files."""
    from gbreg import tables
    from gbreg.compare import compare as compare_losses

    folder = None if out is None else tables.make_folder(out, "--out")
    notices = [*rows.notices, *notices]
    for notice in notices:
        _say(notice)
    with _progress() as on_fit:
        board = compare_losses(
            rows.train_X,
            rows.train_y,
            rows.test_X,
            rows.test_y,
            sample_weight=rows.train_weight,
            test_weight=rows.test_weight,
            losses=losses,
            engines=engines,
            estimator=estimator,
            on_fit=on_fit,
        )
    show(board)
    if folder is not None:
        board.to_csv(folder / "leaderboard.csv")
        board.to_json(folder / "leaderboard.json", title=title, command=command, notices=notices)
        tables.write_text(folder / "summary.md", board.summary(title, command, notices))
        _say(f"Saved to {folder}: summary.md, leaderboard.csv, leaderboard.json")
    if not board.rows:
        _fail("no model was fitted: the reasons are above")


def fit(
    table: Table,
    target: Target,
    model: Annotated[Path, Option(help="The file to write the model to.", show_default=False)],
    loss: Annotated[
        str, Option(help="A loss or model: tweedie, huberpp:delta=0.3,link=log, bucket, ziln, hurdle:loss=gamma, ...")
    ] = "squared_error",
    param: Annotated[list[str] | None, Option(help="A parameter of it, as name=value; repeat for more.")] = None,
    engine: Annotated[str, Option(help="lightgbm, xgboost or catboost.")] = "lightgbm",
    weight: Annotated[str | None, Option(help="A column of row weights (>= 0).")] = None,
    drop: Drop = None,
    keep: Keep = None,
    split: Annotated[str | None, Option("--split", help="Train on the rows with the value train in this column.")] = None,
    rounds: Rounds = 100,
    learning_rate: LearningRate = 0.1,
    early_stopping: EarlyStopping = None,
    seed: Seed = 0,
    n_jobs: Jobs = None,
) -> None:
    """Train one model on a table and save it to a file, for gbreg predict or gbreg.load.

    Example: gbreg fit sales.parquet --target revenue --loss huberpp --param delta=0.3 --param link=log --model sales.gbreg
    """
    from gbreg import tables
    from gbreg.compare import fitted_parts, parse_model, with_boosting

    template = _estimator(rounds, learning_rate, early_stopping, seed, n_jobs)
    estimator = with_boosting(parse_model(loss, _parameters(param)), template, _engines([engine])[0])
    data = tables.read_table(table)
    tables.check_column(data, target, "--target")
    if split is not None:
        data = tables.rows_of(data, tables.split_rows(data, column=split).train)
    y, weights = tables.labels(data, target), tables.weights(data, weight)
    names = tables.feature_names(data, target, drop=drop or (), keep=keep or (), never=(split, weight))
    prepared = tables.features(data, names)
    tables.check_writable(model, "--model")
    for notice in prepared.notices:
        _say(notice)
    try:
        with _status(f"Training {loss} on {engine}"):
            estimator.fit(prepared.table, y, weights)
    except ValueError as error:  # what fit refuses before training: labels outside the loss's domain, for example
        raise tables.InputError(" ".join(str(error).split())) from error
    estimator.save(model)
    done = max((part.best_iteration_ for part in fitted_parts(estimator)), default=0)
    _say(f"Trained {loss} on {len(y):,} rows, {done} rounds of {engine}. Saved to {model}")


def predict(
    table: Table,
    model: Annotated[Path, Option(help="A file that gbreg fit wrote.", show_default=False)],
    out: Annotated[Path, Option(help=f"The table to write: {TABLES}, by its suffix.", show_default=False)],
    keep: Annotated[list[str] | None, Option(help="Columns to copy beside the prediction; repeat, or use commas.")] = None,
    n_jobs: Jobs = None,
) -> None:
    """Predict every row of a table, into a column named prediction.

    Columns are found by name; those that the model was not trained on are ignored.

    Example: gbreg predict new.parquet --model sales.gbreg --out predicted.csv --keep customer_id
    """
    from gbreg import tables
    from gbreg.compare import boosted_parts, fitted_parts

    data = tables.read_table(table)
    copied = tables.column_list(data, keep or (), "--keep")
    if "prediction" in copied:
        raise tables.InputError("--keep 'prediction' would clash with the column that is written: rename it in the table")
    tables.check_suffix(out)
    tables.check_writable(out, "--out")
    loaded = _load(model)
    names = _trained_on(loaded, model)
    categorical = sorted({names[j] for part in fitted_parts(loaded) for j in part.columns_.categories})
    X = tables.matching(data, names, categorical, f"table {str(table)!r}")
    for part in (*boosted_parts(loaded), *fitted_parts(loaded)):
        part.set_params(n_jobs=n_jobs)
    predicted = loaded.predict(X)
    tables.write_table(data.select(copied).append_column("prediction", [predicted]), out)
    _say(f"Predicted {len(predicted):,} rows. Saved to {out}")


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

    from gbreg import datasets, tables
    from gbreg.compare import default_models, installed_engines

    try:
        with _status("Preparing the household weeks"):
            data = pa.Table.from_pandas(datasets.load_household_weeks(), preserve_index=False)
    except ImportError as error:
        _fail(str(error))
    folder = tables.make_folder(out, "--out")
    path = folder / "household_weeks.parquet"
    tables.write_table(data, path)
    parted = tables.split_rows(data, column="split")
    names = tables.feature_names(data, datasets.TARGET, drop=datasets.KEYS, never=("split",))
    others = [engine for engine in installed_engines() if engine != "lightgbm"]
    _compare_and_report(
        tables.prepare(data, datasets.TARGET, names, parted),
        [*default_models()[0], *((loss, engine) for engine in others for loss in ("squared_error", "tweedie"))],
        ["lightgbm"],
        _estimator(rounds, 0.1, None, 0, n_jobs),
        folder,
        title="gbreg demo: what a household spends in the coming week",
        command=_command_line(context),
        notices=[datasets.PROVENANCE],
    )
    _say(f"Go on with: gbreg compare {path} --target {datasets.TARGET} --drop household_id,week --split split", wrap=False)


# -- shared by the commands -------------------------------------------------------------------------------------------


def _estimator(rounds: int, learning_rate: float, early_stopping: int | None, seed: int, n_jobs: int | None) -> Any:
    from gbreg import GBRegressor
    from gbreg.tables import InputError

    # typer could check ranges too, but says neither the value nor, in some versions, the option.
    for option, value, least in (("--rounds", rounds, 1), ("--early-stopping", early_stopping, 1), ("--seed", seed, 0)):
        if value is not None and not least <= value < 2**31:
            raise InputError(f"{option} {value} must be a whole number from {least} on, below 2^31")
    if not 0 < learning_rate < float("inf"):
        raise InputError(f"--learning-rate {learning_rate} must be above 0, such as 0.1")
    return GBRegressor(
        n_estimators=rounds,
        learning_rate=learning_rate,
        early_stopping_rounds=early_stopping,
        random_state=seed,
        n_jobs=n_jobs,
    )


def _engines(names: Sequence[str]) -> list[str]:
    """Engine names with "all" spelled out, each known and installed."""
    from gbreg.compare import installed_engines
    from gbreg.engines import get_engine
    from gbreg.tables import InputError

    asked = [part.strip() for name in names for part in name.split(",")]
    spelled = [engine for name in asked for engine in (installed_engines() if name == "all" else [name])]
    try:
        for engine in spelled:
            get_engine(engine).package()
    except (ValueError, ImportError) as error:
        raise InputError(f"--{error}") from error
    return list(dict.fromkeys(spelled))


def _parameters(given: Sequence[str] | None) -> dict[str, Any]:
    from gbreg.compare import parse_value
    from gbreg.tables import InputError

    found = {}
    for text in given or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise InputError(f"--param {text!r} must be name=value, such as delta=0.3")
        found[name.strip()] = parse_value(value.strip())
    return found


def _load(path: Path) -> Any:
    from gbreg.tables import InputError

    if not path.is_file():
        raise InputError(f"--model {str(path)!r}: no such file; train one with gbreg fit")
    try:
        return gbreg.load(path)
    except (ValueError, ImportError) as error:
        raise InputError(f"--model: {error}") from error


def _trained_on(model: Any, path: Path) -> list[str]:
    from gbreg.tables import InputError

    if getattr(model, "feature_names_in_", None) is None:
        raise InputError(
            f"--model {str(path)!r} was trained on an array, without column names: load it with gbreg.load in Python"
        )
    return [str(name) for name in model.feature_names_in_]


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False)
    # Into a pipe or a file rich assumes 80 columns, which the leaderboard does not fit.
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, markup=False, width=100)


def _say(text: str, wrap: bool = True) -> None:
    _console().print(text, soft_wrap=not wrap)


@contextmanager
def _status(text: str) -> Iterator[None]:
    console = _console(stderr=True)
    with console.status(text) if console.is_terminal else nullcontext():
        yield


@contextmanager
def _progress() -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr over the fits of a comparison."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    console = _console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)

        def on_fit(done: int, total: int, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield on_fit


def show(board: Leaderboard) -> None:
    """Print the leaderboard, what its winners mean, and what is not in it."""
    from gbreg.compare import choice, data_words, winners

    console = _console()
    console.print(data_words(board))
    console.print()
    console.print(_leaderboard(board))
    console.print(
        "\n* best (PCOC: nearest to 1). Gini: normalised. PCOC: sum of predictions / sum of labels. over, under 2x: "
        "share of rows off by more than a factor 2. Fit: without compiling, which took "
        f"{board.compile_seconds:.1f} s in all.\n"
    )
    for line in [*winners(board), "", choice(board), ""]:
        console.print(line)
    for skipped in board.skipped:
        on = f" on {skipped.engine}" if skipped.engine else ""
        console.print(f"Not compared: {skipped.loss}{on}: {skipped.reason}")


def _leaderboard(board: Leaderboard) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from gbreg.compare import SHOWN, TITLES, cell

    several = len({row.engine for row in board.rows}) > 1
    columns = (*SHOWN, "fit_seconds")
    table = RichTable(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    table.add_column("loss")
    if several:
        table.add_column("engine")
    for column in columns:
        table.add_column(TITLES[column].replace(" ", "\n"), justify="right", no_wrap=True)
    for before, row in pairwise([None, *board.rows, board.baseline]):
        assert row is not None
        if before is not None and before.family != row.family:
            table.add_section()
        cells = []
        for column in columns:
            text, best = cell(column, getattr(row, column)), board.best(column) is row
            cells.append(Text(f"{text}*", style="bold green") if best else Text(f"{text} "))
        engine = [row.engine or "-"] if several else []
        table.add_row(_folded(row.loss, row.readout), *engine, *cells, style="dim" if row is board.baseline else "")
    return table


def _folded(label: str, readout: str = "", width: int = 16) -> str:
    """A label on several lines, so that the numbers beside it keep their room: the name, its parameters, its readout.

    >>> print(_folded("transformed_squared_error:smearing=false"))
    transformed_
     squared_error
     smearing=false
    """
    name, _, parameters = label.partition(":")
    lines = [name] if len(name) <= width else [""]
    for piece in re.findall("[^_]+_?", name) if len(name) > width else ():
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append(" ")
        lines[-1] += piece
    return "\n".join([*lines, *(f" {p}" for p in parameters.split(",") if p), *([f" ({readout})"] if readout else [])])


# -- entry ------------------------------------------------------------------------------------------------------------


def _fail(text: str, code: int = 2) -> NoReturn:
    print("Error: " + " ".join(text.split()), file=sys.stderr)
    raise SystemExit(code)


def _command_line(context: typer.Context) -> str:
    return str(getattr(context.find_root().command, "command_line", "gbreg"))


def _group() -> Any:
    """The class of the command group: bad input ends in one line, where typer would draw a box."""
    from typer.core import TyperGroup

    # Of typer's own copy of click, or of click itself in versions that depend on it.
    usage_error: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")

    class OneLineErrors(TyperGroup):
        def main(self, args: Sequence[str] | None = None, **extra: Any) -> Any:  # type: ignore[override]
            args = sys.argv[1:] if args is None else list(args)
            self.command_line = shlex.join(["gbreg", *args])
            try:
                result = super().main(args, **{**extra, "standalone_mode": False})
            except usage_error as error:
                _fail(error.format_message(), error.exit_code)
            except typer.Abort:
                _fail("interrupted", 130)
            except ValueError as error:
                from gbreg.tables import InputError

                if not isinstance(error, InputError):
                    raise
                _fail(str(error))
            except FloatingPointError as error:
                _fail(str(error), 1)
            raise SystemExit(result if isinstance(result, int) else 0)

    return OneLineErrors


def _show_version(asked: bool) -> None:
    if asked:
        print(f"gbreg {gbreg.__version__}")
        raise typer.Exit


def application() -> typer.Typer:
    """The command line as a typer application."""
    app = typer.Typer(
        cls=_group(),
        context_settings={"help_option_names": ["-h", "--help"]},
        add_completion=False,
        rich_markup_mode="markdown",
        pretty_exceptions_enable=False,
    )

    @app.callback(invoke_without_command=True)
    def gbreg_(
        context: typer.Context,
        version: Annotated[
            bool, Option("--version", callback=_show_version, is_eager=True, help="Print the version and leave.")
        ] = False,
    ) -> None:
        """Gradient boosting for money and time: the right loss for skewed, zero-inflated targets, and whether to trust it.

        Start with compare: it tries every loss on your table and says which to use.
        """
        if context.invoked_subcommand is None:
            print(context.get_help())

    for command in (compare, fit, predict, demo):
        app.command()(command)
    return app


def main() -> None:
    """The console script."""
    try:
        import pyarrow  # noqa: F401
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        print(f"Error: {INSTALL}", file=sys.stderr)
        raise SystemExit(2) from None
    # Idle OpenMP threads sleep instead of spinning: beside other busy processes on 2 cores, 100 rounds of LightGBM took
    # 3.2 s instead of 20.9 s. Read when the engines are loaded, which is later.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    application()()


if __name__ == "__main__":
    main()
