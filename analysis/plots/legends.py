"""The legend: a small table under a panel, or one list for all panels."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from ..runs.columns import STATUS_COLUMNS
from ..runs.panels import Panel
from .style import GREY, SMALL, Look, Styles, line_style, marker_style
from .texts import short

LINE = 0.135
"""Inches that a line of the table takes."""


def write_counts(axes: Axes, panel: Panel, styles: Styles, lines: int) -> None:
    """A small table of the runs by status; see ``write_table``."""
    shown = [s for s in STATUS_COLUMNS if s != "pending" or panel.counts["pending"].any()]
    right = np.linspace(0.98 - 0.16 * (len(shown) - 1), 0.98, len(shown))
    rows = {
        str(optimizer): [f"{counts[status]:,}" for status in shown]
        for optimizer, counts in panel.counts.iterrows()
    }
    write_table(axes, dict(zip(shown, right, strict=True)), rows, styles, lines)


def write_table(
    axes: Axes,
    heads: Mapping[str, float],
    rows: Mapping[str, Sequence[str]],
    styles: Styles,
    lines: int,
) -> None:
    """A small table that is the legend too: marker, optimizer, cells.

    Args:
        axes: For the table alone.
        heads: Column -> where it ends, across the axes.
        rows: Optimizer, or what else the row is of -> its cells.
        styles: How the optimizers look.
        lines: Lines of the table that the axes have room for, its head among them.
    """
    axes.set(xlim=(0, 1), ylim=(lines - 0.4, -0.6))
    grey: dict[str, Any] = {"va": "center", "fontsize": SMALL, "color": GREY}
    if not all(look.filled for look in styles.values()):
        axes.text(0.01, 0, "hollow: adaptive", ha="left", **grey)
    for head, x in heads.items():
        axes.text(x, 0, head, ha="right", **grey)
    for y, (name, cells) in enumerate(rows.items(), start=1):
        if name in styles:
            axes.scatter([0.03], [y], s=14, **marker_style(styles[name], 1.0))
        label = short(styles[name].label) if name in styles else name
        axes.text(0.07, y, label, va="center", fontsize=7)
        for x, cell in zip(heads.values(), cells, strict=True):
            axes.text(x, y, cell, ha="right", va="center", fontsize=7)


ENTRY = 1.7
"""Inches that an entry of a legend for all panels takes."""


def legend_room(found: Sequence[Panel], columns: int) -> float:
    """Inches of height that a legend for all panels takes."""
    return LINE * (2.5 + 1.15 * -(-len(_totals(found)) // columns))


def across(width: float) -> int:
    """How many entries fit side by side."""
    return max(1, int(width / ENTRY))


def write_legend(axes: Axes, found: Sequence[Panel], styles: Styles, columns: int) -> None:
    """One legend for all panels, with the runs of each optimizer that completed, of all.

    Args:
        axes: For the legend alone.
        found: The panels.
        styles: How the optimizers look.
        columns: Entries side by side; 1: the legend stands beside the panels.
    """
    axes.set_axis_off()
    apart = "\n" if columns == 1 else " "
    hollow = any(not styles[name].filled for name, _ in _totals(found))
    axes.legend(
        [
            Line2D([], [], **{**line_style(styles[name]), "linewidth": 0})
            for name, _ in _totals(found)
        ],
        [
            f"{short(styles[name].label, 16)} {completed:,} of {runs:,}"
            for name, (completed, runs) in _totals(found)
        ],
        title="completed, of all runs" + (f";{apart}hollow: adaptive" if hollow else ""),
        title_fontsize=SMALL,
        alignment="left",
        ncols=columns,
        loc="center left" if columns == 1 else "upper left",
        fontsize=SMALL,
        frameon=False,
        borderpad=0,
        borderaxespad=0.5,
        handlelength=1.2,
        columnspacing=1.2,
    )


def _marker(look: Look) -> Line2D:
    return Line2D([], [], **{**line_style(look), "linewidth": 0})


def _totals(found: Sequence[Panel]) -> list[tuple[str, tuple[int, int]]]:
    """Each optimizer's completed runs and all its runs, over the panels.

    A run is on the panels of all of its targets, and counts once.
    """
    shared = {(panel.dataset, panel.algorithm) for panel in found if panel.target}
    trainings: dict[tuple[str, ...], pd.DataFrame] = {}
    for panel in found:
        same = (panel.dataset, panel.algorithm)
        trainings.setdefault(same if same in shared else panel.key, panel.counts)
    counts = pd.concat([*trainings.values()]).groupby(level=0, sort=False).sum()
    return [(str(name), (int(row["completed"]), int(row.sum()))) for name, row in counts.iterrows()]
