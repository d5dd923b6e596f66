"""A dataset of WILDS as the package reads it: splits, labels and metadata, no examples yet."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from domainbed_adapters.table_inputs import check_inputs
from domainbed_adapters.tables import Column, Grouping, Table, check_labels, environments_of
from domainbed_adapters.wilds_checks import (
    GET,
    Sheet,
    check_ends,
    check_images,
    check_release,
    refuse_unknown,
)
from oodbench.data import Dataset, DatasetSpec, Source
from oodbench.errors import RequestError, UnknownNameError

PUBLISHED = "published"
ID_AND_OOD = {"id_val": "id_val", "id_test": "id_test", "val": "ood_val", "test": "ood_test"}
"""What the splits of a dataset with a shift of domains are; some lack one of them."""
SAME = {"val": "id_val", "test": "id_test"}
"""And under subpopulation shift: nothing is out of distribution but the shares of the groups."""


@dataclass(frozen=True, eq=False)
class Release:
    """One dataset of WILDS.

    Attributes:
        name: Name in sweep files.
        wilds: Name in the package wilds.
        version: Version of the release.
        sheets: Its CSV files; those that are ``aligned`` must have equally many rows.
        environments: The metadata fields whose values make the environments; no label.
        grouping: How it is scored.
        num_classes: Size of the label set of the real data.
        published: The fields of ``environments`` that WILDS' own IRM takes; none: the same ones.
        roles: Split -> role.
        items: What wilds read -> paths of images under the dataset's folder, or texts, in order.
        images: Whether the items are images.
        classes: A column of the first sheet, and where wilds' module lists what may be in it.
        aligned: Sheets with equally many rows, as files.
    """

    name: str
    wilds: str
    version: str
    sheets: tuple[Sheet, ...]
    environments: tuple[str, ...]
    grouping: Grouping
    num_classes: int
    published: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=lambda: ID_AND_OOD)
    items: Callable[[Any], Sequence[str]] = lambda found: found._input_array
    images: bool = True
    classes: tuple[str, str] = ("", "")
    aligned: bool = False

    @property
    def folder(self) -> str:
        """The name of the dataset's folder."""
        return f"{self.wilds}_v{self.version}"

    @property
    def worst(self) -> dict[str, str]:
        """Split -> the role of its worst group, where that is all that is out of distribution."""
        return {"test": "ood_test"} if self.roles == SAME else {}

    def fields(self, environments: Any) -> tuple[str, ...]:
        """The metadata fields that the option ``environments`` names."""
        if environments == PUBLISHED:
            return self.published or self.environments
        if not isinstance(environments, str) or not environments:
            raise RequestError(
                f"{self.name}: environments must be {PUBLISHED} or metadata fields joined by +, "
                f"such as {'+'.join(self.environments)}, not {environments!r}."
            )
        return tuple(part.strip() for part in environments.split("+"))

    def read(self, root: Path, released: bool = True) -> Table:
        """The whole table, checked.

        Args:
            root: A data folder.
            released: The release file must be there.

        Raises:
            RequestError: If a file is missing or damaged, or a label is none: which one.
        """
        folder = root / self.folder
        check_release(folder, self.version, self.name, released)
        rows = [sheet.check(folder, self.name) for sheet in self.sheets]
        if self.aligned and len(set(rows)) > 1:
            row_counts = ", ".join(f"{s.file} {n}" for s, n in zip(self.sheets, rows, strict=True))
            raise RequestError(
                f"{self.name}: the files in {folder} must have equally many rows, but have: "
                f"{row_counts}. One of them is cut short; get it again."
            )
        table = self._read(root, released)
        check_labels(table)
        return table

    def _read(self, root: Path, released: bool) -> Table:
        from domainbed_adapters.wilds_compat import compatible, load

        folder = root / self.folder
        column, known = self.classes
        if column:
            with compatible(self.wilds) as module:
                allowed = getattr(module, known)
            refuse_unknown(folder / self.sheets[0].file, column, allowed, self.name)
        try:
            found = load(self.wilds, root, released=released)
            items = tuple(str(item) for item in self.items(found))
        except (AssertionError, KeyError, TypeError, ValueError, OSError) as error:
            raise RequestError(
                f"{self.name}: wilds cannot read {folder}: {type(error).__name__}: "
                f"{str(error) or 'labels and groups must be numbered from 0 without a gap'}. "
                "Get the files again."
            ) from error
        split_of = np.asarray(found.split_array).astype(np.int64)
        return Table(
            self.name,
            folder,
            items,
            found.y_array.numpy().astype(np.int64),
            {name: np.flatnonzero(split_of == code) for name, code in found.split_dict.items()},
            _columns(found),
            int(found.n_classes),
        )

    def check(self, root: Path, released: bool = True) -> None:
        """Raise RequestError unless everything is there and right under this data folder."""
        table = self.read(root, released).only(["train", *self.roles])
        if self.images:
            check_images(table.root, table.items, self.name)
            check_ends(table.root, table.items, self.name)

    def table(self, released: bool) -> Table:
        """The examples of the splits that are used, from the data folder of this machine."""
        root = self.source.find()
        files = [root / self.folder / sheet.file for sheet in self.sheets]
        times = tuple(file.stat().st_mtime_ns if file.is_file() else 0 for file in files)
        return _remembered(self, root, released, times)

    @property
    def source(self) -> Source:
        """The files that it needs."""
        return Source(self.name, self.folder, self.check, get=GET)

    def spec(
        self,
        build: Callable[..., Dataset],
        options: Mapping[str, Any],
        choices: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
        **about: Any,
    ) -> DatasetSpec:
        """The dataset that can be asked for by name.

        Args:
            build: See ``DatasetSpec.build``; is also given the release, first.
            options: Beside ``environments`` and ``release_file``.
            choices: Option -> the values that it may have.
            about: More of ``DatasetSpec``.
        """

        def resolve(given: Mapping[str, Any]) -> DatasetSpec:
            chosen = {**made.options, **given}
            table = self.table(is_required(self.name, chosen["release_file"]))
            names = environments_of(table, self.fields(chosen["environments"]))
            return replace(made, environments=tuple(names), num_classes=table.num_classes)

        def verify(given: Mapping[str, Any]) -> Path:
            chosen, root = {**made.options, **given}, self.source.find()
            self.check(root, is_required(self.name, chosen["release_file"]))
            return root / self.folder

        def check(given: Mapping[str, Any]) -> None:
            is_required(self.name, given["release_file"])
            self.fields(given["environments"])
            check_inputs(self.name, given)
            for name, known in choices.items():
                if given[name] not in known:
                    raise UnknownNameError(name, given[name], known, where=self.name)

        own = {"environments": "+".join(self.environments), "release_file": "required"}
        subpopulation = {"shift": "subpopulation"} if self.worst else {}
        made = DatasetSpec(
            self.name,
            (),
            self.num_classes,
            partial(build, self),
            options={**options, **own},
            metric=self.grouping.metrics[0],
            source=self.source,
            check=check,
            resolve=resolve,
            verify=verify,
            published=True,
            decodes=self.images,
            wilds=self.wilds,
            **{**subpopulation, **about},
        )
        return made


@lru_cache(maxsize=2)
def _remembered(release: Release, root: Path, released: bool, times: tuple[int, ...]) -> Table:
    return release.read(root, released).only(["train", *release.roles])


def _columns(found: Any) -> dict[str, Column]:
    """The metadata that wilds read, each field with the names of its values, in their order.

    The order in which wilds numbers them may differ between releases of numpy (Amazon's users).
    """
    known = found.metadata_map or {}
    columns = {}
    for field_, values in zip(found.metadata_fields, found.metadata_array.numpy().T, strict=True):
        if field_ == "from_source_domain":  # no sign of ID or OOD: it differs between datasets
            continue
        codes, inverse = np.unique(values.astype(np.int64), return_inverse=True)
        if field_ not in known:
            columns[field_] = Column(inverse.astype(np.int64), tuple(map(str, codes.tolist())))
            continue
        names = [
            str(known[field_][code]).strip() if code >= 0 else "unknown" for code in codes.tolist()
        ]
        columns[field_] = Column.of(np.array(names)[inverse])
    return columns


def is_required(name: str, release_file: Any) -> bool:
    """What the option ``release_file`` says."""
    if release_file not in ("required", "optional"):
        raise UnknownNameError("release_file", release_file, ("required", "optional"), where=name)
    return bool(release_file == "required")
