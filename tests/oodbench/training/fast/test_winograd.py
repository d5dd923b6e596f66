"""The fast convolution is torch's own, and its gradients are, for any size of image."""

import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d

from oodbench.training.fast.winograd import Conv2d, Convolution, maps, with_fast_convolutions
from oodbench.training.single import Single


def both(x, weight):
    """(outputs, gradient of x, gradient of the weight), the fast way and torch's."""
    results = []
    for out in (Convolution.apply(x, weight), conv2d(x, weight, padding=1)):
        up = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
        results.append((out, *torch.autograd.grad(out, (x, weight), up)))
    return results


def draw(shape, dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(len(shape) + shape[0])
    return torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()


@pytest.mark.parametrize("size", [(14, 14), (7, 7), (1, 1), (9, 12), (28, 5)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_equals_torchs_in_float64(size: tuple[int, int], channels_last: bool) -> None:
    x, weight = draw((7, 5, *size), torch.float64), draw((3, 5, 3, 3), torch.float64)
    if channels_last:
        x = x.detach().contiguous(memory_format=torch.channels_last).requires_grad_()
    for fast, plain in zip(*both(x, weight), strict=True):
        torch.testing.assert_close(fast, plain, rtol=0, atol=1e-11)


def test_rounds_hardly_more_than_torchs_in_float32() -> None:
    x, weight = draw((16, 128, 14, 14), torch.float64), draw((128, 128, 3, 3), torch.float64)
    exact = both(x, weight)[1]
    x, weight = (t.detach().float().requires_grad_() for t in (x, weight))
    for fast, true in zip(both(x, weight)[0], exact, strict=True):
        assert (fast - true).abs().max() < 5e-6 * true.abs().max()


def test_the_right_convolutions_are_replaced() -> None:
    kept = [
        nn.Conv2d(2, 64, 3, padding=1),
        nn.Conv2d(64, 64, 3, stride=2, padding=1),
        nn.Conv2d(64, 64, 3),
        nn.Conv2d(64, 64, 5, padding=2),
        nn.Conv2d(64, 64, 3, padding=1, groups=2),
        nn.Conv2d(64, 64, 3, padding=1, dilation=2),
        nn.Conv2d(64, 64, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(64, 64, 3, padding="same"),
    ]
    fast = [nn.Conv2d(64, 64, 3, padding=1), nn.Conv2d(64, 32, 3, padding=1, bias=False)]
    x = torch.randn(2, 64, 6, 6)
    expected = [conv(x) for conv in fast]
    with_fast_convolutions(nn.ModuleList([*kept, *fast]))
    assert [type(conv) for conv in kept + fast] == [nn.Conv2d] * len(kept) + [Conv2d] * 2
    for conv, out in zip(fast, expected, strict=True):
        torch.testing.assert_close(conv(x), out, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("capability", "kind"), [("AVX2", Conv2d), ("AVX512", nn.Conv2d), ("DEFAULT", nn.Conv2d)]
)
def test_a_model_takes_it_where_it_is_faster(
    capability: str, kind: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    conv = nn.Conv2d(64, 64, 3, padding=1)
    Single(conv, torch.device("cpu"), "float32")
    assert type(conv) is kind


def test_trains_after_it_was_evaluated() -> None:
    maps.cache_clear()
    conv = Conv2d(2, 2, 3, padding=1)
    with torch.inference_mode():
        conv(torch.ones(1, 2, 5, 5))
    conv(torch.ones(1, 2, 5, 5)).sum().backward()
    assert conv.weight.grad is not None
    # An inner weight meets 25 ones in each channel; one on the edge 20, one in a corner 16.
    expected = torch.tensor([[16.0, 20, 16], [20, 25, 20], [16, 20, 16]]).expand(2, 2, 3, 3)
    torch.testing.assert_close(conv.weight.grad, expected, rtol=1e-5, atol=1e-4)
