"""The step of a stack's models, taken by all together whose optimizers are ``cases`` of one update.

Starting a kernel takes a GPU's host as long as a small model's own optimizer takes the GPU. Where
each model has its own, kernels grow with the models; here are fourteen, however many there are.
The optimizers are still there: their groups hold the hyperparameters, and they get their states
when these are asked for. On a CPU a fused kernel for each model is faster (``stepping``).
"""

from collections.abc import Collection, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from oodbench.optimizers.rules.sam import TINY, Sam
from oodbench.training.fast.cases import NEUTRAL, Case, Values, case_of
from oodbench.training.fast.stepping import is_plain, stepper
from oodbench.training.inputs.stored import send

Memory = tuple[Tensor, Tensor]
"""The (K, P) weights of a stack and their gradients."""


def pays(device: torch.device) -> bool:
    """Whether steps that are taken together are faster there."""
    return device.type == "cuda"


class Together:
    """The models whose optimizers are plain cases, or those of which all are SAM around one.

    What differs from step to step is sent to the device by ``prepare``; all else of a step is
    kernels on memory that stays where it is.

    Args:
        memory: Memory of the stack.
        optimizers: Model -> its optimizer.
        before: What stepped them until now; their moments are taken from there, else from the
            optimizers.
    """

    def __init__(
        self, memory: Memory, optimizers: dict[int, Optimizer], before: "Together | None"
    ) -> None:
        self.place = {model: i for i, model in enumerate(optimizers)}
        self._memory, self._given = memory, list(optimizers.values())
        self._bases = [o.base if isinstance(o, Sam) else o for o in self._given]
        self._cases = [found for o in self._bases if (found := case_of(o))]
        weights, n = memory[0], len(self._given)
        whole = n == len(weights)  # models are numbered in order
        self._rows = None if whole else torch.tensor(list(optimizers), device=weights.device)
        self._m = weights.new_zeros(n, weights.shape[1])
        adaptive = any(case.v for case in self._cases)
        self._v = torch.zeros_like(self._m) if adaptive else self._m[:0]
        self._bounded = any(case.rooted for case in self._cases)
        self._steps, self._products = np.zeros(n), np.ones(n)
        self._table = weights.new_empty(len(NEUTRAL) + 1, n, 1)  # numbers of a step, SAM's radii
        self._take_states(before)
        self.read()

    def _take_states(self, before: "Together | None") -> None:
        """Where each model's optimizer had come."""
        old = before.place if before else {}
        kept = [(i, old[model]) for model, i in self.place.items() if model in old]
        if before and kept:
            to, source = (torch.tensor(places) for places in zip(*kept, strict=True))
            self._steps[to], self._products[to] = before._steps[source], before._products[source]
            to, source = to.to(self._m.device), source.to(self._m.device)
            self._m[to] = before._m[source]
            if len(before._v) and len(self._v):
                self._v[to] = before._v[source]
        for model, i in self.place.items():
            if model in old:
                continue
            case, state = self._cases[i], self._bases[i].state[parameter_of(self._bases[i])]
            for name, moments in ((case.m, self._m), (case.v, self._v)):
                if state.get(name) is not None:
                    moments[i].copy_(state[name])
            if case.rooted:
                self._v[i].square_()
            self._steps[i] = float(state.get("step", 0))
            self._products[i] = float(state.get("mu_product", 1))

    def write_states(self) -> None:
        """Give the optimizers their states, as their own steps would have left them."""
        for i, (case, optimizer) in enumerate(zip(self._cases, self._bases, strict=True)):
            p, group = parameter_of(optimizer), optimizer.param_groups[0]
            where = p.device if group.get("fused") else "cpu"
            counted = {"step": self._steps[i], "mu_product": self._products[i]}
            state: dict[str, Any] = optimizer.state[p]
            if case.m and group.get("momentum") != 0:  # SGD without it remembers nothing
                state[case.m] = self._m[i].clone()
            if case.v:
                state[case.v] = self._v[i].sqrt() if case.rooted else self._v[i].clone()
                names = ("step", "mu_product") if "momentum_decay" in group else ("step",)
                state |= {
                    n: torch.tensor(counted[n], dtype=torch.float32, device=where) for n in names
                }

    def read(self) -> None:
        """Read the hyperparameters of the stacked optimizers."""
        groups = [optimizer.param_groups[0] for optimizer in self._bases]
        self._parts: list[tuple[Case, Any, dict[str, Values]]] = []
        for case in dict.fromkeys(self._cases):
            where = np.array([i for i, own in enumerate(self._cases) if own == case])
            h = {name: np.array([groups[i][name] for i in where], float) for name in case.hparams}
            if "betas" in h:
                h["beta1"], h["beta2"] = h.pop("betas").T
            self._parts.append((case, where, h | {"mu_product": self._products[where]}))
        self._radii = np.array([o.rho if isinstance(o, Sam) else 0.0 for o in self._given])

    def prepare(self) -> None:
        """Send the numbers of the next step; nobody waits for it."""
        self._steps += 1
        neutral, names = np.array(list(NEUTRAL.values())), list(NEUTRAL)
        table = np.vstack([np.tile(neutral[:, None], (1, len(self._steps))), self._radii])
        for case, where, h in self._parts:
            for name, values in case.numbers(h, self._steps[where]).items():
                table[names.index(name), where] = values
            self._products[where] = h["mu_product"]
        send(torch.from_numpy(table).to(self._table.dtype).unsqueeze(-1), self._table)

    def _read_rows(self) -> Memory:
        """The models' weights and gradients: the memory itself if they are all, else copies."""
        if self._rows is None:
            return self._memory
        weights, gradients = (of.index_select(0, self._rows) for of in self._memory)
        return weights, gradients

    def _write_rows(self, weights: Tensor) -> None:
        if self._rows is not None:
            self._memory[0].index_copy_(0, self._rows, weights)

    def step(self) -> None:
        """Take the step of all that was prepared; to be called where gradients are off."""
        decay, shrink, keep_m, new_m, keep_v, new_v, *rest = self._table.unbind()
        of_abs, floor, of_m, of_g, eps, _ = rest
        w, g = self._read_rows()
        g = torch.addcmul(g, w, decay)
        w.mul_(shrink)
        self._m.mul_(keep_m).addcmul_(g, new_m)
        move = torch.addcmul(self._m * of_m, g, of_g)
        if len(self._v):
            self._v.mul_(keep_v).addcmul_(g * new_v, g)
            if self._bounded:
                bound = torch.addcmul(floor, g.abs(), of_abs).square_()
                torch.maximum(self._v, bound, out=self._v)
            w.addcdiv_(move, self._v.sqrt().add_(eps))
        else:
            w.add_(move)
        self._write_rows(w)

    def passes(self) -> Iterator[None]:
        """A step of SAM: see ``oodbench.optimizers.rules.sam``."""
        w, g = self._read_rows()
        here = w.clone()
        scale = self._table[-1] / (torch.linalg.vector_norm(g, dim=1, keepdim=True) + TINY)
        self._write_rows(w.addcmul_(g, scale))
        yield
        if self._rows is None:
            w.copy_(here)
        self._write_rows(here)
        self.step()


def parameter_of(optimizer: Optimizer) -> Tensor:
    """The one parameter of an optimizer."""
    parameter: Tensor = optimizer.param_groups[0]["params"][0]
    return parameter


class Steps:
    """Takes the steps of K models' optimizers.

    Args:
        optimizers: Optimizers of the models; read anew, as the loop may build them anew.
        memory: Memory of the stack that they are, if their steps may be taken together.
    """

    def __init__(self, optimizers: Sequence[Optimizer], memory: Memory | None) -> None:
        self._optimizers, self._memory = optimizers, memory
        self._steppers = [stepper(optimizer) for optimizer in optimizers]
        self._groups: dict[bool, Together] = {}  # whether SAM is around them -> the models
        self._alone: list[int] = []  # whose own optimizers step
        self._grouped: frozenset[int] | None = None  # who was idle when they were grouped
        self.grouping = 0  # how often they were grouped

    def renew(self, model: int) -> None:
        """A model has a new optimizer."""
        self._steppers[model] = stepper(self._optimizers[model])
        for group in self._groups.values():
            group.place.pop(model, None)
        self._grouped = None

    def read(self) -> None:
        """Read the hyperparameters again after a change."""
        for group in self._groups.values():
            group.read()

    def write_states(self) -> None:
        """Let each optimizer have its state."""
        for group in self._groups.values():
            group.write_states()

    @property
    def together(self) -> bool:
        """Whether those that are prepared are taken together, all of them."""
        return bool(self._groups) and not self._alone

    def prepare(self, idle: Collection[int]) -> None:
        """Get ready for the next step of all models but the idle ones."""
        if self._grouped != frozenset(idle):
            self._group(idle)
        for group in self._groups.values():
            group.prepare()

    def __call__(self) -> list[Any]:
        """Take the step that was prepared; to be called where gradients are off.

        Returns:
            What each gave: generators of those that re-evaluate, see ``stepping.stepper``.
        """
        taken: list[Any] = []
        for sam, group in self._groups.items():
            if sam:
                taken.append(group.passes())
            else:
                group.step()
        return [*taken, *(self._steppers[model]() for model in self._alone)]

    def _group(self, idle: Collection[int]) -> None:
        models = [m for m in range(len(self._optimizers)) if m not in idle and self._joins(m)]
        before, self._groups = self._groups, {}
        for sam in (False, True):
            found = {m: self._optimizers[m] for m in models}
            found = {m: o for m, o in found.items() if isinstance(o, Sam) == sam}
            if self._memory and found:
                self._groups[sam] = Together(self._memory, found, before.get(sam))
        together = {model for group in self._groups.values() for model in group.place}
        self._alone = [
            m for m in range(len(self._optimizers)) if m not in together and m not in idle
        ]
        self._grouped, self.grouping = frozenset(idle), self.grouping + 1

    def _joins(self, model: int) -> bool:
        """Whether a model's optimizer is a case, of the whole of its row, left as it was built."""
        given = self._optimizers[model]
        optimizer = given.base if isinstance(given, Sam) else given
        if self._memory is None or not is_plain(optimizer) or case_of(optimizer) is None:
            return False
        p = parameter_of(optimizer)
        alone = len(optimizer.param_groups) == len(optimizer.param_groups[0]["params"]) == 1
        if not alone or p.grad is None:
            return False
        places = (p.data_ptr(), p.grad.data_ptr(), p.numel())
        rows = [of[model] for of in self._memory]
        return places == (rows[0].data_ptr(), rows[1].data_ptr(), rows[0].numel())
