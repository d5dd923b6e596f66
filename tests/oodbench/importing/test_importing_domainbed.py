"""DomainBed's folders in the database: its own tables come out of it, and nothing is guessed."""

from collections.abc import Callable
from pathlib import Path

import pytest

import analysis
import oodbench
from oodbench.errors import QueryError, RequestError, UnknownNameError
from oodbench.importing import import_domainbed
from oodbench.results import check_database, load_run, open_database, retry, state_counts

Write = Callable[..., Path]
SCORES = [(0.9, 0.8), (0.7, 0.6), (0.5, 0.4)]
CUT = (
    " did not end: their logs stop before the last step; --unfinished keep has them as failed runs."
)
EARLIER = [(0.3, 0.85), (0.3, 0.75), (0.3, 0.2)]


def expected_cells(vlcs: Path) -> dict[str, list[str]]:
    """Selection method -> the mean of each environment, as DomainBed prints it."""
    cells = {}
    for block in vlcs.with_name("vlcs_erm.expected.txt").read_text().split("\n\n"):
        title, _, row, *_ = [*block.strip().splitlines(), "", "", ""]
        if title.startswith("-------- Dataset"):
            cells[title.split("method: ")[1]] = row.split()[1:-1:3]
    return cells


def test_the_tables_of_the_imported_database_are_domainbeds_to_the_last_digit(
    vlcs: Path, tmp_path: Path
) -> None:
    db = tmp_path / "vlcs.db"
    done = import_domainbed(vlcs, db)
    assert (done.new, done.known, done.skipped, done.sweep) == (40, 0, (), "vlcs_erm")
    expected = vlcs.with_name("vlcs_erm.expected.txt").read_text()
    assert analysis.domainbed_text(analysis.stored_domainbed(db)) == expected
    cells = expected_cells(vlcs)
    assert {len(row) for row in cells.values()} == {4}
    for method, rule, checkpoint in (
        ("training-domain validation set", "id_val", "best_id_val"),
        ("test-domain validation set (oracle)", "oracle", "last"),
    ):
        found = {}
        for trial in (0, 1):
            rows = oodbench.query(db, f"data_seed = {trial}", select=rule, checkpoint=checkpoint)
            for row in rows.itertuples():
                found.setdefault(row.test_environments, []).append(row.ood)
        means = [100 * sum(found[e]) / 2 for e in "0123"]
        assert [f"{mean:.1f}" for mean in means] == cells[method]
    table = analysis.optimizer_table(oodbench.query(db, checkpoint="best_id_val"))
    assert table["completed"].tolist() == [4] * 10
    assert table["n_ood"].isna().all()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_second_import_adds_nothing(
    kind: str, vlcs: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    db = tmp_path / "vlcs.db"
    if kind == "postgresql":
        db = request.getfixturevalue("server").create("imported")
    import_domainbed(vlcs, db)
    before = oodbench.query(db)
    done = import_domainbed(vlcs, db)
    assert (done.new, done.known) == (0, 40)
    assert oodbench.query(db).equals(before)
    found = check_database(db)
    assert found.problems == ()
    assert (found.rows["study_trials"], found.rows["points"]) == (40, 40 * 5 * 9)


def test_what_a_run_says_of_itself(write: Write, tmp_path: Path) -> None:
    write("a", [2], EARLIER, SCORES, hparams={"optimizer": "SGD", "depths": [1, 2], "none": None})
    db = tmp_path / "mine.db"
    import_domainbed(tmp_path / "sweep", db, shift="diversity", num_classes="4")
    (row,) = oodbench.query(db).to_dict("records")
    assert (row["algorithm"], row["optimizer"], row["optimizer_kind"]) == (
        "vrex", "sgd", "non-adaptive",
    )  # fmt: skip
    assert (row["protocol"], row["shift"], row["chance"]) == (
        "imported:domainbed", "diversity", 0.25,
    )  # fmt: skip
    assert (row["id_val"], row["id"], row["ood"], row["oracle_val"]) == pytest.approx(
        (0.7, 0.7, 0.5, 0.4)
    )
    assert (row["steps"], row["seed"], row["data_seed"], row["lr"]) == (101, 77, 0, 1e-3)
    assert (row["batch"], row["depths"], row["model"]) == (
        '{"per_environment":8}', "[1, 2]", "unknown",
    )  # fmt: skip
    assert "none" not in row
    best = oodbench.query(db, checkpoint="best_id_val")
    assert best[["step", "id", "ood"]].to_numpy().tolist() == [[1, 0.8, 0.3]]
    with open_database(db) as database:
        record = load_run(database, row["run"])
    roles = {(m.environment, m.split): m.role for m in record.measurements if m.environment}
    assert roles["0", "in"] == "train"
    assert roles["0", "out"] == "id_val"
    assert roles["2", "in"] == "ood_test"
    assert roles["2", "out"] == "oracle_val"
    assert "data_dir" not in record.provenance["imported"]["args"]
    assert any("no ID test part" in line for line in record.provenance["imported"]["unknown"])


def test_forks_that_search_optimizers_or_grids_are_told_apart(write: Write, tmp_path: Path) -> None:
    write("plain", [0], SCORES)
    write("sgd", [0], SCORES, hparams={"optimizer": "sgd"})
    write("argument", [0], SCORES, optimizer="RMSProp")
    write("theirs", [0], SCORES, hparams={"optimizer": "Lookahead"})
    write("grid", [0], SCORES, hparams={"lr": 1e-2})
    done = import_domainbed(tmp_path / "sweep", tmp_path / "mine.db")
    assert (done.new, done.skipped) == (5, ())
    found = sorted(oodbench.query(tmp_path / "mine.db")["optimizer"])
    assert found == ["Lookahead", "adam", "adam", "rmsprop", "sgd"]


def test_torn_unfinished_and_foreign_files_are_named_and_skipped(
    write: Write, tmp_path: Path
) -> None:
    write("fine", [0], SCORES)
    (write("unfinished", [1], SCORES, steps=101).parent / "done").unlink()
    torn = write("torn", [1], SCORES, SCORES)
    torn.write_text(torn.read_text()[:-40])
    bare = write("bare", [1], SCORES)
    bare.write_text(bare.read_text().replace('"hparams"', '"other"'))
    two = write("two", [1], SCORES, SCORES)
    two.write_text(two.read_text()[::-1].replace('8 :"ezis_hctab"', '9 :"ezis_hctab"', 1)[::-1])
    (tmp_path / "sweep" / "notes").mkdir()
    (tmp_path / "sweep" / "todo.txt").write_text("sleep")
    (tmp_path / "sweep" / "results.txt").write_text("what collect_results printed")
    done = import_domainbed(tmp_path / "sweep", tmp_path / "mine.db")
    assert done.new == 1
    assert sorted(done.skipped) == [
        f"1 runs (unfinished){CUT}",
        "bare: it does not say its hparams.",
        "notes: no run of DomainBed's, for it has no results.jsonl.",
        "todo.txt: no folder of a run.",
        "torn/results.jsonl: line 2 is cut off or is not JSON.",
        "two: line 2 has other hparams than those before it.",
    ]


def test_a_loss_that_is_not_finite_is_a_diverged_run(write: Write, tmp_path: Path) -> None:
    write("a", [0], SCORES, loss=float("nan"))
    db = tmp_path / "mine.db"
    assert import_domainbed(tmp_path / "sweep", db).statuses == {"diverged": 1}
    (row,) = oodbench.query(db).to_dict("records")
    assert row["reason"] == "DomainBed logged a loss that is not finite at its step 0."
    assert row["id"] != row["id"]
    with open_database(db) as database:
        assert retry(database, "sweep", ["diverged"]) == 0  # no worker is to train it
        assert state_counts(database)["waiting"] == 0


@pytest.mark.parametrize("name", ["gen_loss", "nll", "penalty", "loss_adv", "total_loss"])
def test_any_part_of_the_loss_that_is_not_finite_is_a_diverged_run(
    write: Write, tmp_path: Path, name: str
) -> None:
    """Adversarial algorithms log no ``loss``. What is no loss, as a gradient's norm, may be any."""
    path = write("a", [0], EARLIER, SCORES)
    sound, cut = path.read_text().replace('"loss"', '"grad_norm"').splitlines()
    bad = cut.replace('"grad_norm": 0.5', f'"{name}": NaN')
    path.write_text(f"{sound.replace('0.5', 'Infinity', 1)}\n{bad}\n")
    db = tmp_path / "mine.db"
    (path.parent / "done").unlink()  # however long it is
    assert import_domainbed(tmp_path / "sweep", db).statuses == {"diverged": 1}
    (row,) = oodbench.query(db).to_dict("records")
    assert row["reason"] == f"DomainBed logged a {name} that is not finite at its step 100."
    path.write_text(path.read_text().replace("NaN", "1.0"))
    (path.parent / "done").touch()
    assert import_domainbed(tmp_path / "sweep", tmp_path / "b.db").statuses == {"completed": 1}


STEPS = (SCORES, EARLIER, SCORES)


def without_done(path: Path) -> None:
    (path.parent / "done").unlink()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ({"steps": 201}, "args.steps"),
        ({"dataset": "VLCS"}, "the longest of its peers"),  # a fork with another default
        ({}, "the longest of its peers"),
    ],
)
def test_logs_alone_are_complete_up_to_their_last_step(
    write: Write, tmp_path: Path, args: dict, says: str
) -> None:
    """As dumps are published: no ``done``; here in nested folders, beside runs that were cut."""
    for seed in range(3):
        without_done(write(f"part/{seed}", [0], *STEPS, hparams_seed=seed, **args))
    without_done(write("cut", [1], *STEPS[:2], **args))
    db = tmp_path / "mine.db"
    done = import_domainbed(tmp_path / "sweep", db)
    assert done.statuses == {"completed": 3}
    assert done.notes == (f"3 runs have no file 'done', and are complete by {says}.",)
    assert done.skipped == (f"1 runs (cut){CUT}",)
    done = import_domainbed(tmp_path / "sweep", db, unfinished="keep")
    assert (done.new, done.known, done.statuses) == (1, 3, {"completed": 3, "failed": 1})
    assert (done.skipped, len(done.notes)) == ((), 2)
    (row,) = oodbench.query(db, "status = 'failed'").to_dict("records")
    assert row["reason"] == f"It stopped after step 101 of 201, which {says} says."
    assert row["id_val"] != row["id_val"]  # no score to compare with longer ones


def test_the_datasets_default_counts_where_a_run_reaches_it(write: Write, tmp_path: Path) -> None:
    """Of PACS it is 5,001; two runs that both stop at 201 do not change that."""
    for name, seed in (("a", 0), ("b", 1)):
        without_done(write(name, [0], *STEPS, hparams_seed=seed, dataset="PACS"))
    last = write("c", [0], *STEPS, hparams_seed=2, dataset="PACS")
    last.write_text(last.read_text().replace('"step": 200', '"step": 5000'))
    without_done(last)
    done = import_domainbed(tmp_path / "sweep", tmp_path / "mine.db")
    assert done.notes == ("1 runs have no file 'done', and are complete by the dataset's default.",)
    assert done.skipped[0].startswith("2 runs (a, b) did not end")


def test_one_log_alone_that_says_no_length_is_not_complete(write: Write, tmp_path: Path) -> None:
    path = write("a", [0], *STEPS)
    without_done(path)
    with pytest.raises(RequestError, match=r"1 runs \(a\) did not end.*--unfinished keep"):
        import_domainbed(tmp_path / "sweep", tmp_path / "mine.db")
    assert import_domainbed(path.parent, tmp_path / "one.db", unfinished="keep").sweep == "a"
    with pytest.raises(UnknownNameError, match="unknown way with unfinished runs 'drop'"):
        import_domainbed(tmp_path / "sweep", tmp_path / "mine.db", unfinished="drop")


def test_a_run_that_is_done_and_too_short_is_not_pooled(write: Write, tmp_path: Path) -> None:
    write("long", [0], *STEPS, steps=201)
    write("short", [1], *STEPS[:2], steps=201)
    write("old", [2], *STEPS, steps=300, checkpoint_freq=100)  # logged before the last step
    write("free", [0, 1], *STEPS[:1])  # says no steps: its file done is all that there is
    db = tmp_path / "mine.db"
    done = import_domainbed(tmp_path / "sweep", db)
    assert (done.new, done.notes) == (3, ())
    (line,) = done.skipped
    assert line.startswith("1 runs (short) stop before their args.steps in spite of 'done'; ")
    assert import_domainbed(tmp_path / "sweep", db, unfinished="keep").new == 1
    assert oodbench.query(db)["status"].value_counts().to_dict() == {"completed": 3, "failed": 1}


def test_a_job_that_was_begun_again_and_ended_is_kept_once(write: Write, tmp_path: Path) -> None:
    write("whole", [0], *STEPS, steps=201)
    without_done(write("first", [0], *STEPS[:1], steps=201))
    for way in ("skip", "keep"):
        done = import_domainbed(tmp_path / "sweep", tmp_path / f"{way}.db", unfinished=way)
        assert done.statuses == {"completed": 1}


def test_separators_of_lines_in_a_log_end_none(write: Write, tmp_path: Path) -> None:
    path = write("a", [0], SCORES, hparams={"note": "a!b"})
    path.write_text(path.read_text().replace("a!b", "a\u2028\x85b"), encoding="utf-8")
    import_domainbed(tmp_path / "sweep", tmp_path / "mine.db")
    assert oodbench.query(tmp_path / "mine.db")["note"].tolist() == ["a\u2028\x85b"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"step": 0', '"step": Infinity'),
        ('"step": 0', '"step": -1'),
        ('"step": 0', '"step": 1e30'),
        ('"trial_seed": 0', f'"trial_seed": {10**30}'),
        ('"hparams_seed": 0', f'"hparams_seed": -{10**30}'),
        ('"test_envs": [0]', '"test_envs": [[0]]'),
        ('"test_envs": [0]', '"test_envs": [0.0]'),
        ('"dataset": "Mine"', r'"dataset": "\ud800"'),
        ('"dataset": "Mine"', r'"dataset": "a\u0000b"'),
        ('"lr": 0.001', f'"lr": {"[" * 100_000}'),
        ('"env0_in_acc"', f'"env{"9" * 5000}_in_acc"'),
    ],
)
def test_values_that_no_run_can_have_are_refused_by_line(
    write: Write, tmp_path: Path, old: str, new: str
) -> None:
    path = write("a", [0], SCORES)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(RequestError, match=r"a/results\.jsonl: line 1 "):
        import_domainbed(tmp_path / "sweep", tmp_path / "mine.db")


def test_our_leave_one_out_rule_finds_domainbeds_siblings(write: Write, tmp_path: Path) -> None:
    """Their training seeds differ, for DomainBed derives them from the test environments."""
    write("a", [2], SCORES)
    write("a0", [0, 2], [(0, 0.25), (0, 0.1), (0, 0.1)], seed=78)
    write("a1", [1, 2], [(0, 0.1), (0, 0.75), (0, 0.1)], seed=79)
    import_domainbed(tmp_path / "sweep", tmp_path / "mine.db")
    rows = oodbench.query(tmp_path / "mine.db").set_index("test_environments")
    assert rows["leave_one_environment_out"]["2"] == 0.5


def test_imported_runs_are_never_pooled_with_others(write: Write, tmp_path: Path) -> None:
    write("a", [0], SCORES)
    db = tmp_path / "mine.db"
    import_domainbed(tmp_path / "sweep", db)
    own = oodbench.query(db)
    both = own.assign(protocol="1", run="x")
    import pandas as pd

    pooled = pd.concat([own, both], ignore_index=True)
    for question in (analysis.optimizer_table, analysis.scatter, analysis.conclude):
        with pytest.raises(QueryError, match=r"of the protocols 1, imported:domainbed"):
            question(pooled)
    elsewhere = pd.concat([own, both.assign(dataset="Other")], ignore_index=True)
    assert len(analysis.optimizer_table(elsewhere)) == 2


def test_a_sweep_of_another_kind_is_not_added_to(write: Write, tmp_path: Path) -> None:
    write("a", [0], SCORES)
    db = tmp_path / "mine.db"
    with open_database(db, create=True) as database:
        from oodbench.results import add_sweep

        add_sweep(database, "sweep", {"name": "sweep"}, [])
    with pytest.raises(RequestError, match=r"'sweep' already, and that one is trained by oodbench"):
        import_domainbed(tmp_path / "sweep", db)
    assert import_domainbed(tmp_path / "sweep", db, name="theirs").new == 1


def test_facts_are_checked(write: Write, tmp_path: Path) -> None:
    write("a", [0], SCORES)
    for facts, error, match in (
        ({"shift": "covariate"}, UnknownNameError, "unknown shift 'covariate'"),
        ({"chanse": "1"}, UnknownNameError, "unknown fact 'chanse'. Did you mean 'chance'"),
        ({"chance": "10"}, RequestError, "chance needs a fraction, but got '10'"),
        ({"num_classes": "ten"}, RequestError, "num_classes needs a whole number above 1"),
    ):
        with pytest.raises(error, match=match):
            import_domainbed(tmp_path / "sweep", tmp_path / "mine.db", **facts)
    assert not (tmp_path / "mine.db").exists()


def test_an_imported_run_is_not_trained_or_scored_here(write: Write, tmp_path: Path) -> None:
    write("a", [0], SCORES)
    db = tmp_path / "mine.db"
    import_domainbed(tmp_path / "sweep", db)
    run = oodbench.query(db)["run"][0]
    with pytest.raises(RequestError, match="imported from domainbed, so it cannot be trained"):
        oodbench.reproduce(db, run)
    with pytest.raises(RequestError, match="imported from domainbed, so it cannot be scored"):
        oodbench.evaluate(db, run)
    with pytest.raises(RequestError, match="imported from domainbed, so it cannot be scored"):
        oodbench.load_model(db, run)
