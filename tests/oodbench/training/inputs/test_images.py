"""Each change of images, against torchvision's, which takes one amount for a whole batch."""

from colorsys import hsv_to_rgb, rgb_to_hsv

import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as theirs

from oodbench.training.inputs import images as ours

EPS = 3e-6
"""Single precision; images are in [0, 1], so that a step of a byte is 4e-3."""


def pictures(n: int = 5, dtype: torch.dtype = torch.float32) -> Tensor:
    """(n, 3, 24, 32) with black, white, grey and saturated pixels among others."""
    x = torch.rand(n, 3, 24, 32, generator=torch.Generator().manual_seed(0), dtype=dtype)
    x[:, :, :4] = x[:, :1, :4]
    x[:, :, 4:6], x[:, :, 6:8] = 0, 1
    x[:, :, 8:12] = x[:, :, 8:12].round()
    return x


AMOUNTS = {
    "brightness": [0.7, 0.9, 1.0, 1.1, 1.3],
    "contrast": [0.7, 0.9, 1.0, 1.1, 1.3],
    "saturation": [0.7, 0.9, 1.0, 1.1, 1.3],
    "hue": [-0.3, -0.1, 0.0, 0.2, 0.5],
}


@pytest.mark.parametrize("name", AMOUNTS)
def test_a_jitter_is_torchvisions_on_each_image(name: str) -> None:
    x, amounts = pictures(), AMOUNTS[name]
    expected = [
        getattr(theirs, f"adjust_{name}")(image, amount)
        for image, amount in zip(x, amounts, strict=True)
    ]
    getattr(ours, name)(x, torch.tensor(amounts))
    torch.testing.assert_close(x, torch.stack(expected), rtol=0, atol=EPS)


def test_the_jitters_are_numbered_as_torchvision_numbers_them() -> None:
    names = [change.__name__ for change in ours.JITTERS]
    assert names == ["brightness", "contrast", "saturation", "hue"]


def test_grey_is_torchvisions() -> None:
    x = pictures()
    expected = theirs.rgb_to_grayscale(x, num_output_channels=1)
    torch.testing.assert_close(ours.luma(x), expected, rtol=0, atol=EPS)


CROPS = [(0, 0, 24, 32), (3, 5, 20, 27), (10, 0, 14, 10), (23, 31, 1, 1), (2, 1, 17, 30)]


def test_a_crop_is_torchvisions_on_each_image() -> None:
    """Bilinear; nothing beyond the part is seen, and a part that is the whole stays as it is."""
    x = pictures()
    top, left, height, width = torch.tensor(CROPS, dtype=torch.float32).unbind(1)
    found = ours.resized_crop(x, top, left, height, width, torch.tensor([0.0, 1, 0, 0, 1]))
    for i, (image, crop) in enumerate(zip(x, CROPS, strict=True)):
        expected = theirs.resized_crop(image, *crop, [24, 32], antialias=True)
        expected = expected.flip(-1) if i in (1, 4) else expected
        torch.testing.assert_close(found[i], expected, rtol=0, atol=2e-5)
    torch.testing.assert_close(found[0], x[0], rtol=0, atol=EPS)


def test_a_shifted_crop_is_cut_out_of_the_padded_image() -> None:
    x = pictures()
    corners = torch.tensor([(0, 0), (-4, 3), (2, -5), (-6, -6), (5, 5)])
    found = ours.shifted_crop(x, corners, torch.tensor([0.0, 1, 0, 0, 1]))
    for i, (image, (top, left)) in enumerate(zip(x, corners.tolist(), strict=True)):
        expected = theirs.crop(theirs.pad(image, [6]), top + 6, left + 6, 24, 32)
        assert torch.equal(found[i], expected.flip(-1) if i in (1, 4) else expected)


def test_hue_is_that_of_the_standard_library_in_double_precision() -> None:
    x = pictures(1, torch.float64)
    turned = x.clone()
    ours.hue(turned, torch.tensor([0.2], dtype=torch.float64))
    for pixel, found in zip(x.flatten(2)[0].T.tolist(), turned.flatten(2)[0].T, strict=True):
        h, s, v = rgb_to_hsv(*pixel)
        assert found.tolist() == pytest.approx(hsv_to_rgb((h + 0.2) % 1, s, v), abs=1e-12)
