"""Which examples each model sees at each step: a function of its seed and the step, nothing else.

Draws are with replacement: the IRM penalty is unbiased only then. They are made in blocks of steps,
each block from its own stream, so a run may start at any step and evaluation disturbs nothing.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodbench.seeds import stream
from oodbench.training.inputs.balancing import Strata

BLOCK = 64
"""Steps drawn at once. Part of the protocol: another value gives other batches."""


class Batches:
    """Batch indices for models that each have their own seed.

    Args:
        sizes: Number of training examples in each training environment, in order; indices count
            through their concatenation.
        batch: ``{"per_environment": n}``: n from every environment. ``{"size": n,
            "environments": m}``: n / m from each of m environments, drawn anew each step.
            ``{"size": n}``: n from all environments pooled.
        seeds: Seeds of these K models.
        device: Where the indices go.
        labels: (n,) of the training examples; they are read only to balance.
        balance: See ``oodbench.records.Trial``.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch: Mapping[str, int],
        seeds: Sequence[int],
        device: torch.device,
        labels: Tensor | None = None,
        balance: str = "none",
    ) -> None:
        self._strata: Strata | None = None
        if balance != "none":
            assert labels is not None
            pooled = not {"per_environment", "environments"} & set(batch)
            self._strata = Strata(labels.cpu().numpy(), sizes, balance, pooled)
        self._sizes = np.array(sizes)
        self._starts = np.array([0, *accumulate(sizes)][:-1])
        self._batch, self._seeds, self._device = batch, seeds, device
        self._number, self._block = -1, torch.empty(0)

    def at(self, step: int) -> Tensor:
        """(K, G, B) indices: G groups of B examples for each model. See ``Algorithm.losses``."""
        number, position = divmod(step, BLOCK)
        if number != self._number:
            drawn = np.stack([self._draw(seed, number) for seed in self._seeds], axis=1)
            self._block = torch.from_numpy(drawn).to(self._device)
            self._number = number
        return self._block[position]

    def _draw(self, seed: int, number: int) -> NDArray[np.int64]:
        """(BLOCK, G, B) indices for one seed."""
        if "per_environment" in self._batch:
            shape = (BLOCK, self._batch["per_environment"])
            groups = [
                self._of(environment, shape, stream(seed, "batches", environment, number))
                for environment in range(len(self._sizes))
            ]
            return np.stack(groups, axis=1)
        total, generator = self._batch["size"], stream(seed, "batches", "all", number)
        if "environments" not in self._batch:
            if self._strata:
                return self._strata.at(0, *generator.random((2, BLOCK, 1, total)))
            return generator.integers(self._sizes.sum(), size=(BLOCK, 1, total))
        wanted = self._batch["environments"]
        order = generator.random((BLOCK, len(self._sizes))).argsort(axis=1)[:, :wanted, None]
        u = generator.random((BLOCK, wanted, total // wanted))
        if self._strata:
            return self._strata.at(order, u, generator.random(u.shape))
        indices: NDArray[np.int64] = self._starts[order] + (u * self._sizes[order]).astype(np.int64)
        return indices

    def _of(
        self, environment: int, shape: tuple[int, int], generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """Indices of this shape, all of one environment."""
        if self._strata:
            return self._strata.at(environment, *generator.random((2, *shape)))
        drawn = generator.integers(self._sizes[environment], size=shape)
        indices: NDArray[np.int64] = self._starts[environment] + drawn
        return indices
