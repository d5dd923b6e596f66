"""Which rows of a large array are computed already, kept beside it until it is whole."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from oodbench.data.stopping import stop_if_asked

SAVED = 5.0
"""Seconds between two notes on the disk of what is done."""


class Pieces:
    """The rows of an array that is computed piece by piece, perhaps by one process after another.

    Args:
        n: How many rows.
        array: Mapped from a file, if what is done is to be kept.
        note: The file that says which rows of it are right; made if missing.
    """

    def __init__(
        self, n: int, array: "np.memmap[Any, Any] | None" = None, note: Path | None = None
    ) -> None:
        self._array, self._note, self._saved = array, note, time.monotonic()
        self._done = np.zeros(n, bool)
        if note is not None and note.is_file():
            known = np.fromfile(note, bool)
            self._done = known if len(known) == n else self._done

    def left(self, rows: Sequence[int] | NDArray[np.int64]) -> list[int]:
        """The rows that are still to be computed."""
        return [int(row) for row in rows if not self._done[row]]

    def mark(self, rows: Sequence[int] | NDArray[np.int64]) -> None:
        """The rows are in the array.

        Raises:
            StopTrainingError: If the worker is to stop; what is done is kept.
        """
        self._done[list(rows)] = True
        stop_if_asked()
        if time.monotonic() - self._saved > SAVED:
            self.save()

    def save(self) -> bool:
        """Keep what is done: first the rows, then the note, so that it never says too much.

        Returns:
            Whether anything is.
        """
        self._saved = time.monotonic()
        if self._note is None or self._array is None or not self._done.any():
            return False
        self._array.flush()
        draft = self._note.with_name(f"{self._note.name}.{os.getpid()}")
        self._done.tofile(draft)
        draft.replace(self._note)
        return True
