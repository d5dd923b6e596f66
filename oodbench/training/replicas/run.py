"""Trials whose training is distributed over replicas: each replica here is a model of the loop."""

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from oodbench.errors import OodbenchError
from oodbench.optimizers import OPTIMIZERS
from oodbench.records import Measurement, RunRecord, Trial
from oodbench.seeds import seed_of
from oodbench.training.clock import EVALUATION, OPTIMIZER, TRAINING, Clock
from oodbench.training.evaluation import evaluate
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.loop import Run, build_module, outcome
from oodbench.training.models import Models
from oodbench.training.replicas.methods import Group, Replicas, Together
from oodbench.training.replicas.settings import Settings
from oodbench.training.replicas.side_by_side import Several
from oodbench.training.schedule import factor
from oodbench.training.stack import Stack, can_stack


class ReplicatedRun(Run):
    """n trials of K replicas on their way through the loop.

    All replicas of a trial begin with the same weights and draw batches of their own, each of the
    trial's batch size. What is evaluated and kept is the mean of their weights, which is formed for
    that alone and is not counted among the all-reduces.

    Args:
        trials: As for ``Run``; with ``parallel``.
        data, device, stacked, selected, clock: As for ``Run``.
        group: The replicas of each trial; by default all of them are here.

    Raises:
        OodbenchError: If a pseudo-step would be outside 0 < c <= 1.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        data: Tensors,
        device: torch.device,
        stacked: bool = True,
        selected: Collection[str] = (),
        clock: Clock | None = None,
        group: Group | None = None,
    ) -> None:
        self.asked, self.group = trials, group or Together(trials[0].replicas)
        here = len(self.group.here)
        rows = [trial for trial in trials for _ in range(here)]
        super().__init__(rows, data, device, stacked, selected, clock)
        self.rows_of = [slice(i * here, (i + 1) * here) for i in range(len(trials))]
        first = next(iter(self.models.state(0).values())).numel()
        weights = self.models.vectors()[0]
        self.replicas = [
            Replicas(
                Settings.of(trial.parallel, trial.hparams, trial.steps),
                self.group,
                trial.seed,
                weights[rows.start],
                first,
            )
            for trial, rows in zip(trials, self.rows_of, strict=True)
        ]
        self.check_pseudo_steps()
        self.means = self.build_models(
            [build_module(trial, data.shape, data.num_classes) for trial in trials]
        )
        self.anchor_buffers = self.buffers()
        self.measurements = [[] for _ in trials]
        self.resting: list[bool] = []  # rows that take a pseudo-step
        self.rates: list[float] = []  # what the schedule says, by row
        self.gradient_evaluations = [0] * self.k
        self.pseudo_steps = [0] * self.k
        self.losses = torch.zeros(2, self.k, dtype=weights.dtype, device=device)  # sums, counts
        self.on_gradients = lambda _, step: self.average_gradients(step)

    def build_models(self, modules: Sequence[nn.Module]) -> Models:
        """In a stack; else side by side, each with its own dropout."""
        precision = self.trials[0].precision
        if self.stacked:
            return Stack(modules, self.device, precision, self.handed)
        (trial,) = self.asked
        seeds = [seed_of(trial.seed, "layers", replica) for replica in self.group.here]
        return Several(modules, self.device, precision, seeds[: len(modules)])

    def buffers(self) -> Tensor:
        """(n, B) buffers of the replicas here; a stack has none."""
        models = self.models
        return models.buffers() if isinstance(models, Several) else torch.zeros(self.k, 0)

    def draws(self) -> Any:
        """Where the generators are that the replicas draw from."""
        return list(self.models.draws) if isinstance(self.models, Several) else []

    def draw_again(self, drawn: Any) -> None:
        """Put them there again."""
        if isinstance(self.models, Several):
            self.models.draws = list(drawn)

    def stream_seeds(self) -> list[int]:
        """Each replica draws its own batches."""
        return [
            seed_of(trial.seed, "replica", replica)
            for trial in self.asked
            for replica in self.group.here
        ]

    def check_pseudo_steps(self) -> None:
        """Raise OodbenchError if one would be outside 0 < c <= 1, at any step of the schedule."""
        for replicas, rows in zip(self.replicas, self.rows_of, strict=True):
            trial, groups = self.trials[rows.start], self.optimizers[rows.start].param_groups
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

    def step(self, step: int) -> Tensor:
        """One step of every replica; returns the losses, 0 for one that takes a pseudo-step."""
        self.resting = [rests for replicas in self.replicas for rests in replicas.resting(step)]
        resting = torch.tensor(self.resting, device=self.device)
        if all(self.resting):  # no batch is read, no gradient taken
            self.set_learning_rates(step)
            losses = torch.zeros_like(self.losses[0])
        else:
            before = self.buffers(), self.draws()
            losses = super().step(step).masked_fill(resting, 0.0)
            self.undo_for_resting(*before)
        self.losses[0] += losses
        self.losses[1] += ~resting
        with self.clock(OPTIMIZER), torch.no_grad():
            self.finish(step)
        return losses

    def undo_for_resting(self, buffers: Tensor, drawn: list[dict[str, Tensor]]) -> None:
        """A replica that takes a pseudo-step saw no batch, though it ran beside the others."""
        if isinstance(self.models, Several) and any(self.resting):
            rows = torch.tensor(self.resting, device=self.device).unsqueeze(1)
            self.models.set_buffers(buffers.where(rows, self.models.buffers()))
            now = zip(self.resting, drawn, self.models.draws, strict=True)
            self.models.draws = [old if rests else new for rests, old, new in now]

    def set_learning_rates(self, step: int) -> None:
        """Those of the schedule, and for the step alone what the method makes of them."""
        super().set_learning_rates(step)
        self.rates = [optimizer.param_groups[0]["lr"] for optimizer in self.optimizers]
        for replicas, rows in zip(self.replicas, self.rows_of, strict=True):
            if replicas.settings.probability:
                for row in range(rows.start, rows.stop):
                    self.put_rate(row, replicas.rate(step, self.rates[row]))

    def put_rate(self, row: int, rate: float) -> None:
        """Set the one learning rate of an optimizer."""
        for group in self.optimizers[row].param_groups:
            group["lr"] = rate

    def stepping(self) -> list[int]:
        """The replicas whose optimizers take this step."""
        rows = [row for row in super().stepping() if not self.resting[row]]
        for row in rows:
            self.gradient_evaluations[row] += self.specs[row].evaluations
        return rows

    def average_gradients(self, step: int) -> None:
        """Average them over the replicas of each trial that is in its warm-up."""
        if not any(replicas.settings.averages_gradients(step) for replicas in self.replicas):
            return
        _, gradients = self.models.vectors()
        for replicas, rows in self.training():
            if replicas.settings.averages_gradients(step):
                replicas.average(gradients[rows])
        self.models.set_gradients(gradients)

    def training(self) -> list[tuple[Replicas, slice]]:
        """The replicas and rows of the trials that have not diverged."""
        both = zip(self.replicas, self.rows_of, strict=True)
        return [(replicas, rows) for replicas, rows in both if rows.start not in self.diverged]

    def finish(self, step: int) -> None:
        """Take the pseudo-steps, and agree where it is time to."""
        for replicas, rows in self.training():
            if replicas.settings.probability:
                for row in range(rows.start, rows.stop):
                    self.put_rate(row, self.rates[row])
        if not any(self.resting) and not any(r.settings.acts_after(step) for r in self.replicas):
            return
        weights, changed = self.models.vectors()[0], False
        for replicas, rows in self.training():
            for row in range(rows.start, rows.stop):
                if self.resting[row]:
                    replicas.pull(weights[row], self.rates[row])
                    self.pseudo_steps[row] += 1
                    changed = True
            agreed = replicas.after(step, weights[rows], self.optimizers[rows])
            changed |= agreed
            if isinstance(self.models, Several) and replicas.settings.batchnorm == "reset":
                if agreed:
                    self.models.set_buffers(self.anchor_buffers)
                elif step + 1 == replicas.settings.sync_warmup:
                    self.anchor_buffers = self.buffers()
        if changed:
            self.models.set_weights(weights)

    def freeze(self, bad_since: Tensor, step: int) -> None:
        """Stop all replicas of a trial as soon as one of them has diverged."""
        super().freeze(bad_since, step)
        for trial, rows in zip(self.asked, self.rows_of, strict=True):
            never = trial.steps + 1
            mine = min(self.diverged.get(row, never) for row in range(rows.start, rows.stop))
            with self.clock(EVALUATION):  # no part of the method: not its communication
                since = self.group.least(mine)
            if since < never:
                self.diverged |= dict.fromkeys(range(rows.start, rows.stop), since)

    def measure(self, step: int, losses: Tensor, steps: int) -> None:
        """Record accuracies of the mean weights, and the mean loss of all gradients taken."""
        sums = [self.group.mean(self.losses[:, rows].T).tolist() for rows in self.rows_of]
        self.losses.zero_()
        with self.clock(EVALUATION), self.averaged() as models:
            n, evaluation = len(self.asked), self.data.evaluation
            scores = evaluate(models, evaluation, n, step, self.data.num_classes)
            for number, (total, count) in enumerate(sums):
                if self.rows_of[number].start not in self.diverged:
                    taken = round(count * self.asked[number].replicas)
                    loss = Measurement(step, "", "train", "train", "loss", total / count, taken)
                    self.measurements[number] += [*scores[number], loss]
                    self.keep_best(number, step, scores[number], models)

    @contextmanager
    def averaged(self) -> Iterator[Models]:
        """Inside, the models are the means of the replicas."""
        with super().averaged():
            weights = self.models.vectors()[0]
            means = [self.group.mean(weights[rows]) for rows in self.rows_of]
            self.means.set_weights(torch.stack(means))
            if isinstance(self.means, Several):
                (replicas,), buffers = self.replicas, self.buffers()
                averaged = replicas.settings.batchnorm == "average"
                row = self.group.mean(buffers) if averaged else buffers[0]
                self.means.set_buffers(row.unsqueeze(0))
            yield self.means

    def weights(self, model: int) -> dict[str, Tensor]:
        """Of a trial, by its number: the mean that was evaluated after the last step."""
        return self.means.state(model)

    def keeps_best(self, model: int) -> bool:
        """Of a trial, by its number."""
        return self.asked[model].id in self.selected

    def records(self) -> list[RunRecord]:
        """What came of each trial.

        Raises:
            OodbenchError: If an optimizer does not write to the parameters that it was given.
        """
        for row in self.broken:
            raise OodbenchError(told_unstackable(self.trials[row].optimizer))
        return [
            outcome(
                trial,
                self.diverged.get(rows.start),
                self.measurements[number],
                {**self.provenance(rows.start), **self.costs(number)},
            )
            for number, (trial, rows) in enumerate(zip(self.asked, self.rows_of, strict=True))
        ]

    def costs(self, number: int) -> dict[str, Any]:
        """What a trial cost: sums over its replicas, but all-reduces and bytes of each of them."""
        replicas, rows = self.replicas[number], self.rows_of[number]
        counts = torch.tensor([self.gradient_evaluations[rows], self.pseudo_steps[rows]])
        gradients, pseudo_steps = self.group.mean(counts.T.double()) * self.asked[number].replicas
        examples = math.prod(self.batches.at(0).shape[1:])
        return {
            "seconds": round(self.seconds / len(self.asked), 6),
            "gradient_evaluations": round(gradients.item()),
            "parallel": {
                "engine": self.group.engine,
                "replicas": self.asked[number].replicas,
                "pseudo_steps": round(pseudo_steps.item()),
                "samples": round(gradients.item()) * examples,
                "all_reduces": replicas.all_reduces,
                "bytes": replicas.bytes,
                **self.times(),
            },
        }

    def times(self) -> dict[str, float | None]:
        """Seconds of a replica, on average, in its own work and on the others, without evaluating.

        None where the replicas are simulated: they share a processor, and nothing is sent.
        """
        names = ("compute_seconds", "waiting_seconds", "communication_seconds")
        if self.group.seconds is None:
            return dict.fromkeys(names)
        both = self.group.seconds  # they are spent in the phases of training
        own = sum(self.clock.seconds[phase] for phase in TRAINING) - sum(both)
        mean = self.group.mean(torch.tensor([[own, *both]], dtype=torch.float64))
        return {name: round(value, 6) for name, value in zip(names, mean.tolist(), strict=True)}


def stacked_together(trials: Sequence[Trial], module: nn.Module) -> bool:
    """Whether the replicas of trials of this model may be a stack; else they run side by side."""
    return can_stack(module) and all(OPTIMIZERS.get(t.optimizer).stackable for t in trials)


def told_unstackable(optimizer: str) -> str:
    """Why the optimizer is refused."""
    return (
        f"{optimizer}: the inner optimizer is marked stackable, but writes to other memory than it "
        "is given; mark it stackable=False"
    )
