"""Numbers and categories of a file of one's own: what is read of it, and what is refused."""

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import oodbench
from oodbench.data import DATASETS, Dataset
from oodbench.errors import RequestError
from oodbench.probes.environment_classifier import environment_features
from oodbench.probes.samples import sample_of
from oodbench.workers.trial_data import tensors_for

GRID = {
    "algorithms": ["erm"],
    "optimizers": [{"name": "adam", "space": {"lr": 0.05}}],
    "model": {"name": "mlp", "width": 8, "depth": 1},
    "search": {"trials": 2},
    "train": {"steps": 60, "batch": {"per_environment": 32}},
}
ROLES = ("train", "id_val", "id_test", "ood_val", "ood_test")
Write = Callable[..., str]


def frame(n: int = 300) -> pd.DataFrame:
    """Patients of three hospitals: age decides, and is unknown of some."""
    rng = np.random.default_rng(0)
    age = rng.normal(50, 10, n)
    ward = rng.choice(["east", "north", "west"], n)
    return pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.1, np.nan, age),
            "label": np.where(age > 50, "ill", "well"),
            "ward": ward,
            "beds": rng.integers(1, 9, n),
            "environment": np.repeat(["a", "b", "c"], n // 3),
        }
    )


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))

    def to(table: pd.DataFrame, name: str = "ill.csv", **how: object) -> str:
        if name.endswith(".parquet"):
            table.to_parquet(tmp_path / name, **how)
        else:
            table.to_csv(tmp_path / name, **{"index": False, **how})
        return name

    return to


def load(file: str, **options: object) -> Dataset:
    given = {"file": file, **options}
    return DATASETS.get("Table").resolved(given).load(given, 0)


def stored(data: Dataset) -> np.ndarray:
    """All rows of the file, as they are before a trial is known."""
    return np.asarray(data.environments[0].splits["train"].inputs.stored)


@pytest.mark.parametrize("name", ["ill.csv", "ill.parquet"])
def test_all_that_is_left_are_features(write: Write, name: str) -> None:
    table = frame()
    data = load(write(table, name))
    assert data.columns is not None
    assert data.columns.names == ("age", "ward", "beds")
    assert data.columns.categories == (0, 3, 0)
    assert data.columns.gaps == (True, False, False)
    found = stored(data)
    assert np.allclose(found[:, 0], table["age"], equal_nan=True)
    assert found[:, 1].tolist() == table["ward"].map({"east": 0, "north": 1, "west": 2}).tolist()
    assert found[:, 2].tolist() == table["beds"].tolist()
    for environment in data.environments:
        for split in environment.splits.values():
            mine = table.iloc[split.numbers]
            assert (mine["environment"] == environment.name).all()
            assert (split.labels == (mine["label"] == "well")).all()


def test_formats_and_columns_that_nothing_reads_change_nothing(write: Write) -> None:
    table = frame()
    one = load(write(table), features=["age", "ward", "beds"])
    two = load(
        write(table.assign(note="?!", none=""), "x.parquet"), features=["age", "ward", "beds"]
    )
    assert one.fingerprint == two.fingerprint
    assert one.fingerprint == load("ill.csv").fingerprint
    assert one.fingerprint != load("ill.csv", features=["age", "ward"]).fingerprint
    table.loc[7, "age"] = 51.5
    assert load(write(table, "y.csv")).fingerprint != one.fingerprint


def test_numbers_that_are_named_are_categories(write: Write) -> None:
    data = load(write(frame()), categorical=["beds"])
    assert data.columns is not None
    assert data.columns.categories == (0, 3, 8)
    assert stored(data)[:, 2].tolist() == (frame()["beds"] - 1).tolist()


def test_features_beside_a_text_are_taken_where_they_are_named(write: Write) -> None:
    rows = frame()
    file = write(rows.assign(text=[f"hello there {i}" for i in range(len(rows))]))
    assert load(file, words=3).columns is None
    data = load(file, features=["age"])
    assert data.columns is not None
    assert data.columns.names == ("age",)
    with pytest.raises(RequestError, match=r"categorical names features .* texts or images"):
        load(file, categorical=["beds"])


def test_booleans_and_pandas_categories_are_categories(write: Write) -> None:
    table = frame().assign(beds=frame()["beds"] > 4, ward=frame()["ward"].astype("category"))
    for name in ("x.csv", "x.parquet"):
        columns = load(write(table, name)).columns
        assert columns is not None
        assert columns.categories == (0, 3, 2)


def test_every_way_to_write_that_there_is_no_value(write: Write) -> None:
    table = frame().astype(object)
    for row, text in enumerate(["", "NA", "nan", "null", "None", "N/A", "  "]):
        table.loc[row, ["age", "ward"]] = text
    found = stored(load(write(table)))
    assert np.isnan(found[:7, :2]).all()


def put(row: int, column: str, value: object) -> Callable[[pd.DataFrame], pd.DataFrame]:
    def change(table: pd.DataFrame) -> pd.DataFrame:
        table = table.astype({column: object})
        table.loc[row, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("change", "options", "reason"),
    [
        (
            put(4, "age", "12,5"),
            {},
            r"column age: row 5 has '12,5', where 2\d\d of 300 rows have numbers \(1 have texts\)"
            r".*categorical: \[age\]",
        ),
        (put(4, "beds", "inf"), {}, r"column beds: row 5 has inf \(1 such rows\)\. Write a finite"),
        (put(4, "beds", "-Infinity"), {}, "column beds: row 5 has -inf"),
        (lambda t: t.assign(beds=""), {}, r"column beds: no row has a value\. Leave it out"),
        (
            lambda t: pd.concat([t, t[["age"]]], axis=1),
            {},
            "has the column age twice; remove one",
        ),
        (
            lambda t: pd.concat([t, t[["label"]]], axis=1),
            {},
            "has the column label twice; remove one",
        ),
        (lambda t: t, {"features": ["age", "label"]}, "features has label, which no model may see"),
        (lambda t: t, {"features": ["age", "bed"]}, "features: unknown column 'bed'.*'beds'"),
        (lambda t: t, {"features": []}, "features is an empty list"),
        (lambda t: t, {"features": "age"}, "features must be a list of columns, not 'age'"),
        (lambda t: t, {"features": ["age", "age"]}, "features has 'age' twice"),
        (lambda t: t, {"categorical": ["war"]}, "categorical: unknown feature 'war'.*'ward'"),
        (
            lambda t: t,
            {"features": ["age"], "categorical": ["ward"]},
            "categorical: unknown feature 'ward'",
        ),
        (
            lambda t: t.assign(ward=[f"room {i}" for i in range(len(t))]),
            {},
            r"column ward: 300 different values in 300 rows, such as 'room 0'.*Leave ward out",
        ),
        (lambda t: t.rename(columns={"age": ""}), {}, "a column without a name.*index=False"),
        (
            lambda t: t.assign(label=np.arange(300) / 7),
            {},
            r"label = 0\.14\d+ in row 2, a number that is not whole: that is a regression",
        ),
        (
            lambda t: t.assign(label=np.arange(300) * 3),
            {},
            "300 different numbers as labels of 300 examples: that is a regression",
        ),
        (put(4, "label", ""), {}, r"has no label in row 5 of 300 \(1 in all\)"),
        (put(4, "environment", ""), {}, "has no environment in row 5"),
        (lambda t: t.drop(columns="label"), {}, "has the columns age, ward, beds, environment"),
        (lambda t: t[["label", "environment"]], {}, "It needs the columns label, environment and"),
        (lambda t: t[:0], {}, "has no rows"),
        (
            lambda t: t.drop(columns="environment"),
            {},
            "has the columns age, .*It needs the columns",
        ),
        (put(4, "label", "NA"), {}, r"label = 'NA' in row 5 .*how a missing value is written"),
        (put(4, "environment", "n/a"), {}, "environment = 'n/a' in row 5 .*missing value"),
        (lambda t: t, {"groups": "place"}, "groups: unknown column 'place'"),
        (lambda t: t, {"groups": "ward"}, "groups 'ward'.+Give the file a column split"),
    ],
)
def test_mistakes_are_named(
    write: Write, change: Callable[[pd.DataFrame], pd.DataFrame], options: dict, reason: str
) -> None:
    with pytest.raises(RequestError, match=reason):
        load(write(change(frame())), **options)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (pd.Timestamp("2020-01-01"), "datetime64"),
        ([1, 2], "list|ndarray"),
        (b"x", "bytes"),
    ],
)
def test_what_is_neither_number_nor_text_is_refused(write: Write, value: object, kind: str) -> None:
    table = frame().assign(beds=[value] * 300)
    with pytest.raises(RequestError, match=f"column beds: .*neither numbers nor texts.*({kind})"):
        load(write(table, "x.parquet"))


@pytest.mark.parametrize(
    "texts",
    [
        ["1,200", "3,400,000"],
        ["1.200,5", "3,5"],
        ["12 000", "7 500"],
        ["1'000", "2\u2019000"],
        ["40%", "7.5 %"],
        ["$12", "\u20ac 3.50"],
        ["1.50 \u20ac", "-2 \u20ac"],
        ["\u22123", "\u22124"],
        ["\u0663", "\u0664"],
        ["1_000", "2_000"],
    ],
)
def test_numbers_that_are_written_in_another_way_are_no_categories(
    write: Write, texts: list[str]
) -> None:
    file = write(frame().assign(beds=np.resize(texts, 300)))
    with pytest.raises(RequestError, match=r"column beds: row 1 has .+written in another way"):
        load(file)
    columns = load(file, categorical=["beds"]).columns
    assert columns is not None
    assert columns.categories == (0, 3, len(texts))


@pytest.mark.parametrize(
    "texts",
    [
        ["1st", "2nd"],
        ["1.2.3", "1.2.4"],
        ["2020-01-01", "2021-01-01"],
        ["5-9", "10-14"],
        ["A1", "B"],
    ],
)
def test_texts_with_digits_are_categories(write: Write, texts: list[str]) -> None:
    columns = load(write(frame().assign(beds=np.resize(texts, 300)))).columns
    assert columns is not None
    assert columns.categories == (0, 3, 2)


@pytest.mark.parametrize("values", [[Decimal("0.25"), None, Decimal("-7")], [10**30, 1, -(10**25)]])
def test_decimals_and_whole_numbers_of_any_size_are_numbers(
    write: Write, values: list[object]
) -> None:
    expected = np.resize([np.nan if value is None else float(value) for value in values], 300)
    table = frame().assign(beds=np.resize(np.array(values, object), 300))
    for name in ["x.csv", "x.parquet"] if None in values else ["x.csv"]:
        np.testing.assert_array_equal(stored(load(write(table, name)))[:, 2], expected)


def test_a_row_with_a_field_too_many_is_refused(write: Write, tmp_path: Path) -> None:
    """An unquoted comma moves what follows it; so it does where a column is not read."""
    lines = (tmp_path / write(frame().round(3))).read_text().splitlines()
    for row in (1, 2, 150, 300):
        moved = [*lines[:row], f"1,{lines[row]}", *lines[row + 1 :]]
        (tmp_path / "moved.csv").write_text("\n".join(moved))
        for options in ({}, {"features": ["age"]}):
            with pytest.raises(RequestError, match=r"moved\.csv.*fields"):
                load("moved.csv", **options)


def test_an_index_with_a_name_is_a_column(write: Write) -> None:
    plain = load(write(frame(), "x.parquet"))
    for index in ("age", "environment", ["label", "beds"]):
        table = frame().set_index(index)
        found = load(write(table, "y.parquet", index=True), features=["age", "ward", "beds"])
        assert found.content == plain.content


def test_spreadsheets_are_refused(tmp_path: Path, write: Write) -> None:
    (tmp_path / "x.xlsx").write_bytes(b"PK")
    with pytest.raises(RequestError, match=r"x\.xlsx is a spreadsheet; save it as CSV"):
        load("x.xlsx")


def test_groups_may_be_features_too(write: Write) -> None:
    table = frame().assign(split=np.resize(ROLES, 300))
    data = load(write(table), groups="environment+ward")
    assert data.columns is not None
    assert data.columns.names == ("age", "ward", "beds")
    assert data.groups[0] == "environment: a, ward: east"
    assert len(data.groups) == 9


def test_a_summary_says_what_the_columns_are(write: Write) -> None:
    table = frame().assign(site=1)
    table.loc[5, "ward"] = "south"  # a row of environment a
    spec = DATASETS.get("Table")
    assert spec.summarize is not None
    missing = f"{table['age'].isna().mean():.1%}"
    assert spec.summarize({"file": write(table)})[:7] == [
        "  2 classes: ill, well",
        "  4 features, which a model takes as 8 numbers:",
        "    numbers: age, beds, site",
        "    categories: ward (4)",
        f"    with missing values: age ({missing} of the rows)",
        "    constant, so that they say nothing: site",
        "    ward = south is in environment a alone",
    ]


def test_a_summary_names_what_is_odd(write: Write) -> None:
    table = frame()
    rng = np.random.default_rng(1)
    table["number"] = rng.permutation(300)
    table["code"] = table["label"].map({"ill": 7, "well": 3})
    table["diagnosis"] = table["label"].map({"ill": "I10", "well": "Z00"})
    table.loc[0, "ward"] = "East"
    summarize = DATASETS.get("Table").summarize
    assert summarize is not None
    lines = summarize({"file": write(table)})
    assert "    a whole number of its own in each row, as identifiers have: number" in lines
    assert "    each value has one label, as copies of the label have: code, diagnosis" in lines
    assert "    ward has 'East' and 'east', which differ by case alone" in lines
    assert not [line for line in lines if "constant" in line]


def sweep(file: str, **changes: object) -> dict:
    dataset = {"name": "Table", "file": file, "test_environments": [2]}
    return {"name": "ill", "datasets": [dataset], **GRID, **changes}


def test_a_stack_learns_from_numbers_and_scores_as_by_hand(write: Write, tmp_path: Path) -> None:
    """A category of the test environment alone is nothing to a model."""
    table = frame()
    table.loc[250:, "ward"] = "unseen"
    (tmp_path / "ill.yaml").write_text(json.dumps(sweep(write(table), keep_weights="last")))
    oodbench.run_sweep(tmp_path / "ill.yaml", tmp_path / "ill.db", workers=1)
    runs = oodbench.query(tmp_path / "ill.db")
    assert runs["status"].tolist() == ["completed"] * 2
    assert runs["ood"].min() > 0.85  # but for the gaps, age decides
    assert runs["n_ood"].tolist() == [80, 80]
    scores = oodbench.evaluate(tmp_path / "ill.db", runs["run"][0])
    known = scores.dropna(subset="stored")
    assert len(known) >= 4
    assert known["accuracy"].tolist() == known["stored"].tolist()
    model = oodbench.load_model(tmp_path / "ill.db", runs["run"][0])
    assert model[1].weight.shape == (8, 2 + 4 + 1)


def test_trials_of_other_test_environments_see_other_numbers(write: Write) -> None:
    from oodbench.sweep import parse_sweep
    from oodbench.sweep.plan import plan

    file = write(frame())
    asked = sweep(file)
    asked["datasets"][0]["test_environments"] = "each"
    studies = plan(parse_sweep(asked)).studies
    trials = [study.trials[0] for study in studies]
    found = [tensors_for(trial, torch.device("cpu")) for trial in trials]
    for data in found:
        age = data.inputs[:][:, 0]
        known = age[data.inputs[:][:, 1] == 0]
        assert float(known.mean()) == pytest.approx(0, abs=1e-5)
        assert float(known.std(correction=0)) == pytest.approx(1, abs=1e-5)


def test_a_shift_is_measured_on_what_models_take(write: Write) -> None:
    """An environment whose numbers are moved is classified apart; another is not."""
    table = frame(3000)
    table.loc[2000:, "age"] += 500
    data = load(write(table, "big.csv"))
    moved = environment_features(sample_of(data, 500), (2,))
    same = environment_features(sample_of(load(write(frame(3000), "same.csv")), 500), (2,))
    assert moved.accuracy > 0.9
    assert same.accuracy < 0.6


def test_equal_rows_are_counted_and_kept(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    rows = frame().assign(age=np.arange(300.0) + 1)
    rows.loc[299, ["age", "ward", "beds"]] = rows.loc[0, ["age", "ward", "beds"]]
    rows.loc[[298, 100], "age"] = [0.0, -0.0]
    rows.loc[298, ["ward", "beds"]] = rows.loc[100, ["ward", "beds"]]
    file = write(rows)
    lines = DATASETS.get("Table").summarize({"file": file})
    assert "    1 row is in a and in c (first row 1, row 300)" in lines
    assert "    1 row is in b and in c (first row 101, row 299)" in lines
    load(file)
    assert "1 row is in a and in c" in capsys.readouterr().err
