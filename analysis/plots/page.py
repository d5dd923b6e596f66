"""What every figure is made of: a page of panels, headings, reference lines."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.panels import Panel
from .files import Drawing
from .legends import LINE
from .style import COLUMN_WIDTH, GREY, LARGE, SMALL, TEXT_WIDTH, styled
from .texts import wrapped


class OfPanel(Protocol):
    """What a figure shows of one panel."""

    @property
    def panel(self) -> Panel:
        """The panel."""


Shown = TypeVar("Shown", bound=OfPanel)


@dataclass(frozen=True)
class Place(Generic[Shown]):
    """Where one panel is drawn.

    Attributes:
        axes: A stack, top first; all are off.
        shown: What is drawn there.
        row: What is drawn side by side, itself among it.
        lines: Of the small table at the foot of the stack, its head among them.
        wrap: Characters of a line of its heading.
    """

    axes: Sequence[Axes]
    shown: Shown
    row: Sequence[Shown]
    lines: int
    wrap: int


def panel_page(
    found: Sequence[Shown],
    entries: Callable[[Shown], int],
    heights: Callable[[int, float], Sequence[float]],
    draw: Callable[[Place[Shown]], None],
    title: str | None,
    caption: str,
) -> Figure:
    """A page with a row per dataset and choice of test environments, a panel per algorithm.

    Args:
        found: What is shown, one a panel.
        entries: How many entries the small table under a panel has.
        heights: From the lines of that table and the width of a panel, the heights of the axes
            over the table, top first; inches.
        draw: Draws a panel.
        title, caption: Over and under the whole figure.
    """
    rows = [list(row) for _, row in groupby(found, lambda one: one.panel.key[:2])]
    panels = [[one.panel for one in row] for row in rows]
    columns = max(map(len, panels))
    width = page_width(columns) / columns
    lines = [1 + max(map(entries, row)) for row in rows]
    stack_heights = [(*heights(n, width), (n + 1) * LINE) for n in lines]
    with styled():
        figure, stacks = page(panels, stack_heights, title, caption, headings_room(panels))
        for row, n, stack in zip(rows, lines, stacks, strict=True):
            for one, axes in zip(row, stack, strict=True):
                draw(Place(axes, one, row, n, int((width - 0.6) * 16.5)))
    return figure


def optimizers(one: OfPanel) -> int:
    """How many optimizers a panel has: the entries of a table of runs by status."""
    return len(one.panel.counts)


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
        title, caption: Over and under the whole figure.
        room: Inches besides, for headings.

    Returns:
        The figure, and the axes as ``[row][panel][place in the stack]``.
    """
    columns, parts = max(map(len, rows)), len(heights[0])
    ratios = [height for stack in heights for height in stack]
    figure = new_figure(page_width(columns), sum(ratios) + room, title, caption)
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
    figure = Drawing(figsize=size, layout="constrained")
    if title:
        figure.suptitle(textwrap.fill(title, int(width * 15)), fontsize=9)
    if note:
        figure.supxlabel(note, fontsize=SMALL, color=GREY)
    return figure


def headings_room(rows: Sequence[Sequence[Panel]]) -> float:
    """Inches that the headings of all rows take, a line or two wrapped."""
    return sum(0.14 * (1 + max(len(panel.heading) for panel in row)) for row in rows)


def set_heading(axes: Axes, lines: Sequence[str], most: int) -> None:
    """A heading over its first axes, in lines of at most so many characters; it may be wider."""
    heading = wrapped(lines, most)
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


def padded(values: Any) -> tuple[float, float]:
    """The range of an axis that holds the values, and some margin."""
    low, high = float(np.min(values)), float(np.max(values))
    margin = max(0.05 * (high - low), 0.02)
    return low - margin, high + margin


def draw_chance(axes: Axes, panel: Panel) -> None:
    """Chance, where it is known: a dotted line, named outside the axes, where no point hides it."""
    if panel.chance is None:
        return
    axes.axhline(panel.chance, color=GREY, linewidth=0.7, linestyle=":", zorder=1)
    low = panel.chance < sum(axes.get_ylim()) / 2
    axes.annotate(
        f"chance {panel.chance:.3g}",
        (1, panel.chance),
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
