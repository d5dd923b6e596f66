"""Scoring K models on the splits that the rules read."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from oodbench.metrics import WORST, Answers, scores
from oodbench.records import Measurement
from oodbench.training.inputs.tensors import AnyInputs, EvaluationSplit
from oodbench.training.models import Models

CHUNK = 8192
"""Examples times models in one forward pass: more would leave a CPU's cache."""
NUMBERS = 2**26
"""In the inputs that are read at once: 256 MiB of them in single precision."""


@torch.inference_mode()
def accuracy(models: Models, inputs: Tensor | AnyInputs, labels: Tensor, k: int) -> list[float]:
    """The share of right predictions of each of ``k`` models."""
    right = torch.zeros(k, dtype=torch.long, device=labels.device)
    for rows, logits in _predictions(models, inputs, len(labels), k):
        predicted = logits.max(-1).indices  # argmax takes three times as long for few classes
        right += (predicted == labels[rows]).sum(1)
    return [count / len(labels) for count in right.tolist()]


def _predictions(
    models: Models, inputs: Tensor | AnyInputs, n: int, k: int
) -> Iterator[tuple[slice, Tensor]]:
    """Some examples at a time, and the (k, examples, classes) logits."""
    size = max(1, min(CHUNK // k, NUMBERS // max(1, inputs.shape[1:].numel())))
    for start in range(0, n, size):
        rows = slice(start, start + size)
        yield rows, models.predict(inputs[rows])


@torch.inference_mode()
def answers_of(models: Models, split: EvaluationSplit, k: int, classes: int) -> list[Answers]:
    """What each of ``k`` models says of a split."""
    parts = []
    for rows, logits in _predictions(models, split.inputs, len(split.labels), k):
        log_p = logits.log_softmax(-1)
        top = log_p.max(-1)
        own = split.labels[rows].expand(k, -1).unsqueeze(-1)
        nll = -log_p.gather(-1, own).squeeze(-1)
        parts.append((top.indices.cpu(), top.values.exp().cpu(), nll.cpu()))
    predicted, confidence, nll = (torch.cat(part, dim=1) for part in zip(*parts, strict=True))
    labels = split.labels.cpu().numpy()
    groups = np.empty((len(labels), 0), np.int64) if split.groups is None else split.groups
    return [
        Answers(
            labels,
            predicted[model].numpy(),
            confidence[model].double().numpy(),
            nll[model].double().numpy(),
            classes,
            groups,
            split.group_names,
        )
        for model in range(k)
    ]


def graded(split: EvaluationSplit, answers: Answers, step: int) -> Iterator[Measurement]:
    """Every score of a published split.

    Under subpopulation shift the accuracy of the worst group is that out of distribution, too.
    """
    for score in scores(answers, split.metrics):
        yield Measurement(
            step, score.group, split.split, split.role, score.metric, score.value, score.n
        )
        if split.worst and score.metric == WORST:
            yield Measurement(
                step, "worst group", split.split, split.worst, "accuracy", score.value, score.n
            )


def evaluate(
    models: Models, splits: Sequence[EvaluationSplit], k: int, step: int, classes: int
) -> list[list[Measurement]]:
    """The scores of each of ``k`` models on each split after ``step`` steps."""
    result: list[list[Measurement]] = [[] for _ in range(k)]
    for s in splits:
        if s.graded:
            for model, answers in enumerate(answers_of(models, s, k, classes)):
                result[model] += graded(s, answers, step)
            continue
        for model, value in enumerate(accuracy(models, s.inputs, s.labels, k)):
            result[model].append(
                Measurement(step, s.environment, s.split, s.role, "accuracy", value, s.n)
            )
    return result
