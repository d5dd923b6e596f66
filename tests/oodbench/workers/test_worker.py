"""The pull loop: what it stores does not depend on how the work is divided, and nothing is lost."""

import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from oodbench.api import preview, query, run_sweep, status
from oodbench.errors import DatabaseAwayError, LostLeaseError, RequestError, UnknownNameError
from oodbench.optimizers import OPTIMIZERS, OptimizerSpec
from oodbench.records import RunRecord, Trial
from oodbench.results import Database, add_sweep, claim, curves, load_run, open_database
from oodbench.spaces import log
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.training import train
from oodbench.training.sizing import StackSize
from oodbench.workers import trainer, trial_data, worker
from oodbench.workers.lease import Lease
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

Add = Callable[..., Path]


@pytest.fixture
def add(tmp_path: Path, tiny: Callable[..., dict[str, Any]]) -> Add:
    """Adds the tiny sweep, with some keys changed, to a database; returns its path."""

    def adding(file: str = "runs.db", **changes: Any) -> Path:
        planned = plan(parse_sweep(tiny(**changes)))
        with open_database(tmp_path / file, create=True) as db:
            add_sweep(db, planned.spec.name, {}, planned.studies)
        return tmp_path / file

    return adding


def scores(path: Path) -> pd.DataFrame:
    """Every measurement of every run."""
    with open_database(path) as db:
        runs = [curves(db, run) for run in sorted(query(path)["run"])]
    return pd.concat(runs, ignore_index=True)


def states(path: Path) -> dict[str, str]:
    frame = query(path)
    return dict(zip(frame["run"], frame["status"], strict=True))


def untouched(path: Path) -> bool:
    with open_database(path) as db, db.read() as connection:
        rows = connection.exec_driver_sql("SELECT state, attempt, owner FROM runs").all()
    return set(rows) == {("waiting", 0, None)}


def test_results_do_not_depend_on_stack_order_workers_or_interruption(
    add: Add, tiny: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    wide = {
        "algorithms": ["erm", "irm"],
        "train": {**tiny()["train"], "precision": "float64"},
    }
    alone = add("alone.db", **wide)
    work(alone, "tiny", WorkerSettings(device="cpu", stack=1))
    stacked = add("stacked.db", **wide)
    work(stacked, "tiny", WorkerSettings(device="cpu", stack=8))
    backwards = add(
        "backwards.db", **wide | {"optimizers": ["adam", "sgd"], "algorithms": ["irm", "erm"]}
    )
    asked = iter([False] * 20 + [True] * 1000)
    work(backwards, "tiny", WorkerSettings(device="cpu", stack=3), should_stop=lambda: next(asked))
    work(backwards, "tiny", WorkerSettings(device="cpu", stack=3))
    two = tmp_path / "two.db"
    run_sweep(parse_sweep(tiny(**wide)), two, workers=2, device="cpu", stack=2)
    expected = scores(alone)
    assert len(expected) > 8 * 2
    for path in (stacked, backwards, two):
        assert set(states(path).values()) == {"completed"}
        found = scores(path)
        exact = ["run", "step", "environment", "split", "role", "metric", "n"]
        pd.testing.assert_frame_equal(found[exact], expected[exact])
        assert found["value"].to_numpy() == pytest.approx(expected["value"].to_numpy(), abs=1e-9)


class Stumbling(torch.optim.SGD):
    """Raises at its third step."""

    def __init__(self, params: Any, lr: float) -> None:
        super().__init__(params, lr=lr)
        self.steps = 0

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.steps += 1
        if self.steps == 3:
            raise ZeroDivisionError("no such luck\nsecond line")
        super().step(closure)


@pytest.fixture
def stumbling(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = OptimizerSpec("stumbling", "non-adaptive", {"lr": log(0.01, 0.1)}, Stumbling)
    monkeypatch.setitem(OPTIMIZERS._things, "stumbling", spec)


@pytest.mark.usefixtures("stumbling")
def test_a_run_that_raises_is_recorded_and_its_neighbours_never_notice(
    add: Add, tiny: Callable[..., dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    train = {**tiny()["train"], "precision": "float64"}
    path = add("mixed.db", optimizers=["sgd", "stumbling", "adam"], train=train)
    assert work(path, "tiny", WorkerSettings(device="cpu")).stored == 6
    frame = query(path).set_index("optimizer")
    assert set(frame.loc["stumbling", "status"]) == {"failed"}
    said = capsys.readouterr()
    for run, reason in frame.loc["stumbling", ["run", "reason"]].itertuples(index=False):
        assert reason == (
            "Training raised ZeroDivisionError: no such luck "
            f"(its worker's log has the traceback: grep {run})."
        )
        assert f"run {run} failed:\nTraceback" in said.err
    (line,) = [line for line in said.out.splitlines() if " trains 6 of " in line]
    assert "ColoredDigits [2], erm, adam/sgd/stumbling: " in line
    assert set(line.split(": ")[1].split()) == set(frame["run"])
    assert set(frame.loc[["sgd", "adam"], "status"]) == {"completed"}
    without = add("without.db", train=train)
    work(without, "tiny", WorkerSettings(device="cpu"))
    expected = query(without).set_index("run")["id"]
    found = query(path).set_index("run")["id"].loc[expected.index]
    assert found.to_numpy() == pytest.approx(expected.to_numpy(), abs=1e-9)


class Hungry:
    """Training for which no more than ``fits`` models have room; notes how many it is given."""

    def __init__(self, fits: int) -> None:
        self.fits, self.given = fits, list[int]()
        self.memory = list[weakref.ref[torch.Tensor]]()

    def __call__(self, trials: Sequence[Trial], *rest: Any) -> list[RunRecord]:
        assert all(memory() is None for memory in self.memory), "what did not fit is still held"
        self.given.append(len(trials))
        if len(trials) > self.fits:
            parameters = torch.zeros(len(trials))
            self.memory.append(weakref.ref(parameters))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 KiB")
        return train(trials, *rest)


def test_a_stack_that_does_not_fit_in_memory_is_halved_once_and_recorded(
    add: Add, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, hungry = add(search={"trials": 12}), Hungry(3)
    monkeypatch.setattr(trainer, "train", hungry)
    assert work(path, "tiny", WorkerSettings(device="cpu", stack=8)).stored == 24
    assert hungry.given == [8, 4, *[2] * 12], "each size is tried once, however many claims follow"
    said = capsys.readouterr()
    assert "8 models do not fit in memory, trying 4" in said.err
    assert "4 models do not fit in memory, trying 2" in said.err
    with open_database(path) as db:
        how = [load_run(db, run).provenance for run in query(path)["run"]]
    assert {(item["stack_limited_by_memory"], item["stack_size"]) for item in how} == {(2, 2)}
    assert set(states(path).values()) == {"completed"}


def test_more_trials_than_are_best_trained_together_go_back_to_the_queue(
    add: Add, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = add(search={"trials": 6})
    measured: list[int] = []

    def stack_size(*arguments: Any) -> StackSize:
        measured.append(1)
        return StackSize(5, {1: 2.0, 5: 1.0}, 10, 100)

    monkeypatch.setattr(trainer, "stack_size", stack_size)
    assert work(path, "tiny", WorkerSettings(device="cpu")).stored == 12
    assert len(measured) == 1, "the trials differ in optimizer and hyperparameters alone"
    with open_database(path) as db, db.read() as connection:
        sizes = connection.exec_driver_sql("SELECT cohort_size, attempt FROM runs").all()
        how = [load_run(db, run).provenance["stack_size"] for run in query(path)["run"]]
    assert sorted(how) == [2, 2, *[5] * 10]
    assert {attempt for _, attempt in sizes} == {1}, "what went back was not tried"
    assert "stacks of 5 (0 of 0 MiB); ms per model and step" in capsys.readouterr().out


@pytest.mark.usefixtures("stumbling")
def test_trials_that_raise_while_the_stack_is_measured_fail_alone(add: Add) -> None:
    path = add(optimizers=["stumbling", "sgd"])
    assert work(path, "tiny", WorkerSettings(device="cpu")).stored == 4
    frame = query(path).set_index("optimizer")
    assert set(frame.loc["stumbling", "status"]) == {"failed"}
    assert set(frame.loc["sgd", "status"]) == {"completed"}


def test_a_model_that_does_not_fit_alone_is_a_failed_run(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add()
    monkeypatch.setattr(trainer, "train", Hungry(0))
    assert work(path, "tiny", WorkerSettings(device="cpu", stack=4)).stored == 4
    assert set(states(path).values()) == {"failed"}
    assert query(path)["reason"].str.startswith("Training raised OutOfMemoryError: CUDA out").all()


def test_a_trial_that_a_neighbour_left_no_memory_is_trained_again(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, crowded = add(search={"trials": 1}), []

    def once(trials: Sequence[Trial], *rest: Any) -> list[RunRecord]:
        crowded.append(trials[0].id)
        if crowded.count(trials[0].id) == 1:
            raise torch.AcceleratorError("CUDA error: out of memory")
        return train(trials, *rest)

    monkeypatch.setattr(trainer, "train", once)
    assert work(path, "tiny", WorkerSettings(device="cpu", stack=1)).stored == 2
    assert set(states(path).values()) == {"completed"}


@pytest.mark.parametrize("where", ["train", "stack_size"])
def test_a_device_that_can_do_nothing_more_ends_the_worker(
    add: Add, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """What it held is not given back, so that its death counts for these trials."""
    path = add(search={"trials": 4})

    def broken(*arguments: Any) -> None:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    monkeypatch.setattr(trainer, where, broken)
    with pytest.raises(torch.AcceleratorError):
        work(path, "tiny", WorkerSettings(device="cpu"), owner="here")
    assert set(states(path).values()) == {"running"}


def test_a_run_that_diverges_is_a_result_with_a_reason_and_no_score(add: Add) -> None:
    path = add(optimizers=["adam", {"name": "sgd", "space": {"lr": 1e30}}])
    work(path, "tiny", WorkerSettings(device="cpu"))
    frame = query(path).set_index("optimizer")
    assert set(frame.loc["sgd", "status"]) == {"diverged"}
    assert frame.loc["sgd", ["id", "ood", "id_val"]].isna().all(axis=None)
    assert all("no longer finite at step" in reason for reason in frame.loc["sgd", "reason"])
    assert set(frame.loc["adam", "status"]) == {"completed"}


@pytest.mark.usefixtures("stumbling")
def test_an_optimizer_that_this_machine_lacks_fails_no_run(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = add(optimizers=["sgd", "stumbling"])
    monkeypatch.delitem(OPTIMIZERS._things, "stumbling")
    with pytest.raises(UnknownNameError, match="unknown optimizer 'stumbling'"):
        work(path, "tiny", WorkerSettings(device="cpu"))
    assert untouched(path)


def test_other_data_than_the_sweeps_give_the_trials_back(
    add: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    from oodbench.data import Dataset

    path = add()
    trial_data._tensors.cache_clear()
    monkeypatch.setattr(Dataset, "fingerprint", "beef")
    with pytest.raises(
        RequestError, match="ColoredDigits on this machine has the fingerprint beef"
    ):
        work(path, "tiny", WorkerSettings(device="cpu"))
    assert untouched(path)


def test_a_late_result_is_refused_and_each_trial_stored_once(
    add: Add, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = add(search={"trials": 3})

    def slowly(*arguments: Any) -> list[RunRecord]:
        records = train(*arguments)
        monkeypatch.undo()
        with open_database(path) as db, db.write() as connection:
            connection.exec_driver_sql("UPDATE runs SET lease = 1.0 WHERE state = 'running'")
        assert work(path, "tiny", WorkerSettings(device="cpu"), owner="other").stored == 6
        return records

    monkeypatch.setattr(trainer, "train", slowly)
    done = work(path, "tiny", WorkerSettings(device="cpu", stack=4), owner="late")
    assert (done.stored, done.refused) == (0, 4)
    assert capsys.readouterr().err.count("result refused, another worker has it") == 4
    assert len(scores(path)) == 6 * 2 * 7  # two evaluations: six splits and the training loss


def test_a_worker_that_starts_before_its_server_waits_for_it(
    add: Add, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, tries = add(), iter([DatabaseAwayError("starting up")] * 2)

    def opening(target: Path) -> Database:
        for error in tries:
            raise error
        return open_database(target)

    monkeypatch.setattr(worker, "open_database", opening)
    monkeypatch.setattr("oodbench.workers.lease.PAUSE", 0.01)
    assert work(path, "tiny", WorkerSettings(device="cpu")).stored == 4
    assert "starting up" in capsys.readouterr().err


@pytest.mark.parametrize("ticks", [0, 1, 3])
def test_a_worker_that_is_stopped_gives_its_trials_back(add: Add, ticks: int) -> None:
    path = add()
    asked = iter([False] * (1 + ticks) + [True] * 1000)
    assert (
        work(path, "tiny", WorkerSettings(device="cpu"), should_stop=lambda: next(asked)).stored
        == 0
    )
    assert untouched(path)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def held(add: Add) -> Any:
    """A database with one claimed run, and the claim."""
    path = add(optimizers=["sgd"], search={"trials": 1})
    with open_database(path) as db:
        yield db, claim(db, "me", size=1, lease=1.0)


def lease_of(db: Database) -> float:
    with db.read() as connection:
        return float(connection.exec_driver_sql("SELECT lease FROM runs").scalar_one())


def test_trials_are_given_back_even_while_a_step_takes_long(held: Any, tmp_path: Path) -> None:
    db, claims = held
    with Lease(db, claims, 60.0, lambda: True):
        wait_for(lambda: untouched(tmp_path / "runs.db"))  # and no tick comes


def test_a_lease_is_renewed_while_training_advances_and_only_then(held: Any) -> None:
    db, claims = held
    with Lease(db, claims, 1.0, lambda: False) as lease:
        before = lease_of(db)
        wait_for(lambda: lease_of(db) > before)  # loading the data counts once
        before = lease_of(db)
        wait_for(lambda: claim(db, "other", size=1, lease=60.0) != [])
        assert before + 59 < lease_of(db)  # the other's
        lease.tick()
        wait_for(lambda: lease._lost)
        with pytest.raises(LostLeaseError, match="another worker has them"):
            lease.tick()


def test_a_lease_with_ticks_does_not_run_out(held: Any) -> None:
    db, claims = held
    first = lease_of(db)
    with Lease(db, claims, 1.0, lambda: False) as lease:
        deadline = time.monotonic() + 10
        while lease_of(db) < first + 1.5 and time.monotonic() < deadline:
            lease.tick()
            time.sleep(0.02)
        assert lease_of(db) >= first + 1.5
        assert claim(db, "other", size=1, lease=60.0) == []


def test_nothing_is_trained_twice(add: Add, sweep_file: Callable[..., Path]) -> None:
    path = add()
    assert work(path, "tiny", WorkerSettings(device="cpu")).stored == 4
    assert work(path, "tiny", WorkerSettings(device="cpu")).stored == 0
    assert preview(sweep_file(), path).new_runs == 0
    add(name="twin")  # another sweep that asks for the same trials
    assert work(path, "twin", WorkerSettings(device="cpu")).stored == 0
    assert list(status(path, "twin")["completed"]) == [2, 2]
    add(search={"trials": 3}, optimizers=["adam", "sgd"])  # the same name, edited
    assert work(path, "tiny", WorkerSettings(device="cpu")).stored == 2
    assert list(status(path, "tiny")["completed"]) == [3, 3]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("tiny", WorkerSettings(device="tpu")), "Cannot use the device 'tpu'"),
        (("tinny", WorkerSettings(device="cpu")), "unknown sweep 'tinny'. Did you mean 'tiny'?"),
    ],
)
def test_what_a_worker_cannot_do_is_refused(
    add: Add, asked: tuple[str, WorkerSettings], message: str
) -> None:
    with pytest.raises(RequestError) as error:
        work(add(), *asked)
    assert message in str(error.value)
