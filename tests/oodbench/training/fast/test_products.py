"""numpy's products against torch's, and when they are used."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from oodbench.training.fast import products
from oodbench.training.fast.batched import batched_forward


@pytest.fixture
def numpys(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a processor where it pays."""
    monkeypatch.setattr(products, "pays", lambda: True)


def draw(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).normal(size=shape)).to(dtype)


@pytest.mark.usefixtures("numpys")
@torch.no_grad()
@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 7, 16, 128])
@pytest.mark.parametrize("m", [1, 10, 64, 129])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_products_are_those_in_double_precision(k: int, n: int, m: int, dtype: torch.dtype) -> None:
    error = 16 * m * torch.finfo(dtype).eps  # rounding of a sum of m products of about 1
    for p in (1, 3, 17, 64, 200):
        a, b, bias = draw(k, n, m, dtype=dtype), draw(k, m, p, dtype=dtype), draw(k, p, dtype=dtype)
        exact = a.double() @ b.double()
        transposed = b.transpose(1, 2).contiguous().transpose(1, 2)  # as weights come
        for right in (b, transposed):
            torch.testing.assert_close(
                products.product(a, right), exact.to(dtype), rtol=0, atol=error
            )
        shared = a[:1].expand(k, n, m)  # as the inputs of an evaluation come
        torch.testing.assert_close(
            products.product_plus(bias, shared, transposed),
            (shared.double() @ b.double() + bias.double().unsqueeze(1)).to(dtype),
            rtol=0,
            atol=error,
        )


@pytest.mark.parametrize("numpys", [True, False])
@torch.no_grad()
def test_matrices_are_shared_in_order(numpys: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "pays", lambda: numpys)
    few, many, bias = draw(2, 4, 5), draw(3, 5, 6), draw(3, 6)
    each = torch.stack([few[0] @ many[0], few[0] @ many[1], few[1] @ many[2]])
    torch.testing.assert_close(products.product(few, many, (2, 1)), each)
    torch.testing.assert_close(
        products.product_plus(bias, few, many, (2, 1)), each + bias.unsqueeze(1)
    )
    right = products.product(many.transpose(1, 2), few.transpose(1, 2), (2, 1))
    torch.testing.assert_close(right, each.transpose(1, 2))


@pytest.mark.usefixtures("numpys")
@torch.no_grad()
def test_a_product_does_not_depend_on_the_others() -> None:
    a, b = draw(8, 128, 64), draw(8, 32, 64).transpose(1, 2)
    together = products.product(a, b)
    for k in range(8):
        alone = products.product(a[k : k + 1], b[k : k + 1])
        assert torch.equal(together[k : k + 1], alone)


@pytest.mark.usefixtures("numpys")
def test_the_gradients_of_a_stack_are_the_same() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 2, bias=False))
    shapes = {name: p.shape for name, p in module.named_parameters()}
    parameters = {name: draw(3, *shape).requires_grad_() for name, shape in shapes.items()}
    forward = batched_forward(module)
    assert forward is not None

    def gradients(again: bool) -> list[Tensor]:
        loss = forward(parameters, draw(3, 5, 8)).square().mean()
        return list(torch.autograd.grad(loss, list(parameters.values()), create_graph=again))

    by_numpy, by_torch = gradients(again=False), gradients(again=True)
    assert [g.requires_grad for g in by_torch] == [True, True, True]
    for one, other in zip(by_numpy, by_torch, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.usefixtures("numpys")
@torch.no_grad()
def test_what_is_not_finite_is_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    a = draw(2, 3, 4)
    a[0, 0, 0] = torch.inf
    out = products.product(a, draw(2, 4, 2))
    assert [bool(model.isfinite().all()) for model in out] == [False, True]
    assert not recwarn.list


def test_other_types_and_differentiated_gradients_are_left_to_torch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(products, "pays", lambda: True)
    assert not products.by_numpy(torch.ones(1))  # gradients are on here
    with torch.no_grad():
        assert products.by_numpy(torch.ones(1))
        assert not products.by_numpy(torch.ones(1, dtype=torch.bfloat16))
        assert not products.by_numpy(torch.ones(1, device="meta"))
        monkeypatch.setattr(products, "pays", lambda: False)
        assert not products.by_numpy(torch.ones(1))


LIBRARY = {
    "internal_api": "openblas",
    "architecture": "SkylakeX",
    "version": "0.3.31.188.0",
    "filepath": "/lib/numpy.libs/libscipy_openblas64_-32a4b2a6.so",
}


@pytest.mark.parametrize(
    ("what", "fast"),
    [
        ({}, True),
        ({"version": "0.4.0"}, True),
        ({"version": "0.3.31dev"}, True),
        ({"version": "0.3.30"}, False),
        ({"version": None}, False),
        ({"architecture": "Haswell"}, False),
        ({"filepath": "/lib/scipy.libs/libopenblas.so"}, False),
        ({"internal_api": "mkl", "version": "2024.2-Product"}, False),
    ],
)
def test_only_a_known_library_with_avx512_is_used(what: dict[str, Any], fast: bool) -> None:
    assert products.is_fast({**LIBRARY, **what}) is fast
