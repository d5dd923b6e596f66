"""The runs of several places as one table: databases, archives, studies that are shipped."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from oodbench.errors import RequestError, UnknownNameError
from oodbench.results import Database, open_database, pairs
from oodbench.results.merging.archive import ABOUT, read_archive
from oodbench.results.predictions import Predictions
from oodbench.results.queries.testbeds import testbeds
from oodbench.results.targets import by_target
from oodbench.verbs.example import EXAMPLES, example_names
from oodbench.workers.artifacts import known_predictions


@dataclass(frozen=True)
class Pool:
    """Runs of several places.

    Attributes:
        runs: A row a run and target; a run that several places have stands once.
        predictions: What they predicted.
        testbeds: A row a run: see ``oodbench.results.queries.testbeds``.
        unknown: Why a place has no runs that a condition names.
    """

    runs: pd.DataFrame
    predictions: tuple[Predictions, ...]
    testbeds: pd.DataFrame
    unknown: tuple[str, ...]


@contextmanager
def opened(place: str | Path) -> Iterator[Database]:
    """A database to read: one, or that of an archive or of a study that is shipped.

    Args:
        place: URL or path of a database, a folder that ``oodbench export runs`` wrote, or the name
            of a study that is shipped, such as ``digits``.

    Raises:
        DatabaseError: It cannot be used.
        RequestError: It is a folder, and no archive.
    """
    shipped = str(place) in example_names() and not Path(place).is_file()
    folder = EXAMPLES / str(place) if shipped else Path(place)
    if not folder.is_dir():
        with open_database(place, read_only=True) as database:
            yield database
        return
    if not (folder / ABOUT).is_file():
        raise RequestError(
            f"{folder} is no archive of runs: it lacks {ABOUT}. Write one: oodbench export runs "
            "--db URL -o FOLDER."
        )
    with tempfile.TemporaryDirectory() as inside:
        path = Path(inside) / "runs.db"
        read_archive(folder, path)
        with open_database(path, read_only=True) as database:
            yield database


def pooled(places: Sequence[str | Path], where: str = "", checkpoint: str = "last") -> Pool:
    """The runs of several places; the same draw of a search is the same draw in each.

    Args:
        places: See ``opened``.
        where: A condition on the runs.
        checkpoint: Which checkpoint of a run is scored.

    Raises:
        DatabaseError: A database cannot be used.
        QueryError: The condition is none.
        RequestError: A folder is no archive.
        UnknownNameError: No such checkpoint rule.
    """
    tables: list[pd.DataFrame] = []
    predictions: list[Predictions] = []
    beds: list[pd.DataFrame] = []
    unknown: list[str] = []
    for place in places:
        with opened(place) as database:
            frame, known, reason = _runs(database, where, checkpoint)
            beds.append(testbeds(database))
        unknown += [reason] if reason else []
        seen = {run for earlier in tables for run in earlier["run"]}
        tables.append(frame)
        predictions += [_without(one, seen) for one in known]
    table = pd.concat(tables, ignore_index=True)
    keys = ["run", *(["target"] if "target" in table else [])]
    table = table.drop_duplicates(keys, ignore_index=True)
    trained = pd.concat(beds, ignore_index=True).drop_duplicates("run", ignore_index=True)
    return Pool(table, tuple(predictions), trained, tuple(dict.fromkeys(unknown)))


def _runs(
    database: Database, where: str, checkpoint: str
) -> tuple[pd.DataFrame, tuple[Predictions, ...], str]:
    """The runs of a database that a condition chooses, what they predicted, and why there are none.

    A database whose searches lack a hyperparameter has no such runs, which is reported: the name
    may be misspelt.
    """
    try:
        table = by_target(pairs(database, where or None, None, checkpoint))
    except UnknownNameError as error:  # such as a hyperparameter that no search here has
        if not where:
            raise
        none = by_target(pairs(database, None, None, checkpoint)).iloc[:0]
        first = str(error).partition(" Allowed:")[0]  # every column would follow
        return none, (), f"where: {where}: {first}"
    return table, known_predictions(database, where or None, None, checkpoint), ""


def _without(known: Predictions, runs: set[str]) -> Predictions:
    """The predictions of other runs than these."""
    kept = [number for number, run in enumerate(known.runs) if run not in runs]
    names = tuple(known.runs[number] for number in kept)
    return replace(known, runs=names, predicted=known.predicted[kept])
