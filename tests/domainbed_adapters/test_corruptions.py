"""The corruptions that stand in for CIFAR-10-C: each by its definition, and as the release lies."""

import colorsys
import io
from pathlib import Path

import numpy as np
import pytest
from cifar_helpers import images, labels
from corruptions import CORRUPTIONS, corrupted, write_corruptions
from corruptions_blur import along, disk, enlarged
from corruptions_weather import frost_of, frosted, plasma
from PIL import Image

from domainbed_adapters import cifar_targets

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


def test_glass_blur_takes_pixels_from_above_and_left() -> None:
    """At severity 1 the blur before and after is next to none; one in four pixels stays."""
    values = np.arange(32 * 32, dtype=np.int64).reshape(32, 32)
    pixels = np.stack([values // 256, values % 256, 0 * values], -1).astype(np.uint8)[None]
    found = of("glass_blur", pixels, 1)[0].astype(np.int64)
    moved = values - (found[..., 0] * 256 + found[..., 1])
    inside = moved[2:, 2:]
    kinds, counts = np.unique(inside, return_counts=True)
    assert kinds.tolist() == [0, 1, 32, 33]
    assert (np.abs(counts / inside.size - 0.25) < 0.05).all()
    assert not moved[:2].any()
    assert not moved[:, :2].any()
    np.testing.assert_array_equal(of("glass_blur", GREY, 5), GREY)


@pytest.mark.parametrize(("angle", "step"), [(0, (0, -1)), (-90, (1, 0)), (-45, (1, -1))])
def test_motion_is_half_of_a_gaussian_along_a_line(angle: float, step: tuple[int, int]) -> None:
    point = np.zeros((1, 32, 32, 1))
    point[0, 16, 16] = 1
    weights = np.exp(-(np.arange(13.0) ** 2) / (2 * 2**2))
    weights /= weights.sum()
    if angle == -45:  # 13 steps of length 1 are 10 rows of the diagonal, some of them twice
        rows = np.ceil(np.arange(13) * np.sqrt(0.5) - 0.5).astype(int)
        weights = np.bincount(rows, weights)
    expected = np.zeros((32, 32))
    for i, weight in enumerate(weights):
        expected[16 + i * step[0], 16 + i * step[1]] = weight
    found = along(point, 6, 2, angle)[0, :, :, 0]
    np.testing.assert_allclose(found, expected, atol=0.5 / 255)
    np.testing.assert_array_equal(of("motion_blur", GREY, 5), GREY)


def test_an_enlarged_ramp_is_the_ramp_of_its_middle() -> None:
    ramp = np.broadcast_to(np.arange(32.0)[:, None, None], (32, 32, 1))[None]
    found = enlarged(ramp, 1.25)[0, :, 5, 0]
    middle = np.linspace(3, 3 + 25, 32)  # 26 pixels, from the third on
    np.testing.assert_allclose(found, middle, atol=1e-12)
    np.testing.assert_array_equal(of("zoom_blur", GREY, 5), GREY)
    factors = np.arange(1, 1.06, 0.01)
    ramps = [ramp, *(enlarged(ramp, factor) for factor in factors)]
    pixels = np.broadcast_to(ramp, (1, 32, 32, 3)).astype(np.uint8) * 8
    expected = np.mean(ramps, axis=0)[0, :, 5, 0] * 8
    np.testing.assert_allclose(of("zoom_blur", pixels, 1)[0, :, 5, 0], expected, atol=1)


def test_snow_falls_in_two_opposite_directions() -> None:
    """So it looks the same upside down; where none falls, the image is paler."""
    snowy = of("snow", GREY, 3)
    np.testing.assert_array_equal(snowy, snowy[:, ::-1, ::-1])
    grey = 128 / 255
    pale = 0.9 * grey + 0.1 * max(grey, 1.5 * grey + 0.5)
    assert snowy.min() == int(pale * 255 + 1e-6)
    assert 0.3 < (snowy > snowy.min()).mean() < 1


def test_elastic_transform_is_affine_at_its_lowest_severity() -> None:
    """A plane stays a plane, with another slope: inside, where no edge is seen."""
    rows, columns = np.indices((32, 32))
    plane = np.repeat((2 * rows + 3 * columns + 40)[None, ..., None], 3, axis=-1).astype(np.uint8)
    found = of("elastic_transform", plane, 1)[0, 10:22, 10:22, 0].astype(float)
    grid = np.indices(found.shape).reshape(2, -1)
    design = np.c_[grid.T, np.ones(found.size)]
    fit, *_ = np.linalg.lstsq(design, found.ravel())
    assert np.abs(design @ fit - found.ravel()).max() < 1
    assert np.abs(fit[:2] - [2, 3]).max() > 0.01
    np.testing.assert_array_equal(of("elastic_transform", GREY, 5), GREY)


def test_frost_is_a_part_of_a_photograph(tmp_path: Path) -> None:
    """Each pixel of 5 x 5 is the middle one, as bilinear interpolation has it."""
    blocks = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    large = np.full((40, 5, 50, 5, 3), 7, np.uint8)
    large[:, 2, :, 2] = blocks
    for name in ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg"):
        with (tmp_path / name).open("wb") as file:
            Image.fromarray(large.reshape(200, 250, 3)).save(file, "PNG")
    frosts = frost_of(tmp_path)
    np.testing.assert_allclose(frosts[4] * 255, blocks, atol=1e-9)
    found = frosted(GREY[:3] / 255, 5, np.random.default_rng(1), frosts)
    parts = np.rint((found - 0.75 * 128 / 255) / 0.45 * 255)
    places = [(y, x) for y in range(9) for x in range(19)]
    for part in parts:
        assert any(np.array_equal(part, blocks[y : y + 32, x : x + 32]) for y, x in places)


def test_files_are_laid_out_as_the_release(tmp_path: Path) -> None:
    write_corruptions(tmp_path, images(6, 4), labels(6), ["contrast"])
    found = np.load(tmp_path / "CIFAR-10-C/contrast.npy")
    assert (found.shape, found.dtype) == ((30, 32, 32, 3), np.uint8)
    np.testing.assert_array_equal(
        np.load(tmp_path / "CIFAR-10-C/labels.npy"), np.tile(labels(6), 5)
    )
    assert {*CORRUPTIONS, "frost"} == {*cifar_targets.CORRUPTIONS}
