"""A step starts so many kernels, however many models take it, and waits for nothing.

The paths are those of a GPU, on which a start takes as long as a small model's kernel.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from encoder_helpers import write_encoder
from launches import Launches
from training_helpers import CPU, make_trials

from oodbench.models.layers import TextFeatures, alike
from oodbench.seeds import stream
from oodbench.training import Tensors
from oodbench.training.inputs.at_once import augment_at_once
from oodbench.training.inputs.augmentation import RECIPES, draw
from oodbench.training.inputs.stored import Inputs
from oodbench.training.loop import Run

SIX = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")


@pytest.fixture
def as_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """What depends on the device is chosen as there."""
    monkeypatch.setattr("oodbench.training.loop.pays", lambda device: True)
    monkeypatch.setattr("oodbench.training.fast.products.pays", lambda: False)
    for module in ("cross_entropy", "irm", "irm_gradient"):
        monkeypatch.setattr(f"oodbench.algorithms.{module}.classes_first", lambda logits: False)


def seen_in_a_step(
    data: Tensors, k: int, algorithm: str, names: tuple[str, ...], at: int
) -> Launches:
    """That of one step, of k models of these optimizers in turn."""
    hparams = {"lr": 1e-3, "rho": 0.05, "anneal_fraction": 0.5}
    trials = [
        replace(make_trials(1, algorithm, names[i % len(names)], hparams=hparams)[0], seed=i)
        for i in range(k)
    ]
    run = Run(trials, data, CPU)
    for step in range(at):
        run.restart(run.algorithm.restarts.get(step, ()))
        run.step(step)
    with Launches() as seen:
        run.step(at)
    return seen


@pytest.mark.parametrize(
    ("algorithm", "names", "most"),
    [("erm", SIX, 40), ("irm", SIX, 60), ("vrex", SIX, 60), ("erm", ("sam", "sam_adam"), 70)],
)
@pytest.mark.parametrize("at", [5, 30])  # before IRM's penalty, and after its restarts
def test_a_step_of_a_stack(
    colored64: Tensors,
    as_on_a_gpu: None,
    algorithm: str,
    names: tuple[str, ...],
    most: int,
    at: int,
) -> None:
    few, many = (seen_in_a_step(colored64, k, algorithm, names, at) for k in (6, 48))
    assert few.launches == many.launches <= most
    assert few.waits == many.waits == 0


def test_steps_that_are_not_taken_together_grow_with_the_models(colored64: Tensors) -> None:
    few, many = (seen_in_a_step(colored64, k, "erm", SIX, 5).launches for k in (6, 48))
    assert many > few + 42


@pytest.mark.parametrize("name", ["domainbed", "domainbed_uncropped", "crop_flip"])
@pytest.mark.parametrize("n", [64, 96])
def test_the_augmentation_of_a_batch(name: str, n: int) -> None:
    stored = np.random.default_rng(0).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    images, result = Inputs(torch.from_numpy(stored), torch.float32), torch.empty(n, 3, 32, 32)
    for step in range(2):  # in the first, constants are made
        amounts, rows = draw(RECIPES[name], n, 32, 32, stream(step)), torch.arange(n) % 40
        with Launches() as seen:
            augment_at_once(images.__getitem__, amounts, result, rows)
    assert seen.launches <= 150
    assert seen.waits == 0


def test_the_features_of_texts(tmp_path: Path) -> None:
    """transformers looks, in each group of texts of like length, whether there is padding.

    That of the lengths is one more, which a CPU does not show.
    """
    pytest.importorskip("transformers", reason="needs pip install 'oodbench[text]'")
    from transformers import AutoModel

    body = TextFeatures(AutoModel.from_pretrained(write_encoder(tmp_path / "tiny")), mean=True)
    lengths = [3, 30, 9, 21, 20, 10]
    tokens = torch.tensor([[5] * length + [0] * (30 - length) for length in lengths])
    with Launches() as seen:
        body(tokens)
    assert len(alike(lengths)) == 3
    assert seen.waits <= 3


def test_what_is_counted() -> None:
    x = torch.randn(3, 4)
    with Launches() as seen:
        _ = (x.view(2, 6)[:, 1:] + 1).mul_(2)
        _ = torch.empty_like(x).T
    assert (seen.launches, seen.waits) == (2, 0)
    with Launches() as seen:
        _ = x.sum().item()
        _ = x[x > 0]
    assert seen.waits == 2
