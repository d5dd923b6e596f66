"""One replica a process: the same weights as simulated, and no process that outlives its trial."""

import atexit
import multiprocessing
import os
import re
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import nn
from training_helpers import CPU, make_trials

from oodbench.errors import OodbenchError, StopTrainingError
from oodbench.models import MODELS
from oodbench.models.spec import ModelSpec
from oodbench.records import RunRecord, Trial
from oodbench.training import Saving, Tensors, train
from oodbench.training.loop import Run
from oodbench.training.outcome import records_of
from oodbench.training.replicas.local import check, run_on_processes
from oodbench.training.replicas.processes import Apart, ProcessSettings
from oodbench.training.weights import read_weights
from oodbench.workers.trainer import Trainer


def trial(method: str, inner: str = "adam", replicas: int = 2) -> Trial:
    name = f"{method}({inner})x{replicas}"
    hparams = {"lr": 0.01, "sync_every": 6, "sync_warmup": 5, "probability": 0.3, "outer_lr": 0.7}
    settings = {"steps": 40, "evaluate_every": 20, "parallel": method, "replicas": replicas}
    (made,) = make_trials(1, optimizer=name, hparams=hparams | {"mixing": 0.8}, **settings)
    return made


# What the processes do has to be importable there.


def mixed(input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    size = torch.Size(input_shape).numel()
    parts = nn.Linear(size, 6), nn.BatchNorm1d(6), nn.Dropout(0.2), nn.Linear(6, num_classes)
    return nn.Sequential(nn.Flatten(), *parts)


def with_weights(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    """The record, with every replica's weights in its provenance."""
    MODELS._things.setdefault("mixed", ModelSpec("mixed", mixed))  # in this process
    stacked = trial.model != "mixed"
    run = Run([trial], data, device, stacked, group=Apart(device))
    run.train(lambda: None)
    (record,) = records_of(run)
    mine = run.models.vectors()[0][0].clone()
    weights = [torch.empty_like(mine) for _ in range(trial.replicas)]
    dist.all_gather(weights, mine)
    return replace(record, provenance={**record.provenance, "rows": torch.stack(weights).tolist()})


def check_equal(asked: Trial, data: Tensors) -> None:
    simulated = Run([asked], data, CPU, asked.model != "mixed")
    simulated.train(lambda: None)
    (expected,) = records_of(simulated)
    found = run_on_processes(asked, data, CPU, target=with_weights)
    weights = torch.tensor(found.provenance["rows"], dtype=torch.float64)
    torch.testing.assert_close(weights, simulated.models.vectors()[0], rtol=0, atol=1e-11)
    accuracies = [m for m in expected.measurements if m.metric == "accuracy"]
    assert [m for m in found.measurements if m.metric == "accuracy"] == accuracies
    for one, other in zip(found.measurements, expected.measurements, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-11)
        assert one.n == other.n
    cost, theirs = found.provenance["parallel"], expected.provenance["parallel"]
    assert cost.pop("engine") == "processes"
    assert theirs.pop("engine") == "simulation"
    times = [f"{what}_seconds" for what in ("compute", "waiting", "communication")]
    assert all(cost.pop(name) >= 0 for name in times)
    assert [theirs.pop(name) for name in times] == [None] * 3  # not measured is not 0
    assert cost == theirs
    assert not multiprocessing.active_children()


def test_processes_and_simulation_come_to_the_same_weights(colored64) -> None:
    check_equal(trial("palsgd"), colored64)


@pytest.mark.slow
def test_with_batch_norm_and_dropout_too(colored64, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS._things, "mixed", ModelSpec("mixed", mixed))
    check_equal(replace(trial("palsgd"), model="mixed", model_options={}), colored64)


@pytest.mark.slow
@pytest.mark.parametrize("replicas", [2, 4])
@pytest.mark.parametrize("method", ["ddp", "local_sgd", "diloco", "palsgd"])
def test_of_each_method(colored64, method: str, replicas: int) -> None:
    check_equal(trial(method, "momentum", replicas), colored64)


def one_is_late(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    """Two all-reduces, for each of which one replica is half a second late."""
    group = Apart(device)
    for _ in range(2):
        time.sleep(0.5 * dist.get_rank())
        group.exchange(torch.ones(1, 3))
    seconds = [None, None]
    dist.all_gather_object(seconds, group.seconds)
    return RunRecord(trial, "failed", provenance={"seconds": seconds})


def test_waiting_for_the_slowest_is_told_apart_from_sending(colored64) -> None:
    early, late = run_on_processes(trial("ddp"), colored64, CPU, target=one_is_late).provenance[
        "seconds"
    ]
    assert early.waiting > 0.9
    assert max(late.waiting, early.communication, late.communication) < 0.4


def untimed(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    group = Apart(device, timed=False)
    mean = group.exchange(torch.full((1, 3), float(dist.get_rank())))
    return RunRecord(trial, "failed", provenance={"found": (mean.tolist(), group.seconds)})


def test_an_exchange_whose_time_is_not_taken_gives_the_mean_all_the_same(colored64) -> None:
    record = run_on_processes(trial("ddp"), colored64, CPU, target=untimed)
    assert record.provenance["found"] == ([0.5] * 3, None)


def one_hangs(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    time.sleep(600 * dist.get_rank())
    Apart(device).exchange(torch.ones(1, 3))
    raise AssertionError


def test_a_replica_waits_for_the_others_no_longer_than_it_is_to(colored64) -> None:
    soon = ProcessSettings(timeout=2.0)
    with pytest.raises(OodbenchError, match=r"replica 0 raised .*(?i:timed out|timeout)"):
        run_on_processes(trial("ddp"), colored64, CPU, target=one_hangs, settings=soon)
    assert not multiprocessing.active_children()


def aborts_at_its_end(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    atexit.register(os.abort)
    return RunRecord(trial, "failed")


def test_how_the_interpreter_ends_does_not_matter(colored64) -> None:
    asked = trial("ddp")
    assert run_on_processes(asked, colored64, CPU, target=aborts_at_its_end).trial == asked


def one_dies(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    if dist.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    Apart(device).mean(torch.ones(1, 3))  # waits for the dead
    raise AssertionError


def one_raises(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    if dist.get_rank() == 1:
        raise RuntimeError("no more memory\nat all")
    time.sleep(600)
    raise AssertionError


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (one_dies, "replica 1 of 2 was killed by signal 9"),
        (one_raises, "replica 1 raised RuntimeError: no more memory$"),
    ],
)
def test_one_that_dies_or_raises_ends_all(colored64, target, said: str) -> None:
    with pytest.raises(OodbenchError, match=said):
        run_on_processes(trial("ddp"), colored64, CPU, target=target)
    assert not multiprocessing.active_children()


def test_the_killed_replica_is_reported_not_the_one_aborted_for_it(tmp_path: Path) -> None:
    ended: list[Any] = [
        SimpleNamespace(exitcode=code) for code in (-signal.SIGABRT, -signal.SIGKILL, 1)
    ]
    with pytest.raises(OodbenchError, match="replica 1 of 3 was killed by signal 9"):
        check(ended, tmp_path)
    with pytest.raises(OodbenchError, match="replica 0 of 2 was killed by signal 6"):
        check([ended[0], ended[2]], tmp_path)


def test_a_trial_whose_replica_is_killed_fails_and_the_next_is_trained(
    colored64, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("oodbench.workers.trainer.tensors_for", lambda *_: colored64)
    trainer, ticks = Trainer(CPU, distribute=run_on_processes), []
    doomed, next_one = trial("diloco"), replace(trial("diloco"), seed=5)

    def kill_one() -> None:
        ticks.append(1)
        if len(ticks) == 3:
            os.kill(multiprocessing.active_children()[1].pid, signal.SIGKILL)

    assert trainer.suitable([doomed, next_one], kill_one) == 1
    (bad,) = trainer.train([doomed], kill_one)
    assert bad.status == "failed"
    assert re.search("replica [01] of 2 was killed by signal 9", bad.reason)
    saving = Saving(tmp_path, weights={next_one.id: ["last"]})
    (good,) = trainer.train([next_one], kill_one, saving)
    assert good.status == "completed"
    (simulated,) = train([next_one], colored64, saving=saving)
    for one, other in zip(good.measurements, simulated.measurements, strict=True):
        assert one.value == pytest.approx(other.value, abs=1e-11)
    kept = [read_weights(tmp_path / "weights" / r.provenance["weights"][0]["file"])[0]
            for r in (good, simulated)]  # fmt: skip
    for name, value in kept[0].items():
        torch.testing.assert_close(value, kept[1][name], rtol=0, atol=1e-11)
    assert not multiprocessing.active_children()


def wait(trial: Trial, data: Tensors, device: torch.device) -> RunRecord:
    time.sleep(600)
    raise AssertionError


def worker(asked: Trial, data: Tensors, pids: Any) -> None:
    def tell() -> None:
        pids.put([child.pid for child in multiprocessing.active_children()])

    run_on_processes(asked, data, CPU, tell, target=wait)


def test_no_replica_outlives_a_worker_that_is_killed(colored64) -> None:
    context = multiprocessing.get_context("spawn")
    pids = context.Queue()
    process = context.Process(target=worker, args=(trial("ddp"), colored64, pids))
    process.start()
    children = pids.get(timeout=120)
    assert len(children) == 2
    time.sleep(1.0)
    process.kill()
    process.join()
    end = time.monotonic() + 60
    while any(map(is_alive, children)) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(is_alive, children))


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and that nobody has asked for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_worker_that_is_to_stop_stops_them(colored64) -> None:
    def stop() -> None:
        raise StopTrainingError

    with pytest.raises(StopTrainingError):
        run_on_processes(trial("ddp"), colored64, CPU, tick=stop)
    assert not multiprocessing.active_children()
