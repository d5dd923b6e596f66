"""Learning curves: ID and OOD accuracy along training."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.errors import RequestError

from ..runs.learning_curves import FEWEST, SCORES, Learning, learning_data
from .appearance import LegendAppearance, Legended
from .layouts import Contents, Place
from .legends import write_counts
from .page import draw_chance, padded
from .panel_page import panel_page
from .style import GREY, SMALL, Palette, Styles, looks, marker_style, tidy
from .texts import short

_MEDIANS = (
    "Lines and bands: median and quartiles over the completed runs that were measured at a step "
    f"(no band for fewer than {FEWEST}). Diverged and failed runs are counted, not drawn."
)
_SINGLES = "Lines: single runs. A cross ends the line of a run that diverged or failed."
_DASHES = ("-", "--", ":", "-.")


def learning(
    pairs: pd.DataFrame,
    checkpoints: pd.DataFrame,
    *,
    runs: Sequence[str] = (),
    dataset: str | None = None,
    algorithm: str | None = None,
    palette: Palette = "default",
    **look: Unpack[Legended],
) -> Figure:
    """ID and OOD accuracy along training, by optimizer or run.

    Medians and quartiles of an optimizer's runs. A row of panels per dataset and choice of test
    environments, a panel per algorithm: ID above OOD accuracy, and under them the runs by status.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``.
        checkpoints: A row a checkpoint, as from ``oodbench.results.query.checkpoints``; needs run,
            step, ood_test and id_test or id_val. Runs that ``pairs`` lacks are left out.
        runs: Draw only these, each as a line of its own: ids or enough of their beginnings.
            Diverged and failed runs may be among them.
        dataset, algorithm, palette: See ``analysis.scatter``.
        look: Fields of ``analysis.plots.appearance.LegendAppearance``.

    Raises:
        RequestError: No runs, no checkpoints, a column is missing, no run or several begin with
            one of ``runs``, or one legend is asked for where each panel names its own runs.
        UnknownNameError: No such dataset, algorithm, palette or option.
    """
    appearance = LegendAppearance.of(look)
    if runs and appearance.legend is None:
        appearance = replace(appearance, legend="panel")
    if runs and appearance.legend in ("below", "right"):
        raise RequestError(
            f"Single runs are named under their panels, but got legend {appearance.legend!r}. "
            "Use panel or none, or leave runs out."
        )
    found = learning_data(pairs, checkpoints, runs, dataset, algorithm)
    styles = looks(pairs, palette)
    caption = _SINGLES if runs else _MEDIANS
    draw = partial(_draw_panel, styles=styles)
    contents = Contents(found, draw, lambda *_: (1.6, 1.6), styles, _heading, _entries, caption)
    return panel_page(contents, appearance)


def _singles(one: Learning) -> int:
    return sum(bool(curve.run) for curve in one.curves["ood"])


def _entries(one: Learning) -> int:
    return _singles(one) or len(one.panel.counts)


def _draw_panel(place: Place[Learning], styles: Styles) -> None:
    (top, bottom), one, table = place.axes, place.shown, place.table
    limits = _limits(place.alike)
    for axes, score in ((top, "id"), (bottom, "ood")):
        _draw(axes, one, score, limits, styles)
    top.tick_params(labelbottom=False)
    bottom.set_xlabel("training step")
    if table:
        write = _write_runs if _singles(one) else _write_counts
        write(table, one, styles, place.lines)


def _write_counts(axes: Axes, one: Learning, styles: Styles, lines: int) -> None:
    write_counts(axes, one.panel, styles, lines)


def _heading(one: Learning) -> tuple[str, ...]:
    """The panel's heading; of single runs, how many they are of all."""
    which, drawn, *remarks = one.panel.heading
    curves = [curve for found in one.curves.values() for curve in found if curve.n]
    if any(min(curve.n) < max(curve.n) for curve in curves):
        least, most = (find(n for c in curves for n in c.n) for find in (min, max))
        remarks.append(f"not every run was measured at every step: {least:,} to {most:,} runs each")
    if _singles(one):
        drawn = f"{_singles(one)} chosen of {int(one.panel.counts.to_numpy().sum()):,} runs"
    return which, drawn, *remarks


def _limits(alike: Sequence[Learning]) -> tuple[float, float]:
    """One range for ID and OOD of the panels that are alike, so that they compare by eye."""
    seen = [c.quartiles.ravel() for one in alike for curves in one.curves.values() for c in curves]
    values = np.concatenate([*seen, [one.panel.chance for one in alike if one.panel.chance]])
    values = values[np.isfinite(values)]
    if not any(part.size for part in seen) or not values.size:
        return 0.0, 1.0
    return padded(values)


def _draw(
    axes: Axes, one: Learning, score: str, limits: tuple[float, float], styles: Styles
) -> None:
    axes.set_axis_on()
    tidy(axes)
    axes.set(ylim=limits, ylabel=SCORES[score])
    for k, curve in enumerate(one.curves[score]):
        look = styles[curve.optimizer]
        low, middle, high = curve.quartiles.T
        axes.fill_between(curve.steps, low, high, color=look.color, alpha=0.12, linewidth=0)
        dash = _DASHES[k % len(_DASHES)] if curve.run else "-"
        gid = f"curve-{curve.run or curve.optimizer}"
        axes.plot(curve.steps, middle, color=look.color, linewidth=1.1, linestyle=dash, gid=gid)
        if not curve.run:
            axes.scatter(curve.steps, middle, s=10, zorder=3, **marker_style(look, 1.0))
        elif curve.status != "completed" and curve.steps.size:
            axes.scatter(curve.steps[-1:], middle[-1:], s=22, marker="x", color=look.color)
    last = max((c.steps[-1] for c in one.curves[score] if c.steps.size), default=1.0)
    axes.set_xlim(0, 1.03 * last)
    draw_chance(axes, one.panel)


def _write_runs(axes: Axes, one: Learning, styles: Styles, lines: int) -> None:
    """Line, optimizer, run and status of each chosen run."""
    axes.set(xlim=(0, 1), ylim=(lines - 0.4, -0.6))
    axes.text(0.97, 0, "status", ha="right", va="center", fontsize=SMALL, color=GREY)
    axes.text(0.4, 0, "run", va="center", fontsize=SMALL, color=GREY)
    for y, curve in enumerate(one.curves["ood"], start=1):
        look, dash = styles[curve.optimizer], _DASHES[(y - 1) % len(_DASHES)]
        axes.plot([0.01, 0.09], [y, y], color=look.color, linewidth=1.1, linestyle=dash)
        axes.text(0.12, y, short(look.label, 13), va="center", fontsize=7)
        axes.text(0.4, y, curve.run[:8], va="center", fontsize=7)
        status = curve.status if curve.steps.size else f"{curve.status}, no score"
        axes.text(0.97, y, status, ha="right", va="center", fontsize=7)
