"""What is new in a database: all of it once, whatever happens, and hardly any work otherwise."""

import base64
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import oodbench
from oodbench.results import open_database, retry
from oodbench.verbs.live import feed as feed_module
from oodbench.verbs.live.feed import Feed
from oodbench.verbs.status import standing

pytestmark = pytest.mark.usefixtures("at_once")


def ids(told: dict[str, Any]) -> list[str]:
    """The runs that an answer tells."""
    column = told["runs"]["columns"]["run"]
    codes = np.frombuffer(base64.b64decode(column["codes"]), "<u2")
    return [column["levels"][code] for code in codes]


def numbers(told: dict[str, Any], name: str) -> list[float]:
    column = told["runs"]["columns"][name]["numbers"]
    return list(np.frombuffer(base64.b64decode(column), "<f8"))


def test_nothing_is_no_error(filled) -> None:
    feed = Feed(filled.target)
    told = feed.since("")
    assert told["totals"] == {
        **dict.fromkeys(("waiting", "running", "completed", "diverged", "failed"), 0),
        **{"best": None, "rate": "", "left": ""},
    }
    assert (told["all"], told["workers"]) == (True, [])
    assert not {"studies", "runs", "panels"} & set(told)
    filled.plan(3)
    told = feed.since(told["cursor"])
    [study] = told["studies"]
    assert (study["waiting"], study["total"], study["label"]) == (3, 3, "Adam")
    assert study["place"] == "ERM on Digits, test environment 2"
    assert not {"runs", "panels"} & set(told)


def test_each_run_comes_once_with_its_scores(filled) -> None:
    feed = Feed(filled.target)
    filled.plan(6)
    filled.take(6)
    cursor = feed.since("")["cursor"]
    first = filled.end(2, 0.25, 0.75)
    told = feed.since(cursor)
    assert sorted(ids(told)) == sorted(first)
    assert sorted(numbers(told, "id_val")) == [0.25, 0.75]
    assert told["totals"]["completed"] == 2
    assert not told["all"]
    nothing = feed.since(told["cursor"])
    assert set(nothing) == {"cursor", "all", "now", "totals"}
    second = filled.end(3, status="diverged", reason="The loss became infinite.")
    late = feed.since(told["cursor"])
    assert sorted(ids(late)) == sorted(second)
    assert sorted(ids(feed.since(""))) == sorted(first + second)
    assert sorted(ids(feed.since("0123abcd.7"))) == sorted(first + second)  # of another server


def test_totals_are_those_of_status_and_the_best_is_by_id_validation(filled) -> None:
    feed = Feed(filled.target)
    filled.plan(5)
    filled.take(4)
    runs = filled.end(3, 0.6, 0.9, 0.3)
    told = feed.since("")
    seen = standing(filled.target)
    assert {name: told["totals"][name] for name in seen.counts} == seen.counts
    assert told["totals"]["best"] == seen.best == 0.9
    [best] = told["best"]
    assert (best["run"], best["id_val"]) == (runs[1], 0.9)
    assert best["ood"] == pytest.approx(0.1)  # the lowest of all
    assert oodbench.query(filled.target, select="id_val")["run"].tolist() == [best["run"]]


def test_a_run_that_is_tried_again_goes_and_comes(filled) -> None:
    feed = Feed(filled.target)
    filled.plan(2)
    filled.take(2)
    [failed, other] = filled.end(2, status="failed", reason="Out of memory.")
    cursor = feed.since("")["cursor"]
    with open_database(filled.target) as db:
        assert retry(db, "one") == 2
    told = feed.since(cursor)
    assert sorted(told["gone"]) == sorted([failed, other])
    assert told["totals"]["waiting"] == 2
    filled.take(2)
    filled.end(1)
    late = feed.since(told["cursor"])
    assert (len(ids(late)), late["gone"]) == (1, [])


def test_a_run_that_comes_with_a_time_of_long_ago_is_seen(filled) -> None:
    """As one that is merged from another database or imported is."""
    feed = Feed(filled.target)
    filled.plan(3)
    filled.take(3)
    filled.end(2)
    cursor = feed.since("")["cursor"]
    [old] = filled.end(1)
    with open_database(filled.target) as db, db.write() as connection:
        connection.exec_driver_sql(f"UPDATE runs SET finished = 1000.0 WHERE id = '{old}'")
    assert ids(feed.since(cursor)) == [old]


def test_only_the_sweep_that_was_asked_for_is_told(filled) -> None:
    filled.plan(2, "one")
    filled.plan(2, "two", optimizer="sgd")
    filled.take(4)
    filled.end(4)
    told = Feed(filled.target, "two").since("")
    assert len(ids(told)) == 2
    assert told["totals"]["completed"] == 2
    assert {study["optimizer"] for study in told["studies"]} == {"sgd"}
    both = Feed(filled.target).since("")
    assert sorted(study["place"][-5:] for study in both["studies"]) == ["(one)", "(two)"]


def test_workers_are_told_with_what_their_logs_say_last(filled, tmp_path: Path) -> None:
    (tmp_path / "worker-0.log").write_text("worker vm:worker-0:0a on cpu\ntraining step 7 of 100\n")
    feed = Feed(filled.target, logs=tmp_path)
    filled.plan(4)
    filled.take(2)
    filled.take(1, "gpu-node:4711:ff")
    there, here = feed.since("")["workers"]
    assert (here["runs"], here["says"]) == (2, "training step 7 of 100")
    assert here["what"] == "Digits [2], erm, adam"
    assert (there["owner"], there["says"]) == ("gpu-node:4711:ff", "")
    assert here["since"] <= feed.since("")["now"] < here["lease"]


def test_the_rate_and_the_time_left_come_from_when_runs_finished(filled) -> None:
    feed = Feed(filled.target)
    filled.plan(40)
    filled.take(12)
    runs = [filled.end(4), filled.end(4)]
    with open_database(filled.target) as db, db.write() as connection:
        for ended, age in zip(runs, (20, 10), strict=True):
            where = ", ".join(f"'{run}'" for run in ended)
            now = connection.exec_driver_sql("SELECT max(finished) FROM runs").scalar()
            changing = f"UPDATE runs SET finished = {now - age} WHERE id IN ({where})"
            connection.exec_driver_sql(changing)
    told = feed.since("")
    assert told["totals"]["rate"] == "24.0 models/min"
    [study] = told["studies"]
    assert study["rate"] == told["totals"]["rate"]
    assert study["left"].startswith("0:01:")  # 32 models at 0.4 a second, less some seconds


def test_a_database_that_goes_is_a_problem_and_all_is_well_when_it_is_back(
    tmp_path: Path, filled_file
) -> None:
    feed = Feed(filled_file.target)
    filled_file.plan(1)
    told = feed.since("")
    path = Path(filled_file.target)
    path.rename(tmp_path / "away")
    away = feed.since(told["cursor"])
    assert set(away) == {"problem"}
    assert str(path) in away["problem"]
    (tmp_path / "away").rename(path)
    assert feed.since(told["cursor"])["totals"]["waiting"] == 1


def test_looking_is_shared_and_little_when_nothing_happens(
    filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.plan(2)
    filled.take(2)
    filled.end(1)
    feed = Feed(filled.target)
    cursor = feed.since("")["cursor"]
    for name in ("pairs", "ended", "standing"):
        monkeypatch.delattr(feed_module, name)
    feed.since(cursor)  # nothing has changed, so none of them is asked
    monkeypatch.setattr(feed_module, "EVERY", 60.0)
    feed.since(cursor)
    monkeypatch.delattr(feed_module, "sizes")
    for _ in range(20):  # however many browsers ask: the last look is a moment ago
        assert feed.since(cursor)["totals"]["completed"] == 1


def test_a_curve_is_measured_accuracies_by_step(filled) -> None:
    filled.plan(1)
    filled.take(1)
    [run] = filled.end(1, 0.75)
    feed = Feed(filled.target)
    assert feed.curve(run) == {"steps": [50, 100], "id": [0.75, 0.75], "ood": [0.25, 0.25]}
    assert feed.curve("no such run") == {"steps": [], "id": [], "ood": []}


def test_it_writes_nothing(filled) -> None:
    filled.plan(3)
    filled.take(3)
    [run] = filled.end(1)
    before = everything(filled.target)
    feed = Feed(filled.target)
    told = feed.since("")
    feed.since(told["cursor"])
    feed.curve(run)
    feed.log(run)
    assert everything(filled.target) == before


def everything(target: str) -> list[str]:
    with open_database(target, read_only=True) as db, db.read() as connection:
        tables = ("sweeps", "studies", "runs", "study_trials", "curves")
        rows = [connection.exec_driver_sql(f"SELECT * FROM {name}").all() for name in tables]
    return [pd.DataFrame(found).astype(str).to_csv() for found in rows]
