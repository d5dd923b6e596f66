"""Giving a database the current schema. Imports Alembic, so only where it is needed."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from oodbench.results.schema import metadata
from oodbench.results.views import create_views, drop_views


def alembic_config() -> Config:
    """Alembic's settings, without a file of its own."""
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(connection: Connection, empty: bool) -> None:
    """Make the tables, or run every migration that the database lacks.

    Args:
        connection: Connection in a write transaction, which stays open.
        empty: Whether the database has no tables yet.
    """
    config = alembic_config()
    config.attributes["connection"] = connection
    drop_views(connection)
    if empty:
        metadata.create_all(connection)
        command.stamp(config, "head")
    else:
        command.upgrade(config, "head")
    create_views(connection)
