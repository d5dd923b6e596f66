"""The figure of an audit: the line, what inverts it, and what agreement makes of it."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.errors import RequestError

from ..curves.axes import INVERSES, on_axis
from ..plots.appearance import Appearance, Appearing
from ..plots.axes import set_axes
from ..plots.page import new_figure, padded
from ..plots.style import GREY, LARGE, SMALL, styled, tidy
from ..runs.names import tested_on
from .audit import Audit

MODELS, PAIRS, INVERTED = "#0072B2", "#BBBBBB", "#D55E00"
"""Okabe and Ito's blue and vermilion, and a light grey."""

WIDTH, HEIGHT = 6.9, 2.35
"""Inches of the figure, and of each row."""

CAPTION = (
    "Left: accuracies of the models (blue), agreements of pairs of models (grey), probit axes; "
    "dashed: y = x. Middle: correlation of ID and OOD accuracy on the chosen share of the OOD "
    "examples, among the models that chose them (hollow) and among the others (95%); filled red: "
    "inverted. Right: OOD accuracies as agreement estimates them without labels (ALine-D)."
)


def audit_figure(audits: Sequence[Audit], **look: Unpack[Appearing]) -> Figure:
    """Three panels for each audit, in a row: on the line, what inverts it, without labels.

    Args:
        audits: The result of ``analysis.audit``.
        look: Fields of ``analysis.plots.appearance.Appearance``.

    Raises:
        RequestError: There are none.
        UnknownNameError: No such option.
    """
    if not audits:
        raise RequestError("There is no audit to draw. Pass at least one.")
    appearance = Appearance.of(look)
    figure = new_figure(WIDTH, HEIGHT * len(audits), appearance, CAPTION)
    with styled():
        grid = figure.subplots(len(audits), 3, squeeze=False)
        for row, audit in zip(grid, audits, strict=True):
            for axes, draw in zip(row, (_line, _shares, _estimates), strict=True):
                tidy(axes)
                draw(axes, audit)
    return figure


def _line(axes: Axes, audit: Audit) -> None:
    models, pairs = np.array(audit.points), audit.agreement.points
    every = np.hstack([models, pairs])
    low, high = np.clip([every.min(), every.max()], 0.002, 0.998)
    ends = INVERSES["probit"](padded(on_axis([low, high], "probit")))
    set_axes(axes, "probit", (float(ends[0]), float(ends[1])), 2.0)
    axes.plot(ends, ends, color=GREY, linewidth=0.7, linestyle="--", zorder=1)
    for points, size, color, order in ((pairs, 3, PAIRS, 2), (models, 9, MODELS, 3)):
        x, y = np.clip(points, *ends)
        axes.scatter(x, y, s=size, color=color, linewidths=0, alpha=0.8, zorder=order)
    where = [tested_on(audit.test_environments)] if audit.test_environments else []
    title = "\n".join([audit.dataset or "Predictions", *where])
    axes.set_title(title, fontsize=LARGE, loc="left")
    axes.set(xlabel="ID", ylabel="OOD")


def _shares(axes: Axes, audit: Audit) -> None:
    axes.axhline(0, color=GREY, linewidth=0.7, linestyle=":")
    axes.set(xlim=(0, 1.05), ylim=(-1.05, 1.05), yticks=(-1, -0.5, 0, 0.5, 1))
    axes.set_xlabel("share of the OOD examples")
    axes.set_ylabel("correlation with ID")
    for one in audit.selection.shares:
        inverted = one.held_out.high < 0 and one.share <= audit.selection.inverted
        color = INVERTED if inverted else MODELS
        held = one.held_out
        axes.plot([one.share] * 2, [held.low, held.high], color=color, linewidth=1)
        axes.plot(one.share, held.value, "o", color=color, markersize=3.5)
        axes.plot(one.share, one.chosen_on, "o", color=GREY, markersize=3.5, fillstyle="none")
    if not audit.selection.shares:
        _note(axes, "too few models above chance")


def _estimates(axes: Axes, audit: Audit) -> None:
    found = audit.agreement
    axes.set(xlabel="OOD accuracy", ylabel="estimate without labels")
    if not found.estimates:
        _note(axes, found.verdict)
        return
    limits = padded([*found.accuracies, *found.estimates])
    axes.plot(limits, limits, color=GREY, linewidth=0.7, linestyle="--")
    wrong = found.verdict == "strong, and wrong here"
    axes.scatter(
        found.accuracies, found.estimates, s=9, color=INVERTED if wrong else MODELS, linewidths=0
    )
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set_title(found.verdict, fontsize=LARGE, loc="left")


def _note(axes: Axes, text: str) -> None:
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=SMALL, transform=axes.transAxes)
