"""The command that judges predictions made by anything."""

from __future__ import annotations

from typing import Annotated, Any

from gbreg._errors import InputError
from gbreg.cli.asked import check_report
from gbreg.cli.options import Option, Report, Segment, Table, Target, Weight, typer
from gbreg.cli.screen import command_line, say, show


def evaluate(
    context: typer.Context,
    table: Table,
    target: Target,
    prediction: Annotated[
        list[str], Option(help="A column of predictions; repeat, or separate by commas, to compare.", show_default=False)
    ],
    weight: Weight = None,
    segment: Segment = None,
    by: Annotated[str | None, Option(help="A column of users: intervals then know that a user's rows are alike.")] = None,
    report: Report = None,
) -> None:
    """Say whether predictions made by anything can be trusted: ranking, sums, segments, with intervals.

    Example: gbreg evaluate predicted.parquet --target revenue --prediction old,new --segment country --report page.html
    """
    from gbreg import _tables as tables
    from gbreg.metrics import worst_segment_pcoc
    from gbreg.reporting import scored, write_page

    data = tables.read_table(table)
    names = tables.column_list(data, prediction, "--prediction")
    tables.check_column(data, target, "--target")
    segments = None if segment is None else tables.values(data, segment, "--segment")
    users = None if by is None else tables.values(data, by, "--by")
    check_report(report)
    y, w = tables.labels(data, target), tables.weights(data, weight)
    predictions = {name: tables.numbers(data, name, "--prediction") for name in names}
    try:
        board = scored(predictions, y, w)
    except ValueError as error:
        raise InputError(f"table {str(table)!r}: {error}") from error
    show(board)
    say("")
    for name, predicted in predictions.items():
        said = [f"{what} {_interval(metric, y, predicted, w, users)}" for metric, what in _SHOWN.items()]
        if segments is not None:
            worst = worst_segment_pcoc(y, predicted, w, segment=segments)
            said.append(f"PCOC of the worst segment {worst:.2f}")
        say(f"{name}: {'; '.join(said)}.")
    if report is not None:
        write_page(
            board,
            predictions,
            y,
            sample_weight=w,
            segment=segments,
            path=report,
            title=f"gbreg evaluate: {target} of {table.name}",
            code=command_line(context),
        )
        say(f"Saved to {report}")


_SHOWN = {"pcoc": "PCOC", "normalized_gini": "normalised Gini", "mae": "MAE"}


def _interval(metric: str, y: Any, predicted: Any, weight: Any, by: Any) -> str:
    from gbreg.metrics import interval

    return str(interval(metric, y, predicted, weight, by=by, n_resamples=200))
