"""A CSV or Parquet file of one's own, read as a table; mistakes are named with their row."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from domainbed_adapters.class_labels import check_classes
from domainbed_adapters.own_files import sought
from domainbed_adapters.tables import Column, Table
from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

NAME = "Table"
SPLITS = ("train", "id_val", "id_test", "ood_val", "ood_test")
"""What the column ``split`` may say: the role of the example."""
ITEMS = ("text", "image")
NEEDS = (
    "It needs the columns label, environment and text, image (a path from the file's folder) or "
    f"numbers and categories, and may have split: {', '.join(SPLITS)}"
)


def find(file: Any) -> Path:
    """The file of that name under a data folder of this machine, or at that path.

    Raises:
        RequestError: If there is none.
    """
    return sought(NAME, "file", file, "a CSV or Parquet file in a data folder")


def read(file: Any) -> Table:
    """The table, checked.

    Raises:
        RequestError: If the file cannot be read, or lacks a column or a value.
    """
    path = find(file)
    return _read(path, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=2)
def _read(path: Path, *changed: int) -> Table:
    frame = _frame(path)
    items = [name for name in ITEMS if name in frame.columns]
    check_columns(path, list(frame.columns), items)
    return table_of(path, frame, items[0])


def table_of(path: Path, frame: "pd.DataFrame", item: str = "") -> Table:
    """The table of a file that was read, checked.

    Args:
        path: Of the file.
        frame: Its columns, all as texts.
        item: ``text`` or ``image``; empty: the examples are numbers, which are not in it.

    Raises:
        RequestError: If it has no rows, or lacks a value.
    """
    if frame.empty:
        raise RequestError(f"{NAME}: {path} has no rows. {NEEDS}.")
    for name in frame.columns:
        empty = frame[name].str.strip() == ""
        if empty.any():
            raise RequestError(
                f"{NAME}: {path} has no {name} in row {int(empty.to_numpy().argmax()) + 1} of "
                f"{len(frame)} ({empty.sum()} in all); fill it in, or leave the row out."
            )
    split = frame["split"] if "split" in frame.columns else frame["label"].where(False, "train")
    wrong = ~split.isin(SPLITS)
    if wrong.any():
        raise RequestError(
            f"{NAME}: {path} has split = {split[wrong].iloc[0]!r} in row "
            f"{int(wrong.to_numpy().argmax()) + 1}; it may be {', '.join(SPLITS)}."
        )
    check_classes(f"{NAME}: {path}", frame["label"].to_numpy(object))
    labels = Column.of(_as_numbers(frame["label"]))
    table = Table(
        NAME,
        path.parent,
        tuple(frame[item]) if item else (),
        labels.codes,
        {name: np.flatnonzero(split == name) for name in SPLITS if (split == name).any()},
        {
            "label": labels,
            **{
                name: Column.of(_as_numbers(frame[name]))
                for name in frame.columns
                if name not in (item, "label", "split")
            },
        },
        len(labels.names),
    )
    _check(table, path, labels)
    stem = re.sub(r"\W+", "-", path.stem)  # it names files of the cache
    return replace(table, name=f"{NAME}-{stem}-{item or 'number'}s")


def _check_commas(path: Path, columns: list[str]) -> None:
    """Raise RequestError if what should be columns is one, with another mark between them."""
    mark = next((mark for mark in (";", "\t", "|") if mark in columns[0]), None)
    if mark and len(columns) == 1:
        raise RequestError(
            f"{NAME}: {path} has {mark!r} between its columns; save it with commas, quoting texts."
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
        " ".join([f"{NAME}: {path} has the columns {', '.join(columns)}. {NEEDS}.", *hints])
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


def header(path: Path) -> list[str]:
    """The names of a file's columns.

    Raises:
        RequestError: If it cannot be read, has two of one name, or no commas between them.
    """
    import pandas as pd

    with readable(path):
        if path.suffix == ".parquet":
            import pyarrow.parquet

            names = list(pyarrow.parquet.read_schema(path).names)
        else:
            first = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
            names = list(first.iloc[0])
            _check_commas(path, names)
        twice = [name for name in dict.fromkeys(names) if names.count(name) > 1]
        if twice:  # pandas would give the second another name
            raise RequestError(f"{NAME}: {path} has the column {twice[0]} twice; remove one.")
        return names


def _frame(path: Path) -> "pd.DataFrame":
    """All columns as texts."""
    import pandas as pd

    header(path)
    with readable(path):
        if path.suffix == ".parquet":
            stored = pd.read_parquet(path)
            return stored.astype(str).mask(stored.isna(), "")
        return pd.read_csv(path, dtype=str, keep_default_na=False)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What pandas says of a file that it cannot read, as an error of ours."""
    try:
        yield
    except ImportError as error:
        raise RequestError(
            f"{NAME}: Parquet files need pyarrow: pip install 'oodbench[parquet]'."
        ) from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{NAME}: {path} is not in UTF-8 (line {_line_that_is_no_text(path)}); save it as "
            "UTF-8."
        ) from error
    except (ValueError, OSError) as error:
        cause = str(error).strip()
        raise RequestError(f"{NAME}: {path} cannot be read: {cause}.") from error


def _line_that_is_no_text(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    raise AssertionError(f"{path} is in UTF-8")


def _as_numbers(values: "pd.Series[str]") -> Any:
    """Whole numbers, if all are: 10 comes after 9 then."""
    try:
        return values.astype(int).to_numpy()
    except ValueError:
        return values.to_numpy(str)


def _check(table: Table, path: Path, labels: Column) -> None:
    if "train" not in table.splits:
        raise RequestError(f"{NAME}: {path} has no example whose split is train.")
    unseen = set(range(table.num_classes)) - set(table.labels[table.splits["train"]].tolist())
    if unseen:
        names = ", ".join(labels.names[code] for code in sorted(unseen))
        raise RequestError(
            f"{NAME}: {path} has labels that no training example has: {names}. Mend them, or "
            "leave those rows out."
        )
    if table.num_classes < 2:
        raise RequestError(f"{NAME}: {path} has one label only, {labels.names[0]}.")
