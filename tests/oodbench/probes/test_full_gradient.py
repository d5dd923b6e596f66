"""The gradient over the whole training set is that of the full-batch loss, and steers nothing."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from path_helpers import CONTESTANTS, STEPS, trial
from torch import nn
from torch.nn.functional import cross_entropy

from oodbench.algorithms import ALGORITHMS
from oodbench.data import Dataset
from oodbench.errors import RequestError
from oodbench.models import MODELS, ModelSpec
from oodbench.probes import full_gradient
from oodbench.probes.full_gradient import full_gradients, groups
from oodbench.probes.path import measurements
from oodbench.probes.recording import Recorder, record_paths
from oodbench.records import Trial
from oodbench.training import Tensors, load
from oodbench.training.loop import Run, build_module

CPU = torch.device("cpu")
HPARAMS = {
    "erm": {},
    "irm": {"penalty_weight": 10.0, "anneal_fraction": 0.0},
    "vrex": {"penalty_weight": 10.0, "anneal_fraction": 0.0},
    "group_dro": {"group_step_size": 0.1},
    "coral": {"penalty_weight": 2.0},
}


def with_hparams(algorithm: str, **changes) -> Trial:
    hparams = CONTESTANTS["sgd"] | HPARAMS[algorithm]
    return trial(algorithm=algorithm, hparams=hparams, precision="float64", **changes)


@pytest.fixture(scope="module")
def rotated64(rotated_digits: Dataset) -> Tensors:
    """Its environments are not equally large, nor two of the classes."""
    tensors = load(rotated_digits, (0,), CPU, torch.float64)
    assert len(set(tensors.sizes)) > 1
    return tensors


def by_autograd(run: Run, loss) -> torch.Tensor:
    """The gradient of loss(model) by plain autograd, on the model as a module of its own."""
    (what,) = run.trials
    module = build_module(what, run.data.shape, run.data.num_classes).double()
    module.load_state_dict(run.models.state(0))
    loss(module).backward()
    return torch.cat([p.grad.flatten() for p in module.parameters()])


def environments(run: Run) -> list[tuple[torch.Tensor, torch.Tensor]]:
    inputs = run.data.inputs[torch.arange(len(run.data.labels))]
    pair = (inputs.split(run.data.sizes), run.data.labels.split(run.data.sizes))
    return list(zip(*pair, strict=True))


def some(data: Tensors, n: int) -> Tensors:
    """The data with the first n examples of each training environment."""
    starts = np.cumsum([0, *data.sizes])[:-1]
    which = torch.from_numpy(np.concatenate([start + np.arange(n) for start in starts]))
    inputs = replace(data.inputs, stored=data.inputs.stored[which])
    return replace(data, inputs=inputs, labels=data.labels[which], sizes=tuple(n for _ in starts))


@pytest.mark.parametrize("stacked", [True, False])
@pytest.mark.parametrize("chunk", [50, 8192])
def test_erm_is_the_mean_over_environments_of_their_means(
    rotated64: Tensors, stacked: bool, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(full_gradient, "CHUNK", chunk)
    what = trial(dataset="RotatedDigits", test_environments=(0,), precision="float64")
    run = Run([what], rotated64, CPU, stacked=stacked)

    def loss(module: nn.Module) -> torch.Tensor:
        risks = [cross_entropy(module(x), y) for x, y in environments(run)]
        return torch.stack(risks).mean()

    torch.testing.assert_close(full_gradients(run, 0)[0], by_autograd(run, loss), rtol=1e-9, atol=0)
    pooled = Run([replace(what, batch={"size": 64})], rotated64, CPU, stacked=stacked)

    def risk(module: nn.Module) -> torch.Tensor:
        inputs, labels = (torch.cat(part) for part in zip(*environments(pooled), strict=True))
        return cross_entropy(module(inputs), labels)

    torch.testing.assert_close(
        full_gradients(pooled, 0)[0], by_autograd(pooled, risk), rtol=1e-9, atol=0
    )


@pytest.mark.parametrize("algorithm", HPARAMS)
def test_every_algorithm_has_its_own_loss_on_everything(colored64: Tensors, algorithm: str) -> None:
    """Environments of one size: the loss is what the algorithm says of one batch that has all."""
    colored64 = some(colored64, 300)
    run = Run([with_hparams(algorithm)], colored64, CPU)
    inputs, labels = (
        torch.stack(part).unsqueeze(0) for part in zip(*environments(run), strict=True)
    )
    fresh = Run([with_hparams(algorithm)], colored64, CPU)
    fresh.models.backward(fresh.algorithm.losses(fresh.models, inputs, labels, 0))
    torch.testing.assert_close(full_gradients(run, 0), fresh.models.vectors()[1])


def test_irms_environments_may_differ_in_size(rotated64: Tensors) -> None:
    what = with_hparams("irm", dataset="RotatedDigits", test_environments=(0,))
    run = Run([what], rotated64, CPU)
    assert ALGORITHMS.get("irm").averages
    assert [len(part) for part in groups(run)] == list(rotated64.sizes)
    fresh, parts = Run([what], rotated64, CPU), []
    for inputs, labels in environments(run):
        one, their = inputs[None, None], labels[None, None]
        fresh.models.backward(fresh.algorithm.losses(fresh.models, one, their, 0))
        parts.append(fresh.models.vectors()[1].clone())
    torch.testing.assert_close(full_gradients(run, 0), torch.stack(parts).mean(0))


def test_what_is_no_mean_takes_equally_many_of_each(rotated64: Tensors) -> None:
    what = with_hparams("vrex", dataset="RotatedDigits", test_environments=(0,))
    run = Run([what], rotated64, CPU)
    assert {len(part) for part in groups(run)} == {min(rotated64.sizes)}
    (path,), _ = record_paths([replace(what, steps=2)], rotated64, CPU, full_every=1)
    assert path.full.n == min(rotated64.sizes) * len(rotated64.sizes)


def test_a_stack_gives_each_its_own(colored64: Tensors) -> None:
    trials = [trial(name, seed=i, precision="float64") for i, name in enumerate(CONTESTANTS)]
    together = full_gradients(Run(trials, colored64, CPU), 0)
    for what, row in zip(trials, together, strict=True):
        alone = full_gradients(Run([what], colored64, CPU, stacked=False), 0)
        torch.testing.assert_close(row, alone[0])


def test_the_gradients_to_be_stepped_along_stay(colored32: Tensors) -> None:
    for stacked in (True, False):
        run = Run([trial()], colored32, CPU, stacked=stacked)
        rows = torch.randn_like(run.models.vectors()[1])
        run.models.set_gradients(rows)
        full_gradients(run, 0)
        assert torch.equal(run.models.vectors()[1], rows)


@pytest.mark.parametrize("algorithm", ["erm", "group_dro"])
def test_a_path_with_full_gradients_is_the_same_path(colored32: Tensors, algorithm: str) -> None:
    hparams = {name: CONTESTANTS[name] | HPARAMS[algorithm] for name in CONTESTANTS}
    trials = [trial(name, algorithm=algorithm, hparams=hparams[name]) for name in hparams]
    plain, _ = record_paths(trials, colored32, CPU)
    found, _ = record_paths(trials, colored32, CPU, full_every=7)  # its last distance is 0
    for path, other in zip(plain, found, strict=True):
        np.testing.assert_array_equal(path.gamma, other.gamma)
        taken = np.flatnonzero(np.isfinite(other.full.gamma))
        np.testing.assert_array_equal(taken, np.arange(0, STEPS, 7))
        np.testing.assert_array_equal(path.distance, other.full.distance)
        stored = [m for m in measurements(other, every=5) if m.metric == "path_full_gamma"]
        assert [m.step for m in stored] == list(taken)
        run = Run(trials[:1], colored32, CPU)
        assert {m.n for m in stored} == {sum(map(len, groups(run)))}


class Linear(nn.Module):
    """Two logits w_0 x and w_1 x of one weight each."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Linear(1, 2, bias=False)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.w(inputs.flatten(1)[:, :1])


class HalfSquare:
    """The loss sum_j (a_j / 2) (w_j x - 1)^2, whose mean over examples is a quadratic of w."""

    restarts: ClassVar[dict] = {}
    divisors: ClassVar[dict] = {}
    a = torch.tensor([1.0, 10.0], dtype=torch.float64)

    def losses(self, forward, inputs, labels, step):
        return (self.a / 2 * (forward(inputs) - 1) ** 2).sum(-1).flatten(1).mean(1)


def test_on_a_quadratic_it_is_the_closed_form(
    colored64: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    """grad_j = a_j (s w_j - m), with m and s the mean of x and of its square: all by hand."""
    spec = ModelSpec("line", lambda shape, classes: Linear())
    monkeypatch.setitem(MODELS._things, "line", spec)
    colored64 = some(colored64, 300)
    x = torch.linspace(0.5, 1.5, len(colored64.labels), dtype=torch.float64)
    stored = x.view(-1, *[1] * len(colored64.shape)).expand(-1, *colored64.shape).clone()
    data = replace(colored64, inputs=replace(colored64.inputs, stored=stored))
    what = trial(model="line", model_options={}, steps=30, precision="float64")
    run = Run([what], data, CPU)
    run.algorithm = HalfSquare()
    end = torch.tensor([[0.3, 0.7]], dtype=torch.float64)
    recorder, points = Recorder(end, full_every=1), []
    run.on_gradients = lambda run, step: (
        points.append(run.models.vectors()[0][0].clone()),
        recorder(run, step),
    )
    run.train(lambda: None)
    (path,) = recorder.paths(run)
    w = torch.stack(points).numpy()
    a, end = HalfSquare.a.numpy(), end.numpy()
    gradient = a * (float((x**2).mean()) * w - float(x.mean()))
    d = w - end
    rsi = (gradient * d).sum(1) / (d**2).sum(1)
    np.testing.assert_allclose(path.full.rsi, rsi, rtol=1e-9)
    eb = np.linalg.norm(gradient, axis=1) / np.linalg.norm(d, axis=1)
    np.testing.assert_allclose(path.full.eb, eb, rtol=1e-9)
    np.testing.assert_allclose(path.full.gamma, rsi / eb, rtol=1e-9)
    np.testing.assert_allclose(path.full.best_lr, rsi / eb**2, rtol=1e-9)
    assert not np.allclose(path.gamma, path.full.gamma, rtol=1e-4)


def test_a_batch_that_holds_everything_is_the_full_gradient(colored64: Tensors) -> None:
    one = some(colored64, 1)  # every batch, drawn with replacement, is all of it
    (path,), _ = record_paths([trial(precision="float64")], one, CPU, full_every=1)
    np.testing.assert_allclose(path.full.gamma, path.gamma, rtol=1e-9)
    np.testing.assert_allclose(path.full.eb, path.eb, rtol=1e-9)


def test_models_that_see_more_than_the_example_are_refused(
    colored32: Tensors, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build(shape, classes):
        width = int(np.prod(shape))
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(width), nn.Linear(width, classes))

    monkeypatch.setitem(MODELS._things, "normed", ModelSpec("normed", build))
    what = trial(model="normed", model_options={})
    with pytest.raises(RequestError, match="normed has dropout or buffers"):
        record_paths([what], colored32, CPU, stacked=False, full_every=1)


def test_weights_of_examples_are_refused(colored64: Tensors) -> None:
    with pytest.raises(RequestError, match=r"balance: classes.+Leave --full-every out"):
        full_gradient.check_full_gradient(with_hparams("erm", balance="classes"), colored64)
