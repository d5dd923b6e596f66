"""What a cell of the leaderboard says, in words."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..conclusions.sentences import corrected, points, signed
from ..report.cells import missing
from ..runs.names import coverage, tested_on

Row = Mapping[Any, Any]
HOUR, MINUTE = 3600, 60


def verdict_text(row: Row) -> str:
    """The verdict, with the difference where it is decided: ``5.1 higher``."""
    verdict = str(row["verdict"])
    if verdict in ("higher", "lower"):
        return f"{abs(100 * row['difference']):.1f} {verdict}"
    return "no different" if verdict == "no difference" else verdict


def difference_text(row: Row) -> str:
    """The difference from the reference in points, with its interval, and the verdict."""
    verdict = "no different" if row["verdict"] == "no difference" else str(row["verdict"])
    p = row["p_holm"]
    tested = "" if missing(p) or corrected(row) else f"; p {max(p, 1e-12):.2g} corrected"
    return f"{verdict}: {points(row)}{corrected(row)}{tested}"


def budgets_text(row: Row) -> str:
    """The difference at the other budgets."""
    others = [(n, value) for n, value, _ in row["at_budgets"][1:] if np.isfinite(value)]
    return ", ".join(f"{signed(value)} points at {n:,.6g}" for n, value in others)


def rank_text(row: Row) -> str:
    """The rank as far as pairs decide it; empty where they decide nothing."""
    low, high, of = (int(row[name]) for name in ("rank_low", "rank_high", "of"))
    if (low, high) == (1, of):
        return ""
    return f"rank {low} of {of}" if low == high else f"rank {low} to {high} of {of}"


def cost_text(row: Row) -> str:
    """What the budget costs: gradient evaluations, and the time of training where it is known."""
    words = []
    if not missing(row.get("gradient_evaluations")):
        words.append(f"{round(row['gradient_evaluations']):,} gradients")
    if not missing(row.get("seconds")):
        words.append(time_text(row["seconds"]))
    return ", ".join(words) or "not known"


def environments_text(row: Row) -> str:
    """The estimate on each choice of test environments."""
    each = row["by_environment"]
    if len(each) == 1:
        return tested_on(each[0][0]).removeprefix("tested on ")
    return "; ".join(f"environment {place}: {100 * value:.1f}" for place, value in each)


def time_text(seconds: float) -> str:
    """A time in its usual unit, such as ``3.4 s`` or ``1.2 h``."""
    for size, unit in ((HOUR, "h"), (MINUTE, "min")):
        if seconds >= size:
            return f"{seconds / size:.2g} {unit}"
    return f"{seconds:.2g} s"


def runs_text(row: Row) -> str:
    """How many trials there are, and what became of them."""
    lost = ", ".join(f"{int(row[name]):,} {name}" for name in ("diverged", "failed"))
    none = "" if row["no_model"] < 0.0005 else f"; no model in {row['no_model']:.1%} of searches"
    return f"{int(row['trials']):,}: {int(row['completed']):,} completed, {lost}{none}"


def covered_text(row: Row) -> str:
    """What the intervals cover."""
    if missing(row["ood_low"]):
        return "none: one takes four times as many draws as the budget"
    return coverage(bool(row["examples"]), int(row["splits"]))
