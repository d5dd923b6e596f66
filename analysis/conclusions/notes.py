"""What a reader of conclusions must know: the runs, the searches, how to read them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

import pandas as pd

from ..compare.differences import UNCUT
from ..compare.health import edge_notes
from ..runs.columns import GROUP
from ..runs.names import group_name, pretty
from .claims import amount, covered

POWER = (
    "Differences between two optimizers (the pair with the median error) that are found with 80% "
    "probability, before correction for the number of pairs:"
)

WORDS = (
    "Accuracies are of the run that the rule {rule} selects among a fixed number of draws from "
    "each optimizer's search space. Lost runs diverged or failed: they are spent, and never "
    "selected.",
    "Differences are in points of accuracy, with 95% intervals. Higher and lower: significant, "
    "corrected for the number of statements (Holm). No different: equivalent within one point "
    "(TOST). Depends on the budget: another number of draws decides the opposite.",
)

RETURNS = "Return types are this package's rule, not the study's (docs/return-curves.md)."

NOT_UNDER = (
    "'Not under': with that part of the search spaces alone, the difference is no longer tested to "
    "be there."
)

STARRED = "* parts of the search spaces were not looked at: there are too few draws."

ORACLE = (
    "The rule oracle looks at the test environments: its scores are no estimate of what one would "
    "get, and nothing here recommends an optimizer for environments that one has not seen."
)


class Found(Protocol):
    """What notes are made of; see ``analysis.Conclusions``."""

    @property
    def claims(self) -> pd.DataFrame: ...
    @property
    def kinds(self) -> pd.DataFrame: ...
    @property
    def optimizers(self) -> pd.DataFrame: ...
    @property
    def runs(self) -> Mapping[str, int]: ...
    @property
    def rule(self) -> str: ...
    @property
    def remark(self) -> str: ...
    @property
    def left_out(self) -> tuple[str, ...]: ...
    @property
    def missing(self) -> tuple[str, ...]: ...
    @property
    def power(self) -> tuple[str, ...]: ...
    @property
    def cuts_refused(self) -> Mapping[str, str]: ...
    @property
    def health(self) -> pd.DataFrame: ...


def notes_of(found: Found) -> dict[str, tuple[str, ...]]:
    """The notes by heading, in the order in which they are shown; none is empty."""
    decides = [POWER, *found.power] if found.power else []
    by_heading: dict[str, Iterable[str]] = {
        "Runs": [*_runs(found), *found.left_out],
        "Further columns": found.missing,
        "Searches": _searches(found.health),
        "What these searches decide": [*decides, *_refused(found.cuts_refused)],
        "Reading": _reading(found),
    }
    return {heading: lines for heading, each in by_heading.items() if (lines := tuple(each))}


def _runs(found: Found) -> Iterator[str]:
    runs = ", ".join(f"{count:,} {name}" for name, count in found.runs.items())
    yield f"{runs}{f'; {found.remark}' if found.remark else ''}."
    for row in found.optimizers.head(1).to_dict("records"):
        yield f"Optimizers are compared at {amount(row)}; {covered(row)}."


def _searches(health: pd.DataFrame) -> Iterator[str]:
    """A sentence for each panel, or for several that it is true of; then what the edges show."""
    places: dict[tuple[str, ...], list[str]] = {}
    for (dataset, tested, algorithm), rows in health.groupby(list(GROUP), sort=False):
        sizes = sorted(rows["trials"].unique())
        number = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,}"
        parts = [f"{number} trials of each"]
        for name, words in (("lost", "lost"), ("at_chance", "at chance")):
            shares = _shares(rows, name)
            parts += [f"{words}: {', '.join(shares)}"] if shares else []
        several = str(tested) if "," in str(tested) else ""  # one panel that has all of them
        key = str(dataset), str(algorithm), "; ".join(parts), several
        places.setdefault(key, []).append(str(tested))
    for (name, kind, text, _), each in places.items():
        yield f"{group_name(name, ','.join(each), kind)}: {text}."
    yield from edge_notes(health)


def _shares(rows: pd.DataFrame, name: str) -> list[str]:
    return [
        f"{pretty(str(row['optimizer']))} {row[name]:.0%}"
        for row in rows.to_dict("records")
        if row[name] >= 5e-3
    ]


def _refused(refused: Mapping[str, str]) -> Iterator[str]:
    """Why search spaces are not cut: each reason once."""
    where: dict[str, list[str]] = {}
    for place, why in refused.items():
        where.setdefault(why, []).append(place)
    for why, places in where.items():
        on = places[0] if len(places) == 1 else f"{len(places)} panels"
        yield f"Search spaces are not cut, {on}: {why}."


def _reading(found: Found) -> Iterator[str]:
    not_under = set(found.claims["not_under"])
    if len(found.optimizers):
        yield from (text.format(rule=found.rule) for text in WORDS)
    if found.rule == "oracle":
        yield ORACLE
    if UNCUT in not_under:
        yield STARRED
    if not_under - {"", UNCUT}:
        yield NOT_UNDER
    yield RETURNS
