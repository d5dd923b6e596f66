"""Budget curves: what each number of trials buys, ID and OOD."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from oodbench.errors import RequestError, check_name
from oodbench.results.predictions import Predictions

from ..compare.comparison import UNITS, Unit
from ..compare.expected_best import budget_table
from ..runs.resampling import Resampling
from ..runs.searches import Searches, searches
from ..runs.trials import SCORES
from ..stats.best_of import INDEPENDENT, RESAMPLES
from .appearance import TEXT_WIDTH, Appearance, Appearing
from .legends import LINE
from .page import draw_chance, heading_room, new_figure, set_heading, texts_room
from .style import SMALL, Palette, Styles, line_style, looks, styled, tidy
from .texts import count_texts, covered, selecting, short

_NAMES = {"id": "ID accuracy", "ood": "OOD accuracy"}
_AXES = {
    "trials": "trials of a search",
    "gradient_evaluations": "gradient evaluations of a search",
    "seconds": "seconds of training of a search",
}
_COLUMN = {"trials": "n", "gradient_evaluations": "gradient_evaluations", "seconds": "seconds"}

_SIDE = 2.1
"""Inches of height of the axes."""

_WRAP = 100
"""Characters of a line over a panel."""

_CAPTION = (
    "Lines: expected accuracy of the run that {rule} selects of n trials. Bands: 95% t intervals, "
    "{covers}; dashed, without one, where the trials hold fewer than {independent} independent "
    "searches of n. Diverged and failed trials are spent: never selected while another was drawn; "
    "a search without a model scores 0."
)


def budget(
    pairs: pd.DataFrame,
    predictions: Sequence[Predictions] = (),
    *,
    rule: str = "id_val",
    unit: Unit = "trials",
    dataset: str | None = None,
    algorithm: str | None = None,
    palette: Palette = "default",
    resamples: int = RESAMPLES,
    seed: int = 0,
    **look: Unpack[Appearing],
) -> Figure:
    """Expected accuracy of the selected one of n trials, against n.

    A row of ID and OOD accuracy per dataset, choice of test environments and algorithm, and under
    it the runs by status. The numbers are those of ``analysis.expected_best``; runs of adaptive
    searches are left out.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; see ``runs.searches``.
        predictions: What the runs predicted (``oodbench.predictions``): with them, the bands cover
            the test examples, too.
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        unit: Unit of the budget: ``trials``, ``gradient_evaluations`` or ``seconds`` of training.
        dataset, algorithm, palette: See ``analysis.scatter``.
        resamples: Resamples of the bootstrap behind the bands.
        seed: Decides the resamples.
        look: Fields of ``analysis.plots.appearance.Appearance``.

    Raises:
        RequestError: No runs, a column is missing, all runs are of adaptive searches, the gradient
            evaluations or seconds are not known, or a size that no such figure has.
        UnknownNameError: No such rule, unit, dataset, algorithm, palette or option.
    """
    appearance = Appearance.of(look)
    check_name("unit", unit, UNITS)
    found = searches(pairs, rule, dataset, algorithm)
    resampling = Resampling(pairs, predictions, resamples, seed)
    tables = [_table(one, unit, resampling) for one in found]
    styles = looks(pairs, palette)
    covers = covered(pd.concat(tables))
    caption = _CAPTION.format(rule=selecting(rule), independent=INDEPENDENT, covers=covers)
    legends = [(-(-len(one.panel.counts) // 3) + 0.8) * LINE for one in found]
    headings = [heading_room(one.panel.heading, _WRAP, appearance) for one in found]
    fixed = sum(legends) + sum(headings)
    room = texts_room(appearance.width(TEXT_WIDTH), appearance, caption)
    side = _SIDE * appearance.stretch(_SIDE * len(found), fixed + room)
    with styled():
        figure = new_figure(TEXT_WIDTH, side * len(found) + fixed, appearance, caption)
        heights = [height for legend in legends for height in (side, legend)]
        grid = figure.add_gridspec(2 * len(found), len(SCORES), height_ratios=heights)
        for i, (one, table) in enumerate(zip(found, tables, strict=True)):
            curves = [figure.add_subplot(grid[2 * i, j]) for j in range(len(SCORES))]
            for axes, score in zip(curves, SCORES, strict=True):
                _draw(axes, one, table, score, unit, styles)
            set_heading(curves[0], one.panel.heading, _WRAP)
            _write_legend(figure.add_subplot(grid[2 * i + 1, :]), one, styles)
    return figure


def _table(one: Searches, unit: Unit, resampling: Resampling) -> pd.DataFrame:
    table = budget_table(one, resampling)
    if table[_COLUMN[unit]].isna().any():
        raise RequestError(
            f"A budget in {unit.replace('_', ' ')} needs the column {unit} for runs of every "
            "optimizer. Pass what oodbench.results.query.pairs returns, or use unit='trials'."
        )
    return table


def _draw(
    axes: Axes, one: Searches, table: pd.DataFrame, score: str, unit: Unit, styles: Styles
) -> None:
    tidy(axes)
    for name, rows in table.groupby("optimizer", sort=False):
        look = styles[str(name)]
        columns = [_COLUMN[unit], score, f"{score}_low", f"{score}_high"]
        x, y, low, high = rows[columns].to_numpy(dtype=float).T
        axes.fill_between(x, low, high, color=look.color, alpha=0.15, linewidth=0)
        axes.plot(x, y, color=look.color, linewidth=0.7, linestyle="--")
        known = np.isfinite(low)
        style = {"zorder": 3, "gid": f"budget-{name}", "markevery": 0.12, **line_style(look)}
        axes.plot(x[known], y[known], **style)
    axes.set(xscale="log", xlabel=_AXES[unit], ylabel=_NAMES[score])
    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=12))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.minorticks_off()
    axes.tick_params(labelsize=7)
    bottom, top = axes.get_ylim()
    if one.panel.chance is not None and bottom <= one.panel.chance <= top:
        draw_chance(axes, one.panel)


def _write_legend(axes: Axes, one: Searches, styles: Styles) -> None:
    """The optimizers in three columns, each with its runs by status."""
    axes.set_axis_off()
    handles, labels = [], []
    for optimizer, counts in one.panel.counts.iterrows():
        look = styles[str(optimizer)]
        handles.append(Line2D([], [], **line_style(look)))
        labels.append(f"{short(look.label, 14)}: {', '.join(count_texts(counts))}")
    axes.legend(
        handles,
        labels,
        ncols=3,
        loc="upper left",
        fontsize=SMALL,
        frameon=False,
        borderpad=0,
        borderaxespad=0,
        handlelength=2.2,
        columnspacing=1.2,
    )
