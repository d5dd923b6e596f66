"""The gradient of a run's loss over its whole training set, where a step sees one batch's.

The loss is the algorithm's own, at this step, with all training examples as its batch. The forward
pass is taken in chunks, without a graph, and only what the loss depends on is kept: the logits (or
features). The gradient with respect to these is then taken back through each chunk in turn. So the
memory needed does not grow with the training set but for its logits.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from oodbench.algorithms import ALGORITHMS
from oodbench.errors import RequestError
from oodbench.records import Trial
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.loop import Run, build_module
from oodbench.training.stack import can_stack

CHUNK = 8192
"""Examples times models in one forward pass."""


class Whole:
    """A forward pass over the training set, given to an algorithm in place of a batch's.

    Its inputs are not examples but their (K, G, B) positions, the same for every model.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self._outputs: dict[bool, list[Tensor]] = {}  # with features -> leaves of the loss's graph

    def __call__(self, inputs: Tensor) -> Tensor:
        (logits,) = self._at(inputs, False)
        return logits

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = self._at(inputs, True)
        return features, logits

    def _at(self, positions: Tensor, features: bool) -> list[Tensor]:
        if positions.dtype != torch.int64:
            raise RequestError(
                f"{self._run.trials[0].algorithm} changes its inputs: what its loss on the whole "
                "training set is, is not known. Leave --full-every out."
            )
        if features not in self._outputs:
            with torch.no_grad():
                parts = [self._take(chunk, features) for chunk in self._chunks()]
            whole = [torch.cat(part, 2) for part in zip(*parts, strict=True)]
            self._outputs[features] = [output.requires_grad_() for output in whole]
        return [output[:, 0, positions[0]] for output in self._outputs[features]]

    def _take(self, chunk: slice, features: bool) -> tuple[Tensor, ...]:
        run = self._run
        inputs = run.data.inputs[chunk]
        inputs = inputs.expand(run.k, 1, *inputs.shape)
        return run.models.features(inputs) if features else (run.models(inputs),)

    def _chunks(self) -> Iterator[slice]:
        size = max(1, CHUNK // self._run.k)
        return (slice(i, i + size) for i in range(0, len(self._run.data.labels), size))

    def gradients(self, losses: Tensor) -> Tensor:
        """(K, P) gradients, in float64, of the (K,) losses that were computed from the outputs."""
        models = self._run.models
        total = torch.zeros(models.vectors()[0].shape, dtype=torch.float64, device=losses.device)
        leaves = [leaf for outputs in self._outputs.values() for leaf in outputs]
        found = iter(torch.autograd.grad(losses.sum(), leaves, materialize_grads=True))
        for features, outputs in self._outputs.items():
            by_output = [next(found) for _ in outputs]
            for chunk in self._chunks():
                taken = zip(self._take(chunk, features), by_output, strict=True)
                products = [(out * by[:, :, chunk]).flatten(1).sum(1) for out, by in taken]
                models.backward(torch.stack(products).sum(0))
                total += models.vectors()[1]
        return total


def check_full_gradient(trial: Trial, data: Tensors) -> None:
    """Refuse models whose loss on some examples depends on which others are seen with them.

    Raises:
        RequestError: If the model has dropout or batch normalization, or examples have weights.
    """
    if trial.balance != "none":
        raise RequestError(
            f"The trial has balance: {trial.balance}, but the loss on the whole training set "
            "counts every example once. Leave --full-every out."
        )
    if not can_stack(build_module(trial, data.shape, data.num_classes)):
        raise RequestError(
            f"{trial.model} has dropout or buffers, such as batch normalization's: it has no one "
            "loss on the whole training set. Leave --full-every out."
        )


def groups(run: Run) -> list[Tensor]:
    """Positions of the examples that are averaged: of each environment, or of all, pooled.

    Where a loss is no mean over environments it needs equally many examples of each: then the first
    ones are taken, as many as the smallest environment has.
    """
    sizes, trial = run.data.sizes, run.trials[0]
    positions = torch.arange(sum(sizes), device=run.device)
    if not {"per_environment", "environments"} & set(trial.batch):
        return [positions]
    every = list(torch.split(positions, list(sizes)))
    if ALGORITHMS.get(trial.algorithm).averages:
        return every
    return [positions[: min(sizes)] for positions in every]


def full_gradients(run: Run, step: int) -> Tensor:
    """(K, P) gradients, in float64, of the loss over the training set where the models are now.

    The gradients that the optimizers are to read stay as they are.

    Args:
        run: Run in which the losses of this step's batch have been computed.
        step: Which step.
    """
    kept = run.models.vectors()[1].clone()
    whole, parts = Whole(run), groups(run)

    def losses(positions: list[Tensor]) -> Tensor:
        which = torch.stack(positions).expand(run.k, -1, -1)
        return run.algorithm.losses(whole, which, run.data.labels[which], step)

    if ALGORITHMS.get(run.trials[0].algorithm).averages:
        loss = torch.stack([losses([part]) for part in parts]).mean(0)
    else:
        loss = losses(parts)
    found = whole.gradients(loss)
    run.models.set_gradients(kept)
    return found
