"""The data that trials need, kept from one cohort to the next."""

from dataclasses import dataclass, field
from functools import lru_cache

import torch

from oodbench.data import DATASETS, Dataset
from oodbench.errors import RequestError
from oodbench.records import Trial, canonical_json
from oodbench.training import DTYPES, Tensors, load
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
    """

    decisive: str
    trial: Trial = field(compare=False)


def tensors_for(trial: Trial, device: torch.device) -> Tensors:
    """The data of a trial and all trials of its cohort.

    Raises:
        RequestError: If the data on this machine are not those of the trial.
    """
    known = trial.to_json()
    decisive = canonical_json({name: known.get(name) for name in DECIDE_DATA})
    return _tensors(DataKey(decisive, trial), device)


@lru_cache(maxsize=KEPT)
def _tensors(key: DataKey, device: torch.device) -> Tensors:
    trial = key.trial
    check_pretrained(trial)
    dataset = as_inputs(data_of(trial), trial, device)
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
