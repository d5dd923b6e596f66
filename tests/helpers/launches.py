"""How many kernels a GPU would be asked to start, and how often its host would wait, seen on a CPU.

What is counted are torch's operators. A host also waits where it copies between the GPU and memory
that is not pinned; on a CPU that does not show.
"""

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

FREE = ("empty", "new_empty", "set_", "resize_", "detach", "lift_fresh")
"""Operators beside views that start nothing: how their names begin."""
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "unique", "bincount")
"""Operators whose results the host needs: how their names begin."""


class Launches(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts within ``with Launches() as seen``.

    Attributes:
        launches: Of kernels, about.
        waits: Of the host.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.launches = self.waits = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.__name__.partition(".")[0]
        self.waits += name.startswith(WAITS) or (name.startswith("index") and masked(args))
        self.launches += not (func.is_view or name.startswith(FREE))
        return func(*args, **(kwargs or {}))


def masked(args: Any) -> bool:
    """Whether an index among the arguments is a mask, of which the size is not known."""
    indices = [one for given in args if isinstance(given, list) for one in given]
    return any(isinstance(one, torch.Tensor) and one.dtype == torch.bool for one in indices)
