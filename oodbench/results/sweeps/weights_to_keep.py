"""Which weights the sweeps want kept."""

from collections.abc import Sequence

from sqlalchemy import select

from oodbench.results.connection.database import Database
from oodbench.results.schema import studies, study_trials, sweeps

CHECKPOINTS = {"last": "last", "selected": "best_id_val"}
"""What ``keep_weights`` says in a sweep file -> the checkpoint whose weights are kept."""


def weights_to_keep(db: Database, runs: Sequence[str]) -> dict[str, set[str]]:
    """The checkpoints whose weights are kept for each of the ``runs``; only those that keep any.

    A run of several sweeps keeps what any of them wants.
    """
    links, wanted = study_trials.c, sweeps.c.spec["keep_weights"].as_string()
    asking = (
        select(links.run_id, wanted.label("wanted"))
        .join(studies, studies.c.id == links.study_id)
        .join(sweeps, sweeps.c.id == studies.c.sweep_id)
        .where(links.run_id.in_(runs), wanted.in_(list(CHECKPOINTS)))
    )
    found: dict[str, set[str]] = {}
    with db.read() as connection:
        for run, what in connection.execute(asking):
            found.setdefault(run, set()).add(CHECKPOINTS[what])
    return found
