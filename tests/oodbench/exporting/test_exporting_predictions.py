"""Exported predictions are those that are stored, and WILDS scores them as training did."""

import json
from ast import literal_eval
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pyarrow import parquet
from wilds_fixtures import make

import oodbench
from domainbed_adapters.wilds_compat import compatible, load
from oodbench.errors import RequestError
from oodbench.results import add_sweep, open_database
from oodbench.workers.worker import work
from oodbench.workers.worker_settings import WorkerSettings

Train = Callable[..., Path]


@pytest.fixture
def train(tmp_path: Path) -> Train:
    """Trains two configurations, each on two seeds, into a database; returns its path."""

    def training(dataset: dict[str, object], **changes: object) -> Path:
        sweep = {
            "name": "small",
            "datasets": [dataset],
            "algorithms": ["erm"],
            "optimizers": ["adam"],
            "model": {"name": "mlp", "width": 4, "depth": 1},
            "search": {"trials": 2},
            "train": {"steps": 4, "batch": {"size": 8}, "evaluate_every": 2},
            "seeds": 2,
            **changes,
        }
        planned = oodbench.plan(sweep)
        with open_database(tmp_path / "runs.db", create=True) as db:
            spec = planned.spec.model_dump(mode="json", exclude_none=True)
            add_sweep(db, "small", spec, planned.studies)
        work(tmp_path / "runs.db", settings=WorkerSettings(device="cpu", stack=4))
        return tmp_path / "runs.db"

    return training


def test_parquet_has_a_row_an_example_and_a_row_a_run(train: Train, tmp_path: Path) -> None:
    db = train({"name": "ColoredDigits", "test_environments": [1, 2]})
    (found,) = oodbench.predictions(db)
    done = oodbench.export_predictions(db, tmp_path / "out")
    assert (done.runs, done.wilds) == (4, 0)
    (folder,) = done.folders
    assert folder == tmp_path / "out" / "ColoredDigits-1+2-seed0"
    examples = pd.read_parquet(folder / "examples.parquet")
    pd.testing.assert_frame_equal(examples, found.examples)
    rows = pd.read_parquet(folder / "predictions.parquet")
    assert np.array_equal(np.stack(rows["predicted"]), found.predicted)
    configs = oodbench.query(db).set_index("run")["config_id"]
    assert rows["config_id"].tolist() == [configs[run] for run in rows["run"]]
    about = parquet.read_schema(folder / "predictions.parquet").metadata[b"oodbench"]
    assert json.loads(about)["source"] == "digits"
    oodbench.export_predictions(db, tmp_path / "out", "seed < 0 or lr < 1e9")  # replaces the files


def test_wilds_scores_its_files_as_training_did(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make(tmp_path / "data", "CivilComments")
    monkeypatch.setenv("OODBENCH_DATA", str(root))
    db = train({"name": "CivilComments", "words": 20})
    done = oodbench.export_predictions(db, tmp_path / "out")
    assert done.wilds == 4 * 2
    (folder,) = done.folders
    theirs = load("civilcomments", root)
    runs = oodbench.query(db)
    for config, mine in runs.groupby("config_id"):
        for replicate, run in enumerate(mine["run"]):
            where = f"run_id = '{run}' AND step = 4 AND metric = 'accuracy' AND environment = ''"
            curves = oodbench.query(db, sql=f"SELECT * FROM curves WHERE {where}")
            last = curves.set_index("split")["value"]
            for split in ("val", "test"):
                name = f"civilcomments_split:{split}_seed:{replicate}_epoch:last_pred.csv"
                lines = (folder / "wilds" / config / name).read_text().splitlines()
                said = torch.tensor([literal_eval(line.rstrip()) for line in lines])
                subset = theirs.get_subset(split)
                with compatible("civilcomments"):
                    scores, _ = theirs.eval(said, subset.y_array, subset.metadata_array)
                assert scores["acc_avg"] == pytest.approx(last[split], abs=1e-7)  # in float32


def test_where_nothing_is_kept_nothing_is_written(train: Train, tmp_path: Path) -> None:
    db = train({"name": "ColoredDigits", "test_environments": [2]}, keep_predictions="none")
    with pytest.raises(RequestError, match="keep_predictions: none"):
        oodbench.export_predictions(db, tmp_path / "out")
    assert not (tmp_path / "out").exists()
