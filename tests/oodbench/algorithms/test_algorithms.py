"""ERM and IRMv1 against autograd, against a worked example, and against their own definitions."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from oodbench.algorithms import ALGORITHMS, Setup
from oodbench.algorithms.cross_entropy import FEW, cross_entropies
from oodbench.algorithms.irm import risk_and_penalty
from oodbench.errors import RequestError, UnknownNameError

CPU = torch.device("cpu")
SHAPE = (3, 2, 8)  # models, environments, examples


@pytest.fixture(params=[4, 20], ids=["few classes", "many classes"])
def logits(request: pytest.FixtureRequest) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn((*SHAPE, request.param), dtype=torch.float64, generator=generator)


@pytest.fixture
def labels() -> torch.Tensor:
    return torch.randint(4, SHAPE, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("classes", [2, FEW - 1, FEW, FEW + 1])
@pytest.mark.parametrize("shape", [(5,), (2, 5), (2, 3, 5)])
def test_cross_entropies_by_their_definition(
    shape: tuple[int, ...], classes: int, smoothing: float
) -> None:
    generator = np.random.default_rng(0)
    z, y = generator.normal(size=(*shape, classes)), generator.integers(classes, size=shape)
    target = np.full((*shape, classes), smoothing / classes)
    np.put_along_axis(target, y[..., None], 1 - smoothing + smoothing / classes, axis=-1)
    expected = np.log(np.exp(z).sum(-1)) - (target * z).sum(-1)
    found = cross_entropies(torch.from_numpy(z), torch.from_numpy(y), smoothing)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def penalty_by_double_backward(z: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """DomainBed's penalty of one environment: a dummy scale, create_graph=True."""
    scale = torch.ones(1, dtype=z.dtype, requires_grad=True)
    halves = [cross_entropy(z[i::2] * scale, y[i::2]) for i in (0, 1)]
    first, second = (torch.autograd.grad(h, [scale], create_graph=True)[0] for h in halves)
    return (first * second).sum()


def test_penalty_and_its_gradient_equal_double_backward(logits, labels) -> None:
    z = logits.requires_grad_()
    _, penalty = risk_and_penalty(z, labels)
    (closed,) = torch.autograd.grad(penalty.sum(), z)
    each = [penalty_by_double_backward(z[k, e], labels[k, e]) for k in range(3) for e in range(2)]
    (double,) = torch.autograd.grad(sum(each), z)
    torch.testing.assert_close(penalty.flatten(), torch.stack(each), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(closed, double, rtol=1e-10, atol=1e-14)


def test_penalty_of_two_examples_worked_by_hand() -> None:
    # Two classes with logits (a, 0): p = 1 / (1 + exp(-a)) for class 0, so with label 0 the slope
    # is (p - 1) a and with label 1 it is p a. Take a = ln 3 (p = 3/4) and a = ln 4 (p = 4/5).
    z = torch.tensor([[math.log(3), 0.0], [math.log(4), 0.0]], dtype=torch.float64)
    risk, penalty = risk_and_penalty(z, torch.tensor([0, 1]))
    assert penalty.item() == pytest.approx((-math.log(3) / 4) * (4 * math.log(4) / 5))
    assert risk.item() == pytest.approx((math.log(4 / 3) + math.log(5)) / 2)
    assert penalty.item() < 0  # an unbiased estimate of a square may be negative


def test_penalty_is_an_unbiased_estimate_of_the_squared_gradient() -> None:
    # Examples drawn with replacement from four: the mean penalty over all 4 x 4 equally likely
    # batches of two is the squared slope over the four.
    z = torch.randn(4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    y = torch.tensor([0, 1, 2, 1])
    pairs = torch.cartesian_prod(torch.arange(4), torch.arange(4))
    _, penalties = risk_and_penalty(z[pairs], y[pairs])
    scale = torch.ones(1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(cross_entropy(z * scale, y), scale)
    assert penalties.mean().item() == pytest.approx(slope.item() ** 2, rel=1e-12)


def build(name: str, hparams, steps: int = 10, **options):
    return ALGORITHMS.get(name)(Setup(hparams, steps, CPU, torch.float64), options)


def test_erm_is_the_mean_cross_entropy(logits, labels) -> None:
    losses = build("erm", [{}] * 3).losses(lambda x: x, logits, labels, 0)
    expected = [cross_entropy(logits[k].flatten(0, 1), labels[k].flatten()) for k in range(3)]
    torch.testing.assert_close(losses, torch.stack(expected))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("classes", [2, FEW + 1])
def test_irms_gradient_is_that_of_its_definition(classes: int, size: int, smoothing: float) -> None:
    """By torch alone: the cross-entropies of scaled logits, differentiated by the scale."""
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(2, 3, size, classes, generator=generator, dtype=torch.float64)
    y, z = torch.randint(classes, (2, 3, size), generator=generator), z.requires_grad_()
    expected = []
    for model in range(2):
        terms = []
        for group in range(3):
            scale = torch.ones((), dtype=torch.float64, requires_grad=True)
            logits, labels = z[model, group], y[model, group]
            each = [
                torch.autograd.grad(
                    cross_entropy(scale * logits[i::2], labels[i::2], label_smoothing=smoothing),
                    scale,
                    create_graph=True,
                )[0]
                for i in (0, 1)
            ]
            risk = cross_entropy(logits, labels, label_smoothing=smoothing)
            terms.append(risk + 50.0 * each[0] * each[1])
        expected.append(torch.stack(terms).mean() / 50.0)
    hparams = [{"penalty_weight": 50.0, "anneal_fraction": 0.0}] * 2
    setup = Setup(hparams, 10, torch.device("cpu"), torch.float64, smoothing)
    losses = ALGORITHMS.get("irm")(setup, {}).losses(lambda x: x, z, y, 0)
    torch.testing.assert_close(losses, torch.stack(expected), rtol=1e-12, atol=1e-14)
    weights = torch.tensor([1.0, -2.0], dtype=torch.float64)
    one, other = (
        torch.autograd.grad((weights * of).sum(), z)[0] for of in (losses, torch.stack(expected))
    )
    torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)


HPARAMS = [
    {"penalty_weight": 0.5, "anneal_fraction": 0.3},
    {"penalty_weight": 100.0, "anneal_fraction": 0.3},
    {"penalty_weight": 100.0, "anneal_fraction": 0.8},
]


@pytest.mark.parametrize("rescale", [True, False])
def test_irm_weights_jump_where_they_should(logits, labels, rescale: bool) -> None:
    irm = build("irm", HPARAMS, rescale=rescale)
    risk, penalty = (x.mean(-1).numpy() for x in risk_and_penalty(logits, labels))
    weights = {2: [1, 1, 1], 3: [0.5, 100, 1], 7: [0.5, 100, 1], 8: [0.5, 100, 100]}
    for step, weight in weights.items():
        losses = irm.losses(lambda x: x, logits, labels, step).numpy()
        divisor = np.maximum(weight, 1) if rescale else 1
        np.testing.assert_allclose(losses, (risk + weight * penalty) / divisor)


def test_irm_restarts_the_optimizer_at_the_jump() -> None:
    assert build("irm", HPARAMS).restarts == {3: [0, 1], 8: [2]}
    assert build("irm", HPARAMS).restart_as is None
    assert build("irm", HPARAMS, restart="none").restarts == {}
    assert build("irm", HPARAMS, restart="adam").restart_as[0] == "adam"


def test_what_is_divided_with_the_loss_is_divided_at_the_jump() -> None:
    assert build("irm", HPARAMS).divisors == {3: {1: 100.0}, 8: {2: 100.0}}  # none at weight 0.5
    assert build("irm", HPARAMS, restart="none").divisors == build("irm", HPARAMS).divisors
    assert build("irm", HPARAMS, rescale=False).divisors == {}


@pytest.mark.parametrize(
    ("options", "batch", "error", "words"),
    [
        ({"restart": "Adam"}, {"per_environment": 8}, UnknownNameError, "adam, none, same"),
        ({"rescale": 1}, {"per_environment": 8}, UnknownNameError, "rescale '1'"),
        ({"scale": True}, {"per_environment": 8}, UnknownNameError, "rescale, restart"),
        ({}, {"size": 64}, RequestError, "needs batches by environment"),
        ({}, {"per_environment": 1}, RequestError, "gives 1"),
        ({}, {"size": 4, "environments": 4}, RequestError, "gives 1"),
    ],
)
def test_irm_refuses(options, batch, error, words) -> None:
    with pytest.raises(error, match=words):
        ALGORITHMS.get("irm").check(options, batch)
