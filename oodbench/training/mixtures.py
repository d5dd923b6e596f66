"""Scores of mixtures of a model's first and last weights (WiSE-FT).

Wortsman et al. 2022, *Robust fine-tuning of zero-shot models* (arXiv 2109.01903): w = (1 - a) w_0 +
a w_T, with the whole state of a model, so BatchNorm's statistics too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from oodbench.records import Measurement
from oodbench.training.evaluation import evaluate
from oodbench.training.inputs.tensors import EvaluationSplit
from oodbench.training.models import Models

State = Mapping[str, Tensor]


def metric_of(share: float, metric: str) -> str:
    """What a score of a mixture is called, such as ``accuracy@wise_ft=0.25``."""
    return f"{metric}@wise_ft={share:g}"


def mixture(first: State, last: State, share: float) -> dict[str, Tensor]:
    """The state at a share of the way from ``first`` to ``last``; counts are those of ``last``."""
    return {
        name: torch.lerp(first[name], value, share) if value.is_floating_point() else value
        for name, value in last.items()
    }


def scores_of_mixtures(
    models: Models,
    first: Sequence[State],
    shares: Sequence[float],
    splits: Sequence[EvaluationSplit],
    k: int,
    step: int,
    classes: int,
) -> list[list[Measurement]]:
    """Each model's scores at each mixture. The models come back bit for bit.

    Args:
        models: At their last weights.
        first: The state of each of them at the start.
        shares: Shares of the last weights.
        splits: Splits to score on.
        k: How many models.
        step: Steps taken.
        classes: Number of classes.
    """
    if not shares:
        return [[] for _ in range(k)]
    last = [models.state(model) for model in range(len(first))]
    found: list[list[Measurement]] = [[] for _ in last]
    for share in shares:
        for model, (one, other) in enumerate(zip(first, last, strict=True)):
            models.load_state(model, mixture(one, other, share))
        scored = evaluate(models, splits, k, step, classes).scores
        for model, measured in enumerate(scored):
            found[model] += [replace(m, metric=metric_of(share, m.metric)) for m in measured]
    for model, state in enumerate(last):
        models.load_state(model, state)
    return found
