"""What a sweep leaves to look at: figures, ``summary.md``, warnings."""

from pathlib import Path
from typing import TYPE_CHECKING

from oodbench.results import Database, pairs, searched
from oodbench.results.select import select
from oodbench.sweep.search import EDGE, at_edge

if TYPE_CHECKING:
    import pandas as pd


def write_digest(db: Database, sweep: str, folder: Path) -> "pd.DataFrame":
    """Write scatter and box plots of each dataset, and ``summary.md``.

    Returns:
        ``analysis.optimizer_table`` of the sweep.
    """
    from oodbench import analysis

    frame = pairs(db, sweep=sweep)
    figures = []
    for dataset in frame["dataset"].unique():
        for kind, draw in (("scatter", analysis.scatter), ("box", analysis.box)):
            path = folder / f"{kind}-{dataset}.png"
            figures.append(analysis.save(draw(frame, dataset=dataset), path).name)
    notes = edge_warnings(db, sweep)
    if notes:
        notes.append("Of values drawn at random, one in ten lies in those outer parts by chance.")
    text = analysis.summary_markdown(frame, title=sweep, notes=notes, figures=figures)
    (folder / "summary.md").write_text(text, encoding="utf-8")
    return analysis.optimizer_table(frame)


def edge_warnings(db: Database, sweep: str) -> list[str]:
    """One sentence for each study whose selected run has a value at the edge of its search range.

    Of values drawn at random one in ten lies there by chance.
    """
    runs = pairs(db, sweep=sweep)
    if runs["id_val"].isna().all():  # a dataset without ID validation examples: none is selected
        return []
    best = select(runs).dropna(subset=["run"])
    spaces = searched(db, sweep, best["run"].tolist())
    warnings = []
    for row in best.to_dict("records"):
        values = {str(name): value for name, value in row.items()}
        edges = at_edge(spaces[values["run"]], values)
        if edges:
            tested = row["test_environments"]
            place = f"{row['dataset']}{f' (test environments {tested})' if tested else ''}"
            warnings.append(
                f"{place}, {row['algorithm']}, {row['optimizer']}: the selected run has "
                f"{', '.join(edges)}, in the outer {EDGE:.0%} of the search range; a better value "
                "may lie beyond."
            )
    return warnings
