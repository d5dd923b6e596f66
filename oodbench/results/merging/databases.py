"""Putting databases together: the shards of a sweep, or what went on in two places.

Equal trials are one run. A source is merged whole or not at all, and merging it again changes
nothing.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from oodbench.errors import DatabaseError, OodbenchError, RequestError
from oodbench.results.connection.address import describe_target, parse_target, sqlite_file
from oodbench.results.connection.database import Database, open_database
from oodbench.results.connection.engines import PLANNING, update_statistics, wait_for_turn
from oodbench.results.merging.integrity import check_database
from oodbench.results.merging.joining import (
    join_links,
    join_origins,
    join_runs,
    join_studies,
    join_sweeps,
)
from oodbench.results.schema import runs, studies, study_trials
from oodbench.results.sweeps.lookup import chunks
from oodbench.results.sweeps.shards import Lacking, check_same_sweep, lacking

SHOWN = 3
"""How many runs a conflict names."""


@dataclass(frozen=True)
class Merged:
    """What came of one source.

    Attributes:
        source: Where it is, without a password.
        new: Runs that the destination lacked.
        results: Results that it lacked, of new runs and of those that waited there.
        known: Results that it had already.
        kept: Results that differ from the source's: the destination's were kept.
        problem: Why nothing of it was merged; empty if it was.
    """

    source: str
    new: int = 0
    results: int = 0
    known: int = 0
    kept: int = 0
    problem: str = ""


@dataclass(frozen=True)
class MergedAll:
    """What came of all sources.

    Attributes:
        url: The destination, without its password.
        sources: One for each, in order.
        lacking: Trials of sharded studies that are in no database so far.
    """

    url: str
    sources: Sequence[Merged]
    lacking: Sequence[Lacking]


def merge_databases(
    destination: str | Path, sources: Sequence[str | Path], *, keep_first: bool = False
) -> MergedAll:
    """Put the sweeps, runs and measurements of all sources into one database.

    A run that is finished on one side only is taken from there. One that is finished on both must
    have the same status and measurements. What is being trained at a source waits here. A shard
    that was drawn otherwise than those merged before is reported, and nothing of it is merged.

    Args:
        destination: Path or URL; made if there is none.
        sources: Paths or URLs; they are only read. A damaged or missing one is reported,
            and the others are merged.
        keep_first: Where results differ, keep those that were merged first.

    Raises:
        RequestError: If a source is the destination.
        DatabaseError: If the destination cannot be used, or no source can.
    """
    for source in sources:
        if _place(source) == _place(destination):
            raise RequestError(f"{describe_target(source)} cannot be merged into itself.")
    problems = {str(source): _problem(source) for source in sources}
    if all(problems.values()):
        reasons = "".join(f"\n  {describe_target(s)}: {why}" for s, why in problems.items())
        raise DatabaseError(f"Nothing can be merged:{reasons}")
    done = []
    with open_database(destination, create=True) as new:
        for source, problem in problems.items():
            shown = describe_target(source)
            try:
                merged = (
                    Merged(shown, problem=problem) if problem else _merge(source, new, keep_first)
                )
            except DatabaseError as error:
                merged = Merged(shown, problem=str(error))
            done.append(merged)
        return MergedAll(new.url, done, lacking(new))


def _place(target: str | Path) -> str:
    url = parse_target(target)
    if url.get_backend_name() == "sqlite":
        return str(Path(str(url.database)).resolve())
    return url.set(password=None).render_as_string()


def _problem(source: str | Path) -> str:
    """Why a source cannot be merged; empty if it can."""
    file = sqlite_file(source)
    if file is not None and not file.exists():
        return (
            f"There is no database at {file}. Correct the path, or merge again when it is there; "
            f"`oodbench worker SWEEP.yaml --shard i/N --db {file}` makes a shard."
        )
    try:
        return " ".join(check_database(source).problems)
    except OodbenchError as error:
        return str(error)


def _merge(source: str | Path, new: Database, keep_first: bool) -> Merged:
    with (
        open_database(source, read_only=True) as old,
        old.read() as reading,
        new.write() as writing,
    ):
        wait_for_turn(writing, PLANNING)
        check_same_sweep(reading, writing, old.url, new.url)
        join_studies(reading, writing, join_sweeps(reading, writing))
        join_origins(reading, writing)
        counted: Counter[str] = Counter()
        differing: list[str] = []
        ids = list(reading.scalars(select(runs.c.id).order_by(runs.c.position, runs.c.id)))
        for some in chunks(ids):
            differing += join_runs(reading, writing, some, counted)
        if differing and not keep_first:
            raise DatabaseError(_conflict(differing, new.url))
        join_links(reading, writing)
        update_statistics(writing, runs, studies, study_trials)
    new_runs, results, known = (counted[name] for name in ("new", "results", "known"))
    return Merged(describe_target(source), new_runs, results, known, kept=len(differing))


def _conflict(differing: Sequence[str], url: str) -> str:
    some = ", ".join(differing[:SHOWN]) + (", ..." if len(differing) > SHOWN else "")
    return (
        f"{len(differing)} runs have another result in {url}: {some}. They were trained twice, on "
        "machines or versions that differ, or tried again after they failed. Keep what is there "
        "(--keep-first), or let those that failed wait first (oodbench retry)."
    )
