"""Tables of models and W&B exports: what is read, and what is refused by its row."""

import os
from pathlib import Path

import numpy as np
import pytest

import analysis
import oodbench
from oodbench.errors import RequestError, UnknownNameError
from oodbench.importing import import_csv, import_wandb
from oodbench.results import check_database, load_run, open_database

COLUMNS = {"id": "val", "ood": "test"}
X = {"dataset": "X"}


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_text(text, encoding=encoding)
    return path


def test_real_pairs_come_out_as_they_went_in(tmp_path: Path) -> None:
    file = Path(os.environ.get("OODBENCH_TEST_DATA", "nowhere")) / "id_ood_pairs" / "pairs.csv"
    if not file.is_file():
        pytest.skip("needs OODBENCH_TEST_DATA to name a folder that has id_ood_pairs/pairs.csv")
    import pandas as pd

    theirs = pd.read_csv(file).query("pair == 'imagenet-r-classes->imagenet-r'")
    theirs.to_csv(tmp_path / "pairs.csv", index=False)
    names = {"id": "id", "ood": "ood", "dataset": "pair", "model": "model", "n_ood": "n_ood"}
    db = tmp_path / "pairs.db"
    done = import_csv(tmp_path / "pairs.csv", db, names, {"algorithm": "erm", "sampler": "random"})
    assert (done.new, done.skipped) == (len(theirs), ())
    assert import_csv(tmp_path / "pairs.csv", db, names, {"algorithm": "erm"}).new == 0
    runs = oodbench.query(db)
    assert np.array_equal(runs["id"], theirs["id"])
    assert np.array_equal(runs["ood"], theirs["ood"])
    assert runs["n_id"].isna().all()
    (curve,) = analysis.return_curves(runs).values()
    assert curve.verdict == "increasing"  # Imagenet-R bends upward


def test_what_is_said_of_a_table_of_models_that_no_rule_can_choose_among(tmp_path: Path) -> None:
    """60 models on a line of slope .8: return type and line are said, and what would say more."""
    rng = np.random.default_rng(0)
    rows = [
        f"m{i},{x:.4f},{0.8 * x - 0.05 + 0.004 * rng.standard_normal():.4f}"
        for i, x in enumerate(rng.uniform(0.5, 0.9, 60))
    ]
    file = write(tmp_path / "models.csv", "\n".join(["name,val,test", *rows]))
    db = tmp_path / "models.db"
    assert import_csv(file, db, {**COLUMNS, "model": "name"}, X).new == 60
    runs = oodbench.query(db)
    assert runs["steps"].isna().all()  # not known, not 0
    found = oodbench.conclude(db)
    claims = found.claims.set_index("claim")["verdict"]
    assert claims.to_dict() == {
        "Return type": "linear",
        "The split is well specified": "does not hold",
    }
    text = " ".join(repr(found).split())
    assert "returns of ID accuracy: linear (unknown)" in text
    assert "id_val would allow comparisons" in text
    page = oodbench.report(db, tmp_path / "report.html").read_text()
    assert "Optimizers are not compared" in page


def test_what_a_row_says(tmp_path: Path) -> None:
    file = write(
        tmp_path / "models.csv",
        "val;test;n;lr;nesterov;seed;who\n0.8;0.5;100;1e-3;true;3;anna\n0.8;0.4;100;0.001;true;4;b\n",
        "utf-8-sig",
    )
    columns = {**COLUMNS, "n_ood": "n", "hparams.lr": "lr", "hparams.nesterov": "nesterov"}
    columns |= {"seed": "seed", "name": "who"}
    db = tmp_path / "m.db"
    import_csv(file, db, columns, {**X, "optimizer": "sgd", "chance": 0.1})
    first, second = oodbench.query(db).to_dict("records")
    assert (first["id"], first["ood"], first["n_ood"], first["lr"]) == (0.8, 0.5, 100, 1e-3)
    assert (first["nesterov"], first["seed"], first["chance"]) == (True, 3, 0.1)
    assert (first["protocol"], first["optimizer_kind"]) == ("imported:csv", "non-adaptive")
    assert first["config_id"] == second["config_id"]  # they differ in seed alone
    assert first["run"] != second["run"]
    with open_database(db) as database:
        said = load_run(database, first["run"]).provenance["imported"]
    assert (said["file"], said["row"], said["name"]) == ("models.csv", 2, "anna")
    assert check_database(db).problems == ()


def test_models_without_a_seed_are_configurations_of_their_own(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", "val,test\n0.8,0.5\n0.8,0.4\n")
    import_csv(file, tmp_path / "m.db", COLUMNS, X)
    assert oodbench.query(tmp_path / "m.db")["config_id"].nunique() == 2


def test_importing_again_in_another_order_adds_nothing(tmp_path: Path) -> None:
    file, db = write(tmp_path / "m.csv", "val,test\n0.8,0.5\n0.7,0.4\n"), tmp_path / "m.db"
    import_csv(file, db, COLUMNS, X)
    write(file, "test,val\n0.4,0.7\n0.9,0.9\n0.5,0.8\n")
    done = import_csv(file, db, COLUMNS, X)
    assert (done.new, done.known) == (1, 2)
    assert check_database(db).rows["study_trials"] == 3


def test_bad_rows_are_named_and_skipped(tmp_path: Path) -> None:
    rows = "0.8,0.5\n0.7,\n0.7,x\n-0.1,0.5\n0.7\n\n0.8,0.5\nnan,0.5\n"
    done = import_csv(write(tmp_path / "m.csv", "val,test\n" + rows), tmp_path / "m.db", COLUMNS, X)
    assert done.new == 1
    assert set(done.skipped) == {
        "row 3: ood is missing.",
        "row 4: ood 'x' is not a number.",
        "row 5: id -0.1 is no fraction between 0 and 1.",
        "row 6: it has 1 cells, the header 2.",
        "row 8: it says the same as row 2.",
        "row 9: id is missing (nan).",
    }


def test_a_row_without_its_dataset_is_skipped(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", "val,test,data\n0.8,0.5,X\n0.7,0.4,\n")
    done = import_csv(file, tmp_path / "m.db", {**COLUMNS, "dataset": "data"})
    assert (done.new, done.skipped) == (1, ("row 3: dataset is missing.",))


def test_percent_is_converted_only_when_told(tmp_path: Path) -> None:
    file, db = write(tmp_path / "m.csv", "val,test\n80,0.5\n120,3\n"), tmp_path / "m.db"
    found = r"id \(column 'val'\) 2 of 2 are above 1 \(row 2: 80; row 3: 120\).* say --percent, or"
    with pytest.raises(RequestError, match=found):
        import_csv(file, db, COLUMNS, X)
    done = import_csv(file, db, COLUMNS, X, percent=True)
    assert done.skipped == ("row 3: id 120 is no percent between 0 and 100.",)
    assert oodbench.query(db)[["id", "ood"]].to_numpy().tolist() == [[0.8, 0.005]]
    with pytest.raises(
        RequestError, match=r"and ood \(.*\) never exceed 1, .* Leave out --percent"
    ):
        import_csv(write(file, "val,test\n0.8,0.5\n"), db, COLUMNS, X, percent=True)


def test_scale_is_judged_by_column(tmp_path: Path) -> None:
    """ID in percent and OOD as a fraction: 0.3537 is no 0.35 percent."""
    rows = "55.37,0.3537\n83.9,0.639\n,nan\n"
    file, db = write(tmp_path / "m.csv", "val,test\n" + rows), tmp_path / "m.db"
    refused = r"ood \(column 'test'\) never exceeds 1, .* Say --percent-of id in place of --percent"
    with pytest.raises(RequestError, match=refused):
        import_csv(file, db, COLUMNS, X, percent=True)
    with pytest.raises(RequestError, match=r"of id \(column 'val'\) 2 of 2 are above 1"):
        import_csv(file, db, COLUMNS, X, percent=["ood"])
    import_csv(file, db, COLUMNS, X, percent=["id"])
    assert oodbench.query(db)[["id", "ood"]].to_numpy().tolist() == [
        [pytest.approx(0.5537), 0.3537],
        [pytest.approx(0.839), 0.639],
    ]
    with pytest.raises(UnknownNameError, match="unknown score in percent 'test'"):
        import_csv(file, db, COLUMNS, X, percent=["test"])


def test_scales_of_a_trackers_columns(tmp_path: Path) -> None:
    rows = [
        "Name,ID,State,optimizer,lr,seed,Val Acc,Test Acc,loss",
        "run-0,id0,finished,sgd,0.1,0,55.37,0.3537,0.3",
        "run-1,id1,crashed,adam,0.01,0,,,NaN",
    ]
    file = write(tmp_path / "w.csv", "\n".join(rows))
    columns = {"id_val": "Val Acc", "ood": "Test Acc", "loss": "loss"}
    with pytest.raises(RequestError, match=r"ood \(column 'Test Acc'\) never exceeds 1"):
        import_wandb(file, tmp_path / "w.db", columns, X, percent=True)
    done = import_wandb(file, tmp_path / "w.db", columns, X, percent=["id_val"])
    assert done.statuses == {"completed": 1, "failed": 1}


def test_diverged_and_crashed_runs_are_kept_whatever_their_scores(tmp_path: Path) -> None:
    """Status comes first; nothing that stands in place of a score drops a run that has none."""
    bad = ["nan", "NaN", "inf", "-Infinity", "", "null", "N/A", "-0.3", "oops"]
    rows = [f"{status},{text},{text},r{i}" for i, text in enumerate(bad) for status in ("diverged",
            "failed")]  # fmt: skip
    rows += ["completed,0.8,0.5,fine", "completed,0.8,inf,none"]
    file = write(tmp_path / "m.csv", "\n".join(["status,val,test,name", *rows]))
    columns = {**COLUMNS, "status": "status", "name": "name"}
    done = import_csv(file, tmp_path / "m.db", columns, X)
    assert done.statuses == {"diverged": len(bad), "failed": len(bad), "completed": 1}
    assert done.skipped == (f"row {2 * len(bad) + 3}: ood is missing (inf).",)


def test_a_loss_that_is_not_finite_comes_before_scores_that_are_not(tmp_path: Path) -> None:
    text = "val,test,loss,seed\nnan,nan,nan,1\n,,inf,2\n0.5,0.4,,3\n0.5,0.4,none,4\n"
    columns = {**COLUMNS, "loss": "loss", "seed": "seed"}
    done = import_csv(write(tmp_path / "m.csv", text), tmp_path / "m.db", columns, X)
    assert (done.statuses, done.skipped) == ({"diverged": 2, "completed": 2}, ())


def test_counts_that_are_not_known_are_not_counted(tmp_path: Path) -> None:
    text = "val,test,n,seed\n0.5,0.4,nan,NaN\n0.6,0.4,,\n"
    columns = {**COLUMNS, "n_ood": "n", "seed": "seed"}
    import_csv(write(tmp_path / "m.csv", text), tmp_path / "m.db", columns, X)
    runs = oodbench.query(tmp_path / "m.db")
    assert runs["n_ood"].isna().all()
    assert set(runs["seed"]) == {-1}


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_separators_of_lines_in_a_name_are_text(tmp_path: Path, ending: str) -> None:
    """U+2028, NEL and their like end no row; a quoted line feed ends none either."""
    names = ["a\u2028b", "c\x85d", "e\x0bf", "g\x1ch", "i\u2029j", '"k\nl"']
    rows = [f"{name},0.{80 + i},0.{50 + i}" for i, name in enumerate(names)]
    file = tmp_path / "m.csv"
    file.write_bytes(ending.join(["name,val,test", *rows]).encode())
    done = import_csv(file, tmp_path / "m.db", {**COLUMNS, "model": "name"}, X)
    assert (done.new, done.skipped) == (6, ())
    assert sorted(oodbench.query(tmp_path / "m.db")["model"]) == sorted(n.strip('"') for n in names)


def test_what_exports_escape_is_read_as_it_was(tmp_path: Path) -> None:
    file = write(tmp_path / "m.csv", "name,val,test\n'=1+1,0.8,'+0.5\n'quoted',0.7,0.4\n")
    import_csv(file, tmp_path / "m.db", {**COLUMNS, "model": "name"}, X)
    runs = oodbench.query(tmp_path / "m.db")
    assert dict(zip(runs["model"], runs["ood"], strict=True)) == {"=1+1": 0.5, "'quoted'": 0.4}


@pytest.mark.parametrize(
    ("text", "columns", "constants", "error", "message"),
    [
        ("", COLUMNS, X, RequestError, "is empty"),
        ("val,test\n", COLUMNS, X, RequestError, "it has a header only"),
        ("vall,test\n1,1\n", COLUMNS, X, UnknownNameError, "column 'val'. Did you mean 'vall'"),
        ("val,test\n1,1\n", {"idd": "val"}, X, UnknownNameError, "Did you mean 'id'"),
        (
            "val,test\n1,1\n",
            COLUMNS,
            {},
            RequestError,
            "gives a model's dataset",
        ),
        ("val,test\n1,1\n", {"ood": "test"}, X, RequestError, "gives a model's id or id_val"),
        ("val,val,test\n1,1,1\n", COLUMNS, X, RequestError, "several columns 'val'"),
        ("val,test\n1,1\n", COLUMNS, {**X, "id": 1}, RequestError, "id is given twice"),
        ("val,test\n1,1\n", COLUMNS, {**X, "sampler": "bayes"}, UnknownNameError, "sampler"),
    ],
)
def test_files_and_mappings_that_cannot_be_used(
    tmp_path: Path, text: str, columns: dict, constants: dict, error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        import_csv(write(tmp_path / "m.csv", text), tmp_path / "m.db", columns, constants)
    assert not (tmp_path / "m.db").exists()


def test_text_with_zero_bytes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes("val,test\n0.8,0.5\n".encode("utf-16-le"))
    with pytest.raises(RequestError, match=r"has a zero byte \(character 1\).* in UTF-16"):
        import_csv(tmp_path / "m.csv", tmp_path / "m.db", COLUMNS, X)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_bytes(b"val,test\n\xff\xfe,1\n")
    with pytest.raises(RequestError, match=r"is no UTF-8 text \(byte 9\)"):
        import_csv(tmp_path / "m.csv", tmp_path / "m.db", COLUMNS, X)
