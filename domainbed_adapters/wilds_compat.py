"""The package wilds 2.0.0, unmodified, beside current pandas and without torch_scatter.

Imported late, and only by the adapters of its datasets. What is changed for it is changed while one
of its datasets is loaded or evaluated, and undone after:

- ``outdated``, which it would start in a thread that asks the network and can keep a process from
  ever exiting, cannot be imported; wilds then does without.
- ``torch_scatter``, which it does not require and cannot do without, is a few lines of torch.
- pandas: texts are objects and dates may have mixed formats, as when it was written.
- RxRx1 writes to an array that pandas now lends for reading alone: it gets a copy.
- Pillow's limit on the size of images, which it lifts when it is imported, stays.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

ABSENT = object()


def scatter(
    src: "Tensor", index: "Tensor", dim: int = -1, dim_size: int = 0, reduce: str = "sum"
) -> "Tensor":
    """``torch_scatter.scatter`` of (n,) numbers: their sums or means by index, 0 where none is."""
    import torch

    if src.dim() != 1 or index.dim() != 1 or reduce not in ("sum", "mean"):
        raise NotImplementedError("only sums and means of vectors, which is all that wilds needs")
    sums = src.new_zeros(dim_size).index_add_(0, index, src)
    if reduce == "sum":
        return sums
    return sums / torch.bincount(index, minlength=dim_size).clamp_(min=1).to(src.dtype)


class OldPandas:
    """pandas, with the texts and dates that wilds expects of it."""

    def __init__(self, pandas: Any) -> None:
        self._pandas = pandas

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pandas, name)

    def read_csv(self, *args: Any, **options: Any) -> Any:
        """Texts as objects: wilds writes integers among them."""
        frame = self._pandas.read_csv(*args, **options)
        texts = [name for name, kind in frame.dtypes.items() if isinstance(kind, self.StringDtype)]
        return frame.astype(dict.fromkeys(texts, object))

    def to_datetime(self, *args: Any, **options: Any) -> Any:
        """FMoW has dates with and without fractions of a second."""
        return self._pandas.to_datetime(*args, **{"format": "ISO8601", **options})


class Copied:
    """An attribute that keeps a copy of the array that it is set to."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._name] = np.array(value)

    def __get__(self, instance: Any, owner: type) -> Any:
        return self if instance is None else instance.__dict__[self._name]


@contextmanager
def replaced(name: str, module: ModuleType | None) -> Iterator[None]:
    """``module`` under this name while it lasts; None: it cannot be imported."""
    before: Any = sys.modules.get(name, ABSENT)
    sys.modules[name] = module  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is ABSENT:
            del sys.modules[name]
        else:
            sys.modules[name] = before


@contextmanager
def compatible(dataset: str) -> Iterator[Any]:
    """Inside, a dataset's module of wilds works; it is what is given.

    Args:
        dataset: Name in the package wilds, such as ``camelyon17``.
    """
    import PIL.Image

    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings(action="ignore"))
        stack.enter_context(patch.dict(os.environ))
        if "outdated" not in sys.modules:
            stack.enter_context(replaced("outdated", None))
        if find_spec("torch_scatter") is None:
            module = ModuleType("torch_scatter")
            module.scatter = scatter  # type: ignore[attr-defined]
            stack.enter_context(replaced("torch_scatter", module))
        limit = PIL.Image.MAX_IMAGE_PIXELS
        stack.enter_context(patch.object(PIL.Image, "MAX_IMAGE_PIXELS", limit))
        module = import_module(f"wilds.datasets.{dataset}_dataset")
        if hasattr(module, "pd"):
            stack.enter_context(patch.object(module, "pd", OldPandas(module.pd)))
        if dataset == "rxrx1":
            copied = Copied()
            copied.__set_name__(module.RxRx1Dataset, "_split_array")
            # only while it lasts: what an instance keeps is found without it
            create = patch.object(module.RxRx1Dataset, "_split_array", copied, create=True)
            stack.enter_context(create)
        yield module


def load(dataset: str, root: Path, *, released: bool = True, **options: Any) -> Any:
    """A dataset as wilds gives it, from files that are there.

    Args:
        dataset: Name in the package wilds.
        root: The folder that has the dataset's, which must be there: wilds would create it.
        released: The file ``RELEASE_v....txt`` must be there.
        options: More of the class's arguments.
    """
    with compatible(dataset), ExitStack() as stack:
        from wilds import get_dataset
        from wilds.datasets.wilds_dataset import WILDSDataset

        if not released:
            there = patch.object(WILDSDataset, "dataset_exists_locally", lambda *_: True)
            stack.enter_context(there)
        return get_dataset(dataset=dataset, root_dir=str(root), download=False, **options)
