"""ID against OOD accuracy with the return curve of every optimizer, where its verdict is found."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.results.predictions import Predictions

from ..curves.return_curves import Key, return_curves
from ..curves.verdicts import NOT_DETERMINED, ReturnCurve
from ..runs.panels import Panel, panels
from ..stats.intervals import Estimate
from .scatter import draw_panels, draw_points
from .style import GREY, SMALL, Look, Palette, Styles, looks, marker_style
from .texts import short

CAPTION = (
    "Lines: OOD accuracy as a smooth function of the ID accuracy that a run can be expected to "
    "have (measured twice, so that the luck of test examples is out), with pointwise 95% bands "
    "(bootstrap over configurations, and over test examples where predictions are known); drawn "
    "only where the verdict is found and where the runs are, from the 2nd to the 98th percentile "
    "of ID accuracy. Bend: how far the curve lies under a straight line, midway between the 5th "
    "and 95th percentiles (bars on the line), in points of OOD accuracy. n: runs in the curve; "
    "lost: diverged or failed; other: at chance, or left out."
)
COLUMNS = {"verdict": 0.13, "bend (95%)": 0.78, "n": 0.855, "lost": 0.925, "other": 1.0}
"""Where the columns of the table under a panel end (the first: begins), across the panel."""


def returns(
    pairs: pd.DataFrame,
    curves: Mapping[Key, ReturnCurve] | None = None,
    predictions: Sequence[Predictions] = (),
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    palette: Palette = "default",
    title: str | None = None,
) -> Figure:
    """The return curve of each optimizer, where its verdict is found.

    A row of panels per dataset and choice of test environments, a panel per algorithm. Under each
    panel stand, by optimizer, the verdict, the bend in points with its 95% interval, and how
    many runs are in the curve, diverged, failed, or were left out for another reason.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        curves: As from ``analysis.return_curves``; without, they are fitted here.
        predictions: What the runs predicted (``oodbench.predictions``), for curves fitted here.
        dataset, algorithm, palette, title: As for ``analysis.scatter``.

    Raises:
        RequestError: No runs, or a column is missing.
        UnknownNameError: No such dataset, algorithm or palette.
    """
    shown = panels(pairs, dataset, algorithm)
    found = return_curves(pairs, predictions=predictions) if curves is None else curves
    styles = looks(pairs, palette)

    def draw(axes: Axes, table: Axes, panel: Panel, lines: int) -> None:
        mine = {str(name): found[(*panel.key, str(name))] for name in panel.counts.index}
        draw_points(axes, panel, styles, zorder=2, faint=True)
        for optimizer, curve in mine.items():
            if curve.verdict != NOT_DETERMINED:
                draw_curve(axes, curve, styles[optimizer])
        write_verdicts(table, mine, styles, lines)

    return draw_panels(shown, draw, title, CAPTION)


def draw_curve(axes: Axes, curve: ReturnCurve, look: Look) -> None:
    """The curve with its band, where the runs are."""
    line: dict[str, Any] = {"color": look.color, "linewidth": 1.6, "zorder": 5}
    edge: dict[str, Any] = {"color": "white", "linewidth": 2.8, "zorder": 4}
    band: dict[str, Any] = {"color": look.color, "alpha": 0.18, "linewidth": 0, "zorder": 1}
    axes.fill_between(curve.grid, curve.low, curve.high, gid=f"band-{look.label}", **band)
    axes.plot(curve.grid, curve.fitted, **edge)
    axes.plot(curve.grid, curve.fitted, gid=f"curve-{look.label}", **line)
    ends = np.interp(curve.percentiles, curve.grid, curve.fitted)
    axes.plot(curve.percentiles, ends, marker="|", linestyle="", markersize=6, **line)


def write_verdicts(
    axes: Axes, curves: Mapping[str, ReturnCurve], styles: Styles, lines: int
) -> None:
    """A small table that is the legend too; it begins under the labels of the y axis."""
    axes.set(xlim=(0, 1), ylim=(lines - 0.4, -0.6))
    cell: dict[str, Any] = {"va": "center", "fontsize": SMALL}
    for name, x in COLUMNS.items():
        axes.text(x, 0, name, ha="left" if name == "verdict" else "right", color=GREY, **cell)
    hollow = any(not styles[optimizer].filled for optimizer in curves)
    # It begins left of the markers: only of texts does the layout know how far out they are.
    axes.text(-0.15, 0, "hollow: adaptive" if hollow else "optimizer", color=GREY, **cell)
    for y, (optimizer, curve) in enumerate(curves.items(), start=1):
        look, found = styles[optimizer], curve.verdict != NOT_DETERMINED
        axes.scatter([-0.125], [y], s=12, clip_on=False, **marker_style(look, 1.0))
        axes.text(-0.095, y, short(look.label, 12), **cell)
        axes.text(0.13, y, curve.verdict, color="black" if found else GREY, **cell)
        lost = sum(curve.left_out.get(why, 0) for why in ("diverged", "failed"))
        counts = (curve.n, lost, sum(curve.left_out.values()) - lost)
        texts = (in_points(curve.bend), *(f"{count:,}" for count in counts))
        for x, text in zip(list(COLUMNS.values())[1:], texts, strict=True):
            axes.text(x, y, text, ha="right", **cell)


def in_points(estimate: Estimate) -> str:
    """The estimate and its 95% interval in points, short."""
    if not np.isfinite(estimate.low):
        return "no curve"
    values = [100 * v for v in (estimate.value, estimate.low, estimate.high)]
    digits = 1 if max(map(abs, values)) < 9.95 else 0
    parts = [f"{value:.{digits}f}" for value in values]
    return "{} ({}, {})".format(*parts).replace("-", "\N{MINUS SIGN}")
