"""ImageNet and its targets in their published layouts, of tiny images in colours of classes."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

CLASSES = 1000
OVERLAP = 113
SIZE = 8


def wnids() -> list[str]:
    """The true ids, as timm has them."""
    return listed("synsets")


def listed(what: str) -> list[str]:
    """Lines of one of timm's lists, such as ``a_indices``: ImageNet-A's classes."""
    import timm

    return (Path(timm.__file__).parent / f"data/_info/imagenet_{what}.txt").read_text().split()


def picture(label: int, seed: int) -> np.ndarray:
    """(12, 10, 3) the class's colour, with noise."""
    colour = [label % 10 * 15, label // 10 % 10 * 15, label // 100 * 15]
    noise = np.random.default_rng([label, seed]).integers(0, 120, (12, 10, 3))
    return (np.array(colour) + noise).astype(np.uint8)


def write(folder: Path, label: int, seeds: Iterable[int]) -> None:
    folder.mkdir(parents=True)
    for seed in seeds:
        Image.fromarray(picture(label, seed)).save(folder / f"{seed}.ppm")


def write_imagenet(root: Path) -> None:
    """Two training images and one validation image of each class."""
    for label, wnid in enumerate(wnids()):
        write(root / "imagenet/train" / wnid, label, (0, 1))
        write(root / "imagenet/val" / wnid, label, (2,))


def write_targets(root: Path) -> None:
    """ImageNet-V2, -A, -R and ObjectNet."""
    for label in range(CLASSES):
        write(root / f"imagenetv2-matched-frequency-format-val/{label}", label, (3,))
    names = wnids()
    for seed, kind in enumerate("ar", start=4):
        for label in map(int, listed(f"{kind}_indices")):
            write(root / f"imagenet-{kind}" / names[label], label, (seed,))
    write_objectnet(root / "objectnet-1.0")


def objectnet_groups() -> list[list[int]]:
    """For each class of the overlap, made up here, those of ImageNet: two for the first twelve."""
    shuffled = np.random.default_rng(9).permutation(CLASSES)[: OVERLAP + 12].tolist()
    return [[shuffled[i], *shuffled[OVERLAP + i : OVERLAP + i + 1]] for i in range(OVERLAP)]


def write_objectnet(root: Path) -> None:
    """Images with a red border, and the tables of the release, in its own order of classes."""
    order = np.random.default_rng(8).permutation(CLASSES).tolist()  # line -> class
    names = [f"class {label}, or so" for label in range(CLASSES)]
    meant, folders = {}, {"no_class_of_imagenet": "Other"}
    for number, group in enumerate(objectnet_groups()):
        meant[f"Thing {number}"] = "; ".join(names[label] for label in group)
        folders[f"thing_{number}"] = f"Thing {number}"
        bordered = np.pad(picture(group[-1], 6), ((2, 2), (2, 2), (0, 0)))
        bordered[[0, 1, -2, -1]] = bordered[:, [0, 1, -2, -1]] = (255, 0, 0)
        (root / f"images/thing_{number}").mkdir(parents=True)
        Image.fromarray(bordered).save(root / f"images/thing_{number}/1.png")
    write(root / "images/no_class_of_imagenet", 5, (1,))
    tables = root / "mappings"
    tables.mkdir()
    (tables / "imagenet_to_label_2012_v2").write_text("\n".join(names[label] for label in order))
    lines = {str(label): line for line, label in enumerate(order)}
    (tables / "pytorch_to_imagenet_2012_id.json").write_text(json.dumps(lines))
    (tables / "objectnet_to_imagenet_1k.json").write_text(json.dumps(meant))
    (tables / "folder_to_objectnet_label.json").write_text(json.dumps(folders))
