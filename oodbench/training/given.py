"""What of a stack's memory an optimizer is given."""

from collections.abc import Iterator, Sequence
from itertools import groupby

from torch import Tensor


class Given:
    """Memory of one model that its optimizer steps on.

    Args:
        name: Name of the first parameter in it.
        view: The parameters.
        grad: Gradient of these weights.
    """

    def __init__(self, name: str, view: Tensor, grad: Tensor) -> None:
        self.name, self.view, self.grad = name, view.requires_grad_(), grad
        self._pointers = view.data_ptr(), grad.data_ptr()

    def intact(self, learning: bool) -> bool:
        """Whether both are where they were; the gradient only where there is one."""
        view, grad = self._pointers
        if self.view.data_ptr() != view:
            return False
        found = self.view.grad
        return not learning or (found is not None and found.data_ptr() == grad)


def runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and the last of each run of consecutive numbers."""
    for _, run in groupby(enumerate(places), lambda at: at[1] - at[0]):
        _, together = zip(*run, strict=True)
        yield together[0], together[-1]
