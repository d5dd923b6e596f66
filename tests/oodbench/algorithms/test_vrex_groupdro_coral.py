"""VREx, GroupDRO and CORAL against their definitions written with loops, and worked examples."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from oodbench.algorithms import ALGORITHMS, Setup
from oodbench.algorithms.coral import moment_distance
from oodbench.algorithms.cross_entropy import cross_entropies
from oodbench.algorithms.irm import risk_and_penalty
from oodbench.errors import RequestError

CPU = torch.device("cpu")
K, E, B, C = 3, 2, 8, 4
OPTIONS = {"vrex": {"rescale": False}}


class Given:
    """A forward pass that returns what it is given, and as features the first columns of it."""

    def __call__(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs

    def features(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return inputs[..., :3].square(), inputs


@pytest.fixture
def logits() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((K, E, B, C), dtype=torch.float64, generator=generator)


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.randint(C, (K, E, B), generator=torch.Generator().manual_seed(1))


def build(name: str, hparams: list, smoothing: float = 0.0):
    spec = ALGORITHMS.get(name)
    return spec(Setup(hparams, 10, CPU, torch.float64, smoothing), OPTIONS.get(name, {}))


def risks(logits: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0) -> np.ndarray:
    each = [
        [cross_entropy(z, y, label_smoothing=smoothing).item() for z, y in zip(zs, ys, strict=True)]
        for zs, ys in zip(logits, labels, strict=True)
    ]
    return np.array(each)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_vrex_is_the_mean_and_the_weighted_variance(logits, labels, smoothing: float) -> None:
    hparams = [{"penalty_weight": w, "anneal_fraction": 0.5} for w in (0.5, 10.0, 100.0)]
    vrex, r = build("vrex", hparams, smoothing), risks(logits, labels, smoothing)
    for step, weight in ((4, np.ones(3)), (5, np.array([0.5, 10.0, 100.0]))):
        losses = vrex.losses(Given(), logits, labels, step)
        np.testing.assert_allclose(losses, r.mean(1) + weight * r.var(1), rtol=1e-12)
    assert vrex.restarts == {5: [0, 1, 2]}


def test_vrex_of_two_environments_worked_by_hand() -> None:
    """Risks 1 and 3: mean 2, variance 1."""
    vrex = build("vrex", [{"penalty_weight": 7.0, "anneal_fraction": 0.0}])
    wanted = torch.tensor([1.0, 3.0], dtype=torch.float64)
    # One example, two classes, logits (0, a) and label 0: the loss is log(1 + exp(a)).
    a = (wanted.exp() - 1).log()
    z = torch.stack([torch.zeros(2, dtype=torch.float64), a], dim=1).view(1, 2, 1, 2)
    loss = vrex.losses(Given(), z, torch.zeros(1, 2, 1, dtype=torch.long), 0)
    assert loss.item() == pytest.approx(2 + 7 * 1)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_group_dro_is_algorithm_1(logits, labels, smoothing: float) -> None:
    sizes = np.array([0.01, 0.1, 1.0])
    dro = build("group_dro", [{"group_step_size": s} for s in sizes], smoothing)
    q = np.full((K, E), 1 / E)
    for step in range(4):
        moved = logits + 0.3 * step * torch.arange(C)
        r = risks(moved, labels, smoothing)
        q = q * np.exp(sizes[:, None] * r)
        q = q / q.sum(1, keepdims=True)
        losses = dro.losses(Given(), moved, labels, step)
        np.testing.assert_allclose(losses, (q * r).sum(1), rtol=1e-12)
        again = dro.losses(Given(), moved, labels, step)  # as SAM asks
        assert torch.equal(losses, again)
    np.testing.assert_allclose(dro.state["weights"], q, rtol=1e-12)


def test_group_dro_does_not_differentiate_its_weights(logits, labels) -> None:
    dro = build("group_dro", [{"group_step_size": 1.0}] * K)
    z = logits.requires_grad_()
    dro.losses(Given(), z, labels, 0).sum().backward()
    r = cross_entropies(z, labels).mean(-1)
    (expected,) = torch.autograd.grad((dro.state["weights"] * r).sum(), z)
    torch.testing.assert_close(z.grad, expected)


def test_group_dro_goes_on_from_its_state(logits, labels) -> None:
    first, second = (build("group_dro", [{"group_step_size": 0.5}] * K) for _ in range(2))
    first.losses(Given(), logits, labels, 0)
    second.state.update(first.state)
    expected = first.losses(Given(), logits, labels, 1)
    assert torch.equal(second.losses(Given(), logits, labels, 1), expected)


def domainbed_distance(x: np.ndarray, y: np.ndarray) -> float:
    """DomainBed's mmd with gaussian=False."""
    mean = (x.mean(0) - y.mean(0)) ** 2
    return mean.mean() + ((np.cov(x.T) - np.cov(y.T)) ** 2).mean()


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_coral_compares_every_pair(groups: int) -> None:
    features = np.random.default_rng(0).normal(size=(2, groups, 6, 5))
    found = moment_distance(torch.from_numpy(features))
    for model in range(2):
        f = features[model]
        each = [domainbed_distance(f[i], f[j]) for i in range(groups) for j in range(i)]
        assert found[model].item() == pytest.approx(np.mean(each) if each else 0.0)


def test_coral_adds_it_to_the_risk(logits, labels) -> None:
    coral = build("coral", [{"penalty_weight": w} for w in (0.0, 1.0, 10.0)])
    losses = coral.losses(Given(), logits, labels, 0)
    distance = moment_distance(logits[..., :3].square())
    expected = torch.from_numpy(risks(logits, labels).mean(1)) + torch.tensor([0, 1, 10]) * distance
    torch.testing.assert_close(losses, expected)


def test_smoothed_labels_change_irm_as_autograd_says(logits, labels) -> None:
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    risk, penalty = risk_and_penalty(logits, labels, 0.3)
    for k in range(K):
        for e in range(E):
            halves = [
                cross_entropy(logits[k, e, i::2] * scale, labels[k, e, i::2], label_smoothing=0.3)
                for i in (0, 1)
            ]
            slopes = [torch.autograd.grad(h, scale)[0].item() for h in halves]
            assert penalty[k, e].item() == pytest.approx(slopes[0] * slopes[1], rel=1e-10)
    np.testing.assert_allclose(risk, risks(logits, labels, 0.3), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "batch", "words"),
    [
        ("vrex", {"size": 8}, "needs batches by environment"),
        ("coral", {"per_environment": 1}, "at least 2"),
        ("group_dro", {"size": 8, "environments": 2}, "needs every environment"),
    ],
)
def test_batches_that_do_not_do(name: str, batch: dict, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        ALGORITHMS.get(name).check({}, batch)


def test_features_are_the_inputs_of_the_last_layer() -> None:
    from oodbench.training.single import Single
    from oodbench.training.stack import Stack

    def chain(*layers: nn.Module) -> nn.Sequential:
        return nn.Sequential(nn.Flatten(), *layers, nn.Linear(6, 3)).double()

    shapes = [(nn.Linear(6, 6), nn.ReLU()), (nn.Linear(6, 6), nn.Tanh()), ()]
    inputs = torch.randn(1, 2, 5, 3, 2, dtype=torch.float64)
    for layers in shapes:
        module = chain(*layers)
        body = module[:-1](inputs.flatten(0, 2)).view(1, 2, 5, -1)
        expected = body, module[-1](body)
        single = Single(module, CPU, "float64").features(inputs)
        stack = Stack([module], CPU, "float64").features(inputs)
        for found in (single, stack):
            torch.testing.assert_close(found[0], expected[0])
            torch.testing.assert_close(found[1], expected[1])
    with pytest.raises(RequestError, match=r"ending with an nn\.Linear"):
        Single(nn.Sequential(nn.Linear(6, 3), nn.ReLU()), CPU, "float32").features(inputs)


@pytest.mark.parametrize("name", [spec.name for spec in ALGORITHMS])
def test_of_one_environment_the_loss_is_erms_where_environments_are_compared(
    logits, labels, name: str
) -> None:
    """Where they are not (IRM), the penalty of the one environment stays."""
    spec = ALGORITHMS.get(name)
    values = {"penalty_weight": 10.0, "anneal_fraction": 0.0, "group_step_size": 0.1}
    one = Given(), logits[:, :1], labels[:, :1], 5
    erm = build("erm", [values] * K).losses(*one)
    assert torch.equal(build(spec.name, [values] * K).losses(*one), erm) == (
        spec.compares or name == "erm"
    )
