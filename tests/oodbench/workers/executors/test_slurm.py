"""The SLURM executor against programs that only note what they are asked; see tests/clusters."""

import os
import pickle
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from postgres_server import Server

from oodbench import api
from oodbench.errors import RequestError, SweepError
from oodbench.results import add_sweep, claim, open_database, sql, state_counts
from oodbench.sweep import parse_sweep
from oodbench.sweep.machines import Slurm, minutes
from oodbench.sweep.plan import plan
from oodbench.workers.executors.jobs import Job, job_of
from oodbench.workers.executors.slurm import job_name, parameters
from oodbench.workers.executors.spread import SpreadJob
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings

Run = Callable[..., Any]

PROGRAMS = {
    "sbatch": 'cp "$1" "$FAKE/script"; echo "$OODBENCH_DB" >"$FAKE/db"; echo "Submitted job 77"',
    "srun": "true",
    "squeue": 'cat "$FAKE/queue"',
    "scancel": 'echo "$@" >> "$FAKE/cancelled"; : > "$FAKE/queue"',
}


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which the programs of a cluster leave what they were asked."""
    pytest.importorskip("submitit")
    folder = tmp_path / "fake"
    folder.mkdir()
    for name, script in PROGRAMS.items():
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
    (folder / "queue").write_text("")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.fixture
def db(server: Server) -> Iterator[str]:
    yield server.create("fake_cluster")
    server.drop("fake_cluster")


def directives(folder: Path) -> dict[str, str]:
    lines = (folder / "script").read_text().splitlines()
    found = [line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH ")]
    return {name: value for name, _, value in (line.partition("=") for line in found)}


SETTINGS = {
    "workers": 6,
    "workers_per_job": 2,
    "partition": "gpu",
    "time": "1-02:30:00",
    "gpus": 2,
    "cpus": 4,
    "memory": "16G",
    "notice": 120,
    "lease": 300,
    "setup": ["module load cuda"],
    "options": {"account": "me", "mail_type": "FAIL", "exclusive": True},
}


def test_the_script_says_what_the_sweep_file_says(
    fake: Path, db: str, tiny: Callable[..., dict[str, Any]]
) -> None:
    frame = api.run_sweep(tiny(slurm=SETTINGS), db, executor="slurm", stack=4)
    assert frame["waiting"].sum() == 4, "it returns at once; the jobs train"
    said = directives(fake)
    expected = {
        "job-name": job_name(db, "tiny"),
        "partition": "gpu",
        "time": "1590",
        "gpus-per-node": "2",
        "cpus-per-task": "4",
        "mem": "16G",
        "signal": "USR2@120",
        "account": "me",
        "mail-type": "FAIL",
        "open-mode": "append",
    }
    assert expected.items() <= said.items()
    assert {"requeue", "exclusive"} <= set(said)
    assert said["array"].startswith("0-2%")
    assert "\nmodule load cuda\n" in (fake / "script").read_text()
    assert (fake / "db").read_text().strip() == db
    for number in range(3):
        job = submitted(number)
        assert (job.sweep, job.workers, job.peers, job.grace) == ("tiny", 2, 6, 96.0)
        assert (job.settings.stack, job.settings.lease) == (4, 300)
        assert job.settings.artifacts == Path("oodbench-artifacts").absolute()
        assert db not in repr(job), "the URL may hold a password: only the environment has it"


def submitted(number: int) -> Job:
    path = Path("oodbench-logs/submitit") / f"77_{number}_submitted.pkl"
    job = pickle.loads(path.read_bytes()).function
    assert isinstance(job, Job)
    return job


METHOD = {"parallel": {"method": "ddp", "replicas": 4}}
RUN = {"workers": 3, "gpus_per_run": 4, "nodes_per_run": 2, "cpus": 8, "notice": 50}


def test_a_run_on_several_nodes_takes_a_job_of_its_own(
    fake: Path, db: str, tiny: Callable[..., dict[str, Any]]
) -> None:
    api.run_sweep(tiny(slurm=RUN, **METHOD), db, executor="slurm")
    said = directives(fake)
    expected = {"nodes": "2", "gpus-per-node": "2", "cpus-per-task": "8"}
    assert expected.items() <= said.items()
    assert said["array"].startswith("0-2%")
    job = submitted(0)
    assert isinstance(job, SpreadJob)
    assert (job.nodes, job.processes, job.workers, job.peers) == (2, 2, 1, 3)
    assert (job.grace, job.settings.processes) == (40.0, True)


@pytest.mark.parametrize(
    ("settings", "parallel", "said"),
    [
        (
            {"nodes_per_run": 0},
            METHOD["parallel"],
            "slurm.nodes_per_run: needs at least 1, but got 0",
        ),
        (
            {"gpus_per_run": 0.5},
            METHOD["parallel"],
            "slurm.gpus_per_run: needs a whole number, but got 0.5",
        ),
        (
            {"gpus_per_run": 4, "gpus": 1},
            METHOD["parallel"],
            "slurm: gpus (1) are of a job whose workers train apart; with gpus_per_run",
        ),
        (
            {"gpus_per_run": 4, "workers": 4, "workers_per_job": 2},
            METHOD["parallel"],
            "slurm: workers_per_job (2) must be 1 with gpus_per_run or nodes_per_run",
        ),
        (
            {"gpus_per_run": 4, "nodes_per_run": 3},
            METHOD["parallel"],
            "slurm: gpus_per_run (4) must be a multiple of nodes_per_run (3)",
        ),
        (
            {"gpus_per_run": 2},
            METHOD["parallel"],
            "slurm: gpus_per_run 2, nodes_per_run 1: a run has 4 replicas, so gpus_per_run must "
            "be 4, or 0 for CPUs",
        ),
        (
            {"nodes_per_run": 3},
            METHOD["parallel"],
            "slurm: gpus_per_run 0, nodes_per_run 3: a run has 4 replicas",
        ),
        (
            {"gpus_per_run": 2},
            "none",
            "slurm: gpus_per_run 2, nodes_per_run 1: no run of this sweep has replicas",
        ),
        (
            {"nodes_per_run": 2},
            [METHOD["parallel"], {"method": "ddp", "replicas": 2}],
            "slurm: gpus_per_run 0, nodes_per_run 2: runs have 2 or 4 replicas",
        ),
    ],
)
def test_a_run_takes_a_process_for_each_replica(
    settings: dict[str, Any],
    parallel: Any,
    said: str,
    tiny: Callable[..., dict[str, Any]],
) -> None:
    with pytest.raises(SweepError) as error:
        parse_sweep(tiny(slurm=settings, parallel=parallel))
    assert said in str(error.value)


def test_without_settings_there_is_one_modest_job() -> None:
    given = parameters(Slurm.model_validate({}), "name")
    assert set(given) == {
        *("job_name", "time", "cpus_per_task", "signal_delay_s", "stderr_to_stdout"),
        *("array_parallelism", "additional_parameters"),
    }
    assert given["additional_parameters"] == {"requeue": True}


def queue(fake: Path, name: str, *jobs: tuple[str, str]) -> None:
    rows = [f"{number}|{name}|{state}|n1|1:02|1:00:00|None\n" for number, state in jobs]
    rows.append("9_0|somebody-elses|RUNNING|n1|1:02|1:00:00|None\n")
    (fake / "queue").write_text("".join(rows))


def test_only_the_jobs_that_are_lacking_are_submitted(
    fake: Path, db: str, tiny: Callable[..., dict[str, Any]]
) -> None:
    name = job_name(db, "tiny")
    queue(fake, name, ("5_0", "RUNNING"), ("5_1", "PENDING"))
    api.run_sweep(tiny(slurm=SETTINGS), db, executor="slurm")
    assert "array" not in directives(fake), "one of three"
    (fake / "script").unlink()
    for workers in (3, 4):
        api.run_sweep(tiny(slurm=SETTINGS), db, executor="slurm", workers=workers)
        assert not (fake / "script").exists()
    api.run_sweep(tiny(slurm=SETTINGS), db, executor="slurm", workers=9)
    assert directives(fake)["array"].startswith("0-2%")


def test_status_lists_the_jobs_and_cancel_cancels_them(
    fake: Path, db: str, tiny: Callable[..., dict[str, Any]], oodbench: Run
) -> None:
    with open_database(db, create=True) as database:
        add_sweep(database, "tiny", {}, plan(tiny()).studies)
        claim(database, "node7:slurm-5_0-1:0123abcd", size=3, lease=60)
    queue(fake, job_name(db, "tiny"), ("5_0", "RUNNING"), ("5_1", "PENDING"), ("6", "RUNNING"))
    frame = api.jobs(db)
    assert list(frame["job"]) == ["5_0", "5_1", "6"]
    assert list(frame["state"]) == ["running", "pending", "running"]
    assert list(frame["training"]) == [3, 0, 0]
    said = oodbench("status", "--db", db).out
    assert said.index("SLURM jobs:") < said.index("5_0")
    assert "9_0" not in said
    program = (fake / "squeue").read_text()
    (fake / "squeue").write_text("#!/bin/sh\necho 'no answer' >&2; exit 1\n")
    ended = oodbench("status", "--db", db)
    assert ended.code == 0
    assert ended.err == "", "a sweep that never went to SLURM has no jobs there"
    ended = oodbench("cancel", "tiny", "--db", db)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == "1 waiting runs of tiny cancelled\n"
    (fake / "squeue").write_text(program)
    ended = oodbench("cancel", "tiny", "--db", db)
    assert "3 SLURM jobs of tiny cancelled\n0 waiting runs of tiny cancelled" in ended.out
    assert (fake / "cancelled").read_text() == "5 6\n"
    with open_database(db) as database:
        assert state_counts(database)["running"] == 3, "what they hold is theirs to give back"


def test_a_cluster_that_does_not_answer_stops_neither_status_nor_cancel(
    fake: Path, db: str, tiny: Callable[..., dict[str, Any]], oodbench: Run
) -> None:
    api.run_sweep(tiny(), db, executor="slurm")  # its file says nothing of SLURM
    said = "squeue: error: no DNS record\nsqueue: no answer"
    (fake / "squeue").write_text(f"#!/bin/sh\necho '{said}' >&2; exit 1\n")
    told = "warning: the SLURM jobs are not known: squeue failed: no answer\n"
    for command, said in (
        (("status",), "ColoredDigits"),
        (("cancel", "tiny"), "4 waiting runs of tiny cancelled"),
    ):
        ended = oodbench(*command, "--db", db)
        assert (ended.code, ended.err) == (0, told)
        assert said in ended.out
    with pytest.raises(RequestError, match="squeue failed: no answer"):
        api.cancel(db, "tiny")


def test_a_sweep_that_goes_on_here_may_still_have_jobs_there(
    fake: Path, db: str, tiny: Callable[..., dict[str, Any]], oodbench: Run
) -> None:
    api.run_sweep(tiny(), db, executor="slurm")
    api.run_sweep(tiny(), db, workers=1)
    (fake / "squeue").write_text("#!/bin/sh\necho 'no answer' >&2; exit 1\n")
    ended = oodbench("status", "--db", db)
    assert "the SLURM jobs are not known: squeue failed: no answer" in ended.err
    assert api.status(db)["completed"].sum() == 4


def test_a_name_is_the_sweeps_and_the_databases() -> None:
    names = {
        job_name("postgresql+psycopg://me@host/a", "x"),
        job_name("postgresql+psycopg://me@host/b", "x"),
        job_name("postgresql+psycopg://me@host/a", "y"),
    }
    assert len(names) == 3
    assert job_name("postgresql://me:one@host/a", "x") == job_name(
        "postgresql://me:two@host/a", "x"
    )
    assert job_of("node7:slurm-12_3-0:0123abcd") == "12_3"
    assert job_of("node7:slurm-12-10:0123abcd") == "12"
    assert job_of("node7:worker-0:0123abcd") == job_of("vm:14043:e3319280") == job_of("") == ""


def test_what_slurm_refuses_is_told(
    fake: Path, db: str, tiny: Callable[..., dict[str, Any]], oodbench: Run
) -> None:
    (fake / "sbatch").write_text("#!/bin/sh\necho 'invalid partition specified: gpu' >&2; exit 1\n")
    with pytest.raises(RequestError, match=r"SLURM did not take the jobs: .*invalid partition"):
        api.run_sweep(tiny(slurm=SETTINGS), db, executor="slurm")
    (fake / "squeue").write_text(
        "#!/bin/sh\necho 'Unable to contact slurm controller' >&2; exit 1\n"
    )
    with pytest.raises(RequestError, match="squeue failed: Unable to contact"):
        api.run_sweep(tiny(slurm=SETTINGS), db, executor="slurm")


def test_where_there_is_no_cluster(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]], db: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RequestError, match=r"no SLURM here .*login node"):
        api.run_sweep(tiny(), db, executor="slurm")
    assert api.jobs(db).empty
    for executor in ("slurm", "ray"):
        with pytest.raises(
            RequestError, match=f"executor {executor} .* several machines, and .*--shard"
        ):
            api.run_sweep(tiny(), tmp_path / "runs.db", executor=executor)
        with pytest.raises(RequestError, match="gpus names those of this machine"):
            api.run_sweep(tiny(), db, executor=executor, gpus=["0"])
        with pytest.raises(RequestError, match="Only the executor local can report"):
            api.run_sweep(tiny(), db, executor=executor, on_profile=print)
    with pytest.raises(RequestError, match=r"unknown executor 'slrm'\. Did you mean 'slurm'"):
        api.run_sweep(tiny(), db, executor="slrm")
    assert not (tmp_path / "runs.db").exists()


@pytest.mark.parametrize(
    ("given", "expected"),
    [(90, 90), ("90", 90), ("30:00", 30), ("30:01", 31), ("4:00:00", 240), ("2-00", 2880),
     ("1-12:30", 2190), ("1-02:03:04", 1564)],
)  # fmt: skip
def test_times_as_slurm_writes_them(given: object, expected: int) -> None:
    assert minutes(given) == expected


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"time": "soon"}, "slurm.time: a time is minutes, HH:MM:SS or D-HH:MM:SS, but got 'soon'"),
        ({"time": 0}, "slurm.time: a time is minutes"),
        ({"time": 1, "notice": 60}, "notice (60 s) must be shorter than time (1 min)"),
        ({"workers": 0}, "slurm.workers: needs at least 1, but got 0"),
        ({"gpus": 0.5}, "slurm.gpus: needs a whole number, but got 0.5"),
        ({"queue": "x"}, "unknown key 'queue'"),
        ({"options": {"array": "0-3"}}, "option 'array' cannot be given"),
        ({"options": {"mem": "3G"}}, "option 'mem' has a key of its own: slurm.memory"),
        ({"options": {"x y": 1}}, "option 'x y' cannot be given"),
    ],
)
def test_mistakes_are_told(
    settings: dict[str, Any], said: str, tiny: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(SweepError) as error:
        parse_sweep(tiny(slurm=settings))
    assert said in str(error.value)


def test_where_workers_run_decides_no_trial(tiny: Callable[..., dict[str, Any]]) -> None:
    here, there = plan(tiny()), plan(tiny(slurm=SETTINGS, ray={"gpus": 0.5}))
    for one, two in zip(here.studies, there.studies, strict=True):
        assert (one.id, [t.id for t in one.trials]) == (two.id, [t.id for t in two.trials])


def test_a_job_keeps_its_workers_and_leaves_when_nothing_is_left(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same call that SLURM and Ray make, on this machine's SQLite."""
    db = tmp_path / "runs.db"
    with open_database(db, create=True) as database:
        add_sweep(database, "tiny", {}, plan(tiny()).studies)
    monkeypatch.setenv("SLURM_JOB_ID", "12")
    job = Job(
        "tiny",
        WorkerSettings(device="cpu"),
        str(tmp_path / "logs"),
        environment={"OODBENCH_DB": str(db)},
    )
    job()
    log = (tmp_path / "logs" / "slurm-12-0.log").read_text()
    assert "nothing is left to train: 4 runs stored" in log
    frame = api.query(db)
    assert set(frame["status"]) == {"completed"}
    assert {job_of(owner) for owner in owners(db)} == {"12"}
    wrong = Job(
        "no such sweep", DEFAULTS, str(tmp_path / "logs"), environment={"OODBENCH_DB": str(db)}
    )
    with pytest.raises(RequestError, match=r"exit code 2: .*unknown sweep"):
        wrong()


def owners(db: Path) -> set[str]:
    with open_database(db, read_only=True) as database:
        return set(sql(database, "SELECT owner FROM runs")["owner"])


def test_each_worker_of_a_job_sees_one_of_its_gpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    seen = {}
    monkeypatch.setattr(
        Job, "_keep", lambda job, slots: seen.update({s.log.name: s.gpu for s in slots})
    )
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "5")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "1")
    monkeypatch.setenv("SLURM_JOB_ID", "6")
    Job("s", DEFAULTS, str(tmp_path), workers=4)()
    assert list(seen.items()) == [(f"slurm-5_1-{i}.log", gpu) for i, gpu in enumerate("4747")]
    seen.clear()
    Job("s", DEFAULTS, str(tmp_path), workers=1)()
    assert seen == {"slurm-5_1-0.log": None}, "a worker alone has them all, as SLURM set them"


def test_schedulers_may_warn_with_usr1_or_usr2(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    code = (
        "import os, signal\n"
        "from oodbench.cli.worker import _StopSignal\n"
        "stop = _StopSignal(None)\n"
        "assert not stop()\n"
        "os.kill(os.getpid(), signal.SIGUSR{})\n"
        "assert stop()\n"
    )
    for number in (1, 2):
        subprocess.run([sys.executable, "-c", code.format(number)], check=True)
