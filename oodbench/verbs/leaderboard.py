"""The leaderboard: optimizers on testbeds, as a page with its files."""

import json
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from oodbench import analysis
from oodbench.errors import RequestError, writable
from oodbench.machine import one_blas_thread
from oodbench.results.spreadsheets import write_csv
from oodbench.verbs.pooling import Pool, pooled

PAGE, NUMBERS, RUNS = "index.html", "leaderboard.json", "runs"


def leaderboard(
    runs: str | Path | Sequence[str | Path],
    output: str | Path | None = None,
    *,
    reference: str = "momentum",
    rule: str = "id_val",
    budget: int = 8,
    checkpoint: str = "last",
    files: bool = True,
    title: str = "Optimizers out of distribution",
    seed: int = 0,
    on_step: Callable[[str], None] = lambda what: None,
) -> "analysis.Leaderboard":
    """Compare optimizers on testbeds, and write a page that shows it.

    Runs of one testbed differ in optimizer, hyperparameters and seeds alone; classes of shift,
    algorithms and protocol versions are never mixed. See ``analysis.leaderboard``.

    Args:
        runs: Databases, archives (``oodbench export runs``) or studies that are shipped, such as
            ``digits``; all are pooled, and a run that several have counts once.
        output: A folder for ``index.html``, ``leaderboard.json`` and ``runs/``; None: none is
            written.
        reference: The optimizer that the others are compared with.
        rule: Rule that selects a run.
        budget: Draws of which the rule selects one; an interval takes four times as many.
        checkpoint: Which checkpoint of a run is scored.
        files: Write the runs of each cell as a CSV file, too.
        title: Title of the page.
        seed: Seed of the bootstrap.
        on_step: Called with what is being done.

    Raises:
        DatabaseError: A database cannot be used.
        RequestError: There is nothing to compare, the same dataset has other content in two places,
            or the folder cannot be written.
        UnknownNameError: No such rule, checkpoint rule or optimizer.
    """
    places = [runs] if isinstance(runs, str | Path) else list(runs)
    if not places:
        raise RequestError("A leaderboard is made of runs: name a database, archive or study.")
    on_step("reading runs")
    pool = pooled(places, "", checkpoint)
    on_step("comparing optimizers")
    with one_blas_thread():
        board = analysis.leaderboard(
            with_testbeds(pool), reference, rule, pool.predictions, budget=budget, seed=seed
        )
    if output is not None:
        on_step("writing the page")
        write_page(board, Path(output), title, files)
    return board


def with_testbeds(pool: Pool) -> pd.DataFrame:
    """The runs with the column ``testbed``.

    Raises:
        RequestError: Runs of one testbed saw different data under one name, or one optimizer was
            searched in two spaces.
    """
    table = pool.runs.merge(pool.testbeds, how="left", on="run")
    for _, rows in table.groupby(["testbed", "data_seed"], sort=False):
        content = sorted(rows["fingerprint"].unique())
        if len(content) > 1:
            raise RequestError(
                f"{rows['dataset'].iloc[0]} has other content in some of these runs (fingerprints "
                f"{', '.join(content)}), so they are not compared. Choose runs of the same data."
            )
    for (_, algorithm, name), rows in table.groupby(["testbed", "algorithm", "optimizer"]):
        if rows["space"].nunique() > 1:
            raise RequestError(
                f"{name} with {algorithm} on {rows['dataset'].iloc[0]} was searched in two spaces: "
                f"they are two contestants. Give one a name of its own, such as {name}(wide)."
            )
    return table.drop(columns=["fingerprint", "space"])


def write_page(
    board: "analysis.Leaderboard", folder: Path, title: str, with_files: bool = True
) -> None:
    """Write the page, its numbers and the runs of each cell into a folder.

    Raises:
        RequestError: It cannot be written.
    """
    with writable(folder):
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, str] = {}
        if with_files:
            (folder / RUNS).mkdir(exist_ok=True)
            for row in board.cells.to_dict("records"):
                files[row["cell"]] = f"{RUNS}/{row['cell']}.csv"
                mine = board.runs_of(row).dropna(axis=1, how="all")
                write_csv(mine, folder / files[row["cell"]])
        numbers = json.dumps(plain_board(board), indent=1, allow_nan=False)
        page = analysis.leaderboard_html(board, title, files)
        for name, text in ((NUMBERS, numbers), (PAGE, page)):
            (folder / name).write_text(text, encoding="utf-8", newline="\n")


def plain_board(board: "analysis.Leaderboard") -> dict[str, Any]:
    """The leaderboard as plain values for JSON; what is missing is null."""
    rows = board.cells.to_dict("records")
    cells = [{str(key): _plain(value) for key, value in row.items()} for row in rows]
    return {
        "oodbench": version("oodbench"),
        "made": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **{name: getattr(board, name) for name in ("reference", "rule", "budget", "margin")},
        **{"compared": board.compared, "notes": list(board.notes), "cells": cells},
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    value = value.item() if hasattr(value, "item") else value
    if value is pd.NA or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value
