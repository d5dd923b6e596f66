"""A dataset as the training loop needs it: on the device, with each split's role for the trial."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oodbench.data import Dataset, Split


@dataclass(frozen=True)
class EvaluationSplit:
    """Examples that some selection or reporting rule reads.

    Attributes:
        environment: Its name.
        split: ``val`` or ``test``.
        role: What the split is to the trial: see ``oodbench.records.ROLES``.
        inputs: (n, *shape) floats.
        labels: (n,) integers.
        n: How many independent examples these are: see ``oodbench.data.Split.copies``.
    """

    environment: str
    split: str
    role: str
    inputs: Tensor
    labels: Tensor
    n: int


@dataclass(frozen=True)
class Tensors:
    """Training examples, environment after environment, and the splits to evaluate.

    Attributes:
        inputs: (n, *shape) floats of all training environments.
        labels: (n,) integers.
        sizes: Number of training examples of each training environment.
        evaluation: See ``EvaluationSplit``.
        num_classes: Size of the label set.
    """

    inputs: Tensor
    labels: Tensor
    sizes: tuple[int, ...]
    evaluation: tuple[EvaluationSplit, ...]
    num_classes: int


def role_of(split: str, is_test_environment: bool) -> str:
    """What ``val`` or ``test`` is to a trial."""
    if is_test_environment:
        return {"val": "oracle_val", "test": "ood_test"}[split]
    return {"val": "id_val", "test": "id_test"}[split]


def load(
    dataset: Dataset,
    test_environments: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
) -> Tensors:
    """Put on ``device`` what a trial with these test environments trains on and is scored on."""

    def convert(split: Split) -> tuple[Tensor, Tensor]:
        inputs = torch.from_numpy(split.inputs).to(device=device, dtype=dtype)
        if split.inputs.dtype == np.uint8:
            inputs /= 255
        return inputs, torch.from_numpy(split.labels).to(device)

    training = [
        convert(dataset.environments[i].splits["train"])
        for i in dataset.training_environments(test_environments)
    ]
    evaluation = [
        EvaluationSplit(
            e.name,
            part,
            role_of(part, i in test_environments),
            *convert(split),
            len(split) // split.copies,
        )
        for i, e in enumerate(dataset.environments)
        for part, split in e.splits.items()
        if part != "train"
    ]
    return Tensors(
        torch.cat([inputs for inputs, _ in training]),
        torch.cat([labels for _, labels in training]),
        tuple(len(labels) for _, labels in training),
        tuple(evaluation),
        dataset.num_classes,
    )
