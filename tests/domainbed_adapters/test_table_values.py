"""Spellings of labels and environments that may be one: refused, mended, or meant."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domainbed_adapters.table_values import too_alike
from oodbench.data import DATASETS
from oodbench.errors import RequestError, UnknownNameError

ROLES = ("train", "id_val", "id_test", "ood_test")


def frame(labels: tuple[str, ...] = ("ham", "spam")) -> pd.DataFrame:
    """Two rows of each label, split and environment; one more column."""
    rows = [
        (f"word{i} {label} {split} {year}", label, year, split, "x")
        for i in range(2)
        for label in labels
        for split in ROLES
        for year in ("2001", "2002")
    ]
    return pd.DataFrame(rows, columns=["text", "label", "environment", "split", "place"])


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., object]:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))

    def given(table: pd.DataFrame, **options: object):
        table.to_csv(tmp_path / "t.csv", index=False)
        return DATASETS.get("Table").load({"file": "t.csv", "words": 8, **options}, 0)

    return given


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("ham", "ham ", "by spaces"),
        ("New York", "New  York", "by spaces"),
        ("caf\u00e9", "cafe\u0301", "by spaces or invisible"),
        ("ham", "\ufeffham", "by spaces or invisible"),
        ("ham", "Ham", "by case"),
        ("STRASSE", "straße", "by case"),
        ("1", "1.0", "in how a number"),
        ("1", "01", "in how a number"),
        ("100", "1e2", "in how a number"),
        ("0", "-0.0", "in how a number"),
        ("0.1", ".10", "in how a number"),
    ],
)
def test_names_that_are_too_alike(one: str, other: str, how: str) -> None:
    found = too_alike(["z", one, "y", other])
    assert found is not None
    assert found[:2] == (one, other)
    assert found[2].startswith(how)


@pytest.mark.parametrize(
    "names",
    [
        ["a", "b"],
        ["1", "2", "-1", "1.5"],
        ["12345678901234567890", "12345678901234567891"],  # the same number as floats
        ["inf", "infinity"],  # words, no numbers
        ["a b", "ab"],
        [],
    ],
)
def test_names_that_are_not(names: list[str]) -> None:
    assert too_alike(names) is None


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("label", "ham ", r"'ham ' in row 1 \(1 in all\) and 'ham' in row 2 .*by spaces"),
        ("label", "Ham", 'by case alone. If they are one, set labels: {"Ham": "ham"}; if they'),
        ("environment", "2001.0", r'values: \{environment: \{"2001.0": "2001"\}\}'),
        ("place", "X", r'values: \{place: \{"X": "x"\}\}'),
        ("label", "nan", "label = 'nan' in row 1 .1 in all., which is how a missing value"),
        ("environment", "NaN", "how a missing value is written"),
        ("place", "<NA>", "how a missing value is written"),
    ],
)
def test_they_are_refused_with_what_mends_them(load, column: str, value: str, told: str) -> None:
    table = frame()
    table.loc[0, column] = value
    with pytest.raises(RequestError, match=told):
        load(table, groups="environment+place")


def test_what_the_message_says_mends_them(load) -> None:
    right = load(frame())
    table = frame()
    table.loc[0, ["label", "environment", "split"]] = [" ham", "2001 ", "train "]
    mended = load(table, strip=True)
    assert mended.classes == right.classes == ("ham", "spam")
    assert mended.fingerprint == right.fingerprint
    table = frame()
    table.loc[0, "label"], table.loc[2, "environment"] = "HAM", "2001.0"
    options = {"labels": {"HAM": "ham"}, "values": {"environment": {"2001.0": "2001"}}}
    assert load(table, **options).fingerprint == right.fingerprint


def test_what_is_meant_stays_apart(load) -> None:
    with pytest.raises(RequestError, match="by case alone"):
        load(frame(("a", "A", "nan")), labels={"nan": "nan"})
    data = load(frame(("a", "A", "nan")), labels={"nan": "nan", "a": "a"})
    assert data.classes == ("A", "a", "nan")
    assert data.num_classes == 3


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"strip": 1}, "strip must be true or false"),
        ({"labels": ["a"]}, "labels needs texts in quotes"),
        ({"labels": {1.0: "1"}}, "labels needs texts in quotes"),
        ({"labels": {"ham": ""}}, "labels needs texts in quotes"),
        ({"values": ["environment"]}, "values needs columns with their spellings"),
        ({"values": {"environment": "x"}}, "values of environment needs texts in quotes"),
        ({"labels": {"hma": "ham"}}, "unknown label to replace 'hma'. Did you mean 'ham'"),
        ({"values": {"text": {"a": "b"}}}, "values: unknown column 'text'"),
        ({"values": {"label": {"ham": "x"}}, "labels": {"ham": "y"}}, "both labels and values"),
    ],
)
def test_options_that_mend_nothing_are_refused(load, options: dict, told: str) -> None:
    with pytest.raises((RequestError, UnknownNameError), match=told):
        load(frame(), **options)


def test_columns_that_nothing_reads_are_not_checked(load) -> None:
    """89 of 90 rows of a file had no note, and it was refused."""
    table, right = frame(), load(frame())
    notes = np.where(np.arange(len(table)) == 3, "seen", "")
    assert load(table.assign(notes=notes)).fingerprint == right.fingerprint
    twice = pd.concat([table, pd.DataFrame({"z": notes}), pd.DataFrame({"z": notes})], axis=1)
    assert load(twice).fingerprint == right.fingerprint
    with pytest.raises(RequestError, match="has no notes in row 1 of 32"):
        load(table.assign(notes=notes), groups="notes")


def test_rows_that_are_longer_than_the_header_are_refused(load, tmp_path: Path) -> None:
    """Pandas would take the first field as the index, and each value for that of its neighbour."""
    lines = ["text,label,environment", "see you, then,ham,2001", "cheap, pills,spam,2002"]
    (tmp_path / "u.csv").write_text("\n".join(lines))
    with pytest.raises(RequestError, match="have more fields than its first line has columns"):
        DATASETS.get("Table").load({"file": "u.csv"}, 0)


def test_numbers_that_no_integer_holds_are_names(load) -> None:
    large = str(10**30)
    table = frame(("1", large))
    assert load(table).classes == ("1", large)


def test_bytes_of_a_parquet_file_are_no_text(tmp_path: Path, load) -> None:
    table = frame()
    table["label"] = [label.encode() for label in table["label"]]
    table.to_parquet(tmp_path / "t.parquet")
    with pytest.raises(RequestError, match=r"the column label of .* is bytes"):
        DATASETS.get("Table").load({"file": "t.parquet"}, 0)
