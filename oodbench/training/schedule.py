"""Learning rates that change over a run: a function of the step, times the optimizer's own."""

import math
from collections.abc import Sequence

from torch.optim import Optimizer

from oodbench.records import Trial

FALLS = (0.5, 0.75)
"""Shares of the steps after the warm-up at which ``step`` divides by ten (He et al. 2016)."""


def factor(schedule: str, warmup: float, step: int, steps: int) -> float:
    """What the learning rate of a step is multiplied by.

    Args:
        schedule: ``constant``; ``linear``: down to 0; ``cosine``: half a cosine down to 0
            (Loshchilov & Hutter 2017, without restarts); ``step``: see ``FALLS``.
        warmup: Share of the steps in which it first grows linearly; the first step has more than 0.
        step: Steps taken before this one.
        steps: Steps of the whole run.
    """
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / (steps - rising)
    if schedule == "linear":
        return 1 - done
    if schedule == "cosine":
        return (1 + math.cos(math.pi * done)) / 2
    if schedule == "step":
        return float(0.1 ** sum(done >= fall for fall in FALLS))
    return 1.0


def set_learning_rates(optimizers: Sequence[Optimizer], trial: Trial, step: int) -> bool:
    """Set every learning rate for a step: so many times what the optimizer was built with.

    All are optimizers of trials with the schedule of ``trial``; for ``step`` see ``factor``.

    Returns:
        Whether there is anything to set.
    """
    if trial.schedule == "constant" and trial.warmup == 0:
        return False
    by = factor(trial.schedule, trial.warmup, step, trial.steps)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * by
    return True
