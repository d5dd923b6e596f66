"""The small table under a panel, which is the legend too."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..runs.columns import STATUS_COLUMNS
from ..runs.panels import Panel
from .style import GREY, SMALL, Styles, marker_style
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
        lines: Of the table that the axes have room for, its head among them.
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
