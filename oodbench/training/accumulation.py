"""The gradients of a whole batch, computed on a piece of it at a time, to save memory.

No loss has to be a mean over examples for that. The first pass keeps no intermediate results: from
the outputs of all pieces comes the loss, and its gradient with respect to them. The second pass
takes that gradient back through the models, a piece at a time (Gao et al. 2021, arXiv 2101.06983,
section 3.2). It costs one more forward pass.
"""

from collections.abc import Callable, Collection, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from oodbench.algorithms import Algorithm
from oodbench.errors import RequestError
from oodbench.training.groups import Layout
from oodbench.training.models import Models

Outputs = tuple[Tensor, ...]


class InPieces:
    """The forward pass of an algorithm, which notes what it is asked.

    Args:
        models: Whose outputs it gives.
        pieces: Into which the examples of each group are divided.
    """

    def __init__(self, models: Models, pieces: int) -> None:
        self._models, self._pieces = models, pieces
        self._asked: list[tuple[Callable[[Tensor], Outputs], Tensor, Outputs]] = []

    def __call__(self, inputs: Tensor) -> Tensor:
        """The logits of all models; see ``oodbench.algorithms.spec.Forward``."""
        (logits,) = self._ask(lambda part: (self._models(part),), inputs)
        return logits

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """See ``oodbench.algorithms.spec.Forward``; with the features of the last layer."""
        features, logits = self._ask(self._models.features, inputs)
        return features, logits

    def _ask(self, forward: Callable[[Tensor], Outputs], inputs: Tensor) -> Outputs:
        with torch.no_grad():
            parts = [forward(part) for part in inputs.chunk(self._pieces, dim=2)]
        outputs = tuple(torch.cat(one, dim=2).requires_grad_() for one in zip(*parts, strict=True))
        self._asked.append((forward, inputs, outputs))
        return outputs

    def backward(self) -> None:
        """Take the gradients of all outputs that were given back to the parameters."""
        add = False
        for forward, inputs, outputs in self._asked:
            grads = [torch.zeros_like(o) if o.grad is None else o.grad for o in outputs]
            pieces = [inputs.chunk(self._pieces, dim=2), *(g.chunk(self._pieces, 2) for g in grads)]
            for part, *downstream in zip(*pieces, strict=True):
                products = zip(forward(part), downstream, strict=True)
                self._models.backward(sum((o * g).flatten(1).sum(1) for o, g in products), add)
                add = True


def accumulate(
    pieces: int, algorithm: Algorithm, models: Models, inputs: Tensor, labels: Tensor, step: int
) -> Tensor:
    """``oodbench.training.fast.compiling.differentiate``, in so many pieces."""
    forward, drawn = InPieces(models, pieces), models.generators()
    losses = algorithm.losses(forward, inputs, labels, step)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    models.set_generators(drawn)  # the second pass drops out what the first one did
    forward.backward()
    return losses.detach()


def check_pieces(batch: Mapping[str, int], module: nn.Module, layout: Layout) -> None:
    """Raise RequestError if batches cannot be computed in pieces as asked, to the same result.

    Args:
        batch: Batch of a trial.
        module: A model.
        layout: Its parameters, and how many pieces.
    """
    pieces = layout.accumulate
    if pieces == 1:
        return
    smallest = batch.get("per_environment") or batch["size"] // batch.get("environments", 1)
    if pieces > smallest:
        raise RequestError(
            f"accumulate: {pieces} asks for more pieces than the {smallest} examples of a group in "
            "a batch; lower accumulate, or raise the batch size."
        )
    trained = {
        p.name for p, start in zip(layout.parts, layout.since, strict=True) if start is not None
    }
    for name, part in module.named_modules():
        if isinstance(part, _BatchNorm) and updates(part, name, trained):
            raise RequestError(
                f"accumulate: {pieces} would change what a model with BatchNorm becomes: each "
                "piece would be normalised by itself. Say freeze_bn: true in model, or leave "
                "accumulate out."
            )


def updates(norm: _BatchNorm, name: str, trained: Collection[str]) -> bool:
    """Whether a BatchNorm ever normalises by its batch, as it does while it is trained."""
    own = [f"{name}.{key}" for key, p in norm.named_parameters() if p.requires_grad]
    return any(key in trained for key in own) or not list(norm.parameters())
