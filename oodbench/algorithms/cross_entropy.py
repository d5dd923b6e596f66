"""Cross-entropy, example by example."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


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

    classes = logits.shape[-1]
    each: Tensor = cross_entropy(
        logits.reshape(-1, classes),
        labels.flatten(),
        reduction="none",
        label_smoothing=smoothing,
    )
    return each.view(labels.shape)
