"""MNIST's files are found, read and verified, and a wrong one is named."""

import os
import re

import numpy as np
import pytest

from domainbed_adapters import idx, mnist_files
from domainbed_adapters.mnist import SOURCE
from oodbench.data import DATASETS
from oodbench.errors import RequestError

NAMES = tuple(mnist_files.FILES)


def files_under(root):
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize("packed", [(), NAMES, NAMES[:2]], ids=["plain", "packed", "both"])
def test_plain_and_packed_files_are_read_and_nothing_is_written(small_mnist, packed) -> None:
    for name in NAMES:
        small_mnist.write(name, packed=name in packed)
    before = files_under(small_mnist.root)
    digits = mnist_files.read(small_mnist.root)
    np.testing.assert_array_equal(digits.images, small_mnist.images)
    np.testing.assert_array_equal(digits.labels, small_mnist.labels)
    assert digits.labels.dtype == np.int64
    assert files_under(small_mnist.root) == before


def test_every_file_that_is_missing_or_wrong_is_named_with_the_way_out(small_mnist) -> None:
    small_mnist.write(NAMES[0], b"something else")
    small_mnist.write(NAMES[1], packed=True).write_bytes(b"no gzip")
    whole = small_mnist.write(NAMES[2], packed=True)
    whole.write_bytes(whole.read_bytes()[:-20])  # a download that was cut short
    with pytest.raises(RequestError) as error:
        mnist_files.read(small_mnist.root)
    first, *lines, last = str(error.value).splitlines()
    assert str(small_mnist.root / "MNIST" / "raw") in first
    for name, line in zip(NAMES, lines, strict=True):
        assert name in line
    expected = mnist_files.FILES[NAMES[0]]
    assert f"md5 {mnist_files.md5(b'something else')}, not {expected}" in lines[0]
    assert all("no complete gzip file" in line for line in lines[1:3])
    assert "missing" in lines[3]
    assert f"oodbench fetch MNIST --root {small_mnist.root}" in last


@pytest.mark.parametrize(
    "data", [b"", b"\0\0\x0d\x01\0\0\0\x01\0", b"\0\0\x08\x01\0\0\0\x05ab", b"\0\0\x08\x00"]
)
def test_what_is_no_idx_file_of_bytes_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"idx|announces"):
        idx.parse(data)


def test_the_data_folder_is_the_machines(small_mnist, tmp_path, monkeypatch) -> None:
    for name in NAMES:
        small_mnist.write(name)
    elsewhere = tmp_path / "elsewhere"
    both = os.pathsep.join(map(str, (elsewhere, small_mnist.root)))
    monkeypatch.setenv("OODBENCH_DATA", both)
    assert SOURCE.find() == small_mnist.root
    SOURCE.check(SOURCE.find())

    monkeypatch.setenv("OODBENCH_DATA", str(elsewhere))
    with pytest.raises(RequestError, match=re.escape(f"no MNIST/raw in {elsewhere}")):
        DATASETS.get("ColoredMNIST").load({}, 0)
    monkeypatch.delenv("OODBENCH_DATA")
    with pytest.raises(RequestError, match="oodbench fetch MNIST --root DIR"):
        DATASETS.get("RotatedMNIST").load({}, 0)


def test_the_real_files(real_mnist) -> None:
    """Class counts as LeCun et al. give them."""
    digits = mnist_files.read(real_mnist)
    assert digits.images.shape == (70_000, 28, 28)
    assert np.bincount(digits.labels[:60_000]).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert digits.images[:60_000].mean() / 255 == pytest.approx(0.1307, abs=5e-5)
