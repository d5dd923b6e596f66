"""The table under return curves, the legend too: columns are as wide as their texts."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.textpath import TextPath

from ..curves.verdicts import NOT_DETERMINED, ReturnCurve
from ..stats.intervals import Estimate
from .style import GREY, SMALL, Styles, marker_style
from .texts import short

HEADS = ("verdict", "bend (95%)", "n", "lost", "other")
"""Heads of the columns after the optimizers; the first holds text, the others align right."""

_LEFT, _RIGHT, _MARK, _GAP = 0.4, 0.38, 0.14, 0.08
"""Inches: how far left of its axes the table begins; right of these; a marker; between columns."""

_HINTED = 1.06
"""Small letters on a screen are wider than their outlines."""

LEAST_SIZE, FEWEST = 5.0, 8
"""Points and characters: letters shrink to fit, then the names of optimizers are cut."""


def write_verdicts(
    axes: Axes, curves: Mapping[str, ReturnCurve], styles: Styles, lines: int, width: float
) -> None:
    """Optimizers with verdict, bend and numbers of runs, under the labels of the y axis too.

    Args:
        axes: For the table alone.
        curves: Optimizer -> its curve.
        styles: How the optimizers look.
        lines: Lines of the table that the axes have room for, its head among them.
        width: Inches of the panel, the labels of its axes among them.
    """
    axes.set(xlim=(0, 1), ylim=(lines - 0.4, -0.6))
    shown = [styles[optimizer] for optimizer in curves]
    rows = [HEADS, *map(_cells, curves.values())]
    inside = width - _LEFT - _RIGHT  # inches of the axes, about
    head = "optimizer" if all(look.filled for look in shown) else "hollow: adaptive"
    labels = [head[3:], *(look.label for look in shown)]  # the head begins where markers do
    (_, *names), widths, size = fitted(labels, rows, inside + _LEFT - _MARK)
    starts = _MARK - _LEFT + np.cumsum([0, *(width + _GAP for width in widths[:-1])])
    cell: dict[str, Any] = {"va": "center", "fontsize": size}
    for y, (name, texts) in enumerate(zip([head, *names], rows, strict=True)):
        # It begins left of the markers: only of texts does the layout know how far out they are.
        at = starts[0] if y else -_LEFT
        axes.text(at / inside, y, name, color="black" if y else GREY, **cell)
        if y:
            style = marker_style(shown[y - 1], 1.0)
            axes.scatter([(_MARK / 2 - _LEFT) / inside], [y], s=12, clip_on=False, **style)
        for column, text in enumerate(texts, start=1):
            right = column > 1
            x = (starts[column] + widths[column] * right) / inside
            color = "black" if y and text != NOT_DETERMINED else GREY
            axes.text(x, y, text, ha="right" if right else "left", color=color, **cell)


def fitted(
    names: Sequence[str], rows: Sequence[Sequence[str]], room: float
) -> tuple[list[str], list[float], float]:
    """What makes a table fit.

    Args:
        names: The first column, which may be cut.
        rows: The other columns, the head first.
        room: Inches.

    Returns:
        The names, the widths of all columns in inches, and the size of letters in points.
    """
    others = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    free = room - _GAP * len(others)
    most = max(map(len, names))
    while True:
        shown = [short(name, most) for name in names]
        widths = [max(map(_width, shown)), *others]
        size = min(SMALL, free / sum(widths))
        if size >= LEAST_SIZE or most <= FEWEST:
            return shown, [size * width for width in widths], size
        most -= 1


def _width(text: str) -> float:
    """Inches of a text in letters of one point."""
    outline = TextPath((0, 0), text, size=72).get_extents()
    return _HINTED * float(outline.x1) / 72**2 if text else 0.0


def _cells(curve: ReturnCurve) -> tuple[str, ...]:
    """The cells of a row under ``HEADS``."""
    lost = sum(curve.left_out.get(why, 0) for why in ("diverged", "failed"))
    counts = (curve.n, lost, sum(curve.left_out.values()) - lost)
    return (curve.verdict, in_points(curve.bend), *(f"{count:,}" for count in counts))


def in_points(estimate: Estimate) -> str:
    """The estimate and its 95% interval in points, short."""
    if not np.isfinite(estimate.low):
        return "no curve"
    values = [100 * v for v in (estimate.value, estimate.low, estimate.high)]
    digits = 1 if max(map(abs, values)) < 9.95 else 0
    parts = [f"{value:.{digits}f}" for value in values]
    return "{} ({}, {})".format(*parts).replace("-", "\N{MINUS SIGN}")
