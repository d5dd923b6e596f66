"""What difference a sweep would find, and which runs that is judged by."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import t

import oodbench
from oodbench.verbs.example import EXAMPLES, POWER
from oodbench.verbs.power import powers_of

Tiny = Callable[..., dict[str, Any]]


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One study: ColoredDigits on three test environments, and another dataset of its shift."""
    rows = [
        {
            "dataset": dataset,
            "test_environments": str(i),
            "algorithm": "erm",
            "shift": "correlation",
            "power": {"budget": 8, "draws": 100, "searched": searched, **known},
        }
        for dataset, i, searched, known in [
            ("ColoredDigits", 0, 0.0009, {}),
            ("ColoredDigits", 1, 0.0001, {}),
            ("ColoredDigits", 2, 0.0004, {}),
            ("ColoredMNIST", 2, 0.0001, {"examples": 0.01}),
        ]
    ]
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / POWER).write_text(json.dumps(rows))
    monkeypatch.setattr("oodbench.verbs.power.EXAMPLES", tmp_path)
    return tmp_path / "made" / POWER


def test_it_is_that_of_the_environment_in_the_middle(shipped: Path, tiny: Tiny) -> None:
    """A standard error of 2 points at 100 trials is 1 point at 400: 80% power by hand."""
    (row,) = oodbench.power(tiny(search={"trials": 400})).to_dict("records")
    assert row["judged_by"] == "the example made"
    quantiles = t.ppf(0.975, 399) + t.ppf(0.8, 399)
    assert row["finds"] == pytest.approx(0.01 * quantiles, rel=0.02)
    assert not row["examples"]
    at_least = 100 * (0.02 * 2.8 / 0.02) ** 2  # normal quantiles: 1.96 + 0.84
    assert row["needed"] == pytest.approx(at_least, rel=0.06)


def test_several_splits_add_their_error_where_it_is_known(shipped: Path, tiny: Tiny) -> None:
    asked = tiny(search={"trials": 400}, data_seeds=4)
    (row,) = oodbench.power(asked).to_dict("records")
    assert not row["splits"]
    rows = json.loads(shipped.read_text())
    for one in rows:
        one["power"] |= {"splits": 0.0064, "data_seeds": 3}
    shipped.write_text(json.dumps(rows))
    (wider,) = oodbench.power(asked).to_dict("records")
    assert wider["splits"]
    of_splits = 0.04 * (t.ppf(0.975, 3) + t.ppf(0.8, 3))
    assert wider["finds"] == pytest.approx((row["finds"] ** 2 + of_splits**2) ** 0.5)
    assert oodbench.power(tiny(search={"trials": 400}))["finds"].iloc[0] == row["finds"]


def test_datasets_of_the_same_shift_stand_in(shipped: Path, tiny: Tiny) -> None:
    rows = [row for row in json.loads(shipped.read_text()) if row["dataset"] == "ColoredMNIST"]
    shipped.write_text(json.dumps(rows))
    rotated = {"name": "RotatedDigits", "test_environments": [0]}
    both = tiny(datasets=[*tiny()["datasets"], rotated], search={"trials": 100})
    colored, other = oodbench.power(both).to_dict("records")
    assert colored["judged_by"] == "ColoredMNIST in the example made"
    assert colored["examples"]
    assert colored["needed"] != colored["needed"], "test examples alone have an error of 10 points"
    assert other["judged_by"] == ""
    assert other["finds"] != other["finds"]


@pytest.mark.parametrize(
    "search",
    [{"sampler": "tpe", "trials": 30}, {"sampler": "grid", "points": 2}],
    ids=lambda search: str(search["sampler"]),
)
def test_other_designs_are_not_judged(shipped: Path, tiny: Tiny, search: dict[str, Any]) -> None:
    assert oodbench.power(tiny(search=search)).empty


@pytest.mark.slow
def test_runs_of_the_database_come_first(
    tmp_path: Path, tiny: Tiny, oodbench: Callable[..., Any], sweep_file: Callable[..., Path]
) -> None:
    import oodbench as api

    db = tmp_path / "pilot.db"
    api.example("digits", db)
    (row,) = api.power(tiny(), db).to_dict("records")
    assert row["judged_by"] == str(db)
    nothing = api.power(tiny(), tmp_path / "none.db")["judged_by"]
    assert nothing.str.startswith("the example").all()
    path = sweep_file(search={"trials": 500})
    ended = oodbench("sweep", path, "--db", db, "--dry-run")
    assert ended.code == 0, ended.err
    assert f"{100 * api.power(path, db)['finds'].iloc[0]:.1f} points" in ended.out


def test_what_is_shipped_is_what_the_example_tells(tmp_path: Path) -> None:
    api_rows = json.loads((EXAMPLES / "pacs" / POWER).read_text())
    oodbench.example("pacs", tmp_path / "pacs.db")
    one = api_rows[0]
    where = " and ".join(f"{name} = {one[name]!r}" for name in ("dataset", "algorithm"))
    where += f" and test_environments = '{one['test_environments']}'"
    again, _ = powers_of(tmp_path / "pacs.db", where)  # at 8 trials, then at 4
    assert {k: again[k] for k in ("dataset", "shift")} == {k: one[k] for k in ("dataset", "shift")}
    assert again["power"]["draws"] == one["power"]["draws"]
    assert again["power"]["searched"] == pytest.approx(one["power"]["searched"], rel=0.2)


def test_a_dry_run_goes_on_where_runs_cannot_be_pooled(
    tmp_path: Path, oodbench: Callable[..., Any], sweep_file: Callable[..., Path]
) -> None:
    db = tmp_path / "pilot.db"
    assert oodbench("example", "pacs", "--db", db).code == 0
    with closing(sqlite3.connect(db)) as connection, connection:
        connection.execute("UPDATE runs SET dataset = 'ColoredDigits'")
        connection.execute("UPDATE runs SET protocol = '0' WHERE position < 50")
    ended = oodbench("sweep", sweep_file(), "--db", db, "--dry-run")
    assert ended.code == 0, ended.err
    assert "What its searches would find cannot be judged: " in ended.out
