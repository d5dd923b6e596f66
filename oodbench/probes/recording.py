"""Training runs again to record their paths: see ``oodbench.probes.path``.

A run is trained twice: the second time w* is known, and no path has to be kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from oodbench.errors import OodbenchError
from oodbench.probes.full_gradient import check_full_gradient, full_gradients, groups
from oodbench.probes.path import Path
from oodbench.records import RunRecord, Trial
from oodbench.seeds import seed_of
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.loop import Run
from oodbench.training.outcome import records_of
from oodbench.training.random import seeded
from oodbench.training.reporting import Reported

Hook = Callable[[Run, int], None]
Tell = Callable[[str], None]
"""Takes a line about what is being done."""
TELL_EVERY = 1.0
"""Seconds between two such lines."""


def ignore(line: str) -> None:
    """Ignore a progress line."""


class Recorder:
    """Takes the products of every step, for K models at once, in float64.

    Args:
        end: (K, P) end points, or (1, P): the same for all.
        full_every: Steps from one at which the gradient over the whole training set is taken too to
            the next; 0: none.
    """

    def __init__(self, end: Tensor, full_every: int = 0) -> None:
        self._end, self._every = end.double(), full_every
        self._before: tuple[Tensor, Tensor] | None = None  # weights, and their difference to end
        self._rows: list[Tensor] = []
        self._full: list[Tensor] = []
        self._moves: list[Tensor] = []
        self._step = -1

    def __call__(self, run: Run, step: int) -> None:
        """Record a step once its gradients are there, before it is taken."""
        if step == self._step:  # an optimizer that takes several gradients a step: not at w_t
            return
        self._step = step
        weights, gradients = (vectors.double() for vectors in run.models.vectors())
        weights = weights.clone()  # if it is the memory itself, the optimizers are about to write
        self._note_move(weights)
        away = weights - self._end
        self._rows.append(torch.stack([away.norm(dim=1), *_products(gradients, away)]))
        if self._every:
            taken = step % self._every == 0
            full = full_gradients(run, step) if taken else torch.full_like(away, torch.nan)
            self._full.append(_products(full, away))
        self._before = weights, away

    def _note_move(self, weights: Tensor) -> None:
        if self._before is not None:
            self._moves.append(_products(weights - self._before[0], self._before[1]))

    def paths(self, run: Run) -> list[Path]:
        """The paths, once the run is over."""
        weights = run.models.vectors()[0].double()
        self._note_move(weights)
        last = (weights - self._end).norm(dim=1).tolist()
        distances, norms, dots = torch.stack(self._rows, 1).cpu().numpy()  # each (T, K)
        updates, update_dots = torch.stack(self._moves, 1).cpu().numpy()
        n = run.batches.at(0)[0].numel()
        found = [
            Path(
                distances[:, k],
                norms[:, k],
                dots[:, k],
                updates[:, k],
                update_dots[:, k],
                last=last[k],
                n=n,
            )
            for k in range(len(last))
        ]
        if not self._full:
            return found
        full_norms, full_dots = torch.stack(self._full, 1).cpu().numpy()
        n = sum(map(len, groups(run)))
        fulls = [
            replace(path, gradient=full_norms[:, k], dot=full_dots[:, k], n=n)
            for k, path in enumerate(found)
        ]
        return [replace(path, full=full) for path, full in zip(found, fulls, strict=True)]


def _products(vectors: Tensor, away: Tensor) -> Tensor:
    """(2, K): the length of each vector, and its inner product with w_t - w*."""
    return torch.stack([vectors.norm(dim=1), (vectors * away).sum(1)])


@dataclass(frozen=True)
class Retrained:
    """Runs that were trained again.

    Attributes:
        run: At its last step.
        records: What came of them.
        end: (K, P) weights after the last step.
    """

    run: Run
    records: list[RunRecord]
    end: Tensor


def retrain(
    trials: Sequence[Trial],
    data: Tensors,
    device: torch.device,
    stacked: bool = True,
    hook: Hook | None = None,
    tell: Tell = ignore,
) -> Retrained:
    """Train the trials once more, in one stack, and evaluate them at their last step alone.

    Args:
        trials: Trials with one cohort key; one alone if not ``stacked``.
        data: Data of the trials.
        device: Where to train.
        stacked: See ``Run``.
        hook: Called with every gradient.
        tell: Called every second with a line that says how far the training is.
    """
    last_only = [replace(trial, evaluate_every=trial.steps) for trial in trials]
    run = Run(last_only, data, device, stacked=stacked)
    run.on_gradients = hook
    with seeded(seed_of(trials[0].seed, "layers"), device):  # for what draws: trained alone
        run.train(Reported(run, tell=tell, every=TELL_EVERY))
    return Retrained(run, records_of(run), run.models.vectors()[0].clone())


def record_paths(
    trials: Sequence[Trial],
    data: Tensors,
    device: torch.device,
    stacked: bool = True,
    end: Tensor | None = None,
    tell: Tell = ignore,
    full_every: int = 0,
) -> tuple[list[Path], Retrained]:
    """The path of each trial, from its own end point or from others.

    Args:
        trials: Trials with one cohort key; each has to be one that does not diverge.
        data, device, stacked, tell: See ``retrain``.
        end: (K, P) end points of others, such as another seed's, or one (1, P) for all; None: their
            own, for which they are trained twice.
        full_every: See ``Recorder``.

    Returns:
        The paths, and the runs at their end.

    Raises:
        RequestError: See ``check_full_gradient``.
        OodbenchError: If the second training does not end where the first did: then the runs
            cannot be repeated on this device, and no path means anything.
    """
    if full_every:
        check_full_gradient(trials[0], data)
    own = end is None
    if end is None:
        end = retrain(trials, data, device, stacked, tell=tell).end
    recorder = Recorder(end, full_every)
    again = retrain(trials, data, device, stacked, recorder, tell)
    paths = recorder.paths(again.run)
    for trial, path in zip(trials, paths, strict=True):
        if own and path.last != 0:
            raise OodbenchError(
                f"Trained twice, run {trial.id} ends at two points, {path.last:.3g} apart: it "
                "cannot be repeated on this device. Use --device cpu."
            )
    return paths, again
