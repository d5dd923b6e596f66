"""What a database's error means: what to do about it, and whether it may pass by itself."""

import getpass
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError, OperationalError

from oodbench.errors import DatabaseAwayError, DatabaseError
from oodbench.results.connection.address import show
from oodbench.results.connection.engines import BUSY_SECONDS

Fixes = dict[tuple[str, ...], str]

REFUSALS: Fixes = {  # the first that fits
    ("pg_hba.conf",): "Have the server's pg_hba.conf let this user in from this machine.",
    ("permission denied",): "Have the database's owner grant the user what is denied.",
    ("password authentication failed", "no password supplied"): (
        "Put the right password into ~/.pgpass (host:port:database:user:password, mode 600), "
        "PGPASSWORD or the URL, with its special characters written as %40 for @ and so on."
    ),
    ('database "',): "Correct the name, or create it: createdb {options}.",
    ('role "',): "Correct the user in the URL: postgresql+psycopg://user@host/name.",
    ("invalid connection option",): "Correct what follows the ? in the URL.",
    ("read-only transaction",): "Give the URL of a server that may be written, not of its replica.",
}
"""What to do about a message of PostgreSQL's that holds one of these words: it will not pass."""

OUTAGES: Fixes = {
    ("too many clients", "remaining connection slots"): (
        "Use fewer workers (each has two connections), or raise the server's max_connections."
    ),
    ("deadlock", "could not serialize"): "Try again: another process was in the way.",
    ("starting up", "shutting down"): "Try again in a moment.",
}
"""Fixes for failures that may pass by themselves."""

OTHER_FIX = "See that the server runs there, and that the URL's host, port and name are right."

SQLITE_OUTAGES = ("locked", "full", "disk I/O error", "unable to open")
"""Words of SQLite's about what may pass: other processes, no room on the disk, too many files."""

UNREADABLE = (UnicodeDecodeError, json.JSONDecodeError)
"""What only a damaged file gives: texts that are none, in its schema or its cells."""


@contextmanager
def explain(url: URL) -> Iterator[None]:
    """Turn a database that cannot be used into an error that says which and why.

    Raises:
        DatabaseAwayError: If it may be used later as it is.
        DatabaseError: If it has to be changed first, or the URL.
    """
    try:
        yield
    except (DBAPIError, sqlite3.DatabaseError) as error:
        on_server = url.get_backend_name() == "postgresql"
        explained = (_of_postgresql if on_server else _of_sqlite)(url, error)
        if explained is None:  # a mistake of ours, not the database's state
            raise
        raise explained from error
    except UNREADABLE as error:
        raise _damaged(url, error) from error


def _of_postgresql(url: URL, error: Exception) -> DatabaseError | None:
    said = " ".join(str(getattr(error, "orig", error)).split()).removesuffix(".")
    host, port, name, user = _server(url)
    fix = _find(REFUSALS, said)
    kind = DatabaseError if fix else DatabaseAwayError
    gone = isinstance(error, DBAPIError) and error.connection_invalidated
    if not (fix or gone or isinstance(error, OperationalError)):
        return None
    fix = (fix or _find(OUTAGES, said) or OTHER_FIX).format(
        options=f"-h {host} -p {port} -U {user} {name}"
    )
    return kind(
        f"The PostgreSQL database {name} at {host}, port {port}, cannot be used by user {user}: "
        f"{said}. {fix}"
    )


def _find(fixes: Fixes, said: str) -> str | None:
    found = (fix for words, fix in fixes.items() if any(word in said for word in words))
    return next(found, None)


def _of_sqlite(url: URL, error: Exception) -> DatabaseError | None:
    if isinstance(error, OperationalError):
        said, hint = str(error.orig), ""
        if "decode to UTF-8" in said:
            return _damaged(url, said)
        if "locked" in said:
            hint = f" Another process has been writing for {BUSY_SECONDS} seconds; see which."
        passing = any(word in said for word in SQLITE_OUTAGES)
        kind = DatabaseAwayError if passing else DatabaseError
        return kind(f"{show(url)} cannot be used: {said}.{hint}")
    if "not a database" in str(error):
        return DatabaseError(f"{show(url)} is not a SQLite database; correct the path.")
    return _damaged(url, getattr(error, "orig", error)) if "malformed" in str(error) else None


def _damaged(url: URL, why: object) -> DatabaseError:
    return DatabaseError(f"{show(url)} is damaged: {why}. Restore it from a copy.")


def _server(url: URL) -> tuple[str, str, str, str]:
    """Host, port, database and user, from the URL or from where libpq takes them."""

    def either(part: Any, key: str, variable: str, default: str) -> str:
        given = part or url.query.get(key) or os.environ.get(variable) or default
        return given if isinstance(given, str) else ",".join(map(str, given))

    user = either(url.username, "user", "PGUSER", "") or getpass.getuser()
    return (
        either(url.host, "host", "PGHOST", "localhost"),
        either(str(url.port or ""), "port", "PGPORT", "5432"),
        either(url.database, "dbname", "PGDATABASE", user),
        user,
    )
