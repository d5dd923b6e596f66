"""ID against OOD accuracy: one point a run, one panel per dataset and algorithm."""

from collections.abc import Callable, Sequence
from itertools import groupby, product
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.errors import check_name
from oodbench.results.select import drawn, select

from ..runs.columns import BY, require
from ..runs.panels import Panel, panels
from .legends import LINE, write_counts
from .page import draw_chance, padded, page, page_width, set_heading
from .style import GREY, SMALL, Palette, Styles, looks, marker_style, styled, tidy
from .texts import scored_by, selecting, wrapped

_TURNS = 4

MARKS = ("selected",)

_RINGS = "Ringed: the run that {rule} selects among all runs of an optimizer."


def scatter(
    pairs: pd.DataFrame,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    metric: str = "accuracy",
    mark: str | None = None,
    rule: str = "id_val",
    palette: Palette = "default",
    title: str | None = None,
) -> Figure:
    """ID accuracy (x) against OOD accuracy (y) of every completed run.

    A row of panels per dataset and choice of test environments, a panel per algorithm. Under each
    panel stand the numbers of runs that completed, diverged and failed, by optimizer.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        dataset: Draw only this one.
        algorithm: Draw only this one.
        metric: Which scores the runs have, such as ``worst_group_accuracy``.
        mark: ``selected``: a ring around the run that the rule selects of each optimizer's.
        rule: How that run is selected, such as ``id_val``; ``oracle`` looks at the test
            environments.
        palette: ``"default"`` (safe for the colour-blind), ``"study"`` or optimizer -> colour.
        title: Over the whole figure.

    Raises:
        RequestError: No runs, or a column is missing.
        QueryError: No run has the score that the rule reads.
        UnknownNameError: No such dataset, algorithm, mark, rule or palette.
    """
    require(pairs, ("id", "ood"))
    styles = looks(pairs, palette)
    marked: frozenset[str] = frozenset()
    if mark is not None:
        check_name("mark", mark, MARKS)
        marked = frozenset(select(drawn(pairs), rule=rule, by=BY)["run"])

    def draw(axes: Axes, table: Axes, panel: Panel, lines: int) -> None:
        draw_points(axes, panel, styles)
        _draw_rings(axes, panel.runs[panel.runs["run"].isin(marked)])
        write_counts(table, panel, styles, lines)

    caption = _RINGS.format(rule=selecting(rule)) if marked else ""
    return draw_panels(panels(scored_by(pairs, metric), dataset, algorithm), draw, title, caption)


def _draw_rings(axes: Axes, runs: pd.DataFrame) -> None:
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.0}
    axes.scatter(runs["id"], runs["ood"], s=55, zorder=5, clip_on=False, gid="selected", **ring)


DrawPanel = Callable[[Axes, Axes, Panel, int], None]
"""Draws a panel's runs, and in the axes under them a table of so many lines."""


def draw_panels(
    found: Sequence[Panel], draw: DrawPanel, title: str | None, caption: str = ""
) -> Figure:
    """A page of square ID/OOD axes with y = x and chance, a small table under each."""
    rows = [list(row) for _, row in groupby(found, lambda panel: panel.key[:2])]
    columns = max(map(len, rows))
    side = page_width(columns) / columns - 0.55
    lines = [1 + max(len(panel.counts) for panel in row) for row in rows]
    wrap = int(side * 17)
    longest = [max(wrapped(p.heading, wrap).count("\n") for p in row) for row in rows]
    with styled():
        heights = [
            (side + 0.65 + LINE * max(0, more - 2), (n + 1) * LINE)
            for n, more in zip(lines, longest, strict=True)
        ]
        figure, stacks = page(rows, heights, title, caption)
        for row, n, stack in zip(rows, lines, stacks, strict=True):
            limits = _limits(row)
            for (axes, table), panel in zip(stack, row, strict=True):
                axes.set_axis_on()
                tidy(axes)
                axes.set(xlim=limits, ylim=limits, aspect="equal")
                axes.set(xlabel=f"ID {panel.score}", ylabel=f"OOD {panel.score}")
                draw(axes, table, panel, n)
                draw_references(axes, panel)
                set_heading(axes, panel.heading, wrap)
    return figure


def _limits(row: Sequence[Panel]) -> tuple[float, float]:
    """One range for both axes, so that y = x is the diagonal of every panel of the row."""
    seen = [panel.runs[["id", "ood"]].to_numpy(dtype=float).ravel() for panel in row]
    if not any(values.size for values in seen):
        return 0.0, 1.0
    return padded(np.concatenate([*seen, [p.chance for p in row if p.chance is not None]]))


def draw_points(
    axes: Axes,
    panel: Panel,
    styles: Styles,
    *,
    x: str = "id",
    zorder: int = 3,
    faint: bool = False,
) -> None:
    """Every completed run, a column ``x`` against OOD accuracy; ``faint`` where under others."""
    crowd = len(panel.runs)
    size, alpha = (14.0, 0.75) if crowd <= 300 else (8.0, 0.5) if crowd <= 2000 else (4.0, 0.3)
    # Optimizers take turns, so that the last one does not cover the others.
    for turn, optimizer in product(range(_TURNS), map(str, panel.counts.index)):
        points = panel.of(optimizer).iloc[turn::_TURNS]
        axes.scatter(
            points[x],
            points["ood"],
            s=size / 2 if faint else size,
            rasterized=crowd > 2000,  # or a PDF of 20,000 points opens slowly
            clip_on=False,
            zorder=zorder,
            gid=f"runs-{optimizer}",
            **marker_style(styles[optimizer], alpha / 2 if faint else alpha),
        )


def draw_references(axes: Axes, panel: Panel) -> None:
    """y = x and chance; their names stand outside the axes, where no point can hide them."""
    note: dict[str, Any] = {"fontsize": SMALL, "color": GREY, "textcoords": "offset points"}
    note["annotation_clip"] = False
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle="--", zorder=1)
    axes.annotate("y = x", (1, 1), (2, 1), xycoords="axes fraction", ha="left", **note)
    draw_chance(axes, panel)
    if panel.chance is None:
        return
    axes.axvline(panel.chance, color=GREY, linewidth=0.7, linestyle=":", zorder=1)
    side = "left" if panel.chance < sum(axes.get_xlim()) / 2 else "right"
    above = {"xycoords": axes.get_xaxis_transform(), "ha": side, **note}
    axes.annotate(f"chance {panel.chance:.3g}", (panel.chance, 1), (0, 2), **above)
