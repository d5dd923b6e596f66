"""The command line: one file a command, errors without tracebacks, exit codes.

0: done (diverged runs are results). 1: a run failed. 2: the request cannot be met as it stands.
130: interrupted (typer sees to that).
"""

import os
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Annotated

import typer

from oodbench.cli import (
    cache,
    cancel,
    catalogue,
    conclude,
    dashboard,
    db,
    evaluate,
    example,
    exporting,
    fetch,
    importing,
    plot,
    probe,
    query,
    quickstart,
    report,
    reproduce,
    retry,
    score,
    shift,
    show,
    status,
    sweep,
    worker,
)
from oodbench.errors import OodbenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def show_version(wanted: bool) -> None:
    """Print the version and exit."""
    if wanted:
        print(metadata.version("oodbench"))
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=show_version, is_eager=True, help="Show it.")
    ] = False,
) -> None:
    """Which optimizer should I train with, if the test distribution will differ?

    Start with: oodbench quickstart
    """


COMMANDS: list[Callable[..., None]] = [
    quickstart.quickstart,
    example.example,
    sweep.sweep,
    worker.worker,
    status.status,
    dashboard.dashboard,
    retry.retry,
    cancel.cancel,
    query.query,
    conclude.conclude,
    report.report,
    show.show,
    evaluate.evaluate,
    reproduce.reproduce,
    score.score,
    *catalogue.COMMANDS,
    shift.shift,
    fetch.fetch,
]
for command in COMMANDS:
    app.command()(command)
app.add_typer(plot.app, name="plot")
app.add_typer(db.app, name="db")
app.add_typer(cache.app, name="cache")
app.add_typer(probe.app, name="probe")
app.add_typer(importing.app, name="import")
app.add_typer(exporting.app, name="export")


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except OodbenchError as error:
        from oodbench.cli.printing import plain

        print(plain(f"oodbench: {error}"), file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `oodbench query ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
