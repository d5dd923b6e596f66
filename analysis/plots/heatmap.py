"""Optimizers by datasets: differences of accuracy at an equal budget, with their intervals."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from oodbench.errors import check_name
from oodbench.results.predictions import Predictions

from ..compare.comparison import Comparison
from ..compare.optimizers import compare_to
from ..runs.columns import GROUP
from ..runs.names import pretty
from ..runs.remarks import frozen_remark
from ..runs.trials import SCORES
from .appearance import COLUMN_WIDTH, PAGE_HEIGHT, PanelAppearance
from .compared import ComparedPanels
from .page import new_figure, texts_room
from .style import GREY, SMALL, styled
from .texts import covered, selecting, short

_BESIDE, _OVER = 0.9, 0.95
"""Inches beside the cells, and over them."""

_ACROSS = 4
"""Columns of cells that a page is wide."""

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
    "trials, with those that diverged or failed (lost)."
)


def heatmap(
    pairs: pd.DataFrame,
    predictions: Sequence[Predictions] = (),
    *,
    score: Literal["id", "ood"] = "ood",
    baseline: str | None = None,
    rule: str = "id_val",
    **options: Unpack[ComparedPanels],
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
        options: The other fields of ``analysis.compare.comparison.Comparison``, and those of
            ``analysis.plots.appearance.PanelAppearance``.

    Raises:
        RequestError: No runs, a column is missing, or nothing to compare.
        UnknownNameError: No such score, optimizer, rule, setting, unit, dataset or algorithm.
    """
    check_name("score", score, SCORES)
    look, settings = PanelAppearance.taken(options)
    comparison = Comparison.of(rule, predictions, settings)
    table = compare_to(pairs, baseline, rule, predictions, **settings)
    return draw_heatmap(pairs, table, comparison, look, score=score, baseline=baseline)


@dataclass(frozen=True)
class _Cell:
    """How much room a cell has, and where its three texts stand from its middle.

    Attributes:
        width, height: Inches.
        value, ends, counts: Places of the difference, its interval and the numbers of trials, in
            widths and heights of a cell; and points of their letters.
        brief: Whether diverged and failed trials are counted together.
    """

    width: float
    height: float
    value: tuple[float, float, float]
    ends: tuple[float, float, float]
    counts: tuple[float, float, float]
    brief: bool


_TALL = _Cell(1.45, 0.5, (0.0, -0.24, 8), (0.0, 0.03, SMALL), (0.0, 0.28, 6), brief=False)
_FLAT = _Cell(1.5, 0.2, (-0.36, 0.0, 7), (-0.03, 0.0, 5.5), (0.32, 0.0, 5), brief=True)
"""Texts over one another; and side by side, where many cells are to fit a page."""


def draw_heatmap(
    pairs: pd.DataFrame,
    table: pd.DataFrame,
    comparison: Comparison,
    look: PanelAppearance,
    *,
    score: str = "ood",
    baseline: str | None = None,
) -> Figure:
    """``heatmap`` of what ``analysis.compare_to`` found by this comparison."""
    table = table[table["score"] == score]
    caption = _caption(pairs, score, baseline, comparison, covered(table))
    rows = [str(name) for name in pd.unique(pairs["optimizer"]) if name in set(table["a"])]
    columns = [tuple(key) for key in table[list(GROUP)].drop_duplicates().to_numpy().tolist()]
    across = look.columns or min(len(columns), _ACROSS)
    blocks = [columns[i : i + across] for i in range(0, len(columns), across)]

    def height(cell: _Cell) -> float:
        return len(blocks) * cell.height * len(rows)

    over = _OVER * len(blocks)
    cell = _TALL if height(_TALL) + over <= PAGE_HEIGHT else _FLAT
    width = look.width(max(COLUMN_WIDTH, _BESIDE + cell.width * across))
    stretch = look.stretch(height(cell), over + texts_room(width, look, caption))
    norm = Normalize(*np.array([-1, 1]) * (np.abs(table["difference"]).max() or 1))
    with styled():
        figure = new_figure(width, over + stretch * height(cell), look, caption)
        for axes, block in zip(
            figure.subplots(len(blocks), squeeze=False)[:, 0], blocks, strict=True
        ):
            _draw_block(axes, table, {key: x for x, key in enumerate(block)}, rows, cell, norm)
            axes.set_xlim(-0.5, across - 0.5)
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


def _draw_block(
    axes: Axes,
    table: pd.DataFrame,
    places: Mapping[tuple[Any, ...], int],
    rows: Sequence[str],
    cell: _Cell,
    norm: Normalize,
) -> None:
    """The comparisons of a table in these columns, a row an optimizer."""
    for found in table.to_dict("records"):
        x = places.get(tuple(found[name] for name in GROUP))
        if x is not None:
            _draw(axes, x, rows.index(found["a"]), found, cell, norm)
    axes.set_xticks(range(len(places)), [_head(table, key) for key in places], fontsize=7)
    axes.set_yticks(range(len(rows)), [short(pretty(name), 16) for name in rows])
    axes.tick_params(length=0, top=False, labeltop=True, bottom=False, labelbottom=False)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.spines[:].set_visible(False)


def _head(table: pd.DataFrame, key: tuple[Any, ...]) -> str:
    dataset, environments, algorithm = map(str, key)
    mine = table[np.logical_and.reduce([table[n] == v for n, v in zip(GROUP, key, strict=True)])]
    budget, unit = mine["budget"].iloc[0], mine["unit"].iloc[0]
    words = {"trials": "trials", "gradient_evaluations": "gradients"}.get(unit, unit)
    name = "\n".join(textwrap.wrap(f"{pretty(algorithm)} on {dataset}", 20))
    return f"{name}\ntest env. {short(environments, 18)}\n{budget:,.0f} {words} each"


def _draw(axes: Axes, x: int, y: int, found: dict[Any, Any], cell: _Cell, norm: Normalize) -> None:
    """One cell: in colour where the verdict is a difference, pale where its interval alone is."""
    decided = found["verdict"] in ("higher", "lower")
    beyond = found["low"] > 0 or found["high"] < 0
    share = 1.0 if decided else PALE if beyond else 0.0
    color = share * np.array(_COLORS(norm(found["difference"]))) + (1 - share) * np.array(_NONE)
    axes.barh(y, 0.96, 0.92, left=x - 0.48, color=color)
    luminance = float(np.dot(color[:3], (0.2126, 0.7152, 0.0722)))
    ink = "white" if luminance < 0.5 else "black"
    place: dict[str, Any] = {"ha": "center", "va": "center"}

    def write(at: tuple[float, float, float], text: str, **look: Any) -> None:
        axes.text(x + at[0], y + at[1], text, fontsize=at[2], **{"color": ink, **place, **look})

    sign = "= " if found["verdict"] == "no difference" else ""
    weight = "bold" if decided else "normal"
    write(cell.value, sign + _points(found["difference"]), fontweight=weight)
    known = np.isfinite(found["low"])
    ends = f"[{_points(found['low'])}, {_points(found['high'])}]" if known else "no interval"
    write(cell.ends, ends)
    write(cell.counts, _counts(found, cell.brief), color=ink if decided else GREY)


def _counts(found: dict[Any, Any], brief: bool) -> str:
    """Counts such as ``n = 24, 2 diverged``; brief: ``24, 2 lost``, or ``n = 24``."""
    counts = {status: found[f"{status}_a"] for status in ("diverged", "failed")}
    if brief:
        counts = {"lost": sum(counts.values())}
    lost = [f"{count:,} {status}" for status, count in counts.items() if count]
    name = "" if brief and lost else "n = "
    return ", ".join([f"{name}{found['trials_a']:,}", *lost])


def _points(fraction: float) -> str:
    """Points with a sign; none for what rounds to 0."""
    text = f"{100 * fraction:+.1f}".replace("-", _MINUS)
    return "0.0" if text[1:] == "0.0" else text
