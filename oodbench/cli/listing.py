"""datasets, optimizers, algorithms, models: what there is to choose from."""

from collections.abc import Callable
from typing import Annotated

import typer

COLUMNS = {
    "datasets": ["name", "shift", "classes", "environments"],
    "algorithms": ["name", "space", "options", "reference"],
    "optimizers": ["name", "kind", "space"],
    "models": ["name", "options", "summary"],
}


def command(kind: str) -> Callable[..., None]:
    """The command that lists things of one kind, or tells all of one of them."""

    def listing(
        name: Annotated[str | None, typer.Argument(help="Tell all of this one.")] = None,
    ) -> None:
        from oodbench import api
        from oodbench.cli.tables import show, show_one
        from oodbench.errors import UnknownNameError

        table = api.catalogue(kind)
        if name is None:
            show(table[COLUMNS[kind]])
            return
        rows = table[table["name"] == name]
        if rows.empty:
            raise UnknownNameError(kind.removesuffix("s"), name, table["name"])
        show_one(rows.iloc[0])

    listing.__doc__ = f"List the {kind}, or tell all of one.\n\nExample: oodbench {kind}"
    return listing


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    for kind in COLUMNS:
        app.command(kind)(command(kind))
