"""Names in any script: what the usual font lacks is drawn in an installed one that has it."""

import re
from collections.abc import Set
from functools import cache

from matplotlib import font_manager
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

USUAL = "DejaVu Sans"
"""Comes with matplotlib, and has Latin, Greek and Cyrillic letters and most signs."""

_BOXES = ("LastResort", "Last Resort", "Adobe Blank")
"""Fonts that have every character, as a box or as nothing."""


_PLAIN = re.compile("Sans|Gothic|Gothik|Hei")


def use_fonts(figure: Figure) -> None:
    """Give each text of a figure fonts that have its characters, where some are installed."""
    texts = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]
    missing = {sign for text in texts for sign in text.get_text() if not sign.isspace()}
    missing -= _signs(font_manager.findfont(USUAL))
    families = [USUAL, *families_for(missing)]
    for text in texts:
        if not missing.isdisjoint(text.get_text()):
            text.set_fontfamily(families)


def families_for(signs: Set[str]) -> list[str]:
    """Installed families that together have these characters: as few as one by one yields.

    Args:
        signs: Single characters. Those that no installed font has are left out.
    """
    found, left = [], set(signs)
    installed = sorted(_installed().items()) if signs else []
    while left:
        # Of those that have equally many, one without serifs, like the usual one.
        family, path = max(
            installed, key=lambda one: (len(left & _signs(one[1])), bool(_PLAIN.search(one[0])))
        )
        covered = left & _signs(path)
        if not covered:
            break
        found.append(family)
        left -= covered
    return found


def _installed() -> dict[str, str]:
    """Each family -> the file of its upright face of usual weight, or of another one."""
    faces = [one for one in font_manager.fontManager.ttflist if not one.name.startswith(_BOXES)]
    usual = {"normal", "regular", "400"}
    faces.sort(key=lambda one: (one.style != "normal", str(one.weight) not in usual, one.fname))
    return {one.name: one.fname for one in reversed(faces)}


@cache
def _signs(path: str) -> frozenset[str]:
    """The characters that a font has."""
    return frozenset(map(chr, FT2Font(path).get_charmap()))
