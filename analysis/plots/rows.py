"""The page that box plots and violins share: a row a panel, columns ID, OOD and their gap."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.distributions import SCORES, Box, boxes
from ..runs.panels import Panel
from .appearance import TEXT_WIDTH, Appearance
from .page import heading_room, new_figure, padded, set_heading, texts_room
from .style import GREY, SMALL, Look, Styles, marker_style, styled, tidy
from .texts import count_texts, short

_WRAP = 85
"""Characters of a line over a panel."""

DrawOne = Callable[[Axes, Box, int, Look], None]
"""Draws one box, or what stands for it, at a height."""


def draw_rows(
    found: Sequence[Panel],
    styles: Styles,
    draw_one: DrawOne,
    caption: str,
    look: Appearance,
    *,
    close: bool = False,
) -> Figure:
    """A figure with a row of three axes a panel; beside each optimizer its numbers of runs.

    Args:
        found, styles: The panels, and how optimizers look.
        draw_one: Draws one box.
        caption: Under the whole figure.
        look: How it looks.
        close: Each axis spans its own runs only. Otherwise ID and OOD share one range that holds
            chance, so that the two columns can be compared by eye; the best few of each optimizer
            would be specks in it.
    """
    rows = [0.29 * len(one.counts) for one in found]
    headings = [0.45 + heading_room(one.heading, _WRAP, look) for one in found]
    fixed = sum(headings) + texts_room(look.width(TEXT_WIDTH), look, caption)
    stretch = look.stretch(sum(rows), fixed)
    heights = [stretch * row + heading for row, heading in zip(rows, headings, strict=True)]
    with styled():
        figure = new_figure(TEXT_WIDTH, sum(heights), look, caption)
        grid = figure.subplots(
            len(found), len(SCORES), squeeze=False, sharey="row", height_ratios=heights
        )
        for line, panel in zip(grid, found, strict=True):
            places = {str(name): y for y, name in enumerate(panel.counts.index)}
            for axes, score in zip(line, SCORES, strict=True):
                tidy(axes)
                for one in boxes(panel, score):
                    draw_one(axes, one, places[one.optimizer], styles[one.optimizer])
                _draw_reference(axes, panel, score, close)
            _label_optimizers(line[0], panel, styles)
            set_heading(line[0], panel.heading, _WRAP)
    return figure


def draw_dots(axes: Axes, dots: Sequence[float], one: Box, y: int, look: Look) -> None:
    """Runs as dots; a fixed zigzag keeps equal scores apart, the same in every rendering."""
    offsets = 0.18 * np.sin(2.4 * np.arange(len(dots)))
    axes.scatter(
        dots, y + offsets, s=6, zorder=3, gid=f"runs-{one.optimizer}", **marker_style(look, 0.6)
    )


def _draw_reference(axes: Axes, panel: Panel, score: str, close: bool) -> None:
    """Chance, or no gap, where it lies in the range."""
    reference = 0.0 if score == "gap" else panel.chance
    low, high = _limits(panel, score, None if close else reference, shared=not close)
    axes.set(xlabel=SCORES[score].replace("accuracy", panel.score), xlim=(low, high))
    if reference is None or not low <= reference <= high:
        return
    axes.axvline(reference, color=GREY, linewidth=0.7, linestyle=":", zorder=0)
    axes.annotate(
        "no gap" if score == "gap" else f"chance {reference:.3g}",
        (reference, 1),
        (0, 2),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        ha="center",
        fontsize=SMALL,
        color=GREY,
        annotation_clip=False,
    )


def _limits(panel: Panel, score: str, reference: float | None, shared: bool) -> tuple[float, float]:
    scores = ["id", "ood"] if shared and score != "gap" else [score]
    values = panel.runs[scores].to_numpy(dtype=float).ravel()
    if not values.size:
        return (-1.0, 1.0) if score == "gap" else (0.0, 1.0)
    return padded(values if reference is None else np.append(values, reference))


def _label_optimizers(axes: Axes, panel: Panel, styles: Styles) -> None:
    labels = []
    for optimizer, counts in panel.counts.iterrows():
        kept, completed = len(panel.of(str(optimizer))), counts["completed"]
        numbers = count_texts(counts)
        if kept != completed:
            numbers[0] = f"{kept:,} of {completed:,}"
        labels.append(f"{short(styles[str(optimizer)].label, 28)}\n{', '.join(numbers)}")
    axes.set_yticks(range(len(labels)), labels, fontsize=SMALL)
    axes.set_ylim(len(labels) - 0.5, -0.5)
