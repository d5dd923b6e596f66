"""Compiled training is plain training, with other roundings at most; and a run says so."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounterWithBackend
from training_helpers import CPU, make_trials, parameters

import oodbench as package
from oodbench import api
from oodbench.algorithms import ALGORITHMS, Setup
from oodbench.errors import RequestError
from oodbench.results import add_sweep, open_database
from oodbench.sweep.plan import plan
from oodbench.training import Tensors, train
from oodbench.training.fast import compiling
from oodbench.training.fast.compiling import Compiled, check_compiler, differentiate
from oodbench.training.loop import Run
from oodbench.training.single import Single
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

SHORT = {"steps": 12, "evaluate_every": 6}
INDUCTOR = compiling.settings("cpu")


def reset() -> None:
    torch.compiler.reset()
    compiling.compiled_losses.cache_clear()
    compiling.tell_plain.cache_clear()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], None]]:
    """Lets a test choose what compiles, and what is compiled be forgotten."""

    def choose(settings: dict[str, Any]) -> None:
        monkeypatch.setattr(compiling, "settings", lambda device_type: settings)
        reset()

    yield choose
    reset()


@pytest.fixture
def graphs(use: Callable[[Any], None]) -> CompileCounterWithBackend:
    """Traced, forward and backward, but run by torch's own operations; counts what was traced."""
    counter = CompileCounterWithBackend("aot_eager")
    use({"backend": counter})
    return counter


def both(trials: list, data: Tensors, stacked: bool = True) -> list[Run]:
    """Trained plain, and compiled."""
    runs = [Run(trials, data, CPU, stacked, compiled=compiled) for compiled in (False, True)]
    for run in runs:
        torch.manual_seed(0)
        run.train(lambda: None)
    assert runs[1].compiled is not None
    return runs


def assert_near(runs: list[Run], tolerance: float = 1e-12) -> None:
    plain, compiled = runs
    for k, trial in enumerate(plain.trials):
        expected = parameters(plain, k)
        size = expected.abs().max().clamp(min=1.0)
        assert (parameters(compiled, k) - expected).abs().max() < tolerance * size, trial
        for one, other in zip(plain.measurements[k], compiled.measurements[k], strict=True):
            assert other.value == pytest.approx(one.value, rel=tolerance * 10), one


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "sam"])
@pytest.mark.parametrize("algorithm", ["erm", "irm", "vrex", "coral"])
@pytest.mark.parametrize(("stacked", "k"), [(True, 3), (False, 1)])
def test_what_is_compiled_trains_like_what_is_not(
    graphs: CompileCounterWithBackend,
    colored64: Tensors,
    optimizer: str,
    algorithm: str,
    stacked: bool,
    k: int,
) -> None:
    runs = both(make_trials(k, algorithm, optimizer, **SHORT), colored64, stacked)
    assert runs[1].compiled.used
    assert graphs.frame_count
    assert_near(runs)


@pytest.mark.parametrize(
    ("model", "precision", "k"),
    [
        ("mlp", "bf16", 3),
        ("mlp", "bf16", 1),
        pytest.param("mnist_cnn", "bf16", 1, marks=pytest.mark.slow),
        pytest.param("mnist_cnn", "bf16", 2, marks=pytest.mark.slow),
        pytest.param("mnist_cnn", "float32", 1, marks=pytest.mark.slow),
        pytest.param("mnist_cnn", "float32", 2, marks=pytest.mark.slow),
    ],
)
def test_convolutions_too_and_in_bf16(
    graphs: CompileCounterWithBackend, colored32: Tensors, model: str, precision: str, k: int
) -> None:
    options = {"model": model, "model_options": {}, "hparams": {"lr": 1e-3}}
    options |= {"batch": {"per_environment": 4}, "steps": 2, "evaluate_every": 2}
    trials = make_trials(k, "irm", "sgd", precision=precision, **options)
    runs = both(trials, colored32, stacked=k > 1)
    assert runs[1].compiled.used
    assert_near(runs, 1e-5)


def test_steps_penalties_and_later_stacks_of_the_same_shape_compile_nothing_anew(
    graphs: CompileCounterWithBackend, colored64: Tensors
) -> None:
    # The penalty weight jumps in the middle, for each model at another step; of some stacks, models
    # that share a seed share their batches.
    runs = [
        Run(
            [replace(t, seed=seed) for t, seed in zip(trials, seeds, strict=True)],
            colored64,
            CPU,
            compiled=True,
        )
        for trials, seeds in (
            (make_trials(3, "irm", "sgd", **SHORT), (0, 1, 2)),
            (make_trials(3, "irm", "adam", **SHORT), (0, 0, 1)),
            (make_trials(3, "irm", "adam", **SHORT), (0, 1, 1)),
        )
    ]
    runs[0].step(0)
    runs[0].done = 1
    assert graphs.frame_count == 1
    with torch.compiler.set_stance("fail_on_recompile"):
        for run in runs:
            run.train(lambda: None)
    assert graphs.frame_count == 1


def test_more_kinds_of_stacks_than_torch_keeps_are_compiled_too(
    graphs: CompileCounterWithBackend, colored64: Tensors
) -> None:
    with torch._dynamo.config.patch(recompile_limit=1):
        for k in (1, 2, 3):
            runs = both(make_trials(k, optimizer="sgd", steps=2, evaluate_every=2), colored64)
            assert runs[1].compiled.used
            assert_near(runs)
    assert graphs.frame_count == 3


def random_module() -> nn.Module:
    torch.manual_seed(0)
    parts = nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 3)
    return nn.Sequential(*parts)


def assert_draws_and_buffers_are_the_same() -> None:
    inputs, labels = torch.randn(1, 2, 5, 6).double(), torch.randint(3, (1, 2, 5))
    erm = ALGORITHMS.get("erm")(Setup([{}], 3, CPU, torch.float64), {})
    plain = random_module()
    modules, compiled = (plain, copy.deepcopy(plain)), Compiled("erm")
    losses = []
    for module, gradients in zip(modules, (differentiate, compiled), strict=True):
        single = Single(module, CPU, "float64")
        torch.manual_seed(1)
        losses.append(torch.stack([gradients(erm, single, inputs, labels, t) for t in range(3)]))
    assert compiled.used
    torch.testing.assert_close(losses[1], losses[0], rtol=1e-12, atol=1e-12)
    assert len(set(losses[0].flatten().tolist())) == 3  # other masks at each step
    first, second = modules
    for a, b in zip(first.parameters(), second.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-12, atol=1e-12)
    for a, b in zip(first.buffers(), second.buffers(), strict=True):
        torch.testing.assert_close(b, a, rtol=1e-12, atol=1e-12)


def test_masks_of_dropout_and_statistics_of_batchnorm_are_the_same(
    graphs: CompileCounterWithBackend,
) -> None:
    assert_draws_and_buffers_are_the_same()


def test_what_cannot_be_traced_is_trained_as_ever_said_and_recorded(
    graphs: CompileCounterWithBackend, colored64: Tensors, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = make_trials(2, "group_dro", "adam", **SHORT)
    plain, compiled = (train(trials, colored64, compiled=asked) for asked in (False, True))
    for one, other in zip(plain, compiled, strict=True):
        assert other.measurements == one.measurements
        assert other.provenance["compiled"] is False
    said = capsys.readouterr().err
    assert said.startswith("group_dro, mlp: not compiled, since torch cannot trace it: Data-dep")
    assert said.count("\n") == 1
    assert graphs.frame_count == 0


def test_replicas_are_not_compiled_which_is_said(
    graphs: CompileCounterWithBackend, colored64: Tensors, capsys: pytest.CaptureFixture[str]
) -> None:
    (trial,) = make_trials(1, optimizer="sgd", parallel="ddp", replicas=2, **SHORT)
    (record,) = train([trial], colored64, compiled=True)
    assert record.provenance["compiled"] is False
    assert capsys.readouterr().err.startswith("replicas: not compiled")
    assert graphs.frame_count == 0


def test_a_machine_that_cannot_compile_is_told_what_it_lacks(use: Callable[[Any], None]) -> None:
    def broken(*given: Any) -> None:
        raise RuntimeError("No working C++ compiler found\nin some places")

    use({"backend": broken})
    with pytest.raises(RequestError, match=r"needs a C\+\+ compiler .* without --compile"):
        check_compiler(CPU)
    erm = ALGORITHMS.get("erm")(Setup([{}], 1, CPU, torch.float32), {})
    single = Single(random_module(), CPU, "float32")
    inputs, labels = torch.zeros(1, 1, 2, 6), torch.zeros(1, 1, 2, dtype=torch.long)
    with pytest.raises(RequestError, match="No working C"):
        Compiled("erm")(erm, single, inputs, labels, 0)


SWEEP: dict[str, Any] = {
    "name": "small",
    "datasets": [{"name": "ColoredDigits", "test_environments": [2]}],
    "algorithms": ["irm"],
    "optimizers": ["sgd"],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 2},
    "train": {"steps": 20, "batch": {"per_environment": 16}, "evaluate_every": 20},
}


def test_a_run_says_that_it_was_compiled_and_reproduce_does(
    graphs: CompileCounterWithBackend, tmp_path: Path
) -> None:
    file = tmp_path / "small.db"
    with open_database(file, create=True) as db:
        add_sweep(db, "small", SWEEP, plan(SWEEP).studies)
    assert work(file, "small", WorkerSettings(device="cpu", stack=2, compiled=True)).stored == 2
    (run, _) = package.query(file)["run"]
    found = package.reproduce(file, run, device="cpu", tolerance=1e-2)
    assert found.matches
    assert found.origins["compiled"] == (True, False)
    assert set(found.origins) <= {"compiled", "products"}


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["erm", "irm"])
@pytest.mark.parametrize(("stacked", "k"), [(True, 3), (False, 1)])
def test_inductor_trains_like_plain_torch(
    use: Callable[[Any], None], colored64: Tensors, algorithm: str, stacked: bool, k: int
) -> None:
    use(INDUCTOR)
    runs = both(make_trials(k, algorithm, "adam", **SHORT), colored64, stacked)
    assert runs[1].compiled.used
    assert_near(runs, 1e-10)


@pytest.mark.slow
def test_inductor_draws_as_plain_torch(use: Callable[[Any], None]) -> None:
    use(INDUCTOR)
    assert_draws_and_buffers_are_the_same()


@pytest.mark.slow
def test_a_sweep_compiles_if_asked_to(tmp_path: Path) -> None:
    file = tmp_path / "small.db"
    api.run_sweep(SWEEP, file, workers=1, device="cpu", stack=2, compiled=True)
    with open_database(file, read_only=True) as db:
        from oodbench.results import load_run

        for run in package.query(file)["run"]:
            assert load_run(db, run).provenance["compiled"] is True
