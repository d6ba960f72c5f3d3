"""``gbreg`` on the command line: compare, fit, predict, evaluate, tune, demo, cache. A thin layer over the library.

Bad input ends in one line on stderr and exit code 2. Only typer is imported here; everything heavy is imported by the
command that needs it, so that ``gbreg --help`` is quick.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import gbreg
from gbreg._errors import InputError
from gbreg.cli.asked import import_modules
from gbreg.cli.evaluation import evaluate
from gbreg.cli.kernels import cache
from gbreg.cli.options import INSTALL, Option, typer
from gbreg.cli.screen import fail
from gbreg.cli.training import compare, demo, fit, predict
from gbreg.cli.tuning import tune

__all__ = ["application", "main"]


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
                fail(error.format_message(), error.exit_code)
            except typer.Abort:
                fail("interrupted", 130)
            except ValueError as error:
                if not isinstance(error, InputError):
                    raise
                fail(str(error))
            except FloatingPointError as error:
                fail(str(error), 1)
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
        modules: Annotated[
            list[str] | None,
            Option("--import", help="A Python module, here or installed, that defines a loss of yours; repeat for more."),
        ] = None,
    ) -> None:
        """Gradient boosting for money and time: the right loss for skewed, zero-inflated targets, and whether to trust it.

        Start with compare: it tries every loss on your table and says which to use.
        """
        import_modules(modules or ())
        if context.invoked_subcommand is None:
            print(context.get_help())

    for command in (compare, fit, predict, evaluate, tune, demo, cache):
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
    os.environ.setdefault("MPLBACKEND", "agg")  # reports are files: no window is opened
    application()()
