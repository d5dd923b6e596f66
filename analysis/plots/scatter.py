"""ID against OOD accuracy: one point a run, one panel per dataset and algorithm."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.panels import Panel, by_dataset, panels
from .page import LINE, page, page_width, set_heading, wrapped, write_counts
from .style import GREY, Look, Palette, looks, marker_style, styled, tidy

_TURNS = 4


@dataclass(frozen=True)
class ScatterData:
    """What a scatter figure shows.

    Attributes:
        rows: The panels of each row: one dataset and choice of test environments a row, one
            algorithm a panel.
        limits: Of each row, on both axes: wide enough for every point and for chance.
    """

    rows: tuple[tuple[Panel, ...], ...]
    limits: tuple[tuple[float, float], ...]


def scatter_data(
    pairs: pd.DataFrame, dataset: str | None = None, algorithm: str | None = None
) -> ScatterData:
    """The points, counts and limits of ``scatter``; see there for arguments and errors."""
    rows = by_dataset(panels(pairs, dataset, algorithm))
    return ScatterData(rows, tuple(_limits(row) for row in rows))


def _limits(row: Sequence[Panel]) -> tuple[float, float]:
    """One range for both axes, so that y = x is the diagonal of every panel of the row."""
    seen = [panel.runs[["id", "ood"]].to_numpy(dtype=float).ravel() for panel in row]
    if not any(values.size for values in seen):
        return 0.0, 1.0
    values = np.concatenate([*seen, [p.chance for p in row if p.chance is not None]])
    low, high = float(values.min()), float(values.max())
    margin = max(0.05 * (high - low), 0.02)
    return low - margin, high + margin


def scatter(
    pairs: pd.DataFrame,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    palette: Palette = "default",
    title: str | None = None,
) -> Figure:
    """ID accuracy (x) against OOD accuracy (y) of every completed run.

    A row of panels per dataset and choice of test environments, a panel per algorithm. Under each
    panel stand the numbers of runs that completed, diverged and failed, by optimizer.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; needs run, dataset,
            test_environments, algorithm, optimizer, status, id and ood (fractions); scored_by: what
            these are, if not accuracy.
        dataset: Draw only this one.
        algorithm: Draw only this one.
        palette: ``"default"`` (safe for the colour-blind), ``"study"`` or optimizer -> colour.
        title: Over the whole figure.

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such dataset, algorithm or palette.
    """
    styles = looks(pairs, palette)

    def draw(axes: Axes, table: Axes, panel: Panel, lines: int) -> None:
        draw_points(axes, panel, styles)
        write_counts(table, panel, styles, lines)

    return draw_panels(scatter_data(pairs, dataset, algorithm), draw, title)


DrawPanel = Callable[[Axes, Axes, Panel, int], None]
"""Draws a panel's runs, and in the axes under them a table of so many lines."""


def draw_panels(data: ScatterData, draw: DrawPanel, title: str | None, caption: str = "") -> Figure:
    """A page of square ID/OOD axes with y = x and chance, a small table under each.

    Args:
        data: The panels and the range of their axes.
        draw: Draws what is in them.
        title: Over the whole figure.
        caption: Under it.
    """
    columns = max(len(row) for row in data.rows)
    side = page_width(columns) / columns - 0.55
    lines = [1 + max(len(panel.counts) for panel in row) for row in data.rows]
    headings = {id(p): wrapped(p.heading, int(side * 17)) for row in data.rows for p in row}
    longest = [max(headings[id(p)].count("\n") for p in row) for row in data.rows]
    with styled():
        heights = [
            (side + 0.65 + LINE * max(0, more - 2), (n + 1) * LINE)
            for n, more in zip(lines, longest, strict=True)
        ]
        figure, stacks = page(data.rows, heights, title, caption)
        for i, (row, limits) in enumerate(zip(data.rows, data.limits, strict=True)):
            for (axes, table), panel in zip(stacks[i], row, strict=True):
                axes.set_axis_on()
                tidy(axes)
                axes.set(xlim=limits, ylim=limits, aspect="equal")
                axes.set(xlabel=f"ID {panel.score}", ylabel=f"OOD {panel.score}")
                draw(axes, table, panel, lines[i])
                draw_references(axes, panel.chance)
                set_heading(axes, headings[id(panel)])
    return figure


def draw_points(axes: Axes, panel: Panel, styles: Mapping[str, Look], faint: bool = False) -> None:
    """Every completed run; ``faint`` where something else is to be seen over them."""
    crowd = len(panel.runs)
    size, alpha = point_size(crowd)
    # Optimizers take turns, so that the last one does not cover the others.
    for turn, optimizer in product(range(_TURNS), map(str, panel.counts.index)):
        points = panel.of(optimizer).iloc[turn::_TURNS]
        axes.scatter(
            points["id"],
            points["ood"],
            s=size / 2 if faint else size,
            rasterized=crowd > 2000,  # or a PDF of 20,000 points opens slowly
            clip_on=False,
            zorder=2 if faint else 3,
            gid=f"runs-{optimizer}",
            **marker_style(styles[optimizer], alpha / 2 if faint else alpha),
        )


def point_size(crowd: int) -> tuple[float, float]:
    """Size and opacity of each of so many points."""
    return (14.0, 0.75) if crowd <= 300 else (8.0, 0.5) if crowd <= 2000 else (4.0, 0.3)


def draw_references(axes: Axes, chance: float | None) -> None:
    """y = x and chance; their names stand outside the axes, where no point can hide them."""
    note: dict[str, Any] = {"fontsize": 6.5, "color": GREY, "textcoords": "offset points"}
    note["annotation_clip"] = False
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle="--", zorder=1)
    axes.annotate("y = x", (1, 1), (2, 1), xycoords="axes fraction", ha="left", **note)
    if chance is None:
        return
    for draw in (axes.axhline, axes.axvline):
        draw(chance, color=GREY, linewidth=0.7, linestyle=":", zorder=1)
    name = f"chance {chance:.3g}"
    across, up = axes.get_yaxis_transform(), axes.get_xaxis_transform()
    low = chance < sum(axes.get_ylim()) / 2
    side = {"va": "bottom" if low else "top", "rotation": 90, **note}
    axes.annotate(name, (1, chance), (3, 0), xycoords=across, ha="left", **side)
    axes.annotate(name, (chance, 1), (0, 2), xycoords=up, ha="left" if low else "right", **note)
