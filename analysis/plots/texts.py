"""What figures say: labels that fit, headings in lines, runs by status, rules in captions."""

import re
import textwrap
from collections.abc import Sequence
from typing import Any

import pandas as pd

from ..runs.columns import STATUS_COLUMNS
from ..runs.names import coverage


def wrapped(lines: Sequence[str], most: int) -> str:
    """Lines of at most ``most`` characters; where a phrase fits, none is broken within it."""
    parts: list[str] = []
    for line in lines:
        start = len(parts)
        for phrase in re.split("(?<=[,;:]) ", line):
            if len(parts) > start and len(f"{parts[-1]} {phrase}") <= most:
                parts[-1] += f" {phrase}"
            else:
                parts += textwrap.wrap(phrase, most)
    return "\n".join(parts)


def short(label: str, most: int = 22) -> str:
    """A label that fits, with an ellipsis where it was cut."""
    return label if len(label) <= most else label[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"


def count_texts(counts: Any) -> list[str]:
    """A row of counts in words, such as ``20 completed`` and ``1 diverged``."""
    return [f"{counts[s]:,} {s}" for s in STATUS_COLUMNS if s == "completed" or counts[s]]


def scored_by(pairs: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The runs, whose scores labels call ``metric``."""
    return pairs if metric == "accuracy" else pairs.assign(scored_by=metric)


def selecting(rule: str) -> str:
    """How a caption names the rule that selects runs."""
    return f"{rule} (which looks at the test environments)" if rule == "oracle" else rule


def covered(table: pd.DataFrame) -> str:
    """What the intervals of all rows of a table cover; see ``coverage``."""
    return coverage(bool(table["examples"].all()), int(table["splits"].min()))


def remarks_of_panels(panels: Sequence[tuple[str, Sequence[str]]]) -> str:
    """The remarks on panels, once for panels with the same remark.

    Args:
        panels: The name of each, and its remarks.
    """
    said: dict[str, list[str]] = {}
    for name, remarks in panels:
        if remarks:
            said.setdefault("; ".join(remarks), []).append(name)
    everywhere = [text for text, names in said.items() if len(names) == len(panels)]
    here = [
        f"{', '.join(names)}: {text}." for text, names in said.items() if text not in everywhere
    ]
    return " ".join([*(f"All panels: {text}." for text in everywhere), *here])
