"""Embeddings: features of one's own that another network gave, to train heads on."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.class_labels import check_classes
from domainbed_adapters.embedding_files import NAME, find, read_arrays
from domainbed_adapters.own_files import OWN
from domainbed_adapters.own_splits import as_dataset, held_out, resolved, told
from domainbed_adapters.table_files import SPLITS
from domainbed_adapters.tables import Column, Table
from oodbench.data import Dataset, DatasetSpec, Stored
from oodbench.data.columns import Columns
from oodbench.errors import RequestError


@dataclass(frozen=True, eq=False)
class Features:
    """What a file has: (n, d) features, a table of what they are of, and the features' hash."""

    features: NDArray[np.float32]
    table: Table
    content: str


def features_of(file: Any) -> Features:
    """The features of a file, checked.

    Raises:
        RequestError: If it cannot be read, lacks something, or has what is no class.
    """
    path = find(file)
    beside = path.with_suffix(".csv")
    files = [path, beside] if path.suffix == ".npy" and beside.is_file() else [path]
    return _read(path, *(n for f in files for n in (f.stat().st_mtime_ns, f.stat().st_size)))


@lru_cache(maxsize=2)
def _read(path: Path, *changed: int) -> Features:
    features, arrays = read_arrays(path)
    texts = {name: _texts(path, name, array) for name, array in arrays.items()}
    splits = texts.pop("split", np.full(len(features), "train"))
    wrong = ~np.isin(splits, SPLITS)
    if wrong.any():
        row = int(wrong.argmax())
        raise RequestError(
            f"{NAME}: {path} has split = {str(splits[row])!r} in row {row + 1}; it may be "
            f"{', '.join(SPLITS)}."
        )
    check_classes(f"{NAME}: {path}", texts["label"])
    columns = {name: Column.of(_numbers(array)) for name, array in texts.items()}
    labels = columns["label"]
    stem = re.sub(r"\W+", "-", path.stem)
    table = Table(
        f"{NAME}-{stem}",
        path.parent,
        (),
        labels.codes,
        {name: np.flatnonzero(splits == name) for name in SPLITS if (splits == name).any()},
        columns,
        len(labels.names),
    )
    _check_labels(path, table, labels)
    return Features(features, table, hashlib.sha256(features.data).hexdigest())


def _texts(path: Path, name: str, array: NDArray[Any]) -> NDArray[np.str_]:
    """(n,) names, or whole numbers as texts, none of which is missing."""
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind == "f":
        missing = ~np.isfinite(array)
        whole = array[~missing] % 1 == 0
        if not missing.any() and whole.all():
            array = array.astype(np.int64)
    elif array.dtype.kind in "biuU":
        missing = np.char.strip(array.astype(str)) == ""
    else:
        raise RequestError(
            f"{NAME}: {path} has {name} of type {array.dtype}; save whole numbers or names: "
            f"np.asarray({name}, dtype=str)."
        )
    if missing.any():
        row = int(missing.argmax())
        raise RequestError(
            f"{NAME}: {path} has {name} = {str(array[row])!r} in row {row + 1} "
            f"({missing.sum():,} such rows); fill it in, or leave such rows out."
        )
    texts: NDArray[np.str_] = array.astype(str)
    return texts


def _numbers(texts: NDArray[np.str_]) -> NDArray[Any]:
    """Whole numbers, if all are: 10 comes after 9 then."""
    try:
        return texts.astype(np.int64)
    except ValueError:
        return texts


def _check_labels(path: Path, table: Table, labels: Column) -> None:
    if table.num_classes < 2:
        raise RequestError(f"{NAME}: {path} has one label only, {labels.names[0]}.")
    if "train" not in table.splits:
        raise RequestError(f"{NAME}: {path} has no example whose split is train.")
    unseen = set(range(table.num_classes)) - set(table.labels[table.splits["train"]].tolist())
    if unseen:
        names = ", ".join(labels.names[code] for code in sorted(unseen))
        raise RequestError(
            f"{NAME}: {path} has labels that no training example has: {names}. Mend them, or "
            "leave those rows out."
        )


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the file has."""
    return resolved(SPEC, features_of(options.get("file")).table)


def verify(options: Mapping[str, Any]) -> Path:
    """The file, if it is right."""
    return find(options.get("file")) if features_of(options.get("file")) else Path()


def summarize(options: Mapping[str, Any]) -> list[str]:
    """How many features it has, its classes, and the rows of each split and environment."""
    found = features_of(options.get("file"))
    classes, *others = told(found.table)
    return [classes, f"  {found.features.shape[1]} features", *others]


def build(data_seed: int, file: Any, standardise: Any, holdout: float) -> Dataset:
    """The examples of that file."""
    if type(standardise) is not bool:
        raise RequestError(f"{NAME}: standardise must be true or false, not {standardise!r}.")
    found = features_of(file)
    inputs: Stored = found.features
    width = found.features.shape[1]
    plain = Columns(tuple(map(str, range(width))), (0,) * width, (False,) * width)
    parts = held_out(NAME, found.table, holdout, data_seed)
    data = as_dataset(NAME, found.table, inputs, found.content, parts)
    return replace(
        data, columns=plain if standardise else None, source=f"{NAME} {found.content[:16]}"
    )


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={"file": "", "standardise": False, "holdout": 0.2},
    summary="Features of your own that another network gave: heads on them train in minutes.",
    layout="FILE under a data folder, .npz, .npy or .parquet: features, label, environment, split.",
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC]
