"""A device breaks at random moments, and stays broken for the process that had it."""

import itertools
import random
import time
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import torch
from faults_helpers import SWEEP, add_trials, be_a_worker, check_totals

from oodbench.optimizers import OPTIMIZERS, OptimizerSpec
from oodbench.results import abandon, is_done, open_database
from oodbench.spaces import log

pytestmark = pytest.mark.slow

ERRORS, TRIALS, WORKERS = 20, 200, 2
CHANCE = 1 / 500
"""Of an error in a step of a model: 200 trials of 90 steps have 18,000 of these."""
SHORT = SWEEP | {"train": {**SWEEP["train"], "steps": 90, "evaluate_every": 30}}


class Device:
    """A device that breaks at most ``ERRORS`` times in all processes, each time for one of them."""

    def __init__(self, left: Any) -> None:
        self.left, self.broken, self.chances = left, False, random.SystemRandom()

    def use(self) -> None:
        """Do something on it."""
        if not self.broken and self.chances.random() < CHANCE:
            with self.left.get_lock():
                self.broken = self.left.value > 0
                self.left.value -= self.broken
        if self.broken:
            raise torch.AcceleratorError("CUDA error: device-side assert triggered")


def test_no_healthy_trial_is_failed_for_a_device_that_breaks_twenty_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are forked from this process, which has trained already: they start at once."""
    context = get_context("fork")
    device = Device(context.Value("i", 0))

    class Fragile(torch.optim.SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            device.use()
            super().step(closure)

    spec = OptimizerSpec("fragile", "non-adaptive", {"lr": log(0.01, 0.1)}, Fragile)
    monkeypatch.setitem(OPTIMIZERS._things, "fragile", spec)
    sweep = SHORT | {"optimizers": ["fragile"]}
    add_trials(str(tmp_path / "first.db"), sweep | {"search": {"trials": 1}})
    be_a_worker(str(tmp_path / "first.db"), "the first")
    path = str(tmp_path / "runs.db")
    planned = add_trials(path, sweep | {"search": {"trials": TRIALS}})
    device.left.value = ERRORS
    names, workers = map("worker {}".format, itertools.count()), dict[str, Any]()
    deaths, deadline = 0, time.monotonic() + 600
    while True:
        assert time.monotonic() < deadline
        dead = [owner for owner, worker in workers.items() if not worker.is_alive()]
        with open_database(path) as db:  # closed before the forks: a connection must not cross one
            for owner in dead:
                deaths += workers.pop(owner).exitcode != 0
                abandon(db, owner)  # as the supervisor does
            done = is_done(db)
        if done:
            break
        while len(workers) < WORKERS:
            owner = next(names)
            workers[owner] = context.Process(target=be_a_worker, args=(path, owner))
            workers[owner].start()
        time.sleep(0.1)
    for worker in workers.values():
        worker.join(30)
    assert (deaths, device.left.value) == (ERRORS, 0)
    check_totals(path, planned, failed=0)
    assert planned == TRIALS
