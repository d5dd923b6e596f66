"""The leaderboard as one HTML page: everything in it, no scripts, no network."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench.results.select import RUN_RULES

from ..report.assets import STYLES, policy, static, template
from ..report.cells import NONE, Table, fraction, missing
from ..runs.names import pretty, shift_name
from .board import ABSENT, BED, REFERENCE, SECTION, Leaderboard
from .words import (
    budgets_text,
    cost_text,
    covered_text,
    difference_text,
    environments_text,
    rank_text,
    runs_text,
    verdict_text,
)

HERE = Path(__file__).parent
LISTED = 12
"""Runs that a cell shows: those that the rule ranks highest, as many of each panel."""


@dataclass(frozen=True)
class Cell:
    """What a cell of a table shows, and what it opens.

    Attributes:
        anchor: Its name in the page.
        title: Optimizer, algorithm and testbed.
        row: Its row of ``Leaderboard.cells``.
        estimate: OOD accuracy in percent, and ``interval`` its ends.
        verdict: The verdict in words, and ``kind`` a name for its colour.
        rank: Its rank, or empty where no pair decides one.
        cost: What the budget costs.
        facts: Terms and what they come to.
        best: The runs that the rule ranks highest.
        file: Path of a file with all of its runs, from the page's folder; empty for none.
        question: The condition of ``oodbench query`` that finds its runs.
    """

    anchor: str
    title: str
    row: Mapping[Any, Any]
    estimate: str
    interval: str
    verdict: str
    kind: str
    rank: str
    cost: str
    facts: tuple[tuple[str, str], ...]
    best: Table
    file: str
    question: str


def leaderboard_html(
    board: Leaderboard,
    title: str = "Optimizers out of distribution",
    files: Mapping[str, str] | None = None,
) -> str:
    """The tables, and what each cell rests on, as one page.

    Args:
        board: The result of ``analysis.leaderboard``.
        title: Title of the page.
        files: Name of a cell (its column ``cell``) -> path of a file with its runs, from the folder
            of the page.
    """
    sections = [_section(board, rows, files or {}) for _, rows in _tables(board.cells)]
    page = template("leaderboard.html", HERE).render(
        title=title,
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        policy=policy([]),
        styles=[*(static(name) for name in STYLES), static("leaderboard.css", HERE)],
        scripts=[],
        data="null",
        start="tables",
        sections=sections,
        board=board,
        reference=pretty(board.reference),
        margin=f"{100 * board.margin:g}",
        total=len(board.runs["run"].unique()),
    )
    return str(page)


def _tables(cells: pd.DataFrame) -> Iterator[tuple[tuple[str, ...], pd.DataFrame]]:
    """The cells of each table: known classes of shift first."""
    order = cells.assign(unknown=cells["shift"] == "").sort_values(
        ["protocol", "unknown", "shift", "algorithm"], kind="stable"
    )
    for key, rows in order.groupby(list(SECTION), sort=False):
        yield tuple(map(str, key)), rows


def _section(board: Leaderboard, rows: pd.DataFrame, files: Mapping[str, str]) -> dict[str, Any]:
    """What the template shows of a table."""
    first = rows.iloc[0]
    protocol, shift, algorithm = (str(first[name]) for name in SECTION)
    beds = rows.drop_duplicates(list(BED))
    made = {
        (*(row[name] for name in BED), row["optimizer"]): _cell(board, row, files)
        for row in rows.to_dict("records")
    }
    names = sorted(pd.unique(rows["optimizer"]), key=lambda name: pretty(name).casefold())
    names.sort(key=lambda name: name != board.reference)
    keys = [tuple(bed[name] for name in BED) for bed in beds.to_dict("records")]
    return {
        "id": f"table-{protocol}-{shift or 'unknown'}-{algorithm}".replace(":", "-"),
        "title": f"{shift_name(shift).capitalize()}, {pretty(algorithm)}",
        "protocol": protocol,
        "beds": [
            {**bed, "chance": NONE if missing(bed["chance"]) else f"{100 * bed['chance']:.3g}"}
            for bed in beds.to_dict("records")
        ],
        "rows": [(pretty(name), [made.get((*key, name)) for key in keys]) for name in names],
        "cells": list(made.values()),
    }


def _cell(board: Leaderboard, row: Mapping[Any, Any], files: Mapping[str, str]) -> Cell:
    anchor = str(row["cell"])
    estimate, _, interval = _percent(row, "ood").partition(" ")
    kind = str(row["verdict"]).replace(" ", "-")
    return Cell(
        anchor,
        f"{pretty(row['optimizer'])} with {pretty(row['algorithm'])} on {row['dataset']}, "
        f"{row['model']}",
        row,
        estimate,
        interval,
        verdict_text(row),
        kind,
        rank_text(row),
        cost_text(row),
        tuple(_facts(board, row)),
        _best(board, row),
        files.get(anchor, ""),
        f"dataset = '{row['dataset']}' and algorithm = '{row['algorithm']}' and "
        f"optimizer = '{row['optimizer']}'",
    )


def _facts(board: Leaderboard, row: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    """What a cell rests on."""
    yield "OOD accuracy", f"{_percent(row, 'ood')}, to expect of the best of {row['n']} draws"
    yield "ID accuracy", f"{_percent(row, 'id')}, of the same run"
    if row["verdict"] not in (REFERENCE, ABSENT):
        yield f"Against {pretty(board.reference)}", difference_text(row)
        if others := budgets_text(row):
            yield "At other budgets", others
        if not missing(row.get("not_under")) and row["not_under"]:
            yield "Not under", str(row["not_under"])
    yield "Rank", rank_text(row).removeprefix("rank ") or f"not decided, of {row['of']}"
    yield "Runs", runs_text(row)
    yield "Cost", cost_text(row)
    yield "Tested on", environments_text(row)
    yield "Intervals", covered_text(row)


def _percent(row: Mapping[Any, Any], name: str) -> str:
    """An accuracy in percent with its interval, such as ``62.4 (57.3 to 67.2)``."""
    scaled = {key: row[key] * 100 for key in (name, f"{name}_low", f"{name}_high")}
    return fraction(name, digits=1)(scaled)


def _best(board: Leaderboard, row: Mapping[Any, Any]) -> Table:
    """The runs that the rule ranks highest."""
    runs = board.runs_of(row)
    places = row["test_environments"].count(";") + 1
    done = runs[runs["status"] == "completed"]
    shown = done.groupby("test_environments", sort=True).head(max(1, LISTED // places))
    shown = shown.sort_values("test_environments", kind="stable")
    scores = [n for n in dict.fromkeys((RUN_RULES[board.rule], "id", "ood")) if n in runs]
    hparams = [n for n in _hyperparameters(board) if shown[n].notna().any()]
    heads = ("run", "tested on", *scores, *hparams)
    rows = tuple(
        (
            str(one["run"]),
            str(one["test_environments"]),
            *(f"{one[name]:.3f}" for name in scores),
            *(_value(one[name]) for name in hparams),
        )
        for one in shown.to_dict("records")
    )
    return Table("Runs", heads, (False, False, *([True] * (len(heads) - 2))), rows)


def _hyperparameters(board: Leaderboard) -> list[str]:
    from ..runs.columns import hyperparameters_of

    return hyperparameters_of(board.runs)


def _value(value: Any) -> str:
    if missing(value):
        return NONE
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e6 else f"{value:.3g}"
