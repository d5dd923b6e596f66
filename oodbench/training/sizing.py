"""How many models to train together: measured once for each model and machine, and remembered.

Stacking small models saves the cost of starting each operation; large ones fill the machine alone,
and a stack of them only leaves the cache. So nothing is assumed.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from oodbench.data.cache import cache_folder
from oodbench.machine import WORKERS_ON_GPU
from oodbench.optimizers.fine_tuning import NAMES as FINE_TUNING
from oodbench.records import Trial, hash_of
from oodbench.training import provenance
from oodbench.training.checkpoints import written_whole
from oodbench.training.fast.products import library
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.loop import Run, build_module
from oodbench.training.precision import numerics
from oodbench.training.stack import can_stack, stacks_alone

SIZES = (1, 2, 4, 8, 16, 32, 64)
"""Stacks that are tried, the smallest first."""
PATIENCE = 6.0
"""Seconds after which no larger stack is tried."""
STEPS, SECONDS = 2, 0.1
"""A stack is timed for at least so many steps, and so long."""
NEAR, AGAIN = 1.5, 2
"""Stacks that need less than so many times the time of the fastest are timed so often again."""
GAIN = 0.97
"""A larger stack must need less than this share of the time of a smaller one."""
METHOD = 3
"""Version of the measuring; results of another version are not reused."""


@dataclass(frozen=True)
class StackSize:
    """What a measurement found.

    Attributes:
        size: How many models to train together.
        seconds: Stack size -> seconds per model and step.
        bytes_per_model: Estimate of what one model needs: parameters, gradients, what an adaptive
            optimizer keeps, and the activations of a step.
        memory: The bound on a stack, in bytes.
    """

    size: int
    seconds: Mapping[int, float]
    bytes_per_model: int
    memory: int

    def __str__(self) -> str:
        times = ", ".join(f"{k}: {s * 1e3:.3g}" for k, s in self.seconds.items())
        needs = f"{self.size * self.bytes_per_model / 2**20:.0f} of {self.memory / 2**20:.0f} MiB"
        return f"stacks of {self.size} ({needs}); ms per model and step by size: {times}"


def memory_bound(device: torch.device) -> int:
    """Bytes that a stack may need unless a setting says how many.

    Of a GPU, half of what is free, and of the share of each of its workers, in steps of 1/64 of
    its memory: what is measured is remembered, though some bytes more or less are free. Else a
    quarter of the memory, shared among as many workers as there are cores.
    """
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        most = min(free, total // int(os.environ.get(WORKERS_ON_GPU, 1))) // 2
        step = max(1, total // 64)
        return most // step * step or most
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return total // 4 // (os.cpu_count() or 1)


def stack_size(
    trial: Trial,
    data: Tensors,
    device: torch.device,
    memory: int,
    tick: Callable[[], None] = lambda: None,
) -> StackSize:
    """The stack size for trials like this one on this machine: remembered, or measured now.

    A stack may need so many bytes of ``memory``; ``tick`` is called after every step.
    """
    file = cache_folder() / "stack-sizes" / f"{hash_of(_key(trial, data, device, memory))}.json"
    found = _read(file)
    if found is None:
        with numerics(device, trial.precision):
            found = measure(trial, data, device, memory, tick)
        _write(file, found)
    return found


def measure(
    trial: Trial,
    data: Tensors,
    device: torch.device,
    memory: int,
    tick: Callable[[], None] = lambda: None,
    sizes: Sequence[int] = SIZES,
) -> StackSize:
    """``stack_size``, measured now: larger and larger stacks, as long as they are faster."""
    need = bytes_per_model(trial, data, device)
    if not can_stack(build_module(trial, data.shape, data.num_classes)):
        return StackSize(1, {}, need, memory)
    seconds: dict[int, float] = {}
    start = time.perf_counter()
    for size in sizes:
        if size > 1 and (size * need > memory or time.perf_counter() - start > PATIENCE):
            break
        seconds[size] = time_stack(trial, data, device, size, tick)
        best = min(seconds, key=lambda k: seconds[k])
        if size >= 4 * best:  # twice doubled, and no faster
            break
    near = [k for k, s in seconds.items() if s < NEAR * min(seconds.values())]
    for size in near * AGAIN if len(near) > 1 else []:  # a busy machine disturbs some of them
        seconds[size] = min(seconds[size], time_stack(trial, data, device, size, tick))
    fast = min(seconds.values())
    size = next(k for k, s in seconds.items() if s * GAIN <= fast)
    return StackSize(size, seconds, need, memory)


def time_stack(
    trial: Trial, data: Tensors, device: torch.device, size: int, tick: Callable[[], None]
) -> float:
    """Seconds per model and step in a stack of this size: the fastest step, the least disturbed."""
    run = _run(trial, data, device, size)
    times: list[float] = []
    run.step(0)  # makes the optimizers' state, and whatever is made once
    for step in range(1, 1000):
        start = _now(device)
        run.step(step)
        times.append(_now(device) - start)
        tick()
        if len(times) >= STEPS and sum(times) >= SECONDS:
            break
    return min(times) / size


def bytes_per_model(trial: Trial, data: Tensors, device: torch.device) -> int:
    """What one model of a stack needs while it trains, from a step of one alone.

    Five numbers for each parameter (itself, its gradient twice, two of the optimizer's), and twice
    what the forward pass keeps for the backward pass.
    """
    run, kept = _run(trial, data, device, 1), {}

    def note(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        run.step(0)
    parameters = sum(value.numel() for value in run.models.state(0).values())
    return 5 * parameters * run.total.element_size() + 2 * sum(kept.values())


def _run(trial: Trial, data: Tensors, device: torch.device, size: int) -> Run:
    # All of the model, and whole batches: what is remembered is for trials with and without.
    plain = {name: value for name, value in trial.hparams.items() if name not in FINE_TUNING}
    trials = [replace(trial, seed=trial.seed + i, hparams=plain) for i in range(size)]
    alone = not stacks_alone(build_module(trial, data.shape, data.num_classes))
    return Run(trials, data, device, stacked=size > 1 or not alone)


def _now(device: torch.device) -> float:
    """Seconds on a clock: of a GPU that has done its work; else of this process's own CPU time,
    which stands still while other processes have the core (a CPU trains with one thread)."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def _key(trial: Trial, data: Tensors, device: torch.device, memory: int) -> Any:
    """Everything that the answer depends on; not the hyperparameters' values."""
    code = provenance.code()
    return [
        METHOD,
        [code["oodbench"], code["torch"], provenance.device_name(device), os.cpu_count()],
        library(device),
        [trial.model, dict(trial.model_options), trial.algorithm],
        [list(data.inputs.shape[1:]), data.num_classes, len(data.sizes)],
        [dict(trial.batch), trial.precision, memory],
    ]


def _read(file: Path) -> StackSize | None:
    try:
        values = json.loads(file.read_text())
        seconds = {int(k): float(s) for k, s in values["seconds"].items()}
        return StackSize(values["size"], seconds, values["bytes_per_model"], values["memory"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError) as error:
        print(f"{file} cannot be used ({error}): the stack size is measured anew", flush=True)
        return None


def _write(file: Path, found: StackSize) -> None:
    try:
        with written_whole(file) as out:
            out.write(json.dumps(asdict(found)).encode())
    except OSError as error:
        print(f"the stack size is not remembered: {error}", flush=True)
