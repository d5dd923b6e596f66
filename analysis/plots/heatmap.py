"""Optimizers by datasets: differences of accuracy at an equal budget, with their intervals."""

import textwrap
from collections.abc import Sequence
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from oodbench.errors import check_name
from oodbench.results.predictions import Predictions

from ..compare.comparison import Comparison, Settings
from ..compare.optimizers import compare_to
from ..runs.columns import GROUP
from ..runs.names import pretty
from ..runs.remarks import frozen_remark
from ..runs.trials import SCORES
from .page import new_figure
from .style import COLUMN_WIDTH, GREY, SMALL, styled
from .texts import covered, selecting, short

_CELL = (1.45, 0.5)
_SIDES = (0.9, 0.95)
"""Inches: a cell, and what stands beside and over the cells."""

_COLORS = colormaps["PuOr_r"]  # its two ends stay apart under the colour-vision deficiencies
_NONE = (0.96, 0.96, 0.96, 1.0)

PALE = 0.3
"""Share of the colour where an interval lies beyond 0 and the corrected p-value decides nothing."""

_MINUS = "\N{MINUS SIGN}"

_CAPTION = (
    "Points of {score} accuracy above {baseline}, of the run that {rule} selects at an "
    "equal budget. In brackets: 95% t intervals, {covers}. Coloured and bold: different "
    "(Holm's p < 0.05 over all cells); pale: the interval alone lies beyond 0; =: no difference of "
    "{margin:g} or more (two one-sided tests); else undecided, or other at another budget. n: "
    "trials, with those that diverged or failed."
)


def heatmap(
    pairs: pd.DataFrame,
    predictions: Sequence[Predictions] = (),
    *,
    score: Literal["id", "ood"] = "ood",
    baseline: str | None = None,
    rule: str = "id_val",
    title: str | None = None,
    **settings: Unpack[Settings],
) -> Figure:
    """Differences between optimizers at an equal tuning budget.

    A row an optimizer, a column per dataset, test environments and algorithm. A cell holds the
    difference in points of accuracy, its 95% interval, and the numbers of trials and of those that
    diverged or failed. The numbers are those of ``analysis.compare_to``.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; see ``runs.searches``.
        predictions: What the runs predicted (``oodbench.predictions``): with them, the intervals
            cover the test examples, too.
        score: Whose differences: ``ood`` or ``id``.
        baseline: Optimizer that the others are compared with. Default: the mean of all others.
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        title: Over the whole figure.
        settings: The others of ``analysis.compare.comparison.Comparison``.

    Raises:
        RequestError: No runs, a column is missing, or nothing to compare.
        UnknownNameError: No such score, optimizer, rule, setting, unit, dataset or algorithm.
    """
    check_name("score", score, SCORES)
    comparison = Comparison.of(rule, predictions, settings)
    table = compare_to(pairs, baseline, rule, predictions, **settings)
    return draw_heatmap(pairs, table, comparison, score=score, baseline=baseline, title=title)


def draw_heatmap(
    pairs: pd.DataFrame,
    table: pd.DataFrame,
    comparison: Comparison,
    *,
    score: str = "ood",
    baseline: str | None = None,
    title: str | None = None,
) -> Figure:
    """``heatmap`` of what ``analysis.compare_to`` found by this comparison."""
    table = table[table["score"] == score]
    caption = _caption(pairs, score, baseline, comparison, covered(table))
    columns = len(table[list(GROUP)].drop_duplicates())
    rows = [str(name) for name in pd.unique(pairs["optimizer"]) if name in set(table["a"])]
    width = max(COLUMN_WIDTH, _SIDES[0] + _CELL[0] * columns)
    with styled():
        figure = new_figure(width, _SIDES[1] + _CELL[1] * len(rows), title, caption)
        _draw_cells(figure.add_subplot(), table, rows)
    return figure


def _caption(
    pairs: pd.DataFrame, score: str, baseline: str | None, comparison: Comparison, covers: str
) -> str:
    caption = _CAPTION.format(
        score=score.upper(),
        baseline="the mean of the other optimizers" if baseline is None else pretty(baseline),
        rule=selecting(comparison.rule),
        margin=100 * comparison.margin,
        covers=covers,
    )
    frozen = frozen_remark(pairs)
    return caption + (f" {frozen[0].upper()}{frozen[1:]}." if frozen else "")


def _draw_cells(axes: Axes, table: pd.DataFrame, rows: Sequence[str]) -> None:
    """The comparisons of a table, a row an optimizer."""
    columns = table[list(GROUP)].drop_duplicates()
    places = {tuple(key): x for x, key in enumerate(columns.to_numpy().tolist())}
    norm = Normalize(*np.array([-1, 1]) * (np.abs(table["difference"]).max() or 1))
    for cell in table.to_dict("records"):
        x = places[tuple(cell[name] for name in GROUP)]
        _draw(axes, x, rows.index(cell["a"]), cell, norm)
    heads = [_head(table, key) for key in places]
    axes.set_xticks(range(len(heads)), heads, fontsize=7)
    axes.set_yticks(range(len(rows)), [short(pretty(name), 16) for name in rows])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.set(xlim=(-0.5, len(heads) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    axes.spines[:].set_visible(False)


def _head(table: pd.DataFrame, key: tuple[Any, ...]) -> str:
    dataset, environments, algorithm = map(str, key)
    mine = table[np.logical_and.reduce([table[n] == v for n, v in zip(GROUP, key, strict=True)])]
    budget, unit = mine["budget"].iloc[0], mine["unit"].iloc[0]
    words = {"trials": "trials", "gradient_evaluations": "gradients"}.get(unit, unit)
    name = "\n".join(textwrap.wrap(f"{pretty(algorithm)} on {dataset}", 20))
    return f"{name}\ntest env. {short(environments, 10)}\n{budget:,.0f} {words} each"


def _draw(axes: Axes, x: int, y: int, cell: dict[Any, Any], norm: Normalize) -> None:
    """One cell: in colour where the verdict is a difference, pale where its interval alone is."""
    decided = cell["verdict"] in ("higher", "lower")
    beyond = cell["low"] > 0 or cell["high"] < 0
    share = 1.0 if decided else PALE if beyond else 0.0
    color = share * np.array(_COLORS(norm(cell["difference"]))) + (1 - share) * np.array(_NONE)
    axes.barh(y, 0.96, 0.92, left=x - 0.48, color=color)
    luminance = float(np.dot(color[:3], (0.2126, 0.7152, 0.0722)))
    ink = "white" if luminance < 0.5 else "black"
    note = ink if decided else GREY
    place: dict[str, Any] = {"ha": "center", "va": "center"}
    sign = "= " if cell["verdict"] == "no difference" else ""
    weight = "bold" if decided else "normal"
    value = sign + _points(cell["difference"])
    axes.text(x, y - 0.24, value, fontsize=8, fontweight=weight, color=ink, **place)
    known = np.isfinite(cell["low"])
    ends = f"[{_points(cell['low'])}, {_points(cell['high'])}]" if known else "no interval"
    axes.text(x, y + 0.03, ends, fontsize=SMALL, color=ink, **place)
    lost = [f"{cell[f'{s}_a']:,} {s}" for s in ("diverged", "failed") if cell[f"{s}_a"]]
    counts = ", ".join([f"n = {cell['trials_a']:,}", *lost])
    axes.text(x, y + 0.28, counts, fontsize=6, color=note, **place)


def _points(fraction: float) -> str:
    """Points with a sign; none for what rounds to 0."""
    text = f"{100 * fraction:+.1f}".replace("-", _MINUS)
    return "0.0" if text[1:] == "0.0" else text
