"""Opening a results database: a SQLite file or a PostgreSQL server, with one schema on both."""

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, inspect, text

from oodbench.errors import DatabaseAwayError, DatabaseError
from oodbench.results.connection.address import check_file, parse_target, show, sqlite_file
from oodbench.results.connection.engines import (
    BUSY_SECONDS,
    MIGRATING,
    make_engine,
    read_transaction,
    wait_for_turn,
    write_transaction,
)
from oodbench.results.connection.failures import explain
from oodbench.results.schema import REVISIONS, VERSION_TABLE
from oodbench.results.views import are_outdated, create_views, drop_views


class Database:
    """An open results database. Make one in each process: it must not cross a fork.

    Attributes:
        engine: SQLAlchemy's engine.
        url: Where the database is, without its password.
        read_only: Whether writing is refused.
    """

    def __init__(self, engine: Engine, target: URL, read_only: bool = False) -> None:
        self.engine = engine
        self.url = show(target)
        self.read_only = read_only
        self._target = target
        self._file = file_of(target)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; it sees the database as it is now.

        Raises:
            DatabaseError: If the database cannot be used.
            DatabaseAwayError: If it may answer when it is asked again.
        """
        self._check_place()
        with explain(self._target), read_transaction(self.engine) as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a write transaction: committed at the end, rolled back on an error.

        Raises:
            DatabaseError: If the database is read-only or cannot be used.
            DatabaseAwayError: If it may answer when it is asked again.
        """
        if self.read_only:
            raise DatabaseError(f"{self.url} was opened for reading only; open it for writing.")
        self._check_place()
        with explain(self._target), write_transaction(self.engine) as connection:
            yield connection

    def _check_place(self) -> None:
        """Refuse to go on in a file that is no longer where it was: nobody would find what it gets.

        Raises:
            DatabaseAwayError: If it was moved, removed or replaced; it may be put back.
        """
        if self._file is not None and file_of(self._target) != self._file:
            path = self._target.database
            raise DatabaseAwayError(
                f"{path} was moved, removed or replaced while it was in use. The last results may "
                f"be in {path}-wal, which belongs to the file that was moved: put that file back, "
                f"or move {path}-wal with it, under its new name. Stop a sweep before you move its "
                "database."
            )

    def close(self) -> None:
        """Close all connections to the database."""
        self.engine.dispose()

    def __enter__(self) -> "Database":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def file_of(url: URL) -> tuple[int, int] | None:
    """What identifies the SQLite file at a path; None for a server, or without a file."""
    if url.get_backend_name() != "sqlite":
        return None
    try:
        stat = Path(str(url.database)).stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def open_database(target: str | Path, *, create: bool = False, read_only: bool = False) -> Database:
    """Open a results database.

    Args:
        target: A path to a SQLite file, or a URL: ``sqlite:///runs.db``,
            ``postgresql+psycopg://user@host/name``.
        create: Make the database if there is none. Several processes may do so at once.
        read_only: Refuse to write.

    Raises:
        DatabaseError: If there is no database there, it is not ours, or of another version; the
            message says what to do.
        DatabaseAwayError: If it may answer when it is asked again.
    """
    url = parse_target(target)
    shown = show(url)
    check_file(url, create, read_only)
    engine = make_engine(url, read_only=read_only)
    try:
        with explain(url):
            with engine.connect() as connection:
                revision = _revision(connection, shown)
                # A server's views have owners, grants and dependents: there, only `db upgrade`.
                may_renew = create and revision == REVISIONS[-1] and engine.name == "sqlite"
                renew = may_renew and are_outdated(connection)
            if create and (revision is None or renew):
                _, revision = _migrate(url)
        _check_revision(revision, shown)
    except BaseException:
        engine.dispose()
        raise
    return Database(engine, url, read_only)


def is_empty(target: str | Path) -> bool:
    """Whether results could be put there, but none have been: no file yet, or no tables.

    Raises:
        DatabaseError: If the database cannot be used, or holds what is not ours.
    """
    url, file = parse_target(target), sqlite_file(target)
    if file is not None and not file.exists():
        return True
    check_file(url, create=False, read_only=True)
    engine = make_engine(url, read_only=True)
    try:
        with explain(url), engine.connect() as connection:
            return _revision(connection, show(url)) is None
    finally:
        engine.dispose()


def upgrade_database(target: str | Path) -> tuple[str, str]:
    """Bring a database of an older oodbench to the current schema and views.

    Returns:
        The old revision and the new one; they are equal if there was nothing to do.

    Raises:
        DatabaseError: If there is no database of ours there, or it is newer than this oodbench.
    """
    url = parse_target(target)
    check_file(url, create=False, read_only=False)
    with explain(url):
        return _migrate(url, create=False)


def _revision(connection: Connection, shown: str) -> str | None:
    """The revision of the database; None if it is empty."""
    tables = inspect(connection).get_table_names()
    if VERSION_TABLE in tables:
        return str(connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}")))
    if tables:
        raise DatabaseError(
            f"{shown} is not an oodbench database: it holds {', '.join(sorted(tables)[:4])}. "
            "Give the results a database of their own."
        )
    return None


def _check_revision(revision: str | None, shown: str) -> None:
    if revision is None:
        raise DatabaseError(
            f"{shown} is empty. Create it with `oodbench sweep SWEEP.yaml --db ...`."
        )
    if revision not in REVISIONS:
        raise DatabaseError(
            f"{shown} has the schema {revision}, which this oodbench does not know "
            f"(its newest is {REVISIONS[-1]}). Upgrade oodbench: pip install -U oodbench."
        )
    if revision != REVISIONS[-1]:
        raise DatabaseError(
            f"{shown} was made by an older oodbench (schema {revision}, now {REVISIONS[-1]}). "
            f"Run `oodbench db upgrade --db {shown}`."
        )


def _migrate(url: URL, create: bool = True) -> tuple[str, str]:
    """Run the missing migrations, or renew outdated views.

    Returns:
        The revisions before ("" for none) and after.
    """
    shown = show(url)
    engine = make_engine(url, migrating=True)
    try:
        with write_transaction(engine) as connection:
            wait_for_turn(connection, MIGRATING)
            old = _revision(connection, shown)
            if old == REVISIONS[-1]:
                if are_outdated(connection):
                    drop_views(connection)
                    create_views(connection)
            elif old in REVISIONS or (old is None and create):
                from oodbench.results.connection.migrate import migrate  # Alembic: slow to import

                migrate(connection, empty=old is None)
            else:
                _check_revision(old, shown)
        if engine.dialect.name == "sqlite":
            _use_wal(engine)
    finally:
        engine.dispose()
    return old or "", REVISIONS[-1]


def _use_wal(engine: Engine) -> None:
    """Let readers and a writer work at once; the file remembers it."""
    deadline = time.monotonic() + BUSY_SECONDS
    connection = engine.raw_connection()
    try:
        while True:
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)  # another process reads at this moment
    finally:
        connection.close()
