"""dashboard: a page that shows sweeps while they are trained."""

from pathlib import Path
from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.options import Db, Sweep


def dashboard(
    db: Db,
    name: Sweep = None,
    logs: Annotated[
        Path | None,
        typer.Option(help="Folder of the workers' logs. [default: beside the database]"),
    ] = None,
    host: Annotated[
        str,
        typer.Option(
            help="Name or address to be reached at; from other machines the page's address holds "
            "a token."
        ),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0: any free one.")] = 8050,
    open_: Annotated[
        bool, typer.Option("--open/--no-open", help="Open the page in a browser.")
    ] = False,
) -> None:
    """Show the progress, runs, failures and workers of live sweeps.

    The page opens in a browser. Its server runs on this machine and only reads the database;
    Ctrl-C ends it.

    Example: oodbench dashboard --db digits.db --open
    """

    def start(url: str) -> None:
        print(f"{url}\nCtrl-C ends it; the sweep goes on.", flush=True)
        if open_:
            typer.launch(url)

    api.dashboard(db, sweep=name, logs=logs, host=host, port=port, on_start=start)
