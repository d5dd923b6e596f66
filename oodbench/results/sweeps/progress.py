"""How far a sweep is."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, case, exists, func, literal, or_, select, union_all

from oodbench.results.connection.database import Database
from oodbench.results.expressions import environments_text
from oodbench.results.queries.targets import targets_of_studies
from oodbench.results.schema import COMPLETED, RUNNING, STATES, WAITING, runs, studies, sweeps
from oodbench.results.schema import study_trials as links
from oodbench.results.sweeps.lookup import in_sweep, studies_of
from oodbench.results.sweeps.proposals import open_studies, runs_to_come

if TYPE_CHECKING:
    import pandas as pd


def state_counts(db: Database, sweep: str | None = None) -> dict[str, int]:
    """How many runs are in each state; every state is there. A shared run counts once.

    Runs that workers are still to add to a study count as waiting.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    with db.read() as connection:
        mine = select(runs.c.state, func.count().label("n")).where(in_sweep(connection, sweep))
        found = {row.state: row.n for row in connection.execute(mine.group_by(runs.c.state))}
        to_come = sum(runs_to_come(connection, sweep).values())
    found[WAITING] = found.get(WAITING, 0) + to_come
    return {state: found.get(state, 0) for state in STATES}


def is_done(db: Database, sweep: str | None = None) -> bool:
    """Whether no run is waiting or running, and none is still to be added.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    with db.read() as connection:
        left = exists().where(runs.c.state.in_([WAITING, RUNNING]), in_sweep(connection, sweep))
        to_come = exists().where(open_studies(connection, sweep))
        return not connection.scalar(select(or_(left, to_come)))


def best_id_val(db: Database, sweep: str | None = None) -> float | None:
    """The highest ID validation accuracy at the last step of a completed run; None: of none.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    score = runs.c.summary[("last", "id_val")].as_float()
    with db.read() as connection:
        completed = runs.c.state == COMPLETED, in_sweep(connection, sweep)
        return connection.scalar(select(func.max(score)).where(*completed))


def counts(db: Database, sweep: str | None = None) -> "pd.DataFrame":
    """A row for each study: what it is about, and how many of its runs are in each state.

    ``targets`` lists those that it is tested on, if any study has some.
    Runs that workers are still to add count as waiting.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    from oodbench.results.frames import frame_of

    with db.read() as connection:
        mine = _counting().where(studies_of(connection, sweep))
        frame = frame_of(connection.execute(mine))
        to_come = frame["study"].map(runs_to_come(connection, sweep)).fillna(0).astype("int64")
        targets = targets_of_studies(connection)
    if frame["study"].isin(targets).any():
        place = list(frame.columns).index("test_environments") + 1
        frame.insert(place, "targets", frame["study"].map(targets).fillna(""))
    for column in (WAITING, "total"):
        frame[column] += to_come
    return frame


def _counting() -> Select[Any]:
    """A row for each study, in order."""
    # State by state, in the order of two indexes that have all it takes: no row is read, and none
    # sorted. A run that is twice in a study, as it may be in a grid, counts once.
    each = union_all(
        *(
            select(links.c.study_id, literal(state).label("state"))
            .join(runs, runs.c.id == links.c.run_id)
            .where(runs.c.state == state)
            .group_by(runs.c.id, links.c.study_id)
            for state in STATES
        )
    ).subquery()
    counted = {state: func.sum(case((each.c.state == state, 1), else_=0)) for state in STATES}
    per_study = (
        select(each.c.study_id, func.count().label("total"))
        .add_columns(*(count.label(state) for state, count in counted.items()))
        .group_by(each.c.study_id)
        .subquery()
    )
    columns = [
        studies.c.id.label("study"),
        sweeps.c.name.label("sweep"),
        studies.c.dataset,
        environments_text(studies.c.test_environments).label("test_environments"),
        studies.c.algorithm,
        studies.c.optimizer,
        *(func.coalesce(per_study.c[name], 0).label(name) for name in (*STATES, "total")),
    ]
    return (
        select(*columns)
        .select_from(
            studies.join(sweeps).outerjoin(per_study, per_study.c.study_id == studies.c.id)
        )
        .order_by(studies.c.sweep_id, studies.c.position, studies.c.id)
    )
