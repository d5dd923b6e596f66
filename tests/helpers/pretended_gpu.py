"""For pytest: tests on a pretend CUDA device. See ``make test-pretend-gpu``.

Its module ``pretend_cuda``, which is no part of oodbench, gives tensors whose device is ``cuda:0``
and whose memory is the host's. It shows that code is right about devices, never that a GPU works.
"""

from contextlib import nullcontext
from importlib import import_module
from typing import Any

import pytest
import torch

LACKING = {
    "compiled": "nothing is compiled for it",
    "captured": "it has no CUDA graphs",
    "tf32": "it does not round to TF32",
    "peak": "it does not forget its peak of memory",
    "full": "its memory has no bound",
    "pinned": "other processes do not see it",
    "nccl": "it has no NCCL",
}
"""A word in the name of a test that it cannot pass -> why not."""

built, empty = torch.__config__.show(), torch.empty
import_module("pretend_cuda").install()
torch.__config__.show = lambda: built  # torch would ask CUDA's library for more
torch.cuda.stream = nullcontext  # type: ignore[assignment]  # there is but one


def unpinned(*size: Any, pin_memory: bool = False, **options: Any) -> torch.Tensor:
    """``torch.empty``, for a device whose memory is the host's."""
    return empty(*size, **options)


torch.empty = unpinned  # type: ignore[assignment]


def cloned(self: torch.UntypedStorage) -> torch.UntypedStorage:
    """``torch.UntypedStorage.clone``, which takes its memory where no operator is asked."""
    return empty(0, dtype=torch.uint8, device=self.device).set_(self).clone().untyped_storage()


torch.UntypedStorage.clone = cloned  # type: ignore[assignment]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what it cannot show."""
    for item in items:
        words = item.name.partition("[")[0].split("_")
        for word in LACKING.keys() & set(words):
            item.add_marker(pytest.mark.skip(f"a pretend GPU: {LACKING[word]}"))
