"""Which examples DomainBed draws for ``--seed`` and ``--trial_seed``, index by index.

From facebookresearch/DomainBed at b93c22a: ``MultipleEnvironmentMNIST`` in ``datasets.py``,
``seed_hash`` and ``split_dataset`` in ``lib/misc.py``, and their use in ``scripts/train.py``.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.dealing import Indices
from oodbench.errors import RequestError

HOLDOUT = 0.2
"""``--holdout_fraction``, at its default: the share of ``out``."""


@dataclass(frozen=True)
class Seeds:
    """DomainBed's ``--seed`` (of the tensors) and ``--trial_seed`` (of the splits)."""

    seed: int
    trial_seed: int

    @classmethod
    def from_option(cls, dataset: str, value: Any) -> "Seeds":
        """Check the option ``domainbed: {seed: 0, trial_seed: 0}``."""
        names = {"seed", "trial_seed"}
        if not isinstance(value, Mapping) or set(value) != names:
            given = value
        else:
            given = next((v for v in value.values() if type(v) is not int or v < 0), None)
            if given is None:
                return cls(**value)
        raise RequestError(
            f"{dataset}: domainbed needs {{seed: s, trial_seed: t}}, two whole numbers >= 0, "
            f"but got {given!r}."
        )


def seed_hash(*args: object) -> int:
    """DomainBed's own: 31 bits of the md5 of the arguments' text."""
    digest = hashlib.md5(str(args).encode(), usedforsecurity=False).hexdigest()
    return int(digest, 16) % 2**31


def in_out(n: int, trial_seed: int, environment: int) -> tuple[Indices, Indices]:
    """The indices of the ``in`` and the ``out`` split of an environment's n examples, in order.

    DomainBed goes on to shuffle the ``in`` split of a test environment; it is only scored as a
    whole, so that order is left as it is here.
    """
    keys = np.arange(n)
    np.random.RandomState(seed_hash(trial_seed, environment)).shuffle(keys)
    end = int(n * HOLDOUT)
    return keys[end:], keys[:end]


class Draws:
    """The draws that DomainBed makes for an MNIST dataset, in its order.

    It seeds torch's global generator; a generator of our own gives the same stream.

    Args:
        seed: DomainBed's ``--seed``.
    """

    def __init__(self, seed: int) -> None:
        import torch

        self._generator = torch.Generator().manual_seed(seed)

    def order(self, n: int) -> Indices:
        """``torch.randperm(n)``; environment i of m has every m-th of it, from the i-th on."""
        import torch

        return torch.randperm(n, generator=self._generator).numpy()

    def bernoulli(self, p: float, n: int) -> NDArray[np.bool_]:
        """Draws ``torch.rand(n) < p``, as DomainBed does."""
        import torch

        return (torch.rand(n, generator=self._generator) < p).numpy()
