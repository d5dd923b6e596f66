"""A file of one's own: its splits or ours, images or texts, and mistakes named with their row."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from image_helpers import image

import oodbench
from oodbench.data import DATASETS
from oodbench.errors import RequestError, UnknownNameError
from oodbench.sweep import parse_sweep
from oodbench.sweep.plan import plan
from oodbench.workers.trial_data import tensors_for

GRID = {
    "algorithms": ["erm"],
    "optimizers": ["sgd", "adam"],
    "model": {"name": "linear"},
    "search": {"trials": 2},
    "train": {"steps": 3, "batch": {"size": 16}},
}
ROLES = ("train", "id_val", "id_test", "ood_val", "ood_test")


def frame(n: int = 200) -> pd.DataFrame:
    """Mails of two years that are trained on, and of later ones that are not."""
    rng = np.random.default_rng(0)
    split = np.repeat(ROLES, n // 5)
    label = rng.choice(["ham", "spam"], n)
    words = {"ham": "meeting notes attached", "spam": "cheap pills, buy now"}
    text = [f"{words[kind]} {row}" for row, kind in enumerate(label)]
    year = np.where(np.char.startswith(split, "ood"), 2003, rng.choice([9, 10], n))
    return pd.DataFrame({"text": text, "label": label, "environment": year, "split": split})


@pytest.fixture
def write(tmp_path: Path, monkeypatch) -> Callable[[pd.DataFrame], str]:
    monkeypatch.setenv("OODBENCH_DATA", str(tmp_path))

    def to(table: pd.DataFrame, name: str = "mails [1].csv") -> str:
        if name.endswith(".parquet"):
            table.to_parquet(tmp_path / name)
        else:
            table.to_csv(tmp_path / name, index=False)
        return name

    return to


def load(file: str, **options: object):
    given = {"file": file, "words": 8, **options}
    spec = DATASETS.get("Table").resolved(given)
    return spec, spec.load(given, 0)


@pytest.mark.parametrize("name", ["mails.csv", "mails.parquet"])
def test_splits_and_environments_are_those_of_the_file(write, name: str) -> None:
    table = frame()
    spec, data = load(write(table, name))
    assert (spec.environments, spec.num_classes, spec.published) == (("9", "10"), 2, True)
    assert [e.name for e in data.environments] == ["9", "10"]
    for e in data.environments:
        mine = table[(table["split"] == "train") & (table["environment"] == int(e.name))]
        assert e.splits["train"].labels.tolist() == (mine["label"] == "spam").tolist()
    assert {p.name: p.role for p in data.published} == {role: role for role in ROLES[1:]}
    for p in data.published:
        mine = table[table["split"] == p.name]
        assert p.split.labels.tolist() == (mine["label"] == "spam").tolist()
    assert data.groups == ("9", "10", "2003")


def test_examples_are_rows_of_the_file_and_no_other_files(write) -> None:
    table = frame()
    _, data = load(write(table))
    for p in data.published:
        assert (table["split"].to_numpy()[p.split.numbers] == p.name).all()
    _, other = load(write(table[::-1].reset_index(drop=True), "other.csv"))
    assert data.source != other.source


def test_the_same_file_in_another_format_is_the_same_data(write) -> None:
    assert load(write(frame()))[1].fingerprint == load(write(frame(), "x.parquet"))[1].fingerprint


def test_without_splits_environments_are_left_out_as_those_of_folders_are(write) -> None:
    table = frame().drop(columns="split")
    spec, data = load(write(table))
    assert (spec.published, spec.environments) == (False, ("9", "10", "2003"))
    spec.check_test_environments((2,))
    assert data.published == ()
    for e in data.environments:
        n = (table["environment"] == int(e.name)).sum()
        sizes = [len(e.splits[part]) for part in ("train", "val", "test")]
        assert sizes == [n - 2 * round(0.2 * n), round(0.2 * n), round(0.2 * n)]


def test_without_a_test_out_of_distribution_the_worst_group_stands_for_it(write) -> None:
    table = frame()
    table = table[~table["split"].str.startswith("ood")]
    table["kind"] = np.arange(len(table)) % 3
    spec, data = load(write(table), groups="environment+kind")
    assert spec.shift == "subpopulation"
    assert [p.worst for p in data.published] == ["", "ood_test"]
    assert len(data.groups) == 6
    assert data.groups[0] == "environment: 9, kind: 0"


def test_images_are_read_from_the_files_folder(tmp_path: Path, write) -> None:
    table = frame(20)
    table["image"] = [f"pictures/{row}.png" for row in range(20)]
    (tmp_path / "pictures").mkdir()
    for row, name in enumerate(table["image"]):
        image(row).save(tmp_path / name)
    file = write(table.drop(columns="text"))
    _, data = load(file, size=16)
    assert data.input_shape == (3, 16, 16)
    (tmp_path / "pictures" / "7.png").unlink()
    with pytest.raises(RequestError, match=r"row 8 that is not there: .*7\.png \(1 of 20 rows\)"):
        load(file, size=16)


def broken(change: Callable[[pd.DataFrame], object]) -> pd.DataFrame:
    table = frame().astype(object)
    made = change(table)
    return made if isinstance(made, pd.DataFrame) else table


def put(row: int, column: str, value: object) -> Callable[[pd.DataFrame], None]:
    def change(table: pd.DataFrame) -> None:
        table.loc[row, column] = value

    return change


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.drop(columns="label"), r"has the columns text, environment, split\. It needs"),
        (lambda t: t.assign(image="x.png"), "has both columns text and image; remove one"),
        (lambda t: t.rename(columns={"label": "Label"}), r"Rename 'Label' to 'label'\?$"),
        (lambda t: t.rename(columns={"environment": "env"}), r"Rename 'env' to 'environment'\?$"),
        (lambda t: t.rename(columns={"text": "texts"}), r"Rename 'texts' to 'text'\?$"),
        (lambda t: t.drop(columns="text"), r"needs the columns .* ood_test\.$"),
        (put(4, "label", ""), r"has no label in row 5 of 200 \(1 in all\)"),
        (put(2, "text", ""), r"has no text in row 3 of 200 \(1 in all\)"),
        (put(2, "text", " \t"), r"has no text in row 3 of 200"),
        (put(4, "split", "tset"), "has split = 'tset' in row 5; it may be train, id_val"),
        (put(199, "label", "spma"), "labels that no training example has: spma"),
        (lambda t: t[t["split"] != "train"], "no example whose split is train"),
        (lambda t: t[:0], "has no rows"),
        (lambda t: pd.concat([t, t[["label"]]], axis=1), "has the column label twice"),
        (lambda t: t.assign(label="ham"), "has one label only, ham"),
        (lambda t: t.assign(text="?"), "no words in the training texts: empty vocabulary"),
    ],
)
def test_mistakes_are_named(write, change, told: str) -> None:
    with pytest.raises(RequestError, match=told):
        load(write(broken(change)))


def test_a_missing_value_of_a_parquet_file_is_none_of_the_classes(write) -> None:
    with pytest.raises(RequestError, match=r"has no label in row 5 of 200 \(1 in all\)"):
        load(write(broken(put(4, "label", None)), "mails.parquet"))


def test_the_command_checks_a_file_that_is_named(
    tmp_path: Path, write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from oodbench.cli import main

    def said(*words: str) -> str:
        root = ["--root", str(tmp_path)]
        monkeypatch.setattr("sys.argv", ["oodbench", "datasets", "Table", *words, *root])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        assert (end.value.code or 0) == (2 if captured.err else 0)
        return captured.out + captured.err

    table = frame(20)
    table["image"] = [f"{row}.png" for row in range(20)]
    for row, name in enumerate(table["image"]):
        image(row).save(tmp_path / name)
    write(table.drop(columns="text"), "pictures.csv")
    assert "pictures.csv is complete and right" in said("--check", "--set", "file=pictures.csv")
    (tmp_path / "7.png").write_bytes((tmp_path / "7.png").read_bytes()[:-30])
    told = said("--check", "--set", "file=pictures.csv")
    assert "1 of 20 files cannot be read as images" in told
    assert "7.png" in told
    assert "no file 'x.csv' in" in said("--check", "--set", "file=x.csv")
    assert "unknown option 'fiel'. Did you mean 'file'?" in said("--check", "--set", "fiel=x.csv")
    assert "--check of Table needs to know which file: add --set file=NAME" in said("--check")
    assert "--set goes with --check" in said("--set", "file=x.csv")


def test_a_data_folder_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OODBENCH_DATA", raising=False)
    for name, option in (("Table", "file"), ("ImageFolders", "folder")):
        with pytest.raises(
            RequestError, match=r"'x' is sought in a data folder, but none is named; add --root"
        ):
            DATASETS.get(name).resolved({option: "x"})


def test_a_summary_has_the_rows_of_splits_and_environments(write) -> None:
    table = pd.DataFrame(
        {
            "text": list("abcdef"),
            "label": ["spam", "ham", "ham", "ham", "spam", "ham"],
            "environment": [9, 10, 10, 9, 10, 11],
            "split": ["train"] * 3 + ["id_test"] * 2 + ["ood_val"],
        }
    )
    spec = DATASETS.get("Table")
    assert spec.summarize is not None
    assert spec.summarize({"file": write(table)}) == [
        "  2 classes: ham, spam",
        "  rows of each split, and of each environment in it:",
        "    train: 3 (9: 1, 10: 2)",
        "    id_test: 2 (9: 1, 10: 1)",
        "    ood_val: 1 (11: 1)",
        "  There is no id_val: runs cannot be selected by the rule id_val.",
        "  There is no ood_test: OOD is the worst group of id_test.",
    ]
    assert spec.summarize({"file": write(table.drop(columns="split"))})[1:] == [
        "  3 environments (index for test_environments = name: examples):",
        "    0 = 9: 2",
        "    1 = 10: 3",
        "    2 = 11: 1",
    ]
    assert spec.summarize({"file": write(frame())})[-1].startswith("    ood_test: 40 (2003: 40)")


def test_a_file_that_is_not_there_or_is_none(write, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no file 'x\.csv' in"):
        load("x.csv")
    with pytest.raises(RequestError, match="needs file: a CSV"):
        load("")
    (tmp_path / "y.csv").write_text('text,label\n"open')
    with pytest.raises(RequestError, match=r"y\.csv cannot be read"):
        load("y.csv")
    frame().to_csv(tmp_path / "z.csv", index=False, sep=";")
    with pytest.raises(RequestError, match="has ';' between its columns; save it with commas"):
        load("z.csv")
    (tmp_path / "l.csv").write_bytes("text,label\na,b\nGrüße,ham\n".encode("latin-1"))
    with pytest.raises(RequestError, match=r"l\.csv is not in UTF-8 \(line 3\); save it as UTF-8"):
        load("l.csv")
    with pytest.raises(RequestError, match="groups must be columns"):
        load(write(frame()), groups=3)
    with pytest.raises(RequestError, match=r"groups 'label'.+Give the file a column split"):
        load(write(frame().drop(columns="split")), groups="label")
    with pytest.raises(RequestError, match=r"mails \[1\]\.csv, groups: unknown column 'place'"):
        load(write(frame()), groups="place")


def test_five_lines_are_a_sweep(write, tmp_path: Path) -> None:
    """What docs/own-table.md shows, trained by workers of their own."""
    sweep = {
        "name": "mails",
        "datasets": [{"name": "Table", "file": write(frame()), "words": 8}],
        "algorithms": ["erm", "irm"],
        "optimizers": ["adam"],
        "model": {"name": "linear"},
        "search": {"trials": 2},
        "train": {"steps": 30, "batch": {"size": 16, "environments": 2}},
    }
    (tmp_path / "mails.yaml").write_text(json.dumps(sweep))
    oodbench.run_sweep(tmp_path / "mails.yaml", tmp_path / "mails.db", workers=1)
    runs = oodbench.query(tmp_path / "mails.db")
    assert runs["status"].tolist() == ["completed"] * 4
    assert runs[["n_id_val", "n_id", "n_ood_val", "n_ood"]].to_numpy().tolist() == [[40] * 4] * 4
    assert runs["ood"].max() == 1  # the words tell


@pytest.mark.slow
def test_two_files_have_names_of_their_own(write, tmp_path: Path) -> None:
    early, late = write(frame(), "early.csv"), write(frame(300), "late.csv")
    sweep = {
        "name": "mails",
        "datasets": [
            {"name": "Table(early)", "file": early, "words": 8},
            {"name": "Table(late)", "file": late, "words": 8},
            {"name": "Table", "file": late, "words": 8},
        ],
        **GRID,
    }
    (tmp_path / "mails.yaml").write_text(json.dumps(sweep))
    oodbench.run_sweep(tmp_path / "mails.yaml", tmp_path / "mails.db", workers=1)
    runs = oodbench.query(tmp_path / "mails.db")
    assert runs.groupby("dataset")["n_ood"].agg(set).to_dict() == {
        "Table": {60},
        "Table(early)": {40},
        "Table(late)": {60},
    }
    assert runs["shift"].unique().tolist() == [""]
    # The name is no part of the data.
    assert DATASETS.get("Table(x)").load({"file": late}, 0).fingerprint == (
        DATASETS.get("Table").load({"file": late}, 0).fingerprint
    )


def test_which_names_there_are(write) -> None:
    named = DATASETS.get("ImageFolders(my.cats-2)")
    assert (named.name, named.options) == (
        "ImageFolders(my.cats-2)",
        DATASETS.get("ImageFolders").options,
    )
    assert DATASETS.get("Table(mails)").resolved({"file": write(frame())}).name == "Table(mails)"
    assert "Table(mails)" not in DATASETS.names()
    for name in (
        "Table()",
        "Table(a b)",
        "Table(../x)",
        "ColoredDigits(mine)",
        "Tab(x)",
        "Table(x",
    ):
        with pytest.raises(UnknownNameError, match="unknown dataset"):
            DATASETS.get(name)
    twice = [{"name": "Table", "file": write(frame())}] * 2
    with pytest.raises(
        RequestError, match=r"'Table, tested on \[\]' is listed twice.*Table\(NAME\)"
    ):
        parse_sweep({"name": "s", "datasets": twice, **GRID})


@pytest.mark.parametrize("train", ["head", "all"])
@pytest.mark.slow
def test_a_text_encoder_is_trained_on_its_tokens(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, train: str
) -> None:
    pytest.importorskip("transformers", reason="needs pip install 'oodbench[text]'")
    from encoder_helpers import write_encoder

    write_encoder(tmp_path / "weights" / "tiny")
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path / "weights"))
    sweep = {
        "name": train,
        "datasets": [{"name": "Table", "file": write(frame(50)), "encoder": "tiny", "length": 8}],
        "algorithms": ["erm"],
        "optimizers": [{"name": "adam", "space": {"lr": 0.05}}],
        "model": {"name": "text_encoder", "encoder": "tiny", "train": train, "pool": "mean"},
        "search": {"trials": 1},
        "train": {"steps": 40, "batch": {"size": 16}},
    }
    oodbench.run_sweep(sweep, tmp_path / "mails.db", workers=1)
    runs = oodbench.query(tmp_path / "mails.db")
    assert runs["status"].tolist() == ["completed"]
    assert runs["id"][0] == 1


@pytest.mark.parametrize(
    ("options", "model", "told"),
    [
        (
            {},
            {"name": "text_encoder", "encoder": "tiny"},
            "the tokens of tiny, but .* no tok",
        ),
        ({"encoder": "tiny"}, {"name": "linear"}, "reads numbers or images, but .*tokens of the"),
    ],
)
def test_tokens_and_models_must_fit(
    write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options, model, told: str
) -> None:
    pytest.importorskip("transformers", reason="needs pip install 'oodbench[text]'")
    from encoder_helpers import write_encoder

    write_encoder(tmp_path / "weights" / "tiny")
    monkeypatch.setenv("OODBENCH_WEIGHTS", str(tmp_path / "weights"))
    sweep = {
        "name": "x",
        "datasets": [{"name": "Table", "file": write(frame(50)), "length": 8, **options}],
        "algorithms": ["erm"],
        "optimizers": ["adam"],
        "model": model,
        "search": {"trials": 1},
        "train": {"steps": 2, "batch": {"size": 4}},
    }
    (study,) = oodbench.plan(sweep).studies
    with pytest.raises(RequestError, match=told):
        tensors_for(study.trials[0], torch.device("cpu"))


def test_a_length_is_a_number(write) -> None:
    for value in (0, 8.0, "long"):
        with pytest.raises(RequestError, match="length must be a whole number from 4"):
            load(write(frame(50)), encoder="tiny", length=value)


def test_a_class_of_one_environment_cannot_be_tested_there(write) -> None:
    """A class ``egg`` that is in 2003 alone: the loss is of label space, not of shift."""
    table = frame().drop(columns="split")
    later = np.flatnonzero(table["environment"] == 2003)
    table.loc[later[:40], "label"] = "egg"
    entry = {"name": "Table", "file": write(table), "words": 8}

    def planned(test_environments: object) -> int:
        datasets = [{**entry, "test_environments": test_environments}]
        return len(plan({"name": "eggs", "datasets": datasets, **GRID}).studies)

    with pytest.raises(RequestError, match=r"environments 2003 \(\[2\]\) no .* the label egg"):
        planned([2])
    with pytest.raises(RequestError, match="the label egg"):
        planned("each")
    assert planned([0]) == len(GRID["optimizers"])


def test_a_class_whose_examples_all_fall_into_other_parts_is_refused(write) -> None:
    table = frame().drop(columns="split")
    table.loc[[0, 150], "label"] = "egg"  # of two environments, one example each
    seeds = []
    for seed in range(20):
        data = DATASETS.get("Table").load({"file": write(table), "words": 8}, seed)
        egg = data.classes.index("egg")
        trained = np.concatenate([data.environments[i].splits["train"].labels for i in (0, 1)])
        if egg in trained:
            data.check_classes((2,))
        else:
            seeds.append(seed)
            with pytest.raises(RequestError, match="the label egg"):
                data.check_classes((2,))
    assert 0 < len(seeds) < 20
