"""What a dataset adapter gives and a trainer takes: environments over one label set.

Examples, labels and splits depend on the dataset's name, options and data seed alone, never on a
trial: two optimizers, two algorithms and two hyperparameter draws always see the same data.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from oodbench.data.columns import Columns
from oodbench.errors import RequestError
from oodbench.records import MEASURED, OOD_TEST


class Stored(Protocol):
    """What is read like an array: one that is mapped from a file, or images decoded when read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (N, ...) of all examples."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one number."""

    def __len__(self) -> int: ...

    def __getitem__(self, which: Any, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class Rows:
    """Some examples of an array that is too large to copy: each is read when it is asked for.

    Attributes:
        stored: (N, ...), as a rule an array that is mapped from a file.
        rows: (n,) which of its N examples these are, in order.
    """

    stored: Stored
    rows: NDArray[np.int64]

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (n, ...) of the chosen examples."""
        return (len(self.rows), *self.stored.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of one number."""
        return self.stored.dtype

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, which: Any) -> NDArray[Any]:
        chosen: NDArray[Any] = self.stored[self.rows[which]]
        return chosen

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All of them, read into memory."""
        return np.asarray(self[:], dtype)


@dataclass(frozen=True)
class Split:
    """Examples that play one part.

    Attributes:
        inputs: (n, ...) array; ``uint8`` images are scaled to [0, 1] when they are used.
        labels: (n,) integers in [0, num_classes).
        copies: How many of the n examples stand for one independent example, as renderings of one
            image do. Scores count n / copies examples, so that no interval claims too much.
        examples: (n,) the number of each within ``Dataset.source``: the same wherever it is shown.
            None: that in what ``Rows`` choose from; of an array, one that no other example has.
    """

    inputs: NDArray[Any] | Rows
    labels: NDArray[np.int64]
    copies: int = 1
    examples: NDArray[np.int64] | None = None

    @property
    def numbers(self) -> NDArray[np.int64] | None:
        """(n,) the number of each example, as far as the split knows."""
        rows = self.inputs.rows if isinstance(self.inputs, Rows) else None
        return rows if self.examples is None else self.examples

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: "Split") -> "Split":
        """The examples of both, in this order."""
        a, b = self.inputs, other.inputs
        if isinstance(a, Rows) and isinstance(b, Rows) and a.stored is b.stored:
            inputs: NDArray[Any] | Rows = Rows(a.stored, np.concatenate([a.rows, b.rows]))
        else:
            inputs = np.concatenate([np.asarray(a), np.asarray(b)])
        labels, mine, theirs = [self.labels, other.labels], self.numbers, other.numbers
        numbers = None if mine is None or theirs is None else np.concatenate([mine, theirs])
        return Split(inputs, np.concatenate(labels), self.copies, numbers)


@dataclass(frozen=True)
class Environment:
    """A domain: its name and its ``train``, ``val`` and ``test`` examples.

    Attributes:
        name: Name of the domain.
        splits: Examples of each split.
        apart: Where it has test examples alone and nothing is ever trained on it: their role (see
            ``oodbench.records.ROLES``). ``ood_test`` and ``measured`` are those of a target: each
            trial that names no target is tested on all of them, each by itself. A trial that names
            others leaves an ``ood_test`` one out, and scores a ``measured`` one beside.
        counts_as: Where it has some of the classes: (num_classes,) the class that each counts as
            here, of several that are one its label; -1: one that it has not. The answer is then
            that among the others' logits. None: it has all, each as itself.
    """

    name: str
    splits: Mapping[str, Split]
    apart: str = ""
    counts_as: NDArray[np.int64] | None = None

    @property
    def is_target(self) -> bool:
        """Whether it is a distribution of its own that trials are tested on."""
        return self.apart in (OOD_TEST, MEASURED)


@dataclass(frozen=True)
class Published:
    """Examples to which the dataset's authors gave their role, scored as a whole.

    Attributes:
        name: Name in their release, such as ``id_val``.
        role: One of ``oodbench.records.ROLES``.
        split: The examples.
        groups: (n, m) the groups that each example is in, as indices of ``Dataset.groups``; -1:
            none. None: it has none.
        worst: The role of the group with the lowest accuracy, where that group stands for what is
            out of distribution: under subpopulation shift. Empty: it has none.
    """

    name: str
    role: str
    split: Split
    groups: NDArray[np.int64] | None = None
    worst: str = ""


@dataclass(frozen=True)
class Dataset:
    """Named environments over one label set.

    A dataset has splits of each environment, and a trial keeps some environments out of training;
    or its authors published the splits. Then its environments have ``train`` examples alone, all of
    them are trained on, and no trial names test environments.

    Attributes:
        name: Name under which it is registered.
        environments: Environments in a fixed order; trials name them by index.
        num_classes: Labels are 0 to num_classes - 1.
        shared: Whether the validation and the test examples of all environments are the same ones,
            shown differently. A mean over environments then counts them once.
        content: Hash of all stored examples that ``Rows`` choose from, so that the fingerprint need
            not read them; empty if there are none.
        augment: How training images are augmented, by its name in
            ``oodbench.training.inputs.augmentation``; empty: they are not.
        augment_id_val: Whether ID validation images are augmented as well: once, each by a draw
            of its own.
        published: See ``Published``.
        groups: Names of the groups that published examples are in.
        tokens: For texts given as tokens: the encoder of these tokens.
        metrics: What published splits are scored by beside what all are: names of
            ``oodbench.metrics.OFFICIAL``, the official one first.
        source: Whose examples it shows. Datasets of one source call each by the same number (see
            ``Split.examples``), and so do its splits under every data seed. Empty: nobody else's,
            and those of files of the same name may be others.
        columns: What its inputs are, where they are rows of a table; they become what a model takes
            once it is known what a trial trains on. None: a model takes them as they are.
        classes: Names of the classes; empty if they are not known.
        mean_of_targets: See ``oodbench.data.DatasetSpec``, which sets it.
    """

    name: str
    environments: tuple[Environment, ...]
    num_classes: int
    shared: bool = False
    content: str = ""
    augment: str = ""
    augment_id_val: bool = False
    published: tuple[Published, ...] = ()
    groups: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    tokens: str = ""
    source: str = ""
    columns: Columns | None = None
    classes: tuple[str, ...] = ()
    mean_of_targets: bool = False

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example's input."""
        return tuple(next(iter(self.environments[0].splits.values())).inputs.shape[1:])

    @cached_property
    def fingerprint(self) -> str:
        """16 hexadecimal digits that change with any example, label or split."""
        digest = hashlib.sha256(repr((self.name, self.num_classes)).encode())
        digest.update(self.content.encode())
        for environment in self.environments:
            for part, split in sorted(environment.splits.items()):
                for array in _arrays(split):
                    _add(digest, (environment.name, part, array.shape), array)
            if environment.counts_as is not None:
                _add(digest, (environment.name, "counts_as"), environment.counts_as)
        for given in self.published:
            groups = () if given.groups is None else (given.groups,)
            for array in (*_arrays(given.split), *groups):
                _add(digest, (given.name, given.role, array.shape), array)
        return digest.hexdigest()[:16]

    @cached_property
    def numbered(self) -> "Dataset":
        """This dataset with a source, and a number for each example: by default, as they come."""
        start = 0

        def number(split: Split) -> Split:
            nonlocal start
            start += len(split)
            own = np.arange(start - len(split), start)
            return replace(split, examples=own if split.numbers is None else split.numbers)

        environments = tuple(
            replace(e, splits={part: number(split) for part, split in e.splits.items()})
            for e in self.environments
        )
        published = tuple(replace(given, split=number(given.split)) for given in self.published)
        source = self.source or f"{self.name} {self.content or self.fingerprint}"
        return replace(self, environments=environments, published=published, source=source)

    def training_environments(self, test_environments: tuple[int, ...]) -> tuple[int, ...]:
        """Indices of the environments that are trained on."""
        return tuple(
            i
            for i, environment in enumerate(self.environments)
            if i not in test_environments and not environment.apart
        )

    def check_classes(self, test_environments: tuple[int, ...]) -> None:
        """Raise RequestError if a class has no training example without these environments.

        Published splits are as their authors made them.
        """
        if self.published:
            return
        trained = self.training_environments(test_environments)
        labels = [self.environments[i].splits["train"].labels for i in trained]
        unseen = np.setdiff1d(np.arange(self.num_classes), np.concatenate(labels)).tolist()
        if unseen:
            names = [self.classes[code] if self.classes else str(code) for code in unseen]
            tested = ", ".join(self.environments[i].name for i in test_environments)
            raise RequestError(
                f"{self.name}: with the test environments {tested} ({list(test_environments)}) no "
                f"training example has the label {', '.join(names)}; what is measured would be the "
                "loss of a class, not a shift. Leave these examples out, or test on other "
                "environments."
            )

    def targets(self, test_environments: tuple[int, ...]) -> tuple[int, ...]:
        """Indices of the targets that a trial with these test environments is tested on."""
        every = tuple(i for i, environment in enumerate(self.environments) if environment.is_target)
        return named_or_all(every, test_environments)


def named_or_all(targets: tuple[int, ...], test_environments: tuple[int, ...]) -> tuple[int, ...]:
    """The targets that a trial is tested on: those that it names, or all where it names none."""
    return tuple(i for i in targets if i in test_environments) or targets


def _arrays(split: Split) -> tuple[NDArray[Any], NDArray[Any]]:
    """What identifies the examples of a split: the inputs, or which they are, and the labels."""
    inputs = split.inputs.rows if isinstance(split.inputs, Rows) else split.inputs
    return inputs, split.labels


def _add(digest: Any, place: tuple[Any, ...], array: NDArray[Any]) -> None:
    digest.update(repr(place).encode())
    digest.update(array.dtype.str.encode())
    digest.update(np.ascontiguousarray(array).reshape(-1))  # not copied: there may be much of it
