"""A table of the report, made of columns that show something of each row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from ..conclusions.many_panels import MANY
from ..runs.columns import GROUP
from ..runs.names import group_name, pretty

Row = Mapping[str, Any]
Column = tuple[str, Callable[[Row], str]]
"""A heading, and what a row shows under it. Headings that begin with "#" are of numbers."""

NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
NO_BREAK = "\N{NO-BREAK SPACE}"


@dataclass(frozen=True)
class Table:
    """What a table shows.

    Attributes:
        title: Above it; may be empty.
        heads: Heads of the columns.
        numeric: Whether each column is of numbers: these stand to the right.
        rows: One string a column.
        folded: Whether it is opened by a click: it is long.
    """

    title: str
    heads: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[str, ...], ...]
    folded: bool = False


def make(title: str, columns: Sequence[Column], rows: pd.DataFrame, folded: bool = False) -> Table:
    """The table whose columns show these rows."""
    records: list[Row] = [{str(k): v for k, v in row.items()} for row in rows.to_dict("records")]
    return Table(
        title,
        tuple(head.removeprefix("#") for head, _ in columns),
        tuple(head.startswith("#") for head, _ in columns),
        tuple(tuple(show(row) for _, show in columns) for row in records),
        folded,
    )


def missing(value: Any) -> bool:
    """Whether a value is missing."""
    return bool(pd.isna(value))


def text(name: str) -> Callable[[Row], str]:
    """What the column says, or a dash."""
    return lambda row: NONE if missing(row[name]) or row[name] == "" else str(row[name])


def count(name: str) -> Callable[[Row], str]:
    """The cell of a whole number."""
    return lambda row: NONE if missing(row[name]) else f"{int(row[name]):,}"


def named(name: str) -> Callable[[Row], str]:
    """An optimizer or algorithm, by the name that a reader knows."""
    return lambda row: pretty(str(row[name]))


def place(row: Row) -> str:
    """Dataset, test environments and algorithm in words."""
    return group_name(*(str(row[name]) for name in GROUP))


def fraction(name: str, signed: bool = False, digits: int = 3) -> Callable[[Row], str]:
    """A number with its interval, if the row has one: ``0.624 (0.573 to 0.672)``."""

    def show(row: Row) -> str:
        if missing(row[name]):
            return NONE
        prefix = "" if name == "difference" else f"{name}_"
        ends = [row.get(f"{prefix}{end}") for end in ("low", "high")]
        sign = "+" if signed else ""
        # Adding 0 to the rounded number takes the sign of a zero away.
        numbers = [round(float(v), digits) + 0.0 for v in (row[name], *ends) if not missing(v)]
        shown = [f"{number:{sign}.{digits}f}" for number in numbers]
        words = shown[0]
        if len(shown) == 3:  # on a line of its own, where the column is narrow
            words += " " + f"({shown[1]} to {shown[2]})".replace(" ", NO_BREAK)
        return words.replace("-", MINUS)

    return show


def percent(name: str) -> Callable[[Row], str]:
    """A share, such as ``12%``."""
    return lambda row: NONE if missing(row[name]) else f"{row[name]:.0%}"


def p_value(row: Row) -> str:
    """The p-value after Holm's correction."""
    p = row["p_holm"]
    return NONE if missing(p) else "< 0.001" if p < 0.001 else f"{p:.3f}"


def by_panel(
    table: pd.DataFrame, columns: Sequence[Column], folded: bool = False
) -> tuple[Table, ...]:
    """A table for each dataset, choice of test environments and algorithm; of many, folded ones.

    Where each of several has a single row, one table of all of them.
    """
    if table.empty:
        return ()
    single = not table.duplicated(list(GROUP)).any()
    if single and len(table) > 1:
        return (make("By dataset and test side", [("where", place), *columns], table, folded),)
    groups = list(table.groupby(list(GROUP), sort=False))
    folded = folded or len(groups) > MANY
    return tuple(make(group_name(*map(str, key)), columns, rows, folded) for key, rows in groups)
