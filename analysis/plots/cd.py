"""Critical-difference diagram: mean ranks of optimizers over tasks, and which are alike."""

from collections.abc import Sequence
from typing import Unpack

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.results.predictions import Predictions

from ..compare.rankings import Ranking, rankings
from ..runs.names import pretty
from ..stats.testing import LEVEL
from .appearance import TEXT_WIDTH, Appearance
from .compared import ComparedLook
from .page import new_figure, set_heading, texts_room
from .style import GREY, SMALL, Palette, Styles, looks, styled
from .texts import selecting, short

_CAPTION = (
    "Mean rank of optimizers over tasks (datasets and test environments, each counted once), by "
    "the expected OOD accuracy of the run that {rule} selects at an equal budget; 1 is the best. "
    "In brackets: 95% intervals over the draws of the searches. Bars join optimizers that "
    "Nemenyi's test does not separate at 5% (Demsar 2006). It takes tasks to be independent, "
    "which those of one dataset are not."
)


def cd(
    pairs: pd.DataFrame,
    predictions: Sequence[Predictions] = (),
    *,
    rule: str = "id_val",
    palette: Palette = "default",
    **options: Unpack[ComparedLook],
) -> Figure:
    """Critical-difference diagram over datasets and test environments.

    A row an algorithm: the mean rank of each optimizer in OOD accuracy at an equal budget, and bars
    that join those which it does not separate. The numbers are those of ``analysis.rankings``, the
    bars those of scikit-posthocs.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; see ``runs.searches``.
        predictions: What the runs predicted (``oodbench.predictions``).
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        palette: See ``analysis.scatter``.
        options: The other fields of ``analysis.compare.comparison.Comparison``, and those of
            ``analysis.plots.appearance.Appearance``.

    Raises:
        RequestError: No runs, a column is missing, or fewer than three optimizers or tasks.
        UnknownNameError: No such rule, setting, unit, dataset, algorithm or palette.
    """
    look, settings = Appearance.taken(options)
    found = rankings(pairs, rule, predictions, **settings)
    styles = looks(pairs, palette)
    caption = _CAPTION.format(rule=selecting(rule))
    heights = [0.75 + 0.16 * len(one.optimizers) for one in found]
    look.stretch(sum(heights), texts_room(look.width(TEXT_WIDTH), look, caption))
    with styled():
        figure = new_figure(TEXT_WIDTH, sum(heights), look, caption)
        grid = figure.subplots(len(found), 1, squeeze=False, height_ratios=heights)
        for axes, one in zip(grid[:, 0], found, strict=True):
            _draw(axes, one, styles)
    return figure


def _draw(axes: Axes, one: Ranking, styles: Styles) -> None:
    """One diagram, with its heading."""
    from scikit_posthocs import critical_difference_diagram  # late: it takes a second to import

    labels = [_label(one, i, styles) for i in range(len(one.optimizers))]
    ranks = pd.Series(one.ranks, index=labels)
    alike = pd.DataFrame(one.nemenyi, index=labels, columns=labels)
    with mpl.rc_context({"font.size": SMALL}):
        critical_difference_diagram(
            ranks,
            alike,
            ax=axes,
            alpha=LEVEL,
            label_fmt_left="{label}",
            label_fmt_right="{label}",
            color_palette={
                label: styles[name].color
                for label, name in zip(labels, one.optimizers, strict=True)
            },
            crossbar_props={"color": GREY, "linewidth": 2.2},
        )
    axes.tick_params(labelsize=7)
    places = f"{one.tasks} tasks of {one.datasets} dataset{'s' if one.datasets > 1 else ''}"
    budget = f"{one.amount:,.6g} {one.unit.replace('_', ' ')} of each"
    test = f"Friedman p = {one.friedman:.2g}"
    set_heading(axes, (pretty(one.algorithm), f"n = {places}, {budget}; {test}"), 110)


def _label(one: Ranking, i: int, styles: Styles) -> str:
    """An optimizer and its mean rank, such as ``Adam 2.3 (1.9 to 2.8)``."""
    name = short(styles[one.optimizers[i]].label, 16)
    ends = f" ({one.low[i]:.1f} to {one.high[i]:.1f})" if np.isfinite(one.low[i]) else ""
    return f"{name} {one.ranks[i]:.2f}{ends}"
