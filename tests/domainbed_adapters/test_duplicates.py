"""What is there more than once, against counting by hand."""

import itertools

import numpy as np
import pytest

from domainbed_adapters.duplicates import (
    may_be_apart,
    repeats,
    repeats_of_own_splits,
    report,
    same_files,
    same_texts,
)
from oodbench.errors import RequestError


def parts_of(**parts: list[int]) -> dict[str, np.ndarray]:
    return {name: np.array(rows, np.int64) for name, rows in parts.items()}


def test_a_case_by_hand() -> None:
    texts = ["a", "b", "a", "c", "c", "d", "a", "b", "e"]
    labels = np.array([0, 0, 0, 1, 0, 1, 0, 1, 1])
    found = repeats(same_texts(texts), labels, parts_of(train=[0, 1, 2, 3, 4], id_test=[5, 6, 7]))
    assert [(one.n, one.where, one.rows, one.leaks) for one in found] == [
        (2, "in train and in id_test", (0, 6), True),
        (2, "twice in train", (0, 2), False),
        (2, "under two labels", (1, 7), False),
    ]
    assert repeats(same_texts(list("abc")), labels[:3], parts_of(train=[0, 1], id_test=[2])) == []


def test_they_are_those_of_counting_one_by_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        n = int(rng.integers(1, 60))
        same, labels = rng.integers(0, 25, n) - 1, rng.integers(0, 2, n)
        part = rng.integers(0, 4, n)
        parts = {f"p{i}": np.flatnonzero(part == i) for i in range(4)}
        found = {one.where: one.n for one in repeats(same, labels, parts)}
        known = [i for i in range(n) if same[i] >= 0]
        expected: dict[str, set[int]] = {}
        for i, j in itertools.combinations(known, 2):
            if same[i] == same[j]:
                a, b = sorted((part[i], part[j]))
                where = f"twice in p{a}" if a == b else f"in p{a} and in p{b}"
                expected.setdefault(where, set()).add(int(same[i]))
                if labels[i] != labels[j]:
                    expected.setdefault("under two labels", set()).add(int(same[i]))
        assert found == {where: len(which) for where, which in expected.items()}


def test_rows_that_are_shown_are_of_the_parts_that_are_named() -> None:
    same, labels = np.array([7, 7, 7, 7]), np.zeros(4, int)
    one = repeats(same, labels, parts_of(val=[0], train=[1, 3], ood_test=[2]), may_be_apart)
    assert {(r.where, r.rows) for r in one} == {
        ("in val and in train", (0, 1)),
        ("in val and in ood_test", (0, 2)),
        ("in train and in ood_test", (1, 2)),
        ("twice in train", (1, 3)),
    }


def test_environments_that_are_left_out_in_turn() -> None:
    same = np.array([0, 0, 1, 1, 2, 2, 3, 4])
    found = repeats_of_own_splits(
        same,
        np.zeros(8, int),
        {
            "day": parts_of(train=[0, 2, 4], val=[3], test=[5]),
            "night": parts_of(train=[1], val=[6], test=[7]),
        },
    )
    assert [(one.where, one.leaks) for one in found] == [
        ("in day and in night", True),
        ("in train and in val of day", False),
        ("in train and in test of day", True),
    ]


def test_files_that_are_skipped_are_no_copies_of_each_other() -> None:
    digests = np.array([[1, 2], [0, 0], [0, 0], [1, 2]], np.uint8)
    assert same_files(digests).tolist() == [0, -1, -1, 0]


def test_what_leaks_is_refused_and_all_else_is_reported(capsys) -> None:
    same, labels = np.array([0, 0, 1, 1]), np.zeros(4, int)
    leak = repeats(same, labels, parts_of(train=[0, 2], id_test=[1, 3]))
    with pytest.raises(RequestError, match=r"x: 2 texts are in train and in id_test \(first 0"):
        report("x", "text", leak, str, "refuse")
    report("x", "text", leak, str, "keep")
    none = repeats(same, labels, parts_of(id_val=[0, 2], id_test=[1, 3]))
    report("y", "text", none, str, "refuse")
    assert capsys.readouterr().err.splitlines() == [
        "x: 2 texts are in train and in id_test (first 0, 1).",
        "y: 2 texts are in id_val and in id_test (first 0, 1).",
    ]
