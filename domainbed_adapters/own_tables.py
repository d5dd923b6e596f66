"""Table: a CSV or Parquet file of one's own, a row an example."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from domainbed_adapters.number_tables import NumberTable, has_numbers, read_numbers, told_columns
from domainbed_adapters.own_files import OWN
from domainbed_adapters.own_splits import (
    as_dataset,
    held_out,
    is_published,
    resolved,
    told,
    training_rows,
)
from domainbed_adapters.table_files import NAME, check_there, find, read
from domainbed_adapters.table_inputs import (
    IMAGE_OPTIONS,
    TEXT_OPTIONS,
    hash_of_items,
    images_of,
    texts_of,
)
from domainbed_adapters.table_values import MENDING, Reading
from domainbed_adapters.tables import Table
from domainbed_adapters.wilds_checks import check_ends
from oodbench.data import Dataset, DatasetSpec, Stored
from oodbench.errors import RequestError


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
    classes, *others = told(table_with(options))
    return [classes, *([] if numbers is None else told_columns(numbers)), *others]


def numbers_with(options: Mapping[str, Any]) -> NumberTable | None:
    """The table with these options, if its examples are numbers; else None."""
    given = {**SPEC.options, **options}
    if has_numbers(given["file"], given["features"]):
        return read_numbers(given)
    if given["categorical"] != SPEC.options["categorical"]:
        raise RequestError(
            f"{NAME}: categorical names features that are categories, but the examples of "
            f"{find(given['file'])} are texts or images; name features, too, or leave it out."
        )
    return None


def table_with(options: Mapping[str, Any]) -> Table:
    """The table with these options, without what a model takes of its rows."""
    numbers = numbers_with(options)
    return read(options) if numbers is None else numbers.table


def build(data_seed: int, **options: Any) -> Dataset:
    """The examples of that file."""
    numbers, table = numbers_with(options), table_with(options)
    groups = fields_of(options, table)
    parts = held_out(NAME, table, options["holdout"], data_seed)
    inputs: Stored
    columns, encoder = None, ""
    if numbers is not None:
        inputs, content, columns = numbers.values, numbers.content, numbers.columns
    elif table.name.endswith("images"):
        check_there(table, find(options["file"]))
        inputs, table, content = images_of(table, options["size"], options["corrupt"])
    else:
        train, encoder = training_rows(table, parts), options["encoder"]
        inputs, content = texts_of(table, train, options["words"], encoder, options["length"])
    # Other files go by the same name.
    source = f"{NAME} {(numbers.content if numbers else hash_of_items(table))[:16]}"
    data = as_dataset(NAME, table, inputs, content, parts, groups)
    return replace(data, tokens=encoder, columns=columns, source=source)


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
        **{"file": "", "groups": "environment", "holdout": 0.2},
        **{"features": None, "categorical": []},
        **MENDING,
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
