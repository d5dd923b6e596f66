"""Files of features that another network gave, with the label and environment of each example.

Numbers and texts are all that is read: nothing in a file is ever run.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from domainbed_adapters.own_files import sought
from domainbed_adapters.table_reading import check_fields, readable
from oodbench.errors import RequestError

NAME = "Embeddings"
FEATURES = "features"
KEYS = ("label", "environment", "split")
"""Beside the features: one of each example; ``split`` may be left out."""
NEEDS = (
    "It needs features, (n, d) numbers, label and environment, n each, and may have split: a .npz "
    "file has an array of each; a .npy file has the features, and a .csv file of the same name "
    "beside it has the others as columns; a .parquet file has all as columns, that of features one "
    "of lists"
)
FILE = "a .npz, .npy or .parquet file in a data folder"
"""What the option ``file`` is."""


def find(file: Any) -> Path:
    """The file of that name under a data folder of this machine, or at that path.

    Raises:
        RequestError: If there is none.
    """
    return sought(NAME, "file", file, FILE)


def read_arrays(path: Path) -> tuple[NDArray[np.float32], Mapping[str, NDArray[Any]]]:
    """The (n, d) features, and by its name what else there is of each example.

    Raises:
        RequestError: If the file cannot be read, or its arrays do not fit together.
    """
    readers = {".npz": _npz, ".npy": _npy, ".parquet": _parquet}
    if path.suffix not in readers:
        other = "dataset Table reads it" if path.suffix == ".csv" else "save it with numpy.savez"
        raise RequestError(f"{NAME}: {path} is no .npz, .npy or .parquet file; {other}.")
    with readable(NAME, path):
        arrays = readers[path.suffix](path)
    features = arrays.pop(FEATURES)
    checked = _features(path, features)
    for name, array in arrays.items():
        _check_shape(path, name, array, len(checked))
    return checked, arrays


def _loaded(path: Path, **how: Any) -> Any:
    """What numpy reads of a file, if that takes no code of the file's own."""
    with path.open("rb") as file:
        start = file.read(6)
    if not start.startswith((b"PK", b"\x93NUMPY")):
        raise ValueError("it was not written by numpy")
    try:
        return np.load(path, allow_pickle=False, **how)
    except ValueError as error:
        raise _refused(path, error) from error


def _refused(path: Path, error: ValueError) -> Exception:
    """The error of numpy, or a better one where a file has Python objects."""
    if "object" not in str(error).lower():
        return error
    return RequestError(
        f"{NAME}: {path} holds Python objects, which only running code of the file would give. "
        "Save texts and numbers: np.asarray(labels, dtype=str), features.astype('f4')."
    )


def _named(path: Path, there: Sequence[str]) -> dict[str, str]:
    """What each of our names is called in a file: as we call it, or in the plural."""
    found = {}
    for name in (FEATURES, *KEYS):
        called = [known for known in dict.fromkeys((name, f"{name}s")) if known in there]
        if len(called) > 1:
            raise RequestError(f"{NAME}: {path} has both {' and '.join(called)}; remove one.")
        if called:
            found[name] = called[0]
    absent = [name for name in (FEATURES, *KEYS[:2]) if name not in found]
    if absent:
        raise RequestError(
            f"{NAME}: {path} has {', '.join(there) or 'nothing'}, but no {absent[0]}. {NEEDS}."
        )
    return found


def _npz(path: Path) -> dict[str, NDArray[Any]]:
    with _loaded(path) as arrays:
        named = _named(path, arrays.files)
        try:
            return {name: arrays[called] for name, called in named.items()}
        except ValueError as error:
            raise _refused(path, error) from error


def _npy(path: Path) -> dict[str, NDArray[Any]]:
    import pandas as pd

    beside = path.with_suffix(".csv")
    if not beside.is_file():
        raise RequestError(f"{NAME}: there is no {beside} beside {path}. {NEEDS}.")
    features = _loaded(path, mmap_mode="r")
    rows = pd.read_csv(beside, dtype=str, keep_default_na=False)
    check_fields(NAME, beside, rows)
    named = _named(beside, [FEATURES, *rows.columns])
    others = {name: rows[named[name]].to_numpy(str) for name in KEYS if name in named}
    return {FEATURES: features, **others}


def _parquet(path: Path) -> dict[str, NDArray[Any]]:
    import pyarrow
    import pyarrow.parquet

    named = _named(path, pyarrow.parquet.read_schema(path).names)
    table = pyarrow.parquet.read_table(path, columns=list(named.values())).combine_chunks()
    features = table[named[FEATURES]].combine_chunks()
    if not any(
        kind(features.type)
        for kind in (
            pyarrow.types.is_list,
            pyarrow.types.is_large_list,
            pyarrow.types.is_fixed_size_list,
        )
    ):
        raise RequestError(
            f"{NAME}: {path} has {features.type} in {named[FEATURES]}, not lists of numbers. "
            "Columns of single numbers are for the dataset Table."
        )
    lengths = features.value_lengths().fill_null(-1).to_numpy(zero_copy_only=False)
    most = int(lengths.max(initial=0))
    odd = np.flatnonzero(lengths != most)
    if len(odd):
        raise RequestError(
            f"{NAME}: {path} has {max(int(lengths[odd[0]]), 0)} numbers in {named[FEATURES]} in "
            f"row {odd[0] + 1} ({len(odd):,} such rows), but {most} in others. Each example needs "
            "as many."
        )
    numbers = features.flatten().to_numpy(zero_copy_only=False)
    found = {FEATURES: numbers.reshape(len(features), -1)}
    for name in KEYS:
        if name in named:
            values = table[named[name]].to_pandas()
            found[name] = values.astype(str).mask(values.isna(), "").to_numpy(str)
    return found


def _features(path: Path, array: NDArray[Any]) -> NDArray[np.float32]:
    """The features as float32, if they are (n, d) finite numbers."""
    if array.dtype.kind not in "fiu":
        raise RequestError(
            f"{NAME}: {path} has features of type {array.dtype}; save numbers: "
            "np.asarray(features, dtype='f4')."
        )
    if array.ndim != 2 or 0 in array.shape:
        fix = "features.reshape(len(features), -1)" if array.ndim > 2 else "a row an example"
        raise RequestError(
            f"{NAME}: {path} has features of shape {array.shape}; they must be (n, d): {fix}."
        )
    with np.errstate(over="ignore"):
        features = np.ascontiguousarray(array, dtype=np.float32)
    wrong = ~(np.isfinite(features.min(axis=1)) & np.isfinite(features.max(axis=1)))
    if wrong.any():
        row = int(wrong.argmax())
        column = int((~np.isfinite(features[row])).argmax())
        raise RequestError(
            f"{NAME}: {path} has {array[row, column]} in row {row + 1}, feature {column + 1} "
            f"({wrong.sum():,} such rows), which is no finite number in float32. Leave such rows "
            "out, or find out where the network gave them."
        )
    return features


def _check_shape(path: Path, name: str, array: NDArray[Any], n: int) -> None:
    """Raise RequestError unless there is one for each of n examples."""
    if array.shape == (n,):
        return
    fix = "Each example needs one"
    if array.ndim == 2 and array.shape[0] == n:
        fix = f"Save {name}.ravel()" if array.shape[1] == 1 else f"Save {name}.argmax(axis=1)"
    raise RequestError(
        f"{NAME}: {path} has {name} of shape {array.shape}, but {n:,} rows of features. {fix}."
    )


def as_texts(path: Path, name: str, array: NDArray[Any]) -> NDArray[np.str_]:
    """(n,) names, or whole numbers as texts; empty: it is missing.

    Raises:
        RequestError: If they are neither.
    """
    if array.dtype.kind == "S":
        return np.char.decode(array, "utf-8")
    if array.dtype.kind == "f":
        missing = np.isnan(array)
        if np.isinf(array).any():
            row = int(np.isinf(array).argmax())
            raise RequestError(
                f"{NAME}: {path} has {name} = {array[row]} in row {row + 1}; fix it, or leave "
                "such rows out."
            )
        known = array[~missing]
        whole = bool((known % 1 == 0).all() and (np.abs(known) < 2**53).all())
        texts = (np.where(missing, 0, array).astype(np.int64) if whole else array).astype(str)
        return np.where(missing, "", texts)
    if array.dtype.kind in "biuU":
        return array.astype(str)
    raise RequestError(
        f"{NAME}: {path} has {name} of type {array.dtype}; save whole numbers or names: "
        f"np.asarray({name}, dtype=str)."
    )
