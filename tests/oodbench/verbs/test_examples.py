"""The studies that are shipped."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import oodbench
from oodbench.results import check_database, open_database, sql
from oodbench.results.merging.archive import about_archive
from oodbench.results.schema import REVISIONS
from oodbench.verbs.example import EXAMPLES, example_names

MOST = 12e6
"""Bytes of all of them."""
SECRETS = ("owner", "lease", "started")


def test_they_are_small() -> None:
    assert example_names() == ["digits", "pacs"]
    assert sum(path.stat().st_size for path in EXAMPLES.rglob("*")) < MOST


@pytest.mark.parametrize("name", [pytest.param("digits", marks=pytest.mark.slow), "pacs"])
def test_each_is_a_whole_database_that_can_be_judged_and_drawn(name: str, tmp_path: Path) -> None:
    db = tmp_path / "example.db"
    studies = oodbench.example(name, db)
    assert check_database(db).problems == ()
    assert about_archive(EXAMPLES / name)["revision"] in REVISIONS
    frame = oodbench.query(db)
    assert len(frame) == frame["run"].nunique() > 0
    assert set(frame["status"]) <= {"completed", "diverged", "failed"}
    assert studies["total"].sum() >= len(frame)
    selected = oodbench.query(db, select="id_val")
    assert selected["ood"].between(0, 1).all()
    dataset, environments = frame[["dataset", "test_environments"]].iloc[0]
    where = f"dataset = '{dataset}' and test_environments = '{environments}'"
    assert len(oodbench.conclude(db, where=where).claims)
    oodbench.plot("scatter", db, tmp_path / "scatter.png", where=where)
    with open_database(db, read_only=True) as database:
        hands = sql(database, f"SELECT {', '.join(SECRETS)} FROM runs")
    assert hands.isna().all(axis=None), "whose machines they were is nobody's business"


def test_the_scores_are_those_of_the_measurements(tmp_path: Path) -> None:
    """The mean over environments at the last step, from the table of measurements alone."""
    db = tmp_path / "digits.db"
    oodbench.example("pacs", db)
    frame = oodbench.query(db, "status = 'completed'").set_index("run")
    with open_database(db, read_only=True) as database:
        points = sql(database, "SELECT * FROM curves WHERE metric = 'accuracy'")
    last = points[points["step"] == points.groupby("run_id")["step"].transform("max")]
    means = last.groupby(["run_id", "role"])["value"].mean().unstack()
    for role in ("id_val", "id_test", "ood_test"):
        difference = frame[role] - means[role].reindex(frame.index)
        assert difference.abs().max() < 1e-12, role


def test_the_command(tmp_path: Path, oodbench: Callable[..., Any]) -> None:
    db = tmp_path / "digits.db"
    ended = oodbench("example", "pacs", "--db", db)
    assert ended.code == 0, ended.err
    assert f"oodbench conclude --db {db}" in ended.out
    again = oodbench("example", "pacs", "--db", db)
    assert again.code == 2
    assert "sweeps already, and a copy would mix with them" in again.err
    assert "'digit'" in oodbench("example", "digit", "--db", tmp_path / "other.db").err
