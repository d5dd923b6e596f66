"""IRM's risk and penalty with their gradient written out, in half the kernels of autograd.

With log-probabilities l = log p of an example, its label's distribution y, and m = sum p l, the
slope of ``oodbench.algorithms.irm`` is s = m - sum y l, as sum (p - y) z = sum (p - y) l. So

    d risk / dz = (p - y) / B,    d s / dz = p (1 + l - m) - y.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from oodbench.algorithms.cross_entropy import classes_first


class RiskAndPenalty(torch.autograd.Function):
    """The means over groups of ``oodbench.algorithms.irm.risk_and_penalty``, for even B.

    What it gives are (K,) risks and penalties, from (K, G, B, classes) logits and (K, G, B) labels.
    """

    @staticmethod
    def forward(
        ctx: Any, logits: Tensor, labels: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        """The risk and the penalty of each model."""
        axis = 2 if classes_first(logits) else -1
        log_p = (logits.transpose(2, 3).contiguous() if axis == 2 else logits).log_softmax(axis)
        p = log_p.exp()
        at_label = log_p.gather(axis, labels.unsqueeze(axis)).squeeze(axis)
        if smoothing:
            at_label = at_label.lerp(log_p.mean(axis), smoothing)
        mean = (p * log_p).sum(axis)
        halves = torch.unflatten(mean - at_label, -1, (-1, 2)).mean(-2)  # (K, G, 2)
        ctx.save_for_backward(log_p, p, mean, halves, labels)
        ctx.axis, ctx.smoothing = axis, smoothing
        return -at_label.flatten(1).mean(1), halves.prod(-1).mean(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the logits."""
        log_p, p, mean, halves, labels = ctx.saved_tensors
        axis, (groups, size) = ctx.axis, labels.shape[1:]
        examples = 3 if axis == 2 else 2

        def in_pairs(values: Tensor) -> Tensor:
            return torch.unflatten(values, examples, (-1, 2))

        of_risk, of_penalty = (
            grad.view(-1, 1, 1, 1, 1) * (share / (groups * size))
            for grad, share in zip(grads, (1, 2), strict=True)  # a half is of size / 2
        )
        # That of an example's slope depends on the mean slope of the other half.
        of_slope = halves.flip(-1)[:, :, None, None] * of_penalty
        if axis == -1:
            of_slope = of_slope.transpose(-1, -2)
        both = of_risk + of_slope
        grad = torch.addcmul(both, in_pairs(log_p - mean.unsqueeze(axis)), of_slope)
        grad.mul_(in_pairs(p))
        if ctx.smoothing:
            grad.sub_(both, alpha=ctx.smoothing / p.shape[axis])
        # Not by a scatter, whose deterministic form sorts on a GPU.
        classes = torch.arange(p.shape[axis], device=p.device)
        classes = classes.view((-1, 1, 1) if axis == 2 else (-1,))
        labelled = in_pairs(labels.unsqueeze(axis)) == classes
        grad.addcmul_(labelled, both, value=ctx.smoothing - 1)
        grad = grad.view(p.shape)
        return (grad.transpose(2, 3) if axis == 2 else grad), None, None
