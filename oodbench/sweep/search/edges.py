"""Values at the edge of their search range: a better one may lie beyond."""

from collections.abc import Mapping
from typing import Any

from oodbench.spaces import Range, parse

EDGE = 0.05
"""The outer 5% of a range, on its own scale, are its edge."""


def at_edge(space: Mapping[str, Any], hparams: Mapping[str, Any]) -> list[str]:
    """The hyperparameters that lie at the edge of their range, each as ``lr = 0.98 in [0.001, 1]``.

    Args:
        space: A search space as YAML has it.
        hparams: Values by name; others are ignored.
    """
    found = []
    for name, text in space.items():
        what = parse(text)
        if isinstance(what, Range) and not EDGE <= what.position(hparams[name]) <= 1 - EDGE:
            found.append(f"{name} = {hparams[name]:.4g} in [{what.low:g}, {what.high:g}]")
    return found
