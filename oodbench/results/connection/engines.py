"""SQLAlchemy's engine for a database, and the transactions that we use."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.dialects import sqlite

from oodbench.errors import DatabaseError
from oodbench.results.connection.filesystems import network_mount

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql

BUSY_SECONDS = 60
"""How long a SQLite connection waits for another process to finish writing."""

CONNECT_SECONDS = 10
"""How long PostgreSQL may take to answer a connection, unless the URL or libpq's variable says."""

OLDEST_SQLITE = (3, 38, 0)
"""The first that has RETURNING and always has JSON."""


def make_engine(url: URL, *, read_only: bool = False, migrating: bool = False) -> Engine:
    """SQLAlchemy's engine, with its connections set up for our use."""
    if url.get_backend_name() == "postgresql":
        return _postgresql_engine(url)
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise DatabaseError(
            f"SQLite {'.'.join(map(str, OLDEST_SQLITE))} or newer is needed, but this Python has "
            f"{sqlite3.sqlite_version}; use a newer Python."
        )
    engine = create_engine(
        _read_only_url(url) if read_only else url, connect_args={"timeout": BUSY_SECONDS}
    )

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours to send, see below
        connection.execute("PRAGMA synchronous = NORMAL")
        # A migration may rebuild a table that others refer to.
        connection.execute(f"PRAGMA foreign_keys = {'OFF' if migrating else 'ON'}")
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that turns from reading to writing fails at once where it meets another;
        # one that says from the start that it will write waits for its turn.
        mode = connection.get_execution_options().get("oodbench_begin", "DEFERRED")
        connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _postgresql_engine(url: URL) -> Engine:
    # A statement prepared in a session is unknown to the next one that a pooler gives us.
    settings: dict[str, Any] = {
        "fallback_application_name": "oodbench",
        "prepare_threshold": None,
    }
    if "connect_timeout" not in url.query and "PGCONNECT_TIMEOUT" not in os.environ:
        settings["connect_timeout"] = CONNECT_SECONDS
    try:  # two connections a worker: one to work, one to renew leases
        return create_engine(
            url, pool_size=1, max_overflow=1, pool_pre_ping=True, connect_args=settings
        )
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"PostgreSQL needs {error.name}: pip install 'oodbench[postgresql]'."
        ) from error


def _read_only_url(url: URL) -> URL:
    path = Path(str(url.database)).absolute()
    log = Path(f"{path}-wal")
    writable = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    query = {"mode": "ro", "uri": "true"}
    if not os.access(path.parent, os.W_OK) and not log.exists():
        query["immutable"] = "1"  # nobody writes here, and SQLite cannot make its -shm file
    elif writable and not _pending(log) and network_mount(path) is None:
        # Only such a connection removes its -shm and -wal when it ends; query_only keeps it from
        # writing all the same.
        query["mode"] = "rw"
    return url.set(database=f"file:{quote(str(path))}", query=query)


def _pending(log: Path) -> bool:
    """Whether a ``-wal`` file holds what a reader must not write into the database."""
    try:
        return log.stat().st_size > 0
    except FileNotFoundError:
        return False


@contextmanager
def read_transaction(engine: Engine) -> Iterator[Connection]:
    """A connection that sees the database as it is now, whatever others write meanwhile."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":  # SQLite's transactions are so by themselves
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with connection.begin():
            yield connection


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that may write: committed, or rolled back on an error."""
    with engine.connect() as connection:
        connection = connection.execution_options(oodbench_begin="IMMEDIATE")
        with connection.begin():
            yield connection


PLANNING, MIGRATING = 0x00D_BE7C3, 0x00D_BE7C4
"""Keys of PostgreSQL's advisory locks: any numbers that are ours."""


def wait_for_turn(connection: Connection, key: int) -> None:
    """Let one process at a time do this until its transaction ends.

    SQLite's write transaction does so by itself.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({key})")


def insert_absent(connection: Connection, table: Table) -> "sqlite.Insert | postgresql.Insert":
    """An insert that skips the rows that are there already: each dialect has its own."""
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # slow to import

        return postgresql.insert(table).on_conflict_do_nothing()
    return sqlite.insert(table).on_conflict_do_nothing()


def update_statistics(connection: Connection, *tables: Table) -> None:
    """Inform PostgreSQL's planner how full tables are that many rows have just been put into.

    It learns that by itself a minute later; until then a claim would read the whole sweep. To a
    user who does not own the tables it is denied with a warning.
    """
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"ANALYZE {', '.join(table.name for table in tables)}")
