"""A CSV or Parquet file of one's own, read as a table; mistakes are named with their row."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from domainbed_adapters.class_labels import check_classes
from domainbed_adapters.own_files import sought
from domainbed_adapters.table_values import Reading
from domainbed_adapters.tables import Column, Table
from oodbench.errors import RequestError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

NAME = "Table"
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
    frame = _frame(path)
    items = [name for name in ITEMS if name in frame.columns]
    check_columns(path, list(frame.columns), items)
    _check_once([*items, *reading.columns, "split"], list(frame.columns), f"{NAME}: {path}")
    return table_of(NAME, path, frame, reading, items[0])


def table_of(
    dataset: str, path: Path, frame: "pd.DataFrame", reading: Reading, item: str = ""
) -> Table:
    """The table of a file that was read, checked.

    Args:
        dataset: Its name, for messages.
        path: Of the file.
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


def _frame(path: Path) -> "pd.DataFrame":
    """All columns as texts; one whose name another has already is called as pandas calls it."""
    with readable(NAME, path):
        return _parquet(path) if path.suffix.lower() == ".parquet" else _csv(path)


@contextmanager
def readable(dataset: str, path: Path) -> Iterator[None]:
    """What is wrong with a file that cannot be read, as an error of ours."""
    try:
        yield
    except RequestError:
        raise
    except ImportError as error:
        raise RequestError(
            f"{dataset}: Parquet files need pyarrow: pip install 'oodbench[parquet]'."
        ) from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{dataset}: {path} is not in UTF-8 (line {_line_that_is_no_text(path)}); save it as "
            "UTF-8."
        ) from error
    except Exception as error:  # of a damaged file: of many kinds
        cause = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise RequestError(f"{dataset}: {path} cannot be read: {cause}.") from error


def header(path: Path) -> list[str]:
    """The names of a file's columns, as it has them."""
    import pandas as pd

    with readable(NAME, path):
        if path.suffix.lower() == ".parquet":
            import pyarrow.parquet

            stored = map(str, pyarrow.parquet.read_schema(path).names)
            return [name for name in stored if not re.fullmatch(r"__index_level_\d+__", name)]
        first = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        names = list(first.iloc[0])
        _check_commas(path, names)
        return names


def _csv(path: Path) -> "pd.DataFrame":
    import pandas as pd

    header(path)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    check_fields(path, frame)
    return frame


def check_fields(path: Path, frame: "pd.DataFrame") -> None:
    """Raise RequestError if pandas took a column as the names of rows, and moved all others."""
    import pandas as pd

    if not isinstance(frame.index, pd.RangeIndex):
        raise RequestError(
            f"{NAME}: the rows of {path} have more fields than its first line has columns; put "
            "texts with a comma in them into quotes."
        )


def _parquet(path: Path) -> "pd.DataFrame":
    import pandas as pd

    stored = pd.read_parquet(path).reset_index(drop=True)
    stored.columns = stored.columns.map(str)
    for name in stored.columns:
        kinds = stored[name].dropna().map(type).unique() if stored[name].dtype == object else ()
        if bytes in kinds:
            raise RequestError(f"{NAME}: the column {name} of {path} is bytes; save it as text.")
    return stored.astype(str).mask(stored.isna(), "")


def _check_once(names: list[str], columns: list[str], where: str) -> None:
    """Raise RequestError if a column that is read is there twice."""
    for name in names:
        if f"{name}.1" in columns:  # what pandas calls the second
            raise RequestError(f"{where} has the column {name} twice; remove one.")


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
    except (ValueError, OverflowError):
        return values.to_numpy(str)


def _check(table: Table, where: str, labels: Column) -> None:
    if "train" not in table.splits:
        raise RequestError(f"{where} has no example whose split is train.")
    unseen = set(range(table.num_classes)) - set(table.labels[table.splits["train"]].tolist())
    if unseen:
        names = ", ".join(labels.names[code] for code in sorted(unseen))
        raise RequestError(
            f"{where} has labels that no training example has: {names}. Mend them, or "
            "leave those rows out."
        )
    if table.num_classes < 2:
        raise RequestError(f"{where} has one label only, {labels.names[0]}.")
