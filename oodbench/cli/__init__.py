"""The command line: one file a command, errors without tracebacks, exit codes.

0: done (diverged runs are results). 1: a run failed. 2: the request cannot be met as it stands.
130: interrupted (typer sees to that).
"""

import errno
import os
import signal
import sys
from collections.abc import Callable
from importlib import metadata
from typing import Annotated, NoReturn, TextIO

import typer

from oodbench.cli import (
    audit,
    cache,
    cancel,
    catalogue,
    claim,
    compare,
    conclude,
    dashboard,
    db,
    evaluate,
    example,
    exporting,
    fetch,
    importing,
    leaderboard,
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
        bool,
        typer.Option(
            "--version", callback=show_version, is_eager=True, help="Show the version and exit."
        ),
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
    claim.claim,
    compare.compare,
    report.report,
    show.show,
    evaluate.evaluate,
    reproduce.reproduce,
    score.score,
    *catalogue.COMMANDS,
    shift.shift,
    audit.audit,
    fetch.fetch,
]
for command in COMMANDS:
    app.command()(command)
app.add_typer(leaderboard.app, name="leaderboard")
app.add_typer(plot.app, name="plot")
app.add_typer(db.app, name="db")
app.add_typer(cache.app, name="cache")
app.add_typer(probe.app, name="probe")
app.add_typer(importing.app, name="import")
app.add_typer(exporting.app, name="export")


LONGEST = 4_000
"""Characters of an error: it may quote what somebody wrote."""
OUTPUT = (errno.ENOSPC, errno.EIO, errno.EBADF)
"""What a standard output that is full or closed answers."""


def main() -> None:
    """Run the command line and exit."""
    end_as_ctrl_c()
    stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    sys.stdout = stdout
    try:
        try:
            app()
        finally:
            stdout.flush()
    except OodbenchError as error:
        refuse(str(error), 2)
    except BrokenPipeError:  # `oodbench query ... | head`
        forget(stdout)
        sys.exit(0)
    except OSError as error:
        if error.filename is not None:  # such as a name that is too long
            refuse(f"Cannot use {error.filename}: {error.strerror}.", 2)
        if error.errno not in OUTPUT:
            raise
        forget(stdout)
        refuse(f"Cannot write the output: {error.strerror}.", 1)


def end_as_ctrl_c() -> None:
    """Let signals that ask a process to end do what Ctrl-C does; those that nohup ignores stay."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows lacks one
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)


def refuse(message: str, code: int) -> NoReturn:
    """Print an error and exit."""
    from oodbench.cli.printing import plain

    if len(message) > LONGEST:
        message = f"{message[:LONGEST]} ..."
    print(plain(f"oodbench: {message}"), file=sys.stderr)
    sys.exit(code)


def forget(stdout: TextIO) -> None:
    """Keep Python from writing what is left once more at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
