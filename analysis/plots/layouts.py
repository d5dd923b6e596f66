"""How panels are laid out on a page: how many side by side, a table under each or one legend."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Generic, Protocol, TypeVar

from matplotlib.axes import Axes

from ..runs.panels import Panel
from .appearance import (
    COLUMN_WIDTH,
    PAGE_HEIGHT,
    TEXT_WIDTH,
    Legend,
    LegendAppearance,
    PanelAppearance,
)
from .legends import ENTRY, LINE
from .page import heading_room
from .style import Styles
from .texts import remarks_of_panels

TABLE_WIDTH = 2.8
"""Inches of a panel that has room for a table under it."""

MOST_ACROSS = 6
"""Panels side by side that a figure chooses by itself, at most."""

SHRUNK = 0.8
"""What axes shrink to before a page has more columns."""

NARROWEST = 1.6
"""Inches of a panel that a figure makes by itself, at least."""


class OfPanel(Protocol):
    """What a figure shows of one panel."""

    @property
    def panel(self) -> Panel:
        """The panel that is drawn."""


Shown = TypeVar("Shown", bound=OfPanel)


@dataclass(frozen=True)
class Alone:
    """A panel of which nothing else is known."""

    panel: Panel


@dataclass(frozen=True)
class Place(Generic[Shown]):
    """Where one panel is drawn.

    Attributes:
        axes: A stack, top first; all are off.
        table: Under them, off; None where one legend is for all panels.
        shown: What is drawn there.
        alike: All of the same dataset and choice of test environments, itself among them: they
            share their axes.
        lines: Lines of the table, its head among them.
        width: Inches of the panel, labels of its axes among them.
    """

    axes: Sequence[Axes]
    table: Axes | None
    shown: Shown
    alike: Sequence[Shown]
    lines: int
    width: float


@dataclass(frozen=True)
class Contents(Generic[Shown]):
    """What a page shows, whatever its layout.

    Attributes:
        found: One a panel.
        draw: Draws a panel.
        heights: From the lines of the table under a panel and the width of a panel, the heights of
            the axes over the table, top first; inches.
        heading: The lines over a panel.
        entries: How many entries the table under a panel has.
        styles: How optimizers look.
        caption: Under the whole figure.
        narrow: What it says besides, where panels are too narrow for notes beside their axes.
    """

    found: Sequence[Shown]
    draw: Callable[[Place[Shown]], None]
    heights: Callable[[int, float], Sequence[float]]
    styles: Styles
    heading: Callable[[Shown], Sequence[str]] = lambda one: one.panel.heading
    entries: Callable[[Shown], int] = lambda one: len(one.panel.counts)
    caption: str = ""
    narrow: str = ""


@dataclass(frozen=True)
class Row(Generic[Shown]):
    """Panels side by side, and inches: of the axes over each other, and of headings and tables."""

    shown: Sequence[Shown]
    heights: Sequence[float]
    lines: int
    fixed: float


@dataclass(frozen=True)
class Layout(Generic[Shown]):
    """Rows of panels on a page.

    Attributes:
        rows: Rows from the top.
        width: Inches of the page.
        panel: Inches across of a panel.
        columns: Panels side by side.
        legend: Where it is.
        wrap: Characters of a line over a panel.
        heading: The lines over a panel.
        caption: Under the whole page.
    """

    rows: Sequence[Row[Shown]]
    width: float
    panel: float
    columns: int
    legend: Legend
    wrap: int
    heading: Callable[[Shown], Sequence[str]]
    caption: str

    @property
    def natural(self) -> float:
        """The height of all axes in inches."""
        return sum(sum(row.heights) for row in self.rows)

    @property
    def fixed(self) -> float:
        """Inches that headings and tables take."""
        return sum(row.fixed for row in self.rows)

    @property
    def lowest(self) -> float:
        """Inches of height that it takes, its axes shrunk."""
        return SHRUNK * self.natural + self.fixed

    @property
    def narrowest(self) -> float:
        """Inches that a panel needs."""
        return TABLE_WIDTH if self.legend == "panel" else NARROWEST


def choose_layout(contents: Contents[Shown], look: PanelAppearance) -> Layout[Shown]:
    """A row per dataset and choice of test environments, a panel per algorithm.

    Where that is higher than a page, and where ``look`` says how many panels are side by side, they
    follow one another as words do.
    """
    found = contents.found
    rows = [list(row) for _, row in groupby(found, lambda one: one.panel.key[:2])]
    usual = max(map(len, rows))
    if look.columns is not None:
        return _layout(contents, look, min(look.columns, len(found)))
    layouts = [_layout(contents, look, usual, rows)]
    if isinstance(look, LegendAppearance) and look.legend is None:
        layouts.append(_layout(contents, replace(look, legend="below"), usual, rows))
    # Columns of an algorithm each are kept where they can be.
    more = sorted(range(usual + 1, MOST_ACROSS + 1), key=lambda n: (n % usual > 0, n))
    layouts += [_layout(contents, look, columns) for columns in more if columns <= len(found)]
    allowed = [one for one in layouts if one.panel >= one.narrowest] or layouts[:1]
    fitting = (one for one in allowed if one.lowest <= PAGE_HEIGHT)
    return next(fitting, min(allowed, key=lambda one: one.lowest))


def _layout(
    contents: Contents[Shown],
    look: PanelAppearance,
    columns: int,
    rows: Sequence[Sequence[Shown]] = (),
) -> Layout[Shown]:
    """The layout of these rows, or of the panels one after the other."""
    found = contents.found
    rows = rows or [found[i : i + columns] for i in range(0, len(found), columns)]
    legend = _legend(look, columns)
    width = look.width(_page_width(columns, legend))
    panel = (width - ENTRY * (legend == "right")) / columns
    wrap = int((panel - 0.6) * 16.5)
    brief = legend != "panel" and len(found) > 1 and not look.on_paper
    heading = _brief if brief else contents.heading
    made = []
    for row in rows:
        lines = 1 + max(map(contents.entries, row))
        fixed = max(heading_room(heading(one), wrap, look) for one in row)
        fixed += (lines + 1) * LINE * (legend == "panel")
        made.append(Row(row, contents.heights(lines, panel), lines, fixed))
    notes = [contents.caption, contents.narrow if panel < TABLE_WIDTH else ""]
    caption = " ".join(filter(None, [*notes, _left_out(contents) if brief else ""]))
    return Layout(made, width, panel, columns, legend, wrap, heading, caption)


def _legend(look: PanelAppearance, columns: int) -> Legend:
    if not isinstance(look, LegendAppearance):
        return "panel"
    if look.legend is not None:
        return look.legend
    wide = look.inches[0] / columns >= TABLE_WIDTH if look.inches else columns <= 2
    return "panel" if wide else "below"


def _page_width(columns: int, legend: Legend) -> float:
    """Inches: a column of a paper for one panel, a page for more; tables may need more than it."""
    if columns == 1:
        return COLUMN_WIDTH
    return TEXT_WIDTH * max(1.0, columns / 2) if legend == "panel" else TEXT_WIDTH


def _brief(one: OfPanel) -> tuple[str, ...]:
    """The heading of a panel among many: which it is, and how many runs of how many it shows."""
    total = int(one.panel.counts.to_numpy().sum())
    return one.panel.heading[0], f"n = {len(one.panel.runs):,} of {total:,}"


def _left_out(contents: Contents[Shown]) -> str:
    """What brief headings leave out."""
    headings = [contents.heading(one) for one in contents.found]
    return remarks_of_panels([(heading[0], heading[2:]) for heading in headings])
