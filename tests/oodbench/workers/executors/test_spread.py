"""The parts of a job that is spread over nodes, without torchrun; see tests/clusters for all."""

import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from faults_helpers import wait_for

from oodbench.errors import RequestError
from oodbench.workers.executors import slots, spread
from oodbench.workers.executors.jobs import Job
from oodbench.workers.executors.spread import OVER, BoardFile, SpreadJob, spread_job
from oodbench.workers.worker_settings import WorkerSettings

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
END = [sys.executable, "-c", "pass"]


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spread, "LOOK", 0.01)


def job_of(folder: Path, node: int) -> SpreadJob:
    """A part of a job on two nodes, with two processes on each."""
    whole = Job("tiny", WorkerSettings(), str(folder / "logs"), environment={"OODBENCH_DB": "x"})
    return replace(spread_job(whole, 2, 4), node=node, board=BoardFile(folder / "board"))


def test_the_other_nodes_meet_the_first_wherever_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[str] = []

    def torchrun(job: SpreadJob, place: str) -> list[str]:
        joined.append(place)
        return SLEEP

    monkeypatch.setattr(SpreadJob, "_torchrun", torchrun)
    first, other = job_of(tmp_path, 0), job_of(tmp_path, 1)
    following = threading.Thread(target=other)
    following.start()
    started = []
    for number in (1, 2):
        first.command()  # the second time after torchrun has died there
        wait_for(lambda: len(joined) == 2 * number and other.slots[0].running())  # noqa: B023
        assert joined[-1] == joined[-2], "where the first node is"
        started.append(other.slots[0].process)
    assert joined[0] != joined[2], "each meeting has a port of its own"
    before, now = started
    assert before is not None
    assert before is not now
    assert before.poll() is not None, "who waits at the old place would wait in vain"
    first.meeting.write(OVER)
    following.join(10)
    assert not following.is_alive()
    assert not other.slots[0].running()


def test_the_first_node_sends_the_others_home_also_when_it_gives_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oodbench.workers.executors.jobs.open_database", lambda url: Nothing())
    monkeypatch.setattr(SpreadJob, "_torchrun", lambda job, place: END)
    first = job_of(tmp_path, 0)
    first()
    assert first.meeting.read() == OVER
    monkeypatch.setattr(slots, "abandon", lambda db, owner: 0)
    monkeypatch.setattr(
        SpreadJob, "_torchrun", lambda job, place: [*END[:2], "raise SystemExit(1)"]
    )
    (tmp_path / "board").unlink()
    with pytest.raises(RequestError, match="exit code 1"):
        job_of(tmp_path, 0)()
    assert first.meeting.read() == OVER


class Nothing:
    """Stands for a database that is asked for nothing."""

    def __enter__(self) -> "Nothing":
        return self

    def __exit__(self, *raised: object) -> None: ...

    def close(self) -> None: ...


def test_each_part_starts_its_share_of_the_processes(tmp_path: Path) -> None:
    job = job_of(tmp_path, 1)
    command = job._torchrun("there:123")
    assert command[1:3] == ["-m", "torch.distributed.run"]
    expected = {
        *("--nnodes=2", "--node-rank=1", "--nproc-per-node=2"),
        *("--master-addr=there", "--master-port=123", "--processes"),
    }
    assert expected <= set(command)
    assert command.index("--master-port=123") < command.index("oodbench") < command.index("tiny")
    assert job.variables()["OODBENCH_WORKERS_HERE"] == "2"


def test_a_job_that_is_put_back_in_line_meets_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    whole = Job("tiny", WorkerSettings(), str(tmp_path / "logs"))
    spread_job(whole, 2, 4).meeting.write(OVER)
    assert spread_job(whole, 2, 4).meeting.read() == OVER
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    assert spread_job(whole, 2, 4).meeting.read() == ""
    monkeypatch.setenv("SLURM_PROCID", "1")
    assert spread_job(whole, 2, 4).rank == 1
