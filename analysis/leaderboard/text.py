"""Cells of the leaderboard as sentences, for a terminal."""

from collections.abc import Collection, Mapping
from typing import Any

from ..report.cells import missing
from ..runs.names import pretty
from .board import ABSENT, REFERENCE, Leaderboard
from .words import difference_text, rank_text


def leaderboard_lines(board: Leaderboard, optimizers: Collection[str] = ()) -> list[str]:
    """Cells as sentences: the estimate, the verdict against the reference, and the rank.

    Args:
        board: The result of ``analysis.leaderboard``.
        optimizers: Only the cells of these, and the sentences on why they have none.
    """
    rows = board.cells.to_dict("records")
    mine = [row for row in rows if not optimizers or row["optimizer"] in optimizers]
    lines = [_line(row, board.reference) for row in mine]
    shown = [f"{pretty(name)} on " for name in optimizers]
    notes = [one for one in board.notes if not shown or one.startswith(tuple(shown))]
    return [*lines, *(f"no cell: {note}" for note in notes)]


def _line(row: Mapping[Any, Any], reference: str) -> str:
    value = f"{100 * row['ood']:.1f}"
    if not missing(row["ood_low"]):
        value += f" ({100 * row['ood_low']:.1f} to {100 * row['ood_high']:.1f})"
    place = f"{pretty(row['optimizer'])} with {pretty(row['algorithm'])} on {row['dataset']}"
    if row["verdict"] in (REFERENCE, ABSENT):
        return f"{place}: {value}%"
    rank = rank_text(row)
    against = f"against {pretty(reference)} {difference_text(row)}"
    return f"{place}: {value}%; {against}" + (f"; {rank}" if rank else "")
