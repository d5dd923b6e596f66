"""Figures of ``analysis.plots`` as drawings in the page, in its font and its theme's colours."""

import io
import re
import warnings
from collections.abc import Mapping

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from ..compare.comparison import Comparison
from ..plots.answer import Answer, draw_answer, panel_height
from ..plots.appearance import COLUMN_WIDTH, PanelAppearance
from ..plots.heatmap import draw_heatmap
from ..plots.style import GREY, Styles, styled

INK = {"#000000": "var(--fg)", GREY: "var(--quiet)", "#ffffff": "var(--bg)"}
"""Colours of figures -> those of the page."""


def answer_drawing(one: Answer, styles: Styles, name: str) -> str:
    """The rows of an answer as SVG; ``name`` as for ``drawing``."""
    with styled():
        figure = Figure((COLUMN_WIDTH, panel_height(one.rows)), layout="constrained")
        draw_answer(figure.add_subplot(), one.rows, styles)
    looks = {look.color: f"var(--look-{i})" for i, look in enumerate(styles.values())}
    return drawing(figure, name, {**INK, **looks})


def heatmap_drawing(
    pairs: pd.DataFrame, against: pd.DataFrame, comparison: Comparison
) -> tuple[str, str]:
    """The heat map of OOD accuracy as SVG, in its own colours on white; and its caption."""
    figure = draw_heatmap(pairs, against, comparison, PanelAppearance())
    caption = " ".join(figure.get_supxlabel().split())
    figure.supxlabel("")
    width = 1.5 * figure.get_figwidth() * 72
    svg = drawing(figure, "heatmap", {})
    return svg.replace("<svg ", f'<svg style="width: {width:.0f}px" ', 1), caption


def drawing(figure: Figure, name: str, colors: Mapping[str, str]) -> str:
    """A figure as SVG, to stand in an element that says what it shows, without a background.

    Args:
        figure: Its texts are texts of the page.
        name: Begins every id, so that no two drawings of a page share one.
        colors: Its colours -> those that take their place.
    """
    figure.patch.set_visible(False)
    buffer = io.StringIO()
    with (
        mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "oodbench"}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the browser has other fonts
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    box, content = re.findall(r'(?s)<svg [^>]*(viewBox="[^"]*")[^>]*>(.*)', buffer.getvalue())[0]
    content = re.sub(r"(?s)<metadata>.*?</metadata>", "", content)
    content = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", content)
    for color, instead in colors.items():
        content = re.sub(rf"(?i){color}\b", instead, content)
    return f'<svg aria-hidden="true" {box}>{content}'
