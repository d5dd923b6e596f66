"""Tables as CSV: a spreadsheet that opens them runs none of their texts as a formula."""

import re
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r\n]")
"""How a text begins that a spreadsheet may run (OWASP, *CSV Injection*), or that looks escaped."""
ESCAPED = re.compile(rf"'{FORMULA.pattern}")


def write_csv(frame: "pd.DataFrame", to: Any, escape_formulas: bool = True) -> None:
    """Write a table with its header and without its index.

    Args:
        frame: Any table.
        to: A path or an open text file.
        escape_formulas: Put an apostrophe before texts that begin as formulas do, in the header
            too: ``import csv`` takes it away. Numbers are no formulas, and stay what they are.
    """
    shown = escaped(frame) if escape_formulas else frame
    # Python's csv quotes a carriage return only where lines end with one: else it would end a row.
    ends = "\r\n" if _has_return(shown) else "\n"
    shown.to_csv(to, index=False, lineterminator=ends)


def escaped(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table with an apostrophe before each text that begins as a formula does."""
    found = frame.rename(columns=escape)
    for place, column in _texts(frame):
        found.isetitem(place, column.map(escape).array)
    return found


def _texts(frame: "pd.DataFrame") -> "Iterator[tuple[int, pd.Series[Any]]]":
    """The columns that may hold texts, each after its place."""
    import pandas as pd

    for place, dtype in enumerate(frame.dtypes):
        kinds = pd.StringDtype | pd.CategoricalDtype
        if pd.api.types.is_object_dtype(dtype) or isinstance(dtype, kinds):
            yield place, frame.iloc[:, place].astype(object)


def _has_return(frame: "pd.DataFrame") -> bool:
    cells = chain(frame.columns, *(column for _, column in _texts(frame)))
    return any(isinstance(cell, str) and "\r" in cell for cell in cells)


def escape(cell: Any) -> Any:
    """A cell that no spreadsheet runs."""
    is_formula = isinstance(cell, str) and FORMULA.match(cell) and not _is_number(cell)
    return f"'{cell}" if is_formula else cell


def unescape(text: str) -> str:
    """What was escaped, as it was."""
    return text[1:] if ESCAPED.match(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
