"""Adding what one database has and another lacks, table by table. See ``merging``."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, func, select, update

from oodbench.errors import DatabaseError
from oodbench.records import STATUSES
from oodbench.results.connection.engines import insert_absent
from oodbench.results.measurements import curves, put_curves
from oodbench.results.merging.copying import released
from oodbench.results.probes import TRAINED
from oodbench.results.queue import lock_runs
from oodbench.results.schema import (
    RUNNING,
    WAITING,
    answer_keys,
    origins,
    predictions,
    runs,
    studies,
    study_trials,
    sweeps,
)
from oodbench.results.sweeps.lookup import known_states
from oodbench.results.sweeps.shards import SHARDED, put_sharded

OUTCOME = (
    *("state", "attempt", "excused", "cohort_size", "owner", "lease"),
    *("reason", "provenance", "origin", "summary", "started", "finished"),
)
"""The columns of a run that its training decides."""


def join_sweeps(reading: Connection, writing: Connection) -> dict[int, int]:
    """Add the sweeps that are not there by name; the number there of each."""
    numbers = {}
    for row in reading.execute(select(sweeps).order_by(sweeps.c.id)).mappings().all():
        there = writing.scalar(select(sweeps.c.id).where(sweeps.c.name == row["name"]))
        if there is None:
            values = {name: row[name] for name in ("name", "spec", "created")}
            there = writing.scalar(sweeps.insert().values(values).returning(sweeps.c.id))
        numbers[row["id"]] = int(there or 0)
    return numbers


def join_studies(reading: Connection, writing: Connection, numbers: dict[int, int]) -> None:
    """Add the studies that are not there; of others, say what is still to be added to them."""
    for row in reading.execute(select(studies).order_by(studies.c.id)).mappings().all():
        sweep = numbers[row["sweep_id"]]
        here = select(studies.c.sweep_id).where(studies.c.id == row["id"])
        there = writing.scalar(here)
        if there is None:
            writing.execute(studies.insert(), [{**released(studies, dict(row)), "sweep_id": sweep}])
        elif there != sweep:
            raise DatabaseError(f"The study {row['id']} belongs to a sweep of another name there.")
        else:
            put_sharded(writing, row["id"], **row["facts"].get(SHARDED, {}))
            if _size(reading, row["id"]) > _size(writing, row["id"]):  # it got further
                latest = update(studies).where(studies.c.id == row["id"])
                writing.execute(latest.values(agenda=row["agenda"]))


def _size(connection: Connection, study: str) -> int:
    counting = select(func.count()).where(study_trials.c.study_id == study)
    return int(connection.scalar(counting) or 0)


def join_origins(reading: Connection, writing: Connection) -> None:
    """Add what runs share of their provenance, where it is not there."""
    if theirs := [dict(row) for row in reading.execute(select(origins)).mappings()]:
        writing.execute(insert_absent(writing, origins), theirs)


def join_runs(
    reading: Connection, writing: Connection, ids: Sequence[str], counted: "Counter[str]"
) -> list[str]:
    """Merge some runs; those whose results differ, of which nothing is taken."""
    states = known_states(writing, ids)
    theirs = select(runs).where(runs.c.id.in_(ids)).order_by(runs.c.position, runs.c.id)
    rows = [dict(row) for row in reading.execute(theirs).mappings()]
    ended = {row["id"] for row in rows if row["state"] in STATUSES}
    new = [row for row in rows if row["id"] not in states]
    late = [r for r in rows if r["id"] in ended and states.get(r["id"]) in (WAITING, RUNNING)]
    both = [run for run in ids if run in ended and states.get(run) in STATUSES]
    if new:
        writing.execute(runs.insert(), [released(runs, row) for row in new])
    lock_runs(writing, runs.c.id.in_([row["id"] for row in late]))
    for row in late:  # a worker that trains it here is refused, as one that comes too late
        outcome = {name: row[name] for name in OUTCOME}
        writing.execute(update(runs).where(runs.c.id == row["id"]).values(outcome))
    results = [row["id"] for row in (*new, *late) if row["id"] in ended]
    put_curves(writing, [c for items in _curves(reading, results).values() for c in items])
    counted.update(new=len(new), results=len(results), known=len(both))
    theirs_now = {row["id"]: row["state"] for row in rows}
    differing = list(_compare(reading, writing, both, theirs_now, states))
    join_predictions(reading, writing, [*results, *(run for run in both if run not in differing)])
    return differing


def _compare(
    reading: Connection,
    writing: Connection,
    ids: Sequence[str],
    theirs: dict[str, str],
    ours: dict[str, str],
) -> Iterator[str]:
    """Runs whose results differ. Of equal ones, what a probe measured there alone comes along."""
    old, new = _curves(reading, ids), _curves(writing, ids)
    for run in ids:
        if theirs[run] != ours[run] or not _are_equal(_trained(old[run]), _trained(new[run])):
            yield run
            continue
        known = {*TRAINED, *(item["metric"] for item in new[run])}
        put_curves(writing, [item for item in old[run] if item["metric"] not in known])


def _curves(connection: Connection, ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """The measurements of each run, in order, without their numbers."""
    found: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    measured = select(curves).where(curves.c.run_id.in_(ids))
    measured = measured.order_by(curves.c.run_id, curves.c.idx)
    for row in connection.execute(measured).mappings() if ids else ():
        found[row["run_id"]].append({name: row[name] for name in row if name != "idx"})
    return found


def _are_equal(one: list[dict[str, Any]], other: list[dict[str, Any]]) -> bool:
    """Whether two results are one, where measurements of steps may have been removed of either."""
    steps = {item["step"] for item in one} & {item["step"] for item in other}
    first, second = ([item for item in of if item["step"] in steps] for of in (one, other))
    return first == second and (bool(steps) or one == other)


def _trained(measured: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in measured if item["metric"] in TRAINED]


def join_predictions(reading: Connection, writing: Connection, ids: Sequence[str]) -> None:
    """Add what these runs predicted, where it is not there, and the answer keys of it."""
    theirs = select(predictions).where(predictions.c.run_id.in_(ids))
    rows = [dict(row) for row in reading.execute(theirs).mappings()]
    keys = select(answer_keys).where(answer_keys.c.id.in_({row["key_id"] for row in rows}))
    for table, found in ((answer_keys, reading.execute(keys).mappings()), (predictions, rows)):
        if new := [dict(row) for row in found]:
            writing.execute(insert_absent(writing, table), new)


def join_links(reading: Connection, writing: Connection) -> None:
    """Give each study the runs it lacks, in the order of draws; a place that is taken is left."""
    places: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for link in writing.execute(select(study_trials)):
        places[link.study_id][link.idx] = link.run_id
    runs_of = defaultdict(set, {study: set(found.values()) for study, found in places.items()})
    rows = []
    order = select(study_trials).order_by(study_trials.c.study_id, study_trials.c.idx)
    for link in reading.execute(order):
        taken, known = places[link.study_id], runs_of[link.study_id]
        if link.run_id not in known:
            place = max(taken) + 1 if link.idx in taken else link.idx
            taken[place] = link.run_id
            known.add(link.run_id)
            rows.append({**link._mapping, "idx": place})
    if rows:
        writing.execute(study_trials.insert(), rows)
