"""Examples where they are kept, on the device or in a file, as floats when they are indexed."""

from dataclasses import dataclass
from threading import Lock

import numpy as np
import torch
from torch import Tensor

from oodbench.data import Rows

FEW = 64 * 2**20
"""Bytes of floats that a split may need to be kept as such."""
DECODING = Lock()
"""Held where images are decoded: that takes all cores by itself, and settings of all threads."""


@dataclass(frozen=True)
class Inputs:
    """Examples on the device, as floats when they are indexed.

    Bytes stay bytes until then where they are many: as floats they would need four times the
    memory, or eight.

    Attributes:
        stored: (n, *shape) bytes or floats.
        dtype: Type of the floats.
    """

    stored: Tensor
    dtype: torch.dtype

    def settled(self) -> "Inputs":
        """The inputs, converted to floats at once where these are few."""
        if self.stored.numel() * self.dtype.itemsize > FEW:
            return self
        return Inputs(as_floats(self.stored, self.dtype), self.dtype)

    @property
    def shape(self) -> torch.Size:
        """The shape (n, *shape) of the examples."""
        return self.stored.shape

    @property
    def place(self) -> torch.device:
        """Where indices are to be."""
        return self.stored.device

    def __getitem__(self, which: Tensor | slice) -> Tensor:
        """The chosen examples: (*indices, *shape) floats."""
        if isinstance(which, slice):
            return as_floats(self.stored[which], self.dtype)
        chosen = self.stored.index_select(0, which.flatten())
        return as_floats(chosen.view(*which.shape, *self.shape[1:]), self.dtype)


@dataclass(frozen=True)
class StoredInputs:
    """Examples that stay where they are stored, until they are indexed: only these are read.

    Attributes:
        rows: n examples.
        dtype: Type of the floats that they are brought to the device as.
        device: Device of the floats.
    """

    rows: Rows
    dtype: torch.dtype
    device: torch.device

    def settled(self) -> "StoredInputs":
        """The inputs themselves: they are too many to be kept as floats."""
        return self

    @property
    def shape(self) -> torch.Size:
        """The shape (n, *shape) of the examples."""
        return torch.Size(self.rows.shape)

    @property
    def place(self) -> torch.device:
        """Where indices are to be."""
        return torch.device("cpu")

    def __getitem__(self, which: Tensor | slice) -> Tensor:
        """The chosen examples: (*indices, *shape) floats."""
        return as_floats(self.as_stored(which), self.dtype)

    def as_stored(self, which: Tensor | slice) -> Tensor:
        """The chosen examples on the device, as the numbers that they are stored as.

        A GPU gets them from pinned memory, so that nobody waits until it has them.
        """
        rows = self.rows.rows[which if isinstance(which, slice) else which.cpu().numpy()]
        stored = self.rows.stored
        if not isinstance(stored, np.ndarray):
            with DECODING:
                return upload(torch.from_numpy(np.asarray(stored[rows])), self.device)
        if self.device.type == "cpu":
            return torch.from_numpy(np.asarray(stored[rows]))
        kind = torch.from_numpy(np.empty(0, stored.dtype)).dtype
        chosen = torch.empty((*rows.shape, *self.shape[1:]), dtype=kind, pin_memory=True)
        # With "clip" numpy writes there at once; these rows are all within.
        np.take(stored, rows, axis=0, out=chosen.numpy(), mode="clip")
        return chosen.to(self.device, non_blocking=True)


def upload(numbers: Tensor, device: torch.device) -> Tensor:
    """Copy numbers to a device; a GPU copies from pinned memory while this thread goes on."""
    if device.type != "cuda":
        return numbers.to(device)
    return numbers.pin_memory().to(device, non_blocking=True)


def send(numbers: Tensor, place: Tensor) -> None:
    """Copy numbers to their place on a device; nobody waits for it, as in ``upload``."""
    place.copy_(numbers.pin_memory() if place.is_cuda else numbers, non_blocking=True)


def as_floats(inputs: Tensor, dtype: torch.dtype) -> Tensor:
    """Bytes scaled to [0, 1]; anything else as it is."""
    floats = inputs.to(dtype)
    return floats.div_(255) if inputs.dtype == torch.uint8 else floats
