"""The one training loop: K trials of one shape, trained together.

What a model becomes does not depend on its neighbours, on K, on how often it is evaluated, or on
which process trains it.
"""

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from itertools import groupby
from types import GeneratorType, MappingProxyType
from typing import Any

import torch
from torch import Tensor

from oodbench.algorithms import ALGORITHMS, Algorithm, Setup
from oodbench.models import MODELS
from oodbench.models.spec import SEARCHED
from oodbench.optimizers import OPTIMIZERS
from oodbench.optimizers.fine_tuning import FineTuning
from oodbench.records import BEST, Measurement, Trial
from oodbench.seeds import seed_of
from oodbench.training.accumulation import accumulate, check_pieces
from oodbench.training.averaging import WeightAverage
from oodbench.training.clock import DATA, EVALUATION, MODEL, OPTIMIZER, Clock
from oodbench.training.evaluation import Evaluation, evaluate
from oodbench.training.fast.capturing import Captured
from oodbench.training.fast.compiling import Compiled, differentiate, tell_plain
from oodbench.training.fast.products import spread
from oodbench.training.fast.together import Steps, pays
from oodbench.training.groups import Layout, built
from oodbench.training.inputs.batches import BLOCK, Batches
from oodbench.training.inputs.loading import Loading
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.mixtures import scores_of_mixtures
from oodbench.training.models import Models
from oodbench.training.precision import DTYPES
from oodbench.training.provenance import forget_peak
from oodbench.training.random import seeded
from oodbench.training.replicas.methods import Group, Simulated
from oodbench.training.replicas.replication import Replication, rows_of, stream_seeds
from oodbench.training.replicas.side_by_side import SideBySide
from oodbench.training.schedule import set_learning_rates
from oodbench.training.single import Single
from oodbench.training.stack import Stack
from oodbench.training.statistics import FreshStatistics


def build_module(trial: Trial, shape: tuple[int, ...], num_classes: int) -> torch.nn.Module:
    """The trial's model, initialised from its seed alone."""
    with seeded(seed_of(trial.seed, "init")):
        spec = MODELS.get(trial.model)
        drawn = {k: v for k, v in trial.hparams.items() if k in SEARCHED and k in spec.options}
        options = {**spec.defaults, **trial.model_options, **drawn}
        return spec.build(shape, num_classes, **options)


def shared(seeds: Sequence[int]) -> tuple[tuple[int, ...], list[int]]:
    """How many models in a row have one seed, and so one batch, and these seeds.

    Nothing instead of the first where each has its own.
    """
    groups = [(seed, len(list(group))) for seed, group in groupby(seeds)]
    shares = tuple(n for _, n in groups)
    return shares if len(shares) < len(seeds) else (), [seed for seed, _ in groups]


class Run:
    """n trials on their way through the loop, as K models.

    K is n, unless the trials have replicas: then each that is here is a model, in a row with those
    of its trial. See ``oodbench.training.replicas.replication``.

    Args:
        trials: Trials with one cohort key; only one if they are not stacked.
        data: See ``train``.
        device: Where to train.
        stacked: Train them as a stack, even one alone, so that in float32 too it becomes what it
            would become among others; else run the modules as they are.
        selected: Ids of the trials of which to keep the weights of the best checkpoint.
        predicting: Trial id -> the checkpoints (``last``, ``best_id_val``) of which to keep the
            predictions.
        clock: Takes the time of each phase.
        compiled: Take the gradients through ``torch.compile``, as far as that goes.
        graphs: Take steps that models of a stack take together as CUDA graphs, unless compiled.
        group: The replicas of each trial; by default all of them are simulated here.
        loaders: Threads that make batches ahead while this trains: see ``Loading``.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        data: Tensors,
        device: torch.device,
        stacked: bool = True,
        selected: Collection[str] = (),
        predicting: Mapping[str, Collection[str]] = MappingProxyType({}),
        clock: Clock | None = None,
        compiled: bool = False,
        graphs: bool = False,
        group: Group | None = None,
        loaders: int | None = 0,
    ) -> None:
        first = trials[0]
        forget_peak(device)
        self.trials, self.data, self.device = trials, data, device
        self.stacked, self.clock = stacked, clock or Clock()
        self.selected, self.predicting = selected, predicting
        self.group = (group or Simulated(first.replicas)) if first.parallel else None
        here = len(self.group.here) if self.group else 1
        self.rows_of = rows_of(trials, here)  # trial -> its models
        self.trial_of = [trial for trial in trials for _ in range(here)]  # model -> its trial
        self.k = len(self.trial_of)
        spec = ALGORITHMS.get(first.algorithm)
        seeds = stream_seeds(trials, self.group) if self.group else [t.seed for t in trials]
        self.shares, seeds = shared(seeds)
        # The shares that the models receive. Shared inputs come in other shapes in each stack: each
        # would be compiled anew.
        self.handed = self.shares if stacked and spec.hands_on and not compiled else ()
        modules = self.build_modules(self.trial_of)
        self.layout = Layout(modules[0], first.hparams, first.steps)
        check_pieces(first.batch, modules[0], self.layout)
        self.models = self.models_of(modules)
        self.stage = 0  # the step since which the same parameters are trained
        if len(self.layout.stages[0]) < len(self.layout.parts):
            self.models.train_only(self.layout.stages[0])
        hparams, dtype = [trial.hparams for trial in self.trial_of], DTYPES[first.precision]
        setup = Setup(hparams, first.steps, device, dtype, first.label_smoothing)
        self.algorithm: Algorithm = spec(setup, first.algorithm_options)
        drawn = data.sizes, first.batch, seeds, data.inputs.place, data.labels, first.balance
        self.batches = Batches(*drawn)
        self.loading = Loading(data, seeds, device, loaders)
        memory, average = self.models.memory(), first.average
        self.average = WeightAverage(memory, average, first.steps) if average else None
        self.statistics = FreshStatistics(first, data, device)
        self.specs = [OPTIMIZERS.get(trial.optimizer) for trial in self.trial_of]
        self.optimizers = [self.build_optimizer(model) for model in range(self.k)]
        together = stacked and self.group is None and pays(device)
        self.steps = Steps(self.optimizers, self.models.vectors() if together else None)
        what = f"{first.algorithm}, {first.model}"
        fixed = graphs and together and not compiled and not self.algorithm.state
        self.captured = Captured(what) if fixed else None
        pieces = self.layout.accumulate
        if compiled and pieces > 1:
            tell_plain("accumulate", "a batch is computed in pieces")
        self.compiled = Compiled(what) if compiled and pieces == 1 else None
        self.differentiate = partial(accumulate, pieces) if pieces > 1 else differentiate
        self.replicas: Replication | None = None
        if self.group:
            means = self.models_of(self.build_modules(trials))
            means.train_only(self.layout.stages[0])
            driven = self.models, means, self.optimizers, self.specs
            self.replicas = Replication(trials, self.group, *driven, self.clock)
        self.evaluation_steps = set(first.evaluation_steps)
        # Nothing is trained yet.
        self.measurements: list[list[Measurement]] = [[] for _ in self.trials]
        self.diverged: dict[int, int] = {}  # model -> the step that showed it
        self.broken: set[int] = set()  # models whose optimizer left the stack's memory
        # trial -> mean ID validation accuracy, step, weights and predictions of its best checkpoint
        self.best: dict[int, tuple[float, int, dict[str, Tensor], Tensor | None]] = {}
        self.first: list[dict[str, Tensor]] = []  # states to be mixed with the last
        self.predicted: Tensor | None = None  # (n, examples) at the last step, where to be kept
        self.done = 0  # steps
        # model -> the first step whose loss was not finite; steps if none, as far as looked at
        self.bad_since = torch.full((self.k,), self.trials[0].steps, device=self.device)
        self.unseen: list[Tensor] = []  # (K,) losses of the last steps, not looked at yet
        self.total = torch.zeros(self.k, device=self.device)  # of the losses of the last steps,
        self.summed = 0  # so many
        self.seconds = 0.0
        self.resumed_at: list[int] = []
        # Called with this and the step whenever the gradients are there, before they are clipped.
        self.on_gradients: Callable[[Run, int], None] | None = None

    def build_modules(self, trials: Sequence[Trial]) -> list[torch.nn.Module]:
        """A module for each of these trials, as it begins."""
        built: dict[int, torch.nn.Module] = {}
        modules = []
        for trial in trials:
            if not self.stacked or trial.seed not in built:  # a stack copies them
                built[trial.seed] = build_module(trial, self.data.shape, self.data.num_classes)
            modules.append(built[trial.seed])
        return modules

    def models_of(self, modules: Sequence[torch.nn.Module]) -> Models:
        """A stack of these, or the modules as they are."""
        precision, seed = self.trials[0].precision, self.trials[0].seed
        if self.stacked:
            order = self.layout.order
            return Stack(modules, self.device, precision, self.handed, order)
        if self.group:
            seeds = [seed_of(seed, "layers", replica) for replica in self.group.here]
            return SideBySide(modules, self.device, precision, seeds[: len(modules)])
        (module,) = modules
        return Single(module, self.device, precision)

    def build_optimizer(self, model: int, restarted: bool = False) -> torch.optim.Optimizer:
        """The trial's optimizer, or the one that its algorithm restarts it as."""
        trial = self.trial_of[model]
        name, hparams = trial.optimizer, dict(trial.hparams)
        if restarted and self.algorithm.restart_as is not None:
            name, added = self.algorithm.restart_as
            hparams = {"weight_decay": 0.0, **hparams, **added}  # Rprop has no decay
        self.specs[model] = spec = OPTIMIZERS.get(name)
        groups = self.layout.groups(FineTuning.of(hparams), spec.hidden_apart, self.stage)
        given = self.models.parameters_of(model, spec.flat, [g.positions for g in groups])
        return built(spec, groups, given, hparams)

    def train(self, tick: Callable[[], None]) -> None:
        """Train to the last step."""
        start = time.perf_counter() - self.seconds
        with self.loading.until(self.trials[0].steps):
            for step in range(self.done, self.trials[0].steps):
                self.take(step)
                self.seconds = time.perf_counter() - start
                tick()

    def take(self, step: int) -> None:
        """Take one step, and look at the models where the trials are evaluated."""
        trial = self.trials[0]
        self.enter(step)
        if trial.wise_ft and step == self.layout.linear_steps:
            self.first = [self.models.state(model) for model in range(self.k)]
        self.restart(self.algorithm.restarts.get(step, ()))
        self.divide_decay(self.algorithm.divisors.get(step, {}))
        losses = self.step(step)
        self.unseen.append(losses)
        self.total += losses
        self.summed += 1
        self.done = step + 1
        if self.average:
            self.average.update(self.done)
        evaluated = self.done in self.evaluation_steps
        if evaluated or self.done % BLOCK == 0:
            self.look_at_losses()
            self.freeze(self.bad_since, self.done)
        if evaluated:
            self.measure(self.done, self.mean_losses())
            self.look_for_broken(range(self.k))

    def enter(self, step: int) -> None:
        """Train what is trained from this step on; after linear steps by new optimizers."""
        if step == 0 or step not in self.layout.stages:
            return
        self.look_for_broken(range(self.k))
        self.stage = step
        for models in (self.models, *([self.replicas.means] if self.replicas else [])):
            models.train_only(self.layout.stages[step])
        if step == self.layout.linear_steps:
            for model in range(self.k):
                before = [s for s, models in self.algorithm.restarts.items() if model in models]
                self.renew(model, restarted=any(s < step for s in before))
            for s, divisors in self.algorithm.divisors.items():
                self.divide_decay(divisors if s < step else {})

    def restart(self, models: Sequence[int]) -> None:
        """Build the optimizers of these models anew."""
        self.look_for_broken(models)  # a new optimizer gets new views: no trace would be left
        for model in models:
            self.renew(model, restarted=True)

    def renew(self, model: int, restarted: bool) -> None:
        """Build one model's optimizer anew."""
        self.optimizers[model] = self.build_optimizer(model, restarted)
        self.steps.renew(model)

    def divide_decay(self, divisors: Mapping[int, float]) -> None:
        """Divide the weight decay that is a part of a model's loss by what its loss is divided by.

        A checkpoint has it: weight decay is in the state of an optimizer.
        """
        for model, divisor in divisors.items():
            if self.specs[model].couples_decay(self.trial_of[model].hparams):
                for group in self.optimizers[model].param_groups:
                    group["weight_decay"] /= divisor
                self.steps.read()

    def look_at_losses(self) -> None:
        """Note the steps since which losses are not finite: for many steps at once, as each look
        costs a small model as much as a layer."""
        if self.unseen:
            steps = torch.arange(self.done - len(self.unseen), self.done, device=self.device)
            fine = torch.stack(self.unseen).isfinite()
            first = steps.unsqueeze(1).where(~fine, self.trials[0].steps).amin(0)
            self.bad_since = torch.minimum(self.bad_since, first)
            self.unseen.clear()

    def look_for_broken(self, models: Sequence[int]) -> None:
        """Note the models whose optimizer writes to other memory than the stack's."""
        self.broken |= {model for model in models if not self.models.intact(model)}

    def step(self, step: int) -> Tensor:
        """One step of every model that has not diverged; returns the (K,) losses."""
        if set_learning_rates(self.optimizers, self.trials[0], step):
            self.steps.read()
        idle = set(self.diverged)
        if self.replicas:
            self.replicas.begin(step)
            idle |= self.replicas.resting
            if len(self.replicas.resting) == self.k:  # no batch is read, no gradient taken
                return self.replicas.finish(step, None, self.diverged)
        with self.clock(DATA):
            batch = self.loading.at(step, self.batches.at)
            labels = spread(batch.labels, self.shares)
            inputs = batch.inputs if self.handed else spread(batch.inputs, self.shares)
        self.steps.prepare(idle)
        if self.captured and self.steps.together and not self.on_gradients:
            key = self.stage, self.steps.grouping
            losses = self.captured(self.update, key, inputs, labels, step)
        else:
            losses = self.update(inputs, labels, step)
        return self.replicas.finish(step, losses, self.diverged) if self.replicas else losses

    def update(self, inputs: Tensor, labels: Tensor, step: int) -> Tensor:
        """Take the step for which all is prepared; returns the (K,) losses.

        Where it is captured, its number is a tensor.
        """
        drawn = self.models.generators()
        losses = self.gradients(inputs, labels, step)
        with self.clock(OPTIMIZER), torch.no_grad():
            taken = self.steps()
        if unfinished := self.advance(taken):
            self.reevaluate(unfinished, drawn, inputs, labels, step)
        return losses

    def gradients(self, inputs: Tensor, labels: Tensor, step: int) -> Tensor:
        """Compute the gradients where the parameters are; returns the (K,) losses."""
        with self.clock(MODEL):
            gradients = self.compiled or self.differentiate
            losses = gradients(self.algorithm, self.models, inputs, labels, step)
            if self.replicas:
                self.replicas.average_gradients(step, self.diverged)
            if self.on_gradients:
                self.on_gradients(self, step)
            if clip := self.trials[0].clip_norm:
                self.models.clip(clip)
        return losses

    def reevaluate(
        self,
        unfinished: list[Generator[None, None, None]],
        drawn: Sequence[Mapping[str, Tensor]],
        inputs: Tensor,
        labels: Tensor,
        step: int,
    ) -> None:
        """Give optimizers the gradients that they need beyond a step's first, to its end.

        The loss is the same, dropout masks included: ``drawn`` is where the generators were.
        BatchNorm keeps the statistics of the first pass, as in the code of SAM's authors.
        """
        seen = self.models.buffers()
        while unfinished:
            self.models.set_generators(drawn)
            self.gradients(inputs, labels, step)
            unfinished = self.advance(unfinished)
        self.models.set_buffers(seen)

    def advance(self, steps: Sequence[Any]) -> list[Generator[None, None, None]]:
        """Take steps of optimizers that re-evaluate up to where they need their next gradients.

        Returns:
            Those that do.
        """
        with self.clock(OPTIMIZER), torch.no_grad():
            return [s for s in steps if isinstance(s, GeneratorType) and next(s, s) is None]

    def freeze(self, bad_since: Tensor, step: int) -> None:
        """Stop the models whose loss or parameters are no longer finite."""
        finite = self.models.finite().tolist()
        for model, since in enumerate(bad_since.tolist()):
            if since < step or not finite[model]:
                self.diverged.setdefault(model, min(since + 1, step))
        if self.replicas:
            self.replicas.freeze(self.diverged)

    def mean_losses(self) -> list[tuple[float, int]]:
        """Each trial's mean loss since the last call, and the number of losses."""
        if self.replicas:
            found = self.replicas.mean_losses()
        else:
            found = [(mean, self.summed) for mean in (self.total / self.summed).tolist()]
        self.total.zero_()
        self.summed = 0
        return found

    def measure(self, step: int, losses: Sequence[tuple[float, int]]) -> None:
        """Record accuracies and the ``mean_losses`` of the trials that have not diverged."""
        n, evaluation, classes = len(self.trials), self.data.evaluation, self.data.num_classes
        with self.clock(EVALUATION), self.averaged() as models:
            found = evaluate(models, evaluation, n, step, classes)
            if self.predicting and step == self.trials[0].steps:
                self.predicted = found.predicted_here
            shares = self.trials[0].wise_ft if step == self.trials[0].steps else ()
            mixed = scores_of_mixtures(models, self.first, shares, evaluation, n, step, classes)
            for number, (mean, taken) in enumerate(losses):
                if self.rows_of[number].start not in self.diverged:
                    loss = Measurement(step, "", "train", "train", "loss", mean, taken)
                    self.measurements[number] += [*found.scores[number], *mixed[number], loss]
                    self.keep_best(number, step, found, models)

    @contextmanager
    def averaged(self) -> Iterator[Models]:
        """Inside, the models of the trials have the parameters that are to be evaluated.

        They are those that are trained unless an optimizer averages, the trial asks for averages or
        has replicas; these come back bit for bit, so that evaluating changes nothing. BatchNorm has
        the statistics of averaged weights; the means of replicas have theirs: see ``batchnorm``
        among ``oodbench.training.replicas.settings``.
        """
        models = [m for m, spec in enumerate(self.specs) if spec.averages]
        trained = [self.models.state(model) for model in models]
        averaging: list[Any] = [self.optimizers[model] for model in models]
        for optimizer in averaging:
            optimizer.eval()
        with self.average.in_place() if self.average else nullcontext():
            evaluated = self.replicas.averaged() if self.replicas else self.models
            seen = self.models.buffers()
            if self.models.norms() and (models or (self.average and self.average.begun)):
                self.statistics.put_into(evaluated)
            yield evaluated
            self.models.set_buffers(seen)
        for model, optimizer, state in zip(models, averaging, trained, strict=True):
            optimizer.train()
            self.models.load_state(model, state)

    def weights(self, number: int) -> dict[str, Tensor]:
        """A copy of the parameters and buffers that a trial is evaluated with, by name."""
        if self.replicas:  # those of the last step's evaluation: forming them takes all processes
            return self.replicas.means.state(number)
        with torch.no_grad(), self.averaged() as models:
            return models.state(number)

    def keep_best(self, number: int, step: int, found: Evaluation, models: Models) -> None:
        """Keep weights and predictions that are to be kept if no checkpoint before was as good."""
        scores, trial = found.scores[number], self.trials[number].id
        values = [s.value for s in scores if (s.role, s.metric) == ("id_val", "accuracy")]
        weights, predictions = trial in self.selected, BEST in self.predicting.get(trial, ())
        if not values or not (weights or predictions):
            return
        score = sum(values) / len(values)
        if number not in self.best or score > self.best[number][0]:
            state = models.state(number) if weights else {}
            predicted = found.predicted_here[number].clone() if predictions else None
            self.best[number] = score, step, state, predicted
