"""How a figure is laid out and written: size, resolution, columns, legend, for screen or paper."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, Self, TypedDict

from oodbench.errors import RequestError, check_name

Size = str | tuple[float, float]
"""Width and height in inches, as a pair or as text such as ``"6.9,4"``."""

Style = Literal["screen", "paper"]
STYLES = ("screen", "paper")
Legend = Literal["panel", "below", "right", "none"]
LEGENDS = ("panel", "below", "right", "none")

COLUMN_WIDTH = 3.4
TEXT_WIDTH = 6.9
"""Widths in inches of one column and of a whole page of a two-column paper."""

PAGE_HEIGHT = 9.2
"""Inches of a page of a paper that figures with columns of their own choice stay within."""

SMALLEST, LARGEST = 1.0, 60.0
"""Inches of a side of a figure."""

DOTS = (50, 1200)
MOST_COLUMNS = 12


class Appearing(TypedDict, total=False):
    """Keyword arguments of every figure: see ``Appearance``."""

    title: str | None
    size: Size | None
    dpi: int
    style: Style


class Paneled(Appearing, total=False):
    """Keyword arguments of figures of panels: see ``PanelAppearance``."""

    columns: int | None


class Legended(Paneled, total=False):
    """Keyword arguments of figures of panels with a legend: see ``LegendAppearance``."""

    legend: Legend | None


@dataclass(frozen=True)
class Appearance:
    """How a figure looks, beside its colours.

    Attributes:
        title: Over the whole figure.
        size: Width and height in inches, such as ``6.9,4``. Default: what its parts need.
        dpi: Dots an inch of a PNG file.
        style: ``screen``; or ``paper``: headings are short, and what they and the notes say, with
            every n, goes to a file beside the figure (figure.caption.txt).
    """

    title: str | None = None
    size: Size | None = None
    dpi: int = 200
    style: Style = "screen"

    def __post_init__(self) -> None:
        check_name("style", self.style, STYLES)
        _check_whole("dpi", self.dpi, *DOTS)
        _ = self.inches

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Self:
        """The record of a call's arguments.

        Raises:
            UnknownNameError: No such option, style or legend.
            RequestError: A size, a resolution or a number of columns that no figure has.
        """
        for name in options:
            check_name("option", name, [field.name for field in fields(cls)])
        return cls(**options)

    @classmethod
    def taken(cls, options: Mapping[str, Any]) -> tuple[Self, dict[str, Any]]:
        """The record of those arguments that are its own, and the others."""
        own = {field.name for field in fields(cls)}
        mine = {name: value for name, value in options.items() if name in own}
        return cls.of(mine), {k: v for k, v in options.items() if k not in own}

    @property
    def on_paper(self) -> bool:
        """Whether headings and notes go to a file beside the figure."""
        return self.style == "paper"

    @property
    def inches(self) -> tuple[float, float] | None:
        """Width and height, if they are asked for."""
        if self.size is None:
            return None
        parts = self.size.split(",") if isinstance(self.size, str) else self.size
        try:
            width, height = map(float, parts)
        except (TypeError, ValueError):
            width = height = float("nan")
        if not (SMALLEST <= width <= LARGEST and SMALLEST <= height <= LARGEST):
            raise RequestError(
                f"A size is a width and a height of {SMALLEST:g} to {LARGEST:g} inches, but got "
                f"{self.size!r}. Write them as {TEXT_WIDTH:g},4."
            )
        return width, height

    def width(self, natural: float) -> float:
        """Inches across: what is asked for, or what the figure would take."""
        return self.inches[0] if self.inches else natural

    def stretch(self, natural: float, fixed: float = 0.0) -> float:
        """What heights of ``natural`` inches in all are multiplied by to fit the size.

        Args:
            natural: What may grow or shrink.
            fixed: What may not: texts and tables.

        Raises:
            RequestError: The size is too low for it.
        """
        if self.inches is None:
            return 1.0
        height = self.inches[1]
        least = fixed + LEAST * natural
        if height < least:
            raise RequestError(
                f"This figure takes a height of {least:.1f} inches or more, but size asks for "
                f"{height:g}. Ask for more, or draw fewer runs (dataset, algorithm, where)."
            )
        return (height - fixed) / natural

    def over(self, lines: Sequence[str]) -> list[str]:
        """The lines of a heading that stand in the figure: on paper, the first."""
        return list(lines[:1] if self.on_paper else lines)


LEAST = 0.5
"""A figure shrinks to half of what it would take, and no further: letters keep their size."""


@dataclass(frozen=True)
class PanelAppearance(Appearance):
    """How a figure of panels looks.

    Attributes:
        columns: Panels side by side. Default: one a column of the data, or as many as it takes for
            the figure to fit a page.
    """

    columns: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.columns is not None:
            _check_whole("columns", self.columns, 1, MOST_COLUMNS)


@dataclass(frozen=True)
class LegendAppearance(PanelAppearance):
    """How a figure of panels with a legend looks.

    Attributes:
        legend: ``panel``: under each panel, with its runs by status; ``below`` or ``right``: one
            for all panels; ``none``. Default: ``panel`` where panels are wide enough, else
            ``below``.
    """

    legend: Legend | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.legend is not None:
            check_name("legend", self.legend, LEGENDS)


def _check_whole(name: str, value: Any, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RequestError(
            f"{name} is a whole number from {low} to {high}, but got {value!r}. Choose another."
        )
