"""Mean OOD accuracy in bins of ID accuracy, with intervals and counts."""

from collections.abc import Sequence
from functools import partial
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..curves.binning import FEWEST, Binned, binned_data
from .appearance import LegendAppearance, Legended
from .layouts import TABLE_WIDTH, Contents, Place
from .legends import LINE, write_counts
from .page import draw_chance, padded
from .panel_page import panel_page
from .style import GREY, SMALL, Palette, Styles, looks, marker_style, tidy
from .texts import short

Limits = tuple[tuple[float, float], tuple[float, float]]

_CAPTION = (
    "Points: mean OOD accuracy of the runs whose ID accuracy lies in a bin, side by side; "
    "a bin holds its lower edge. Bars: 95% t intervals over configurations; they describe the "
    f"search, not training seeds. Pale, without a bar: fewer than {FEWEST} configurations. "
    "Dashed: y = x."
)


def binned(
    pairs: pd.DataFrame,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    bins: int = 10,
    palette: Palette = "default",
    **look: Unpack[Legended],
) -> Figure:
    """Mean OOD accuracy in bins of ID accuracy, by optimizer.

    The "reliability diagram" of Naganuma et al. (2023), with every run in exactly one bin, counts
    and intervals. It describes the runs and judges nothing: bins are of measured ID accuracy, so
    that among runs of nearly equal accuracy the luck of the test examples decides the bin. A row of
    panels per dataset and choice of test environments, a panel per algorithm; under each the number
    of runs in each bin and of runs by status, where it is wide enough.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; with config_id where
            configurations were trained on several seeds.
        bins: Number of bins of equal width over [0, 1]; only those between the lowest and the
            highest that holds a run are shown.
        dataset, algorithm, palette: See ``analysis.scatter``.
        look: Fields of ``analysis.plots.appearance.LegendAppearance``.

    Raises:
        RequestError: No runs, a column is missing, ``bins < 1``, an ID accuracy beyond [0, 1], or a
            size that no such figure has.
        UnknownNameError: No such dataset, algorithm, palette or option.
    """
    appearance = LegendAppearance.of(look)
    found = binned_data(pairs, dataset, algorithm, bins=bins)
    styles = looks(pairs, palette)
    draw = partial(_draw_panel, styles=styles)
    return panel_page(
        Contents(found, draw, _heights, styles, caption=_CAPTION),
        appearance,
    )


def _heights(lines: int, width: float) -> tuple[float, ...]:
    """Heights of the axes and, on panels wide enough, of the numbers of runs under them."""
    return (2.1, lines * LINE) if width >= TABLE_WIDTH else (2.1,)


def _draw_panel(place: Place[Binned], styles: Styles) -> None:
    """The means, under each bin its runs, and the runs by status."""
    (axes, *below), data = place.axes, place.shown
    limits = _limits(place.alike)
    _draw(axes, data, limits, styles)
    for numbers in below:
        _write_numbers(numbers, data, limits, styles, place.lines)
    if place.table:
        write_counts(place.table, data.panel, styles, place.lines)


def _limits(alike: Sequence[Binned]) -> Limits:
    """One range of bins and one of OOD accuracies for the panels that are alike."""
    shown = [one for data in alike for bins in data.bins.values() for one in bins]
    if not shown:
        return (0.0, 1.0), (0.0, 1.0)
    ends = [x for one in shown for x in (one.ood.value, one.ood.low, one.ood.high)]
    seen = [*ends, *(data.panel.chance for data in alike if data.panel.chance is not None)]
    across = min(one.low for one in shown), max(one.high for one in shown)
    return across, padded([value for value in seen if np.isfinite(value)])


def _draw(axes: Axes, data: Binned, limits: Limits, styles: Styles) -> None:
    axes.set_axis_on()
    tidy(axes)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel="ID accuracy", ylabel="Mean OOD accuracy")
    width = float(data.edges[1])
    edges = [e for e in data.edges if limits[0][0] <= e <= limits[0][1]]
    axes.vlines(edges, *limits[1], color="#e6e6e6", linewidth=0.6, zorder=0)
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle="--", zorder=1)
    shown = [name for name in data.bins if data.bins[name]]
    for k, name in enumerate(shown):
        look, bins = styles[name], data.bins[name]
        x = np.array([one.middle for one in bins])
        x += width * 0.8 * ((k + 0.5) / len(shown) - 0.5)
        mean, low, high = np.array([(b.ood.value, b.ood.low, b.ood.high) for b in bins]).T
        axes.vlines(x, low, high, color=look.color, linewidth=1, zorder=2)
        enough = np.isfinite(low)
        style: dict[str, Any] = {"s": 13, "zorder": 3, "clip_on": False, "gid": f"means-{name}"}
        for chosen, alpha in ((enough, 1.0), (~enough, 0.4)):
            axes.scatter(x[chosen], mean[chosen], **style, **marker_style(look, alpha))
    draw_chance(axes, data.panel)


def _write_numbers(axes: Axes, data: Binned, limits: Limits, styles: Styles, lines: int) -> None:
    """Write under each bin how many runs of each optimizer it holds."""
    axes.set(xlim=limits[0], ylim=(lines - 0.4, -0.6))
    axes.text(limits[0][0], 0, "runs in each bin", va="center", fontsize=SMALL, color=GREY)
    beside = axes.get_yaxis_transform()
    for y, (name, bins) in enumerate(data.bins.items(), start=1):
        label = short(styles[name].label, 9)
        axes.text(-0.02, y, label, transform=beside, ha="right", va="center", fontsize=SMALL)
        for one in bins:
            axes.text(one.middle, y, f"{one.runs}", ha="center", va="center", fontsize=6)
