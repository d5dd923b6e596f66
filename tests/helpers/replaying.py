"""What a CUDA graph does, on a CPU: operators are recorded and then carried out again.

They read and write the same memory each time, and no line of Python runs but for them. As on a GPU,
recording changes nothing, and what would wait for the device cannot be recorded.
"""

from collections.abc import Callable
from typing import Any

import torch
from launches import WAITS
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the operators within ``with Recorder() as recorded``."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.calls: list[tuple[Any, Any, Any, Any]] = []
        self._before: list[tuple[Tensor, Tensor]] = []  # what was written to, as it was

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__.startswith(WAITS):
            raise RuntimeError(f"{func} waits, which is not permitted when a stream is capturing.")
        given = kwargs or {}
        for place, argument in enumerate(func._schema.arguments):
            if argument.is_write:
                one = given.get(argument.name, args[place] if place < len(args) else None)
                self._before += [(t, t.clone()) for t in tree_leaves(one) if t is not None]
        result = func(*args, **given)
        self.calls.append((func, args, given, result))
        return result

    def undo(self) -> None:
        """Put back what was there."""
        for tensor, before in reversed(self._before):
            tensor.copy_(before)
        self._before.clear()

    def replay(self) -> None:
        """Carry all of it out again; results lie where they lay."""
        for func, args, kwargs, result in self.calls:
            if func.is_view:
                continue
            found = func(*args, **kwargs)
            aliases = [one.alias_info is not None for one in func._schema.returns]
            if not any(aliases):
                pairs = zip(tree_leaves(result), tree_leaves(found), strict=True)
                for place, value in pairs:
                    if isinstance(place, Tensor):
                        place.copy_(value)


def capture(update: Callable[..., Tensor], given: list[Tensor]) -> Callable[[], Tensor]:
    """``oodbench.training.fast.capturing.capture`` on a CPU."""
    with Recorder() as recorded:
        losses = update(*given)
    with torch.no_grad():
        recorded.undo()

    def replay() -> Tensor:
        with torch.no_grad():
            recorded.replay()
        return losses

    return replay
