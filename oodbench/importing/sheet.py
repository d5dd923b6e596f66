"""A delimited text file as rows of texts, and refusals of what is none."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oodbench.errors import RequestError

SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Sheet:
    """A table of texts.

    Attributes:
        name: Of the file.
        columns: The header.
        rows: Line number in the file -> the cells of that row.
        skipped: One sentence for each row whose cells do not fit the header.
    """

    name: str
    columns: tuple[str, ...]
    rows: dict[int, tuple[str, ...]]
    skipped: tuple[str, ...]


def read_sheet(file: str | Path, separator: str | None = None) -> Sheet:
    """Read a CSV file: UTF-8, with or without a byte order mark, its first line a header.

    Args:
        file: Its path.
        separator: Between cells; by default the one of ``SEPARATORS`` that gives the header most
            columns.

    Raises:
        RequestError: If it cannot be read, is empty, or is no such table.
    """
    path = Path(file)
    if separator is not None and len(separator) != 1:
        raise RequestError(f"A separator is one character such as ; but got {separator!r}.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{path} is no UTF-8 text (byte {error.start}). Export it again as CSV in UTF-8."
        ) from error
    lines = text.splitlines(keepends=True)
    if not text.strip():
        raise RequestError(f"{path} is empty. It needs a header and a row for each model.")
    try:
        separator = separator or max(
            SEPARATORS, key=lambda one: len(next(csv.reader(lines, delimiter=one)))
        )
        return _sheet(path.name, csv.reader(lines, delimiter=separator))
    except csv.Error as error:
        raise RequestError(f"{path} is no CSV file: {error}.") from error


def _sheet(name: str, reader: "Iterator[list[str]]") -> Sheet:
    rows: dict[int, tuple[str, ...]] = {}
    skipped: list[str] = []
    columns: tuple[str, ...] = ()
    for cells in reader:
        line: int = reader.line_num  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        if not columns:
            columns = tuple(cell.strip() for cell in cells)
        elif len(cells) != len(columns):
            skipped.append(f"row {line}: it has {len(cells)} cells, the header {len(columns)}.")
        else:
            rows[line] = tuple(cell.strip() for cell in cells)
    return Sheet(name, columns, rows, tuple(skipped))
