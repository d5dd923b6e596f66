"""Damaged images, odd tables and odd folders: no traceback, and no silently wrong value.

The long run (``make test-fuzz``) has 2,000 images, 500 tables and 300 folders of sweeps.
"""

import random
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from damage import CHECKED, FORMATS, damaged, outcome, picture

from domainbed_adapters.image_reading import read_image
from domainbed_adapters.own_images import read
from oodbench.data import DATASETS, DatasetSpec
from oodbench.errors import OodbenchError
from oodbench.sweep.plan import plan

IMAGES, TABLE = DATASETS.get("ImageFolders"), DATASETS.get("Table")
ENVIRONMENTS, CLASSES = ("a", "b", "c"), ("cat", "dog")
short_and_long = pytest.mark.parametrize(
    "part", ["short", pytest.param("long", marks=pytest.mark.slow)]
)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("OODBENCH_CACHE", str(tmp_path / "cache"))


def checked(spec: DatasetSpec, options: dict[str, object]) -> list[str]:
    """What ``--check`` shows."""
    assert spec.verify is not None
    assert spec.summarize is not None
    spec.verify(options)
    return spec.summarize(options)


def images(name: str, **options: object):
    options = {"folder": name, "size": 8, "corrupt": "skip", "duplicates": "keep", **options}
    return IMAGES.load(options, 0)


@short_and_long
@pytest.mark.filterwarnings("ignore")  # Pillow's, of damaged metadata
def test_damaged_images(tmp_path: Path, part: str) -> None:
    """Each is left out or read; a cut one, and one with a checksum, never as another image."""
    draw, each = random.Random(part), {"short": 6, "long": 200}[part]
    root, cut, right = tmp_path / "data" / "mine", set(), {}
    for environment in ENVIRONMENTS:
        for kind in CLASSES:
            (root / environment / kind).mkdir(parents=True)
            for number in range(5):
                name = f"{environment}/{kind}/whole{number}.png"
                (root / name).write_bytes(picture("png", draw.randrange(10**9)))
    for extension in FORMATS:
        for number in range(each):
            name = f"a/cat/{extension.split('.')[0]}_{number}.{extension}"
            content = picture(extension, number)
            changed, is_cut = damaged(content, draw)
            (root / name).write_bytes(changed)
            if is_cut:
                cut.add(name)
            right[name] = content
    data = images("mine")
    files = read({"folder": "mine"}).files
    kept: dict[str, np.ndarray] = {}
    for environment in data.environments:
        for split in environment.splits.values():
            pixels = np.asarray(split.inputs)
            kept |= {files[row]: pixels[i] for i, row in enumerate(split.inputs.rows)}
    assert sum("whole" in name for name in kept) == 30
    for name in kept.keys() & right.keys():
        original = tmp_path / "original"
        original.write_bytes(right[name])
        same = np.array_equal(kept[name], read_image(original, 8))
        has_checksum = name.split("/")[2].split(".", 1)[1] in CHECKED
        assert same or not (name in cut or has_checksum), name
    assert len(kept) < 30 + len(right)
    with pytest.raises(OodbenchError, match=r"files cannot be read as images, first .*a/cat/"):
        images("mine", corrupt="fail")


VALUES = ("ham", "ham ", "Ham", "spam", "1", "1.0", "01", "nan", "", " ", "\0", "é", "e\u0301")
SPLITS = ("train", "train", "train", "id_val", "id_test", "ood_test", "tset", "")


def odd_table(draw: random.Random) -> pd.DataFrame:
    """Rows with few or many mistakes; columns that are missing, doubled or of another name."""
    n, odd = draw.choice([0, 1, 2, 40]), draw.random() < 0.6
    names = VALUES if odd else ("ham", "spam")
    table = {
        "text": [draw.choice(["cheap pills", "notes", "", "a,b", '"'] * odd + [f"w{i} x"])
                 for i in range(n)],
        "label": [draw.choice(names) for _ in range(n)],
        "environment": [draw.choice((*VALUES, "z") if odd else ("9", "10")) for _ in range(n)],
        "split": [draw.choice(SPLITS if odd else SPLITS[:6]) for _ in range(n)],
        "notes": [draw.choice(["", "x"]) for _ in range(n)],
    }  # fmt: skip
    frame = pd.DataFrame(table, dtype=object)
    for _ in range(draw.choice([0, 0, 1, 2])):
        change = draw.choice(["drop", "rename", "double"])
        column = draw.choice(list(frame.columns) or ["text"])
        if change == "drop":
            frame = frame.drop(columns=column, errors="ignore")
        elif change == "rename":
            frame = frame.rename(columns={column: draw.choice(["Label", "text", "x", "image"])})
        else:
            frame = pd.concat([frame, frame.iloc[:, :1]], axis=1)
    return frame


@short_and_long
def test_odd_tables(tmp_path: Path, part: str) -> None:
    """Each is refused by name, or has the labels that pandas reads in its rows."""
    draw, each = random.Random(part), {"short": 40, "long": 500}[part]
    (tmp_path / "data").mkdir()
    loaded = 0
    for number in range(each):
        path = tmp_path / "data" / f"t{number}.csv"
        content = odd_table(draw).to_csv(index=False, sep=draw.choice([*",,,,,,,", ";"])).encode()
        if draw.random() < 0.2:
            content = damaged(content or b"x", draw)[0]
        if draw.random() < 0.1:
            content = b"\xef\xbb\xbf" + content
        path.write_bytes(content)
        options = {
            **{"file": path.name, "words": 4, "duplicates": draw.choice(["keep", "refuse"])},
            **{"strip": draw.random() < 0.5, "holdout": draw.choice([0.2, 0.45])},
        }
        data = outcome(partial(TABLE.load, options, 0))
        if isinstance(data, OodbenchError):
            continue
        loaded += 1
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        splits = [s for e in data.environments for s in e.splits.values()]
        for split in [*splits, *(published.split for published in data.published)]:
            assert len(split)
            mine = frame["label"].to_numpy()[split.numbers]
            told = [data.classes[code] for code in split.labels]
            assert [_plain(label) for label in mine] == [_plain(label) for label in told]
        assert len({_plain(name) for name in data.classes}) == data.num_classes
        outcome(partial(checked, TABLE, options))
    assert 0 < loaded < each


def _plain(label: str) -> str:
    return str(int(label)) if label.strip().isdecimal() else label.strip().casefold()


NAMES = ("x.png", ".x.png", "x", "Thumbs.db", "é.png", "a b.png", "x.gif", "Cat")


def odd_folder(root: Path, draw: random.Random) -> None:
    """A small tree with one to three oddities."""
    for environment in ENVIRONMENTS:
        for kind in CLASSES:
            (root / environment / kind).mkdir(parents=True)
            for number in range(5):
                content = picture("png", draw.randrange(10**9))
                (root / environment / kind / f"{number}.png").write_bytes(content)
    folder = root / draw.choice(ENVIRONMENTS) / draw.choice(CLASSES)
    for _ in range(draw.choice([0, 1, 2, 3])):
        where = draw.choice([folder, folder.parent, root])
        name = draw.choice(
            ["x.png", ".x.png", "x", "Thumbs.db", "é.png", "a b.png", "x.gif", "Cat"]
        )
        target = draw.choice([".", "..", "gone", "../dog/0.png", str(folder / "0.png"), "1.png"])
        oddity = draw.choice(["link", "folder", "file", "copy", "remove", "empty"])
        if oddity == "remove":
            shutil.rmtree(draw.choice([folder, folder.parent]), ignore_errors=True)
        elif not where.is_dir() or (where / name).exists() or (where / name).is_symlink():
            continue
        elif oddity == "link":
            (where / name).symlink_to(target)
        elif oddity == "folder":
            (where / name).mkdir()
        elif oddity == "copy" and (folder / "0.png").exists():
            shutil.copy(folder / "0.png", where / name)
        else:
            (where / name).write_bytes(b"" if oddity == "empty" else picture("jpg", 3))


@short_and_long
def test_folders_of_sweeps(tmp_path: Path, part: str) -> None:
    """Each is refused by name, or planned with each real image once, or not at all."""
    draw, each = random.Random(part), {"short": 12, "long": 300}[part]
    planned = 0
    for number in range(each):
        root = tmp_path / "data" / f"f{number}"
        odd_folder(root, draw)
        chosen = {"corrupt": draw.choice(["fail", "skip"])}
        chosen |= {
            "duplicates": draw.choice(["keep", "refuse"]),
            "holdout": draw.choice([0.2, 0.4]),
        }
        dataset = {"name": "ImageFolders", "folder": root.name, "size": 8, **chosen}
        sweep = {
            "name": "odd",
            "datasets": [{**dataset, "test_environments": draw.choice(["each", [0], [2], [7]])}],
            "algorithms": ["erm"],
            "optimizers": ["sgd"],
            "model": {"name": "mlp", "width": 4, "depth": 1},
            "search": {"trials": 1},
            "train": {"steps": 1, "batch": {"per_environment": 2}},
        }
        found = outcome(partial(plan, sweep))
        outcome(partial(checked, IMAGES, {"folder": root.name, **chosen}))
        if isinstance(found, OodbenchError):
            continue
        planned += 1
        data = images(root.name, corrupt=chosen["corrupt"])
        for environment in data.environments:
            there = (root / environment.name).rglob("*.png")
            real = {p.resolve() for p in there if p.is_file() and not p.name.startswith(".")}
            assert sum(len(split) for split in environment.splits.values()) <= len(real)
    assert 0 < planned < each
