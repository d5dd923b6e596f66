"""Duplicates in a table: rows with the same text, image or numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.duplicates import (
    Ints,
    Repeat,
    may_be_apart,
    repeats,
    repeats_of_own_splits,
    report,
    same_files,
    same_texts,
)
from domainbed_adapters.image_cache import Corrupt, digests_of
from domainbed_adapters.table_inputs import tree_of
from domainbed_adapters.tables import Table, environments_of
from oodbench.errors import RequestError

Parts = Mapping[str, Mapping[str, Ints]]


def what_of(table: Table) -> str:
    """What a row of it is: a ``text``, an ``image``, or a ``row`` of numbers."""
    kinds = {"texts": "text", "images": "image", "numbers": "row"}
    return kinds[table.name.rsplit("-", 1)[-1]]


def row(number: int) -> str:
    """A row as messages call it: from 1, without the header."""
    return f"row {number + 1}"


def same_rows(table: Table, corrupt: Corrupt, max_pixels: int | None) -> Ints:
    """(n,) which rows show the same; -1: an image that is skipped.

    Raises:
        RequestError: If a file is no image (with its name).
    """
    if what_of(table) == "text":
        return same_texts(table.items)
    return same_files(digests_of(table.name, tree_of(table), corrupt, max_pixels))


def same_numbers(values: NDArray[np.floating[Any]]) -> Ints:
    """(n,) which rows of (n, d) numbers are equal; missing ones equal each other."""
    import pandas as pd

    mixed = np.zeros(len(values), np.uint64)
    for column in values.T:
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(column + 0.0)  # -0 is 0
    return pd.factorize(mixed)[0].astype(np.int64)


def repeats_in(table: Table, same: Ints, parts: Parts | None = None) -> list[Repeat]:
    """What is there more than once.

    Args:
        table: Examples of the dataset.
        same: See ``same_rows``.
        parts: Environment -> its parts, where they are ours; None: the splits are the file's, or
            are not known yet.
    """
    if parts is not None:
        return repeats_of_own_splits(same, table.labels, parts)
    if set(table.splits) != {"train"}:
        return repeats(same, table.labels, table.splits)
    whole = environments_of(table, ("environment",))
    return repeats(same, table.labels, whole, may_be_apart)


def report_published(table: Table, what: str, same: Ints) -> None:
    """Report what published splits have more than once; they are as their authors made them."""
    found = repeats(same, table.labels, table.splits)
    report(table.name, what, found, lambda number: repr(table.items[number][:60]), "keep")


def check_emptied(table: Table, left: Table) -> None:
    """Raise RequestError if a split or an environment has lost every example with its images."""
    for split, rows in table.splits.items():
        if not len(left.splits[split]):
            raise RequestError(
                f"{table.name}: none of the {len(rows)} images of the split {split} can be read."
            )
    for name, rows in environments_of(table, ("environment",)).items():
        if not np.isin(rows, left.splits["train"]).any():
            raise RequestError(
                f"{table.name}: none of the {len(rows)} training images of the environment {name} "
                "can be read."
            )
