"""Predictions are packed without loss, and an answer key is known by all that is in it."""

from dataclasses import replace

import numpy as np
import pytest

from oodbench.answers import AnswerKey, ScoredSplit


def key_of(classes: int, n: int = 60) -> AnswerKey:
    rng = np.random.default_rng(0)
    return AnswerKey(
        "digits",
        (ScoredSplit("a", "val", "id_val", n // 3), ScoredSplit("b", "test", "ood_test", n // 3)),
        rng.integers(0, classes, n),
        np.arange(n),
        classes,
        np.full((n, 1), -1),
    )


@pytest.mark.parametrize("classes", [2, 10, 256, 257, 1139, 70_000])
def test_what_is_packed_comes_back(classes: int) -> None:
    key, rng = key_of(classes), np.random.default_rng(1)
    for predicted in (rng.integers(0, classes, len(key)), key.labels, np.full(len(key), 0)):
        found = key.unpack(key.pack(predicted))
        assert found.tolist() == predicted.tolist()
        assert found.dtype == np.min_scalar_type(classes - 1)


def test_right_predictions_take_no_room() -> None:
    key = key_of(10, 30_000)
    assert len(key.pack(key.labels)) < 100
    worst = len(key.pack(np.random.default_rng(1).integers(0, 10, len(key))))
    assert worst > 30_000 * np.log2(10) / 8  # no code is shorter than the entropy


def test_predictions_of_other_examples_are_refused() -> None:
    key, shorter = key_of(10), key_of(10, 30)
    with pytest.raises(ValueError, match="they are of 30 examples, not of 60"):
        key.unpack(shorter.pack(shorter.labels))
    with pytest.raises(ValueError, match="cannot be decompressed"):
        key.unpack(b"torn")


def test_the_id_changes_with_anything() -> None:
    key = key_of(10)
    other = key.labels.copy()
    other[7] = (other[7] + 1) % 10
    changed = [
        replace(key, source="mnist"),
        replace(key, splits=(replace(key.splits[0], role="oracle_val"), key.splits[1])),
        replace(key, labels=other),
        replace(key, examples=key.examples + 1),
        replace(key, num_classes=11),
        replace(key, groups=key.groups + 1),
        replace(key, group_names=("many",)),
    ]
    assert len({key.id, *(one.id for one in changed)}) == 1 + len(changed)
    assert replace(key, labels=key.labels.astype(np.uint8)).id == key.id  # the same answers
