"""Holding claimed runs while they are trained, and patience with the database."""

import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from oodbench.errors import DatabaseAwayError, LostLeaseError, OodbenchError, StopTrainingError
from oodbench.logs import NO_ANSWER
from oodbench.results import Claim, Database, release, renew

T = TypeVar("T")
LOOK = 0.1
"""Seconds between looks at whether the worker is to stop."""
PATIENCE = 300.0
"""Seconds for which a database that is out of reach, or has no room, is asked again."""
PAUSE = 1.0
"""Seconds between the attempts."""


class Lease:
    """Holds claimed runs while training advances: a worker that hangs loses them.

    A worker that is to stop gives them back at once, whatever training is busy with, for it may be
    killed the next moment.

    Args:
        db: The database.
        claims: What is held.
        seconds: Length of the lease; it is renewed every quarter of it.
        should_stop: Asked at every tick, and in between.
    """

    def __init__(
        self,
        db: Database,
        claims: Sequence[Claim],
        seconds: float,
        should_stop: Callable[[], bool],
    ) -> None:
        self._db, self._claims, self._seconds = db, claims, seconds
        self._should_stop = should_stop
        self._ticks = 0
        self._lost = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True)

    def tick(self) -> None:
        """Training has advanced by a step.

        Raises:
            StopTrainingError: If the worker is to stop.
            LostLeaseError: If none of the runs is held any longer.
        """
        self._ticks += 1
        if self._should_stop():
            self._ended.set()  # a run trained alone is saved first, and given back then
            raise StopTrainingError("the worker was asked to stop")
        if self._lost:
            raise LostLeaseError("their lease ran out; another worker has them")

    def _hold(self) -> None:
        # Loading the data counts as advance, once: no tick can come before it is done.
        renewed, seen = time.monotonic(), -1
        while not self._ended.wait(LOOK):
            try:
                if self._should_stop():
                    release(self._db, self._claims)
                    return
                if self._ticks != seen and time.monotonic() - renewed >= self._seconds / 4:
                    renewed, seen = time.monotonic(), self._ticks
                    self._lost = not renew(self._db, self._claims, self._seconds)
            except OodbenchError as error:  # the database may be back before the lease runs out
                print(f"could not renew the lease: {error}", file=sys.stderr)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._ended.set()
        self._thread.join()


def patiently(ask: Callable[[], T], should_stop: Callable[[], bool] = lambda: False) -> T:
    """What ``ask`` gives; asked again for some minutes while the database does not answer.

    A server that is started again, or a disk on which room is made, costs no result.

    Raises:
        DatabaseAwayError: The last one, once ``PATIENCE`` is over or ``should_stop`` says so.
        DatabaseError: At once, if waiting would not help.
    """
    deadline, reported = time.monotonic() + PATIENCE, ""
    while True:
        try:
            return ask()
        except DatabaseAwayError as error:
            if should_stop() or time.monotonic() > deadline:
                raise
            if reported != (reported := str(error)):
                print(
                    f"{NO_ANSWER}, asking again for {PATIENCE:.0f} s: {error}",
                    file=sys.stderr,
                    flush=True,
                )
            time.sleep(PAUSE)
