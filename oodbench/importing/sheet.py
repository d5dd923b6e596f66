"""A delimited text file as rows of texts, and refusals of what is none."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from oodbench.errors import RequestError
from oodbench.results.spreadsheets import unescape

SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class Sheet:
    """A table of texts.

    Attributes:
        name: Name of the file.
        columns: The header.
        rows: Line number in the file -> the cells of that row.
        skipped: One sentence for each row whose cells do not fit the header.
        objects: Column whose cells hold objects -> key in them -> the column that has its values;
            see ``oodbench.importing.objects``.
    """

    name: str
    columns: tuple[str, ...]
    rows: dict[int, tuple[str, ...]]
    skipped: tuple[str, ...]
    objects: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_sheet(file: str | Path, separator: str | None = None) -> Sheet:
    """Read a CSV file: UTF-8, with or without a byte order mark, its first line a header.

    A row ends with a line feed, a carriage return or both; other separators of lines, such as
    U+2028, are text like any other.

    Args:
        file: Path of the file.
        separator: Between cells; by default the one of ``SEPARATORS`` that gives the header most
            columns.

    Raises:
        RequestError: If it cannot be read, is empty, or is no such table.
    """
    path = Path(file)
    if separator is not None and (len(separator) != 1 or separator in '"\r\n'):
        raise RequestError(f"A separator is one character such as ; but got {separator!r}.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise RequestError(f"Cannot read {path}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise RequestError(
            f"{path} is no UTF-8 text (byte {error.start}). Export it again as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise RequestError(
            f"{path} has a zero byte (character {text.index(chr(0))}), so it is no text, or one in "
            "UTF-16. Export it again as CSV in UTF-8."
        )
    if not text.strip():
        raise RequestError(f"{path} is empty. It needs a header and a row for each model.")
    try:
        separator = separator or max(
            SEPARATORS, key=lambda one: len(next(_rows(_reader(text, one))))
        )
        return _sheet(path.name, _reader(text, separator))
    except csv.Error as error:
        raise RequestError(f"{path} is no CSV file: {error}.") from error


def storable(text: str) -> str:
    """The text without what databases refuse: zero characters, and halves of surrogate pairs."""
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def _reader(text: str, separator: str) -> Iterator[list[str]]:
    return csv.reader(io.StringIO(text, newline=""), delimiter=separator)


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """The rows that are not blank, without what surrounds the cells' texts."""
    for row in reader:
        cells = [cell.strip() for cell in row]
        if any(cells):
            yield [unescape(cell) for cell in cells]


def _sheet(name: str, reader: Iterator[list[str]]) -> Sheet:
    rows: dict[int, tuple[str, ...]] = {}
    skipped: list[str] = []
    columns: tuple[str, ...] = ()
    for cells in _rows(reader):
        line: int = reader.line_num  # type: ignore[attr-defined]
        if not columns:
            columns = tuple(cells)
        elif len(cells) != len(columns):
            skipped.append(f"row {line}: it has {len(cells)} cells, the header {len(columns)}.")
        else:
            rows[line] = tuple(cells)
    return Sheet(name, columns, rows, tuple(skipped))
