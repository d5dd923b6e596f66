"""Statements about adaptive optimizers, each with its verdict, its evidence and what it covers."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd

from ..claims.claim import FAILS, HOLDS, UNDECIDED, shipped
from ..compare.verdicts import DEPENDS
from ..runs.columns import GROUP
from ..runs.names import coverage
from ..stats.testing import LEVEL
from .sentences import Row, ends, of_their_like, of_these, points, signed

CLAIMS = {"id": shipped("naganuma2023-i-id"), "ood": shipped("naganuma2023-i-ood")}
"""The claim on each score that is judged on every dataset."""
SAME_ID, WORSE_OOD = (claim.claim for claim in CLAIMS.values())

ALL = "all of the class"
AVERAGED = "average"
"""Stands for the test environments of a statement about their average."""

THESE = "these optimizers"
KINDS = "optimizers of these kinds"
CLASS = "datasets of this class"


def claims_of_kinds(kinds: pd.DataFrame) -> Iterator[dict[str, str]]:
    """SAME_ID and WORSE_OOD on each panel: of these optimizers, and of these kinds."""
    for row in kinds.to_dict("records"):
        place = {name: str(row[name]) for name in GROUP}
        yield from _two_levels(row, len(kinds) // 2, place, KINDS)


def claims_of_classes(classes: pd.DataFrame) -> Iterator[dict[str, str]]:
    """Claims about averages over a dataset's environments, and over each class's datasets.

    Args:
        classes: ``compare_by_class`` of the kinds.
    """
    for row in classes[classes["tasks"] > 1].to_dict("records"):
        place = {name: str(row[name]) for name in ("shift", "algorithm")}
        if row["datasets"] > 1:
            yield from _two_levels(row, len(classes) // 2, {**place, "dataset": ALL}, CLASS)
        else:
            place |= {"dataset": str(row["names"]), "test_environments": AVERAGED}
            yield from _two_levels(row, len(classes) // 2, place, KINDS)


def _two_levels(
    row: Row, looked_at: int, place: Mapping[str, str], wider: str
) -> Iterator[dict[str, str]]:
    """What a row says of the units at hand, and of those that they are a sample of."""
    ood = row["score"] == "ood"
    claim = {"claim": CLAIMS[str(row["score"])].claim, **place}
    yield {
        **claim,
        "about": THESE,
        "verdict": verdict_of(row),
        "sentence": of_these(row),
        "not_under": str(row["not_under"]),
        "evidence": "; ".join([_found(row, looked_at), *_robust(row), amount(row), *_behind(row)]),
    }
    if ood and np.isfinite(row["population_p"]):
        yield {
            **claim,
            "about": wider,
            "verdict": _population_verdict(row),
            "sentence": of_their_like(row, wider),
            "evidence": _population(row, looked_at, wider),
        }


def verdict_of(row: Row) -> str:
    """HOLDS, FAILS, UNDECIDED or DEPENDS of a row of ``compare_kinds``, with its exceptions."""
    return CLAIMS[str(row["score"])].verdict(row)


def _population_verdict(row: Row) -> str:
    if row["population_p_holm"] >= LEVEL or row["verdict"] == DEPENDS:
        return UNDECIDED
    verdict = HOLDS if row["difference"] < 0 else FAILS
    return f"{verdict}, but not under {row['not_under']}" if row["not_under"] else verdict


def _population(row: Row, looked_at: int, wider: str) -> str:
    between = ends(row["population_low"], row["population_high"])
    value = f"{signed(row['difference'])} points ({between})"
    p = f"p {row['population_p_holm']:.2g} (Holm, {looked_at} statements)"
    units = f"; {row['agree']} of {row['datasets']} datasets agree" if wider == CLASS else ""
    return f"{value}, {p}{units}"


def _found(row: Row, looked_at: int) -> str:
    """What a comparison came to. Without an interval the numbers are those of a few runs."""
    if not np.isfinite(row["low"]):
        return f"not tested: {points(row)}"
    p = f"p {row['p_holm']:.2g} (Holm, {looked_at} statements)"
    return f"{row['verdict']}, {points(row)}, {p}, P(improvement) {row['improvement']:.2f}"


def _robust(row: Row) -> Iterable[str]:
    """The difference at other budgets, and under cuts of the search spaces."""
    others = row["at_budgets"][1:]
    if others:
        others_text = ", ".join(f"{signed(value)} at {budget:,.6g}" for budget, value, _ in others)
        yield f"at other budgets {others_text}"
    values = [value for _, value, _ in row["under_cuts"] if np.isfinite(value)]
    if values:
        yield f"under {len(values)} cuts of the spaces {ends(min(values), max(values))}"


def amount(row: Row) -> str:
    """The budget of a comparison, such as ``8 trials of each``."""
    unit = str(row["unit"]).replace("_", " ")
    unit = unit.removesuffix("s") if row["budget"] == 1 else unit
    return f"{row['budget']:,.6g} {unit} of each"


def _behind(row: Row) -> Iterable[str]:
    """What the interval covers, and the trials on each side."""
    if np.isfinite(row["low"]):
        yield covered(row)
    sides = []
    for side in ("a", "b"):
        gone = row[f"diverged_{side}"] + row[f"failed_{side}"]
        none = row[f"no_model_{side}"]
        lost = f"{gone:,} lost" + (f", no model in {none:.1%} of searches" if none > 5e-4 else "")
        sides.append(f"{row[f'trials_{side}']:,} {row[side]} ({lost})")
    yield f"n = {' and '.join(sides)}"


def covered(row: Row) -> str:
    """What the interval of a row covers."""
    return f"interval {coverage(bool(row['examples']), int(row['splits']))}"
