"""Comparisons of adaptive optimizers with the others as sentences about the adaptive ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..compare.estimates import FEWEST
from ..compare.verdicts import DEPENDS
from ..stats.best_of import INDEPENDENT
from ..stats.testing import LEVEL

Row = Mapping[Any, Any]

SUBJECT = "adaptive optimizers"
SCORES = {"id": "ID accuracy", "ood": "OOD accuracy"}


def signed(value: float) -> str:
    """A fraction as points, such as ``+1.2``."""
    return f"{100 * value:+.1f}".replace("-", "\N{MINUS SIGN}")


def ends(low: float, high: float) -> str:
    """An interval in points, such as ``-13.1 to -7.3``; empty where there is none."""
    return f"{signed(low)} to {signed(high)}" if np.isfinite(low) else ""


def spelled(unit: str) -> str:
    """The unit of a budget in words."""
    return unit.replace("_", " ")


def corrected(row: Row) -> str:
    """The p-value of a difference whose interval excludes 0 and that is undecided all the same."""
    excludes = row["verdict"] == "undecided" and row["low"] * row["high"] > 0
    return f"; p {row['p_holm']:.2g} corrected" if excludes else ""


def points(row: Row) -> str:
    """A difference of accuracies and its 95% interval: ``-14.5 points (-16.2 to -12.7)``."""
    value = f"{signed(row['difference'])} points"
    if not np.isfinite(row["low"]):
        return (
            f"{value} (an interval takes {FEWEST} draws of each optimizer, and {INDEPENDENT} "
            "times the budget)"
        )
    return f"{value} ({ends(row['low'], row['high'])})"


def of_these(row: Row) -> str:
    """What a row of ``compare_kinds`` says of the optimizers and datasets at hand."""
    score, verdict = SCORES[str(row["score"])], str(row["verdict"])
    if not np.isfinite(row["low"]):
        return f"{SUBJECT}: {score} not tested, {points(row)}"
    between = ends(row["low"], row["high"])
    if verdict in ("higher", "lower"):
        return f"{SUBJECT}: {_by_how_much(row)} {score} than the others ({between})"
    if verdict == "no difference":
        value = signed(row["difference"])
        return f"{SUBJECT}: no different from the others in {score} ({value} points, {between})"
    if verdict == DEPENDS:
        turned = ", ".join(f"{signed(value)} at {n:,.6g}" for n, value, _ in row["at_budgets"])
        return f"{SUBJECT}: {score} depends on the budget ({turned} {spelled(row['unit'])})"
    value = f"{signed(row['difference'])} points, {between}{corrected(row)}"
    return f"{SUBJECT}: undecided in {score} ({value})"


def of_their_like(row: Row, wider: str) -> str:
    """What the same row says of ``wider``: what they are a sample of."""
    score = SCORES[str(row["score"])]
    between = ends(row["population_low"], row["population_high"])
    if row["population_p_holm"] >= LEVEL or row["verdict"] == DEPENDS:
        return f"{wider}: undecided in {score} ({signed(row['difference'])} points, {between})"
    return f"{wider}: {_by_how_much(row)} {score} ({between})"


def _by_how_much(row: Row) -> str:
    """The difference in words, such as ``10.2 points lower``."""
    direction = "higher" if row["difference"] > 0 else "lower"
    return f"{100 * abs(row['difference']):.1f} points {direction}"
