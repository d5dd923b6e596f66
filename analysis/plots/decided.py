"""Searches that stop when decided: what each look found of each statement."""

from collections.abc import Sequence
from typing import Unpack

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.errors import RequestError

from ..compare.decided import Standing, Statement
from ..runs.names import pretty
from .appearance import TEXT_WIDTH, Appearance, Appearing
from .page import new_figure, set_heading, texts_room
from .style import GREY, SMALL, styled, tidy

HEIGHT = 2.5
"""Inches of a panel."""

ASIDE = 1.006
"""By how much, as a factor, the looks of one statement are drawn aside of those of the last."""

_CAPTION = (
    "Lines: the first optimizer's OOD accuracy minus the second's, of the run that ID validation "
    "selects among {budget} draws. Bands: a confidence sequence; with 95% probability no band of "
    "the sweep ever leaves out the true difference. Dots: decided there. Grey: within the margin "
    "of {margin:g} points, where two optimizers are no different."
)


def decided(standings: Sequence[Standing], **options: Unpack[Appearing]) -> Figure:
    """Statements of a search that stops when decided, look by look.

    A panel per dataset and algorithm: the difference of each two optimizers in points of OOD
    accuracy, with its confidence sequence, until it was decided.

    Args:
        standings: What ``analysis.decisions`` returns.
        options: The fields of ``analysis.plots.appearance.Appearance``.

    Raises:
        RequestError: No search here stops when decided, or none has been looked at.
    """
    shown = [one for one in standings if one.seen]
    if not shown:
        raise RequestError(
            "No search that stops when decided (search: {stop: decided}) has been looked at here, "
            "so there is nothing to draw. Let workers finish the first draws (oodbench status)."
        )
    look = Appearance.of(options)
    stopping = shown[0].stopping
    caption = _CAPTION.format(budget=stopping.budget, margin=100 * stopping.margin)
    stretch = look.stretch(HEIGHT * len(shown), texts_room(look.width(TEXT_WIDTH), look, caption))
    with styled():
        figure = new_figure(TEXT_WIDTH, stretch * HEIGHT * len(shown), look, caption)
        for axes, one in zip(figure.subplots(len(shown), squeeze=False)[:, 0], shown, strict=True):
            _draw(axes, one)
            set_heading(axes, _heading(one), 110)
    return figure


def _draw(axes: Axes, one: Standing) -> None:
    tidy(axes)
    margin = 100 * one.stopping.margin
    axes.axhspan(-margin, margin, color=GREY, alpha=0.12, linewidth=0)
    axes.axhline(0, color=GREY, linewidth=0.7)
    for number, statement in enumerate(one.statements):
        pair = statement.a, statement.b
        aside = ASIDE ** (number - (len(one.statements) - 1) / 2)
        _draw_statement(axes, [s for s in one.seen if (s.a, s.b) == pair], number, aside)
    axes.set(xlabel="draws of each optimizer", ylabel="points of OOD accuracy")
    axes.legend(fontsize=SMALL, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    looks = [look for look in one.stopping.looks if look <= one.looked]
    axes.set_xscale("log")
    axes.set_xticks(looks, [str(look) for look in looks])
    axes.minorticks_off()
    axes.set_xlim(looks[0] / 1.05, max(looks[-1] * 1.05, looks[0] * 1.3))


def _draw_statement(axes: Axes, seen: Sequence[Statement], number: int, aside: float) -> None:
    """The looks at one statement, a little aside of those at others."""
    color = colormaps["tab10"](number % 10)
    x = [one.draws * aside for one in seen]
    values, low, high = (
        [100 * value for value in each]
        for each in zip(*((one.difference, one.low, one.high) for one in seen), strict=True)
    )
    last = seen[-1]
    label = f"{pretty(last.a)} \N{MINUS SIGN} {pretty(last.b)}: {last.outcome}"
    axes.fill_between(x, low, high, color=color, alpha=0.13, linewidth=0)
    axes.errorbar(
        x[-1:], values[-1:], [[values[-1] - low[-1]], [high[-1] - values[-1]]], color=color, lw=1.2
    )
    axes.plot(x, values, color=color, linewidth=1.2, label=label, gid=f"{last.a}-{last.b}")
    if last.decided:
        axes.plot(x[-1], values[-1], "o", color=color, markersize=4.5)


def _heading(one: Standing) -> tuple[str, str]:
    count = sum(statement.decided for statement in one.statements)
    state = f"next look at {max(one.wanted.values()):,} draws" if one.wanted else "over"
    return (
        f"{one.group.dataset}, {pretty(one.group.algorithm)}",
        f"{count} of {len(one.statements)} statements decided at {one.looked:,} draws; {state}",
    )
