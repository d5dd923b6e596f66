"""Datasets of which only some examples are read: images stay in their files until then."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import RequestError

_on_demand = ContextVar("on_demand", default=False)


@contextmanager
def on_demand(wanted: bool = True) -> Iterator[None]:
    """Within, a dataset's image files are listed when it is loaded, and not read.

    Each is decoded when it is indexed, and nothing of it is kept on disk. So no broken file is
    found before it is asked for (``UnreadableError``), and no image is compared with another.

    Args:
        wanted: False: they are read at once, as usual.
    """
    token = _on_demand.set(wanted)
    try:
        yield
    finally:
        _on_demand.reset(token)


def is_on_demand() -> bool:
    """Whether image files are read on demand."""
    return _on_demand.get()


class UnreadableError(RequestError):
    """Some of the files that were asked for cannot be read.

    Attributes:
        places: Which of the examples that were asked for these are.
        skip: Whether the dataset's options say that they are left out.
    """

    def __init__(self, message: str, places: NDArray[np.int64], skip: bool) -> None:
        super().__init__(message)
        self.places, self.skip = places, skip
