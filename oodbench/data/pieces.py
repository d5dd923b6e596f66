"""Which rows of a large array are computed already, kept beside it until it is whole.

Several processes may compute one array at once. Each takes shares of its rows; a lock says that a
process is at a share, and ends with the process.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from oodbench.data.stopping import stop_if_asked

SAVED = 5.0
"""Seconds between two notes on the disk of what is done."""
WAIT = 0.2
"""Seconds between looks at whether another process has computed what this one needs."""
Rows = Sequence[int] | NDArray[np.int64]


class Pieces:
    """The rows of an array that is computed piece by piece, perhaps by several processes.

    Args:
        n: How many rows.
        array: Mapped from a file, if what is done is to be kept.
        note: The file that says which rows of it are right; made if missing.
    """

    def __init__(
        self, n: int, array: "np.memmap[Any, Any] | None" = None, note: Path | None = None
    ) -> None:
        self._array, self._saved = array, time.monotonic()
        self._marked = np.zeros(n, bool)
        self._done = self._marked
        self._file: BinaryIO | None = None
        self._ended: list[int] = []
        self._news = False
        if note is not None and array is not None and n:
            if not (note.is_file() and note.stat().st_size == n):
                with note.open("wb") as file:
                    file.truncate(n)  # zeros, which take no room
            self._done = np.memmap(note, bool, "r+")
            self._file = Path(str(array.filename)).open("r+b")  # noqa: SIM115 - it holds locks

    @property
    def count(self) -> int:
        """How many rows are computed, as far as this process knows."""
        return int(np.count_nonzero(self._done | self._marked))

    def left(self, rows: Rows) -> list[int]:
        """The rows that are still to be computed."""
        asked = np.asarray(rows, np.int64)
        left: list[int] = asked[~(self._done[asked] | self._marked[asked])].tolist()
        return left

    def shares(self, rows: Rows, size: int) -> Iterator[list[int]]:
        """What is left of the rows, share by share, but for what other processes compute.

        It ends when nothing is left: who has no share to take waits for those that have. Rows of a
        share that are not marked when the next one is asked for are left to the others.

        Args:
            rows: All rows, in an order that is the same in all processes.
            size: Rows of a share.

        Raises:
            StopTrainingError: If the worker is to stop while it waits for others.
        """
        waiting = {start: rows[start : start + size] for start in range(0, len(rows), size)}
        while waiting:
            began = len(waiting)
            for start, share in list(waiting.items()):
                if not self.left(share):
                    del waiting[start]
                elif self._take(start):
                    del waiting[start]
                    if left := self.left(share):  # another one may have ended it just now
                        yield left
                    self._ended.append(start)
            if len(waiting) == began:
                self.save()  # who waits for this process may go on
                stop_if_asked()
                time.sleep(WAIT)

    def _take(self, share: int) -> bool:
        """Whether no other process is at a share; then none will be until it is given back."""
        if self._file is not None:
            with suppress(ImportError):
                import fcntl  # not on Windows

                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, share)
                except BlockingIOError:
                    return False
                except OSError:
                    pass  # no locks here: some rows may be computed twice
        return True

    def _give_back(self) -> None:
        """Let others see to what this process left of the shares that it has ended."""
        for share in self._ended:
            with suppress(ImportError, OSError):
                import fcntl

                if self._file is not None:
                    fcntl.lockf(self._file, fcntl.LOCK_UN, 1, share)
        self._ended.clear()

    def mark(self, rows: Rows) -> None:
        """The rows are in the array.

        Raises:
            StopTrainingError: If the worker is to stop; what is done is kept.
        """
        self._marked[list(rows)] = self._news = True
        stop_if_asked()
        if time.monotonic() - self._saved > SAVED:
            self.save()

    def save(self) -> None:
        """Keep what is done: first the rows, then the note, so that it never says too much."""
        self._saved = time.monotonic()
        if self._news and self._array is not None and self._file is not None:
            self._array.flush()
            self._done[self._marked] = True  # and no other row, for others write theirs
            self._news = False
        self._give_back()

    @property
    def begun(self) -> bool:
        """Whether the note has any row."""
        return bool(self._done.any())

    def close(self) -> None:
        """Give back all shares."""
        if self._file is not None:
            self._file.close()
