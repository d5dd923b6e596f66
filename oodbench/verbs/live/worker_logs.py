"""The workers' logs: about a failed run, and about what takes long."""

from collections.abc import Mapping
from pathlib import Path

from oodbench.logs import busy_with, tail
from oodbench.results import Database, run_details
from oodbench.workers.executors.local import log_of

LINES = 60
"""Lines of a log that are shown at most: the last ones about a run."""


class WorkerLogs:
    """The logs of a database's workers, as far as they are on this machine.

    Args:
        target: URL or path of the database.
        folder: Folder of the logs, if not where the executors put them.
    """

    def __init__(self, target: str, folder: Path | None) -> None:
        self._target, self._folder = target, folder
        self._found: dict[str, Path] = {}

    def of(self, owner: str) -> Path | None:
        """The log of a worker; None if it is not here."""
        if owner not in self._found and (log := log_of(self._target, owner, self._folder)):
            self._found[owner] = log
        return self._found.get(owner)

    def busy(self, owner: str) -> str:
        """What a worker says that it is busy with, where that takes long; else nothing."""
        log = self.of(owner)
        return "" if log is None else busy_with(log)

    def about(self, db: Database, run: str) -> Mapping[str, str]:
        """The last lines of a worker's log about a run.

        Args:
            run: The run's id, or enough of its beginning.

        Returns:
            The ``worker``, its ``log`` and the ``text``; without a log, ``text`` says why.

        Raises:
            QueryError: If no run or several begin so.
        """
        details = run_details(db, run)
        owner = details.owner
        if not owner:
            return {"worker": "", "log": "", "text": "No worker of oodbench trained it."}
        log = self.of(owner)
        if log is None:
            why = "Its log is not here: look where that worker was started, or name the folder"
            return {"worker": owner, "log": "", "text": f"{why} with --logs."}
        return {"worker": owner, "log": str(log), "text": said_of(tail(log), owner, details.run)}


def said_of(text: str, owner: str, run: str) -> str:
    """The end of what a log says from where a worker takes a run to where others begin.

    Args:
        text: Text of the log, or of its end.
        owner: The worker.
        run: The run's whole id.
    """
    lines = text.splitlines()
    mine = [i for i, line in enumerate(lines) if line.startswith(f"worker {owner} ")]
    taken = [i for i in mine if run in lines[i]] or mine[-1:]
    start = taken[-1] if taken else 0
    later = (i for i, line in enumerate(lines) if i > start and line.startswith("worker "))
    return "\n".join(lines[start : next(later, None)][-LINES:])
