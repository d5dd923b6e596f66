"""example: a database of runs that are shipped."""

from typing import Annotated

import typer

from oodbench import api
from oodbench.cli.next_steps import look_at
from oodbench.cli.options import Db


def example(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Name of the study, such as digits.")],
    db: Db,
) -> None:
    """Make a database of a study that is shipped, in seconds.

    To query, judge and plot before training anything; needs oodbench[parquet].

    Example: oodbench example digits --db digits.db
    """
    from oodbench.results import describe_target
    from oodbench.results.merging.archive import about_archive
    from oodbench.verbs.example import EXAMPLES

    studies = api.example(name, db)
    where = describe_target(db)
    print(f"{where}: {studies['total'].sum():,} runs of {len(studies)} studies.")
    print(about_archive(EXAMPLES / name)["about"])
    print(look_at(db))
