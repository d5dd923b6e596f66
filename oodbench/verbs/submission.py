"""Checking a submission to the leaderboard: an archive of runs that somebody else trained.

Nothing in it is executed: its files are tables of numbers and texts, and what is trained again is
trained by this oodbench, of runs whose testbed is known here.
"""

import random
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from oodbench.errors import DatabaseError, OodbenchError, RequestError
from oodbench.optimizers import OPTIMIZERS
from oodbench.results import (
    Database,
    check_database,
    load_run,
    open_database,
    refuse_imported,
)
from oodbench.results.merging.archive import ABOUT, check_installed, read_archive
from oodbench.results.merging.archived import ARCHIVED
from oodbench.results.schema import COMPLETED, runs
from oodbench.verbs.example import example_names
from oodbench.verbs.pooling import opened
from oodbench.verbs.reproduce import Reproduced, compare, train_again
from oodbench.verbs.submitted_runs import scores_that_differ
from oodbench.verbs.submitted_studies import (
    Known,
    Stated,
    known_studies,
    study_problems,
    submitted,
    together,
)

PLAIN = ("integer", "floating", "string", "large_string", "binary", "large_binary", "boolean")
"""Types of the columns of an archive; others may run code where they are read."""

UNREADABLE = (KeyError, TypeError, ValueError, IndexError, SQLAlchemyError, DatabaseError)
"""What reading an archive raises whose values are none."""


@dataclass(frozen=True)
class Submission:
    """What looking at a submission found.

    Attributes:
        runs: How many runs it has.
        problems: A sentence each; it is valid if there is none.
        notes: What was not checked, and why.
        reproduced: What came of training runs again.
    """

    runs: int
    problems: tuple[str, ...]
    notes: tuple[str, ...]
    reproduced: tuple[Reproduced, ...] = ()


def check_submission(
    folder: str | Path,
    *,
    against: Sequence[str | Path] = (),
    retrain: int = 3,
    tolerance: float = 0.05,
    seed: int = 0,
    device: str = "auto",
    on_step: Callable[[str], None] = lambda what: None,
) -> Submission:
    """Look a submission over: an archive that ``oodbench export runs`` wrote.

    Args:
        folder: The archive.
        against: Where the runs of the leaderboard are; by default the studies that are shipped.
        retrain: Completed runs to train again, where this machine has their data and what they
            need; 0: none.
        tolerance: Largest difference of a measurement of these that is no problem: processors
            round differently, and training carries that on. Fractions.
        seed: Decides which runs are trained again.
        device: ``auto``, ``cpu``, ``cuda``, ...
        on_step: Called with what is being done.

    Raises:
        RequestError: The folder is no archive, is of a newer oodbench, or pyarrow is not installed.
    """
    source = Path(folder)
    if not (source / ABOUT).is_file():
        raise RequestError(
            f"{source} is no archive of runs: it lacks {ABOUT}. A submission is what oodbench "
            "export runs --db URL -o FOLDER writes."
        )
    check_installed()
    on_step("reading the files")
    if odd := list(_odd_columns(source)):
        return Submission(0, tuple(odd), ())
    with tempfile.TemporaryDirectory() as inside:
        path = Path(inside) / "submitted.db"
        try:
            read_archive(source, path)
        except UNREADABLE as error:
            cause = error.__cause__ or error
            what = f"{type(cause).__name__}: {str(cause).strip().splitlines()[0]}"
            damaged = f"The files cannot be read as an archive: {what}."
            return Submission(0, (damaged,), ())
        on_step("comparing with the leaderboard")
        with open_database(path, read_only=True) as db:
            studies = submitted(db)
            known = _known(studies, against or example_names())
            problems, notes = study_problems(studies, known)
            problems = [*check_database(path).problems, *problems]
            on_step("scoring predictions")
            found, more = scores_that_differ(db)
            chosen = _sample(db, studies, known, retrain, seed)
            with db.read() as connection:
                number = len(connection.execute(select(runs.c.id)).all())
        done, failed = _trained_again(path, chosen, tolerance, device, on_step)
    if retrain and not chosen:
        notes.append("no run is trained again: none is of a testbed and an optimizer known here")
    wrong = [_apart(one) for one in done if not (one.exact or one.matches)]
    return Submission(number, (*problems, *found, *wrong), (*notes, *more, *failed), tuple(done))


def _odd_columns(folder: Path) -> Iterator[str]:
    """What is in the files that no archive has, seen without reading their rows."""
    from pyarrow import ArrowException, parquet, types

    for table in ARCHIVED:
        path = folder / f"{table.name}.parquet"
        try:
            schema = parquet.read_schema(path)
        except (OSError, ArrowException) as error:
            yield f"{path.name} cannot be read: {str(error).splitlines()[0]}."
            continue
        for field in schema:
            if field.name not in table.c:
                yield f"{path.name} has a column {field.name!r} that no archive has."
            elif not any(getattr(types, f"is_{kind}")(field.type) for kind in PLAIN) and not (
                types.is_null(field.type)
            ):
                yield f"{path.name}: the column {field.name!r} is of the type {field.type}."


def _known(studies: Sequence[Stated], places: Sequence[str | Path]) -> Known:
    """What the leaderboard has on the testbeds of the submission."""
    wanted, found = {study.testbed for study in studies}, list[Stated]()
    for place in places:
        with opened(place) as other:
            found += known_studies(other, wanted)
    return together(found)


def _sample(
    db: Database, studies: Sequence[Stated], known: Known, number: int, seed: int
) -> list[str]:
    """Completed runs to train again: of a known testbed, with an optimizer that is known here."""
    names = {
        run
        for study in studies
        if study.testbed in known.testbeds and study.optimizer in OPTIMIZERS.names()
        for run in study.runs.values()
    }
    with db.read() as connection:
        completed = connection.scalars(select(runs.c.id).where(runs.c.state == COMPLETED))
        there = sorted(names & set(completed))
    return random.Random(seed).sample(there, min(number, len(there)))


def _trained_again(
    path: Path,
    chosen: Sequence[str],
    tolerance: float,
    device: str,
    on_step: Callable[[str], None],
) -> tuple[list[Reproduced], list[str]]:
    """What came of it, and why some runs cannot be trained here."""
    done, failed = [], []
    for run in chosen:
        on_step(f"training run {run} again")
        try:
            done.append(_again(path, run, tolerance, device))
        except OodbenchError as error:
            failed.append(f"run {run} is not trained again: {error}")
    return done, failed


def _again(path: Path, run: str, tolerance: float, device: str) -> Reproduced:
    """A run trained again; it is compared at the steps whose measurements were kept."""
    with open_database(path, read_only=True) as db:
        stored = load_run(db, run)
    refuse_imported(stored.trial, "trained again")
    found = train_again(stored, device, None)
    steps = {one.step for one in stored.measurements} | {stored.trial.steps}
    kept = tuple(one for one in found.measurements if one.step in steps)
    return compare(stored, replace(found, measurements=kept), tolerance)


def _apart(one: Reproduced) -> str:
    """A run that came out otherwise."""
    if one.status[0] != one.status[1]:
        return f"Run {one.run} is {one.status[1]} when it is trained again. {one.reason}".strip()
    return (
        f"Run {one.run} differs by {one.largest:.3g} ({one.where}) when it is trained again; "
        f"{one.tolerance:g} is allowed."
    )
