"""What gamma would be if the gradients meant nothing: the null of ``oodbench.probes.path``.

The same optimizer, with the same hyperparameters, schedule and restarts, is given white noise in
place of each gradient, as long as the gradient was. Its end point lies where the noise led it, so
gamma is above 0 too; for plain SGD with a constant learning rate it is 1 / sqrt(T - t).
"""

from collections.abc import Sequence

import numpy as np
import torch

from oodbench.probes.path import Path
from oodbench.probes.recording import Recorder, Tell, ignore, retrain
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
    tell: Tell = ignore,
) -> list[Path]:
    """The path of each trial's optimizer through noise drawn from ``seed``.

    The noise takes over the norms of the gradients of ``paths``, the trials' own; for the other
    arguments see ``recording.retrain``.
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

    end = retrain(trials, data, device, stacked, replace_gradients, tell).end
    recorder = Recorder(end)

    def replace_and_record(run: Run, step: int) -> None:
        replace_gradients(run, step)
        recorder(run, step)

    again = retrain(trials, data, device, stacked, replace_and_record, tell)
    return recorder.paths(again.run)
