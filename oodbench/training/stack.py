"""K models of one shape that take each step together.

The parameters of a stack lie in one (K, P) matrix, a row a model; so do the gradients. The forward
pass sees each parameter as a (K, *shape) view of that matrix; each model's own optimizer sees views
of its row. So the optimizers are the stock ones, and stacking re-implements no update rule.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import accumulate

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.modules.batchnorm import _BatchNorm

from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Trial
from oodbench.training.fast.batched import Forward, batched_forward
from oodbench.training.fast.products import spread
from oodbench.training.given import Given, runs
from oodbench.training.models import body_and_head
from oodbench.training.precision import BF16, DTYPES, in_precision

CLIP_EPS = 1e-6
"""Added to a norm before it divides, as ``torch.nn.utils.clip_grad_norm_`` does."""


def can_stack(module: nn.Module) -> bool:
    """Whether models of this shape may share a forward pass.

    Buffers (BatchNorm) would have to be stacked and updated too, dropout draws its masks from one
    generator for all models, and a stack has gradients for all parameters that a trial does not
    freeze; such models are trained one by one, and those that freeze some themselves.
    """
    dropout = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
    drops = any(isinstance(part, dropout) and part.p > 0 for part in module.modules())
    trained = all(parameter.requires_grad for parameter in module.parameters())
    return trained and not drops and not list(module.buffers())


def stackable(trial: Trial, module: nn.Module) -> bool:
    """Whether the trial, of which ``module`` is a model, may be trained in a stack."""
    return OPTIMIZERS.get(trial.optimizer).stackable and can_stack(module)


def stacks_alone(module: nn.Module) -> bool:
    """Whether one model of this shape, too, is trained as a stack: of one.

    It costs no more then, and what becomes of a model does not depend on its stack. Others are
    faster as the modules that they are.
    """
    return can_stack(module) and batched_forward(module) is not None


def of_one(module: nn.Module) -> Forward:
    """The forward pass of a model whose parameters are given, without a leading K."""
    skeleton = module.to("meta")  # its own parameters are never used
    names = [name for name, _ in skeleton.named_parameters()]

    def run(parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        own = {name: parameters[name] for name in names}
        logits: Tensor = functional_call(skeleton, own, (inputs,))
        return logits

    return run


def by_vmap(module: nn.Module) -> Forward:
    """The forward pass of K models of any shape that ``can_stack``."""
    forward: Forward = vmap(of_one(module))
    return forward


def in_turn(module: nn.Module) -> Forward:
    """Run one model after the other, for autocast: inside ``vmap`` it misses convolutions.

    (They stay in float32: seen with torch 2.14; see pytorch/pytorch#105442.)
    """
    run = of_one(module)

    def forward(parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        rows = zip(*(values.unbind() for values in parameters.values()), strict=True)
        each = [dict(zip(parameters, row, strict=True)) for row in rows]
        return torch.stack([run(*one) for one in zip(each, inputs, strict=True)])

    return forward


class Stack:
    """K models in one matrix of parameters. See ``oodbench.training.models.Models``.

    Args:
        modules: Modules of one shape.
        device: Device of the models.
        precision: Precision of the trials.
        shares: How many models in a row see the same inputs, which are then given once: (U, G, B,
            *shape). By default each model sees its own.
        order: Positions of the parameters as they are to lie in a row; by default as they are.
    """

    def __init__(
        self,
        modules: Sequence[nn.Module],
        device: torch.device,
        precision: str,
        shares: Sequence[int] = (),
        order: Sequence[int] = (),
    ) -> None:
        named = [dict(module.named_parameters()) for module in modules]
        self._names = list(named[0])
        self._order = list(order) or list(range(len(self._names)))
        names = [self._names[position] for position in self._order]
        rows = [torch.cat([row[n].detach().flatten() for n in names]) for row in named]
        self._rows = torch.stack(rows).to(device, DTYPES[precision])
        self._grads = torch.zeros_like(self._rows)
        self._shapes = {name: named[0][name].shape for name in names}
        self._stacked = {name: p.requires_grad_() for name, p in self._views(self._rows).items()}
        self._stacked_grads = self._views(self._grads)
        self._learning = list(self._stacked)  # names of what has gradients
        self._given: dict[int, list[Given]] = {}
        self._starts = [0, *accumulate(shape.numel() for shape in self._shapes.values())]
        self._module = modules[0]  # only its structure is read
        self._precision, self._shares = precision, shares
        self._forward = self._forward_of(modules[0])
        self._parts: list[Forward] = []  # up to the features, and from there; made when asked for

    def _forward_of(self, module: nn.Module) -> Forward:
        """The forward pass of K models of this shape, or of a part of them, in their precision."""
        forward = batched_forward(module, self._shares)
        if forward is None:
            others = (in_turn if self._precision == BF16 else by_vmap)(module)

            def forward(parameters: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
                return others(parameters, spread(inputs, self._shares))

        return in_precision(forward, self._precision)

    def _views(self, rows: Tensor) -> dict[str, Tensor]:
        """Each parameter as a view of the matrix (K, *shape) or of one row (*shape)."""
        views, start = {}, 0
        for name, shape in self._shapes.items():
            part = rows[..., start : start + shape.numel()]
            views[name] = part.view(*rows.shape[:-1], *shape).detach()
            start += shape.numel()
        return views

    def __call__(self, inputs: Tensor) -> Tensor:
        k, (groups, size) = len(self._rows), inputs.shape[1:3]
        return self._forward(self._stacked, inputs.flatten(1, 2)).view(k, groups, size, -1)

    def features(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        k, (groups, size) = len(self._rows), inputs.shape[1:3]
        if not self._parts:
            self._parts = [self._forward_of(part) for part in body_and_head(self._module)]
        body, head = self._parts
        features = body(self._stacked, inputs.flatten(1, 2))
        logits = head(self._stacked, features)
        return features.view(k, groups, size, -1), logits.view(k, groups, size, -1)

    def predict(self, inputs: Tensor) -> Tensor:
        return self._forward(self._stacked, inputs.expand(len(self._rows), *inputs.shape))

    def backward(self, losses: Tensor, add: bool = False) -> None:
        # One model's loss does not depend on another's parameters: the gradient of the sum is all.
        learning = [self._stacked[n] for n in self._learning]
        grads = torch.autograd.grad(losses, learning, torch.ones_like(losses))
        if len(grads) == len(self._stacked) and not add:
            torch.cat([grad.flatten(1) for grad in grads], 1, out=self._grads)
            return
        for name, grad in zip(self._learning, grads, strict=True):
            its_place = self._stacked_grads[name]
            _ = its_place.add_(grad) if add else its_place.copy_(grad)

    def clip(self, max_norm: float) -> None:
        norms = torch.linalg.vector_norm(self._grads, dim=1, keepdim=True)
        self._grads.mul_((max_norm / (norms + CLIP_EPS)).clamp_(max=1.0))

    def vectors(self) -> tuple[Tensor, Tensor]:
        return self._rows.detach(), self._grads

    def set_gradients(self, rows: Tensor) -> None:
        self._grads.copy_(rows)

    def set_weights(self, rows: Tensor) -> None:
        self._rows.copy_(rows)

    def memory(self) -> list[Tensor]:
        return [self._rows]

    def norms(self) -> list[_BatchNorm]:
        return []

    def buffers(self) -> Tensor:
        return self._rows.new_empty(len(self._rows), 0)

    def set_buffers(self, rows: Tensor) -> None:
        pass

    def generators(self) -> list[Mapping[str, Tensor]]:
        return []

    def set_generators(self, states: Sequence[Mapping[str, Tensor]]) -> None:
        pass

    def parameters_of(
        self, model: int, flat: bool, groups: Sequence[Sequence[int]]
    ) -> list[list[Tensor]]:
        given = [list(self._given_of(model, flat, group)) for group in groups]
        self._given[model] = [one for group in given for one in group]
        self._hand_out(self._given[model])
        return [[one.view for one in group] for group in given]

    def _given_of(self, model: int, flat: bool, group: Sequence[int]) -> Iterator[Given]:
        """The views of one group, in the order in which they lie in the row."""
        wanted, shapes = set(group), list(self._shapes.items())
        places = [place for place, position in enumerate(self._order) if position in wanted]
        for first, last in runs(places) if flat else zip(places, places, strict=True):
            span = slice(self._starts[first], self._starts[last + 1])
            shape = (-1,) if flat else shapes[first][1]
            parts = [rows[model, span].detach().view(shape) for rows in (self._rows, self._grads)]
            yield Given(shapes[first][0], *parts)

    def _hand_out(self, given: Sequence[Given]) -> None:
        """Show optimizers the gradients of what has some: they leave the others alone."""
        learning = set(self._learning)
        for one in given:
            one.view.grad = one.grad if one.name in learning else None

    def train_only(self, positions: Collection[int]) -> None:
        wanted = {self._names[position] for position in positions}
        self._learning = [name for name in self._stacked if name in wanted]
        for name, parameters in self._stacked.items():
            parameters.requires_grad_(name in wanted)
        for given in self._given.values():
            self._hand_out(given)

    def finite(self) -> Tensor:
        smallest, largest = self._rows.aminmax(dim=1)  # NaN goes through both
        return smallest.isfinite() & largest.isfinite()

    def intact(self, model: int) -> bool:
        learning = set(self._learning)
        return all(one.intact(one.name in learning) for one in self._given[model])

    def state(self, model: int) -> dict[str, Tensor]:
        return {name: view.clone() for name, view in self._views(self._rows[model]).items()}

    def load_state(self, model: int, state: Mapping[str, Tensor]) -> None:
        for name, view in self._views(self._rows[model]).items():
            view.copy_(state[name])
