"""ImageNet-1k, and the test sets that others made for it, each a target of its own.

A part of the training images is ``val``; ImageNet's 50,000 validation images, whose labels everyone
has, are ``test``. On a target that has some of the classes, the answer is that among their logits.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.image_cache import content_of, kept_images
from domainbed_adapters.image_folders import AUGMENT, check_holdout, check_image_options, recipe_of
from domainbed_adapters.image_tree import some
from domainbed_adapters.imagenet_files import (
    ALL,
    CLASSES,
    NAME,
    TARGETS,
    Pictures,
    all_classes,
    place,
    read_own,
    read_target,
    wanted,
)
from domainbed_adapters.joined_images import JoinedImages
from domainbed_adapters.own_files import check_folder
from oodbench.data import Dataset, DatasetSpec, Environment, Predict, Rows, Scores, Split
from oodbench.errors import RequestError
from oodbench.seeds import stream

ID = "imagenet"
"""The environment that is trained on; the targets follow."""
FOLDER = "imagenet"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
OPTIONS: dict[str, Any] = {
    "folder": FOLDER,
    "targets": ALL,
    "size": 224,
    "holdout": 0.02,
    "augment": "none",
    "corrupt": "fail",
    "partial": False,
}
"""``folder``: that with ``{train,val}/WNID/IMAGE``. ``targets``: names of targets; ``all``: those
whose files are here. ``size``: of the images. ``holdout``: share of the training images that is
``val``. ``augment``, ``corrupt``: as for folders of images. ``partial``: whether targets may have
fewer images than were published."""
BATCH = 64
"""Images that a classifier is given at a time."""


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the targets that these options ask for."""
    targets = wanted(options.get("targets", ALL))
    indices = tuple(range(1, len(targets) + 1))
    return replace(SPEC, environments=(ID, *targets), apart=indices, targets=indices)


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options are what they must be."""
    check_folder(NAME, options["folder"])
    wanted(options["targets"])
    check_image_options(NAME, options["size"], options["corrupt"])
    check_holdout(NAME, options["holdout"])
    if options["augment"] not in AUGMENT:
        raise RequestError(
            f"{NAME}: augment must be one of {', '.join(AUGMENT)}, not {options['augment']!r}."
        )
    if type(options["partial"]) is not bool:
        raise RequestError(f"{NAME}: partial must be true or false, not {options['partial']!r}.")


def pictures(options: Mapping[str, Any]) -> dict[str, Pictures]:
    """All files that these options ask for: of ``train``, ``test`` and each target."""
    folder, partial = options["folder"], options["partial"]
    wnids = all_classes(folder)
    own = {"train": read_own(folder, "train", wnids), "test": read_own(folder, "val", wnids)}
    others = wanted(options["targets"])
    return own | {name: read_target(name, wnids, partial) for name in others}


def verify(options: Mapping[str, Any]) -> Path:
    """The folder with ImageNet, if it and all targets that are asked for have their classes."""
    return pictures({**OPTIONS, **options})["train"].tree.root.parent


def summarize(options: Mapping[str, Any]) -> list[str]:
    """How many images there are of each, and the folders of targets that are not here."""
    found = pictures({**OPTIONS, **options})
    lines = [f"  {name}: {len(one.tree.files):,} images" for name, one in found.items()]
    gone = [target.folders[0] for target in TARGETS.values() if not place(target.folders)]
    return lines + ([f"  left out, for these folders are not here: {some(gone)}"] if gone else [])


def build(data_seed: int, **options: Any) -> Dataset:
    """(3, size, size) images, 1,000 classes.

    Raises:
        RequestError: If an option is not what it must be, folders or classes are missing, a file
            is no image, or the decoded images do not fit on the disk.
    """
    size, corrupt, holdout = options["size"], options["corrupt"], options["holdout"]
    found = pictures(options)
    kept = [
        kept_images(f"{NAME}-{name}", one.tree, size, corrupt, fit=one.fit)
        for name, one in found.items()
    ]
    images = JoinedImages(tuple(Rows(pixels, there) for pixels, there, _ in kept), size)
    labels = np.concatenate(
        [one.tree.labels[there] for one, (_, there, _) in zip(found.values(), kept, strict=True)]
    )

    def split(rows: NDArray[np.int64]) -> Split:
        return Split(Rows(images, rows), labels[rows])

    parts = [np.arange(*ends) for ends in zip(images.starts, images.starts[1:], strict=False)]
    order = stream(data_seed, NAME, "split").permutation(parts[0])
    held = max(1, round(holdout * len(order)))
    splits = {"train": split(order[held:]), "val": split(order[:held]), "test": split(parts[1])}
    apart = [
        Environment(name, {"test": split(rows)}, "ood_test", one.counts_as)
        for (name, one), rows in zip(list(found.items())[2:], parts[2:], strict=True)
    ]
    return Dataset(
        NAME,
        (Environment(ID, splits), *apart),
        CLASSES,
        content=content_of(content.encode() for _, _, content in kept),
        augment=recipe_of(options["augment"]),
    )


def measure(predict: Predict, size: int, slow: bool = False) -> dict[str, tuple[float, int]]:
    """The accuracy of a classifier on ImageNet's validation images and all targets that are here.

    Args:
        predict: The classifier.
        size: Height and width of the images.
        slow: Changes nothing.

    Raises:
        RequestError: If nothing is here, or it is not what it must be.
    """
    wnids = all_classes(FOLDER)
    found = {"val": read_own(FOLDER, "val", wnids)} if place((f"{FOLDER}/val",)) else {}
    found |= {name: read_target(name, wnids, partial=False) for name in wanted(ALL)}
    if not found:
        raise RequestError(f"{NAME}: no test set is here; see docs/cifar.md.")
    scores = {}
    for name, one in found.items():
        pixels, there, _ = kept_images(f"{NAME}-{name}", one.tree, size, "fail", fit=one.fit)
        right = 0
        for start in range(0, len(there), BATCH):
            rows = there[start : start + BATCH]
            right += int((predict(pixels[rows], one.counts_as) == one.tree.labels[rows]).sum())
        scores[name] = right / len(there), len(there)
    return scores


SPEC = DatasetSpec(
    NAME,
    (ID, *TARGETS),
    CLASSES,
    build,
    options=OPTIONS,
    summary="ImageNet-1k; targets: ImageNet-V2, -A, -R, -Sketch and ObjectNet, with the classes "
    "that each has.",
    layout="imagenet/{train,val}/WNID/IMAGE, imagenetv2-matched-frequency-format-val/, "
    "imagenet-a/, imagenet-r/, sketch/ and objectnet-1.0/ as unpacked, under a data folder.",
    licence="Of ImageNet's images: for non-commercial research and education; those of targets by "
    "their authors.",
    citation="Russakovsky et al. 2015 (ImageNet); Recht et al. 2019 (V2); Hendrycks et al. 2021 "
    "(A, R); Wang et al. 2019 (Sketch); Barbu et al. 2019 (ObjectNet).",
    check=check,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    examples=1_331_167,
    decodes=True,
    apart=tuple(range(1, len(TARGETS) + 1)),
    targets=tuple(range(1, len(TARGETS) + 1)),
    scores=Scores(measure, lambda: np.arange(CLASSES), MEAN, STD),
)
REGISTER = [SPEC]
