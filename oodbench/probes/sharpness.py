"""How sharply the loss curves at a model's weights: eigenvalue, trace, and SAM's sharpness.

Of the mean cross-entropy over given examples: the largest eigenvalue of its Hessian (power
iteration), the Hessian's trace (Hutchinson's estimator), and how much the loss grows a distance rho
uphill (Foret et al. 2021, the first-order solution). All are for K models of one shape at once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import cross_entropy

from oodbench.records import Measurement
from oodbench.seeds import seed_of

Weights = dict[str, Tensor]
Product = Callable[[Weights], Weights]
"""The product of the Hessian with a vector."""


@dataclass(frozen=True)
class Sharpness:
    """The sharpness of one model at its end point.

    Attributes:
        eigenvalue: The largest in absolute value of the Hessian.
        residual: ||H v - eigenvalue v|| for its unit vector v: how far it is from being one.
        trace: Trace of the Hessian.
        trace_error: Standard error of the estimate.
        sam: The loss at w + rho g / ||g|| minus that at w.
        loss: At w.
        n: Examples.
    """

    eigenvalue: float
    residual: float
    trace: float
    trace_error: float
    sam: float
    loss: float
    n: int

    def measurements(self, step: int) -> list[Measurement]:
        """The measurements of a run: role ``train``, metrics ``sharpness_*``."""
        values = {"eigenvalue": self.eigenvalue, "trace": self.trace, "sam": self.sam}
        return [
            Measurement(step, "", "train", "train", f"sharpness_{name}", value, self.n)
            for name, value in values.items()
        ]


def sharpness(
    module: nn.Module,
    weights: Sequence[Mapping[str, Tensor]],
    inputs: Tensor,
    labels: Tensor,
    rho: float = 0.05,
    iterations: int = 100,
    probes: int = 32,
    seed: int = 0,
) -> list[Sharpness]:
    """The sharpness of each of K models on the same examples.

    Args:
        module: One of their shape, in evaluation mode.
        weights: Weights of each model, by name: parameters alone.
        inputs: (n, *shape).
        labels: (n,) integers.
        rho: Radius of SAM's sharpness.
        iterations: Iterations of the power method.
        probes: Random vectors of the trace.
        seed: Seed of the random vectors.
    """
    stack = {n: torch.stack([w[n] for w in weights]).requires_grad_() for n in weights[0]}
    losses = vmap(lambda own: cross_entropy(functional_call(module, own, (inputs,)), labels))
    here = losses(stack)
    # One model's loss does not depend on another's weights: derivatives of the sum are all theirs.
    # Every product with the Hessian goes back through the one graph of the gradient.
    gradient = differentiated(here.sum(), stack, create_graph=True)

    def hessian(v: Weights) -> Weights:
        return differentiated(dot(gradient, v).sum(), stack)

    generator = torch.Generator(labels.device).manual_seed(seed_of(seed, "sharpness"))
    value, residual = largest_eigenvalue(hessian, draw(stack, generator), iterations)
    trace = traces(hessian, stack, generator, probes)
    uphill = scaled({name: t.detach() for name, t in gradient.items()})
    there = losses({name: t + rho * uphill[name] for name, t in stack.items()})
    columns = value, residual, trace.mean(0), trace.std(0) / probes**0.5, there - here, here
    n = torch.full_like(here, len(labels), dtype=torch.int64)
    return [Sharpness(*row) for row in zip(*(c.tolist() for c in (*columns, n)), strict=True)]


def largest_eigenvalue(hessian: Product, v: Weights, iterations: int) -> tuple[Tensor, Tensor]:
    """The (K,) largest eigenvalues by the power method from v, and their residuals."""
    v = scaled(v)
    for _ in range(iterations):
        v = scaled(hessian(v))
    image = hessian(v)
    value = dot(v, image)
    off = {n: image[n] - value.view(-1, *[1] * (v[n].ndim - 1)) * v[n] for n in v}
    return value, dot(off, off).sqrt()


def traces(hessian: Product, like: Weights, generator: torch.Generator, probes: int) -> Tensor:
    """(probes, K) independent estimates of the trace, each by a vector of random signs."""
    found = []
    for _ in range(probes):
        signs = {n: t.sign() for n, t in draw(like, generator).items()}
        found.append(dot(signs, hessian(signs)))
    return torch.stack(found)


def differentiated(value: Tensor, by: Weights, create_graph: bool = False) -> Weights:
    """The gradient of a number, which can be taken again; its graph is kept."""
    grads = torch.autograd.grad(
        value,
        list(by.values()),
        create_graph=create_graph,
        retain_graph=True,
        materialize_grads=True,
    )
    return dict(zip(by, grads, strict=True))


def draw(like: Weights, generator: torch.Generator) -> Weights:
    """Normal vectors of the weights' shapes, the same for every model: K does not matter."""
    return {
        name: torch.randn(t.shape[1:], generator=generator, dtype=t.dtype, device=t.device)
        .expand_as(t)
        .clone()
        for name, t in like.items()
    }


def dot(a: Weights, b: Weights) -> Tensor:
    """The (K,) inner products over all parameters."""
    return torch.stack([(a[name] * b[name]).flatten(1).sum(1) for name in a]).sum(0)


def scaled(v: Weights) -> Weights:
    """Each model's vector at length 1; one of length 0 stays."""
    length = dot(v, v).sqrt()
    by = torch.where(length > 0, 1 / length, 0.0)
    return {name: t * by.view(-1, *[1] * (t.ndim - 1)) for name, t in v.items()}
