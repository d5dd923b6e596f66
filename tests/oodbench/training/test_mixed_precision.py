"""bf16: the forward pass is torch.autocast's, everything else is float32, and a run says so."""

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from training_helpers import CPU, make_trials, run_together

import oodbench as package
from oodbench import api
from oodbench.algorithms import ALGORITHMS, Setup
from oodbench.cli.sweep import warn_if_slow
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan
from oodbench.training import precision
from oodbench.training.inputs import frozen
from oodbench.training.replicas.side_by_side import SideBySide
from oodbench.training.single import Single
from oodbench.training.stack import Stack
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

GROUPS, SIZE, SHAPE, CLASSES = 2, 6, (2, 6, 6), 3
STEPS, LR, MOMENTUM = 5, 0.1, 0.9
WEIGHT = 10.0
"""Of IRM's penalty."""


def mlp() -> nn.Module:
    width = math.prod(SHAPE)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(width, 24), nn.ReLU(), nn.Linear(24, CLASSES, bias=False)
    )


def convolutional() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(2, 32, 3, padding=1), nn.GELU(), nn.GroupNorm(4, 32)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()),
        nn.Linear(128, CLASSES),
    )


def made(build: Callable[[], nn.Module], n: int) -> list[nn.Module]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return [build() for _ in range(n)]


def batches(n: int) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (
            torch.rand(n, GROUPS, SIZE, *SHAPE, generator=generator),
            torch.randint(CLASSES, (n, GROUPS, SIZE), generator=generator),
        )
        for _ in range(STEPS)
    ]


def objective(algorithm: str, logits: Tensor, labels: Tensor) -> Tensor:
    """Of one model: (G, B, classes) logits and (G, B) labels; IRM's by double backward."""
    if algorithm == "erm":
        return cross_entropy(logits.flatten(0, 1), labels.flatten())
    total = torch.zeros(())
    for z, y in zip(logits, labels, strict=True):
        scale = torch.ones((), requires_grad=True)
        halves = [cross_entropy(z[half::2] * scale, y[half::2]) for half in (0, 1)]
        even, odd = (torch.autograd.grad(half, scale, create_graph=True)[0] for half in halves)
        total = total + cross_entropy(z, y) + WEIGHT * even * odd
    return total / len(logits) / WEIGHT


def plain(module: nn.Module, algorithm: str, data: list, k: int, mixed: bool = True) -> Tensor:
    """The weights that a loop comes to that is written as torch's documentation says."""
    module = copy.deepcopy(module)
    optimizer = torch.optim.SGD(module.parameters(), LR, MOMENTUM)
    for inputs, labels in data:
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            logits = module(inputs[k].flatten(0, 1))
        objective(algorithm, logits.float().view(GROUPS, SIZE, CLASSES), labels[k]).backward()
        optimizer.step()
    return nn.utils.parameters_to_vector(module.parameters()).detach()


def ours(models: Any, algorithm: str, data: list) -> Tensor:
    """The (K, P) weights that the models of the training loop come to on the same batches."""
    n = len(data[0][0])
    hparams = [{"penalty_weight": WEIGHT, "anneal_fraction": 0.0}] * n
    losses_of = ALGORITHMS.get(algorithm)(Setup(hparams, STEPS, CPU, torch.float32), {})
    count = len(models.state(0))
    each = [models.parameters_of(k, False, [range(count)])[0] for k in range(n)]
    optimizers = [torch.optim.SGD(parameters, LR, MOMENTUM) for parameters in each]
    for step, (inputs, labels) in enumerate(data):
        losses = losses_of.losses(models, inputs, labels, step)
        assert losses.dtype == torch.float32
        models.backward(losses)
        for optimizer in optimizers:
            optimizer.step()
    for optimizer in optimizers:
        for state in optimizer.state.values():
            assert state["momentum_buffer"].dtype == torch.float32
    weights, gradients = models.vectors()
    assert weights.dtype == gradients.dtype == torch.float32
    return weights.clone()


KINDS: dict[str, Callable[[list[nn.Module]], Any]] = {
    "single": lambda modules: Single(modules[0], CPU, "bf16"),
    "stack": lambda modules: Stack(modules, CPU, "bf16"),
    "side_by_side": lambda modules: SideBySide(modules, CPU, "bf16", [0] * len(modules)),
}


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
@pytest.mark.parametrize(
    ("kind", "build", "n"),
    [
        ("single", convolutional, 1),
        ("single", mlp, 1),
        ("side_by_side", convolutional, 2),
        ("stack", mlp, 1),
        ("stack", mlp, 3),
        ("stack", convolutional, 3),  # in turn
    ],
)
def test_the_weights_are_those_of_a_plain_loop_under_autocast(
    kind: str, build: Callable[[], nn.Module], n: int, algorithm: str
) -> None:
    modules, data = made(build, n), batches(n)
    found = ours(KINDS[kind](copy.deepcopy(modules)), algorithm, data)
    for k, module in enumerate(modules):
        expected = plain(module, algorithm, data, k)
        if kind != "stack" and algorithm == "erm":  # the very same operations
            assert torch.equal(found[k], expected)
        # Batched products and the closed form of IRM sum in another order, which may round a
        # number of bfloat16 the other way here and there; float32 rounds all of them otherwise.
        other = plain(module, algorithm, data, k, mixed=False)
        assert (found[k] - expected).norm() < 0.25 * (other - expected).norm()


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_features_are_of_bfloat16_but_given_as_float32(kind: str) -> None:
    (module,), ((inputs, _), *_) = made(mlp, 1), batches(1)
    models = KINDS[kind]([copy.deepcopy(module)])
    features, logits = models.features(inputs)
    assert torch.equal(models(inputs), logits)
    with torch.inference_mode():
        assert torch.equal(models.predict(inputs[0].flatten(0, 1)), logits.flatten(1, 2))
    for found in (features, logits):
        assert found.dtype == torch.float32
        assert torch.equal(found, found.bfloat16().float())

    def rounded(values: Tensor) -> Tensor:
        return values.detach().bfloat16().double()

    # What is multiplied has been rounded to bfloat16; the sum is rounded once more, by 2^-8.
    first, last = module[1], module[3]
    hidden = rounded(inputs[0].flatten(0, 1).flatten(1)) @ rounded(first.weight).T
    hidden = (hidden + rounded(first.bias)).relu()
    torch.testing.assert_close(features.flatten(0, 2).double(), hidden, rtol=2**-8, atol=1e-6)
    expected = rounded(features.flatten(0, 2)) @ rounded(last.weight).T
    torch.testing.assert_close(logits.flatten(0, 2).double(), expected, rtol=2**-8, atol=1e-6)
    assert not torch.equal(logits.flatten(0, 2), module(inputs.flatten(0, 2)))


@pytest.mark.parametrize("algorithm", ["irm", "coral"])
def test_the_size_of_the_stack_does_not_matter(colored32, algorithm: str) -> None:
    trials = make_trials(6, algorithm, precision="bf16", steps=30, evaluate_every=15)
    stack, one = run_together(trials, colored32), run_together(trials[4:5], colored32)
    assert all(math.isfinite(m.value) for run in stack.measurements for m in run)
    assert one.measurements[0] == stack.measurements[4]
    wide = make_trials(6, algorithm, precision="float32", steps=30, evaluate_every=15)
    assert run_together(wide, colored32).measurements != stack.measurements


@pytest.mark.parametrize(
    ("model", "stack"),
    [
        ({"name": "mlp", "width": 8}, 2),
        # Minutes on a processor without bfloat16 in hardware.
        pytest.param({"name": "mnist_cnn"}, 1, marks=pytest.mark.slow),
    ],
)
def test_a_sweep_says_so_and_its_kept_weights_score_as_they_did(
    oodbench: Callable[..., Any],
    sweep_file: Callable[..., Path],
    tmp_path: Path,
    model: dict[str, Any],
    stack: int,
) -> None:
    train = {"steps": 2, "batch": {"per_environment": 8}, "precision": "bf16"}
    search = {"trials": 1}
    path = sweep_file(model=model, train=train, search=search, keep_weights="last")
    db = tmp_path / "runs.db"
    told = "tiny: precision bf16; in bf16 the models' forward pass is in bfloat16, all else in "
    for place in ((), ("--db", db)):
        assert told in oodbench("sweep", path, *place, "--dry-run").out
    planned = plan(path)
    with open_database(db, create=True) as database:
        spec = planned.spec.model_dump(mode="json", exclude_none=True)
        add_sweep(database, "tiny", spec, planned.studies)
    assert work(db, "tiny", WorkerSettings(device="cpu", stack=stack)).stored == 2
    for run in package.query(db)["run"]:
        assert ", bf16, seed" in oodbench("show", run, "--db", db).out
        scores = api.evaluate(db, run, device="cpu")
        measured = scores.dropna(subset="stored")
        assert len(measured) >= 3
        assert (measured["accuracy"] == measured["stored"]).all()
        inputs = torch.rand(4, 2, 8, 8)
        whole = package.load_model(db, run)
        with torch.autocast("cpu", torch.bfloat16):
            expected = whole.module(inputs).float()
        assert torch.equal(whole(inputs), expected)


def test_a_frozen_body_stays_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    (trial,), ((inputs, _), *_) = make_trials(1, precision="bf16"), batches(1)
    body, head = made(lambda: nn.Sequential(nn.Flatten(), nn.Linear(72, 8)), 1)[0], nn.Linear(8, 2)
    monkeypatch.setattr(frozen, "frozen_body", lambda trial: body)
    features = body(inputs.flatten(0, 2))
    with torch.autocast("cpu", torch.bfloat16):
        expected = head(features).float()
    assert torch.equal(frozen.whole_model(trial, head)(inputs.flatten(0, 2)), expected)


@pytest.mark.parametrize(("times", "said"), [(16.0, True), (0.25, False)])
def test_it_is_said_once_that_a_cpu_is_slow_at_it(
    times: float,
    said: bool,
    tiny: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    seconds = {torch.bfloat16: times, torch.float32: 1.0}
    monkeypatch.setattr(precision, "seconds_of_product", seconds.__getitem__)
    told = (
        "precision bf16: a product of matrices takes 16.0 times as long in bfloat16 on this CPU; "
        "use float32\n"
    )
    for asked in ("bf16", "float32"):
        planned = plan(tiny(name=asked, train={**tiny()["train"], "precision": asked}))
        with open_database(tmp_path / "runs.db", create=True) as database:
            add_sweep(database, asked, {}, planned.studies)
        tells: list[Callable[[], Any]] = [
            lambda: work(tmp_path / "runs.db", asked, WorkerSettings(device="cpu", stack=1)),  # noqa: B023
            lambda: warn_if_slow(planned.spec, "cpu"),  # noqa: B023
        ]
        for tell in tells:
            precision.tell_if_slow.cache_clear()
            tell()
            assert capsys.readouterr().err == told * (said and asked == "bf16")
    precision.tell_if_slow.cache_clear()
