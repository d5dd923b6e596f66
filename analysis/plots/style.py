"""How figures look: colours and markers of optimizers, sizes and fonts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes

from oodbench.errors import check_name

from ..runs.names import pretty
from .fonts import USUAL

LARGE, SMALL = 8, 6.5
"""Points: the fonts of headings; of small titles and notes."""

GREY = "#666666"
"""Reference lines and secondary text."""

Palette = str | Mapping[str, str]
"""``"default"``, ``"study"``, or optimizer name -> colour (others get the default's)."""

# Okabe and Ito's colours, which stay apart under the common colour-vision deficiencies:
# cool for the non-adaptive optimizers, warm for the adaptive ones.
_DEFAULT = {
    "sgd": "#0072B2",
    "momentum": "#56B4E9",
    "nesterov": "#009E73",
    "rmsprop": "#D55E00",
    "adam": "#CC79A7",
    "adamw": "#E69F00",
}
# The colours of Naganuma et al. (2023), for figures to lay beside theirs.
_STUDY = {
    "sgd": "#377eb8",
    "momentum": "#ff7f00",
    "nesterov": "#4daf4a",
    "rmsprop": "#8b0000",
    "adam": "#984ea3",
}
_PALETTES = {"default": _DEFAULT, "study": _STUDY}
_MARKERS = {"sgd": "o", "momentum": "s", "nesterov": "^", "rmsprop": "v", "adam": "D", "adamw": "P"}
_ADAPTIVE = frozenset({"rmsprop", "adam", "adamw"})
_SPARE_COLORS = (
    *("#332288", "#882255", "#999933", "#44AA99", "#661100", "#000000", "#AA4499", "#117733"),
    *("#DDCC77", "#CC6677", "#88CCEE", "#4477AA", "#EE7733", "#777777", "#6699CC"),
)
_SPARE_MARKERS = ("X", "<", ">", "p", "h", "*", "d", "H", "8")

_RC: dict[Any, Any] = {
    "font.size": 7.5,
    "font.family": USUAL,
    "axes.titlesize": 8,
    "axes.labelsize": 7.5,
    "axes.linewidth": 0.6,
    "text.parse_math": False,  # names may hold dollar signs
    "text.usetex": False,
}


@dataclass(frozen=True)
class Look:
    """How one optimizer is drawn: adaptive ones are hollow, the others filled."""

    label: str
    color: str
    marker: str
    filled: bool


Styles = Mapping[str, Look]
"""Optimizer -> how it is drawn."""


def looks(runs: pd.DataFrame, palette: Palette = "default") -> dict[str, Look]:
    """Name -> look of every optimizer of the table, in order of first appearance.

    The six common optimizers always look the same. Others take the spare colours and markers in
    alphabetical order, so that the order of rows does not matter.

    Args:
        runs: Needs ``optimizer``; ``optimizer_kind`` (adaptive or non-adaptive) where known.
        palette: ``"default"``, ``"study"`` or a mapping from optimizer to colour.

    Raises:
        UnknownNameError: No palette of that name.
    """
    if isinstance(palette, str):
        check_name("palette", palette, _PALETTES)
        chosen: Mapping[str, str] = _PALETTES[palette]
    else:
        chosen = {**_DEFAULT, **palette}
    optimizers = [str(name) for name in pd.unique(runs["optimizer"])]
    adaptive = _adaptive(runs)
    colors = _assign(optimizers, chosen, _SPARE_COLORS)
    markers = _assign(optimizers, _MARKERS, _SPARE_MARKERS)
    return {
        name: Look(pretty(name), colors[name], markers[name], name not in adaptive)
        for name in optimizers
    }


def _adaptive(runs: pd.DataFrame) -> frozenset[str]:
    """The optimizers that the table calls adaptive; else those known to be."""
    if "optimizer_kind" not in runs.columns:
        return _ADAPTIVE
    kind, name = runs["optimizer_kind"], runs["optimizer"]
    return frozenset(name[(kind == "adaptive") | (kind.isna() & name.isin(_ADAPTIVE))])


def _assign(names: Sequence[str], fixed: Mapping[str, str], spare: Sequence[str]) -> dict[str, str]:
    """The fixed value of each name, or the next spare one, alphabetically; spares may repeat."""
    others = sorted(name for name in names if name not in fixed)
    given = {name: spare[i % len(spare)] for i, name in enumerate(others)}
    return {name: fixed.get(name) or given[name] for name in names}


@contextmanager
def styled() -> Iterator[None]:
    """Fonts and line widths of our figures, for what is drawn inside; global state is restored."""
    with mpl.rc_context(_RC):
        yield


def tidy(axes: Axes) -> None:
    """Light axes whose later ticks keep the small font (they are made outside ``styled``)."""
    axes.tick_params(labelsize=7, length=2.5, width=0.6, pad=2)
    axes.spines[["top", "right"]].set_visible(False)


def marker_style(look: Look, alpha: float) -> dict[str, Any]:
    """Keyword arguments of ``Axes.scatter`` for one optimizer."""
    return {
        "marker": look.marker,
        "facecolors": look.color if look.filled else "none",
        "edgecolors": "white" if look.filled else look.color,
        "linewidths": 0.25 if look.filled else 0.8,
        "alpha": alpha,
    }


def line_style(look: Look) -> dict[str, Any]:
    """Keyword arguments of ``Axes.plot`` for a line with the markers of one optimizer."""
    return {
        "color": look.color,
        "linewidth": 1.1,
        "marker": look.marker,
        "markersize": 3.5,
        "markerfacecolor": look.color if look.filled else "white",
        "markeredgewidth": 0.8,
    }
