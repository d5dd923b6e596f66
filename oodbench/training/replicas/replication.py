"""What the replicas of trials do beside the steps of the loop, of which each is a model."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from oodbench.errors import OodbenchError
from oodbench.optimizers.spec import OptimizerSpec
from oodbench.records import Trial
from oodbench.seeds import seed_of
from oodbench.training.clock import EVALUATION, OPTIMIZER, TRAINING, Clock
from oodbench.training.models import Models
from oodbench.training.replicas.methods import Group, Replicas
from oodbench.training.replicas.settings import Settings
from oodbench.training.schedule import factor


class Replication:
    """n trials of K replicas each, of which some are here: so many models in a row of the loop's.

    All replicas of a trial begin with the same weights and draw batches of their own, each of the
    trial's batch size. What is evaluated and kept is the mean of their weights, which is formed for
    that alone and is not counted among the all-reduces.

    Args:
        trials: Trials with ``parallel``.
        group: The replicas of each trial.
        models: The models of the loop.
        means: One for each trial, to hold the means that are evaluated.
        optimizers: Optimizers of the models; read anew, as the loop may build them anew.
        specs: Specifications of the trials' optimizers.
        clock: Clock of the loop.

    Attributes:
        replicas: Replicas of each trial.
        means: See above.
        resting: The models that take a pseudo-step in this step.

    Raises:
        OodbenchError: If a pseudo-step would be outside 0 < c <= 1.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        group: Group,
        models: Models,
        means: Models,
        optimizers: Sequence[torch.optim.Optimizer],
        specs: Sequence[OptimizerSpec],
        clock: Clock,
    ) -> None:
        self._trials, self._group, self._clock = trials, group, clock
        self._models, self._optimizers, self._specs = models, optimizers, specs
        self._rows_of = rows_of(trials, len(group.here))
        weights, k = models.vectors()[0], len(optimizers)
        first = next(iter(models.state(0).values())).numel()
        self.replicas = [
            Replicas(Settings.of(trial), group, trial.seed, weights[rows.start], first)
            for trial, rows in zip(trials, self._rows_of, strict=True)
        ]
        self._check_pseudo_steps()
        self.means = means
        self.resting: set[int] = set()
        self._anchor_buffers = models.buffers()
        self._before = self._anchor_buffers, models.generators()  # this step
        self._rates = [0.0] * k  # what the schedule says
        self._gradients, self._pseudo_steps = [0] * k, [0] * k  # taken so far
        self._losses = torch.zeros(2, k, dtype=weights.dtype, device=weights.device)  # sums, counts

    def _check_pseudo_steps(self) -> None:
        """Raise OodbenchError if one would be outside 0 < c <= 1, at any step of the schedule."""
        for trial, replicas, rows in zip(self._trials, self.replicas, self._rows_of, strict=True):
            groups = self._optimizers[rows.start].param_groups
            if not replicas.settings.probability:
                continue
            if len({group["lr"] for group in groups}) > 1:
                raise OodbenchError(
                    f"{trial.optimizer}: a pseudo-step needs one learning rate, but this optimizer "
                    "has several; use diloco with it"
                )
            steps = range(replicas.settings.sync_warmup + 1, trial.steps)
            factors = [factor(trial.schedule, trial.warmup, t, trial.steps) for t in steps]
            replicas.check(groups[0]["lr"] * max(factors, default=1.0))

    def begin(self, step: int) -> None:
        """Choose who takes a pseudo-step in this step, whose scheduled learning rates are set."""
        rests = (rests for replicas in self.replicas for rests in replicas.resting(step))
        self.resting = {row for row, rests_ in enumerate(rests) if rests_}
        self._before = self._models.buffers(), self._models.generators()
        self._rates = [optimizer.param_groups[0]["lr"] for optimizer in self._optimizers]
        for replicas, rows in zip(self.replicas, self._rows_of, strict=True):
            if replicas.settings.probability:
                for row in range(rows.start, rows.stop):
                    self._set_rate(row, replicas.rate(step, self._rates[row]))

    def _set_rate(self, row: int, rate: float) -> None:
        """Set the one learning rate of an optimizer."""
        for group in self._optimizers[row].param_groups:
            group["lr"] = rate

    def average_gradients(self, step: int, diverged: Collection[int]) -> None:
        """Average them over the replicas of each trial that is in its warm-up."""
        if not any(replicas.settings.averages_gradients(step) for replicas in self.replicas):
            return
        _, gradients = self._models.vectors()
        for replicas, rows in self._training(diverged):
            if replicas.settings.averages_gradients(step):
                replicas.average(gradients[rows])
        self._models.set_gradients(gradients)

    def _training(self, diverged: Collection[int]) -> list[tuple[Replicas, slice]]:
        """The replicas and rows of the trials that have not diverged."""
        both = zip(self.replicas, self._rows_of, strict=True)
        return [(replicas, rows) for replicas, rows in both if rows.start not in diverged]

    def finish(self, step: int, losses: Tensor | None, diverged: Collection[int]) -> Tensor:
        """Take the pseudo-steps, and agree where it is time to.

        Args:
            step: That the others have just taken.
            losses: Losses of all models; None if all of them rested, so that nothing was computed.
            diverged: The models that take no step.

        Returns:
            The losses, 0 for a model that takes a pseudo-step.
        """
        k = len(self._optimizers)
        resting = torch.tensor(
            [row in self.resting for row in range(k)], device=self._losses.device
        )
        if losses is None:
            losses = torch.zeros_like(self._losses[0])
        else:
            losses = losses.masked_fill(resting, 0.0)
            self._undo_for(resting)
        self._losses[0] += losses
        self._losses[1] += ~resting
        for row in set(range(k)) - self.resting - set(diverged):
            self._gradients[row] += self._specs[row].evaluations
        with self._clock(OPTIMIZER), torch.no_grad():
            self._agree(step, diverged)
        return losses

    def _undo_for(self, resting: Tensor) -> None:
        """A replica that takes a pseudo-step saw no batch, though it ran beside the others."""
        if self.resting:
            buffers, generators = self._before
            rows = resting.unsqueeze(1)
            self._models.set_buffers(buffers.where(rows, self._models.buffers()))
            now = enumerate(zip(generators, self._models.generators(), strict=True))
            self._models.set_generators([both[row not in self.resting] for row, both in now])

    def _agree(self, step: int, diverged: Collection[int]) -> None:
        for replicas, rows in self._training(diverged):
            if replicas.settings.probability:
                for row in range(rows.start, rows.stop):
                    self._set_rate(row, self._rates[row])
        if not self.resting and not any(r.settings.acts_after(step) for r in self.replicas):
            return
        weights, changed = self._models.vectors()[0], False
        for replicas, rows in self._training(diverged):
            for row in sorted(self.resting & set(range(rows.start, rows.stop))):
                replicas.pull(weights[row], self._rates[row])
                self._pseudo_steps[row] += 1
                changed = True
            agreed = replicas.after(step, weights[rows], self._optimizers[rows])
            changed |= agreed
            if replicas.settings.batchnorm == "reset":
                if agreed:
                    self._models.set_buffers(self._anchor_buffers)
                elif step + 1 == replicas.settings.sync_warmup:
                    self._anchor_buffers = self._models.buffers()
        if changed:
            self._models.set_weights(weights)

    def freeze(self, diverged: dict[int, int]) -> None:
        """Stop all replicas of a trial as soon as one of them, here or elsewhere, has diverged.

        What is found is added to ``diverged``: model -> the step that showed it.
        """
        for trial, rows in zip(self._trials, self._rows_of, strict=True):
            never = trial.steps + 1
            mine = min(diverged.get(row, never) for row in range(rows.start, rows.stop))
            with self._clock(EVALUATION):  # no part of the method: not its communication
                since = self._group.least(mine)
            if since < never:
                diverged |= dict.fromkeys(range(rows.start, rows.stop), since)

    def mean_losses(self) -> list[tuple[float, int]]:
        """Each trial's mean loss since the last call, and the number of its gradients."""
        sums = [self._group.mean(self._losses[:, rows].T).tolist() for rows in self._rows_of]
        self._losses.zero_()
        both = zip(self._trials, sums, strict=True)
        return [(total / count, round(count * trial.replicas)) for trial, (total, count) in both]

    def averaged(self) -> Models:
        """The means of each trial's replicas, as they are now."""
        weights, buffers = self._models.vectors()[0], self._models.buffers()
        self.means.set_weights(torch.stack([self._group.mean(weights[r]) for r in self._rows_of]))
        if buffers.numel():  # then there is one trial: its replicas cannot be stacked
            averaged = self.replicas[0].settings.batchnorm == "average"
            row = self._group.mean(buffers) if averaged else buffers[0]
            self.means.set_buffers(row.unsqueeze(0))
        return self.means

    def costs(self, number: int, examples: int) -> dict[str, Any]:
        """What a trial cost: sums over its replicas, but all-reduces and bytes of each of them.

        There are so many ``examples`` in a batch of one replica.
        """
        replicas, rows = self.replicas[number], self._rows_of[number]
        counts = torch.tensor([self._gradients[rows], self._pseudo_steps[rows]])
        mean = self._group.mean(counts.T.double())
        gradients, pseudo_steps = mean * self._trials[number].replicas
        return {
            "gradient_evaluations": round(gradients.item()),
            "parallel": {
                "engine": self._group.engine,
                "replicas": self._trials[number].replicas,
                "pseudo_steps": round(pseudo_steps.item()),
                "samples": round(gradients.item()) * examples,
                "all_reduces": replicas.all_reduces,
                "bytes": replicas.bytes,
                **self._times(),
            },
        }

    def _times(self) -> Mapping[str, float | None]:
        """Seconds of a replica, on average, in its own work and on the others, without evaluating.

        None where the replicas are simulated: they share a processor, and nothing is sent. None on
        a GPU, too, unless it is profiled: to take the time it would have to be waited for.
        """
        names = ("compute_seconds", "waiting_seconds", "communication_seconds")
        if self._group.seconds is None:
            return dict.fromkeys(names)
        both = self._group.seconds  # they are spent in the phases of training
        own = sum(self._clock.seconds[phase] for phase in TRAINING) - sum(both)
        mean = self._group.mean(torch.tensor([[own, *both]], dtype=torch.float64))
        return {name: round(value, 6) for name, value in zip(names, mean.tolist(), strict=True)}

    def check_in_place(self, broken: Collection[int]) -> None:
        """Raise OodbenchError if an optimizer writes to other memory than it was given."""
        for row in broken:
            trial = self._trials[row // len(self._group.here)]
            raise OodbenchError(
                f"{trial.optimizer}: the inner optimizer is marked stackable, but writes to "
                "other memory than it is given; mark it stackable=False"
            )


def stream_seeds(trials: Sequence[Trial], group: Group) -> list[int]:
    """What each replica here draws its own batches from."""
    return [seed_of(trial.seed, "replica", r) for trial in trials for r in group.here]


def rows_of(trials: Sequence[Trial], here: int) -> list[slice]:
    """Which of the loop's models are those of each trial: so many in a row."""
    return [slice(i * here, (i + 1) * here) for i in range(len(trials))]
