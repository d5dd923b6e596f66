"""The geometry of optimization paths: RSI, EB, gamma beside its null, the implied learning rate."""

from collections.abc import Sequence
from functools import partial
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ..runs.learning_curves import FEWEST, Curve
from ..runs.path_curves import LEFT_OUT, NULL, QUANTITIES, WINDOWS, Paths, path_data
from .appearance import LegendAppearance, Legended
from .layouts import Contents, Place
from .legends import write_counts
from .panel_page import panel_page
from .style import GREY, Palette, Styles, looks, tidy

_HEIGHTS = (1.0, 1.0, 1.9, 1.0)
BANDS = 3
"""More optimizers than these have no bands: they would hide one another."""
_CAPTION = (
    f"Medians over an optimizer's probed runs, each first in {WINDOWS} windows of steps, {{what}}. "
    f"Bands, of up to {BANDS} optimizers: quartiles (none for fewer than {FEWEST} runs). best lr: "
    "RSI / EB\N{SUPERSCRIPT TWO}. {null}On logarithmic axes values below 0 have no place. The last "
    f"{LEFT_OUT:.0%} of the steps are not drawn."
)
_NULL = (
    "Dashed: gamma of the same optimizer on noise; only above it do gradients say more than that "
    "the end point lies where they led. "
)
_ENDS = {"own": "its own end point", "seed": "where another training seed ends"}


def paths(
    pairs: pd.DataFrame,
    probes: pd.DataFrame,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    end: str = "own",
    full: bool = False,
    palette: Palette = "default",
    **look: Unpack[Legended],
) -> Figure:
    """RSI, EB, gamma and RSI / EB^2 along training, of probed runs.

    A row of panels per dataset and choice of test environments, a panel per algorithm, and under
    each the probed runs by status.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        probes: A row a run and step, as from ``oodbench.results.probed``: run, step, path_rsi, ...
        end: Towards which end point: ``own``, ``seed``, or enough of the id of a run.
        full: The path with the gradients over the whole training set.
        dataset, algorithm, palette: See ``analysis.scatter``.
        look: Fields of ``analysis.plots.appearance.LegendAppearance``.

    Raises:
        RequestError: None of the runs was probed, a column is missing, or a size that no such
            figure has.
        UnknownNameError: No such dataset, algorithm, palette or option.
    """
    appearance = LegendAppearance.of(look)
    found = path_data(pairs, probes, dataset, algorithm, end=end, full=full)
    caption = _CAPTION.format(
        what=f"towards {_ENDS.get(end, f'the end of run {end}')}"
        + ", of gradients over the whole training set" * full,
        null=_NULL * any(NULL in one.curves for one in found),
    )
    styles = looks(pairs, palette)
    draw = partial(_draw_panel, styles=styles)
    contents = Contents(found, draw, lambda *_: _HEIGHTS, styles, _heading, caption=caption)
    return panel_page(contents, appearance)


def _heading(one: Paths) -> tuple[str, ...]:
    return one.panel.heading[0], f"{one.probed:,} probed runs"


def _draw_panel(place: Place[Paths], styles: Styles) -> None:
    plots, one = place.axes, place.shown
    for axes, name in zip(plots, QUANTITIES, strict=True):
        _draw(axes, one, name, styles)
        axes.tick_params(labelbottom=axes is plots[-1])
    plots[-1].set_xlabel("training step")
    if place.table:
        write_counts(place.table, one.panel, styles, place.lines)


def _draw(axes: Axes, one: Paths, name: str, styles: Styles) -> None:
    axes.set_axis_on()
    tidy(axes)
    axes.set_ylabel(QUANTITIES[name])
    for curve in one.curves[name]:
        low, middle, high = curve.quartiles.T
        color = styles[curve.optimizer].color
        if len(one.curves[name]) <= BANDS:
            axes.fill_between(curve.steps, low, high, color=color, alpha=0.12, linewidth=0)
        axes.plot(curve.steps, middle, color=color, linewidth=1.1, gid=f"{name}-{curve.optimizer}")
    if name == "gamma":
        for curve in one.curves.get(NULL, ()):
            color, gid = styles[curve.optimizer].color, f"null-{curve.optimizer}"
            middle = curve.quartiles[:, 1]
            axes.plot(curve.steps, middle, color=color, linewidth=0.9, linestyle="--", gid=gid)
    if name == "gamma" or not _mostly_positive(one.curves[name]):
        axes.axhline(0, color=GREY, linewidth=0.6)
    else:
        axes.set_yscale("log", nonpositive="mask")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _mostly_positive(curves: Sequence[Curve]) -> bool:
    """Whether most values are positive, as a logarithmic axis needs."""
    return bool(np.median(np.concatenate([curve.quartiles[:, 1] for curve in curves])) > 0)
