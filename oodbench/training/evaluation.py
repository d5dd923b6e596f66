"""Scoring K models on the splits that the rules read."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

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
"""Numbers in the inputs that are read at once: 256 MiB of them in single precision."""


@dataclass(frozen=True)
class Evaluation:
    """What came of scoring k models.

    Attributes:
        scores: Scores of each model.
        predicted: Predicted classes of each split, (k, n) classes, on the device.
    """

    scores: Sequence[list[Measurement]]
    predicted: Sequence[Tensor]

    @cached_property
    def predicted_here(self) -> Tensor:
        """(k, M) classes that are predicted of all splits, one after the other, on the CPU."""
        return torch.cat([part.cpu() for part in self.predicted], dim=1)


def accuracy(models: Models, inputs: Tensor | AnyInputs, labels: Tensor, k: int) -> list[float]:
    """The share of right predictions of each of ``k`` models."""
    return accuracies(predictions(models, inputs, len(labels), k), labels)


def accuracies(predicted: Tensor, labels: Tensor) -> list[float]:
    """The share of right ones among each model's, of (k, n) predicted classes."""
    right = (predicted == labels).sum(1)
    return [count / len(labels) for count in right.tolist()]


@torch.inference_mode()
def predictions(
    models: Models,
    inputs: Tensor | AnyInputs,
    n: int,
    k: int,
    counts_as: Tensor | None = None,
) -> Tensor:
    """(k, n) classes that ``k`` models predict of n examples."""
    parts = []
    for _, logits in _logits(models, inputs, n, k):
        best = answer(logits, counts_as)
        parts.append(best.to(class_dtype(logits.shape[-1])))
    return torch.cat(parts, dim=1)


def answer(logits: Tensor, counts_as: Tensor | None = None) -> Tensor:
    """The class with the highest of the logits (..., classes).

    Args:
        logits: Logits of all classes.
        counts_as: (classes,) what each counts as; -1: it is none of the answers. None: itself.
    """
    if counts_as is None:
        return logits.max(-1).indices  # argmax takes three times as long for few classes
    among = logits.masked_fill(counts_as < 0, -torch.inf)
    return counts_as[among.max(-1).indices]


def class_dtype(classes: int) -> torch.dtype:
    """The smallest that holds the number of a class."""
    return torch.uint8 if classes <= 2**8 else torch.int16 if classes <= 2**15 else torch.int32


def _logits(
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
    for rows, logits in _logits(models, split.inputs, len(split.labels), k):
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
) -> Evaluation:
    """Score each of ``k`` models on each split after ``step`` steps."""
    scores: list[list[Measurement]] = [[] for _ in range(k)]
    predicted = []
    for s in splits:
        if s.graded:
            found = answers_of(models, s, k, classes)
            classes_said = np.stack([answers.predicted for answers in found])
            predicted.append(torch.from_numpy(classes_said).to(class_dtype(classes)))
            for model, answers in enumerate(found):
                scores[model] += graded(s, answers, step)
            continue
        predicted.append(predictions(models, s.inputs, len(s.labels), k, s.counts_as))
        for model, value in enumerate(accuracies(predicted[-1], s.labels)):
            scores[model].append(
                Measurement(step, s.environment, s.split, s.role, "accuracy", value, s.n)
            )
    return Evaluation(scores, predicted)
