"""Figures to files."""

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
    if layout := figure.get_layout_engine():
        layout.execute(figure)  # of square axes the first layout is off; drawing makes the second
    with mpl.rc_context({"svg.hashsalt": "oodbench", "pdf.fonttype": 42}):
        figure.savefig(target, dpi=200, metadata=metadata)
    return target
