"""What gamma would be if the gradients meant nothing: the null of ``oodbench.probes.path``.

The same optimizer, with the same hyperparameters, schedule and restarts, is given white noise in
place of each gradient, as long as the gradient was. Its end point lies where the noise led it, so
gamma is above 0 too; for plain SGD with a constant learning rate it is 1 / sqrt(T - t).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from oodbench.probes.path import Path
from oodbench.probes.recording import Hook, Recorder, retrain
from oodbench.records import Trial
from oodbench.seeds import seed_of
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.loop import Run


def noise_paths(
    trials: Sequence[Trial],
    paths: Sequence[Path],
    data: Tensors,
    device: torch.device,
    stacked: bool = True,
    seed: int = 0,
    tick: Callable[[], None] = lambda: None,
) -> list[Path]:
    """The path of each trial's optimizer through noise.

    Args:
        trials: As for ``record_paths``.
        paths: Their own, whose gradients' norms the noise takes over.
        data: Of the trials.
        device: Where to train.
        stacked: See ``Run``.
        seed: Of the noise.
        tick: Called after every step.
    """
    norms = torch.from_numpy(np.array([path.gradient for path in paths]))  # (K, T)

    def replace_gradients(run: Run, step: int) -> None:
        rows = run.models.vectors()[1]
        noise = torch.empty(rows.shape, dtype=rows.dtype)
        for row, trial in zip(noise, trials, strict=True):
            generator = torch.Generator().manual_seed(seed_of(seed, trial.id, step))
            row.normal_(generator=generator)
        noise *= (norms[:, step] / noise.double().norm(dim=1)).unsqueeze(1)
        run.models.set_gradients(noise.to(rows))

    end = retrain(trials, data, device, stacked, replace_gradients, tick).end
    recorder = Recorder(end)
    hook: Hook = _both(replace_gradients, recorder)
    again = retrain(trials, data, device, stacked, hook, tick)
    return recorder.paths(again.run)


def _both(first: Hook, second: Hook) -> Hook:
    def hook(run: Run, step: int) -> None:
        first(run, step)
        second(run, step)

    return hook
