"""Where a database is, and SQLAlchemy's engine for it."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from oodbench.errors import DatabaseError

BUSY_SECONDS = 60
"""How long a SQLite connection waits for another process to finish writing."""

OLDEST_SQLITE = (3, 38, 0)
"""The first that has RETURNING and always has JSON."""


def parse_target(target: str | Path) -> URL:
    """The URL of a database that is given as a URL or as a path to a SQLite file."""
    text = str(target)
    if "://" not in text:
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the message would show the password
        raise DatabaseError(
            "The database URL cannot be read. Write a path, sqlite:///runs.db or "
            "postgresql+psycopg://user:password@host/name."
        ) from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(
            f"A database is SQLite or PostgreSQL, but got {url.drivername!r}. "
            "Write sqlite:///runs.db or postgresql+psycopg://user@host/name."
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise DatabaseError(
            "A SQLite database in memory is lost with its process; give a file: sqlite:///runs.db."
        )
    return url


def check_file(url: URL, create: bool, read_only: bool) -> None:
    """Refuse a path that SQLite could not use, in words that say more than SQLite does."""
    if url.get_backend_name() != "sqlite":
        return
    path = Path(str(url.database))
    folder = path.absolute().parent
    if path.is_dir():
        raise DatabaseError(f"{path} is a folder; give the path of a file in it.")
    if not path.exists():
        if not create:
            raise DatabaseError(
                f"There is no database at {path}. Correct the path, or create it with "
                f"`oodbench sweep SWEEP.yaml --db {path}`."
            )
        if not folder.is_dir():
            raise DatabaseError(f"The folder {folder} does not exist; create it first.")
    elif not read_only and not os.access(path, os.W_OK):
        raise DatabaseError(f"{path} cannot be written; change its permissions, or copy it.")
    if not read_only and not os.access(folder, os.W_OK):
        raise DatabaseError(
            f"The folder {folder} cannot be written, and SQLite writes beside its file; "
            "change its permissions, or choose another folder."
        )


def make_engine(url: URL, *, read_only: bool = False, migrating: bool = False) -> Engine:
    """SQLAlchemy's engine, with its connections set up for our use."""
    if url.get_backend_name() == "postgresql":
        try:  # two connections a worker: one to work, one to renew leases
            return create_engine(url, pool_size=1, max_overflow=1, pool_pre_ping=True)
        except ModuleNotFoundError as error:
            raise DatabaseError(
                f"PostgreSQL needs {error.name}: pip install 'oodbench[postgresql]'."
            ) from error
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


def _read_only_url(url: URL) -> URL:
    path = Path(str(url.database)).absolute()
    query = {"mode": "ro", "uri": "true"}
    if not os.access(path.parent, os.W_OK) and not Path(f"{path}-wal").exists():
        query["immutable"] = "1"  # nobody writes here, and SQLite cannot make its -shm file
    return url.set(database=f"file:{quote(str(path))}", query=query)


@contextmanager
def write_transaction(engine: Engine) -> Iterator[Connection]:
    """A connection in a transaction that may write: committed, or rolled back on an error."""
    with engine.connect() as connection:
        connection = connection.execution_options(oodbench_begin="IMMEDIATE")
        with connection.begin():
            yield connection
