"""status: how far a sweep is."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
from oodbench.cli.deciding import show_decisions
from oodbench.cli.options import Db, Sweep
from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd


def status(
    db: Db,
    name: Sweep = None,
    watch: Annotated[
        bool,
        typer.Option("--watch", help="Until all is done, show totals and what is unfinished."),
    ] = False,
) -> None:
    """Count each study's runs by status, and list its SLURM jobs.

    Of searches that stop when decided, show how far each statement is.

    Example: oodbench status --db digits.db --watch
    """
    from oodbench.cli.printing import show, show_columns, shown_rows
    from oodbench.cli.watching import left_out, watch_until_done
    from oodbench.results import open_database, sqlite_file, study_counts
    from oodbench.results.sweeps.rounds import deciding

    if watch:
        watch_until_done(db, name)
    with open_database(db, read_only=True) as database:
        rows, stops = study_counts(database, name), deciding(database, name)
    columns, hidden = shown_rows(rows), left_out({row["sweep"] for row in rows})
    show_columns([column for column in columns if column.name not in hidden])
    if stops:
        show_decisions(api.decisions(db, name))
    if sqlite_file(db) is not None:  # no SLURM job ever worked for one
        return
    jobs = slurm_jobs(db, name)
    if len(jobs):
        print("\nSLURM jobs:")
        show(jobs)


def slurm_jobs(db: str, name: str | None) -> "pd.DataFrame":
    """The jobs. If SLURM does not answer, warn and return none: the rest goes on without it."""
    try:
        return api.jobs(db, name)
    except RequestError as error:
        import pandas as pd

        print(f"warning: the SLURM jobs are not known: {error}", file=sys.stderr)
        return pd.DataFrame()
