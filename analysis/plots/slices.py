"""A hyperparameter against ID and OOD accuracy, a column of panels per optimizer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from ..runs.slicing import ENOUGH, FEWEST, MOST_VALUES, Slice, Slices, slices_data
from .appearance import COLUMN_WIDTH, TEXT_WIDTH, PanelAppearance, Paneled
from .files import Drawing
from .page import HEADING_LINE, new_figure, texts_room
from .style import (
    GREY,
    LARGE,
    SMALL,
    Look,
    Palette,
    Styles,
    looks,
    marker_style,
    styled,
    tidy,
)
from .texts import count_texts, short, wrapped

SCORES = {"id": "ID accuracy", "ood": "OOD accuracy"}
_SIDE, _GAP, _LEFT = 1.1, 0.18, 0.5  # inches: of axes, between them, left of them
_SHORT = 4  # characters of a choice that are written side by side
_ACROSS = 6  # optimizers side by side on a page
_CROWD = 500

_CAPTION = (
    "Dots: completed runs. Line and band: median and quartiles of the runs, in parts of equally "
    f"many, or at each value where there are at most {MOST_VALUES}; none for fewer than {ENOUGH} "
    f"runs, and parts of fewer than {FEWEST} are left out. Marks at the upper edge: diverged runs "
    "(black) and failed ones (grey). Dotted: chance. The other hyperparameters vary too."
)


def slices(
    pairs: pd.DataFrame,
    scale: str | None = None,
    *,
    hyperparameter: str = "lr",
    dataset: str | None = None,
    algorithm: str | None = None,
    palette: Palette = "default",
    **look: Unpack[Paneled],
) -> Figure:
    """ID and OOD accuracy against one of the hyperparameters.

    A block per dataset, choice of test environments and algorithm: a column per optimizer that has
    the hyperparameter, ID accuracy above OOD accuracy, all on the same axes. Optimizers for which
    it does not vary, though it does for others, are named in the heading instead.

    Args:
        pairs: A row a run, as from ``oodbench.results.query.pairs``, with the hyperparameter.
        scale: That of its search range, as in sweep files: ``"uniform"``, ``"int"``, ``"log"`` or
            ``"one_minus_log"``. By default, and where it cannot show every value, the one on which
            the values are spread most evenly. Text and yes/no are shown as choices.
        hyperparameter: The name of its column.
        dataset, algorithm, palette: See ``analysis.scatter``.
        look: Fields of ``analysis.plots.appearance.PanelAppearance``; a column an optimizer.

    Raises:
        RequestError: No runs, a column is missing, no run has a value of the hyperparameter, or a
            size that no such figure has.
        UnknownNameError: No such hyperparameter, scale, dataset, algorithm, palette or option.
    """
    appearance = PanelAppearance.of(look)
    data = slices_data(pairs, hyperparameter, dataset, algorithm, scale)
    with styled():
        return _draw_page(data, hyperparameter, looks(pairs, palette), appearance)


def _draw_page(
    data: Sequence[Slices], hyperparameter: str, styles: Styles, look: PanelAppearance
) -> Figure:
    across = min(look.columns or _ACROSS, max(len(block.slices) for block in data))
    width = look.width(COLUMN_WIDTH if across <= 3 else TEXT_WIDTH)
    wrap = int((width - _LEFT) * 16.5)
    strips = [strip for block in data for strip in _strips(block, hyperparameter, across)]
    fixed = sum(strip.above(wrap, look) + _GAP + strip.below for strip in strips)
    room = texts_room(width, look, _CAPTION)
    side = _SIDE * look.stretch(2 * _SIDE * len(strips), fixed + room)
    figure = new_figure(width, fixed + 2 * side * len(strips), look, _CAPTION)
    figure.set_layout_engine("none")  # it takes seconds for dozens of axes
    if note := figure.get_supxlabel():
        figure.supxlabel(note, y=0.05 / figure.get_figheight())
    top = figure.get_figheight() - (0.3 if figure.get_suptitle() else 0.0)
    for strip in strips:
        heading = wrapped(figure.over(strip.heading), wrap) if strip.heading else ""
        top -= strip.above(wrap, look)
        figure.text(
            _LEFT / width,
            (top + strip.above(wrap, look) - 0.05) / figure.get_figheight(),
            heading,
            va="top",
            fontsize=LARGE,
            linespacing=1.25,
        )
        _draw_strip(figure, strip, top - side, side, across, styles)
        top -= 2 * side + _GAP + strip.below
    return figure


@dataclass(frozen=True)
class _Strip:
    """Optimizers side by side: as many of a block as fit on a page.

    Attributes:
        block: What they are of.
        part: Slices of these optimizers.
        hyperparameter: What stands across.
        heading: Lines over the first strip of a block; else none.
    """

    block: Slices
    part: tuple[Slice, ...]
    hyperparameter: str
    heading: tuple[str, ...]

    def above(self, wrap: int, look: PanelAppearance) -> float:
        """Inches that the heading and the optimizers' counts take."""
        lines = 2 + max(_counts(self.block, one).count("\n") for one in self.part)
        over = wrapped(look.over(self.heading), wrap).count("\n") + 1 if self.heading else 0
        return HEADING_LINE * over + 0.11 * lines + 0.14

    @property
    def below(self) -> float:
        """Inches that the labels of the axis take."""
        return 1.1 if max(map(len, self.block.choices), default=0) > _SHORT else 0.55


def _strips(block: Slices, hyperparameter: str, across: int) -> list[_Strip]:
    missing = f"not shown, {hyperparameter} is absent or does not vary: {', '.join(block.left_out)}"
    heading = (*block.panel.heading, *([missing] if block.left_out else []))
    parts = [block.slices[i : i + across] for i in range(0, len(block.slices), across)]
    return [
        _Strip(block, part, hyperparameter, () if i else heading) for i, part in enumerate(parts)
    ]


def _draw_strip(
    figure: Drawing, strip: _Strip, upper: float, side: float, columns: int, styles: Styles
) -> None:
    """A column an optimizer: ID accuracy, ``upper`` inches over the page's foot, above OOD."""
    width, height = figure.get_size_inches()
    wide = (width - _LEFT - 0.1 - _GAP * (columns - 1)) / columns
    bottoms = {"id": upper, "ood": upper - _GAP - side}
    for column, one in enumerate(strip.part):
        left, look = _LEFT + column * (wide + _GAP), styles[one.optimizer]
        pair = {
            score: figure.add_axes((left / width, bottom / height, wide / width, side / height))
            for score, bottom in bottoms.items()
        }
        for score, axes in pair.items():
            _draw(axes, strip.block, one, score, look)
            axes.tick_params(labelbottom=score == "ood", labelleft=column == 0)
            axes.set_ylabel(SCORES[score] if column == 0 else "")
        title = f"{short(look.label, 16)}\n{_counts(strip.block, one)}"
        pair["id"].set_title(title, fontsize=SMALL, pad=4)
        pair["ood"].set_xlabel(strip.hyperparameter)


def _counts(block: Slices, one: Slice) -> str:
    """The optimizer's runs by status, a line each: it stands over narrow axes."""
    return "\n".join(count_texts(block.panel.counts.loc[one.optimizer]))


def _draw(axes: Axes, block: Slices, one: Slice, score: str, look: Look) -> None:
    tidy(axes)
    _set_scale(axes, block)
    values, crowd = one.scores[score], len(one.x)
    x = one.x
    if block.scale == "choice":  # equal values side by side, the same in every rendering
        x = x + 0.25 * np.sin(2.4 * np.arange(crowd))
    axes.scatter(
        x,
        values,
        s=3 if crowd > _CROWD else 8,
        rasterized=crowd > _CROWD,
        gid=f"runs-{one.optimizer}",
        **marker_style(look, 0.25 if crowd > _CROWD else 0.5),
    )
    line = one.trends[score]
    if line is not None:
        low, middle, high = line.quartiles.T
        axes.fill_between(line.x, low, high, color="black", alpha=0.15)
        axes.plot(line.x, middle, color="black", linewidth=1)
    edge = axes.get_xaxis_transform()
    lost = (("failed", one.failed, "#999999"), ("diverged", one.diverged, "black"))
    for status, ended, color in lost:
        if ended.size:
            gid = f"{status}-{one.optimizer}"
            axes.vlines(ended, 0.94, 1, color=color, linewidth=0.6, transform=edge, gid=gid)
    if block.panel.chance is not None:
        axes.axhline(block.panel.chance, color=GREY, linewidth=0.7, linestyle=":", zorder=1)


def _set_scale(axes: Axes, block: Slices) -> None:
    """Set the same axes for every optimizer of a panel, and for ID and OOD."""
    seen = np.concatenate([np.concatenate([s.x, s.diverged, s.failed]) for s in block.slices])
    scores = block.panel.runs[["id", "ood"]].to_numpy(dtype=float)
    low, high = (scores.min(), scores.max()) if scores.size else (0.0, 1.0)
    margin = max(0.05 * (high - low), 0.02)
    axes.set_ylim(low - margin, high + 2.5 * margin)  # room for the marks at the upper edge
    axes.yaxis.set_major_locator(MaxNLocator(4))
    left, right = float(seen.min()), float(seen.max())
    if block.scale in ("log", "one_minus_log"):
        axes.set_xscale("log")
        stretch = max((right / left) ** 0.05, 1.2)
        limits = left / stretch, right * stretch
        ratio = right / left
        subs = (1.0, 2.0, 5.0) if ratio < 20 else (1.0, 3.0) if ratio < 100 else (1.0,)
        if block.scale == "one_minus_log":  # whose round values are 0.5, 0.9, 0.95, 0.99
            subs = (1.0, 5.0) if ratio < 100 else (1.0,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs, numticks=4))
        if ratio < 100:
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
        axes.xaxis.set_minor_locator(NullLocator())
    else:
        margin = max(0.05 * (right - left), 0.5 if block.choices else 1e-3)
        limits = left - margin, right + margin
        axes.xaxis.set_major_locator(MaxNLocator(3))
    if block.scale == "one_minus_log":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rest, _: f"{1 - rest:.6g}"))
        limits = limits[::-1]  # so that the value grows to the right
    if block.choices:
        labels = [short(c, 12) for c in block.choices]
        upright = max(map(len, labels)) > _SHORT
        axes.set_xticks(range(len(labels)), labels, rotation=90 if upright else 0)
    axes.set_xlim(limits)
