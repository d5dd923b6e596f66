"""A measurement or cost (x) against OOD accuracy (y): a point a run, with rank correlations."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..runs.panels import by_dataset
from ..runs.probed_runs import ProbedRuns, probed_data
from ..stats.rank_correlations import FEWEST, RESAMPLES, Correlation
from .page import (
    LINE,
    SMALL,
    draw_level,
    page,
    page_width,
    set_heading,
    short,
    wrapped,
)
from .scatter import point_size
from .style import GREY, Look, Palette, looks, marker_style, styled, tidy

WIDE = 30
"""A measurement whose largest value is so many times its smallest has a logarithmic axis."""
TURNS = 4
_CAPTION = (
    "rho: Spearman's rank correlation of the two, with its 95% bootstrap interval "
    f"({RESAMPLES:,} resamples of whole draws of hyperparameters; none for fewer than {FEWEST} "
    "runs). Within optimizers: the mean of their own, by runs. A correlation over all runs may be "
    "one between optimizers. Of what was measured along training a run has its median."
)


def probed(
    pairs: pd.DataFrame,
    probes: pd.DataFrame,
    *,
    measurement: str | None = None,
    dataset: str | None = None,
    algorithm: str | None = None,
    keep: str = "all",
    threshold: float | None = None,
    top: int | None = None,
    palette: Palette = "default",
    title: str | None = None,
) -> Figure:
    """A measurement of each probed run, or a cost of each run, against its OOD accuracy.

    A row of panels per dataset and choice of test environments, a panel per algorithm, and under
    each the rank correlations: over all runs, within optimizers, and each optimizer's own.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        probes: A row a run and step, as from ``oodbench.results.probed``.
        measurement: A column of ``probes``, such as ``sharpness_eigenvalue`` or ``path_gamma``; or
            a cost, a column of ``pairs``: ``seconds``, ``samples``, ``all_reduces``, ... (see
            ``analysis.runs.probed_runs.COSTS``).
        dataset: Draw only this one.
        algorithm: Draw only this one.
        keep: ``"all"``, ``"above"`` a threshold or the ``"top"`` few of each optimizer, by accuracy
            on ID validation examples; see ``analysis.runs.filters.keep_runs``.
        threshold: For ``"above"``; by default chance accuracy.
        top: For ``"top"``; by default 10.
        palette: ``"default"`` (safe for the colour-blind), ``"study"`` or optimizer -> colour.
        title: Over the whole figure.

    Raises:
        RequestError: None of the runs was probed, a column is missing, no measurement is named, or
            the options of ``keep`` do not fit it.
        UnknownNameError: No such measurement, dataset, algorithm, palette or ``keep``.
    """
    kept: dict[str, Any] = {"keep": keep, "threshold": threshold, "top": top}
    found = probed_data(pairs, probes, measurement, dataset, algorithm, **kept)
    data = {id(one.panel): one for one in found}
    rows = by_dataset([one.panel for one in found])
    styles = looks(pairs, palette)
    columns = max(map(len, rows))
    side = page_width(columns) / columns - 0.55
    lines = [3 + max(len(data[id(panel)].optimizers) for panel in row) for row in rows]
    with styled():
        heights = [(0.8 * side + 0.65, (n + 1) * LINE) for n in lines]
        figure, stacks = page(rows, heights, title, _CAPTION)
        for i, row in enumerate(rows):
            for (axes, table), panel in zip(stacks[i], row, strict=True):
                one = data[id(panel)]
                _draw(axes, one, styles)
                axes.set_xlabel(str(measurement))
                _write(table, one, styles, lines[i])
                set_heading(axes, wrapped(_heading(one), int(side * 17)))
    return figure


def _heading(one: ProbedRuns) -> tuple[str, ...]:
    counts = one.panel.counts.sum()
    lost = f"{counts['diverged']:,} diverged, {counts['failed']:,} failed"
    missing = f", {one.unmeasured:,} not measured" if one.unmeasured else ""
    first, _, *remarks = one.panel.heading
    return (first, f"{len(one.panel.runs):,} measured runs{missing}; {lost}", *remarks)


def _draw(axes: Axes, one: ProbedRuns, styles: Mapping[str, Look]) -> None:
    axes.set_axis_on()
    tidy(axes)
    axes.set_ylabel("OOD accuracy")
    values = one.panel.runs["measured"].to_numpy(dtype=float)
    size, alpha = point_size(len(values))
    for turn in range(TURNS):  # in turns, so that the last optimizer does not cover the others
        for optimizer in one.optimizers:
            points = one.panel.of(optimizer).iloc[turn::TURNS]
            axes.scatter(
                points["measured"],
                points["ood"],
                s=size,
                rasterized=len(values) > 2000,
                gid=f"runs-{optimizer}",
                **marker_style(styles[optimizer], alpha),
            )
    _set_scale(axes, values)
    if one.panel.chance is not None:
        draw_level(axes, one.panel.chance, f"chance {one.panel.chance:.3g}")


def _set_scale(axes: Axes, values: np.ndarray) -> None:
    """Logarithmic where values spread so; linear about 0 where some of those are not above it."""
    sizes = np.abs(values[values != 0])
    if len(sizes) < 2 or sizes.max() <= WIDE * sizes.min():
        return
    if (values > 0).all():
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=float(np.percentile(sizes, 10)), linscale=0.3)


def _write(axes: Axes, one: ProbedRuns, styles: Mapping[str, Look], lines: int) -> None:
    """The table of correlations, which is the legend too."""
    axes.set(xlim=(0, 1), ylim=(lines - 0.4, -0.6))
    grey: dict[str, Any] = {"va": "center", "fontsize": SMALL, "color": GREY}
    if not all(styles[name].filled for name in one.optimizers):
        axes.text(0.01, 0, "hollow: adaptive", ha="left", **grey)
    for x, head in ((0.585, "runs"), (0.7, "rho"), (0.98, "95% interval")):
        axes.text(x, 0, head, ha="right", **grey)
    rows = {"all": one.correlations.overall, "within optimizers": one.correlations.within}
    for y, (name, found) in enumerate([*rows.items(), *one.by_optimizer.items()], start=1):
        if name in styles:
            axes.scatter([0.03], [y], s=14, **marker_style(styles[name], 1.0))
        label = short(styles[name].label) if name in styles else name
        axes.text(0.07, y, label, va="center", fontsize=7)
        for x, text in zip((0.585, 0.7, 0.98), _cells(found), strict=True):
            axes.text(x, y, text, ha="right", va="center", fontsize=7)


def _cells(found: Correlation) -> tuple[str, str, str]:
    minus = "\N{MINUS SIGN}"
    n, *numbers = found.n, found.value, found.low, found.high
    value, low, high = (f"{number:.2f}".replace("-", minus) for number in numbers)
    if not np.isfinite(found.value):
        return f"{n:,}", "", ""
    return f"{n:,}", value, f"{low} to {high}" if np.isfinite(found.low) else ""
