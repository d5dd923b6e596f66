"""The command line: one file per group of commands, errors without tracebacks, exit codes.

0: done (diverged runs are results). 1: a run failed. 2: the request cannot be met as it stands.
130: interrupted (typer sees to that).
"""

import os
import sys

import typer

from oodbench.cli import database, listing, results, sweeping
from oodbench.errors import OodbenchError

app = typer.Typer(
    help="Which optimizer should I train with, if the test distribution will differ from the "
    "training one?\n\nStart with: oodbench quickstart",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for group in (sweeping, results, listing):
    group.register(app)
app.add_typer(database.app, name="db")


def main() -> None:
    """Run the command line and exit."""
    try:
        app()
    except OodbenchError as error:
        print(f"oodbench: {error}", file=sys.stderr)
        sys.exit(2)
    except BrokenPipeError:  # `oodbench query ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
