"""Where a database is: reading its URL or path, showing it without its password."""

import os
import re
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from oodbench.errors import DatabaseError
from oodbench.results.connection.filesystems import NETWORK_OVERRIDE, network_mount

EXAMPLES = "a path, sqlite:///runs.db or postgresql+psycopg://user@host/name"

SECRETS = ("password", "sslpassword", "oauth_client_secret")
"""Parameters after the ``?`` of a PostgreSQL URL that nobody may see."""


def parse_target(target: str | Path) -> URL:
    """The URL of a database that is given as a URL or as a path to a SQLite file."""
    text = str(target)
    unreadable = DatabaseError(f"The database URL cannot be read. Write {EXAMPLES}.")
    if "://" not in text:
        if "password=" in text or re.match(r"postgres.*@|[^/@]*:[^/]*@", text):
            raise unreadable  # a message with the path would show the password
        return URL.create("sqlite", database=text)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):  # the message would show the password
        raise unreadable from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(
            f"A database is SQLite or PostgreSQL, but got {url.drivername!r}. Write {EXAMPLES}."
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise DatabaseError(
            "A SQLite database in memory is lost with its process; give a file: sqlite:///runs.db."
        )
    if "@" in (url.host or ""):  # what is before it is part of the password
        raise DatabaseError(
            "The database URL cannot be read: write %40 for an @ in the password, or leave the "
            "password out of the URL and put it into ~/.pgpass or PGPASSWORD."
        )
    return url


def sqlite_file(target: str | Path) -> Path | None:
    """The file of a SQLite database; None for a server."""
    url = parse_target(target)
    return Path(str(url.database)) if url.get_backend_name() == "sqlite" else None


def show(url: URL) -> str:
    """The URL as it may be printed and logged: without its password."""
    hidden = {name: "***" for name in url.query if name.lower() in SECRETS}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def describe_target(target: str | Path) -> str:
    """A path or URL of a database as it may be printed and logged: without its password.

    Raises:
        DatabaseError: If it cannot be read.
    """
    url = parse_target(target)
    return show(url) if "://" in str(target) else str(target)


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
    if read_only:
        return
    if not os.access(folder, os.W_OK):
        raise DatabaseError(
            f"The folder {folder} cannot be written, and SQLite writes beside its file; "
            "change its permissions, or choose another folder."
        )
    mount = network_mount(path)
    if mount is not None:
        raise DatabaseError(
            f"{path} is on a network filesystem ({mount.kind}, mounted at {mount.point}), where "
            "the locks that SQLite relies on do not hold and results can be lost. Put it on a "
            "local disk, or use PostgreSQL: --db postgresql+psycopg://user@host/name. If only one "
            f"machine ever uses it, set {NETWORK_OVERRIDE}=1 to use it all the same."
        )
