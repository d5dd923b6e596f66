"""DDP, Local SGD, DiLoCo and PALSGD over a slow link: seconds to a target ID accuracy.

Two real processes (gloo) on this machine train an MLP of two layers of 256 on RotatedDigits with
Adam at one learning rate. After each all-reduce a process sleeps for as long as the link would
need: its latency, plus the vector's bytes over its bandwidth. Seconds are those of training,
without evaluation, up to the first evaluation (every 10 steps) at which the mean of the replicas
has the target accuracy on ID validation examples; there it ends. The median of three seeds.
"""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product

import torch
from torch import Tensor

from oodbench.data import DATASETS
from oodbench.records import RunRecord, Trial
from oodbench.sweep.plan import plan
from oodbench.training import Tensors, load
from oodbench.training.clock import TRAINING
from oodbench.training.loop import Run
from oodbench.training.replicas.local import run_on_processes
from oodbench.training.replicas.methods import Seconds
from oodbench.training.replicas.processes import Apart

CPU, REPLICAS, SEEDS, TARGET = torch.device("cpu"), 2, 3, 0.9
LINKS = {"none": (0.0, float("inf")), "5 ms, 100 Mbit/s": (0.005, 12.5e6)}
"""Name -> seconds, bytes a second."""
LOCAL = {"sync_every": 32, "sync_warmup": 10}
METHODS = {
    "ddp": {},
    "local_sgd": LOCAL,
    "diloco": {**LOCAL, "outer_lr": 0.7},
    "palsgd": {**LOCAL, "outer_lr": 0.7, "probability": 0.2},
}


class SlowLink(Apart):
    """Replicas whose all-reduces take as long as over a slow link."""

    def __init__(self, device: torch.device, latency: float, bandwidth: float) -> None:
        super().__init__(device)
        self.latency, self.bandwidth = latency, bandwidth

    def exchange(self, rows: Tensor) -> Tensor:
        """As ``Apart`` does, and sleep; that is communication too."""
        mean, start = super().exchange(rows), time.perf_counter()
        time.sleep(self.latency + rows.numel() * rows.element_size() / self.bandwidth)
        slept = time.perf_counter() - start
        self.seconds = Seconds(self.seconds.waiting, self.seconds.communication + slept)
        return mean


class ReachedError(Exception):
    """The target is reached; with what it took."""


class Watched(Run):
    """A run that ends at the target: all its replicas do, for they evaluate the same weights."""

    def measure(self, step: int, losses: Sequence[tuple[float, int]]) -> None:
        """As always, and note it."""
        waiting, sending = self.group.seconds or Seconds(0.0, 0.0)
        spent = sum(self.clock.seconds[phase] for phase in TRAINING)
        super().measure(step, losses)
        now = [m.value for m in self.measurements[0] if (m.step, m.role) == (step, "id_val")]
        if statistics.mean(now) >= TARGET:
            took = {"seconds": spent, "computing": spent - waiting - sending}
            took |= {"sending": sending, "waiting": waiting}
            raise ReachedError(
                {"steps": step, "all_reduces": self.replicas.replicas[0].all_reduces, **took}
            )


def train(
    first: Trial, data: Tensors, device: torch.device, cases: Sequence[tuple[str, str]]
) -> RunRecord:
    """What each process does: every seed of every (link, method); what it took, or None."""
    found: list[dict[str, float] | None] = []
    for link, method in cases:
        for seed in range(SEEDS):
            trial = replace(trial_of(method), seed=seed)
            run = Watched([trial], data, device, group=SlowLink(device, *LINKS[link]))
            try:
                run.train(lambda: None)
                found.append(None)
            except ReachedError as reached:
                found.append(reached.args[0])
    return RunRecord(first, "completed", provenance={"found": found})


def trial_of(method: str) -> Trial:
    """One trial, whose every hyperparameter is fixed."""
    adam = {"lr": 0.003, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
    sweep = {
        "name": "bench",
        "datasets": [{"name": "RotatedDigits", "test_environments": [0]}],
        "algorithms": ["erm"],
        "optimizers": [{"name": "adam", "space": adam}],
        "parallel": [{"method": method, "replicas": REPLICAS, **METHODS[method]}],
        "model": {"name": "mlp", "width": 256, "depth": 2},
        "search": {"trials": 1},
        "train": {"steps": 400, "batch": {"per_environment": 16}, "evaluate_every": 10},
    }
    return plan(sweep).studies[0].trials[0]


def measure() -> Iterator[dict[str, object]]:
    """A row for each link and method."""
    data = load(DATASETS.get("RotatedDigits").load({}, 0), (0,), CPU, torch.float32)
    cases = list(product(LINKS, METHODS))
    record = run_on_processes(trial_of("ddp"), data, CPU, target=partial(train, cases=cases))
    for number, (link, method) in enumerate(cases):
        of_seeds = record.provenance["found"][number * SEEDS : (number + 1) * SEEDS]
        reached = [took for took in of_seeds if took is not None]
        middle = {
            name: round(statistics.median(took[name] for took in reached), 2)
            for name in (reached[0] if reached else ())
        }
        yield {"link": link, "method": method, "reached": f"{len(reached)}/{SEEDS}", **middle}
