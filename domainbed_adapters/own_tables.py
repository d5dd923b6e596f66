"""Table: a CSV or Parquet file of one's own, a row an example."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from domainbed_adapters.number_tables import (
    KEYS,
    NumberTable,
    has_numbers,
    read_numbers,
    told_columns,
)
from domainbed_adapters.own_files import OWN
from domainbed_adapters.own_splits import (
    as_dataset,
    held_out,
    is_published,
    resolved,
    told,
    training_rows,
)
from domainbed_adapters.table_files import NAME, check_there, find, header, read
from domainbed_adapters.table_inputs import (
    IMAGE_OPTIONS,
    TEXT_OPTIONS,
    hash_of_items,
    images_of,
    texts_of,
)
from domainbed_adapters.tables import Table
from domainbed_adapters.wilds_checks import check_ends
from oodbench.data import Dataset, DatasetSpec, Stored
from oodbench.errors import RequestError, UnknownNameError


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the file has."""
    return resolved(SPEC, table_with(options))


def verify(options: Mapping[str, Any]) -> Path:
    """The file, if it is right and every image that it lists is there and has its end."""
    table = table_with(options)
    if table.name.endswith("images"):
        check_there(table, find(options.get("file")))
        check_ends(table.root, table.items, NAME)
    return find(options.get("file"))


def summarize(options: Mapping[str, Any]) -> list[str]:
    """Its classes and features, and the rows of each split and environment; what it lacks."""
    numbers = numbers_with(options)
    features = [] if numbers is None else told_columns(numbers)
    classes, *others = told(table_with(options))
    return [classes, *features, *others]


def numbers_with(options: Mapping[str, Any]) -> NumberTable | None:
    """The table with these options, if its examples are numbers; else None."""
    given = {**SPEC.options, **options}
    if not has_numbers(given["file"], given["features"]):
        if given["categorical"]:
            raise RequestError(
                f"{NAME}: categorical is about features that are numbers, but the examples of "
                f"{find(given['file'])} are texts or images; name features, or leave it out."
            )
        return None
    groups = fields_of(given["groups"], header(find(given["file"])), given["file"])
    return read_numbers(given["file"], given["features"], given["categorical"], groups)


def table_with(options: Mapping[str, Any]) -> Table:
    """The table with these options, without what a model takes of its rows."""
    numbers = numbers_with(options)
    return read(options.get("file")) if numbers is None else numbers.table


def build(data_seed: int, **options: Any) -> Dataset:
    """The examples of that file."""
    file, columns, tokens = options["file"], None, ""
    numbers, table = numbers_with(options), table_with(options)
    groups = fields_of(options["groups"], [*table.columns, *KEYS], file)
    if options["groups"] != SPEC.options["groups"] and not is_published(table):
        raise RequestError(
            f"{NAME}: groups {options['groups']!r} are of the worst-group accuracy, which only "
            "published splits are scored by. Give the file a column split, or leave groups out."
        )
    parts = held_out(NAME, table, options["holdout"], data_seed)
    inputs: Stored
    if numbers is not None:
        inputs, content, columns = numbers.values, numbers.content, numbers.columns
        source = content
    elif table.name.endswith("images"):
        check_there(table, find(file))
        inputs, table, content = images_of(table, options["size"], options["corrupt"])
        source = hash_of_items(table)
    else:
        train, tokens = training_rows(table, parts), options["encoder"]
        inputs, content = texts_of(table, train, options["words"], tokens, options["length"])
        source = hash_of_items(table)
    data = as_dataset(NAME, table, inputs, content, parts, groups)
    # Other files go by the same name.
    return replace(data, tokens=tokens, columns=columns, source=f"{NAME} {source[:16]}")


def fields_of(groups: Any, there: Sequence[str], file: Any) -> tuple[str, ...]:
    """The columns whose values make the groups, from the option ``groups``.

    Raises:
        RequestError: If it is no text.
        UnknownNameError: If the file has no such column.
    """
    if not isinstance(groups, str):
        raise RequestError(f"{NAME}: groups must be columns joined by +, not {groups!r}.")
    fields = tuple(part.strip() for part in groups.split("+") if part.strip())
    for field in fields:
        if field not in there:
            where = f"{NAME}: {find(file)}, groups"
            raise UnknownNameError("column", field, there, where=where)
    return fields


SPEC = DatasetSpec(
    NAME,
    (),
    0,
    build,
    options={
        "file": "",
        "groups": "environment",
        "holdout": 0.2,
        "features": None,
        "categorical": [],
        **IMAGE_OPTIONS,
        **TEXT_OPTIONS,
    },
    summary="A CSV or Parquet file of your own: a row a text, an image's path, or numbers.",
    layout="FILE under a data folder: label, environment, split; text or image or others.",
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC]
