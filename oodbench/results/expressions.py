"""What the views are made of, as SQL that means the same on both databases."""

from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Text, cast, func, select, type_coerce

from oodbench.results.schema import runs, studies, study_trials


def environments_text(column: ColumnElement[Any]) -> ColumnElement[str]:
    """``[0, 1]`` as the text ``0,1``."""
    text: ColumnElement[str] = cast(type_coerce(column, Text), Text)
    for character in "[] ":
        text = func.replace(text, character, "", type_=Text)
    return text


def compact(text: ColumnElement[str]) -> ColumnElement[str]:
    """JSON as text without the spaces that one database keeps and another drops."""
    return func.replace(func.replace(text, ": ", ":", type_=Text), ", ", ",", type_=Text)


def option(name: str) -> ColumnElement[str]:
    """Options in the trial, which has only what differs from a default: null if nothing does."""
    return compact(runs.c.trial[name].as_string())


def whole(*path: str) -> ColumnElement[int]:
    """A whole number of any size in the provenance."""
    return cast(runs.c.provenance[path].as_string(), BigInteger)


def number(*path: str) -> ColumnElement[float]:
    """A number in the provenance."""
    value: ColumnElement[float] = runs.c.provenance[path].as_float()
    return value


def first_study() -> ColumnElement[Any]:
    """The id of the first study that has the run, null if none has."""
    first = studies.alias("first_study")
    return (
        select(study_trials.c.study_id)
        .select_from(study_trials.join(first, first.c.id == study_trials.c.study_id))
        .where(study_trials.c.run_id == runs.c.id)
        .order_by(first.c.created, first.c.position, first.c.id, study_trials.c.idx)
        .limit(1)
        .correlate(runs)
        .scalar_subquery()
    )


def of_joined_study(column: ColumnElement[Any]) -> ColumnElement[Any]:
    """``column`` of the first place that the run has in the study beside it, null if none is."""
    link = study_trials.c
    mine = select(column).where(link.run_id == runs.c.id, link.study_id == studies.c.id)
    # The sum keeps SQLite from reading the whole study in the order of its places.
    return mine.order_by(link.idx + 0).limit(1).correlate(runs, studies).scalar_subquery()
