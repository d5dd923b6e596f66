"""Examples drawn so that each class, environment, or class of an environment is equally likely.

An example of a stratum with n of them has the weight 1 / n. These are weights of sampling, not of
the loss: their expected loss is the weighted one, and every algorithm takes the examples as they
come.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class Strata:
    """The strata of the training examples of one or several pools.

    Args:
        labels: (n,) of all training examples, environment after environment.
        sizes: Number of examples of each environment.
        balance: Whose shares are made equal, see ``oodbench.records.Trial``; not ``none``.
        pooled: Whether all environments are one pool; else each is a pool.
    """

    def __init__(
        self, labels: NDArray[np.int64], sizes: Sequence[int], balance: str, pooled: bool
    ) -> None:
        environment = np.repeat(np.arange(len(sizes)), sizes)
        zeros = np.zeros_like(environment)
        pool = zeros if pooled else environment
        keys = [
            pool,
            environment if "environments" in balance else zeros,
            labels if "classes" in balance else zeros,
        ]
        found, which = np.unique(np.stack(keys, axis=1), axis=0, return_inverse=True)
        which = which.reshape(-1)
        self._order = np.argsort(which, kind="stable")
        self._sizes = np.bincount(which)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._of_pool = np.bincount(found[:, 0])
        self._first = np.cumsum(self._of_pool) - self._of_pool

    def at(
        self, pools: NDArray[np.int64] | int, stratum: NDArray[np.float64], u: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Which examples numbers in [0, 1) stand for, as indices through all training examples.

        Args:
            pools: Pool of each example, broadcast with the others.
            stratum: Which stratum of the pool.
            u: Which of its examples.
        """
        chosen = self._first[pools] + (stratum * self._of_pool[pools]).astype(np.int64)
        within = (u * self._sizes[chosen]).astype(np.int64)
        result: NDArray[np.int64] = self._order[self._starts[chosen] + within]
        return result
