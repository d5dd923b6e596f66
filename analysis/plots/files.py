"""Figures to files, and to notebooks."""

import io
import textwrap
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from oodbench.errors import RequestError

from .appearance import Appearance
from .fonts import use_fonts

# Dates and version names are left out, so that equal figures are equal files.
_METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None, "Producer": None, "Creator": None},
    ".png": {"Software": None},
    ".svg": {"Date": None, "Creator": None},
}


class Drawing(Figure):
    """A figure that a notebook shows as an image.

    IPython draws matplotlib's figures only once pyplot, which keeps each figure for ever, or
    ``%matplotlib inline`` has set that up; these need neither.

    Attributes:
        look: How it was asked to look.
        notes: What a figure for a paper leaves to its caption, a paragraph each.
    """

    def __init__(self, size: tuple[float, float], look: Appearance) -> None:
        super().__init__(figsize=size, layout="constrained")
        self.look = look
        self.notes: list[str] = []

    def over(self, lines: Sequence[str]) -> list[str]:
        """The lines of a heading that stand over its panel; notes have the others."""
        shown = self.look.over(lines)
        if rest := list(lines[len(shown) :]):
            self.notes.append(f"{shown[0]}: {'; '.join(rest)}.")
        return shown

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The image, and the size at which it is shown, 150 pixels an inch."""
        lay_out(self)
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=self.look.dpi)
        width, height = self.get_size_inches()
        return buffer.getvalue(), {"width": round(150 * width), "height": round(150 * height)}


def save(figure: Figure, path: str | PathLike[str]) -> Path:
    """Write a figure as PNG, PDF or SVG, by the path's suffix; a PNG at the figure's ``dpi``.

    Of a figure for a paper, headings and notes are written beside it: see ``caption_file``.
    Missing folders are made. Equal figures become equal files.

    Raises:
        RequestError: The suffix is none of the three.
    """
    target = Path(path)
    metadata = _METADATA.get(target.suffix.lower())
    if metadata is None:
        raise RequestError(
            f"A figure is saved as one of {', '.join(sorted(_METADATA))}, but the path is "
            f"{str(path)!r}. Change its suffix."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    lay_out(figure)
    dpi = figure.look.dpi if isinstance(figure, Drawing) else Appearance.dpi
    with mpl.rc_context({"svg.hashsalt": "oodbench", "pdf.fonttype": 42}):
        figure.savefig(target, dpi=dpi, metadata=metadata)
    if isinstance(figure, Drawing) and figure.notes:
        text = "\n\n".join(textwrap.fill(note, 100) for note in figure.notes)
        caption_file(target).write_text(f"{text}\n", encoding="utf-8", newline="\n")
    return target


def caption_file(path: Path) -> Path:
    """Where the caption of a figure for a paper is written: ``figure.caption.txt``."""
    return path.with_name(f"{path.stem}.caption.txt")


def lay_out(figure: Figure) -> None:
    """Lay a figure out once; of square axes that is still off, and drawing does it again."""
    use_fonts(figure)
    if layout := figure.get_layout_engine():
        layout.execute(figure)
