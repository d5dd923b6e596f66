"""A user's own SQL, for reading only."""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, ResourceClosedError

from oodbench.errors import QueryError
from oodbench.results.connection.database import Database
from oodbench.results.queries.one_select import check_one_select
from oodbench.results.views import are_outdated, create_views

if TYPE_CHECKING:
    import pandas as pd

ESCAPES = {
    sqlite3.SQLITE_PRAGMA,
    sqlite3.SQLITE_ATTACH,
    sqlite3.SQLITE_DETACH,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_SAVEPOINT,
}
"""What could take a connection out of its read-only state, or into another file."""
SECONDS = 600
"""Seconds for which a statement may run."""
INSTRUCTIONS = 100_000
"""SQLite's instructions between two looks at the clock: some milliseconds."""


def sql(db: Database, text: str) -> "pd.DataFrame":
    """The answer to one SQL statement that reads: ``SELECT * FROM v_best``.

    Raises:
        QueryError: If the statement would write or do anything but read tables, takes longer than
            ten minutes, or the database refuses it; its message is shown.
    """
    from oodbench.results.frames import frame_of

    if db.engine.dialect.name == "postgresql":
        check_one_select(text)
    with db.read() as connection, READING_ONLY[connection.dialect.name](connection):
        try:
            result = connection.exec_driver_sql(text, execution_options={"no_parameters": True})
            return frame_of(result).map(_plain)
        except (DBAPIError, sqlite3.Warning) as error:  # the warning: more than one statement
            raise QueryError(
                f"The database refused the statement: {getattr(error, 'orig', error)}. "
                "Only one statement that reads is allowed, such as SELECT * FROM v_best."
            ) from error
        except ResourceClosedError as error:
            raise QueryError("The statement returns no rows; write a SELECT.") from error


class Watch:
    """Ends a statement of SQLite's after some time; on Ctrl-C, too, since it runs Python."""

    def __init__(self) -> None:
        self.late = False
        self._until = time.monotonic() + SECONDS

    def __call__(self) -> bool:
        """Whether the query is out of time and must end."""
        self.late = time.monotonic() > self._until
        return self.late


@contextmanager
def _on_sqlite(connection: Connection) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    before = connection.exec_driver_sql("PRAGMA query_only").scalar()
    if are_outdated(connection):
        connection.exec_driver_sql("PRAGMA query_only = OFF")
        create_views(connection, "TEMPORARY VIEW")
    connection.exec_driver_sql("PRAGMA query_only = ON")
    watch = Watch()
    driver.set_authorizer(_authorize)
    driver.set_progress_handler(watch, INSTRUCTIONS)
    try:
        yield
    except QueryError as error:
        if "interrupted" in str(error) and not watch.late:  # SQLite dropped the KeyboardInterrupt
            raise KeyboardInterrupt from None
        raise
    finally:
        driver.set_progress_handler(None, 0)
        driver.set_authorizer(None)
        driver.rollback()  # takes temporary views away
        connection.exec_driver_sql(f"PRAGMA query_only = {before}")


@contextmanager
def _on_postgresql(connection: Connection) -> Iterator[None]:
    driver: Any = connection.connection.driver_connection
    if are_outdated(connection):
        driver.rollback()  # only a transaction that has asked nothing may be made to write
        try:
            connection.exec_driver_sql("SET TRANSACTION READ WRITE")
            create_views(connection, "TEMPORARY VIEW")
            connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        except DBAPIError:  # a replica, or no right to temporary views: the stored ones must do
            driver.rollback()  # the next transaction is read-only from its beginning
    connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{SECONDS}s'")
    _drop_rights(connection)
    threshold = driver.prepare_threshold
    driver.prepare_threshold = 0  # a prepared statement is one statement: no "; COMMIT; DELETE"
    try:
        yield
    finally:
        driver.prepare_threshold = threshold
        if not driver.closed:  # as it is after Ctrl-C
            driver.rollback()  # undoes a SET too, which would outlive the transaction


def _drop_rights(connection: Connection) -> None:
    """Be a role that reads tables and has no other right, where the user may become it."""
    try:
        with connection.begin_nested():
            connection.exec_driver_sql("SET LOCAL ROLE pg_read_all_data")
    except DBAPIError:  # not one of its members, or a server before PostgreSQL 14
        pass


READING_ONLY = {"sqlite": _on_sqlite, "postgresql": _on_postgresql}
"""Has the database itself refuse to write, whatever a statement says, and its views be current."""


def _authorize(action: int, *_: Any) -> int:
    return sqlite3.SQLITE_DENY if action in ESCAPES else sqlite3.SQLITE_OK


def _plain(value: Any) -> Any:
    """A value of PostgreSQL's as SQLite would give it."""
    if isinstance(value, dict | list):
        return json.dumps(value)
    if isinstance(value, Decimal):
        whole = value.is_finite() and value.as_tuple().exponent == 0
        return int(value) if whole else float(value)
    return value
