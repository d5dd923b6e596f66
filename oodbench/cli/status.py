"""status: how far a sweep is."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from oodbench import api
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
    """Count the runs of each study by status, and list its SLURM jobs.

    Example: oodbench status --db digits.db --watch
    """
    from oodbench.cli.printing import show
    from oodbench.cli.watching import columns_of, watch_until_done

    if watch:
        watch_until_done(db, name)
    show(columns_of(api.status(db, name)))
    jobs = slurm_jobs(db, name)
    if len(jobs):
        print("\nSLURM jobs:")
        show(jobs)


def slurm_jobs(db: str, name: str | None) -> "pd.DataFrame":
    """The jobs; none where SLURM does not answer, which is told: the rest goes on without it."""
    try:
        return api.jobs(db, name)
    except RequestError as error:
        import pandas as pd

        print(f"warning: the SLURM jobs are not known: {error}", file=sys.stderr)
        return pd.DataFrame()
