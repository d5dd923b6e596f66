"""Names in any script: which fonts are taken for what the usual one lacks."""

from collections.abc import Collection

import pandas as pd
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from analysis import scatter
from analysis.plots.files import lay_out
from analysis.plots.fonts import USUAL, families_for

NAME = "\N{LATIN SMALL LETTER D WITH PALATAL HOOK}"
"""STIX, which comes with matplotlib too, has it; the usual font does not."""


def signs(family: str) -> Collection[int]:
    return FT2Font(font_manager.findfont(family)).get_charmap()


def test_a_family_is_found_by_its_characters() -> None:
    assert ord(NAME) not in signs(USUAL)
    (family,) = families_for({NAME})
    assert ord(NAME) in signs(family)
    assert families_for(set()) == []
    assert families_for({"\N{NULL}", "\U0010fffe"}) == []


def test_only_texts_that_need_another_font_have_it(pairs: pd.DataFrame) -> None:
    figure = scatter(pairs.assign(dataset=f"D{NAME}"), title=NAME, legend="none")
    lay_out(figure)
    families = families_for({NAME})
    for text in figure.findobj(Text):
        if text.get_text():
            expected = [USUAL, *families] if NAME in text.get_text() else [USUAL]
            assert text.get_fontfamily() == expected
