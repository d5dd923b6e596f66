"""Frozen features: a dataset's images run through a backbone once, for every trial and worker."""

import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from oodbench.data import Dataset, Rows, Split, Stored
from oodbench.data.cache import filled
from oodbench.data.pieces import Pieces
from oodbench.errors import RequestError
from oodbench.logs import COMPUTING
from oodbench.machine import WORKERS_HERE, cores
from oodbench.models import MODELS
from oodbench.records import Trial
from oodbench.training.clock import FEATURES, Clock
from oodbench.training.fast.folding import folded
from oodbench.training.inputs.columns import replaced, standardised
from oodbench.training.inputs.stored import as_floats
from oodbench.training.precision import BF16, DTYPES, As, Mixed, numerics
from oodbench.training.random import seeded

IMAGES = {"cpu": 8, "cuda": 128}
"""Images in one forward pass; on a CPU more would outgrow its cache."""
SHARE = 16
"""Batches that a process takes at a time where several compute the features of one dataset."""
SIGNS = 2.0
"""Seconds between two signs of progress."""
METHOD = 2
"""Version of computing features; those of another version are not reused."""


def check_pretrained(trial: Trial) -> None:
    """Raise RequestError unless this machine has the weights that the trial begins with."""
    spec = MODELS.get(trial.model)
    found = spec.pretrained({**spec.defaults, **trial.model_options})
    if found != trial.pretrained:
        raise RequestError(
            f"The pretrained weights of {trial.model} on this machine have the sha256 {found}, but "
            f"the sweep was made with {trial.pretrained or 'none'}. Use the same file everywhere."
        )


def frozen_body(trial: Trial) -> nn.Module | None:
    """The network from images to features, if the trial trains only a head on them; else None."""
    spec = MODELS.get(trial.model)
    with seeded(0):  # what is drawn is overwritten by the weights, but drawn it is
        return spec.frozen({**spec.defaults, **trial.model_options})


def as_inputs(
    dataset: Dataset, trial: Trial, device: torch.device, clock: Clock | None = None
) -> Dataset:
    """The dataset as the trial's model takes it: itself, or its features where a body is frozen.

    Tables of numbers are standardised: see ``oodbench.data.columns``.

    Training images are not augmented there: their features are computed once.

    Args:
        dataset: The trial's, or another.
        trial: It says the model.
        device: Where to run a frozen body.
        clock: Takes the time of computing features, or of waiting for another worker's.

    Raises:
        RequestError: If the backbone takes no such images, or its weights are not here.
    """
    check_tokens(dataset, trial)
    dataset = standardised(dataset, trial.test_environments)
    body = frozen_body(trial)
    if body is None:
        return dataset
    spec = MODELS.get(trial.model)
    if not spec.reads and (len(dataset.input_shape) != 3 or dataset.input_shape[0] != 3):
        raise RequestError(
            f"model {trial.model} needs images (3, height, width), but those of {dataset.name} "
            f"have the shape {dataset.input_shape}."
        )
    options = {**spec.defaults, **trial.model_options}
    decided = [options[name] for name in spec.frozen_by]
    made_by = [METHOD, trial.model, trial.pretrained, torch.__version__, device.type, *decided]
    features = Features(f"{dataset.name}-{trial.model}-features", made_by, body, device)
    with (clock or Clock())(FEATURES):
        return replaced(
            dataset, lambda split, environment, part: features.of(split, dataset, environment, part)
        )


def check_tokens(dataset: Dataset, trial: Trial) -> None:
    """Raise RequestError unless tokens go to a model of their encoder, and all else to others."""
    spec = MODELS.get(trial.model)
    wanted = {**spec.defaults, **trial.model_options}[spec.reads] if spec.reads else ""
    if dataset.tokens == wanted:
        return
    given = f"tokens of the encoder {dataset.tokens}" if dataset.tokens else "no tokens"
    needs = f"the tokens of {wanted}" if wanted else "numbers or images"
    way = f"encoder: {wanted}" if wanted else "no encoder"
    raise RequestError(
        f"model {trial.model} reads {needs}, but {dataset.name} gives {given}. Write {way} among "
        f"the options of {dataset.name}, or use another model."
    )


class Features:
    """What a frozen body makes of images.

    On a CPU each core has batches of its own: cores that share one wait for each other in every
    layer, and for whoever else uses them.

    Args:
        name: A part of the names of cache files.
        made_by: What decides them, but for which images they are.
        body: Network from images in [0, 1] to (n, d) features; in eval mode.
        device: Where to run it.
    """

    def __init__(self, name: str, made_by: Any, body: nn.Module, device: torch.device) -> None:
        self.name, self.made_by = name, made_by
        self.body, self.device = body.to(device), device
        self._width: int | None = None
        self._fast = False

    def of(self, split: Split, dataset: Dataset, environment: str, part: str) -> NDArray[Any]:
        """(n, d) float32: those of one split, from the cache."""
        images = split.inputs
        if isinstance(images, Rows):  # all at once, for whatever splits there will be
            return np.array(self._cached(images.stored, [dataset.content])[images.rows])
        return np.array(self._cached(images, [dataset.fingerprint, environment, part]))

    def _cached(self, images: Stored, which: list[str]) -> NDArray[Any]:
        if self._width is None:
            self._width = self._run(images[:1]).shape[1]
        shape = (len(images), self._width)
        fill = partial(self.fill, images)
        return filled(self.name, [self.made_by, which], shape, "f4", fill, together=True)

    def fill(self, images: Stored, result: NDArray[Any], pieces: Pieces | None = None) -> None:
        """Write the features of all images to an array, but for those that are in it already."""
        self._hurry(images)
        pieces = pieces or Pieces(len(images))
        order, size = by_length(images), IMAGES.get(self.device.type, 32)
        shown = -SIGNS
        with one_core_each(self.device) as pool, numerics(self.device):
            for share in pieces.shares(order, SHARE * size):
                batches = [share[start : start + size] for start in range(0, len(share), size)]
                found = pool.map(lambda rows: self._run(images[np.array(rows)]), batches)
                for rows in batches:
                    if time.monotonic() - shown >= SIGNS:
                        shown = time.monotonic()
                        how_far = f"{pieces.count:,} of {len(images):,} examples"
                        say(f"{COMPUTING}{self.name}: {how_far}")
                    result[rows] = next(found)
                    pieces.mark(rows)
        say(f"computed {self.name}: {len(images):,} examples")

    def _hurry(self, images: Stored) -> None:
        """Make the body faster, which changes no more than rounding."""
        if not self._fast and len(images.shape) == 4:
            self.body, self._fast = folded(self.body, self._batch(images[:1])), True
            if self.device.type == "cpu":
                self.body = self.body.to(memory_format=torch.channels_last)

    def _batch(self, images: NDArray[Any]) -> torch.Tensor:
        """Return the images as the tensor that the body takes."""
        batch = torch.from_numpy(np.array(images))
        if batch.ndim == 4 and self.device.type == "cpu":
            batch = batch.contiguous(memory_format=torch.channels_last)
        return as_floats(batch.to(self.device), torch.float32)

    @torch.inference_mode()
    def _run(self, images: NDArray[Any]) -> NDArray[np.float32]:
        features: NDArray[np.float32] = self.body(self._batch(images)).cpu().numpy()
        return features


def say(how_far: str) -> None:
    """Print a line to the worker's log, where the sweep's progress finds it."""
    print(how_far, file=sys.stderr, flush=True)


def by_length(inputs: Stored) -> NDArray[np.int64]:
    """The order in which texts, as tokens, go together: of like length; images stay as they are."""
    if len(inputs.shape) != 2:
        return np.arange(len(inputs))
    return np.argsort((np.asarray(inputs) > 0).sum(axis=1), kind="stable")


@contextmanager
def one_core_each(device: torch.device) -> Iterator[ThreadPoolExecutor]:
    """A thread for each core that is this process's share: the other workers compute, too."""
    usual = torch.get_num_threads()
    sharing = int(os.environ.get(WORKERS_HERE, 1))
    threads = max(1, cores() // sharing) if device.type == "cpu" else 1
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield pool
            finally:
                pool.shutdown(wait=False, cancel_futures=True)  # after an error none is wanted
    finally:
        torch.set_num_threads(usual)


def whole_model(trial: Trial, head: nn.Module) -> nn.Module:
    """The network from images to logits, in eval mode: the frozen body, if any, and the head.

    Each in its own precision: a frozen body is in float32 whatever the trial's.
    """
    body = frozen_body(trial)
    if trial.precision == BF16:
        head = Mixed(head)
    whole = head if body is None else nn.Sequential(body, As(DTYPES[trial.precision]), head)
    return whole.eval()
