"""What only a GPU can show: ``make test-gpu``. Elsewhere these tests skip.

``OODBENCH_GPU_TESTS_ON=cpu`` runs them on the CPU, to see that the tests themselves are right.
"""

import copy
import itertools
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters
from training_helpers import make_trials, parameters

from oodbench.algorithms import ALGORITHMS, Setup
from oodbench.data import Dataset, Rows
from oodbench.errors import StopTrainingError
from oodbench.models import MODELS, ModelSpec
from oodbench.training import Saving, Tensors, load, train
from oodbench.training.fast.compiling import Compiled, differentiate
from oodbench.training.inputs.augmentation import RECIPES, TrainingImages
from oodbench.training.inputs.frozen import Features
from oodbench.training.inputs.stored import StoredInputs
from oodbench.training.loop import Run
from oodbench.training.single import Single
from oodbench.training.sizing import measure, memory_bound

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def device() -> torch.device:
    name = os.environ.get("OODBENCH_GPU_TESTS_ON", "cuda")
    if name == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no GPU here")
    return torch.device(name)


@pytest.fixture(scope="module")
def digits(device: torch.device, colored_digits: Dataset) -> Callable[[torch.dtype], Tensors]:
    return lambda dtype: load(colored_digits, (2,), device, dtype)


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
def test_a_stack_equals_the_plain_modules_and_the_cpu(
    algorithm: str, device: torch.device, digits: Callable[..., Tensors], colored64: Tensors
) -> None:
    trials = make_trials(6, algorithm, steps=20, evaluate_every=20)
    stack = Run(trials, digits(torch.float64), device)
    stack.train(lambda: None)
    for k, trial in enumerate(trials):
        for where, data in ((device, digits(torch.float64)), (torch.device("cpu"), colored64)):
            alone = Run([trial], data, where, stacked=False)
            alone.train(lambda: None)
            expected = parameters(alone, 0).cpu()
            size = expected.abs().max().clamp(min=1.0)
            assert (parameters(stack, k).cpu() - expected).abs().max() < 1e-9 * size, trial


def test_muon_takes_the_steps_that_it_takes_on_the_cpu(
    device: torch.device, digits: Callable[..., Tensors], colored64: Tensors
) -> None:
    options = {"width": 16, "depth": 3}
    trials = make_trials(2, optimizer="muon", steps=20, evaluate_every=20, model_options=options)
    stack, here = Run(trials, digits(torch.float64), device), Run(trials, colored64, CPU)
    for run in (stack, here):
        run.train(lambda: None)
    for k in range(2):
        expected = parameters(here, k)
        size = expected.abs().max().clamp(min=1.0)
        assert (parameters(stack, k).cpu() - expected).abs().max() < 1e-9 * size


TUNED: dict[str, dict] = {
    "rates": {"layer_decay": 0.6, "head_lr": 2.0, "no_decay": "bias"},
    "linear steps": {"linear_steps": 7, "linear_lr": 0.05},
    "gradual": {"unfreeze_at": 0.5},
    "frozen": {"freeze": "stem+*.bias"},
    "pieces": {"accumulate": 4},
}


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("option", TUNED)
def test_models_are_fine_tuned_as_on_the_cpu(
    option: str, stacked: bool, device: torch.device, digits, colored64: Tensors
) -> None:
    settings: dict = {"steps": 20, "evaluate_every": 20, "wise_ft": (0.0, 0.5, 1.0)}
    trials = [
        replace(trial, hparams={**trial.hparams, **TUNED[option]})
        for trial in make_trials(2 if stacked else 1, optimizer="momentum", **settings)
    ]
    found = Run(trials, digits(torch.float64), device, stacked)
    here = Run(trials, colored64, CPU, stacked)
    for run in (found, here):
        run.train(lambda: None)
    for k in range(len(trials)):
        expected = parameters(here, k)
        size = expected.abs().max().clamp(min=1.0)
        assert (parameters(found, k).cpu() - expected).abs().max() < 1e-9 * size
        assert [m.metric for m in found.measurements[k]] == [m.metric for m in here.measurements[k]]


def with_norm(input_shape, num_classes: int) -> nn.Module:
    layers = nn.Flatten(), nn.Linear(math.prod(input_shape), 6), nn.BatchNorm1d(6)
    return nn.Sequential(*layers, nn.ReLU(), nn.Linear(6, num_classes))


@pytest.mark.parametrize(("name", "average"), [("sam", {}), ("momentum", {"ema": 0.8})])
def test_statistics_of_batchnorm_are_those_of_the_cpu(
    name: str, average: dict, device: torch.device, digits, colored64: Tensors, monkeypatch
) -> None:
    monkeypatch.setitem(MODELS._things, "normed", ModelSpec("normed", with_norm))
    settings = {"model": "normed", "model_options": {}, "steps": 10, "evaluate_every": 10}
    settings |= {"hparams": {"lr": 0.05, "rho": 0.1}, "average": average}
    (trial,) = make_trials(1, optimizer=name, **settings)
    states = []
    for data, where in ((digits(torch.float64), device), (colored64, CPU)):
        run = Run([trial], data, where, stacked=False)
        run.train(lambda: None)
        states.append(run.weights(0))
    for key, expected in states[1].items():
        torch.testing.assert_close(states[0][key].cpu(), expected, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("recipe", RECIPES)
def test_images_are_augmented_as_on_the_cpu(recipe: str, device: torch.device) -> None:
    """But for a few pixels, whose nearest neighbour rounding decides."""
    stored = np.random.default_rng(0).integers(0, 256, (64, 3, 48, 48), dtype=np.uint8)
    rows, indices = Rows(stored, np.arange(64)), torch.arange(64).view(2, 1, 32)
    found = [
        TrainingImages(StoredInputs(rows, torch.float32, where), RECIPES[recipe], (3, 4))(
            indices.to(where), 5
        )
        for where in (device, CPU)
    ]
    apart = (found[0].cpu() - found[1]).abs()
    assert (apart > 1e-3).float().mean() < 0.02


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
@pytest.mark.parametrize(("model", "options"), [("mlp", {"width": 16}), ("mnist_cnn", {})])
def test_in_bf16_a_stack_is_near_the_plain_modules_and_stays_finite(
    model: str, options: dict, algorithm: str, device: torch.device, digits: Callable[..., Tensors]
) -> None:
    settings = {"model": model, "model_options": options, "steps": 10, "evaluate_every": 10}
    settings |= {"optimizer": "momentum", "hparams": {"lr": 0.01, "momentum": 0.5}}
    trials = make_trials(3, algorithm, precision="bf16", **settings)
    wide = make_trials(3, algorithm, precision="float32", **settings)
    data = digits(torch.float32)
    stack, wider = Run(trials, data, device), Run(wide, data, device)
    start = [parameters(stack, k) for k in range(3)]
    for run in (stack, wider):
        run.train(lambda: None)
    for k, trial in enumerate(trials):
        alone = Run([trial], data, device, stacked=False)
        alone.train(lambda: None)
        expected = parameters(alone, 0)
        moved = (expected - start[k]).norm()
        # A sum in another order may round a number of bfloat16 the other way: by 2^-8 of it.
        assert (parameters(stack, k) - expected).norm() < 2**-5 * moved, trial
        assert not torch.equal(parameters(stack, k), parameters(wider, k))
        for run, of in ((stack, k), (alone, 0)):
            assert not run.diverged
            assert all(math.isfinite(measured.value) for measured in run.measurements[of])


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
@pytest.mark.parametrize(("stacked", "optimizers"), [(True, 6), (False, 1)])
def test_what_is_compiled_trains_like_what_is_not(
    stacked: bool,
    optimizers: int,
    algorithm: str,
    device: torch.device,
    digits: Callable[..., Tensors],
) -> None:
    counters.clear()
    # Enough steps for CUDA graphs, which are recorded in the second, to run again and again.
    trials = make_trials(optimizers, algorithm, steps=20, evaluate_every=5)
    data, kept = digits(torch.float64), []
    plain, compiled = (Run(trials, data, device, stacked, compiled=c) for c in (False, True))
    for run in (plain, compiled):
        losses: list[torch.Tensor] = []  # as given; a graph that runs again must not change them
        step = run.step
        run.step = lambda t, step=step, to=losses: to.append(step(t)) or to[-1]
        run.train(lambda: None)
        kept.append(torch.stack(losses))
    assert compiled.compiled is not None
    assert compiled.compiled.used
    torch.testing.assert_close(kept[1], kept[0], rtol=1e-9, atol=1e-9)
    for k, trial in enumerate(trials):
        expected = parameters(plain, k)
        size = expected.abs().max().clamp(min=1.0)
        assert (parameters(compiled, k) - expected).abs().max() < 1e-9 * size, trial
    if device.type == "cuda":
        assert counters["inductor"]["cudagraph_skips"] == 0


def test_the_masks_of_dropout_are_the_same_compiled(device: torch.device) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3))
    inputs = torch.randn(1, 2, 5, 6, device=device, dtype=torch.float64)
    labels = torch.randint(3, (1, 2, 5), device=device)
    erm = ALGORITHMS.get("erm")(Setup([{}], 6, device, torch.float64), {})
    found = []
    for gradients in (differentiate, Compiled("erm")):
        single = Single(copy.deepcopy(module), device, "float64")
        torch.manual_seed(1)
        found.append(torch.stack([gradients(erm, single, inputs, labels, t) for t in range(6)]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_the_stack_size_is_measured_within_the_memory(
    device: torch.device, digits: Callable[..., Tensors]
) -> None:
    (trial,) = make_trials(1, precision="float32")
    found = measure(trial, digits(torch.float32), device, memory_bound(device))
    assert found.size in found.seconds
    assert found.size * found.bytes_per_model <= found.memory


def test_training_returns_the_same_twice(
    device: torch.device, digits: Callable[..., Tensors]
) -> None:
    trials = make_trials(6, "irm", precision="float32")
    first, second = (train(trials, digits(torch.float32), device) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.measurements == other.measurements


def test_predictions_that_are_kept_are_those_that_were_scored(
    device: torch.device, digits: Callable[..., Tensors]
) -> None:
    trials, data = make_trials(6, steps=20, evaluate_every=5), digits(torch.float64)
    saving = Saving(predictions={trial.id: ["last", "best_id_val"] for trial in trials})
    key = data.answer_key
    starts = np.cumsum([0, *(split.size for split in key.splits)])
    for record in train(trials, data, device, saving=saving):
        assert record.predictions is not None
        accuracy = [m for m in record.measurements if m.metric == "accuracy"]
        by_step = {step: [m for m in accuracy if m.step == step] for step in (5, 10, 15, 20)}
        means = {
            step: np.mean([m.value for m in scores if m.role == "id_val"])
            for step, scores in by_step.items()
        }
        for checkpoint, step in (("last", 20), ("best_id_val", max(means, key=means.__getitem__))):
            right = key.unpack(record.predictions.packed[checkpoint]) == key.labels
            found = [right[a:b].mean() for a, b in itertools.pairwise(starts)]
            assert found == [m.value for m in by_step[step]]


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "rmsprop"])
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    optimizer: str, device: torch.device, digits: Callable[..., Tensors], tmp_path: Path
) -> None:
    (trial,) = make_trials(1, "irm", optimizer=optimizer, steps=20, precision="float32")
    data, steps = digits(torch.float32), iter(range(20))
    (expected,) = train([trial], data, device)

    def stop() -> None:
        if next(steps) == 11:
            raise StopTrainingError("now")

    saving = Saving(tmp_path, every=0.0)
    with pytest.raises(StopTrainingError):
        train([trial], data, device, stop, saving)
    (found,) = train([trial], data, device, saving=saving)
    assert found.provenance["resumed_at"] == [12]
    assert found.measurements == expected.measurements


def test_features_of_a_frozen_network_are_those_of_the_cpu(device: torch.device) -> None:
    """Computed as a worker does, in larger batches there; convolutions may use TF32."""
    spec = MODELS.get("resnet18")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = spec.build((3, 64, 64), 2, **{**spec.defaults, "pretrained": False})[0].eval()
    pixels = np.random.default_rng(0).integers(0, 256, (150, 3, 64, 64), dtype=np.uint8)
    with torch.inference_mode():
        expected = body(torch.from_numpy(pixels) / 255).numpy()
    found = np.zeros_like(expected)
    Features("x", [], copy.deepcopy(body).requires_grad_(False), device).fill(pixels, found)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-3 * expected.max())


def test_a_worker_sees_the_gpu_it_is_pinned_to_alone(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("only a GPU can be pinned")
    last = str(torch.cuda.device_count() - 1)
    code = "import torch; print(torch.cuda.device_count(), torch.zeros(1, device='cuda').device)"
    pinned = os.environ | {"CUDA_VISIBLE_DEVICES": last}
    run = subprocess.run([sys.executable, "-c", code], env=pinned, capture_output=True, text=True)
    assert run.stdout.split() == ["1", "cuda:0"], run.stderr
