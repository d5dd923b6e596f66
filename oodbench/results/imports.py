"""Putting runs that were trained elsewhere into the database, finished as they are."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from sqlalchemy import Connection, select

from oodbench.errors import QueryError, RequestError
from oodbench.records import IMPORTED, PROTOCOL, RunRecord, Trial, hash_of
from oodbench.results.connection.database import Database
from oodbench.results.connection.engines import PLANNING, update_statistics, wait_for_turn
from oodbench.results.measurements import METRIC, curves, put_curves
from oodbench.results.provenances import put_provenances
from oodbench.results.schema import now, points, runs, studies, study_trials, sweeps
from oodbench.results.store import curve_row, finite, summarise
from oodbench.results.sweeps.adding import (
    end_of_line,
    put_links,
    put_studies,
    put_sweep,
)
from oodbench.results.sweeps.lookup import chunks, in_sweep, known_states
from oodbench.results.sweeps.plans import PlannedStudy
from oodbench.results.trials import run_columns

CHUNK = 1000
"""Runs that are inserted at a time."""

UNKNOWN = "unknown"
"""What ``sampler`` and other texts say of what is not known of an imported run."""

Group = tuple[str, tuple[int, ...], str, str]


@dataclass(frozen=True)
class Imported:
    """Runs to be imported, of one source.

    Attributes:
        source: Source, such as ``domainbed``.
        sweep: The sweep that they will make up.
        origin: What ``sweeps.spec`` keeps, such as the file's name.
        records: What is known of each run; its trial's protocol names the source.
        facts: Dataset, test environments, algorithm, optimizer -> the facts of that study.
        sampler: Who drew the runs, or ``unknown``.
        skipped: One sentence for each thing that was left out.
        notes: One sentence for each thing to know of what was not.
    """

    source: str
    sweep: str
    origin: Mapping[str, Any]
    records: Sequence[RunRecord]
    facts: Mapping[Group, Mapping[str, Any]]
    sampler: str = UNKNOWN
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImportedRuns:
    """What an import did.

    Attributes:
        sweep: Name of the sweep.
        new: Runs that were added.
        known: Runs that were there already, from an earlier import: nothing was changed.
        statuses: How many of all have each status.
        skipped: One sentence for each thing that was left out, and why.
        notes: One sentence for each thing to know of what was not.
    """

    sweep: str
    new: int
    known: int
    statuses: Mapping[str, int] = field(default_factory=dict)
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def refuse_imported(trial: Trial, what: str) -> None:
    """Refuse to do with an imported run what only one trained here allows.

    Args:
        trial: The run's.
        what: The refused action, such as ``trained again``.

    Raises:
        RequestError: If it is imported.
    """
    if trial.source:
        raise RequestError(
            f"Run {trial.id} was imported from {trial.source}, so it cannot be {what}: oodbench "
            "has neither its weights nor all that decided it. Choose a run trained by oodbench: "
            f"oodbench query --where \"protocol = '{PROTOCOL}'\"."
        )


def group_of(record: RunRecord) -> Group:
    """The study that a run belongs to."""
    trial = record.trial
    return trial.dataset, trial.test_environments, trial.algorithm, trial.optimizer


def add_imported(db: Database, imported: Imported) -> ImportedRuns:
    """Add runs with their measurements, all in one transaction. Runs that are there stay.

    No worker will ever train them: they are finished.

    Raises:
        RequestError: If the sweep is one that oodbench trains, or was imported from elsewhere.
    """
    by_id = {record.trial.id: record for record in imported.records}
    counts: Counter[str] = Counter(record.status for record in by_id.values())
    with db.write() as connection:
        wait_for_turn(connection, PLANNING)
        _check_sweep(connection, imported)
        known = known_states(connection, by_id)
        plan = list(_studies(imported, by_id))
        put_studies(connection, put_sweep(connection, imported.sweep, _spec(imported)), plan)
        _put_finished(connection, [r for run, r in by_id.items() if run not in known])
        put_links(connection, [_unlinked(connection, study) for study in plan])
        update_statistics(connection, runs, studies, study_trials, points)
    new = len(by_id) - len(known)
    left_out, notes = imported.skipped, imported.notes
    return ImportedRuns(imported.sweep, new, len(known), dict(counts), left_out, notes)


def _spec(imported: Imported) -> dict[str, Any]:
    return {"imported_from": imported.source, **imported.origin}


def _check_sweep(connection: Connection, imported: Imported) -> None:
    spec = connection.scalar(select(sweeps.c.spec).where(sweeps.c.name == imported.sweep))
    source = spec and spec.get("imported_from")
    if spec is not None and source != imported.source:
        whose = f"was imported from {source}" if source else "is trained by oodbench"
        raise RequestError(
            f"The database has a sweep {imported.sweep!r} already, and that one {whose}. "
            "Name another for these runs (--name)."
        )


def _studies(imported: Imported, by_id: Mapping[str, RunRecord]) -> Iterator[PlannedStudy]:
    groups: dict[Group, list[RunRecord]] = {}
    for record in by_id.values():
        groups.setdefault(group_of(record), []).append(record)
    for group, records in groups.items():
        yield PlannedStudy(
            hash_of([IMPORTED, imported.source, imported.sweep, [*group]]),
            *group,
            definition=_spec(imported),
            space={},  # what was searched is not known
            sampler=imported.sampler,
            sampler_seed=0,
            facts=imported.facts[group],
            trials=[record.trial for record in records],
        )


def _unlinked(connection: Connection, study: PlannedStudy) -> PlannedStudy:
    """The study with the trials that it lacks."""
    link = study_trials.c
    linked = set(connection.scalars(select(link.run_id).where(link.study_id == study.id)))
    return replace(study, trials=[trial for trial in study.trials if trial.id not in linked])


def _put_finished(connection: Connection, records: Sequence[RunRecord]) -> None:
    created = connection.scalar(select(now()))
    positions = count(end_of_line(connection))
    for some in chunks(records, CHUNK):
        provenances = put_provenances(connection, [finite(r.provenance) for r in some])
        rows = [
            {
                **run_columns(record.trial),
                **provenance,
                "position": next(positions),
                "state": record.status,
                "reason": record.reason,
                "summary": summarise(record),
                "created": created,
                "finished": created,
            }
            for record, provenance in zip(some, provenances, strict=True)
        ]
        connection.execute(runs.insert(), rows)
        put_curves(
            connection, [curve_row(r.trial.id, item) for r in some for item in r.measurements]
        )


def domainbed_accuracies(db: Database, sweep: str | None = None) -> list[dict[str, Any]]:
    """What runs that were imported from DomainBed logged, as ``DomainBedRun.accuracies`` has it.

    Args:
        sweep: Only runs of this sweep.

    Returns:
        A dictionary for each run, checkpoint, environment and split, with the ``run``'s id.

    Raises:
        QueryError: If no run was imported from DomainBed.
        UnknownNameError: If there is no such sweep.
    """
    with db.read() as connection:
        mine = runs.c.protocol == f"{IMPORTED}domainbed", in_sweep(connection, sweep)
        ours = select(runs.c.id, runs.c.provenance).where(*mine)
        jobs = {row.id: row.provenance["imported"] for row in connection.execute(ours)}
        if not jobs:
            raise QueryError("No run here was imported from DomainBed: oodbench import domainbed.")
        point = curves.c
        measured = (
            select(point.run_id, point.step, point.environment, point.split, point.value)
            .join(runs, runs.c.id == point.run_id)
            .where(point.metric == METRIC, *mine)
            .order_by(runs.c.position, point.idx)
        )
        return [
            {
                "run": row.run_id,
                **jobs[row.run_id]["job"],
                "step": row.step - 1,  # DomainBed counts from 0
                "environment": jobs[row.run_id]["environments"].index(row.environment),
                "split": row.split,
                "accuracy": row.value,
            }
            for row in connection.execute(measured)
        ]
