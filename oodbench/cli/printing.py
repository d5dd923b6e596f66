"""Tables on a terminal: DataFrames, and others without importing pandas."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import pandas as pd

HEADINGS = {"test_environments": "test", "n_candidates": "of runs"}
SCORES = ("id", "ood", "ID acc.", "OOD acc.")
PROSE = 24
"""Characters from which a text of several words may wrap."""
WIDE = 10_000
"""Columns of what is no terminal: nothing wraps there."""


def plain(text: object) -> str:
    """Text without what a terminal would obey: control characters are shown as escapes."""
    return "".join(c if c in "\n\t" or c.isprintable() else repr(c)[1:-1] for c in str(text))


def texts(column: "pd.Series[Any]") -> list[str]:
    """Cells: short numbers, nothing for what is missing."""
    known = column.dropna()
    if column.dtype.kind != "f":
        form = "{}"
    elif column.name in SCORES or str(column.name).startswith("ood["):
        form = "{:.3f}"
    else:
        form = "{:.0f}" if (known % 1 == 0).all() or (known.abs() >= 1e4).any() else "{:.4g}"
    missing = column.isna()
    return [
        "" if lacking else plain(form.format(value))
        for value, lacking in zip(column, missing, strict=True)
    ]


class Shown(NamedTuple):
    """A column as it is printed.

    Attributes:
        name: Name of the column; see ``headed``.
        cells: Values of the column.
        right: Whether they are numbers, which stand at the right.
    """

    name: str
    cells: list[str]
    right: bool = False


def shown(frame: "pd.DataFrame") -> list[Shown]:
    """The columns of a DataFrame."""
    return [Shown(str(name), texts(frame[name]), frame[name].dtype.kind in "if") for name in frame]


def shown_rows(rows: Sequence[Mapping[str, str | int]]) -> list[Shown]:
    """The columns of rows that all have the same ones, in the order of the first."""
    return [
        Shown(name, [plain(row[name]) for row in rows], isinstance(value, int))
        for row in rows[:1]
        for name, value in row.items()
    ]


def show(frame: "pd.DataFrame") -> None:
    """Print a DataFrame, as ``show_columns`` does."""
    show_columns([] if frame.empty else shown(frame))


def show_columns(columns: Sequence[Shown]) -> None:
    """Print a table.

    On a terminal only prose wraps. Columns that do not fit go, the last one first, and are named;
    elsewhere lines are as long as needed.
    """
    console = stdout()
    console.print(fitting(columns, console) if columns else "nothing to show")


def fitting(columns: Sequence[Shown], console: Console) -> Group:
    """The table with as many columns as fit, and a line that names the columns left out."""
    fit = len(columns)
    while True:
        for narrow in (False, True):
            table = table_of(columns[:fit], narrow=narrow)
            if fit == 1 or least_width(table) <= console.width:
                left_out = [headed(column.name) for column in columns[fit:]]
                note = f"Too wide for here: {', '.join(left_out)}."
                return Group(table, *([Text(note)] if left_out else []))
        fit -= 1


def least_width(table: Table) -> int:
    """Columns of the terminal that a table takes at least."""
    return Console(width=WIDE, emoji=False, markup=False).measure(table).minimum


def show_one(row: "pd.Series[Any]") -> None:
    """Print a row, a line for each of its values."""
    table = Table.grid(padding=(0, 2))
    for name, value in row.items():
        table.add_row(Text(f"{name}:"), Text(plain(value or "none")))
    stdout().print(table)


def stdout() -> Console:
    """A console as wide as the terminal; where there is none, lines do not wrap."""
    width = None if sys.stdout.isatty() else WIDE
    return Console(width=width, highlight=False, markup=False, emoji=False)


def headed(name: object) -> str:
    """How a column is headed."""
    return plain(HEADINGS.get(str(name), str(name).removesuffix("_")))


def table_of(columns: Sequence[Shown], narrow: bool) -> Table:
    """The columns as a table; nothing in it wraps but prose."""
    padding = 0 if narrow else 1
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, padding), pad_edge=False)
    prose = [any(len(cell) > PROSE and " " in cell for cell in c.cells) for c in columns]
    for (name, cells, right), wraps in zip(columns, prose, strict=True):
        table.add_column(
            headed(name),
            justify="right" if right else "left",
            no_wrap=not wraps,
            min_width=PROSE if wraps else None,
            width=None if wraps else max(map(cell_len, [headed(name), *cells])),
        )
    filled = [column.cells for column in columns]
    lines = any(prose) or any("\n" in cell for column in filled for cell in column)
    if not lines and filled[0]:  # a cell for each column takes a fraction of the time
        filled = [["\n".join(column)] for column in filled]
    for row in zip(*filled, strict=True):
        table.add_row(*map(Text, row))
    return table


def seed_intervals(table: "pd.DataFrame") -> "pd.DataFrame":
    """``analysis.confirmation_table`` with each mean and its interval in one cell."""
    cells = {
        score: [
            ""
            if mean != mean
            else f"{mean:.3f}" + ("" if low != low else f" ({low:.3f}-{high:.3f})")
            for mean, low, high in zip(
                table[score], table[f"{score}_low"], table[f"{score}_high"], strict=True
            )
        ]
        for score in ("id", "ood")
    }
    names = ["dataset", "test_environments", "algorithm", "optimizer", "completed", "diverged"]
    return table[[*names, "failed"]].assign(**cells)


def show_profile(seconds: dict[str, float]) -> None:
    """Print where the workers' time went: ``oodbench.workers.executors.local.seconds_by_phase``."""
    import pandas as pd

    total = seconds.get("all", 0.0)
    if not total:
        print("no worker was started, so there is nothing to profile")
        return
    rows = {phase: spent for phase, spent in seconds.items() if phase != "all"}
    rows["everything else"] = total - sum(rows.values())
    ordered = sorted(rows.items(), key=lambda item: -item[1])
    table = [(phase, f"{spent:.1f}", f"{spent / total:.1%}") for phase, spent in ordered]
    print(f"\nWhere the workers' {total:.1f} s went:")
    show(pd.DataFrame(table, columns=["phase", "seconds", "share"]))


def show_results(table: "pd.DataFrame") -> None:
    """Print ``analysis.optimizer_table``: one row a study, its runs and its selected run.

    There is a table for each dataset and its test environments, so that it fits 80 columns.
    """
    from oodbench.analysis import tested_on

    print(
        "Of each study the run with the highest ID validation accuracy (rule: id_val),\n"
        "at its last checkpoint: its accuracy on ID and on OOD test examples, n of them."
    )
    columns = ["algorithm", "optimizer", "completed", "diverged", "failed"]
    scores = {"id": "ID acc.", "n_id": "n", "ood": "OOD acc.", "n_ood": "n_"}
    for (dataset, test), rows in table.groupby(["dataset", "test_environments"], sort=False):
        print(plain(f"\n{dataset}, {tested_on(str(test))}"))
        show(rows[[*columns, *scores]].rename(columns=scores))
