"""Each backbone computes what it says, alone and in a stack."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from oodbench.errors import OodbenchError
from oodbench.models import MODELS
from oodbench.records import Trial
from oodbench.training.loop import Run


@pytest.mark.parametrize("depth", [1, 3])
def test_mlp_forward_in_numpy(depth: int) -> None:
    model = MODELS.get("mlp").build((2, 4, 4), 5, width=7, depth=depth)
    x = torch.randn(6, 2, 4, 4)
    weights = [p.detach().numpy() for p in model.parameters()]
    hidden = x.numpy().reshape(6, 32)
    for weight, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        hidden = np.maximum(hidden @ weight.T + bias, 0)
    expected = hidden @ weights[-2].T + weights[-1]
    assert len(weights) == 2 * (depth + 1)
    np.testing.assert_allclose(model(x).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"width": 0}, {"width": 2.5}, {"depth": True}, {"widht": 8}])
def test_mlp_refuses(options) -> None:
    with pytest.raises(OodbenchError, match=next(iter(options))):
        MODELS.get("mlp").check(options)


@pytest.mark.parametrize(
    ("shape", "classes", "parameters"),
    [((2, 28, 28), 2, 371_394), ((1, 28, 28), 10, 371_850), ((2, 14, 14), 2, 371_394)],
)
def test_mnist_cnn_is_domainbeds(shape, classes: int, parameters: int) -> None:
    """Written out with torch's functions, in the order of DomainBed's ``MNIST_CNN.forward``."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS.get("mnist_cnn").build(shape, classes)
        x = torch.rand(3, *shape)
    assert sum(p.numel() for p in model.parameters()) == parameters
    state, hidden = model.state_dict(), x
    for i, stride in enumerate((1, 2, 1, 1)):
        convolution = state[f"conv{i + 1}.weight"], state[f"conv{i + 1}.bias"]
        hidden = functional.relu(functional.conv2d(hidden, *convolution, stride, padding=1))
        hidden = functional.group_norm(hidden, 8, state[f"bn{i}.weight"], state[f"bn{i}.bias"])
    features = hidden.mean(dim=(2, 3))
    expected = functional.linear(features, state["classifier.weight"], state["classifier.bias"])
    torch.testing.assert_close(model(x), expected)


def test_mnist_cnn_needs_images() -> None:
    with pytest.raises(OodbenchError, match="use mlp"):
        MODELS.get("mnist_cnn").build((12,), 2)


@pytest.mark.parametrize("algorithm", ["erm", "irm"])
def test_a_stack_of_mnist_cnns_equals_each_alone(colored64, algorithm: str) -> None:
    hparams = {
        "erm": {"lr": 0.01},
        "irm": {"lr": 0.01, "penalty_weight": 10.0, "anneal_fraction": 0.5},
    }[algorithm]
    trials = [
        Trial(
            dataset="ColoredDigits",
            fingerprint="x",
            test_environments=(2,),
            model="mnist_cnn",
            algorithm=algorithm,
            optimizer=optimizer,
            hparams={**hparams, **more},
            steps=4,
            batch={"per_environment": 4},
            evaluate_every=4,
            seed=seed,
            precision="float64",
        )
        for seed, (optimizer, more) in enumerate(
            [
                ("sgd", {"weight_decay": 1e-4}),
                ("momentum", {"weight_decay": 1e-4, "momentum": 0.9}),
                ("adam", {"weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}),
            ]
        )
    ]
    few = replace(colored64, evaluation=())
    stack = Run(trials, few, torch.device("cpu"))
    stack.train(lambda: None)
    for k, trial in enumerate(trials):
        for stacked in (True, False):
            alone = Run([trial], few, torch.device("cpu"), stacked)
            alone.train(lambda: None)
            for name, value in alone.models.state(0).items():
                assert (value - stack.models.state(k)[name]).abs().max() < 1e-10, (trial, name)
