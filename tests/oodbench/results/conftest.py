"""A database, and what happens to it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oodbench.results import Database, open_database


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with open_database(tmp_path / "runs.db", create=True) as database:
        yield database


@pytest.fixture
def expire(db: Database) -> Callable[[], None]:
    """Let every lease run out, as if its worker had died."""

    def let_run_out() -> None:
        with db.write() as connection:
            connection.exec_driver_sql("UPDATE runs SET lease = 1.0 WHERE state = 'running'")

    return let_run_out
