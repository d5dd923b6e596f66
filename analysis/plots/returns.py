"""ID against OOD accuracy with the return curve of every optimizer, where its verdict is found."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.results.predictions import Predictions

from ..curves.return_curves import Key, return_curves
from ..curves.verdicts import NOT_DETERMINED, ReturnCurve
from ..runs.panels import panels
from .appearance import PanelAppearance, Paneled
from .layouts import Alone, Place
from .scatter import draw_panels, draw_points
from .style import Look, Palette, looks
from .verdict_table import write_verdicts

CAPTION = (
    "Lines: OOD accuracy as a smooth function of the ID accuracy that a run can be expected to "
    "have (measured twice, so that the luck of test examples is out), with pointwise 95% bands "
    "(bootstrap over configurations, and over test examples where predictions are known); drawn "
    "only where the verdict is found and where the runs are, from the 2nd to the 98th percentile "
    "of ID accuracy. Bend: how far the curve lies under a straight line, midway between the 5th "
    "and 95th percentiles (bars on the line), in points of OOD accuracy. n: runs in the curve; "
    "lost: diverged or failed; other: at chance, or left out."
)


def returns(
    pairs: pd.DataFrame,
    curves: Mapping[Key, ReturnCurve] | None = None,
    predictions: Sequence[Predictions] = (),
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    axes: str = "accuracy",
    palette: Palette = "default",
    **look: Unpack[Paneled],
) -> Figure:
    """The return curve of each optimizer, where its verdict is found.

    A row of panels per dataset and choice of test environments, a panel per algorithm. Under each
    panel stand, by optimizer, the verdict, the bend in points with its 95% interval, and how
    many runs are in the curve, diverged, failed, or were left out for another reason.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        curves: The result of ``analysis.return_curves``; without, they are fitted here.
        predictions: What the runs predicted (``oodbench.predictions``), for curves fitted here.
        dataset, algorithm, axes, palette: See ``analysis.scatter``.
        look: Fields of ``analysis.plots.appearance.PanelAppearance``.

    Raises:
        RequestError: No runs, a column is missing, or a size that no such figure has.
        UnknownNameError: No such dataset, algorithm, axes, palette or option.
    """
    appearance = PanelAppearance.of(look)
    shown = panels(pairs, dataset, algorithm)
    found = return_curves(pairs, predictions=predictions) if curves is None else curves
    styles = looks(pairs, palette)

    def draw(place: Place[Alone]) -> None:
        (plot,), panel = place.axes, place.shown.panel
        mine = {str(name): found[(*panel.key, str(name))] for name in panel.counts.index}
        draw_points(plot, panel, styles, zorder=2, faint=True)
        for optimizer, curve in mine.items():
            if curve.verdict != NOT_DETERMINED:
                draw_curve(plot, curve, styles[optimizer])
        if place.table:
            write_verdicts(place.table, mine, styles, place.lines, place.width)

    return draw_panels(shown, draw, styles, appearance, axes, CAPTION)


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
