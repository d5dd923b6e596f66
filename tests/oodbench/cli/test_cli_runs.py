"""show, evaluate, reproduce."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from oodbench import api
from oodbench.results import add_sweep, claim, open_database
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]) -> Path:
    """A database with a finished sweep whose weights are kept, a diverged run, a waiting one."""
    path = tmp_path_factory.mktemp("kept") / "runs.db"
    wild = {"name": "sgd", "space": {"lr": 1e30}}
    with open_database(path, create=True) as db:
        for name, changes in (
            ("tiny", {"optimizers": ["adam", wild], "keep_weights": "selected"}),
            ("twin", {"optimizers": ["adam"], "keep_weights": "last"}),
            ("third", {"optimizers": ["adam"]}),
            ("later", {"optimizers": ["adamw"]}),
        ):
            planned = plan(tiny(name=name, **changes))
            spec = planned.spec.model_dump(mode="json", exclude_none=True)
            add_sweep(db, name, spec, planned.studies)
    work(path, "tiny", WorkerSettings(device="cpu"))
    with open_database(path) as db:
        claim(db, "somebody", sweep="later", size=1, lease=1e9)
    return path


def first(path: Path, where: str) -> Any:
    return api.query(path, where).iloc[0]


def lines(text: str) -> dict[str, str]:
    found = (line.partition(":") for line in text.splitlines() if ":" in line)
    return {name: value.strip() for name, _, value in found}


def test_show_tells_what_a_run_is_and_what_became_of_it(oodbench: Run, kept: Path) -> None:
    row = first(kept, "optimizer = 'adam'")
    ended = oodbench("show", row["run"][:7], "--db", kept)
    assert ended.code == 0, ended.err
    said = lines(ended.out)
    assert said["run"] == row["run"]
    assert said["status"] == "completed"
    assert said["dataset"] == "ColoredDigits, tested on -90% (2)"
    assert f"lr {row['lr']}" in said["hyperparameters"]
    assert said["training"].startswith("4 steps, batch per_environment 8, evaluated every 2")
    assert said["asked for by"].startswith("sweep tiny, study ")
    others = [line.split()[3] for line in ended.out.splitlines() if line.startswith("and by:")]
    assert others == ["twin,", "third,"]
    files = [line.split() for line in ended.out.splitlines() if line.startswith("weights:")]
    assert [words[2] for words in files] == ["(last,", "(best_id_val,"]
    assert all(words[1].startswith(f"{row['run']}-") for words in files)
    (score,) = [line.split() for line in ended.out.splitlines() if line.startswith("ood_test")]
    assert score[1] == f"{row['ood_test']:.4f}"
    assert score[-1] == str(row["n_ood"])


def test_show_of_runs_without_scores(oodbench: Run, kept: Path) -> None:
    out = oodbench("show", first(kept, "status = 'diverged'")["run"], "--db", kept).out
    assert "no longer finite at step" in lines(out)["reason"]
    assert "ood_test" not in out
    said = lines(oodbench("show", first(kept, "status = 'running'")["run"], "--db", kept).out)
    assert (said["status"], said["worker"]) == ("running", "somebody, attempt 1")
    said = lines(oodbench("show", first(kept, "status = 'waiting'")["run"], "--db", kept).out)
    assert (said["status"], said["worker"]) == ("waiting", "none yet, attempt 0")


def test_show_as_json_has_everything(oodbench: Run, kept: Path) -> None:
    row = first(kept, "optimizer = 'adam'")
    found = json.loads(oodbench("show", row["run"], "--db", kept, "--format", "json").out)
    assert found["run"] == row["run"]
    assert found["trial"]["hparams"]["lr"] == row["lr"]
    assert found["scores"]["last"]["ood_test"] == row["ood_test"]
    assert [item["sweep"] for item in found["asked_by"]] == ["tiny", "twin", "third"]
    assert found["provenance"]["weights"][1]["checkpoint"] == "best_id_val"
    assert found["environments"] == ["+90%", "+80%", "-90%"]


def test_show_and_reproduce_name_what_is_another_here(
    oodbench: Run, kept: Path, tmp_path: Path
) -> None:
    run, path = first(kept, "optimizer = 'adam'")["run"], tmp_path / "copy.db"
    shown = " ".join(oodbench("show", run, "--db", kept).out.split())
    assert "arithmetic: " in shown
    assert "other here" not in shown
    oodbench("db", "copy", kept, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE origins SET shared = json_set(shared, '$.processor', 'Z80')")
    assert "other here: processor " in " ".join(oodbench("show", run, "--db", path).out.split())
    told = oodbench("reproduce", run, "--db", path, "--device", "cpu").out
    assert re.search(r"^processor: .+ here, Z80 when it was trained$", told, re.MULTILINE)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE origins SET shared = json_remove(shared, '$.processor', '$.numpy_blas')"
        )
    assert "arithmetic: not recorded" in " ".join(oodbench("show", run, "--db", path).out.split())
    told = oodbench("reproduce", run, "--db", path, "--device", "cpu").out
    assert "not recorded when it was trained: processor, numpy blas\n" in told


def test_show_fits_80_columns(oodbench: Run, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    narrow = lambda: Console(width=80, highlight=False, markup=False)  # noqa: E731
    monkeypatch.setattr("oodbench.cli.printing.stdout", narrow)
    out = oodbench("show", first(kept, "optimizer = 'adam'")["run"], "--db", kept).out
    assert max(len(line.rstrip()) for line in out.splitlines()) <= 80


def test_evaluate_prints_a_table_and_whether_it_matches(oodbench: Run, kept: Path) -> None:
    row = first(kept, "optimizer = 'adam'")
    ended = oodbench("evaluate", row["run"], "--db", kept, "--environments", "0,2")
    assert ended.code == 0, ended.err
    assert "training measured 4 of these accuracies: all are equal" in ended.out
    assert "+80%" not in ended.out
    (test,) = [line.split() for line in ended.out.splitlines() if "ood_test" in line]
    assert test[:3] == ["-90%", "test", "ood_test"]


def test_evaluate_tells_a_difference(oodbench: Run, kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    assert oodbench("db", "copy", kept, path).code == 0
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE points SET value = value + 0.5 WHERE series_id IN "
            "(SELECT id FROM series WHERE role = 'ood_test')"
        )
    run = first(kept, "optimizer = 'adam'")["run"]
    artifacts = kept.with_suffix(".artifacts")
    ended = oodbench("evaluate", run, "--db", path, "--artifacts", artifacts)
    assert ended.code == 1
    assert "training measured 6 of these accuracies: 1 of them differ, by up to 0.5" in ended.out


def test_reproduce_says_whether_it_matches(oodbench: Run, kept: Path, tmp_path: Path) -> None:
    run, file = first(kept, "optimizer = 'adam'")["run"], tmp_path / "w.safetensors"
    ended = oodbench("reproduce", run, "--db", kept, "--device", "cpu", "--weights", file)
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        f"run {run}: reproduced exactly",
        "status: completed",
        "measurements: 14, of which 0 differ",
        "weights (last): the same bytes",
        "weights (best_id_val): the same bytes",
        f"wrote {file}",
    ]
    assert file.exists()
    path = tmp_path / "copy.db"
    oodbench("db", "copy", kept, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE points SET value = value + 0.5 WHERE series_id IN "
            "(SELECT id FROM series WHERE role = 'ood_test')"
        )
    ended = oodbench("reproduce", run, "--db", path, "--device", "cpu")
    assert ended.code == 1
    assert ended.out.startswith(f"run {run}: NOT reproduced\n")
    assert "largest difference: 0.5 at step 2, -90% test accuracy" in ended.out
    ended = oodbench("reproduce", run, "--db", path, "--device", "cpu", "--tolerance", 0.51)
    assert ended.code == 0
    assert ended.out.startswith(f"run {run}: reproduced within the tolerance\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "zz"], "No run has an id that begins with 'zz'"),
        (["show", ""], "Several runs have an id that begins with ''"),
        (["evaluate", "RUN", "--environments", "0,x"], "--environments needs numbers such as 0,2"),
        (["evaluate", "RUN", "--environments", "9"], "has no environment 9"),
        (["evaluate", "RUN", "--checkpoint", "best"], "unknown checkpoint rule 'best'"),
        (["evaluate", "DIVERGED"], "(diverged) were not kept; kept: none."),
        (["evaluate", "RUNNING"], "has no result yet: it is running"),
        (["reproduce", "RUNNING"], "has no result yet: it is running"),
        (["reproduce", "RUN", "--tolerance", "-1"], "tolerance must be at least 0"),
        (["show", "RUN", "--format", "xml"], "unknown format 'xml'. Allowed: json, text."),
    ],
)
def test_what_cannot_be_done_is_refused(
    oodbench: Run, kept: Path, arguments: list[str], message: str
) -> None:
    names = {
        "RUN": first(kept, "optimizer = 'adam'")["run"],
        "DIVERGED": first(kept, "status = 'diverged'")["run"],
        "RUNNING": first(kept, "status = 'running'")["run"],
    }
    ended = oodbench(*[names.get(item, item) for item in arguments], "--db", kept)
    assert ended.code == 2
    assert message in ended.err
    assert "Traceback" not in ended.err
