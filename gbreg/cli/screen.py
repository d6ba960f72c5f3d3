"""What the commands print: lines, progress, leaderboards, and errors in one line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import typer

    from gbreg.compare import Leaderboard


def fail(text: str, code: int = 2) -> NoReturn:
    print("Error: " + " ".join(text.split()), file=sys.stderr)
    raise SystemExit(code)


def make_console(stderr: bool = False) -> Any:
    from rich.console import Console

    console = Console(stderr=stderr, highlight=False, markup=False)
    # Into a pipe or a file rich assumes 80 columns, which the leaderboard does not fit.
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, markup=False, width=100)


def say(text: str, wrap: bool = True) -> None:
    make_console().print(text, soft_wrap=not wrap)


@contextmanager
def status(text: str) -> Iterator[None]:
    console = make_console(stderr=True)
    with console.status(text) if console.is_terminal else nullcontext():
        yield


@contextmanager
def bar(*texts: Any) -> Iterator[Callable[[int, int, str], None]]:
    """A bar on stderr, called with what is done, of how many, and what it says; silent where there is no terminal.

    rich before 14.3 ends a disabled bar with an empty line, so none is started.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = make_console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total, text: None
        return
    columns = (BarColumn(bar_width=24), MofNCompleteColumn(), *texts, TextColumn("{task.description}"))
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task("", total=None)
        yield lambda done, total, text: shown.update(task, completed=done, total=total, description=text)


@contextmanager
def progress() -> Iterator[Callable[[int, int, str], None]]:
    """A bar over the fits of a comparison."""
    from rich.progress import TimeElapsedColumn

    with bar(TimeElapsedColumn()) as on_fit:
        yield on_fit


def show(board: Leaderboard) -> None:
    """Print the leaderboard, what its winners mean, and what is not in it."""
    from gbreg.compare import choice, data_words, winners
    from gbreg.compare.leaderboard import as_code
    from gbreg.compare.shown import MEANINGS

    console = make_console()
    console.print(data_words(board))
    console.print()
    console.print(_leaderboard(board))
    console.print(
        f"\n* best (PCOC: nearest to 1). {MEANINGS}."
        + (f" Fit: without compiling, which took {board.compile_seconds:.1f} s in all." if board.timed else "")
        + "\n"
    )
    for line in [*(f"- {sentence}" for sentence in winners(board, as_code)), "", choice(board, as_code), ""]:
        console.print(line)
    for skipped in board.skipped:
        on = f" on {skipped.engine}" if skipped.engine else ""
        console.print(f"Not compared: {skipped.loss}{on}: {skipped.reason}")


def _leaderboard(board: Leaderboard) -> Any:
    from rich import box
    from rich.table import Table as RichTable
    from rich.text import Text

    from gbreg.compare import TITLES, cell

    several = len({row.engine for row in board.rows}) > 1
    table = RichTable(box=box.SIMPLE_HEAD, padding=0, pad_edge=False, show_edge=False)
    table.add_column("loss")
    if several:
        table.add_column("engine")
    for column in board.columns:
        table.add_column(TITLES[column].replace(" ", "\n"), justify="right", no_wrap=True)
    for before, row in pairwise([None, *board.rows, board.baseline]):
        assert row is not None
        if before is not None and before.family != row.family:
            table.add_section()
        cells = []
        for column in board.columns:
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


def command_line(context: typer.Context) -> str:
    return str(getattr(context.find_root().command, "command_line", "gbreg"))
