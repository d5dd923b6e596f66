"""Conclusions as plain text, for a terminal or a Markdown file."""

import textwrap

from ..compare.health import health_lines
from ..runs.columns import GROUP
from ..runs.names import pretty, shift_name, tested_on
from .claims import ALL, AVERAGED, THESE
from .conclude import RETURNS, Conclusions

READING = (
    "Accuracies are of the run that the rule {rule} selects among a fixed number of draws from "
    "each optimizer's search space. Lost runs diverged or failed: they are spent, and never "
    "selected. holds, does not hold: the difference of the two kinds is significant in that "
    "direction, or the two are equivalent within one point (TOST); undecided otherwise; depends on "
    "the budget: another number of draws decides the opposite. 'not under': with that part of the "
    "search spaces alone, the difference is no longer tested to be there. Intervals are 95%, and "
    "each says what it covers. Return types are this package's rule, not the study's "
    "(docs/return-curves.md)."
)

POWER = (
    "Differences between two optimizers (the pair with the median error) that are found with 80% "
    "probability, before correction for the number of pairs:"
)

ORACLE = (
    " The rule oracle looks at the test environments: its scores are no estimate of what one would "
    "get, and nothing here recommends an optimizer for environments that one has not seen."
)


def conclusions_text(conclusions: Conclusions, width: int = 100) -> str:
    """The statements by dataset, then the recommendations, in lines of at most ``width``."""
    rule = str(conclusions.optimizers["rule"].iloc[0])
    reading = READING.format(rule=rule) + (ORACLE if rule == "oracle" else "")
    runs = ", ".join(f"{count:,} {name}" for name, count in conclusions.runs.items())
    lines = [f"Runs: {runs}{f'; {conclusions.remark}' if conclusions.remark else ''}."]
    for reason in conclusions.left_out:
        lines += textwrap.wrap(reason, width, subsequent_indent="  ")
    for (dataset, environments), claims in conclusions.claims.groupby(list(GROUP[:2]), sort=False):
        lines += ["", heading(str(dataset), str(environments), str(claims["shift"].iloc[0]))]
        for claim, rows in claims.groupby("claim", sort=False):
            lines.append(f"  {claim}" + (", by optimizer" if claim == RETURNS else ""))
            for row in rows.to_dict("records"):
                about = f" ({row['about']})" if row["about"] not in ("", THESE) else ""
                said = f"{str(row['verdict']).upper()}. " if claim != RETURNS else ""
                lines += _item(f"{pretty(row['algorithm'])}{about}: {said}{row['evidence']}", width)
    lines += ["", "Recommendation"]
    if not conclusions.recommendations:
        lines += _item("undecided: no two optimizers ran on all datasets of a class.", width)
    for advice in conclusions.recommendations:
        where = f"{shift_name(advice.shift)}, {pretty(advice.algorithm)} ({advice.datasets})"
        lines += _item(f"{where}: {advice.words}", width)
    lines += ["", "Searches"]
    for line in health_lines(conclusions.health):
        lines += textwrap.wrap(line, width, initial_indent="  ", subsequent_indent=" " * 6)
    if conclusions.power or conclusions.cuts_refused:
        lines += ["", "What this search decides"]
        lines += _item(POWER, width) if conclusions.power else []
        for sentence in (
            *conclusions.power,
            *(f"spaces not cut, {r}" for r in conclusions.cuts_refused),
        ):
            lines += _item(sentence, width)
    return "\n".join([*lines, "", *textwrap.wrap(reading, width)])


def heading(dataset: str, environments: str, shift: str) -> str:
    """What statements are about: a panel, a dataset, or a class of shift."""
    if dataset == ALL:
        return f"{dataset} ({shift_name(shift)})"
    averaged = environments == AVERAGED
    where = "on average over its test environments" if averaged else tested_on(environments)
    return f"{dataset} ({shift_name(shift)}), {where}"


def _item(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=" " * 4, subsequent_indent=" " * 6)
