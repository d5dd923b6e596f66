"""The leaderboard of trained runs: pooled from databases and archives, written as a folder."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from trained_here import trained_here

import oodbench
from oodbench import query
from oodbench.errors import RequestError
from oodbench.verbs.pooling import pooled


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]) -> Path:
    db = tmp_path_factory.mktemp("board") / "tiny.db"
    return trained_here(tiny(), db)


@pytest.fixture(scope="module")
def archived(trained: Path) -> Path:
    folder = trained.parent / "archive"
    oodbench.export_runs(trained, folder, "Tiny.")
    return folder


def test_an_archive_has_the_runs_of_its_database(trained: Path, archived: Path) -> None:
    once, twice = pooled([trained]), pooled([archived, trained])
    names = ["run", "id_val", "id", "ood", "seed"]
    pd.testing.assert_frame_equal(once.runs[names], twice.runs[names])
    assert sum(len(one.runs) for one in twice.predictions) == 4
    assert once.testbeds["testbed"].nunique() == 1


def test_the_folder(trained: Path, tmp_path: Path, oodbench: Callable[..., Any]) -> None:
    ended = oodbench(
        *("leaderboard", "make", trained, "-o", tmp_path / "board"),
        *("--reference", "sgd", "--budget", 1),
    )
    assert (ended.code, ended.out.count("2 cells on 1 testbeds")) == (0, 1)
    numbers = json.loads((tmp_path / "board" / "leaderboard.json").read_text())
    adam = next(cell for cell in numbers["cells"] if cell["optimizer"] == "adam")
    assert (adam["trials"], adam["verdict"], adam["low"]) == (2, "undecided", None)
    file = tmp_path / "board" / "runs" / f"{adam['cell']}.csv"
    with file.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    mean = sum(float(row["ood"]) for row in rows) / 2
    assert adam["ood"] == pytest.approx(mean)
    page = (tmp_path / "board" / "index.html").read_text()
    assert all(row["run"] in page for row in rows)
    assert f'href="runs/{file.name}"' in page


def test_other_steps_are_another_testbed(
    trained: Path, tmp_path: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    longer = tmp_path / "longer.db"
    train = {**tiny()["train"], "steps": 6}
    trained_here(tiny(train=train), longer)
    board = oodbench.leaderboard([trained, longer], reference="sgd", budget=1)
    assert list(board.cells["settings"].unique()) == [
        "4 steps, batch 8 per environment",
        "6 steps, batch 8 per environment",
    ]
    assert list(board.cells["trials"]) == [2] * 4


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="name a database"):
        oodbench.leaderboard([])
    with pytest.raises(RequestError, match="no archive of runs"):
        oodbench.leaderboard(tmp_path)


def test_two_search_spaces_are_two_contestants(
    trained: Path, tmp_path: Path, tiny: Callable[..., dict[str, Any]]
) -> None:
    wide = {"name": "adam", "space": {"lr": {"log": [1e-6, 1.0]}}}
    other = trained_here(tiny(optimizers=[wide]), tmp_path / "wide.db")
    with pytest.raises(RequestError, match=r"adam with erm .* two spaces.* adam\(wide\)"):
        oodbench.leaderboard([trained, other], reference="sgd", budget=1)


@pytest.mark.slow
def test_comparing_trains_ones_own_optimizer_alone_with_the_same_draws(
    tmp_path: Path, tiny: Callable[..., dict[str, Any]], oodbench: Callable[..., Any]
) -> None:
    search = {"sampler": "random", "trials": 8, "seed": 3}
    board = trained_here(tiny(search=search), tmp_path / "board.db")
    mine = tmp_path / "mine.yaml"
    mine.write_text("optimizers: [rmsprop]\n")
    db = tmp_path / "mine.db"
    given = ("compare", mine, "--against", board, "--db", db, "--reference", "sgd")
    ended = oodbench(*given, "--workers", 1)
    assert ended.code == 0, ended.err
    assert "RMSProp with ERM on ColoredDigits: " in ended.out
    assert "against SGD undecided" in " ".join(ended.out.split())
    own, theirs = query(db), query(board, "optimizer = 'adam'")
    assert set(own["optimizer"]) == {"rmsprop"}
    assert sorted(own["seed"]) == sorted(theirs["seed"])
    mine.write_text("optimizers: [rmsprop]\ntrain: {steps: 9}\n")
    assert "train: it takes name, optimizers, parallel" in oodbench(*given).err
    mine.write_text("optimizer: rmsprop\n")
    assert "say which optimizers to train" in oodbench(*given).err
