"""Exports: every run with the numbers of a query, documented, and Optuna's own reading of them."""

import csv
import json
import math
import re
from pathlib import Path

import pytest
from postgres_server import Server

import oodbench
from oodbench.errors import RequestError, UnknownNameError
from oodbench.exporting.definitions import DEFINITIONS
from oodbench.records import PROTOCOL, RunRecord
from oodbench.results import add_sweep, claim, copy_database, open_database, store_runs
from oodbench.results.columns import MEASURED, named
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

SWEEP = {
    "name": "small",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["erm"],
    "optimizers": [
        {"name": "sgd", "space": {"lr": {"choice": [0.1, 1e30]}}},
        {"name": "momentum", "space": {"lr": {"log": [0.01, 0.1]}}},
    ],
    "model": {"name": "mlp", "width": 4, "depth": 1},
    "search": {"trials": 4, "seed": 3},
    "train": {"steps": 4, "batch": {"per_environment": 4}, "evaluate_every": 2},
}


@pytest.fixture(scope="module")
def db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight runs, some of which diverge."""
    path = tmp_path_factory.mktemp("export") / "runs.db"
    planned = plan(SWEEP)
    with open_database(path, create=True) as database:
        add_sweep(database, "small", {}, planned.studies)
    work(path, "small", WorkerSettings(device="cpu", stack=4))
    return path


def test_every_format_has_the_numbers_of_the_query(db: Path, tmp_path: Path) -> None:
    import pandas as pd

    expected = oodbench.query(db)
    assert set(expected["status"]) == {"completed", "diverged"}
    for kind in ("csv", "json", "parquet"):
        oodbench.export(kind, db, tmp_path / f"runs.{kind}")
    found = json.loads((tmp_path / "runs.json").read_text())
    assert [row["run"] for row in found["runs"]] == expected["run"].tolist()
    assert found["about"]["statuses"] == expected["status"].value_counts().to_dict()
    assert found["about"]["protocols"] == [PROTOCOL]
    tables = {
        "csv": pd.read_csv(tmp_path / "runs.csv"),
        "json": pd.DataFrame(found["runs"]),
        "parquet": pd.read_parquet(tmp_path / "runs.parquet"),
    }
    for table in tables.values():
        assert list(table.columns) == list(tables["csv"].columns)
        for name in ("id", "ood", "n_ood", "id_val"):
            theirs = table[name].astype(float)
            assert theirs.equals(expected[name].astype(float).rename(name))
        assert table["hparams.lr"].tolist() == expected["lr"].tolist()
        assert set(table["oodbench"].dropna()) == {oodbench.__version__}


def test_the_schema_is_the_documented_one(db: Path, tmp_path: Path) -> None:
    oodbench.export("csv", db, tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(newline="") as file:
        header = next(csv.reader(file))
    about = json.loads((tmp_path / "runs.csv.about.json").read_text())
    assert header == list(about["columns"])
    drawn = [name for name in header if name not in DEFINITIONS]
    assert drawn
    assert all(name.startswith("hparams.") for name in drawn)
    page = (Path(__file__).parents[3] / "docs" / "exporting.md").read_text()
    documented = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", page, flags=re.MULTILINE))
    assert documented.items() <= DEFINITIONS.items()
    assert set(DEFINITIONS) - set(documented) <= set(named(MEASURED)), "these the file explains"


def test_conditions_and_refusals(db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    some = oodbench.export("csv", db, tmp_path / "some.csv", "optimizer = 'sgd'")
    assert set(some["optimizer"]) == {"sgd"}
    with pytest.raises(RequestError, match="No run matches"):
        oodbench.export("csv", db, tmp_path / "none.csv", "lr > 1e40")
    with pytest.raises(RequestError, match="Cannot write to"):
        oodbench.export("csv", db, tmp_path / "nowhere" / "x.csv")
    with pytest.raises(UnknownNameError, match="unknown format 'xlsx'"):
        oodbench.export("xlsx", db, tmp_path / "x.xlsx")
    monkeypatch.setattr("oodbench.exporting.run_table.find_spec", lambda name: None)
    with pytest.raises(RequestError, match=r"pip install 'oodbench\[parquet\]'"):
        oodbench.export("parquet", db, tmp_path / "x.parquet")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["some.csv", "some.csv.about.json"]


def test_optuna_reads_the_studies(db: Path, tmp_path: Path) -> None:
    import optuna

    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    done = oodbench.export_optuna(db, url)
    assert (done.studies, done.new, done.known, done.unscored) == (2, 8, 0, 0)
    again = oodbench.export_optuna(db, url)
    assert (again.new, again.known) == (0, 8)
    runs = oodbench.query(db).set_index("run")
    seen = set()
    for name in optuna.get_all_study_names(url):
        study = optuna.load_study(study_name=name, storage=url)
        for trial in study.trials:
            run = runs.loc[trial.user_attrs["run"]]
            seen.add(trial.user_attrs["run"])
            assert trial.state == optuna.trial.TrialState.COMPLETE
            assert trial.params["lr"] == run["lr"]
            if run["status"] == "diverged":
                assert trial.value == -math.inf
                assert trial.user_attrs["reason"] == run["reason"]
            else:
                assert trial.value == run["id_val"]
                assert trial.user_attrs["ood"] == run["ood"]
        completed = runs[(runs["optimizer"] == name.split()[-2]) & (runs["status"] == "completed")]
        assert study.best_value == completed["id_val"].max()
    assert seen == set(runs.index)


def test_postgresql_gives_the_same_exports(db: Path, tmp_path: Path, server: Server) -> None:
    url = server.create("exported")
    copy_database(db, url)
    for source, folder in ((db, tmp_path / "a"), (url, tmp_path / "b")):
        folder.mkdir()
        oodbench.export("csv", source, folder / "runs.csv")
        done = oodbench.export_optuna(source, f"sqlite:///{folder / 'optuna.db'}")
        assert (done.studies, done.new) == (2, 8)
    assert (tmp_path / "a/runs.csv").read_bytes() == (tmp_path / "b/runs.csv").read_bytes()


def test_a_failed_run_is_a_failed_trial(tmp_path: Path) -> None:
    import optuna

    planned = plan({**SWEEP, "optimizers": SWEEP["optimizers"][:1], "search": {"trials": 1}})
    with open_database(tmp_path / "runs.db", create=True) as database:
        add_sweep(database, "small", {}, planned.studies)
        (claimed,) = claim(database, "worker", size=1, lease=60)
        record = RunRecord(claimed.trial, "failed", reason="out of memory")
        store_runs(database, [(claimed, record)])
    url = f"sqlite:///{tmp_path / 'optuna.db'}"
    assert oodbench.export_optuna(tmp_path / "runs.db", url).new == 1
    (trial,) = optuna.load_study(study_name=None, storage=url).trials
    assert trial.state == optuna.trial.TrialState.FAIL
    assert trial.value is None
    assert trial.user_attrs["reason"] == "out of memory"


def test_optunas_storage_is_another_database(db: Path, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="must be another database"):
        oodbench.export_optuna(db, f"sqlite:///{db}")
    with pytest.raises(RequestError, match=r"storage h/x cannot be used") as told:
        oodbench.export_optuna(db, "nosuch://me:secret@h/x")
    assert "secret" not in str(told.value)
