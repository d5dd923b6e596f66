"""Downloading the files that a dataset needs."""

from collections.abc import Callable
from pathlib import Path

from oodbench.data import source_named
from oodbench.errors import RequestError


def fetch(name: str, root: str | Path, tell: Callable[[str], None] = print) -> Path:
    """Download what a dataset needs into the data folder ``root``; returns the folder of its files.

    Args:
        name: Of the dataset, or of its source, such as ``MNIST``.
        root: The data folder; created if missing.
        tell: Called with what is being done.
    """
    source = source_named(name)
    if source.fetch is None:
        raise RequestError(f"{name} cannot be fetched: {source.get}")
    source.fetch(Path(root), tell)
    return Path(root) / source.folder
