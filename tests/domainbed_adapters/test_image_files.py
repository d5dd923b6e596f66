"""What people's folders have: deep images, links, hidden copies, broken, huge and other files."""

import os
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
from image_helpers import image, write_tree
from PIL import Image
from typer.testing import CliRunner

from domainbed_adapters.image_reading import read_image
from oodbench.cli import app
from oodbench.data import DATASETS
from oodbench.errors import RequestError, UnknownNameError

ENVIRONMENTS, CLASSES, EACH = ("a", "b", "c"), ("cat", "dog"), 10
RAMP = np.tile(np.linspace(0, 65535, 32).astype("uint16"), (32, 1))
OPTIONS = {"folder": "mine", "size": 16}


@pytest.fixture
def cat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A class folder of a data set of three environments and two classes."""
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))
    return write_tree(tmp_path / "data" / "mine", ENVIRONMENTS, CLASSES, EACH) / "a" / "cat"


def check(**options: object) -> list[str]:
    """What ``--check`` shows."""
    spec, given = DATASETS.get("ImageFolders"), {**OPTIONS, **options}
    assert spec.verify is not None
    assert spec.summarize is not None
    spec.verify(given)
    return spec.summarize(given)


def load(**options: object):
    return DATASETS.get("ImageFolders").load({**OPTIONS, **options}, 0)


def count(data) -> int:
    return sum(len(split) for e in data.environments for split in e.splits.values())


def refused(told: str, **options: object) -> None:
    """Both ``--check`` and the first load say what is wrong."""
    for way in (check, load):
        with pytest.raises(RequestError, match=told):
            way(**options)


def save(kind: str, path: Path) -> None:
    """A ramp from black to white in more than eight bits."""
    if kind == "float":
        Image.fromarray((RAMP / 65535).astype("float32")).save(path)
    elif kind == "white is zero":
        Image.fromarray(65535 - RAMP).save(path, tiffinfo={262: 0})
    elif kind == "12 bits":
        path.write_bytes(tiff_of_12_bits())
    elif kind == "pgm":
        path.write_bytes(b"P5 32 32 65535\n" + RAMP.astype(">u2").tobytes())
    elif kind == "pgm of 10 bits":
        path.write_bytes(b"P5 32 32 1023\n" + np.rint(RAMP / 65535 * 1023).astype(">u2").tobytes())
    elif kind == "big endian":
        path.write_bytes(tiff(">", RAMP.astype(">u2").tobytes(), 16))
    else:
        Image.fromarray(RAMP).save(path)


def tiff(order: str, pixels: bytes, bits: int) -> bytes:
    """A grey TIFF of 32 x 32 pixels, without compression."""
    fields = {256: 32, 257: 32, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: 32}
    fields[279] = len(pixels)
    fields[273] = 8
    head = struct.pack(f"{order}2sHI", {"<": b"II", ">": b"MM"}[order], 42, 8 + len(pixels))
    entries = b"".join(
        struct.pack(f"{order}HHI", tag, 4, 1) + struct.pack(f"{order}I", value)
        if tag in (273, 279)
        else struct.pack(f"{order}HHIHH", tag, 3, 1, value, 0)
        for tag, value in sorted(fields.items())
    )
    return head + pixels + struct.pack(f"{order}H", len(fields)) + entries + b"\0" * 4


def tiff_of_12_bits() -> bytes:
    """Two numbers in three bytes."""
    values = np.rint(RAMP / 65535 * 4095).astype(int).reshape(-1, 2)
    packed = [(a >> 4, (a & 15) << 4 | b >> 8, b & 255) for a, b in values.tolist()]
    return tiff("<", bytes(np.array(packed, np.uint8)), 12)


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        *[("16 bits", "png"), ("16 bits", "tif"), ("big endian", "tif"), ("12 bits", "tif")],
        *[("float", "tif"), ("white is zero", "tif"), ("pgm", "pgm"), ("pgm of 10 bits", "pgm")],
    ],
)
def test_deep_images_are_scaled_by_their_depth(tmp_path: Path, kind: str, suffix: str) -> None:
    """The ramp has the grey values that it has in eight bits; 97% of them were 255."""
    save(kind, tmp_path / f"deep.{suffix}")
    pixels = read_image(tmp_path / f"deep.{suffix}", 32)
    expected = np.rint(RAMP / 65535 * 255)
    assert np.abs(pixels - expected[None]).max() <= 1
    assert (pixels[0] == pixels[1]).all()


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (
            RAMP.astype("int32"),
            "32-bit or signed whole numbers, of which none is known",
        ),
        (RAMP.astype("float32"), "numbers go from 0 to 65535, but must be from 0 to 1"),
        (np.full((32, 32), np.nan, "float32"), "numbers go from nan to nan"),
        (np.full((32, 32), -0.5, "float32"), "numbers go from -0.5 to -0.5"),
    ],
)
def test_deep_images_without_a_known_white_are_refused(cat: Path, array, told: str) -> None:
    Image.fromarray(array).save(cat / "deep.tif")
    refused(rf"1 of 61 files .*a/cat/deep\.tif: .*{told}")
    assert count(load(corrupt="skip")) == 60


def test_deep_images_of_tables_are_scaled_as_well(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))
    lines = ["image,label,environment,split"]
    for number, split in enumerate(("train", "train", "id_test", "id_test")):
        Image.fromarray(np.maximum(RAMP, np.uint16(number))).save(tmp_path / f"{number}.png")
        lines.append(f"{number}.png,{'ab'[number % 2]},e,{split}")
    (tmp_path / "t.csv").write_text("\n".join(lines))
    data = DATASETS.get("Table").load({"file": "t.csv", "size": 32}, 0)
    assert np.asarray(data.published[0].split.inputs)[0, 0].mean() == pytest.approx(127.5, abs=1)


def test_each_real_file_counts_once_and_a_loop_ends(cat: Path) -> None:
    """A link to its own folder made 420 images of 20."""
    (cat / "loop").symlink_to(".")
    (cat / "up").symlink_to("..")
    (cat / "again.png").symlink_to("pic_000.png")
    os.link(cat / "pic_001.png", cat / "hard.png")
    data = load()
    assert count(data) == 60
    assert data.num_classes == 2
    [told] = [line for line in check() if "left out" in line]
    assert told.startswith("  left out: 2 files (first a/cat/")
    assert told.endswith("that are links to files already there")


def test_a_file_of_two_classes_is_refused(cat: Path) -> None:
    (cat / "x.png").symlink_to("../dog/pic_000.png")
    refused(r"a/cat/x\.png and .*a/dog/pic_000\.png are links to one file, .* both classes cat")


def test_a_folder_that_is_a_link_to_another_environment_is_the_same_data(cat: Path) -> None:
    shutil.rmtree(cat.parent.parent / "b")
    (cat.parent.parent / "b").symlink_to("a")
    refused(r"20 images are in a and in b \(first a/cat/pic_000\.png, b/cat/pic_000\.png\)")
    assert count(load(duplicates="keep")) == 60


@pytest.mark.parametrize("corrupt", ["fail", "skip"])
def test_a_dangling_link_is_the_harm_of_that_file(cat: Path, corrupt: str) -> None:
    (cat / "gone.png").symlink_to("nowhere.png")
    os.mkfifo(cat / "pipe.png")
    if corrupt == "fail":
        refused(r"2 of 62 files .*a/cat/gone\.png: a link to nothing; .*pipe\.png: no file")
    else:
        assert count(load(corrupt="skip")) == 60
        told = check(corrupt="skip")
        assert "  skipped: 2 that are no images (a/cat/gone.png, a/cat/pipe.png)" in told
        assert "    0 = a: 20" in told  # those that are left


def test_hidden_names_are_no_data_at_any_level(cat: Path) -> None:
    before = load().fingerprint
    for where in (cat, cat.parent, cat.parent.parent):
        for name in (".ipynb_checkpoints", "__MACOSX", "@eaDir", "lost+found", ".git"):
            (where / name).mkdir()
            image(1).save(where / name / "000-checkpoint.png")
        (where / "._000.jpg").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X" + b"\0" * 100)
        for name in ("Thumbs.db", "desktop.ini", ".DS_Store"):
            (where / name).write_bytes(b"x")
    assert load().fingerprint == before
    assert not any("left out" in line for line in check())


def test_any_exception_is_the_harm_of_its_file(cat: Path, monkeypatch) -> None:
    """A TIFF with a flipped byte raises a TypeError; here, errors that Pillow may yet raise."""
    harms = {cat / "pic_003.png": TypeError("x"), cat / "pic_005.png": ZeroDivisionError()}
    real = Image.open

    def opened(file, *rest):
        if file in harms:
            raise harms[file]
        return real(file, *rest)

    monkeypatch.setattr(Image, "open", opened)
    refused(r"2 of 60 files .*pic_003\.png: x; .*pic_005\.png: ZeroDivisionError\. Get them")
    assert count(load(corrupt="skip")) == 58


def test_a_tiff_with_a_flipped_byte(cat: Path) -> None:
    content = bytearray(tiff("<", RAMP.astype("<u2").tobytes(), 16))
    content[content.index(struct.pack("<HHI", 256, 3, 1)) + 2] = 2  # the width is a text
    (cat / "broken.tif").write_bytes(content)
    refused(r"1 of 61 files .*a/cat/broken\.tif: ")
    assert count(load(corrupt="skip")) == 60


def test_a_png_whose_pixels_have_another_checksum_is_broken(cat: Path) -> None:
    """Pillow decodes it without a word."""
    content = bytearray((cat / "pic_003.png").read_bytes())
    content[content.index(b"IEND") - 8] ^= 1  # the checksum of the pixels
    (cat / "pic_003.png").write_bytes(content)
    assert read_image(cat / "pic_003.png", 8).shape == (3, 8, 8)
    refused(r"1 of 60 files .*pic_003\.png: .*checksum")
    assert count(load(corrupt="skip")) == 59


def test_huge_images_are_read_where_a_limit_is_named(cat: Path, monkeypatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # twice as many are refused
    Image.new("1", (60, 50)).save(cat / "scan.png")
    refused(r"1 of 61 files .*scan\.png: .*3000 pixels.*set max_pixels to as many as it has")
    assert count(load(corrupt="skip")) == 60
    for way in ("decoded", "encoded"):
        monkeypatch.setenv("OODBENCH_IMAGES", way)
        data = load(max_pixels=3000)
        assert count(data) == 61
        assert np.asarray(data.environments[0].splits["train"].inputs).shape[1:] == (3, 16, 16)
    assert check(max_pixels=3000)
    refused("3000 pixels", max_pixels=2998)
    refused("max_pixels must be a whole number", max_pixels=2.5)
    assert Image.MAX_IMAGE_PIXELS == 1000


def test_files_that_are_left_out_are_counted_by_extension(cat: Path) -> None:
    for name in ("100.jfif", "101", "102.gif", "103.GIF"):
        shutil.copy(cat / "pic_000.png", cat / name)
    shutil.copy(cat / "pic_000.png", cat.parent / "loose.png")
    told = check()[-2:]
    assert told[0].startswith(
        "  left out: 4 files (first a/cat/100.jfif) whose extension is not that of an image "
        "(.gif: 2, .jfif: 1, no extension: 1); images are .jpg, "
    )
    assert told[1] == "  left out: 1 file (first a/loose.png) outside of the classes' folders"


def test_copies_are_reported_and_refused_where_they_leak(cat: Path, capsys) -> None:
    root = cat.parent.parent
    shutil.copy(cat / "pic_000.png", root / "b" / "cat" / "copy.png")
    refused(r"1 image is in a and in b \(first a/cat/pic_000\.png, b/cat/copy\.png\)\. What was tr")
    assert check(duplicates="keep")[-2:] == [
        "  the same image more than once:",
        "    1 image is in a and in b (first a/cat/pic_000.png, b/cat/copy.png)",
    ]
    capsys.readouterr()
    assert count(load(duplicates="keep")) == 61
    load(duplicates="keep")
    assert capsys.readouterr().err.count("1 image is in a and in b") <= 1  # once a process
    with pytest.raises(RequestError, match="duplicates must be refuse or keep, not 'drop'"):
        load(duplicates="drop")


def test_copies_under_two_labels_are_reported(cat: Path) -> None:
    shutil.copy(cat / "pic_000.png", cat.parent / "dog" / "copy.png")
    told = check()
    assert told[-2:] == [
        "    1 image is twice in a (first a/cat/pic_000.png, a/dog/copy.png)",
        "    1 image is under two labels (first a/cat/pic_000.png, a/dog/copy.png)",
    ]


def test_copies_in_train_and_test_of_one_environment_are_refused(cat: Path) -> None:
    for number in range(EACH):  # whatever the split is, one of them is in train, another in test
        shutil.copy(cat / f"pic_{number:03}.png", cat / f"copy_{number}.png")
        shutil.copy(cat / f"pic_{number:03}.png", cat / f"more_{number}.png")
    with pytest.raises(RequestError, match=r"images? (is|are) in train and in test of a \(first a"):
        load()


def test_class_folders_that_are_too_alike(cat: Path) -> None:
    root = cat.parent.parent
    for number, environment in enumerate(ENVIRONMENTS):
        (root / environment / "Cat").mkdir()
        image(900 + number).save(root / environment / "Cat" / "x.png")
    refused(r"classes 'Cat' and 'cat', which differ by case alone.* labels: \{\"Cat\": \"cat\"\};")
    assert load(labels={"Cat": "cat"}).classes == CLASSES
    assert count(load(labels={"Cat": "cat"})) == 63
    assert load(labels={"Cat": "Cat"}).classes == ("Cat", *CLASSES)
    with pytest.raises(UnknownNameError, match="unknown class folder 'cta'"):
        load(labels={"cta": "cat"})
    (root / "A").symlink_to("a")
    refused("environments 'A' and 'a', which differ by case", labels={"Cat": "cat"})


def test_the_command_takes_options_as_a_sweep_file_has_them(cat: Path) -> None:
    Image.new("1", (60, 50)).save(cat / "scan.png")
    words = ["datasets", "ImageFolders", "--check", "--set", "folder=mine"]
    done = CliRunner().invoke(app, [*words, "--set", "max_pixels=3000"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "0 = a: 21" in done.output


def test_names_that_are_no_text(cat: Path) -> None:
    for name in (b"\xff.png", b"\xfe.gif", b"\xfd.png"):
        shutil.copy(cat / "pic_000.png", os.fsencode(cat) + b"/" + name)
    Path(os.fsdecode(os.fsencode(cat) + b"/\xfc.png")).write_bytes(b"")
    assert count(load(corrupt="skip", duplicates="keep")) == 62
    words = ["datasets", "ImageFolders", "--check", "--set", "folder=mine", "--set", "corrupt=skip"]
    done = CliRunner().invoke(app, words, catch_exceptions=False)
    assert done.exit_code == 0
    assert r"skipped: 1 that are no images (a/cat/\udcfc.png)" in done.output
    assert r"(first a/cat/\udcfe.gif)" in done.output
    os.mkdir(os.fsencode(cat.parent) + b"/\xff")
    refused(r"name of the folder \\udcff in .* is not in UTF-8")
