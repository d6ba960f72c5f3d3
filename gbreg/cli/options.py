"""Arguments and options that commands share. Only typer is imported."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

INSTALL = 'the gbreg command needs typer, rich and pyarrow: pip install "gbreg[cli]"'

try:
    import typer as typer
    from typer import Argument as Argument
    from typer import Option as Option
except ImportError:  # main() says what to install
    typer = None  # type: ignore[assignment]

    def Argument(*_: Any, **__: Any) -> None: ...  # type: ignore[misc]

    def Option(*_: Any, **__: Any) -> None: ...  # type: ignore[misc]


TABLES = "Parquet, CSV or Arrow"
Table = Annotated[Path, Argument(metavar="TABLE", help=f"The table: {TABLES}, by its suffix.", show_default=False)]
Target = Annotated[str, Option("--target", help="The column to predict.", show_default=False)]
Targets = Annotated[
    str,
    Option(
        "--target",
        help="The column to predict; or one at several horizons, ltv_30,ltv_60,ltv_90, whose empty cells are not known yet.",
        show_default=False,
    ),
]
Weight = Annotated[str | None, Option(help="A column of row weights (>= 0).")]
Exposure = Annotated[
    str | None, Option(help="A column of exposures (> 0), such as years insured: how long each row was seen.")
]
Offset = Annotated[str | None, Option(help="A column that is added to raw scores.")]
Censored = Annotated[
    str | None,
    Option(help="A column of true and false (or 1 and 0): the target of these rows is at least the value."),
]
Drop = Annotated[list[str] | None, Option(help="Columns to leave out, such as keys; repeat, or separate by commas.")]
Keep = Annotated[list[str] | None, Option(help="Learn from these columns only; repeat, or separate by commas.")]
SplitColumn = Annotated[str | None, Option("--split", help="A column of train and test; other rows are left out.")]
TrainColumn = Annotated[str | None, Option("--split", help="Train on the rows with the value train in this column.")]
Losses = Annotated[
    list[str] | None,
    Option(
        help="A loss or model: tweedie, huberpp:delta=0.3,link=log, bucket, hurdle:loss=gamma; repeat for more.",
        show_default="all that fit the target",
    ),
]
Engine = Annotated[str, Option(help="lightgbm, xgboost or catboost.")]
Engines = Annotated[
    list[str] | None,
    Option(help="lightgbm, xgboost, catboost, or all (those installed); repeat for more.", show_default="lightgbm"),
]
Rounds = Annotated[int, Option(help="Boosting rounds, at most.")]
LearningRate = Annotated[float, Option(help="Step of each round, above 0.")]
EarlyStopping = Annotated[
    int | None,
    Option(help="Stop after this many rounds without gain on 10% of the training rows.", show_default="off"),
]
Monotone = Annotated[
    list[str] | None,
    Option(
        help="Columns along which predictions only rise (+1) or fall (-1): price=+1,age=-1; repeat for more.",
        show_default="none",
    ),
]
Seed = Annotated[int, Option(help="Of the random split and of training.")]
Jobs = Annotated[int | None, Option(help="Threads.", show_default="all cores")]
ModelFile = Annotated[Path, Option("--model", help="The file to write the model to.", show_default=False)]
Segment = Annotated[str | None, Option(help="A column of segments, such as countries: which have the worst sums?")]
Report = Annotated[Path | None, Option(help="A self-contained HTML page to write.", show_default=False)]
