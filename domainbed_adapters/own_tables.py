"""Table: a CSV or Parquet file of your own, a row an example."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from domainbed_adapters.duplicates import (
    Repeat,
    check_duplicates,
    refuse_leaks,
    repeat_lines,
    report,
)
from domainbed_adapters.image_cache import digests_of
from domainbed_adapters.image_folders import check_holdout
from domainbed_adapters.number_summaries import told_columns
from domainbed_adapters.number_tables import (
    NumberTable,
    check_columns_of,
    has_numbers,
    read_numbers,
)
from domainbed_adapters.own_files import OWN, check_named
from domainbed_adapters.own_splits import (
    Parts,
    as_dataset,
    held_out,
    is_published,
    resolved,
    summary_lines,
    training_rows,
)
from domainbed_adapters.selected import SPEC as SELECTED
from domainbed_adapters.summaries import told_skipped
from domainbed_adapters.table_duplicates import (
    check_emptied,
    repeats_in,
    row,
    same_numbers,
    same_rows,
    what_of,
)
from domainbed_adapters.table_files import FILE, check_there, find, read
from domainbed_adapters.table_inputs import (
    IMAGE_OPTIONS,
    TEXT_OPTIONS,
    check_inputs,
    hash_of_items,
    images_of,
    texts_of,
    tree_of,
)
from domainbed_adapters.table_reading import NAME
from domainbed_adapters.table_values import MENDING, Reading
from domainbed_adapters.tables import Table
from oodbench.data import Dataset, DatasetSpec, Stored
from oodbench.errors import RequestError


def check(options: Mapping[str, Any]) -> None:
    """Raise RequestError unless the options are what they must be."""
    check_named(NAME, "file", options["file"], FILE)
    Reading.of(NAME, options)
    check_duplicates(NAME, options["duplicates"])
    check_holdout(NAME, options["holdout"])
    check_inputs(NAME, options)
    check_columns_of(options)


def resolve(options: Mapping[str, Any]) -> DatasetSpec:
    """This dataset with the environments and classes that the file has."""
    return resolved(SPEC, table_with(options))


def verify(options: Mapping[str, Any]) -> Path:
    """The file, if it is right and every image that it lists is there and is one.

    Raises:
        RequestError: If not, or if an example may be trained and tested on.
    """
    numbers, table, chosen = numbers_with(options), table_with(options), {**SPEC.options, **options}
    path = find(chosen["file"])
    if what_of(table) == "image":
        check_there(table, path)
    found = found_in(table, numbers, chosen)
    refuse_leaks(f"{NAME}: {path}", what_of(table), found, row, chosen["duplicates"])
    return path


def summarize(options: Mapping[str, Any]) -> list[str]:
    """The table's classes, features, rows of each split and environment, and what is odd."""
    numbers, table, chosen = numbers_with(options), table_with(options), {**SPEC.options, **options}
    classes, *others = summary_lines(table)
    lines = [classes, *([] if numbers is None else told_columns(numbers)), *others]
    if what_of(table) == "image":
        digests = digests_of(table.name, tree_of(table), chosen["corrupt"], chosen["max_pixels"])
        lines += told_skipped(table.items, digests)
    found = found_in(table, numbers, chosen)
    return [*lines, *repeat_lines(what_of(table), found, row)]


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


def found_in(
    table: Table,
    numbers: NumberTable | None,
    options: Mapping[str, Any],
    parts: Parts | None = None,
) -> list[Repeat]:
    """What is there more than once; see ``repeats_in``.

    Equal numbers are reported, and not refused: two passengers of one age and fare are two.
    """
    if numbers is None:
        same = same_rows(table, options["corrupt"], options["max_pixels"])
        return repeats_in(table, same, parts)
    found = repeats_in(table, same_numbers(numbers.values), parts)
    return [replace(one, leaks=False) for one in found]


def build(data_seed: int, **options: Any) -> Dataset:
    """The examples of that file."""
    numbers, whole = numbers_with(options), table_with(options)
    groups = fields_of(options, whole)
    parts = held_out(NAME, whole, options["holdout"], data_seed)
    inputs: Stored
    table, columns, encoder = whole, None, ""
    if numbers is not None:
        inputs, content, columns = numbers.values, numbers.content, numbers.columns
    elif what_of(whole) == "image":
        check_there(whole, find(options["file"]))
        of_images = options["size"], options["corrupt"], options["max_pixels"]
        inputs, table, content = images_of(whole, *of_images)
        check_emptied(whole, table)
    else:
        train, encoder = training_rows(whole, parts), options["encoder"]
        inputs, content = texts_of(whole, train, options["words"], encoder, options["length"])
    found = found_in(table, numbers, options, parts or None)
    report(f"{NAME}: {options['file']}", what_of(table), found, row, options["duplicates"])
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
        **{"file": "", "groups": "environment", "holdout": 0.2, "duplicates": "refuse"},
        **{"features": None, "categorical": []},
        **MENDING,
        **IMAGE_OPTIONS,
        **TEXT_OPTIONS,
    },
    summary="A CSV or Parquet file of your own: a row a text, an image's path, or numbers.",
    layout="FILE under a data folder: label, environment, split; text or image or others.",
    check=check,
    resolve=resolve,
    verify=verify,
    summarize=summarize,
    **OWN,
)
REGISTER = [SPEC, SELECTED]
