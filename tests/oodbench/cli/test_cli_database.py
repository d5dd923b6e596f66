"""db check, db copy, db merge, db upgrade; shards."""

import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from oodbench.api import prepare_shard
from oodbench.results import merge_databases, open_database, sql
from oodbench.results.schema import REVISIONS
from oodbench.sweep import load_sweeps

Run = Callable[..., Any]


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_a_sound_database_is_checked_and_left_alone(oodbench: Run, finished: Path) -> None:
    before = finished.read_bytes()
    ended = oodbench("db", "check", "--db", finished)
    assert ended.code == 0, ended.err
    assert f"{finished}: schema {REVISIONS[-1]}" in ended.out
    assert "1 sweeps, " in ended.out
    assert "runs: 0 waiting, 0 running, " in ended.out
    assert ended.out.splitlines()[-1] == "no problems"
    assert finished.read_bytes() == before


def test_each_problem_has_a_line_and_the_exit_code_is_1(
    oodbench: Run, finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    assert oodbench("db", "copy", finished, path).code == 0
    change(path, "UPDATE runs SET finished = NULL, state = 'failed' WHERE position = 0")
    ended = oodbench("db", "check", "--db", path)
    assert ended.code == 1
    problems = [line for line in ended.out.splitlines() if line.startswith("problem: ")]
    assert len(problems) == 3
    assert "1 runs are finished, but have no time" in problems[0]
    assert "no problems" not in ended.out


def test_a_copy_is_made_once(oodbench: Run, finished: Path, tmp_path: Path) -> None:
    path = tmp_path / "copy.db"
    ended = oodbench("db", "copy", finished, path)
    assert ended.code == 0
    assert f"sqlite:///{path}: 1 sweeps, " in ended.out
    assert "being trained" not in ended.out
    status = [oodbench("status", "--db", which).out for which in (finished, path)]
    assert status[0] == status[1]
    before = path.read_bytes()
    ended = oodbench("db", "copy", finished, path)
    assert ended.code == 2
    assert "has 1 sweeps already" in ended.err
    assert path.read_bytes() == before


def test_a_copy_says_what_it_took_from_workers(
    oodbench: Run, finished: Path, tmp_path: Path
) -> None:
    path = tmp_path / "copy.db"
    oodbench("db", "copy", finished, path)
    change(
        path,
        "UPDATE runs SET state = 'running', owner = 'x', lease = 1.0 WHERE position < 2",
    )
    ended = oodbench("db", "copy", path, tmp_path / "second.db")
    assert "2 runs were being trained; they wait in the copy" in ended.out
    said = oodbench("db", "upgrade", "--db", path).out
    assert said == f"{path}: schema {REVISIONS[-1]} is current\n"


@pytest.mark.parametrize(
    "command",
    [
        ("db", "check"),
        ("db", "upgrade"),
        ("status",),
        ("query",),
        ("plot", "box", "-o", "x.png"),
        ("worker", "tiny"),
    ],
)
def test_the_database_can_be_named_in_the_environment(
    oodbench: Run, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setenv("OODBENCH_DB", "postgresql://me:hush@127.0.0.1:1/runs")
    monkeypatch.setattr("oodbench.workers.lease.PATIENCE", 0.1)  # a worker waits for its server
    monkeypatch.setattr("oodbench.workers.lease.PAUSE", 0.1)
    ended = oodbench(*command)
    assert ended.code == 2
    assert "database runs at 127.0.0.1, port 1, cannot be used by user me" in ended.err
    assert "Traceback" not in ended.err
    assert "hush" not in ended.out + ended.err


def test_a_sweep_shows_no_password(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.chdir(tmp_path)
    url = "postgresql://me:hush@127.0.0.1:1/runs"
    for ended in (
        oodbench("sweep", sweep_file(), "--db", url),
        oodbench("db", "copy", url, tmp_path / "copy.db"),
    ):
        assert ended.code == 2
        assert "hush" not in ended.out + ended.err
    assert not (tmp_path / "copy.db").exists()


def test_shards_are_trained_apart_and_merged(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    path, merged = sweep_file(search={"trials": 3}), tmp_path / "all.db"
    shards = [tmp_path / f"shard-{number}.db" for number in range(3)]
    for number, shard in enumerate(shards[:2]):
        ended = oodbench("worker", path, "--shard", f"{number}/3", "--db", shard)
        assert ended.out.splitlines()[-1].endswith("2 runs stored, 0 refused as too late"), (
            ended.err
        )
    ended = oodbench("db", "merge", merged, *shards[:2])
    assert ended.code == 1, "not all of the sweep is there, though all that was named is"
    assert ended.out.splitlines()[-1] == "2 trials are in none so far; shards: 2/3"
    merged.unlink()
    ended = oodbench("db", "merge", merged, *shards)
    assert ended.code == 1
    assert f"{shards[0]}: 2 new runs, 2 new results, 0 known already" in ended.out
    assert f"{shards[2]}: NOT MERGED: There is no database at {shards[2]}" in ended.out
    assert f"`oodbench worker SWEEP.yaml --shard i/N --db {shards[2]}`" in ended.out
    assert "oodbench sweep" not in ended.out, "which would train the whole sweep there"
    assert "2 trials are in none so far; shards: 2/3" in ended.out
    ended = oodbench("sweep", path, "--db", merged, "--dry-run")
    assert "6 trials: 4 stored, 0 waiting or running, 2 new" in ended.out
    assert oodbench("worker", path, "--shard", "2/3", "--db", shards[2]).code == 0
    ended = oodbench("db", "merge", merged, *shards)
    assert ended.code == 0, ended.out
    assert "0 new runs, 0 new results, 2 known already" in ended.out
    ended = oodbench("sweep", path, "--db", merged, "--dry-run")
    assert "6 trials: 6 stored, 0 waiting or running, 0 new" in ended.out


def test_a_shard_gets_its_part_of_more_trials_of_several_seeds(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    shards, merged = [tmp_path / f"shard-{number}.db" for number in range(3)], tmp_path / "all.db"
    for trials, total in ((4, 16), (7, 28)):
        path = sweep_file(search={"trials": trials}, seeds=2)
        for number, shard in enumerate(shards):
            prepare_shard(load_sweeps(path)[0], shard, f"{number}/3")
        assert merge_databases(merged, shards).lacking == []
        with open_database(merged, read_only=True) as db:
            found = sql(db, "SELECT study_id, idx, run_id FROM study_trials")
        assert len(found) == found["run_id"].nunique() == total
        assert set(found["idx"]) == set(range(2 * trials))


def test_shards_that_were_drawn_otherwise_are_refused_and_named(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    path = sweep_file(search={"trials": 4})
    one, steps, thirds, more = (tmp_path / f"{name}.db" for name in ("one", "st", "th", "more"))

    def draw(db: Path, shard: str, *changes: str) -> None:
        prepare_shard(load_sweeps(path, changes)[0], db, shard)

    draw(one, "0/2", "train.steps=10")
    draw(steps, "1/2", "train.steps=5", "data_seed=7")
    draw(thirds, "1/3", "train.steps=10")
    merged = tmp_path / "all.db"
    ended = oodbench("db", "merge", merged, one, steps, thirds)
    assert ended.code == 1
    first, second, third = ended.out.splitlines()[:3]
    assert "4 new runs" in first
    there = f"sqlite:///{merged}"
    assert f"{steps}: NOT MERGED: The sweep tiny is another one there: " in second
    assert f"data_seed: 0 in {there}, 7 in sqlite:///{steps}" in second
    assert f"train.steps: 10 in {there}, 5 in sqlite:///{steps}" in second
    assert f"is in 2 parts in {there}, in 3 in sqlite:///{thirds}" in third
    path = sweep_file(search={"trials": 4}, optimizers=["sgd", "adam", "momentum"])
    draw(more, "1/2", "train.steps=10")  # the file got one more: no contradiction
    assert "NOT MERGED" not in oodbench("db", "merge", merged, more).out


def test_what_a_shard_needs(oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path) -> None:
    db = tmp_path / "shard.db"
    for name, shard, said in (
        (sweep_file(), "3/3", "A shard is written i/N, i from 0 to N - 1, such as 3/16, but got"),
        ("tiny", "0/3", "--shard needs the sweep's file, to draw its trials; got 'tiny'"),
        (tmp_path / "no.yaml", "0/3", "Cannot read the sweep file"),
    ):
        ended = oodbench("worker", name, "--shard", shard, "--db", db)
        assert ended.code == 2
        assert said in ended.err
    adaptive = sweep_file(search={"sampler": "tpe", "trials": 30})
    ended = oodbench("worker", adaptive, "--shard", "0/3", "--db", db)
    assert "learns from the results" in ended.err
    assert not list(tmp_path.glob("shard.db*")), "no empty database either"
    ended = oodbench("worker", sweep_file(), "--db", db, "--set", "train.steps=3")
    assert ended.code == 2
    assert "Give --set to `oodbench sweep`" in ended.err


def test_a_shard_of_several_sweeps_that_are_changed(
    oodbench: Run, sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    sweep_file(name="one")
    sweep_file(name="two", optimizers=["momentum"])
    several, merged = tmp_path / "both.yaml", tmp_path / "all.db"
    several.write_text("sweeps: [one.yaml, two.yaml]")
    for number in range(2):
        db = tmp_path / f"{number}.db"
        command = ("worker", several, "--shard", f"{number}/2", "--db", db)
        ended = oodbench(*command, "--set", "train.steps=6", "--set", "search.trials=3")
        assert ended.code == 0, ended.err
    ended = oodbench("db", "merge", merged, tmp_path / "0.db", tmp_path / "1.db")
    assert "are in none so far" not in ended.out
    with open_database(merged, read_only=True) as database:
        found = sql(database, "SELECT optimizer, steps, status FROM v_runs")
    assert found["optimizer"].value_counts().to_dict() == {"sgd": 3, "adam": 3, "momentum": 3}
    assert set(found["steps"]) == {6}
    assert set(found["status"]) == {"completed"}
    ended = oodbench("worker", several, "--db", merged)  # their names, where they are stored
    assert ended.out.count("nothing is left to train: 0 runs stored") == 2


def documented_script() -> str:
    page = Path(__file__).parents[3] / "docs" / "without-server.md"
    (script,) = re.findall(r"```sh\n(#!/bin/sh\n.*?)```", page.read_text(), re.DOTALL)
    return str(script)


@pytest.mark.skipif(shutil.which("sh") is None, reason="no POSIX shell")
@pytest.mark.slow
def test_the_documented_job_keeps_what_a_killed_worker_stored(
    sweep_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Its results are only in the file -wal; the exit code is the worker's."""
    sweep_file(name="study", search={"trials": 8})
    (tmp_path / "killing.py").write_text(
        "import os, signal\ndef hook(run, scores): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = tmp_path / "bin" / "oodbench"
    command.parent.mkdir()
    command.write_text(
        "#!/bin/sh\n[ $1 = worker ] && hook=$HOOK\n"
        f'exec "{sys.executable}" -m oodbench "$@" ${{hook:+--on-run-end "$hook" --stack 2}}\n'
    )
    command.chmod(0o755)
    (tmp_path / "shards").mkdir()
    (tmp_path / "here").mkdir()

    def job(hook: str) -> tuple[int, dict[Any, int]]:
        environment = {
            **os.environ,
            "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
            "TMPDIR": str(tmp_path / "here"),
            "SLURM_ARRAY_TASK_ID": "0",
            "HOOK": hook,
        }
        ended = subprocess.run(
            ["sh", "-c", documented_script()], cwd=tmp_path, env=environment, check=False
        )
        with open_database(tmp_path / "shards" / "0.db", read_only=True) as db:
            states = sql(db, "SELECT state FROM runs")["state"].value_counts().to_dict()
        return ended.returncode, states

    assert job("killing.py:hook") == (128 + signal.SIGKILL, {"completed": 2, "waiting": 2})
    assert job("") == (0, {"completed": 4})
    assert not list((tmp_path / "here").glob("tmp.*")), "nothing is left on the node"
