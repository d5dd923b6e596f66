"""fetch: the files that some datasets need."""

from pathlib import Path
from typing import Annotated

import typer

from oodbench import api


def fetch(
    name: Annotated[
        str, typer.Argument(metavar="DATASET", help="Such as MNIST, or ColoredMNIST that needs it.")
    ],
    root: Annotated[
        Path, typer.Option(help="Data folder; created if missing.", show_default=False)
    ],
) -> None:
    """Download the files that a dataset needs, and verify them.

    What is there and right is kept.

    Example: oodbench fetch MNIST --root data
    """
    print(f"{name} is in {api.fetch(name, root)}; use it: export OODBENCH_DATA={root}")
