"""A sweep that moves: from a laptop's SQLite to a server and back, and the other way around."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from oodbench.api import preview, query
from oodbench.results import (
    add_sweep,
    check_database,
    copy_database,
    curves,
    merge_databases,
    open_database,
    sql,
    state_counts,
)
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings


@pytest.fixture(params=["laptop first", "server first"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Where the sweep begins, and where it goes on."""
    server = request.getfixturevalue("server")
    name = "moving_" + request.param.split()[0]
    both = (str(tmp_path / "laptop.db"), server.create(name))
    yield both if request.param == "laptop first" else both[::-1]
    server.drop(name)


def measured(target: str | Path) -> pd.DataFrame:
    """Every measurement of every run."""
    with open_database(target, read_only=True) as db:
        return pd.concat([curves(db, run) for run in sorted(query(target)["run"])])


def train(target: str, owner: str, enough: int) -> None:
    """Train until so many runs are completed; stopped in the middle of the next ones."""
    with open_database(target, read_only=True) as db:
        work(
            target,
            "tiny",
            WorkerSettings(device="cpu", stack=2),
            owner=owner,
            should_stop=lambda: state_counts(db)["completed"] >= enough,
        )


def trained_by(target: str | Path) -> dict[str, tuple[str, int, float]]:
    with open_database(target, read_only=True) as db:
        rows = sql(db, "SELECT id, owner, attempt, finished FROM runs WHERE finished IS NOT NULL")
    return {row.id: (row.owner, row.attempt, row.finished) for row in rows.itertuples()}


def test_the_same_runs_and_nothing_is_trained_again(
    places: tuple[str, str], tiny: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    sweep = tiny(search={"trials": 4})
    planned = plan(sweep)
    home, away = places
    for target in (home, tmp_path / "stayed.db"):
        with open_database(target, create=True) as db:
            add_sweep(db, "tiny", {}, planned.studies)
    work(tmp_path / "stayed.db", "tiny", WorkerSettings(device="cpu"))

    train(home, "at home", 2)
    first = trained_by(home)
    assert len(first) == 2
    copy_database(home, away)
    train(away, "away", 6)
    merge_databases(home, [away])  # an unfinished sweep may come back, too
    train(home, "at home again", 8)
    merge_databases(away, [home])
    copy_database(away, tmp_path / "back.db")

    last = trained_by(home)
    assert len(last) == 8
    assert {run: last[run] for run in first} == first
    owners = sorted(owner for owner, _, _ in last.values())
    assert owners == ["at home"] * 2 + ["at home again"] * 2 + ["away"] * 4
    assert {attempt for _, attempt, _ in last.values()} == {1}
    for target in (home, away, tmp_path / "back.db"):
        assert trained_by(target) == last
        assert check_database(target).problems == ()
        pd.testing.assert_frame_equal(measured(target), measured(tmp_path / "stayed.db"))
        added = preview(sweep, target)
        assert (added.stored_runs, added.new_runs) == (8, 0)
        assert work(target, "tiny", WorkerSettings(device="cpu")).stored == 0
