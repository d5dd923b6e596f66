"""Shards: each worker has a database of its own, with its part of a sweep that is drawn whole.

For clusters without a database server. ``oodbench.results.merging`` puts the parts together.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, select, update

from oodbench.errors import DatabaseError, RequestError
from oodbench.results.connection.database import Database
from oodbench.results.schema import studies, study_trials, sweeps
from oodbench.results.sweeps.adding import add_sweep
from oodbench.results.sweeps.plans import AddedSweep, PlannedStudy, in_turn

SHARDED = "sharded"
"""The fact of a study that says of how many trials it is, into how many shards (``of``) they went,
and which of them, by index, were ``cancelled``."""


@dataclass(frozen=True)
class Shard:
    """One part of a sweep.

    Attributes:
        number: Which one, from 0.
        of: How many there are.
    """

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read a part of a sweep, written like ``3/16``.

        Raises:
            RequestError: If it is not written so.
        """
        found = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
        if found is None or int(found[1]) >= int(found[2]):
            raise RequestError(
                f"A shard is written i/N, i from 0 to N - 1, such as 3/16, but got {text!r}."
            )
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def shard_number(study: str, index: int, of: int) -> int:
    """Which shard the trial ``index`` of a study goes to.

    In turn, from a place that depends on the study alone: so each study is divided evenly, small
    studies do not all burden the first shards, and more trials or studies move no trial.
    """
    return (int(study, 16) + index) % of


def check_divisible(plan: Sequence[PlannedStudy]) -> None:
    """Refuse what cannot be divided.

    Raises:
        RequestError: If a study is not drawn whole before anything is trained.
    """
    for study in plan:
        if study.agenda is not None and "stop" in study.agenda:
            raise RequestError(
                "A search that stops when decided looks at the results of all workers, which "
                "shards do not see. Give it a number of trials, or use one PostgreSQL database."
            )
        if study.agenda is not None and "search" in study.agenda:
            raise RequestError(
                f"The sampler {study.sampler} learns from the results of all workers, which shards "
                "do not see. Use random, qmc or grid, or one PostgreSQL database for all workers."
            )


def divide(plan: Sequence[PlannedStudy], shard: Shard) -> list[PlannedStudy]:
    """The studies with the trials of one shard. A run of several studies goes where its first does.

    Raises:
        RequestError: If a study is not drawn whole before anything is trained.
    """
    check_divisible(plan)
    places: dict[str, int] = {}
    for study in plan:
        for index, trial in study.drawn():
            places.setdefault(trial.id, shard_number(study.id, index, shard.of))
    parts = []
    for study in plan:
        mine = [(i, trial) for i, trial in study.drawn() if places[trial.id] == shard.number]
        sharded = {"trials": len(study.trials), "of": shard.of, "cancelled": []}
        parts.append(
            replace(
                study,
                trials=[trial for _, trial in mine],
                indices=[index for index, _ in mine],
                agenda=None,  # winners are confirmed when all results are in one database
                facts={**study.facts, SHARDED: sharded},
            )
        )
    return parts


def add_shard(
    db: Database, name: str, spec: dict[str, Any], plan: Sequence[PlannedStudy], shard: Shard
) -> AddedSweep:
    """Add one shard of a sweep to a database of its own; see ``add_sweep``.

    Raises:
        RequestError: If a study is not drawn whole before anything is trained.
        DatabaseError: If the database has trials of the sweep which are not of this shard.
    """
    order = {run: position for position, run in enumerate(in_turn(plan))}
    parts = divide(plan, shard)
    _check_alone(db, parts, shard)
    with db.write() as connection:
        for part in parts:
            put_sharded(connection, part.id, **part.facts[SHARDED])
    return add_sweep(db, name, spec, parts, order)


def put_sharded(
    connection: Connection,
    study: str,
    trials: int = 0,
    cancelled: Iterable[int] = (),
    of: int | None = None,
) -> None:
    """Let a study that came in shards say more of them; no other, and none that is not there.

    Args:
        connection: Connection in a write transaction.
        study: Id of the study.
        trials: How many it is of, if more than it says.
        cancelled: Indices of trials that were taken out.
        of: Number of shards, which does not change.
    """
    facts = connection.scalar(select(studies.c.facts).where(studies.c.id == study)) or {}
    if SHARDED in facts:
        known = facts[SHARDED]
        gone = sorted({*known.get("cancelled", ()), *cancelled})  # older databases say none
        sharded = {**known, "trials": max(known["trials"], trials), "cancelled": gone}
        changed = update(studies).where(studies.c.id == study)
        connection.execute(changed.values(facts={**facts, SHARDED: sharded}))


def _check_alone(db: Database, parts: Sequence[PlannedStudy], shard: Shard) -> None:
    """Trials of other shards would be trained here and there."""
    mine = {trial.id for part in parts for trial in part.trials}
    with db.read() as connection:
        links = select(study_trials.c.run_id).join(studies, studies.c.id == study_trials.c.study_id)
        here = connection.scalars(links.where(studies.c.id.in_([part.id for part in parts])))
        others = set(here) - mine
    if others:
        raise DatabaseError(
            f"{db.url} has {len(others)} trials of this sweep that are not of shard {shard}, such "
            f"as {min(others)}. Each shard needs a database of its own, and all of them the same "
            "file and the same N: name another database."
        )


def check_same_sweep(reading: Connection, writing: Connection, source: str, there: str) -> None:
    """Refuse shards that were drawn otherwise than those of the same sweep that are there.

    Studies that are only in one of them are no matter, as after the file got one more optimizer,
    unless there is another study in its place: their results would be pooled.

    Args:
        reading: The database of a shard.
        writing: Where it is to be merged.
        source: The name of the one.
        there: The name of the other.

    Raises:
        DatabaseError: If they were; it says what differs.
    """
    new, known = _sharded(reading), _sharded(writing)
    for study in new.keys() & known.keys():
        of, others = new[study].facts[SHARDED]["of"], known[study].facts[SHARDED]["of"]
        if of != others:
            raise DatabaseError(
                f"The sweep {new[study].name} is in {others} parts in {there}, in {of} in {source}."
                " All shards need the same N: draw this one again, or merge those of one N only."
            )
    places = {_place(known[study]): known[study] for study in known.keys() - new.keys()}
    for study in sorted(new.keys() - known.keys()):
        other = places.get(_place(new[study]))
        if other is not None:
            mine, theirs = dict(_flat(new[study].definition)), dict(_flat(other.definition))
            differing = [
                f"{key}: {theirs.get(key, 'none')} in {there}, {mine.get(key, 'none')} in {source}"
                for key in sorted(mine.keys() | theirs.keys())
                if mine.get(key) != theirs.get(key)
            ]
            raise DatabaseError(
                f"The sweep {other.name} is another one there: {'; '.join(differing)}. All shards "
                "need the same file and --set: draw this one again, or merge it into another "
                "database."
            )


def _sharded(connection: Connection) -> dict[str, Row[Any]]:
    """The studies that came in shards, each with its sweep's name."""
    rows = connection.execute(select(studies, sweeps.c.name).join(sweeps).order_by(studies.c.id))
    return {row.id: row for row in rows.all() if SHARDED in row.facts}


def _place(study: Row[Any]) -> tuple[object, ...]:
    """The cell of its sweep's tables that a study is in."""
    tested = tuple(study.test_environments)
    return study.name, study.dataset, tested, study.algorithm, study.optimizer


def _flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """``train.steps`` and its like, each with its value."""
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield before + name, value


@dataclass(frozen=True)
class Lacking:
    """Trials of a study that no merged shard has brought, and none has cancelled.

    Attributes:
        study: Id of the study.
        trials: How many.
        shards: The numbers of the shards that they are in.
        of: How many shards there are.
    """

    study: str
    trials: int
    shards: frozenset[int]
    of: int


def lacking(db: Database) -> list[Lacking]:
    """What is not there of the studies that came in shards."""
    found = []
    with db.read() as connection:
        for row in connection.execute(select(studies.c.id, studies.c.facts).order_by("id")).all():
            sharded = row.facts.get(SHARDED)
            if sharded is None:
                continue
            places = select(study_trials.c.idx).where(study_trials.c.study_id == row.id)
            there = set(connection.scalars(places))
            absent = set(range(sharded["trials"])) - there - set(sharded.get("cancelled", ()))
            if absent:
                of = sharded["of"]
                shards = frozenset(shard_number(row.id, index, of) for index in absent)
                found.append(Lacking(row.id, len(absent), shards, of))
    return found
