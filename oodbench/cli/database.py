"""db check, db copy, db upgrade."""

from collections.abc import Mapping
from typing import Annotated

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
    from oodbench.results import describe_target, upgrade_database

    old, new = upgrade_database(db)
    said = f"schema {old} is current" if old == new else f"schema {old} -> {new}"
    print(f"{describe_target(db)}: {said}")


@app.command()
def check(db: Db) -> None:
    """See whether a database is whole and adds up. Nothing is changed.

    Exit code 1, and a line for each problem, if it does not.

    Example: oodbench db check --db digits.db
    """
    from oodbench.results import check_database

    found = check_database(db)
    print(f"{found.url}: schema {found.revision}")
    if found.rows:
        print(_counted(found.rows))
        print("runs: " + _counted(found.states))
        print("checked: the file, the views, references, each run's state and content, trials")
    for problem in found.problems:
        print(f"problem: {problem}")
    if found.problems:
        raise typer.Exit(1)
    print("no problems")


@app.command()
def copy(
    source: Annotated[str, typer.Argument(help="A SQLite file or a URL.", show_default=False)],
    destination: Annotated[
        str, typer.Argument(help="A new SQLite file or an empty database.", show_default=False)
    ],
) -> None:
    """Copy a database into a new one, from SQLite to PostgreSQL or back; whole or not at all.

    Example: oodbench db copy digits.db postgresql+psycopg://me@host/digits
    """
    from oodbench.results import copy_database

    copied = copy_database(source, destination)
    print(f"{copied.source} -> {copied.destination}: {_counted(copied.rows)}")
    if copied.released:
        print(
            f"{copied.released} runs were being trained; they wait in the copy, where they will be "
            "trained again"
        )


def _counted(rows: Mapping[str, int]) -> str:
    return ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in rows.items())
