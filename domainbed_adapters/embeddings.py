"""Embeddings: your own features, which another network gave, to train heads on."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.duplicates import check_duplicates, refuse_leaks, repeat_lines, report
from domainbed_adapters.embedding_files import FILE, NAME, as_texts, find, read_arrays
from domainbed_adapters.image_folders import check_holdout
from domainbed_adapters.own_files import OWN, check_named
from domainbed_adapters.own_splits import as_dataset, held_out, resolved, summary_lines
from domainbed_adapters.table_duplicates import repeats_in, row, same_numbers
from domainbed_adapters.table_files import table_of
from domainbed_adapters.table_values import MENDING, Reading
from domainbed_adapters.tables import Table
from oodbench.data import Dataset, DatasetSpec, Stored
from oodbench.data.columns import Columns
from oodbench.errors import RequestError

ROW = "embedding"
"""What messages call an example."""


@dataclass(frozen=True, eq=False)
class Features:
    """What a file has: (n, d) features, a table of what they are of, and the features' hash."""

    features: NDArray[np.float32]
    table: Table
    content: str


def features_of(options: Mapping[str, Any]) -> Features:
    """The features that the options name, checked.

    Raises:
        RequestError: If the file cannot be read, lacks something, or has what is no class.
    """
    path = find(options.get("file"))
    beside = path.with_suffix(".csv")
    files = [path, beside] if path.suffix == ".npy" and beside.is_file() else [path]
    changed = (n for file in files for n in (file.stat().st_mtime_ns, file.stat().st_size))
    return _read(path, Reading.of(NAME, options), *changed)


@lru_cache(maxsize=2)
def _read(path: Path, reading: Reading, *changed: int) -> Features:
    import pandas as pd

    features, arrays = read_arrays(path)
    texts = {name: as_texts(path, name, array) for name, array in arrays.items()}
    table = table_of(NAME, path, pd.DataFrame(texts), reading)
    return Features(features, table, hashlib.sha256(features.data).hexdigest())


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options are what they must be."""
    check_named(NAME, "file", options["file"], FILE)
    Reading.of(NAME, options)
    check_duplicates(NAME, options["duplicates"])
    check_holdout(NAME, options["holdout"])
    if type(options["standardise"]) is not bool:
        raise RequestError(
            f"{NAME}: standardise must be true or false, not {options['standardise']!r}."
        )


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the file has."""
    return resolved(SPEC, features_of(options).table)


def verify(options: Mapping[str, Any]) -> Path:
    """The file, if it is right.

    Raises:
        RequestError: If not, or if an example may be trained and tested on.
    """
    found, chosen = features_of(options), {**SPEC.options, **options}
    twice = repeats_in(found.table, same_numbers(found.features))
    refuse_leaks(f"{NAME}: {chosen['file']}", ROW, twice, row, chosen["duplicates"])
    return find(chosen["file"])


def summarize(options: Mapping[str, Any]) -> list[str]:
    """How many features it has, its classes, and the rows of each split and environment."""
    found = features_of(options)
    classes, *others = summary_lines(found.table)
    odd = repeat_lines(ROW, repeats_in(found.table, same_numbers(found.features)), row)
    return [classes, f"  {found.features.shape[1]} features", *others, *odd]


def build(data_seed: int, **options: Any) -> Dataset:
    """The examples of that file."""
    found = features_of(options)
    inputs: Stored = found.features
    width = found.features.shape[1]
    plain = Columns(tuple(map(str, range(width))), (0,) * width, (False,) * width)
    parts = held_out(NAME, found.table, options["holdout"], data_seed)
    twice = repeats_in(found.table, same_numbers(found.features), parts or None)
    report(f"{NAME}: {options['file']}", ROW, twice, row, options["duplicates"])
    data = as_dataset(NAME, found.table, inputs, found.content, parts)
    columns, source = plain if options["standardise"] else None, f"{NAME} {found.content[:16]}"
    return replace(data, columns=columns, source=source)


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={
        **{"file": "", "standardise": False, "holdout": 0.2, "duplicates": "refuse"},
        **MENDING,
    },
    summary="Features of your own that another network gave: heads on them train in minutes.",
    layout="FILE under a data folder, .npz, .npy or .parquet: features, label, environment, split.",
    check=check,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC]
