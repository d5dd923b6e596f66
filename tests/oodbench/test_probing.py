"""oodbench probe: what is stored, that it is the run's own, and that nothing else changes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oodbench
from oodbench import api
from oodbench.errors import RequestError, UnknownNameError
from oodbench.optimizers import OPTIMIZERS
from oodbench.planning import plan
from oodbench.records import Measurement
from oodbench.results import add_sweep, open_database, probed, store_probes
from oodbench.worker import work

STEPS = 20


@pytest.fixture(scope="module")
def probed_db(
    tmp_path_factory: pytest.TempPathFactory, tiny: Callable[..., dict[str, Any]]
) -> Path:
    path = tmp_path_factory.mktemp("probed") / "runs.db"
    optimizers = ["sgd", "adam", "sasam", "asgd"]
    if OPTIMIZERS.get("schedule_free_sgd").installed:
        optimizers.append("pytorch_optimizer.gravity")  # trained alone, for it draws at random
    train = {"steps": STEPS, "batch": {"per_environment": 8}, "evaluate_every": 10}
    planned = plan(tiny(optimizers=optimizers, algorithms=["erm", "group_dro"], train=train))
    spec = planned.spec.model_dump(mode="json", exclude_none=True)
    with open_database(path, create=True) as db:
        add_sweep(db, "tiny", spec, planned.studies)
    work(path, "tiny", device="cpu", stack=4)
    before = oodbench.query(path)
    found = {kind: api.probe(kind, path, device="cpu") for kind in ("rsi-eb", "sharpness")}
    for frame in found.values():
        assert len(frame) == (before["status"] == "completed").sum() > 10
        assert (frame["difference"] == 0).all()  # each is the run that is stored
    after = oodbench.query(path)
    assert before.equals(after)
    return path


def test_paths_are_stored_and_read_back(probed_db: Path) -> None:
    with open_database(probed_db, read_only=True) as db:
        frame = probed(db, "path_")
    runs = oodbench.query(probed_db, "status = 'completed'")["run"]
    assert len(frame) == STEPS * len(runs)
    np.testing.assert_allclose(frame["path_rsi"] / frame["path_eb"], frame["path_gamma"])
    assert frame["path_gamma_null"].between(-1, 1).all()
    assert (frame.groupby("run")["path_alignment"].last() > 0.999).all()


def test_so_is_sharpness(probed_db: Path) -> None:
    with open_database(probed_db, read_only=True) as db:
        frame = probed(db, "sharpness_")
    assert (frame["step"] == STEPS).all()
    assert {*frame.columns} == {
        *("run", "step", "sharpness_eigenvalue", "sharpness_sam", "sharpness_trace")
    }
    assert (frame["sharpness_sam"] > 0).all()


def test_probing_again_replaces(probed_db: Path) -> None:
    with open_database(probed_db, read_only=True) as db:
        before = probed(db)
    api.probe("rsi-eb", probed_db, "optimizer = 'sgd'", device="cpu")
    with open_database(probed_db, read_only=True) as db:
        after = probed(db)
    key = ["run", "step"]
    assert before.sort_values(key, ignore_index=True).equals(
        after.sort_values(key, ignore_index=True)
    )


def test_a_probed_run_still_reproduces(probed_db: Path) -> None:
    run = oodbench.query(probed_db, "optimizer = 'adam'")["run"].iloc[0]
    assert oodbench.reproduce(probed_db, run, device="cpu").exact


def test_what_cannot_be_probed(probed_db: Path) -> None:
    with pytest.raises(UnknownNameError, match="rsi-eb, sharpness"):
        api.probe("rsi", probed_db)
    with pytest.raises(RequestError, match="nothing to probe"):
        api.probe("rsi-eb", probed_db, "optimizer = 'sgd' and lr > 1e9")
    with (
        open_database(probed_db) as db,
        pytest.raises(ValueError, match="no probe's to measure"),
    ):
        store_probes(db, {"x": [Measurement(1, "", "train", "train", "loss", 0.0, 1)]})
