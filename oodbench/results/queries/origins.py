"""Where results came from: the code and the machines behind the runs, and the sweeps' own words."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select

from oodbench.records import STATUSES
from oodbench.results.connection.database import Database
from oodbench.results.schema import origins as shared_parts
from oodbench.results.schema import runs, studies, study_trials, sweeps

if TYPE_CHECKING:
    import pandas as pd

ORIGIN = ("protocol", "oodbench", "commit", "dirty", "python", "torch", "numpy", "device")
"""Fields that identify an origin; ``protocol`` is the trial's, the rest is provenance."""


def origins(db: Database) -> "pd.DataFrame":
    """Which versions, commit and device trained the finished runs.

    Returns:
        A row a run that ended: ``run`` and the columns ``ORIGIN``, missing where unknown.
    """
    import pandas as pd

    from oodbench.results.frames import frame_of

    ended = runs.c.state.in_(STATUSES)
    with db.read() as connection:
        columns = runs.c.id.label("run"), runs.c.protocol, runs.c.provenance, runs.c.origin
        statement = select(*columns).where(ended).order_by(runs.c.position)
        frame = frame_of(connection.execute(statement))
        shared = {row.id: row.shared for row in connection.execute(select(shared_parts))}
    own, names = frame.pop("provenance"), frame.pop("origin")
    whole = [{**shared.get(name, {}), **rest} for name, rest in zip(names, own, strict=True)]
    known = pd.DataFrame.from_records(whole, index=frame.index)
    return frame.join(known.reindex(columns=ORIGIN[1:]))


def sweep_specs(db: Database, counted: bool = True) -> "list[dict[str, Any]]":
    """Every sweep of the database, oldest first.

    Args:
        db: The database.
        counted: Whether to count runs, which takes longer than the rest.

    Returns:
        Of each its ``name``, ``spec`` (what its file says, as plain values), ``created`` (seconds
        since 1970, on the database's clock) and, if counted, ``runs`` (how many it asks for, shared
        ones too).
    """
    columns = (sweeps.c.name, sweeps.c.spec, sweeps.c.created)
    if not counted:
        statement = select(*columns).order_by(sweeps.c.created, sweeps.c.id)
        with db.read() as connection:
            return [{**row} for row in connection.execute(statement).mappings()]
    asked = (
        select(studies.c.sweep_id, func.count(study_trials.c.run_id.distinct()).label("runs"))
        .join(study_trials, study_trials.c.study_id == studies.c.id)
        .group_by(studies.c.sweep_id)
        .subquery()
    )
    statement = select(*columns, asked.c.runs).outerjoin(asked, asked.c.sweep_id == sweeps.c.id)
    with db.read() as connection:
        rows = connection.execute(statement.order_by(sweeps.c.created, sweeps.c.id)).mappings()
        return [{**row, "runs": row["runs"] or 0} for row in rows]


def environment_names(db: Database) -> dict[str, tuple[str, ...]]:
    """Dataset -> the names of its environments, by their index, where a study knows them."""
    statement = select(studies.c.dataset, studies.c.facts).order_by(studies.c.created)
    with db.read() as connection:
        rows = connection.execute(statement).all()
    return {
        row.dataset: tuple(map(str, row.facts["environments"]))
        for row in reversed(rows)
        if row.facts.get("environments")
    }
