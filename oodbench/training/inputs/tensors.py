"""A dataset as the training loop needs it: on the device, with each split's role for the trial."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodbench.answers import AnswerKey, ScoredSplit
from oodbench.data import Dataset, Environment, Published, Rows, Split
from oodbench.records import OOD_TEST
from oodbench.seeds import stream
from oodbench.training.inputs.augmentation import RECIPES, AugmentedInputs, draw
from oodbench.training.inputs.stored import Inputs, StoredInputs

AnyInputs = Inputs | StoredInputs | AugmentedInputs
SPLITS = ("dataset", "dataset_options", "data_seed", "fingerprint", "test_environments")
DECIDE_DATA = (*SPLITS, "model", "model_options", "pretrained", "precision")
"""Fields of a trial that its tensors depend on: the model only where a frozen part of it makes
features."""


@dataclass(frozen=True)
class EvaluationSplit:
    """Examples that some selection or reporting rule reads.

    Attributes:
        environment: Name of the environment; empty if the split is a published one, of several.
        split: ``train``, ``val`` or ``test``, or the name of a published one.
        role: What the split is to the trial: see ``oodbench.records.ROLES``.
        inputs: n examples.
        labels: (n,) integers.
        examples: (n,) the number of each: see ``oodbench.data.Split.examples``.
        n: How many independent examples these are: see ``oodbench.data.Split.copies``.
        groups, worst: See ``oodbench.data.Published``.
        group_names, metrics: Group names and metrics of the dataset, see ``oodbench.data.Dataset``.
        graded: Whether it is scored by more than accuracy: published splits are.
        counts_as: (num_classes,) or None: see ``oodbench.data.Environment``.
    """

    environment: str
    split: str
    role: str
    inputs: AnyInputs
    labels: Tensor
    examples: NDArray[np.int64]
    n: int
    groups: NDArray[np.int64] | None = None
    worst: str = ""
    group_names: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    graded: bool = False
    counts_as: Tensor | None = None


@dataclass(frozen=True)
class Tensors:
    """Training examples, environment after environment, and the splits to evaluate.

    Attributes:
        inputs: n examples of all training environments.
        labels: (n,) integers.
        sizes: Number of training examples of each training environment.
        evaluation: See ``EvaluationSplit``.
        num_classes: Size of the label set.
        shared, augment, source, mean_of_targets: See ``oodbench.data.Dataset``.
        targets: Names of the targets that the trial is tested on.
    """

    inputs: Inputs | StoredInputs
    labels: Tensor
    sizes: tuple[int, ...]
    evaluation: tuple[EvaluationSplit, ...]
    num_classes: int
    shared: bool
    augment: str = ""
    source: str = ""
    targets: tuple[str, ...] = ()
    mean_of_targets: bool = False

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one example's input."""
        return tuple(self.inputs.shape[1:])

    @cached_property
    def answer_key(self) -> AnswerKey:
        """What is right of all splits to evaluate, in their order."""
        splits = self.evaluation
        given = [np.empty((len(s.labels), 0)) if s.groups is None else s.groups for s in splits]
        most = max(groups.shape[1] for groups in given)
        padded = [
            np.pad(groups, ((0, 0), (0, most - groups.shape[1])), constant_values=-1)
            for groups in given
        ]
        return AnswerKey(
            self.source,
            tuple(ScoredSplit(s.environment, s.split, s.role, len(s.labels)) for s in splits),
            torch.cat([s.labels for s in splits]).cpu().numpy(),
            np.concatenate([s.examples for s in splits]),
            self.num_classes,
            np.concatenate(padded).astype(np.int64),
            next((s.group_names for s in splits if s.group_names), ()),
        )


def role_of(split: str, is_test_environment: bool) -> str:
    """What ``val`` or ``test`` is to a trial."""
    if is_test_environment:
        return {"val": "oracle_val", "test": "ood_test"}[split]
    return {"val": "id_val", "test": "id_test"}[split]


def roles_of(dataset: Dataset, index: int, test_environments: tuple[int, ...]) -> dict[str, str]:
    """The splits of an environment that are evaluated, each with its role.

    A test environment is tested on its ``train`` examples as well (``train+test``): nothing was
    trained on them. Not so where environments share their test examples: there ID and OOD accuracy
    rest on the same ones. An environment without ``test`` examples, as in DomainBed, has no ID
    test. For one that is ``apart`` see ``oodbench.data.Environment``.

    Args:
        dataset: Dataset with all of its environments.
        index: Index of one of them.
        test_environments: Indices of those that the trial keeps out of training.
    """
    environment, is_test_environment = dataset.environments[index], index in test_environments
    if environment.apart:
        if is_test_environment or index in dataset.targets(test_environments):
            return dict.fromkeys(environment.splits, OOD_TEST)
        left_out = environment.apart == OOD_TEST
        return {} if left_out else dict.fromkeys(environment.splits, environment.apart)
    roles = {s: role_of(s, is_test_environment) for s in environment.splits if s != "train"}
    if is_test_environment and not (dataset.shared and "test" in roles):
        tested = "train+test" if roles.pop("test", None) else "train"
        roles[tested] = role_of("test", True)
    return roles


def part_of(environment: Environment, name: str) -> Split:
    """A split by its name, or several as one: ``train+test``."""
    first, *others = (environment.splits[part] for part in name.split("+"))
    return sum(others, start=first)


def numbers_of(split: Split) -> NDArray[np.int64]:
    """The numbers of a split's examples; those of a dataset that is ``numbered`` all have one."""
    assert split.numbers is not None
    return split.numbers


def examples(
    split: Split, device: torch.device, dtype: torch.dtype
) -> tuple[Inputs | StoredInputs, Tensor]:
    """The inputs and labels of a split: on ``device``, or brought there when they are indexed."""
    labels = torch.from_numpy(split.labels).to(device)
    if isinstance(split.inputs, Rows):
        return StoredInputs(split.inputs, dtype, device), labels
    return Inputs(torch.from_numpy(split.inputs).to(device), dtype), labels


def evaluated(
    dataset: Dataset,
    environment: Environment,
    name: str,
    role: str,
    device: torch.device,
    dtype: torch.dtype,
) -> tuple[AnyInputs, Tensor]:
    """The inputs and labels of a split, as a model is scored on them in this role.

    Only if the dataset says so is anything augmented: DomainBed augments what it validates on.
    """
    inputs, labels = examples(part_of(environment, name), device, dtype)
    if role != "id_val" or not dataset.augment_id_val:
        return inputs, labels
    n, _, height, width = inputs.shape
    generator = stream("augment_id_val", dataset.fingerprint, environment.name)
    amounts = draw(RECIPES[dataset.augment], n, height, width, generator)
    return AugmentedInputs(inputs, amounts), labels


def published(
    dataset: Dataset, given: Published, device: torch.device, dtype: torch.dtype
) -> EvaluationSplit:
    """A published split, as a model is scored on it."""
    inputs, labels = examples(given.split, device, dtype)
    return EvaluationSplit(
        "",
        given.name,
        given.role,
        inputs.settled(),
        labels,
        numbers_of(given.split),
        len(given.split) // given.split.copies,
        given.groups,
        given.worst,
        dataset.groups,
        dataset.metrics,
        graded=True,
    )


def joined(parts: Sequence[Inputs | StoredInputs]) -> Inputs | StoredInputs:
    """The examples of all parts, which are of one dataset, one part after the other."""
    first = parts[0]
    if isinstance(first, StoredInputs):
        rows = [part.rows.rows for part in parts if isinstance(part, StoredInputs)]
        return replace(first, rows=replace(first.rows, rows=np.concatenate(rows)))
    kept = [part.stored for part in parts if isinstance(part, Inputs)]
    return Inputs(torch.cat(kept), first.dtype)


def load(
    dataset: Dataset,
    test_environments: tuple[int, ...],
    device: torch.device,
    dtype: torch.dtype,
) -> Tensors:
    """Put on ``device`` what a trial with these test environments trains on and is scored on."""
    dataset = dataset.numbered

    def to_evaluate(environment: Environment, name: str, role: str) -> EvaluationSplit:
        split = part_of(environment, name)
        inputs, labels = evaluated(dataset, environment, name, role, device, dtype)
        n, numbers = len(split) // split.copies, numbers_of(split)
        known = EvaluationSplit(environment.name, name, role, inputs.settled(), labels, numbers, n)
        if environment.counts_as is None:
            return known
        return replace(known, counts_as=torch.from_numpy(environment.counts_as).to(device))

    training = [
        examples(dataset.environments[i].splits["train"], device, dtype)
        for i in dataset.training_environments(test_environments)
    ]
    evaluation = [
        to_evaluate(environment, split, role)
        for i, environment in enumerate(dataset.environments)
        for split, role in roles_of(dataset, i, test_environments).items()
    ]
    evaluation += [published(dataset, given, device, dtype) for given in dataset.published]
    return Tensors(
        joined([inputs for inputs, _ in training]).settled(),
        torch.cat([labels for _, labels in training]),
        tuple(len(labels) for _, labels in training),
        tuple(evaluation),
        dataset.num_classes,
        dataset.shared,
        dataset.augment,
        dataset.source,
        tuple(dataset.environments[i].name for i in dataset.targets(test_environments)),
        dataset.mean_of_targets,
    )
