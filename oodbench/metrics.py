"""Scores of published splits: WILDS' official metrics under their names, and what all are given.

A group without examples has no accuracy; it is never counted as zero. Where the metrics of wilds
2.0.0 define the same thing, these equal them (tests/domainbed_adapters/test_wilds_metrics.py).
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BINS = 15
"""Bins of confidence, of equal width, for the calibration error (Guo et al. 2017)."""
MOST_GROUPS = 64
"""Groups of a dataset up to which each one's accuracy is a score of its own."""
LOWER = ("nll", "ece", "loss")
"""Metrics of which less is better."""
WORST, GROUP = "worst_group_accuracy", "group_accuracy"


@dataclass(frozen=True, eq=False)
class Answers:
    """The predictions of a model on n examples.

    Attributes:
        labels: (n,) integers.
        predicted: (n,) integers.
        confidence: (n,) the probability of what was predicted.
        nll: (n,) minus the logarithm of the label's probability.
        num_classes: Size of the label set.
        groups: (n, m) the groups of each example, -1: none.
        group_names: Names of the groups that there may be.
    """

    labels: Ints
    predicted: Ints
    confidence: Floats
    nll: Floats
    num_classes: int
    groups: Ints
    group_names: tuple[str, ...] = ()

    @cached_property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether the prediction is the label."""
        right: NDArray[np.bool_] = self.predicted == self.labels
        return right

    @cached_property
    def by_group(self) -> tuple[Floats, Ints]:
        """Accuracy of each group, NaN for one without examples, and its number of examples."""
        within = self.groups >= 0
        number = len(self.group_names)
        n = np.bincount(self.groups[within], minlength=number)
        right = np.broadcast_to(self.right[:, None], self.groups.shape)[within]
        hits = np.bincount(self.groups[within], right, minlength=number)
        accuracies: Floats = np.full(number, math.nan)
        np.divide(hits, n, out=accuracies, where=n > 0)
        return accuracies, n

    @cached_property
    def worst(self) -> int:
        """Index of the group with the lowest accuracy; -1 if every group is empty."""
        accuracies, n = self.by_group
        return int(np.nanargmin(accuracies)) if n.any() else -1

    @cached_property
    def by_class(self) -> tuple[Floats, Floats]:
        """Recall and F1 of each class that is among the labels."""
        there = np.bincount(self.labels, minlength=self.num_classes)
        said = np.bincount(self.predicted, minlength=self.num_classes)
        hits = np.bincount(self.labels[self.right], minlength=self.num_classes)
        known = there > 0
        recall = hits[known] / there[known]
        return recall, 2 * hits[known] / (there[known] + said[known])


@dataclass(frozen=True)
class Score:
    """One score of a split.

    Attributes:
        metric: Name of the metric.
        value: NaN where it is not defined.
        n: How many examples it rests on.
        group: The group that it is of; empty: all.
    """

    metric: str
    value: float
    n: int
    group: str = ""


def accuracy(answers: Answers) -> float:
    """The share of right predictions."""
    return float(answers.right.mean())


def balanced_accuracy(answers: Answers) -> float:
    """The mean recall over the classes that are among the labels."""
    return float(answers.by_class[0].mean())


def macro_f1(answers: Answers) -> float:
    """The mean F1 over the classes that are among the labels, as iWildCam-WILDS defines it."""
    return float(answers.by_class[1].mean())


def worst_group(answers: Answers) -> float:
    """The lowest accuracy of a group that has examples."""
    return float(answers.by_group[0][answers.worst]) if answers.worst >= 0 else math.nan


def tenth_percentile(answers: Answers) -> float:
    """The 10th percentile of the groups' accuracies, of those that have examples."""
    accuracies, n = answers.by_group
    return float(np.percentile(accuracies[n > 0], 10)) if n.any() else math.nan


WATERBIRDS = {
    "background: land, y: landbird": 3498,
    "background: water, y: landbird": 184,
    "background: land, y: waterbird": 56,
    "background: water, y: waterbird": 1057,
}
"""Training examples of each group of Waterbirds, as wilds weighs them."""


def adjusted_accuracy(answers: Answers) -> float:
    """The groups' accuracies, weighed by their shares of Waterbirds' training examples.

    Not defined where a group is empty; wilds takes zero for its accuracy.
    """
    accuracies = dict(zip(answers.group_names, answers.by_group[0], strict=True))
    weighed = sum(n * accuracies.get(group, math.nan) for group, n in WATERBIRDS.items())
    return float(weighed / sum(WATERBIRDS.values()))


def nll(answers: Answers) -> float:
    """The mean negative log-likelihood, in nats."""
    return float(answers.nll.mean())


def ece(answers: Answers) -> float:
    """The expected calibration error: |accuracy - confidence|, a mean over ``BINS`` of confidence.

    Guo et al. 2017 (arXiv 1706.04599), equation 3; a confidence on an edge is of the lower bin.
    """
    if not np.isfinite(answers.confidence).all():
        return math.nan
    bins = np.clip(np.ceil(answers.confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gap = np.bincount(bins, answers.right - answers.confidence, minlength=BINS)
    return float(np.abs(gap).sum() / len(answers.labels))


OFFICIAL: dict[str, Callable[[Answers], float]] = {
    "acc_avg": accuracy,
    "acc_wg": worst_group,
    "acc_worst_region": worst_group,
    "10th_percentile_acc": tenth_percentile,
    "F1-macro_all": macro_f1,
    "adj_acc_avg": adjusted_accuracy,
}
"""Metrics of wilds 2.0.0, as its ``eval`` calls them."""

OURS: dict[str, Callable[[Answers], float]] = {
    "accuracy": accuracy,
    "balanced_accuracy": balanced_accuracy,
    "nll": nll,
    "ece": ece,
}
"""What every published split is scored by."""


def scores(answers: Answers, official: tuple[str, ...] = ()) -> Iterator[Score]:
    """Every score of a split: ours, the official ones, the worst group's and each group's.

    The number of examples of the worst group's accuracy is that group's. A group without examples
    has no score, and where there are more than ``MOST_GROUPS`` none has one of its own.

    Args:
        answers: Answers of one model.
        official: Names of ``OFFICIAL`` that the dataset is scored by.
    """
    n = len(answers.labels)
    for name, metric in (*OURS.items(), *((name, OFFICIAL[name]) for name in official)):
        resting_on = int(answers.by_group[1][answers.worst]) if metric is worst_group else n
        yield Score(name, metric(answers), resting_on)
    if answers.worst < 0:
        return
    accuracies, sizes = answers.by_group
    yield Score(WORST, worst_group(answers), int(sizes[answers.worst]))
    if len(answers.group_names) <= MOST_GROUPS:
        for group in np.flatnonzero(sizes):
            name = answers.group_names[group]
            yield Score(GROUP, float(accuracies[group]), int(sizes[group]), name)
