"""A database, of either kind, and what happens to it."""

import functools
import itertools
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server

from oodbench.results import Database, open_database
from oodbench.results.schema import TABLES

NUMBERS = itertools.count()

VIEWS_LEFT = "SELECT count(*) FROM pg_views WHERE viewname IN ('v_runs', 'v_pairs', 'v_best')"
EMPTYING = (
    *(f"DELETE FROM {table.name}" for table in reversed(TABLES)),
    "ALTER SEQUENCE sweeps_id_seq RESTART",
    "ALTER SEQUENCE series_id_seq RESTART",
)


class Reused:
    """One database with our tables, emptied for each test: faster than a new one."""

    def __init__(self, server: Server) -> None:
        import psycopg

        self.server = server
        self.connection: Any = None
        self.connect = functools.partial(psycopg.connect, autocommit=True, user="postgres")

    def empty(self) -> str:
        if self.connection is None or self.connection.execute(VIEWS_LEFT).fetchone() != (3,):
            self._make()
        for statement in EMPTYING:
            self.connection.execute(statement)
        return self.server.url("reused")

    def _make(self) -> None:
        if self.connection is not None:  # a test took something away
            self.connection.close()
            self.server.drop("reused")
        self.server.create("reused", template="prepared")
        self.connection = self.connect(host="127.0.0.1", port=self.server.port, dbname="reused")
        self.connection.execute("SET lock_timeout = '10s'")


@pytest.fixture(scope="session")
def reused(server: Server) -> Reused:
    return Reused(server)


@pytest.fixture
def postgresql(reused: Reused) -> str:
    """URL of a PostgreSQL database that is empty of results, but has our tables."""
    return reused.empty()


@pytest.fixture
def empty_postgresql(server: Server) -> Iterator[str]:
    """URL of a PostgreSQL database without tables."""
    name = f"empty_{next(NUMBERS)}"
    yield server.create(name)
    server.drop(name)


@pytest.fixture(params=["tmp_path", "empty_postgresql"])
def nothing(request: pytest.FixtureRequest) -> str:
    """Where a database can be made."""
    where = request.getfixturevalue(request.param)
    return where if isinstance(where, str) else str(where / "new.db")


@pytest.fixture(scope="session")
def prepared_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prepared") / "runs.db"
    open_database(path, create=True).close()
    return path


@pytest.fixture
def sqlite(tmp_path: Path, prepared_sqlite: Path) -> str:
    """Path of a SQLite database that is empty of results, but has our tables."""
    return shutil.copy(prepared_sqlite, tmp_path / "runs.db")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shared_db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """An open database of each kind in turn, one for all tests of a module: they only read it."""
    if request.param == "sqlite":
        folder = request.getfixturevalue("tmp_path_factory").mktemp("shared")
        prepared = request.getfixturevalue("prepared_sqlite")
        with open_database(shutil.copy(prepared, folder / "runs.db")) as database:
            yield database
        return
    server, name = request.getfixturevalue("server"), f"shared_{next(NUMBERS)}"
    with open_database(server.create(name, template="prepared")) as database:
        yield database
    server.drop(name)


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest) -> str:
    """Path or URL of a database of each kind in turn."""
    return str(request.getfixturevalue(request.param))


@pytest.fixture
def db(target: str) -> Iterator[Database]:
    """An open database of each kind in turn."""
    with open_database(target) as database:
        yield database


@pytest.fixture
def expire(db: Database) -> Callable[[], None]:
    """Let every lease run out, as if its worker had died."""

    def let_run_out() -> None:
        with db.write() as connection:
            connection.exec_driver_sql("UPDATE runs SET lease = 1.0 WHERE state = 'running'")

    return let_run_out
