"""Mean OOD accuracy in bins of ID accuracy, with intervals and counts."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..curves.binning import FEWEST, Binned, binned_data
from ..runs.panels import by_dataset
from .page import (
    LINE,
    draw_level,
    headings_room,
    page,
    page_width,
    set_heading,
    short,
    wrapped,
    write_counts,
)
from .style import GREY, Look, Palette, looks, marker_style, styled, tidy

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
    title: str | None = None,
) -> Figure:
    """Mean OOD accuracy of the completed runs in each bin of ID accuracy, by optimizer.

    The "reliability diagram" of Naganuma et al. (2023), with every run in exactly one bin, counts
    and intervals. A row of panels per dataset and choice of test environments, a panel per
    algorithm; under each the number of runs in each bin and of runs by status.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; needs run, dataset,
            test_environments, algorithm, optimizer, status, id and ood (fractions); config_id
            where configurations were trained on several seeds.
        dataset: Draw only this one.
        algorithm: Draw only this one.
        bins: Number of bins of equal width over [0, 1]; only those between the lowest and the
            highest that holds a run are shown.
        palette: ``"default"`` (safe for the colour-blind), ``"study"`` or optimizer -> colour.
        title: Over the whole figure.

    Raises:
        RequestError: No runs, a column is missing, ``bins < 1`` or an ID accuracy beyond [0, 1].
        UnknownNameError: No such dataset, algorithm or palette.
    """
    data = {id(one.panel): one for one in binned_data(pairs, dataset, algorithm, bins=bins)}
    rows = by_dataset([one.panel for one in data.values()])
    styles = looks(pairs, palette)
    columns = max(len(row) for row in rows)
    width = page_width(columns) / columns
    lines = [1 + max(len(panel.counts) for panel in row) for row in rows]
    with styled():
        heights = [(2.1, n * LINE, (n + 1) * LINE) for n in lines]
        figure, stacks = page(rows, heights, title, _CAPTION, headings_room(rows))
        for i, row in enumerate(rows):
            limits = _limits([data[id(panel)] for panel in row])
            for (axes, numbers, table), panel in zip(stacks[i], row, strict=True):
                _draw(axes, data[id(panel)], limits, styles)
                set_heading(axes, wrapped(panel.heading, int((width - 0.6) * 16.5)))
                _write_numbers(numbers, data[id(panel)], limits, styles, lines[i])
                write_counts(table, panel, styles, lines[i])
    return figure


Limits = tuple[tuple[float, float], tuple[float, float]]


def _limits(row: list[Binned]) -> Limits:
    """One range of bins and one of OOD accuracies for the panels of a row."""
    shown = [one for data in row for bins in data.bins.values() for one in bins]
    if not shown:
        return (0.0, 1.0), (0.0, 1.0)
    ends = [x for one in shown for x in (one.ood.value, one.ood.low, one.ood.high)]
    seen = [*ends, *(data.panel.chance for data in row if data.panel.chance is not None)]
    low, high = float(np.nanmin(seen)), float(np.nanmax(seen))
    margin = max(0.05 * (high - low), 0.02)
    across = min(one.low for one in shown), max(one.high for one in shown)
    return across, (low - margin, high + margin)


def _draw(axes: Axes, data: Binned, limits: Limits, styles: Mapping[str, Look]) -> None:
    axes.set_axis_on()
    tidy(axes)
    axes.set(xlim=limits[0], ylim=limits[1], xlabel="ID accuracy", ylabel="Mean OOD accuracy")
    width = float(data.edges[1])
    edges = [e for e in data.edges if limits[0][0] <= e <= limits[0][1]]
    axes.vlines(edges, *limits[1], color="#e6e6e6", linewidth=0.6, zorder=0)
    axes.axline((0, 0), slope=1, color=GREY, linewidth=0.7, linestyle="--", zorder=1)
    optimizers = [name for name in data.bins if data.bins[name]]
    for k, name in enumerate(optimizers):
        look, bins = styles[name], data.bins[name]
        x = np.array([one.middle for one in bins])
        x += width * 0.8 * ((k + 0.5) / len(optimizers) - 0.5)
        mean, low, high = np.array([(b.ood.value, b.ood.low, b.ood.high) for b in bins]).T
        axes.vlines(x, low, high, color=look.color, linewidth=1, zorder=2)
        enough = np.isfinite(low)
        for chosen, alpha in ((enough, 1.0), (~enough, 0.4)):
            style: dict[str, Any] = {"s": 13, "zorder": 3, "clip_on": False}
            style |= {"gid": f"means-{name}", **marker_style(look, alpha)}
            axes.scatter(x[chosen], mean[chosen], **style)
    if data.panel.chance is not None:
        draw_level(axes, data.panel.chance, f"chance {data.panel.chance:.3g}")


def _write_numbers(
    axes: Axes, data: Binned, limits: Limits, styles: Mapping[str, Look], lines: int
) -> None:
    """Under each bin how many runs of each optimizer it holds."""
    axes.set(xlim=limits[0], ylim=(lines - 0.4, -0.6))
    axes.text(limits[0][0], 0, "runs in each bin", va="center", fontsize=6.5, color=GREY)
    beside = axes.get_yaxis_transform()
    for y, (name, bins) in enumerate(data.bins.items(), start=1):
        label = short(styles[name].label, 9)
        axes.text(-0.02, y, label, transform=beside, ha="right", va="center", fontsize=6.5)
        for one in bins:
            axes.text(one.middle, y, f"{one.runs}", ha="center", va="center", fontsize=6)
