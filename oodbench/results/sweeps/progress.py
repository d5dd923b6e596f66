"""How far a sweep is."""

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Select, exists, func, or_, select

from oodbench.results.connection.database import Database
from oodbench.results.expressions import environments_text
from oodbench.results.queries.targets import targets_of_studies
from oodbench.results.schema import (
    COMPLETED,
    RUNNING,
    STATES,
    WAITING,
    runs,
    studies,
    study_trials,
    sweeps,
)
from oodbench.results.sweeps.lookup import in_sweep, studies_of
from oodbench.results.sweeps.proposals import open_studies, runs_to_come

if TYPE_CHECKING:
    import pandas as pd

ABOUT = ("study", "sweep", "dataset", "test_environments", "algorithm", "optimizer")
"""What is shown of a study."""


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
    """What ``study_counts`` returns, as a table.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    import pandas as pd

    rows = study_counts(db, sweep)
    return pd.DataFrame(rows, columns=None if rows else [*ABOUT, *STATES, "total"])


def study_counts(db: Database, sweep: str | None = None) -> list[dict[str, Any]]:
    """A row per study: what it is about, and how many of its runs are in each state.

    ``targets`` lists those that it is tested on, if any study has some. Runs that workers are still
    to add count as waiting.

    Raises:
        UnknownNameError: If there is no such sweep.
    """
    with db.read() as connection:
        counted = _counted(connection)
        to_come, targets = runs_to_come(connection, sweep), targets_of_studies(connection)
        rows = connection.execute(_described().where(studies_of(connection, sweep))).mappings()
        described = [dict(row) for row in rows]
    shown = any(row["study"] in targets for row in described)
    result = []
    for about in described:
        study = about["study"]
        number = {state: counted[study][state] for state in STATES}
        number[WAITING] += to_come.get(study, 0)
        tested = {"targets": targets.get(study, "")} if shown else {}
        place = ABOUT.index("test_environments") + 1
        ordered = {name: about[name] for name in ABOUT[:place]} | tested | about
        result.append({**ordered, **number, "total": sum(number.values())})
    return result


def _counted(connection: Connection) -> dict[str, Counter[str]]:
    """Study -> how many of its runs are in each state. A run that is twice in a study counts once.

    Counting what a study has takes a look at an index; so the state that most runs are in is what
    remains of that, and only the runs in the others are looked up one by one.
    """
    link = study_trials.c
    each = select(link.study_id, func.count().label("n"))
    found: dict[str, Counter[str]] = defaultdict(Counter)
    sizes = connection.execute(select(runs.c.state, func.count()).group_by(runs.c.state))
    ordered = [state for state, _ in sorted(sizes, key=lambda row: -row[1])]
    if not ordered:
        return found
    most, *others = ordered
    for study, n in connection.execute(each.group_by(link.study_id)):
        found[study][most] = n
    twice = each.group_by(link.run_id, link.study_id).having(func.count() > 1)
    for study, n in connection.execute(twice):
        found[study][most] -= n - 1
    for state in others:
        mine = (
            select(link.study_id)
            .join(runs, runs.c.id == link.run_id)
            .where(runs.c.state == state)
            .group_by(runs.c.id, link.study_id)
            .subquery()
        )
        rows = select(mine.c.study_id, func.count()).group_by(mine.c.study_id)
        for study, n in connection.execute(rows):
            found[study][state] = n
            found[study][most] -= n
    return found


def _described() -> Select[Any]:
    """A row for each study, in order."""
    columns = {
        "study": studies.c.id,
        "sweep": sweeps.c.name,
        "dataset": studies.c.dataset,
        "test_environments": environments_text(studies.c.test_environments),
        "algorithm": studies.c.algorithm,
        "optimizer": studies.c.optimizer,
    }
    return (
        select(*(columns[name].label(name) for name in ABOUT))
        .select_from(studies.join(sweeps))
        .order_by(studies.c.sweep_id, studies.c.position, studies.c.id)
    )
