"""All that is known of one run."""

from pathlib import Path

from oodbench.results import RunDetails, open_database, run_details


def show(db: str | Path, run: str) -> RunDetails:
    """All that is known of one run, by its id or enough of its beginning."""
    with open_database(db, read_only=True) as database:
        return run_details(database, run)
