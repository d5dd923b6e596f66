"""CSV and Parquet files as pandas reads them; what pandas would get wrong is refused."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

NAME = "Table"
SPREADSHEETS = (".xlsx", ".xls", ".xlsm", ".ods", ".numbers")


def frame_of(path: Path) -> "pd.DataFrame":
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

    if path.suffix.lower() in SPREADSHEETS:
        raise RequestError(f"{NAME}: {path} is a spreadsheet; save it as CSV, in UTF-8.")
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

    stored = without_index(pd.read_parquet(path))
    stored.columns = stored.columns.map(str)
    for name in stored.columns:
        kinds = stored[name].dropna().map(type).unique() if stored[name].dtype == object else ()
        if bytes in kinds:
            raise RequestError(f"{NAME}: the column {name} of {path} is bytes; save it as text.")
    return stored.astype(str).mask(stored.isna(), "")


def without_index(stored: "pd.DataFrame") -> "pd.DataFrame":
    """What pandas has read of a Parquet file: an index with a name is a column of the file."""
    named = [name for name in stored.index.names if name is not None]
    return stored.reset_index(named).reset_index(drop=True)


def _check_commas(path: Path, columns: list[str]) -> None:
    """Raise RequestError if what should be columns is one, with another mark between them."""
    mark = next((mark for mark in (";", "\t", "|") if mark in columns[0]), None)
    if mark and len(columns) == 1:
        raise RequestError(
            f"{NAME}: {path} has {mark!r} between its columns; save it with commas, quoting texts."
        )


def _line_that_is_no_text(path: Path) -> int:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    raise AssertionError(f"{path} is in UTF-8")
