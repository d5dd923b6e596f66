"""The commands that look at a database's results: what a command that made some ends with."""

import shlex
from pathlib import Path


def look_at(db: str | Path) -> str:
    """Three commands, a line each: the answer, the page, the runs."""
    from oodbench.results import describe_target

    where = f"--db {shlex.quote(describe_target(db))}"
    return (
        f"The answer:  oodbench conclude {where}\n"
        f"One page:    oodbench report {where} -o report.html\n"
        f"The runs:    oodbench query {where}"
    )
