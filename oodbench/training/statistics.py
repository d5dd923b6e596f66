"""BatchNorm's running statistics for averaged weights, with which no step of training was taken."""

from functools import cached_property

import torch

from oodbench.records import Trial
from oodbench.seeds import seed_of
from oodbench.training.inputs.augmentation import training_inputs
from oodbench.training.inputs.batches import Batches
from oodbench.training.inputs.tensors import Tensors
from oodbench.training.models import Models

BATCHES = 50
"""Number of batches, as the authors of schedule-free optimizers take; torch's running statistics,
at their default momentum of 0.1, weigh the last ones as a mean over 19 batches would."""


class FreshStatistics:
    """Statistics as ``torch.optim.swa_utils.update_bn`` computes them (Izmailov et al. 2018).

    They are the means over ``BATCHES`` training batches of the trial's kind, augmented as in
    training, but drawn from a stream of their own: always the same ones.

    Args:
        trial: Whose models have BatchNorm; such trials are trained one by one.
        data: That it is trained on.
        device: Device of its models.
    """

    def __init__(self, trial: Trial, data: Tensors, device: torch.device) -> None:
        self._trial, self._data, self._device = trial, data, device
        self._seeds = [seed_of(trial.seed, "batchnorm")]
        self._inputs = training_inputs(data.inputs, data.augment, self._seeds)

    @cached_property  # most trials have no use for them
    def _batches(self) -> Batches:
        data, trial = self._data, self._trial
        given = data.sizes, trial.batch, self._seeds, self._device, data.labels, trial.balance
        return Batches(*given)

    @torch.no_grad()
    def put_into(self, models: Models) -> None:
        """Give the model the statistics of the weights that it has."""
        drawn, norms = models.generators(), models.norms()
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # each batch then counts the same
        for number in range(BATCHES):
            models(self._inputs(self._batches.at(number), number))
        models.set_generators(drawn)  # evaluating changes nothing that is trained: no dropout mask
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
