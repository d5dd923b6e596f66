"""The corruptions that stand in for CIFAR-10-C: each by its definition, and as the release lies."""

import colorsys
import io
from pathlib import Path

import numpy as np
import pytest
from cifar_helpers import images, labels
from corruptions import CORRUPTIONS, corrupted, disk, plasma, write_corruptions
from PIL import Image

GREY = np.full((40, 32, 32, 3), 128, np.uint8)


def of(name: str, pixels: np.ndarray, severity: int) -> np.ndarray:
    n = len(pixels)
    return corrupted(name, pixels)[(severity - 1) * n : severity * n]


@pytest.mark.parametrize(("severity", "scale"), [(1, 0.04), (5, 0.10)])
def test_gaussian_noise_has_its_deviation(severity: int, scale: float) -> None:
    noisy = of("gaussian_noise", GREY, severity) / 255
    assert noisy.std() == pytest.approx(scale, rel=0.02)
    assert noisy.mean() == pytest.approx(128 / 255, abs=0.005)


@pytest.mark.parametrize(("severity", "photons"), [(1, 500), (5, 50)])
def test_shot_noise_is_that_of_counted_photons(severity: int, photons: int) -> None:
    """The variance of a Poisson count is its mean."""
    noisy = of("shot_noise", GREY, severity) / 255
    assert noisy.var() == pytest.approx(128 / 255 / photons, rel=0.05)


def test_impulse_noise_is_salt_and_pepper() -> None:
    noisy = of("impulse_noise", GREY, 5)
    assert (noisy == 0).mean() == pytest.approx(0.035, abs=0.003)
    assert (noisy == 255).mean() == pytest.approx(0.035, abs=0.003)
    assert set(np.unique(noisy)) == {0, 128, 255}


def test_contrast_keeps_the_mean_of_each_channel() -> None:
    pixels = images(4, 0)
    floats = pixels / 255
    means = floats.mean((1, 2), keepdims=True)
    found = of("contrast", pixels, 5) / 255
    np.testing.assert_allclose(found, means + 0.15 * (floats - means), atol=1 / 255)


def test_brightness_adds_to_the_value_of_hsv() -> None:
    pixels = images(1, 1)
    found = of("brightness", pixels, 4)
    for row, column in [(0, 0), (5, 9), (31, 31), (17, 2)]:
        hue, saturation, value = colorsys.rgb_to_hsv(*pixels[0, row, column] / 255)
        expected = colorsys.hsv_to_rgb(hue, saturation, min(1, value + 0.2))
        np.testing.assert_allclose(found[0, row, column] / 255, expected, atol=1 / 255)
    assert (of("brightness", 0 * pixels, 5) == int(0.3 * 255)).all()


def test_defocus_blur_is_a_disk() -> None:
    """At severity 5 its radius is 1.5: nine pixels alike, and a smoothing that is next to none."""
    point = np.zeros((1, 32, 32, 3), np.uint8)
    point[0, 16, 16] = 252
    blurred = of("defocus_blur", point, 5)[0]
    assert (blurred[15:18, 15:18] == 28).all()
    assert (blurred > 0).sum() == 27
    assert disk(1.0, 0.2).sum() == pytest.approx(1)
    np.testing.assert_array_equal(of("defocus_blur", GREY, 3), GREY)


def test_fog_lies_over_the_image() -> None:
    """The brightest pixel bounds it: x b / (b + c) + c f b / (b + c), with fog f in [0, 1]."""
    land = plasma(2.0, np.random.default_rng(0))
    assert (land.min(), land.max()) == (0, 1)
    foggy = of("fog", GREY, 4) / 255
    low = (128 / 255) ** 2 / (128 / 255 + 1)
    assert foggy.min() == pytest.approx(low, abs=1 / 255)
    assert foggy.max() == pytest.approx(128 / 255, abs=1 / 255)


def test_pixelate_and_jpeg_are_pillows() -> None:
    pixels = images(2, 3)
    for place, one in enumerate(pixels):
        picture = Image.fromarray(one)
        small = picture.resize((20, 20), Image.Resampling.BOX)  # int(32 x 0.65)
        back = small.resize((32, 32), Image.Resampling.BOX)
        np.testing.assert_array_equal(of("pixelate", pixels, 5)[place], np.asarray(back))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=58)
        found = of("jpeg_compression", pixels, 3)[place]
        np.testing.assert_array_equal(found, np.asarray(Image.open(file)))


def test_files_are_laid_out_as_the_release(tmp_path: Path) -> None:
    write_corruptions(tmp_path, images(6, 4), labels(6), ["contrast"])
    found = np.load(tmp_path / "CIFAR-10-C/contrast.npy")
    assert (found.shape, found.dtype) == ((30, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(
        np.load(tmp_path / "CIFAR-10-C/labels.npy"), np.tile(labels(6), 5)
    )
    assert len(CORRUPTIONS) == 9
