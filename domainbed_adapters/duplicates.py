"""Duplicate examples: in two splits, under two labels, twice in one split.

A test example that was trained on measures what was learnt by heart. Examples are the same if their
files are the same bytes, or their texts the same characters.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import RequestError

Ints = NDArray[np.int64]
Duplicates = Literal["refuse", "keep"]
TEST = ("test", "id_test", "ood_test")
"""Splits that nothing of ``train`` may be in."""
TWICE, LABELS = "twice", "labels"
MOST = 24
"""Pairs of parts that are looked at, those that share most examples first."""


@dataclass(frozen=True)
class Repeat:
    """Examples that are there more than once.

    Attributes:
        n: How many different ones.
        where: Where they are, such as ``in train and in ood_test``.
        rows: Two that are the first of them.
        leaks: Whether one is trained on, and the other tested on.
        kind: ``across`` parts, ``twice`` in one, or of several ``labels``.
    """

    n: int
    where: str
    rows: tuple[int, int]
    leaks: bool = False
    kind: str = "across"

    def line(self, what: str, name: Callable[[int], str]) -> str:
        """One line: what they are, and which are the first."""
        first, second = map(name, self.rows)
        some = f"{what}s are" if self.n > 1 else f"{what} is"
        line = f"{self.n} {some} {self.where} (first {first}, {second})"
        return line.encode(errors="backslashreplace").decode()  # names of files may be no text


def same_files(digests: NDArray[np.uint8]) -> Ints:
    """(n,) a number for each content of a file, of (n, 32) hashes; -1: zeros, which is none."""
    hashes = np.ascontiguousarray(digests).view(f"V{digests.shape[1]}").reshape(-1)
    _, first, same = np.unique(hashes, return_index=True, return_inverse=True)
    order = np.argsort(np.argsort(first))  # the first to come has the least number
    return np.where(digests.any(axis=1), order[same], -1).astype(np.int64)


def same_texts(texts: Sequence[str]) -> Ints:
    """(n,) a number for each text."""
    import pandas as pd

    return pd.factorize(np.asarray(texts, dtype=object))[0].astype(np.int64)


def is_trained_and_tested(one: str, other: str) -> bool:
    """Whether nothing may be in both of two splits."""
    return "train" in (one, other) and not {one, other}.isdisjoint(TEST)


def may_be_apart(one: str, other: str) -> bool:
    """Whether nothing may be in both of two environments: either may be the test environment."""
    return True


def repeats(
    same: Ints,
    labels: Ints,
    parts: Mapping[str, Ints],
    leaks: Callable[[str, str], bool] = is_trained_and_tested,
) -> list[Repeat]:
    """What is there more than once: in two parts, twice in one, under two labels.

    Args:
        same: (n,) which examples are the same; -1: one that does not count.
        labels: (n,) the label of each.
        parts: Name -> its rows.
        leaks: Whether nothing may be in both of two parts.
    """
    rows = np.concatenate([*parts.values(), np.empty(0, np.int64)])
    part = np.repeat(np.arange(len(parts)), [len(mine) for mine in parts.values()])
    known = same[rows] >= 0
    rows, part = rows[known], part[known]
    _, group, counts = np.unique(same[rows], return_inverse=True, return_counts=True)
    often = counts[group] > 1
    rows, part = rows[often], part[often]
    if not len(rows):
        return []
    _, group = np.unique(group[often], return_inverse=True)
    table = np.zeros((int(group.max()) + 1, len(parts)), np.int64)
    np.add.at(table, (group, part), 1)
    names = list(parts)
    met = (table > 0).T.astype(np.int64) @ (table > 0)  # how many examples any two parts share

    def first(chosen: NDArray[np.bool_], *of: int) -> tuple[int, int]:
        mine = rows[group == np.flatnonzero(chosen)[0]]
        places = part[group == np.flatnonzero(chosen)[0]]
        one, *more = (mine[places == i] for i in dict.fromkeys(of))
        return int(one[0]), int(more[0][0] if more else one[1])

    found = []
    pairs = np.argwhere(np.triu(met, 1)).tolist()
    for i, j in sorted(pairs, key=lambda pair: -met[*pair])[:MOST]:
        both = (table[:, i] > 0) & (table[:, j] > 0)
        where, leak = f"in {names[i]} and in {names[j]}", leaks(names[i], names[j])
        found.append(Repeat(int(both.sum()), where, first(both, i, j), leak))
    for i in np.flatnonzero((table > 1).any(axis=0)).tolist():
        twice = table[:, i] > 1
        found.append(Repeat(int(twice.sum()), f"twice in {names[i]}", first(twice, i), kind=TWICE))
    return found + _under_two_labels(rows, group, labels[rows])


def repeats_of_own_splits(
    same: Ints, labels: Ints, environments: Mapping[str, Mapping[str, Ints]]
) -> list[Repeat]:
    """What is there more than once where each environment is split, and may be left out.

    Args:
        same, labels: See ``repeats``.
        environments: Name -> its parts, each with its rows.
    """
    whole = {name: np.concatenate([*parts.values()]) for name, parts in environments.items()}
    found = [one for one in repeats(same, labels, whole, may_be_apart) if one.kind != TWICE]
    for name, parts in environments.items():
        inside = [one for one in repeats(same, labels, parts) if one.kind != LABELS]
        found += [replace(one, where=f"{one.where} of {name}") for one in inside]
    return found


def _under_two_labels(rows: Ints, group: Ints, labels: Ints) -> list[Repeat]:
    pairs, first = np.unique(np.stack([group, labels], axis=1), axis=0, return_index=True)
    again = np.flatnonzero(pairs[1:, 0] == pairs[:-1, 0])
    if not len(again):
        return []
    n = len(np.unique(pairs[again, 0]))
    one, other = rows[first[again[0]]], rows[first[again[0] + 1]]
    return [Repeat(n, "under two labels", (int(one), int(other)), kind=LABELS)]


def report(
    name: str,
    what: str,
    found: Sequence[Repeat],
    of: Callable[[int], str],
    duplicates: Duplicates,
) -> None:
    """Report once what is there more than once; refuse what is trained and tested on.

    Args:
        name, what, found, of, duplicates: See ``refuse_leaks``.

    Raises:
        RequestError: If an example may be trained and tested on, and the option is ``refuse``.
    """
    refuse_leaks(name, what, found, of, duplicates)
    if found:
        _print_once(f"{name}: {_joined([one.line(what, of) for one in found])}.")


def refuse_leaks(
    name: str,
    what: str,
    found: Sequence[Repeat],
    of: Callable[[int], str],
    duplicates: Duplicates,
) -> None:
    """Refuse what is trained and tested on.

    Args:
        name: Name of the dataset, for messages.
        what: An example is, such as ``image``.
        found: See ``repeats``.
        of: Gives the name of a row.
        duplicates: What the option says.

    Raises:
        RequestError: If an example may be trained and tested on, and the option is ``refuse``.
    """
    leaking = [repeat for repeat in found if repeat.leaks]
    if leaking and duplicates == "refuse":
        raise RequestError(
            f"{name}: {_joined([one.line(what, of) for one in leaking])}. What was trained on "
            "would be tested on: remove them, or set duplicates: keep."
        )


@lru_cache
def _print_once(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def repeat_lines(what: str, found: Sequence[Repeat], of: Callable[[int], str]) -> list[str]:
    """A line for each, for a summary."""
    lines = [f"    {repeat.line(what, of)}" for repeat in found[:12]]
    more = [f"    and {len(found) - 12} more kinds"] if len(found) > 12 else []
    return [f"  the same {what} more than once:", *lines, *more] if found else []


def _joined(lines: Sequence[str], most: int = 5) -> str:
    more = [f"and {len(lines) - most} more"] if len(lines) > most else []
    return "; ".join([*lines[:most], *more])


def check_duplicates(name: str, duplicates: Any) -> None:
    """Raise RequestError unless the option is one of its two words."""
    if duplicates not in ("refuse", "keep"):
        raise RequestError(f"{name}: duplicates must be refuse or keep, not {duplicates!r}.")
