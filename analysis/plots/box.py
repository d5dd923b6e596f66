"""Box plots of ID accuracy, OOD accuracy and their gap, by optimizer."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.panels import STATUS_COLUMNS, Panel, panels
from analysis.plots.style import (
    GREY,
    TEXT_WIDTH,
    Look,
    Palette,
    looks,
    marker_style,
    styled,
    tidy,
)

SCORES = {"id": "ID accuracy", "ood": "OOD accuracy", "gap": "Gap: ID \N{MINUS SIGN} OOD"}
FEWEST = 5
"""Fewer runs than this are shown as dots without a box: they have no quartiles to speak of."""

MOST_DOTS = 60
"""Boxes of more runs than this show outliers only, not every run."""

_CAPTION = (
    "Boxes: quartiles and median over runs (hyperparameters); whiskers: the farthest runs within "
    f"1.5 interquartile ranges; no box for fewer than {FEWEST} runs. Dots: every run, or the "
    f"outliers only where there are over {MOST_DOTS}."
)


@dataclass(frozen=True)
class Box:
    """One box: the values of one score of one optimizer's completed runs, and their summary.

    Attributes:
        optimizer: Its name.
        values: In the order of the runs.
        quartiles: First quartile, median, third quartile; linear interpolation.
        whiskers: The farthest values within 1.5 interquartile ranges of the box.
    """

    optimizer: str
    values: tuple[float, ...]
    quartiles: tuple[float, float, float]
    whiskers: tuple[float, float]

    @property
    def outliers(self) -> tuple[float, ...]:
        """The values beyond the whiskers."""
        return tuple(v for v in self.values if not self.whiskers[0] <= v <= self.whiskers[1])


@dataclass(frozen=True)
class BoxRow:
    """One panel's boxes: score (``id``, ``ood``, ``gap``) -> a box per optimizer with runs."""

    panel: Panel
    boxes: Mapping[str, tuple[Box, ...]]


def box_data(
    pairs: pd.DataFrame, dataset: str | None = None, algorithm: str | None = None
) -> tuple[BoxRow, ...]:
    """The numbers of ``box``; see there for arguments and errors."""
    return tuple(
        BoxRow(panel, {score: _boxes(panel, score) for score in SCORES})
        for panel in panels(pairs, dataset, algorithm)
    )


def _boxes(panel: Panel, score: str) -> tuple[Box, ...]:
    made = []
    for optimizer in panel.counts.index:
        values = panel.of(optimizer)[score].to_numpy(dtype=float)
        if values.size:
            low, middle, high = (float(q) for q in np.percentile(values, [25, 50, 75]))
            reach = 1.5 * (high - low)
            # A box edge may lie between two runs, so no run need lie between it and its whisker.
            bottom = min(low, float(values[values >= low - reach].min()))
            top = max(high, float(values[values <= high + reach].max()))
            made.append(Box(optimizer, tuple(values.tolist()), (low, middle, high), (bottom, top)))
    return tuple(made)


def box(
    pairs: pd.DataFrame,
    *,
    dataset: str | None = None,
    algorithm: str | None = None,
    palette: Palette = "default",
    title: str | None = None,
) -> Figure:
    """Box plots over the completed runs of each optimizer.

    A row of panels per dataset, choice of test environments and algorithm; columns: ID accuracy,
    OOD accuracy and the gap ID - OOD. Beside each optimizer stand its numbers of runs by status.

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
    rows = box_data(pairs, dataset, algorithm)
    styles = looks(pairs, palette)
    heights = [0.85 + 0.29 * len(row.panel.counts) for row in rows]
    size = (TEXT_WIDTH, sum(heights) + 0.3 + (0.3 if title else 0))
    with styled():
        figure = Figure(figsize=size, layout="constrained")
        if title:
            figure.suptitle("\n".join(textwrap.wrap(title, 100)), fontsize=9)
        figure.supxlabel("\n".join(textwrap.wrap(_CAPTION, 125)), fontsize=6.5, color=GREY)
        grid = figure.subplots(
            len(rows), len(SCORES), squeeze=False, sharey="row", height_ratios=heights
        )
        for line, row in zip(grid, rows, strict=True):
            for axes, score in zip(line, SCORES, strict=True):
                _draw(axes, row, score, styles)
            _label_optimizers(line[0], row.panel, styles)
            heading = [part for text in row.panel.heading for part in textwrap.wrap(text, 85)]
            line[0].set_title("\n".join(heading), pad=11, loc="left", linespacing=1.25)
    return figure


def _draw(axes: Axes, row: BoxRow, score: str, styles: Mapping[str, Look]) -> None:
    tidy(axes)
    places = {str(name): y for y, name in enumerate(row.panel.counts.index)}
    for one in row.boxes[score]:
        _draw_box(axes, one, places[one.optimizer], styles[one.optimizer])
    reference = 0.0 if score == "gap" else row.panel.chance
    if reference is not None:
        axes.axvline(reference, color=GREY, linewidth=0.7, linestyle=":", zorder=0)
        name = "no gap" if score == "gap" else f"chance {reference:.3g}"
        axes.annotate(
            name,
            (reference, 1),
            (0, 2),
            xycoords=axes.get_xaxis_transform(),
            textcoords="offset points",
            ha="center",
            fontsize=6.5,
            color=GREY,
            annotation_clip=False,
        )
    axes.set(xlabel=SCORES[score], xlim=_limits(row.panel, score))


def _limits(panel: Panel, score: str) -> tuple[float, float]:
    """ID and OOD share one range, so that the two columns can be compared by eye."""
    values = panel.runs[["gap"] if score == "gap" else ["id", "ood"]].to_numpy(dtype=float).ravel()
    if not values.size:
        return (-1.0, 1.0) if score == "gap" else (0.0, 1.0)
    reference = 0.0 if score == "gap" else panel.chance
    seen = values if reference is None else np.append(values, reference)
    margin = max(0.05 * float(np.ptp(seen)), 0.02)
    return float(seen.min()) - margin, float(seen.max()) + margin


def _draw_box(axes: Axes, one: Box, y: int, look: Look) -> None:
    (low, middle, high), (bottom, top) = one.quartiles, one.whiskers
    if len(one.values) >= FEWEST:
        axes.barh(y, high - low, 0.55, left=low, color=look.color, alpha=0.25)
        axes.hlines([y, y], [bottom, high], [low, top], color=look.color, linewidth=0.9)
        axes.vlines([bottom, top], y - 0.15, y + 0.15, color=look.color, linewidth=0.9)
        axes.vlines(middle, y - 0.275, y + 0.275, color="black", linewidth=1.2)
    dots = one.values if len(one.values) <= MOST_DOTS else one.outliers
    # A fixed zigzag keeps equal scores apart and is the same in every rendering.
    offsets = 0.18 * np.sin(2.4 * np.arange(len(dots)))
    axes.scatter(
        dots, y + offsets, s=6, zorder=3, gid=f"runs-{one.optimizer}", **marker_style(look, 0.6)
    )


def _label_optimizers(axes: Axes, panel: Panel, styles: Mapping[str, Look]) -> None:
    labels = []
    for optimizer, counts in panel.counts.iterrows():
        shown = [s for s in STATUS_COLUMNS if s == "completed" or counts[s]]
        numbers = [f"{counts[s]:,} {s}" for s in shown]
        labels.append(f"{styles[str(optimizer)].label}\n{', '.join(numbers)}")
    axes.set_yticks(range(len(labels)), labels, fontsize=6.5)
    axes.set_ylim(len(labels) - 0.5, -0.5)
