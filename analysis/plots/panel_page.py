"""A page of panels, drawn as its layout says."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec

from .appearance import PAGE_HEIGHT, PanelAppearance
from .layouts import Contents, Layout, Place, Shown, choose_layout
from .legends import ENTRY, LINE, across, legend_room, write_legend
from .page import new_figure, set_heading, texts_room
from .style import styled


def panel_page(contents: Contents[Shown], look: PanelAppearance) -> Figure:
    """A page of what is shown, a panel each; see ``choose_layout``."""
    layout = choose_layout(contents, look)
    panels = [one.panel for one in contents.found]
    columns = across(layout.width) if layout.legend == "below" else 1
    legend = legend_room(panels, columns) if layout.legend in ("below", "right") else 0.0
    below = legend if layout.legend == "below" else 0.0
    fixed = layout.fixed + below
    room = texts_room(layout.width, look, layout.caption)
    stretch = max(look.stretch(layout.natural, fixed + room), (legend - fixed) / layout.natural)
    if look.inches is None and look.columns is None and layout.lowest <= PAGE_HEIGHT:
        stretch = min(stretch, (PAGE_HEIGHT - layout.fixed) / layout.natural)
    with styled():
        height = fixed + stretch * layout.natural
        figure = new_figure(layout.width, height, look, layout.caption)
        grid = _grid(figure, layout, stretch, below)
        for i, row in enumerate(layout.rows):
            for j, one in enumerate(row.shown):
                alike = [two for two in contents.found if two.panel.key[:2] == one.panel.key[:2]]
                stack = _stack(figure, grid, layout, i, j)
                place = Place(*stack, one, alike, row.lines, layout.panel)
                contents.draw(place)
                set_heading(place.axes[0], layout.heading(one), layout.wrap)
        if legend:
            axes = figure.add_subplot(grid[-1, :] if below else grid[:, -1])
            write_legend(axes, panels, contents.styles, columns)
    return figure


def _grid(figure: Figure, layout: Layout[Shown], stretch: float, below: float) -> GridSpec:
    """A column a panel, a row for each of a stack of axes; the legend has one of its own."""
    tables = [(row.lines + 1) * LINE if layout.legend == "panel" else None for row in layout.rows]
    heights = [
        height
        for row, table in zip(layout.rows, tables, strict=True)
        for height in (*(stretch * h for h in row.heights), *([table] if table else []))
    ]
    right = [ENTRY] if layout.legend == "right" else []
    return figure.add_gridspec(
        len(heights) + bool(below),
        layout.columns + len(right),
        height_ratios=[*heights, *([below] if below else [])],
        width_ratios=[*[layout.panel] * layout.columns, *right],
    )


def _stack(
    figure: Figure, grid: GridSpec, layout: Layout[Shown], row: int, column: int
) -> tuple[list[Axes], Axes | None]:
    """The axes of a panel, top first, and that of its table, if it has one; all are off."""
    tabled = layout.legend == "panel"
    parts = len(layout.rows[0].heights) + tabled
    stack = [figure.add_subplot(grid[row * parts + part, column]) for part in range(parts)]
    for axes in stack:
        axes.set_axis_off()
    return (stack[:-1], stack[-1]) if tabled else (stack, None)
