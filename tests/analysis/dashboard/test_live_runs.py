"""What browsers are told of runs that end: each once, exactly, and the best by ID validation."""

import base64
from typing import Any

import numpy as np
import pandas as pd
import pytest
from report_helpers import make_checkpoints, make_runs

from analysis import LiveRuns, curve_of, dashboard_page
from analysis.report.charts import optimizer_looks

OPTIMIZERS = ("sgd", "momentum", "adam")
NAMES = {"Rotated": ("0°", "15°")}


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    table = make_runs()
    return table.assign(finished=1000.0 + table.index)


def unpacked(packed: dict[str, Any]) -> pd.DataFrame:
    """What a browser makes of it."""
    columns = {}
    for name, column in packed["columns"].items():
        if "numbers" in column:
            columns[name] = np.frombuffer(base64.b64decode(column["numbers"]), "<f8")
        else:
            size = "<u2" if len(column["levels"]) < 2**16 else "<u4"
            codes = np.frombuffer(base64.b64decode(column["codes"]), size)
            columns[name] = np.array(column["levels"], dtype=object)[codes]
    return pd.DataFrame(columns)


def test_each_run_is_told_once_and_exactly(runs: pd.DataFrame) -> None:
    live, seen = LiveRuns(), []
    mixed = runs.sample(frac=1, random_state=0)
    for number, start in enumerate(range(0, len(runs), 50), 1):
        live.add(number, mixed.iloc[start : start + 50], OPTIMIZERS, NAMES)
        seen.append(unpacked(live.since(number - 1)["runs"]))
        assert live.since(number) == {}
    told = pd.concat(seen, ignore_index=True).set_index("run").loc[runs["run"]].reset_index()
    assert len(told) == len(runs) == told["run"].nunique()
    for name in ("id", "ood", "id_val", "lr", "momentum", "finished"):
        np.testing.assert_array_equal(told[name], runs[name])  # to the last bit
    for name in ("status", "reason", "optimizer", "variant"):
        assert told[name].tolist() == runs[name].tolist()
    late = unpacked(live.since(0)["runs"])  # a browser that comes now
    assert set(late["run"]) == set(runs["run"])


def test_the_best_has_the_highest_id_validation_accuracy_whatever_its_ood(runs) -> None:
    live = LiveRuns()
    live.add(1, runs.iloc[::2], OPTIMIZERS, NAMES)
    live.add(2, runs.iloc[1::2], OPTIMIZERS, NAMES)
    found = {(b["dataset"], b["algorithm"], b["optimizer"]): b for b in live.since(0)["best"]}
    completed = runs[runs["status"] == "completed"]
    assert len(found) == 9
    higher = 0
    for key, rows in completed.groupby(["dataset", "algorithm", "optimizer"]):
        best = rows.loc[rows["id_val"].idxmax()]
        assert (found[key]["run"], found[key]["id_val"]) == (best["run"], best["id_val"])
        assert found[key]["completed"] == len(rows)
        higher += rows["ood"].max() > best["ood"]
    assert higher > 4  # of most, another run is better out of distribution


def test_a_run_that_is_put_back_in_line_is_gone_and_comes_again(runs: pd.DataFrame) -> None:
    live = LiveRuns()
    live.add(1, runs, OPTIMIZERS, NAMES)
    best = next(b for b in live.since(0)["best"] if b["optimizer"] == "sgd")
    live.drop(2, [best["run"]])
    told = live.since(1)
    assert told["gone"] == [best["run"]]
    assert "runs" not in told
    assert best["run"] not in {b["run"] for b in told["best"]}
    assert best["run"] not in set(unpacked(live.since(0)["runs"])["run"])
    again = runs[runs["run"] == best["run"]].assign(finished=5000.0)
    live.add(3, again, OPTIMIZERS, NAMES)
    told = live.since(2)
    assert unpacked(told["runs"])["finished"].tolist() == [5000.0]
    assert told["gone"] == []


def test_optimizers_keep_their_looks_when_others_come(runs: pd.DataFrame) -> None:
    later = runs.assign(optimizer=runs["optimizer"].replace({"adam": "zeta", "sgd": "alpha"}))
    planned = ("alpha", "momentum", "zeta")
    live = LiveRuns()
    live.add(1, later[later["optimizer"] == "zeta"], planned, {})
    first = {look["name"]: look for look in live.since(0)["looks"]}
    live.add(2, later, planned, {})
    last = {look["name"]: look for look in live.since(0)["looks"]}
    assert first["zeta"] == last["zeta"]
    assert last == {look["name"]: look for look in optimizer_looks(later)}


def test_runs_of_several_protocols_are_drawn_but_not_ranked(runs: pd.DataFrame) -> None:
    mixed = runs.assign(protocol="oodbench-1")
    odd = (mixed["dataset"] == "Rotated") & (mixed["seed"] == 5)
    mixed.loc[odd, "protocol"] = "imported:domainbed"
    live = LiveRuns()
    live.add(1, mixed, OPTIMIZERS, NAMES)
    told = live.since(0)
    assert len(unpacked(told["runs"])) == len(runs)
    none = {b["dataset"] for b in told["best"] if b["run"] is None}
    assert none == {"Rotated"}
    [panel] = [panel for panel in told["panels"] if panel["dataset"] == "Rotated"]
    assert "of the protocols imported:domainbed, oodbench-1" in panel["remarks"][-1]


def test_a_curve_is_that_of_the_run(runs: pd.DataFrame) -> None:
    points = make_checkpoints(runs)
    mine = points[points["run"] == runs["run"][5]]
    told = curve_of(mine)
    assert told["steps"] == [100, 200, 300]
    assert told["id"] == pytest.approx(mine["id_test"].tolist(), abs=1e-6)
    assert told["ood"] == pytest.approx(mine["ood_test"].tolist(), abs=1e-6)
    assert curve_of(points[:0]) == {"steps": [], "id": [], "ood": []}


def test_the_page_shows_names_as_text_and_asks_only_its_own_server() -> None:
    page = dashboard_page("<script>alert(1)</script>.db", "a&b")
    assert "<script>alert(1)" not in page.html
    assert "a&amp;b in &lt;script&gt;" in page.html
    assert "connect-src 'self'" in page.policy
    assert "default-src 'none'" in page.policy
    assert "frame-ancestors 'none'" in page.policy
    assert " on" + "click=" not in page.html
