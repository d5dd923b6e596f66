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
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn
from torch._dynamo.utils import counters
from torch.profiler import ProfilerActivity, profile
from training_helpers import make_trials, parameters

from oodbench.algorithms import ALGORITHMS, Setup
from oodbench.data import Dataset, Rows
from oodbench.errors import StopTrainingError
from oodbench.models import MODELS, ModelSpec
from oodbench.training import Saving, Tensors, load, train
from oodbench.training.fast.compiling import Compiled, differentiate
from oodbench.training.inputs.augmentation import RECIPES, TrainingImages
from oodbench.training.inputs.frozen import Features
from oodbench.training.inputs.stored import Inputs, StoredInputs
from oodbench.training.loop import Run
from oodbench.training.outcome import provenance
from oodbench.training.precision import numerics, why_no_tf32
from oodbench.training.replicas.processes import Apart, barrier
from oodbench.training.replicas.torchrun import BACKENDS
from oodbench.training.single import Single
from oodbench.training.sizing import measure, memory_bound
from oodbench.workers import trainer
from oodbench.workers.trainer import Trainer
from oodbench.workers.worker_settings import WorkerSettings

pytestmark = pytest.mark.gpu
CPU = torch.device("cpu")


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
    # Of few steps: a sum in another order may round a number of bfloat16 the other way, by 2^-8 of
    # it, and so turn a unit on or off; later steps then drift apart.
    settings = {"model": model, "model_options": options, "steps": 3, "evaluate_every": 3}
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


@pytest.mark.parametrize("algorithm", ["erm", "irm", "vrex"])
@pytest.mark.parametrize("optimizers", [("sgd", "nesterov", "rmsprop", "adam"), ("sam", "sam")])
def test_what_is_captured_trains_the_same(
    optimizers: tuple[str, ...],
    algorithm: str,
    device: torch.device,
    digits: Callable[..., Tensors],
) -> None:
    """To the bit: a graph holds the kernels of the step. Its losses outlive the next replay."""
    each = [make_trials(1, algorithm, optimizer=o, precision="float32") for o in optimizers]
    trials, kept = [replace(of[0], seed=seed) for seed, of in enumerate(each)], []
    with numerics(device, "float32"):
        plain, captured = (Run(trials, digits(torch.float32), device, graphs=g) for g in (0, 1))
        for run in (plain, captured):
            kept.append(torch.stack([run.step(step) for step in range(20)]))
            run.done = 20
    assert torch.equal(*kept)
    assert torch.equal(plain.models.vectors()[0], captured.models.vectors()[0])
    assert ("cuda_graphs" in provenance(captured, 0)) == (device.type == "cuda")


def test_a_captured_step_is_one_launch_and_a_few_copies(
    device: torch.device, digits: Callable[..., Tensors]
) -> None:
    (first,) = make_trials(1, optimizer="adam", precision="float32")
    trials = [replace(first, seed=seed) for seed in range(8)]
    run = Run(trials, digits(torch.float32), device, graphs=True)
    for step in range(6):
        run.step(step)
    if device.type != "cuda":
        pytest.skip("a CPU has no graphs")
    torch.cuda.set_sync_debug_mode("error")
    try:
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
            run.step(6)
            torch.cuda.set_sync_debug_mode("default")  # the profiler waits at its end
    finally:
        torch.cuda.set_sync_debug_mode("default")
    count = {event.key: event.count for event in found.key_averages()}
    assert count["cudaGraphLaunch"] == 1
    assert sum(n for key, n in count.items() if "LaunchKernel" in key) < 12


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


NETWORKS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "mnist_cnn": {"model": "mnist_cnn", "model_options": {}},
    "resnet18": {"model": "resnet18", "model_options": {"pretrained": False}},
}
CONVOLUTIONAL = {"steps": 4, "evaluate_every": 2, "batch": {"per_environment": 4}}


@pytest.fixture
def small(digits: Callable[..., Tensors]) -> Callable[[str], tuple[Tensors, dict[str, Any]]]:
    """The data of a network, and what ``make_trials`` takes for it."""

    def made(network: str) -> tuple[Tensors, dict[str, Any]]:
        data = digits(torch.float32)
        if network == "resnet18":  # which takes images of three channels
            images = torch.rand(len(data.labels), 3, 32, 32, device=data.inputs[:1].device)
            data = replace(data, inputs=Inputs(images, torch.float32), evaluation=())
        few = {"steps": 20} if network == "mlp" else CONVOLUTIONAL
        return data, {"precision": "float32", **NETWORKS[network], **few}

    return made


@pytest.mark.parametrize(
    ("network", "precision", "n"),
    [
        *(("mlp", precision, 6) for precision in ("float32", "tf32", "bf16")),
        *(("mnist_cnn", precision, 2) for precision in ("float32", "bf16")),
        ("mnist_cnn", "tf32", 1),
        ("resnet18", "float32", 1),
    ],
)
def test_training_returns_the_same_twice(
    network: str, precision: str, n: int, device: torch.device, small: Callable[..., Any]
) -> None:
    data, settings = small(network)
    trials = make_trials(n, "irm", **settings | {"precision": precision})
    first, second = (train(trials, data, device) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert one.measurements == other.measurements
        if device.type == "cuda":
            assert one.provenance["deterministic"]


def test_float32_is_not_tf32(device: torch.device) -> None:
    """A product and a convolution against float64; TF32 keeps 10 bits of what it multiplies."""
    draws = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=draws) for _ in range(2))
    images = torch.randn(8, 32, 16, 16, generator=draws)
    kernels = torch.randn(32, 32, 3, 3, generator=draws)
    for compute, *given in ((torch.mm, a, b), (nn.functional.conv2d, images, kernels)):
        exact = compute(*(x.double() for x in given))
        error = {}
        for precision in ("float32", "tf32"):
            with numerics(device, precision):
                found = compute(*(x.to(device) for x in given)).cpu()
            error[precision] = float((found - exact).norm() / exact.norm())
        assert error["float32"] < 1e-6
        if device.type == "cuda" and not why_no_tf32(str(device)):
            assert 1e-5 < error["tf32"] < 2**-10


def test_the_peak_of_memory_is_that_of_the_cohort(
    device: torch.device, digits: Callable[..., Tensors]
) -> None:
    if device.type != "cuda":
        pytest.skip("on a CPU it is that of the process")
    data, peaks = digits(torch.float32), []
    for width in (64, 2048, 64):
        options = {"width": width, "depth": 2}
        settings = {"steps": 2, "evaluate_every": 2, "model_options": options}
        (record,) = train(make_trials(1, precision="float32", **settings), data, device)
        peaks.append(record.provenance["peak_memory_bytes"])
    assert peaks[1] > peaks[0] + 2 * 4 * 2048**2
    assert peaks[2] == pytest.approx(peaks[0], rel=0.2)


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


@pytest.mark.parametrize(
    ("network", "optimizer"),
    [
        *(("mlp", optimizer) for optimizer in ("momentum", "adam", "rmsprop")),
        *((network, "adam") for network in ("mnist_cnn", "resnet18")),
    ],
)
def test_a_run_that_was_interrupted_ends_as_one_that_was_not(
    network: str,
    optimizer: str,
    device: torch.device,
    small: Callable[..., Any],
    tmp_path: Path,
) -> None:
    data, settings = small(network)
    (trial,) = make_trials(1, "irm", optimizer=optimizer, **settings)
    steps, last = itertools.count(1), settings["steps"] - 1
    (expected,) = train([trial], data, device)

    def stop() -> None:
        if next(steps) == last:
            raise StopTrainingError("now")

    saving = Saving(tmp_path, every=0.0)
    with pytest.raises(StopTrainingError):
        train([trial], data, device, stop, saving)
    (found,) = train([trial], data, device, saving=saving)
    assert found.provenance["resumed_at"] == [last]
    assert found.measurements == expected.measurements


def test_features_of_a_frozen_network_are_those_of_the_cpu(device: torch.device) -> None:
    """Computed as a worker does, in larger batches there."""
    spec = MODELS.get("resnet18")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        body = spec.build((3, 64, 64), 2, **{**spec.defaults, "pretrained": False})[0].eval()
    pixels = np.random.default_rng(0).integers(0, 256, (150, 3, 64, 64), dtype=np.uint8)
    with torch.inference_mode():
        expected = body(torch.from_numpy(pixels) / 255).numpy()
    found = np.zeros_like(expected)
    Features("x", [], copy.deepcopy(body).requires_grad_(False), device).fill(pixels, found)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * expected.max())


def test_a_stack_that_finds_the_memory_full_is_halved_until_it_fits(
    device: torch.device, digits: Callable[..., Tensors], monkeypatch: pytest.MonkeyPatch
) -> None:
    if device.type != "cuda":
        pytest.skip("a CPU's memory has no bound for a process")
    data, options = digits(torch.float32), {"width": 2048, "depth": 3}
    monkeypatch.setattr(trainer, "tensors_for", lambda *_: data)
    settings = {"precision": "float32", "optimizer": "adam", "model_options": options}
    trials = make_trials(16, steps=2, evaluate_every=2, **settings)
    (alone,) = Trainer(device).train(trials[:1], lambda: None)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(device).total_memory
    some = torch.cuda.memory_allocated(device) + 5 * alone.provenance["peak_memory_bytes"]
    torch.cuda.set_per_process_memory_fraction(some / total, device)
    try:
        found = Trainer(device, WorkerSettings(stack=16)).train(trials, lambda: None)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0, device)
    assert [record.status for record in found] == ["completed"] * 16
    assert {record.provenance["stack_limited_by_memory"] for record in found} <= {1, 2, 4, 8}


def test_replicas_exchange_by_nccl(device: torch.device, tmp_path: Path) -> None:
    """One GPU has room for one process of NCCL's: the mean over all is what it has itself."""
    here = torch.device("cuda", 0) if device.type == "cuda" else device
    meeting = f"file://{tmp_path / 'meeting'}"
    dist.init_process_group("gloo", init_method=meeting, rank=0, world_size=1)
    try:
        timeout = timedelta(seconds=60)
        group: Any = dist.new_group(backend=BACKENDS[device.type], timeout=timeout)
        barrier(here, group)
        for timed in (False, True):
            apart = Apart(here, group, timed)
            for place, dtype in ((here, torch.float32), (CPU, torch.float64)):
                rows = torch.arange(6.0, device=place, dtype=dtype).view(1, 6)
                mean = apart.exchange(rows)
                assert mean.device.type == place.type
                assert torch.equal(mean, rows[0])
            assert apart.least(7) == 7
            assert (apart.seconds is not None) == timed
        dist.destroy_process_group(group)
    finally:
        dist.destroy_process_group()


def test_a_pinned_worker_sees_its_gpu_alone(device: torch.device) -> None:
    if device.type != "cuda":
        pytest.skip("only a GPU can be pinned")
    last = str(torch.cuda.device_count() - 1)
    code = "import torch; print(torch.cuda.device_count(), torch.zeros(1, device='cuda').device)"
    pinned = os.environ | {"CUDA_VISIBLE_DEVICES": last}
    run = subprocess.run([sys.executable, "-c", code], env=pinned, capture_output=True, text=True)
    assert run.stdout.split() == ["1", "cuda:0"], run.stderr
