"""The class of shift of data that do not say it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import oodbench
from oodbench import analysis
from oodbench.errors import RequestError, SweepError
from oodbench.results import Database, Shard, add_shard, add_sweep, open_database, pairs, sql
from oodbench.results.sweeps.shifts import StoredShift, store_shift
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan

Tiny = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Own images: environments that no colour has in common, dark and light."""
    rng = np.random.default_rng(0)
    for light, environment in enumerate("ab"):
        for label in range(2):
            place = tmp_path / "data" / "mine" / environment / f"c{label}"
            place.mkdir(parents=True)
            for i in range(40):
                pixels = rng.integers(0, 100, (8, 8, 3)) + 150 * light
                Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i}.png")
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))


def own(tiny: Tiny, **said: Any) -> dict[str, Any]:
    entry = {"name": "ImageFolders", "folder": "mine", "size": 8, "augment": "none"}
    return tiny(datasets=[{**entry, "test_environments": "each", **said}])


def add(db: Database, values: dict[str, Any]) -> None:
    add_sweep(db, "tiny", {}, plan(parse_sweep(values)).studies)


def facts(db: Database) -> list[dict[Any, Any]]:
    columns = "test_environments, json_extract(facts, '$.shift') AS shift, "
    columns += "coalesce(json_extract(facts, '$.shift_source'), '') AS source"
    return sql(db, f"SELECT {columns} FROM studies ORDER BY position").to_dict("records")


@pytest.fixture
def db(tmp_path: Path) -> Any:
    with open_database(tmp_path / "runs.db", create=True) as database:
        yield database


def test_a_declared_class_changes_no_trial_and_no_study(tiny: Tiny) -> None:
    plain, said = (
        plan(parse_sweep(values)).studies for values in (own(tiny), own(tiny, shift="diversity"))
    )
    assert [study.id for study in plain] == [study.id for study in said]
    assert [study.trials for study in plain] == [study.trials for study in said]
    assert {study.facts["shift"] for study in plain} == {""}
    assert {(s.facts["shift"], s.facts["shift_source"]) for s in said} == {
        ("diversity", "declared")
    }


def test_it_may_be_declared_after_training_and_is_not_undone(db: Database, tiny: Tiny) -> None:
    for said, shift in [
        ({}, ""),
        ({"shift": "diversity"}, "diversity"),
        ({}, "diversity"),
        ({"shift": "correlation"}, "correlation"),
    ]:
        add(db, own(tiny, **said))
        assert set(pairs(db)["shift"]) == {shift}
    assert len(facts(db)) == 4


def test_shards_say_it_too(db: Database, tiny: Tiny) -> None:
    for said in ({}, {"shift": "diversity"}):
        studies = plan(parse_sweep(own(tiny, **said))).studies
        add_shard(db, "tiny", {}, studies, Shard(0, 2))
    assert {(row["shift"], row["source"]) for row in facts(db)} == {("diversity", "declared")}
    assert sql(db, "SELECT json_extract(facts, '$.sharded.of') AS n FROM studies")["n"].eq(2).all()


def test_another_class_than_the_known_one_is_refused(tiny: Tiny) -> None:
    digits = {"name": "ColoredDigits", "test_environments": [2], "shift": "diversity"}
    with pytest.raises(SweepError, match="shift: diversity, but that of ColoredDigits is known"):
        parse_sweep(tiny(datasets=[digits]))
    parse_sweep(tiny(datasets=[{**digits, "shift": "correlation"}]))
    with pytest.raises(SweepError, match="shift: needs 'correlation', 'diversity' or"):
        parse_sweep(tiny(datasets=[{**digits, "shift": "label"}]))


def test_what_is_measured_is_stored_where_nothing_else_says_it(db: Database, tiny: Tiny) -> None:
    add(db, own(tiny))
    options = {"folder": "mine", "size": 8, "augment": "none"}
    assert store_shift(db, "ImageFolders", options, [0], "diversity") == StoredShift(2, {})
    assert store_shift(db, "ImageFolders", {**options, "size": 9}, [1], "none").studies == 0
    assert [(row["shift"], row["source"]) for row in facts(db)] == [
        *[("diversity", "measured")] * 2,
        *[("", "")] * 2,
    ]
    assert store_shift(db, "ImageFolders", options, [0], "none") == StoredShift(2, {})
    add(db, own(tiny, shift="correlation"))
    kept = StoredShift(0, {"correlation": 2})
    assert store_shift(db, "ImageFolders", options, [0], "diversity") == kept


def test_the_command_measures_what_the_studies_are_of(
    db: Database, tiny: Tiny, tmp_path: Path, oodbench: Callable[..., Any]
) -> None:
    add(db, own(tiny, test_environments=[1]))
    path = tmp_path / "runs.db"
    ended = oodbench("shift", "ImageFolders", "--store", path, "--trials", 1)
    assert ended.code == 0, ended.err
    assert "test environments 1: diversity, n = " in ended.out
    assert "; stored in 2 studies" in ended.out
    assert {(row["shift"], row["source"]) for row in facts(db)} == {("diversity", "measured")}
    assert "no study on ColoredDigits" in oodbench("shift", "ColoredDigits", "--store", path).err
    wrong = oodbench("shift", "ImageFolders", "--store", path, "--set", "size=9")
    assert "have the options {'folder': 'mine', 'size': 8, 'augment': 'none'}" in wrong.err


def test_unclear_is_not_stored(
    db: Database, tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(db, own(tiny, test_environments=[1]))
    real = analysis.shift_table
    monkeypatch.setattr(
        analysis, "shift_table", lambda *given: real(*given).assign(shift="unclear")
    )
    table = oodbench.shift("ImageFolders", store=tmp_path / "runs.db", trials=1)
    assert table["stored"].tolist() == [0, 0]
    assert {row["shift"] for row in facts(db)} == {""}


def test_the_catalogue_says_what_is_not_known() -> None:
    rows = oodbench.catalogue("datasets").set_index("name")["shift"]
    assert rows["ImageFolders"] == rows["VLCS"] == "not known"
    assert rows["ColoredDigits"] == "correlation"


def test_a_class_may_be_asked_for_without_studies(tmp_path: Path) -> None:
    open_database(tmp_path / "empty.db", create=True).close()
    with pytest.raises(RequestError, match="has no study on ImageFolders"):
        oodbench.shift("ImageFolders", store=tmp_path / "empty.db")
    table = oodbench.shift("ImageFolders", [1], trials=1, options={"folder": "mine", "size": 8})
    assert "stored" not in table


@pytest.mark.slow
def test_a_line_is_shown_after_each_trial_unless_asked_not_to(
    db: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {"trials": 2, "options": {"folder": "mine", "size": 8}}
    oodbench.shift("ImageFolders", [1], **given)
    lines = capsys.readouterr().err.splitlines()
    named = [line.partition(":")[0] for line in lines]
    assert named == [f"ImageFolders, test environments 1, seed {seed}" for seed in (0, 1)]
    told: list[str] = []
    oodbench.shift("ImageFolders", [1], **given, on_trial=told.append)
    oodbench.shift("ImageFolders", [1], **given, progress=False)
    assert (told, capsys.readouterr().err) == (lines, "")
