"""Bringing a database to the current schema. Imports Alembic, so only where it is needed."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from oodbench.results.views import create_views, drop_views

LOCK = 0x00D_BE7C4  # any number that is ours: the key of PostgreSQL's advisory lock


def alembic_config() -> Config:
    """Alembic's settings, without a file of its own."""
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def wait_for_turn(connection: Connection) -> None:
    """Let one process at a time migrate. SQLite's write transaction does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")


def migrate(connection: Connection) -> None:
    """Run every migration that the database lacks, within the caller's write transaction."""
    config = alembic_config()
    config.attributes["connection"] = connection
    drop_views(connection)
    command.upgrade(config, "head")
    create_views(connection)
