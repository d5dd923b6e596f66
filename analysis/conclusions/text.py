"""Conclusions as plain text, for a terminal or a Markdown file."""

import textwrap

from ..runs.columns import GROUP
from ..runs.names import pretty, shift_name, tested_on
from .conclude import ALL, RETURNS, Conclusions

READING = (
    "Accuracies are of the run that the rule {rule} selects of an equal budget, each optimizer "
    "tuned by itself. Lost runs diverged or failed: they are spent, and never selected. holds, "
    "does not hold: the difference of the two kinds is significant in that direction, or the two "
    "are equivalent within one point (TOST); undecided otherwise. Intervals (95%) are over "
    "searches: hyperparameters and training seeds. They do not cover other datasets. Return types "
    "are this package's rule, not the study's (docs/return-curves.md)."
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
        kind = shift_name(claims["shift"].iloc[0])
        tested = "" if dataset == ALL else f", {tested_on(str(environments))}"
        lines += ["", f"{dataset} ({kind}){tested}"]
        for claim, rows in claims.groupby("claim", sort=False):
            lines.append(f"  {claim}" + (", by optimizer" if claim == RETURNS else ""))
            for row in rows.to_dict("records"):
                said = f"{str(row['verdict']).upper()}. " if claim != RETURNS else ""
                lines += _item(f"{pretty(row['algorithm'])}: {said}{row['evidence']}", width)
    lines += ["", "Recommendation"]
    if not conclusions.recommendations:
        lines += _item("undecided: no two optimizers ran on all datasets of a class.", width)
    for advice in conclusions.recommendations:
        where = f"{shift_name(advice.shift)}, {pretty(advice.algorithm)} ({advice.datasets})"
        lines += _item(f"{where}: {advice.words}", width)
    return "\n".join([*lines, "", *textwrap.wrap(reading, width)])


def _item(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, initial_indent=" " * 4, subsequent_indent=" " * 6)
