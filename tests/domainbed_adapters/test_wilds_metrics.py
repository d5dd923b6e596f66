"""Our scores equal those of wilds' own ``eval`` wherever both define the same thing."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from wilds_fixtures import MAKERS, make

from domainbed_adapters import wilds_images, wilds_text
from domainbed_adapters.wilds_compat import compatible, load
from domainbed_adapters.wilds_release import Release
from oodbench.metrics import WORST, Answers, scores

MODULES = [wilds_images, wilds_text]
RELEASES = {
    thing.name: thing
    for module in MODULES
    for thing in vars(module).values()
    if isinstance(thing, Release)
}
SAME = {
    "Camelyon17": {"accuracy": "acc_avg", WORST: "acc_wg"},
    "iWildCam": {"accuracy": "acc_avg", "balanced_accuracy": "recall-macro_all"},
    "FMoW": {"accuracy": "acc_avg"},
    "RxRx1": {"accuracy": "acc_avg", WORST: "acc_wg"},
    "Waterbirds": {WORST: "acc_wg"},
    "CelebA": {"accuracy": "acc_avg", WORST: "acc_wg"},
    "WILDSDomainNet": {"accuracy": "acc_avg", WORST: "acc_wg"},
    "Amazon": {"accuracy": "acc_avg", WORST: "acc_wg"},
    "CivilComments": {"accuracy": "acc_avg"},
}
"""Of each dataset, ours by wilds' name, beside the official ones, which have one name."""


def answers(release: Release, root: Path, split: str, predicted: np.ndarray) -> Answers:
    table = release.read(root).only(["train", *release.roles])
    groups, rows = release.grouping.of(table), table.splits[split]
    labels, n = table.labels[rows], len(rows)
    sure = np.ones(n)
    return Answers(
        labels, predicted, sure, sure, table.num_classes, groups.codes[rows], groups.names
    )


def noisy(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    wrong = rng.integers(0, classes, len(labels))
    return np.where(rng.random(len(labels)) < 0.7, labels, wrong)


@pytest.mark.parametrize("name", RELEASES)
def test_scores_are_those_of_wilds(name: str, tmp_path: Path) -> None:
    release = RELEASES[name]
    found: Any = load(release.wilds, make(tmp_path, name))
    compared = 0
    for seed, split in enumerate(release.roles):
        subset = found.get_subset(split)
        labels = subset.y_array.numpy()
        predicted = noisy(labels, found.n_classes, seed)
        with compatible(release.wilds):
            theirs, _ = found.eval(
                torch.from_numpy(predicted), subset.y_array, subset.metadata_array
            )
        mine = {
            s.metric: s
            for s in scores(answers(release, tmp_path, split, predicted), release.grouping.metrics)
        }
        if name == "CivilComments" and split == "test":  # wilds counts an empty group as zero
            assert theirs["acc_wg"] == 0 < mine["acc_wg"].value
            del theirs["acc_wg"]
        official = {metric: metric for metric in release.grouping.metrics}
        for ours, its in {**official, **SAME[name]}.items():
            if its in theirs:
                assert mine[ours].value == pytest.approx(float(theirs[its]), abs=1e-6), ours
                compared += 1
    assert compared >= len(release.roles)


@pytest.mark.parametrize("name", RELEASES)
def test_each_group_has_wilds_accuracy_and_size(name: str, tmp_path: Path) -> None:
    release = RELEASES[name]
    found: Any = load(release.wilds, make(tmp_path, name))
    split = list(release.roles)[-1]
    subset = found.get_subset(split)
    predicted = noisy(subset.y_array.numpy(), found.n_classes, 7)
    with compatible(release.wilds):
        theirs, _ = found.eval(torch.from_numpy(predicted), subset.y_array, subset.metadata_array)
    accuracies, sizes = answers(release, tmp_path, split, predicted).by_group
    mine = sorted((round(float(a), 6), int(n)) for a, n in zip(accuracies, sizes, strict=True) if n)
    ignored = ("year", "Other") if name == "FMoW" else ()
    its = sorted(
        (round(float(theirs["acc" + key.removeprefix("count")]), 6), int(n))
        for key, n in theirs.items()
        if key.startswith("count_") and n and not any(word in key for word in ignored)
    )
    assert mine == its or name == "iWildCam"  # wilds gives it no groups


def test_every_dataset_is_compared() -> None:
    assert set(RELEASES) == set(MAKERS)
