"""What every figure begins with: an empty one of the right size, headings, reference lines."""

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ..runs.panels import Panel
from .appearance import TEXT_WIDTH, Appearance
from .files import Drawing
from .style import GREY, LARGE, SMALL
from .texts import wrapped

HEADING_LINE, NOTE_LINE = 0.14, 0.12
"""Inches that a line over a panel takes, and one under the figure."""


def new_figure(width: float, height: float, look: Appearance, caption: str = "") -> Drawing:
    """An empty figure.

    Args:
        width: Inches, unless ``look`` has a size. On paper at most a page's.
        height: Inches, besides what title and caption need.
        look: With the title; on paper that goes to the notes.
        caption: Under the figure; on paper in the notes.
    """
    width = look.width(min(width, TEXT_WIDTH) if look.on_paper else width)
    title, note = ("", "") if look.on_paper else (look.title, caption)
    room = texts_room(width, look, caption)
    figure = Drawing((width, look.inches[1] if look.inches else height + room), look)
    if look.on_paper:
        figure.notes += [text for text in (look.title, caption) if text]
    if title:
        figure.suptitle(textwrap.fill(title, int(width * 15)), fontsize=9)
    if note:
        figure.supxlabel(_filled(note, width), fontsize=SMALL, color=GREY)
    return figure


def texts_room(width: float, look: Appearance, caption: str) -> float:
    """Inches that title and caption take; on paper, none."""
    if look.on_paper:
        return 0.0
    lines = _filled(caption, width).count("\n") + 1 if caption else 0
    return NOTE_LINE * lines + (0.3 if look.title else 0.0)


def _filled(caption: str, width: float) -> str:
    return textwrap.fill(caption, int(width * 18))


def set_heading(axes: Axes, lines: Sequence[str], most: int) -> None:
    """A heading over its first axes, in lines of at most so many characters; it may be wider.

    On paper its first line stands there alone, and the others are among the notes.
    """
    figure = axes.get_figure()
    heading = wrapped(figure.over(lines) if isinstance(figure, Drawing) else lines, most)
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


def heading_room(lines: Sequence[str], most: int, look: Appearance) -> float:
    """Inches that a heading takes, in lines of at most so many characters."""
    return HEADING_LINE * (wrapped(look.over(lines), most).count("\n") + 2)


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
