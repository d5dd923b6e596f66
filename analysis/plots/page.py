"""What every figure is made of: a page of panels, headings, counts of runs, reference lines."""

import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.panels import STATUS_COLUMNS, Panel
from .style import COLUMN_WIDTH, GREY, TEXT_WIDTH, Look, marker_style

LARGE, SMALL = 8, 6.5
"""Points: the fonts of headings; of small titles and notes."""

LINE = 0.135
"""Inches that a line of a small table takes."""


def page_width(columns: int) -> float:
    """Inches: one column of a paper for one panel, a whole page for two, more for more."""
    return COLUMN_WIDTH if columns == 1 else TEXT_WIDTH * max(1.0, columns / 2)


def page(
    rows: Sequence[Sequence[Panel]],
    heights: Sequence[Sequence[float]],
    title: str | None = None,
    caption: str = "",
    room: float = 0.0,
) -> tuple[Figure, list[list[list[Axes]]]]:
    """An empty figure with a stack of axes for each panel; all axes are off.

    Args:
        rows: The panels of each row.
        heights: Of each row the heights of its stack, top first, in inches.
        title: Over the whole figure.
        caption: Under the whole figure.
        room: Inches besides, for headings.

    Returns:
        The figure, and the axes as ``[row][panel][place in the stack]``.
    """
    columns, parts = max(len(row) for row in rows), len(heights[0])
    ratios = [height for stack in heights for height in stack]
    width = page_width(columns)
    figure = new_figure(width, sum(ratios) + room, title, caption)
    grid = figure.subplots(len(ratios), columns, squeeze=False, height_ratios=ratios)
    for axes in grid.flat:
        axes.set_axis_off()
    stacks = [
        [list(grid[i * parts : (i + 1) * parts, j]) for j in range(len(row))]
        for i, row in enumerate(rows)
    ]
    return figure, stacks


def new_figure(width: float, height: float, title: str | None, caption: str = "") -> Figure:
    """An empty figure of this width and room (inches), besides what title and caption need."""
    note = textwrap.fill(caption, int(width * 18))
    lines = note.count("\n") + 1 if note else 0
    size = (width, height + 0.12 * lines + (0.3 if title else 0))
    figure = Figure(figsize=size, layout="constrained")
    if title:
        figure.suptitle(textwrap.fill(title, int(width * 15)), fontsize=9)
    if note:
        figure.supxlabel(note, fontsize=SMALL, color=GREY)
    return figure


def wrapped(lines: Sequence[str], most: int) -> str:
    """Lines of at most ``most`` characters; where a phrase fits, none is broken within it."""
    parts: list[str] = []
    for line in lines:
        start = len(parts)
        for phrase in re.split("(?<=[,;:]) ", line):
            if len(parts) > start and len(f"{parts[-1]} {phrase}") <= most:
                parts[-1] += f" {phrase}"
            else:
                parts += textwrap.wrap(phrase, most)
    return "\n".join(parts)


def headings_room(rows: Sequence[Sequence[Panel]]) -> float:
    """Inches that the headings of all rows take, a line or two wrapped."""
    return sum(0.14 * (1 + max(len(panel.heading) for panel in row)) for row in rows)


def set_heading(axes: Axes, heading: str) -> None:
    """A heading over its first axes, which it may be wider than."""
    # The layout would push neighbours away from a wide title. So it does not know of the heading,
    # and blank lines of a title make the room; the first of them takes less than a line.
    axes.annotate(
        heading,
        (0, 1),
        (0, 11),
        xycoords="axes fraction",
        textcoords="offset points",
        va="bottom",
        fontsize=LARGE,
        linespacing=1.25,
        annotation_clip=False,
    ).set_in_layout(False)
    blanks = [" "] * (heading.count("\n") + 2)
    axes.set_title("\n".join(blanks), pad=11, linespacing=1.25, fontsize=LARGE)


def draw_level(axes: Axes, level: float, name: str) -> None:
    """A dotted horizontal line, named outside the axes, where no point can hide it."""
    axes.axhline(level, color=GREY, linewidth=0.7, linestyle=":", zorder=1)
    low = level < sum(axes.get_ylim()) / 2
    axes.annotate(
        name,
        (1, level),
        (3, 0),
        xycoords=axes.get_yaxis_transform(),
        textcoords="offset points",
        ha="left",
        va="bottom" if low else "top",
        rotation=90,
        fontsize=SMALL,
        color=GREY,
        annotation_clip=False,
    )


def write_counts(axes: Axes, panel: Panel, styles: Mapping[str, Look], lines: int) -> None:
    """A small table that is the legend too: marker, optimizer, runs by status.

    Args:
        axes: Axes that are off, for the table alone.
        panel: The runs.
        styles: How its optimizers look.
        lines: Lines of the table that the axes have room for, its head among them.
    """
    shown = [s for s in STATUS_COLUMNS if s != "pending" or panel.counts["pending"].any()]
    right = np.linspace(0.98 - 0.16 * (len(shown) - 1), 0.98, len(shown))
    axes.set(xlim=(0, 1), ylim=(lines - 0.4, -0.6))
    grey: dict[str, Any] = {"va": "center", "fontsize": SMALL, "color": GREY}
    if not all(look.filled for look in styles.values()):
        axes.text(0.01, 0, "hollow: adaptive", ha="left", **grey)
    for x, status in zip(right, shown, strict=True):
        axes.text(x, 0, status, ha="right", **grey)
    for y, (optimizer, counts) in enumerate(panel.counts.iterrows(), start=1):
        look = styles[str(optimizer)]
        axes.scatter([0.03], [y], s=14, **marker_style(look, 1.0))
        axes.text(0.07, y, short(look.label), va="center", fontsize=7)
        for x, status in zip(right, shown, strict=True):
            axes.text(x, y, f"{counts[status]:,}", ha="right", va="center", fontsize=7)


def short(label: str, most: int = 22) -> str:
    """A label that fits, with an ellipsis where it was cut."""
    return label if len(label) <= most else label[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
