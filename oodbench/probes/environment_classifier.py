"""Training or test environment? A classifier that learns to tell, for the features that do.

The first half of OoD-Bench's measurement of shifts (Ye et al. 2022; m-Just/OoD-Bench at 0c34a79):
the classifier is told the label, so its features keep what tells the environments apart given the
label. ``analysis.shift.measure`` measures the shifts on them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from oodbench.errors import RequestError
from oodbench.models import MODELS
from oodbench.probes.samples import Examples, Sample, Sampled
from oodbench.seeds import seed_of, stream
from oodbench.training.inputs.stored import as_floats
from oodbench.training.random import CPU, seeded

FEATURES = 8
HALF_BATCH = 32
"""Examples of either side in a batch."""
LR, LAST_LR = 0.05, 0.025
"""The learning rate, and what it falls to along half a cosine in the first half of the steps."""
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
        accuracy: Of the classifier on them, both sides weighing alike; 0.5 is chance.
    """

    z_p: NDArray[np.float32]
    y_p: NDArray[np.int64]
    z_q: NDArray[np.float32]
    y_q: NDArray[np.int64]
    accuracy: float


class EnvironmentClassifier(nn.Module):
    """Features z of the input, times a linear map of the label; a linear layer tells the side."""

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


@dataclass(frozen=True)
class Side:
    """Examples of the training environments, or of the test environments."""

    inputs: Tensor
    labels: Tensor

    def __getitem__(self, which: NDArray[np.int64]) -> "Side":
        index = torch.from_numpy(which).to(self.labels.device)
        return Side(self.inputs[index], self.labels[index])


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
    """Train a classifier to tell test from training environments; features of held-out examples.

    It is trained on some examples, and the features are those of others, so that no digit or
    photograph is in both. Label shift is removed before training: of each class, equally many
    examples of either side are kept. Batches are drawn with replacement, half from each side; the
    weights are averaged over the second half of the steps.

    Args:
        sample: Examples of the dataset.
        tested: Indices of its environments on the side Q; on the side P are the others that are not
            apart, each with the share of its examples in the dataset.
        seed: Of initialisation, batches and of the examples that are kept.
        examples: Most examples a side to train on, and most to give features of.
        model: Name of the backbone, which ends in ``FEATURES`` instead of classes.
        options: Of the backbone.
        device: Where to train.

    Raises:
        RequestError: If a side has no examples, or the two share no class.
    """
    rng = stream(seed, "environment classifier", "examples")
    most = min(examples, sample.most)
    sides = _sides(sample, tested)
    fit = _drawn(sample, [[one.fit for one in side] for side in sides], most, rng, device)
    unseen = _drawn(sample, [[one.unseen for one in side] for side in sides], most, rng, device)
    fit = _without_label_shift(*fit, rng)
    with seeded(seed_of(seed, "environment classifier"), device):
        shape = tuple(fit[0].inputs.shape[1:])
        backbone = MODELS.get(model).build(shape, FEATURES, **options)
        classifier = EnvironmentClassifier(backbone, sample.num_classes).to(device)
    return _of_held_out(train(classifier, *fit, seed), unseen)


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


def train(classifier: EnvironmentClassifier, p: Side, q: Side, seed: int) -> EnvironmentClassifier:
    """Train on equally many examples of both sides; returns the average of the later weights."""
    n = len(p.labels)
    steps = max(EPOCHS * n // HALF_BATCH, LEAST_STEPS)
    rng = stream(seed, "environment classifier", "batches")
    optimizer = torch.optim.SGD(
        classifier.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY
    )
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps // 2, LAST_LR)
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


def _sides(sample: Sample, tested: tuple[int, ...]) -> tuple[list[Sampled], list[Sampled]]:
    """The environments on the side P, and those on the side Q."""
    environments = sample.environments
    p = [one for i, one in enumerate(environments) if i not in tested and not one.apart]
    return p, [environments[i] for i in sorted(tested)]


def _drawn(
    sample: Sample,
    sides: Sequence[Sequence[Examples]],
    most: int,
    rng: np.random.Generator,
    device: torch.device,
) -> tuple[Side, Side]:
    """Of the examples of each side at most so many, at random."""
    p, q = (_side(parts, most, rng, device) for parts in sides)
    if not (len(p.labels) and len(q.labels)):
        raise RequestError(
            f"{sample.name}: a side has no examples to train on and others to measure on. Name "
            "test environments that have two examples or more, and leave some to the other side."
        )
    return p, q


def _side(
    parts: Sequence[Examples], most: int, rng: np.random.Generator, device: torch.device
) -> Side:
    """Each part has the share that it has of all examples that there are."""
    ends = np.cumsum([0, *(part.of for part in parts)])
    kept = np.sort(rng.permutation(int(ends[-1]))[:most])
    inputs, labels = [], []
    for part, start, end in zip(parts, ends, ends[1:], strict=False):
        rows = kept[(start <= kept) & (kept < end)] - start
        if len(part) < part.of:
            rows = np.sort(rng.permutation(len(part))[: len(rows)])
        if len(rows):
            inputs.append(part.inputs[rows])
            labels.append(part.labels[rows])
    if not labels:
        return Side(torch.empty(0), torch.empty(0))
    tensors = (torch.from_numpy(np.concatenate(arrays)) for arrays in (inputs, labels))
    return Side(*(tensor.to(device) for tensor in tensors))


def _without_label_shift(p: Side, q: Side, rng: np.random.Generator) -> tuple[Side, Side]:
    """Equally many examples of each class on either side, drawn at random."""
    labels = [side.labels.cpu().numpy() for side in (p, q)]
    kept: list[list[NDArray[np.int64]]] = [[], []]
    for label in np.intersect1d(labels[0], labels[1]):
        both = [np.flatnonzero(of_side == label) for of_side in labels]
        n = min(map(len, both))
        for chosen, which in zip(kept, both, strict=True):
            chosen.append(rng.choice(which, n, replace=False))
    if not kept[0]:
        raise RequestError("Training and test environments share no class: there is no shift.")
    return p[np.concatenate(kept[0])], q[np.concatenate(kept[1])]
