"""Figures to files, and to notebooks."""

import io
from os import PathLike
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from oodbench.errors import RequestError

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
    """

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """The image at 200 dpi and the size at which it is shown, 150 pixels an inch."""
        lay_out(self)
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=200)
        width, height = self.get_size_inches()
        return buffer.getvalue(), {"width": round(150 * width), "height": round(150 * height)}


def save(figure: Figure, path: str | PathLike[str]) -> Path:
    """Write a figure as PNG (200 dpi), PDF or SVG, by the path's suffix.

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
    with mpl.rc_context({"svg.hashsalt": "oodbench", "pdf.fonttype": 42}):
        figure.savefig(target, dpi=200, metadata=metadata)
    return target


def lay_out(figure: Figure) -> None:
    """Lay a figure out once; of square axes that is still off, and drawing does it again."""
    if layout := figure.get_layout_engine():
        layout.execute(figure)
