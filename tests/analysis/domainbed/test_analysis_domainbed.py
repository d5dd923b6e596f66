"""DomainBed's three methods: its own tables of its own sweep, and a sweep worked by hand."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import analysis
from analysis.domainbed.candidates import domainbed_candidates, read_domainbed
from analysis.domainbed.tables import (
    METHODS,
    domainbed_averages,
    domainbed_selection,
    domainbed_table,
    domainbed_text,
)
from oodbench.errors import QueryError, RequestError, UnknownNameError

IID, LEAVE_ONE_OUT, ORACLE = METHODS


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a run: for each step the (in, out) accuracies of three environments."""

    def run(name: str, tested: list[int], *steps: tuple, **changes) -> Path:
        args = {"dataset": "Mine", "algorithm": "ERM", "test_envs": tested}
        args |= {"trial_seed": 0, "hparams_seed": 0, **changes}
        lines = []
        for number, scores in enumerate(steps):
            line = {"args": args, "step": 100 * number, "loss": float("nan"), "mem_gb": 0.0}
            for i, (of_in, of_out) in enumerate(scores):
                line |= {f"env{i}_in_acc": of_in, f"env{i}_out_acc": of_out}
            lines.append(json.dumps(line))
        path = tmp_path / "sweep" / name / "results.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n")
        return path

    return run


def test_the_tables_are_domainbeds_to_the_last_digit(vlcs: Path) -> None:
    sweep = read_domainbed(vlcs)
    assert sweep.skipped == ()
    expected = vlcs.with_name("vlcs_erm.expected.txt").read_text()
    assert domainbed_text(sweep) == expected


def test_every_table_tells_its_number_of_trials_and_runs(vlcs: Path) -> None:
    found = domainbed_candidates(read_domainbed(vlcs).accuracies)
    assert domainbed_table(found, IID)["trials"].tolist() == [2] * 4
    chosen = domainbed_selection(found, ORACLE)
    assert chosen["completed"].tolist() == chosen["n_candidates"].tolist() == [2] * 8
    assert domainbed_selection(found, IID)["n_candidates"].tolist() == [10] * 8


@pytest.fixture
def three(write: Write, tmp_path: Path) -> Path:
    """Two hyperparameter seeds; environment 2 is the test one; environments 0, 1 left out too."""
    write("a", [2], [(0, 0.9), (0, 0.3), (0.10, 0.2)], [(0, 0.5), (0, 0.6), (0.20, 0.5)])
    write("b", [2], [(0, 0.1), (0, 0.1), (0.30, 0.9)], [(0, 0.7), (0, 0.3), (0.40, 0.4)],
          hparams_seed=1)  # fmt: skip
    for name, tested, values in (
        ("a0", [0, 2], (0.2, 0.4)),
        ("a1", [1, 2], (0.1, 0.6)),
        ("b0", [0, 2], (0.5, 0.3)),
        ("b1", [2, 1], (0.3, 0.5)),
    ):
        left_out = min(tested)
        steps = [[(v if e == left_out else 0, 1) for e in range(3)] for v in values]
        write(name, tested, *steps, hparams_seed=int(name[0] == "b"))
    return tmp_path / "sweep"


def test_methods_worked_by_hand(three: Path) -> None:
    """iid: .6 of a at step 0 is the best; leave one out: (.4 + .6) / 2 of a at 100; oracle: the
    last .5 of a, though b had .9 before."""
    found = domainbed_candidates(read_domainbed(three).accuracies)
    rows = {method: domainbed_selection(found, method) for method in METHODS}
    picked = {m: (r["run"][0], r["step"][0], r["ood"][0]) for m, r in rows.items()}
    assert picked == {IID: ("a", 0, 0.1), LEAVE_ONE_OUT: ("a", 100, 0.2), ORACLE: ("a", 100, 0.2)}
    assert [len(r) for r in rows.values()] == [1, 1, 1]
    scores = found.set_index(["run", "step"])["leave_one_environment_out"]
    assert scores["a"].tolist() == pytest.approx([0.15, 0.5])
    assert scores["b"].tolist() == pytest.approx([0.4, 0.4])
    assert scores["a0"].isna().all()


def test_errors_over_trials_worked_by_hand(write: Write, tmp_path: Path) -> None:
    for trial, ood in enumerate((0.2, 0.5, 0.8)):
        write(f"t{trial}", [0], [(ood, 0.5), (0, 0.5), (0, 0.5)], trial_seed=trial)
    write("other", [1], [(0, 0.5), (0.4, 0.5), (0, 0.5)])
    found = domainbed_candidates(read_domainbed(tmp_path / "sweep").accuracies)
    table = domainbed_table(found, IID)
    assert table[["environment", "trials"]].to_numpy().tolist() == [[0, 3], [1, 1]]
    assert table["accuracy"].tolist() == pytest.approx([0.5, 0.4])
    assert table["error"].tolist() == pytest.approx([(0.06**0.5) / 3**0.5, 0.0])
    averages = domainbed_averages(found, IID)
    assert averages["accuracy"][0] == pytest.approx((0.3 + 0.5 + 0.8) / 3)


def test_equal_scores_go_to_the_largest_hparams_seed(write: Write, tmp_path: Path) -> None:
    """As DomainBed's sort does it, whatever the folders are called; within a run, to the first."""
    for name, seed, oods in (("z", 2, (0.1, 0.2)), ("a", 10, (0.3, 0.4)), ("m", 9, (0.5, 0.6))):
        steps = [[(ood, 0.7), (0, 0.9), (0, 0.9)] for ood in oods]
        write(name, [0], *steps, hparams_seed=seed)
    found = domainbed_candidates(read_domainbed(tmp_path / "sweep").accuracies)
    picked = domainbed_selection(found, IID)[["hparams_seed", "step", "ood"]]
    assert picked.to_numpy().tolist() == [[10, 0, 0.3]]
    oracle = domainbed_selection(found, ORACLE)[["hparams_seed", "step", "ood"]]
    assert oracle.to_numpy().tolist() == [[10, 100, 0.4]]


def test_the_text_has_domainbeds_order(write: Write, tmp_path: Path) -> None:
    names = ("PACS", "Mine", "ColoredMNIST", "VLCS", "Another")
    for i, (dataset, algorithm) in enumerate(
        (dataset, algorithm) for dataset in names for algorithm in ("VREx", "ERM", "Own", "IRM")
    ):
        write(str(i), [0], FINE, dataset=dataset, algorithm=algorithm)
    text = domainbed_text(read_domainbed(tmp_path / "sweep"))
    titles = [line.split()[2].strip(",") for line in text.splitlines() if "Dataset: " in line]
    assert titles[:5] == ["ColoredMNIST", "VLCS", "PACS", "Another", "Mine"]
    rows = text.split("\n\n")[1].splitlines()[2:]
    assert [row.split()[0] for row in rows] == ["ERM", "IRM", "VREx", "Own"]
    assert "note:" not in text


def test_averages_over_trials_with_different_environments_are_noted(
    write: Write, tmp_path: Path
) -> None:
    write("a", [0], FINE)
    write("b", [1], FINE)
    write("c", [0], FINE, trial_seed=1)
    *_, note = domainbed_text(read_domainbed(tmp_path / "sweep")).splitlines()
    assert "average of ERM on Mine" in note
    assert "(trial 0: 0, 1; trial 1: 0)" in note


def test_a_sweep_without_pairs_of_test_environments(write: Write, tmp_path: Path) -> None:
    write("a", [0], [(0.25, 0.5)] * 3)
    sweep = read_domainbed(tmp_path / "sweep")
    found = domainbed_candidates(sweep.accuracies)
    with pytest.raises(
        QueryError, match=r"leave_one_environment_out cannot choose: of 1 completed"
    ):
        domainbed_table(found, LEAVE_ONE_OUT)
    with pytest.raises(UnknownNameError, match="unknown method 'iid'"):
        domainbed_table(found, "iid")
    iid, _, left_out, _, *_ = domainbed_text(sweep).split("\n\n")[1:]
    assert iid.splitlines()[2].split() == ["ERM", "25.0", "+/-", "0.0", "X", "X", "X"]
    assert left_out.splitlines()[2].split() == ["ERM", "X", "X", "X", "X"]
    assert left_out.splitlines()[1].split() == ["Algorithm", "0", "1", "2", "Avg"]


FINE = [(0.5, 0.5)] * 3


def test_torn_and_foreign_files_are_named_and_left_out(write: Write, tmp_path: Path) -> None:
    write("fine", [0], FINE)
    (tmp_path / "sweep" / "notes").mkdir()
    torn = write("torn", [1], FINE, FINE)
    torn.write_text(torn.read_text()[:-40])
    write("empty", [1]).write_text("")
    write("list", [1]).write_text("[1, 2]\n")
    write("old", [1], FINE, trial_seed=None)
    write("text", [1], FINE, hparams_seed="0")
    write("two", [1], FINE)
    (again := write("two", [1], FINE)).write_text(again.read_text() * 2)
    write("nan", [1], [(0.5, float("nan"))] * 3)
    write("percent", [1], [(0.5, 97.0)] * 3)
    write("all", [0, 1, 2], FINE)
    write("beyond", [3], FINE)
    half = write("half", [1], FINE)
    half.write_text(half.read_text().replace("env2_out_acc", "env2_uda_acc"))
    binary = write("binary", [1])
    binary.write_bytes(b"\xff\xfe\x00")
    sweep = read_domainbed(tmp_path / "sweep")
    assert set(sweep.accuracies["run"]) == {"fine"}
    told = {line.split("/")[0]: line for line in sweep.skipped}
    assert set(told) == {
        "torn", "empty", "list", "old", "text", "two", "nan", "percent", "all", "beyond", "half",
        "binary",
    }  # fmt: skip
    assert told["torn"] == "torn/results.jsonl: line 2 is cut off or is not JSON."
    assert "line 1 has no argument trial_seed" in told["old"]
    assert "line 2 is of another run" in told["two"]
    assert "line 1 has nan for an accuracy" in told["nan"]
    assert "has not the in and out accuracy of each environment" in told["half"]


def test_two_folders_of_one_job_are_both_left_out(write: Write, tmp_path: Path) -> None:
    write("one", [0], FINE)
    write("again", [0], FINE)
    write("other", [0], FINE, hparams_seed=3)
    sweep = analysis.read_domainbed(tmp_path / "sweep")
    assert set(sweep.accuracies["run"]) == {"other"}
    assert sweep.skipped == ("again, one: the same job; keep one of these folders.",)


def test_a_folder_without_runs_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"is no folder\. Name the --output_dir"):
        read_domainbed(tmp_path / "nowhere")
    with pytest.raises(RequestError, match=r"no run of DomainBed's.*\n  it has no results"):
        read_domainbed(tmp_path)
    write("list", [1]).write_text("[]")
    with pytest.raises(RequestError, match=r"list/results\.jsonl: line 1 has no argument dataset"):
        read_domainbed(tmp_path / "sweep")
