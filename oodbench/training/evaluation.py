"""Scoring K models on the splits that the rules read."""

from collections.abc import Sequence

import torch
from torch import Tensor

from oodbench.records import Measurement
from oodbench.training.models import Models
from oodbench.training.tensors import AugmentedInputs, EvaluationSplit, Inputs

CHUNK = 8192
"""Examples times models in one forward pass: more would leave a CPU's cache."""
NUMBERS = 2**26
"""In the inputs that are read at once: 256 MiB of them in single precision."""


@torch.inference_mode()
def accuracy(
    models: Models, inputs: Tensor | Inputs | AugmentedInputs, labels: Tensor, k: int
) -> list[float]:
    """The share of right predictions of each of ``k`` models."""
    size = max(1, min(CHUNK // k, NUMBERS // max(1, inputs.shape[1:].numel())))
    right = torch.zeros(k, dtype=torch.long, device=labels.device)
    for start in range(0, len(labels), size):
        logits = models.predict(inputs[start : start + size])
        right += (logits.argmax(-1) == labels[start : start + size]).sum(1)
    return [count / len(labels) for count in right.tolist()]


def evaluate(
    models: Models, splits: Sequence[EvaluationSplit], k: int, step: int
) -> list[list[Measurement]]:
    """The accuracy of each of ``k`` models on each split after ``step`` steps."""
    result: list[list[Measurement]] = [[] for _ in range(k)]
    for s in splits:
        for model, value in enumerate(accuracy(models, s.inputs, s.labels, k)):
            result[model].append(
                Measurement(step, s.environment, s.split, s.role, "accuracy", value, s.n)
            )
    return result
