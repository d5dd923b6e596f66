"""Whether accuracies are fractions or in percent: judged for each column, never guessed."""

import math
from collections.abc import Collection, Mapping

from oodbench.errors import RequestError, check_name
from oodbench.importing.facts import as_number
from oodbench.importing.mapping import SCORES, Fields
from oodbench.importing.sheet import Sheet

SHOWN = 3
"""How many values an error names."""


def units_of(
    sheet: Sheet,
    fields: Fields,
    said: Mapping[int, Mapping[str, str]],
    percent: bool | Collection[str],
) -> dict[str, float]:
    """What each score is divided by to be a fraction: 1 or 100.

    Args:
        sheet: The table.
        fields: Where its fields come from.
        said: Line -> what that row says.
        percent: Whether scores are in percent, or those that are.

    Raises:
        UnknownNameError: If one of those is no score.
        RequestError: If a column has values above 1 and is not declared to be in percent, or
            has none and ``percent`` is True.
    """
    named = set() if isinstance(percent, bool) else set(percent)
    for field in named:
        check_name("score in percent", field, SCORES)
    units = dict.fromkeys(SCORES, 1.0)
    flat = []
    for score in SCORES:
        values = {line: as_number(row[score]) for line, row in said.items() if score in row}
        high = {line: v for line, v in values.items() if 1 < v < math.inf}
        known = any(math.isfinite(v) for v in values.values())
        if score in named or (percent is True and high):
            units[score] = 100
        elif high:
            raise RequestError(_not_fractions(sheet, fields, score, high, len(values)))
        elif percent is True and known:
            flat.append(score)
    if flat:
        raise RequestError(_not_percent(sheet, fields, flat, units))
    return units


def _called(sheet: Sheet, fields: Fields, score: str) -> str:
    place = fields.places.get(score)
    return score if place is None else f"{score} (column {sheet.columns[place]!r})"


def _not_fractions(
    sheet: Sheet, fields: Fields, score: str, high: Mapping[int, float], n: int
) -> str:
    some = "; ".join(f"row {line}: {value:g}" for line, value in [*high.items()][:SHOWN])
    return (
        f"{sheet.name}: accuracies are fractions, and of {_called(sheet, fields, score)} "
        f"{len(high):,} of {n:,} are above 1 ({some}). If the column is in percent, say --percent, "
        f"or --percent-of {score} where others are fractions; else correct it."
    )


def _not_percent(sheet: Sheet, fields: Fields, flat: list[str], units: Mapping[str, float]) -> str:
    names = " and ".join(_called(sheet, fields, score) for score in flat)
    others = [score for score, unit in units.items() if unit == 100]
    fix = " ".join(f"--percent-of {score}" for score in others)
    return (
        f"{sheet.name}: {names} never exceed{'s' * (len(flat) == 1)} 1, as fractions do not. "
        + (f"Say {fix} in place of --percent. " if others else "Leave out --percent. ")
        + f"If it is in percent all the same, name it too: --percent-of {flat[0]}."
    )
