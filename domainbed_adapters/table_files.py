"""A CSV or Parquet file of your own, read as a table; mistakes are named with their row."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from domainbed_adapters.class_labels import check_classes
from domainbed_adapters.image_tree import some
from domainbed_adapters.own_files import sought
from domainbed_adapters.table_reading import NAME, frame_of
from domainbed_adapters.table_values import Reading
from domainbed_adapters.tables import Column, Table
from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

SPLITS = ("train", "id_val", "id_test", "ood_val", "ood_test")
"""What the column ``split`` may say: the role of the example."""
ITEMS = ("text", "image")
FILE = "a CSV or Parquet file in a data folder"
"""What the option ``file`` is."""
NEEDS = (
    "It needs the columns label, environment and text, image (a path from the file's folder) or "
    f"numbers and categories, and may have split: {', '.join(SPLITS)}"
)


def find(file: Any) -> Path:
    """The file of that name under a data folder of this machine, or at that path.

    Raises:
        RequestError: If there is none.
    """
    return sought(NAME, "file", file, FILE)


def read(options: Mapping[str, Any]) -> Table:
    """The table that the options name, checked: what is read of it, and no other column.

    Raises:
        RequestError: If the file cannot be read, or lacks a column or a value.
        UnknownNameError: If it lacks a column of the option ``groups``.
    """
    path = find(options.get("file"))
    return _read(path, Reading.of(NAME, options), path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=2)
def _read(path: Path, reading: Reading, *changed: int) -> Table:
    frame = frame_of(path)
    items = [name for name in ITEMS if name in frame.columns]
    check_columns(path, list(frame.columns), items)
    _check_once([*items, *reading.columns, "split"], list(frame.columns), f"{NAME}: {path}")
    return table_of(NAME, path, frame, reading, items[0])


def table_of(
    dataset: str, path: Path, frame: "pd.DataFrame", reading: Reading, item: str = ""
) -> Table:
    """The table of a file that was read, checked.

    Args:
        dataset: Name of the dataset, for messages.
        path: Path of the file.
        frame: Its columns as texts, ``label`` and ``environment`` among them.
        reading: What is read of them.
        item: The column with the examples, ``text`` or ``image``; empty: they are numbers, which
            are not in it.

    Raises:
        RequestError: If it has no rows, or lacks a value.
        UnknownNameError: If it lacks a column of ``reading``.
    """
    import pandas as pd

    where = f"{dataset}: {path}"
    check_named(reading, list(frame.columns), where)
    if frame.empty:
        raise RequestError(f"{where} has no rows. {NEEDS}.")
    has_split = "split" in frame.columns
    for name in (*([item] if item else []), *reading.columns, *(["split"] if has_split else [])):
        _check_filled(frame[name], where)
    split = frame["split"] if has_split else pd.Series("train", frame.index)
    split = split.str.strip() if reading.mending.strip else split
    _check_splits(split, where)
    columns = {
        name: Column.of(_as_numbers(reading.mending.mended(frame[name], where)))
        for name in reading.columns
    }
    labels = columns["label"]
    check_classes(where, labels)
    stem = re.sub(r"\W+", "-", path.stem)
    table = Table(
        f"{dataset}-{stem}-{item or 'number'}s",  # it names files of the cache
        path.parent,
        tuple(frame[item]) if item else (),
        labels.codes,
        {name: np.flatnonzero(split == name) for name in SPLITS if (split == name).any()},
        columns,
        len(labels.names),
    )
    _check(table, where, labels)
    return table


def check_named(reading: Reading, there: list[str], where: str) -> None:
    """Raise UnknownNameError if an option names a column that is not there, or that is not read."""
    for name in reading.groups:
        if name not in there:
            raise UnknownNameError("column", name, there, where=f"{where}, groups")
    for column, _ in reading.mending.columns:
        if column not in reading.columns:  # nothing else of the file counts
            raise UnknownNameError("column", column, reading.columns, where=f"{where}, values")


def _check_filled(values: "pd.Series[str]", where: str) -> None:
    """Raise RequestError unless every row has a value of this column."""
    empty = values.isna() | (values.str.strip() == "")
    if empty.any():
        raise RequestError(
            f"{where} has no {values.name} in row {int(empty.to_numpy().argmax()) + 1} of "
            f"{len(values)} ({empty.sum()} in all); fill it in, or leave the row out."
        )


def _check_splits(split: "pd.Series[str]", where: str) -> None:
    """Raise RequestError unless every split is one."""
    wrong = ~split.isin(SPLITS)
    if wrong.any():
        raise RequestError(
            f"{where} has split = {split[wrong].iloc[0]!r} in row "
            f"{int(wrong.to_numpy().argmax()) + 1}; it may be {', '.join(SPLITS)}."
        )


def check_columns(path: Path, columns: list[str], items: list[str]) -> None:
    """Raise RequestError unless there is a label, an environment, and a text or an image."""
    if len(items) > 1:
        raise RequestError(f"{NAME}: {path} has both columns text and image; remove one of them.")
    absent = [name for name in ("label", "environment") if name not in columns]
    absent += [] if items else [*ITEMS]
    if not absent:
        return
    hints = [
        f"Rename {near!r} to {name!r}?"
        for name in absent
        for near in columns
        if is_near(near, name)
    ]
    raise RequestError(
        " ".join([f"{NAME}: {path} has the columns {some(columns)}. {NEEDS}.", *hints])
    )


def is_near(column: str, name: str) -> bool:
    """Whether a column may be meant by that name: Label, labels, env."""
    lower = column.strip().lower()
    return len(lower) > 2 and (name.startswith(lower) or bool(get_close_matches(lower, [name])))


def check_there(table: Table, path: Path) -> None:
    """Raise RequestError, with its row, unless every image that the file lists is there."""
    absent = [row for row, item in enumerate(table.items) if not (table.root / item).is_file()]
    if absent:
        raise RequestError(
            f"{NAME}: {path} lists an image in row {absent[0] + 1} that is not there: "
            f"{table.root / table.items[absent[0]]} ({len(absent)} of {len(table.items)} rows). "
            "Paths are from the file's folder."
        )


def _check_once(names: list[str], columns: list[str], where: str) -> None:
    """Raise RequestError if a column that is read is there twice."""
    for name in names:
        if f"{name}.1" in columns:  # what pandas calls the second
            raise RequestError(f"{where} has the column {name} twice; remove one.")


def _as_numbers(values: "pd.Series[str]") -> Any:
    """Whole numbers, if all are: 10 comes after 9 then."""
    try:
        return values.astype(int).to_numpy()
    except (ValueError, OverflowError):
        return values.to_numpy(str)


def _check(table: Table, where: str, labels: Column) -> None:
    if "train" not in table.splits:
        raise RequestError(f"{where} has no example whose split is train.")
    unseen = set(range(table.num_classes)) - set(table.labels[table.splits["train"]].tolist())
    if unseen:
        names = ", ".join(labels.names[code] for code in sorted(unseen))
        raise RequestError(
            f"{where} has labels that no training example has: {names}. Fix them, or "
            "leave those rows out."
        )
    if table.num_classes < 2:
        raise RequestError(f"{where} has one label only, {labels.names[0]}.")
