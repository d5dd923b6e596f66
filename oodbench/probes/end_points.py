"""Other end points for a path: where another training seed ends, or another run."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from oodbench.errors import RequestError
from oodbench.probes.recording import Retrained, retrain
from oodbench.records import Trial
from oodbench.seeds import seed_of
from oodbench.training.inputs.tensors import Tensors

SHAPE = (
    *("dataset", "dataset_options", "data_seed", "fingerprint", "test_environments"),
    *("model", "model_options", "pretrained", "precision"),
)
"""What a run and its end point have to share; algorithm, optimizer and steps may differ."""


def other_seed(trial: Trial) -> Trial:
    """The same configuration on another training seed, which is a function of the trial's own."""
    return replace(trial, seed=seed_of(trial.seed, "another end point"))


def check_end(trial: Trial, end: Trial) -> None:
    """Refuse an end point in another space, or on another loss.

    Raises:
        RequestError: If one of ``SHAPE`` differs.
    """
    for name in SHAPE:
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
    tick: Callable[[], None] = lambda: None,
) -> Tensor:
    """Where the trials end: (K, P), NaN for one that diverged.

    Args:
        trials: As for ``retrain``.
        data: Of the trials.
        device: Where to train.
        stacked: See ``Run``.
        tick: Called after every step.
    """
    found: Retrained = retrain(trials, data, device, stacked, tick=tick)
    completed = [record.status == "completed" for record in found.records]
    known = torch.tensor(completed, device=found.end.device).unsqueeze(1)
    return found.end.where(known, torch.nan)
