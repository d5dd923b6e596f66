"""Performance profiles: on what share of tasks an optimizer is nearly the best, or the first."""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.results.predictions import Predictions

from ..compare.profiles import TIMES, WITHIN, Profile, profiles
from ..runs.names import pretty
from ..stats.intervals import Array
from .appearance import TEXT_WIDTH, Appearance
from .compared import ComparedLook
from .page import new_figure, set_heading, texts_room
from .style import SMALL, Palette, Styles, looks, styled, tidy
from .texts import selecting, short

_CAPTION = (
    "Tasks: datasets and test environments. Left: share of tasks on which an optimizer's expected "
    "OOD accuracy, of the run that {rule} selects at an equal budget, lies within so many points "
    "of the best one's. Right: share of tasks on which it reaches the target (the median of the "
    "optimizers at that budget) within so many times the trials of the fastest one; in the legend "
    "the mean over the axis (AlgoPerf's score). Bands and brackets: 95% intervals over the draws "
    "of the searches, not over tasks."
)


def profile(
    pairs: pd.DataFrame,
    predictions: Sequence[Predictions] = (),
    *,
    rule: str = "id_val",
    palette: Palette = "default",
    **options: Unpack[ComparedLook],
) -> Figure:
    """Performance profiles over datasets and test environments.

    A row an algorithm: on which share of tasks an optimizer is within a margin of the best, and on
    which it reaches a target within a multiple of the least cost. The numbers are those of
    ``analysis.profiles``.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; see ``runs.searches``.
        predictions: What the runs predicted (``oodbench.predictions``).
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        palette: See ``analysis.scatter``.
        options: The other fields of ``analysis.compare.comparison.Comparison``, and those of
            ``analysis.plots.appearance.Appearance``.

    Raises:
        RequestError: No runs, a column is missing, or nothing to compare.
        UnknownNameError: No such rule, setting, unit, dataset, algorithm or palette.
    """
    look, settings = Appearance.taken(options)
    found = profiles(pairs, rule, predictions, **settings)
    styles = looks(pairs, palette)
    caption = _CAPTION.format(rule=selecting(rule))
    look.stretch(2.7 * len(found), texts_room(look.width(TEXT_WIDTH), look, caption))
    with styled():
        figure = new_figure(TEXT_WIDTH, 2.7 * len(found), look, caption)
        grid = figure.subplots(len(found), 2, squeeze=False)
        for (near, fast), one in zip(grid, found, strict=True):
            _draw(near, 100 * WITHIN, one.near, styles, {})
            near.set(xlabel="points of OOD accuracy below the best", ylabel="share of tasks")
            set_heading(near, _heading(one), 110)
            _draw(fast, TIMES, one.fast, styles, one.scores)
            fast.set(xlabel="times the trials of the fastest to the target")
            fast.legend(fontsize=SMALL, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def _draw(
    axes: Axes, x: Array, shares: Mapping[str, Array], styles: Styles, scores: Mapping[str, Array]
) -> None:
    tidy(axes)
    for name, (share, low, high) in shares.items():
        look = styles[name]
        label = short(look.label, 12)
        if name in scores:
            label += " {:.2f} ({:.2f} to {:.2f})".format(*scores[name])
        axes.fill_between(x, low, high, step="post", color=look.color, alpha=0.07, linewidth=0)
        style: dict[str, Any] = {"linestyle": "-" if look.filled else "--", "linewidth": 1.3}
        axes.step(
            x, share, where="post", color=look.color, label=label, gid=f"profile-{name}", **style
        )
    axes.set(xlim=(x[0], x[-1]), ylim=(-0.03, 1.03))


def _heading(one: Profile) -> tuple[str, str]:
    places = f"{one.tasks} tasks of {one.datasets} dataset{'s' if one.datasets > 1 else ''}"
    gone = f", target never reached on {one.unreached}" if one.unreached else ""
    return pretty(one.algorithm), f"n = {places}, {one.amount:,.6g} {one.unit} of each{gone}"
