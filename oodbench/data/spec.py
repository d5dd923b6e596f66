"""Datasets that can be asked for by name: what is known of them before any file is read."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from oodbench.data.dataset import Dataset, named_or_all
from oodbench.data.sources import Source
from oodbench.errors import RequestError, UnknownNameError, check_name
from oodbench.registry import Registry


class Predict(Protocol):
    """A classifier of images, as a dataset's own scores call it."""

    def __call__(
        self, images: NDArray[np.uint8], counts_as: NDArray[np.int64] | None = None, /
    ) -> NDArray[np.int64]:
        """(n, 3, height, width) images to (n,) labels.

        Args:
            images: See above.
            counts_as: See ``oodbench.data.Environment``.
        """


@dataclass(frozen=True)
class Scores:
    """What a dataset's authors report of any classifier, whoever trained it.

    Attributes:
        measure: ``measure(predict, size, slow)`` gives score -> (value, number of examples);
            ``slow`` asks for those that take long, too.
        of_imagenet: Gives the (1000,) labels of ImageNet-1k's classes; -1: a wrong answer.
        mean, std: Mean and standard deviation of each channel of images in [0, 1], for models of
            the dataset's own classes.
    """

    measure: Callable[[Predict, int, bool], Mapping[str, tuple[float, int]]]
    of_imagenet: Callable[[], NDArray[np.int64]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset that can be asked for by name.

    Attributes:
        name: Name in sweep files.
        environments: Names of the environments, in order.
        num_classes: Size of the label set.
        build: ``build(data_seed=..., **options)`` gives the Dataset; the same every time.
        options: Every option with its default.
        shift: ``correlation`` or ``diversity`` shift, as ``oodbench shift`` measures it, or as Ye
            et al. 2022 (OoD-Bench) published it; ``subpopulation`` shift, where nothing is out of
            distribution but the shares of the groups; empty if it is not known.
        metric: Name of the official metric.
        summary: One sentence.
        layout: Where the examples come from.
        licence: Licence of the data.
        citation: Whom to cite.
        source: The files that it needs; None if it comes with a package, or an option names them.
        check: ``check(options)`` raises RequestError unless each option, of all of them, is what it
            must be; it reads no file.
        resolve: ``resolve(options)`` gives this dataset with the environments and classes that it
            has with these options; None: it always has the same. See ``resolved``.
        verify: ``verify(options)`` raises RequestError unless its files are complete and right with
            these options, and gives where they are; None: no option says anything of files.
        summarize: ``summarize(options)`` lists in lines of text what the files of ``verify`` hold.
        examples: How many it has, as its authors or DomainBed's count them; 0: not known.
        decodes: Whether these are image files, which are decoded into the cache.
        apart: Indices of the environments that nothing can be trained on.
        targets: The environments that trials are tested on, each by itself; one training serves
            all. ``each`` trains anew for each of them.
        mean_of_targets: Whether its authors report the mean over all targets, so that it is ``ood``
            where a trial is tested on several. Else each has its own OOD accuracy alone.
        scores: What its authors report of a classifier, if that is more than accuracies.
        own: An option names files of the user's own, so ``Table(mails)`` is a ``Table``, too.
        published: Its authors published the splits: no test environments are chosen.
        wilds: What the package wilds calls it; empty: it is none of its datasets.
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
    check: Callable[[Mapping[str, Any]], None] = lambda options: None
    resolve: "Callable[[Mapping[str, Any]], DatasetSpec] | None" = None
    verify: Callable[[Mapping[str, Any]], Path] | None = None
    summarize: Callable[[Mapping[str, Any]], list[str]] | None = None
    examples: int = 0
    decodes: bool = False
    apart: tuple[int, ...] = ()
    targets: tuple[int, ...] = ()
    mean_of_targets: bool = False
    scores: Scores | None = None
    own: bool = False
    published: bool = False
    wilds: str = ""

    @property
    def needs_files(self) -> bool:
        """Whether only its files say which environments it has."""
        return self.published and not self.environments

    @property
    def listing(self) -> str:
        """The dataset's environments, each with its index."""
        return ", ".join(f"{i} = {name}" for i, name in enumerate(self.environments))

    def trained(self, test_environments: tuple[int, ...]) -> int:
        """How many environments are left to train on."""
        return len({*range(len(self.environments))} - {*self.apart, *test_environments})

    def tested_on(self, test_environments: tuple[int, ...]) -> tuple[int, ...]:
        """Indices of the targets that a trial with these test environments is tested on."""
        return named_or_all(self.targets, test_environments)

    def indices(self, given: Sequence[int | str]) -> tuple[int, ...]:
        """Environments by their indices, of which some may be given by name.

        Raises:
            UnknownNameError: If no environment is called so.
        """
        for name in given:
            if isinstance(name, str):
                check_name(f"environment of {self.name}", name, self.environments)
        return tuple(self.environments.index(i) if isinstance(i, str) else i for i in given)

    def resolved(self, options: Mapping[str, Any]) -> "DatasetSpec":
        """This dataset with the environments and classes that it has with these options.

        Raises:
            RequestError: If they depend on files that are not there.
        """
        return self if self.resolve is None else self.resolve(options)

    def load(self, options: Mapping[str, Any], data_seed: int) -> Dataset:
        """Build the dataset with ``options`` in place of the defaults.

        Raises:
            RequestError: If it has no such option, or one is not what it must be.
        """
        self.check_options(options)
        dataset = self.build(data_seed=data_seed, **{**self.options, **options})
        return replace(dataset, mean_of_targets=True) if self.mean_of_targets else dataset

    def check_options(self, options: Mapping[str, Any]) -> None:
        """Raise RequestError if it has no such option, or one is not what it must be."""
        for name in options:
            if name not in self.options:
                raise UnknownNameError("option", name, self.options, where=self.name)
        self.check({**self.options, **options})

    def check_test_environments(self, indices: tuple[int, ...]) -> None:
        """Raise RequestError unless ``indices`` leave at least one environment to train on.

        A dataset with targets may be asked for without test environments.
        """
        if self.published:
            if indices:
                raise RequestError(
                    f"{self.name} has published splits, so no test environments are chosen: leave "
                    f"test_environments out, in place of {list(indices)}."
                )
            return
        last = len(self.environments) - 1
        if (
            not (indices or self.targets)
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
    """``Table(mails)`` is ``Table`` under a name for its own files; else None."""
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
