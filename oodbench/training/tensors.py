"""A dataset as the training loop needs it: on the device, with each split's role for the trial."""

from dataclasses import dataclass

import torch
from torch import Tensor

from oodbench.data import Dataset, Environment, Split

FEW = 64 * 2**20
"""Bytes of floats that a split may need to be kept as such."""


@dataclass(frozen=True)
class Inputs:
    """Examples on the device, as floats when they are indexed.

    Bytes stay bytes until then where they are many: as floats they would need four times the
    memory, or eight.

    Attributes:
        stored: (n, *shape) bytes or floats.
        dtype: Of the floats.
    """

    stored: Tensor
    dtype: torch.dtype

    @classmethod
    def of(cls, examples: Tensor, dtype: torch.dtype) -> "Inputs":
        """Examples as they are, or at once as floats where these are few."""
        few = examples.numel() * dtype.itemsize <= FEW
        return cls(as_floats(examples, dtype) if few else examples, dtype)

    @property
    def shape(self) -> torch.Size:
        """(n, *shape)."""
        return self.stored.shape

    def __getitem__(self, which: Tensor | slice) -> Tensor:
        """The chosen examples: (*indices, *shape) floats."""
        if isinstance(which, slice):
            return as_floats(self.stored[which], self.dtype)
        chosen = self.stored.index_select(0, which.flatten())
        return as_floats(chosen.view(*which.shape, *self.shape[1:]), self.dtype)


def as_floats(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes scaled to [0, 1]; anything else as it is."""
    floats = inputs.to(dtype)
    return floats.div_(255) if inputs.dtype == torch.uint8 else floats


@dataclass(frozen=True)
class EvaluationSplit:
    """Examples that some selection or reporting rule reads.

    Attributes:
        environment: Its name.
        split: ``train``, ``val`` or ``test``.
        role: What the split is to the trial: see ``oodbench.records.ROLES``.
        inputs: n examples.
        labels: (n,) integers.
        n: How many independent examples these are: see ``oodbench.data.Split.copies``.
    """

    environment: str
    split: str
    role: str
    inputs: Inputs
    labels: Tensor
    n: int


@dataclass(frozen=True)
class Tensors:
    """Training examples, environment after environment, and the splits to evaluate.

    Attributes:
        inputs: n examples of all training environments.
        labels: (n,) integers.
        sizes: Number of training examples of each training environment.
        evaluation: See ``EvaluationSplit``.
        num_classes: Size of the label set.
        shared: See ``oodbench.data.Dataset``.
    """

    inputs: Inputs
    labels: Tensor
    sizes: tuple[int, ...]
    evaluation: tuple[EvaluationSplit, ...]
    num_classes: int
    shared: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.inputs.shape[1:])


def role_of(split: str, is_test_environment: bool) -> str:
    """What ``val`` or ``test`` is to a trial."""
    if is_test_environment:
        return {"val": "oracle_val", "test": "ood_test"}[split]
    return {"val": "id_val", "test": "id_test"}[split]


def roles_of(environment: Environment, is_test_environment: bool) -> dict[str, str]:
    """The splits of an environment that are evaluated, each with its role.

    An environment without ``test`` examples, as in DomainBed, has no ID test; as a test environment
    it is tested on its ``train`` examples, of which nothing was trained on.
    """
    roles = {s: role_of(s, is_test_environment) for s in environment.splits if s != "train"}
    if is_test_environment and "test" not in roles:
        roles["train"] = role_of("test", True)
    return roles


def examples(split: Split, device: torch.device, dtype: torch.dtype) -> tuple[Inputs, Tensor]:
    """The inputs and labels of a split on ``device``."""
    labels = torch.from_numpy(split.labels).to(device)
    return Inputs(torch.from_numpy(split.inputs).to(device), dtype), labels


def load(
    dataset: Dataset,
    test_environments: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
) -> Tensors:
    """Put on ``device`` what a trial with these test environments trains on and is scored on."""

    def to_evaluate(environment: Environment, name: str, role: str) -> EvaluationSplit:
        split = environment.splits[name]
        inputs, labels = examples(split, device, dtype)
        n = len(split) // split.copies
        return EvaluationSplit(environment.name, name, role, inputs, labels, n)

    training = [
        examples(dataset.environments[i].splits["train"], device, dtype)
        for i in dataset.training_environments(test_environments)
    ]
    evaluation = [
        to_evaluate(environment, split, role)
        for i, environment in enumerate(dataset.environments)
        for split, role in roles_of(environment, i in test_environments).items()
    ]
    return Tensors(
        Inputs(torch.cat([inputs.stored for inputs, _ in training]), dtype),
        torch.cat([labels for _, labels in training]),
        tuple(len(labels) for _, labels in training),
        tuple(evaluation),
        dataset.num_classes,
        dataset.shared,
    )
