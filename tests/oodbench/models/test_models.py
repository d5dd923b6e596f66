"""The MLP computes what a perceptron computes."""

import numpy as np
import pytest
import torch

from oodbench.errors import OodbenchError
from oodbench.models import MODELS


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
