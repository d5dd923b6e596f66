"""What ``status --watch`` shows: how far all is, and as many unfinished studies as fit."""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from oodbench.cli.printing import fitting, shown, stdout

if TYPE_CHECKING:
    import pandas as pd

EVERY = 2.0
"""Seconds between two looks."""


def watch_until_done(db: str, name: str | None) -> None:
    """Show how far sweeps are, again in its place, until no run waits or is trained."""
    from rich.live import Live

    from oodbench.verbs.display import Pace
    from oodbench.verbs.progress import ENDED, describe
    from oodbench.verbs.status import standing

    console, pace = stdout(), None
    with Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            now, seen = time.monotonic(), standing(db, name)
            ended, total = sum(seen.counts[state] for state in ENDED), sum(seen.counts.values())
            if ended == total:
                return
            pace = pace or Pace(now, ended)
            pace.update(now, ended)
            line = f"{ended}/{total} models, {describe(seen.counts, pace, now, seen.best)}"
            live.update(screen(line, seen.studies, console), refresh=True)
            time.sleep(EVERY)


def columns_of(studies: "pd.DataFrame") -> "pd.DataFrame":
    """The columns of ``api.status`` that are shown."""
    return studies.drop(columns=left_out(set(studies["sweep"])))


def left_out(sweeps: Collection[str]) -> list[str]:
    """The columns that are not shown."""
    return ["study", "total", *(["sweep"] if len(sweeps) < 2 else [])]


def screen(line: str, studies: "pd.DataFrame", console: Console) -> Group:
    """The line, and of the unfinished studies, those in training first, as many as fit under it.

    Args:
        line: How far all is.
        studies: What ``api.status`` returns.
        console: Console whose width and height all has to fit; its last line stays free.
    """
    unfinished = studies[(studies["waiting"] + studies["running"]) > 0]
    in_training_first = (unfinished["running"] == 0).sort_values(kind="stable").index
    table = columns_of(studies).loc[in_training_first]
    rows, done = min(len(table), console.height), len(studies) - len(table)
    while True:
        parts: list[RenderableType] = [Text(line)]
        if rows:
            parts += [Text(), fitting(shown(table.head(rows)), console)]
        if rest := rest_text(len(table) - rows, done):
            parts.append(Text(rest))
        too_many = len(console.render_lines(Group(*parts), pad=False)) - (console.height - 1)
        if too_many <= 0 or not rows:
            return Group(*parts)
        rows = max(0, rows - too_many)


def rest_text(unfinished: int, done: int) -> str:
    """A line that counts the studies that are not shown."""
    texts = [f"{unfinished} unfinished"] if unfinished else []
    texts += [f"{done} done"] if done else []
    return f"Studies not shown: {', '.join(texts)}." if texts else ""
