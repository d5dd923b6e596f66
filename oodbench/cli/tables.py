"""DataFrames on a terminal."""

import sys
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import pandas as pd


def text_of(value: Any) -> str:
    """A cell: short numbers, nothing for what is missing."""
    if value is None or value != value:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def show(frame: "pd.DataFrame") -> None:
    """Print a DataFrame; wide cells wrap on a terminal, elsewhere lines are as long as needed."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in frame.columns:
        numeric = frame[name].dtype.kind in "if"
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    previous: dict[str, str] = {}
    for row in frame.to_dict("records"):
        table.add_row(*(text_of(row[name]) for name in frame.columns))
        previous = {str(k): str(v) for k, v in row.items()}
    width = None if sys.stdout.isatty() else 10_000
    console = Console(width=width, soft_wrap=False)
    console.print(table if previous else "nothing to show")


def show_results(table: "pd.DataFrame") -> None:
    """Print ``analysis.optimizer_table``: one row a study, its runs and its selected run."""

    def score(row: Any, name: str) -> str:
        if row[name] != row[name]:
            return ""
        return f"{row[name]:.3f} (n={int(row[f'n_{name}'])})"

    rows = table.copy()
    rows["test env."] = rows["test_environments"]
    for name in ("id", "ood"):
        rows[f"{name.upper()} acc."] = [score(row, name) for _, row in table.iterrows()]
    columns = ["dataset", "test env.", "algorithm", "optimizer", "completed", "diverged", "failed"]
    print(
        "The run with the highest ID validation accuracy of each study, at its last checkpoint; "
        "its accuracy\non ID and OOD test examples, n of them (rule: id_val)."
    )
    show(rows[[*columns, "ID acc.", "OOD acc."]])
