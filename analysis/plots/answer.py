"""The answer: OOD accuracy to expect of each optimizer, by class of shift, with the sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from oodbench.results.predictions import Predictions

from ..compare.by_shift_class import classes_table, shifts_of
from ..compare.comparison import Comparison
from ..compare.estimation import Estimation
from ..compare.levels import levels_table
from ..conclusions.recommendation import Recommendation, recommend
from ..runs.names import pretty, shift_name
from .appearance import COLUMN_WIDTH, TEXT_WIDTH, Appearance
from .compared import ComparedLook
from .page import new_figure, padded, set_heading, texts_room
from .style import GREY, SMALL, Palette, Styles, looks, styled, tidy
from .texts import covered, selecting, short, wrapped

ROW = 0.2
"""Inches that an optimizer takes."""

SELECTED: dict[str, Any] = {
    **{"marker": "D", "s": 12, "facecolors": "none", "edgecolors": GREY, "linewidths": 0.8}
}

_WIDE = 52
"""Characters of a line over a panel."""

_VALUES = ("ood", "ood_low", "ood_high")

_CAPTION = (
    "Markers: expected OOD accuracy of the run that {rule} selects among {amount} of each "
    "optimizer, its 95% t interval {covers}. Grey diamonds: the run that it selects among all runs "
    "of an optimizer, without an interval: one run, of a search of another size. Optimizers "
    "share draws and examples, so that intervals which overlap may belong to values that differ. "
    "Datasets of a class count equally, and so do the environments of a dataset. Hollow: adaptive. "
    "Dotted: chance."
)


@dataclass(frozen=True)
class Answer:
    """The part of the figure on one class of shift and algorithm.

    Attributes:
        rows: Rows of ``levels_table``, best first.
        advice: What is recommended; None where no two optimizers were compared.
    """

    rows: pd.DataFrame
    advice: Recommendation | None

    @property
    def where(self) -> str:
        """The heading, such as ``Correlation shift, ERM``."""
        shift = shift_name(str(self.rows["shift"].iloc[0]))
        return f"{shift[0].upper()}{shift[1:]}, {pretty(str(self.rows['algorithm'].iloc[0]))}"

    @property
    def datasets(self) -> str:
        """The names of the datasets, and how many environments each is tested on."""
        one = self.rows.iloc[0]
        more = f", {one['tasks']} test environments" if one["tasks"] > one["datasets"] else ""
        return f"{one['names']}{more}"

    @property
    def sentence(self) -> str:
        """Which optimizer, and by how much."""
        if self.advice is None:
            return "One optimizer: there is nothing to compare."
        said = "; ".join(filter(None, (self.advice.answer, self.advice.margin)))
        return f"{said[:1].upper()}{said[1:]}."

    @property
    def limits(self) -> str:
        """What the answer covers, and what not."""
        said = "; ".join(self.advice.limits) if self.advice else ""
        return f"{said[:1].upper()}{said[1:]}{'.' if said else ''}"

    @property
    def described(self) -> str:
        """The numbers of the figure, for who does not see it."""
        each = (
            f"{pretty(str(row['optimizer']))} {_interval(*(row[name] for name in _VALUES))}"
            for row in self.rows.to_dict("records")
        )
        return f"{self.where}: OOD accuracy of {', '.join(each)}"


def answers(levels: pd.DataFrame, advice: Sequence[Recommendation]) -> Iterator[Answer]:
    """The answer for each class of shift and algorithm of ``levels_table``."""
    known: dict[Any, Recommendation] = {
        (one.shift, one.algorithm, one.datasets): one for one in advice
    }
    for key, rows in levels.groupby(["shift", "algorithm", "names"], sort=False):
        yield Answer(rows.sort_values("ood", ascending=False, kind="stable"), known.get(key))


def answer(
    pairs: pd.DataFrame,
    predictions: Sequence[Predictions] = (),
    *,
    rule: str = "id_val",
    palette: Palette = "default",
    **options: Unpack[ComparedLook],
) -> Figure:
    """OOD accuracy to expect of each optimizer, by class of shift.

    A panel per class of shift and algorithm, with the recommendation over it: a row an optimizer,
    its expected OOD accuracy at an equal budget with a 95% interval, and beside it the run that the
    rule selects among all of its runs. The numbers are those of ``analysis.expected_by_class``, the
    sentence that of ``analysis.conclude``.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``; see ``runs.searches``.
        predictions: What the runs predicted (``oodbench.predictions``): with them, the intervals
            cover the test examples, too.
        rule: How a run is selected, such as ``id_val``; ``oracle`` looks at the test environments.
        palette: See ``analysis.scatter``.
        options: The other fields of ``analysis.compare.comparison.Comparison``, and those of
            ``analysis.plots.appearance.Appearance``.

    Raises:
        RequestError: No runs, a column is missing, all runs are adaptive, or no such budget.
        UnknownNameError: No such rule, setting, unit, dataset, algorithm or palette.
    """
    look, settings = Appearance.taken(options)
    estimation = Estimation.of(pairs, Comparison.of(rule, predictions, settings))
    advice = recommend(classes_table(estimation, shifts_of(pairs), "optimizer"))
    found = list(answers(levels_table(estimation, pairs), advice))
    styles = looks(pairs, palette)
    columns = 1 if len(found) == 1 else 2
    lines = [found[i : i + columns] for i in range(0, len(found), columns)]
    rows = [max(panel_height(one.rows) for one in line) for line in lines]
    room = sum(0.2 + max(0.14 * len(_heading(one, look)) for one in line) for line in lines)
    width, note = look.width(COLUMN_WIDTH if columns == 1 else TEXT_WIDTH), caption(found)
    stretch = look.stretch(sum(rows), room + texts_room(width, look, note))
    with styled():
        figure = new_figure(width, stretch * sum(rows) + room, look, note)
        grid = figure.subplots(len(lines), columns, squeeze=False, height_ratios=rows)
        for axes in grid.flat[len(found) :]:
            axes.set_axis_off()
        for axes, one in zip(grid.flat, found, strict=False):
            draw_answer(axes, one.rows, styles)
            set_heading(axes, (one.where, one.datasets, one.sentence), _WIDE)
    return figure


def _heading(one: Answer, look: Appearance) -> list[str]:
    """Lines that fit over a panel."""
    return wrapped(look.over((one.where, one.datasets, one.sentence)), _WIDE).split("\n")


def caption(found: Sequence[Answer]) -> str:
    """The caption: it explains all marks."""
    rows = pd.concat([one.rows for one in found])
    unit = str(rows["unit"].iloc[0]).replace("_", " ")
    amounts = [f"{amount:,.6g}" for amount in sorted(rows["budget"].unique())]
    amount = f"{' or '.join(amounts)} {unit}"
    return _CAPTION.format(
        rule=selecting(str(rows["rule"].iloc[0])), amount=amount, covers=covered(rows)
    )


def panel_height(rows: pd.DataFrame) -> float:
    """The height of a panel in inches, without a heading."""
    return 0.5 + ROW * len(rows)


def draw_answer(axes: Axes, rows: pd.DataFrame, styles: Styles) -> None:
    """A row an optimizer, in the order of the table."""
    tidy(axes)
    y = np.arange(len(rows))
    values, low, high, selected = rows[[*_VALUES, "selected_ood"]].to_numpy(dtype=float).T
    limits = _limits(np.concatenate([values, low, high, selected]), rows["chance"].iloc[0])
    axes.set(xlim=limits, ylim=(len(rows) - 0.5, -0.5), xlabel="OOD accuracy")
    axes.hlines(y, *limits, color=GREY, alpha=0.2, linewidth=0.5, zorder=0)
    for at, name in enumerate(rows["optimizer"]):
        look = styles[str(name)]
        axes.hlines(at, low[at], high[at], color=look.color, linewidth=1.6, zorder=2)
        face = look.color if look.filled else "white"
        style: dict[str, Any] = {"marker": look.marker, "color": look.color, "markersize": 5.5}
        axes.plot(values[at], at, markerfacecolor=face, zorder=3, gid=f"answer-{name}", **style)
    axes.scatter(selected, y + 0.28, zorder=4, gid="selected", **SELECTED)
    axes.set_yticks(y, [short(styles[str(name)].label, 16) for name in rows["optimizer"]])
    axes.tick_params(axis="y", length=0)
    place: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "va": "center"}
    for at, ends in enumerate(zip(values, low, high, strict=True)):
        axes.text(1.03, at, _interval(*ends), fontsize=SMALL, **place)
    if limits[0] <= rows["chance"].iloc[0] <= limits[1]:
        axes.axvline(rows["chance"].iloc[0], color=GREY, linewidth=0.7, linestyle=":", zorder=1)


def _limits(values: Any, chance: float) -> tuple[float, float]:
    """Around all that is drawn; chance is, too, where it is as near as they are to one another."""
    known = values[np.isfinite(values)]
    if not known.size:
        return 0.0, 1.0
    near = abs(known.min() - chance) <= np.ptp(known)
    return padded(np.append(known, chance) if near else known)


def _interval(value: float, low: float, high: float) -> str:
    """A value and its interval, such as ``0.693 (0.688 to 0.697)``."""
    ends = f" ({low:.3f} to {high:.3f})" if np.isfinite(low) else ", no interval"
    return f"{value:.3f}{ends}" if np.isfinite(value) else "too few trials"
