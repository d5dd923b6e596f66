"""What an algorithm is to the harness: a loss over batches from environments.

An algorithm never sees an optimizer. It may say that optimizers restart at some step, or that the
loss is divided from then on; the training loop rebuilds them, and divides their weight decay.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from oodbench.errors import RequestError, UnknownNameError
from oodbench.spaces import Space

if TYPE_CHECKING:
    import torch
    from torch import Tensor

HParams = Mapping[str, bool | int | float | str]


@dataclass(frozen=True)
class Setup:
    """What K models are trained with, as far as their algorithm is concerned.

    Attributes:
        hparams: Hyperparameters of each model; an algorithm is given its own share of them.
        steps: Steps of the whole run.
        device: Device of the models.
        dtype: Type of their losses.
        smoothing: The share of each label that is spread over all classes.
    """

    hparams: Sequence[HParams]
    steps: int
    device: "torch.device"
    dtype: "torch.dtype"
    smoothing: float = 0.0

    def each(self, name: str) -> "Tensor":
        """(K,) the models' values of a hyperparameter."""
        import torch

        values = [float(h[name]) for h in self.hparams]
        return torch.tensor(values, device=self.device, dtype=self.dtype)


class Forward(Protocol):
    """The forward pass of K models, as their algorithm sees it."""

    def __call__(self, inputs: "Tensor", /) -> "Tensor":
        """(K, G, B, *shape) inputs to (K, G, B, classes) logits, model by model."""

    def features(self, inputs: "Tensor", /) -> "tuple[Tensor, Tensor]":
        """(K, G, B, *shape) inputs to (K, G, B, d) inputs of the last layer, and the logits."""


class Algorithm(Protocol):
    """The losses of K models that are trained together."""

    @property
    def state(self) -> "dict[str, Tensor]":
        """What it remembers from one step to the next, saved with a run's checkpoints."""

    @property
    def restarts(self) -> Mapping[int, Sequence[int]]:
        """Step -> the models (0 to K-1) whose optimizer is built anew before that step."""

    @property
    def restart_as(self) -> tuple[str, HParams] | None:
        """What it is built as. None: the same optimizer and hyperparameters. Else an optimizer's
        name and the hyperparameters to add to the trial's own."""

    @property
    def divisors(self) -> Mapping[int, Mapping[int, float]]:
        """Step -> model -> what its loss is divided by from that step on; the loop divides weight
        decay that is a part of the loss by the same."""

    def losses(self, forward: Forward, inputs: "Tensor", labels: "Tensor", step: int) -> "Tensor":
        """The K losses of one step.

        Args:
            forward: The models.
            inputs: G groups of B examples for each of K models. A group is an environment's batch,
                or the whole batch where it is drawn from the pooled environments.
            labels: (K, G, B) integers.
            step: Steps taken before this one; an optimizer may ask several times for one step.
                A tensor where steps are compiled or captured; losses that branch on it are not.

        Returns:
            (K,) losses; the loss of one model must not depend on the others.
        """


class Unrestarted:
    """What algorithms have in common that leave the optimizer alone."""

    restarts: Mapping[int, Sequence[int]] = {}
    restart_as: tuple[str, HParams] | None = None
    divisors: Mapping[int, Mapping[int, float]] = {}

    def __init__(self, setup: Setup) -> None:
        self._smoothing = setup.smoothing
        self.state: dict[str, Tensor] = {}


@dataclass(frozen=True)
class AlgorithmSpec:
    """An algorithm that can be asked for by name.

    Attributes:
        name: Name in sweep files.
        build: ``build(setup, **options)`` gives an Algorithm.
        space: Its hyperparameters and their default search ranges; no others are accepted.
        options: Option -> the values it may take, the default first.
        smallest_group: Fewest examples of one environment in a batch; 0 if environments may be
            pooled.
        every_environment: Each batch must have examples of every training environment, in order.
        compares: Its loss compares the environments of a batch: of one alone it is ERM's.
        averages: Its loss is the mean over environments of what it is for each of them alone.
        smooths: It heeds ``Setup.smoothing``.
        hands_on: Its losses do nothing with the inputs but hand them to the models, once or more,
            as they are. Then models that see the same ones may be given them once.
        summary: One sentence.
        reference: The paper.
    """

    name: str
    build: "Callable[..., Algorithm]"
    space: Space = field(default_factory=dict)
    options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    smallest_group: int = 0
    every_environment: bool = False
    compares: bool = False
    averages: bool = False
    smooths: bool = False
    hands_on: bool = False
    summary: str = ""
    reference: str = ""

    def __call__(self, setup: Setup, options: Mapping[str, Any]) -> Algorithm:
        """The algorithm for K models, with its own share of their hyperparameters."""
        own = [{name: values[name] for name in self.space} for values in setup.hparams]
        chosen = {name: values[0] for name, values in self.options.items()}
        return self.build(replace(setup, hparams=own), **{**chosen, **options})

    def check_environments(self, dataset: str, trained: int) -> None:
        """Raise RequestError if it needs more environments than a dataset has to train on."""
        if self.compares and trained < 2:
            raise RequestError(
                f"{self.name} compares training environments, but {dataset} has {trained} to train "
                "on: it would be ERM under another name. Use erm, or more training environments."
            )

    def check(self, options: Mapping[str, Any], batch: Mapping[str, int]) -> None:
        """Raise unless the options exist and the batch gives what the algorithm needs."""
        for name, value in options.items():
            if name not in self.options:
                raise UnknownNameError("option", name, self.options, where=f"algorithm {self.name}")
            known = self.options[name]
            if not any(type(value) is type(one) and value == one for one in known):  # True == 1
                raise UnknownNameError(name, value, map(str, known), f"algorithm {self.name}")
        if self.smallest_group == 0:
            return
        size = batch.get("per_environment") or batch["size"] // batch.get("environments", 1)
        if "per_environment" not in batch and "environments" not in batch:
            raise RequestError(
                f"{self.name} needs batches by environment, but got batch: {dict(batch)}. "
                "Write batch: {per_environment: n} or {size: n, environments: m}."
            )
        if self.every_environment and "per_environment" not in batch:
            raise RequestError(
                f"{self.name} needs every environment in each batch, but got batch: {dict(batch)}. "
                "Write batch: {per_environment: n}."
            )
        if self.compares and batch.get("environments") == 1:
            raise RequestError(
                f"{self.name} compares the environments of a batch, but batch: {dict(batch)} has "
                "one: it would be ERM under another name. Write environments: 2 or more."
            )
        if size < self.smallest_group:
            raise RequestError(
                f"{self.name} needs at least {self.smallest_group} examples of each environment in "
                f"a batch, but batch: {dict(batch)} gives {size}."
            )
