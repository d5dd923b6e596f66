"""Numbers behind the report's curves, and how optimizers look, as plain values for the browser."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex, to_rgb

from ..curves.return_curves import Key
from ..curves.verdicts import ReturnCurve
from ..plots.style import Palette, looks
from ..runs.columns import GROUP
from ..runs.environments import Environments, side_name
from ..runs.names import group_name
from ..runs.panels import Panel, panels

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
            "dark": on_dark(look.color),
            "symbol": SYMBOLS[look.marker],
            "filled": look.filled,
        }
        for name, look in looks(pairs, palette).items()
    ]


def on_dark(color: str) -> str:
    """The colour, mixed with white as far as it must be to stand out on the dark page.

    The contrast is WCAG's, and 3 is what it asks of graphical objects. Lighter than that, blues
    become alike.
    """
    rgb = np.array(to_rgb(color))
    shares = (share / 20 for share in range(20))
    mixed = (rgb + share * (1 - rgb) for share in shares)
    return to_hex(tuple(next(one for one in mixed if _luminance(one) + 0.05 >= 3.2 * DARK)))


def _luminance(rgb: Any) -> float:
    """Relative luminance of an sRGB colour, as WCAG 2.2 defines it."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


DARK = 0.05 + _luminance(np.array(to_rgb("#14171b")))
"""Luminance of the dark page, as it enters into contrasts."""


def look_colors(shown: Sequence[Mapping[str, Any]]) -> str:
    """The colours of optimizers as variables of a style sheet, ``--look-0`` and so on."""
    light, dark = (
        "".join(f"--look-{i}: {look[theme]};" for i, look in enumerate(shown))
        for theme in ("color", "dark")
    )
    in_dark = f"@media screen and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}"
    return f":root {{ {light} }} {in_dark}"


def panel_facts(pairs: pd.DataFrame, environments: Environments) -> list[dict[str, Any]]:
    """The keys of panels, their headings and remarks; a panel's chance may be null."""
    return [
        {
            **dict(zip(GROUP, panel.key, strict=True)),
            "title": group_name(panel.dataset, _named(panel, environments), panel.algorithm),
            "examples": [panel.n_id, panel.n_ood],
            "chance": panel.chance,
            "remarks": list(panel.remarks),
        }
        for panel in panels(pairs)
    ]


def _named(panel: Panel, environments: Environments) -> str:
    return side_name(panel.test_environments, environments.get(panel.dataset, ()))


def sides(pairs: pd.DataFrame, environments: Environments) -> list[dict[str, str]]:
    """The choices of test environments of each dataset, sorted, by index and name."""
    found = pairs[["dataset", "test_environments"]].drop_duplicates().astype(str)
    keys = sorted(found.itertuples(index=False), key=lambda key: (key[0], _indices(key[1])))
    return [
        {
            "dataset": dataset,
            "test_environments": tested,
            "name": f"{dataset}/{tested}",
            "label": side_name(tested, environments.get(dataset, ())) or "published splits",
        }
        for dataset, tested in keys
    ]


def _indices(tested: str) -> tuple[tuple[int, str], ...]:
    """Numbers in the order of numbers."""
    return tuple((int(p) if p.isdecimal() else -1, p) for p in tested.split(","))


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
