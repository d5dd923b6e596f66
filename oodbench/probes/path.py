"""RSI and EB along a run's path, towards a point that is known once the run is over.

Guille-Escuret, Naganuma, Fatras & Mitliagkas, *No Wrong Turns: The Simple Geometry of Neural
Networks Optimization Paths* (ICML 2024, arXiv 2306.11922). With w_t the weights before step t, g_t
the gradient of that step's batch there, w* the end point and d_t = w_t - w*,

    RSI_t = <g_t, d_t> / ||d_t||^2,   EB_t = ||g_t|| / ||d_t||,   gamma_t = RSI_t / EB_t,

gamma being the cosine of g_t and d_t. The learning rate <g_t, d_t> / ||g_t||^2 = RSI_t / EB_t^2
brings a gradient step nearest to w*: it multiplies ||d_t||^2 by 1 - gamma_t^2.

A run is trained twice: the second time w* is known, and no path has to be kept. As that w* lies
where the gradients led, gamma is above 0 even where the gradients are noise, about 1 / sqrt(T - t)
for plain SGD: no gamma means anything but beside its null. ``oodbench.probes.noise`` measures it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from oodbench.errors import OodbenchError
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.seeds import seed_of
from oodbench.training.loop import Run
from oodbench.training.random import seeded
from oodbench.training.tensors import Tensors

Array = NDArray[np.float64]
Hook = Callable[[Run, int], None]


@dataclass(frozen=True)
class Path:
    """One model's path, as seen from an end point: arrays of T steps, in float64.

    Attributes:
        distance: ||w_t - w*||.
        gradient: ||g_t||, before clipping.
        dot: <g_t, w_t - w*>.
        update: ||w_{t+1} - w_t||, what the optimizer made of it.
        update_dot: <w_{t+1} - w_t, w_t - w*>; below 0 where it comes nearer.
        last: The distance after the last step: exactly 0 if w* is its own end point.
    """

    distance: Array
    gradient: Array
    dot: Array
    update: Array
    update_dot: Array
    last: float

    @property
    def rsi(self) -> Array:
        """RSI_t; infinite or NaN where d_t is 0."""
        return _ratio(self.dot, self.distance**2)

    @property
    def eb(self) -> Array:
        """EB_t."""
        return _ratio(self.gradient, self.distance)

    @property
    def gamma(self) -> Array:
        """cos(g_t, d_t)."""
        return _ratio(self.dot, self.gradient * self.distance)

    @property
    def best_lr(self) -> Array:
        """The locally optimal learning rate, RSI_t / EB_t^2."""
        return _ratio(self.dot, self.gradient**2)

    @property
    def alignment(self) -> Array:
        """cos(w_t - w_{t+1}, d_t): 1 where the update points straight to w*."""
        return _ratio(-self.update_dot, self.update * self.distance)

    @property
    def noise(self) -> Array:
        """What gamma would be for plain SGD on noise: 1 / sqrt(T - t)."""
        return np.asarray(1 / np.sqrt(np.arange(len(self.dot), 0, -1)))


SERIES = ("distance", "rsi", "eb", "gamma", "best_lr", "alignment")
"""What is stored of a path, as metrics ``path_rsi`` and so on."""


def _ratio(a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(a / b)


class Recorder:
    """Takes the five products of every step, for K models at once, in float64.

    Args:
        end: (K, P) end points.
    """

    def __init__(self, end: Tensor) -> None:
        self._end = end.double()
        self._before: tuple[Tensor, Tensor] | None = None  # weights, and their difference to end
        self._rows: list[Tensor] = []
        self._moves: list[Tensor] = []
        self._step = -1

    def __call__(self, run: Run, step: int) -> None:
        """To be called when the gradients of a step are there, before it is taken."""
        if step == self._step:  # an optimizer that takes several gradients a step: not at w_t
            return
        self._step = step
        weights, gradients = (vectors.double() for vectors in run.models.vectors())
        self._note_move(weights)
        away = weights - self._end
        self._rows.append(
            torch.stack([away.norm(dim=1), gradients.norm(dim=1), (gradients * away).sum(1)])
        )
        self._before = weights, away

    def _note_move(self, weights: Tensor) -> None:
        if self._before is not None:
            move = weights - self._before[0]
            self._moves.append(torch.stack([move.norm(dim=1), (move * self._before[1]).sum(1)]))

    def paths(self, run: Run) -> list[Path]:
        """The paths, once the run is over."""
        weights = run.models.vectors()[0].double()
        self._note_move(weights)
        last = (weights - self._end).norm(dim=1).tolist()
        rows = torch.stack(self._rows).cpu().numpy()
        moves = torch.stack(self._moves).cpu().numpy()
        return [
            Path(
                *(rows[:, 0, k], rows[:, 1, k], rows[:, 2, k]),
                *(moves[:, 0, k], moves[:, 1, k]),
                last=last[k],
            )
            for k in range(len(last))
        ]


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
    tick: Callable[[], None] = lambda: None,
) -> Retrained:
    """Train the trials once more, in one stack, and evaluate them at their last step alone.

    Args:
        trials: With one cohort key; one alone if not ``stacked``.
        data: Of the trials.
        device: Where to train.
        stacked: See ``Run``.
        hook: Called with every gradient.
        tick: Called after every step.
    """
    last_only = [replace(trial, evaluate_every=trial.steps) for trial in trials]
    run = Run(last_only, data, device, stacked=stacked)
    run.on_gradients = hook
    with seeded(seed_of(trials[0].seed, "layers"), device):  # for what draws: trained alone
        run.train(tick)
    return Retrained(run, run.records(), run.models.vectors()[0].clone())


def record_paths(
    trials: Sequence[Trial],
    data: Tensors,
    device: torch.device,
    stacked: bool = True,
    end: Tensor | None = None,
    tick: Callable[[], None] = lambda: None,
) -> tuple[list[Path], Retrained]:
    """The path of each trial, from its own end point or from others.

    Args:
        trials: With one cohort key; each has to be one that does not diverge.
        data: Of the trials, on ``device``.
        device: Where to train.
        stacked: See ``Run``.
        end: (K, P) end points of others, such as another seed's; None: their own, for which they
            are trained twice.
        tick: Called after every step.

    Returns:
        The paths, and the runs at their end.

    Raises:
        OodbenchError: If the second training does not end where the first did: then the runs
            cannot be repeated on this device, and no path means anything.
    """
    own = end is None
    if end is None:
        end = retrain(trials, data, device, stacked, tick=tick).end
    recorder = Recorder(end)
    again = retrain(trials, data, device, stacked, recorder, tick)
    paths = recorder.paths(again.run)
    for trial, path in zip(trials, paths, strict=True):
        if own and path.last != 0:
            raise OodbenchError(
                f"Trained twice, run {trial.id} ends at two points, {path.last:.3g} apart: it "
                "cannot be repeated on this device. Use --device cpu."
            )
    return paths, again


def measurements(path: Path, null: Array | None = None, every: int = 1) -> list[Measurement]:
    """A path as measurements of its run: role ``train``, metrics ``path_*``.

    Args:
        path: The path.
        null: gamma on noise, to be stored beside it.
        every: Steps from one that is stored to the next.
    """
    series: dict[str, Any] = {name: getattr(path, name) for name in SERIES}
    if null is not None:
        series["gamma_null"] = null
    return [
        Measurement(step, "", "train", "train", f"path_{name}", float(values[step]), 1)
        for step in range(0, len(path.dot), every)
        for name, values in series.items()
    ]
