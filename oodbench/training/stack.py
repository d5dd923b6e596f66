"""K models of one shape that take each step together, or one model that cannot be stacked.

The parameters of a stack lie in one (K, P) matrix, a row a model; so do the gradients. The forward
pass sees each parameter as a (K, *shape) view of that matrix; each model's own optimizer sees views
of its row. So the optimizers are the stock ones, and stacking re-implements no update rule.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from oodbench.training.batched import Forward, batched_forward
from oodbench.training.features import body_and_head
from oodbench.training.winograd import with_fast_convolutions

IMAGES = 64
"""In one forward pass of convolutions on a CPU: what more of them leave behind outgrows the cache.
"""

CLIP_EPS = 1e-6
"""Added to a norm before it divides, as ``torch.nn.utils.clip_grad_norm_`` does."""


class Models(Protocol):
    """What the training loop drives."""

    def __call__(self, inputs: Tensor) -> Tensor:
        """(K, G, B, *shape) inputs to (K, G, B, classes) logits, model by model."""

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """(K, G, B, *shape) inputs to (K, G, B, d) features and (K, G, B, classes) logits."""

    def predict(self, inputs: Tensor) -> Tensor:
        """(n, *shape) inputs, the same for every model, to (K, n, classes) logits."""

    def backward(self, losses: Tensor) -> None:
        """Put the gradient of each of the (K,) losses where its model's optimizer reads it."""

    def clip(self, max_norm: float) -> None:
        """Shorten each model's gradient to this norm, over all its parameters, if it is longer."""

    def memory(self) -> tuple[list[Tensor], bool]:
        """What all parameters of all models lie in, and whether there are buffers beside them."""

    def parameters_of(self, model: int, flat: bool) -> list[Tensor]:
        """The parameters of one model, for its optimizer; as one flat vector if that is allowed."""

    def finite(self) -> Tensor:
        """(K,) whether all of a model's parameters are finite."""

    def intact(self, model: int) -> bool:
        """Whether the optimizer still writes to the parameters it was given."""

    def state(self, model: int) -> dict[str, Tensor]:
        """A copy of one model's parameters and buffers by name."""

    def load_state(self, model: int, state: Mapping[str, Tensor]) -> None:
        """Write such a copy into the memory of one model's parameters and buffers."""


def can_stack(module: nn.Module) -> bool:
    """Whether models of this shape may share a forward pass.

    Buffers (BatchNorm) would have to be stacked and updated too, and dropout draws its masks from
    one generator for all models; such models are trained one by one.
    """
    dropout = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
    return not list(module.buffers()) and not any(
        isinstance(part, dropout) and part.p > 0 for part in module.modules()
    )


def stacks_alone(module: nn.Module) -> bool:
    """Whether one model of this shape, too, is trained as a stack: of one.

    It costs no more then, and what becomes of a model does not depend on its stack. Others are
    faster as the modules that they are.
    """
    return can_stack(module) and batched_forward(module) is not None


def by_vmap(module: nn.Module) -> Forward:
    """The forward pass of K models of any shape that ``can_stack``."""
    skeleton = module.to("meta")  # its own parameters are never used
    names = [name for name, _ in skeleton.named_parameters()]

    def run(parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        own = {name: parameters[name] for name in names}
        logits: Tensor = functional_call(skeleton, own, (inputs,))
        return logits

    forward: Forward = vmap(run)
    return forward


class Stack:
    """K models in one matrix of parameters. See ``Models``."""

    def __init__(
        self, modules: Sequence[nn.Module], device: torch.device, dtype: torch.dtype
    ) -> None:
        named = [dict(module.named_parameters()) for module in modules]
        rows = [torch.cat([p.detach().flatten() for p in row.values()]) for row in named]
        self._rows = torch.stack(rows).to(device, dtype)
        self._grads = torch.zeros_like(self._rows)
        self._shapes = {name: p.shape for name, p in named[0].items()}
        self._stacked = {name: p.requires_grad_() for name, p in self._views(self._rows).items()}
        self._stacked_grads = list(self._views(self._grads).values())
        self._given: dict[int, list[tuple[Tensor, int, int]]] = {}
        self._module = modules[0]  # only its structure is read
        self._forward = batched_forward(modules[0]) or by_vmap(modules[0])
        self._parts: list[Forward] = []  # up to the features, and from there; made when asked for

    def _views(self, rows: Tensor) -> dict[str, Tensor]:
        """Each parameter as a view of the matrix (K, *shape) or of one row (*shape)."""
        views, start = {}, 0
        for name, shape in self._shapes.items():
            part = rows[..., start : start + shape.numel()]
            views[name] = part.view(*rows.shape[:-1], *shape).detach()
            start += shape.numel()
        return views

    def __call__(self, inputs: Tensor) -> Tensor:
        k, groups, size = inputs.shape[:3]
        return self._forward(self._stacked, inputs.flatten(1, 2)).view(k, groups, size, -1)

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        k, groups, size = inputs.shape[:3]
        if not self._parts:
            parts = body_and_head(self._module)
            self._parts = [batched_forward(part) or by_vmap(part) for part in parts]
        body, head = self._parts
        features = body(self._stacked, inputs.flatten(1, 2))
        logits = head(self._stacked, features)
        return features.view(k, groups, size, -1), logits.view(k, groups, size, -1)

    def predict(self, inputs: Tensor) -> Tensor:
        return self._forward(self._stacked, inputs.expand(len(self._rows), *inputs.shape))

    def backward(self, losses: Tensor) -> None:
        # One model's loss does not depend on another's parameters: the gradient of the sum is all.
        grads = torch.autograd.grad(losses.sum(), list(self._stacked.values()))
        for its_place, grad in zip(self._stacked_grads, grads, strict=True):
            its_place.copy_(grad)

    def clip(self, max_norm: float) -> None:
        for grad in self._grads:  # one by one: sums must not depend on the size of the stack
            grad.mul_((max_norm / (grad.norm() + CLIP_EPS)).clamp(max=1.0))

    def memory(self) -> tuple[list[Tensor], bool]:
        return [self._rows], False

    def parameters_of(self, model: int, flat: bool) -> list[Tensor]:
        row, grad = self._rows[model], self._grads[model]
        views = [row.detach()] if flat else list(self._views(row).values())
        grads = [grad.detach()] if flat else list(self._views(grad).values())
        for view, its_grad in zip(views, grads, strict=True):
            view.requires_grad_().grad = its_grad
        self._given[model] = [
            (v, v.data_ptr(), g.data_ptr()) for v, g in zip(views, grads, strict=True)
        ]
        return views

    def finite(self) -> Tensor:
        return self._rows.isfinite().all(1)

    def intact(self, model: int) -> bool:
        return all(
            view.data_ptr() == pointer
            and view.grad is not None
            and view.grad.data_ptr() == grad_pointer
            for view, pointer, grad_pointer in self._given[model]
        )

    def state(self, model: int) -> dict[str, Tensor]:
        return {name: view.clone() for name, view in self._views(self._rows[model]).items()}

    def load_state(self, model: int, state: Mapping[str, Tensor]) -> None:
        for name, view in self._views(self._rows[model]).items():
            view.copy_(state[name])


class Single:
    """One model, run as it is, for those that cannot be stacked. See ``Models``.

    On a CPU, convolutions that ``oodbench.training.winograd`` can do faster are done there. Tensors
    are not made channels last: there torch's GroupNorm rounds ten times as much.
    """

    def __init__(self, module: nn.Module, device: torch.device, dtype: torch.dtype) -> None:
        self._module = module.to(device, dtype)
        self._images: int | None = None  # in one forward pass of ``predict``
        if device.type == "cpu" and any(isinstance(m, nn.Conv2d) for m in module.modules()):
            with_fast_convolutions(module)
            self._images = IMAGES

    def __call__(self, inputs: Tensor) -> Tensor:
        self._module.train()
        _, groups, size = inputs.shape[:3]
        logits: Tensor = self._module(inputs.flatten(0, 2))
        return logits.view(1, groups, size, -1)

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        self._module.train()
        _, groups, size = inputs.shape[:3]
        body, head = body_and_head(self._module)
        features: Tensor = body(inputs.flatten(0, 2))
        logits: Tensor = head(features)
        return features.view(1, groups, size, -1), logits.view(1, groups, size, -1)

    def predict(self, inputs: Tensor) -> Tensor:
        self._module.eval()
        parts = torch.split(inputs, self._images or len(inputs))
        return torch.cat([self._module(part) for part in parts]).unsqueeze(0)

    def backward(self, losses: Tensor) -> None:
        self._module.zero_grad()
        losses.sum().backward()  # type: ignore[no-untyped-call]

    def clip(self, max_norm: float) -> None:
        nn.utils.clip_grad_norm_(self._module.parameters(), max_norm)

    def memory(self) -> tuple[list[Tensor], bool]:
        return list(self._module.parameters()), bool(list(self._module.buffers()))

    def parameters_of(self, model: int, flat: bool) -> list[Tensor]:
        return list(self._module.parameters())

    def finite(self) -> Tensor:
        checks = [p.detach().isfinite().all() for p in self._module.parameters()]
        return torch.stack(checks).all().unsqueeze(0)

    def intact(self, model: int) -> bool:
        return True

    def state(self, model: int) -> dict[str, Tensor]:
        state: dict[str, Any] = self._module.state_dict()
        return {name: value.detach().clone() for name, value in state.items()}

    def load_state(self, model: int, state: Mapping[str, Tensor]) -> None:
        self._module.load_state_dict(state)
