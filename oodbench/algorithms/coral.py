"""CORAL (Sun & Saenko 2016, arXiv 1607.01719): features whose moments differ are penalized.

As in DomainBed, for every pair of training environments: the squared differences of the means and
of the covariances of the features, each averaged over its entries. (The paper's deep CORAL, for one
source and one target, has no term for the means, and divides by 4 d^2.) Features are the inputs of
the last layer.
"""

from itertools import combinations
from typing import TYPE_CHECKING

from oodbench.algorithms.cross_entropy import cross_entropies
from oodbench.algorithms.spec import AlgorithmSpec, Forward, Setup, Unrestarted
from oodbench.spaces import log

if TYPE_CHECKING:
    from torch import Tensor


def moment_distance(features: "Tensor") -> "Tensor":
    """How much the features of groups differ in mean and covariance, averaged over pairs of groups.

    Args:
        features: (..., G, B, d), B >= 2.

    Returns:
        (...) distances; 0 where there is one group.
    """
    means = features.mean(-2)
    centred = features - means.unsqueeze(-2)
    covariances = centred.transpose(-1, -2) @ centred / (features.shape[-2] - 1)
    total = means.new_zeros(means.shape[:-2])
    pairs = list(combinations(range(features.shape[-3]), 2))
    for i, j in pairs:
        total = total + (means[..., i, :] - means[..., j, :]).square().mean(-1)
        difference = covariances[..., i, :, :] - covariances[..., j, :, :]
        total = total + difference.square().mean((-2, -1))
    return total / max(1, len(pairs))


class Coral(Unrestarted):
    """See ``oodbench.algorithms.spec.Algorithm``; its hyperparameter is ``penalty_weight``."""

    def __init__(self, setup: Setup) -> None:
        super().__init__(setup)
        self._weights = setup.each("penalty_weight")

    def losses(self, forward: Forward, inputs: "Tensor", labels: "Tensor", step: int) -> "Tensor":
        """Each model's mean cross-entropy plus its weighted distance of moments."""
        features, logits = forward.features(inputs)
        risk = cross_entropies(logits, labels, self._smoothing).flatten(1).mean(1)
        return risk + self._weights * moment_distance(features)


CORAL = AlgorithmSpec(
    "coral",
    Coral,
    space={"penalty_weight": log(0.1, 10.0)},
    smallest_group=2,
    compares=True,
    smooths=True,
    hands_on=True,
    summary="CORAL: cross-entropy plus the distance of the environments' feature moments.",
    reference="Sun & Saenko 2016 (arXiv 1607.01719)",
)
