"""Bringing a database to the current schema. Imports Alembic, so only where it is needed."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from oodbench.results.views import create_views, drop_views


def alembic_config() -> Config:
    """Alembic's settings, without a file of its own."""
    config = Config()
    folder = Path(__file__).with_name("migrations")
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def migrate(connection: Connection) -> None:
    """Run every migration that the database lacks, within the caller's write transaction."""
    config = alembic_config()
    config.attributes["connection"] = connection
    drop_views(connection)
    command.upgrade(config, "head")
    create_views(connection)
