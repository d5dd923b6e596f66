"""Conclusions as plain text, for a terminal: the advice, the statements, the notes."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pandas as pd

from oodbench.results import UNKNOWN

from ..compare.differences import UNCUT
from ..runs.columns import GROUP
from ..runs.environments import Environments, name_environments
from ..runs.names import pretty, shift_name, tested_on
from .claims import ALL, AVERAGED, THESE
from .many_panels import EACH, in_short
from .recommendation import Recommendation

SOME = 3
"""Parts of the search spaces that a sentence names; ``not_under`` has them all."""

NO_ADVICE = "None: no two optimizers can be compared by selected runs."


class Findings(Protocol):
    """What is shown of conclusions in any form; see ``analysis.Conclusions``."""

    @property
    def recommendations(self) -> tuple[Recommendation, ...]: ...
    @property
    def claims(self) -> pd.DataFrame: ...
    @property
    def notes(self) -> Mapping[str, tuple[str, ...]]: ...
    @property
    def environments(self) -> Environments: ...


def conclusions_text(conclusions: Findings, width: int = 80) -> str:
    """The advice, the statements by dataset, and the notes, in lines of at most ``width``."""
    lines = ["Recommendation", *_advice_lines(conclusions.recommendations, width)]
    for where, claims in by_place(conclusions.claims, conclusions.environments, short=True):
        lines += ["", *_item(where, width, 0)]
        for algorithm, rows in claims.groupby("algorithm", sort=False):
            known = str(algorithm) != UNKNOWN
            lines.append(f"  {pretty(str(algorithm)) if known else 'algorithm not known'}")
            for row in rows.to_dict("records"):
                text = str(row["sentence"]) + exception(str(row["not_under"]))
                lines += _item(text, width, 4 if row["about"] in ("", THESE) else 6)
    for title, notes in conclusions.notes.items():
        lines += ["", title]
        for note in notes:
            lines += _item(note, width, 2)
    return "\n".join(lines)


def answer_text(conclusions: Findings, width: int = 80, most: int = 8) -> str:
    """The answer alone: a line for each class of shift and algorithm, and what they cover.

    Args:
        conclusions: The result of ``analysis.conclude``.
        width, most: Characters of a line, and lines.
    """
    advice = conclusions.recommendations
    if not advice:
        return NO_ADVICE
    covers = next((one.covers for one in advice if one.covers), "")
    foot = _item("; ".join(filter(None, [advice[0].basis, covers])) + ".", width, 0)
    lines: list[str] = []
    for number, one in enumerate(advice):
        more = _item(f"{one.name}: {short_answer(one)}", width, 0)
        last = number == len(advice) - 1
        if len(lines) + len(more) + len(foot) + (not last) > most:
            lines.append("and more: oodbench conclude")
            break
        lines += more
    return "\n".join([*lines, *foot])


def short_answer(advice: Recommendation) -> str:
    """Which optimizer, and by how much."""
    return f"{advice.answer.split(':')[0]}; {advice.margin}" if advice.margin else advice.answer


def by_place(
    claims: pd.DataFrame, environments: Environments, *, short: bool = False
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The statements about each panel, dataset and class of shift, under their heading.

    Args:
        claims, environments: Claims and environments of ``analysis.Conclusions``.
        short: One heading for many panels of a dataset.
    """
    named = name_environments(claims, environments)
    named = in_short(named) if short else named
    for (dataset, tested), rows in named.groupby(list(GROUP[:2]), sort=False):
        yield heading(str(dataset), str(tested), str(rows["shift"].iloc[0])), rows


def heading(dataset: str, environments: str, shift: str) -> str:
    """What statements are about: a panel, a dataset, or a class of shift."""
    if dataset == ALL:
        return f"{dataset} ({shift_name(shift)})"
    if environments.startswith(EACH):
        return f"{dataset} ({shift_name(shift)}), {environments} test environments"
    averaged = environments == AVERAGED
    where = "on average over its test environments" if averaged else tested_on(environments)
    return f"{dataset} ({shift_name(shift)}), {where}"


def exception(not_under: str) -> str:
    """The text after a sentence that does not hold in parts of the search spaces."""
    if not not_under:
        return ""
    if not_under == UNCUT:
        return " *"
    names = not_under.split(", ")
    more = f" and {len(names) - SOME} more" if len(names) > SOME else ""
    return f"; not under {', '.join(names[:SOME])}{more}"


def _advice_lines(advice: Sequence[Recommendation], width: int) -> Iterator[str]:
    if not advice:
        yield from _item(NO_ADVICE, width, 2)
    several = [set(one.details) for one in advice] if len(advice) > 1 else [set()]
    shared = set.intersection(*several)
    for one in advice:
        scores, *limits = one.details
        own = [limit for limit in limits if limit not in shared]
        yield from _item(one.where, width, 2)
        for text in (one.answer, one.margin, scores, "; ".join(own)):
            yield from _item(text, width, 4)
    if shared:
        common = [one for one in advice[0].details if one in shared]
        yield from _item(f"All: {'; '.join(common)}.", width, 2)


def _item(text: str, width: int, indent: int) -> list[str]:
    first, others = " " * indent, " " * (indent + 2)
    return textwrap.wrap(
        text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False
    )
