"""Other end points for a path: where another training seed ends, or another run."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from oodbench.errors import RequestError
from oodbench.probes.recording import Tell, ignore, retrain
from oodbench.records import Trial
from oodbench.seeds import seed_of
from oodbench.training.inputs.tensors import DECIDE_DATA, Tensors


def other_seed(trial: Trial) -> Trial:
    """The trial with another training seed, which is a function of its own."""
    return replace(trial, seed=seed_of(trial.seed, "another end point"))


def check_end(trial: Trial, end: Trial) -> None:
    """Raise RequestError if an end point is in another space, or on another loss.

    Its model and data have to be the trial's; algorithm, optimizer and steps may differ.
    """
    for name in DECIDE_DATA:
        mine, other = (getattr(one, name) for one in (trial, end))
        if mine != other:
            said = (dict(v) if hasattr(v, "items") else v for v in (mine, other))
            mine, other = map(repr, said)
            raise RequestError(
                f"Run {end.id} cannot be the end point of run {trial.id}: its {name} is {other}, "
                f"but {mine} is needed. Choose a run of the same model and dataset, or narrow the "
                "selection with --where."
            )


def end_of(
    trials: Sequence[Trial],
    data: Tensors,
    device: torch.device,
    stacked: bool = True,
    tell: Tell = ignore,
) -> Tensor:
    """Where the trials end: (K, P), NaN for one that diverged; see ``retrain``."""
    found = retrain(trials, data, device, stacked, tell=tell)
    completed = [record.status == "completed" for record in found.records]
    known = torch.tensor(completed, device=found.end.device).unsqueeze(1)
    return found.end.where(known, torch.nan)
