"""status, query, the listings, --dry-run: what they print can be relied on."""

import io
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from postgres_server import Server
from rich.console import Console

from oodbench import api
from oodbench.analysis import answer_text
from oodbench.cli.printing import fitting, shown
from oodbench.errors import UnknownNameError
from oodbench.optimizers import OPTIMIZERS
from oodbench.results import add_sweep, is_empty, open_database, searched_scale
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

Run = Callable[..., Any]


def test_a_dry_run_counts_and_writes_nothing(
    oodbench: Run, sweep_file: Callable[..., Path], finished: Path, tmp_path: Path
) -> None:
    path = sweep_file(algorithms=["erm", "irm"], search={"trials": 3})
    ended = oodbench("sweep", path, "--db", tmp_path / "new.db", "--dry-run")
    assert ended.out.splitlines()[0] == (
        "4 studies, 12 trials: 0 stored, 0 waiting or running, 12 new; 12 models to train."
    )
    assert list(tmp_path.iterdir()) == [path]
    before = finished.read_bytes()
    ended = oodbench("sweep", path, "--db", finished, "--dry-run")
    assert "12 trials: 8 stored, 0 waiting or running, 4 new; 4 models to train." in ended.out
    assert finished.read_bytes() == before


def test_a_dry_run_without_a_database_says_what_it_would_take(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OODBENCH_DB", raising=False)
    path = sweep_file(search={"trials": 3})
    out = oodbench("sweep", path, "--dry-run", "--set", "train.steps=1000000").out
    assert "Timed steps on this machine (cpu), without scoring: " in out
    (hours,) = re.findall(r"2 studies, 6 models to train: (\S+) core hours; on disk 0.0 MiB", out)
    (seconds,) = re.findall(r": (\S+) s a model of erm on", out)
    assert float(hours) == pytest.approx(6 * float(seconds) / 3600, abs=0.05, rel=0.01)
    rate = "rate={examples_per_second: 1, source: a guess}"
    digits = "datasets=[{name: ColoredMNIST, test_environments: [2]}]"
    out = oodbench("sweep", path, "--dry-run", "--set", rate, "--set", digits).out
    assert "GPU hours: training at 1 examples a second (a guess); scoring three times" in out
    assert "? GPU hours" not in out
    assert "The files of ColoredMNIST are not checked: they are not on this machine" in out
    wrong = "datasets=[{name: ColoredDigits, test_environments: [2], renders: 0}]"
    ended = oodbench("sweep", path, "--dry-run", "--set", wrong)
    assert ended.code == 2
    assert "renders must be a whole number from 1 to 1000, not 0" in ended.err
    assert list(tmp_path.iterdir()) == [path]
    ended = oodbench("sweep", path)
    assert ended.code == 2
    assert "Say where results are kept: --db FILE or URL" in ended.err


def test_a_dry_run_says_how_many_devices_a_run_takes(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    methods = [{"method": "ddp", "replicas": 2}, {"method": "ddp", "replicas": 4}, "none"]
    path = sweep_file(search={"trials": 3}, parallel=methods)
    for place in ((), ("--db", tmp_path / "new.db")):
        told = oodbench("sweep", path, *place, "--dry-run").out
        assert "tiny: 6 models on 2, 6 models on 4 replicas: one device simulates all of a " in told
        assert "--processes each takes a process and a core, with torchrun a device.\n" in told
    path = sweep_file(parallel=methods[1], slurm={"gpus_per_run": 4, "nodes_per_run": 2})
    told = oodbench("sweep", path, "--dry-run").out
    assert (
        "tiny: --executor slurm trains 1 runs at once, each on 4 GPUs of 2 nodes, by torchrun "
        "with 2 processes on each.\n"
    ) in told
    assert "replicas" not in oodbench("sweep", sweep_file(), "--dry-run").out


@pytest.mark.slow
def test_sweeps_of_a_list_are_trained_one_after_the_other(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    db, first = tmp_path / "new.db", sweep_file(search={"trials": 1}, optimizers=["sgd"])
    (tmp_path / "other.yaml").write_text(f"extends: {first.name}\nname: other\n")
    listing = tmp_path / "list.yaml"
    listing.write_text(f"sweeps: [{first.name}, other.yaml]")
    ended = oodbench("sweep", listing, "--db", db, "--dry-run")
    assert ended.out.count("1 studies, 1 trials: 0 stored") == 2
    assert "other: 1 studies" in ended.out
    ended = oodbench("sweep", listing, "--db", db, "--workers", "1")
    assert ended.code == 0
    assert ended.out.index("tiny:") < ended.out.index("other:")
    assert api.status(db)["sweep"].tolist() == ["tiny", "other"]


def test_a_dry_run_on_a_server_without_our_tables(
    oodbench: Run, sweep_file: Callable[..., Path], server: Server
) -> None:
    db = server.create("dry")
    ended = oodbench("sweep", sweep_file(), "--db", db, "--dry-run")
    assert "2 studies, 4 trials: 0 stored, 0 waiting or running, 4 new" in ended.out
    assert is_empty(db)
    server.drop("dry")


def test_long_tables_are_cut_and_say_so(oodbench: Run, finished: Path) -> None:
    short = oodbench("query", "--db", finished, "--limit", "3").out
    assert "The first 3 of 8 rows; --limit 0 shows all of them." in short
    assert "8 runs at checkpoint last" in short
    whole = oodbench("query", "--db", finished, "--limit", "0").out
    assert whole.count("completed") == short.count("completed") + 5
    assert "The first" not in whole


def test_brackets_are_text() -> None:
    """torch's errors have paths in brackets, which are not to be read as markup."""
    frame = pd.DataFrame({"reason": ["closed [/gloo/tcp/pair.cc:561] by [red]peer"]})
    screen = io.StringIO()
    console = Console(file=screen, width=80, markup=False)
    console.print(fitting(shown(frame), console))
    assert frame["reason"][0] in screen.getvalue()


def test_csv_and_json_give_back_what_python_gives(oodbench: Run, finished: Path) -> None:
    expected = api.query(finished)
    text = oodbench("query", "--db", finished, "--format", "csv").out
    csv = pd.read_csv(io.StringIO(text), dtype={"test_environments": str}, keep_default_na=True)
    records = json.loads(oodbench("query", "--db", finished, "--format", "json").out)
    assert len(csv) == len(records) == len(expected) == 8
    assert list(csv.columns) == list(records[0]) == list(expected.columns)
    for name in ("run", "optimizer", "test_environments", "status", "seed"):
        assert list(csv[name]) == [row[name] for row in records] == list(expected[name])
    for name in ("id", "ood", "lr", "weight_decay", "n_ood"):
        assert list(csv[name]) == list(expected[name])
        assert [row[name] for row in records] == pytest.approx(list(expected[name]), rel=1e-12)


def test_quickstart_ends_with_the_answer_and_leaves_a_report(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    """On a small recipe in its folder, which it keeps, and whose runs are there."""
    folder, path = tmp_path / "out", sweep_file(search={"trials": 6})
    folder.mkdir()
    shutil.copy(path, folder / "digits.yaml")
    with open_database(folder / "results.db", create=True) as database:
        add_sweep(database, "tiny", {}, plan(path).studies)
    work(folder / "results.db", "tiny", WorkerSettings(device="cpu"))
    ended = oodbench("quickstart", "--out", folder)
    assert ended.code == 0
    *_, answer, left = ended.out.strip().split("\n\n")
    files, following = left.splitlines()
    assert answer == answer_text(api.conclude(folder / "results.db"))
    assert len(answer.splitlines()) <= 8
    for name in re.findall(r"[\w*-]+\.\w+", files.partition(": ")[2]):
        assert list(folder.glob(name)), name
    assert following.endswith(f"oodbench conclude --db {folder / 'results.db'}")


def test_conditions_and_sql_on_the_command_line(oodbench: Run, finished: Path) -> None:
    def csv(*arguments: str) -> pd.DataFrame:
        text = oodbench("query", "--db", finished, "--format", "csv", *arguments).out
        return pd.read_csv(io.StringIO(text))

    assert set(csv("--where", "optimizer = 'adam' and algorithm = 'irm'")["run"]) == set(
        api.query(finished).query("optimizer == 'adam' and algorithm == 'irm'")["run"]
    )
    counted = csv("--sql", "SELECT optimizer, count(*) AS n FROM v_runs GROUP BY 1 ORDER BY 1")
    assert counted.to_dict("list") == {"optimizer": ["adam", "sgd"], "n": [4, 4]}


def test_the_selected_run_of_each_study_has_the_highest_id_validation(
    oodbench: Run, finished: Path
) -> None:
    ended = oodbench("query", "--db", finished, "--select", "id_val", "--format", "json")
    chosen = {(row["algorithm"], row["optimizer"]): row for row in json.loads(ended.out)}
    assert len(chosen) == 4
    for key, runs in api.query(finished).groupby(["algorithm", "optimizer"]):
        assert chosen[key]["id_val"] == pytest.approx(runs["id_val"].max())
        assert (chosen[key]["rule"], chosen[key]["n_candidates"]) == ("id_val", 2)


def test_tables_show_whole_counts_and_scores_with_three_decimals(
    oodbench: Run, finished: Path
) -> None:
    out = oodbench("query", "--db", finished, "--select", "id_val").out
    best = api.query(finished, select="id_val").iloc[0]
    cells = next(line for line in out.splitlines() if best["run"][:8] in line).split()
    assert f"{best['ood']:.3f}" in cells
    assert str(int(best["n_ood"])) in cells
    assert not [cell for cell in cells if cell.endswith(".0") or "e+" in cell]
    assert "8 runs" in oodbench("query", "--db", finished).out
    assert "nothing to show" in oodbench("query", "--db", finished, "--where", "lr > 1e9").out


def test_status_names_the_sweep_only_where_there_are_several(
    oodbench: Run, finished: Path, tmp_path: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    out = oodbench("status", "--db", finished).out
    assert [word in out.splitlines()[0] for word in ("waiting", "failed", "sweep")] == [1, 1, 0]
    assert len(out.splitlines()) == 2 + 4
    path = tmp_path / "several.db"
    for name in ("one", "two"):
        planned = plan(parse_sweep(tiny(name=name)))
        with open_database(path, create=True) as db:
            add_sweep(db, name, {}, planned.studies)
    lines = oodbench("status", "--db", path).out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["one", "one", "two", "two"]
    assert "one" not in oodbench("status", "--db", path, "--sweep", "two").out


def test_the_scale_of_a_search_range_is_read_from_the_studies(finished: Path) -> None:
    with open_database(finished, read_only=True) as db:
        found = {name: searched_scale(db, name) for name in ("lr", "weight_decay", "beta1")}
        assert found == {"lr": "log", "weight_decay": "log", "beta1": "one_minus_log"}
        assert searched_scale(db, "nonesuch", "tiny") is None
        with pytest.raises(UnknownNameError, match="Did you mean 'tiny'"):
            searched_scale(db, "lr", "tinny")


def test_listings_name_everything_and_tell_all_of_one(oodbench: Run) -> None:
    listed = oodbench("optimizers").out
    assert all(name in listed for name in OPTIMIZERS.names())
    told = oodbench("optimizers", "momentum").out
    assert "Polyak 1964" in told
    assert "momentum: one_minus_log 0.5 to 0.99" in told
    assert "correlation" in oodbench("datasets", "ColoredDigits").out
    assert "0: +90%, 1: +80%, 2: -90%" in oodbench("datasets").out
    assert "penalty_weight: log" in oodbench("algorithms").out
    assert "width: 64, depth: 2" in oodbench("models").out


def test_exit_codes_of_a_sweep_that_is_done_already(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Diverged runs are results: 0. A failed run: 1, with the way to its reason."""
    path = sweep_file(optimizers=["adam", {"name": "sgd", "space": {"lr": 1e30}}])
    db = tmp_path / "runs.db"
    with open_database(db, create=True) as database:
        add_sweep(database, "tiny", {}, plan(path).studies)
    work(db, "tiny", WorkerSettings(device="cpu"))
    ended = oodbench("sweep", path, "--db", db)
    assert ended.code == 0
    best = api.query(db)["id_val"].max()
    assert ended.err == f"4/4 models, 2 diverged, 0 failed, best id_val {best:.3f}\n"
    *_, last, blank, answer, page, runs = ended.out.splitlines()
    assert not blank
    for line, command in ((answer, "conclude"), (page, "report"), (runs, "query")):
        assert f"oodbench {command} --db {db}" in line
    assert [line.split()[-4:] for line in (*ended.out.splitlines()[-6:-5], last)] == [
        ["2", "0", "0", "2"],
        ["0", "2", "0", "2"],
    ]
    with open_database(db) as database, database.write() as connection:
        connection.exec_driver_sql("UPDATE runs SET state = 'failed' WHERE state = 'diverged'")
    ended = oodbench("sweep", path, "--db", db)
    assert ended.code == 1
    assert "2 runs failed; to see why: oodbench query" in ended.err
    assert len(list((tmp_path / "runs.logs").iterdir())) == 0  # no worker was started


def test_retry_and_cancel_and_watch(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = sweep_file(optimizers=["adam", {"name": "sgd", "space": {"lr": 1e30}}])
    db = tmp_path / "runs.db"
    with open_database(db, create=True) as database:
        add_sweep(database, "tiny", {}, plan(path).studies)
    work(db, "tiny", WorkerSettings(device="cpu"))
    assert oodbench("retry", "tiny", "--db", db).out.endswith("\n0 runs of tiny wait again\n")
    ended = oodbench("retry", "tiny", "--db", db, "--diverged")
    assert ended.out == "2 runs of tiny wait again\n"
    assert api.status(db)["waiting"].tolist() == [0, 2]
    assert oodbench("cancel", "tiny", "--db", db).out == "2 waiting runs of tiny cancelled\n"
    assert api.status(db)["total"].tolist() == [2, 0]
    watched = oodbench("status", "--db", db, "--watch")
    assert watched.out == oodbench("status", "--db", db).out
    assert oodbench("retry", "tinny", "--db", db).code == 2


def test_set_changes_a_sweep_and_root_says_where_data_are(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OODBENCH_DATA", "put back after the test")
    common = ("sweep", sweep_file(), "--db", tmp_path / "new.db", "--dry-run")
    assert (
        "1 studies, 5 trials"
        in oodbench(*common, "--set", "optimizers=[sgd]", "--set", "search.trials=5").out
    )
    ended = oodbench(
        *common, "--set", "datasets.0.name=ColoredMNIST", "--root", tmp_path / "nothing"
    )
    assert ended.code == 2
    assert str(tmp_path / "nothing") in ended.err


@pytest.mark.slow
def test_a_shift_is_measured_and_told_with_its_class_and_n(oodbench: Run) -> None:
    common = ("shift", "ColoredDigits", "--test-environments", 2, "--trials", 1, "--examples", 600)
    ended = oodbench(*common)
    assert "test environments 2: correlation, n = " in ended.out
    assert "seed 0: diversity 0.0" in ended.err
    (plus, legacy) = pd.read_csv(io.StringIO(oodbench(*common, "--csv").out)).to_dict("records")
    assert (plus["variant"], legacy["variant"]) == ("plus", "legacy")
    assert f"{plus['correlation']:.3f}" in ended.out
    ended = oodbench("shift", "ColoredDigits", "--test-environments", "two")
    assert (ended.code, ended.out) == (2, "")
    assert "needs numbers such as 0,2, but got 'two'" in ended.err


NAMES = pd.DataFrame(
    {
        "run": ["dba5ee78", "25fb46f6"],
        "dataset": [":x: Digits", "\x1b[31mred\x07"],
        "optimizer": ["schedule_free_adamw", "sgd"],
        "ood": [0.5, 0.25],
        "reason": ["The loss was no longer finite; a smaller learning rate may train."] * 2,
    }
)


@pytest.mark.parametrize("width", [200, 80, 60, 40, 20])
def test_on_a_terminal_names_never_break_and_what_does_not_fit_is_named(width: int) -> None:
    screen = io.StringIO()
    console = Console(width=width, file=screen, markup=False, emoji=False, highlight=False)
    console.print(fitting(shown(NAMES), console))
    head, _, *rows = screen.getvalue().splitlines()
    names = [name for name in NAMES if name in head.split()]
    assert names == list(NAMES)[: len(names)]  # the last ones go
    left_out = list(NAMES)[len(names) :]
    assert not left_out or width < 80
    told = screen.getvalue().partition("Too wide for here: ")[2]
    assert " ".join(told.split()) == (f"{', '.join(left_out)}." if left_out else "")
    assert rows[0].split()[0] == "dba5ee78"
    if "optimizer" in names:
        assert "schedule_free_adamw" in screen.getvalue()


def test_names_are_shown_as_they_are_and_control_no_terminal() -> None:
    screen = io.StringIO()
    console = Console(width=200, file=screen, force_terminal=True, markup=False, emoji=False)
    console.print(fitting(shown(NAMES[["dataset"]]), console))
    assert ":x: Digits" in screen.getvalue()
    assert r"\x1b[31mred\x07" in screen.getvalue()
    assert "\x1b[31m" not in screen.getvalue()
