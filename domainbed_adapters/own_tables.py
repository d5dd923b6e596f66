"""Table: a CSV or Parquet file of one's own, a row an example."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from domainbed_adapters.duplicates import check_duplicates, refuse_leaks, repeat_lines, report
from domainbed_adapters.image_cache import digests_of
from domainbed_adapters.image_folders import check_holdout, split_parts
from domainbed_adapters.own_files import OWN, check_named
from domainbed_adapters.summaries import (
    lacking,
    told_alone,
    told_classes,
    told_environments,
    told_skipped,
    told_splits,
)
from domainbed_adapters.table_duplicates import (
    check_emptied,
    repeats_in,
    row,
    same_rows,
    what_of,
)
from domainbed_adapters.table_files import FILE, NAME, check_there, find, read
from domainbed_adapters.table_inputs import (
    IMAGE_OPTIONS,
    TEXT_OPTIONS,
    check_inputs,
    hash_of_items,
    images_of,
    texts_of,
    tree_of,
)
from domainbed_adapters.table_values import MENDING, Reading
from domainbed_adapters.tables import Grouping, Table, assemble, environments_of
from oodbench.data import Dataset, DatasetSpec, Environment
from oodbench.errors import RequestError


def is_published(table: Table) -> bool:
    """Whether the file says which example is in which split."""
    return set(table.splits) != {"train"}


def worst_of(table: Table) -> dict[str, str]:
    """Without an example out of distribution, the worst group stands for it."""
    return {} if "ood_test" in table.splits else {"id_test": "ood_test"}


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options are what they must be."""
    check_named(NAME, "file", options["file"], FILE)
    Reading.of(NAME, options)
    check_duplicates(NAME, options["duplicates"])
    check_holdout(NAME, options["holdout"])
    check_inputs(NAME, options)


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the file has."""
    table = read(options)
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
    """The file, if it is right and every image that it lists is there and is one.

    Raises:
        RequestError: If not, or if an example may be trained and tested on.
    """
    table, chosen = read(options), {**SPEC.options, **options}
    if what_of(table) == "image":
        check_there(table, find(options.get("file")))
    found = repeats_in(table, same_rows(table, chosen["corrupt"], chosen["max_pixels"]))
    refuse_leaks(f"{NAME}: {chosen['file']}", what_of(table), found, row, chosen["duplicates"])
    return find(options.get("file"))


def summarize(options: Mapping[str, Any]) -> list[str]:
    """Its classes, and the rows of each split and environment; what it lacks, and what is odd."""
    table, chosen = read(options), {**SPEC.options, **options}
    found = repeats_in(table, same_rows(table, chosen["corrupt"], chosen["max_pixels"]))
    odd = repeat_lines(what_of(table), found, row)
    if what_of(table) == "image":
        digests = digests_of(table.name, tree_of(table), chosen["corrupt"], chosen["max_pixels"])
        odd = [*told_skipped(table.items, digests), *odd]
    classes = told_classes(table.columns["label"].names)
    if is_published(table):
        return [classes, *told_splits(table), *lacking(table), *odd]
    parts = environments_of(table, ("environment",))
    counts = {name: len(rows) for name, rows in parts.items()}
    return [classes, *told_environments(counts), *told_alone(table), *odd]


def build(
    data_seed: int,
    file: Any,
    size: int,
    corrupt: Any,
    words: int,
    encoder: Any,
    length: Any,
    holdout: float,
    max_pixels: Any,
    duplicates: Any,
    **reading: Any,
) -> Dataset:
    """The examples of that file."""
    table = read({"file": file, **reading})
    fields = fields_of(reading, table)
    published, train, parts = is_published(table), table.splits["train"], None
    classes = table.columns["label"].names
    if not published:
        parts = {
            name: split_parts(rows, holdout, NAME, data_seed, name)
            for name, rows in environments_of(table, ("environment",)).items()
        }  # any of them may be trained on
        train = np.sort(np.concatenate([mine["train"] for mine in parts.values()]))
    if what_of(table) == "image":
        check_there(table, find(file))
        whole = table
        inputs, table, content = images_of(whole, size, corrupt, max_pixels)
        check_emptied(whole, table)
        encoder = ""
    else:
        inputs, content = texts_of(table, train, words, encoder, length)
    found = repeats_in(table, same_rows(table, corrupt, max_pixels), parts)
    report(f"{NAME}: {file}", what_of(table), found, row, duplicates)
    source = f"{NAME} {hash_of_items(table)[:16]}"  # other files go by the same name
    if parts is None:
        roles = {name: name for name in table.splits if name != "train"}
        grouping = Grouping(fields)
        data = assemble(table, inputs, content, ("environment",), roles, grouping, worst_of(table))
        return replace(data, name=NAME, tokens=encoder, source=source, classes=classes)
    environments = []
    for name, splits in parts.items():
        kept = {part: rows[np.isin(rows, table.splits["train"])] for part, rows in splits.items()}
        made = {part: table.split(inputs, rows) for part, rows in kept.items()}
        if empty := [part for part, split in made.items() if not len(split)]:
            raise RequestError(
                f"{NAME}: {file}: no image of {name}, {empty[0]} can be read; mend them, or leave "
                "that environment out."
            )
        environments.append(Environment(name, made))
    return Dataset(
        NAME,
        tuple(environments),
        table.num_classes,
        content=content,
        tokens=encoder,
        source=source,
        classes=classes,
    )


def fields_of(options: Mapping[str, Any], table: Table) -> tuple[str, ...]:
    """The columns whose values make the groups.

    Raises:
        RequestError: If the file has no published splits to score them by.
    """
    groups = options["groups"]
    if groups != SPEC.options["groups"] and not is_published(table):
        raise RequestError(
            f"{NAME}: groups {groups!r} are of the worst-group accuracy, which only published "
            "splits are scored by. Give the file a column split, or leave groups out."
        )
    return Reading.of(NAME, options).groups


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={
        **{"file": "", "groups": "environment", "holdout": 0.2, "duplicates": "refuse"},
        **MENDING,
        **IMAGE_OPTIONS,
        **TEXT_OPTIONS,
    },
    summary="A CSV or Parquet file of your own: a row an example, a text or the path of an image.",
    layout="FILE under a data folder, with the columns text or image, label, environment, split.",
    check=check,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC]
