"""retry: failed or diverged runs wait again."""

from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.options import Db, SweepName


def retry(
    name: SweepName,
    db: Db,
    failed: Annotated[
        bool, typer.Option("--failed", help="The failed ones; the default, unless --diverged.")
    ] = False,
    diverged: Annotated[bool, typer.Option("--diverged", help="The diverged ones.")] = False,
) -> None:
    """Put a sweep's failed or diverged runs back in line.

    What came of them is removed; `oodbench sweep` or a worker trains them again.

    Example: oodbench retry digits --db digits.db
    """
    n = api.retry(db, name, failed=failed or not diverged, diverged=diverged)
    print(f"{n} runs of {name} wait again")
