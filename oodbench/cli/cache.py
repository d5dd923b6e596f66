"""cache list, cache build, cache drop."""

from typing import Annotated

import typer

from oodbench.cli.options import Root, use_root

app = typer.Typer(
    help="List, fill or empty the cache of decoded images and features.\n\n"
    "Example: oodbench cache list",
    no_args_is_help=True,
)


@app.command("list")
def list_() -> None:
    """List what is kept, largest first, and where.

    Example: oodbench cache list
    """
    import pandas as pd

    from oodbench.cli.printing import show
    from oodbench.data.cache import cache_folder, entries

    found = entries()
    rows = [
        {
            "name": e.name,
            "MiB": e.size / 2**20,
            "last read": f"{e.read:%F %R}",
            "": "" if e.whole else "half computed",
        }
        for e in found
    ]
    show(pd.DataFrame(rows))
    print(f"{sum(e.size for e in found) / 2**30:.2f} GiB in {cache_folder()}")


@app.command()
def build(
    dataset: Annotated[
        str, typer.Argument(metavar="DATASET", help="Name of the dataset.", show_default=False)
    ],
    size: Annotated[
        int | None, typer.Option(help="Height and width of images. [default: its own]")
    ] = None,
    folder: Annotated[str | None, typer.Option(help="For ImageFolders: the folder's name.")] = None,
    root: Root = None,
) -> None:
    """Decode a dataset's images now, so that no worker has to.

    Example: oodbench cache build PACS --root data
    """
    use_root(root)
    from oodbench.data import DATASETS

    options = {"size": size, "folder": folder}
    given = {name: value for name, value in options.items() if value is not None}
    data = DATASETS.get(dataset).load(given, 0)
    n = sum(len(split) for part in data.environments for split in part.splits.values())
    print(f"{dataset}: {n:,} examples of shape {data.input_shape}, fingerprint {data.fingerprint}")


@app.command()
def drop(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="Beginning of names, as cache list shows them.",
            show_default=False,
        ),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Drop all there is.")] = False,
) -> None:
    """Remove what can be computed again. Workers that are reading it keep what they have.

    Example: oodbench cache drop PACS-224px
    """
    from oodbench.data.cache import entries
    from oodbench.errors import RequestError

    if (name is None) != everything:
        raise RequestError("Say what to drop: the beginning of a name, or --all; one of the two.")
    found = [entry for entry in entries() if everything or entry.name.startswith(name or "")]
    if not found:
        raise RequestError(f"The cache has nothing whose name begins with {name!r}.")
    for entry in found:
        entry.drop()
    print(f"dropped {len(found)} files, {sum(e.size for e in found) / 2**20:.1f} MiB")
