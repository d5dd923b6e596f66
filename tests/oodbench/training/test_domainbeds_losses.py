"""Given DomainBed's weights and batches, MNIST_CNN has DomainBed's losses, step by step.

The numbers here were made by DomainBed at b93c22a from the recipe beside this file, in float64: in
float32 Adam's first steps, which go by the sign of the gradient, carry a rounding error to the
third digit where losses are large. The slow tests
run DomainBed itself: name a checkout of it in OODBENCH_DOMAINBED, and have timm 1.0.19 installed or
on the PYTHONPATH.
"""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path

import domainbed_recipe as recipe
import numpy as np
import pytest
import torch

from oodbench.records import Trial
from oodbench.training import DTYPES, Tensors
from oodbench.training.inputs.stored import Inputs
from oodbench.training.loop import Run

CPU = torch.device("cpu")
ADAM = {"lr": recipe.LR, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "weight_decay": 0.0}
AS_DOMAINBED = {"restart": "adam", "rescale": False}
FRACTIONS = {"erm": None, "irm": 1.0, "irm with a jump": recipe.ANNEAL / recipe.STEPS}
# fmt: off
GOLDEN: dict[str, list[float]] = {
    "erm": [
        0.5655388, 3.9643269, 1.1006311, 1.5091772, 0.5976735,
        0.8940267, 0.6991733, 0.783633, 0.8329418, 0.6069255,
        0.684626, 0.625529, 0.6514457, 0.9781367, 0.7281865,
        0.6833009, 0.6871073, 0.5653661, 0.6903134, 0.65151,
    ],
    "irm": [
        0.5563617, 11.3144145, 1.1860513, 0.480197, 2.209824,
        0.8452972, 0.5722769, 4.4324984, 0.7023897, 0.9689874,
        0.7232697, 0.6210925, 0.4846393, 3.2639369, 0.9571666,
        0.5834399, 0.8419448, 0.6829066, 0.6515975, 0.7530489,
    ],
    "irm with a jump": [
        0.5563617, 11.3144145, 1.1860513, 0.480197, 2.209824,
        0.8452972, 0.5722769, 4.4324984, 0.7023897, 0.9689874,
        3.2113036, 63.0341995, 5.3248124, 2.8230077, -0.9725061,
        7.1020525, 0.5673143, 5.0327719, 0.8046903, 0.5054745,
    ],
}
# fmt: on


class Given:
    """Batches that are given: step s takes the s-th (G, B) examples."""

    def __init__(self, groups: int, size: int) -> None:
        self._shape = (1, groups, size)

    def at(self, step: int) -> torch.Tensor:
        n = self._shape[1] * self._shape[2]
        return torch.arange(step * n, (step + 1) * n).view(self._shape)


def losses_of(case: str, start: dict, images, labels, precision: str) -> list[float]:
    """Those of our own training loop."""
    fraction = FRACTIONS[case]
    irm = {"penalty_weight": recipe.PENALTY_WEIGHT, "anneal_fraction": fraction}
    steps, groups, size = labels.shape
    trial = Trial(
        dataset="ColoredMNIST",
        fingerprint="x",
        test_environments=(2,),
        model="mnist_cnn",
        algorithm=case.split()[0],
        algorithm_options={} if fraction is None else AS_DOMAINBED,
        optimizer="adam",
        hparams=ADAM if fraction is None else ADAM | irm,
        steps=steps,
        batch={"per_environment": size},
        evaluate_every=steps,
        seed=0,
        precision=precision,
    )
    inputs = Inputs(torch.from_numpy(images).flatten(0, 2), DTYPES[precision])
    sizes = (steps * size,) * groups
    data = Tensors(inputs, torch.from_numpy(labels).flatten(), sizes, (), 2, False)
    run = Run([trial], data, CPU, stacked=False)
    run.models.load_state(0, {name: torch.from_numpy(value) for name, value in start.items()})
    run.batches = Given(groups, size)
    losses = []
    for step in range(steps):
        run.restart(run.algorithm.restarts.get(step, ()))
        losses.append(run.step(step).item())
    return losses


@pytest.mark.parametrize(
    ("case", "precision"), [*((case, "float64") for case in FRACTIONS), ("erm", "float32")]
)
def test_the_first_losses_are_domainbeds(case: str, precision: str) -> None:
    images, labels = recipe.batches()
    losses = losses_of(case, recipe.weights(shapes()), images, labels, precision)
    atol = {"float64": 1e-6, "float32": 1e-3}[precision]
    np.testing.assert_allclose(losses, GOLDEN[case], rtol=0, atol=atol)


def shapes() -> dict[str, tuple[int, ...]]:
    from oodbench.models import MODELS

    module = MODELS.get("mnist_cnn").build((2, 28, 28), 2)
    return {name: tuple(value.shape) for name, value in module.state_dict().items()}


def domainbeds(case: str, precision: str, folder: Path, *data: str) -> dict[str, np.ndarray]:
    """What DomainBed itself makes of it: see ``domainbed_driver``."""
    checkout = os.environ.get("OODBENCH_DOMAINBED")
    if not checkout:
        pytest.skip("needs DomainBed: set OODBENCH_DOMAINBED to a checkout")
    anneal = 10**6 if case == "irm" else recipe.ANNEAL
    hparams = {"irm_lambda": recipe.PENALTY_WEIGHT, "irm_penalty_anneal_iters": anneal}
    driver, out = Path(recipe.__file__).with_name("domainbed_driver.py"), folder / "out.npz"
    path = os.pathsep.join([checkout, os.environ.get("PYTHONPATH", "")])
    name = case.split()[0].upper()
    command = [sys.executable, driver, name, json.dumps(hparams), precision, out, *data]
    done = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(np.load(out))


@pytest.mark.slow
@pytest.mark.parametrize("case", FRACTIONS)
def test_the_numbers_here_are_domainbeds(case: str, tmp_path: Path) -> None:
    losses = domainbeds(case, "float64", tmp_path)["losses"]
    np.testing.assert_allclose(GOLDEN[case], losses, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "precision"),
    [("erm", "float32"), ("irm", "float32"), ("irm with a jump", "float64")],
)
def test_the_first_losses_on_colored_mnist_are_domainbeds(
    case: str, precision: str, tmp_path: Path
) -> None:
    """Its own initial weights and batches of 64 images an environment."""
    data = os.environ.get("OODBENCH_TEST_DATA")
    if not data:
        pytest.skip("needs MNIST: set OODBENCH_TEST_DATA to a folder that has MNIST/raw")
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for file in (Path(data) / "MNIST" / "raw").glob("*ubyte*"):  # it reads plain files only
        content = file.read_bytes()
        plain = gzip.decompress(content) if file.suffix == ".gz" else content
        (raw / file.name.removesuffix(".gz")).write_bytes(plain)
    start = domainbeds(case, precision, tmp_path, str(tmp_path))
    images, labels, losses = (start.pop(name) for name in ("images", "labels", "losses"))
    ours = losses_of(case, start, images, labels, precision)
    np.testing.assert_allclose(ours, losses, rtol=0, atol=1e-4)
