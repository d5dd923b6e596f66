"""Putting failed or diverged runs back in line."""

from pathlib import Path

from oodbench import results
from oodbench.results import open_database


def retry(db: str | Path, sweep: str, *, failed: bool = True, diverged: bool = False) -> int:
    """Put the failed runs of a sweep back in line, or the diverged ones, or both; how many."""
    wanted = {"failed": failed, "diverged": diverged}
    with open_database(db) as database:
        return results.retry(database, sweep, [name for name, asked in wanted.items() if asked])
