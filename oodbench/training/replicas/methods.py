"""DDP, Local SGD, DiLoCo and PALSGD: one algorithm, whatever the replicas run on.

It is written on an (n, P) matrix, the weights of those of a trial's K replicas that are here, and
on the mean over all K. In a simulation n = K; in a process of its own, n = 1.

    the first sync_warmup steps:  gradients averaged; then the anchor z is where all replicas are
    every later step, on each replica x:
        with probability p:       x <- x - c (x - z), with c = lr * mixing / p;  no gradient
        else:                     a step of the inner optimizer at the rate lr / (1 - p)
    after every sync_every steps: z <- outer step from z along mean(z - x);  x <- z

Source: Naganuma et al. 2025 (PALSGD), as intended; where the official code does something else, it
is an option of ``oodbench.training.replicas.settings``.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from oodbench.errors import OodbenchError
from oodbench.optimizers.replicated import pseudo_step_told
from oodbench.seeds import stream
from oodbench.training.replicas.settings import Settings

BLOCK = 64
"""Coins drawn at once. Part of the protocol: another value gives other coins."""


class Seconds(NamedTuple):
    """What one replica spent on the others: until the slowest was there; until all had the mean."""

    waiting: float
    communication: float


class Group(Protocol):
    """The replicas of a trial, wherever they are."""

    @property
    def engine(self) -> str:
        """What reports call it: ``simulation`` or ``processes``."""

    @property
    def here(self) -> range:
        """Numbers of the replicas that are here."""

    @property
    def seconds(self) -> Seconds | None:
        """What ``exchange`` took so far; None where nothing is sent, or its time is not taken."""

    def mean(self, rows: Tensor) -> Tensor:
        """The (P,) mean over all replicas; (n, P) are the rows of those here."""

    def exchange(self, rows: Tensor) -> Tensor:
        """``mean``, as a part of training: its time is taken."""

    def least(self, value: int) -> int:
        """The smallest of what is given wherever there are replicas."""


class Simulated:
    """All replicas in this process: the simulation.

    Args:
        replicas: How many.
    """

    engine, seconds = "simulation", None

    def __init__(self, replicas: int) -> None:
        self.here = range(replicas)

    def mean(self, rows: Tensor) -> Tensor:
        """The mean of the rows."""
        return rows.mean(0)

    exchange = mean

    def least(self, value: int) -> int:
        """The value itself: there is only one replica."""
        return value


class Replicas:
    """The replicas of one trial: what they do beside the steps of their own optimizers.

    Args:
        settings: Settings of the method.
        group: Group of the trial's replicas.
        seed: Seed of the trial; the coins depend on it.
        weights: (P,) where all replicas begin.
        first: Numbers in the first tensor of the model.

    Attributes:
        anchor: (P,) the last weights that all replicas agreed on.
        all_reduces: How many vectors were averaged over the replicas.
        bytes: Bytes in these vectors. What travels depends on how an all-reduce is done: in a ring
            each replica sends 2 (K - 1) / K times as much.
    """

    def __init__(
        self, settings: Settings, group: Group, seed: int, weights: Tensor, first: int
    ) -> None:
        self.settings, self._group, self._seed, self._first = settings, group, seed, first
        self.anchor = weights.detach().clone()
        self._outer = outer_optimizer(settings, self.anchor)
        self._coins: dict[int, list[list[bool]]] = {}  # of the last block asked for
        self.all_reduces = self.bytes = 0

    def mean(self, rows: Tensor) -> Tensor:
        """The result of ``Group.exchange``; counts the calls and the bytes."""
        self.all_reduces += 1
        self.bytes += rows.shape[1] * rows.element_size()
        return self._group.exchange(rows)

    def check(self, lr: float) -> None:
        """Raise OodbenchError if a pseudo-step at this learning rate is outside 0 < c <= 1."""
        s = self.settings
        if s.probability > 0 and not 0 < s.pseudo_step(lr) <= 1:
            raise OodbenchError(pseudo_step_told(lr, s.mixing, s.probability))

    def resting(self, step: int) -> list[bool]:
        """Which of the replicas here take a pseudo-step; never at the first step after warm-up."""
        if self.settings.probability == 0 or step <= self.settings.sync_warmup:
            return [False] * len(self._group.here)
        number, position = divmod(step, BLOCK)
        if number not in self._coins:
            shared = self.settings.coins == "shared"
            streams = [0 if shared else replica for replica in self._group.here]
            draws = (stream(self._seed, "coins", i, number).random(BLOCK) for i in streams)
            self._coins = {number: [list(d < self.settings.probability) for d in draws]}
        return [bool(coins[position]) for coins in self._coins[number]]

    def rate(self, step: int, lr: float) -> float:
        """The learning rate of the inner optimizers where the schedule says ``lr``."""
        return lr if step < self.settings.sync_warmup else lr / (1 - self.settings.probability)

    def average(self, gradients: Tensor) -> None:
        """Put the mean over all replicas in place of the (n, P) gradients."""
        gradients.copy_(self.mean(gradients).expand_as(gradients))

    def pull(self, row: Tensor, lr: float) -> None:
        """A pseudo-step of one replica, in place."""
        part = slice(self._first) if self.settings.scope == "first_tensor" else slice(None)
        row[part].lerp_(self.anchor[part], self.settings.pseudo_step(lr))

    def after(self, step: int, rows: Tensor, optimizers: Sequence[torch.optim.Optimizer]) -> bool:
        """Agree on an anchor, if it is time to.

        Args:
            step: That was just taken, counted from 0.
            rows: (n, P) weights of the replicas here, changed in place.
            optimizers: Optimizers of the replicas.

        Returns:
            Whether the weights were changed.
        """
        if step + 1 == self.settings.sync_warmup:
            self.anchor.copy_(rows[0])
        if not self.settings.agrees_after(step):
            return False
        self.anchor.grad = self.mean(self.anchor - rows)
        self._outer.step()
        self.anchor.grad.zero_()
        for _ in range(self.settings.coasting):
            self._outer.step()
        rows.copy_(self.anchor.expand_as(rows))
        if self.settings.inner_state == "average":
            self._average_moments(optimizers)
        return True

    def _average_moments(self, optimizers: Sequence[torch.optim.Optimizer]) -> None:
        moments = [moments_of(optimizer) for optimizer in optimizers]
        if not moments[0]:
            return
        mean = self.mean(torch.stack([torch.cat([m.flatten() for m in own]) for own in moments]))
        for own in moments:
            parts = torch.split(mean, [m.numel() for m in own])
            for moment, part in zip(own, parts, strict=True):
                moment.copy_(part.view_as(moment))


def moments_of(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    """What an optimizer remembers of each weight: not its counters."""
    states: list[dict[str, Any]] = [
        optimizer.state[p] for group in optimizer.param_groups for p in group["params"]
    ]
    values = (value for state in states for _, value in sorted(state.items()))
    return [v for v in values if isinstance(v, Tensor) and v.is_floating_point() and v.ndim > 0]


def outer_optimizer(settings: Settings, anchor: Tensor) -> torch.optim.Optimizer:
    """The optimizer that moves the anchor, whose gradient is the mean of z - x."""
    if settings.outer == "adam":
        return torch.optim.Adam([anchor], lr=settings.outer_lr)
    momentum = 0.0 if settings.outer == "sgd" else settings.outer_momentum
    nesterov = settings.outer == "nesterov" and momentum > 0
    return torch.optim.SGD([anchor], settings.outer_lr, momentum, nesterov=nesterov)
