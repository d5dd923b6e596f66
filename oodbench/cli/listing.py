"""datasets, optimizers, algorithms, models: what there is to choose from."""

from collections.abc import Callable
from typing import Annotated

import typer

from oodbench.cli.options import Root, use_root

COLUMNS = {
    "datasets": ["name", "shift", "classes", "environments"],
    "algorithms": ["name", "space", "options", "reference"],
    "optimizers": ["name", "kind", "space"],
    "models": ["name", "options", "summary"],
}


Name = Annotated[str | None, typer.Argument(help="Tell all of this one.")]


def tell(kind: str, name: str | None) -> None:
    """List the things of one kind, or tell all of one of them."""
    from oodbench import api
    from oodbench.cli.tables import show, show_one

    table = api.catalogue(kind, name)
    if name is None:
        show(table[COLUMNS[kind]])
    else:
        show_one(table.iloc[0])


def datasets(
    name: Name = None,
    check: Annotated[
        bool, typer.Option("--check", help="Verify the files that it needs, or that all need.")
    ] = False,
    root: Root = None,
) -> None:
    """List the datasets, or tell all of one.

    Example: oodbench datasets ColoredMNIST --check --root data
    """
    from oodbench.data import DATASETS

    use_root(root)
    if not check:
        tell("datasets", name)
        if name is None and (absent := DATASETS.not_supported()):
            print(f"Not supported: {', '.join(absent)}; oodbench datasets NAME says why.")
        return
    for spec in [DATASETS.get(name)] if name else DATASETS:
        where = "needs no files: it comes with an installed package"
        if spec.resolve is not None and spec.source is None:
            where = "its folder is named in a sweep file, and checked there"
        if spec.source is not None:
            if name is None and not spec.source.is_here():
                print(f"{spec.name}: its files are not on this machine")
                continue
            root = spec.source.find()
            spec.source.check(root)
            where = f"the files in {root / spec.source.folder} are complete and right"
            if spec.resolve is not None:
                where += "; other folders are named in a sweep file, and checked there"
        print(f"{spec.name}: {where}")


def command(kind: str) -> Callable[..., None]:
    """The command that lists things of one kind, or tells all of one of them."""

    def listing(name: Name = None) -> None:
        tell(kind, name)

    listing.__doc__ = f"List the {kind}, or tell all of one.\n\nExample: oodbench {kind}"
    return listing


def register(app: typer.Typer) -> None:
    """Add this file's commands."""
    app.command()(datasets)
    for kind in (kind for kind in COLUMNS if kind != "datasets"):
        app.command(kind)(command(kind))
