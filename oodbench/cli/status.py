"""status, retry, cancel."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from oodbench.cli.options import Db, Sweep
from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


def status(
    db: Db,
    name: Sweep = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Look again every two seconds until all is done.")
    ] = False,
) -> None:
    """Count the runs of each study by status, and list its SLURM jobs.

    Example: oodbench status --db digits.db --watch
    """
    from oodbench import api
    from oodbench.cli.printing import show, watching

    def look() -> Any:
        frame = api.status(db, name)
        one = frame["sweep"].nunique() < 2
        return frame.drop(columns=["study", "total", "sweep"] if one else ["study", "total"])

    if watch:
        watching(look, lambda frame: not frame[["waiting", "running"]].to_numpy().any())
    else:
        show(look())
    jobs = _slurm_jobs(db, name)
    if len(jobs):
        print("\nSLURM jobs:")
        show(jobs)


def _slurm_jobs(db: str, name: str | None) -> "pd.DataFrame":
    """The jobs; none where SLURM does not answer, which is told: the rest goes on without it."""
    from oodbench import api

    try:
        return api.jobs(db, name)
    except RequestError as error:
        import pandas as pd

        print(f"warning: the SLURM jobs are not known: {error}", file=sys.stderr)
        return pd.DataFrame()


def retry(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="Name of the sweep.")],
    db: Db,
    failed: Annotated[
        bool, typer.Option("--failed", help="The failed ones; the default, unless --diverged.")
    ] = False,
    diverged: Annotated[bool, typer.Option("--diverged", help="The diverged ones.")] = False,
) -> None:
    """Put a sweep's failed or diverged runs back in line.

    What came of them is removed; `oodbench sweep` or a worker trains them again.

    Example: oodbench retry digits --db digits.db
    """
    from oodbench import api

    n = api.retry(db, name, failed=failed or not diverged, diverged=diverged)
    print(f"{n} runs of {name} wait again")


def cancel(
    name: Annotated[str, typer.Argument(metavar="SWEEP", help="Name of the sweep.")], db: Db
) -> None:
    """Take the waiting runs of a sweep out of it, and cancel its SLURM jobs.

    What is running elsewhere or finished stays; another sweep that wants the same runs keeps them.

    Example: oodbench cancel digits --db digits.db
    """
    from oodbench import api
    from oodbench.results import cancel as take_out
    from oodbench.results import open_database

    if len(_slurm_jobs(db, name)):
        print(f"{api.cancel_jobs(db, name)} SLURM jobs of {name} cancelled")
    with open_database(db) as database:
        print(f"{take_out(database, name)} waiting runs of {name} cancelled")


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for command in (status, retry, cancel):
        app.command()(command)
