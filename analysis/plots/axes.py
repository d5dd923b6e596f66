"""Accuracies on the axes of accuracy, logit and probit, where a figure draws them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from oodbench.errors import check_name

from ..curves.axes import AXES, INVERSES, SCALES, on_axis
from ..runs.columns import values_of
from ..runs.panels import Panel
from .page import padded

SCORES = {"id": "n_id", "ood": "n_ood"}
LEVELS = (0.001, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999)
TICKS = {"accuracy": 0.45, "logit": 0.33, "probit": 0.33}
"""Axis -> inches that lie between two of its ticks, at least."""


def placed(panel: Panel, axis: str) -> Panel:
    """The panel with its accuracies where the axis has them: see ``analysis.curves.axes.on_axis``.

    Runs without a place are left out, and a remark counts them.

    Raises:
        UnknownNameError: No such axis.
    """
    check_name("axes", axis, AXES)
    if axis == "accuracy":
        return panel
    runs = panel.runs.copy()
    for score, size in SCORES.items():
        n = runs[size] if len(values_of(runs, size)) else None
        runs[score] = INVERSES[axis](on_axis(runs[score], axis, n))
    known = runs[list(SCORES)].notna().all(axis=1)
    lost = int((~known).sum())
    remark = f"{lost:,} not drawn: they have no place on a {axis} axis"
    return replace(panel, runs=runs[known], remarks=(*panel.remarks, *([remark] if lost else [])))


def common_limits(found: Sequence[Panel], axis: str) -> tuple[float, float]:
    """One range for ID and OOD accuracy of these panels: y = x is the diagonal of each."""
    seen = [panel.runs[list(SCORES)].to_numpy(dtype=float).ravel() for panel in found]
    if not any(values.size for values in seen):
        return (0.0, 1.0) if axis == "accuracy" else (0.1, 0.9)
    values = np.concatenate([*seen, [p.chance for p in found if p.chance is not None]])
    if axis == "accuracy":
        return padded(values)
    low, high = INVERSES[axis](padded(on_axis(values, axis)))
    return float(low), float(high)


def set_axes(axes: Axes, axis: str, limits: tuple[float, float], width: float) -> None:
    """Square axes of this kind and range, with ticks at round accuracies.

    Args:
        axes: Axes of a figure.
        axis: One of ``AXES``.
        limits: Accuracies at their ends.
        width: Inches that they have.
    """
    most = max(2, int(width / TICKS[axis]))
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    if axis == "accuracy":
        for name in ("x", "y"):
            axes.locator_params(name, nbins=most)
        return
    low, high = on_axis(limits, axis)
    ticks: list[float] = []
    for level, at in zip(LEVELS, on_axis(LEVELS, axis), strict=True):
        near = ticks and at - float(on_axis(ticks[-1], axis)) < (high - low) / most
        if low <= at <= high and not near:
            ticks.append(level)
    for name in ("x", "y"):
        getattr(axes, f"set_{name}scale")("function", functions=(SCALES[axis], INVERSES[axis]))
        one = getattr(axes, f"{name}axis")
        one.set_major_locator(FixedLocator(ticks))
        one.set_minor_locator(NullLocator())
        one.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.set(xlim=limits, ylim=limits)


def axis_name(name: str, axis: str) -> str:
    """The label of an axis, such as ``ID accuracy (probit axis)``."""
    return name if axis == "accuracy" else f"{name} ({axis} axis)"
