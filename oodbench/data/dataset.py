"""What a dataset adapter gives and a trainer takes: environments over one label set.

Examples, labels and splits depend on the dataset's name, options and data seed alone, never on a
trial: two optimizers, two algorithms and two hyperparameter draws always see the same data.
"""

import hashlib
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from oodbench.errors import RequestError, UnknownNameError
from oodbench.registry import Registry


class Stored(Protocol):
    """What is read like an array: one that is mapped from a file, or images decoded when read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one number."""

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
        """(n, ...)."""
        return (len(self.rows), *self.stored.shape[1:])

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of one number."""
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
    """

    inputs: NDArray[Any] | Rows
    labels: NDArray[np.int64]
    copies: int = 1

    def __len__(self) -> int:
        return len(self.labels)

    def __add__(self, other: "Split") -> "Split":
        """The examples of both, in this order."""
        a, b = self.inputs, other.inputs
        if isinstance(a, Rows) and isinstance(b, Rows) and a.stored is b.stored:
            inputs: NDArray[Any] | Rows = Rows(a.stored, np.concatenate([a.rows, b.rows]))
        else:
            inputs = np.concatenate([np.asarray(a), np.asarray(b)])
        return Split(inputs, np.concatenate([self.labels, other.labels]), self.copies)


@dataclass(frozen=True)
class Environment:
    """A domain: its name and its ``train``, ``val`` and ``test`` examples.

    Attributes:
        name: Of the domain.
        splits: Its examples.
        apart: Where it has test examples alone and nothing is ever trained on it: their role (see
            ``oodbench.records.ROLES``) in trials that do not name it as a test environment.
    """

    name: str
    splits: Mapping[str, Split]
    apart: str = ""


@dataclass(frozen=True)
class Published:
    """Examples to which the dataset's authors gave their role, scored as a whole.

    Attributes:
        name: As they call it, such as ``id_val``.
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
        name: As registered.
        environments: In a fixed order; trials name them by index.
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
        tokens: Of texts that are given as tokens: the encoder that they are for.
        metrics: What published splits are scored by beside what all are: names of
            ``oodbench.metrics.OFFICIAL``, the official one first.
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

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one example."""
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
        for given in self.published:
            groups = () if given.groups is None else (given.groups,)
            for array in (*_arrays(given.split), *groups):
                _add(digest, (given.name, given.role, array.shape), array)
        return digest.hexdigest()[:16]

    def training_environments(self, test_environments: tuple[int, ...]) -> tuple[int, ...]:
        """Indices of the environments that are trained on."""
        return tuple(
            i
            for i, environment in enumerate(self.environments)
            if i not in test_environments and not environment.apart
        )


Predict = Callable[[NDArray[np.uint8]], NDArray[np.int64]]
"""A classifier: (n, 3, height, width) images -> (n,) labels."""


@dataclass(frozen=True)
class Scores:
    """What a dataset's authors report of any classifier, whoever trained it.

    Attributes:
        measure: ``measure(predict, size, slow)`` gives score -> (value, number of examples);
            ``slow`` asks for those that take long, too.
        of_imagenet: Gives the (1000,) labels of ImageNet-1k's classes; -1: a wrong answer.
        mean, std: Of each channel of images in [0, 1], for models of the dataset's own classes.
    """

    measure: Callable[[Predict, int, bool], Mapping[str, tuple[float, int]]]
    of_imagenet: Callable[[], NDArray[np.int64]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


def _arrays(split: Split) -> tuple[NDArray[Any], NDArray[Any]]:
    """What tells the examples of a split: the inputs, or which they are, and the labels."""
    inputs = split.inputs.rows if isinstance(split.inputs, Rows) else split.inputs
    return inputs, split.labels


def _add(digest: Any, place: tuple[Any, ...], array: NDArray[Any]) -> None:
    digest.update(repr(place).encode())
    digest.update(array.dtype.str.encode() + np.ascontiguousarray(array).tobytes())


ROOT_VARIABLE = "OODBENCH_DATA"
"""Environment variable with the data folder of this machine; several are joined as in ``PATH``.

Where the files lie is the machine's business: it is never part of a trial or of its id.
"""


def data_roots() -> list[Path]:
    """The data folders of this machine."""
    value = os.environ.get(ROOT_VARIABLE, "")
    return [Path(part).expanduser() for part in value.split(os.pathsep) if part]


@dataclass(frozen=True)
class Source:
    """Files that datasets are made from, and that do not come with oodbench.

    Attributes:
        name: As ``oodbench fetch`` takes it.
        folder: Where they lie under a data folder.
        check: ``check(root)`` raises RequestError unless the files under this data folder are
            complete and right.
        fetch: ``fetch(root, tell)`` puts them there, verified; it keeps what is right already and
            calls ``tell`` with a line for each file. None: they cannot be downloaded without asking
            their owners.
        get: Where to get them, in a sentence, if they are not fetched.
    """

    name: str
    folder: str
    check: Callable[[Path], None]
    fetch: Callable[[Path, Callable[[str], None]], None] | None = None
    get: str = ""

    def is_here(self) -> bool:
        """Whether a data folder of this machine has this source's folder."""
        return any((root / self.folder).is_dir() for root in data_roots())

    def find(self) -> Path:
        """The first data folder of this machine that has this source's folder.

        Raises:
            RequestError: If none has, or none is named.
        """
        roots = data_roots()
        for root in roots:
            if (root / self.folder).is_dir():
                return root
        where = f"{ROOT_VARIABLE} names no data folder"
        if roots:
            where = f"no {self.folder} in {' or '.join(map(str, roots))}"
        get = self.get or f"oodbench fetch {self.name} --root DIR puts the files there."
        raise RequestError(
            f"{self.name} needs files that are not here: {where}. Name a folder that has "
            f"{self.folder} in {ROOT_VARIABLE} or --root; {get}"
        )


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset that can be asked for by name.

    Attributes:
        name: As sweep files write it.
        environments: Their names, in order.
        num_classes: Size of the label set.
        build: ``build(data_seed=..., **options)`` gives the Dataset; the same every time.
        options: Every option with its default.
        shift: ``correlation`` or ``diversity`` shift, as ``oodbench shift`` measures it, or as Ye
            et al. 2022 (OoD-Bench) published it; ``subpopulation`` shift, where nothing is out of
            distribution but the shares of the groups; empty if it is none, or was not measured.
        metric: Name of the official metric.
        summary: One sentence.
        layout: Where the examples come from.
        licence: Of the data.
        citation: Whom to cite.
        source: The files that it needs; None if it comes with a package, or an option names them.
        resolve: ``resolve(options)`` gives this dataset with the environments and classes that it
            has with these options; None: it always has the same. See ``resolved``.
        verify: ``verify(options)`` raises RequestError unless its files are complete and right with
            these options, and gives where they are; None: no option says anything of files.
        summarize: ``summarize(options)`` tells in lines of text what the files of ``verify`` hold.
        examples: How many it has, as its authors or DomainBed's count them; 0: not known.
        decodes: Whether these are image files, which are decoded into the cache.
        apart: Indices of the environments that nothing can be trained on; ``each`` means those.
        scores: What its authors report of a classifier, if that is more than accuracies.
        published: Its authors published the splits: no test environments are chosen.
        own: An option names files of the user's own, so ``Table(mails)`` is a ``Table``, too.
    """

    name: str
    environments: tuple[str, ...]
    num_classes: int
    build: Callable[..., Dataset]
    options: Mapping[str, Any] = field(default_factory=dict)
    shift: Literal["correlation", "diversity", "subpopulation", ""] = ""
    metric: str = "accuracy"
    summary: str = ""
    layout: str = ""
    licence: str = ""
    citation: str = ""
    source: Source | None = None
    resolve: "Callable[[Mapping[str, Any]], DatasetSpec] | None" = None
    verify: Callable[[Mapping[str, Any]], Path] | None = None
    summarize: Callable[[Mapping[str, Any]], list[str]] | None = None
    examples: int = 0
    decodes: bool = False
    apart: tuple[int, ...] = ()
    scores: Scores | None = None
    own: bool = False

    @property
    def needs_files(self) -> bool:
        """Whether only its files say which environments it has."""
        return self.published and not self.environments

    @property
    def listing(self) -> str:
        """Its environments, each with its index."""
        return ", ".join(f"{i} = {name}" for i, name in enumerate(self.environments))

    def trained(self, test_environments: tuple[int, ...]) -> int:
        """How many environments are left to train on."""
        return len({*range(len(self.environments))} - {*self.apart, *test_environments})

    published: bool = False

    def resolved(self, options: Mapping[str, Any]) -> "DatasetSpec":
        """This dataset with the environments and classes that it has with these options.

        Raises:
            RequestError: If they hang on files that are not there.
        """
        return self if self.resolve is None else self.resolve(options)

    def load(self, options: Mapping[str, Any], data_seed: int) -> Dataset:
        """Build the dataset with ``options`` in place of the defaults.

        Raises:
            UnknownNameError: If it has no such option.
        """
        self.check_options(options)
        return self.build(data_seed=data_seed, **{**self.options, **options})

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise UnknownNameError if it has no such option."""
        for name in options:
            if name not in self.options:
                raise UnknownNameError("option", name, self.options, where=self.name)

    def check_test_environments(self, indices: tuple[int, ...]) -> None:
        """Raise RequestError unless ``indices`` leave at least one environment to train on."""
        if self.published:
            if indices:
                raise RequestError(
                    f"{self.name} has published splits, so no test environments are chosen: leave "
                    f"test_environments out, in place of {list(indices)}."
                )
            return
        last = len(self.environments) - 1
        if (
            not indices
            or len(set(indices)) < len(indices)
            or not set(indices) <= {*range(last + 1)}
        ):
            raise RequestError(
                f"{self.name}: test_environments needs different indices between 0 and {last}, "
                f"but got {list(indices)}. Its environments are {self.listing}."
            )
        if not self.trained(indices):
            raise RequestError(
                f"{self.name}: test_environments {list(indices)} leaves none to train on. "
                f"Its environments are {self.listing}."
            )


def _of_own_name(name: str) -> DatasetSpec | None:
    """``Table(mails)`` is ``Table`` under a name that tells its files from others; else None."""
    parts = re.fullmatch(r"(\w+)\([A-Za-z0-9][\w.-]*\)", name)
    kind = next((spec for spec in DATASETS if parts and spec.name == parts[1] and spec.own), None)
    if kind is None:
        return None
    return replace(kind, name=name, resolve=lambda given: replace(kind.resolved(given), name=name))


DATASETS: Registry[DatasetSpec] = Registry("dataset", find=_of_own_name)
"""Filled by entry points: see ``domainbed_adapters``."""


def source_named(name: str) -> Source:
    """The files called ``name``, or those that the dataset ``name`` needs.

    Raises:
        RequestError: If that dataset needs none.
        UnknownNameError: If there is neither.
    """
    sources = {spec.name: spec.source for spec in DATASETS}
    sources |= {source.name: source for source in sources.values() if source is not None}
    if name not in sources:
        raise UnknownNameError("dataset", name, sources)
    source = sources[name]
    if source is None:
        raise RequestError(f"{name} needs no files: it comes with an installed package.")
    return source
