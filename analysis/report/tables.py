"""Tables of the report: strings in columns, made from the DataFrames of ``analysis``."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from oodbench.records import IMPORTED

from ..conclusions.conclude import Conclusions
from ..conclusions.many_panels import EACH, MANY, in_short
from ..conclusions.text import by_place, exception
from ..curves.return_curves import return_table
from ..runs.columns import (
    BY,
    STATUS_COLUMNS,
    count_statuses,
    hyperparameters_of,
    in_first_appearance,
    values_of,
)
from ..runs.lost_runs import reasons
from ..runs.names import pretty, shift_name
from .cells import (
    NO_BREAK,
    NONE,
    Column,
    Row,
    Table,
    by_panel,
    count,
    fraction,
    make,
    missing,
    named,
    p_value,
    percent,
    place,
    text,
)
from .statistics import Statistics


def selected_tables(statistics: Statistics, pairs: pd.DataFrame) -> tuple[Table, ...]:
    """The selected run of each optimizer, its hyperparameters, and what became of the others."""
    statuses = [name for name in STATUS_COLUMNS if name in statistics.selected]
    names = hyperparameters_of(pairs)
    known = pairs.drop_duplicates("run").set_index("run")[names].to_dict("index")
    columns: list[Column] = [
        ("optimizer", named("optimizer")),
        ("#OOD accuracy (95%)", fraction("ood")),
        ("#n", count("n_ood")),
        ("#ID accuracy (95%)", fraction("id")),
        ("#n", count("n_id")),
        ("#gap", fraction("gap", signed=True)),
        ("selected run", text("run")),
        ("its hyperparameters", lambda row: _settings(known.get(row["run"], {}))),
        *((f"#{name}", count(name)) for name in statuses),
    ]
    return by_panel(statistics.selected, columns)


def _settings(values: Mapping[Any, Any]) -> str:
    """The settings as text, such as ``lr 0.013, momentum 0.9``."""
    settings = [
        f"{name}{NO_BREAK}{f'{value:.4g}' if isinstance(value, float) else value}"
        for name, value in values.items()
        if not missing(value) and value != ""
    ]
    return ", ".join(settings) or NONE


def headline(statistics: Statistics) -> str:
    """The budget of the answer, such as ``8 trials``."""
    if isinstance(statistics.levels, str):
        return "a search of another size"
    row = statistics.levels.iloc[0]
    return f"{row['budget']:,.6g} {str(row['unit']).replace('_', ' ')}"


def search_tables(statistics: Statistics) -> tuple[Table, ...]:
    """What the trials of each search came to, and which ranges end short."""
    columns: list[Column] = [
        ("optimizer", named("optimizer")),
        ("#trials", count("trials")),
        ("#lost", percent("lost")),
        ("#at chance", percent("at_chance")),
        (f"#best {statistics.rule}", fraction("best")),
        ("#within a point of it", percent("near_best")),
        ("#effective", fraction("effective", digits=1)),
        ("#ranges", count("ranges")),
        ("best scores rise towards the", text("edges")),
    ]
    return by_panel(statistics.searches, columns)


def verdict_tables(conclusions: Conclusions) -> tuple[Table, ...]:
    """The statements about each dataset and class of shift."""
    columns: list[Column] = [
        ("algorithm", named("algorithm")),
        ("what was found", lambda row: f"{row['sentence']}{exception(str(row['not_under']))}"),
        ("evidence", _evidence),
    ]
    places = list(by_place(conclusions.claims, conclusions.environments))
    sections = [make(where, columns, rows, len(places) > MANY) for where, rows in places]
    short = in_short(conclusions.claims)
    if len(short) < len(conclusions.claims):
        counted = short[short["test_environments"].str.startswith(EACH)]
        first = by_place(counted, conclusions.environments)
        sections[:0] = [make(where, columns[:2], rows) for where, rows in first]
    return tuple(sections)


def _evidence(row: Row) -> str:
    """The statement, its verdict, and the numbers behind it."""
    return f"{row['claim']} ({row['about']}): {row['verdict']}; {row['evidence']}"


def return_tables(statistics: Statistics) -> tuple[Table, ...]:
    """The return curve of each optimizer, in numbers."""
    columns: list[Column] = [
        ("optimizer", named("optimizer")),
        ("verdict", text("verdict")),
        ("#bend (95%)", fraction("bend", signed=True)),
        ("#gain (95%)", fraction("gain", signed=True)),
        ("#overall slope (95%)", fraction("slope", signed=True, digits=2)),
        ("#n", count("n")),
        ("#configurations", count("configurations")),
        ("logit axis", text("logit")),
        ("probit axis", text("probit")),
        ("left out", text("left_out")),
        ("why not determined", text("reason")),
    ]
    return by_panel(return_table(statistics.curves), columns)


def _sides(row: Row) -> str:
    """Trials behind both sides, and how many of them were lost."""
    sides = []
    for side in ("a", "b"):
        lost = row[f"diverged_{side}"] + row[f"failed_{side}"]
        sides.append(f"{row[f'trials_{side}']:,} ({lost:,})")
    return " / ".join(sides)


def _budget(row: Row) -> str:
    """The budget and its unit, such as ``7 trials``."""
    return f"{row['budget']:,.6g} {str(row['unit']).replace('_', ' ')}"


COMPARISON: tuple[Column, ...] = (
    ("a", named("a")),
    ("b", named("b")),
    ("score", lambda row: str(row["score"]).upper()),
    ("verdict on a", text("verdict")),
    ("#a", fraction("value_a")),
    ("#b", fraction("value_b")),
    ("#a \N{MINUS SIGN} b (95%)", fraction("difference", signed=True)),
    ("#p (Holm)", p_value),
    ("#P(a better)", fraction("improvement", digits=2)),
)
TRIALS: tuple[Column, ...] = (("#budget of each", _budget), ("#trials (lost), a / b", _sides))


def pair_tables(conclusions: Conclusions) -> tuple[Table, ...]:
    """Every optimizer against every other, at an equal budget."""
    return by_panel(conclusions.optimizers, (*COMPARISON, *TRIALS), folded=True)


def kind_tables(conclusions: Conclusions) -> tuple[Table, ...]:
    """Adaptive optimizers against the others, at an equal budget."""
    kinds = conclusions.kinds
    return () if kinds.empty else by_panel(kinds, (*COMPARISON, *TRIALS))


def class_tables(conclusions: Conclusions) -> tuple[Table, ...]:
    """Every optimizer against every other, on average over the datasets of a class of shift."""
    columns: tuple[Column, ...] = (*COMPARISON, ("#datasets and test sides", count("tasks")))
    tables = []
    by = ["shift", "algorithm", "names"]
    for (shift, algorithm, names), rows in conclusions.classes.groupby(by, sort=False):
        where = f"{shift_name(str(shift))}, {pretty(str(algorithm))}: {names}"
        tables.append(make(where, columns, rows, folded=True))
    return tuple(tables)


def equal_id_tables(conclusions: Conclusions) -> tuple[Table, ...]:
    """Differences of OOD accuracy at equal ID accuracy."""
    columns: list[Column] = [
        ("a", named("a")),
        ("b", named("b")),
        ("verdict on a", text("verdict")),
        ("#a \N{MINUS SIGN} b (95%)", fraction("difference", signed=True)),
        ("#p (Holm)", p_value),
        ("#share of ID range", fraction("shared", digits=2)),
        ("#n of a", count("n_a")),
        ("#n of b", count("n_b")),
        ("left out of a", text("left_out_a")),
        ("left out of b", text("left_out_b")),
        ("why not comparable", text("reason")),
    ]
    return by_panel(conclusions.equal_id, columns, folded=True)


def budget_tables(budget: pd.DataFrame) -> tuple[Table, ...]:
    """Some points of the budget curves: the powers of two."""
    columns: list[Column] = [
        ("optimizer", named("optimizer")),
        ("#n of a search", count("n")),
        ("#ID accuracy (95%)", fraction("id")),
        ("#OOD accuracy (95%)", fraction("ood")),
        *((f"#{name}", count(name)) for name in ("trials", *STATUS_COLUMNS[:3])),
    ]
    powers = budget[budget["n"].isin([2**i for i in range(20)])]
    return by_panel(powers, columns, folded=True)


def health_tables(pairs: pd.DataFrame) -> tuple[Table, ...]:
    """What became of the runs, and why some have no scores."""
    counts = in_first_appearance(count_statuses(pairs, BY).reset_index(), pairs)
    counts["runs"] = counts[list(STATUS_COLUMNS)].sum(axis=1)
    lost = counts["diverged"] + counts["failed"]
    counts["lost"] = (100 * lost / counts["runs"]).map("{:.1f}%".format)
    columns: list[Column] = [
        ("where", place),
        ("optimizer", named("optimizer")),
        *((f"#{name}", count(name)) for name in ("runs", *STATUS_COLUMNS)),
        ("#lost", text("lost")),
    ]
    why: list[Column] = [
        ("status", text("status")),
        ("#runs", count("n")),
        ("optimizers", text("optimizers")),
        ("reason (of one of them, where they differ in numbers)", text("reason")),
    ]
    made = make("Runs by status", columns, counts, folded=len(counts) > 40)
    found = reasons(pairs)
    return (made, make("Why runs diverged or failed", why, found)) if len(found) else (made,)


def imported_counts(pairs: pd.DataFrame) -> dict[str, int]:
    """Source of an import -> how many of the runs it brought."""
    protocols = values_of(pairs, "protocol").astype(str)
    sources = protocols[protocols.str.startswith(IMPORTED)].str.removeprefix(IMPORTED)
    return {str(source): int(n) for source, n in sources.value_counts().items()}


def origin_table(origins: pd.DataFrame) -> Table:
    """Versions, commit and device behind the runs, with how many runs each made."""
    names = [name for name in origins.columns if name not in ("run", "dirty")]
    origin_rows = origins.assign(
        commit=[_commit(*pair) for pair in zip(origins["commit"], origins["dirty"], strict=True)]
    )
    shown = origin_rows[names].astype(object).fillna("").astype(str)
    counted = shown.value_counts(sort=False).rename("runs").reset_index()
    columns: list[Column] = [(name, text(name)) for name in names]
    return make("Code and machines", [*columns, ("#runs", count("runs"))], counted)


def _commit(commit: Any, dirty: Any) -> str:
    if missing(commit):
        return "not a checkout"
    return f"{commit}{' with uncommitted changes' if dirty is True else ''}"
