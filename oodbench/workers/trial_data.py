"""The data that trials need, kept from one cohort to the next."""

from dataclasses import dataclass, field
from functools import lru_cache

import torch

from oodbench.data import DATASETS, Dataset
from oodbench.errors import RequestError
from oodbench.records import Trial, canonical_json
from oodbench.training import DTYPES, Clock, Tensors, load
from oodbench.training.clock import LOADING
from oodbench.training.inputs.frozen import as_inputs, check_pretrained
from oodbench.training.inputs.tensors import DECIDE_DATA

KEPT = 4
"""Splits of datasets that are in memory at a time."""


@dataclass(frozen=True)
class DataKey:
    """What decides a trial's tensors: trials with equal keys share them.

    Attributes:
        decisive: The trial's fields in ``DECIDE_DATA``, as JSON.
        trial: One that needs them.
        clock: Takes the time of making them.
    """

    decisive: str
    trial: Trial = field(compare=False)
    clock: Clock = field(compare=False)


def tensors_for(trial: Trial, device: torch.device, clock: Clock | None = None) -> Tensors:
    """The data of a trial and all trials of its cohort.

    Args:
        trial: One that needs them.
        device: Where it is trained.
        clock: Takes the time of making them, if they are not known yet.

    Raises:
        RequestError: If the data on this machine are not those of the trial.
    """
    known = trial.to_json()
    decisive = canonical_json({name: known.get(name) for name in DECIDE_DATA})
    return _tensors(DataKey(decisive, trial, clock or Clock()), device)


@lru_cache(maxsize=KEPT)
def _tensors(key: DataKey, device: torch.device) -> Tensors:
    trial, clock = key.trial, key.clock
    check_pretrained(trial)
    with clock(LOADING):
        dataset = data_of(trial)
    dataset = as_inputs(dataset, trial, device, clock)
    with clock(LOADING):
        return load(dataset, trial.test_environments, device, DTYPES[trial.precision])


def data_of(trial: Trial) -> Dataset:
    """The dataset of a trial.

    Raises:
        RequestError: If the data on this machine are not those of the trial.
    """
    dataset = DATASETS.get(trial.dataset).load(trial.dataset_options, trial.data_seed)
    if dataset.fingerprint != trial.fingerprint:
        raise RequestError(
            f"{trial.dataset} on this machine has the fingerprint {dataset.fingerprint}, but the "
            f"sweep was made with {trial.fingerprint}: other files or versions. Use the same data "
            "everywhere."
        )
    return dataset
