"""db upgrade."""

import typer

from oodbench.cli.options import Db

app = typer.Typer(help="Care for a results database.", no_args_is_help=True)


@app.callback()
def database() -> None:
    """Care for a results database."""


@app.command()
def upgrade(db: Db) -> None:
    """Bring a database made by an older oodbench to the current schema.

    Example: oodbench db upgrade --db digits.db
    """
    from oodbench.results import upgrade_database

    old, new = upgrade_database(db)
    print(f"{db}: schema {old} is current" if old == new else f"{db}: schema {old} -> {new}")
