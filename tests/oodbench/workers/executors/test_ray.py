"""The Ray executor without Ray; see tests/clusters for a real one."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oodbench.errors import RequestError, SweepError
from oodbench.results import Database, add_sweep, open_database
from oodbench.sweep import parse_sweep
from oodbench.sweep.machines import Ray
from oodbench.sweep.plan import plan
from oodbench.workers.executors.jobs import Job
from oodbench.workers.executors.ray import Host, run_ray
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import DEFAULTS, WorkerSettings


@pytest.fixture
def db(tmp_path: Path, tiny: Callable[..., dict[str, Any]]) -> Iterator[Database]:
    with open_database(tmp_path / "runs.db", create=True) as database:
        add_sweep(database, "tiny", {}, plan(tiny()).studies)
        yield database


class Noted:
    """Stands for the module ray: it notes what is asked for, and runs actors in this process."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}
        self.killed = self.ended = 0
        self.exceptions = SimpleNamespace(RayError=RuntimeError)

    def init(self, **given: Any) -> None:
        self.asked |= given

    def remote(self, kind: type) -> Any:
        assert kind is Host

        def actor(job: Job) -> Any:
            run = SimpleNamespace(remote=lambda: kind(job).run())
            return SimpleNamespace(run=run, end=SimpleNamespace(remote=self._end))

        return SimpleNamespace(
            options=lambda **o: self.asked.update(o) or SimpleNamespace(remote=actor)
        )

    def _end(self) -> None:
        self.ended += 1

    def wait(self, tasks: list[Any], **options: Any) -> tuple[list[Any], list[Any]]:
        return tasks, []

    def get(self, task: Any) -> None:
        raise RuntimeError("why it ended")

    def kill(self, actor: Any) -> None:
        self.killed += 1

    def shutdown(self) -> None:
        self.asked["shut down"] = True


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    module = Noted()
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


SETTINGS = Ray.model_validate(
    {"workers": 6, "workers_per_job": 2, "gpus": 0.5, "cpus": 3, "address": "here:1"}
)


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something that answers at every address."""
    answer = SimpleNamespace(close=lambda: None)
    monkeypatch.setattr("socket.create_connection", lambda *address: answer)


@pytest.mark.usefixtures("head")
def test_actors_get_what_the_sweep_file_says_and_end_with_the_sweep(
    noted: Noted, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target, seen = str(tmp_path / "runs.db"), []

    def train(job: Job) -> None:
        assert job.environment["OODBENCH_DB"] == target
        work(target, "tiny", WorkerSettings(device="cpu"))

    monkeypatch.setattr(Job, "__call__", train)
    job = Job("tiny", DEFAULTS, "logs", workers=2, peers=6)
    run_ray(db, target, SETTINGS, job, workers=6, on_progress=seen.append)
    assert seen[-1]["completed"] == 4
    expected = {"num_cpus": 3, "num_gpus": 0.5, "address": "here:1", "max_restarts": -1}
    assert expected.items() <= noted.asked.items()
    assert noted.ended == noted.killed == 3, "six workers, two in each actor"
    assert noted.asked["shut down"]


@pytest.mark.usefixtures("head")
def test_actors_that_all_end_early_are_reported(
    noted: Noted, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Job, "__call__", lambda job: None)
    with pytest.raises(RequestError, match=r"then rerun:\n  why it ended$"):
        run_ray(
            db, "x", SETTINGS, Job("tiny", DEFAULTS, "logs"), workers=1, on_progress=lambda _: None
        )
    assert noted.killed == 1


def test_without_ray(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        RequestError, match=r"executor ray needs ray: pip install 'oodbench\[ray\]'"
    ):
        run_ray(
            db, "x", SETTINGS, Job("tiny", DEFAULTS, "logs"), workers=1, on_progress=lambda _: None
        )


@pytest.mark.parametrize("address", ["127.0.0.1:1", "127.0.0.1:123456"])
def test_a_cluster_that_is_not_there(address: str, noted: Noted, db: Database) -> None:
    settings = Ray.model_validate({"address": address})
    with pytest.raises(RequestError, match=rf"No Ray cluster at '{address}': .*ray start --head"):
        run_ray(
            db, "x", settings, Job("tiny", DEFAULTS, "logs"), workers=1, on_progress=lambda _: None
        )
    assert noted.asked == {}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"gpus": -0.5}, "ray.gpus: needs at least 0"),
        ({"workers": 0}, "ray.workers: needs at least 1, but got 0"),
        ({"partition": "x"}, "unknown key 'partition'"),
        ({"resources": {"a100": "one"}}, "ray.resources.a100: needs a number"),
    ],
)
def test_mistakes_are_told(
    settings: dict[str, Any], said: str, tiny: Callable[..., dict[str, Any]]
) -> None:
    with pytest.raises(SweepError) as error:
        parse_sweep(tiny(ray=settings))
    assert said in str(error.value)
