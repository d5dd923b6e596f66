"""The cross-entropy of every example."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


FEW = 16
"""Floats in a vector register of AVX-512."""


def cross_entropies(logits: "Tensor", labels: "Tensor", smoothing: float = 0.0) -> "Tensor":
    """The cross-entropy of each example.

    Args:
        logits: (..., classes).
        labels: (...) integers.
        smoothing: The share of each label that is spread over all classes (Szegedy et al. 2016).

    Returns:
        (...) losses.
    """
    from torch.nn.functional import cross_entropy

    if classes_first(logits):
        values = logits.reshape(-1, *logits.shape[-2:]).transpose(1, 2)
        labelled = labels.reshape(-1, logits.shape[-2])
    else:
        values, labelled = logits.reshape(-1, logits.shape[-1]), labels.flatten()
    each: Tensor = cross_entropy(values, labelled, reduction="none", label_smoothing=smoothing)
    return each.view(labels.shape)


def classes_first(logits: "Tensor") -> bool:
    """Whether torch is faster with (..., classes, n) than with these logits (..., n, classes).

    On a CPU a softmax over fewer numbers than fill a vector register goes number by number; over
    the first of two axes it takes the examples together, in up to a tenth of the time.
    """
    return logits.device.type == "cpu" and logits.dim() > 1 and logits.shape[-1] < FEW
