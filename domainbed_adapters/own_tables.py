"""Table: a CSV or Parquet file of one's own, a row an example."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from domainbed_adapters.image_folders import split_parts
from domainbed_adapters.table_inputs import IMAGE_OPTIONS, TEXT_OPTIONS, images_of, texts_of
from domainbed_adapters.tables import Column, Grouping, Table, assemble, environments_of
from domainbed_adapters.wilds_checks import check_ends, check_images
from oodbench.data import Dataset, DatasetSpec, Environment, Rows, Split, data_roots
from oodbench.errors import RequestError

if TYPE_CHECKING:
    import pandas as pd

NAME = "Table"
SPLITS = ("train", "id_val", "id_test", "ood_val", "ood_test")
"""What the column ``split`` may say: the role of the example."""
ITEMS = ("text", "image")
NEEDS = (
    "It needs the columns label, environment and text or image (a path from the file's folder), "
    f"and may have split: {', '.join(SPLITS)}"
)


def find(file: Any) -> Path:
    """The file of that name under a data folder of this machine, or at that path.

    Raises:
        RequestError: If there is none.
    """
    if not isinstance(file, str) or not file:
        raise RequestError(
            f"{NAME} needs file: a CSV or Parquet file in a data folder; got {file!r}."
        )
    roots = data_roots()
    for root in roots:
        if (root / file).is_file():
            return root / file
    looked = " or ".join(map(str, roots)) or "no data folder: name one with --root"
    raise RequestError(f"{NAME}: there is no file {file!r} in {looked}.")


def read(file: Any) -> Table:
    """The table, checked.

    Raises:
        RequestError: If the file cannot be read, or lacks a column or a value.
    """
    path = find(file)
    return _read(path, path.stat().st_mtime_ns, path.stat().st_size)


@lru_cache(maxsize=2)
def _read(path: Path, *changed: int) -> Table:
    frame = _frame(path)
    items = [name for name in ITEMS if name in frame.columns]
    absent = [name for name in ("label", "environment") if name not in frame.columns]
    if absent or len(items) != 1:
        raise RequestError(f"{NAME}: {path} has the columns {', '.join(frame.columns)}. {NEEDS}.")
    if frame.empty:
        raise RequestError(f"{NAME}: {path} has no rows. {NEEDS}.")
    for name in frame.columns:
        empty = frame[name].isna() | ((frame[name] == "") & (name != "text"))
        if empty.any():
            raise RequestError(
                f"{NAME}: {path} has no {name} in row {int(empty.to_numpy().argmax()) + 1} of "
                f"{len(frame)} ({empty.sum()} in all); fill it in, or leave the row out."
            )
    split = frame["split"] if "split" in frame.columns else frame["label"].map(lambda _: "train")
    wrong = ~split.isin(SPLITS)
    if wrong.any():
        raise RequestError(
            f"{NAME}: {path} has split = {split[wrong].iloc[0]!r} in row "
            f"{int(wrong.to_numpy().argmax()) + 1}; it may be {', '.join(SPLITS)}."
        )
    labels = Column.of(_as_numbers(frame["label"]))
    table = Table(
        NAME,
        path.parent,
        tuple(frame[items[0]]),
        labels.codes,
        {name: np.flatnonzero(split == name) for name in SPLITS if (split == name).any()},
        {
            "label": labels,
            **{
                name: Column.of(_as_numbers(frame[name]))
                for name in frame.columns
                if name not in (*items, "label", "split")
            },
        },
        len(labels.names),
    )
    _check(table, path, labels)
    stem = re.sub(r"\W+", "-", path.stem)  # it names files of the cache
    return replace(table, name=f"{NAME}-{stem}-{items[0]}s")


def _frame(path: Path) -> "pd.DataFrame":
    """All columns as texts."""
    import pandas as pd

    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path).astype(str)
        header = pd.read_csv(path, header=None, nrows=1, dtype=str, keep_default_na=False)
        twice = header.iloc[0][header.iloc[0].duplicated()].tolist()
        if twice:  # pandas would give the second another name
            raise RequestError(f"{NAME}: {path} has the column {twice[0]} twice; remove one.")
        return pd.read_csv(path, dtype=str, keep_default_na=False)
    except ImportError as error:
        raise RequestError(
            f"{NAME}: Parquet files need pyarrow: pip install 'oodbench[parquet]'."
        ) from error
    except (ValueError, OSError) as error:
        told = str(error).strip()
        raise RequestError(f"{NAME}: {path} cannot be read: {told}.") from error


def _as_numbers(values: "pd.Series[str]") -> Any:
    """Whole numbers, if all are: 10 comes after 9 then."""
    try:
        return values.astype(int).to_numpy()
    except ValueError:
        return values.to_numpy(str)


def _check(table: Table, path: Path, labels: Column) -> None:
    if "train" not in table.splits:
        raise RequestError(f"{NAME}: {path} has no example whose split is train.")
    unseen = set(range(table.num_classes)) - set(table.labels[table.splits["train"]].tolist())
    if unseen:
        names = ", ".join(labels.names[code] for code in sorted(unseen))
        raise RequestError(
            f"{NAME}: {path} has labels that no training example has: {names}. Mend them, or "
            "leave those rows out."
        )
    if table.num_classes < 2:
        raise RequestError(f"{NAME}: {path} has one label only, {labels.names[0]}.")


def is_published(table: Table) -> bool:
    """Whether the file says which example is in which split."""
    return set(table.splits) != {"train"}


def worst_of(table: Table) -> dict[str, str]:
    """Without an example out of distribution, the worst group stands for it."""
    return {} if "ood_test" in table.splits else {"id_test": "ood_test"}


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the file has."""
    table = read(options.get("file"))
    names = tuple(environments_of(table, ("environment",)))
    published = is_published(table)
    return replace(
        SPEC,
        environments=names,
        num_classes=table.num_classes,
        published=published,
        shift="subpopulation" if published and worst_of(table) else "",
    )


def verify(options: Mapping[str, Any]) -> Path:
    """The file, if it is right and every image that it lists is there and has its end."""
    table = read(options.get("file"))
    if table.name.endswith("images"):
        check_images(table.root, table.items, NAME)
        check_ends(table.root, table.items, NAME)
    return find(options.get("file"))


def build(
    data_seed: int,
    file: Any,
    groups: Any,
    size: int,
    corrupt: Any,
    words: int,
    encoder: Any,
    length: Any,
    holdout: float,
) -> Dataset:
    """The examples of that file."""
    table = read(file)
    if not isinstance(groups, str):
        raise RequestError(f"{NAME}: groups must be columns joined by +, not {groups!r}.")
    if groups != SPEC.options["groups"] and not is_published(table):
        raise RequestError(
            f"{NAME}: groups {groups!r} are of the worst-group accuracy, which only published "
            "splits are scored by. Give the file a column split, or leave groups out."
        )
    fields = tuple(part.strip() for part in groups.split("+") if part.strip())
    parts = None if is_published(table) else _parts(table, holdout, data_seed)
    train = table.splits["train"]
    if parts is not None:  # any of them may be trained on
        train = np.sort(np.concatenate([mine["train"] for mine in parts.values()]))
    if table.name.endswith("images"):
        inputs, table, content = images_of(table, size, corrupt)
        encoder = ""
    else:
        inputs, content = texts_of(table, train, words, encoder, length)
    if parts is None:
        roles = {name: name for name in table.splits if name != "train"}
        grouping = Grouping(fields)
        data = assemble(table, inputs, content, ("environment",), roles, grouping, worst_of(table))
        return replace(data, name=NAME, tokens=encoder)
    kept = table.splits["train"]
    environments = tuple(
        Environment(
            name,
            {
                part: Split(Rows(inputs, rows), table.labels[rows])
                for part, mine in splits.items()
                for rows in [mine[np.isin(mine, kept)]]
            },
        )
        for name, splits in parts.items()
    )
    return Dataset(NAME, environments, table.num_classes, content=content, tokens=encoder)


def _parts(table: Table, holdout: float, data_seed: int) -> dict[str, dict[str, Any]]:
    """Each environment's examples, divided as those of image folders are."""
    return {
        name: split_parts(rows, holdout, NAME, data_seed, name)
        for name, rows in environments_of(table, ("environment",)).items()
    }


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={
        **{"file": "", "groups": "environment", "holdout": 0.2},
        **IMAGE_OPTIONS,
        **TEXT_OPTIONS,
    },
    summary="A CSV or Parquet file of your own: a row an example, a text or the path of an image.",
    layout="FILE under a data folder, with the columns text or image, label, environment, split.",
    licence="Yours.",
    resolve=resolve,
    verify=verify,
)
REGISTER = [SPEC]
