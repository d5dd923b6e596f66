"""compare: your own optimizer beside those of the leaderboard."""

import sys
import textwrap
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.options import Db, Device, Root, Seed, Workers, use_root

WIDTH = 80


def compare(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A file with optimizers, as in a sweep file.")
    ],
    db: Db,
    against: Annotated[
        list[str] | None,
        typer.Option(
            help="leaderboard, a study that is shipped, an archive or a database; repeatable. "
            "[default: leaderboard]"
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None, typer.Option(help="Only this dataset; repeatable.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the page of all.")
    ] = None,
    reference: Annotated[
        str, typer.Option(help="The optimizer that verdicts compare with.")
    ] = "momentum",
    workers: Workers = None,
    device: Device = "auto",
    root: Root = None,
    seed: Seed = 0,
) -> None:
    """Train your optimizers alone, and compare them with others.

    Datasets, models, training and draws are those of the leaderboard.

    Example: oodbench compare mine.yaml --against digits --db mine.db
    """
    use_root(root)
    board, names = api.compare(
        file,
        db,
        against=against or "leaderboard",
        datasets=dataset or (),
        output=output,
        reference=reference,
        seed=seed,
        workers=workers,
        device=device,
        on_step=partial(print, "oodbench:", file=sys.stderr, flush=True),
    )
    from oodbench.analysis import leaderboard_lines

    for line in leaderboard_lines(board, names):
        print(textwrap.fill(line, WIDTH, subsequent_indent="  "))
    if output is not None:
        print(f"wrote {output / 'index.html'}")
