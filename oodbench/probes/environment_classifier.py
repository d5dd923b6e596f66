"""A classifier of training against test environments, for the features that separate them.

The first half of OoD-Bench's measurement of shifts (Ye et al. 2022; m-Just/OoD-Bench at 0c34a79):
the classifier receives the label, so its features keep what separates the environments given the
label. ``analysis.shift.measure`` measures the shifts on them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.probes.samples import Sample
from oodbench.probes.sides import Side, drawn
from oodbench.seeds import seed_of, stream
from oodbench.training.inputs.stored import as_floats
from oodbench.training.random import CPU, seeded

FEATURES = 8
HALF_BATCH = 32
"""Examples of either side in a batch."""
LR, LAST_LR = 0.05, 0.025
"""The learning rate, and what it falls to along half a cosine in the first half of the steps."""
SLOWER = (1.0, 0.1, 0.01)
"""Parts of these learning rates that are tried, until features vary."""
MOMENTUM, WEIGHT_DECAY = 0.9, 1e-4
EPOCHS = 10
LEAST_STEPS = 500
"""Ours: on a few hundred examples the published ten epochs are too short to learn anything."""
PIECE = 512
"""Examples whose features are computed at once."""
MLP = {"width": 390, "depth": 2}
"""The published network for ColoredMNIST."""


@dataclass(frozen=True)
class EnvironmentFeatures:
    """Features of examples that the classifier was not trained on.

    Attributes:
        z_p, z_q: (n, FEATURES) of the training and of the test environments.
        y_p, y_q: (n,) labels.
        accuracy: Accuracy of the classifier on them, both sides weighing alike; 0.5 is chance.
    """

    z_p: NDArray[np.float32]
    y_p: NDArray[np.int64]
    z_q: NDArray[np.float32]
    y_q: NDArray[np.int64]
    accuracy: float

    @property
    def vary(self) -> bool:
        """Whether no feature follows from the others, as all do once training has diverged."""
        return all(
            bool(np.isfinite(z).all())
            and (len(z) <= FEATURES or np.linalg.matrix_rank(z - z.mean(axis=0)) == FEATURES)
            for z in (self.z_p, self.z_q)
        )


class EnvironmentClassifier(nn.Module):
    """Features z of the input, times a linear map of the label; a linear layer gives the side."""

    def __init__(self, backbone: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.backbone, self.num_classes = backbone, num_classes
        self.of_label = nn.Linear(num_classes, FEATURES)
        self.side = nn.Linear(FEATURES, 2)

    def forward(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """(n, FEATURES) features, which do not depend on the labels, and (n, 2) logits."""
        z = self.backbone(inputs)
        known = nn.functional.one_hot(labels, self.num_classes).to(z.dtype)
        return z, self.side(z * self.of_label(known))


def environment_features(
    sample: Sample,
    tested: tuple[int, ...],
    *,
    seed: int = 0,
    examples: int = 5_000,
    model: str = "mlp",
    options: Mapping[str, Any] = MLP,
    device: torch.device = CPU,
) -> EnvironmentFeatures:
    """Train a classifier of test against training environments; features of held-out examples.

    It is trained on some examples, and the features are those of others, so that no digit or
    photograph is in both. Label shift is removed before training: of each class, equally many
    examples of either side are kept. Batches are drawn with replacement, half from each side; the
    weights are averaged over the second half of the steps. Where training diverges, it is begun
    anew at a smaller learning rate.

    Args:
        sample: Examples of the dataset.
        tested: Indices of its environments on the side Q; on the side P are the others that are not
            apart, each with the share of its examples in the dataset.
        seed: Seed of initialisation, batches and of the examples that are kept.
        examples: Most examples a side to train on, and most to give features of.
        model: Name of the backbone, which ends in ``FEATURES`` instead of classes.
        options: Options of the backbone.
        device: Where to train.

    Raises:
        RequestError: If a side has no examples, the two share no class, or every training diverges.
    """
    rng = stream(seed, "environment classifier", "examples")
    fit, unseen = drawn(sample, tested, examples, rng, device)
    for slower in SLOWER:
        with seeded(seed_of(seed, "environment classifier"), device):
            shape = tuple(fit[0].inputs.shape[1:])
            backbone = MODELS.get(model).build(shape, FEATURES, **options)
            classifier = EnvironmentClassifier(backbone, sample.num_classes).to(device)
        found = _of_held_out(train(classifier, *fit, seed, slower), unseen)
        if found.vary:
            return found
    raise RequestError(
        f"{sample.name}: the classifier diverged at learning rates from {LR} to {LR * SLOWER[-1]}, "
        "so it has no features to measure a shift on. Scale the inputs, or use smaller images."
    )


def _of_held_out(
    classifier: EnvironmentClassifier, unseen: tuple[Side, Side]
) -> EnvironmentFeatures:
    """The features of the examples of both sides, and how well a classifier separates them."""
    found = [_outputs(classifier, side) for side in unseen]
    right = [(logits.argmax(1) == side).float().mean() for side, (_, logits) in enumerate(found)]
    (z_p, y_p), (z_q, y_q) = (
        (z.cpu().numpy(), side.labels.cpu().numpy())
        for (z, _), side in zip(found, unseen, strict=True)
    )
    return EnvironmentFeatures(z_p, y_p, z_q, y_q, float(sum(right)) / 2)


@torch.inference_mode()
def _outputs(classifier: EnvironmentClassifier, side: Side) -> tuple[Tensor, Tensor]:
    """Features and logits of all examples of a side, some of them at a time."""
    pieces = [
        classifier(as_floats(inputs, torch.float32), labels)
        for inputs, labels in zip(
            torch.split(side.inputs, PIECE), torch.split(side.labels, PIECE), strict=True
        )
    ]
    features, logits = (torch.cat(part) for part in zip(*pieces, strict=True))
    return features, logits


def train(
    classifier: EnvironmentClassifier, p: Side, q: Side, seed: int, slower: float = 1.0
) -> EnvironmentClassifier:
    """Train on equally many examples of both sides; returns the average of the later weights.

    Args:
        classifier: Classifier to train.
        p, q: Examples of both sides.
        seed: Seed of the batches.
        slower: What learning rates are multiplied by.
    """
    n = len(p.labels)
    steps = max(EPOCHS * n // HALF_BATCH, LEAST_STEPS)
    rng = stream(seed, "environment classifier", "batches")
    optimizer = torch.optim.SGD(
        classifier.parameters(), lr=LR * slower, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps // 2, LAST_LR * slower)
    average = torch.optim.swa_utils.AveragedModel(classifier)
    sides = torch.arange(2, device=p.labels.device).repeat_interleave(HALF_BATCH)
    for step in range(steps):
        batch = [side[rng.integers(n, size=HALF_BATCH)] for side in (p, q)]
        inputs = as_floats(torch.cat([side.inputs for side in batch]), torch.float32)
        _, logits = classifier(inputs, torch.cat([side.labels for side in batch]))
        optimizer.zero_grad()
        nn.functional.cross_entropy(logits, sides).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step < steps // 2:
            falling.step()
        else:
            average.update_parameters(classifier)
    classifier.load_state_dict(average.module.state_dict())
    return classifier.eval()
