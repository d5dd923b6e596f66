"""SA-SGD and SA-SAM: the step size from the local smoothness of the loss.

Naganuma, Kim, Kyrillidis & Mitliagkas, *Smoothness-Adaptive Sharpness-Aware Minimization for
Finding Flatter Minima* (ICLR 2024 workshop). The paper's text could not be had. Here are two
published versions of it, which differ materially: the authors' code, and an independent
transcription, which is likely the paper's algorithm (its constants are those of AdGD, Malitsky &
Mishchenko 2020, arXiv 1910.09529). With g the gradient at w_t and g' that at w_{t-1}, both on the
examples of step t, D = ||w_t - w_{t-1}||, G = ||g - g'|| and th = e / (the e before it),

    e_t     = min( D / (k G),  e_{t-1} sqrt(1 + b th_{t-1}) )
    w_{t+1} = w_t - e_t (gradient at w_t + rho_t g / ||g||)        for SA-SAM; g itself for SA-SGD

with weight decay added to the gradient of the last line only. Norms are over all parameters.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from oodbench.optimizers.rules.reevaluating import Reevaluating, gradients, norm


@dataclass(frozen=True)
class Variant:
    """What the two versions do not agree on.

    Attributes:
        damping: k.
        amplifier: b.
        first_ratio: th before there is one; infinite: the second step has no cap.
        adapts_first: The first step, too, is longer than e_0, by the cap.
        radius_first: rho_t = sqrt(e_{t-1}); else sqrt(e_t).
        eps: Added to e_t, and to the norm of g.
    """

    damping: float
    amplifier: float
    first_ratio: float
    adapts_first: bool
    radius_first: bool
    eps: float


VARIANTS = {
    "code": Variant(1.0, 0.02, 1.0, True, True, 1e-8),
    "transcription": Variant(2.0, 1.0, math.inf, False, False, 0.0),
}


class SmoothnessAware(Reevaluating):
    """SA-SAM (three gradients a step), or SA-SGD (two): see this module's docstring.

    Args:
        params: The parameters.
        lr: e_0.
        weight_decay: Times w_t, added to the gradient that the step follows.
        variant: One of ``VARIANTS``.
        perturbed: SA-SAM; else SA-SGD.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        lr: float,
        weight_decay: float,
        variant: str,
        perturbed: bool,
    ) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self._variant, self._perturbed = VARIANTS[variant], perturbed

    @torch.no_grad()
    def passes(self) -> Iterator[None]:
        """See ``Reevaluating``. The first step asks for g' too, where it is g."""
        parameters, group = self.parameters, self.param_groups[0]
        here, gradient = [p.clone() for p in parameters], gradients(parameters)
        before = [self.state[p].get("before", w) for p, w in zip(parameters, here, strict=True)]
        for p, w in zip(parameters, before, strict=True):
            p.copy_(w)
        yield
        moved = norm([w - v for w, v in zip(here, before, strict=True)])
        turned = norm([g - v for g, v in zip(gradient, gradients(parameters), strict=True)])
        last = group.get("step_size", torch.full_like(moved, group["lr"]))
        size = self._step_size(last, group.get("ratio"), moved, turned)
        if self._perturbed:
            radius = (last if self._variant.radius_first else size).sqrt()
            length = norm(gradient) + self._variant.eps
            scale = (radius / length).where(length != 0, 0.0)  # a gradient of 0 has no direction
            for p, w, g in zip(parameters, here, gradient, strict=True):
                p.copy_(w + g * scale)
            yield
            gradient = gradients(parameters)
        for p, w, g in zip(parameters, here, gradient, strict=True):
            p.copy_(w - size * (g + group["weight_decay"] * w))
            self.state[p]["before"] = w
        first = "ratio" not in group
        group["ratio"] = size / last
        if first and not self._variant.adapts_first:
            group["ratio"] = torch.full_like(size, self._variant.first_ratio)
        group["step_size"] = size

    def _step_size(
        self, last: Tensor, ratio: Tensor | None, moved: Tensor, turned: Tensor
    ) -> Tensor:
        """e_t, from e_{t-1} and th_{t-1}; None before the first step."""
        v = self._variant
        if ratio is None:
            if not v.adapts_first:
                return last
            ratio = torch.full_like(last, v.first_ratio)
        cap = last * (1 + v.amplifier * ratio).sqrt()
        found = moved / (v.damping * turned)
        known = (moved > 0) & (turned > 0)  # else there is nothing to estimate from
        size = torch.where(known, torch.minimum(cap, found), cap)
        return torch.where(size.isinf(), last, size) + v.eps
