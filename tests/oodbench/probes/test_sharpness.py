"""Sharpness against the Hessian written out by autograd, on models small enough for that."""

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from oodbench.probes.sharpness import sharpness


def models(k: int) -> tuple[nn.Module, list[dict[str, torch.Tensor]]]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = [
            nn.Sequential(nn.Linear(4, 3), nn.Tanh(), nn.Linear(3, 3)).double() for _ in range(k)
        ]
    return made[0], [{n: p.detach() for n, p in m.named_parameters()} for m in made]


INPUTS = torch.randn(20, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
LABELS = torch.randint(3, (20,), generator=torch.Generator().manual_seed(2))


def exact(module: nn.Module, weights: dict[str, torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Hessian, gradient and loss by autograd on one flat vector."""
    sizes = {n: w.shape for n, w in weights.items()}
    flat = torch.cat([w.flatten() for w in weights.values()])

    def loss(vector: torch.Tensor) -> torch.Tensor:
        parts = vector.split([s.numel() for s in sizes.values()])
        own = {n: p.view(s) for (n, s), p in zip(sizes.items(), parts, strict=True)}
        return cross_entropy(torch.func.functional_call(module, own, (INPUTS,)), LABELS)

    gradient = torch.autograd.functional.jacobian(loss, flat)
    rise = loss(flat + 0.05 * gradient / gradient.norm()) - loss(flat)
    return torch.autograd.functional.hessian(loss, flat), rise, loss(flat)


def test_it_is_that_of_the_whole_hessian() -> None:
    module, weights = models(3)
    found = sharpness(module, weights, INPUTS, LABELS, iterations=400, probes=150)
    for one, own in zip(found, weights, strict=True):
        hessian, rise, loss = exact(module, own)
        values = torch.linalg.eigvalsh(hessian)
        assert one.eigenvalue == pytest.approx(values[values.abs().argmax()].item(), rel=1e-6)
        assert one.residual < 1e-3
        assert abs(one.trace - hessian.trace().item()) < 4 * one.trace_error
        assert one.sam == pytest.approx(rise.item(), rel=1e-9)
        assert one.loss == pytest.approx(loss.item(), rel=1e-12)
        assert one.n == 20


def test_company_does_not_matter() -> None:
    module, weights = models(3)
    together = sharpness(module, weights, INPUTS, LABELS)
    for one, own in zip(together, weights, strict=True):
        (alone,) = sharpness(module, [own], INPUTS, LABELS)
        assert alone.eigenvalue == pytest.approx(one.eigenvalue, rel=1e-9)
        assert alone.trace == pytest.approx(one.trace, rel=1e-9)


def test_as_measurements() -> None:
    module, weights = models(1)
    (found,) = sharpness(module, weights, INPUTS, LABELS, iterations=2, probes=2)
    assert {m.metric: m.value for m in found.measurements(7)} == {
        "sharpness_eigenvalue": found.eigenvalue,
        "sharpness_trace": found.trace,
        "sharpness_sam": found.sam,
    }
