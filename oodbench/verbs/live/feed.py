"""What is new in a database since a browser last asked."""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench import analysis
from oodbench.errors import OodbenchError
from oodbench.results import (
    Database,
    Ended,
    checkpoints,
    ended,
    environment_names,
    holdings,
    open_database,
    pairs,
    sizes,
)
from oodbench.verbs.decisions import decisions_of, described
from oodbench.verbs.live.paces import Paces
from oodbench.verbs.live.worker_logs import WorkerLogs
from oodbench.verbs.progress import ENDED
from oodbench.verbs.status import Standing, standing

EVERY = 2.0
"""Seconds between two looks at the database, at least, however many browsers ask."""
SHARE = 0.1
"""Looking takes no more than this share of the time."""
CHUNK = 400
"""Runs that are read at once by their ids."""
STUDY = ("dataset", "test_environments", "algorithm", "optimizer")
ALL = ""


class Feed:
    """Looks at a database when it is asked, not too often, and remembers what it saw.

    Args:
        target: URL or path of the database.
        sweep: Only of this sweep.
        logs: Folder of the workers' logs, if not where the executors put them.
    """

    def __init__(self, target: str, sweep: str | None = None, logs: Path | None = None) -> None:
        self._target, self._sweep = target, sweep
        self._logs = WorkerLogs(target, logs)
        self._lock = threading.Lock()
        self._id = uuid.uuid4().hex[:8]
        self._number = 0
        self._next = 0.0
        self._problem = ""
        self._clock = 0.0  # of the database, at the last look, less ours
        self._sizes: dict[str, int] = {}
        self._ended: dict[str, Ended] = {}
        self._standing = Standing(dict.fromkeys(("waiting", "running", *ENDED), 0), None, _NONE)
        self._live = analysis.LiveRuns()
        self._paces = Paces()
        self._studies: dict[str, tuple[int, dict[str, Any]]] = {}
        self._workers: tuple[int, list[dict[str, Any]]] = (0, [])
        self._statements: tuple[int, list[dict[str, str | int]]] = (0, [])
        self._drawn = (0, 0)

    def since(self, cursor: str) -> dict[str, Any]:
        """What has changed since the answer that had this ``cursor``; all, of one that is unknown.

        Returns:
            Plain values: ``cursor``, whether this is ``all``, the time ``now`` on the database's
            clock, ``totals``, rows of ``studies`` and ``workers`` that changed, all ``statements``
            of searches that stop when decided if one did, and what
            ``analysis.LiveRuns.since`` gives. Where the database cannot be read, its ``problem``.
        """
        with self._lock:
            if time.monotonic() >= self._next:
                self._look()
            if self._problem:
                return {"problem": self._problem}
            known = self._known(cursor)
            now = time.monotonic() + self._clock
            at, workers = self._workers
            stated, statements = self._statements
            rows = [row for number, row in self._studies.values() if number > known]
            return {
                "cursor": f"{self._id}.{self._number}",
                "all": known == 0,
                "now": now,
                "totals": self._totals(now),
                **({"studies": rows} if rows else {}),
                **({"workers": workers} if at > known or known == 0 else {}),
                **({"statements": statements} if stated > known else {}),
                **self._live.since(known),
            }

    def curve(self, run: str) -> dict[str, Any]:
        """ID and OOD accuracy along the training of a run, by its id: ``steps``, ``id``, ``ood``.

        Raises:
            OodbenchError: If the database cannot be read, or has no such run.
        """
        with open_database(self._target, read_only=True) as db:
            points = checkpoints(db, f"run = {run!r}")
        return analysis.curve_of(points)

    def log(self, run: str) -> dict[str, str]:
        """The worker's log about a run; see ``WorkerLogs.about``."""
        with open_database(self._target, read_only=True) as db:
            return dict(self._logs.about(db, run))

    def _known(self, cursor: str) -> int:
        ours, _, number = cursor.partition(".")
        return int(number) if ours == self._id and number.isdecimal() else 0

    def _look(self) -> None:
        began = time.monotonic()
        try:
            with open_database(self._target, read_only=True) as db:
                self._read(db)
            self._problem = ""
        except OodbenchError as error:
            self._problem = str(error)
        took = time.monotonic() - began
        self._next = began + took + max(EVERY, took / SHARE)

    def _read(self, db: Database) -> None:
        at, seen = sizes(db)
        self._clock = at - time.monotonic()
        if seen != self._sizes:
            self._standing = standing(self._target, self._sweep)
            latest = max((one.finished for one in self._ended.values()), default=0.0)
            late = {one.run: one for one in ended(db, latest, self._sweep)}
            known = {**self._ended, **late}
            if not self._agrees(known.values()):  # put back in line, merged, imported
                late = known = {one.run: one for one in ended(db, sweep=self._sweep)}
            new = [run for run, one in late.items() if self._ended.get(run) != one]
            self._take(db, known, new, at)
            self._sizes = seen
            self._note_statements(db)
        self._note_studies(at)
        self._note_workers(db)

    def _agrees(self, runs: Iterable[Ended]) -> bool:
        """Whether as many runs are known as the database has, of each status."""
        counted = Counter(one.status for one in runs)
        return all(counted[state] == self._standing.counts[state] for state in ENDED)

    def _take(self, db: Database, known: dict[str, Ended], new: Sequence[str], now: float) -> None:
        """Note which runs have ended, and read those that are ``new``."""
        gone = self._ended.keys() - known.keys()
        if gone:
            self._number += 1
            self._live.drop(self._number, gone)
        if new:
            self._number += 1
            rows = self._rows(db, new)
            rows = rows[rows["run"].isin(new)]
            rows["finished"] = rows["run"].map({run: one.finished for run, one in known.items()})
            planned = self._standing.studies["optimizer"]
            self._live.add(self._number, rows, planned, environment_names(db))
            self._paces.add(now, self._finished(rows, known))
        self._ended = known

    def _finished(
        self, rows: pd.DataFrame, known: Mapping[str, Ended]
    ) -> Iterator[tuple[float, str]]:
        """When each run that was trained finished, for its study's pace and for that of all."""
        for run, *study in rows[["run", *STUDY]].itertuples(index=False):
            if known[run].started is not None:
                yield known[run].finished, " ".join(study)
                yield known[run].finished, ALL

    def _rows(self, db: Database, new: Sequence[str]) -> pd.DataFrame:
        if len(new) > 10 * CHUNK:  # all of them are read sooner
            return pairs(db, None, self._sweep, per_environment=False)
        some = [new[i : i + CHUNK] for i in range(0, len(new), CHUNK)]
        asked = (f"run in {[*ids]!r}" for ids in some)
        found = [pairs(db, condition, per_environment=False) for condition in asked]
        return pd.concat(found, ignore_index=True)

    def _note_studies(self, now: float) -> None:
        studies = self._standing.studies
        several = studies["sweep"].nunique() > 1
        changed = {}
        for found in studies.to_dict("records"):
            row: dict[str, Any] = {str(name): value for name, value in found.items()}
            *place, optimizer = study = tuple(str(row[name]) for name in STUDY)
            row["label"] = analysis.pretty(optimizer)
            row["place"] = analysis.group_name(*place) + f" ({row['sweep']})" * several
            left = row["waiting"] + row["running"] if row["running"] else 0
            row |= self._paces.of(" ".join(study), now, left)
            if self._studies.get(row["study"], (0, None))[1] != row:
                changed[row["study"]] = row
        if changed:
            self._number += 1
            self._studies |= {name: (self._number, row) for name, row in changed.items()}

    def _note_workers(self, db: Database) -> None:
        held = holdings(db, self._sweep)
        rows = [{**vars(one), "says": self._logs.busy(one.owner)} for one in held]
        if rows != self._workers[1]:
            self._number += 1
            self._workers = self._number, rows

    def _note_statements(self, db: Database) -> None:
        """Test the statements again where a round was drawn, or a search has ended."""
        drawn = sum(self._sizes.values()), sum(self._standing.counts.values())
        if drawn == self._drawn:
            return
        self._drawn = drawn
        rows = described(decisions_of(db, self._sweep))
        if rows != self._statements[1]:
            self._number += 1
            self._statements = self._number, rows

    def _totals(self, now: float) -> dict[str, Any]:
        counts = self._standing.counts
        left = counts["waiting"] + counts["running"]
        return {**counts, "best": self._standing.best, **self._paces.of(ALL, now, left)}


_NONE = pd.DataFrame({"study": [], "sweep": [], "optimizer": []}, dtype=object)
