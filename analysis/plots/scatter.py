"""ID against OOD accuracy: one point a run, one panel per dataset and algorithm."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.panels import STATUS_COLUMNS, Panel, panels
from analysis.plots.style import (
    COLUMN_WIDTH,
    GREY,
    TEXT_WIDTH,
    Look,
    Palette,
    looks,
    marker_style,
    styled,
    tidy,
)

_LINE = 0.135  # inches a line of the counts under a panel takes
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
    rows: dict[tuple[str, str], list[Panel]] = {}
    for panel in panels(pairs, dataset, algorithm):
        rows.setdefault((panel.dataset, panel.test_environments), []).append(panel)
    return ScatterData(
        tuple(tuple(row) for row in rows.values()),
        tuple(_limits(row) for row in rows.values()),
    )


def _limits(row: list[Panel]) -> tuple[float, float]:
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
            test_environments, algorithm, optimizer, status, id and ood (fractions).
        dataset: Draw only this one.
        algorithm: Draw only this one.
        palette: ``"default"`` (safe for the colour-blind), ``"study"`` or optimizer -> colour.
        title: Over the whole figure.

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such dataset, algorithm or palette.
    """
    data = scatter_data(pairs, dataset, algorithm)
    styles = looks(pairs, palette)
    columns = max(len(row) for row in data.rows)
    width = COLUMN_WIDTH if columns == 1 else TEXT_WIDTH * max(1.0, columns / 2)
    side = width / columns - 0.55
    table_lines = [1 + max(len(panel.counts) for panel in row) for row in data.rows]
    heights = [h for lines in table_lines for h in (side + 0.65, (lines + 1) * _LINE)]
    with styled():
        figure = Figure(figsize=(width, sum(heights) + (0.3 if title else 0)), layout="constrained")
        grid = figure.subplots(2 * len(data.rows), columns, squeeze=False, height_ratios=heights)
        if title:
            figure.suptitle("\n".join(textwrap.wrap(title, int(width * 15))), fontsize=9)
        for axes in grid.flat:
            axes.set_axis_off()
        for i, (row, limits) in enumerate(zip(data.rows, data.limits, strict=True)):
            for j, panel in enumerate(row):
                _draw(grid[2 * i, j], panel, limits, styles, int(side * 18))
                _write_counts(grid[2 * i + 1, j], panel, styles, table_lines[i])
    return figure


def _draw(
    axes: Axes, panel: Panel, limits: tuple[float, float], styles: Mapping[str, Look], wrap: int
) -> None:
    axes.set_axis_on()
    tidy(axes)
    crowd = len(panel.runs)
    size, alpha = (14.0, 0.75) if crowd <= 300 else (8.0, 0.5) if crowd <= 2000 else (4.0, 0.3)
    # Optimizers take turns, so that the last one does not cover the others.
    for turn, optimizer in product(range(_TURNS), map(str, panel.counts.index)):
        points = panel.of(optimizer).iloc[turn::_TURNS]
        axes.scatter(
            points["id"],
            points["ood"],
            s=size,
            rasterized=crowd > 2000,  # or a PDF of 20,000 points opens slowly
            clip_on=False,
            zorder=3,
            gid=f"runs-{optimizer}",
            **marker_style(styles[optimizer], alpha),
        )
    axes.set(xlim=limits, ylim=limits, aspect="equal", xlabel="ID accuracy", ylabel="OOD accuracy")
    _draw_references(axes, panel.chance)
    heading = [part for line in panel.heading for part in textwrap.wrap(line, wrap)]
    axes.set_title("\n".join(heading), pad=11, loc="left", linespacing=1.25)


def _draw_references(axes: Axes, chance: float | None) -> None:
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


def _write_counts(axes: Axes, panel: Panel, styles: Mapping[str, Look], lines: int) -> None:
    """A small table that is the legend too: marker, optimizer, runs by status."""
    shown = [s for s in STATUS_COLUMNS if s != "pending" or panel.counts["pending"].any()]
    right = np.linspace(0.98 - 0.17 * (len(shown) - 1), 0.98, len(shown))
    axes.set(xlim=(0, 1), ylim=(lines - 0.4, -0.6))
    grey: dict[str, Any] = {"va": "center", "fontsize": 6.5, "color": GREY}
    if not all(look.filled for look in styles.values()):
        axes.text(0.01, 0, "hollow: adaptive", ha="left", **grey)
    for x, status in zip(right, shown, strict=True):
        axes.text(x, 0, status, ha="right", **grey)
    for y, (optimizer, counts) in enumerate(panel.counts.iterrows(), start=1):
        look = styles[str(optimizer)]
        axes.scatter([0.03], [y], s=14, **marker_style(look, 1.0))
        axes.text(0.07, y, _short(look.label), va="center", fontsize=7)
        for x, status in zip(right, shown, strict=True):
            axes.text(x, y, f"{counts[status]:,}", ha="right", va="center", fontsize=7)


def _short(label: str, most: int = 20) -> str:
    return label if len(label) <= most else label[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
