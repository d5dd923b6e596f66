"""A claim's verdict as a badge, for a README."""

from html import escape

from .claim import FAILS, HOLDS
from .judge import Judged

COLORS = {HOLDS: "#0a6b3d", FAILS: "#a32020"}
OTHER = "#59636e"
LETTER, EDGE = 6.6, 10
"""Pixels that a letter takes, and on either side of a text."""


def claim_badge(judged: Judged, name: str) -> str:
    """The verdict as SVG: the claim's name, and one word on its colour.

    Args:
        judged: The result of ``analysis.judge_claim``.
        name: Name of the claim, such as ``naganuma2023-i``.
    """
    widths = [round(LETTER * len(text) + 2 * EDGE) for text in (name, judged.word)]
    total, color = sum(widths), COLORS.get(judged.word, OTHER)
    middles = widths[0] / 2, widths[0] + widths[1] / 2
    texts = "".join(
        f'<text x="{x:g}" y="14" textLength="{width - 2 * EDGE}">{escape(text)}</text>'
        for x, width, text in zip(middles, widths, (name, judged.word), strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img">'
        f"<title>{escape(judged.claim.claim)}: {escape(judged.verdict)}</title>"
        f'<rect width="{total}" height="20" rx="3" fill="#3a424b"/>'
        f'<rect x="{widths[0]}" width="{widths[1]}" height="20" rx="3" fill="{color}"/>'
        '<g fill="#ffffff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" '
        f'text-anchor="middle">{texts}</g></svg>\n'
    )
