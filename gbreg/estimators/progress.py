"""A progress bar over boosting rounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def progress(total: int, label: str) -> Iterator[Callable[[int, float | None], None]]:
    """Yields a function (rounds done, latest evaluation or None) that moves the bar."""
    try:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    except ImportError as error:
        raise ImportError('verbose=1 shows its progress with rich: pip install "gbreg[cli]", or set verbose=0') from error
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, TextColumn("{task.fields[latest]}")) as bar:
        task = bar.add_task(label, total=total, latest="")

        def on_round(done: int, latest: float | None) -> None:
            bar.update(task, completed=done, latest="" if latest is None else f"validation {latest:.6g}")

        yield on_round
