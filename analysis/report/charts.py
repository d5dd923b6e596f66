"""Numbers behind the report's curves, and how optimizers look, as plain values for the browser."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from ..curves.return_curves import Key
from ..curves.verdicts import ReturnCurve
from ..plots.style import Palette, looks
from ..runs.columns import GROUP
from ..runs.names import group_name
from ..runs.panels import panels

SYMBOLS = {
    **{"o": "circle", "s": "square", "^": "triangle-up", "v": "triangle-down", "D": "diamond"},
    **{"P": "cross", "X": "x", "<": "triangle-left", ">": "triangle-right", "p": "pentagon"},
    **{"h": "hexagon", "*": "star", "d": "diamond-tall", "H": "hexagon2", "8": "octagon"},
}
"""Marker of matplotlib -> of plotly, so that an optimizer looks the same in both."""


def optimizer_looks(pairs: pd.DataFrame, palette: Palette = "default") -> list[dict[str, Any]]:
    """How each optimizer is drawn, as in the figures; in order of first appearance."""
    return [
        {
            "name": name,
            "label": look.label,
            "color": look.color,
            "symbol": SYMBOLS[look.marker],
            "filled": look.filled,
        }
        for name, look in looks(pairs, palette).items()
    ]


def panel_facts(pairs: pd.DataFrame) -> list[dict[str, Any]]:
    """What tells panels apart, their headings and remarks; a panel's chance may be null."""
    return [
        {
            **dict(zip(GROUP, panel.key, strict=True)),
            "title": group_name(*panel.key),
            "examples": [panel.n_id, panel.n_ood],
            "chance": panel.chance,
            "remarks": list(panel.remarks),
        }
        for panel in panels(pairs)
    ]


def budget_curves(table: pd.DataFrame) -> list[dict[str, Any]]:
    """A panel and optimizer each: n, and both scores with the ends of their intervals."""
    names = ("id", "id_low", "id_high", "ood", "ood_low", "ood_high")
    return [
        {
            **dict(zip((*GROUP, "optimizer"), map(str, key), strict=True)),
            "n": rows["n"].tolist(),
            "trials": int(rows["trials"].iloc[0]),
            **{name: numbers(rows[name]) for name in names},
        }
        for key, rows in table.groupby([*GROUP, "optimizer"], sort=False)
    ]


def curves_of_returns(curves: Mapping[Key, ReturnCurve]) -> list[dict[str, Any]]:
    """A panel and optimizer each: the verdict and the curve with its band, where there is one."""
    return [
        {
            **dict(zip((*GROUP, "optimizer"), key, strict=True)),
            "verdict": curve.verdict,
            "n": curve.n,
            "percentiles": numbers(curve.percentiles),
            "x": numbers(curve.grid),
            **{"y": numbers(curve.fitted), "low": numbers(curve.low), "high": numbers(curve.high)},
        }
        for key, curve in curves.items()
    ]


def numbers(values: Any) -> list[float | None]:
    """Rounded to six digits after the point; null where there is none."""
    return [
        round(float(value), 6) if np.isfinite(value) else None
        for value in np.asarray(values, dtype=float)
    ]
