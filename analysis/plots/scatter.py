"""ID against OOD accuracy: one point a run, one panel per dataset and algorithm."""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any, Unpack

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.errors import check_name
from oodbench.results.select import drawn, select

from ..runs.columns import BY, require
from ..runs.panels import Panel, panels
from .appearance import LegendAppearance, Legended, PanelAppearance
from .axes import axis_name, common_limits, placed, set_axes
from .layouts import TABLE_WIDTH, Alone, Contents, Place
from .legends import write_counts
from .page import draw_chance
from .panel_page import panel_page
from .style import GREY, SMALL, Palette, Styles, looks, marker_style, tidy
from .texts import scored_by, selecting

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
    axes: str = "accuracy",
    palette: Palette = "default",
    **look: Unpack[Legended],
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
        axes: ``accuracy``, ``logit`` or ``probit``: on which the accuracies stand. On the last two
            0 and 1 stand at (k + 1/2) / (n + 1), of n examples.
        palette: ``"default"`` (safe for the colour-blind), ``"study"`` or optimizer -> colour.
        look: Fields of ``analysis.plots.appearance.LegendAppearance``.

    Raises:
        RequestError: No runs, a column is missing, or a size that no such figure has.
        QueryError: No run has the score that the rule reads.
        UnknownNameError: No such dataset, algorithm, mark, rule, axes, palette or option.
    """
    require(pairs, ("id", "ood"))
    appearance = LegendAppearance.of(look)
    styles = looks(pairs, palette)
    marked: frozenset[str] = frozenset()
    if mark is not None:
        check_name("mark", mark, MARKS)
        marked = frozenset(select(drawn(pairs), rule=rule, by=BY)["run"])

    def draw(place: Place[Alone]) -> None:
        (plot,), panel = place.axes, place.shown.panel
        draw_points(plot, panel, styles)
        _draw_rings(plot, panel.runs[panel.runs["run"].isin(marked)])
        if place.table:
            write_counts(place.table, panel, styles, place.lines)

    found = panels(scored_by(pairs, metric), dataset, algorithm)
    caption = _RINGS.format(rule=selecting(rule)) if marked else ""
    return draw_panels(found, draw, styles, appearance, axes, caption)


def _draw_rings(axes: Axes, runs: pd.DataFrame) -> None:
    ring: dict[str, Any] = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.0}
    axes.scatter(runs["id"], runs["ood"], s=55, zorder=5, clip_on=False, gid="selected", **ring)


DrawPanel = Callable[[Place[Alone]], None]
"""Draws a panel's runs, and the table under them."""


def draw_panels(
    found: Sequence[Panel],
    draw: DrawPanel,
    styles: Styles,
    look: PanelAppearance,
    axis: str = "accuracy",
    caption: str = "",
) -> Figure:
    """A page of square ID/OOD axes with y = x and chance."""

    def draw_square(place: Place[Alone]) -> None:
        (axes,), panel = place.axes, place.shown.panel
        axes.set_axis_on()
        tidy(axes)
        limits = common_limits([one.panel for one in place.alike], axis)
        set_axes(axes, axis, limits, place.width - 0.8)
        names = (axis_name(f"{side} {panel.score}", axis) for side in ("ID", "OOD"))
        axes.set(**dict(zip(("xlabel", "ylabel"), names, strict=True)))
        draw(place)
        draw_references(axes, panel, named=place.width >= TABLE_WIDTH)

    shown = [Alone(placed(panel, axis)) for panel in found]
    contents = Contents(
        shown,
        draw_square,
        lambda _, width: (width - 0.45,),
        styles,
        caption=caption,
        narrow="Dashed: y = x; dotted: chance.",
    )
    return panel_page(contents, look)


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


def draw_references(axes: Axes, panel: Panel, named: bool = True) -> None:
    """y = x and chance; their names stand outside the axes, where no point can hide them."""
    note: dict[str, Any] = {"fontsize": SMALL, "color": GREY, "textcoords": "offset points"}
    note["annotation_clip"] = False
    ends: dict[str, Any] = {"transform": axes.transAxes, "color": GREY, "linewidth": 0.7}
    axes.plot([0, 1], [0, 1], linestyle="--", zorder=1, scalex=False, scaley=False, **ends)
    chance: dict[str, Any] = {"color": GREY, "linewidth": 0.7, "linestyle": ":", "zorder": 1}
    if panel.chance is not None:
        axes.axvline(panel.chance, **chance)
    if not named:
        if panel.chance is not None:
            axes.axhline(panel.chance, **chance)
        return
    axes.annotate("y = x", (1, 1), (2, 1), xycoords="axes fraction", ha="left", **note)
    draw_chance(axes, panel)
    if panel.chance is None:
        return
    middle = axes.transAxes.inverted().transform(axes.transData.transform((panel.chance, 0.5)))[0]
    side = "left" if middle < 0.5 else "right"
    above = {"xycoords": axes.get_xaxis_transform(), "ha": side, **note}
    axes.annotate(f"chance {panel.chance:.3g}", (panel.chance, 1), (0, 2), **above)
